"""Which parts of the released text are there more than once, roughly: corpus.runs as stages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.runs import sampled
from unrote.corpus.schema import DUPLICATES, RECURRING, REJECTS, REPLACEMENTS, SPANS, TEXT, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.corpus.views import Edits, view
from unrote.dedup.groups import batch_of, column, spread, starts, with_crowds
from unrote.dedup.shingles import Ints

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

    Crowded groups (dedup.groups) are passed on as they come, to `Common`, each with a row of its
    sums, of which the document is -1.
    """

    key: ClassVar[tuple[str, ...]] = ("run",)
    order: ClassVar[tuple[str, ...]] = ("doc", "start_byte", "in_input")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"runs": RUNS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"recurring": RECURRING.schema, "crowd": RUNS}

    def _run(self, tagged: Tagged) -> Tagged:
        open_run: int | None = None
        sums = np.zeros(2, dtype=np.int64)
        for run, batch in with_crowds(tagged, "run"):
            if open_run is not None and run != open_run:
                yield "crowd", batch_of(RUNS, np.array([[open_run], [-1], [-1], *sums[:, None]]))
                sums[:] = 0
            open_run = run
            if run is None:
                yield "recurring", self._counted(batch)
            else:
                sums += [column(batch, name).sum() for name in ("in_input", "in_released")]
                yield "crowd", batch
        if open_run is not None:
            yield "crowd", batch_of(RUNS, np.array([[open_run], [-1], [-1], *sums[:, None]]))

    def _counted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        runs, released = column(batch, "run"), column(batch, "in_released")
        first = np.flatnonzero(starts((runs,), None))
        sizes = np.diff(first, append=runs.size)
        before = np.repeat(np.add.reduceat(column(batch, "in_input"), first), sizes)
        after = np.repeat(np.add.reduceat(released, first), sizes)
        return _recurring(batch, before, after, released > 0)


@dataclass(frozen=True)
class Common(PlainStage):
    """Crowded groups, each after the row with its sums, to rows of RECURRING."""

    key: ClassVar[tuple[str, ...]] = ("run",)
    order: ClassVar[tuple[str, ...]] = ("doc", "start_byte", "in_input")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"crowd": RUNS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"recurring": RECURRING.schema}

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
            yield "recurring", _recurring(batch, before, after, released)


def _recurring(
    batch: pa.RecordBatch, before: Ints, after: Ints, released: NDArray[np.bool_]
) -> pa.RecordBatch:
    """Of rows of RUNS, with the counts of their runs, those of the released view that recur."""
    kept = released & ((before > 1) | (after > 1))
    columns = (column(batch, "doc"), column(batch, "start_byte"), before, after)
    return batch_of(RECURRING.schema, [c[kept] for c in columns])
