"""Beam: blocks as elements, brought together by GroupByKey, on any of Beam's runners.

A phase is one pipeline. Its steps are ParDos over blocks (pipelines/engines/blocks.py), each behind
a GroupByKey by task: a pipeline is of as few transforms as there can be, since on small input most
of a run's time goes into building them. A group's values come in any order and all at once, so a
worker lays them by in a file where they are many. Tables and shards are written by the workers;
their task results are put together in one small file, which is how anything comes back from a
pipeline.
"""

import difflib
import io
import logging
import os
import pickle
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from unrote.corpus.errors import RunError, UsageError
from unrote.corpus.pinning import corpus_of, pin_shard
from unrote.corpus.shard import Corpus, Shard
from unrote.corpus.storage import Options, options_in_use, use_options
from unrote.pipelines.commits import Commit
from unrote.pipelines.config import EngineSettings
from unrote.pipelines.engines.base import Advance, Flow, Workspace
from unrote.pipelines.engines.blocks import ShuffleBlock, arranged
from unrote.pipelines.engines.driver import LostBlocks, committed, loads, task_count, worker_for
from unrote.pipelines.engines.failures import failure_of, guarded, reason_in, setup_failure
from unrote.pipelines.engines.network import why_silent
from unrote.pipelines.engines.quiet import end_children, quiet_children
from unrote.pipelines.engines.work import Worker, task_counts, task_of


@contextmanager
def _silent_logging() -> Iterator[None]:
    """Beam speaks of clouds that nobody asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


try:
    with _silent_logging():
        import apache_beam as beam
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.metrics import Metrics
        from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
        from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
        from apache_beam.runners import create_runner
        from apache_beam.runners.runner import PipelineRunner
except ImportError:
    raise UsageError(
        "the engine beam needs apache-beam, which is not installed. Install it with "
        "pip install 'unrote[beam]', or use --engine local."
    ) from None

Element = tuple[int, int, int, int, int, int, int, bytes]
"""A shuffle block; for a plain tuple Beam has a coder that does not pickle."""

LOCAL_RUNNERS = {"fnapi", "direct", "bundlebaseddirect", "switchingdirect"}
"""Beam's runners on this machine, as `_plain_name` gives them, that take DirectOptions."""


_ATTEMPTS = 4
"""How often a phase is run until nothing is lost on the way. Beam's in-process runner with several
workers has been seen to lose a value of a GroupByKey in one of some ten runs of 200 MB."""


class BeamEngine:
    """Executes flows as Beam pipelines."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        if not os.environ.get("UNROTE_DEBUG"):
            logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        runner = _runner(settings.beam.runner)  # what is wrong with it shall be said now
        self._options = _options(settings)
        _require_valid(runner, self._options)
        self.result: Any = None
        """What the last pipeline's run gave, with Beam's own metrics."""

    @property
    def workers(self) -> int:
        """Tasks that should run at the same time."""
        return self.settings.worker_count

    def pin(self, shards: Sequence[Shard], advance: Advance) -> Corpus:
        """Read each shard once, on the workers."""

        def build(pipeline: Any) -> Any:
            work = partial(_pinned, options=options_in_use())
            return _spread(pipeline, shards) | beam.FlatMap(guarded(work)).with_output_types(
                tuple[int, bytes]
            )

        found = dict(pickle.loads(reported) for reported in self._reported(build))  # noqa: S301 - of our workers
        advance(1.0)
        return corpus_of([found[shard.number] for shard in shards])

    def execute(self, name: str, flow: Flow, run: Workspace, advance: Advance) -> Commit:
        """Run a phase as one pipeline; the caller commits what this returns."""
        started = time.perf_counter()
        settings = self.settings
        worker = worker_for(
            flow, run, settings.memory_bytes, settings.batch_bytes, settings.scratch
        )
        count = settings.partitions or task_count(worker, self.workers)
        work = [list(each) for each in loads(worker.units.sizes, count)]
        counts = task_counts(worker, count)

        def build(pipeline: Any) -> Any:
            elements = _spread(pipeline, work or [[]])
            for step, tasks in enumerate(counts):
                if step:
                    elements = elements | f"group-{step}" >> beam.GroupByKey()
                sent: Any = bytes if step == worker.plan.steps else Element
                elements = elements | f"step-{step}" >> beam.ParDo(
                    _RunStep(worker, step, tasks)
                ).with_output_types(tuple[int, sent])
            return elements

        for attempt in range(_ATTEMPTS):
            found = self._reported(build, str(run.scratch()))
            task_results = [orjson.loads(reported) for reported in found]
            try:
                commit = committed(name, flow, worker, started, task_results)
            except LostBlocks:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
        advance(1.0)
        return commit

    def close(self) -> None:
        """Nothing to give back: a pipeline ends its workers."""

    def _reported(self, build: Any, scratch: str = "") -> list[bytes]:
        """Run a pipeline whose last elements are bytes, each with the key 0, and give these.

        scratch: a folder that goes with the run, however this process ends.
        """
        options = _Options(self._options)
        scratch = self.settings.scratch or scratch
        folder = options.view_as(GoogleCloudOptions).temp_location or scratch
        folder = folder or tempfile.gettempdir()
        path = FileSystems.join(folder, f"unrote-{uuid.uuid4().hex}.results")
        if scratch:
            Path(scratch).mkdir(parents=True, exist_ok=True)
        try:
            # Beam makes folders of its own, which a process that is killed leaves.
            with _temporary_in(scratch), quiet_children():
                pipeline = beam.Pipeline(_runner(self.settings.beam.runner), options)
                reported = build(pipeline) | "reported" >> beam.GroupByKey()
                reported | beam.Map(_write, path)
                state = self._finished(pipeline)
            if state not in (None, "DONE"):
                raise RunError(
                    f"Beam ended the pipeline: {state}. Look at the runner's log, and run the "
                    "same command again."
                )
            with FileSystems.open(path) as file:
                found: list[bytes] = pickle.load(file)  # noqa: S301 - as _write left it
        except (RunError, UsageError):
            raise
        except Exception as error:
            if isinstance(error, KeyboardInterrupt | OSError):
                raise
            text = str(error)
            raise (
                failure_of(text)
                or setup_failure(text)
                or RunError(
                    f"Beam ended the pipeline: {reason_in(text)} The same command continues after "
                    "the last finished phase; UNROTE_DEBUG=1 shows Beam's own log."
                )
            ) from None
        finally:
            with suppress(Exception):
                FileSystems.delete([path])
        return found

    def _finished(self, pipeline: Any) -> Any:
        """Run a pipeline to its end: the state it ends in. An interruption ends its workers."""
        states: list[Any] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                self.result = pipeline.run()
                states.append(self.result.wait_until_finish())
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
                failed.append(error)

        thread = threading.Thread(target=run, name="unrote-beam", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.1)
        except BaseException:
            threading.excepthook = lambda _: None  # threads that lose their workers; we end, too
            end_children()
            raise
        if failed:
            raise failed[0]
        return states[0]


class _Options(PipelineOptions):  # type: ignore[misc]
    """Options that keep their views.

    Beam looks at them a hundred times a phase, and would build a parser of arguments each time.
    """

    def view_as(self, cls: type[Any]) -> Any:
        views: dict[type[Any], Any] = self.__dict__.setdefault("views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]


@contextmanager
def _temporary_in(folder: str) -> Iterator[None]:
    """Temporary files of this process lie in `folder`, if it is not ""."""
    before = tempfile.tempdir
    tempfile.tempdir = folder or before
    try:
        yield
    finally:
        tempfile.tempdir = before


def _spread(pipeline: Any, work: Sequence[Any]) -> Any:
    """What there is to do, each by itself with its number, on whichever worker is free."""
    numbered = beam.Create(list(enumerate(work)), reshuffle=False)
    return pipeline | numbered | "spread" >> beam.GroupByKey()


# What runs on the workers


def _pinned(element: tuple[int, Iterable[Shard]], options: Options) -> Iterator[tuple[int, bytes]]:
    use_options(options)
    for shard in element[1]:
        yield 0, pickle.dumps((shard.number, pin_shard(shard)))


def _write(element: tuple[int, Iterable[bytes]], path: str) -> None:
    with FileSystems.create(path) as file:
        pickle.dump(list(element[1]), file)


class _RunStep(beam.DoFn):  # type: ignore[misc]
    """A task of a step: its units in step 0, later the blocks that came for it.

    It gives each block with the task of the next step that it goes to, of which there are `count`;
    behind the last step is the driver, which gets what is in them.
    """

    def __init__(self, worker: Worker, step: int, count: int) -> None:
        self.worker = worker
        self.step = step
        self.count = count

    def process(self, element: tuple[int, Iterable[Any]]) -> Iterator[tuple[int, Any]]:
        Metrics.counter("unrote", "tasks").inc()
        last = self.step == self.worker.plan.steps
        for block in guarded(self._blocks)(element[1]):
            yield task_of(self.worker, block, self.count), block.payload if last else tuple(block)

    def _blocks(self, came: Iterable[Any]) -> Iterator[ShuffleBlock]:
        worker = self.worker
        if not self.step:
            yield from worker.start(number for numbers in came for number in numbers)
            return
        blocks = (ShuffleBlock(*element) for element in came)
        with arranged(blocks, worker.scratch, worker.memory // 8) as in_order:
            yield from worker.run_step(self.step, in_order)


# Options


def _options(settings: EngineSettings) -> list[str]:
    """Beam's options: the user's, and on this machine a worker for every core.

    Raises UsageError for what Beam would leave out silently, or end the process for.
    """
    given = list(settings.beam.options)
    for option in given:
        if not option.startswith("--"):
            raise UsageError(
                f"engine.beam.options has {option!r}. An option is written as one string that "
                'begins with --, for example ["--region=europe-west4"].'
            )
    named = {option.partition("=")[0] for option in given}
    if "--runner" in named:
        raise UsageError("engine.beam.options has --runner. Name the runner as engine.beam.runner.")
    unknown = _unknown(given)
    if unknown and _plain_name(settings.beam.runner) in LOCAL_RUNNERS | {"dataflow"}:
        near = difflib.get_close_matches(unknown[0], _parsed(given, unknown=False), 1)
        hint = f" Did you mean --{near[0]}?" if near else ""
        raise UsageError(
            f"engine.beam.options has --{unknown[0]}, which Beam does not know.{hint} Its options "
            f"for {settings.beam.runner} are in Beam's documentation of that runner."
        )
    endpoint = _parsed(given, unknown=False)["job_endpoint"]
    if endpoint and endpoint != "embed" and (why := why_silent(endpoint, "--job_endpoint")):
        raise UsageError(
            f"Beam's job server {endpoint} does not answer: {why}. Check --job_endpoint, that the "
            "server runs and that this machine may reach it."
        )
    if _plain_name(settings.beam.runner) in LOCAL_RUNNERS:
        if "--direct_num_workers" not in named:
            given.append(f"--direct_num_workers={settings.worker_count}")
        if "--direct_running_mode" not in named:
            given.append("--direct_running_mode=multi_threading")
    return given


def _unknown(options: list[str]) -> list[str]:
    """The names of options that no runner in this Beam has; a job server may have more."""
    return sorted(_parsed(options, unknown=True).keys() - _parsed(options, unknown=False).keys())


def _parsed(options: list[str], *, unknown: bool) -> dict[str, Any]:
    """Options by name, with those that Beam does not know or without."""
    said = io.StringIO()
    try:
        with _silent_logging(), redirect_stderr(said), redirect_stdout(said):
            found: dict[str, Any] = PipelineOptions(options).get_all_options(
                retain_unknown_options=unknown
            )
    except SystemExit:  # argparse, after it has said what it takes
        why = said.getvalue().strip().rpartition("\n")[2].partition("error: ")[2]
        raise UsageError(
            f"engine.beam.options = {options}: {why or '--help ends the program'}. Beam's options "
            "are in its documentation of the runner."
        ) from None
    return found


def _runner(name: str) -> Any:
    """Beam's runner of that name. Raises UsageError where there is none."""
    try:
        runner = create_runner(name)
        if isinstance(runner, PipelineRunner):
            return runner
        why = "that is no runner."
    except ValueError:
        why = "Beam has no such runner."
    except (ImportError, AttributeError, TypeError) as error:
        why = reason_in(str(error))
    raise UsageError(
        f"engine.beam.runner = {name!r}: {why} Name a runner that Beam knows, for example "
        "FnApiRunner (this machine), DataflowRunner, FlinkRunner or SparkRunner, and install what "
        "it needs."
    )


def _require_valid(runner: Any, options: list[str]) -> None:
    """Raise UsageError for options that the runner cannot do without, or not do with."""
    with _silent_logging():
        wrong = PipelineOptionsValidator(PipelineOptions(options), runner).validate()
    if wrong:
        raise UsageError(
            f"engine.beam.options are not enough for {type(runner).__name__}: {' '.join(wrong)} "
            "docs/engines.md has examples."
        )


def _plain_name(runner: str) -> str:
    """A runner's name as Beam compares it: DirectRunner is direct."""
    return runner.rpartition(".")[2].lower().removesuffix("runner")
