"""A file or folder of a run in an object store, or on any other file system behind fsspec."""

import os
import re
from collections.abc import Iterator
from typing import Any

from unrote.corpus.storage import open_stored

_ALIASES = {"s3a": "s3", "gcs": "gs"}


class RemotePath:
    """A URL with those methods of pathlib.Path that a run's files are read and listed by.

    Each but `/` and names asks the store. All raise OSError where it fails.
    """

    def __init__(self, url: str) -> None:
        protocol, _, rest = url.partition("://")
        rest = re.sub("/+", "/", rest).strip("/") if protocol != "file" else rest
        self._protocol = _ALIASES.get(protocol, protocol)
        self._rest = rest

    def __str__(self) -> str:
        return f"{self._protocol}://{self._rest}"

    def __fspath__(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, name: str | os.PathLike[str]) -> "RemotePath":
        return RemotePath(f"{self}/{os.fspath(name)}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The protocol, and each name."""
        return (self._protocol, *(part for part in self._rest.split("/") if part))

    @property
    def name(self) -> str:
        return self._rest.rpartition("/")[2]

    @property
    def parent(self) -> "RemotePath":
        return RemotePath(f"{self._protocol}://{self._rest.rpartition('/')[0]}")

    @property
    def parents(self) -> tuple["RemotePath", ...]:
        """The folders that it lies in, the nearest first."""
        protocol, *names = self.parts
        return tuple(
            RemotePath(f"{protocol}://{'/'.join(names[:end])}")
            for end in range(len(names) - 1, -1, -1)
        )

    @property
    def _store(self) -> tuple[Any, str]:
        from unrote.corpus.stores import store_of  # noqa: PLC0415 - imports fsspec

        return store_of(str(self))

    def exists(self) -> bool:
        """Whether there is a file, or a folder with something in it."""
        store, path = self._store
        return bool(store.exists(path))

    def is_file(self) -> bool:
        return self._kind() == "file"

    def is_dir(self) -> bool:
        return self._kind() == "directory"

    def _kind(self) -> str:
        store, path = self._store
        try:
            return str(store.info(path)["type"])
        except FileNotFoundError:
            return ""

    @property
    def size(self) -> int:
        """Bytes of a file."""
        store, path = self._store
        return int(store.info(path)["size"])

    def iterdir(self) -> Iterator["RemotePath"]:
        """What is directly in a folder."""
        store, path = self._store
        for each in store.list(path):
            yield self / each["name"].rstrip("/").rpartition("/")[2]

    def open(self, mode: str) -> Any:
        """The file, for reading: mode is "rb"."""
        if mode != "rb":
            raise ValueError(mode)
        return open_stored(self)

    def read_bytes(self) -> bytes:
        """All of a small file."""
        store, path = self._store
        content: bytes = store.read_all(path)
        return content

    def stamps(self) -> dict[str, str]:
        """For each file below a folder, by its path in it: its size, and what the store changes
        whenever it is written.
        """
        store, path = self._store
        return {
            name[len(path) :].strip("/"): _stamp(info) for name, info in store.find(path).items()
        }

    def put(self, content: bytes) -> None:
        """Write a small file."""
        store, path = self._store
        store.put(path, content)

    def put_new(self, content: bytes) -> bool:
        """Write a small file where there is none; False where there is one with other content."""
        store, path = self._store
        return bool(store.put_new(path, content))

    def upload(self, source: str) -> None:
        """Write a file from this machine's disk."""
        store, path = self._store
        store.put_file(source, path)

    def move(self, target: "RemotePath") -> None:
        """Move a folder to where nothing is."""
        store, path = self._store
        store.move(path, target._store[1])

    def unlink(self) -> None:
        """Remove a file, if it is there."""
        store, path = self._store
        store.remove(path)

    def remove_folder(self) -> None:
        """Remove all files below a folder."""
        store, path = self._store
        store.remove_folder(path)


_STAMPS = ("ETag", "etag", "generation", "mtime", "LastModified", "last_modified", "created")


def _stamp(info: dict[str, Any]) -> str:
    mark = next((str(info[name]) for name in _STAMPS if info.get(name)), "")
    return f"{info['size']} {mark}"
