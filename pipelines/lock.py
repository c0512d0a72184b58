"""One process at a time writes to OUT."""

import fcntl
import os
from pathlib import Path
from typing import IO

from unrote.corpus.errors import OutputError
from unrote.pipelines.places import STATE, reaching


def refuse_in_use(folder: Path, out: str) -> None:
    """Raise OutputError where another process writes to `folder`, before the input is read."""
    if (folder / STATE / "lock").exists():
        lock(folder, out).close()


def lock(folder: Path, out: str) -> IO[str]:
    """Keep other processes out of `folder` for as long as the file that this gives is open."""
    path = folder / STATE / "lock"
    while True:
        with reaching(out):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.close()
            if not isinstance(error, BlockingIOError):
                raise OutputError(
                    f"cannot lock {path}: {error.strerror}. Name a folder on another disk."
                ) from None
            raise OutputError(
                f"another run is writing to {out}. Wait for it, or name another folder."
            ) from None
        # The run that had it may have dropped the file between our two calls.
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            return handle
        handle.close()
