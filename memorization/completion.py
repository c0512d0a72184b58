"""Personal data that stays in the released text: does a model complete it from its left context?

`KeptFindings` picks it out of FINDINGS, `Prompt` takes a sample out of the released text with the
left context of each, and `Complete` measures these with the reference model
(memorization.entities).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.beside import DocumentEdits, ReleasedView, RowsBeside, beside
from unrote.corpus.hashing import random_numbers
from unrote.corpus.paths import with_line_breaks
from unrote.corpus.schema import ENTITIES, FINDINGS, KEPT_FINDINGS, TEXT, Tagged
from unrote.corpus.stages import PlainStage, Workers, each_key
from unrote.corpus.views import view
from unrote.memorization.config import Models
from unrote.memorization.selection import Selection
from unrote.memorization.tokenizer import tokenizer_of
from unrote.memorization.windows import Ints, tokenize

CONTEXT = 50
"""Tokens of left context that the model is given, at most."""

UNRELATED = 32
"""Unrelated contexts that give its prior, at most."""

GROUP_SIZE = 1024
"""Entities in a batch group, about: their unrelated contexts are drawn from it."""

PROMPTS = pa.schema(
    [
        ("doc", pa.int64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("type", pa.string()),
        ("batch_group", pa.int64()),
        ("text", pa.string()),
        ("ids", pa.list_(pa.int32())),
        ("context", pa.string()),
        ("context_ids", pa.list_(pa.int32())),
    ]
)
"""An entity by its offsets in the input: its text and tokens, and those of its left context, as
they are released. Not stored."""


def sample(count: int, most: int) -> Selection:
    """How to select about `most` of `count` entities, and their batch groups."""
    share = min(1.0, most / max(count, 1))
    return Selection(
        sample=share, rank=0, part=0.0, groups=-(-max(min(count, most), 1) // GROUP_SIZE)
    )


@dataclass(frozen=True)
class KeptFindings(PlainStage):
    """Findings in the text that were kept as they are. without: types that are not measured."""

    without: tuple[str, ...] = ()

    inputs: ClassVar[Mapping[str, pa.Schema]] = {FINDINGS.name: FINDINGS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"kept_findings": KEPT_FINDINGS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        without = pa.array(self.without, pa.string())
        for _, batch in tagged:
            kept = pc.and_(pc.equal(batch["field"], 0), pc.equal(batch["action"], "keep"))
            kept = pc.and_not(kept, pc.is_in(batch["type"], without))
            yield "kept_findings", batch.filter(kept).select(KEPT_FINDINGS.schema.names)


@dataclass(frozen=True)
class Prompt(PlainStage):
    """The selected of KEPT_FINDINGS that are whole in the released text, with their left contexts.

    model: whose tokenizer is used; digest: of its files.
    """

    selection: Selection = field(default_factory=Selection)
    model: str = "default"
    digest: str = ""
    view: ReleasedView = field(default_factory=ReleasedView)

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"prompts": PROMPTS}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        return {KEPT_FINDINGS.name: KEPT_FINDINGS.schema, **self.view.inputs, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits, selected = self.view.edits(), RowsBeside(KEPT_FINDINGS.name, self._selected)
        for batch in beside(tagged, selected, edits):
            rows = list(self._rows(batch, edits, selected))
            yield "prompts", pa.RecordBatch.from_pylist(rows, PROMPTS)

    def _selected(self, batch: pa.RecordBatch) -> Iterator[tuple[int, dict[str, Any]]]:
        random = random_numbers(batch["doc"].to_numpy(), batch["start"].to_numpy())
        chosen, _ = self.selection.of(np.zeros_like(random), random)
        groups = self.selection.group_of(random)[chosen].tolist()
        for row, group in zip(batch.filter(pa.array(chosen)).to_pylist(), groups, strict=True):
            yield row["doc"], row | {"batch_group": group}

    def _rows(
        self, batch: pa.RecordBatch, edits: DocumentEdits, selected: RowsBeside[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        from unrote.memorization.entities import with_context  # noqa: PLC0415 (loads torch)

        for doc, text in zip(batch["doc"].to_pylist(), batch["text"].to_pylist(), strict=True):
            taken, rows = edits.take(doc), selected.take(doc)
            if not rows:
                continue
            several = self.view.several
            released = view(text, *taken, several=several)
            shown = with_line_breaks(released.text, several=several)
            tokens = tokenize(tokenizer_of(self.model), [shown])
            offsets = (np.array([row[name] for row in rows]) for name in ("start", "end"))
            starts, ends = map(np.ndarray.tolist, released.where(*offsets))
            for row, start, end in zip(rows, starts, ends, strict=True):
                own = released.text[start:end]
                if own == text[row["start"] : row["end"]]:  # else a part of it was cut
                    ids, context = with_context(tokens, [shown], 0, (start, end), CONTEXT)
                    entity = {"text": own, "ids": ids.tolist()}
                    before = {"context": context.text, "context_ids": context.ids.tolist()}
                    yield row | entity | before


@dataclass(frozen=True)
class Complete(PlainStage):
    """Batch groups of PROMPTS to rows of ENTITIES. digest: of the models' files."""

    models: Models = field(default_factory=Models)
    digest: str = ""

    workers: ClassVar[Workers] = "device"
    key: ClassVar[tuple[str, ...]] = ("batch_group",)
    order: ClassVar[tuple[str, ...]] = ("doc", "start")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"prompts": PROMPTS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"entities": ENTITIES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for group in each_key((batch for _, batch in tagged), "batch_group"):
            yield "entities", self._completed(group)

    def _completed(self, group: pa.RecordBatch) -> pa.RecordBatch:
        from unrote.memorization.entities import Context, Entity, completions, shuffled  # noqa: PLC0415 (torch)
        from unrote.memorization.forward import uses_bos  # noqa: PLC0415
        from unrote.memorization.scorer import only_scorer  # noqa: PLC0415

        rows = group.to_pylist()
        contexts = [Context(row["doc"], row["context"], _ids(row["context_ids"])) for row in rows]
        pool = shuffled(contexts, 0)
        with only_scorer(self.models) as scorer:
            model, bos = scorer.model, self.models.config.bos
            with_bos = uses_bos(model, bos)
            entities = []
            for row, context in zip(rows, contexts, strict=True):
                entity = Entity(row["text"], _ids(row["ids"]), context, bos=with_bos)
                entity.choose(pool, UNRELATED, model.context - with_bos)
                entities.append(entity)
            measured = completions(model, entities, bos, self.models.config.token_budget)
        names = ("doc", "start", "end", "type")
        found = [
            {name: row[name] for name in names} | columns
            for row, columns in zip(rows, measured, strict=True)
        ]
        return pa.RecordBatch.from_pylist(found, ENTITIES.schema)


def _ids(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)
