"""Which parts of the released text are there more than once, roughly: corpus.runs as stages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.runs import sampled
from corpus.schema import DUPLICATES, RECURRING, REJECTS, REPLACEMENTS, SPANS, TEXT, Tagged
from corpus.stages import PlainStage, whole_keys
from corpus.text import arrow_buffers
from corpus.views import Edits, view
from dedup.groups import batch_of, column
from dedup.shingles import Ints

RUNS = pa.schema(
    [(name, pa.int64()) for name in ("run", "doc", "start_byte", "in_input", "in_released")]
)
"""A sampled run: its hash, its place in a view, and whether it counts there (1) or not (0)."""


@dataclass(frozen=True)
class Runs(PlainStage):
    """Texts to their sampled runs, in the input and in the released view.

    edits: names of the tables SPANS and REPLACEMENTS that are read; removed: of those whose
    documents are not released. cut: whether SPANS are cut.
    """

    edits: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    cut: bool = False

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"runs": RUNS}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        known = {t.name: t.schema for t in (DUPLICATES, REJECTS, SPANS, REPLACEMENTS)}
        return {**{name: known[name] for name in (*self.removed, *self.edits)}, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits, removed = Edits(cut=self.cut), set[int]()
        for tag, batch in tagged:
            if tag in self.removed:
                removed.update(batch["doc"].to_pylist())
            elif not edits.learn(tag, batch):
                yield from self._batch(batch, edits, removed)

    def _batch(self, batch: pa.RecordBatch, edits: Edits, removed: set[int]) -> Tagged:
        docs = column(batch, "doc")
        released = np.ones(docs.size, dtype=np.bool_)
        changed: dict[int, str] = {}
        for row, doc in enumerate(docs.tolist()):
            cuts, changes = edits.take(doc)
            if doc in removed:
                removed.discard(doc)
                released[row] = False
            elif cuts or changes:
                released[row] = False
                changed[doc] = view(batch["text"][row].as_py(), cuts, changes).text
        ones = np.ones(docs.size, dtype=np.int64)
        yield "runs", _rows(batch["text"], docs, ones, released.astype(np.int64))
        if changed:
            texts, docs = pa.array(changed.values(), pa.string()), np.array(list(changed))
            ones = np.ones(docs.size, dtype=np.int64)
            yield "runs", _rows(texts, docs, 0 * ones, ones)


def _rows(texts: pa.Array, docs: Ints, in_input: Ints, in_released: Ints) -> pa.RecordBatch:
    text, start, run = sampled(*arrow_buffers(texts))
    return batch_of(RUNS, (run, docs[text], start, in_input[text], in_released[text]))


@dataclass(frozen=True)
class Recurring(PlainStage):
    """Runs of equal hash, counted: rows of RECURRING for those in the released view.

    Holds the rows of the open group.
    """

    key: ClassVar[tuple[str, ...]] = ("run",)
    order: ClassVar[tuple[str, ...]] = ("doc", "start_byte", "in_input")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"runs": RUNS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"recurring": RECURRING.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch in whole_keys((batch for _, batch in tagged), "run"):
            runs, released = column(batch, "run"), column(batch, "in_released")
            starts = np.flatnonzero(np.diff(runs, prepend=~runs[:1]))
            sizes = np.diff(starts, append=runs.size)
            before = np.repeat(np.add.reduceat(column(batch, "in_input"), starts), sizes)
            after = np.repeat(np.add.reduceat(released, starts), sizes)
            kept: NDArray[np.bool_] = (released > 0) & ((before > 1) | (after > 1))
            columns = (column(batch, "doc"), column(batch, "start_byte"), before, after)
            yield "recurring", batch_of(RECURRING.schema, [c[kept] for c in columns])
