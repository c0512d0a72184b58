"""Worker processes of the local engine, for stages that are Python and hold the interpreter lock.

A process is started afresh and not forked: the parent has threads. It ends when its parent does,
whatever way that went, and leaves interrupts to it.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from typing import Any

import pyarrow as pa

from unrote.corpus.errors import RunError
from unrote.corpus.pulse import heard_by, pulse
from unrote.corpus.schema import Tagged
from unrote.corpus.storage import Options, options_in_use, use_options
from unrote.pipelines.engines.base import Read, Stage, Workspace
from unrote.pipelines.engines.failures import WorkerFailure, failure_of, guarded
from unrote.pipelines.engines.memory import be_frugal, freeze_modules
from unrote.pipelines.engines.slices import Reader, Task
from unrote.pipelines.engines.watch import Meter
from unrote.pipelines.start import start_quickly, starts_quickly

LOOK_SECONDS = 0.5
"""How often a thread that waits for a process looks whether it still shall."""

OBJECTS = 50_000
"""So many more objects there are before a process looks for garbage: of what imports and stages
make in their hundreds of thousands nearly all stays, or goes as soon as nothing refers to it."""

Packed = tuple[str, bytes]
"""A tagged batch on its way: the tag, and the batch as Arrow IPC."""


class Processes:
    """So many processes as `workers`, started when first needed."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._shares: Any = None  # of its task that is done, for each thread that waits
        self._free: SimpleQueue[int] = SimpleQueue()
        self._changing = threading.Lock()  # a task that is handed over may start a process

    def map(self, stage: Stage, run: Workspace, source: Read, batch: int, task: Task) -> Tagged:
        """What `stage` makes of a task of `source`, in another process; it is all there at once.

        Safe for use by as many threads as there are workers. Sends a pulse while it waits. Raises
        what the process raised, RunError if it died.
        """
        if self._pool is None:
            raise RuntimeError("open() comes first")
        slot = self._free.get()
        try:
            self._shares[slot] = 0.0
            running = self._submit(stage, run, source, batch, task, slot)
            while running not in wait([running], LOOK_SECONDS).done:
                pulse(self._shares[slot])
            packed = running.result()
        except WorkerFailure as failure:
            error = failure_of(str(failure))
            raise (failure if error is None else error) from None
        except BrokenProcessPool:
            raise RunError(
                "a worker process died; the machine may be out of memory. Lower engine.workers, "
                "for example with --set engine.workers=1, and run the same command again."
            ) from None
        finally:
            self._free.put(slot)
        for tag, content in packed:
            with pa.ipc.open_stream(content) as stream:
                yield from ((tag, one) for one in stream)

    def _submit(self, *task: Any) -> Future[list[Packed]]:
        with self._changing:
            if self._pool is None:
                raise CancelledError  # closed since: another thread's task has failed
            return self._pool.submit(_work, *task)

    def open(self) -> None:
        """Make the pool, if there is none. Not for several threads."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._shares = context.Array("d", self._workers, lock=False)
            self._free = SimpleQueue()
            for slot in range(self._workers):
                self._free.put(slot)
            self._pool = ProcessPoolExecutor(
                self._workers,
                context,
                initializer=_start,
                initargs=(self._shares, options_in_use(), starts_quickly()),
            )

    def close(self) -> None:
        """End the processes, which are done or whose work is not wanted any more."""
        with self._changing:
            pool, self._pool = self._pool, None
            if pool is None:
                return
            running = list((pool._processes or {}).values())  # no public way to end what runs
        pool.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.terminate()
        for process in running:
            process.join()


_shares: Any = None
"""In a process: where it writes, by slot, how far it is."""


def _start(shares: Any, options: Options, quick: bool) -> None:
    """Prepare a process. options: of the stores that it reads from. quick: `starts_quickly`."""
    global _shares  # noqa: PLW0603 - the only way into a pool's processes
    _shares = shares
    gc.set_threshold(OBJECTS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all of us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent: Any = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    use_options(options)
    pa.set_cpu_count(1)
    be_frugal()
    if quick:
        start_quickly()


def _work(
    stage: Stage, run: Workspace, source: Read, batch: int, task: Task, slot: int
) -> list[Packed]:
    def report(share: float) -> None:
        _shares[slot] = share

    meter = Meter(report)
    with heard_by(meter.listen):
        done = list(guarded(_packed)(stage, run, source, batch, task, meter))
    freeze_modules()
    return done


def _packed(
    stage: Stage, run: Workspace, source: Read, batch: int, task: Task, meter: Meter
) -> Iterator[Packed]:
    reader = Reader(run, source, batch)
    with stage.open() as work:
        for tag, one in work(meter.reading(reader.read(task), task.bytes)):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, one.schema) as writer:
                writer.write_batch(one)
            yield tag, sink.getvalue().to_pybytes()
