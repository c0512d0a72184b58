"""The largest clusters: the kept documents with the most removed copies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import Tagged
from unrote.corpus.stages import PlainStage
from unrote.pipelines.engines.base import Flow, Output
from unrote.pipelines.summary.sums import (
    Ints,
    SumByKey,
    TopN,
    batch_of,
    numbers_of,
    sorted_rows,
    summary_table,
    sums_by_key,
)
from unrote.pipelines.summary.totals import Tally

TOP = 20
"""Clusters that a summary holds."""

CLUSTERS = summary_table(
    "clusters", ("negative_copies", "twin"), (), ("copies", "bytes", "exact", "near")
)
"""The kept documents with the most removed copies: how many, their bytes, and by reason."""

COPIES_OF_REJECTED = summary_table("copies_of_rejected", (), (), ("copies",))
"""One row: how many copies were removed of documents that were rejected then."""


def summarise_clusters(flow: Flow, tally: Mapping[str, Output], *, rejects: bool) -> None:
    """Write CLUSTERS from what a Tally gives; with `rejects`, COPIES_OF_REJECTED too."""
    clusters = flow.group(LargestClusters(), copies=tally["copies"])
    flow.write(CLUSTERS, flow.group(TopN(CLUSTERS, TOP), rows=clusters["rows"])["rows"])
    if rejects:
        copies = flow.group(CopiesOfRejected(), rejected=tally["rejected"], copies=tally["copies"])
        sums = SumByKey(COPIES_OF_REJECTED, "doc", ("copies",))
        flow.write(COPIES_OF_REJECTED, flow.group(sums, parts=copies["rows"])["rows"])


@dataclass(frozen=True)
class LargestClusters(PlainStage):
    """Copies by their twin; of each worker's clusters the `TOP` largest, so that few rows go on."""

    key: ClassVar[tuple[str, ...]] = ("twin",)
    order: ClassVar[tuple[str, ...]] = ()  # A sum has none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"copies": Tally.outputs["copies"]}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": CLUSTERS.schema}

    def _run(self, batches: Tagged) -> Tagged:
        largest = CLUSTERS.schema.empty_table()
        for batch in sums_by_key(batches, "twin", ("copies", "bytes", "exact", "near")):
            copies = numbers_of(batch, "copies")
            numbers = (numbers_of(batch, c) for c in ("twin", "copies", "bytes", "exact", "near"))
            rows = batch_of(CLUSTERS.schema, np.zeros_like(copies), -copies, *numbers)
            largest = pa.concat_tables([largest, pa.table(rows)])
            largest = sorted_rows(largest, "negative_copies", TOP, then="twin")
        for batch in largest.to_batches():
            yield "rows", batch


@dataclass(frozen=True)
class CopiesOfRejected(PlainStage):
    """How many copies were removed of documents that were rejected later."""

    key: ClassVar[tuple[str, ...]] = ("twin",)
    order: ClassVar[tuple[str, ...]] = ()  # A sum has none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "rejected": Tally.outputs["rejected"],
        "copies": Tally.outputs["copies"],
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": COPIES_OF_REJECTED.schema}

    def _run(self, batches: Tagged) -> Tagged:
        rejected: Ints = np.empty(0, np.int64)  # Of this chunk of keys, which come in order.
        copies, read = 0, False
        for tag, batch in batches:
            twins = numbers_of(batch, "twin")
            if tag == "rejected":
                rejected = np.concatenate([rejected[-1:] if read else rejected, twins])
            else:
                copies += int(numbers_of(batch, "copies")[np.isin(twins, rejected)].sum())
            read = tag == "copies"
        if copies:
            yield "rows", batch_of(COPIES_OF_REJECTED.schema, [0], [copies])
