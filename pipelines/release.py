"""The last phase that touches text: every edit of a document, applied once.

A document's row comes out unchanged unless a table says otherwise: it is left out if DUPLICATES or
REJECTS has it, its text loses the union of its SPANS, the two sides of a cut joined by a line
break, and each of its REPLACEMENTS is put in place, also where it reaches into a cut. What AT_RISK
and CONTAMINATED name goes whole, replacements in it too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.beside import DocumentSet, Holder, RowsBeside, beside, picking
from unrote.corpus.cut_sizes import sizes_after_cuts
from unrote.corpus.edits import EDITS
from unrote.corpus.intervals import union
from unrote.corpus.paths import with_line_breaks
from unrote.corpus.schema import (
    AT_RISK,
    CONTAMINATED,
    DUPLICATES,
    RECORDS,
    REJECTS,
    REPLACEMENTS,
    SPANS,
    TEXT,
    Table,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.corpus.views import Change, apply_edits, changes_outside
from unrote.dedup.groups import batch_of, column
from unrote.dedup.repeats import with_rows
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Flow, View
from unrote.pipelines.job import Phases
from unrote.pipelines.rejects import held_back, rejects_documents
from unrote.pipelines.summary.totals import RELEASED

REMOVED = Table(
    "removed",
    pa.schema(
        {
            "doc": pa.int64(),
            "start": pa.int64(),
            "end": pa.int64(),
            "reason": pa.string(),
            "source": pa.int64(),
            "text": pa.string(),
        }
    ),
    sort=("doc", "start", "end"),
)
"""What was removed: a whole document (start 0) with its twin, or a passage with its witness.

A passage's reason is "passage", or "at-risk" where it is at risk of memorization, or "contaminated"
where an evaluation set has it, both without a witness. `source` may be null, so it is not sorted
by; rows of one passage come in the order of SPANS."""


def release(job: Phases, *, write: bool) -> None:
    """Apply every edit once: the cleaned shards, the sizes of what was cut, what was removed.

    Without `write` only the sizes are found, which needs the documents with passages alone, and
    those with sequences that are taken out.
    """
    settings = job.settings
    tables = _edited_by(settings, write=write)
    if not tables:
        return
    flow = Flow()
    if tables == (SPANS,) and not write and not settings.fields.several[0]:
        sizes = flow.map(CutSizes(), flow.read("text", SPANS, only=(SPANS,)))
        flow.write(RELEASED, sizes["released"])
        job.phase("release", flow)
        return
    stage = ApplyEdits(
        tables=tuple(table.name for table in tables),
        cut=settings.cuts_passages,
        several=settings.fields.several,
        keep_removed=bool(settings.output.keep_removed),
    )
    view: View = "records" if settings.pii.enabled and settings.pii.columns else "text"
    edited = flow.map(stage, flow.read(view, *tables, only=tables))
    flow.write(RELEASED, edited["released"])
    if write:
        flow.release(edited["edits"])
        if settings.output.keep_removed:
            flow.write(REMOVED, edited["removed"])
    job.phase("release", flow)


def _edited_by(settings: Settings, *, write: bool) -> tuple[Table, ...]:
    """The tables that say what becomes of a document."""
    tables: tuple[Table, ...] = ()
    if settings.dedup.passages.enabled:
        tables += (SPANS,)
    if settings.removes_sequences:
        tables += (AT_RISK,)
    if settings.contamination.cuts:
        tables += (CONTAMINATED,)
    if write:
        tables = (DUPLICATES, *tables)
        if settings.pii.enabled:
            tables += (REPLACEMENTS,)
        rejects = settings.pii.enabled or rejects_documents(settings) or held_back(settings)
        if rejects or settings.contamination.removes:
            tables += (REJECTS,)
    return tables


@dataclass(frozen=True)
class CutSizes(PlainStage):
    """What `ApplyEdits` says in `released` of texts of one value from which only passages would go;
    no text is made.
    """

    inputs: ClassVar[Mapping[str, pa.Schema]] = {SPANS.name: SPANS.schema, "text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"released": RELEASED.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch, spans in with_rows(tagged):
            docs = column(batch, "doc")
            of = np.searchsorted(docs, column(spans, "doc"))
            data, offsets = arrow_buffers(batch.column("text"))
            sizes = sizes_after_cuts(
                data, offsets, of, column(spans, "start"), column(spans, "end")
            )
            passages = np.bincount(of, minlength=len(docs))
            own = np.flatnonzero(passages)
            known = {"doc": docs[own], "bytes": sizes[own], "passages": passages[own]}
            nothing = np.zeros_like(own)
            columns = (known.get(name, nothing) for name in RELEASED.schema.names)
            yield "released", batch_of(RELEASED.schema, columns)


class _Known:
    """What the tables say of the documents whose text is yet to come."""

    def __init__(self) -> None:
        self.duplicates = RowsBeside(DUPLICATES.name, picking("reason", "twin"))
        self.rejects = DocumentSet(REJECTS.name)
        self.spans = RowsBeside(SPANS.name, picking("start", "end", "witness"))
        self.replacements = RowsBeside(REPLACEMENTS.name, picking("field", "start", "end", "text"))
        self.at_risk = RowsBeside(AT_RISK.name, picking("start", "end"))
        self.contaminated = RowsBeside(CONTAMINATED.name, picking("start", "end"))

    @property
    def holders(self) -> tuple[Holder, ...]:
        return (
            self.duplicates, self.rejects, self.spans, self.replacements, self.at_risk,
            self.contaminated,
        )  # fmt: skip

    def changes(self, doc: int, at_risk: Sequence[tuple[int, int]]) -> dict[int, list[Change]]:
        """The replacements of a document by field, but those in text that goes whole."""
        by_field: dict[int, list[Change]] = {}
        for number, *change in self.replacements.take(doc):
            by_field.setdefault(number, []).append(tuple(change))
        if at_risk and 0 in by_field:
            by_field[0] = changes_outside(by_field[0], at_risk)
        return by_field


_READ = (DUPLICATES, SPANS, REJECTS, REPLACEMENTS, AT_RISK, CONTAMINATED)


@dataclass(frozen=True)
class ApplyEdits(PlainStage):
    """Applies the tables to the text, and to the other columns that REPLACEMENTS speak of.

    tables: names of those that are read. cut: whether passages are cut; if not, `released` still
    says what cutting them would leave. keep_removed: whether what goes is put out as `removed`.
    several: of which fields a string may have several values (corpus.paths).
    """

    tables: tuple[str, ...] = (DUPLICATES.name, SPANS.name)
    cut: bool = True
    keep_removed: bool = False
    several: tuple[bool, ...] = (False,)

    version: ClassVar[int] = 6
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "edits": EDITS,
        "released": RELEASED.schema,
        "removed": REMOVED.schema,
    }

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        known = {t.name: t.schema for t in _READ}
        return {**{name: known[name] for name in self.tables}, "text": RECORDS}

    def _run(self, rows: Tagged) -> Tagged:
        known = _Known()
        for batch in beside(rows, *known.holders):
            yield from self._edit(batch, known)

    def _edit(self, batch: pa.RecordBatch, known: _Known) -> Tagged:
        """What becomes of the documents in `batch`; takes their rows out of what is known.

        Rows of later documents stay: the text of a chunk may come in several batches.
        """
        edits: list[dict[str, Any]] = []
        released, removed = [], []
        for row in batch.to_pylist():
            doc, text = row["doc"], row["text"]
            own, sequences = known.spans.take(doc), known.at_risk.take(doc)
            at_risk, contaminated = (
                list(union(sequences)),
                list(union(known.contaminated.take(doc))),
            )
            whole = list(union(sorted([*at_risk, *contaminated])))
            changes, rejected = known.changes(doc, whole), known.rejects.take(doc)
            duplicate = known.duplicates.take(doc)
            if duplicate:
                reason, twin = duplicate[-1]
                edits.append({"doc": doc, "field": 0, "text": None})
                removed.append(_removed(doc, 0, len(text), reason, twin, self._shown(text)))
                continue
            if own or whole:
                sizes = self._sizes(text, [span[:2] for span in own], at_risk, contaminated)
                counts = {
                    "doc": doc, "passages": len(own), "sequences": len(sequences),
                    "contaminated": len(contaminated),
                }  # fmt: skip
                released.append(counts | sizes)
            if rejected:  # by a detector: what it holds is kept nowhere
                edits.append({"doc": doc, "field": 0, "text": None})
                continue
            gone: list[tuple[int, int, int | None, str]] = []
            if self.cut:
                gone += [(*span, "passage") for span in own]
            gone += [(*span, None, "at-risk") for span in at_risk]
            gone += [(*span, None, "contaminated") for span in contaminated]
            cuts = sorted(one[:2] for one in gone)
            values = (text, *row.get("columns", ()))
            edits += _edits(doc, values, self.several, cuts, changes)
            removed += [
                _removed(doc, start, end, reason, witness, self._shown(text[start:end]))
                for start, end, witness, reason in gone
            ]
        yield "edits", pa.RecordBatch.from_pylist(edits, EDITS)
        yield "released", pa.RecordBatch.from_pylist(released, RELEASED.schema)
        if self.keep_removed:
            yield "removed", pa.RecordBatch.from_pylist(removed, REMOVED.schema)

    def _sizes(
        self,
        text: str,
        spans: list[tuple[int, int]],
        at_risk: list[tuple[int, int]],
        contaminated: list[tuple[int, int]],
    ) -> dict[str, int]:
        """The bytes in a row of RELEASED, of the text before anything in it is replaced."""
        size = self._size(text, spans)
        kept = spans if self.cut else []
        before = size if self.cut else len(text.encode())
        clean = self._size(text, sorted([*kept, *contaminated])) if contaminated else before
        gone = sorted([*kept, *contaminated, *at_risk])
        after = self._size(text, gone) if at_risk else clean
        return {
            "bytes": size, "bytes_at_risk": clean - after, "bytes_contaminated": before - clean
        }  # fmt: skip

    def _shown(self, text: str) -> str:
        return with_line_breaks(text, several=self.several[0])

    def _size(self, text: str, cuts: list[tuple[int, int]]) -> int:
        return len(apply_edits(text, cuts, (), several=self.several[0]).encode())


def _edits(
    doc: int,
    values: Sequence[str | None],
    several: Sequence[bool],
    cuts: list[tuple[int, int]],
    changes: Mapping[int, list[Change]],
) -> Iterator[dict[str, Any]]:
    """The edits of one document, by field."""
    for number, value in enumerate(values):
        own, here = changes.get(number, []), cuts if number == 0 else []
        if value is not None and (own or here):
            edited = apply_edits(value, here, own, several=several[number])
            yield {"doc": doc, "field": number, "text": edited}


def _removed(
    doc: int, start: int, end: int, reason: str, source: int | None, text: str
) -> dict[str, object]:
    return {
        "doc": doc, "start": start, "end": end, "reason": reason, "source": source, "text": text
    }  # fmt: skip
