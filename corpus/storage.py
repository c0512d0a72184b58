"""Files on this machine's disk or behind any fsspec URL, and what is said when they fail."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from unrote.corpus.errors import StorageError

CHUNK = 4 << 20
"""Bytes of one read: large enough for object stores, small enough for the processor's cache."""

ASKED = 32
"""Files of a store that are looked at, at the same time."""

Item = TypeVar("Item")

Options = Mapping[str, Mapping[str, Any]]
"""Arguments of fsspec's file systems, by protocol: {"s3": {"endpoint_url": "http://…"}}."""

_options: dict[str, Mapping[str, Any]] = {}


def use_options(options: Options) -> None:
    """Reach stores with these options from now on, in this process, on top of what the environment
    and fsspec's own configuration say.
    """
    global _options  # noqa: PLW0603 - exchanged at once: other threads read it
    _options = dict(options)


@contextmanager
def options_used(options: Options | None) -> Iterator[None]:
    """Reach stores with these options, and then with those of before; None changes nothing."""
    before = _options
    if options is not None:
        use_options(options)
    try:
        yield
    finally:
        if options is not None:
            use_options(before)


def options_in_use() -> dict[str, Mapping[str, Any]]:
    """What `use_options` was given: a process that works for this one needs the same."""
    return dict(_options)


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is an fsspec URL."""
    return "://" in os.fspath(path)


class NotSetUp(OSError):
    """A store that cannot be reached from here as things are; its text says what to do."""


def half_url(name: str) -> str:
    """What is wrong with a URL of one slash, which would be taken for a path of this machine; ""
    for all others, and where a folder has that name.
    """
    scheme = re.match(r"([a-z][a-z0-9+.-]+):/(?!/)", name)
    if scheme is None or os.path.isdir(f"{scheme[1]}:"):
        return ""
    path = name[scheme.end() :]
    if scheme[1] == "dbfs":
        return f"is Spark's way to write it. On a cluster of Databricks name /dbfs/{path}"
    if scheme[1] == "file":
        return f"has one slash too few or two. Write /{path}, or file:///{path}"
    return f"has one slash and is no URL. Write {scheme[1]}://{path}"


def open_stored(path: str | os.PathLike[str], etag: str = "") -> Any:
    """The stored bytes of a file, for reading; no compression is undone. Raises OSError, and
    InputChanged where the store knows the file by another ETag than the one given.
    """
    if not is_remote(path):
        return open(path, "rb")
    from unrote.corpus.stores import store_of  # noqa: PLC0415  imports fsspec; most input is local

    store, path_there = store_of(os.fspath(path))
    return store.open(path_there, etag)


def open_output(path: str | os.PathLike[str]) -> Any:
    """A new file for writing bytes, its folders made. Raises OSError."""
    if not is_remote(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return open(path, "wb")
    from unrote.corpus.stores import connect  # noqa: PLC0415

    filesystem, path_there = connect(os.fspath(path))
    filesystem.makedirs(path_there.rpartition("/")[0], exist_ok=True)
    return filesystem.open(path_there, "wb")


def for_each(look: Callable[[Item], None], items: Sequence[Item]) -> None:
    """look(item) for all, ASKED at a time: what takes is the way to a store and back.

    Raises what the first of them raises that fails, in the order of `items`.
    """
    with ThreadPoolExecutor(ASKED) as pool:
        for begin in range(0, len(items), 100 * ASKED):
            for _ in pool.map(look, items[begin : begin + 100 * ASKED]):
                pass


def chunks(file: Any, size: int) -> Iterator[bytes]:
    """At most `size` bytes of `file`, from where it stands, CHUNK bytes at a time."""
    while size > 0 and (chunk := file.read(min(CHUNK, size))):
        size -= len(chunk)
        yield chunk


@contextmanager
def storage(path: str | os.PathLike[str], doing: str) -> Iterator[None]:
    """Turns an OSError into a StorageError that names the file; `doing` is "read" or "write"."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot {doing} {os.fspath(path)}: {error.strerror or error}. Check that it exists, "
            "its permissions and the space left, then run the same command again."
        ) from error
