"""Documents that are not to be released because of what a model would recite of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from unrote.corpus.schema import DOCUMENTS, REJECTS, RISKY, Tagged
from unrote.corpus.stages import PlainStage

RECITED = "a model may recite it"
"""What the reason of such a reject begins with."""


@dataclass(frozen=True)
class Refuse(PlainStage):
    """Documents with a row in RISKY to rows of REJECTS. above: the risk, for the reason."""

    above: float = 1.0

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        DOCUMENTS.name: DOCUMENTS.schema,
        RISKY.name: RISKY.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rejects": REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for tag, batch in tagged:
            if tag == DOCUMENTS.name:
                why = f"{RECITED}: memorization risk of {self.above:g} or more"
                reasons = pa.array([why] * batch.num_rows, pa.string())
                columns = [*(batch[name] for name in ("doc", "shard", "row")), reasons]
                yield "rejects", pa.RecordBatch.from_arrays(columns, schema=REJECTS.schema)


@dataclass(frozen=True)
class Earlier(PlainStage):
    """Rejects of earlier phases, as they are. table: the name of theirs."""

    table: str

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rejects": REJECTS.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        return {self.table: REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            yield "rejects", batch
