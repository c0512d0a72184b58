"""Near-duplicates: which documents stay, by rounds.

The documents that stay are the lexicographically first maximal independent set, in keep order, of
the graph of verified similar pairs: what a walk in keep order keeps that removes each document
similar to one it has kept. A round is

    A   bands → Meet → Distinct → pairs       in each bucket the first `width` members meet all
                Meet → Decide → contenders    that come later; who has met everybody before it, and
                              → undecided     will be met by everybody after it, is complete
    B   text → Shingles → Verify → Walk       the pairs are verified; the walk in keep order
                        → near, kept          settles each document whose fate they decide

and the next round's A reads the undecided rows of the documents that B neither removed nor kept,
with a larger width (`width_of`). The rounds end when A finds no pair.

The width starts at one, so that n copies of one text make n - 1 pairs, not n * (n - 1) / 2. It
grows, so that the rounds are few where many documents share a bucket and are not similar: in the
licence texts 83 rounds would be needed if each document waited until it comes first in all its
buckets.

After ROUNDS rounds the width has no limit: everybody is complete, so that the walk decides all that
is left and the number of rounds has a bound. Each round is several passes over tables and one over
text. What is left by then are documents that share a bucket and are not similar, most pairs of
which have to be compared anyway.

A document that went as an exact copy of one that then went as near-duplicate gets the latter's twin
(Chain → Resolve), so that a twin is always a document that stayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import (
    BANDS,
    DUPLICATES,
    EXACT,
    NEAR,
    PAIRS,
    TEXT,
    UNDECIDED,
    Table,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.corpus.texts import Texts, text_array
from unrote.dedup.groups import (
    Bools,
    Ints,
    batch_of,
    column,
    duplicate_rows,
    grown,
    parts,
    places,
    spread,
    starts,
)
from unrote.dedup.jaccard import similarities
from unrote.dedup.minhash import bands_for, sign_texts
from unrote.dedup.shingles import Unit, is_characters, shingle_hashes, table_for
from unrote.dedup.walk import STEPS, Walk


def _integers(*names: str) -> pa.Schema:
    return pa.schema([(name, pa.int64()) for name in names])


MEMBERS = _integers("doc", "bucket", "rank", "complete", "leads")
"""The members of buckets with more than one: 1 in `complete` if it meets everybody else in it, 1 in
`leads` if later members meet it."""

CONTENDERS = Table("contenders", _integers("doc", "rank", "complete", "leads"))
"""The documents of a round: 1 in `complete` if it meets everybody in its buckets, 1 in `leads` if a
later document meets it."""

SETS = pa.schema(
    [(name, pa.int64()) for name in ("kept", "role", "doc", "kept_rank", "rank")]
    + [("shingles", pa.list_(pa.field("item", pa.int64(), nullable=False)))]
)
"""Shingle sets beside the document that they are compared with (`kept`, if it will be): its own
(role 0), then those of the documents that met it (role 1). Ascending, distinct."""

CHAIN = pa.schema(
    [(name, pa.int64()) for name in ("key", "role", "doc", "twin")] + [("similarity", pa.float64())]
)
"""Removed documents by the document that they depend on: a near-duplicate by itself (role 0), an
exact copy by its twin (role 1)."""

_BATCH_VALUES = 1 << 22  # shingles in a batch of sets: 32 MiB
_BATCH_PAIRS = 1 << 19  # pairs in a batch: 12 MiB


ROUNDS = 6
"""After so many rounds one more decides all that is left."""

_EVERYBODY = 1 << 62


def width_of(number: int) -> int:
    """How many members of a bucket all later ones meet in round `number`, counted from 0."""
    return int(4**number) if number < ROUNDS else _EVERYBODY


@dataclass(frozen=True)
class Meet(PlainStage):
    """In each bucket with more than one member the first `width` meet all that come later.

    A member is complete if it is one of the first, or the one after them and the last: all before
    it have met it. Others after it would not meet it, so that it could not be kept yet.

    Holds the first members of the open bucket: 16 bytes each.
    """

    width: int = 1

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("bucket",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"bands": BANDS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"members": MEMBERS, "pairs": PAIRS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        none = np.empty(0, dtype=np.int64)
        held = [none] * 4  # the last row: does another one of its bucket follow?
        leaders = _Leaders()
        before: tuple[int, ...] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            doc, bucket, rank = (column(batch, name) for name in ("doc", "bucket", "rank"))
            place = places(starts((bucket,), before), int(held[3][-1]) + 1 if before else 0)
            before = (int(bucket[-1]),)
            yield from self._pairs(doc, rank, place, leaders)
            rows = [np.append(h, v) for h, v in zip(held, (doc, bucket, rank, place), strict=True)]
            yield from self._members(rows, rows[3][1:] > 0)
            held = [values[-1:] for values in rows]
        yield from self._members(held, np.zeros(len(held[3]), dtype=np.bool_))

    def _members(self, rows: list[Ints], followed: Bools) -> Tagged:
        """The first rows, as many as it is known of whether another one of the bucket follows."""
        doc, bucket, rank, place = (values[: len(followed)] for values in rows)
        some = followed | (place > 0)
        if some.any():
            first = place < self.width
            complete = (first | (~followed & (place == self.width))).astype(np.int64)
            columns = (doc, bucket, rank, complete, (followed & first).astype(np.int64))
            yield "members", batch_of(MEMBERS, (values[some] for values in columns))

    def _pairs(self, doc: Ints, rank: Ints, place: Ints, leaders: "_Leaders") -> Tagged:
        """Each row with the leaders before it.

        In `leaders` the batch comes after those of the bucket that was open before, so that a
        bucket's leaders lie side by side.
        """
        row, before = np.arange(len(doc)), leaders.count
        leaders.append(doc, rank)
        leader, leader_rank = leaders.rows[:, 0], leaders.rows[:, 1]
        first = np.where(place > row, 0, row - place + before)
        count = np.minimum(place, self.width)
        ends = np.cumsum(count)
        for low in range(0, int(ends[-1]), _BATCH_PAIRS):
            # Pairs low … high - 1 of all; of the first and the last row perhaps only some.
            high = min(low + _BATCH_PAIRS, int(ends[-1]))
            first_row, last_row = np.searchsorted(ends, (low, high - 1), side="right")
            part = slice(first_row, last_row + 1)
            begins = ends[part] - count[part]
            skipped = np.maximum(low - begins, 0)
            times = np.minimum(ends[part], high) - begins - skipped
            met = np.repeat(first[part] + skipped, times) + _steps(times)
            columns = (np.repeat(doc[part], times), leader[met], leader_rank[met])
            yield "pairs", batch_of(PAIRS.schema, columns)
        leaders.keep(max(0, leaders.count - 1 - int(place[-1])), self.width)


class _Leaders:
    """The first members (doc, rank) of the open bucket, in an array that grows by doubling."""

    def __init__(self) -> None:
        self.rows = np.empty((64, 2), dtype=np.int64)
        self.count = 0

    def append(self, doc: Ints, rank: Ints) -> None:
        count = self.count + len(doc)
        self.rows = grown(self.rows, count)
        self.rows[self.count : count, 0], self.rows[self.count : count, 1] = doc, rank
        self.count = count

    def keep(self, first: int, most: int) -> None:
        """Forget those before `first`, and of the others all but the first `most`."""
        last = min(self.count, first + most)
        if first:
            self.rows[: last - first] = self.rows[first:last].copy()
        self.count = last - first


def _steps(times: Ints) -> Ints:
    """0, 1, … times[0] - 1, 0, 1, … times[1] - 1, …"""
    return np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)


@dataclass(frozen=True)
class Decide(PlainStage):
    """Which documents are complete: in all their buckets. All rows go on to the next round, which
    leaves out those of the documents that this one settles.

    Holds the rows of the open document: one for each of its buckets, of which `bands_for` says how
    many there are.
    """

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("bucket",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"members": MEMBERS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "contenders": CONTENDERS.schema,
        "undecided": UNDECIDED.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        held = [np.empty(0, dtype=np.int64) for _ in MEMBERS]
        for _, batch in tagged:
            rows = [
                np.append(h, column(batch, n)) for h, n in zip(held, MEMBERS.names, strict=True)
            ]
            if len(rows[0]):
                last = int(np.searchsorted(rows[0], rows[0][-1]))  # where the open document begins
                held = [values[last:] for values in rows]
                yield from self._decided([values[:last] for values in rows])
        yield from self._decided(held)

    def _decided(self, rows: list[Ints]) -> Tagged:
        doc, bucket, rank, complete, leads = rows
        if not len(doc):
            return
        groups = np.flatnonzero(starts((doc,), None))
        columns = (
            doc[groups],
            rank[groups],
            np.minimum.reduceat(complete, groups),
            np.maximum.reduceat(leads, groups),
        )
        yield "contenders", batch_of(CONTENDERS.schema, columns)
        yield "undecided", batch_of(UNDECIDED.schema, (doc, bucket, rank))


@dataclass(frozen=True)
class Distinct(PlainStage):
    """Pairs that met in several buckets, once. Holds the last pair."""

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("kept",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"pairs": PAIRS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"pairs": PAIRS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int, int] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            doc, kept, rank = (column(batch, name) for name in PAIRS.schema.names)
            new = starts((doc, kept), before)
            before = (int(doc[-1]), int(kept[-1]))
            if new.any():
                yield "pairs", batch_of(PAIRS.schema, (doc[new], kept[new], rank[new]))


@dataclass(frozen=True)
class Shingles(PlainStage):
    """The shingle sets of the contenders, each beside what it is compared with; and the contenders
    as steps of the walk.
    """

    unit: str = "word"
    ngram: int = 5

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "contenders": CONTENDERS.schema,
        "pairs": PAIRS.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": SETS, "steps": STEPS}

    def _run(self, tagged: Tagged) -> Tagged:
        beside: dict[str, list[list[Ints]]] = {"contenders": [], "pairs": []}
        roles: list[Ints] | None = None
        for tag, batch in tagged:
            if tag == "text":
                if roles is None:
                    roles = _roles(**beside)
                    beside = {"contenders": [], "pairs": []}
                yield from self._sets(roles, batch)
                continue
            roles = None  # tables again: another stretch
            beside[tag].append([column(batch, name) for name in batch.schema.names])
            if tag == "contenders" and batch.num_rows:
                doc, rank, complete, _ = beside[tag][-1]
                zero = np.zeros_like(doc)
                columns = (zero, rank, doc, zero, zero, zero, complete, zero)
                yield "steps", batch_of(STEPS, columns)

    def _sets(self, roles: list[Ints], batch: pa.RecordBatch) -> Tagged:
        """The rows of `roles` (see `_roles`) of the batch's documents, with shingles."""
        doc, docs = roles[2], column(batch, "doc")
        low = np.searchsorted(doc, docs)
        count = np.searchsorted(doc, docs, side="right") - low
        needed = np.flatnonzero(count)
        if not len(needed):
            return
        texts = batch.column("text")
        if len(needed) < len(docs):
            texts = texts.take(pa.array(needed))
        data, offsets = arrow_buffers(texts)
        characters = is_characters(self.unit, self.ngram)
        hashes, bounds, _ = shingle_hashes(
            data, offsets, table_for(data), characters, self.ngram, True
        )
        sets = np.repeat(np.arange(len(needed)), count[needed])
        row = low[needed][sets] + _steps(count[needed])
        for part in parts(np.diff(bounds)[sets], _BATCH_VALUES):
            columns = [pa.array(values[row[part]]) for values in roles]
            lists = _gathered(hashes, bounds, sets[part])
            yield "sets", pa.RecordBatch.from_arrays([*columns, lists], schema=SETS)


def _roles(contenders: list[list[Ints]], pairs: list[list[Ints]]) -> list[Ints]:
    """(kept, role, doc, kept_rank, rank) for each set that a stretch's documents give, by `doc`."""
    contender, rank, _, leads = _joined(contenders, 4)
    doc, kept, kept_rank = _joined(pairs, 3)
    own = leads == 1
    doc_rank = rank[np.searchsorted(contender, doc)]
    rows = [
        np.append(kept, contender[own]),
        np.repeat(np.array([1, 0]), (len(doc), int(own.sum()))),
        np.append(doc, contender[own]),
        np.append(kept_rank, rank[own]),
        np.append(doc_rank, rank[own]),
    ]
    order = np.argsort(rows[2], kind="stable")
    return [values[order] for values in rows]


def _joined(batches: list[list[Ints]], columns: int) -> list[Ints]:
    """The columns of several batches, each in one array."""
    none = np.empty(0, dtype=np.int64)
    return [np.concatenate((none, *(batch[c] for batch in batches))) for c in range(columns)]


def _gathered(values: Ints, bounds: Ints, sets: Ints) -> pa.ListArray:
    """The lists values[bounds[s]:bounds[s + 1]] for each of `sets`, which may repeat."""
    flat = pa.ListArray.from_arrays(
        pa.array(bounds.astype(np.int32)), pa.array(values), type=SETS.field("shingles").type
    )
    return flat if np.array_equal(sets, np.arange(len(bounds) - 1)) else flat.take(pa.array(sets))


@dataclass(frozen=True)
class Verify(PlainStage):
    """The pairs whose exact Jaccard similarity is at or above the threshold, as steps of the walk.

    The similarity is the float64 nearest to intersection / union; it is compared as it is. Holds
    one set, of the open group's `kept`.
    """

    threshold: float = 0.8

    key: ClassVar[tuple[str, ...]] = ("kept",)
    order: ClassVar[tuple[str, ...]] = ("role", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": SETS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"steps": STEPS}

    def _run(self, tagged: Tagged) -> Tagged:
        open_set = np.empty(0, dtype=np.int64)  # of the kept document whose group is open
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            kept, role, doc, kept_rank, rank = (column(batch, n) for n in SETS.names[:5])
            lists = batch.column("shingles")
            bounds = lists.offsets.to_numpy().astype(np.int64)
            values = lists.values.to_numpy()
            # Set 0 is the open one, set i + 1 that of row i.
            values = np.concatenate((open_set, values[bounds[0] : bounds[-1]]))
            bounds = np.concatenate(([0], bounds - bounds[0] + len(open_set)))
            own = spread(np.arange(1, len(kept) + 1), role == 0, 0)
            pairs = np.flatnonzero(role)
            found = similarities(values, bounds, own[pairs], pairs + 1)
            enough = found >= self.threshold
            rows = pairs[enough]
            if len(rows):
                zero = np.zeros(len(rows), dtype=np.int64)
                columns = (zero, rank[rows], doc[rows], zero + 1, kept_rank[rows], kept[rows], zero)
                yield "steps", batch_of(STEPS, (*columns, found[enough]))
            open_set = values[bounds[own[-1]] : bounds[own[-1] + 1]].copy()


@dataclass(frozen=True)
class Chain(PlainStage):
    """Removed documents by the document that they depend on: see CHAIN."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {"near": NEAR.schema, "exact": EXACT.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"chain": CHAIN}

    def _run(self, tagged: Tagged) -> Tagged:
        for tag, batch in tagged:
            key = batch.column("doc" if tag == "near" else "twin")
            role = pa.array(np.full(batch.num_rows, int(tag != "near")))
            rest = [batch.column(name) for name in ("doc", "twin", "similarity")]
            yield "chain", pa.RecordBatch.from_arrays([key, role, *rest], schema=CHAIN)


@dataclass(frozen=True)
class Resolve(PlainStage):
    """Rows of DUPLICATES in which every twin stayed.

    An exact copy of a near-duplicate has the near-duplicate's shingles, so it has its similarity
    with its twin too. Holds the open group's first row.
    """

    key: ClassVar[tuple[str, ...]] = ("key",)
    order: ClassVar[tuple[str, ...]] = ("role", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"chain": CHAIN}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"duplicates": DUPLICATES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int, ...] | None = None
        gone, open_twin, open_similarity = 0, 0, np.zeros(1)  # gone: the key went as near
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            key, role, doc, twin = (column(batch, name) for name in CHAIN.names[:4])
            similarity = np.concatenate((open_similarity, batch.column("similarity").to_numpy()))
            begins = starts((key,), before)
            first = spread(np.arange(1, len(key) + 1), begins, 0)
            near = spread((role == 0).astype(np.int64), begins, gone) == 1
            twin = np.where(near, spread(twin, begins, open_twin), twin)
            similarity = similarity[np.where(near, first, np.arange(1, len(key) + 1))]
            for some, reason in ((near, "near"), (~near, "exact")):
                if some.any():
                    rows = duplicate_rows(doc[some], reason, twin[some], similarity[some])
                    yield "duplicates", rows
            before = (int(key[-1]),)
            gone, open_twin, open_similarity = int(near[-1]), int(twin[-1]), similarity[-1:]


def near_duplicates(
    texts: Texts,
    *,
    threshold: float = 0.8,
    unit: Unit = "word",
    ngram: int = 5,
    permutations: int = 128,
    max_miss: float = 0.05,
) -> list[tuple[int, int, float]]:
    """The near-duplicates among texts, the first of several stays: (doc, twin, similarity), by doc.

    Runs the stages of a job in memory, with places in `texts` as documents. Raises ValueError if a
    setting is not allowed or no bands reach `max_miss`, TypeError for texts that are no strings.
    """
    array = text_array(texts).cast(pa.string())
    bands, rows = bands_for(permutations, threshold, max_miss)
    _, buckets, words = sign_texts(array, permutations, ngram, unit, bands, rows)
    doc = np.repeat(np.flatnonzero(words), bands)
    left = batch_of(BANDS.schema, (doc, buckets[words > 0].ravel(), np.zeros_like(doc)))
    removed: list[tuple[int, int, float]] = []
    for number in range(ROUNDS + 1):
        met = in_memory(Meet(width_of(number)), bands=left)
        pairs = in_memory(Distinct(), pairs=met["pairs"])["pairs"]
        if not pairs.num_rows:
            break
        decided = in_memory(Decide(), members=met["members"])
        beside = {"contenders": decided["contenders"], "pairs": pairs}
        found = in_memory(Shingles(unit, ngram), **beside, text=batch_of_texts(array))
        verified = in_memory(Verify(threshold), sets=found["sets"])
        steps = pa.concat_batches([found["steps"], verified["steps"]])
        settled = in_memory(Walk(), steps=steps)
        columns = (settled["near"].column(n).to_pylist() for n in ("doc", "twin", "similarity"))
        removed += zip(*columns, strict=True)
        done = np.append(column(settled["near"], "doc"), column(settled["kept"], "doc"))
        left = decided["undecided"]
        left = left.filter(pa.array(~np.isin(column(left, "doc"), done)))
    return sorted(removed)


def batch_of_texts(texts: pa.StringArray) -> pa.RecordBatch:
    """Rows of TEXT, numbered from 0."""
    return pa.RecordBatch.from_arrays([pa.array(np.arange(len(texts))), texts], schema=TEXT)


def in_memory(stage: PlainStage, **inputs: pa.RecordBatch) -> dict[str, pa.RecordBatch]:
    """Run a stage with one input (a map: any number) on whole tables, sorted as it asks."""

    def rows() -> Tagged:
        for tag, batch in inputs.items():
            by = [(name, "ascending") for name in (*stage.key, *stage.order)]
            yield tag, batch.sort_by(by) if stage.key else batch

    with stage.open() as run:
        produced = list(run(rows()))
    return {
        tag: pa.Table.from_batches([b for t, b in produced if t == tag], schema)
        .combine_chunks()
        .to_batches()[0]
        if any(t == tag and b.num_rows for t, b in produced)
        else pa.RecordBatch.from_pylist([], schema)
        for tag, schema in stage.outputs.items()
    }
