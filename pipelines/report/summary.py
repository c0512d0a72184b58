"""The published tables, added up into tables small enough to read whole.

The tables have a row for each document or passage; a report has room for a few dozen lines. Adding
up is a flow like any other, so it runs where the tables are, and what reaches the driver is
bounded: at most `SOURCES`, `REASONS_SHOWN`, `REJECTS_SHOWN` and `TOP` rows.

What the stages share, and what a row of a summary is, is in pipelines.report.adding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.errors import StorageError
from unrote.corpus.schema import DOCUMENTS, DUPLICATES, REJECTS, SPANS, Table, Tagged, doc_key
from unrote.corpus.stages import PlainStage
from unrote.memorization.refuse import RECITED
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.report.adding import (
    AddUp,
    First,
    Ints,
    added_up,
    batch_of,
    flags_of,
    numbers_of,
    sorted_rows,
    summary_table,
    text_key,
)
from unrote.pipelines.report.found import FOUND, summarise_findings
from unrote.pipelines.report.scored import SCORED, summarise_scores

TOP = 20
"""Clusters and passages that a summary holds."""

SOURCES = 1000
"""Sources that a summary holds one by one; the others are one row."""

REASONS_SHOWN = 20
REJECTS_SHOWN = 10

RELEASED = Table(
    "released",
    pa.schema(
        [(name, pa.int64()) for name in ("doc", "bytes", "passages", "sequences", "bytes_risk")]
    ),
)
"""Documents with duplicate passages, or sequences that are taken out for their risk: bytes of the
text without the passages, including the line breaks that join the parts; how many passages and
sequences there are; and the bytes that go with the sequences from what is released otherwise. The
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
    "documents_cut",  # documents that stay, with duplicate passages in them
    "bytes_passages",  # bytes of those documents that the passages take
    "ids_derived",
    "rejected",  # documents that a later phase rejects
    "bytes_rejected",
    "rejected_risk",  # those of them that a model would recite
    "bytes_rejected_risk",
    "documents_risk",  # documents that stay, without sequences that a model would recite
    "bytes_risk",  # bytes of those documents that the sequences take
    "words_left",  # of the documents that are neither removed nor rejected
)


TOTALS = summary_table(
    "totals", ("negative_bytes", "source_key"), ("source",), ("sources", *MEASURES)
)
"""One row per source, the largest first; beyond `SOURCES` one row for all others, with `source`
null. `sources` is how many sources a row adds up."""

REJECT_REASONS = summary_table(
    "reject_reasons", ("negative_rows", "reason_key"), ("reason",), ("reasons", "rows")
)
"""One row per reason, the most frequent first; the others are one row with `reason` null."""

FIRST_REJECTS = summary_table("first_rejects", ("place",), ("shard", "reason"), ("row",))
"""The first rejected rows of the input; `place` is what the row's document key would have been."""

CLUSTERS = summary_table(
    "clusters", ("negative_copies", "twin"), (), ("copies", "bytes", "exact", "near")
)
"""The kept documents with the most removed copies: how many, their bytes, and by reason."""

PASSAGES = summary_table(
    "passages", ("negative_size", "witness", "start"), (), ("length", "occurrences")
)
"""The passages with the largest size, length times occurrences, in code points. No two of them
overlap in the same witness."""

LOST = summary_table("lost", (), (), ("copies",))
"""One row: how many copies were removed of documents that were rejected then."""

SUMMARIES = (TOTALS, REJECT_REASONS, FIRST_REJECTS, CLUSTERS, PASSAGES, LOST, *FOUND, *SCORED)


def summarise(
    flow: Flow,
    shards: tuple[str, ...],
    *,
    spans: bool = True,
    released: bool = True,
    rejects: bool = True,
    findings: bool = True,
    scores: bool = False,
    entities: bool = False,
    above: float = 1.0,
) -> None:
    """Build the flow that writes `SUMMARIES` from the published tables.

    shards: the shards' names, in the order of their numbers.
    spans, released, rejects, findings, scores, entities: whether the tables of that name were
    written. above: the risk from which on a sequence is at risk.
    """
    tables: tuple[Table, ...] = (DOCUMENTS, DUPLICATES)
    tables += rejects * (REJECTS,) + spans * (SPANS,) + released * (RELEASED,)
    tally = flow.map(Tally(tables), flow.read(None, *tables))
    totals = flow.group(AddUp(TOTALS, "source_key", MEASURES), parts=tally["parts"])
    first = First(TOTALS, SOURCES, ("sources", *MEASURES))
    flow.write(TOTALS, flow.group(first, rows=totals["rows"])["rows"])
    clusters = flow.group(LargestClusters(), copies=tally["copies"])
    flow.write(CLUSTERS, flow.group(First(CLUSTERS, TOP), rows=clusters["rows"])["rows"])
    if rejects:
        lost = flow.group(LostCopies(), rejected=tally["rejected"], copies=tally["copies"])
        flow.write(LOST, flow.group(AddUp(LOST, "doc", ("copies",)), parts=lost["rows"])["rows"])
    if findings:
        summarise_findings(flow)
    if scores:
        summarise_scores(flow, above, rejects=rejects, entities=entities)
    if spans:
        passages = flow.group(LargestPassages(), spans=flow.read(None, SPANS))
        flow.write(PASSAGES, flow.group(First(PASSAGES, TOP), rows=passages["rows"])["rows"])
    if rejects:
        counted = flow.map(TallyRejects(shards), flow.read(None, REJECTS))
        added = AddUp(REJECT_REASONS, "reason_key", ("rows",))
        reasons = flow.group(added, parts=counted["parts"])
        first = First(REJECT_REASONS, REASONS_SHOWN, ("reasons", "rows"))
        flow.write(REJECT_REASONS, flow.group(first, rows=reasons["rows"])["rows"])
        first = First(FIRST_REJECTS, REJECTS_SHOWN)
        flow.write(FIRST_REJECTS, flow.group(first, rows=counted["first"])["rows"])


# ----------------------------------------------------------------------------------------------
# Totals and copies: one pass over documents with their rows of the other tables.


@dataclass(frozen=True)
class Tally(PlainStage):
    """Sums for each source, and a row for each copy of a document that stayed."""

    tables: tuple[Table, ...] = (DOCUMENTS, DUPLICATES, REJECTS, SPANS, RELEASED)

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
        stretch = _Stretch()
        for tag, batch in batches:
            if tag == DOCUMENTS.name:
                if stretch.complete:
                    yield "parts", stretch.parts()
                    stretch = _Stretch()
                stretch.add_documents(batch)
            elif tag == DUPLICATES.name:
                yield "copies", stretch.add_duplicates(batch)
            elif tag == REJECTS.name:
                yield "rejected", stretch.add_rejects(batch)
            elif tag == SPANS.name:
                stretch.add_spans(batch)
            else:
                stretch.add_released(batch)
        yield "parts", stretch.parts()


class _Stretch:
    """A stretch of documents and what their rows of the other tables add up to, for each source."""

    def __init__(self) -> None:
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
        sources = self._sources(batch["source"])
        sizes = numbers_of(batch, "bytes")
        self.docs = np.concatenate([self.docs, numbers_of(batch, "doc")])
        self.sources = np.concatenate([self.sources, sources])
        self.sizes = np.concatenate([self.sizes, sizes])
        self.removed = np.concatenate([self.removed, np.zeros(len(sizes), np.bool_)])
        # An id is derived as the place of its row (corpus/rows.py).
        places = pc.binary_join_element_wise(batch["shard"], batch["row"].cast(pa.string()), "#")
        derived = flags_of(pc.equal(batch["id"], places))
        words = numbers_of(batch, "words")
        self.words = np.concatenate([self.words, words])
        self._add(sources, documents=1, bytes=sizes, words=words, ids_derived=derived)

    def add_duplicates(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Add removed documents; returns a row of `copies` for each that has a twin."""
        at = self._find(batch)
        self.removed[at] = True
        sizes = self.sizes[at]
        flags = {r: flags_of(pc.equal(batch["reason"], r)).astype(np.int64) for r in REASONS}
        for reason, flag in flags.items():
            counted = {f"removed_{reason}": flag, f"bytes_{reason}": sizes * flag}
            self._add(self.sources[at], **counted)
        paired = ~flags_of(pc.is_null(batch["twin"]))
        twins = pc.fill_null(batch["twin"], 0).to_numpy()
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
        risky = flags_of(pc.starts_with(batch["reason"], RECITED))[here]
        self._add(self.sources[at], rejected_risk=risky, bytes_rejected_risk=sizes * risky)
        return batch_of(Tally.outputs["rejected"], docs)

    def add_spans(self, batch: pa.RecordBatch) -> None:
        self._add(self.sources[self._find(batch)], passages=1, passage_chars=self._covered(batch))

    def add_released(self, batch: pa.RecordBatch) -> None:
        at = self._find(batch)
        left = ~self.removed[at]  # All bytes of a removed document are counted as such.
        names = ("bytes", "passages", "sequences", "bytes_risk")
        sizes, passages, sequences, risk = (numbers_of(batch, name)[left] for name in names)
        at = at[left]
        cut = {"documents_cut": passages > 0, "bytes_passages": self.sizes[at] - sizes}
        self._add(self.sources[at], **cut, documents_risk=sequences > 0, bytes_risk=risk)

    def parts(self) -> pa.RecordBatch:
        """The sums as rows of `TOTALS`, not yet in order."""
        left = ~self.removed
        self._add(self.sources[left], words_left=self.words[left])
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
        """Where in this stretch the rows' documents are."""
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


# ----------------------------------------------------------------------------------------------
# Rejected rows.


@dataclass(frozen=True)
class TallyRejects(PlainStage):
    """Rejected rows by reason, and the first of them."""

    shards: tuple[str, ...]

    inputs: ClassVar[Mapping[str, pa.Schema]] = {REJECTS.name: REJECTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "parts": REJECT_REASONS.schema,
        "first": FIRST_REJECTS.schema,
    }

    def _run(self, batches: Tagged) -> Tagged:
        numbers = {name: number for number, name in enumerate(self.shards)}
        first = FIRST_REJECTS.schema.empty_table()
        for _, batch in batches:
            counts = pc.value_counts(pc.fill_null(batch["reason"], ""))
            reasons, rows = counts.field("values").to_pylist(), counts.field("counts").to_numpy()
            zeros, ones = np.zeros_like(rows), np.ones_like(rows)
            keys = [text_key(reason) for reason in reasons]
            yield "parts", batch_of(REJECT_REASONS.schema, zeros, zeros, keys, reasons, ones, rows)
            # A slice's rows are rejected in the order of the input: the first are in front.
            head = batch.slice(0, REJECTS_SHOWN)
            pairs = zip(head["shard"].to_pylist(), head["row"].to_pylist(), strict=True)
            places = [doc_key(numbers[shard], row) for shard, row in pairs]
            columns = (head[c] for c in ("shard", "reason", "row"))
            found = batch_of(FIRST_REJECTS.schema, [0] * len(places), places, *columns)
            first = sorted_rows(pa.concat_tables([first, pa.table(found)]), "place", REJECTS_SHOWN)
        for batch in first.to_batches():
            yield "first", batch


# ----------------------------------------------------------------------------------------------
# The largest clusters.


@dataclass(frozen=True)
class LargestClusters(PlainStage):
    """Copies by their twin; of each worker's clusters the `TOP` largest, so that few rows go on."""

    key: ClassVar[tuple[str, ...]] = ("twin",)
    order: ClassVar[tuple[str, ...]] = ()  # A sum has none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"copies": Tally.outputs["copies"]}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": CLUSTERS.schema}

    def _run(self, batches: Tagged) -> Tagged:
        largest = CLUSTERS.schema.empty_table()
        for batch in added_up(batches, "twin", ("copies", "bytes", "exact", "near")):
            copies = numbers_of(batch, "copies")
            numbers = (numbers_of(batch, c) for c in ("twin", "copies", "bytes", "exact", "near"))
            rows = batch_of(CLUSTERS.schema, np.zeros_like(copies), -copies, *numbers)
            largest = pa.concat_tables([largest, pa.table(rows)])
            largest = sorted_rows(largest, "negative_copies", TOP, then="twin")
        for batch in largest.to_batches():
            yield "rows", batch


@dataclass(frozen=True)
class LostCopies(PlainStage):
    """How many copies were removed of documents that were rejected later."""

    key: ClassVar[tuple[str, ...]] = ("twin",)
    order: ClassVar[tuple[str, ...]] = ()  # A sum has none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "rejected": Tally.outputs["rejected"],
        "copies": Tally.outputs["copies"],
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": LOST.schema}

    def _run(self, batches: Tagged) -> Tagged:
        rejected: Ints = np.empty(0, np.int64)  # Of this chunk of keys, which come in order.
        lost, read = 0, False
        for tag, batch in batches:
            twins = numbers_of(batch, "twin")
            if tag == "rejected":
                rejected = np.concatenate([rejected[-1:] if read else rejected, twins])
            else:
                lost += int(numbers_of(batch, "copies")[np.isin(twins, rejected)].sum())
            read = tag == "copies"
        if lost:
            yield "rows", batch_of(LOST.schema, [0], [lost])


# ----------------------------------------------------------------------------------------------
# The most repeated passages.

# Columns of a candidate, as rows of an int64 array.
SIZE, WITNESS, START, LENGTH, OCCURRENCES = range(5)


@dataclass(frozen=True)
class LargestPassages(PlainStage):
    """Spans by their witness: of each worker's passages the `TOP` largest that do not overlap.

    Only passages in one witness can overlap, so a witness is settled once all its spans are in.
    """

    key: ClassVar[tuple[str, ...]] = ("witness",)
    order: ClassVar[tuple[str, ...]] = ()  # Candidates are sorted here, and ties do not matter.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"spans": SPANS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": PASSAGES.schema}

    def _run(self, batches: Tagged) -> Tagged:
        settled = pending = np.empty((5, 0), np.int64)
        for _, batch in batches:
            if not batch.num_rows:
                continue
            # What is smaller than all that are settled can neither join them nor displace one.
            floor = settled[SIZE, -1] if settled.shape[1] == TOP else 1
            found = _candidates(batch)
            found = np.hstack([pending, found[:, found[SIZE] >= floor]])
            last = found[WITNESS] == numbers_of(batch, "witness")[-1]
            settled = _largest_apart(np.hstack([settled, found[:, ~last]]))
            pending = _distinct(found[:, last])
        best = _largest_apart(np.hstack([settled, pending]))
        numbers = (best[WITNESS], best[START], best[LENGTH], best[OCCURRENCES])
        yield "rows", batch_of(PASSAGES.schema, np.zeros_like(best[SIZE]), -best[SIZE], *numbers)


def _candidates(spans: pa.RecordBatch) -> Ints:
    lengths = numbers_of(spans, "end") - numbers_of(spans, "start")
    occurrences = numbers_of(spans, "occurrences")
    places = (numbers_of(spans, c) for c in ("witness", "witness_start"))
    return np.stack([lengths * occurrences, *places, lengths, occurrences])


def _by_size(found: Ints) -> Ints:
    """Largest first; ties by place in the input, then the longer passage."""
    return found[:, np.lexsort((-found[LENGTH], found[START], found[WITNESS], -found[SIZE]))]


def _distinct(found: Ints) -> Ints:
    """The largest of the passages in one witness that are the same stretch of it.

    A licence text may be the witness of millions of spans, but they are few stretches of it.
    """
    found = _by_size(found)
    stretches = found[START] << 32 | found[LENGTH]
    return found[:, np.sort(np.unique(stretches, return_index=True)[1])]


def _largest_apart(found: Ints) -> Ints:
    """The `TOP` largest passages, without those that overlap a larger one in the same witness."""
    found = _by_size(found)
    chosen: list[Ints] = []
    while found.shape[1] and len(chosen) < TOP:
        best = found[:, :1].copy()  # a view would keep all of `found`
        chosen.append(best)
        overlap = found[START] < best[START] + best[LENGTH]
        overlap &= best[START] < found[START] + found[LENGTH]
        found = found[:, ~(overlap & (found[WITNESS] == best[WITNESS]))]
    return np.hstack([found[:, :0], *chosen])
