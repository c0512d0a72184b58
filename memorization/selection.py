"""Which sequences the reference model reads: the riskiest by their text, and a random sample.

`select` spends the tokens that the model may read; the stage `Select` takes the sequences out, with
their texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.beside import DocumentEdits, ReleasedView, RowsBeside, beside
from unrote.corpus.schema import SELECTED, SEQUENCES, TEXT, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.views import apply_edits, clipped
from unrote.memorization.windows import Ints

SAMPLE = 0.2
"""The share of the model's tokens that is spent on a random sample."""

GROUP_SIZE = 2048
"""Sequences in a batch group, about: the model's batches are formed within one."""


def random_numbers(doc: Ints, number: Ints) -> Ints:
    """A pseudo-random number in 0 ... 2**32 for each sequence: splitmix64 of its document and
    number.
    """
    x = doc.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + number.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(32)).astype(np.int64)


@dataclass(frozen=True)
class Selection:
    """Which sequences a language model reads: those of a rank above `rank`, of that rank the share
    `part`, and a random sample, the share `sample` of all. groups: the batch groups that they make.
    """

    rank: int = -1
    part: float = 1.0
    sample: float = 1.0
    groups: int = 1

    def of(self, ranks: Ints, random: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(selected, of these the random sample): bool[n] each. random: `random_numbers`."""
        scorable = ranks >= 0
        sampled = scorable & (random < self.sample * 2**32)
        part = (ranks == self.rank) & (random >= (1 - self.part) * 2**32)
        return sampled | (scorable & (ranks > self.rank)) | (scorable & part), sampled

    def group_of(self, random: Ints) -> Ints:
        """The batch group of each sequence: int64[n]."""
        return random % self.groups


def select(sizes: Sequence[Mapping[str, int]], max_tokens: int) -> Selection:
    """How to spend `max_tokens` on sequences of the given SIZES (one row a rank); 0: all of them.

    A share `SAMPLE` of them goes to a random sample, the rest to the highest ranks.
    """
    by_rank = sorted(
        ((row["rank"], row["sequences"], row["tokens"]) for row in sizes), reverse=True
    )
    total = sum(tokens for _, _, tokens in by_rank)
    every = sum(count for _, count, _ in by_rank)
    if not max_tokens or total <= max_tokens:
        return Selection(groups=-(-max(every, 1) // GROUP_SIZE))
    sample, left = SAMPLE * max_tokens / total, (1 - SAMPLE) * max_tokens
    expected = round(every * max_tokens / total)
    for rank, _, tokens in by_rank:
        if tokens >= left:
            return Selection(rank, left / tokens, sample, -(-max(expected, 1) // GROUP_SIZE))
        left -= tokens
    raise AssertionError("the ranks hold fewer tokens than their total")


@dataclass(frozen=True)
class Select(PlainStage):
    """The selected rows of SEQUENCES, with their texts: rows of SELECTED."""

    selection: Selection = field(default_factory=Selection)
    view: ReleasedView = field(default_factory=ReleasedView)

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"selected": SELECTED.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        return {SEQUENCES.name: SEQUENCES.schema, **self.view.inputs, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits, selected = self.view.edits(), RowsBeside(SEQUENCES.name, self._selected)
        for batch in beside(tagged, selected, edits):
            rows = list(self._rows(batch, edits, selected))
            yield "selected", pa.RecordBatch.from_pylist(rows, SELECTED.schema)

    def _selected(self, batch: pa.RecordBatch) -> Iterator[tuple[int, dict[str, Any]]]:
        ranks, random = (batch[name].to_numpy() for name in ("rank", "random"))
        chosen, _ = self.selection.of(ranks, random)
        for row in batch.filter(pa.array(chosen)).to_pylist():
            yield row["doc"], row

    def _rows(
        self, batch: pa.RecordBatch, edits: DocumentEdits, selected: RowsBeside[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        for doc, text in zip(batch["doc"].to_pylist(), batch["text"].to_pylist(), strict=True):
            several = self.view.several
            cuts, changes = edits.take(doc)
            rows = selected.take(doc)
            released = apply_edits(text, cuts, changes, several=several) if rows else ""
            for row in rows:
                own = released[row["released_start"] : row["released_end"]]
                before = own
                if any(a < row["end"] and b > row["start"] for a, b, _ in changes):
                    before = deduplicated(text, row["start"], row["end"], cuts, several)
                yield {
                    "doc": doc,
                    "number": row["number"],
                    "batch_group": int(self.selection.group_of(np.array(row["random"]))),
                    "prefix_tokens": row["prefix_tokens"],
                    "second_token": row["second_token"] - row["released_start"],
                    "ids": row["ids"],
                    "text": own,
                    "source": None if before == own else before,
                }


def deduplicated(
    text: str, start: int, end: int, cuts: Sequence[tuple[int, int]], several: bool
) -> str:
    """text[start:end] without the cuts in it. several: as in `corpus.views.apply_edits`."""
    return apply_edits(text[start:end], clipped(cuts, start, end), (), several=several)
