"""One process at a time writes to OUT: a lock on a disk, a lease in a store."""

from typing import IO, Protocol

from unrote.corpus.errors import OutputError
from unrote.pipelines.lease import Lease, refuse_held
from unrote.pipelines.locations import STATE, reaching
from unrote.pipelines.remote import RemotePath
from unrote.pipelines.storage import Location, hold_lock, make_folder


class Held(Protocol):
    """OUT, for this process alone."""

    def require(self) -> None:
        """Raise RunError where another process may have it by now."""
        ...

    def close(self) -> None:
        """Let others have it."""
        ...


class FileLock:
    """A lock that the system keeps as long as its file is open."""

    def __init__(self, handle: IO[str] | None = None) -> None:
        self._handle = handle

    def require(self) -> None:
        """It is not lost."""

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()


def refuse_in_use(folder: Location, out: str, kind: str = "auto") -> None:
    """Raise OutputError where another process writes to `folder`, before the input is read."""
    if kind == "none":
        return
    if isinstance(folder, RemotePath):
        with reaching(out):
            refuse_held(folder / STATE / "lease", out)
    elif (folder / STATE / "lock").exists():
        lock(folder, out).close()


def lock(folder: Location, out: str, kind: str = "auto") -> Held:
    """Keep other processes out of `folder` until what this gives is closed.

    kind: "auto", or "none" where the user sees to it. Raises OutputError.
    """
    if kind == "none":
        return FileLock()
    if isinstance(folder, RemotePath):
        lease = Lease(folder / STATE / "lease", out)
        with reaching(out):
            lease.take()
        return lease
    path = folder / STATE / "lock"
    with reaching(out):
        make_folder(path.parent)
        path.touch()
    try:
        handle = hold_lock(path)
    except OSError as error:
        raise OutputError(
            f"cannot lock {path}: {error.strerror}. Name a folder on another disk."
        ) from None
    if handle is None:
        raise OutputError(f"another run is writing to {out}. Wait for it, or name another folder.")
    return FileLock(handle)
