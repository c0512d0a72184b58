"""Rows on their way from the tasks that make them to the partitions that want them.

An exchange holds what tasks add, partitioned, in memory while the run's budget allows and in Arrow
files otherwise. Its partitions are read back in order of task; pipelines/engines/sorting.py sorts
them.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.errors import StorageError

Ints = NDArray[np.int64]


@dataclass
class Chunk:
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
    """An Arrow file of spilled chunks, read chunk by chunk."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema

    def write(self, chunks: Sequence[Chunk]) -> int:
        """Move `chunks` from memory to this file; bytes written."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with (
                pa.OSFile(str(self._path), "wb") as sink,
                pa.ipc.new_file(sink, self._schema) as out,
            ):
                for index, chunk in enumerate(chunks):
                    out.write_batch(chunk.batch)
                    chunk.file, chunk.index = self, index
            for chunk in chunks:
                chunk.batch = None
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
        self._lock = threading.RLock()
        self._exchanges: list[Exchange] = []

    def open(self, schemas: Sequence[pa.Schema], parts: int) -> "Exchange":
        """An exchange for rows of these schemas (one for each tag) in `parts` partitions."""
        exchange = Exchange(self, schemas, parts)
        with self._lock:
            self._exchanges.append(exchange)
        return exchange

    def append(self, exchange: "Exchange", chunks: Sequence[Chunk]) -> None:
        """Take over chunks; spill what is held, largest exchange first, if the budget is spent."""
        with self._lock:
            exchange.chunks.extend(chunks)
            size = sum(chunk.nbytes for chunk in chunks)
            exchange.held += size
            self._held += size
            self.shuffled_bytes += size
            while self._held > self.budget:
                largest = max(self._exchanges, key=lambda e: e.held)
                self._spill(largest)

    def _spill(self, exchange: "Exchange") -> None:
        for tag, schema in enumerate(exchange.schemas):
            chunks = [p for p in exchange.chunks if p.batch is not None and p.tag == tag]
            if chunks:
                exchange.files.append(self.spill(schema, chunks))
        self._held -= exchange.held
        exchange.held = 0

    def spill(self, schema: pa.Schema, chunks: Sequence[Chunk]) -> SpillFile:
        """Move `chunks` from memory to a file of their own."""
        with self._lock:
            number = self._files
            self._files += 1
        file = SpillFile(self.folder / f"{number:05d}.arrow", schema)
        written = file.write(chunks)
        with self._lock:
            self.spilled_bytes += written
        return file

    def close(self, exchange: "Exchange") -> None:
        """Forget an exchange and its files."""
        with self._lock:
            self._held -= exchange.held
            exchange.held = 0
            exchange.chunks.clear()
            self._exchanges.remove(exchange)
            for file in exchange.files:
                file.remove()


class Exchange:
    """Partitioned rows. `add` is called by many tasks at once, the rest after they ended."""

    def __init__(self, spool: Spool, schemas: Sequence[pa.Schema], parts: int) -> None:
        self.schemas = tuple(schemas)
        self.parts = parts
        self.chunks: list[Chunk] = []
        self.files: list[SpillFile] = []
        self.held = 0
        self._spool = spool
        self._indexed: tuple[int, dict[int, list[Chunk]]] = (0, {})

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

    @property
    def rows(self) -> int:
        return sum(chunk.rows for chunk in self.chunks)

    def part_bytes(self) -> Ints:
        """Bytes in each partition."""
        sizes = np.zeros(self.parts, dtype=np.int64)
        for chunk in self.chunks:
            sizes[chunk.part] += chunk.nbytes
        return sizes

    def between(self, start: int, end: int) -> list[Chunk]:
        """The chunks of partitions start … end - 1, in order of task."""
        by_part = self._by_part()
        parts = range(start, end) if end - start < len(by_part) else sorted(by_part)
        chosen = [c for part in parts if start <= part < end for c in by_part.get(part, ())]
        chosen.sort(key=lambda chunk: chunk.task)
        return chosen

    def _by_part(self) -> dict[int, list[Chunk]]:
        """The chunks of each partition, put together once: many partitions are asked for."""
        known, by_part = self._indexed
        if known != len(self.chunks):
            by_part = {}
            for chunk in self.chunks:
                by_part.setdefault(chunk.part, []).append(chunk)
            self._indexed = len(self.chunks), by_part
        return by_part


def in_order(chunks: Iterable[Chunk]) -> Iterator[pa.RecordBatch]:
    """The rows of `chunks` as they were added."""
    for chunk in chunks:
        yield chunk.load()
