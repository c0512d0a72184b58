"""Greedy selection in keep order: who is kept, who is removed as similar to one that is.

`GreedySelection` goes over the similar pairs of a round, and settles what they decide. Documents that are
similar but below the threshold fill buckets together, and no round decides many of them. Once few
are left, it is cheaper to bring each one's shingles to one worker once (`UndecidedSets`), and to compare
it in keep order with those kept so far that share a bucket with it and with nobody else (`FinalSelection`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.hashing import mix64
from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.schema import KEPT, NEAR, TEXT, UNDECIDED, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.dedup.groups import Ints, batch_of, column, duplicate_rows, grown, parts
from unrote.dedup.shingles import is_characters, shingle_hashes, table_for

Statuses = NDArray[np.uint8]

STEPS = pa.schema(
    [(n, pa.int64()) for n in ("walk", "rank", "doc", "role", "kept_rank", "kept", "complete")]
    + [("similarity", pa.float64())]
)
"""What the walk goes over: each candidate (role 0), then the similar ones before it in keep order
(role 1, `kept`). `walk` is 0: there is one walk."""

_KEPT, _REMOVED, _UNDECIDED = 1, 2, 3


@dataclass(frozen=True)
class GreedySelection(PlainStage):
    """Settles candidates in keep order.

    A candidate is removed if it is similar to one that is kept; the first of those is its twin. It
    is kept if it is complete and all that it is similar to are removed. Otherwise it stays
    undecided. There is one walk and so one worker, which streams. It holds the candidate that is
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
        settled = np.zeros((1, 4), dtype=np.int64)  # the last is the candidate that is open
        similarity = np.zeros(1)
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            _, rank, doc, role, _, kept, complete, similar = (c.to_numpy() for c in batch.columns)
            table.make_room(len(doc) + 1)
            settled, similarity = _select_pairs(
                rank, doc, role, kept, complete, similar, settled[-1], similarity[-1], table.keys,
                table.values,
            )  # fmt: skip
            yield from self._outcomes(settled[:-1], similarity[:-1])
        yield from self._outcomes(settled[-1:], similarity[-1:])

    @staticmethod
    def _outcomes(settled: Ints, similarity: NDArray[np.float64]) -> Tagged:
        """The outputs for candidates that are settled."""
        doc, rank, status, twin = settled.T
        gone, stay = status == _REMOVED, status == _KEPT
        if gone.any():
            yield "near", duplicate_rows(doc[gone], "near", twin[gone], similarity[gone])
        if stay.any():
            yield "kept", batch_of(KEPT.schema, (doc[stay], rank[stay]))


class _Table:
    """A hash table, open addressing, from the documents that are not kept to their statuses."""

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
def _select_pairs(
    rank: Ints,
    doc: Ints,
    role: Ints,
    kept: Ints,
    complete: Ints,
    similar: NDArray[np.float64],
    held: Ints,
    held_similarity: float,
    keys: Ints,
    values: Statuses,
) -> tuple[Ints, NDArray[np.float64]]:
    """Contenders with their statuses so far: (doc, rank, status, twin) and similarity with the twin.

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
        other = values[_slot_of(keys, values, kept[i])]
        if other == 0 and settled[last, 2] != _REMOVED:
            settled[last, 2], settled[last, 3], similarity[last] = _REMOVED, kept[i], similar[i]
        elif other == _UNDECIDED and settled[last, 2] == _KEPT:
            settled[last, 2] = _UNDECIDED
    return settled, similarity


@inlined
def _remember(doc: int, status: int, keys: Ints, values: Statuses) -> None:
    if status in (_REMOVED, _UNDECIDED):
        at = _slot_of(keys, values, doc)
        keys[at], values[at] = doc, status


@kernel
def _copy(keys: Ints, values: Statuses, to_keys: Ints, to_values: Statuses) -> None:
    for i in range(keys.size):
        if values[i]:
            at = _slot_of(to_keys, to_values, keys[i])
            to_keys[at], to_values[at] = keys[i], values[i]


@inlined
def _slot_of(keys: Ints, values: Statuses, key: int) -> Any:
    """Where `key` is in the table, or would be."""
    mask = np.int64(keys.size - 1)
    at = np.int64(mix64(np.uint64(key))) & mask
    while values[at] and keys[at] != key:
        at = (at + 1) & mask
    return at


_LIST = pa.list_(pa.field("item", pa.int64(), nullable=False))

UNDECIDED_SETS = pa.schema(
    [(name, pa.int64()) for name in ("walk", "rank", "doc")]
    + [("buckets", _LIST), ("shingles", _LIST)]
)
"""An undecided document with its buckets and its shingles (ascending, distinct). `walk` is 0."""

FINAL_DOCUMENTS = 1 << 14
"""So few undecided documents are finished in one place."""

_BATCH_VALUES = 1 << 22  # shingles in a batch: 32 MiB
_MERGE_STEPS = 16  # of a merge, without looking whether it can be left


@dataclass(frozen=True)
class UndecidedSets(PlainStage):
    """The undecided documents' buckets and shingles, one row for each document."""

    unit: str = "word"
    ngram: int = 5

    inputs: ClassVar[Mapping[str, pa.Schema]] = {"undecided": UNDECIDED.schema, "text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": UNDECIDED_SETS}

    def _run(self, tagged: Tagged) -> Tagged:
        rows: list[pa.RecordBatch] = []
        read = False  # whether text of the stretch that `rows` belong to has come
        for tag, batch in tagged:
            if tag == "undecided":
                rows = [batch] if read else [*rows, batch]
                read = False
            elif batch.num_rows:
                read = True
                yield from self._gathered(pa.concat_batches(rows), batch)

    def _gathered(self, undecided: pa.RecordBatch, texts: pa.RecordBatch) -> Tagged:
        """One row for each document of `texts`, all of which are in `undecided`."""
        doc, bucket, rank = (column(undecided, name) for name in ("doc", "bucket", "rank"))
        docs = column(texts, "doc")
        bounds = np.append(np.searchsorted(doc, docs), np.searchsorted(doc, docs[-1], side="right"))
        data, offsets = arrow_buffers(texts.column("text"))
        characters = is_characters(self.unit, self.ngram)
        hashes, ends, _ = shingle_hashes(
            data, offsets, table_for(data), characters, self.ngram, True
        )
        for part in parts(np.diff(ends), _BATCH_VALUES):
            chosen = docs[part]
            columns = (np.zeros_like(chosen), rank[bounds[:-1][part]], chosen)
            lists = (_lists(bucket, bounds, part), _lists(hashes, ends, part))
            arrays = [*(pa.array(values) for values in columns), *lists]
            yield "sets", pa.RecordBatch.from_arrays(arrays, schema=UNDECIDED_SETS)


def _lists(values: Ints, bounds: Ints, part: slice) -> pa.ListArray:
    """The lists values[bounds[i]:bounds[i + 1]] for the rows of `part`."""
    here = bounds[part.start : part.stop + 1]
    flat = pa.array(values[here[0] : here[-1]])
    return pa.ListArray.from_arrays(pa.array((here - here[0]).astype(np.int32)), flat, type=_LIST)


@dataclass(frozen=True)
class FinalSelection(PlainStage):
    """Walks in keep order: a document is removed if it is similar to one that was kept before it
    and shares a bucket with it; the first of those is its twin. Holds the kept documents' shingles,
    and there are at most FINAL_DOCUMENTS of them.
    """

    threshold: float = 0.8

    key: ClassVar[tuple[str, ...]] = ("walk",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": UNDECIDED_SETS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"near": NEAR.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        kept = _Kept()
        for _, batch in tagged:
            doc = column(batch, "doc")
            buckets, bucket_bounds = _flat(batch.column("buckets"))
            shingles, bounds = _flat(batch.column("shingles"))
            kept.make_room(len(doc), len(buckets), len(shingles))
            twins, similarity = _select_sets(
                doc, buckets, bucket_bounds, shingles, bounds, self.threshold, *kept.arrays
            )
            gone = np.flatnonzero(similarity)
            if len(gone):
                yield "near", duplicate_rows(doc[gone], "near", twins[gone], similarity[gone])


def _flat(lists: pa.ListArray) -> tuple[Ints, Ints]:
    """Values and bounds of a list column, from 0."""
    bounds = lists.offsets.to_numpy().astype(np.int64)
    return lists.values.to_numpy()[bounds[0] : bounds[-1]], bounds - bounds[0]


@dataclass
class _Kept:
    """What is kept so far, in arrays that grow by doubling.

    sizes: [documents kept, entries in chains]. docs, bounds, values: documents and their shingles.
    keys, heads: a hash table, open addressing, from buckets (0: empty) to the last entry of a
    chain; owner, before: an entry's document (by place) and the entry before it, -1 for none.
    """

    sizes: Ints = field(default_factory=lambda: np.zeros(2, dtype=np.int64))
    docs: Ints = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    bounds: Ints = field(default_factory=lambda: np.zeros(65, dtype=np.int64))
    values: Ints = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    keys: Ints = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    heads: Ints = field(default_factory=lambda: np.full(64, -1, dtype=np.int64))
    owner: Ints = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    before: Ints = field(default_factory=lambda: np.zeros(64, dtype=np.int64))

    @property
    def arrays(self) -> tuple[Ints, ...]:
        return (
            self.sizes, self.docs, self.bounds, self.values,
            self.keys, self.heads, self.owner, self.before,
        )  # fmt: skip

    def make_room(self, documents: int, entries: int, shingles: int) -> None:
        """Make the arrays large enough for so many more, if all are kept."""
        count, used = self.sizes.tolist()
        self.docs = grown(self.docs, count + documents)
        self.values = grown(self.values, int(self.bounds[count]) + shingles)
        self.bounds = grown(self.bounds, count + documents + 1)
        self.owner, self.before = (grown(a, used + entries) for a in (self.owner, self.before))
        if 2 * (used + entries) > len(self.keys):
            size = 1 << (4 * (used + entries)).bit_length()
            keys, heads = np.zeros(size, dtype=np.int64), np.full(size, -1, dtype=np.int64)
            _move(self.keys, self.heads, keys, heads)
            self.keys, self.heads = keys, heads


@kernel
def _select_sets(
    doc: Ints,
    buckets: Ints,
    bucket_bounds: Ints,
    shingles: Ints,
    bounds: Ints,
    threshold: float,
    sizes: Ints,
    kept_docs: Ints,
    kept_bounds: Ints,
    kept_values: Ints,
    keys: Ints,
    heads: Ints,
    owner: Ints,
    before: Ints,
) -> tuple[Ints, NDArray[np.float64]]:
    """Twin and similarity of each document; similarity 0.0 where it is kept. Adds to the kept."""
    twins, found = np.zeros(doc.size, dtype=np.int64), np.zeros(doc.size, dtype=np.float64)
    seen = np.full(kept_docs.size, -1, dtype=np.int64)  # the last document that met a kept one
    for d in range(doc.size):
        own = shingles[bounds[d] : bounds[d + 1]]
        twin = np.int64(-1)
        for b in range(bucket_bounds[d], bucket_bounds[d + 1]):
            entry = heads[_bucket_slot(keys, buckets[b])]
            while entry >= 0:
                k = owner[entry]
                # The twin is the first similar one in keep order, so later ones need no look.
                if seen[k] != d and (twin < 0 or k < twin):
                    seen[k] = d
                    similarity = _similarity(
                        own, kept_values[kept_bounds[k] : kept_bounds[k + 1]], threshold
                    )
                    if similarity >= threshold:
                        twin, found[d] = k, similarity
                entry = before[entry]
        if twin >= 0:
            twins[d] = kept_docs[twin]
            continue
        k = sizes[0]
        kept_docs[k] = doc[d]
        kept_bounds[k + 1] = kept_bounds[k] + own.size
        kept_values[kept_bounds[k] : kept_bounds[k + 1]] = own
        sizes[0] += 1
        for b in range(bucket_bounds[d], bucket_bounds[d + 1]):
            slot, entry = _bucket_slot(keys, buckets[b]), sizes[1]
            keys[slot] = _stored(buckets[b])
            owner[entry], before[entry], heads[slot] = k, heads[slot], entry
            sizes[1] += 1
    return twins, found


@inlined
def _similarity(left: Ints, right: Ints, threshold: float) -> float:
    """The Jaccard similarity of two sets (dedup.similarity), or 0.0 as soon as it must be below the
    threshold: every element without a partner lowers what the intersection can still be.
    """
    together = left.size + right.size
    # shared / (together - shared) < threshold, with the slack that rounding may need
    needed = np.int64(threshold * together / (1 + threshold) - 1e-6)
    if min(left.size, right.size) < needed:
        return 0.0
    spare = together - 2 * needed
    i = j = shared = 0
    while i + _MERGE_STEPS < left.size and j + _MERGE_STEPS < right.size:
        for _ in range(_MERGE_STEPS):
            x, y = left[i], right[j]
            shared += x == y
            i += x <= y
            j += y <= x
        if i + j - 2 * shared > spare:
            return 0.0
    while i < left.size and j < right.size:
        x, y = left[i], right[j]
        shared += x == y
        i += x <= y
        j += y <= x
    return shared / max(together - shared, 1)


@inlined
def _stored(bucket: int) -> Any:
    """A bucket as a key of the table, in which 0 is an empty place."""
    return bucket if bucket != 0 else np.int64(-1)


@inlined
def _bucket_slot(keys: Ints, bucket: int) -> Any:
    """Where a bucket is in the table, or would be."""
    key = _stored(bucket)
    mask = np.int64(keys.size - 1)
    at = np.int64(mix64(np.uint64(key))) & mask
    while keys[at] != 0 and keys[at] != key:
        at = (at + 1) & mask
    return at


@kernel
def _move(keys: Ints, heads: Ints, to_keys: Ints, to_heads: Ints) -> None:
    for i in range(keys.size):
        if keys[i] != 0:
            at = _bucket_slot(to_keys, keys[i])
            to_keys[at], to_heads[at] = keys[i], heads[i]
