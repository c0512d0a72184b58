"""What `datasets` keeps beside the Arrow files of `save_to_disk`, for what was released of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from unrote.corpus.errors import InputError
from unrote.corpus.formats import format_of
from unrote.corpus.shard import Shard
from unrote.corpus.storage import open_stored, storage

STATE, INFO, DICT = "state.json", "dataset_info.json", "dataset_dict.json"

_COUNTS = (
    "splits",
    "dataset_size",
    "size_in_bytes",
    "download_size",
    "download_checksums",
    "post_processing_size",
)
"""Of the information what tells sizes and numbers of rows: of the input, not of what is released.
`datasets` loads without."""


@dataclass(frozen=True)
class SavedFile:
    """A file beside Arrow shards: where it is, and its name below the shards' common folder."""

    url: str
    name: str


def saved_beside(shards: Sequence[Shard], passed_over: Iterable[str]) -> list[SavedFile]:
    """Of the files that were passed over those that `datasets` needs to load the Arrow shards."""
    folders: dict[str, str] = {}
    above: dict[str, str] = {}
    for shard in shards:
        if format_of(shard).needs_state:
            folder, _, base = shard.url.rpartition("/")
            named = shard.name.removesuffix(base)
            folders[f"{folder}/"] = named
            if named:  # a folder of the input, so that there is one above it
                above[f"{folder.rpartition('/')[0]}/"] = named.rstrip("/").rpartition("/")[0]
    found = []
    for url in passed_over:
        folder, slash, base = url.rpartition("/")
        beside = folders if base in (STATE, INFO) else above if base == DICT else {}
        if folder + slash in beside:
            named = beside[folder + slash].rstrip("/")
            found.append(SavedFile(url, f"{named}/{base}" if named else base))
    return sorted(found, key=lambda one: one.name)


def refuse_names_elsewhere(saved: Iterable[SavedFile]) -> None:
    """Raise InputError where a state names files that lie elsewhere: whoever loads the result would
    read them, and nobody has cleaned them. Raises StorageError.
    """
    for one in saved:
        tree = _read(one)[0] if one.name.rpartition("/")[2] == STATE else {}
        files = tree.get("_data_files") if isinstance(tree, dict) else None
        for file in files if isinstance(files, list) else ():
            name = file.get("filename") if isinstance(file, dict) else None
            if not isinstance(name, str) or "/" in name or "\\" in name:
                raise InputError(
                    f"{one.url} names {name!r}, which is no file beside it, so that whoever loads "
                    "the result would read that. Save the data set again with save_to_disk."
                )


def _read(saved: SavedFile) -> tuple[Any, bytes]:
    """A file as JSON, None where it is none, and its bytes. Raises StorageError."""
    with storage(saved.url, "read"), open_stored(saved.url) as file:
        content: bytes = file.read()
    try:
        return json.loads(content), content
    except (ValueError, RecursionError):
        return None, content  # what it is then is not for us to say


def released_form(saved: SavedFile, digests: Mapping[str, str]) -> bytes:
    """What is written beside the released shards, whose `digests` are by name.

    The state has another fingerprint, because `datasets` takes what has the same for the same; the
    information has no counts. All else is as it was. Raises StorageError.
    """
    tree, content = _read(saved)
    if not isinstance(tree, dict):
        return content
    base = saved.name.rpartition("/")[2]
    if base == STATE and isinstance(tree.get("_fingerprint"), str):
        said = json.dumps([tree["_fingerprint"], sorted(digests.items())])
        tree["_fingerprint"] = xxhash.xxh64_hexdigest(said.encode())
    elif base == INFO and not tree.keys().isdisjoint(_COUNTS):
        tree = {key: value for key, value in tree.items() if key not in _COUNTS}
    else:
        return content
    return json.dumps(tree, indent=2, sort_keys=True).encode()
