"""Rejected rows by reason, and the first of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.rows import POSITION
from unrote.corpus.schema import REJECTS, Tagged, doc_key
from unrote.corpus.stages import PlainStage
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary.sums import (
    SumByKey,
    TopN,
    batch_of,
    sorted_rows,
    summary_table,
    text_key,
)

REASONS_SHOWN = 20
REJECTS_SHOWN = 10

REJECT_REASONS = summary_table(
    "reject_reasons", ("negative_rows", "reason_key"), ("reason",), ("reasons", "rows")
)
"""One row per reason, the most frequent first; the others are one row with `reason` null."""

FIRST_REJECTS = summary_table("first_rejects", ("document",), ("shard", "reason"), ("row",))
"""The first rejected rows of the input; `document` is the key that the row would have."""


def summarise_rejects(flow: Flow, shards: tuple[str, ...]) -> None:
    """Write REJECT_REASONS and FIRST_REJECTS. shards: names, in the order of their numbers."""
    counted = flow.map(TallyRejects(shards), flow.read(None, REJECTS))
    added = SumByKey(REJECT_REASONS, "reason_key", ("rows",))
    reasons = flow.group(added, parts=counted["parts"])
    first = TopN(REJECT_REASONS, REASONS_SHOWN, ("reasons", "rows"))
    flow.write(REJECT_REASONS, flow.group(first, rows=reasons["rows"])["rows"])
    first = TopN(FIRST_REJECTS, REJECTS_SHOWN)
    flow.write(FIRST_REJECTS, flow.group(first, rows=counted["first"])["rows"])


@dataclass(frozen=True)
class TallyRejects(PlainStage):
    """Rejected rows by reason, and the first of them."""

    shards: tuple[str, ...]

    version: ClassVar[int] = 3
    inputs: ClassVar[Mapping[str, pa.Schema]] = {REJECTS.name: REJECTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "parts": REJECT_REASONS.schema,
        "first": FIRST_REJECTS.schema,
    }

    def _run(self, batches: Tagged) -> Tagged:
        numbers = {name: number for number, name in enumerate(self.shards)}
        first = FIRST_REJECTS.schema.empty_table()
        for _, batch in batches:
            counts = pc.value_counts(
                pc.replace_substring_regex(pc.fill_null(batch["reason"], ""), POSITION, "")
            )
            reasons, rows = counts.field("values").to_pylist(), counts.field("counts").to_numpy()
            zeros, ones = np.zeros_like(rows), np.ones_like(rows)
            keys = [text_key(reason) for reason in reasons]
            yield "parts", batch_of(REJECT_REASONS.schema, zeros, zeros, keys, reasons, ones, rows)
            # A slice's rows are rejected in the order of the input: the first are in front.
            head = batch.slice(0, REJECTS_SHOWN)
            pairs = zip(head["shard"].to_pylist(), head["row"].to_pylist(), strict=True)
            docs = [doc_key(numbers[shard], row) for shard, row in pairs]
            columns = (head[c] for c in ("shard", "reason", "row"))
            found = batch_of(FIRST_REJECTS.schema, [0] * len(docs), docs, *columns)
            first = sorted_rows(
                pa.concat_tables([first, pa.table(found)]), "document", REJECTS_SHOWN
            )
        for batch in first.to_batches():
            yield "first", batch
