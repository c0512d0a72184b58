"""Rows on their way from the tasks that make them to the partitions that want them.

An exchange holds what tasks add, partitioned, in memory while the run's budget allows and in Arrow
files otherwise. Its partitions are read back in order of task, or sorted, whatever their size: only
the columns to sort by are held in memory for a partition that does not fit.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.errors import StorageError
from corpus.order import sort_order, stack
from corpus.schema import Tagged

Ints = NDArray[np.int64]

CHUNK_BYTES = 16 << 20
"""About how much a batch read back from an exchange holds."""


@dataclass
class Piece:
    """The rows of one task's batch that belong to one partition."""

    task: tuple[int, int]
    part: int
    tag: int
    rows: int
    nbytes: int
    batch: pa.RecordBatch | None
    file: "SpillFile | None" = None
    index: int = 0

    def load(self, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """The rows; only `columns` of them if given."""
        if self.batch is not None:
            return self.batch if columns is None else self.batch.select(list(columns))
        assert self.file is not None
        return self.file.read(self.index, columns)


class SpillFile:
    """An Arrow file of spilled pieces, read piece by piece."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema

    def write(self, pieces: Sequence[Piece]) -> int:
        """Move `pieces` from memory to this file; bytes written."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with (
                pa.OSFile(str(self._path), "wb") as sink,
                pa.ipc.new_file(sink, self._schema) as out,
            ):
                for index, piece in enumerate(pieces):
                    out.write_batch(piece.batch)
                    piece.file, piece.index = self, index
            for piece in pieces:
                piece.batch = None
            return os.path.getsize(self._path)
        except OSError as error:
            raise StorageError(
                f"cannot write spilled data to {self._path}: {error.strerror or error}. Free space "
                "there, or name another folder with --set engine.scratch=FOLDER, and run the same "
                "command again."
            ) from None

    def read(self, index: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        fields = None
        if columns is not None:
            fields = [self._schema.get_field_index(name) for name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
        with pa.OSFile(str(self._path), "rb") as source:
            batch = pa.ipc.open_file(source, options=options).get_batch(index)
        return batch if columns is None else batch.select(list(columns))

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


class Spool:
    """The memory that all exchanges of a run share, and the folder they spill to."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget
        self.spilled_bytes = 0
        self._held = 0
        self._files = 0
        self._lock = threading.RLock()
        self._exchanges: list[Exchange] = []

    def open(self, schemas: Sequence[pa.Schema], parts: int) -> "Exchange":
        """An exchange for rows of these schemas (one for each tag) in `parts` partitions."""
        exchange = Exchange(self, schemas, parts)
        with self._lock:
            self._exchanges.append(exchange)
        return exchange

    def hold(self, exchange: "Exchange", pieces: Sequence[Piece]) -> None:
        """Take over pieces; spill what is held, largest exchange first, if the budget is spent."""
        with self._lock:
            exchange.pieces.extend(pieces)
            size = sum(piece.nbytes for piece in pieces)
            exchange.held += size
            self._held += size
            while self._held > self.budget:
                largest = max(self._exchanges, key=lambda e: e.held)
                self._spill(largest)

    def _spill(self, exchange: "Exchange") -> None:
        for tag, schema in enumerate(exchange.schemas):
            pieces = [p for p in exchange.pieces if p.batch is not None and p.tag == tag]
            if pieces:
                file = SpillFile(self.folder / f"{self._files:05d}.arrow", schema)
                self._files += 1
                exchange.files.append(file)
                self.spilled_bytes += file.write(pieces)
        self._held -= exchange.held
        exchange.held = 0

    def close(self, exchange: "Exchange") -> None:
        """Forget an exchange and its files."""
        with self._lock:
            self._held -= exchange.held
            exchange.held = 0
            exchange.pieces.clear()
            self._exchanges.remove(exchange)
            for file in exchange.files:
                file.remove()


class Exchange:
    """Partitioned rows. `add` is called by many tasks at once, the rest after they ended."""

    def __init__(self, spool: Spool, schemas: Sequence[pa.Schema], parts: int) -> None:
        self.schemas = tuple(schemas)
        self.parts = parts
        self.pieces: list[Piece] = []
        self.files: list[SpillFile] = []
        self.held = 0
        self._spool = spool

    def add(self, task: tuple[int, int], tag: int, batch: pa.RecordBatch, offsets: Ints) -> None:
        """Rows of `batch`, ordered by partition: part p has rows offsets[p] … offsets[p + 1]."""
        filled = np.flatnonzero(np.diff(offsets))
        width = batch.nbytes / max(1, batch.num_rows)
        pieces = []
        for part in filled.tolist():
            rows = int(offsets[part + 1] - offsets[part])
            piece = batch.slice(int(offsets[part]), rows)
            pieces.append(Piece(task, part, tag, rows, int(rows * width), piece))
        self._spool.hold(self, pieces)

    def close(self) -> None:
        self._spool.close(self)

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    def part_bytes(self) -> Ints:
        """Bytes in each partition."""
        sizes = np.zeros(self.parts, dtype=np.int64)
        for piece in self.pieces:
            sizes[piece.part] += piece.nbytes
        return sizes

    def by_tag(self, start: int, end: int) -> list[list[Piece]]:
        """For each tag the pieces of partitions start … end - 1, in order of task."""
        chosen: list[list[Piece]] = [[] for _ in self.schemas]
        for piece in self.pieces:
            if start <= piece.part < end:
                chosen[piece.tag].append(piece)
        for pieces in chosen:
            pieces.sort(key=lambda piece: piece.task)
        return chosen


def in_order(pieces: Sequence[Piece]) -> Iterator[pa.RecordBatch]:
    """The rows of `pieces` as they were added."""
    for piece in pieces:
        yield piece.load()


def in_sorted_order(
    by_tag: Sequence[Sequence[Piece]],
    tags: Sequence[str],
    schemas: Sequence[pa.Schema],
    columns: Sequence[Sequence[str]],
    chunk_bytes: int | None = None,
) -> Tagged:
    """Rows of all tags sorted by the first of `columns` (the key), then the tag, then the second.

    They come in chunks; in each chunk the rows of one tag follow those of another, in the order of
    `tags`. A column that a tag's schema lacks counts as zero.
    """
    key, order = columns
    stacks = [
        _sort_columns(pieces, schema, key, order, tag)
        for tag, (pieces, schema) in enumerate(zip(by_tag, schemas, strict=True))
    ]
    counts = [s.shape[1] for s in stacks]
    if not sum(counts):
        return
    merged = stacks[0] if len(stacks) == 1 else np.concatenate(stacks, axis=1)
    del stacks
    sequence = sort_order(merged)
    del merged
    if sequence is None and len(by_tag) == 1:
        yield from ((tags[0], batch) for batch in in_order(by_tag[0]))
        return
    total_bytes = sum(piece.nbytes for pieces in by_tag for piece in pieces)
    rows = max(1, int((chunk_bytes or CHUNK_BYTES) * sum(counts) / max(1, total_bytes)))
    sources = [_Rows(pieces, schema) for pieces, schema in zip(by_tag, schemas, strict=True)]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    for start in range(0, sum(counts), rows):
        end = min(start + rows, sum(counts))
        chunk = np.arange(start, end) if sequence is None else sequence[start:end]
        for tag, source in enumerate(sources):
            wanted = chunk[(chunk >= starts[tag]) & (chunk < starts[tag + 1])] - starts[tag]
            if wanted.size:
                yield tags[tag], source.take(wanted)


def _sort_columns(
    pieces: Sequence[Piece], schema: pa.Schema, key: Sequence[str], order: Sequence[str], tag: int
) -> Ints:
    """The columns to sort by, stacked: key, tag, order; those not in the schema are zero."""
    names = [name for name in (*key, *order) if name in schema.names]
    rows = sum(piece.rows for piece in pieces)
    loaded = [piece.load(names) for piece in pieces]
    values = {
        name: np.concatenate([b.column(name).to_numpy(zero_copy_only=True) for b in loaded])
        if loaded
        else np.zeros(0, dtype=np.int64)
        for name in names
    }
    zero = np.zeros(rows, dtype=np.int64)
    where = [values.get(name, zero) for name in key]
    where.append(np.full(rows, tag, dtype=np.int64))
    where.extend(values.get(name, zero) for name in order)
    return stack(where)


class _Rows:
    """Pieces as one sequence of rows to take from: in memory if small, else read piece by piece."""

    def __init__(self, pieces: Sequence[Piece], schema: pa.Schema) -> None:
        self._pieces = pieces
        self._schema = schema
        self._starts = np.concatenate([[0], np.cumsum([p.rows for p in pieces])]).astype(np.int64)
        self._whole: pa.RecordBatch | None = None
        if sum(piece.nbytes for piece in pieces) <= 4 * CHUNK_BYTES:
            self._whole = _concat([piece.load() for piece in pieces], schema)

    def take(self, rows: Ints) -> pa.RecordBatch:
        if self._whole is not None:
            return _take(self._whole, rows)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        parts, places = [], []
        for index in np.unique(owner).tolist():
            here = np.flatnonzero(owner == index)
            parts.append(_take(self._pieces[index].load(), rows[here] - self._starts[index]))
            places.append(here)
        whole = _concat(parts, self._schema)
        if len(parts) == 1:
            return whole
        back = np.empty(rows.size, dtype=np.int64)
        back[np.concatenate(places)] = np.arange(rows.size)
        return _take(whole, back)


def _take(batch: pa.RecordBatch, rows: Ints) -> pa.RecordBatch:
    """Rows of a batch; a stretch of consecutive rows without a copy."""
    if rows.size and rows[-1] - rows[0] == rows.size - 1 and np.all(np.diff(rows) == 1):
        return batch.slice(int(rows[0]), rows.size)
    return batch.take(pa.array(rows))


def _concat(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=schema)
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
