"""How the command ends, whatever went wrong: one message on stderr and one exit status."""

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

from unrote.corpus import display
from unrote.corpus.errors import RunError, UnroteError

FAILED = 3


PATIENCE = 5.0
"""Seconds from a signal to the end, in which what runs may end by itself. Ten were promised, and
Kubernetes kills after thirty."""

LOST = 0.05
"""Seconds until an interruption comes again that was lost in a destructor."""


def catch_signals() -> None:
    """End a run at SIGINT and SIGTERM as at an error; a second signal ends the process at once.

    What does not end by itself in `PATIENCE` seconds is left: a kernel or a library that computes
    does not come back to Python, and a main thread in one does not see the signal at all. So the
    system writes signals into a pipe as well, at which a thread waits.
    """
    caught = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) != signal.SIG_IGN  # as in a shell's background jobs
    ]
    for number in caught:
        signal.signal(number, _interrupt)
    if caught:
        sys.unraisablehook = _raise_again(caught[0], sys.unraisablehook)
        reads, writes = os.pipe()
        os.set_blocking(writes, False)
        signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(reads, caught), daemon=True).start()


def _raise_again(number: int, otherwise: Callable[[Any], object]) -> Callable[[Any], None]:
    """A hook for exceptions that nobody can catch: an interruption that met a destructor, or what
    a library calls back, comes again a moment later, where it ends the run.
    """

    def hook(lost: Any) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            otherwise(lost)
            return
        signal.signal(number, _interrupt)
        main = threading.main_thread().ident
        again = threading.Timer(LOST, signal.pthread_kill, (main, number))
        again.daemon = True
        again.start()

    return hook


def _watch(reads: int, caught: Sequence[int]) -> None:
    """Wait for one of the caught signals, and end the process if it is still there then."""
    while not set(os.read(reads, 1)) & set(caught):
        pass
    time.sleep(PATIENCE)
    report(interrupted())
    _gone()


def fill_closed() -> None:
    """Open standard streams that the caller closed, or files of ours would take their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    signal.signal(number, _leave)
    raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    _gone()


def _gone() -> NoReturn:
    """End this process and those it started, now. Nothing is lost: a run can be continued from
    whatever it left, and its lock ends with the process.
    """
    from unrote.pipelines.engines.quiet import end_children  # noqa: PLC0415 - not for --help

    end_children()
    with contextlib.suppress(OSError, AttributeError, ValueError):
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")  # a progress bar hides the cursor
            sys.stderr.flush()
    os._exit(FAILED)


def interrupted() -> RunError:
    """What an interruption is reported as."""
    return RunError("interrupted. The same command continues after the last finished phase.")


def close_stdout() -> None:
    """Let nobody write to a pipe whose reader went away, the interpreter at its end included."""
    if sys.stdout is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def report(error: BaseException) -> int:
    """Say on stderr what went wrong; the exit status for it."""
    if isinstance(error, UnroteError):
        message, status = str(error), error.exit_status
    elif isinstance(error, KeyboardInterrupt):
        message, status = str(interrupted()), FAILED
    elif isinstance(error, MemoryError):
        message, status = (
            "out of memory. Lower engine.memory or engine.workers, for example with --set "
            "engine.workers=1, and run the same command again.",
            FAILED,
        )
    elif isinstance(error, OSError):
        message, status = _refused(error), FAILED
    else:
        message, status = "\n".join(_bug(error)), FAILED
    if sys.stderr is not None:
        safe = "\n".join(map(display.line, message.split("\n")))
        sys.stderr.write(f"unrote: {safe}\n")
    return status


def _refused(error: OSError) -> str:
    """What an operating system's error is reported as where nobody said it better."""
    if error.filename is None:
        close_stdout()  # of the places that are written to, the one without a name
    return f"cannot read or write {error.filename or 'standard output'}: {error.strerror or error}."


def _bug(error: BaseException) -> Iterator[str]:
    """Where a bug showed. Exceptions' own words are left out: they may quote a document."""
    yield "this is a bug in unrote. Please report it with these lines; no text of a document is in"
    yield "them. UNROTE_DEBUG=1 adds the errors' own words, in which there may be some."
    if os.environ.get("UNROTE_DEBUG"):
        yield "".join(traceback.format_exception(error)).rstrip()
        return
    for one in reversed(list(_chain(error))):
        yield "".join(traceback.format_tb(one.__traceback__)) + type(one).__qualname__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those it came from, the last one first."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def leave(status: int) -> NoReturn:
    """End the process at once, after what was printed is out."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):  # a closed pipe was reported before
            stream.flush()
    os._exit(status)
