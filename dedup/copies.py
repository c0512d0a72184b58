"""Copies of given sequences, in the three views of a text: dedup.occurrences as stages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.beside import DocumentEdits, DocumentSet, ReleasedView, beside
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import DUPLICATES, REJECTS, SELECTED, SEQUENCE_COPIES, TEXT, Tagged
from unrote.corpus.stages import PlainStage, whole_keys
from unrote.corpus.text import arrow_buffers
from unrote.corpus.views import apply_edits
from unrote.dedup.groups import batch_of, column
from unrote.dedup.occurrences import Passages
from unrote.dedup.words import Ints

COUNTS = ("copies_input", "copies_deduplicated", "copies", "near")


@dataclass(frozen=True)
class CountCopies(PlainStage):
    """Texts to how often each sequence of SELECTED, which is read whole, occurs in them: rows of
    SEQUENCE_COPIES.

    A sequence's text from before values in it were replaced is looked for in the input and in the
    deduplicated view, its released text in the released view. duplicates, rejects: whether these
    tables are read, whose documents are not released. normalization: the form in which sequences
    and texts are compared.
    """

    duplicates: bool = False
    rejects: str = ""
    view: ReleasedView = field(default_factory=ReleasedView)
    normalization: Normalization = NFC

    version: ClassVar[int] = 3
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"counted": SEQUENCE_COPIES.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        removed = {DUPLICATES.name: DUPLICATES.schema} if self.duplicates else {}
        if self.rejects:
            removed[self.rejects] = REJECTS.schema
        return {SELECTED.name: SELECTED.schema, **removed, **self.view.inputs, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        selected, edits = _Selected(), self.view.edits()
        twins, rejected = DocumentSet(DUPLICATES.name), DocumentSet(self.rejects)
        counter: _Counter | None = None
        for batch in beside(tagged, selected, twins, rejected, edits):
            if selected.batches:
                counter = counter or _Counter(
                    pa.Table.from_batches(selected.batches), self.view.several, self.normalization
                )
                counter.read(batch, edits, twins, rejected)
        if counter is not None:
            yield "counted", counter.batch()


class _Selected:
    """The sequences that are looked for. The table is read whole, before any text."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []

    def learn(self, tag: str, batch: pa.RecordBatch) -> bool:
        if tag != SELECTED.name:
            return False
        self.batches.append(batch.select(["doc", "number", "text", "source"]))
        return True


class _Counter:
    """The sequences that are looked for, and how often each was found so far."""

    def __init__(self, selected: pa.Table, several: bool, normalization: Normalization) -> None:
        self.several, self.normalization = several, normalization
        self.keys = [selected[name].to_numpy() for name in ("doc", "number")]
        texts, sources = (selected[name].to_pylist() for name in ("text", "source"))
        self.released = self.source = self._indexed(texts)
        if any(source is not None for source in sources):
            both = zip(texts, sources, strict=True)
            self.source = self._indexed(
                [text if source is None else source for text, source in both]
            )
        self.counts = {name: np.zeros(len(selected), dtype=np.int64) for name in COUNTS}

    def _indexed(self, texts: list[str]) -> Passages:
        return Passages(self.normalization.texts(pa.array(texts, pa.large_string())))

    def read(
        self, batch: pa.RecordBatch, edits: DocumentEdits, twins: DocumentSet, rejected: DocumentSet
    ) -> None:
        """Count in the texts of a batch, in all three views."""
        docs, texts = batch["doc"].to_pylist(), batch["text"]
        plain = np.zeros(len(docs), dtype=np.bool_)
        cut, changed = [], []
        for row, doc in enumerate(docs):
            cuts, changes = edits.take(doc)
            removed, refused = twins.take(doc), rejected.take(doc)
            plain[row] = not (cuts or changes or removed or refused)
            if not plain[row] and not removed:
                text = texts[row].as_py()
                cut.append(apply_edits(text, cuts, (), several=self.several))
                if not refused:
                    changed.append(apply_edits(text, cuts, changes, several=self.several))
        self._everywhere(texts.filter(pa.array(plain)))
        self._in("copies_input", texts.filter(pa.array(~plain)))
        self._in("copies_deduplicated", pa.array(cut, pa.large_string()))
        self._in("copies", pa.array(changed, pa.large_string()))

    def _everywhere(self, texts: pa.Array) -> None:
        """Count in texts that are the same in all views."""
        data, offsets = arrow_buffers(self.normalization.texts(texts))
        exact, near = self.released.count(data, offsets)
        before = exact
        if self.source is not self.released:
            before = self.source.count_exact(data, offsets)
        for name, found in zip(COUNTS, (before, before, exact, near), strict=True):
            self.counts[name] += found

    def _in(self, name: str, texts: pa.Array) -> None:
        """Count in texts of one view."""
        data, offsets = arrow_buffers(self.normalization.texts(texts))
        if name == "copies":
            exact, near = self.released.count(data, offsets)
            self.counts["near"] += near
        else:
            exact = self.source.count_exact(data, offsets)
        self.counts[name] += exact

    def batch(self) -> pa.RecordBatch:
        """Rows of those that were found."""
        counts = list(self.counts.values())
        some = np.any([one > 0 for one in counts], axis=0)
        columns = [*self.keys, *counts, self.released.shingles]
        return batch_of(SEQUENCE_COPIES.schema, [one[some] for one in columns])


@dataclass(frozen=True)
class SumCopies(PlainStage):
    """Counts of a sequence, summed over workers."""

    key: ClassVar[tuple[str, ...]] = ("doc", "number")
    order: ClassVar[tuple[str, ...]] = ()  # A sum has none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"counted": SEQUENCE_COPIES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"counted": SEQUENCE_COPIES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch in whole_keys((batch for _, batch in tagged), "doc"):
            doc, number = column(batch, "doc"), column(batch, "number")
            new = np.ones(doc.size, dtype=np.bool_)
            new[1:] = (np.diff(doc) != 0) | (np.diff(number) != 0)
            starts: Ints = np.flatnonzero(new)
            sums = [np.add.reduceat(column(batch, name), starts) for name in COUNTS]
            rest = column(batch, "shingles")[starts]
            columns = [doc[starts], number[starts], *sums, rest]
            yield "counted", batch_of(SEQUENCE_COPIES.schema, columns)
