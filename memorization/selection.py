"""Which sequences the reference model reads, and of which copies are counted: the riskiest of the
repeated ones, and a random sample.

`select` spends the tokens that may be read; the stage `Select` takes the sequences out, with their
texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.beside import DocumentEdits, ReleasedView, RowsBeside, beside
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import READ, SELECTED, SEQUENCES, TEXT, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.views import apply_edits, clipped
from unrote.memorization.windows import Ints

SAMPLE = 0.5
"""The share of the model's tokens that is spent on a random sample."""

RANKS_OF_DOUBLING = 128
"""Ranks between a number of copies and twice as many; the rank of one copy is 0."""

REPEATED = RANKS_OF_DOUBLING
"""The rank of two copies, from which on a sequence is chosen for its risk: of what is there once a
random sample tells as much."""

GROUP_SIZE = 2048
"""Sequences in a batch group, about: the model's batches are formed within one."""


@dataclass(frozen=True)
class Selection:
    """Which sequences are selected: those of a rank above `rank`, of that rank the share `part`,
    and a random sample, the share `sample` of all. groups: the batch groups that they make.
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


def select(
    sizes: Sequence[Mapping[str, int]], max_tokens: int, sample: float = SAMPLE
) -> Selection:
    """How to spend `max_tokens` on sequences of the given SIZES (one row a rank); 0: all of them.

    A share `sample` of them goes to a random sample, the rest to the highest ranks down to
    REPEATED. What these leave goes to the sample too.
    """
    by_rank = sorted(((row["rank"], row["tokens"]) for row in sizes), reverse=True)
    total, every = (sum(row[name] for row in sizes) for name in ("tokens", "sequences"))
    if not max_tokens or total <= max_tokens:
        return Selection(groups=-(-max(every, 1) // GROUP_SIZE))
    groups = -(-max(round(every * max_tokens / total), 1) // GROUP_SIZE)
    left = (1 - sample) * max_tokens
    for rank, tokens in by_rank:
        if rank < REPEATED:
            break
        if tokens >= left:
            return Selection(rank, left / tokens, sample * max_tokens / total, groups)
        left -= tokens
    return Selection(REPEATED - 1, 0.0, (sample * max_tokens + left) / total, groups)


@dataclass(frozen=True)
class Select(PlainStage):
    """The rows of SEQUENCES whose copies are counted, with their texts, to rows of SELECTED; and to
    rows of READ those that the reference model reads, which are among them.

    counted: which ones these are, besides the ones that are `read`. normalization: the form in
    which copies are looked for: a sequence that begins or ends within what may be one code point
    in it is looked for with all of that.
    """

    read: Selection = field(default_factory=Selection)
    counted: Selection = field(default_factory=Selection)
    view: ReleasedView = field(default_factory=ReleasedView)
    normalization: Normalization = NFC

    version: ClassVar[int] = 3
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"selected": SELECTED.schema, "read": READ.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        return {SEQUENCES.name: SEQUENCES.schema, **self.view.inputs, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits, selected = self.view.edits(), RowsBeside(SEQUENCES.name, self._selected)
        for batch in beside(tagged, selected, edits):
            rows = list(self._rows(batch, edits, selected))
            yield "selected", _batch([row for _, row, _ in rows], SELECTED.schema)
            yield "read", _batch([row for row, _, read in rows if read], READ.schema)

    def _selected(self, batch: pa.RecordBatch) -> Iterator[tuple[int, dict[str, Any]]]:
        ranks, random = (batch[name].to_numpy() for name in ("rank", "random"))
        read, _ = self.read.of(ranks, random)
        chosen = read | self.counted.of(ranks, random)[0]
        rows = batch.filter(pa.array(chosen)).to_pylist()
        for row, is_read in zip(rows, read[chosen].tolist(), strict=True):
            yield row["doc"], row | {"read": is_read}

    def _rows(
        self, batch: pa.RecordBatch, edits: DocumentEdits, selected: RowsBeside[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any], bool]]:
        """Rows of READ and of SELECTED, and whether the model reads the sequence."""
        for doc, text in zip(batch["doc"].to_pylist(), batch["text"].to_pylist(), strict=True):
            several = self.view.several
            cuts, changes = edits.take(doc)
            rows = selected.take(doc)
            released = apply_edits(text, cuts, changes, several=several) if rows else ""
            for row in rows:
                own = released[row["released_start"] : row["released_end"]]
                first, last = self.normalization.whole(
                    released, row["released_start"], row["released_end"]
                )
                looked_for = before = released[first:last]
                if any(a < row["end"] and b > row["start"] for a, b, _ in changes):
                    start, end = self.normalization.whole(text, row["start"], row["end"])
                    before = deduplicated(text, start, end, cuts, several)
                yield (
                    {
                        "doc": doc,
                        "number": row["number"],
                        "batch_group": int(self.read.group_of(np.array(row["random"]))),
                        "prefix_tokens": row["prefix_tokens"],
                        "second_token": row["second_token"] - row["released_start"],
                        "ids": row["ids"],
                        "text": own,
                    },
                    {
                        "doc": doc,
                        "number": row["number"],
                        "text": looked_for,
                        "source": None if before == looked_for else before,
                    },
                    row["read"],
                )


def _batch(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array([row[one.name] for row in rows], one.type) for one in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def deduplicated(
    text: str, start: int, end: int, cuts: Sequence[tuple[int, int]], several: bool
) -> str:
    """text[start:end] without the cuts in it. several: as in `corpus.views.apply_edits`."""
    return apply_edits(text[start:end], clipped(cuts, start, end), (), several=several)
