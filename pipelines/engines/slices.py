"""Reading slices, as every engine does: text, tables, or both side by side, in `doc` order."""

import itertools
import threading
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unrote.corpus.formats import format_of
from unrote.corpus.packing import packed, unpacked
from unrote.corpus.pinning import CUT_BYTES
from unrote.corpus.read import read_cuts
from unrote.corpus.schema import INDEXED, REJECTS, Table, Tagged
from unrote.corpus.shard import Corpus, Cut
from unrote.corpus.tables import readable
from unrote.pipelines.engines.base import Read, Workspace
from unrote.pipelines.storage import Location, source

Ints = NDArray[np.int64]

JOIN_BYTES = 256 << 10
"""Batches are put together up to so many bytes."""

_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Task:
    """Consecutive cuts of one slice: the documents with first <= doc < end. The first task has the
    documents of an index too (corpus.schema.INDEXED).
    """

    number: int
    slice: int
    cuts: tuple[Cut, ...]
    first: int
    end: int
    bytes: int


class Tasks(Sequence[Task]):
    """The tasks of a read, held as numbers: each is made when it is asked for.

    sizes: bytes of each, int64.
    """

    def __init__(self, corpus: Corpus, ends: Ints, slices: Ints, sizes: Ints) -> None:
        self._corpus, self._ends, self._slices, self.sizes = corpus, ends, slices, sizes

    def __getstate__(self) -> tuple[Corpus, tuple[tuple[int, bytes], ...]]:
        return self._corpus, tuple(map(packed, (self._ends, self._slices, self.sizes)))

    def __setstate__(self, state: tuple[Corpus, tuple[tuple[int, bytes], ...]]) -> None:
        self._corpus, columns = state
        self._ends, self._slices, self.sizes = map(unpacked, columns)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Task, ...]: ...
    def __getitem__(self, index: int | slice) -> Task | tuple[Task, ...]:
        if isinstance(index, slice):
            return tuple(self[n] for n in range(*index.indices(len(self))))
        at = range(len(self))[index]
        held = self._corpus.held
        begin, end = int(self._ends[at - 1]) if at else 0, int(self._ends[at])
        last = at == len(self) - 1
        first, *stop = held.firsts(np.array([begin] if last else [begin, end])).tolist()
        return Task(
            at,
            int(self._slices[at]),
            held.cuts(begin, end),
            first if at else INDEXED,
            _LAST if last else stop[0],
            int(self.sizes[at]),
        )


def tasks_of(corpus: Corpus, source: Read) -> Tasks:
    """The tasks that together read `source`: small cuts joined, a slice for each if only tables."""
    limit = CUT_BYTES if source.view is not None else None
    counts, slices, sizes = array("q"), array("q"), array("q")
    for one in corpus.slices:
        for count, size in _joined(corpus, one.cuts, limit):
            counts.append(count)
            slices.append(one.number)
            sizes.append(size)
    ends = np.cumsum(np.array(counts, dtype=np.int64))
    return Tasks(corpus, ends, np.array(slices, np.int64), np.array(sizes, np.int64))


def _joined(corpus: Corpus, cuts: Sequence[Cut], limit: int | None) -> Iterator[tuple[int, int]]:
    """How many consecutive cuts have at most `limit` stored bytes together, or are one; and the
    bytes.

    In time proportional to the cuts: of small files there are a hundred thousand.
    """
    count = total = 0
    for cut in cuts:
        shard = corpus.shards[cut.shard]
        size = format_of(shard).stored_bytes(shard, cut)
        if count and limit is not None and total + size > limit:
            yield count, total
            count = total = 0
        count += 1
        total += size
    if count:
        yield count, total


HELD = 64 << 20
"""Bytes as they are stored of tables that a reader holds, because each task reads them whole."""


class Reader:
    """Reads one source of a flow, task by task. Safe for use by several threads."""

    def __init__(self, run: Workspace, source: Read, batch_bytes: int) -> None:
        self._run, self._fields = run, run.fields
        self._source = source
        self._batch_bytes = batch_bytes
        self._lock = threading.Lock()
        self._held: list[tuple[str, pa.RecordBatch]] | None = None

    def read(self, task: Task) -> Tagged:
        """The documents of `task`: text and tables side by side, chunk by chunk."""
        for tag, batch in itertools.chain(self._whole(), self._chunks(task)):
            for one in _cut(batch, self._batch_bytes):
                yield tag, one

    def _whole(self) -> Tagged:
        """The rows of the tables that are read whole; small ones are read once for all tasks."""
        stored = sum(file.bytes for table in self._source.whole for file in self._run.files(table))
        if stored > HELD:
            yield from self._read_whole()
            return
        with self._lock:
            if self._held is None:
                self._held = list(self._read_whole())
        yield from self._held

    def _read_whole(self) -> Tagged:
        for table in self._source.whole:
            for file in self._run.files(table):
                path = self._run.table_path(table, file.slice)
                for batch in rows_between(path, table, 0, _LAST):
                    yield table.name, batch

    def _chunks(self, task: Task) -> Tagged:
        source = self._source
        only = self._docs(source.only, task) if source.only else None
        if only is not None and not only.size:
            return
        drop = self._docs(source.drop, task)
        beside = [(t.name, _Cursor(self._table(t, task))) for t in source.tables]
        if source.view is None:
            lead, cursor = beside.pop(0)
            chunks: Tagged = ((lead, batch) for batch in cursor.rest())
        else:
            chunks = _joined_batches(self._text(task, only))
        for tag, batch in chunks:
            if tag == REJECTS.name or not beside:
                yield from _some(tag, _filter(batch, only, drop))
                continue
            last = int(batch.column("doc")[-1].as_py())
            if source.view is None:
                yield from _some(tag, _filter(batch, only, drop))
            for name, cursor in beside:
                yield from _some(name, _filter(cursor.until(last), only, drop))
            if source.view is not None:
                yield from _some(tag, _filter(batch, only, drop))
        for name, cursor in beside:
            for batch in cursor.rest():
                yield from _some(name, _filter(batch, only, drop))

    def _text(self, task: Task, only: Ints | None) -> Tagged:
        assert self._source.view is not None
        yield from read_cuts(
            self._run.corpus, task.cuts, self._fields, self._source.view, docs=only
        )

    def _table(
        self, table: Table, task: Task, columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        path = self._run.table_path(table, task.slice)
        if any(file.slice == task.slice for file in self._run.files(table)):
            yield from rows_between(path, table, task.first, task.end, columns)

    def _docs(self, tables: tuple[Table, ...], task: Task) -> Ints:
        """The documents of a task that have a row in one of `tables`, ascending."""
        found = [np.zeros(0, dtype=np.int64)]
        for table in tables:
            found.extend(b.column("doc").to_numpy() for b in self._table(table, task, ["doc"]))
        return np.unique(np.concatenate(found))


def rows_between(
    path: Location, table: Table, first: int, end: int, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows of a table's file with first <= doc < end (all rows of a table without documents).

    columns: those to read, "doc" the first of them; None is all.
    """
    with readable(path), pq.ParquetFile(source(path)) as file:
        for group in range(file.num_row_groups):
            if not table.sort:
                yield from file.read_row_group(group, use_threads=False).to_batches()
                continue
            range_of = file.metadata.row_group(group).column(0).statistics
            if range_of.max < first or range_of.min >= end:
                continue
            for batch in file.read_row_group(group, columns, use_threads=False).to_batches():
                docs = batch.column(0).to_numpy()
                low, high = np.searchsorted(docs, [first, end])
                if high > low:
                    yield batch.slice(low, high - low)


class _Cursor:
    """A table's rows, taken in step with the documents read beside it."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: pa.RecordBatch | None = next(batches, None)

    def rest(self) -> Iterator[pa.RecordBatch]:
        """All rows that are left."""
        while self._held is not None:
            yield self._held
            self._held = next(self._batches, None)

    def until(self, last: int) -> pa.RecordBatch:
        """The rows with doc <= last that were not taken yet."""
        taken = []
        while self._held is not None:
            docs = self._held.column(0).to_numpy()
            count = int(np.searchsorted(docs, last, side="right"))
            taken.append(self._held.slice(0, count))
            if count < len(docs):
                self._held = self._held.slice(count)
                break
            self._held = next(self._batches, None)
        if not taken:
            return _NOTHING
        return _one(taken)


def _joined_batches(tagged: Tagged) -> Tagged:
    """Rows as they come, small batches of one tag together: each small file makes one of its own,
    and what a stage does for a batch costs more than its rows.
    """
    tag, size = "", 0
    held: list[pa.RecordBatch] = []
    for name, batch in tagged:
        fits = name == tag and held and batch.schema.equals(held[0].schema)
        if held and not (fits and size + batch.nbytes <= JOIN_BYTES):
            yield tag, _one(held)
            held, size = [], 0
        tag = name
        held.append(batch)
        size += batch.nbytes
    if held:
        yield tag, _one(held)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _cut(batch: pa.RecordBatch, limit: int) -> Iterator[pa.RecordBatch]:
    """The rows of a batch in batches of about `limit` bytes."""
    size = batch.nbytes
    rows = batch.num_rows if size <= limit else max(1, batch.num_rows * limit // size)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _some(tag: str, batch: pa.RecordBatch) -> Tagged:
    """The batch if it has rows."""
    if batch.num_rows:
        yield tag, batch


_NOTHING = pa.RecordBatch.from_arrays([pa.nulls(0, pa.int64())], ["doc"])


def _filter(batch: pa.RecordBatch, only: Ints | None, drop: Ints) -> pa.RecordBatch:
    """Without the documents that are not wanted."""
    if not batch.num_rows or "doc" not in batch.schema.names or (only is None and not drop.size):
        return batch
    docs = batch.column("doc").to_numpy()
    keep = np.ones(len(docs), dtype=np.bool_)
    if only is not None:
        keep &= _contains(only, docs)
    if drop.size:
        keep &= ~_contains(drop, docs)
    return batch if keep.all() else batch.filter(pa.array(keep))


def _contains(sorted_docs: Ints, docs: Ints) -> NDArray[np.bool_]:
    if not sorted_docs.size:
        return np.zeros(len(docs), dtype=np.bool_)
    index = np.minimum(np.searchsorted(sorted_docs, docs), sorted_docs.size - 1)
    found: NDArray[np.bool_] = sorted_docs[index] == docs
    return found
