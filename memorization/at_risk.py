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
    """Documents with a row in AT_RISK to rows of REJECTS.

    threshold: the risk, for the reason. band: whether risks are a band, of which the high end
    decides.
    """

    threshold: float = 1.0
    band: bool = True

    version: ClassVar[int] = 2
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        DOCUMENTS.name: DOCUMENTS.schema,
        AT_RISK.name: AT_RISK.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rejects": REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for tag, batch in tagged:
            if tag == DOCUMENTS.name:
                has = "may have" if self.band else "has"
                why = f"{AT_RISK_REASON}: a sequence {has} a risk of {self.threshold:g} or more"
                if self.band:
                    why += " (risk_high, the high end of its band)"
                reasons = pa.array([why] * batch.num_rows, pa.string())
                columns = [*(batch[name] for name in ("doc", "shard", "row")), reasons]
                yield "rejects", pa.RecordBatch.from_arrays(columns, schema=REJECTS.schema)
