"""Tries of a target in processes of their own: a crash, a hang or too much memory is one of the
things that may come of a try.
"""

import os
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60
"""Seconds after which a try is taken for one that hangs."""

TOGETHER = 100
"""Tries of one process."""

Target = Callable[[random.Random, Path], str]


@dataclass(frozen=True)
class Try:
    """What came of one try: a word of the target's, or a fault. seconds: it took."""

    number: int
    came: str
    is_fault: bool
    seconds: float


def tries(target: Target, first: int, until: float) -> Iterator[Try]:
    """Tries from number `first` on, until that time (time.monotonic) is reached."""
    number = first
    while time.monotonic() < until:
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reads)
            with os.fdopen(writes, "w") as told:
                _work(target, number, until, told)
            os._exit(0)
        os.close(writes)
        begun = number
        with os.fdopen(reads) as told:
            for line in told:
                kind, *said = line.rstrip("\n").split("\t")
                if kind == "begun":
                    begun = int(said[0])
                else:
                    yield Try(int(said[0]), said[2], kind == "fault", float(said[1]))
                    number = int(said[0]) + 1
        _, status = os.waitpid(child, 0)
        if status:
            how = signal.Signals(status & 127).name if status & 127 else f"status {status >> 8}"
            yield Try(begun, f"the process ended with {how}", True, 0.0)
            number = begun + 1


def once(target: Target, number: int) -> tuple[str, bool]:
    """One try here: what came of it, and whether that is a fault."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        return target(random.Random(number), folder), False
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f[0]]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        return f"{type(error).__name__} at {where}: {' '.join(str(error).split())[:300]}", True
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _work(target: Target, number: int, until: float, told) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    largest = 0
    for each in range(number, number + TOGETHER):
        print("begun", each, sep="\t", file=told, flush=True)
        signal.alarm(PATIENCE)
        began = time.monotonic()
        came, is_fault = once(target, each)
        took = time.monotonic() - began
        signal.alarm(0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        if largest and peak > largest + MEMORY:
            came, is_fault = f"took {peak - largest} MiB more than any before", True
        largest = max(largest, peak)
        kind = "fault" if is_fault else "done"
        print(kind, each, f"{took:.3f}", came, sep="\t", file=told, flush=True)
        if time.monotonic() > until:
            return


MEMORY = 1024
"""MiB that a try over some kilobytes may not take more than those before it."""
