"""The input, found: the shards of files, folders, globs and fsspec URLs."""

import functools
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from unrote.corpus.errors import InputError, StorageError
from unrote.corpus.formats import kind_of, suffixes
from unrote.corpus.schema import MAX_SHARDS
from unrote.corpus.shard import Shard
from unrote.corpus.storage import NotSetUp, half_url, is_remote


@dataclass(frozen=True)
class _File:
    """A file that was found: where, and below which folder of the input."""

    url: str
    root: str
    size: int

    @property
    def name(self) -> str:
        return self.url[len(self.root) :].lstrip("/")


@dataclass(frozen=True)
class Found:
    """The shards of an input, and the files that lie beside them and are not read (URLs)."""

    shards: list[Shard]
    passed_over: list[str]


def find(inputs: Sequence[str | os.PathLike[str]]) -> list[Shard]:
    """The shards that `look` finds."""
    return look(inputs).shards


def look(inputs: Sequence[str | os.PathLike[str]]) -> Found:
    """The shards of files, folders, globs and fsspec URLs, sorted by name, not yet pinned.

    Folders are searched to the bottom, links to folders too; what starts with a dot or an
    underscore is skipped. Of the files in folders those are passed over that are of no kind that
    we read, what a Hugging Face data set has beside its data, and a second way to the same file. A
    shard
    is named by its path below the folder that was given, or below the fixed part of a glob, or by
    its base name; where two would share a name, all are named below the inputs' common folder.
    `source` is the first folder of the name, else the name of the folder the shard lies in.
    Checksums are empty; `pin` fills them in.
    Raises InputError: nothing found, a file given that is of an unknown kind, a file given twice,
    equal names.
    """
    if not inputs:
        raise InputError("no input was given. Name at least one file, folder, glob or URL.")
    passed_over: list[str] = []
    files = [file for given in inputs for file in _files(os.fspath(given), passed_over)]
    if len(inputs) > 1:  # of one, a second way to a file is passed over
        _refuse_repeats(files)
    if len({file.name for file in files}) < len(files):
        files = _below_common_folder(files)
    if len(files) >= MAX_SHARDS:
        raise InputError(f"{len(files)} shards: at most {MAX_SHARDS - 1}. Merge small files.")
    shards = [_shard(number, file) for number, file in enumerate(sorted(files, key=_name))]
    return Found(shards, sorted(passed_over))


def _name(file: _File) -> str:
    return file.name


def _shard(number: int, file: _File) -> Shard:
    kind = kind_of(file.url)
    assert kind is not None
    if {"", ".", ".."} & {*file.name.split("/")}:  # it is a path below OUT, too
        raise InputError(
            f"{file.url} cannot be named {file.name!r} in the result: a part of that is no name. "
            "Rename the file, or name the folder that it lies in."
        )
    folder, slash, _ = file.name.partition("/")
    source = folder if slash else file.url.rpartition("/")[0].rpartition("/")[2]
    return Shard(number, file.name, file.url, *kind, size=file.size, checksum="", source=source)


def _files(given: str, passed_over: list[str]) -> list[_File]:
    """The files of one input; adds those that are not read to `passed_over`."""
    filesystem, path = _filesystem(given)
    try:
        root, found = _listed(filesystem, path, given)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise StorageError(
            f"cannot list {given}: {error.strerror or error}{where}. Check address, network and "
            "permissions."
        ) from error
    direct = list(found) == [path]
    kept = {key: info for key, info in found.items() if direct or not _hidden(key, root)}
    if not kept:
        raise InputError(
            f"no files in {given}. Give files, folders or globs of {_allowed()}; names that start "
            "with '.' or '_' are skipped."
        )
    local = not is_remote(given)
    unread = _unread(kept, direct, local)
    if direct and unread:
        raise InputError(
            f"unknown kind of file: {path}. Allowed are {_allowed()}, regular files with names in "
            "UTF-8. Give it the end of name that says what it holds."
        )
    if len(unread) == len(kept):
        names = list(unread)
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise InputError(
            f"no file in {given} is of a kind that is read: {', '.join(names[:5])}{more}. Allowed "
            f"are {_allowed()}, regular files with names in UTF-8."
        )
    prefix = "" if local else filesystem.unstrip_protocol(path)[: -len(path)]
    passed_over.extend(prefix + key for key in unread)
    return [
        _File(prefix + key, prefix + root, int(info["size"] or 0))
        for key, info in kept.items()
        if key not in unread
    ]


def _listed(filesystem: Any, path: str, given: str) -> tuple[str, dict[str, Any]]:
    """The folder that names begin behind, and what was found, by path. Raises OSError."""
    from unrote.corpus.stores import translated  # noqa: PLC0415 - imports fsspec

    with translated(given):
        if filesystem.isfile(path):
            return path.rpartition("/")[0], {path: filesystem.info(path)}
        if filesystem.isdir(path):
            return path, _below(filesystem, path)
        return _matches(filesystem, path, remote=is_remote(given))


_BESIDE = {
    "readme.md",
    "license.md",
    "license.txt",
    "dataset_infos.json",
    "dataset_info.json",
    "dataset_dict.json",
    "state.json",
}
"""Files beside the data of a data set, in lower case, that say something of it."""


def _unread(found: dict[str, Any], direct: bool, local: bool) -> dict[str, None]:
    """Of the files that were found those that are not read, in the order of their names."""
    unread = {key for key, info in found.items() if not _is_shard(key, info)}
    if not direct:
        beside = {key for key in found if key.rpartition("/")[2].lower() in _BESIDE}
        # Where there is nothing else they are what is to be read.
        if set(found) - beside:
            unread |= beside
        seen: set[str] = set()
        real = functools.cache(os.path.realpath)
        for key in sorted(set(found) - unread):
            where = key
            if local and found[key].get("islink"):
                where = os.path.realpath(key)
            elif local:  # looked up once for a folder: it takes a system call for each part
                folder, slash, name = key.rpartition("/")
                where = f"{real(folder or slash)}/{name}"
            if where in seen:
                unread.add(key)
            seen.add(where)
    return dict.fromkeys(sorted(unread, key=ascii))


def _filesystem(given: str) -> tuple[Any, str]:
    """The filesystem that an input lies on, and its path there."""
    from unrote.corpus.stores import connect  # noqa: PLC0415 - imports fsspec

    if wrong := half_url(given):
        raise InputError(f"{given} {wrong}.")
    try:
        filesystem, path = connect(given)
    except NotSetUp as error:
        raise InputError(f"cannot open {given}: {error.strerror}.") from None
    except OSError as error:
        raise InputError(
            f"cannot open {given}: {error.strerror or error}. Give a path or the URL of a "
            "filesystem that fsspec knows, and install the package that it names."
        ) from None
    return filesystem, path.rstrip("/") or "/"


def _below(filesystem: Any, folder: str) -> dict[str, Any]:
    """All files below a folder. Raises OSError where a folder cannot be listed.

    Links to folders are followed on this machine's disk. One that leads to a folder that was
    walked through already is itself handed out, as what it is: no file.
    """
    if "file" not in filesystem.protocol:
        listed: dict[str, Any] = filesystem.find(folder, detail=True)
        return listed
    # ("file", "local"); fsspec leaves out what it may not list, and does not follow links.
    found: dict[str, Any] = {}
    walked: set[str] = set()
    for here, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        if (where := os.path.realpath(here)) in walked:
            found[here] = {"type": "directory", "size": 0}
            folders.clear()
            continue
        walked.add(where)
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        own = set(files)
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.name in own:
                    path = f"{here}/{entry.name}"
                    linked = entry.is_symlink()
                    found[path] = filesystem.info(path) if linked else _described(entry)
    return dict(sorted(found.items()))


def _described(entry: os.DirEntry[str]) -> dict[str, Any]:
    """What is looked at of fsspec's description of a file that is no link, in one system call."""
    kind = "file" if entry.is_file(follow_symlinks=False) else "other"
    size = entry.stat(follow_symlinks=False).st_size
    return {"type": kind, "size": size, "islink": False}


def _raise(error: OSError) -> None:
    raise error


def _is_shard(key: str, info: dict[str, Any]) -> bool:
    """Whether we read what lies there: no pipe or device, and a name that a table can hold."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    regular = info.get("type", "file") == "file" or bool(info.get("islink"))
    return regular and kind_of(key) is not None


def _matches(filesystem: Any, pattern: str, *, remote: bool) -> tuple[str, dict[str, Any]]:
    """The fixed part of a glob, and the files that match it or lie in folders that match."""
    parts = pattern.split("/")
    magic = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), None)
    if magic is None:
        named = filesystem.unstrip_protocol(pattern) if remote else pattern
        what = "is no regular file" if _is_there(filesystem, pattern) else "does not exist"
        raise InputError(f"{named} {what}. Give a file, a folder, a glob or a URL.")
    found: dict[str, Any] = {}
    for key, info in filesystem.glob(pattern, detail=True).items():
        if info["type"] == "directory" or (info.get("islink") and filesystem.isdir(key)):
            found.update(_below(filesystem, key))
        else:
            found[key] = info
    return "/".join(parts[:magic]), found


def _is_there(filesystem: Any, path: str) -> bool:
    """Whether there is something. Raises what a store raises that cannot be asked: to that fsspec's
    own `exists` says no.
    """
    try:
        filesystem.info(path)
    except FileNotFoundError:
        return False
    return True


def _hidden(key: str, root: str) -> bool:
    return any(part[:1] in (".", "_") for part in key[len(root) :].lstrip("/").split("/"))


def _allowed() -> str:
    return ", ".join(suffixes())


def _refuse_repeats(files: list[_File]) -> None:
    counts = Counter(
        file.url if is_remote(file.url) else os.path.realpath(file.url) for file in files
    )
    twice = sorted(url for url, count in counts.items() if count > 1)
    if twice:
        raise InputError(f"given more than once: {', '.join(twice[:5])}. Name every file once.")


def _below_common_folder(files: list[_File]) -> list[_File]:
    """All files named below the deepest folder that holds every input."""
    roots = [file.root.split("/") for file in files]
    shared = 0
    while all(len(root) > shared and root[shared] == roots[0][shared] for root in roots):
        shared += 1
    common = "/".join(roots[0][:shared])
    files = [replace(file, root=common) for file in files]
    counts = Counter(file.name for file in files)
    twice = [name for name, count in counts.items() if count > 1]
    if shared == 0 or twice:
        names = ", ".join(sorted(twice or counts)[:5])
        raise InputError(
            f"inputs have the same names and no common folder: {names}. Rename files or folders, "
            "or give the folder above them."
        )
    return files
