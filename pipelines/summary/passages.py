"""The passages that a report shows: the largest by length times occurrences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import SPANS, Tagged
from unrote.corpus.stages import PlainStage
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary.sums import Ints, TopN, batch_of, numbers_of, summary_table

TOP = 20
"""Passages that a summary holds."""

PASSAGES = summary_table(
    "passages", ("negative_size", "witness", "start"), (), ("length", "occurrences")
)
"""The passages with the largest size, length times occurrences, in code points of the witness. No
two of them overlap in the same witness."""


def summarise_passages(flow: Flow) -> None:
    """Write PASSAGES."""
    passages = flow.group(LargestPassages(), spans=flow.read(None, SPANS))
    flow.write(PASSAGES, flow.group(TopN(PASSAGES, TOP), rows=passages["rows"])["rows"])


# Columns of a candidate, as rows of an int64 array.
SIZE, WITNESS, START, LENGTH, OCCURRENCES = range(5)


@dataclass(frozen=True)
class LargestPassages(PlainStage):
    """Spans by their witness: of each worker's passages the `TOP` largest that do not overlap.

    Only passages in one witness can overlap, so a witness is settled once all its spans are in.
    """

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("witness",)
    order: ClassVar[tuple[str, ...]] = ()  # Candidates are sorted here, and ties do not matter.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"spans": SPANS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": PASSAGES.schema}

    def _run(self, batches: Tagged) -> Tagged:
        settled = pending = np.empty((5, 0), np.int64)
        for _, batch in batches:
            if not batch.num_rows:
                continue
            # What is smaller than all that are settled can neither join them nor displace one.
            floor = settled[SIZE, -1] if settled.shape[1] == TOP else 1
            found = _candidates(batch)
            found = np.hstack([pending, found[:, found[SIZE] >= floor]])
            last = found[WITNESS] == numbers_of(batch, "witness")[-1]
            settled = _largest_apart(np.hstack([settled, found[:, ~last]]))
            pending = _distinct(found[:, last])
        best = _largest_apart(np.hstack([settled, pending]))
        numbers = (best[WITNESS], best[START], best[LENGTH], best[OCCURRENCES])
        yield "rows", batch_of(PASSAGES.schema, np.zeros_like(best[SIZE]), -best[SIZE], *numbers)


def _candidates(spans: pa.RecordBatch) -> Ints:
    """Passages with their witness, but for witnesses in an index."""
    witness, start, end, occurrences = (
        numbers_of(spans, c) for c in ("witness", "witness_start", "witness_end", "occurrences")
    )
    found = np.stack([(end - start) * occurrences, witness, start, end - start, occurrences])
    return found[:, found[WITNESS] >= 0]


def _by_size(found: Ints) -> Ints:
    """Largest first; ties by position in the input, then the longer passage."""
    return found[:, np.lexsort((-found[LENGTH], found[START], found[WITNESS], -found[SIZE]))]


def _distinct(found: Ints) -> Ints:
    """The largest of the passages in one witness that are the same range of it.

    A licence text may be the witness of millions of spans, but they are few ranges of it.
    """
    found = _by_size(found)
    ranges = found[START] << 32 | found[LENGTH]
    return found[:, np.sort(np.unique(ranges, return_index=True)[1])]


def _largest_apart(found: Ints) -> Ints:
    """The `TOP` largest passages, without those that overlap a larger one in the same witness."""
    found = _by_size(found)
    chosen: list[Ints] = []
    while found.shape[1] and len(chosen) < TOP:
        best = found[:, :1].copy()  # a view would keep all of `found`
        chosen.append(best)
        overlap = found[START] < best[START] + best[LENGTH]
        overlap &= best[START] < found[START] + found[LENGTH]
        found = found[:, ~(overlap & (found[WITNESS] == best[WITNESS]))]
    return np.hstack([found[:, :0], *chosen])
