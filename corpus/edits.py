"""Edits of a shard: new strings of documents, and which documents are removed.

An edit is a row (doc: int64, field: int64, text: string). Its text replaces the string in a field
of the document: in the text if `field` is 0, in Fields.columns[n - 1] if it is n. A null text in
field 0 removes the document.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from unrote.corpus.errors import InputChanged
from unrote.corpus.rows import Fields
from unrote.corpus.schema import doc_key
from unrote.corpus.shard import Shard

EDITS = pa.schema([("doc", pa.int64()), ("field", pa.int64()), ("text", pa.string())])


class ShardEdits:
    """The edits of one shard, which come in batches, handed out in the order of its rows."""

    def __init__(self, shard: Shard, fields: Fields, batches: Iterable[pa.RecordBatch]) -> None:
        self._shard = shard
        self._names = fields.editable
        self._batches = iter(batches)
        self._texts: pa.Array = pa.array([], pa.string())
        self._fields = np.empty(0, dtype=np.int64)
        self._rows = np.empty(0, dtype=np.int64)
        self._next = 0

    def of_rows(
        self, first: int, readable: np.ndarray, has_string: Callable[[int, int], bool]
    ) -> tuple[np.ndarray, dict[int, dict[int, str]]]:
        """The edits of the rows `first`, `first` + 1, …, of which `readable` (bool) can be read.

        Returns which of them are kept (bool), and the new strings of those that are edited, kept or
        not: by row, counted from `first`, and field. has_string(row, field) says whether there is a
        string in a named column of a row, counted likewise.
        Raises InputChanged where an edit is about another row, or about what is no string.
        """
        kept = readable.copy()
        new: dict[int, dict[int, str]] = {}
        for row, field, text in self._before(first + len(readable)):
            at = row - first
            if at < 0 or not readable[at]:
                self._unknown(row)
            if field and not (0 < field < len(self._names) and has_string(at, field)):
                self._no_string(row, field)
            if text is not None:
                new.setdefault(at, {})[field] = text
            elif field == 0:
                kept[at] = False
            else:
                raise ValueError(
                    f"the edit of row {row} in field {self._names[field]!r} has no text; only that "
                    "of field 0 may be null, which removes the row."
                )
        return kept, new

    def _before(self, row: int) -> Iterator[tuple[int, int, str | None]]:
        """The edits (row, field, text) not handed out yet that are about rows before `row`."""
        while self._fill() and self._rows[self._next] < row:
            at = self._next
            self._next += 1
            yield int(self._rows[at]), int(self._fields[at]), self._texts[at].as_py()

    def finish(self) -> None:
        """Raises InputChanged if an edit was not asked for."""
        if self._fill():
            self._unknown(int(self._rows[self._next]))

    def _unknown(self, row: int) -> None:
        """Raises InputChanged: there is no row `row` that could be edited."""
        raise InputChanged(
            f"{self._shard.url} has no readable row {row} (any more), which is to be edited. Bring "
            "the pinned file back, or start a new run in another folder."
        )

    def _no_string(self, row: int, field: int) -> None:
        """Raises InputChanged: there is no string in field `field` of row `row` to be edited."""
        known = 0 <= field < len(self._names)
        raise InputChanged(
            f"row {row} of {self._shard.url} has no string (any more) in field "
            f"{self._names[field] if known else field!r}, which is to be edited. Bring the pinned "
            "file back, or start a new run in another folder."
        )

    def _fill(self) -> bool:
        """Whether there is a next edit."""
        while self._next == len(self._rows):
            batch = next(self._batches, None)
            if batch is None:
                self._rows, self._next = np.empty(0, dtype=np.int64), 0
                return False
            docs, fields, self._texts = batch.columns
            self._rows, self._next = docs.to_numpy() - doc_key(self._shard.number, 0), 0
            self._fields = fields.to_numpy()
        return True
