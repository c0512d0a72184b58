"""Writing what is released: the input's bytes, with the edits and without the removed rows.

An edit is a row (doc: int64, text: string). A text replaces the document's, null removes it;
documents that no edit names are copied. Rejected rows are not released.
"""

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from corpus.errors import InputChanged
from corpus.jsonl import (
    END,
    REPEATED,
    ROW,
    START,
    STRINGS,
    VALUES,
    decoded,
    last_value,
    scan_blocks,
)
from corpus.parquet import check_columns, compression_of, open_parquet, read_group, readable_texts
from corpus.read import stored_lines
from corpus.rows import MAX_TEXT, Damaged, Fields, Wanted, accepted
from corpus.schema import doc_key
from corpus.shards import Corpus, Cut, Shard
from corpus.storage import storage
from corpus.textfile import read_text

GROUP_BYTES = 64 << 20
"""Parquet row groups larger than this are rewritten as several."""

EDITS = pa.schema([("doc", pa.int64()), ("text", pa.string())])


def rewrite(
    corpus: Corpus,
    cuts: Sequence[Cut],
    fields: Fields,
    edits: Iterable[pa.RecordBatch],
    path: str | os.PathLike[str],
) -> int:
    """Write the released form of `cuts` to the local file `path`; returns the rows written.

    `cuts` are consecutive cuts of one shard; `edits` are batches of schema EDITS, by `doc`, about
    rows of these cuts. Of a plain JSONL shard any run of cuts can be written, and the files put one
    behind another are the released shard. Of any other shard all cuts have to be given (a slice has
    them all): the file is the released shard. gz is one member without a time, level 6; zst one
    frame with a checksum, level 3; Parquet keeps schema, metadata, row order and compression. No
    file is written for a text file whose document was removed or rejected. Lines keep every byte
    but those of the text, line ends included; blank lines and a byte order mark go. The bytes
    depend on the input and the edits alone.
    Raises InputChanged where an edit names a row that is not there, StorageError.
    """
    shard = corpus.shards[cuts[0].shard]
    changes = Edits(shard, edits)
    if shard.format == "parquet":
        rows = _rewrite_parquet(shard, fields, changes, Path(path))
    elif shard.format == "txt":
        rows = _rewrite_text(shard, changes, Path(path))
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
    """Edits of one shard that come in batches, handed out by row."""

    def __init__(self, shard: Shard, batches: Iterable[pa.RecordBatch]) -> None:
        self._shard = shard
        self._batches = iter(batches)
        self._batch: pa.RecordBatch | None = None
        self._rows = np.empty(0, dtype=np.int64)
        self._next = 0

    def before(self, row: int) -> Iterator[tuple[int, str | None]]:
        """The edits (row, text or None) not handed out yet that are about rows before `row`."""
        while self._fill() and self._rows[self._next] < row:
            assert self._batch is not None
            at = self._next
            self._next += 1
            yield int(self._rows[at]), self._batch.column(1)[at].as_py()

    def finish(self) -> None:
        """Raises InputChanged if an edit was not asked for."""
        if self._fill():
            self.unknown(int(self._rows[self._next]))

    def unknown(self, row: int) -> None:
        """Raises InputChanged: there is no row `row` that could be edited."""
        raise InputChanged(
            f"{self._shard.url} has no readable row {row} (any more), which is to be edited. Bring "
            "the pinned file back, or start a new run in another folder."
        )

    def _fill(self) -> bool:
        """Whether there is a next edit."""
        while self._next == len(self._rows):
            self._batch = next(self._batches, None)
            if self._batch is None:
                self._rows, self._next = np.empty(0, dtype=np.int64), 0
                return False
            docs = self._batch.column(0).to_numpy()
            self._rows, self._next = docs - doc_key(self._shard.number, 0), 0
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


def rewrite_jsonl(chunk: bytes, first_row: int, edits: Iterable[pa.RecordBatch]) -> bytes:
    """The lines in `chunk`, the first of which is row `first_row` of shard 0, with `edits` applied.

    For tests and notebooks; `rewrite` does the same with a shard's cuts.
    """
    shard = Shard(0, "chunk", "chunk", "jsonl", "", len(chunk), "", "")
    cut = Cut(0, 0, len(chunk), first_row)
    changes = Edits(shard, edits)
    done = b"".join(
        piece for _, piece in rewritten_lines(iter([chunk]), shard, cut, Fields(), changes)
    )
    changes.finish()
    return done


def rewritten_lines(
    stored: Iterable[bytes], shard: Shard, cut: Cut, fields: Fields, edits: Edits
) -> Iterator[tuple[int, bytes]]:
    """Pairs of rows and the bytes they come out as."""
    everything = Wanted(shard, None, cut.row)
    try:
        for data, table, reasons, after in scan_blocks(
            stored, cut.start == 0, cut.row, fields, "text", everything
        ):
            readable = _readable(data, table, reasons)
            yield _rewritten_block(data, table, readable, edits, after, fields)
    except Damaged:
        return  # the row at the damage was rejected when it was read


def _readable(data: np.ndarray, table: np.ndarray, reasons: np.ndarray) -> np.ndarray:
    """Which rows of a block are not rejected when they are read (bool)."""
    good = accepted(reasons)
    places = np.flatnonzero(good)
    _, offsets, valid = decoded(data, np.ascontiguousarray(table[places]), 0, STRINGS)
    good[places] = valid & (np.diff(offsets) <= MAX_TEXT)
    return good


def _rewritten_block(
    data: np.ndarray,
    table: np.ndarray,
    readable: np.ndarray,
    edits: Edits,
    after: int,
    fields: Fields,
) -> tuple[int, bytes]:
    if len(table) == 0:
        return 0, b""
    view = memoryview(data)  # type: ignore[arg-type]
    first = int(table[0, ROW])
    changes: dict[int, str | None] = {}
    for row, text in edits.before(after):
        if row < first or not readable[row - first]:
            edits.unknown(row)
        changes[row - first] = text
    starts = table[:, START]
    ends = np.minimum(table[:, END] + 1, len(data))
    kept = readable.copy()
    kept[[at for at, text in changes.items() if text is None]] = False
    # Rows that follow one another are copied at once; only where something happens is a new piece.
    breaks = np.ones(len(table), dtype=np.bool_)
    breaks[1:] = (starts[1:] != ends[:-1]) | ~kept[1:] | ~kept[:-1]
    edited = [at for at, text in changes.items() if text is not None]
    breaks[edited] = True
    breaks[[at + 1 for at in edited if at + 1 < len(table)]] = True
    runs = np.flatnonzero(breaks)
    pieces: list[Any] = []
    for run, run_end in zip(runs, [*runs[1:], len(table)], strict=True):
        if not kept[run]:
            continue
        text = changes.get(int(run))
        if text is None:
            pieces.append(view[starts[run] : ends[run_end - 1]])
        else:
            line = view[starts[run] : ends[run]]
            value = (table[run, VALUES : VALUES + 2] - starts[run]).tolist()
            pieces.extend(_edited_line(line, value, text, bool(table[run, REPEATED]), fields))
    return int(kept.sum()), b"".join(pieces)


def _edited_line(
    line: memoryview, value: list[int], text: str, repeated: bool, fields: Fields
) -> Iterator[bytes | memoryview]:
    """The pieces of `line` with the text value, line[value[0]:value[1]], replaced."""
    start, end = value
    head = _emptied(line[:start], bytes(line), start, fields) if repeated else line[:start]
    old = bytes(line[start:end])
    # Who wrote everything as ASCII may read nothing else.
    ascii_only = b"\\u" in old and old.isascii()
    new = json.dumps(text).encode() if ascii_only else orjson.dumps(text)
    yield from (head, new, line[end:])


def _emptied(head: memoryview, line: bytes, before: int, fields: Fields) -> bytes:
    """`head` with the values of earlier text fields emptied: they may hold what was removed."""
    done = bytes(head)
    while (value := last_value(line, before, fields)) is not None:
        before, end = value
        done = done[:before] + b'""' + done[end:]
    return done


# Parquet and text files


def _rewrite_parquet(shard: Shard, fields: Fields, edits: Edits, path: Path) -> int:
    rows = row = 0
    with open_parquet(shard) as file, storage(path, "write"):
        schema = file.schema_arrow
        check_columns(shard, schema, fields)
        place = schema.get_field_index(fields.text)
        with pq.ParquetWriter(path, schema, compression=compression_of(file)) as writer:
            for group in range(file.metadata.num_row_groups):
                first, waiting = row, _Group(writer, schema)
                for batch in read_group(shard, file, group, fields):
                    changes = dict(edits.before(first + len(batch)))
                    readable = readable_texts(batch, fields.text)
                    waiting.add(_rewritten_batch(batch, first, readable, changes, place, edits))
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

    def add(self, batch: pa.RecordBatch) -> None:
        if len(batch):
            self._batches.append(batch)
            self._size += batch.nbytes
            self.rows += len(batch)
        if self._size >= GROUP_BYTES:
            self.write()

    def write(self) -> None:
        if self._batches:
            table = pa.Table.from_batches(self._batches, self._schema)
            self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._batches, self._size = [], 0


def _rewritten_batch(
    batch: pa.RecordBatch,
    row: int,
    readable: np.ndarray,
    changes: dict[int, str | None],
    place: int,
    edits: Edits,
) -> pa.RecordBatch:
    for number in changes:
        if number < row or not readable[number - row]:
            edits.unknown(number)
    kept = readable.copy()
    kept[[number - row for number, text in changes.items() if text is None]] = False
    new = {number - row: text for number, text in changes.items() if text is not None}
    if new:
        kind = batch.schema.field(place).type
        texts = _replaced(batch.column(place), new)
        batch = batch.set_column(place, batch.schema.field(place), _as(texts, kind))
    return batch if kept.all() else _filtered(batch, kept)


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


def _rewrite_text(shard: Shard, edits: Edits, path: Path) -> int:
    found = list(read_text(shard, "text", Wanted(shard, None, 0)))
    changes = dict(edits.before(1))
    if changes and not found:
        edits.unknown(0)
    if not found or changes.get(0, "") is None:
        return 0
    text = changes.get(0)
    content = found[0][1].column("text")[0].as_buffer() if text is None else text.encode()
    with storage(path, "write"):
        path.write_bytes(content)
    return 1
