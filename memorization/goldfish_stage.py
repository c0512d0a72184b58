"""Goldfish masks of a corpus as it is released (memorization.goldfish)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.beside import DocumentEdits, ReleasedView, RowsBeside, beside, picking
from unrote.corpus.paths import with_line_breaks
from unrote.corpus.schema import MASKS, SCORES, TEXT, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.views import view
from unrote.memorization.goldfish import positions_of
from unrote.memorization.tokenizer import tokenizer_of
from unrote.memorization.windows import tokenize


@dataclass(frozen=True)
class GoldfishMasks(PlainStage):
    """Texts to rows of MASKS.

    model: whose tokenizer is used; digest: of it. k, h, mask_key: as for goldfish.masks. threshold:
    the high end of the risk from which a sequence's tokens may be masked, None: all may.
    """

    model: str = "default"
    digest: str = ""
    k: int = 4
    h: int = 13
    mask_key: int = 0
    threshold: float | None = None
    view: ReleasedView = field(default_factory=ReleasedView)

    version: ClassVar[int] = 2
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"masks": MASKS.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        scores = {} if self.threshold is None else {SCORES.name: SCORES.schema}
        return {**self.view.inputs, **scores, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits, at_risk = self.view.edits(), RowsBeside(SCORES.name, self._at_risk)
        for batch in beside(tagged, at_risk, edits):
            yield "masks", self._masks(batch, edits, at_risk)

    def _at_risk(self, batch: pa.RecordBatch) -> Iterable[tuple[int, tuple[int, int]]]:
        """Sequences at risk that stay in the text."""
        risky = pc.greater_equal(batch["risk_high"], self.threshold)
        kept = batch.filter(pc.and_(risky, pc.equal(batch["action"], "keep")))
        return picking("start", "end")(kept)

    def _masks(
        self, batch: pa.RecordBatch, edits: DocumentEdits, at_risk: RowsBeside[tuple[int, int]]
    ) -> pa.RecordBatch:
        several = self.view.several
        texts: list[str] = []
        ranges: list[tuple[int, int, int]] = []
        for doc, text in zip(batch["doc"].to_pylist(), batch["text"].to_pylist(), strict=True):
            released = view(text, *edits.take(doc), several=several)
            own = np.array(at_risk.take(doc), dtype=np.int64).reshape(-1, 2)
            starts, ends = released.where(own[:, 0], own[:, 1])
            both = zip(starts.tolist(), ends.tolist(), strict=True)
            ranges += [(len(texts), start, end) for start, end in both]
            texts.append(with_line_breaks(released.text, several=several))
        tokens = tokenize(tokenizer_of(self.model), texts)
        within = None if self.threshold is None else ranges
        positions = positions_of(tokens, self.k, self.h, self.mask_key, within)
        columns = (batch["doc"], np.diff(tokens.offsets), positions)
        return pa.RecordBatch.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, MASKS.schema, strict=True)],
            schema=MASKS.schema,
        )
