"""Where the files of a run lie, and all that is done to them: the one module that knows of disks.

A `Location` is a folder or file in OUT, or in the folder for what is removed: a path on this
machine, or a URL. Whoever has one joins names to it with `/`, asks whether it exists, lists it, and
reads it; what makes, renames or removes is a function here. In a store nothing is renamed: a file
is written on this machine's disk and uploaded whole. Spilled data is no part of a run: it lies on
each worker's own disk.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import xxhash

from unrote.corpus.errors import StorageError
from unrote.corpus.storage import is_remote, open_stored, storage
from unrote.pipelines.remote import RemotePath

Location = Path | RemotePath
"""A file or folder of a run."""

LocalPath = Path
"""One that is on this machine's disk whatever OUT is: spilled data, or a file to be uploaded."""


def location(name: str | os.PathLike[str]) -> Location:
    """What `name` is of a run: OUT, or something in it."""
    return RemotePath(os.fspath(name)) if is_remote(name) else Path(name)


def absolute(name: str | os.PathLike[str]) -> Location:
    """The same, whatever folder a process works in; links are followed. Raises OSError."""
    return location(name) if is_remote(name) else Path(name).resolve()


def scratch_folder(named: str, state: Location, fingerprint: str) -> LocalPath:
    """The folder on this machine's disk for spilled data: in `named`, or in a run's `state` where
    that is on a disk.
    """
    if not named and isinstance(state, Path):
        return state / "scratch"
    if isinstance(state, RemotePath):  # of which several may be written to from one machine
        fingerprint = xxhash.xxh3_128_hexdigest(f"{state} {fingerprint}".encode())
    return Path(named or tempfile.gettempdir()) / f"unrote-{fingerprint[:16]}"


_HELD = "held"
"""A file in a temporary folder, locked by the process whose it is."""


@contextmanager
def temporary_folder(kind: str, parent: str = "") -> Iterator[LocalPath]:
    """A new folder in `parent`, or where temporary files are, which goes at the end of the block.

    Text of an input is in it. What is left of a process that was killed goes when the next one
    wants a folder of this `kind` there. Raises OSError.
    """
    root = Path(parent or tempfile.gettempdir())
    make_folder(root)
    prefix = f"unrote-{kind}-"
    _sweep(root, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=root) as name:
        folder = Path(name)
        unheld = folder / f".{_HELD}"
        with unheld.open("wb") as held:
            with suppress(OSError):  # a file system without locks, on which nobody sweeps
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                unheld.rename(folder / _HELD)
            yield folder


@cache
def _sweep(root: LocalPath, prefix: str) -> None:
    """Remove the temporary folders that nobody holds, once for each process."""
    for path in root.glob(f"{prefix}*"):
        with suppress(OSError):  # somebody holds it, it is somebody else's, or gone
            if path.lstat().st_uid != os.getuid() or path.is_symlink():
                continue
            with (path / _HELD).open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)


def on_disk(folder: Location, scratch: LocalPath) -> LocalPath:
    """`folder` where it is on a disk, else one of its name in `scratch`."""
    return folder if isinstance(folder, Path) else scratch / folder.name


def source(path: Location) -> Any:
    """What a reader of files takes: a path, or an open file of a store. Raises OSError."""
    return path if isinstance(path, Path) else open_stored(path)


def size_of(path: Location) -> int:
    """Bytes of a file. Raises OSError."""
    return path.stat().st_size if isinstance(path, Path) else path.size


def make_folder(folder: Location) -> None:
    """Make a folder and those above it, where they are missing. Raises OSError."""
    if isinstance(folder, Path):  # a store has no folders
        folder.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Location, content: bytes) -> None:
    """Write a small file so that it is there whole or not at all."""
    if isinstance(path, RemotePath):
        with storage(path, "write"):
            path.put(content)
        return
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


def write_hint(path: Location, content: bytes) -> None:
    """Write a small file that nothing depends on, whole or not at all, where its folder is there;
    what comes in its way is nobody's concern.
    """
    with suppress(OSError):
        if isinstance(path, RemotePath):
            path.put(content)
        else:
            temporary = path.with_name(f".{path.name}.part")
            temporary.write_bytes(content)
            temporary.replace(path)


@contextmanager
def staged(path: Location, scratch: LocalPath | None = None) -> Iterator[LocalPath]:
    """A name to write to, which becomes `path` when all went well: beside it, or in `scratch`.

    Tasks may be run again, and by two workers at once: each has a file of its own, and all of them
    the same content. Where nothing is written there is no file.
    """
    name = f".{path.name}.{uuid.uuid4().hex}.part"
    if isinstance(path, RemotePath):
        folder = scratch or Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / name
    else:
        temporary = path.with_name(name)
    try:
        yield temporary
        if temporary.exists():
            with storage(path, "write"):
                if isinstance(path, RemotePath):
                    path.upload(str(temporary))
                else:
                    temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def written(path: Location, scratch: LocalPath) -> Iterator[LocalPath]:
    """As `staged`, for who alone writes `path`: on a disk that is where it is written."""
    if isinstance(path, Path):
        make_folder(path.parent)
        yield path
        return
    with staged(path, scratch) as temporary:
        yield temporary


def remove_leftovers(folder: Location) -> None:
    """Remove what tasks that were killed had begun to write in `staged`."""
    if isinstance(folder, Path):  # on a store there is nothing that is half written
        for parent, _, names in os.walk(folder, onerror=_unless_gone):
            for name in names:
                if name.startswith(".") and name.endswith(".part"):
                    Path(parent, name).unlink(missing_ok=True)


def _unless_gone(error: OSError) -> None:
    """A folder that another process removed in between has nothing in it."""
    if not isinstance(error, FileNotFoundError):
        raise error


def move(origin: Location, target: Location) -> None:
    """Give a file or folder another name; a file on this machine's disk may go to a store.

    Raises OSError.
    """
    if isinstance(origin, RemotePath):
        assert isinstance(target, RemotePath)
        origin.move(target)
    elif isinstance(target, RemotePath):
        target.upload(str(origin))
        origin.unlink()
    else:
        try:
            origin.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:  # scratch may lie on another disk
                raise
            shutil.move(origin, target)


def remove(path: Location) -> None:
    """Remove a file, if it is there. Raises OSError."""
    if isinstance(path, RemotePath):
        path.unlink()
    else:
        path.unlink(missing_ok=True)


def remove_empty(folder: Location) -> None:
    """Remove a folder if nothing is in it."""
    if isinstance(folder, Path) and not any(folder.iterdir()):
        folder.rmdir()


def remove_folder(folder: Location) -> None:
    """Remove a folder with all that is in it, if it is there. Raises OSError."""
    if isinstance(folder, RemotePath):
        folder.remove_folder()
    elif folder.exists():
        shutil.rmtree(folder)


def discard_folder(folder: Location) -> None:
    """Remove what can be removed of a folder that nobody reads again."""
    if isinstance(folder, RemotePath):
        with suppress(OSError):
            folder.remove_folder()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def discard_state(folder: Location) -> None:
    """The same of the folder of what only a run itself needs. In a store its lease stays, which the
    run still holds.
    """
    if isinstance(folder, RemotePath):
        with suppress(OSError):
            for path in folder.iterdir():
                if path.name != "lease":
                    path.remove_folder()
    else:
        discard_folder(folder)


def make_private(folder: Location) -> None:
    """Keep a folder's files from everybody but its owner. In a store its owner's rules do that."""
    if isinstance(folder, Path):
        folder.chmod(0o700)


def stamps(folder: Location) -> dict[str, str]:
    """Of a folder in a store, what tells each file from one that was written later, by its path in
    the folder; {} of one on a disk, where a power cut leaves files that only their content tells.
    """
    return folder.stamps() if isinstance(folder, RemotePath) else {}


def is_reached(name: str) -> bool:
    """Whether this process can use a folder of a run that another one made."""
    folder = location(name)
    if isinstance(folder, Path):
        return folder.exists()
    probe = folder / f"probe-{uuid.uuid4().hex}"
    try:
        probe.put(b"")
        found = probe.exists()
        probe.unlink()
    except OSError:
        return False
    return found


_LOOKS, _LOOK = 5, 0.02
"""How often, and seconds after which, a lock is tried again before it is taken for held."""


def is_locked(path: LocalPath) -> bool:
    """Whether a process has the lock of a file. Who looks shares it for an instant, which
    `hold_lock` waits for. Raises OSError where its disk has no locks.
    """
    try:
        with path.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def hold_lock(path: LocalPath) -> IO[str] | None:
    """Lock a file for as long as what this gives is open; None where another process has it.

    Raises OSError where the file cannot be made, or its disk has no locks.
    """
    looks = _LOOKS
    while True:
        make_folder(path.parent)
        handle = path.open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            if looks == 0:
                return None
            looks -= 1  # it may be one who only looks (is_locked), for an instant
            time.sleep(_LOOK)
            continue
        except OSError:
            handle.close()
            raise
        # The process that had it may have removed the file between our two calls.
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            return handle
        handle.close()
