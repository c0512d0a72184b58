"""Phases that hold the corpus against evaluation sets."""

from collections.abc import Mapping

import orjson
import pyarrow as pa

from unrote.corpus.errors import InputError
from unrote.corpus.schema import (
    CONTAMINATED,
    CONTAMINATION,
    CONTAMINATION_REJECTS,
    DOCUMENTS,
    DUPLICATES,
    EVALUATION_ITEMS,
    ITEM_TEXTS,
    LISTED_ITEMS,
    Table,
)
from unrote.dedup.contamination import (
    Contaminated,
    FindContamination,
    ItemOverlaps,
    RejectContaminated,
    list_items,
)
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.evaluation_sets import items_of
from unrote.pipelines.job import Phases
from unrote.pipelines.rejects import held_back


def contamination(job: Phases) -> None:
    """What the documents that deduplication leaves share with items of evaluation sets."""
    ours, form = job.settings.contamination, job.settings.input.normal_form

    def indexed() -> Mapping[Table, pa.Table]:
        sets = [(one.set, one.names, one.texts) for one in items_of(ours.sets)]
        found = list_items(sets, form)
        if not found.looked_for:
            raise InputError(
                "no item of the evaluation sets can be looked for: each has fewer than 8 words, or "
                "none that it does not share with over 100 others. Name the fields that tell "
                "items apart: --against FILE#FIELD,FIELD."
            )
        return {LISTED_ITEMS: found.items, ITEM_TEXTS: found.texts}

    deciding = [[one.label, one.text, one.id, one.digest] for one in ours.sets]
    job.made("evaluation-items", orjson.dumps([deciding, repr(form)]).decode(), indexed)
    flow = Flow()
    stage = FindContamination(ours.rule, ours.action, form)
    source = flow.read(
        "text",
        drop=(DUPLICATES, *held_back(job.settings)),
        whole=(LISTED_ITEMS, ITEM_TEXTS),
    )
    found = flow.map(stage, source)
    flow.write(CONTAMINATION, found["contamination"])
    flow.write(CONTAMINATED, found["contaminated"])
    items = flow.group(
        ItemOverlaps(ours.rule),
        items=flow.read(None, LISTED_ITEMS),
        overlaps=found["overlaps"],
    )
    flow.write(EVALUATION_ITEMS, items["items"])
    job.phase("contamination", flow)
    if ours.action == "remove":
        flow = Flow()
        rejected = flow.map(
            RejectContaminated(ours.rule),
            flow.read(None, DOCUMENTS, CONTAMINATED, only=(CONTAMINATED,)),
        )
        flow.write(CONTAMINATION_REJECTS, rejected["rejects"])
        job.phase("contamination-rejects", flow)


def contaminated_again(job: Phases) -> None:
    """CONTAMINATED of a finished run, from what it published."""
    flow = Flow()
    found = flow.map(Contaminated(), flow.read(None, CONTAMINATION))
    flow.write(CONTAMINATED, found["contaminated"])
    job.phase("contaminated-again", flow)
