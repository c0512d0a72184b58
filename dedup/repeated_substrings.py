"""Repeated substrings of the released text, by samples: corpus.substrings as stages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.beside import DocumentEdits, DocumentSet, ReleasedView, beside
from unrote.corpus.schema import (
    DUPLICATES,
    REJECTS,
    REPEATED_SUBSTRINGS,
    TEXT,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.substrings import sampled_substrings
from unrote.corpus.text import arrow_buffers
from unrote.corpus.views import apply_edits
from unrote.dedup.groups import batch_of, column, spread, starts, with_hot_keys
from unrote.dedup.words import Ints

SAMPLED_SUBSTRINGS = pa.schema(
    [(name, pa.int64()) for name in ("substring", "doc", "start_byte", "in_input", "in_released")]
)
"""A sampled substring: its hash and its offset in a view, and whether it counts in either."""


@dataclass(frozen=True)
class SampledSubstrings(PlainStage):
    """Texts to their sampled substrings, in the input and in the released view.

    removed: names of the tables whose documents are not released.
    """

    view: ReleasedView = field(default_factory=ReleasedView)
    removed: tuple[str, ...] = ()

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"substrings": SAMPLED_SUBSTRINGS}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        known = {t.name: t.schema for t in (DUPLICATES, REJECTS)}
        return {**{name: known[name] for name in self.removed}, **self.view.inputs, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits, removed = self.view.edits(), DocumentSet(*self.removed)
        for batch in beside(tagged, removed, edits):
            yield from self._batch(batch, edits, removed)

    def _batch(self, batch: pa.RecordBatch, edits: DocumentEdits, removed: DocumentSet) -> Tagged:
        docs = column(batch, "doc")
        released = np.ones(docs.size, dtype=np.bool_)
        changed: dict[int, str] = {}
        for row, doc in enumerate(docs.tolist()):
            cuts, changes = edits.take(doc)
            if removed.take(doc):
                released[row] = False
            elif cuts or changes:
                released[row] = False
                changed[doc] = apply_edits(
                    batch["text"][row].as_py(), cuts, changes, several=self.view.several
                )
        ones = np.ones(docs.size, dtype=np.int64)
        yield "substrings", _rows(batch["text"], docs, ones, released.astype(np.int64))
        if changed:
            texts, docs = pa.array(changed.values(), pa.string()), np.array(list(changed))
            ones = np.ones(docs.size, dtype=np.int64)
            yield "substrings", _rows(texts, docs, 0 * ones, ones)


def _rows(texts: pa.Array, docs: Ints, in_input: Ints, in_released: Ints) -> pa.RecordBatch:
    text, start, substring = sampled_substrings(*arrow_buffers(texts))
    return batch_of(
        SAMPLED_SUBSTRINGS, (substring, docs[text], start, in_input[text], in_released[text])
    )


@dataclass(frozen=True)
class RepeatedSubstrings(PlainStage):
    """Sampled substrings of equal hash, counted: rows of REPEATED_SUBSTRINGS for those in the
    released view.

    Those of a hot key (dedup.groups) are passed on as they come, to `HotSubstrings`, with a row of
    their sums, of which the document is -1.
    """

    key: ClassVar[tuple[str, ...]] = ("substring",)
    order: ClassVar[tuple[str, ...]] = ("doc", "start_byte", "in_input")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"substrings": SAMPLED_SUBSTRINGS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "repeated": REPEATED_SUBSTRINGS.schema,
        "hot": SAMPLED_SUBSTRINGS,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        open_substring: int | None = None
        sums = np.zeros(2, dtype=np.int64)
        for substring, batch in with_hot_keys(tagged, "substring"):
            if open_substring is not None and substring != open_substring:
                yield (
                    "hot",
                    batch_of(
                        SAMPLED_SUBSTRINGS, np.array([[open_substring], [-1], [-1], *sums[:, None]])
                    ),
                )
                sums[:] = 0
            open_substring = substring
            if substring is None:
                yield "repeated", self._counted(batch)
            else:
                sums += [column(batch, name).sum() for name in ("in_input", "in_released")]
                yield "hot", batch
        if open_substring is not None:
            yield (
                "hot",
                batch_of(
                    SAMPLED_SUBSTRINGS, np.array([[open_substring], [-1], [-1], *sums[:, None]])
                ),
            )

    def _counted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        substrings, released = column(batch, "substring"), column(batch, "in_released")
        first = np.flatnonzero(starts((substrings,), None))
        sizes = np.diff(first, append=substrings.size)
        before = np.repeat(np.add.reduceat(column(batch, "in_input"), first), sizes)
        after = np.repeat(np.add.reduceat(released, first), sizes)
        return _repeated(batch, before, after, released > 0)


@dataclass(frozen=True)
class HotSubstrings(PlainStage):
    """Substrings of hot keys, after the row with their sums, to rows of REPEATED_SUBSTRINGS."""

    key: ClassVar[tuple[str, ...]] = ("substring",)
    order: ClassVar[tuple[str, ...]] = ("doc", "start_byte", "in_input")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"hot": SAMPLED_SUBSTRINGS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"repeated": REPEATED_SUBSTRINGS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        sums = [0, 0]
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            begins = column(batch, "doc") < 0
            names = ("in_input", "in_released")
            before, after = (
                spread(column(batch, name), begins, known)
                for name, known in zip(names, sums, strict=True)
            )
            sums = [int(before[-1]), int(after[-1])]
            released = ~begins & (column(batch, "in_released") > 0)
            yield "repeated", _repeated(batch, before, after, released)


def _repeated(
    batch: pa.RecordBatch, before: Ints, after: Ints, released: NDArray[np.bool_]
) -> pa.RecordBatch:
    """Of sampled substrings with their counts, those of the released view that are repeated."""
    kept = released & ((before > 1) | (after > 1))
    columns = (column(batch, "doc"), column(batch, "start_byte"), before, after)
    return batch_of(REPEATED_SUBSTRINGS.schema, [c[kept] for c in columns])
