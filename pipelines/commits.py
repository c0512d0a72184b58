"""What a phase has committed: its markers, with the digests of all files that it wrote.

The same command again skips every phase whose marker still holds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import xxhash

from unrote.corpus.errors import StorageError
from unrote.corpus.storage import chunks, storage
from unrote.pipelines.storage import Location, size_of, write_atomically

FORMAT = 1
"""Of markers, of a run's state and of its manifest."""


@dataclass(frozen=True)
class TableFile:
    """A committed table file of one slice, or one cleaned shard."""

    slice: int
    rows: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class DataFile:
    """A committed cleaned shard."""

    shard: int
    path: str
    bytes: int
    digest: str


@dataclass(frozen=True)
class Commit:
    """What a phase left behind."""

    name: str
    fingerprint: str
    seconds: float
    input_bytes: int
    spilled_bytes: int
    tables: Mapping[str, tuple[TableFile, ...]]
    data: tuple[DataFile, ...] = ()
    shuffled_bytes: int = 0
    """Of the rows that went from task to task."""
    workers: int = 1
    """Threads or processes that tasks ran in."""
    stamps: Mapping[str, str] = field(default_factory=dict)
    """Of files in a store (pipelines.storage.stamps), by table and name or by path below OUT."""

    @property
    def file_count(self) -> int:
        """Files that it wrote."""
        return len(self.data) + sum(map(len, self.tables.values()))

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "Commit":
        tables = {k: tuple(TableFile(**f) for f in v) for k, v in tree["tables"].items()}
        return cls(**{**tree, "tables": tables, "data": tuple(DataFile(**d) for d in tree["data"])})


def sealed(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of JSON with a digest of all else that it says."""
    bare = {name: value for name, value in tree.items() if name != "digest"}
    return bare | {"digest": digest_of(bare)}


def is_sealed(tree: object) -> bool:
    """Whether what was read is a tree with the digest of all else that it says."""
    return isinstance(tree, dict) and sealed(tree) == tree


def digest_of(tree: object) -> str:
    """xxh3_128 of a tree as JSON: keys sorted, no white space, ASCII alone."""
    return xxhash.xxh3_128_hexdigest(
        json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()
    )


def write_sealed(path: Location, tree: object) -> None:
    """Write a small file of what a run knows of itself, so that damage is noticed."""
    write_atomically(path, orjson.dumps(sealed(orjson.loads(orjson.dumps(tree)))))


def read_sealed(path: Location) -> dict[str, Any]:
    """What such a file says. Raises OSError, ValueError where it is damaged."""
    tree = orjson.loads(path.read_bytes())
    if not is_sealed(tree):
        raise ValueError("the digest is of something else")
    return {name: value for name, value in tree.items() if name != "digest"}


def read_marker(path: Location) -> Commit | None:
    """The commit of a phase; None where it has none, or a damaged one."""
    if not path.exists():
        return None
    try:
        return Commit.from_json(read_sealed(path))
    except (ValueError, TypeError, KeyError):
        return None


def write_marker(path: Location, commit: Commit) -> None:
    """Record a phase as done."""
    write_sealed(path, commit)


def holds(path: Location, file: TableFile | DataFile) -> bool:
    """Whether `path` is the committed file: a power cut can leave another one of the same size."""
    if not path.is_file() or size_of(path) != file.bytes:
        return False
    digest = xxhash.xxh3_128()
    with storage(path, "read"), path.open("rb") as stored:
        for chunk in chunks(stored, file.bytes):
            digest.update(chunk)
    return bool(digest.hexdigest() == file.digest)


def refuse_changed(path: Location, file: TableFile | DataFile) -> None:
    """Raise StorageError where `path` is not the committed file."""
    if not holds(path, file):
        raise StorageError(
            f"{path} is missing, or is not what the run wrote. `unrote verify` says what is "
            "damaged; run the job again with --fresh."
        )
