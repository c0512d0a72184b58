"""Findings that are left in the released text: would a model complete them from what stands before?

`Remain` picks them out of FINDINGS, `Ask` takes a sample out of the released text with what stands
before each, in lots, and `Answer` asks the language model, lot by lot (memorization.entities).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.schema import (
    ENTITIES,
    FINDINGS,
    REMAINING,
    REPLACEMENTS,
    RISKY,
    SPANS,
    TEXT,
    Tagged,
)
from unrote.corpus.stages import PlainStage, Workers, each_key
from unrote.corpus.views import DocumentEdits, view
from unrote.memorization.config import Models
from unrote.memorization.survey import Choice, draws
from unrote.memorization.windows import Ints, tokenize

CONTEXT = 50
"""Tokens before an entity that the model is given, at most."""

UNRELATED = 32
"""Other contexts that it is tried in, at most."""

LOT = 1024
"""Entities that are asked for together, about: what their unrelated contexts are drawn from."""

ASKED = pa.schema(
    [
        ("doc", pa.int64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("type", pa.string()),
        ("lot", pa.int64()),
        ("text", pa.string()),
        ("ids", pa.list_(pa.int32())),
        ("before", pa.string()),
        ("context", pa.list_(pa.int32())),
    ]
)
"""An entity by its place in the input: its text and tokens, and the text and tokens before it, as
they are released. Not stored."""

_EDITS = {t.name: t.schema for t in (SPANS, REPLACEMENTS, RISKY)}


def sample(count: int, most: int) -> Choice:
    """How to choose about `most` of `count` entities, and their lots."""
    share = min(1.0, most / max(count, 1))
    return Choice(sample=share, rank=0, part=0.0, lots=-(-max(min(count, most), 1) // LOT))


@dataclass(frozen=True)
class Remain(PlainStage):
    """Findings of the text to which nothing was done. without: types that are not asked for."""

    without: tuple[str, ...] = ()

    inputs: ClassVar[Mapping[str, pa.Schema]] = {FINDINGS.name: FINDINGS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"remaining": REMAINING.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        without = pa.array(self.without, pa.string())
        for _, batch in tagged:
            kept = pc.and_(pc.equal(batch["field"], 0), pc.equal(batch["action"], "keep"))
            kept = pc.and_not(kept, pc.is_in(batch["type"], without))
            yield "remaining", batch.filter(kept).select(REMAINING.schema.names)


@dataclass(frozen=True)
class Ask(PlainStage):
    """The chosen of REMAINING that are whole in the released text, with what stands before each.

    model: whose tokenizer is used; digest: of its files. edits: names of the tables SPANS,
    REPLACEMENTS and RISKY that are read; cut: whether SPANS are cut.
    """

    choice: Choice = field(default_factory=Choice)
    model: str = "default"
    digest: str = ""
    edits: tuple[str, ...] = ()
    cut: bool = False

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"asked": ASKED}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        edits = {name: _EDITS[name] for name in self.edits}
        return {REMAINING.name: REMAINING.schema, **edits, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits = DocumentEdits(cut=self.cut)
        chosen: dict[int, list[dict[str, Any]]] = {}
        for tag, batch in tagged:
            if tag == REMAINING.name:
                for row in self._chosen(batch):
                    chosen.setdefault(row["doc"], []).append(row)
            elif not edits.learn(tag, batch):
                rows = list(self._rows(batch, edits, chosen))
                yield "asked", pa.RecordBatch.from_pylist(rows, ASKED)

    def _chosen(self, batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
        draw = draws(batch["doc"].to_numpy(), batch["start"].to_numpy())
        wanted, _ = self.choice.of(np.zeros_like(draw), draw)
        lots = self.choice.lot(draw)[wanted].tolist()
        for row, lot in zip(batch.filter(pa.array(wanted)).to_pylist(), lots, strict=True):
            yield row | {"lot": lot}

    def _rows(
        self, batch: pa.RecordBatch, edits: DocumentEdits, chosen: dict[int, list[dict[str, Any]]]
    ) -> Iterator[dict[str, Any]]:
        from unrote.memorization.entities import found_in  # noqa: PLC0415 (loads torch)
        from unrote.memorization.model import tokenizer_of  # noqa: PLC0415

        for doc, text in zip(batch["doc"].to_pylist(), batch["text"].to_pylist(), strict=True):
            taken, rows = edits.take(doc), chosen.pop(doc, ())
            if not rows:
                continue
            released = view(text, *taken)
            tokens = tokenize(tokenizer_of(self.model), [released.text])
            places = (np.array([row[name] for row in rows]) for name in ("start", "end"))
            for row, *place in zip(
                rows, *map(np.ndarray.tolist, released.where(*places)), strict=True
            ):
                own = released.text[slice(*place)]
                if own == text[row["start"] : row["end"]]:  # else a part of it was cut
                    ids, before = found_in(
                        tokens, [released.text], 0, (place[0], place[1]), CONTEXT
                    )
                    known = {"text": own, "ids": ids.tolist()}
                    yield row | known | {"before": before.text, "context": before.ids.tolist()}


@dataclass(frozen=True)
class Answer(PlainStage):
    """Lots of entities to rows of ENTITIES. digest: of the models' files."""

    models: Models = field(default_factory=Models)
    digest: str = ""

    workers: ClassVar[Workers] = "device"
    key: ClassVar[tuple[str, ...]] = ("lot",)
    order: ClassVar[tuple[str, ...]] = ("doc", "start")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"asked": ASKED}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"entities": ENTITIES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for lot in each_key((batch for _, batch in tagged), "lot"):
            yield "entities", self._answered(lot)

    def _answered(self, lot: pa.RecordBatch) -> pa.RecordBatch:
        from unrote.memorization.entities import Case, Context, asked, shuffled  # noqa: PLC0415 (torch)
        from unrote.memorization.forward import uses_bos  # noqa: PLC0415
        from unrote.memorization.scorer import only_scorer  # noqa: PLC0415

        rows = lot.to_pylist()
        contexts = [Context(row["doc"], row["before"], _ids(row["context"])) for row in rows]
        pool = shuffled(contexts, 0)
        with only_scorer(self.models) as scorer:
            model, bos = scorer.model, self.models.config.bos
            lead = int(uses_bos(model, bos))
            cases = []
            for row, context in zip(rows, contexts, strict=True):
                case = Case(row["text"], _ids(row["ids"]), context, begins=bool(lead))
                case.choose(pool, UNRELATED, model.context - lead)
                cases.append(case)
            said = asked(model, cases, bos, self.models.config.token_budget)
        names = ("doc", "start", "end", "type")
        answers = [
            {name: row[name] for name in names} | answer
            for row, answer in zip(rows, said, strict=True)
        ]
        return pa.RecordBatch.from_pylist(answers, ENTITIES.schema)


def _ids(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)
