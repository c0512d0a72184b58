"""Spark: packets in data frames, brought together by repartition and sortWithinPartitions.

A phase is one Spark job. Its steps are `mapInArrow` over packets (pipelines/engines/packets.py);
what Spark shuffles is a few integers and bytes. Tables and shards are written by the executors, and
only receipts, of some hundred bytes each, come to the driver.
"""

import os
import pickle
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import orjson
import pyarrow as pa

from corpus.errors import RunError, UnroteError, UsageError
from corpus.shards import Corpus, Shard, corpus_of, pin_shard
from corpus.storage import is_remote
from corpus.version import VERSION
from pipelines.config import EngineSettings
from pipelines.engines.base import Advance, Flow
from pipelines.engines.driver import committed, loads, task_count, worker_for
from pipelines.engines.failures import failure_of, guarded
from pipelines.engines.java import require_java
from pipelines.engines.packets import Packet
from pipelines.engines.quiet import quiet_children
from pipelines.engines.work import Worker, place_of
from pipelines.run import Commit, RunFolder

_FIELDS = [("goes", pa.int32()), ("target", pa.int32()), ("part", pa.int32())] + [
    (name, pa.int64()) for name in ("unit", "place", "tag", "rows", "size")
]
SCHEMA = pa.schema([*(pa.field(*f, nullable=False) for f in _FIELDS)]).append(
    pa.field("payload", pa.binary(), nullable=False)
)
"""A packet as a row; `goes` is the partition it goes to."""

_SPARK_SCHEMA = (
    "goes int not null, target int not null, part int not null, unit long not null, "
    "place long not null, tag long not null, rows long not null, size long not null, "
    "payload binary not null"
)

_BATCH_PACKETS = 16
_BATCH_BYTES = 8 << 20

_CONNECT_SECONDS = 10.0

Batches = Iterable[pa.RecordBatch]


class SparkEngine:
    """Executes flows on Spark: on a cluster, or in this process's own local one."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._spark = _session(settings)
        self._context = self._spark.sparkContext
        self._seen: set[str] = set()

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        return max(1, int(self._context.defaultParallelism))

    def pin(self, shards: Sequence[Shard], advance: Advance) -> Corpus:
        """Read each shard once, on the executors."""
        self._require_visible([s.url for s in shards if not is_remote(s.url)][:100], "the input")
        frame = self._spark.range(0, len(shards), 1, min(len(shards), 4 * self.workers))
        told = _mapped(frame, _pinning(tuple(shards)), "payload binary not null")
        found = dict(pickle.loads(row.payload) for row in self._collect("pin", told, advance))
        return corpus_of([found[shard.number] for shard in shards])

    def execute(self, name: str, flow: Flow, run: RunFolder, advance: Advance) -> Commit:
        """Run a phase as one job; the caller commits what this returns."""
        started = time.perf_counter()
        settings = self.settings
        worker = worker_for(
            flow, run, settings.memory_bytes, settings.batch_bytes, settings.scratch
        )
        self._require_visible([str(run.state)], "OUT")
        count = settings.partitions or task_count(worker, self.workers)
        work = loads(worker.units, count)
        frame = self._spark.range(0, len(work), 1, max(1, len(work)))
        frame = _mapped(frame, _starting(worker, work, count), _SPARK_SCHEMA)
        for step in range(1, worker.plan.steps + 1):
            frame = frame.repartitionById(count, "goes")
            frame = frame.sortWithinPartitions("target", "part", "unit", "place")
            frame = _mapped(frame, _going_on(worker, step, count), _SPARK_SCHEMA)
        rows = self._collect(name, frame.select("payload"), advance)
        return committed(name, flow, worker, started, [orjson.loads(r.payload) for r in rows])

    def close(self) -> None:
        """Stop the session."""
        with suppress(Exception):
            self._spark.stop()

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
                thread.join(0.1)
                advance(self._share(name))
        except BaseException:
            with suppress(Exception):
                self._context.cancelJobGroup(name)
            raise
        if failed:
            raise _explained(failed[0]) from None
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
        told = _mapped(frame, _looking(tuple(paths)), "payload binary not null")
        for row in self._collect("look", told, lambda _: None):
            seen = orjson.loads(row.payload)
            if seen["version"] != VERSION:
                raise UsageError(
                    f"{seen['host']} has unrote {seen['version']}, this is {VERSION}. Give the "
                    "executors the same wheel, for example with spark-submit --py-files."
                )
            if seen["missing"]:
                raise UsageError(
                    f"{what} cannot be reached from {seen['host']}: {seen['missing'][0]}. Executors "
                    "must see the same files: name a folder on storage that all machines share."
                )
        self._seen.update(paths)


def _mapped(frame: Any, work: Callable[[Batches], Iterator[pa.RecordBatch]], schema: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which pandas it would rather have; none is used here
        return frame.mapInArrow(work, schema)


# What runs on the executors


def _pinning(shards: tuple[Shard, ...]) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    @guarded
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield _told(pickle.dumps((shards[number].number, pin_shard(shards[number]))))

    return work


def _looking(paths: tuple[str, ...]) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    @guarded
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            missing = [path for path in paths if not os.path.exists(path)]
            seen = {"host": socket.gethostname(), "version": VERSION, "missing": missing}
            yield _told(orjson.dumps(seen))

    return work


def _told(payload: bytes) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([payload], pa.binary())], names=["payload"])


def _starting(
    worker: Worker, work: list[list[int]], count: int
) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    @guarded
    def start(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from _packed(worker.start(work[number]), worker, count)

    return start


def _going_on(
    worker: Worker, step: int, count: int
) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    @guarded
    def go_on(batches: Batches) -> Iterator[pa.RecordBatch]:
        yield from _packed(worker.go_on(step, _packets(batches)), worker, count)

    return go_on


def _packed(packets: Iterable[Packet], worker: Worker, count: int) -> Iterator[pa.RecordBatch]:
    """Packets as rows of SCHEMA, a few in a batch."""
    held: list[Packet] = []
    size = 0
    for packet in packets:
        held.append(packet)
        size += len(packet.payload)
        if len(held) == _BATCH_PACKETS or size >= _BATCH_BYTES:
            yield _rows(held, worker, count)
            held, size = [], 0
    if held:
        yield _rows(held, worker, count)


def _rows(packets: Sequence[Packet], worker: Worker, count: int) -> pa.RecordBatch:
    goes = [place_of(worker, packet, count) for packet in packets]
    columns = [goes, *zip(*packets, strict=True)]
    arrays = [pa.array(v, type=t) for v, t in zip(columns, SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _packets(batches: Batches) -> Iterator[Packet]:
    for batch in batches:
        *columns, payloads = (batch.column(n) for n in range(1, batch.num_columns))
        for place, values in enumerate(zip(*(c.to_pylist() for c in columns), strict=True)):
            yield Packet(*values, payload=payloads[place].as_py())


# The session


def _session(settings: EngineSettings) -> Any:
    """A Spark session. Raises UsageError where there cannot be one, and says why."""
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - only where it is asked for
    except ImportError:
        raise UsageError(
            "the engine spark needs pyspark, which is not installed. Install it with "
            "pip install 'unrote[spark]', or use --engine local."
        ) from None
    require_java()
    master = settings.spark.master
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit started this process
    if not master and not submitted:
        master = f"local[{settings.worker_count}]"
    _require_master(master)
    builder = SparkSession.builder.appName("unrote")
    if master:
        builder = builder.master(master)
    if not submitted:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for name, value in (_defaults(settings, master) | settings.spark.conf | _NEEDED).items():
        builder = builder.config(name, value)
    local = master.startswith("local")
    quiet = quiet_children() if local else nullcontext()
    with _own_signals(), quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            session = builder.getOrCreate()
        except Exception as error:
            raise UsageError(
                f"Spark could not be started with master {master or 'as spark-submit says'}: "
                f"{_first_line(error)} Check engine.spark.master and engine.spark.conf; "
                "UNROTE_DEBUG=1 shows Spark's own log."
            ) from None
    for name, value in _NEEDED.items():
        with suppress(Exception):  # a few can only be set before the start
            session.conf.set(name, value)
    return session


_NEEDED = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(_BATCH_PACKETS),
    "spark.sql.adaptive.enabled": "false",  # packets say themselves where they go
}


def _defaults(settings: EngineSettings, master: str) -> dict[str, str]:
    """Spark settings that the user's own may replace."""
    found = {
        "spark.ui.showConsoleProgress": "false",
        "spark.shuffle.compress": "false",  # packets are compressed
        "spark.shuffle.spill.compress": "false",
    }
    if master.startswith("local"):
        found |= {"spark.ui.enabled": "false", "spark.driver.host": "localhost"}
        found["spark.driver.bindAddress"] = "127.0.0.1"
    if settings.scratch:
        found["spark.local.dir"] = settings.scratch
    return found


def _require_master(master: str) -> None:
    """Raise UsageError where a standalone master does not answer: Spark itself tries for minutes."""
    if not master.startswith("spark://"):
        return
    places = [place.rpartition(":") for place in master.removeprefix("spark://").split(",")]
    reasons = []
    for host, _, port in places:
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            reasons.append(getattr(error, "strerror", None) or str(error))
        else:
            return
    raise UsageError(
        f"the Spark master {master} does not answer: {reasons[0]}. Check the address, that the "
        "master runs and that this machine may reach it, or leave engine.spark.master empty to "
        "run here."
    )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's signal handlers: Spark puts its own for SIGINT."""
    import signal  # noqa: PLC0415

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _explained(error: BaseException) -> BaseException:
    """What went wrong in a job, said to the user."""
    text = str(error)
    known = failure_of(text)
    if known is not None or isinstance(error, UnroteError):
        return known or error
    if "No module named" in text:
        module = text.partition("No module named")[2].split("\n")[0].strip(" '\".")
        return UsageError(
            f"the executors have no module {module}. Install unrote and what it needs there, or "
            "give them the wheel and an environment (docs/engines.md)."
        )
    if "PYTHON_VERSION_MISMATCH" in text:
        return UsageError(
            "the executors run another version of Python. Name the right one with PYSPARK_PYTHON "
            "or --set engine.spark.conf.spark.pyspark.python=PATH."
        )
    return RunError(
        f"Spark ended the job: {_first_line(error)} The same command continues after the last "
        "finished phase; UNROTE_DEBUG=1 shows Spark's own log."
    )


def _first_line(error: BaseException) -> str:
    """The first line of an error's text, as a sentence, short."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0][:300] if lines else type(error).__name__
    return line if line.endswith(".") else f"{line}."
