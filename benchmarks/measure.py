"""Measures a command from outside: time to its end, processor time, memory of all its processes.

Read from /proc, so on Linux only. Memory is sampled: the resident set of a process that is alone,
otherwise the proportional sets of all (what forked workers share is counted once), and never less
than the highest resident set that the kernel noted for any of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL = 0.02
TREE_INTERVAL = 0.1  # proportional sets cost milliseconds to read, and hold the process up
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


class CommandFailedError(Exception):
    """A measured command did not end well; the message has the end of what it said."""


@dataclass(frozen=True)
class Measured:
    """One run: seconds until its end, seconds of processor time (user and system), MiB."""

    wall: float
    cpu: float
    peak: float


@dataclass
class _Sampler:
    root: int
    told: Callable[[float], None] = lambda _: None
    stopped: threading.Event = field(default_factory=threading.Event)
    peak: float = 0.0
    highest: dict[int, float] = field(default_factory=dict)
    ticks: dict[int, int] = field(default_factory=dict)
    resident: float = 0.0  # of the process that was noted last

    def run(self) -> None:
        interval = INTERVAL
        while not self.stopped.wait(interval):
            processes = _tree(self.root)
            for pid in processes:
                self._note(pid)
            now = self.resident
            if len(processes) > 1:
                now = sum(map(_proportional, processes))
                self.peak = max(self.peak, now)
                interval = TREE_INTERVAL
            else:
                interval = INTERVAL
            self.told(now)
        self.peak = max(self.peak, *self.highest.values(), 0.0)

    def _note(self, pid: int) -> None:
        """Remembers a process's own time and highest resident set: soon it may be gone."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        self.ticks[pid] = int(fields[11]) + int(fields[12])
        if "VmHWM:" in status:  # absent in a process that is ending
            self.highest[pid], self.resident = _mib(status, "VmHWM:"), _mib(status, "VmRSS:")


def _tree(root: int) -> list[int]:
    """A process and all its descendants."""
    found, open_ = [], [root]
    while open_:
        pid = open_.pop()
        found.append(pid)
        try:
            for task in os.scandir(f"/proc/{pid}/task"):
                open_.extend(map(int, Path(task.path, "children").read_text().split()))
        except OSError:
            continue
    return found


def _proportional(pid: int) -> float:
    """A process's proportional set in MiB."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return _mib(text, "\nPss:") if "\nPss:" in text else 0.0


def _mib(text: str, name: str) -> float:
    """What /proc says of a name, which it does in kB."""
    return int(text[text.index(name) :].split(maxsplit=2)[1]) * 1024 / MIB


def measure(
    command: Sequence[str | os.PathLike[str]],
    log: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 3600,
    told: Callable[[float], None] = lambda _: None,
) -> Measured:
    """Runs a command to its end; what it prints goes to `log`.

    told: is called meanwhile, again and again, with the MiB that it has.
    """
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        sampler = _Sampler(process.pid, told)
        thread = threading.Thread(target=sampler.run)
        thread.start()
        alarm = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        alarm.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    alarm.cancel()
    sampler.stopped.set()
    thread.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        why = f"no end after {timeout:.0f} s" if wall >= timeout else f"exit {process.returncode}"
        tail = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        raise CommandFailedError(f"{why}: {tail[-300:]}")
    # A fork server's workers are nobody's waited-for children: their time is known by sampling.
    sampled = sum(sampler.ticks.values()) / TICKS
    return Measured(wall, max(usage.ru_utime + usage.ru_stime, sampled), sampler.peak)
