"""The input as the manifest has it: shards, cuts (units of work) and slices (units of commit)."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from unrote.corpus.errors import InputError
from unrote.corpus.schema import doc_key

Compression = Literal["", "gz", "zst", "xz", "bz2"]


@dataclass(frozen=True)
class Shard:
    """A file of the input. `size` and `checksum` (xxh3_128, hex) are of the stored bytes.

    `format` is the name of one of corpus.formats.
    """

    number: int
    name: str
    url: str
    format: str
    compression: Compression
    size: int
    checksum: str
    source: str


@dataclass(frozen=True)
class Cut:
    """Rows of one shard, from row `row` on: the unit of work.

    What `start` and `end` count is the format's: bytes of a plain JSONL shard, row groups of a
    Parquet shard; 0 and the size where a shard is not cut. `line` is the number of line breaks
    before it, for messages that name a line.
    """

    shard: int
    start: int
    end: int
    row: int
    line: int = 0


@dataclass(frozen=True)
class Slice:
    """The unit of commit: cuts in the order of their rows."""

    number: int
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class Corpus:
    """A pinned input. Shards, slices and the cuts within them are in `doc` order.

    `passed_over` names the files that lie there and are not read; it is no part of what is pinned.
    """

    shards: tuple[Shard, ...]
    slices: tuple[Slice, ...]
    passed_over: tuple[str, ...] = field(default=(), compare=False)

    @property
    def input_bytes(self) -> int:
        """Stored bytes of all shards."""
        return sum(shard.size for shard in self.shards)

    def slice_of(self, docs: np.ndarray) -> np.ndarray:
        """The number (int64) of the slice in which each of `docs` (int64 keys) lies; documents of
        an index (corpus.schema.INDEXED) lie in the first.
        """
        firsts = [doc_key(part.cuts[0].shard, part.cuts[0].row) for part in self.slices]
        # A slice without rows has its successor's first key: the last of equals is the right one.
        numbers = np.searchsorted(np.array(firsts, dtype=np.int64), docs, side="right")
        return np.maximum(numbers.astype(np.int64) - 1, 0)

    def to_json(self) -> dict[str, Any]:
        """The "input" object of manifest.json (docs/architecture.md)."""
        return {
            "shards": [dict(vars(shard)) for shard in self.shards],
            "slices": [
                {"number": part.number, "cuts": [dict(vars(cut)) for cut in part.cuts]}
                for part in self.slices
            ],
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> "Corpus":
        """The corpus that `to_json` made `tree` from. Raises InputError for any other tree."""
        try:
            shards = tuple(Shard(**shard) for shard in tree["shards"])
            slices = tuple(
                Slice(part["number"], tuple(Cut(**cut) for cut in part["cuts"]))
                for part in tree["slices"]
            )
        except (KeyError, TypeError) as error:
            raise InputError(
                f"the manifest's input is malformed: {error}. Start the run in a new folder."
            ) from None
        return cls(shards, slices)
