"""Documents that are rejects because a model is likely to memorize a sequence of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from unrote.corpus.schema import AT_RISK, DOCUMENTS, REJECTS, Tagged
from unrote.corpus.stages import PlainStage

AT_RISK_REASON = "at risk of memorization"
"""What the reason of such a reject begins with."""


@dataclass(frozen=True)
class RejectAtRisk(PlainStage):
    """Documents with a row in AT_RISK to rows of REJECTS. threshold: the risk, for the reason."""

    threshold: float = 1.0

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        DOCUMENTS.name: DOCUMENTS.schema,
        AT_RISK.name: AT_RISK.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rejects": REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for tag, batch in tagged:
            if tag == DOCUMENTS.name:
                why = f"{AT_RISK_REASON}: a sequence has a risk of {self.threshold:g} or more"
                reasons = pa.array([why] * batch.num_rows, pa.string())
                columns = [*(batch[name] for name in ("doc", "shard", "row")), reasons]
                yield "rejects", pa.RecordBatch.from_arrays(columns, schema=REJECTS.schema)
