"""Writing what is released: the input's bytes, with the edits and without the removed rows.

An edit is a row (doc: int64, field: int64, text: string). Its text replaces the string in a field
of the document: in the text if `field` is 0, in Fields.columns[n - 1] if it is n. A null text in
field 0 removes the document. Documents that no edit names are copied. Rejected rows are not
released.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard

from unrote.corpus.errors import InputChanged
from unrote.corpus.formats.jsonl import earlier_values, read_strings, scan_blocks
from unrote.corpus.formats.parquet import (
    check_columns,
    compression_of,
    open_parquet,
    read_group,
    readable_rows,
)
from unrote.corpus.formats.text import read_text
from unrote.corpus.json_scanner import END, REPEATED, ROW, START, VALUES
from unrote.corpus.read import stored_lines
from unrote.corpus.rows import Damaged, Fields, Wanted, accepted
from unrote.corpus.schema import doc_key
from unrote.corpus.shard import Corpus, Cut, Shard
from unrote.corpus.storage import storage

GROUP_BYTES = 64 << 20
"""Parquet row groups larger than this are rewritten as several."""

EDITS = pa.schema([("doc", pa.int64()), ("field", pa.int64()), ("text", pa.string())])


def rewrite(
    corpus: Corpus,
    cuts: Sequence[Cut],
    fields: Fields,
    edits: Iterable[pa.RecordBatch],
    path: str | os.PathLike[str],
) -> int:
    """Write the released form of `cuts` to the local file `path`; returns the rows written.

    `cuts` are consecutive cuts of one shard; `edits` are batches of schema EDITS, by `doc` and
    `field`, about rows of these cuts. Of a plain JSONL shard any run of cuts can be written, and
    the files put one behind another are the released shard. Of any other shard all cuts have to be
    given (a slice has them all): the file is the released shard. gz is one member without a time,
    level 6; zst one frame with a checksum, level 3; Parquet keeps schema, metadata, row order and
    compression. No file is written for a text file whose document was removed or rejected. Lines
    keep every byte but those of edited strings, line ends included; blank lines and a byte order
    mark go. Of a name that a line has several times the last value counts, and those before it are
    emptied where the field is one that is read. The bytes depend on the input and the edits alone.
    Raises InputChanged where an edit names a row, or a string in it, that is not there,
    StorageError.
    """
    shard = corpus.shards[cuts[0].shard]
    changes = Edits(shard, fields, edits)
    if shard.format == "parquet":
        rows = _rewrite_parquet(shard, fields, changes, Path(path))
    elif shard.format == "txt":
        rows = _rewrite_text(shard, fields, changes, Path(path))
    else:
        with storage(path, "write"), open(path, "wb") as file:
            sink = _compressor(shard)
            rows = 0
            for cut in cuts:
                for count, piece in rewritten_lines(
                    stored_lines(shard, cut), shard, cut, fields, changes
                ):
                    rows += count
                    file.write(sink.compress(piece))
            file.write(sink.flush())
    changes.finish()
    return rows


class Edits:
    """Edits of one shard that come in batches, handed out in the order of its rows."""

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
        """What becomes of the rows `first`, `first` + 1, …, of which `readable` (bool) can be read.

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


# JSON lines


class _Sink(Protocol):
    def compress(self, piece: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, piece: bytes, /) -> bytes:
        return piece

    def flush(self) -> bytes:
        return b""


def _compressor(shard: Shard) -> _Sink:
    """One member or frame for the whole file, because many readers stop behind the first."""
    if shard.compression == "gz":
        return zlib.compressobj(6, zlib.DEFLATED, 31)
    if shard.compression == "zst":
        sink: _Sink = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
        return sink
    return _Plain()


_DEFAULT = Fields()


def rewrite_jsonl(
    chunk: bytes, first_row: int, edits: Iterable[pa.RecordBatch], fields: Fields = _DEFAULT
) -> bytes:
    """The lines in `chunk`, the first of which is row `first_row` of shard 0, with `edits` applied.

    For tests and notebooks; `rewrite` does the same with a shard's cuts.
    """
    shard = Shard(0, "chunk", "chunk", "jsonl", "", len(chunk), "", "")
    cut = Cut(0, 0, len(chunk), first_row)
    changes = Edits(shard, fields, edits)
    done = b"".join(
        piece for _, piece in rewritten_lines(iter([chunk]), shard, cut, fields, changes)
    )
    changes.finish()
    return done


def rewritten_lines(
    stored: Iterable[bytes], shard: Shard, cut: Cut, fields: Fields, edits: Edits
) -> Iterator[tuple[int, bytes]]:
    """Pairs of rows and the bytes they come out as."""
    everything = Wanted(shard, None, cut.row)
    try:
        for data, table, reasons, _ in scan_blocks(
            stored, cut.start == 0, cut.row, fields, "text", everything
        ):
            read_strings(data, table, reasons, fields)
            yield _rewritten_block(data, table, accepted(reasons), edits, fields)
    except Damaged:
        return  # the row at the damage was rejected when it was read


def _rewritten_block(
    data: np.ndarray,
    table: np.ndarray,
    readable: np.ndarray,
    edits: Edits,
    fields: Fields,
) -> tuple[int, bytes]:
    if len(table) == 0:
        return 0, b""
    view = memoryview(data)  # type: ignore[arg-type]

    def has_string(at: int, field: int) -> bool:
        place = table[at, VALUES + 2 * field]
        return bool(place >= 0 and data[place] == ord('"'))

    kept, changes = edits.of_rows(int(table[0, ROW]), readable, has_string)
    for at in np.flatnonzero(table[:, REPEATED].astype(np.bool_) & kept).tolist():
        changes.setdefault(at, {})  # its earlier values were not read
    starts = table[:, START]
    ends = np.minimum(table[:, END] + 1, len(data))
    # Rows that follow one another are copied at once; only where something happens is a new piece.
    breaks = np.ones(len(table), dtype=np.bool_)
    breaks[1:] = (starts[1:] != ends[:-1]) | ~kept[1:] | ~kept[:-1]
    edited = list(changes)
    breaks[edited] = True
    breaks[[at + 1 for at in edited if at + 1 < len(table)]] = True
    runs = np.flatnonzero(breaks)
    pieces: list[Any] = []
    for run, run_end in zip(runs, [*runs[1:], len(table)], strict=True):
        if not kept[run]:
            continue
        if int(run) in changes:
            line = view[starts[run] : ends[run]]
            pieces.extend(_edited_line(line, table[run], changes[int(run)], fields))
        else:
            pieces.append(view[starts[run] : ends[run_end - 1]])
    return int(kept.sum()), b"".join(pieces)


def _edited_line(
    line: memoryview, found: np.ndarray, changes: dict[int, str], fields: Fields
) -> Iterator[bytes | memoryview]:
    """The pieces of `line`, of which the scanner says `found`, with `changes` made."""
    values: list[tuple[int, int, bytes]] = []
    for field, name in enumerate(fields.editable):
        place = VALUES + 2 * field
        if found[place] < 0:
            continue
        start, end = (found[place : place + 2] - found[START]).tolist()
        if field in changes:
            values.append((start, end, _written(changes[field], bytes(line[start:end]))))
        if found[REPEATED]:
            # Earlier values of the field may hold what was removed from the last, or was not read.
            earlier = earlier_values(bytes(line), start, name)
            values.extend((*value, b'""') for value in earlier)
    at = 0
    for start, end, new in sorted(values):
        yield line[at:start]
        yield new
        at = end
    yield line[at:]


def _written(text: str, old: bytes) -> bytes:
    """`text` as a JSON string in place of `old`."""
    # Who wrote everything as ASCII may read nothing else.
    ascii_only = b"\\u" in old and old.isascii()
    return json.dumps(text).encode() if ascii_only else orjson.dumps(text)


# Parquet and text files


def _rewrite_parquet(shard: Shard, fields: Fields, edits: Edits, path: Path) -> int:
    rows = row = 0
    with open_parquet(shard) as file, storage(path, "write"):
        schema = file.schema_arrow
        check_columns(shard, schema, fields)
        with pq.ParquetWriter(path, schema, compression=compression_of(file)) as writer:
            for group in range(file.metadata.num_row_groups):
                first, waiting = row, _Group(writer, schema)
                for batch in read_group(shard, file, group, fields):
                    waiting.add(_rewritten_batch(batch, first, fields, edits))
                    first += len(batch)
                waiting.write()
                rows += waiting.rows
                row += file.metadata.row_group(group).num_rows
    return rows


class _Group:
    """Rows of one row group of the input, written as one row group, or several if it is large."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._batches: list[pa.RecordBatch] = []
        self._size = 0
        self.rows = 0

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            if len(batch):
                self._batches.append(_compacted(batch))
                self._size += batch.nbytes
                self.rows += len(batch)
            if self._size >= GROUP_BYTES:
                self.write()

    def write(self) -> None:
        if self._batches:
            self._write(self._batches)
        self._batches, self._size = [], 0

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches, self._schema)
        try:
            # A reader numbers the values of a whole row group by the dictionary's index type.
            table = table.unify_dictionaries()
        except pa.ArrowInvalid:
            if len(batches) == 1:
                raise
            half = len(batches) // 2
            self._write(batches[:half])
            self._write(batches[half:])
        else:
            self._writer.write_table(table, row_group_size=max(1, len(table)))


def _compacted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without the dictionary values that no row has: they may be what was removed."""
    for place, column in enumerate(batch.columns):
        if pa.types.is_dictionary(column.type):
            used = pa.array(np.unique(column.indices.drop_null().to_numpy()))
            indices = pc.index_in(column.indices, value_set=used).cast(column.type.index_type)
            values = column.dictionary.take(used)
            column = pa.DictionaryArray.from_arrays(indices, values, ordered=column.type.ordered)
            batch = batch.set_column(place, batch.schema.field(place), column)
    return batch


def _rewritten_batch(
    batch: pa.RecordBatch, row: int, fields: Fields, edits: Edits
) -> Iterator[pa.RecordBatch]:
    """`batch`, whose first row is `row`, with the edits made, in one piece or more."""
    places = [batch.schema.get_field_index(name) for name in fields.editable]

    def has_string(at: int, field: int) -> bool:
        return places[field] >= 0 and batch.column(places[field])[at].as_py() is not None

    kept, changes = edits.of_rows(row, readable_rows(batch, fields), has_string)
    new: dict[int, pa.LargeStringArray] = {}
    for field in {field for strings in changes.values() for field in strings}:
        own = {at: strings[field] for at, strings in changes.items() if field in strings}
        new[places[field]] = _replaced(batch.column(places[field]), own)
    return _with_strings(batch, new, kept)


def _with_strings(
    batch: pa.RecordBatch, new: dict[int, pa.LargeStringArray], kept: np.ndarray
) -> Iterator[pa.RecordBatch]:
    """The `kept` rows of `batch` with the columns at some places replaced.

    In several pieces where a dictionary's index type cannot number all values of a column.
    """
    done = batch
    try:
        for place, strings in new.items():
            column = batch.schema.field(place)
            done = done.set_column(place, column, _as(strings, column.type))
    except pa.ArrowInvalid:
        if len(batch) == 1:
            raise
        half = len(batch) // 2
        for part in (slice(0, half), slice(half, None)):
            own = {place: strings[part] for place, strings in new.items()}
            yield from _with_strings(batch[part], own, kept[part])
    else:
        yield done if kept.all() else _filtered(done, kept)


def _filtered(batch: pa.RecordBatch, kept: np.ndarray) -> pa.RecordBatch:
    try:
        return batch.filter(pa.array(kept))
    except pa.ArrowNotImplementedError:
        # Views (string_view) cannot be filtered, but sliced and joined.
        runs = np.flatnonzero(np.diff(np.concatenate(([False], kept, [False]))))
        parts = [batch.slice(a, b - a) for a, b in runs.reshape(-1, 2).tolist()]
        return pa.concat_batches(parts) if parts else batch.slice(0, 0)


def _replaced(texts: pa.Array, new: dict[int, str]) -> pa.LargeStringArray:
    places = sorted(new)
    plain = texts.cast(pa.large_string())
    # Take from the old texts with the new ones behind them.
    both = pa.concat_arrays([plain, pa.array([new[at] for at in places], pa.large_string())])
    order = np.arange(len(plain), dtype=np.int64)
    order[places] = len(plain) + np.arange(len(places))
    return both.take(pa.array(order))


def _as(texts: pa.LargeStringArray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return texts.cast(kind.value_type).dictionary_encode().cast(kind)
    return texts.cast(kind)


def _rewrite_text(shard: Shard, fields: Fields, edits: Edits, path: Path) -> int:
    found = list(read_text(shard, fields, "text", Wanted(shard, None, 0)))
    readable = np.array([bool(found)])
    kept, changes = edits.of_rows(0, readable, lambda _at, _field: False)
    if not kept[0]:
        return 0
    content = changes[0][0].encode() if changes else found[0][1].column("text")[0].as_buffer()
    with storage(path, "write"):
        path.write_bytes(content)
    return 1
