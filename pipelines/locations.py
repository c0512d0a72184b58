"""Where a run may write: OUT and the folder for what is removed, apart from all other data."""

import errno
import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import orjson

from unrote.corpus.errors import OutputError, StorageError
from unrote.corpus.shard import Corpus
from unrote.corpus.storage import NotSetUp, half_url, is_remote
from unrote.pipelines.storage import (
    Location,
    absolute,
    location,
    make_folder,
    make_private,
    remove,
    write_atomically,
)

MANIFEST = "manifest.json"
STATE = ".run"
"""The folder in OUT of what only a run itself needs."""

REMOVED = "removed"
"""The one table that lies outside OUT."""

MARKER = ".unrote"
"""The file that says whose removed text a folder holds."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def reaching(out: str) -> Iterator[None]:
    """Turns an OSError into an OutputError about `out`, a StorageError where the disk is full."""
    try:
        yield
    except NotSetUp as error:
        raise OutputError(f"cannot use {out}: {error.strerror}.") from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in _FULL:
            raise StorageError(
                f"cannot write to {out}: {error.strerror}{where}. Free space and run the same "
                "command again."
            ) from None
        raise OutputError(
            f"cannot use {out}: {error.strerror or error}{where}. Name a folder that is yours to "
            "write to."
        ) from None


def folder_named(name: str, what: str) -> Location:
    """`name` as an absolute path, or a URL. Raises OutputError where it is neither; `what` is what
    it is for.
    """
    if not name.strip():
        raise OutputError(f"{what} is empty. Name a folder, or a URL.")
    if wrong := half_url(name):
        raise OutputError(f"{what} {name} {wrong}.")
    name = _plain(name)
    if "::" in name.partition("://")[0] or re.fullmatch(r"[a-z0-9+.-]+://[^/]*/*", name):
        raise OutputError(
            f"{what} {name} is no folder in a store. Name one, for example s3://bucket/folder."
        )
    try:
        return absolute(name)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"{what} {name} cannot be found: {error}.") from None


def refuse_overlap(folder: Location, what: str, inputs: Sequence[str]) -> None:
    """Raise OutputError where `folder` lies in the input, or the input in it."""
    for name in inputs:
        plain = _plain(name)
        source = absolute(plain)
        if folder == source:
            raise OutputError(f"{what} {folder} is the input. Name another folder.")
        if source in folder.parents or _reaches(plain, folder):
            raise OutputError(
                f"{what} {folder} lies inside the input {name}; the next run would read its own "
                "output. Name a folder outside it."
            )
        if folder in source.parents:
            raise OutputError(_inside(plain, folder, what))


def refuse_shards_in(folder: Location, what: str, corpus: Corpus) -> None:
    """Raise OutputError where a shard lies in `folder`, whatever way the input was named."""

    @cache  # a system call for each part of a path is more than a small shard costs otherwise
    def is_inside(parent: str) -> bool:
        here = absolute(parent)
        return here == folder or folder in here.parents

    for shard in corpus.shards:
        if is_remote(shard.url) or os.path.islink(shard.url):
            inside = folder in absolute(shard.url).parents
        else:
            inside = is_inside(os.path.dirname(shard.url))
        if inside:
            raise OutputError(_inside(shard.url, folder, what))


def _plain(name: str) -> str:
    """A path as a path, though it was written as a URL."""
    return re.sub(r"^(file|local)://", "", name)


def _inside(name: str, folder: Location, what: str) -> str:
    return (
        f"the input {name} lies inside {what} {folder}; it might be overwritten. Name another "
        "folder."
    )


def _reaches(pattern: str, folder: Location) -> bool:
    """Whether a glob would find what a run writes to `folder`."""
    if not any(mark in pattern for mark in "*?["):
        return False
    asked = location(pattern if is_remote(pattern) else os.path.abspath(pattern)).parts
    for part, own in zip(asked, (*folder.parts, "data"), strict=False):
        if part == "**":
            return True
        if not fnmatch.fnmatchcase(own, part):
            return False
    return True


def prepare_removed(named: str, out: Location, fingerprint: str, *, fresh: bool) -> None:
    """Make the folder for what is removed, for its owner alone, or take it up again.

    Raises OutputError where it holds anything but what this run, or with `fresh` an earlier run of
    `out`, put there.
    """
    folder = location(named)
    owner = {"out": str(out), "fingerprint": fingerprint}
    with reaching(named):
        make_folder(folder)
        found = {path.name for path in folder.iterdir()}
        held = _owner(folder)
        if fresh and held.get("out") == str(out):
            for name in (name for name in found if re.fullmatch(r"\d{5}\.parquet", name)):
                remove(folder / name)
        elif found and held != owner:
            raise OutputError(
                f"{named}, which is to hold what is removed, is not empty. Name an empty or new "
                "folder with --keep-removed."
            )
        make_private(folder)
        write_atomically(folder / MARKER, orjson.dumps(owner))


def _owner(folder: Location) -> dict[str, str]:
    try:
        owner = orjson.loads((folder / MARKER).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return owner if isinstance(owner, dict) else {}
