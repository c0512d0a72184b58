"""The walk in keep order over the similar pairs of a round: who is kept, who is removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.hashing import mix64
from corpus.kernel import inlined, kernel
from corpus.schema import KEPT, NEAR, Tagged
from dedup.groups import Ints, PlainStage, batch_of, duplicate_rows

Fates = NDArray[np.uint8]

STEPS = pa.schema(
    [(n, pa.int64()) for n in ("walk", "rank", "doc", "role", "kept_rank", "kept", "complete")]
    + [("similarity", pa.float64())]
)
"""What the walk goes over: each contender (role 0), then the similar ones before it in keep order
(role 1, `kept`). `walk` is 0: there is one walk."""

_ROLE = STEPS.get_field_index("role")
_KEPT, _REMOVED, _UNDECIDED = 1, 2, 3


@dataclass(frozen=True)
class Walk(PlainStage):
    """Settles contenders in keep order.

    A contender is removed if it is similar to one that is kept; the first of those is its twin. It
    is kept if it is complete and all that it is similar to are removed. Otherwise it stays
    undecided. There is one walk and so one worker, which streams, and remembers 18 to 36 bytes for
    each document of the round that is not kept.
    """

    key: ClassVar[tuple[str, ...]] = ("walk",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc", "role", "kept_rank", "kept")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"steps": STEPS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"near": NEAR.schema, "kept": KEPT.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        table = _Table()
        held: list[NDArray[Any]] = []  # the rows of the document that is open
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            rows = [values.to_numpy() for values in batch.columns]
            if held:
                rows = [np.concatenate(pair) for pair in zip(held, rows, strict=True)]
            last = int(np.flatnonzero(rows[_ROLE] == 0)[-1])  # where the open document begins
            held = [values[last:] for values in rows]
            yield from self._settled([values[:last] for values in rows], table)
        if held:
            yield from self._settled(held, table)

    @staticmethod
    def _settled(rows: list[NDArray[Any]], table: "_Table") -> Tagged:
        """The outputs for the documents of `rows`, each of which is there whole."""
        _, rank, doc, role, _, kept, complete, similarity = rows
        table.make_room(len(doc))
        fates, twins = _walk(doc, role, kept, complete, table.keys, table.values)
        gone, stay = np.flatnonzero(fates == _REMOVED), np.flatnonzero(fates == _KEPT)
        if len(gone):
            row = twins[gone]
            yield "near", duplicate_rows(doc[gone], "near", kept[row], similarity[row])
        if len(stay):
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
    doc: Ints, role: Ints, kept: Ints, complete: Ints, keys: Ints, values: Fates
) -> tuple[Fates, Ints]:
    """The fate of each document in its row of role 0, and there the row of its twin, if removed."""
    fates, twins = np.zeros(doc.size, dtype=np.uint8), np.zeros(doc.size, dtype=np.int64)
    i = 0
    while i < doc.size:
        row, fate = i, _KEPT if complete[i] else _UNDECIDED
        i += 1
        while i < doc.size and role[i]:
            other = values[_slot(keys, values, kept[i])]
            if other == 0 and fate != _REMOVED:
                fate, twins[row] = _REMOVED, i
            elif other == _UNDECIDED and fate == _KEPT:
                fate = _UNDECIDED
            i += 1
        fates[row] = fate
        if fate != _KEPT:
            at = _slot(keys, values, doc[row])
            keys[at], values[at] = doc[row], fate
    return fates, twins


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
