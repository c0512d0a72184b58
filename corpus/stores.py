"""Object stores and other file systems behind fsspec: reached, read by exact ranges, written to.

Whatever a file system's library raises comes out of here as an OSError that says why in a line, and
what may pass by itself is tried again.
"""

import errno
import io
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import fsspec

from unrote.corpus.errors import InputChanged, UnroteError
from unrote.corpus.storage import NotSetUp, options_in_use

Result = TypeVar("Result")

WHOLE = 1 << 20
"""A file of so many bytes is fetched at once: a Parquet file's end, its pages and the round trips
for each would cost more."""

ATTEMPTS = 4
"""How often a call is made that fails for what may pass. The libraries try again too."""

_PATIENCE = 0.5
"""Seconds before the second attempt, about; then twice as long each time."""

_FLAT = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory")
"""Stores without folders: none has to be made for a file. s3fs would make buckets."""

_LISTED_ANEW = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
"""Stores whose library keeps what it listed, which a second machine may have changed since."""

_FINAL = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)

_PASSING = {
    errno.EIO,
    errno.EBUSY,
    errno.EAGAIN,
    errno.ETIMEDOUT,
    errno.ECONNRESET,
    errno.EPIPE,
    getattr(errno, "EREMOTEIO", errno.EIO),
}


def protocol_of(url: str) -> str:
    """The protocol of the store that a URL leads to, the last one of a chain."""
    return url.partition("://")[0].rpartition("::")[2]


def connect(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL or path, and the path there. Raises OSError."""
    protocol = protocol_of(url) if "://" in url else "file"
    given: dict[str, Any] = dict(options_in_use().get(protocol, {}))
    if protocol in _LISTED_ANEW:
        given.setdefault("use_listings_cache", False)
    if protocol in ("s3", "s3a"):  # parts of 50 MiB that an upload holds in memory; 10 of them else
        given.setdefault("max_concurrency", 2)
    if "::" in url:
        given = {protocol: given}
    try:
        filesystem, path = fsspec.core.url_to_fs(url, **given)
    except Exception as error:
        raise not_set_up(error, protocol, url) from error
    return filesystem, path


_HADOOP = (
    "Hadoop's libraries are needed: set JAVA_HOME and HADOOP_HOME, and CLASSPATH to what `hadoop "
    "classpath --glob` prints"
)


def not_set_up(error: Exception, protocol: str, url: str) -> OSError:
    """What a library raised before it reached a store, and what is missing where that is known."""
    said = str(as_oserror(error, url).strerror).rstrip(".")
    arguments = re.findall(r"'(\w+)'", said.partition("required positional argument")[2])
    if protocol == "hdfs":
        said = f"{said}: {_HADOOP}"
    elif isinstance(error, TypeError) and arguments:
        named = " and ".join(arguments)
        said = f"{protocol}:// needs {named}: give them as storage.options.{protocol}"
    elif isinstance(error, ImportError):
        said = f"{said}; in the environment that unrote runs in, with pip"
    else:
        return as_oserror(error, url)
    return NotSetUp(errno.EINVAL, said, url)


def as_oserror(error: Exception, url: str) -> OSError:
    """What a library raised, as an OSError with one line of why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = (lines[0] if lines else type(error).__name__).rstrip(".")
    if isinstance(error, OSError):
        if error.strerror or not error.args:
            return error
        known: type[OSError] = next(k for k in type(error).__mro__ if k.__module__ == "builtins")
        return known(error.errno or _errno_of(error), said, url)
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"):
        _forget(protocol_of(url))
        said = f"{said}: give credentials as the store's own tools take them, or in storage.options"
        return PermissionError(errno.EACCES, said, url)
    if isinstance(error, ImportError | ValueError | TypeError):
        return OSError(errno.EINVAL, said, url)
    return OSError(errno.ECONNABORTED, said if said != name else f"{name} without a word", url)


def _forget(protocol: str) -> None:
    """Have file systems of a store made anew: those that are known were made without credentials,
    and a program that gives them now would go on without.
    """
    fsspec.get_filesystem_class(protocol).clear_instance_cache()


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turns what a library raises into an OSError; our own errors stay."""
    try:
        yield
    except UnroteError:
        raise
    except Exception as error:
        raise as_oserror(error, url) from error


def _errno_of(error: OSError) -> int:
    known = {FileNotFoundError: errno.ENOENT, FileExistsError: errno.EEXIST}
    known |= {PermissionError: errno.EACCES, TimeoutError: errno.ETIMEDOUT}
    return next((number for kind, number in known.items() if isinstance(error, kind)), errno.EIO)


def store_of(url: str) -> tuple["Store", str]:
    """The store that a URL leads to, and the path there. Raises OSError."""
    filesystem, path = connect(url)
    return Store(filesystem, url[: len(url) - len(path)] if url.endswith(path) else ""), path


class Store:
    """A file system behind fsspec. Its paths are fsspec's, without the protocol."""

    def __init__(self, filesystem: Any, prefix: str = "") -> None:
        self.filesystem = filesystem
        self._prefix = prefix

    def info(self, path: str) -> dict[str, Any]:
        """What is known of a file, its size among it. Raises FileNotFoundError."""
        found: dict[str, Any] = self._call(self.filesystem.info, path)
        return found

    def exists(self, path: str) -> bool:
        """Whether there is a file, or a folder with something in it."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder."""
        try:
            return bool(self.info(path)["type"] == "directory")
        except FileNotFoundError:
            return False

    def list(self, folder: str) -> list[dict[str, Any]]:
        """What is directly in a folder; nothing where there is none."""
        try:
            found = self._call(lambda path: self.filesystem.ls(path, detail=True), folder)
        except FileNotFoundError:
            return []
        own = folder.strip("/")
        return [each for each in found if each["name"].strip("/") != own]

    def find(self, folder: str) -> dict[str, dict[str, Any]]:
        """All files below a folder, by path."""
        found = self._call(lambda path: self.filesystem.find(path, detail=True), folder)
        return {path: each for path, each in found.items() if each.get("type") != "directory"}

    def open(self, path: str, etag: str = "") -> Any:
        """A file for reading. Raises OSError, and InputChanged where its ETag is another one."""
        if "file" in self.filesystem.protocol:
            return open(path, "rb")
        info = self.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError(errno.EISDIR, "is a folder", self._prefix + path)
        if info.get("size") is None:  # what some web servers do not say
            return self._call(lambda there: self.filesystem.open(there, "rb"), path)
        found = etag_of(info)
        if etag and found != etag:
            raise InputChanged(
                f"{self._prefix}{path} was changed while the run was reading it: its ETag is "
                f"{found or 'none'} and was {etag} when the run was pinned. Bring the file back as "
                "it was and run the same command again, or start over with --fresh."
            )
        return StoredFile(self, path, int(info["size"]), found)

    def read(self, path: str, start: int, end: int) -> bytes:
        """Bytes start … end - 1 of a file, one at least; no others are fetched."""
        content: bytes = self._call(
            lambda there: self.filesystem.cat_file(there, start=start, end=end), path
        )
        return content

    def read_all(self, path: str) -> bytes:
        """A small file."""
        content: bytes = self._call(self.filesystem.cat_file, path)
        return content

    def put(self, path: str, content: bytes) -> None:
        """Write a small file: it is there whole or not at all."""
        self._make_parent(path)
        self._call(lambda there: self.filesystem.pipe_file(there, content), path)

    def put_file(self, source: str, path: str) -> None:
        """Upload a file from this machine's disk."""
        self._make_parent(path)
        self._call(lambda there: self.filesystem.put_file(source, there), path)

    def put_new(self, path: str, content: bytes) -> bool:
        """Write a small file where there is none; False where there is one with other content.

        Raises NoConditionalPut where the store cannot, OSError where it fails.
        """
        self._make_parent(path)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self.filesystem.pipe_file(path, content, mode="create")
            except (NotImplementedError, TypeError, ValueError) as error:
                raise NoConditionalPut(errno.ENOSYS, str(error), self._prefix + path) from error
            except Exception as error:
                # An attempt whose answer was lost may have written it: what is there decides.
                found = self._found(path)
                if found is not None:
                    return found == content
                refused = as_oserror(error, self._prefix + path)
                if refused.errno == errno.ENOSYS:
                    raise NoConditionalPut(errno.ENOSYS, str(error), path) from error
                if isinstance(refused, PermissionError | FileNotFoundError) or attempt == ATTEMPTS:
                    raise refused from error
                _wait(attempt)
            else:
                return True
        raise AssertionError  # the last attempt returns or raises

    def _found(self, path: str) -> bytes | None:
        try:
            return self.read_all(path)
        except FileNotFoundError:
            return None

    def move(self, source: str, target: str) -> None:
        """Copy all files of a folder to another one, on the store, and remove them."""
        for path in self.find(source):
            there = target + path[len(source) :]
            self._make_parent(there)
            self._call(lambda one, to=there: self.filesystem.cp_file(one, to), path)  # type: ignore[misc]
        self.remove_folder(source)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        try:
            self._call(self.filesystem.rm_file, path)
        except FileNotFoundError:
            return

    def remove_folder(self, folder: str) -> None:
        """Remove all files below a folder."""
        if self.exists(folder):
            self._call(lambda path: self.filesystem.rm(path, recursive=True), folder)

    def _make_parent(self, path: str) -> None:
        protocols = self.filesystem.protocol
        known = (protocols,) if isinstance(protocols, str) else protocols
        if not set(known) & set(_FLAT):
            parent = path.rpartition("/")[0]
            self._call(lambda there: self.filesystem.makedirs(there, exist_ok=True), parent)

    def _call(self, function: Callable[[str], Result], path: str) -> Result:
        """function(path), again where that may help. Raises OSError, and nothing else."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return function(path)
            except Exception as error:
                raised = as_oserror(error, self._prefix + path)
                passing = not isinstance(raised, _FINAL) and raised.errno in _PASSING
                if attempt == ATTEMPTS or not passing:
                    raise raised from error
                _wait(attempt)
        raise AssertionError  # the last attempt returns or raises


def etag_of(info: Mapping[str, Any]) -> str:
    """The ETag by which a store knows the content of a file, as it writes it; "" if it has none."""
    return str(info.get("ETag") or info.get("etag") or "")


class NoConditionalPut(OSError):
    """The store has no way to write a file only where there is none."""


class Readable(Protocol):
    """What gives ranges of bytes."""

    def read(self, path: str, start: int, end: int) -> bytes: ...


class StoredFile(io.RawIOBase):
    """A file of a store, of which exactly what is asked for is fetched; a small one at once."""

    def __init__(self, store: Readable, path: str, size: int, etag: str = "") -> None:
        self._store, self._path, self.size, self.etag = store, path, size, etag
        self._at = 0
        self._held: bytes | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = (0, self._at, self.size)[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        start = min(self._at, self.size)
        end = self.size if size is None or size < 0 else min(self.size, start + size)
        if start >= end:
            return b""
        if self.size <= WHOLE:
            if self._held is None:
                self._held = self._store.read(self._path, 0, self.size)
            content = self._held[start:end]
        else:
            content = self._store.read(self._path, start, end)
        self._at += len(content)
        return content

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any, /) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def _wait(attempt: int) -> None:
    time.sleep(_PATIENCE * 2 ** (attempt - 1) * (0.5 + random.random()))  # noqa: S311 - no secret
