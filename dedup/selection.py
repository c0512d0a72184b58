"""The greedy maximal independent set of the similar pairs, in keep order.

`GreedySelection` goes over the similar pairs of a round, and decides the documents that they can
decide; many pairs it goes over in blocks of the keep order (dedup.blocks). Documents that are
similar but below the threshold fill buckets together, and no round decides many of them. Once few
remain, it is cheaper to bring each one's shingles to one worker once (`UndecidedSets`), and to
compare it in keep order with those kept so far that share a bucket with it and with nobody else
(`FinalSelection`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.beside import with_range
from unrote.corpus.hashing import mix64
from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import KEPT, NEAR, TEXT, UNDECIDED, Table, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.dedup.groups import Ints, batch_of, column, duplicate_rows, grown, parts, starts
from unrote.dedup.shingles import is_characters, shingle_hashes
from unrote.dedup.words import table_for

Statuses = NDArray[np.uint8]

UNKNOWN, IS_KEPT, IS_REMOVED, IS_UNDECIDED, WAITS = range(5)
"""What is known of a document. UNDECIDED: this round can't decide it. WAITS: for a document of
another block, of which nothing is known yet."""

STEPS = Table(
    "steps",
    pa.schema(
        [(n, pa.int64()) for n in ("doc", "role", "rank", "kept_rank", "kept", "state")]
        + [("similarity", pa.float64()), ("block", pa.int64())]
    ),
    sort=("doc", "role", "kept_rank", "kept"),
)
"""The steps of the selection: each candidate (role 0), then the similar ones before it in keep
order (role 1, `kept`). `state` of a candidate is 1 if it is complete, else 0; of a similar one what
is known of it, UNKNOWN if it is a candidate of the same block. `block`: of the candidate, as parts
of the keep order are numbered; 0 if there is one."""

STATUSES = Table("statuses", pa.schema([("doc", pa.int64()), ("status", pa.int64())]))
"""What became known of candidates, for blocks of later ones."""


@dataclass(frozen=True)
class GreedySelection(PlainStage):
    """Decides candidates in keep order, block by block.

    A candidate is removed if it is similar to one that is kept; the first of those is its twin. It
    is kept if it is complete and all that it is similar to are removed. Otherwise it stays
    undecided. It waits, with the steps that are needed still, where that depends on a document of
    another block; and so does one that is removed, but not known by which twin.

    Streams. It holds the candidate that is open, without what that is similar to, and 18 to 36
    bytes for each document of the block that is not kept.
    """

    version: ClassVar[int] = 3
    key: ClassVar[tuple[str, ...]] = ("block",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc", "role", "kept_rank", "kept")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"steps": STEPS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "near": NEAR.schema,
        "kept": KEPT.schema,
        "statuses": STATUSES.schema,
        "steps": STEPS.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        table, opened = _Table(), _Candidates.none()
        before: tuple[int] | None = None
        for _, whole in tagged:
            for batch, begins in _by_block(whole, before):
                if begins:
                    yield from opened.outcomes()
                    table, opened = _Table(), _Candidates.none()
                doc, role, rank, _, kept, state, similar, _ = (c.to_numpy() for c in batch.columns)
                table.make_room(len(doc) + 1)
                rows, similarity, needed = _select_pairs(
                    doc, role, rank, kept, state, similar, opened.rows[-1], opened.similarity[-1],
                    table.keys, table.values,
                )  # fmt: skip
                some = np.flatnonzero(needed >= 0)
                if some.size:
                    yield "steps", _still_needed(batch.take(pa.array(some)), needed[some])
                decided = _Candidates(rows, similarity)
                yield from decided.part(slice(0, -1)).outcomes()
                opened = decided.part(slice(-1, None))
                before = (int(column(batch, "block")[-1]),)
        yield from opened.outcomes()


def _by_block(
    batch: pa.RecordBatch, before: tuple[int] | None
) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """The rows of each block, and whether it begins with them."""
    if not batch.num_rows:
        return
    begins = starts((column(batch, "block"),), before)
    bounds = np.unique([0, *np.flatnonzero(begins).tolist(), batch.num_rows]).tolist()
    for first, last in pairwise(bounds):
        yield batch.slice(first, last - first), bool(begins[first])


def _still_needed(steps: pa.RecordBatch, states: Ints) -> pa.RecordBatch:
    """The steps with what is known by now; their block is none."""
    columns = [column(steps, name) for name in STEPS.schema.names]
    return batch_of(STEPS.schema, (*columns[:5], states, columns[6], np.zeros_like(states)))


class _Candidates(NamedTuple):
    """Candidates as the kernel leaves them. rows: int64[n, 6], of each doc, rank, status so far,
    twin, whether it waits, and 0 if there is none; similarity: float64[n], with the twin.
    """

    rows: Ints
    similarity: NDArray[np.float64]

    @classmethod
    def none(cls) -> "_Candidates":
        """Before the first one."""
        return cls(np.zeros((1, 6), dtype=np.int64), np.zeros(1))

    def part(self, some: slice) -> "_Candidates":
        return _Candidates(self.rows[some], self.similarity[some])

    def outcomes(self) -> Tagged:
        """The outputs for candidates of which all steps were seen."""
        doc, rank, status, twin, waits, there = self.rows.T
        if not there.any():
            return
        removed, kept = status == IS_REMOVED, status == IS_KEPT
        final = waits == 0
        if (removed & final).any():
            some = removed & final
            yield "near", duplicate_rows(doc[some], "near", twin[some], self.similarity[some])
        if (kept & final).any():
            yield "kept", batch_of(KEPT.schema, (doc[kept & final], rank[kept & final]))
        known = (there == 1) & (final | removed)
        if known.any():
            yield "statuses", batch_of(STATUSES.schema, (doc[known], status[known]))
        if waits.any():
            some = waits == 1
            zero = np.zeros(int(some.sum()), dtype=np.int64)
            complete = kept[some].astype(np.int64)
            columns = (doc[some], zero, rank[some], zero, zero, complete, zero.astype(float), zero)
            yield "steps", batch_of(STEPS.schema, columns)


class _Table:
    """A hash table, open addressing, from the documents that are not kept to their statuses."""

    def __init__(self) -> None:
        self.keys = np.zeros(1 << 10, dtype=np.int64)
        self.values = np.zeros(1 << 10, dtype=np.uint8)  # 0: an empty slot
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
    doc: Ints,
    role: Ints,
    rank: Ints,
    kept: Ints,
    state: Ints,
    similar: NDArray[np.float64],
    held: Ints,
    held_similarity: float,
    keys: Ints,
    values: Statuses,
) -> tuple[Ints, NDArray[np.float64], Ints]:
    """Candidates of a block, as _Candidates has them; and for each row the state with which it is
    needed once more, -1 if it is not.

    The first is `held`, of the rows before; the last is open, and the others are in the table.
    """
    decided = np.zeros((np.sum(role == 0) + 1, 6), dtype=np.int64)
    similarity = np.zeros(len(decided))
    needed = np.full(doc.size, -1, dtype=np.int64)
    decided[0], similarity[0] = held, held_similarity
    last = 0
    for i in range(doc.size):
        if role[i] == 0:
            _remember(decided[last, 0], decided[last, 2], decided[last, 4], keys, values)
            last += 1
            decided[last, 0], decided[last, 1], decided[last, 5] = doc[i], rank[i], 1
            decided[last, 2] = IS_KEPT if state[i] else IS_UNDECIDED
            continue
        if decided[last, 2] == IS_REMOVED:
            continue
        other = state[i]
        if other == UNKNOWN:
            other = np.int64(values[_slot_of(keys, values, kept[i])])
            other = IS_KEPT if other == 0 else other
        if other == IS_KEPT:
            decided[last, 2], decided[last, 3], similarity[last] = IS_REMOVED, kept[i], similar[i]
            if decided[last, 4]:
                needed[i] = IS_KEPT
        elif other == IS_UNDECIDED:
            decided[last, 2] = IS_UNDECIDED
        elif other == WAITS:
            decided[last, 4], needed[i] = 1, UNKNOWN
    return decided, similarity, needed


@inlined
def _remember(doc: int, status: int, waits: int, keys: Ints, values: Statuses) -> None:
    """A candidate of which all steps were seen, if it is not kept."""
    if waits and status != IS_REMOVED:
        status = WAITS
    if status in (IS_REMOVED, IS_UNDECIDED, WAITS):
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
    """The slot of `key` in the table, taken or free."""
    mask = np.int64(keys.size - 1)
    at = np.int64(mix64(np.uint64(key))) & mask
    while values[at] and keys[at] != key:
        at = (at + 1) & mask
    return at


_LIST = pa.list_(pa.field("item", pa.int64(), nullable=False))

UNDECIDED_SETS = pa.schema(
    [(name, pa.int64()) for name in ("all", "rank", "doc")]
    + [("buckets", _LIST), ("shingles", _LIST)]
)
"""An undecided document with its buckets and its shingles (ascending, distinct). `all` is 0."""

FINAL_DOCUMENTS = 1 << 14
"""So few undecided documents are decided by one worker at once."""

_BATCH_VALUES = 1 << 22  # shingles in a batch: 32 MiB
_MERGE_STEPS = 16  # of a merge, between two looks at whether it can end early


@dataclass(frozen=True)
class UndecidedSets(PlainStage):
    """The undecided documents' buckets and shingles, one row for each document."""

    unit: str = "word"
    ngram: int = 5
    normalization: Normalization = NFC

    version: ClassVar[int] = 5
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"undecided": UNDECIDED.schema, "text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": UNDECIDED_SETS}

    def _run(self, tagged: Tagged) -> Tagged:
        for rows, texts in with_range(tagged):
            yield from self.gathered(rows, texts)

    def gathered(self, undecided: pa.RecordBatch, texts: pa.RecordBatch) -> Tagged:
        """One row for each document of `texts`, all of which are in `undecided`."""
        doc, bucket, rank = (column(undecided, name) for name in ("doc", "bucket", "rank"))
        docs = column(texts, "doc")
        bounds = np.append(np.searchsorted(doc, docs), np.searchsorted(doc, docs[-1], side="right"))
        data, offsets = arrow_buffers(self.normalization.texts(texts.column("text")))
        characters = is_characters(self.unit, self.ngram)
        hashes, ends, _ = shingle_hashes(
            data, offsets, table_for(data), characters, self.ngram, True, True
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
    """In keep order: a document is removed if it is similar to one that was kept before it
    and shares a bucket with it; the first of those is its twin. Holds the kept documents' shingles,
    and there are at most FINAL_DOCUMENTS of them.
    """

    threshold: float = 0.8

    key: ClassVar[tuple[str, ...]] = ("all",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": UNDECIDED_SETS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"near": NEAR.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        kept = _Kept.empty()
        for _, batch in tagged:
            doc = column(batch, "doc")
            buckets, bucket_bounds = _flat(batch.column("buckets"))
            shingles, bounds = _flat(batch.column("shingles"))
            kept = kept.with_room(len(doc), len(buckets), len(shingles))
            sets = _Sets(doc, buckets, bucket_bounds, shingles, bounds)
            twins, similarity = _select_sets(sets, self.threshold, kept)
            removed = np.flatnonzero(similarity)
            if len(removed):
                found = similarity[removed]
                yield "near", duplicate_rows(doc[removed], "near", twins[removed], found)


def _flat(lists: pa.ListArray) -> tuple[Ints, Ints]:
    """Values and bounds of a list column, from 0."""
    bounds = lists.offsets.to_numpy().astype(np.int64)
    return lists.values.to_numpy()[bounds[0] : bounds[-1]], bounds - bounds[0]


class _Sets(NamedTuple):
    """Documents: document i has the buckets buckets[bucket_bounds[i]:bucket_bounds[i + 1]] and the
    shingles shingles[bounds[i]:bounds[i + 1]]. int64.
    """

    doc: Ints
    buckets: Ints
    bucket_bounds: Ints
    shingles: Ints
    bounds: Ints


class _Kept(NamedTuple):
    """The documents kept so far, in arrays that grow by doubling.

    sizes: [documents kept, entries in chains]. docs, bounds, values: documents and their shingles.
    keys, heads: a hash table, open addressing, from buckets (0: empty) to the last entry of a
    chain; owner, before: an entry's document (by index) and the entry before it, -1 for none.
    """

    sizes: Ints
    docs: Ints
    bounds: Ints
    values: Ints
    keys: Ints
    heads: Ints
    owner: Ints
    before: Ints

    @classmethod
    def empty(cls) -> "_Kept":
        docs, values, keys, owner, before = (np.zeros(64, dtype=np.int64) for _ in range(5))
        sizes, bounds = np.zeros(2, dtype=np.int64), np.zeros(65, dtype=np.int64)
        heads = np.full(64, -1, dtype=np.int64)
        return cls(sizes, docs, bounds, values, keys, heads, owner, before)

    def with_room(self, documents: int, entries: int, shingles: int) -> "_Kept":
        """The same, large enough for so many more if all are kept."""
        count, used = self.sizes.tolist()
        keys, heads = self.keys, self.heads
        if 2 * (used + entries) > len(keys):
            size = 1 << (4 * (used + entries)).bit_length()
            keys, heads = np.zeros(size, dtype=np.int64), np.full(size, -1, dtype=np.int64)
            _move(self.keys, self.heads, keys, heads)
        return _Kept(
            self.sizes,
            grown(self.docs, count + documents),
            grown(self.bounds, count + documents + 1),
            grown(self.values, int(self.bounds[count]) + shingles),
            keys,
            heads,
            grown(self.owner, used + entries),
            grown(self.before, used + entries),
        )


@kernel
def _select_sets(sets: _Sets, threshold: float, kept: _Kept) -> tuple[Ints, NDArray[np.float64]]:
    """Twin and similarity of each document; similarity 0.0 where it is kept. Adds to the kept."""
    # Out of a tuple within a loop, numba would count references with locked instructions.
    doc, buckets, bucket_bounds = sets.doc, sets.buckets, sets.bucket_bounds
    shingles, bounds = sets.shingles, sets.bounds
    sizes, kept_docs, kept_bounds, kept_values = kept.sizes, kept.docs, kept.bounds, kept.values
    keys, heads, owner, before = kept.keys, kept.heads, kept.owner, kept.before
    twins, found = np.zeros(doc.size, dtype=np.int64), np.zeros(doc.size, dtype=np.float64)
    seen = np.full(kept_docs.size, -1, dtype=np.int64)  # the last document compared with a kept one
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
    """A bucket as a key of the table, in which 0 is an empty slot."""
    return bucket if bucket != 0 else np.int64(-1)


@inlined
def _bucket_slot(keys: Ints, bucket: int) -> Any:
    """The slot of a bucket in the table, taken or free."""
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
