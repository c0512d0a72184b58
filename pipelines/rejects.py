"""What is rejected: each phase has a table of its own, and the published one unites them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from unrote.corpus.schema import (
    CONTAMINATION_REJECTS,
    FORGOTTEN,
    READ_REJECTS,
    REJECTS,
    RISK_REJECTS,
    SCAN_REJECTS,
    Table,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.job import Phases


def rejects_documents(settings: Settings) -> bool:
    """Whether documents with a sequence at risk of memorization are rejected."""
    ours = settings.memorization
    return ours.enabled and ours.action == "remove-document"


def held_back(settings: Settings) -> tuple[Table, ...]:
    """The table of documents that are rejected before they are compared with others."""
    return (FORGOTTEN,) if settings.dedup.index else ()


def rejecting(settings: Settings) -> tuple[Table, ...]:
    """The tables of rejects that the phases of a job write."""
    tables: tuple[Table, ...] = (READ_REJECTS, *held_back(settings))
    if settings.pii.enabled:
        tables += (SCAN_REJECTS,)
    if rejects_documents(settings):
        tables += (RISK_REJECTS,)
    if settings.contamination.removes:
        tables += (CONTAMINATION_REJECTS,)
    return tables


def unite_rejects(job: Phases) -> None:
    """Publish REJECTS: the rejects of all phases."""
    tables = rejecting(job.settings)
    flow = Flow()
    stage = UniteRejects(tuple(table.name for table in tables))
    flow.write(REJECTS, flow.map(stage, flow.read(None, *tables))["rejects"])
    job.phase("rejects", flow)


@dataclass(frozen=True)
class UniteRejects(PlainStage):
    """Rows of several tables of rejects to one. tables: their names."""

    tables: tuple[str, ...]

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rejects": REJECTS.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        return dict.fromkeys(self.tables, REJECTS.schema)

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            yield "rejects", batch
