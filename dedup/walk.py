"""The walk in keep order over the similar pairs of a round: who is kept, who is removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.hashing import mix64
from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.schema import KEPT, NEAR, Tagged
from unrote.corpus.stages import PlainStage
from unrote.dedup.groups import Ints, batch_of, duplicate_rows

Fates = NDArray[np.uint8]

STEPS = pa.schema(
    [(n, pa.int64()) for n in ("walk", "rank", "doc", "role", "kept_rank", "kept", "complete")]
    + [("similarity", pa.float64())]
)
"""What the walk goes over: each contender (role 0), then the similar ones before it in keep order
(role 1, `kept`). `walk` is 0: there is one walk."""

_KEPT, _REMOVED, _UNDECIDED = 1, 2, 3


@dataclass(frozen=True)
class Walk(PlainStage):
    """Settles contenders in keep order.

    A contender is removed if it is similar to one that is kept; the first of those is its twin. It
    is kept if it is complete and all that it is similar to are removed. Otherwise it stays
    undecided. There is one walk and so one worker, which streams. It holds the contender that is
    open, without what that is similar to, and 18 to 36 bytes for each document of the round that is
    not kept.
    """

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("walk",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc", "role", "kept_rank", "kept")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"steps": STEPS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"near": NEAR.schema, "kept": KEPT.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        table = _Table()
        settled = np.zeros((1, 4), dtype=np.int64)  # the last is the contender that is open
        similarity = np.zeros(1)
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            _, rank, doc, role, _, kept, complete, similar = (c.to_numpy() for c in batch.columns)
            table.make_room(len(doc) + 1)
            settled, similarity = _walk(
                rank, doc, role, kept, complete, similar, settled[-1], similarity[-1], table.keys,
                table.values,
            )  # fmt: skip
            yield from self._told(settled[:-1], similarity[:-1])
        yield from self._told(settled[-1:], similarity[-1:])

    @staticmethod
    def _told(settled: Ints, similarity: NDArray[np.float64]) -> Tagged:
        """The outputs for contenders that are settled."""
        doc, rank, fate, twin = settled.T
        gone, stay = fate == _REMOVED, fate == _KEPT
        if gone.any():
            yield "near", duplicate_rows(doc[gone], "near", twin[gone], similarity[gone])
        if stay.any():
            yield "kept", batch_of(KEPT.schema, (doc[stay], rank[stay]))


class _Table:
    """A hash table, open addressing, from the documents that are not kept to their fates."""

    def __init__(self) -> None:
        self.keys = np.zeros(1 << 10, dtype=np.int64)
        self.values = np.zeros(1 << 10, dtype=np.uint8)  # 0: nothing here
        self.entries = 0  # at most

    def make_room(self, more: int) -> None:
        """Keep the load at or below a half after so many more entries."""
        if 2 * (self.entries + more) > len(self.keys):
            self.entries = int(np.count_nonzero(self.values))
        self.entries += more
        if 2 * self.entries > len(self.keys):
            size = 1 << (2 * self.entries).bit_length()
            keys, values = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.uint8)
            _copy(self.keys, self.values, keys, values)
            self.keys, self.values = keys, values


@kernel
def _walk(
    rank: Ints,
    doc: Ints,
    role: Ints,
    kept: Ints,
    complete: Ints,
    similar: NDArray[np.float64],
    held: Ints,
    held_similarity: float,
    keys: Ints,
    values: Fates,
) -> tuple[Ints, NDArray[np.float64]]:
    """Contenders with their fates so far: (doc, rank, fate, twin) and similarity with the twin.

    The first is `held`, of the rows before; the last is open, and the others are in the table.
    """
    settled = np.empty((np.sum(role == 0) + 1, 4), dtype=np.int64)
    similarity = np.zeros(len(settled))
    settled[0], similarity[0] = held, held_similarity
    last = 0
    for i in range(doc.size):
        if role[i] == 0:
            _remember(settled[last, 0], settled[last, 2], keys, values)
            last += 1
            settled[last, 0], settled[last, 1], settled[last, 3] = doc[i], rank[i], 0
            settled[last, 2] = _KEPT if complete[i] else _UNDECIDED
            continue
        other = values[_slot(keys, values, kept[i])]
        if other == 0 and settled[last, 2] != _REMOVED:
            settled[last, 2], settled[last, 3], similarity[last] = _REMOVED, kept[i], similar[i]
        elif other == _UNDECIDED and settled[last, 2] == _KEPT:
            settled[last, 2] = _UNDECIDED
    return settled, similarity


@inlined
def _remember(doc: int, fate: int, keys: Ints, values: Fates) -> None:
    if fate in (_REMOVED, _UNDECIDED):
        at = _slot(keys, values, doc)
        keys[at], values[at] = doc, fate


@kernel
def _copy(keys: Ints, values: Fates, to_keys: Ints, to_values: Fates) -> None:
    for i in range(keys.size):
        if values[i]:
            at = _slot(to_keys, to_values, keys[i])
            to_keys[at], to_values[at] = keys[i], values[i]


@inlined
def _slot(keys: Ints, values: Fates, key: int) -> Any:
    """Where `key` is in the table, or would be."""
    mask = np.int64(keys.size - 1)
    at = np.int64(mix64(np.uint64(key))) & mask
    while values[at] and keys[at] != key:
        at = (at + 1) & mask
    return at
