"""Documents with what tables say of them: rows come before the text they are of, and wait for it.

A stage that reads text and tables side by side gets, range of documents by range, the rows of the
tables and then the texts, in batches that may end anywhere. `beside` hands out the texts; what the
tables said of a document is taken out of holders by its key.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.intervals import union
from unrote.corpus.schema import AT_RISK, CONTAMINATED, REPLACEMENTS, SPANS, Tagged
from unrote.corpus.tables import tuples_of
from unrote.corpus.views import Change, changes_outside

Row = TypeVar("Row")

_EDITS = {table.name: table.schema for table in (SPANS, REPLACEMENTS, AT_RISK, CONTAMINATED)}


class Holder(Protocol):
    """Holds rows of documents whose text is yet to come."""

    def learn(self, tag: str, batch: pa.RecordBatch) -> bool:
        """Takes rows; False for a batch of another table."""
        ...


def beside(
    tagged: Tagged, *holders: Holder, ignored: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The batches of text. Rows of tables go to the first of the holders that takes them.

    Raises AssertionError for a table that nobody takes and that is not among the `ignored`.
    """
    for tag, batch in tagged:
        if tag == "text":
            yield batch
        elif tag not in ignored and not any(holder.learn(tag, batch) for holder in holders):
            raise AssertionError(f"nobody takes rows of {tag}")  # with python -O too


def with_range(tagged: Tagged) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The batches of text that are not empty, each with all rows that the one table beside it has
    of its range of documents.
    """
    rows: list[pa.RecordBatch] = []
    read = False  # whether text of the range of `rows` has come
    for tag, batch in tagged:
        if tag != "text":
            rows = [batch] if read else [*rows, batch]
            read = False
        elif batch.num_rows:
            read = True
            yield pa.concat_batches(rows), batch


class RowsBeside(Generic[Row]):
    """Rows of the table `name` by document, as `pick` makes them: pairs of a document and a row."""

    def __init__(
        self, name: str, pick: Callable[[pa.RecordBatch], Iterable[tuple[int, Row]]]
    ) -> None:
        self.name = name
        self._pick = pick
        self._rows: defaultdict[int, list[Row]] = defaultdict(list)

    def learn(self, tag: str, batch: pa.RecordBatch) -> bool:
        if tag != self.name:
            return False
        for doc, row in self._pick(batch):
            self._rows[doc].append(row)
        return True

    def take(self, doc: int) -> list[Row]:
        """The rows of a document, which are then forgotten."""
        return self._rows.pop(doc, [])


def picking(*names: str) -> Callable[[pa.RecordBatch], Iterable[tuple[int, tuple[Any, ...]]]]:
    """For RowsBeside: every row, as a tuple of these columns."""
    return lambda batch: ((doc, tuple(row)) for doc, *row in tuples_of(batch, "doc", *names))


class NumbersBeside:
    """Rows of the table `name` by document, as arrays: of a table with many rows a document.

    columns: of integers. The table is sorted by document, and so are the texts.
    """

    def __init__(self, name: str, *columns: str) -> None:
        self.name = name
        self._columns = ("doc", *columns)
        self._held: list[NDArray[np.int64]] = []

    def learn(self, tag: str, batch: pa.RecordBatch) -> bool:
        if tag != self.name:
            return False
        self._held.append(np.stack([batch[name].to_numpy() for name in self._columns], axis=1))
        return True

    def take(self, docs: Sequence[int]) -> NDArray[np.int64]:
        """The rows of documents, in ascending order, which are then forgotten, as are those of
        documents between them: int64[m, 1 + columns], the index of the document first.
        """
        wanted = np.array(docs, dtype=np.int64)
        found, left = [np.empty((0, len(self._columns)), dtype=np.int64)], []
        for rows in self._held if docs else ():
            low, high = np.searchsorted(rows[:, 0], (wanted[0], wanted[-1] + 1))
            found.append(rows[low:high])
            left += [part for part in (rows[:low], rows[high:]) if len(part)]
        self._held = left if docs else self._held
        rows = np.concatenate(found)
        rows[:, 0], of = np.searchsorted(wanted, rows[:, 0]), rows[:, 0].copy()
        own: NDArray[np.int64] = rows[wanted[rows[:, 0]] == of]
        return own


class DocumentSet:
    """The documents that have a row in one of the tables `names`."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self._docs: set[int] = set()

    def learn(self, tag: str, batch: pa.RecordBatch) -> bool:
        if tag not in self.names:
            return False
        self._docs.update(batch["doc"].to_pylist())
        return True

    def take(self, doc: int) -> bool:
        """Whether it is one of them; it is then forgotten."""
        known = doc in self._docs
        self._docs.discard(doc)
        return known


class DocumentEdits:
    """The edits of documents, from SPANS, REPLACEMENTS, AT_RISK and CONTAMINATED. cut: whether
    SPANS are cut.
    """

    def __init__(self, *, cut: bool) -> None:
        self.cut = cut
        self._cuts = RowsBeside(SPANS.name, picking("start", "end"))
        self._at_risk = RowsBeside(AT_RISK.name, picking("start", "end"))
        self._contaminated = RowsBeside(CONTAMINATED.name, picking("start", "end"))
        self._changes = RowsBeside(REPLACEMENTS.name, _changes_of_text)

    def learn(self, tag: str, batch: pa.RecordBatch) -> bool:
        known = (self._cuts, self._at_risk, self._contaminated, self._changes)
        return any(rows.learn(tag, batch) for rows in known)

    def take(self, doc: int) -> tuple[list[tuple[int, int]], list[Change]]:
        """The cuts and changes of a document, which are then forgotten."""
        cuts, changes = self._cuts.take(doc), self._changes.take(doc)
        removed = list(union(sorted([*self._at_risk.take(doc), *self._contaminated.take(doc)])))
        return sorted([*(cuts if self.cut else ()), *removed]), changes_outside(changes, removed)


def _changes_of_text(batch: pa.RecordBatch) -> Iterator[tuple[int, Change]]:
    """The changes of the text, those of other fields left out."""
    for doc, field, *change in tuples_of(batch, "doc", "field", "start", "end", "text"):
        if field == 0:
            yield doc, tuple(change)


@dataclass(frozen=True)
class ReleasedView:
    """Which tables make the released text of a document out of its input text.

    tables: names of those of SPANS, REPLACEMENTS, AT_RISK and CONTAMINATED that are read. cut:
    whether SPANS are cut. several: whether the text may have several values (corpus.paths).
    """

    tables: tuple[str, ...] = ()
    cut: bool = False
    several: bool = False

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        """The schemas of the tables, for the inputs of a stage."""
        return {name: _EDITS[name] for name in self.tables}

    def edits(self) -> DocumentEdits:
        return DocumentEdits(cut=self.cut)
