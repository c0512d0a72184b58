"""The embedded engine: threads over cuts of the input, groups by hash partition within a budget.

Kernels and Arrow release the interpreter lock, so threads use all cores. A map runs one task for
each cut (or few small ones); what it yields goes to exchanges, partitioned by key or by slice. A
group runs one task for each stretch of partitions that fits.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.order import gather_order, partition_order, stack
from corpus.release import EDITS, rewrite
from corpus.schema import Table, Tagged
from corpus.shards import Corpus
from corpus.tables import write_table
from pipelines.engines.base import Advance, Flow, Node, Output, Read
from pipelines.engines.exchange import Exchange, Spool, in_order, in_sorted_order
from pipelines.engines.memory import be_frugal
from pipelines.engines.parts import Part, assemble, between, parts_of
from pipelines.engines.slices import Reader, Task, tasks_of
from pipelines.run import Commit, DataFile, RunFolder, TableFile

PART_BYTES = 64 << 20
"""About how much a group task reads at once."""


@dataclass(frozen=True)
class Sink:
    """Where an output's rows go: an exchange, under a tag, and how they are partitioned."""

    exchange: Exchange
    tag: int
    key: tuple[str, ...] = ()  # partitioned by the hash of these, or else
    doc: str = ""  # by the slice of the document in this column, or else
    by_task: bool = False  # by task, or else by the slice that the task reads


class LocalEngine:
    """Executes flows with `workers` threads within about `memory` bytes."""

    def __init__(self, workers: int, memory: int) -> None:
        self.workers = workers
        self.memory = memory
        pa.set_cpu_count(max(1, workers))
        be_frugal()

    def execute(self, name: str, flow: Flow, run: RunFolder, advance: Advance) -> Commit:
        """Run a phase and write its tables; the caller commits what this returns."""
        started = time.perf_counter()
        spool = Spool(run.scratch(), spool_budget(self.memory))
        with ThreadPoolExecutor(self.workers, thread_name_prefix="unrote") as pool:
            phase = _Phase(flow, run, spool, pool, self, advance)
            tables, data = phase.execute()
        return Commit(
            name,
            run.phase_fingerprint(name, flow),
            time.perf_counter() - started,
            phase.input_bytes,
            spool.spilled_bytes,
            tables,
            data,
        )


class _Phase:
    """One execution of one flow."""

    def __init__(
        self,
        flow: Flow,
        run: RunFolder,
        spool: Spool,
        pool: ThreadPoolExecutor,
        engine: LocalEngine,
        advance: Advance,
    ) -> None:
        self.flow = flow
        self.run = run
        self.corpus: Corpus = run.corpus
        self.spool = spool
        self.pool = pool
        self.engine = engine
        self.advance = advance
        self.input_bytes = 0
        self.bits = partition_bits(run.corpus.input_bytes)
        self.sinks: dict[Output, list[Sink]] = {}
        self.groups: dict[int, Exchange] = {}
        self.tables: list[tuple[Table, Exchange]] = []
        self.release_tasks: list[Task] = []
        self.edits: Exchange | None = None
        self.steps = len(flow.nodes) + 1 + 2 * (flow.edits is not None)
        self.step = 0

    def execute(self) -> tuple[dict[str, tuple[TableFile, ...]], tuple[DataFile, ...]]:
        self._connect()
        for node in self.flow.nodes:
            if node.stage.key:
                self._run_group(node)
            else:
                self._run_map(node)
            self.step += 1
        tables = {table.folder: self._write(table, exchange) for table, exchange in self.tables}
        return tables, self._release()

    def _connect(self) -> None:
        """Open an exchange for every group, table and release, and note who adds to it."""
        for node in self.flow.nodes:
            if node.stage.key:
                exchange = self.spool.open(list(node.stage.inputs.values()), 1 << self.bits)
                self.groups[id(node)] = exchange
                for tag, name in enumerate(node.stage.inputs):
                    for source in node.inputs.get(name, ()):
                        if isinstance(source, Output):
                            self._connect_output(source, Sink(exchange, tag, node.stage.key))
        for table, outputs in self.flow.writes:
            exchange = self.spool.open([table.schema], len(self.corpus.slices))
            self.tables.append((table, exchange))
            for output in outputs:
                doc = table.sort[0] if output.node.stage.key else ""
                self._connect_output(output, Sink(exchange, 0, doc=doc))
        if self.flow.edits is not None:
            (source,) = self.flow.edits.node.inputs["source"]
            assert isinstance(source, Read)
            self.release_tasks = tasks_of(self.corpus, source)
            self.edits = self.spool.open([EDITS], len(self.release_tasks))
            self._connect_output(self.flow.edits, Sink(self.edits, 0, by_task=True))

    def _connect_output(self, output: Output, sink: Sink) -> None:
        self.sinks.setdefault(output, []).append(sink)

    def _run_map(self, node: Node) -> None:
        (source,) = node.inputs["source"]
        assert isinstance(source, Read)
        reader = Reader(self.run, source)
        tasks = tasks_of(self.corpus, source)
        self.input_bytes += sum(task.bytes for task in tasks) if source.view else 0

        def work(task: Task) -> None:
            self._run_stage(node, reader.read(task), (task.number, 0), task.slice)

        self._parallel(work, tasks, [task.bytes for task in tasks])

    def _run_group(self, node: Node) -> None:
        exchange = self.groups.pop(id(node))
        self._scan_tables(node, exchange)
        stage = node.stage
        order = tuple(column for column in stage.order if column != "tag")

        def work(bounds: tuple[int, tuple[int, int]]) -> None:
            number, (start, end) = bounds
            rows = in_sorted_order(
                exchange.by_tag(start, end),
                list(stage.inputs),
                list(stage.inputs.values()),
                (stage.key, order),
            )
            self._run_stage(node, rows, (number, 0), None)

        sizes = exchange.part_bytes()
        limit = min(PART_BYTES, self.engine.memory // (32 * self.engine.workers))
        stretches = list(enumerate(stretches_of(sizes, limit)))
        self._parallel(work, stretches, [int(sizes[s:e].sum()) for _, (s, e) in stretches])
        exchange.close()

    def _scan_tables(self, node: Node, exchange: Exchange) -> None:
        """Bring the tables that a group reads directly into its exchange."""
        for tag, name in enumerate(node.stage.inputs):
            for source in node.inputs.get(name, ()):
                if isinstance(source, Read):
                    self._scan(source, Sink(exchange, tag, node.stage.key))

    def _scan(self, source: Read, sink: Sink) -> None:
        reader = Reader(self.run, source)

        def work(task: Task) -> None:
            for part, (_, batch) in enumerate(reader.read(task)):
                self._add(sink, batch, (task.number, part), task.slice)

        tasks = tasks_of(self.corpus, source)
        self._parallel(work, tasks, [task.bytes for task in tasks])

    def _run_stage(
        self, node: Node, rows: Tagged, task: tuple[int, int], slice_number: int | None
    ) -> None:
        with node.stage.open() as run:
            for part, (tag, batch) in enumerate(run(rows)):
                for sink in self.sinks.get(Output(node, tag), ()):
                    self._add(sink, batch, (task[0], part), slice_number)

    def _add(
        self, sink: Sink, batch: pa.RecordBatch, task: tuple[int, int], slice_number: int | None
    ) -> None:
        """Partition a batch and hand it over."""
        if not batch.num_rows:
            return
        if sink.key:
            columns = stack([batch.column(name).to_numpy() for name in sink.key])
            order, offsets = partition_order(columns, self.bits)
        else:
            if sink.doc and sink.exchange.parts > 1:
                parts = self.corpus.slice_of(batch.column(sink.doc).to_numpy())
            else:
                here = task[0] if sink.by_task else slice_number
                parts = np.full(batch.num_rows, here or 0, dtype=np.int64)
            order, offsets = gather_order(parts, sink.exchange.parts)
        if np.count_nonzero(np.diff(offsets)) > 1:
            batch = batch.take(pa.array(order))
        sink.exchange.add(task, sink.tag, batch, offsets)

    def _write(self, table: Table, exchange: Exchange) -> tuple[TableFile, ...]:
        """Write a table's files, one for each slice that has rows."""

        def work(number: int) -> TableFile | None:
            by_tag = exchange.by_tag(number, number + 1)
            if not by_tag[0]:
                return None
            batches: Iterator[pa.RecordBatch]
            if table.sort:
                columns = (table.sort, ())
                batches = (
                    b for _, b in in_sorted_order(by_tag, [table.name], [table.schema], columns)
                )
            else:
                batches = in_order(by_tag[0])
            path = self.run.table_path(table, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            return TableFile(number, *write_table(str(path), table.schema, batches))

        numbers = list(range(len(self.corpus.slices)))
        files = self._parallel(work, numbers, [1] * len(numbers))
        exchange.close()
        return tuple(file for file in files if file is not None)

    def _release(self) -> tuple[DataFile, ...]:
        """Rewrite the input by the edits, part by part, and put each shard's parts together."""
        if self.edits is None:
            return ()
        edited = self.edits
        parts = list(parts_of(self.corpus, self.release_tasks))
        folder = self.run.state / "parts"
        folder.mkdir(parents=True, exist_ok=True)

        def work(part: Part) -> None:
            pieces = edited.by_tag(part.first_task, part.last_task + 1)[0]
            edits = between(in_order(pieces), part.first, part.end)
            rewrite(self.corpus, part.cuts, self.run.fields, edits, folder / part.name)

        self._parallel(work, parts, [part.bytes for part in parts])
        edited.close()
        shards = [
            list(of) for _, of in itertools.groupby(parts, key=lambda part: part.cuts[0].shard)
        ]
        released = self._parallel(
            lambda of: assemble(self.corpus, of, folder, self.run), shards, [1] * len(shards)
        )
        return tuple(file for file in released if file is not None)

    def _parallel(self, work: Callable, items: Sequence, weights: Sequence[int]) -> list:  # type: ignore[type-arg]
        """work(item) for every item on the pool, a bounded number ahead; results in order."""
        results: list = [None] * len(items)  # type: ignore[type-arg]
        total, done = max(1, sum(weights)), 0
        waiting: dict[Future, int] = {}  # type: ignore[type-arg]
        queue = iter(range(len(items)))
        try:
            while True:
                for index in itertools.islice(queue, self.engine.workers + 1 - len(waiting)):
                    waiting[self.pool.submit(work, items[index])] = index
                if not waiting:
                    return results
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    index = waiting.pop(future)
                    results[index] = future.result()
                    done += weights[index]
                    self.advance((self.step + done / total) / self.steps)
        finally:
            for future in waiting:
                future.cancel()


def spool_budget(memory: int) -> int:
    """The part of the engine's memory that rows on their way may take; the rest is for tasks."""
    return memory // 5


def partition_bits(input_bytes: int) -> int:
    """How many bits of the key's hash choose the partition: a partition for each 4 MiB or so."""
    return max(4, min(12, (input_bytes >> 22).bit_length()))


def stretches_of(sizes: np.ndarray, limit: int) -> list[tuple[int, int]]:
    """Consecutive partitions that together hold at most `limit` bytes; empty ones are left out."""
    stretches: list[tuple[int, int]] = []
    start, held = 0, 0
    for part, size in enumerate(sizes.tolist()):
        if held and held + size > limit:
            stretches.append((start, part))
            start, held = part, 0
        held += size
    if held:
        stretches.append((start, len(sizes)))
    return stretches
