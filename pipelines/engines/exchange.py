"""Rows on their way from the tasks that make them to the partitions that want them.

An exchange holds what tasks add, partitioned, in memory while the run's budget allows and in files
otherwise. Its partitions are read back in order of task; pipelines/engines/sorting.py sorts
them.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.errors import StorageError

Ints = NDArray[np.int64]


CHUNK_BYTES = 2048
"""What Arrow and Python need for a chunk in memory beside its rows, about: with many partitions of
few rows it is the larger part."""

STORED_BYTES = 4 << 20
"""So much of one partition is written and read in one piece, at most, or one larger chunk."""


@dataclass(slots=True)
class Stored:
    """Rows in a spill file: one message of Arrow's stream format."""

    file: "SpillFile"
    start: int
    size: int


@dataclass(slots=True)
class Chunk:
    """Rows of one partition that came one after the other: all of `batch`, or in `stored`, from
    row `first` on.
    """

    task: tuple[int, int]
    part: int
    tag: int
    rows: int
    nbytes: int
    batch: pa.RecordBatch | None
    stored: Stored | None = None
    first: int = 0

    def load(self, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """The rows; only `columns` of them if given."""
        batch = self.batch
        if batch is None:
            assert self.stored is not None
            batch = self.stored.file.read(self.stored).slice(self.first, self.rows)
        return batch if columns is None else batch.select(list(columns))


class SpillFile:
    """Record batches in a file, each of which is read by itself.

    They are found by where they were written: the index of Arrow's file format is as long as there
    are batches, and would be read once more for each of them.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema

    def write(self, batches: Iterable[pa.RecordBatch]) -> list[Stored]:
        """Write batches; where each is."""
        found = []
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with (
                pa.OSFile(str(self._path), "wb") as sink,
                pa.ipc.new_stream(sink, self._schema) as out,
            ):
                out.write_batch(pa.RecordBatch.from_pylist([], self._schema))  # after the schema
                for batch in batches:
                    start = sink.tell()
                    out.write_batch(batch)
                    found.append(Stored(self, start, sink.tell() - start))
        except OSError as error:
            raise StorageError(
                f"cannot write spilled data to {self._path}: {error.strerror or error}. Free space "
                "there, or name another folder with --set engine.scratch=FOLDER, and run the same "
                "command again."
            ) from None
        return found

    def read(self, stored: Stored) -> pa.RecordBatch:
        with pa.OSFile(str(self._path), "rb") as source:
            source.seek(stored.start)
            message = pa.ipc.read_message(source.read_buffer(stored.size))
        return pa.ipc.read_record_batch(message, self._schema)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


class Spool:
    """The memory that all exchanges of a run share, and the folder they spill to.

    budget: bytes that exchanges hold in memory. run_bytes: how much is sorted in memory at once.
    """

    def __init__(self, folder: Path, budget: int, run_bytes: int) -> None:
        self.folder = folder
        self.budget = budget
        self.run_bytes = run_bytes
        self.spilled_bytes = 0
        self.shuffled_bytes = 0
        self._held = 0
        self._files = 0
        self.lock = threading.RLock()
        self._exchanges: list[Exchange] = []

    def open(self, schemas: Sequence[pa.Schema], parts: int) -> "Exchange":
        """An exchange for rows of these schemas (one for each tag) in `parts` partitions."""
        exchange = Exchange(self, schemas, parts)
        with self.lock:
            self._exchanges.append(exchange)
        return exchange

    def append(self, exchange: "Exchange", chunks: Sequence[Chunk]) -> None:
        """Take over chunks; spill what is held, largest exchange first, if the budget is spent."""
        with self.lock:
            exchange.chunks.extend(chunks)
            exchange.by_part = None
            size = sum(chunk.nbytes for chunk in chunks)
            exchange.held += size + CHUNK_BYTES * len(chunks)
            self._held += size + CHUNK_BYTES * len(chunks)
            self.shuffled_bytes += size
            while self._held > self.budget:
                largest = max(self._exchanges, key=lambda e: e.held)
                self._spill(largest)

    def _spill(self, exchange: "Exchange") -> None:
        """Write what an exchange holds, partition by partition."""
        for tag, schema in enumerate(exchange.schemas):
            chunks = [chunk for chunk in exchange.chunks if chunk.tag == tag]
            if chunks:
                chunks.sort(key=lambda chunk: (chunk.part, chunk.task))
                groups = list(_together(chunks))
                file, written = self.spill(schema, map(_joined, groups))
                exchange.files.append(file)
                exchange.blocks += map(Block, map(_lengths, groups), written)
                for group, stored in zip(groups, written, strict=True):
                    _moved(group, stored)
        exchange.chunks.clear()
        exchange.by_part = None
        self._held -= exchange.held
        exchange.held = 0

    def spill(
        self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
    ) -> tuple[SpillFile, list[Stored]]:
        """Write batches to a file of their own; where each is."""
        with self.lock:
            number = self._files
            self._files += 1
        file = SpillFile(self.folder / f"{number:05d}.arrow", schema)
        written = file.write(batches)
        with self.lock:
            self.spilled_bytes += sum(stored.size for stored in written)
        return file, written

    def close(self, exchange: "Exchange") -> None:
        """Forget an exchange and its files."""
        with self.lock:
            self._held -= exchange.held
            exchange.held = 0
            exchange.chunks.clear()
            exchange.blocks.clear()
            exchange.by_part = None
            self._exchanges.remove(exchange)
            for file in exchange.files:
                file.remove()


@dataclass(slots=True)
class Block:
    """Chunks of one partition that were spilled together, in order of task.

    chunks: int64[n, 6]: task (two numbers), part, tag, rows and bytes of each.
    """

    chunks: Ints
    stored: Stored

    @property
    def part(self) -> int:
        return int(self.chunks[0, 2])

    def runs(self) -> Iterator[Chunk]:
        """The chunks."""
        first = 0
        for task, batch, part, tag, rows, nbytes in self.chunks.tolist():
            yield Chunk((task, batch), part, tag, rows, nbytes, None, self.stored, first)
            first += rows


def _lengths(chunks: Sequence[Chunk]) -> Ints:
    return np.array([(*c.task, c.part, c.tag, c.rows, c.nbytes) for c in chunks], dtype=np.int64)


def _joined(chunks: Sequence[Chunk]) -> pa.RecordBatch:
    batches = [chunk.load() for chunk in chunks]
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _moved(chunks: Sequence[Chunk], stored: Stored) -> None:
    """Let go of rows that were stored together: somebody may be about to load them."""
    first = 0
    for chunk in chunks:
        chunk.stored, chunk.first = stored, first
        chunk.batch = None
        first += chunk.rows


def _together(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Neighbours of one partition, up to STORED_BYTES of them."""
    held: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if held and (chunk.part != held[0].part or size + chunk.nbytes > STORED_BYTES):
            yield held
            held, size = [], 0
        held.append(chunk)
        size += chunk.nbytes
    if held:
        yield held


class Exchange:
    """Partitioned rows. `add` is called by many tasks at once, the rest after they ended."""

    def __init__(self, spool: Spool, schemas: Sequence[pa.Schema], parts: int) -> None:
        self.schemas = tuple(schemas)
        self.parts = parts
        self.chunks: list[Chunk] = []  # in memory
        self.blocks: list[Block] = []  # in files
        self.files: list[SpillFile] = []
        self.held = 0
        self._spool = spool  # whose lock is held where chunks and blocks are looked at
        self.by_part: dict[int, list[Chunk | Block]] | None = None

    def add(self, task: tuple[int, int], tag: int, batch: pa.RecordBatch, offsets: Ints) -> None:
        """Rows of `batch`, ordered by partition: part p has rows offsets[p] … offsets[p + 1]."""
        filled = np.flatnonzero(np.diff(offsets))
        width = batch.nbytes / max(1, batch.num_rows)
        chunks = []
        for part in filled.tolist():
            rows = int(offsets[part + 1] - offsets[part])
            chunk = batch.slice(int(offsets[part]), rows)
            chunks.append(Chunk(task, part, tag, rows, int(rows * width), chunk))
        self._spool.append(self, chunks)

    def close(self) -> None:
        self._spool.close(self)

    def part_bytes(self) -> Ints:
        """Bytes in each partition."""
        sizes = np.zeros(self.parts, dtype=np.int64)
        with self._spool.lock:
            for chunk in self.chunks:
                sizes[chunk.part] += chunk.nbytes
            for block in self.blocks:
                sizes[block.part] += block.chunks[:, 5].sum()
        return sizes

    def between(self, start: int, end: int) -> list[Chunk]:
        """The chunks of partitions start … end - 1, one partition after the other, in order of
        task; those that follow each other in a file too are one.
        """
        chosen: list[Chunk] = []
        with self._spool.lock:
            by_part = self._by_part()
            parts = range(start, end) if end - start < len(by_part) else sorted(by_part)
            for one in (one for p in parts if start <= p < end for one in by_part.get(p, ())):
                chosen.extend((one,) if isinstance(one, Chunk) else one.runs())
        chosen.sort(key=lambda chunk: (chunk.part, chunk.task))
        return list(_adjoined(chosen))

    def _by_part(self) -> dict[int, list[Chunk | Block]]:
        """What there is of each partition, put together once: many partitions are asked for."""
        if self.by_part is None:
            self.by_part = {}
            for chunk in self.chunks:
                self.by_part.setdefault(chunk.part, []).append(chunk)
            for block in self.blocks:
                self.by_part.setdefault(block.part, []).append(block)
        return self.by_part


def _adjoined(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Spilled chunks that lie side by side in a file as one, so that it is read once."""
    last: Chunk | None = None
    for chunk in chunks:
        if (
            last is not None
            and last.stored is not None
            and chunk.stored is last.stored
            and chunk.first == last.first + last.rows
        ):
            rows, nbytes = last.rows + chunk.rows, last.nbytes + chunk.nbytes
            last = replace(last, rows=rows, nbytes=nbytes)
            continue
        if last is not None:
            yield last
        last = chunk
    if last is not None:
        yield last


def in_order(chunks: Iterable[Chunk]) -> Iterator[pa.RecordBatch]:
    """The rows of `chunks` as they were added."""
    for chunk in chunks:
        yield chunk.load()
