"""One process at a time writes to OUT."""

from typing import IO

from unrote.corpus.errors import OutputError
from unrote.pipelines.locations import STATE, reaching
from unrote.pipelines.storage import Location, hold_lock, make_folder


def refuse_in_use(folder: Location, out: str) -> None:
    """Raise OutputError where another process writes to `folder`, before the input is read."""
    if (folder / STATE / "lock").exists():
        lock(folder, out).close()


def lock(folder: Location, out: str) -> IO[str]:
    """Keep other processes out of `folder` for as long as the file that this gives is open."""
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
    return handle
