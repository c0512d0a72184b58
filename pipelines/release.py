"""The last phase that touches text: every edit of a document, applied once.

A document's row comes out unchanged unless a table says otherwise: it is left out if DUPLICATES or
REJECTS has it, its text loses the union of its SPANS, the two sides of a cut joined by a line
break, and each of its REPLACEMENTS is put in place, also where it reaches into a cut. What AT_RISK
names goes whole, replacements in it too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from unrote.corpus.edits import EDITS
from unrote.corpus.intervals import union
from unrote.corpus.schema import (
    AT_RISK,
    DUPLICATES,
    RECORDS,
    REJECTS,
    REPLACEMENTS,
    SPANS,
    Table,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.views import Change, apply_edits, changes_outside
from unrote.pipelines.engines.base import Flow, View
from unrote.pipelines.job import Phases
from unrote.pipelines.rejects import rejects_documents
from unrote.pipelines.scoring import removes_sequences
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

A passage's reason is "passage", or "at-risk" where it is at risk of memorization, without a
witness. `source` may be null, so it is not sorted by; rows of one passage come in the order of
SPANS."""


def release(job: Phases, *, write: bool) -> None:
    """Apply every edit once: the cleaned shards, the sizes of what was cut, what was removed.

    Without `write` only the sizes are found, which needs the documents with passages alone, and
    those with sequences that are taken out.
    """
    settings = job.settings
    tables: tuple[Table, ...] = ()
    if settings.dedup.passages.enabled:
        tables += (SPANS,)
    if removes_sequences(settings):
        tables += (AT_RISK,)
    if write:
        tables = (DUPLICATES, *tables)
        if settings.pii.enabled:
            tables += (REPLACEMENTS,)
        if settings.pii.enabled or rejects_documents(settings):
            tables += (REJECTS,)
    if not tables:
        return
    flow = Flow()
    stage = Edit(
        tables=tuple(table.name for table in tables),
        cut=settings.dedup.passages.action == "cut",
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


@dataclass
class _Known:
    """What the tables say of the documents whose text is yet to come."""

    duplicates: dict[int, tuple[str, int | None]] = field(default_factory=dict)
    rejects: set[int] = field(default_factory=set)
    spans: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    replacements: dict[tuple[int, int], list[Change]] = field(default_factory=dict)
    at_risk: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def learn(self, table: str, batch: pa.RecordBatch) -> None:
        names = {
            DUPLICATES.name: ("doc", "reason", "twin"),
            REJECTS.name: ("doc",),
            SPANS.name: ("doc", "start", "end", "witness"),
            REPLACEMENTS.name: ("doc", "field", "start", "end", "text"),
            AT_RISK.name: ("doc", "start", "end"),
        }[table]
        for row in zip(*(batch[name].to_pylist() for name in names), strict=True):
            doc = row[0]
            if table == DUPLICATES.name:
                self.duplicates[doc] = row[1:]
            elif table == REJECTS.name:
                self.rejects.add(doc)
            elif table == SPANS.name:
                self.spans.setdefault(doc, []).append(row[1:])
            elif table == AT_RISK.name:
                self.at_risk.setdefault(doc, []).append(row[1:])
            else:
                self.replacements.setdefault((doc, row[1]), []).append(row[2:])

    def take_at_risk(self, doc: int) -> list[tuple[int, int]]:
        """What goes of a document as AT_RISK says; the replacements in it are dropped."""
        gone = list(union(self.at_risk.pop(doc, ())))
        if gone and (doc, 0) in self.replacements:
            self.replacements[doc, 0] = changes_outside(self.replacements[doc, 0], gone)
        return gone


@dataclass(frozen=True)
class Edit(PlainStage):
    """Applies the tables to the text, and to the other columns that REPLACEMENTS speak of.

    tables: names of those that are read. cut: whether passages are cut; if not, `released` still
    says what cutting them would leave. keep_removed: whether what goes is put out as `removed`.
    """

    tables: tuple[str, ...] = (DUPLICATES.name, SPANS.name)
    cut: bool = True
    keep_removed: bool = False

    version: ClassVar[int] = 4
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "edits": EDITS,
        "released": RELEASED.schema,
        "removed": REMOVED.schema,
    }

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        known = {t.name: t.schema for t in (DUPLICATES, SPANS, REJECTS, REPLACEMENTS, AT_RISK)}
        return {**{name: known[name] for name in self.tables}, "text": RECORDS}

    def _run(self, rows: Tagged) -> Tagged:
        known = _Known()
        for tag, batch in rows:
            if tag != "text":
                known.learn(tag, batch)
            else:
                yield from self._edit(batch, known)

    def _edit(self, batch: pa.RecordBatch, known: _Known) -> Tagged:
        """What becomes of the documents in `batch`; takes their rows out of what is known.

        Rows of later documents stay: the text of a chunk may come in several batches.
        """
        edits: list[dict[str, Any]] = []
        released, removed = [], []
        for row in batch.to_pylist():
            doc, text = row["doc"], row["text"]
            own = known.spans.pop(doc, [])
            if doc in known.duplicates:
                reason, twin = known.duplicates.pop(doc)
                edits.append({"doc": doc, "field": 0, "text": None})
                removed.append(_removed(doc, 0, len(text), reason, twin, text))
                continue
            sequences, at_risk = len(known.at_risk.get(doc, ())), known.take_at_risk(doc)
            if own or at_risk:
                sizes = self._sizes(text, [span[:2] for span in own], at_risk)
                counts = {"doc": doc, "passages": len(own), "sequences": sequences}
                released.append(counts | sizes)
            if doc in known.rejects:  # by a detector: what it holds is kept nowhere
                known.rejects.remove(doc)
                edits.append({"doc": doc, "field": 0, "text": None})
                continue
            gone: list[tuple[int, int, int | None, str]] = []
            if self.cut:
                gone += [(*span, "passage") for span in own]
            gone += [(*span, None, "at-risk") for span in at_risk]
            cuts = sorted(one[:2] for one in gone)
            edits += _edits(doc, text, row.get("columns", ()), cuts, known.replacements)
            removed += [
                _removed(doc, start, end, reason, witness, text[start:end])
                for start, end, witness, reason in gone
            ]
        yield "edits", pa.RecordBatch.from_pylist(edits, EDITS)
        yield "released", pa.RecordBatch.from_pylist(released, RELEASED.schema)
        if self.keep_removed:
            yield "removed", pa.RecordBatch.from_pylist(removed, REMOVED.schema)

    def _sizes(
        self, text: str, spans: list[tuple[int, int]], at_risk: list[tuple[int, int]]
    ) -> dict[str, int]:
        """The bytes in a row of RELEASED, of the text before anything in it is replaced."""
        size = len(apply_edits(text, spans, []).encode())
        kept = spans if self.cut else []
        before = size if self.cut else len(text.encode())
        after = (
            len(apply_edits(text, sorted([*kept, *at_risk]), []).encode()) if at_risk else before
        )
        return {"bytes": size, "bytes_at_risk": before - after}


def _edits(
    doc: int,
    text: str,
    columns: Sequence[str | None],
    cuts: list[tuple[int, int]],
    replacements: dict[tuple[int, int], list[Change]],
) -> Iterator[dict[str, Any]]:
    """The edits of one document, by field; takes its replacements."""
    for number, value in enumerate((text, *columns)):
        changes = replacements.pop((doc, number), [])
        here = cuts if number == 0 else []
        if value is not None and (changes or here):
            yield {"doc": doc, "field": number, "text": apply_edits(value, here, changes)}


def _removed(
    doc: int, start: int, end: int, reason: str, source: int | None, text: str
) -> dict[str, object]:
    return {
        "doc": doc, "start": start, "end": end, "reason": reason, "source": source, "text": text
    }  # fmt: skip
