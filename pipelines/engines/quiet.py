"""Programs that an engine starts: they don't write to the terminal, and end with us."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO


@contextmanager
def quiet_children(log: BinaryIO | None = None) -> Iterator[None]:
    """Processes started meanwhile write to `log`, or nowhere; this process's own streams stay.

    What they would say comes back as errors by other ways. UNROTE_DEBUG lets them speak.
    """
    if os.environ.get("UNROTE_DEBUG"):
        yield
        return
    with ExitStack() as stack:
        goes = os.open(os.devnull, os.O_WRONLY) if log is None else os.dup(log.fileno())
        stack.callback(os.close, goes)
        for name, number in (("stdout", 1), ("stderr", 2)):
            stack.enter_context(_elsewhere(name, number, goes))
        yield


@contextmanager
def _elsewhere(name: str, number: int, goes: int) -> Iterator[None]:
    """The descriptor `number` is `goes`; the stream `sys.name` writes where it wrote before."""
    stream = getattr(sys, name)
    if stream is not None:
        stream.flush()
    before = os.dup(number)
    os.set_inheritable(before, False)
    own = _number(stream) == number
    if own:
        again = os.fdopen(os.dup(before), "w", buffering=1, encoding=stream.encoding)
        setattr(sys, name, again)
    os.dup2(goes, number)
    try:
        yield
    finally:
        if own:
            again.close()
            setattr(sys, name, stream)
        os.dup2(before, number)
        os.close(before)


def _number(stream: object) -> int:
    try:
        return stream.fileno()  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError, ValueError):
        return -1


def end_children() -> None:
    """Kill all processes that descend from this one."""
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.check_output(["ps", "-A", "-o", "pid=,ppid="], text=True, timeout=5)
        children: dict[int, list[int]] = {}
        for line in listed.splitlines():
            pid, parent = map(int, line.split())
            children.setdefault(parent, []).append(pid)
        ends = list(children.get(os.getpid(), []))
        for pid in ends:  # which grows
            ends.extend(children.get(pid, []))
        for pid in ends:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
