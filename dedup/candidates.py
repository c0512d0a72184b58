"""Candidate pairs: documents that share an LSH bucket, as many as a round pairs (dedup.near)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import BANDS, PAIRS, UNDECIDED, Table, Tagged
from unrote.corpus.stages import PlainStage
from unrote.dedup.groups import Bools, Ints, batch_of, column, counted, grown, positions, starts
from unrote.dedup.prefixes import HOT_DOCUMENTS_OF_BUCKET, OVERFULL


def _integers(*names: str) -> pa.Schema:
    return pa.schema([(name, pa.int64()) for name in names])


MEMBERS = _integers("doc", "bucket", "rank", "complete", "paired")
"""The members of buckets with more than one: 1 in `complete` if it is paired with everybody else in
it, 1 in `paired` if later members are paired with it."""

CANDIDATES = Table("candidates", _integers("doc", "rank", "complete", "paired"))
"""The documents of a round: 1 in `complete` if it is paired with everybody in its buckets, 1 in
`paired` if a later document is paired with it."""

_BATCH_PAIRS = 1 << 19  # pairs in a batch: 12 MiB


@dataclass(frozen=True)
class CandidatePairs(PlainStage):
    """In each bucket with more than one member the first `width`, each with all that come later.

    A member is complete if it is one of the first, or the one after them and the last: it is paired
    with all before it. Others after it would not be paired with it, so that it could not be kept
    yet.

    Says which buckets hold more than `limit`. Holds the first members of the open bucket: 16 bytes
    each.
    """

    width: int = 1
    limit: int = HOT_DOCUMENTS_OF_BUCKET

    version: ClassVar[int] = 3
    key: ClassVar[tuple[str, ...]] = ("bucket",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    singles: ClassVar[bool] = False
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"bands": BANDS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "members": MEMBERS,
        "pairs": PAIRS.schema,
        "overfull": OVERFULL.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        none = np.empty(0, dtype=np.int64)
        held = [none] * 4  # the last row: does another one of its bucket follow?
        firsts = _FirstMembers()
        before: tuple[int, ...] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            doc, bucket, rank = (column(batch, name) for name in ("doc", "bucket", "rank"))
            position = positions(starts((bucket,), before), int(held[3][-1]) + 1 if before else 0)
            before = (int(bucket[-1]),)
            yield from self._pairs(doc, rank, position, firsts)
            beyond = position == self.limit
            if beyond.any():
                yield "overfull", batch_of(OVERFULL.schema, (doc[beyond], bucket[beyond]))
            rows = [
                np.append(h, v) for h, v in zip(held, (doc, bucket, rank, position), strict=True)
            ]
            yield from self._members(rows, rows[3][1:] > 0)
            held = [values[-1:] for values in rows]
        yield from self._members(held, np.zeros(len(held[3]), dtype=np.bool_))

    def _members(self, rows: list[Ints], followed: Bools) -> Tagged:
        """The first rows, as many as it is known of whether another one of the bucket follows."""
        doc, bucket, rank, position = (values[: len(followed)] for values in rows)
        some = followed | (position > 0)
        if some.any():
            first = position < self.width
            complete = (first | (~followed & (position == self.width))).astype(np.int64)
            columns = (doc, bucket, rank, complete, (followed & first).astype(np.int64))
            yield "members", batch_of(MEMBERS, (values[some] for values in columns))

    def _pairs(self, doc: Ints, rank: Ints, position: Ints, firsts: "_FirstMembers") -> Tagged:
        """Each row with the first members before it.

        In `firsts` the batch comes after those of the bucket that was open before, so that a
        bucket's first members lie side by side.
        """
        row, before = np.arange(len(doc)), firsts.count
        firsts.append(doc, rank)
        kept, kept_rank = firsts.rows[:, 0], firsts.rows[:, 1]
        first = np.where(position > row, 0, row - position + before)
        count = np.minimum(position, self.width)
        ends = np.cumsum(count)
        for low in range(0, int(ends[-1]), _BATCH_PAIRS):
            # Pairs low … high - 1 of all; of the first and the last row perhaps only some.
            high = min(low + _BATCH_PAIRS, int(ends[-1]))
            first_row, last_row = np.searchsorted(ends, (low, high - 1), side="right")
            part = slice(first_row, last_row + 1)
            begins = ends[part] - count[part]
            skipped = np.maximum(low - begins, 0)
            times = np.minimum(ends[part], high) - begins - skipped
            partner = np.repeat(first[part] + skipped, times) + counted(times)
            columns = (np.repeat(doc[part], times), kept[partner], kept_rank[partner])
            yield "pairs", batch_of(PAIRS.schema, columns)
        firsts.keep(max(0, firsts.count - 1 - int(position[-1])), self.width)


class _FirstMembers:
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


@dataclass(frozen=True)
class CandidateDocuments(PlainStage):
    """Which documents are complete: in all their buckets. All rows go on to the next round, which
    leaves out those of the documents that this one decides.

    Holds the rows of the open document: one for each of its buckets, of which `bands_for` says how
    many there are.
    """

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("bucket",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"members": MEMBERS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "candidates": CANDIDATES.schema,
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
        doc, bucket, rank, complete, paired = rows
        if not len(doc):
            return
        groups = np.flatnonzero(starts((doc,), None))
        columns = (
            doc[groups],
            rank[groups],
            np.minimum.reduceat(complete, groups),
            np.maximum.reduceat(paired, groups),
        )
        yield "candidates", batch_of(CANDIDATES.schema, columns)
        yield "undecided", batch_of(UNDECIDED.schema, (doc, bucket, rank))


@dataclass(frozen=True)
class DistinctPairs(PlainStage):
    """Pairs that share several buckets, once. Holds the last pair."""

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
