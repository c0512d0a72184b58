"""The input as the manifest has it: shards, cuts (units of work) and slices (units of commit)."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.errors import InputError
from unrote.corpus.packing import packed, unpacked
from unrote.corpus.schema import ROW_BITS

Ints = NDArray[np.int64]

Compression = Literal["", "gz", "zst", "xz", "bz2"]


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of the input. `size` and `checksum` (xxh3_128, hex) are of the stored bytes.

    `format` is the name of one of corpus.formats. `etag` is what a store knew its content by when
    it was pinned, "" where there is none: it is no part of what is pinned, since a copy elsewhere
    has another one, and a run pins its input whenever it is begun or continued.
    """

    number: int
    name: str
    url: str
    format: str
    compression: Compression
    size: int
    checksum: str
    source: str
    etag: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Slice:
    """The unit of commit: cuts in the order of their rows."""

    number: int
    cuts: tuple[Cut, ...]


class Slices(Sequence[Slice]):
    """Slices, held as the numbers of their cuts: of 10 TB there are a million, which every worker
    gets. Each is made when it is asked for.
    """

    def __init__(self, slices: Iterable[Slice]) -> None:
        numbers, ends, cuts = array("q"), array("q", [0]), array("q")
        for one in slices:
            numbers.append(one.number)
            for cut in one.cuts:
                cuts.extend((cut.shard, cut.start, cut.end, cut.row, cut.line))
            ends.append(len(cuts) // 5)
        self._numbers = np.array(numbers, dtype=np.int64)
        self._ends = np.array(ends, dtype=np.int64)
        self._cuts = np.array(cuts, dtype=np.int64).reshape(-1, 5)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Slice: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Slice, ...]: ...
    def __getitem__(self, index: int | slice) -> Slice | tuple[Slice, ...]:
        if isinstance(index, slice):
            return tuple(self[n] for n in range(*index.indices(len(self))))
        at = range(len(self))[index]
        return Slice(int(self._numbers[at]), self.cuts(*self._ends[at : at + 2].tolist()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Slices):
            return isinstance(other, Sequence) and tuple(self) == tuple(other)
        ours, theirs = self._arrays, other._arrays
        return all(np.array_equal(*pair) for pair in zip(ours, theirs, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(each.tobytes() for each in self._arrays))

    def __repr__(self) -> str:
        return f"<{len(self)} slices of {len(self._cuts)} cuts>"

    @property
    def _arrays(self) -> tuple[Ints, Ints, Ints]:
        return self._numbers, self._ends, self._cuts

    def __getstate__(self) -> tuple[tuple[int, bytes], ...]:
        columns = (self._numbers, self._ends, *self._cuts.T)
        return tuple(packed(column) for column in columns)

    def __setstate__(self, columns: tuple[tuple[int, bytes], ...]) -> None:
        self._numbers, self._ends = (unpacked(column) for column in columns[:2])
        self._cuts = np.empty((columns[2][0], 5), dtype=np.int64)
        for number, column in enumerate(columns[2:]):
            self._cuts[:, number] = unpacked(column)

    def cuts(self, begin: int, end: int) -> tuple[Cut, ...]:
        """The cuts begin … end - 1 of all, counted through all slices."""
        return tuple(Cut(*values) for values in self._cuts[begin:end].tolist())

    def firsts(self, cuts: Ints) -> Ints:
        """The keys (int64) of the first documents of these cuts."""
        keys: Ints = self._cuts[cuts, 0] << ROW_BITS | self._cuts[cuts, 3]
        return keys

    @property
    def first_docs(self) -> Ints:
        """The key (int64) of each slice's first document."""
        return self.firsts(self._ends[:-1])


@dataclass(frozen=True)
class Corpus:
    """A pinned input. Shards, slices and the cuts within them are in `doc` order.

    `passed_over` names the files that lie there and are not read; it is no part of what is pinned.
    """

    shards: tuple[Shard, ...]
    slices: Sequence[Slice]
    passed_over: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.slices, Slices):
            object.__setattr__(self, "slices", Slices(self.slices))

    @property
    def held(self) -> Slices:
        """The slices, as what they are."""
        assert isinstance(self.slices, Slices)
        return self.slices

    @cached_property
    def input_bytes(self) -> int:
        """Stored bytes of all shards."""
        return sum(shard.size for shard in self.shards)

    def slice_of(self, docs: np.ndarray) -> np.ndarray:
        """The number (int64) of the slice in which each of `docs` (int64 keys) lies; documents of
        an index (corpus.schema.INDEXED) lie in the first.
        """
        # A slice without rows has its successor's first key: the last of equals is the right one.
        numbers = np.searchsorted(self._first_docs, docs, side="right")
        return np.maximum(numbers.astype(np.int64) - 1, 0)

    @cached_property
    def _first_docs(self) -> Ints:
        return self.held.first_docs

    def to_json(self) -> dict[str, Any]:
        """The "input" object of manifest.json (docs/architecture.md)."""
        return {
            "shards": [_flat(shard) for shard in self.shards],
            "slices": [
                {"number": part.number, "cuts": [_flat(cut) for cut in part.cuts]}
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


def _flat(record: Shard | Cut) -> dict[str, Any]:
    """dataclasses.asdict, which copies deeply and takes ten times as long."""
    return {name: getattr(record, name) for name in record.__slots__ if name != "etag"}
