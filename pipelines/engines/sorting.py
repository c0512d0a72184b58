"""Sorting rows of several inputs together, in memory or, where they are too many, out of it.

Rows that do not fit are sorted in runs, each of which is written out in blocks; merging holds one
block of every run. So a group with any number of rows streams through a worker.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.order import is_sorted, rows_in_company, sort_order, stack
from unrote.corpus.schema import Tagged
from unrote.pipelines.engines.exchange import Chunk, SpillFile, Spool

Ints = NDArray[np.int64]

BLOCK_BYTES = 1 << 20
"""About how much of each run is in memory while runs are merged."""


@dataclass(frozen=True)
class Ordering:
    """What rows are sorted by: the columns of the key, then the input, then those of `order`.

    tags, schemas: the inputs, in their order. Columns are int64; one that an input lacks is zero.
    Rows that are equal in all of these keep the order in which they came. singles: whether a row
    that is alone with its key is wanted.
    """

    tags: tuple[str, ...]
    schemas: tuple[pa.Schema, ...]
    key: tuple[str, ...]
    order: tuple[str, ...]
    singles: bool = True

    def columns(self, tag: int, batch: pa.RecordBatch, rows: Ints | None = None) -> Ints:
        """The columns to sort rows of one input by, all or `rows`: int64[m, rows]."""
        where = [self._values(tag, batch, name) for name in self.key]
        if len(self.tags) > 1:
            where.append(np.full(batch.num_rows, tag, dtype=np.int64))
        where.extend(self._values(tag, batch, name) for name in self.order)
        return stack(where if rows is None else [values[rows] for values in where])

    def keys(self, tag: int, batch: pa.RecordBatch) -> Ints:
        """Those of the key: int64[m, rows]."""
        return stack([self._values(tag, batch, name) for name in self.key])

    def _values(self, tag: int, batch: pa.RecordBatch, name: str) -> Ints:
        if name not in self.schemas[tag].names:
            return np.zeros(batch.num_rows, dtype=np.int64)
        values: Ints = batch.column(name).to_numpy(zero_copy_only=True)
        return values


def sorted_rows(
    chunks: Sequence[Chunk], ordering: Ordering, spool: Spool, chunk_bytes: int
) -> Tagged:
    """The rows of `chunks`, sorted, in batches of about `chunk_bytes`.

    In each chunk the rows of one input follow those of another, in the order of the tags. More than
    `spool.run_bytes` are sorted in runs. Rows that are alone with their key and not wanted are left
    out where all is in memory: most of them, and sorting is then spared for most rows.
    """
    if _ascend(chunks, ordering):
        yield from ((ordering.tags[chunk.tag], chunk.load()) for chunk in chunks)
        return
    runs: list[_Run] = []
    try:
        for portion in _portions(chunks, spool.run_bytes):
            whole = len(portion) == len(chunks)
            rows = _loaded(portion, ordering, singles=ordering.singles or not whole)
            if whole:
                yield from rows.chunks(ordering, chunk_bytes)
                return
            runs.append(_Run.write(rows, ordering, spool))
        yield from _merged(runs, ordering)
    finally:
        for run in runs:
            run.remove()


def _ascend(chunks: Sequence[Chunk], ordering: Ordering) -> bool:
    """Whether the rows of one input are in order already; looks as far as the first that is not."""
    if len({chunk.tag for chunk in chunks}) > 1:
        return False
    names = (*ordering.key, *ordering.order)
    last: tuple[int, ...] | None = None
    for chunk in chunks:
        here = [name for name in names if name in ordering.schemas[chunk.tag].names]
        columns = ordering.columns(chunk.tag, chunk.load(here))
        if last is not None and tuple(columns[:, 0].tolist()) < last:
            return False
        if not is_sorted(columns):
            return False
        last = tuple(columns[:, -1].tolist())
    return True


def _portions(chunks: Sequence[Chunk], limit: int) -> Iterator[list[Chunk]]:
    """Chunks that are sorted together: about `limit` bytes of them, or one larger chunk."""
    held: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if held and size + chunk.nbytes > limit:
            yield held
            held, size = [], 0
        held.append(chunk)
        size += chunk.nbytes
    if held:
        yield held


def _loaded(chunks: Sequence[Chunk], ordering: Ordering, singles: bool) -> "_Sorted":
    """The rows of `chunks`, in memory."""
    by_tag: list[list[pa.RecordBatch]] = [[] for _ in ordering.tags]
    for chunk in chunks:
        by_tag[chunk.tag].append(chunk.load())
    return _Sorted.of([_concat(batches) for batches in by_tag], ordering, singles)


@dataclass
class _Sorted:
    """Rows in memory: a batch for each input, and the permutation (None: none) that sorts them, or
    those of them that are wanted.

    columns: int64[m, rows], those rows that are wanted, the inputs' one behind the other.
    """

    batches: list[pa.RecordBatch | None]
    columns: Ints
    sequence: Ints | None

    @classmethod
    def of(
        cls, batches: list[pa.RecordBatch | None], ordering: Ordering, singles: bool = True
    ) -> "_Sorted":
        there = [(t, batch) for t, batch in enumerate(batches) if batch is not None]
        if singles:
            columns = np.concatenate([ordering.columns(t, batch) for t, batch in there], axis=1)
            return cls(batches, columns, sort_order(columns))
        wanted = rows_in_company(
            np.concatenate([ordering.keys(t, batch) for t, batch in there], axis=1)
        )
        bounds = _bounds(batches)
        columns = np.concatenate(
            [
                ordering.columns(t, batch, _within(wanted, bounds[t], bounds[t + 1]))
                for t, batch in there
            ],
            axis=1,
        )
        within = sort_order(columns)
        return cls(batches, columns, wanted if within is None else wanted[within])

    @property
    def bounds(self) -> Ints:
        """Where each input's rows begin, and the end."""
        return _bounds(self.batches)

    @property
    def rows(self) -> int:
        return int(self.columns.shape[1]) if self.sequence is None else len(self.sequence)

    def chunks(self, ordering: Ordering, chunk_bytes: int) -> Tagged:
        """All rows in sorted order, by chunks."""
        for _, parts in self._chunks(chunk_bytes):
            for tag, batch in parts:
                yield ordering.tags[tag], batch

    def _chunks(self, chunk_bytes: int) -> Iterator[tuple[int, list[tuple[int, pa.RecordBatch]]]]:
        """Chunks: how many rows are taken with it, and each input's rows."""
        total = sum(b.nbytes for b in self.batches if b is not None)
        bounds = self.bounds
        step = max(1, chunk_bytes * int(bounds[-1]) // max(1, total))
        for start in range(0, self.rows, step):
            end = min(start + step, self.rows)
            chunk = np.arange(start, end) if self.sequence is None else self.sequence[start:end]
            parts = []
            for tag, batch in enumerate(self.batches):
                if batch is None:
                    continue
                wanted = _within(chunk, bounds[tag], bounds[tag + 1])
                if wanted.size:
                    parts.append((tag, _take(batch, wanted)))
            yield end, parts

    def blocks(self) -> Iterator[tuple[Ints, list[tuple[int, pa.RecordBatch]]]]:
        """All rows, of which none is left out, in sorted order by blocks of BLOCK_BYTES: the sort
        columns of the last one, and each input's.
        """
        for end, parts in self._chunks(BLOCK_BYTES):
            last = end - 1 if self.sequence is None else self.sequence[end - 1]
            yield self.columns[:, last].copy(), parts  # a view would keep them all


def _bounds(batches: Sequence[pa.RecordBatch | None]) -> Ints:
    """Where each input's rows begin, and the end."""
    counts = [0 if batch is None else batch.num_rows for batch in batches]
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _within(rows: Ints, low: int, high: int) -> Ints:
    """Those of `rows` with low <= row < high, counted from `low`."""
    if low == 0 and (not rows.size or rows.max() < high):
        return rows
    return rows[(rows >= low) & (rows < high)] - low


class _Run:
    """Sorted rows in files, one for each input, read block by block."""

    def __init__(
        self, lasts: list[Ints], blocks: list[dict[int, Chunk]], files: list[SpillFile]
    ) -> None:
        self._files = files
        self._lasts = lasts
        self._blocks = blocks
        self._next = 0
        self.held: _Sorted | None = None

    @classmethod
    def write(cls, rows: _Sorted, ordering: Ordering, spool: Spool) -> "_Run":
        lasts: list[Ints] = []
        blocks: list[dict[int, Chunk]] = []
        by_tag: dict[int, list[Chunk]] = {}
        for last, parts in rows.blocks():
            lasts.append(last)
            blocks.append({})
            for tag, batch in parts:
                chunk = Chunk((0, 0), 0, tag, batch.num_rows, batch.nbytes, batch)
                blocks[-1][tag] = chunk
                by_tag.setdefault(tag, []).append(chunk)
        files = []
        for tag, chunks in by_tag.items():
            batches = [chunk.load() for chunk in chunks]
            file, written = spool.spill(ordering.schemas[tag], batches)
            files.append(file)
            for chunk, stored in zip(chunks, written, strict=True):
                chunk.batch, chunk.stored = None, stored
        return cls(lasts, blocks, files)

    @property
    def last(self) -> tuple[int, ...]:
        """The sort columns of the last row of the block that is in memory."""
        return tuple(self._lasts[self._next - 1].tolist())

    def fill(self, ordering: Ordering) -> bool:
        """Have a block in memory; False if there is none left."""
        if self.held is not None:
            return True
        if self._next == len(self._blocks):
            return False
        block = self._blocks[self._next]
        self._next += 1
        batches = [block[tag].load() if tag in block else None for tag in range(len(ordering.tags))]
        self.held = _Sorted.of(batches, ordering)
        return True

    def take(self, bound: tuple[int, ...], *, equal: bool) -> dict[int, pa.RecordBatch]:
        """Take the rows up to `bound` out of the block, those that are equal to it or not."""
        assert self.held is not None
        taken: dict[int, pa.RecordBatch] = {}
        rest: list[pa.RecordBatch | None] = []
        columns: list[Ints] = []
        bounds = self.held.bounds
        for tag, batch in enumerate(self.held.batches):
            own = self.held.columns[:, bounds[tag] : bounds[tag + 1]]
            count = _up_to(own, bound, equal=equal)
            if batch is not None and count:
                taken[tag] = batch.slice(0, count)
            rest.append(batch.slice(count) if batch is not None and count < len(batch) else None)
            columns.append(own[:, count:])
        left = any(batch is not None for batch in rest)
        self.held = _Sorted(rest, np.concatenate(columns, axis=1), None) if left else None
        return taken

    def remove(self) -> None:
        for file in self._files:
            file.remove()


def _merged(runs: Sequence[_Run], ordering: Ordering) -> Tagged:
    """The rows of all runs in order. Rows that are equal come run by run, as they were added."""
    while True:
        alive = [run for run in runs if run.fill(ordering)]
        if not alive:
            return
        least = min(range(len(alive)), key=lambda index: alive[index].last)
        bound = alive[least].last
        # Runs behind `least` may not give rows equal to its last: it may have more of them.
        found = [run.take(bound, equal=index <= least) for index, run in enumerate(alive)]
        batches = [
            _concat([f[tag] for f in found if tag in f]) for tag in range(len(ordering.tags))
        ]
        yield from _Sorted.of(batches, ordering).chunks(ordering, 1 << 62)


def _up_to(columns: Ints, bound: tuple[int, ...], *, equal: bool) -> int:
    """How many rows, which ascend, come before `bound`, or are equal to it if `equal`."""
    low, high = 0, columns.shape[1]
    for column, value in zip(columns, bound, strict=True):
        start = low + int(np.searchsorted(column[low:high], value, side="left"))
        end = low + int(np.searchsorted(column[low:high], value, side="right"))
        low, high = start, end
    return high if equal else low


def _take(batch: pa.RecordBatch, rows: Ints) -> pa.RecordBatch:
    """Rows of a batch; a range of consecutive rows without a copy."""
    if rows.size and rows[-1] - rows[0] == rows.size - 1 and np.all(np.diff(rows) == 1):
        return batch.slice(int(rows[0]), rows.size)
    return batch.take(pa.array(rows))


def _concat(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    """One batch of several; None of none."""
    if not batches:
        return None
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
