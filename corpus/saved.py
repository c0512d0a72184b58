"""What `datasets` keeps beside the Arrow files of `save_to_disk`, for what was released of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

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


def released_form(saved: SavedFile, digests: Mapping[str, str]) -> bytes:
    """What is written beside the released shards, whose `digests` are by name.

    The state has another fingerprint, because `datasets` takes what has the same for the same; the
    information has no counts. All else is as it was. Raises StorageError.
    """
    with storage(saved.url, "read"), open_stored(saved.url) as file:
        content: bytes = file.read()
    try:
        tree: Any = json.loads(content)
    except ValueError:
        return content  # what it is then is not for us to say
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
