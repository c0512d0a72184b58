"""The greedy selection in blocks of the keep order, for more steps than one worker should walk.

A block is decided by itself as far as it goes (`selection.GreedySelection`); what depends on
documents of an earlier block waits for the next pass, in which it is told what became known of
them:

    steps → SampleSteps → Splits → splits             where blocks begin
    steps, statuses → PlaceSteps → KnownSteps → GreedySelection → near, kept, statuses, steps

Each pass decides the first block at least, and whatever depends on documents of an earlier block
only through documents that were decided in passes before. The blocks of a pass are made for the
steps that are left, so that there are about as many passes as blocks in the first at most, whatever
the pairs are; copies of one document take two, since the first of them waits for nobody.

The answer is that of one walk over everything: a document's status follows from those of documents
before it in keep order, and no status is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.hashing import random_numbers
from unrote.corpus.kernel import kernel
from unrote.corpus.schema import Table, Tagged
from unrote.corpus.stages import PlainStage
from unrote.dedup.groups import Ints, batch_of, column, spread, starts
from unrote.dedup.selection import STATUSES, STEPS, UNKNOWN, WAITS

BLOCK_STEPS = 1 << 22
"""Steps of a block, about: 270 MB in memory form, sorted and walked in a few seconds. So many, or
fewer, are one block."""

SAMPLED = 256
"""Steps of the sample for each block, so that blocks have about the same size."""

SAMPLE = pa.schema([(name, pa.int64()) for name in ("all", "rank", "doc")])
"""Positions in the keep order. `all` is 0: they are one group."""

SPLITS = Table(
    "splits", pa.schema([(n, pa.int64()) for n in ("number", "rank", "doc")]), sort=("number",)
)
"""The first position of each block but the first; `number` counts from 0."""

Position = tuple[int, int]
"""In the keep order: rank and document."""


@dataclass(frozen=True)
class SampleSteps(PlainStage):
    """The positions of a share of the steps, drawn by a hash."""

    share: float

    inputs: ClassVar[Mapping[str, pa.Schema]] = {STEPS.name: STEPS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sample": SAMPLE}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            doc, rank, kept = (column(batch, name) for name in ("doc", "rank", "kept"))
            drawn = random_numbers(doc, kept) < self.share * (1 << 32)
            if drawn.any():
                doc, rank = doc[drawn], rank[drawn]
                yield "sample", batch_of(SAMPLE, (np.zeros_like(doc), rank, doc))


@dataclass(frozen=True)
class Splits(PlainStage):
    """Of the positions of a sample, one in `every`."""

    every: int = SAMPLED

    key: ClassVar[tuple[str, ...]] = ("all",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"sample": SAMPLE}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"splits": SPLITS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        seen = 0
        for _, batch in tagged:
            number = np.arange(seen, seen + batch.num_rows)
            seen += batch.num_rows
            chosen = number % self.every == self.every - 1
            if chosen.any():
                columns = (number, column(batch, "rank"), column(batch, "doc"))
                rows = (values[chosen] for values in columns)
                yield "splits", batch_of(SPLITS.schema, rows)


@dataclass(frozen=True)
class PlaceSteps(PlainStage):
    """Steps with the blocks that they are in.

    A similar document of the same block is UNKNOWN, one of another block WAITS, if it is not known
    already. In the first pass (`first`) nothing is known of any; later those of which something
    might be known go out as `asked`, beside the statuses, to `KnownSteps`.
    """

    splits: tuple[Position, ...] = ()
    first: bool = True

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"steps": STEPS.schema, "asked": STEPS.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        known = {} if self.first else {STATUSES.name: STATUSES.schema}
        return {STEPS.name: STEPS.schema, **known}

    def _run(self, tagged: Tagged) -> Tagged:
        splits = np.array(self.splits, dtype=np.int64).reshape(-1, 2)
        for tag, batch in tagged:
            if tag == STATUSES.name:
                doc, status = (column(batch, name) for name in STATUSES.schema.names)
                zero = np.zeros_like(doc)
                columns = (doc, zero, zero, zero, doc, status, zero.astype(float), zero)
                yield "asked", batch_of(STEPS.schema, columns)
                continue
            doc, role, rank, kept_rank, kept, state, similarity, _ = (
                c.to_numpy() for c in batch.columns
            )
            block = blocks_of(rank, doc, splits)
            unknown = (role == 1) & (state == UNKNOWN)
            elsewhere = unknown & (blocks_of(kept_rank, kept, splits) != block)
            state = np.where(elsewhere, WAITS, state)
            columns = (doc, role, rank, kept_rank, kept, state, similarity, block)
            placed = batch_of(STEPS.schema, columns)
            asked = unknown if not self.first else np.zeros_like(unknown)
            for name, some in (("steps", ~asked), ("asked", asked)):
                if some.any():
                    yield name, placed.filter(pa.array(some))


@dataclass(frozen=True)
class KnownSteps(PlainStage):
    """Steps with what is known of the similar document: its status, if there is one, comes before
    them. Holds that.
    """

    key: ClassVar[tuple[str, ...]] = ("kept",)
    order: ClassVar[tuple[str, ...]] = ("role", "rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"asked": STEPS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"steps": STEPS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int] | None = None
        open_status = UNKNOWN
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            kept, role, state = (column(batch, name) for name in ("kept", "role", "state"))
            begins = starts((kept,), before)
            known = spread(np.where(role == 0, state, UNKNOWN), begins, open_status)
            before, open_status = (int(kept[-1]),), int(known[-1])
            steps = role == 1
            if steps.any():
                states = pa.array(np.where(known != UNKNOWN, known, state))
                at = STEPS.schema.get_field_index("state")
                rows = batch.set_column(at, STEPS.schema.field(at), states)
                yield "steps", rows.filter(pa.array(steps))


def blocks_of(rank: Ints, doc: Ints, splits: Ints) -> Ints:
    """The number of the block of each position: int64[n]. splits: int64[blocks - 1, 2], rank and
    doc of the first position of each block but the first, ascending.
    """
    return _blocks_of(rank, doc, np.ascontiguousarray(splits))


@kernel
def _blocks_of(rank: Ints, doc: Ints, splits: Ints) -> Ints:
    found = np.empty(doc.size, dtype=np.int64)
    for i in range(doc.size):
        low, high = 0, splits.shape[0]
        while low < high:
            middle = (low + high) // 2
            before = rank[i] < splits[middle, 0]
            if before or (rank[i] == splits[middle, 0] and doc[i] < splits[middle, 1]):
                high = middle
            else:
                low = middle + 1
        found[i] = low
    return found


def share_for(steps: int, block_steps: int = BLOCK_STEPS) -> float:
    """The share of so many steps that is drawn to find blocks of `block_steps`; 0.0 if there is one
    block.
    """
    blocks = -(-steps // block_steps)
    return min(1.0, SAMPLED * blocks / steps) if blocks > 1 else 0.0


def splits_of(rows: Sequence[Mapping[str, int]]) -> tuple[Position, ...]:
    """Of rows of SPLITS, those that differ, in keep order."""
    return tuple(sorted({(row["rank"], row["doc"]) for row in rows}))
