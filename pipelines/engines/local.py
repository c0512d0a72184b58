"""The embedded engine: threads over cuts of the input, groups by hash partition within a budget.

Kernels and Arrow release the interpreter lock, so threads use all cores; a map whose stage asks for
processes has its tasks worked on in some, a thread waiting for each. A map runs one task for
each cut (or few small ones); what it yields goes to exchanges, partitioned by key or by slice. A
group runs one task for each range of partitions that fits.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pyarrow as pa

from unrote.corpus.pinning import pin_shards
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Corpus, Shard
from unrote.corpus.tables import write_table
from unrote.pipelines.commits import Commit, DataFile, TableFile
from unrote.pipelines.config import EngineSettings
from unrote.pipelines.engines.base import Advance, Flow, Node, Read, Workspace
from unrote.pipelines.engines.exchange import Exchange, Spool, in_order
from unrote.pipelines.engines.memory import be_frugal, give_back
from unrote.pipelines.engines.parts import (
    EditsByPart,
    Part,
    Stored,
    assemble,
    parts_of,
    parts_together,
    write_parts,
)
from unrote.pipelines.engines.plan import Plan, Route, Target, partition_bits, partitioned, plan_of
from unrote.pipelines.engines.processes import Processes
from unrote.pipelines.engines.slices import Reader, Task, tasks_of
from unrote.pipelines.engines.sorting import Ordering, sorted_rows
from unrote.pipelines.engines.watch import Meter, Watch
from unrote.pipelines.storage import discard_folder, make_folder, on_disk, written

PART_BYTES = 64 << 20
"""About how much a group task reads at once."""

PROCESS_BYTES = 16 << 20
"""From so much text on a stage that asks for processes gets them. They take seconds to start, in
which one thread has done with less."""

OUTBOX_BYTES = 8 << 10
"""About how much of a partition's rows a task brings at once."""

LOOK_SECONDS = 0.5
"""How often it is looked how far the tasks are."""

RUN_BYTES = 128 << 20
"""So much a task sorts in memory, at most; more is sorted in runs and merged."""


class LocalEngine:
    """Executes flows with threads within about `engine.memory` bytes."""

    def __init__(self, settings: EngineSettings) -> None:
        self.workers = settings.worker_count
        self.memory = settings.memory_bytes
        self.run_bytes = min(RUN_BYTES, self.memory // (16 * self.workers))
        self.batch_bytes = settings.batch_bytes
        self.processes = Processes(self.workers)
        pa.set_cpu_count(max(1, self.workers))
        be_frugal()

    def pin(self, shards: Sequence[Shard], advance: Advance) -> Corpus:
        """Read each shard once; see corpus.pinning.pin_shards."""
        total, read = max(1, sum(shard.size for shard in shards)), 0

        def count(more: int) -> None:
            nonlocal read
            read += more
            advance(read / total)

        return pin_shards(shards, self.workers, count)

    def close(self) -> None:
        """End worker processes, if there are any."""
        self.processes.close()

    def execute(self, name: str, flow: Flow, run: Workspace, advance: Advance) -> Commit:
        """Run a phase and write its tables; the caller commits what this returns."""
        started = time.perf_counter()
        spool = Spool(run.scratch(), spool_budget(self.memory), self.run_bytes)
        try:
            with ThreadPoolExecutor(self.workers, thread_name_prefix="unrote") as pool:
                phase = _Phase(flow, run, spool, pool, self, advance)
                tables, data = phase.execute()
        except BaseException:
            discard_folder(run.scratch())  # nothing in it is read again
            raise
        give_back()
        return Commit(
            name,
            flow.digest(name, run),
            time.perf_counter() - started,
            phase.input_bytes,
            spool.spilled_bytes,
            tables,
            data,
            spool.shuffled_bytes,
            self.workers,
        )


class _Phase:
    """One execution of one flow."""

    def __init__(
        self,
        flow: Flow,
        run: Workspace,
        spool: Spool,
        pool: ThreadPoolExecutor,
        engine: LocalEngine,
        advance: Advance,
    ) -> None:
        self.plan: Plan = plan_of(flow)
        self.run = run
        self.corpus: Corpus = run.corpus
        self.spool = spool
        self.pool = pool
        self.engine = engine
        self.advance = advance
        self.input_bytes = 0
        self.bits = partition_bits(run.corpus.input_bytes)
        self.release_tasks: Sequence[Task] = ()
        self.exchanges = [self._open(target) for target in self.plan.targets]
        self.steps = len(flow.nodes) + 1 + 2 * (flow.edits is not None)
        self.step = 0

    def execute(self) -> tuple[dict[str, tuple[TableFile, ...]], tuple[DataFile, ...]]:
        groups = {t.node: number for number, t in enumerate(self.plan.targets)}
        for number, node in enumerate(self.plan.flow.nodes):
            if node.stage.key:
                self._run_group(number, node, groups[number])
            else:
                self._run_map(number, node)
            self.step += 1
        tables = {
            target.table.folder: self._write(target, exchange)
            for target, exchange in zip(self.plan.targets, self.exchanges, strict=True)
            if target.table is not None
        }
        return tables, self._release()

    def _open(self, target: Target) -> Exchange:
        """An exchange for the rows of a target."""
        if target.kind == "group":
            parts = 1 << self.bits
        elif target.kind == "table":
            parts = len(self.corpus.slices)
        else:
            edits = self.plan.flow.edits
            assert edits is not None
            (source,) = edits.node.inputs["source"]
            assert isinstance(source, Read)
            self.release_tasks = tasks_of(self.corpus, source)
            parts = len(self.release_tasks)
        return self.spool.open(list(target.schemas), parts)

    def _run_map(self, number: int, node: Node) -> None:
        (source,) = node.inputs["source"]
        assert isinstance(source, Read)
        reader = Reader(self.run, source, self.engine.batch_bytes)
        tasks = tasks_of(self.corpus, source)
        self.input_bytes += sum(task.bytes for task in tasks) if source.view else 0

        def work(task: Task, meter: Meter) -> None:
            rows = meter.reading(reader.read(task), task.bytes)
            self._run_stage(number, node, rows, task.number, task)

        def work_elsewhere(task: Task, _: Meter) -> None:
            made = processes.map(node.stage, self.run, source, self.engine.batch_bytes, task)
            self._send(number, made, task.number, task)

        processes = self.engine.processes
        many = min(self.engine.workers, len(tasks)) > 1
        much = sum(task.bytes for task in tasks) >= PROCESS_BYTES
        apart = node.stage.workers == "process" and many and much
        if apart:
            processes.open()
        self._parallel(work_elsewhere if apart else work, tasks, [task.bytes for task in tasks])
        processes.close()  # with their detectors they hold hundreds of MiB, and nothing else to do

    def _run_group(self, number: int, node: Node, at: int) -> None:
        for scan in self.plan.scans:
            if scan.route.target == at:
                self._scan(scan.source, scan.route)
        exchange, target, stage = self.exchanges[at], self.plan.targets[at], node.stage
        order = tuple(column for column in stage.order if column != "tag")
        ordering = Ordering(target.tags, target.schemas, stage.key, order, stage.singles)

        sizes = exchange.part_bytes()

        def work(bounds: tuple[int, tuple[int, int]], meter: Meter) -> None:
            task, (start, end) = bounds
            chunks = exchange.between(start, end)
            rows = sorted_rows(chunks, ordering, self.spool, 2 * self.engine.batch_bytes)
            if stage.workers != "device":  # which reads all at once, and tells itself how far it is
                rows = meter.reading(rows, int(sizes[start:end].sum()))
            self._run_stage(number, node, rows, task, None)

        limit = min(PART_BYTES, self.engine.memory // (32 * self.engine.workers))
        if stage.workers == "device":
            limit = 0  # a task for each partition: one that takes minutes should show how far it is
        ranges = list(enumerate(ranges_of(sizes, limit)))
        self._parallel(work, ranges, [int(sizes[s:e].sum()) for _, (s, e) in ranges])
        exchange.close()

    def _scan(self, source: Read, route: Route) -> None:
        """Bring a table that a group reads directly into its exchange."""
        reader = Reader(self.run, source, self.engine.batch_bytes)

        def work(task: Task, meter: Meter) -> None:
            outbox = _Outbox(self, task.number, task)
            for _, batch in meter.reading(reader.read(task), task.bytes):
                outbox.put(route, batch)
            outbox.flush()

        tasks = tasks_of(self.corpus, source)
        self._parallel(work, tasks, [task.bytes for task in tasks])

    def _run_stage(
        self, number: int, node: Node, rows: Tagged, task_number: int, task: Task | None
    ) -> None:
        with node.stage.open() as run:
            self._send(number, run(rows), task_number, task)

    def _send(self, number: int, rows: Tagged, task_number: int, task: Task | None) -> None:
        """Bring what a stage made to where it is wanted."""
        outbox = _Outbox(self, task_number, task)
        for tag, batch in rows:
            for route in self.plan.routes.get((number, tag), ()):
                outbox.put(route, batch)
        outbox.flush()

    def add(
        self, route: Route, batch: pa.RecordBatch, order: tuple[int, int], task: Task | None
    ) -> None:
        """Partition a batch and hand it over."""
        exchange = self.exchanges[route.target]
        here = 0
        if task is not None:
            here = task.number if self.plan.targets[route.target].kind == "edits" else task.slice
        batch, offsets = partitioned(route, batch, self.corpus, self.bits, here, exchange.parts)
        exchange.add(order, route.tag, batch, offsets)

    def _write(self, target: Target, exchange: Exchange) -> tuple[TableFile, ...]:
        """Write a table's files, one for each slice that has rows."""
        table = target.table
        assert table is not None
        ordering = Ordering(target.tags, target.schemas, table.sort, ())

        def work(number: int, meter: Meter) -> TableFile | None:
            chunks = exchange.between(number, number + 1)
            size = sum(chunk.nbytes for chunk in chunks)
            if not chunks:
                return None
            rows: Tagged
            if table.sort:
                rows = sorted_rows(chunks, ordering, self.spool, 2 * self.engine.batch_bytes)
            else:
                rows = (("", batch) for batch in in_order(chunks))
            batches = (batch for _, batch in meter.reading(rows, size))
            with written(self.run.table_path(table, number), self.spool.folder) as path:
                file = write_table(str(path), table.schema, batches, internal=table.internal)
                return TableFile(number, *file)

        numbers = list(range(len(self.corpus.slices)))
        files = self._parallel(work, numbers, [1] * len(numbers))
        exchange.close()
        return tuple(file for file in files if file is not None)

    def _release(self) -> tuple[DataFile, ...]:
        """Rewrite the input by the edits, part by part, and put each shard's parts together."""
        if self.plan.flow.edits is None:
            return ()
        edited = self.exchanges[-1]
        parts = list(parts_of(self.corpus, self.release_tasks))
        folder, fields = on_disk(self.run.state / "parts", self.spool.folder), self.run.fields
        make_folder(folder)

        def work(together: list[Part], _: Meter) -> dict[str, Stored]:
            chunks = edited.between(together[0].first_task, together[-1].last_task + 1)
            edits = EditsByPart(in_order(chunks))
            return write_parts(self.corpus, together, edits, fields, folder)

        groups = parts_together(parts)
        sizes = [sum(part.bytes for part in each) for each in groups]
        done: dict[str, Stored] = {}
        for more in self._parallel(work, groups, sizes):
            done |= more
        edited.close()
        shards = [
            list(of) for _, of in itertools.groupby(parts, key=lambda part: part.cuts[0].shard)
        ]
        released = self._parallel(
            lambda of, _: assemble(self.corpus, of, folder, self.run, done),
            shards,
            [1] * len(shards),
        )
        return tuple(file for file in released if file is not None)

    def _parallel(self, work: Callable, items: Sequence, weights: Sequence[int]) -> list:  # type: ignore[type-arg]
        """work(item, meter) for every item on the pool, a bounded number ahead; results in order.

        Where one fails, or the main thread is interrupted, the others end at their next pulse, and
        processes that work for them at once.
        """
        results: list = [None] * len(items)  # type: ignore[type-arg]
        total, done = max(1, sum(weights)), 0
        waiting: dict[Future, int] = {}  # type: ignore[type-arg]
        queue = iter(range(len(items)))
        watch = Watch()

        def watched(index: int) -> Any:
            with watch.over(index) as meter:
                return work(items[index], meter)

        try:
            while True:
                for index in itertools.islice(queue, self.engine.workers + 1 - len(waiting)):
                    waiting[self.pool.submit(watched, index)] = index
                if not waiting:
                    return results
                finished, _ = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED)
                for future in finished:
                    index = waiting.pop(future)
                    results[index] = future.result()
                    done += weights[index]
                begun = sum(weights[n] * watch.share(n) for n in waiting.values())
                self.advance((self.step + (done + begun) / total) / self.steps)
        except BaseException:
            watch.stop()
            for future in waiting:
                future.cancel()
            self.engine.processes.close()
            raise


class _Outbox:
    """What a task made, put together before it is partitioned.

    Stages yield batches of any size, and those of text with tables beside it are small; with
    hundreds of partitions a chunk would be a few rows, and cost more than these.
    """

    def __init__(self, phase: _Phase, number: int, task: Task | None) -> None:
        self._phase, self._number, self._task = phase, number, task
        memory = phase.engine.memory // (64 * phase.engine.workers)
        self._limit = min(memory, OUTBOX_BYTES << phase.bits)
        self._held: dict[Route, list[pa.RecordBatch]] = {}
        self._size = self._sent = 0

    def put(self, route: Route, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        self._held.setdefault(route, []).append(batch)
        self._size += batch.nbytes
        if self._size >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Hand over what is held."""
        for route, batches in self._held.items():
            whole = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
            self._phase.add(route, whole, (self._number, self._sent), self._task)
        self._held, self._size, self._sent = {}, 0, self._sent + 1


def spool_budget(memory: int) -> int:
    """The part of the engine's memory that rows on their way may take; the rest is for tasks."""
    return memory // 5


def ranges_of(sizes: np.ndarray, limit: int) -> list[tuple[int, int]]:
    """Consecutive partitions that together hold at most `limit` bytes; empty ones are left out."""
    ranges: list[tuple[int, int]] = []
    start, held = 0, 0
    for part, size in enumerate(sizes.tolist()):
        if held and held + size > limit:
            ranges.append((start, part))
            start, held = part, 0
        held += size
    if held:
        ranges.append((start, len(sizes)))
    return ranges
