"""Beam: packets as elements, brought together by GroupByKey, on any of Beam's runners.

A phase is one pipeline. Its steps are ParDos over packets (pipelines/engines/packets.py). A group's
values come in any order and all at once, so a worker lays them by in a file where they are many.
Tables and shards are written by the workers; their receipts are put together in one small file,
which is how anything comes back from a pipeline.
"""

import logging
import os
import pickle
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from corpus.errors import RunError, UsageError
from corpus.shards import Corpus, Shard, corpus_of, pin_shard
from pipelines.config import EngineSettings
from pipelines.engines.base import Advance, Flow
from pipelines.engines.driver import committed, loads, task_count, worker_for
from pipelines.engines.failures import failure_of, guarded
from pipelines.engines.packets import Packet, arranged
from pipelines.engines.quiet import quiet_children
from pipelines.engines.work import Worker, place_of
from pipelines.run import Commit, RunFolder

_before = logging.root.manager.disable
logging.disable(logging.WARNING)  # Beam speaks of clouds that nobody asked for
try:
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.metrics import Metrics
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
    from apache_beam.runners import create_runner
except ImportError:
    raise UsageError(
        "the engine beam needs apache-beam, which is not installed. Install it with "
        "pip install 'unrote[beam]', or use --engine local."
    ) from None
finally:
    logging.disable(_before)

Element = tuple[int, int, int, int, int, int, int, bytes]
"""A packet; for a plain tuple Beam has a coder that does not pickle."""

LOCAL_RUNNERS = ("FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "PrismRunner")


class BeamEngine:
    """Executes flows as Beam pipelines."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        if not os.environ.get("UNROTE_DEBUG"):
            logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        self._flags = _flags(settings)
        self._runner(settings.beam.runner)  # an unknown one shall be refused now
        self.result: Any = None
        """What the last pipeline's run gave, with Beam's own metrics."""

    @property
    def workers(self) -> int:
        """Tasks that should run at the same time."""
        return self.settings.worker_count

    def pin(self, shards: Sequence[Shard], advance: Advance) -> Corpus:
        """Read each shard once, on the workers."""

        def build(pipeline: Any) -> Any:
            return (
                pipeline
                | beam.Create(list(shards))
                | beam.Reshuffle()
                | beam.FlatMap(guarded(_pinned))
            )

        found = dict(pickle.loads(told) for told in self._told(build))
        advance(1.0)
        return corpus_of([found[shard.number] for shard in shards])

    def execute(self, name: str, flow: Flow, run: RunFolder, advance: Advance) -> Commit:
        """Run a phase as one pipeline; the caller commits what this returns."""
        started = time.perf_counter()
        settings = self.settings
        worker = worker_for(
            flow, run, settings.memory_bytes, settings.batch_bytes, settings.scratch
        )
        count = settings.partitions or task_count(worker, self.workers)
        work = loads(worker.units, count)

        def build(pipeline: Any) -> Any:
            elements = (
                pipeline
                | beam.Create(work or [[]])
                | beam.Reshuffle()
                | "step-0" >> beam.ParDo(_Start(worker)).with_output_types(Element)
            )
            for step in range(1, worker.plan.steps + 1):
                elements = (
                    elements
                    | f"to-{step}" >> beam.ParDo(_Address(worker, count)).with_output_types(
                        tuple[int, Element]
                    )
                    | f"group-{step}" >> beam.GroupByKey()
                    | f"step-{step}" >> beam.ParDo(_GoOn(worker, step)).with_output_types(Element)
                )
            return elements | beam.Map(lambda element: element[-1]).with_output_types(bytes)

        receipts = [orjson.loads(told) for told in self._told(build)]
        advance(1.0)
        return committed(name, flow, worker, started, receipts)

    def close(self) -> None:
        """Nothing to give back: a pipeline ends its workers."""

    def _runner(self, name: str) -> Any:
        try:
            return create_runner(name)
        except (ValueError, ImportError, AttributeError) as error:
            raise UsageError(
                f"engine.beam.runner = {name!r}: {_first_line(error)} Name a runner that Beam "
                "knows, for example FnApiRunner (this machine), DataflowRunner, FlinkRunner or "
                "SparkRunner, and install what it needs."
            ) from None

    def _told(self, build: Any) -> list[bytes]:
        """Run a pipeline whose last elements are bytes, and give these."""
        options = PipelineOptions(self._flags)
        place = options.view_as(GoogleCloudOptions).temp_location or self.settings.scratch
        folder = place or tempfile.gettempdir()
        path = FileSystems.join(folder, f"unrote-{uuid.uuid4().hex}.receipts")
        if folder == self.settings.scratch:
            Path(folder).mkdir(parents=True, exist_ok=True)
        try:
            pipeline = beam.Pipeline(self._runner(self.settings.beam.runner), options)
            told = build(pipeline) | beam.combiners.ToList()
            told | beam.Map(_write, path)
            with quiet_children():
                self.result = pipeline.run()
                state = self.result.wait_until_finish()
            if state not in (None, "DONE"):
                raise RunError(
                    f"Beam ended the pipeline: {state}. Look at the runner's log, and run the "
                    "same command again."
                )
            with FileSystems.open(path) as file:
                found: list[bytes] = pickle.load(file)
        except (RunError, UsageError):
            raise
        except Exception as error:
            if isinstance(error, KeyboardInterrupt | OSError):
                raise
            raise failure_of(str(error)) or RunError(
                f"Beam ended the pipeline: {_first_line(error)} The same command continues after "
                "the last finished phase; UNROTE_DEBUG=1 shows Beam's own log."
            ) from None
        finally:
            with suppress(Exception):
                FileSystems.delete([path])
        return found


# What runs on the workers


def _pinned(shard: Shard) -> Iterator[bytes]:
    yield pickle.dumps((shard.number, pin_shard(shard)))


def _write(told: list[bytes], path: str) -> None:
    with FileSystems.create(path) as file:
        pickle.dump(told, file)


class _Start(beam.DoFn):  # type: ignore[misc]
    """Step 0: some of the units."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def process(self, element: list[int]) -> Iterator[Element]:
        Metrics.counter("unrote", "tasks").inc()
        for packet in guarded(self.worker.start)(element):
            yield tuple(packet)


class _Address(beam.DoFn):  # type: ignore[misc]
    """Packets with the task of the next step that they go to."""

    def __init__(self, worker: Worker, count: int) -> None:
        self.worker = worker
        self.count = count

    def process(self, element: Element) -> Iterator[tuple[int, Element]]:
        yield place_of(self.worker, Packet(*element), self.count), element


class _GoOn(beam.DoFn):  # type: ignore[misc]
    """A later step: the packets of one task."""

    def __init__(self, worker: Worker, step: int) -> None:
        self.worker = worker
        self.step = step

    def process(self, element: tuple[int, Iterable[Element]]) -> Iterator[Element]:
        Metrics.counter("unrote", "tasks").inc()
        for packet in guarded(self._packets)(element[1]):
            yield tuple(packet)

    def _packets(self, elements: Iterable[Element]) -> Iterator[Packet]:
        worker = self.worker
        packets = (Packet(*element) for element in elements)
        with arranged(packets, worker.scratch, worker.memory // 8) as in_order:
            yield from worker.go_on(self.step, in_order)


# Options


def _flags(settings: EngineSettings) -> list[str]:
    """Beam's options: the user's, and on this machine a worker for every core."""
    given = list(settings.beam.options)
    named = {flag.partition("=")[0] for flag in given}
    if settings.beam.runner in LOCAL_RUNNERS:
        if "--direct_num_workers" not in named:
            given.append(f"--direct_num_workers={settings.worker_count}")
        if "--direct_running_mode" not in named:
            given.append("--direct_running_mode=multi_threading")
    return given


def _first_line(error: BaseException) -> str:
    """The first line of an error's text, as a sentence, short."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0][:300] if lines else type(error).__name__
    return line if line.endswith(".") else f"{line}."
