"""Spark: blocks in data frames, brought together by repartition and sortWithinPartitions.

A phase is one Spark job. Its steps are `mapInArrow` over blocks (pipelines/engines/blocks.py);
what Spark shuffles is a few integers and bytes. Tables and shards are written by the executors, and
only task results, of some hundred bytes each, come to the driver.
"""

import pickle
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import pyarrow as pa

from unrote.corpus.errors import UsageError
from unrote.corpus.pinning import corpus_of, pin_shard
from unrote.corpus.shard import Corpus, Shard
from unrote.corpus.storage import Options, is_remote, options_in_use, use_options
from unrote.corpus.version import VERSION
from unrote.pipelines.commits import Commit
from unrote.pipelines.config import EngineSettings
from unrote.pipelines.engines.base import Advance, Flow, Workspace
from unrote.pipelines.engines.blocks import ShuffleBlock
from unrote.pipelines.engines.driver import committed, loads, task_count, worker_for
from unrote.pipelines.engines.failures import guarded
from unrote.pipelines.engines.memory import freeze_modules
from unrote.pipelines.engines.sealed import Sealed
from unrote.pipelines.engines.spark_partitions import addresses, repartitioned
from unrote.pipelines.engines.spark_session import (
    BATCH_BLOCKS,
    close_session,
    explained,
    explaining,
    open_session,
    session_beside,
)
from unrote.pipelines.engines.work import Worker, task_counts, task_of
from unrote.pipelines.storage import is_reached

_FIELDS = [("task", pa.int32()), ("target", pa.int32()), ("part", pa.int32())] + [
    (name, pa.int64()) for name in ("unit", "position", "tag", "rows", "size")
]
SCHEMA = pa.schema([*(pa.field(*f, nullable=False) for f in _FIELDS)]).append(
    pa.field("payload", pa.binary(), nullable=False)
)
"""A shuffle block as a row; `task` addresses the one of the next step that it goes to."""

_SPARK_SCHEMA = (
    "task int not null, target int not null, part int not null, unit long not null, "
    "position long not null, tag long not null, rows long not null, size long not null, "
    "payload binary not null"
)

_BATCH_BYTES = 8 << 20

_POLL_SECONDS = 1.0
"""How often a job is asked how far it is: each time takes some of the driver's own time."""

Batches = Iterable[pa.RecordBatch]


class SparkEngine:
    """Executes flows on Spark: on a cluster, or in this process's own local one.

    session: a user's own. It is neither stopped nor changed: jobs run in one beside it, on the same
    context. None: one is started.
    """

    def __init__(self, settings: EngineSettings, session: Any = None) -> None:
        self.settings = settings
        self._users = session
        self._seen: set[str] = set()

    @cached_property
    def _spark(self) -> Any:
        """The session, started when it is first needed: by then OUT is known to be usable."""
        if self._users is not None:
            return session_beside(self._users)
        return open_session(self.settings)

    @property
    def _context(self) -> Any:
        return self._spark.sparkContext

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        return max(1, int(self._context.defaultParallelism))

    @explaining()
    def pin(self, shards: Sequence[Shard], advance: Advance) -> Corpus:
        """Read each shard once, on the executors."""
        self._require_visible([s.url for s in shards if not is_remote(s.url)][:100], "the input")
        frame = self._spark.range(0, len(shards), 1, min(len(shards), 4 * self.workers))
        given: tuple[tuple[Shard, ...], Options] = (tuple(shards), options_in_use())
        shared = Sealed(self._context, given)
        reported = _mapped(frame, _pinning(shared), "payload binary not null")
        found = dict(pickle.loads(row.payload) for row in self._collect("pin", reported, advance))  # noqa: S301 - ours
        shared.destroy()
        return corpus_of([found[shard.number] for shard in shards])

    @explaining()
    def execute(self, name: str, flow: Flow, run: Workspace, advance: Advance) -> Commit:
        """Run a phase as one job; the caller commits what this returns."""
        started = time.perf_counter()
        settings = self.settings
        worker = worker_for(
            flow, run, settings.memory_bytes, settings.batch_bytes, settings.scratch
        )
        self._require_visible([str(run.state)], "OUT")
        count = settings.partitions or task_count(worker, self.workers)
        work = loads(worker.units.sizes, count)
        counts = task_counts(worker, count)
        frame = self._spark.range(0, len(work), 1, max(1, len(work)))
        # Broadcast, so that each Python worker unpickles it once and not for every task.
        known = _Shared(worker, work, [addresses(frame, each) for each in counts])
        shared = Sealed(self._context, known)
        frame = _mapped(frame, _starting(shared), _SPARK_SCHEMA)
        for step in range(1, worker.plan.steps + 1):
            frame = repartitioned(frame, counts[step - 1], "task")
            frame = frame.sortWithinPartitions("target", "part", "unit", "position")
            frame = _mapped(frame, _running(shared, step), _SPARK_SCHEMA)
        rows = self._collect(name, frame.select("payload"), advance)
        shared.destroy()
        return committed(name, flow, worker, started, [orjson.loads(r.payload) for r in rows])

    def close(self) -> None:
        """Stop the session, if there is one and it is ours."""
        if self._users is None and "_spark" in self.__dict__:
            close_session(self._spark)

    def _collect(self, name: str, frame: Any, advance: Advance) -> list[Any]:
        """The rows of `frame`, in a job that shows its progress and ends with this process."""
        found: list[Any] = []
        failed: list[BaseException] = []

        def collect() -> None:
            try:
                self._context.setJobGroup(name, f"unrote: {name}", interruptOnCancel=True)
                found.extend(frame.collect())
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
                failed.append(error)

        thread = threading.Thread(target=collect, name=f"unrote-{name}", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(_POLL_SECONDS)
                if thread.is_alive():
                    advance(self._share(name))
        except BaseException:
            with suppress(Exception):
                self._context.cancelJobGroup(name)
            raise
        if failed:
            raise explained(failed[0]) from None
        return found

    def _share(self, name: str) -> float:
        """The share of the job's tasks that are done."""
        tracker = self._context.statusTracker()
        done, total = 0, 0
        for job in tracker.getJobIdsForGroup(name):
            info = tracker.getJobInfo(job)
            for stage in info.stageIds if info else ():
                if state := tracker.getStageInfo(stage):
                    done += state.numCompletedTasks
                    total += state.numTasks
        return done / total if total else 0.0

    def _require_visible(self, paths: Sequence[str], what: str) -> None:
        """Raise UsageError where executors do not see paths that this process sees."""
        if set(paths) <= self._seen:
            return
        frame = self._spark.range(0, 2 * self.workers, 1, 2 * self.workers)
        reported = _mapped(
            frame, _looking(tuple(paths), options_in_use()), "payload binary not null"
        )
        for row in self._collect("look", reported, lambda _: None):
            seen = orjson.loads(row.payload)
            if seen["version"] != VERSION:
                raise UsageError(
                    f"{seen['host']} has unrote {seen['version']}, this is {VERSION}. Give the "
                    "executors the same wheel, for example with spark-submit --py-files."
                )
            if seen["missing"]:
                raise UsageError(
                    f"{what} cannot be reached from {seen['host']}: {seen['missing'][0]}. "
                    "Executors must see the same files: name a folder on storage that all "
                    "machines share, or a URL of a store that they may read and write."
                )
        self._seen.update(paths)


def _mapped(frame: Any, work: Callable[[Batches], Iterator[pa.RecordBatch]], schema: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which pandas it would rather have; none is used here
        return frame.mapInArrow(work, schema)


# What runs on the executors


def _task(work: Callable[[Batches], Iterator[pa.RecordBatch]]) -> Callable[..., Any]:
    """`work` with its errors as a driver reads them, and without the cost of what it imported."""

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        yield from work(batches)
        freeze_modules()

    return guarded(run)


def _pinning(
    shared: Sealed[tuple[tuple[Shard, ...], Options]],
) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    @_task
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        shards, options = shared.opened()
        use_options(options)
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield _reported(pickle.dumps((shards[number].number, pin_shard(shards[number]))))

    return work


def _looking(
    paths: tuple[str, ...], options: Options
) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    @_task
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        use_options(options)
        for _ in batches:
            yield _reported(orjson.dumps(_seen(paths)))

    return work


def _seen(paths: tuple[str, ...]) -> dict[str, Any]:
    """What is here. Sent by its name, and not with the driver's VERSION in it, as _looking is."""
    missing = [path for path in paths if not is_reached(path)]
    return {"host": socket.gethostname(), "version": VERSION, "missing": missing}


def _reported(payload: bytes) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([payload], pa.binary())], names=["payload"])


@dataclass(frozen=True)
class _Shared:
    """What all tasks of a phase know: the units of each task of step 0, and by which number a row
    goes to each task of the later steps, and behind these to the driver (spark_partitions).
    """

    worker: Worker
    work: list[range]
    addresses: list[Sequence[int]]


def _starting(shared: Sealed[_Shared]) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    @_task
    def start(batches: Batches) -> Iterator[pa.RecordBatch]:
        known = shared.opened()
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from _packed(known.worker.start(known.work[number]), known, 1)

    return start


def _running(shared: Sealed[_Shared], step: int) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    @_task
    def run_step(batches: Batches) -> Iterator[pa.RecordBatch]:
        known = shared.opened()
        yield from _packed(known.worker.run_step(step, _blocks(batches)), known, step + 1)

    return run_step


def _packed(blocks: Iterable[ShuffleBlock], known: _Shared, step: int) -> Iterator[pa.RecordBatch]:
    """Shuffle blocks as rows of SCHEMA, on their way to a step, a few in a batch."""
    held: list[ShuffleBlock] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block.payload)
        if len(held) == BATCH_BLOCKS or size >= _BATCH_BYTES:
            yield _rows(held, known, step)
            held, size = [], 0
    if held:
        yield _rows(held, known, step)


def _rows(blocks: Sequence[ShuffleBlock], known: _Shared, step: int) -> pa.RecordBatch:
    there = known.addresses[step - 1]
    tasks = [there[task_of(known.worker, block, len(there))] for block in blocks]
    columns = [tasks, *zip(*blocks, strict=True)]
    arrays = [pa.array(v, type=t) for v, t in zip(columns, SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _blocks(batches: Batches) -> Iterator[ShuffleBlock]:
    for batch in batches:
        *columns, payloads = (batch.column(n) for n in range(1, batch.num_columns))
        for row, values in enumerate(zip(*(c.to_pylist() for c in columns), strict=True)):
            yield ShuffleBlock._make((*values, payloads[row].as_py()))
