"""What each evaluation set shares with the corpus: its items counted by overlap and by rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import EVALUATION_ITEMS, Tagged
from unrote.corpus.stages import PlainStage
from unrote.dedup.contamination import DIRTY, MOST
from unrote.dedup.item_grams import GRAM
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary.sums import (
    SumByKey,
    batch_of,
    flags_of,
    numbers_of,
    summary_table,
    text_key,
)

BUCKETS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Bounds of the overlap: nothing, up to 20 %, …, below 100 %, all."""

CLEAN = 0.2
"""Share from which an item is no longer clean by Llama 2's rule."""

COUNTS = (
    "items",  # with words enough to be looked for
    "short",  # with fewer
    "template",  # with 8-grams that are left out
    "contaminated",  # by contamination.rule
    "gpt3",
    "llama2_not_clean",
    "llama2",
    "olmo",
    *(f"overlap_{number}" for number in range(len(BUCKETS) + 1)),
)

CONTAMINATED_SETS = summary_table("contaminated_sets", ("set_key",), ("set",), COUNTS)
"""A row for each evaluation set."""


def summarise_contamination(flow: Flow) -> None:
    """Write CONTAMINATED_SETS from EVALUATION_ITEMS."""
    tally = flow.map(TallyItems(), flow.read(None, EVALUATION_ITEMS))
    sums = SumByKey(CONTAMINATED_SETS, "set_key", COUNTS)
    flow.write(CONTAMINATED_SETS, flow.group(sums, parts=tally["parts"])["rows"])


def bucket_of(overlap: np.ndarray) -> np.ndarray:
    """The number of each share's bucket (int64): 0 is nothing, the last one is all."""
    return np.where(overlap <= 0, 0, np.searchsorted(BUCKETS, overlap, side="right")).astype(
        np.int64
    )


@dataclass(frozen=True)
class TallyItems(PlainStage):
    """Items of evaluation sets to parts of the sums of CONTAMINATED_SETS."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {EVALUATION_ITEMS.name: EVALUATION_ITEMS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"parts": CONTAMINATED_SETS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            sets = batch["set"].dictionary_encode()
            own = sets.indices.to_numpy()
            names = sets.dictionary.to_pylist()
            sums = [np.bincount(own, row, len(names)).astype(np.int64) for row in _counts(batch)]
            zeros, keys = np.zeros(len(names), np.int64), [text_key(name) for name in names]
            yield "parts", batch_of(CONTAMINATED_SETS.schema, zeros, keys, names, *sums)


def _counts(batch: pa.RecordBatch) -> list[np.ndarray]:
    """For each of COUNTS, whether an item counts."""
    long = numbers_of(batch, "words") >= GRAM
    overlap, long_overlap, most = (
        numbers_of(batch, name) for name in ("overlap", "overlap_long", "most")
    )
    bucket = bucket_of(overlap)
    return [
        long,
        ~long,
        numbers_of(batch, "template") > 0,
        flags_of(batch["contaminated"]),
        numbers_of(batch, "longest") >= numbers_of(batch, "ngram"),
        long_overlap >= CLEAN,
        long_overlap >= DIRTY,
        most > MOST,
        *(long & (bucket == number) for number in range(len(BUCKETS) + 1)),
    ]
