"""Where the files of a run lie, and all that is done to them: the one module that knows of disks.

A `Location` is a folder or file in OUT, or in the folder for what is removed. Whoever has one joins
names to it with `/`, asks whether it exists, lists it, and reads it; what makes, renames or removes
is a function here. Spilled data is no part of a run: it lies on each worker's own disk.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unrote.corpus.errors import StorageError
from unrote.corpus.storage import storage

Location = Path
"""A file or folder of a run. universal_pathlib's UPath has the same methods for object stores."""


def location(name: str | os.PathLike[str]) -> Location:
    """What `name` is of a run: OUT, or something in it."""
    return Location(name)


def absolute(name: str | os.PathLike[str]) -> Location:
    """The same, whatever folder a process works in; links are followed. Raises OSError."""
    return Location(name).resolve()


def make_folder(folder: Location) -> None:
    """Make a folder and those above it, where they are missing. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Location, content: bytes) -> None:
    """Write a small file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        make_folder(path.parent)
        with temporary.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}. Free space and run the same command again."
        ) from None


@contextmanager
def staged(path: Location) -> Iterator[Location]:
    """A name beside `path` to write to, which becomes `path` when all went well.

    Tasks may be run again, and by two workers at once: each has a file of its own, and all of them
    the same content. Where nothing is written there is no file.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield temporary
        if temporary.exists():
            with storage(path, "write"):
                temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Location) -> None:
    """Remove what tasks that were killed had begun to write in `staged`."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def move(source: Location, target: Location) -> None:
    """Give a file or folder another name; `target` is not there. Raises OSError."""
    shutil.move(source, target)


def remove(path: Location) -> None:
    """Remove a file, if it is there. Raises OSError."""
    path.unlink(missing_ok=True)


def remove_empty(folder: Location) -> None:
    """Remove a folder if nothing is in it."""
    if not any(folder.iterdir()):
        folder.rmdir()


def remove_folder(folder: Location) -> None:
    """Remove a folder with all that is in it, if it is there. Raises OSError."""
    if folder.exists():
        shutil.rmtree(folder)


def discard_folder(folder: Location) -> None:
    """Remove what can be removed of a folder that nobody reads again."""
    shutil.rmtree(folder, ignore_errors=True)


def make_private(folder: Location) -> None:
    """Keep a folder's files from everybody but its owner."""
    folder.chmod(0o700)


def hold_lock(path: Location) -> IO[str] | None:
    """Lock a file for as long as what this gives is open; None where another process has it.

    Raises OSError where the file cannot be made, or its disk has no locks.
    """
    while True:
        make_folder(path.parent)
        handle = path.open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        except OSError:
            handle.close()
            raise
        # The process that had it may have removed the file between our two calls.
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            return handle
        handle.close()
