"""Files that come with the packages, and the folder where this machine keeps what is made once.

The packages may lie in a folder, in a wheel or in an archive that a cluster sent. What is only read
is read from there; a folder that libraries open by its path is copied out of an archive first.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from unrote import corpus
from unrote.corpus.errors import StorageError

DIGITS = 32


def packaged_file(package: str, name: str) -> bytes:
    """The content of a file of a package; `name` may have folders. Raises OSError."""
    return files(package).joinpath(name).read_bytes()


def packaged_folder(package: str, name: str) -> Path:
    """A folder of a package, as a folder on this machine's disk; only files in it count.

    Out of an archive it is copied into the cache, under the digest of what is in it: all processes
    of a machine share one copy, which is looked at before each use, and mended where it is damaged.
    Raises FileNotFoundError if the package has none, StorageError if it cannot be written anywhere.
    """
    found = files(package).joinpath(name)
    if not found.is_dir():
        raise FileNotFoundError(f"{found} is not there")
    if isinstance(found, Path):
        return found
    contents = {file.name: file.read_bytes() for file in found.iterdir() if file.is_file()}
    refused: list[str] = []
    for folder in _own_folders(f"{package}-{name}-{_digest(contents)}", refused):
        try:
            return _copied(folder, contents)
        except OSError as error:
            refused.append(f"{folder}: {error.strerror or error}")
    raise StorageError(
        f"{found} cannot be copied out of its archive ({'; '.join(refused)}). Set UNROTE_CACHE to "
        "a folder of yours with some 10 MB of space, on each machine that works."
    )


def own_folder(name: str) -> Path | None:
    """A folder on this machine for what is made once, that only this user can write to; None: there
    is nowhere.
    """
    return next(_own_folders(name, []), None)


def archive() -> str | None:
    """The wheel or zip that this program is imported from, if it is."""
    found = getattr(getattr(corpus.__spec__, "loader", None), "archive", None)
    return found if found is None else str(found)


def cache_folder() -> Path:
    """UNROTE_CACHE, or `unrote` in the user's cache folder. It need not be there."""
    if chosen := os.environ.get("UNROTE_CACHE"):
        return Path(chosen)
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen) / "unrote"
    try:
        return Path.home() / ".cache" / "unrote"
    except RuntimeError:  # a container's user without a name and a home
        return _temporary()


def store(path: Path, data: bytes) -> None:
    """Write a file under another name, then rename it: workers start together. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _temporary() -> Path:
    """One folder for each user: what is kept there is not written anew by each process."""
    return Path(tempfile.gettempdir()) / f"unrote-{os.getuid()}"


def _digest(contents: dict[str, bytes]) -> str:
    state = hashlib.sha256()
    for name, data in sorted(contents.items()):
        state.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(data).digest())
    return state.hexdigest()[:DIGITS]


def _own_folders(name: str, refused: list[str]) -> Iterator[Path]:
    """Folders of that name that only we can write to, the best first; `refused` gets why not."""
    for parent in (cache_folder(), _temporary()):
        folder = parent / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for one in (folder, parent):
                found = one.stat() if one == parent else one.lstat()
                if found.st_uid != os.getuid() or found.st_mode & 0o022:
                    raise PermissionError(None, "others may write there")
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            refused.append(f"{folder}: {error.strerror or error}")
        else:
            yield folder


def _copied(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        if not _holds(folder / name, data):
            store(folder / name, data)
    return folder


def _holds(path: Path, data: bytes) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_size == len(data) and path.read_bytes() == data
    return False
