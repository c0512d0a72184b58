"""What a worker of a distributed engine does: the same on Spark and on Beam.

A phase is a chain of steps. Step 0 reads units of the input and runs maps; each later step gets the
blocks that were made so far, by target and partition, works on those whose turn it is, and hands
on the rest. A group's stage runs on whole partitions, a table is written slice by slice, a shard
put together from its parts. What came of it goes to the driver as task results.
"""

import os
import socket
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, overload

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.release import rewrite
from unrote.corpus.schema import Tagged
from unrote.corpus.storage import Options, use_options
from unrote.corpus.tables import write_table
from unrote.pipelines.commits import DataFile, TableFile
from unrote.pipelines.engines.base import Read, Workspace
from unrote.pipelines.engines.blocks import TASK_RESULT, BlockEncoder, ShuffleBlock, decode
from unrote.pipelines.engines.exchange import Chunk, Exchange, Spool, in_order
from unrote.pipelines.engines.memory import be_frugal
from unrote.pipelines.engines.parts import EditsByPart, Part, joined, parts_of
from unrote.pipelines.engines.plan import Plan, Target, partition_bits
from unrote.pipelines.engines.slices import Reader, Task, Tasks, tasks_of
from unrote.pipelines.engines.sorting import Ordering, sorted_rows
from unrote.pipelines.storage import staged, temporary_folder

Ints = NDArray[np.int64]

PART_BYTES = 64 << 20
"""About how much a group's stage gets in one run."""


@dataclass(frozen=True)
class Unit:
    """Tasks of one map (its position in the flow) or scan that one worker does one after another.

    parts: of the release, if the map makes edits: those whose documents the tasks read.
    """

    number: int
    tasks: tuple[Task, ...]
    node: int = -1
    scan: int = -1
    parts: tuple[Part, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(task.bytes for task in self.tasks)


@dataclass(frozen=True)
class _Stretch:
    """The units of one map or scan: unit n has the tasks from begins[n] up to begins[n + 1]."""

    tasks: Tasks
    begins: Ints
    node: int
    scan: int
    parts: tuple[Part, ...] = ()

    @property
    def sizes(self) -> Ints:
        """Bytes of each unit."""
        if not len(self.tasks):
            return np.zeros(0, dtype=np.int64)
        return np.add.reduceat(self.tasks.sizes, self.begins)

    @cached_property
    def _first_tasks(self) -> list[int]:
        return [part.first_task for part in self.parts]

    def unit(self, index: int, number: int) -> Unit:
        """Unit `index` of these, which is `number` of all."""
        first = int(self.begins[index])
        last = index + 1 == len(self.begins)
        end = len(self.tasks) if last else int(self.begins[index + 1])
        begins = self._first_tasks
        own = self.parts[bisect_left(begins, first) : bisect_right(begins, end - 1)]
        return Unit(number, self.tasks[first:end], self.node, self.scan, own)


class Units(Sequence[Unit]):
    """The units of a phase, held as numbers: each is made when it is asked for."""

    def __init__(self, stretches: Sequence[_Stretch]) -> None:
        self._stretches = tuple(stretches)
        self._ends = np.cumsum([len(one.begins) for one in stretches], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, index: int) -> Unit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Unit, ...]: ...
    def __getitem__(self, index: int | slice) -> Unit | tuple[Unit, ...]:
        if isinstance(index, slice):
            return tuple(self[n] for n in range(*index.indices(len(self))))
        number = range(len(self))[index]
        which = int(np.searchsorted(self._ends, number, side="right"))
        begin = int(self._ends[which - 1]) if which else 0
        return self._stretches[which].unit(number - begin, number)

    @property
    def sizes(self) -> list[int]:
        """Bytes of each."""
        return [size for one in self._stretches for size in one.sizes.tolist()]

    def bytes_of(self, nodes: Collection[int]) -> int:
        """Of all units of these maps."""
        return sum(int(one.sizes.sum()) for one in self._stretches if one.node in nodes)


def units_of(plan: Plan, run: Workspace) -> Units:
    """All that step 0 of a phase has to do, in `doc` order for each map."""
    found: list[_Stretch] = []
    for node in plan.maps():
        (source,) = plan.flow.nodes[node].inputs["source"]
        assert isinstance(source, Read)
        tasks = tasks_of(run.corpus, source)
        releases = plan.flow.edits is not None and plan.flow.edits.node is plan.flow.nodes[node]
        parts = tuple(parts_of(run.corpus, tasks)) if releases else ()
        found.append(_Stretch(tasks, _begins(len(tasks), parts), node, -1, parts))
    for number, scan in enumerate(plan.scans):
        tasks = tasks_of(run.corpus, scan.source)
        found.append(_Stretch(tasks, _begins(len(tasks), ()), -1, number))
    return Units(found)


def _begins(tasks: int, parts: Sequence[Part]) -> Ints:
    """The first task of each unit: tasks that share a part are together."""
    begins = np.ones(tasks, dtype=np.bool_)
    for part in parts:
        begins[part.first_task + 1 : part.last_task + 1] = False
    return np.flatnonzero(begins)


@dataclass(frozen=True)
class Worker:
    """What a worker needs to know for a phase; the same for all, and picklable.

    memory: bytes that a worker may use. scratch: its folder for spilled data; "" is the system's.
    """

    plan: Plan
    run: Workspace
    units: Units
    memory: int
    batch_bytes: int
    scratch: str
    options: Options
    """Of the stores that input and OUT are in (unrote.corpus.storage)."""

    def start(self, numbers: Iterable[int]) -> Iterator[ShuffleBlock]:
        """Step 0 for some of the units: their blocks and a task result."""
        with self._task(0) as task:
            for number in numbers:
                yield from task.sent(task.read(self.units[number]))
            yield from task.sent(task.encoder.flush())
            yield task.task_result()

    def run_step(self, step: int, blocks: Iterable[ShuffleBlock]) -> Iterator[ShuffleBlock]:
        """A later step for some partitions, whose blocks come by target, partition and order."""
        with self._task(step) as task:
            for number, own in groupby(task.received(blocks), key=lambda block: block.target):
                target = self.plan.targets[number] if number != TASK_RESULT else None
                if target is None or target.step > step:
                    yield from task.sent(own)
                elif target.kind == "group":
                    yield from task.sent(task.group(target, own))
                else:
                    for part, rows in groupby(own, key=lambda block: block.part):
                        yield from task.sent([task.table(target, part, rows)])
            yield from task.sent(task.encoder.flush())
            yield task.task_result()

    @contextmanager
    def _task(self, step: int) -> Iterator["_Task"]:
        be_frugal()
        use_options(self.options)
        with temporary_folder("worker", self.scratch) as folder:
            yield _Task(self, step, folder)


class _Task:
    """One call of a worker."""

    def __init__(self, worker: Worker, step: int, folder: Path) -> None:
        self.plan = worker.plan
        self.run = worker.run
        self.worker = worker
        self.step = step
        self.bits = partition_bits(self.run.corpus.input_bytes)
        self.encoder = BlockEncoder(self.plan, self.run.corpus, self.bits)
        self.folder = folder
        self.spool = Spool(folder, worker.memory // 4, worker.memory // 8)
        self.part_bytes = min(PART_BYTES, worker.memory // 16)
        self.sent_bytes = 0
        self.sent_blocks = 0
        self.received_blocks = 0
        self.units = 0

    def sent(self, blocks: Iterable[ShuffleBlock]) -> Iterator[ShuffleBlock]:
        """Shuffle blocks on their way, counted."""
        for block in blocks:
            self.sent_bytes += len(block.payload)
            self.sent_blocks += 1
            yield block

    def received(self, blocks: Iterable[ShuffleBlock]) -> Iterator[ShuffleBlock]:
        """Shuffle blocks that arrived, counted: the driver compares them with what was sent."""
        for block in blocks:
            self.received_blocks += 1
            yield block

    def task_result(self) -> ShuffleBlock:
        """What this task reports when it is done."""
        return task_result(
            {
                "step": self.step,
                "worker": f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}",
                "units": self.units,
                "sent": self.sent_blocks + 1,  # and this one
                "received": self.received_blocks,
                "shuffled": self.sent_bytes,
                "spilled": self.spool.spilled_bytes,
            }
        )

    # Step 0

    def read(self, unit: Unit) -> Iterator[ShuffleBlock]:
        """Run a unit's map over its tasks, or read the table it scans."""
        self.units += 1
        if unit.scan >= 0:
            scan = self.plan.scans[unit.scan]
            reader = Reader(self.run, scan.source, self.worker.batch_bytes)
            for task in unit.tasks:
                for _, batch in reader.read(task):
                    yield from self.encoder.add((scan.route,), batch, unit.number, task.slice)
            return
        node = self.plan.flow.nodes[unit.node]
        (source,) = node.inputs["source"]
        assert isinstance(source, Read)
        reader = Reader(self.run, source, self.worker.batch_bytes)
        edits = _Edits(self.folder / "edits.arrow") if unit.parts else None
        for task in unit.tasks:
            with node.stage.open() as stage:
                for tag, batch in stage(reader.read(task)):
                    routes = self.plan.routes.get((unit.node, tag), ())
                    rows = [r for r in routes if self.plan.targets[r.target].kind != "edits"]
                    if edits is not None and len(rows) < len(routes):
                        edits.add(batch)
                    yield from self.encoder.add(rows, batch, unit.number, task.slice)
        if edits is not None:
            yield from self._release(unit, edits)

    def _release(self, unit: Unit, edits: "_Edits") -> Iterator[ShuffleBlock]:
        """Rewrite a unit's parts, and tell those who put the shards together."""
        target = len(self.plan.targets) - 1
        with edits.reading() as batches:
            taken = EditsByPart(batches())
            for position, part in enumerate(unit.parts):
                path = self.run.state / "parts" / part.name
                with staged(path, self.folder) as temporary:
                    rows = taken.take(part)
                    rewrite(self.run.corpus, part.cuts, self.run.fields, rows, temporary)
                name = part.name.encode()
                shard = part.cuts[0].shard
                yield ShuffleBlock(target, shard, unit.number, position, 0, 1, len(name), name)

    # Later steps

    def group(self, target: Target, blocks: Iterable[ShuffleBlock]) -> Iterator[ShuffleBlock]:
        """Run a group's stage on partitions, several small ones at a time."""
        exchange = self.spool.open(target.schemas, 1)
        held = 0
        for _, own in groupby(blocks, key=lambda block: block.part):
            first = True
            for block in own:
                # A partition is begun with what is held, or after it, but never cut.
                if first and held and held + block.size > self.part_bytes:
                    yield from self._run_group(target, exchange)
                    exchange.close()
                    exchange, held = self.spool.open(target.schemas, 1), 0
                first = False
                held += block.size
                self._append(exchange, target, block)
        yield from self._run_group(target, exchange)
        exchange.close()

    def _append(self, exchange: Exchange, target: Target, block: ShuffleBlock) -> None:
        batch = decode(block, target.schemas[block.tag])
        order = (block.unit, block.position)
        chunk = Chunk(order, 0, block.tag, block.rows, block.size, batch)
        self.spool.append(exchange, [chunk])

    def _run_group(self, target: Target, exchange: Exchange) -> Iterator[ShuffleBlock]:
        stage = self.plan.flow.nodes[target.node].stage
        order = tuple(column for column in stage.order if column != "tag")
        ordering = Ordering(target.tags, target.schemas, stage.key, order, stage.singles)
        chunks = exchange.between(0, 1)
        if not chunks:
            return
        self.units += 1
        unit = min(chunk.task[0] for chunk in chunks)
        rows = sorted_rows(chunks, ordering, self.spool, 2 * self.worker.batch_bytes)
        with stage.open() as run:
            for tag, batch in run(rows):
                routes = self.plan.routes.get((target.node, tag), ())
                yield from self.encoder.add(routes, batch, unit, 0)

    def table(self, target: Target, part: int, blocks: Iterable[ShuffleBlock]) -> ShuffleBlock:
        """Write one slice of a table, or put one shard together; a task result for it."""
        self.units += 1
        if target.kind == "edits":
            names = sorted(block.payload.decode() for block in blocks)
            return task_result({"data": _asdict(joined(self.run, part, names, self.folder))})
        table = target.table
        assert table is not None
        exchange = self.spool.open(target.schemas, 1)
        for block in blocks:
            self._append(exchange, target, block)
        chunks = exchange.between(0, 1)
        ordering = Ordering(target.tags, target.schemas, table.sort, ())
        rows: Tagged = sorted_rows(chunks, ordering, self.spool, 2 * self.worker.batch_bytes)
        batches = (b for _, b in rows) if table.sort else in_order(chunks)
        with staged(self.run.table_path(table, part), self.folder) as temporary:
            file = TableFile(
                part, *write_table(str(temporary), table.schema, batches, internal=table.internal)
            )
        exchange.close()
        return task_result({"table": table.folder, "file": asdict(file)})


class _Edits:
    """A unit's edits, in a file: the shard is rewritten when all of them are known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None
        self._sink: Any = None

    def add(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._sink = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_file(self._sink, batch.schema)
        self._writer.write_batch(batch)

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """What gives all batches, each time it is called."""
        if self._writer is None:
            yield lambda: iter(())
            return
        self._writer.close()
        self._sink.close()
        with pa.OSFile(str(self._path), "rb") as source:
            file = pa.ipc.open_file(source)
            yield lambda: (file.get_batch(n) for n in range(file.num_record_batches))
        self._path.unlink()


def task_result(result: dict[str, Any]) -> ShuffleBlock:
    """Something for the driver."""
    return ShuffleBlock(TASK_RESULT, 0, 0, 0, 0, 0, 0, orjson.dumps(result))


def _asdict(file: DataFile | None) -> dict[str, Any] | None:
    return None if file is None else asdict(file)


def task_of(worker: Worker, block: ShuffleBlock, count: int) -> int:
    """Which of `count` tasks of the next step a block goes to; partitions are spread evenly."""
    if block.target == TASK_RESULT:
        return 0
    if worker.plan.targets[block.target].kind == "group":
        return block.part * count >> partition_bits(worker.run.corpus.input_bytes)
    return (block.part + block.target) % count


def task_counts(worker: Worker, count: int) -> list[int]:
    """How many tasks each step from 1 on has, and the driver behind the last (1): `count`, or as
    many as there are partitions in the step. A task without any costs a third of a second.
    """
    corpus = worker.run.corpus
    parts = {
        "group": 1 << partition_bits(corpus.input_bytes),
        "table": len(corpus.slices),
        "edits": len(corpus.shards),
    }
    steps = [1] * worker.plan.steps
    for target in worker.plan.targets:
        steps[target.step - 1] = max(steps[target.step - 1], parts[target.kind])
    return [*(min(count, most) for most in steps), 1]
