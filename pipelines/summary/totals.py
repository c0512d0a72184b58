"""Totals for each source, and the copies that were removed: one pass over the documents, with their
rows of the other tables beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.errors import StorageError
from unrote.corpus.schema import DOCUMENTS, DUPLICATES, REJECTS, SPANS, UNCUT, Table, Tagged
from unrote.corpus.stages import PlainStage
from unrote.dedup.contamination import CONTAMINATION_REASON
from unrote.memorization.at_risk import AT_RISK_REASON
from unrote.pipelines.engines.base import Flow, Output
from unrote.pipelines.summary.sums import (
    Ints,
    SumByKey,
    TopN,
    batch_of,
    flags_of,
    numbers_of,
    summary_table,
    text_key,
)

SOURCES = 1000
"""Sources that a summary holds one by one; the others are one row."""

RELEASED = Table(
    "released",
    pa.schema(
        [
            (name, pa.int64())
            for name in (
                *("doc", "bytes", "passages", "sequences", "bytes_at_risk"),
                *("contaminated", "bytes_contaminated"),
            )
        ]
    ),
)
"""Documents with duplicate passages, or sequences that are taken out for their risk: bytes of the
text without the passages, including the line breaks that join the parts; how many passages and
sequences there are; and the bytes that go with the sequences from what is released otherwise. The
same of passages that an evaluation set has, which go before the sequences. The
stage that edits text writes it, also for a job that rewrites nothing."""

REASONS = ("exact", "near", "remainder")
"""Why a document is removed: the values of `duplicates.reason`."""

MEASURES = (
    "documents",
    "bytes",
    "words",
    "removed_exact",
    "removed_near",
    "removed_remainder",
    "bytes_exact",
    "bytes_near",
    "bytes_remainder",
    "passages",  # rows of `spans`
    "passage_chars",  # code points in their union
    "uncut",  # rows of `uncut`
    "bytes_uncut",
    "documents_cut",  # documents that stay, with duplicate passages in them
    "bytes_passages",  # bytes of those documents that the passages take
    "ids_derived",
    "rejected",  # documents that a later phase rejects
    "bytes_rejected",
    "rejected_at_risk",  # those of them that are at risk of memorization
    "bytes_rejected_at_risk",
    "documents_at_risk",  # documents that stay, without their sequences at risk of memorization
    "bytes_at_risk",  # bytes of those documents that the sequences take
    "rejected_contaminated",  # as of those at risk, for contamination with evaluation sets
    "bytes_rejected_contaminated",
    "documents_contaminated",
    "bytes_contaminated",
    "words_kept",  # of the documents that are neither removed nor rejected
)


TOTALS = summary_table(
    "totals", ("negative_bytes", "source_key"), ("source",), ("sources", *MEASURES)
)
"""One row per source, the largest first; beyond `SOURCES` one row for all others, with `source`
null. `sources` is how many sources a row adds up."""


SHARD_TOTALS = replace(TOTALS, name="shard_totals")
"""The same for each shard."""


def summarise_shards(flow: Flow, tables: tuple[Table, ...]) -> None:
    """Write SHARD_TOTALS."""
    tally = flow.map(ShardTally(tables), flow.read(None, *tables))
    totals = flow.group(SumByKey(SHARD_TOTALS, "source_key", MEASURES), parts=tally["parts"])
    first = TopN(SHARD_TOTALS, SOURCES, ("sources", *MEASURES))
    flow.write(SHARD_TOTALS, flow.group(first, rows=totals["rows"])["rows"])


def summarise_totals(flow: Flow, tables: tuple[Table, ...]) -> Mapping[str, Output]:
    """Write TOTALS from `tables`; returns what else comes of the pass (`Tally.outputs`)."""
    tally = flow.map(Tally(tables), flow.read(None, *tables))
    totals = flow.group(SumByKey(TOTALS, "source_key", MEASURES), parts=tally["parts"])
    first = TopN(TOTALS, SOURCES, ("sources", *MEASURES))
    flow.write(TOTALS, flow.group(first, rows=totals["rows"])["rows"])
    return tally


@dataclass(frozen=True)
class Tally(PlainStage):
    """Sums for each source, and a row for each copy of a document that stayed."""

    tables: tuple[Table, ...] = (DOCUMENTS, DUPLICATES, REJECTS, SPANS, UNCUT, RELEASED)
    version: ClassVar[int] = 3
    by: ClassVar[str] = "source"
    """The column of DOCUMENTS that is taken for the source."""
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "parts": TOTALS.schema,
        "copies": pa.schema(
            [(c, pa.int64()) for c in ("twin", "copies", "bytes", "exact", "near")]
        ),
        "rejected": pa.schema([("twin", pa.int64())]),
    }

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        return {table.name: table.schema for table in self.tables}

    def _run(self, batches: Tagged) -> Tagged:
        chunk = _Chunk(self.by)
        for tag, batch in batches:
            if tag == DOCUMENTS.name:
                if chunk.complete:
                    yield "parts", chunk.parts()
                    chunk = _Chunk(self.by)
                chunk.add_documents(batch)
            elif tag == DUPLICATES.name:
                yield "copies", chunk.add_duplicates(batch)
            elif tag == REJECTS.name:
                yield "rejected", chunk.add_rejects(batch)
            elif tag == SPANS.name:
                chunk.add_spans(batch)
            elif tag == UNCUT.name:
                chunk.add_uncut(batch)
            else:
                chunk.add_released(batch)
        yield "parts", chunk.parts()


@dataclass(frozen=True)
class ShardTally(Tally):
    """The same for each shard."""

    by: ClassVar[str] = "shard"


class _Chunk:
    """A chunk of documents and what their rows of the other tables add up to, for each source."""

    def __init__(self, by: str = "source") -> None:
        self.by = by
        self.complete = False  # A row of another table was seen: no more documents follow.
        self.reach = (-1, 0)  # The document of the last span, and how far its spans go.
        self.codes: dict[str, int] = {}
        self.sums = np.zeros((0, len(MEASURES)), np.int64)
        self.docs: Ints = np.empty(0, np.int64)
        self.sources: Ints = np.empty(0, np.int64)
        self.sizes: Ints = np.empty(0, np.int64)
        self.words: Ints = np.empty(0, np.int64)
        self.removed = np.empty(0, np.bool_)

    def add_documents(self, batch: pa.RecordBatch) -> None:
        sources = self._sources(batch[self.by])
        sizes = numbers_of(batch, "bytes")
        self.docs = np.concatenate([self.docs, numbers_of(batch, "doc")])
        self.sources = np.concatenate([self.sources, sources])
        self.sizes = np.concatenate([self.sizes, sizes])
        self.removed = np.concatenate([self.removed, np.zeros(len(sizes), np.bool_)])
        # A derived id is made of shard and row (corpus/rows.py).
        rows = pc.binary_join_element_wise(batch["shard"], batch["row"].cast(pa.string()), "#")
        derived = flags_of(pc.equal(batch["id"], rows))
        words = numbers_of(batch, "words")
        self.words = np.concatenate([self.words, words])
        self._add(sources, documents=1, bytes=sizes, words=words, ids_derived=derived)

    def add_duplicates(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Add removed documents; returns a row of `copies` for each with a twin in the input."""
        at = self._find(batch)
        self.removed[at] = True
        sizes = self.sizes[at]
        flags = {r: flags_of(pc.equal(batch["reason"], r)).astype(np.int64) for r in REASONS}
        for reason, flag in flags.items():
            counted = {f"removed_{reason}": flag, f"bytes_{reason}": sizes * flag}
            self._add(self.sources[at], **counted)
        twins = pc.fill_null(batch["twin"], -1).to_numpy()
        paired = twins >= 0  # others have none, or one in an index
        columns = (twins, np.ones_like(twins), sizes, flags["exact"], flags["near"])
        return batch_of(Tally.outputs["copies"], *(column[paired] for column in columns))

    def add_rejects(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Add documents that were rejected, and not for being unreadable; returns their keys."""
        docs = numbers_of(batch, "doc")
        here = np.isin(docs, self.docs)
        docs = docs[here]
        at = np.searchsorted(self.docs, docs)
        self.complete = True
        self.removed[at] = True
        sizes = self.sizes[at]
        self._add(self.sources[at], rejected=1, bytes_rejected=sizes)
        risky = flags_of(pc.starts_with(batch["reason"], AT_RISK_REASON))[here]
        self._add(self.sources[at], rejected_at_risk=risky, bytes_rejected_at_risk=sizes * risky)
        shared = flags_of(pc.starts_with(batch["reason"], CONTAMINATION_REASON))[here] & ~risky
        counted = {"rejected_contaminated": shared, "bytes_rejected_contaminated": sizes * shared}
        self._add(self.sources[at], **counted)
        return batch_of(Tally.outputs["rejected"], docs)

    def add_spans(self, batch: pa.RecordBatch) -> None:
        self._add(self.sources[self._find(batch)], passages=1, passage_chars=self._covered(batch))

    def add_uncut(self, batch: pa.RecordBatch) -> None:
        size = numbers_of(batch, "bytes")
        self._add(self.sources[self._find(batch)], uncut=1, bytes_uncut=size)

    def add_released(self, batch: pa.RecordBatch) -> None:
        at = self._find(batch)
        left = ~self.removed[at]  # All bytes of a removed document are counted as such.
        names = (
            *("bytes", "passages", "sequences", "bytes_at_risk"),
            *("contaminated", "bytes_contaminated"),
        )
        sizes, passages, sequences, risk, shared, shared_bytes = (
            numbers_of(batch, name)[left] for name in names
        )
        at = at[left]
        cut = {"documents_cut": passages > 0, "bytes_passages": self.sizes[at] - sizes}
        self._add(self.sources[at], **cut, documents_at_risk=sequences > 0, bytes_at_risk=risk)
        counted = {"documents_contaminated": shared > 0, "bytes_contaminated": shared_bytes}
        self._add(self.sources[at], **counted)

    def parts(self) -> pa.RecordBatch:
        """The sums as rows of `TOTALS`, not yet in order."""
        left = ~self.removed
        self._add(self.sources[left], words_kept=self.words[left])
        names = list(self.codes)
        zeros, ones = np.zeros(len(names), np.int64), np.ones(len(names), np.int64)
        keys = np.array([text_key(name) for name in names], np.int64)
        return batch_of(TOTALS.schema, zeros, zeros, keys, names, ones, *self.sums[: len(names)].T)

    def _covered(self, batch: pa.RecordBatch) -> Ints:
        """How many code points each span covers that no span before it in its document covers."""
        docs, starts, ends = (numbers_of(batch, c) for c in ("doc", "start", "end"))
        doc, reach = self.reach
        first = reach if len(docs) and docs[0] == doc else 0
        # The furthest end so far, within a document: documents are moved apart, so that what one
        # reaches lies before every start of the next, and one running maximum does for all.
        distance = max(first, int(ends.max(initial=0))) + 1
        apart = np.cumsum(np.diff(docs, prepend=docs[:1]) != 0) * distance
        reaches = np.maximum.accumulate(np.concatenate([[first], ends + apart]))
        if len(docs):
            self.reach = int(docs[-1]), int(reaches[-1] - apart[-1])
        covered: Ints = np.maximum(0, ends - np.maximum(starts, reaches[:-1] - apart))
        return covered

    def _sources(self, names: pa.Array) -> Ints:
        """The source of each row as a number, new ones included."""
        encoded = pc.fill_null(names, "").dictionary_encode()
        known = [self.codes.setdefault(n, len(self.codes)) for n in encoded.dictionary.to_pylist()]
        missing = len(self.codes) - len(self.sums)
        self.sums = np.concatenate([self.sums, np.zeros((missing, len(MEASURES)), np.int64)])
        codes: Ints = np.array(known, np.int64)[encoded.indices.to_numpy()]
        return codes

    def _find(self, batch: pa.RecordBatch) -> Ints:
        """Where in this chunk the rows' documents are."""
        self.complete = True
        docs = numbers_of(batch, "doc")
        at: Ints = np.searchsorted(self.docs, docs)
        lost = docs[np.append(self.docs, -1)[at] != docs]
        if len(lost):
            raise StorageError(
                f"a table has a row for document {lost[0]}, which `documents` does not have. "
                "The tables are damaged; run the job again in an empty folder."
            )
        return at

    def _add(self, sources: Ints, **measures: Any) -> None:
        for name, values in measures.items():
            np.add.at(self.sums[:, MEASURES.index(name)], sources, values)
