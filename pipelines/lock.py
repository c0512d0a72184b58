"""One process at a time writes to OUT: a lock on a disk, a lease in a store."""

import os
import time
from collections.abc import Callable
from typing import IO, Literal, Protocol

import orjson

from unrote.corpus.errors import OutputError, OutputInUse, RunError
from unrote.pipelines.lease import Lease, holder, refuse_held
from unrote.pipelines.locations import STATE, reaching
from unrote.pipelines.owner import UNKNOWN, Owner, in_use, refuse_alive, this_process
from unrote.pipelines.remote import RemotePath
from unrote.pipelines.storage import LocalPath, Location, hold_lock, is_locked, make_folder, remove

Kind = Literal["auto", "none", "break"]
"""As the setting output.lock has it."""

AGAIN = 0.5
"""Seconds after which OUT is looked at again, while a run waits for it."""


class Held(Protocol):
    """OUT, for this process alone."""

    def require(self) -> None:
        """Raise RunError where another process may have it by now."""
        ...

    def close(self) -> None:
        """Let others have it."""
        ...


class Unlocked:
    """OUT where the user sees to it."""

    def require(self) -> None:
        """It is the user's word."""

    def close(self) -> None:
        """There is nothing to give back."""


class FileLock:
    """A lock that the system keeps as long as its file is open; in the file is who has it."""

    def __init__(self, path: LocalPath, handle: IO[str], out: str) -> None:
        self._path = path
        self._handle = handle
        self._out = out
        handle.truncate(0)
        handle.write(orjson.dumps(this_process().to_json()).decode())
        handle.flush()

    def require(self) -> None:
        """Raise RunError where the lock was broken (--break-lock)."""
        try:
            same = os.path.samestat(os.fstat(self._handle.fileno()), self._path.stat())
        except OSError:
            same = False
        if not same:
            raise RunError(
                f"{self._out} was taken from this run by another one (--break-lock). Wait for it, "
                "or name another folder."
            )

    def close(self) -> None:
        self._handle.close()


def waited(attempt: Callable[[], None], seconds: float, note: Callable[[str], None]) -> None:
    """Call `attempt` until OUT is not in use, for `seconds` at most. Raises OutputInUse then.

    note: says once that it is waited for.
    """
    until, told = time.monotonic() + seconds, False
    while True:
        try:
            return attempt()
        except OutputInUse as error:
            if time.monotonic() >= until:
                raise
            if not told:
                who = str(error).partition(". ")[0]
                note(f"{who}; waiting up to {seconds:g} seconds for it (output.lock_timeout).")
                told = True
            time.sleep(min(AGAIN, max(0.0, until - time.monotonic())))


def refuse_in_use(folder: Location, out: str, kind: Kind = "auto") -> None:
    """Raise OutputInUse where another process writes to `folder`, before the input is read."""
    if kind == "auto":
        if isinstance(folder, RemotePath):
            with reaching(out):
                refuse_held(folder / STATE / "lease", out)
        elif (held := file_holder(folder / STATE / "lock")) is not None:
            raise in_use(out, held, "" if held.is_alive else _HINT)


def lock(folder: Location, out: str, kind: Kind = "auto") -> Held:
    """Keep other processes out of `folder` until what this gives is closed.

    Raises OutputInUse where another one has it, OutputError where it cannot be locked.
    """
    if kind == "none":
        return Unlocked()
    if isinstance(folder, RemotePath):
        lease = Lease(folder / STATE / "lease", out)
        with reaching(out):
            lease.take(breaking=kind == "break")
        return lease
    path = folder / STATE / "lock"
    with reaching(out):
        make_folder(path.parent)
        if kind == "break" and (held := file_holder(path)) is not None:
            refuse_alive(out, held)
            remove(path)
        path.touch()
    try:
        handle = hold_lock(path)
    except OSError as error:
        raise OutputError(
            f"cannot lock {path}: {error.strerror}. Name a folder on another disk."
        ) from None
    if handle is None:
        refuse_in_use(folder, out)
        raise in_use(out, None)  # it was given back in between
    return FileLock(path, handle, out)


_HINT = "If it was lost with its machine, --break-lock takes the folder from it."


def file_holder(path: LocalPath) -> Owner | None:
    """Who holds the lock file `path`; None where nobody does.

    Raises OutputError where its disk has no locks.
    """
    try:
        if not is_locked(path):
            return None
    except OSError as error:
        raise OutputError(
            f"cannot lock {path}: {error.strerror}. Name a folder on another disk."
        ) from None
    try:
        return Owner.of(orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return UNKNOWN  # it is about to write who it is


def holder_of(folder: Location) -> Owner | None:
    """Who writes to OUT `folder` now; None where nobody does."""
    if not isinstance(folder, RemotePath):
        return file_holder(folder / STATE / "lock")
    link = holder(folder / STATE / "lease")
    return None if link is None or link.is_free(time.time()) else link.owner
