"""Goldfish masks of a corpus as it is released (memorization.goldfish)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.schema import AT_RISK, MASKS, REPLACEMENTS, SCORES, SPANS, TEXT, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.views import DocumentEdits, view
from unrote.memorization.goldfish import positions_of
from unrote.memorization.windows import tokenize

_BESIDE = {t.name: t.schema for t in (SPANS, REPLACEMENTS, AT_RISK, SCORES)}


@dataclass(frozen=True)
class GoldfishMasks(PlainStage):
    """Texts to rows of MASKS.

    model: whose tokenizer is used; digest: of it. k, h, mask_key: as for goldfish.masks. threshold:
    the risk from which a sequence's tokens may be masked, None: all may. edits: names of the tables
    SPANS, REPLACEMENTS and AT_RISK that are read; cut: whether SPANS are cut.
    """

    model: str = "default"
    digest: str = ""
    k: int = 4
    h: int = 13
    mask_key: int = 0
    threshold: float | None = None
    edits: tuple[str, ...] = ()
    cut: bool = False

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"masks": MASKS.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        names = self.edits if self.threshold is None else (*self.edits, SCORES.name)
        return {**{name: _BESIDE[name] for name in names}, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits = DocumentEdits(cut=self.cut)
        at_risk: dict[int, list[tuple[int, int]]] = {}
        for tag, batch in tagged:
            if tag == SCORES.name:
                self._learn(batch, at_risk)
            elif not edits.learn(tag, batch):
                yield "masks", self._masks(batch, edits, at_risk)

    def _learn(self, batch: pa.RecordBatch, at_risk: dict[int, list[tuple[int, int]]]) -> None:
        """Sequences at risk that stay in the text."""
        risky = pc.greater_equal(batch["risk"], self.threshold)
        kept = batch.filter(pc.and_(risky, pc.equal(batch["action"], "keep")))
        columns = (kept[name].to_pylist() for name in ("doc", "start", "end"))
        for doc, start, end in zip(*columns, strict=True):
            at_risk.setdefault(doc, []).append((start, end))

    def _masks(
        self, batch: pa.RecordBatch, edits: DocumentEdits, at_risk: dict[int, list[tuple[int, int]]]
    ) -> pa.RecordBatch:
        from unrote.memorization.model import tokenizer_of  # noqa: PLC0415 (loads torch)

        texts: list[str] = []
        ranges: list[tuple[int, int, int]] = []
        for doc, text in zip(batch["doc"].to_pylist(), batch["text"].to_pylist(), strict=True):
            released = view(text, *edits.take(doc))
            own = np.array(at_risk.pop(doc, ()), dtype=np.int64).reshape(-1, 2)
            starts, ends = released.where(own[:, 0], own[:, 1])
            both = zip(starts.tolist(), ends.tolist(), strict=True)
            ranges += [(len(texts), start, end) for start, end in both]
            texts.append(released.text)
        tokens = tokenize(tokenizer_of(self.model), texts)
        within = None if self.threshold is None else ranges
        positions = positions_of(tokens, self.k, self.h, self.mask_key, within)
        columns = (batch["doc"], np.diff(tokens.offsets), positions)
        return pa.RecordBatch.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, MASKS.schema, strict=True)],
            schema=MASKS.schema,
        )
