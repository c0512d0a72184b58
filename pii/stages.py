"""Personal data as a stage: texts to findings, and to what is put in their place.

The replacement is made here, where text and key are at hand, so that no later phase needs a key:
who applies the replacements gets the released text.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pyarrow as pa

from corpus.intervals import union
from corpus.schema import FINDINGS, RECORDS, REJECTS, REPLACEMENTS, SPANS, Tagged
from corpus.stages import PlainStage, Workers
from pii.actions import Applied, Edit, apply, resolve, unknown
from pii.config import Action, Config
from pii.findings import CUT, Failure, Finding, Spans
from pii.keys import Key
from pii.opened import scanner_of

if TYPE_CHECKING:
    from pii.scanner import Scanner


@dataclass(frozen=True)
class Scan(PlainStage):
    """Documents to FINDINGS, REPLACEMENTS and REJECTS; rejects are passed through.

    config: what is looked for. actions: what is done, by type (pii.actions). secret: the key of
    fingerprints and surrogates. columns: names of the other columns that are scanned, for reasons
    of rejects. cut: whether SPANS are read, and are going to be cut.

    A document that a recogniser could not finish, or with a finding whose action is
    reject-document, is a reject and has no findings.
    """

    config: Config
    secret: Key
    actions: tuple[tuple[str, Action], ...] = ()
    columns: tuple[str, ...] = ()
    cut: bool = False

    version: ClassVar[int] = 1
    workers: ClassVar[Workers] = "process"  # Presidio is Python
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "findings": FINDINGS.schema,
        "replacements": REPLACEMENTS.schema,
        "rejects": REJECTS.schema,
    }

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        spans = {SPANS.name: SPANS.schema} if self.cut else {}
        return {**spans, "text": RECORDS, "rejects": REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        cuts: dict[int, list[tuple[int, int]]] = {}
        for tag, batch in tagged:
            if tag == "rejects":
                yield tag, batch
            elif tag == SPANS.name:
                _collect(batch, cuts)
            else:
                yield from self._scan(batch, cuts)

    def _scan(self, batch: pa.RecordBatch, cuts: dict[int, list[tuple[int, int]]]) -> Tagged:
        scanner = scanner_of(self.config)
        rows = _Rows()
        for record in batch.to_pylist():
            self._document(scanner, record, cuts.pop(record["doc"], []), rows)
        yield from rows.batches()

    def _document(
        self,
        scanner: "Scanner",
        record: Mapping[str, Any],
        cuts: list[tuple[int, int]],
        rows: "_Rows",
    ) -> None:
        doc, found = record["doc"], []
        for field, text in enumerate((record["text"], *record["columns"])):
            if text is None:
                continue
            scanned = self._field(scanner, text, record["id"], cuts if field == 0 else [])
            if isinstance(scanned, str):
                name = f" (column {self.columns[field - 1]})" if field else ""
                rows.rejects.append((doc, record["shard"], record["row"], scanned + name))
                return
            found.append((field, text, scanned))
        for field, text, scanned in found:
            rows.add(doc, field, text, scanned, self.secret)

    def _field(
        self, scanner: "Scanner", text: str, document: str, cuts: list[tuple[int, int]]
    ) -> "_Scanned | str":
        """What was found in a text, or why its document is rejected."""
        found = scanner.find(text)
        if isinstance(found, Failure):
            return f"{found.origin} {found.reason}"
        lost, left = _parted(found, cuts)
        actions = dict(self.actions)
        new = resolve(text, unknown(text, left, self.secret, actions), actions)
        more, new = _parted(new, cuts)  # what others left of a finding may lie in a cut
        lost += more
        edited = apply(text, new, actions, self.secret, document)
        if edited.rejected:
            types = {a.finding.type for a in edited.applied if a.action == "reject-document"}
            return f"holds {', '.join(sorted(types))}, whose action is reject-document"
        claimed = Spans()
        for finding in new:
            claimed.add(finding.start, finding.end)
        gone = tuple(
            finding._replace(start=start, end=end)
            for finding in resolve(text, lost)
            for start, end in claimed.beyond(text, finding.start, finding.end)
        )
        return _Scanned(edited.applied, gone, edited.edits)


class _Scanned(NamedTuple):
    """Findings of one text: those that something was done about, those in cut passages, edits."""

    applied: tuple[Applied, ...]
    gone: tuple[Finding, ...]
    edits: tuple[Edit, ...]


class _Rows:
    """Rows of the three outputs, as they are found."""

    def __init__(self) -> None:
        self.findings: list[tuple[Any, ...]] = []
        self.replacements: list[tuple[Any, ...]] = []
        self.rejects: list[tuple[Any, ...]] = []

    def add(self, doc: int, field: int, text: str, scanned: _Scanned, key: Key) -> None:
        actions = [(one, str(one.action)) for one in scanned.applied]
        actions += [(Applied(finding, "keep"), CUT) for finding in scanned.gone]
        for one, action in sorted(actions, key=lambda pair: pair[0].finding.start):
            finding = one.finding
            value = text[finding.start : finding.end]
            kind = finding.stands_for or finding.type
            drawn = key.value_fingerprint(one.replacement, kind) if action == "surrogate" else None
            place = (doc, field, finding.start, finding.end, finding.type, finding.score)
            print_ = key.value_fingerprint(value, finding.type)
            row = (action, finding.origin, finding.stands_for, print_, drawn)
            self.findings.append((*place, *row))
        self.replacements += [(doc, field, e.start, e.end, e.text) for e in scanned.edits]

    def batches(self) -> Tagged:
        for tag, rows in (
            ("findings", self.findings),
            ("replacements", self.replacements),
            ("rejects", self.rejects),
        ):
            if rows:
                schema = Scan.outputs[tag]
                columns = zip(zip(*rows, strict=True), schema, strict=True)
                arrays = [pa.array(column, field.type) for column, field in columns]
                yield tag, pa.RecordBatch.from_arrays(arrays, schema=schema)


def _collect(batch: pa.RecordBatch, cuts: dict[int, list[tuple[int, int]]]) -> None:
    columns = (batch[name].to_pylist() for name in ("doc", "start", "end"))
    for doc, start, end in zip(*columns, strict=True):
        cuts.setdefault(doc, []).append((start, end))


def _parted(
    found: Iterable[Finding], cuts: Sequence[tuple[int, int]]
) -> tuple[list[Finding], list[Finding]]:
    """The findings that lie within a cut, and those that touch text that stays.

    cuts: by start; they may overlap, and ends of neighbours may meet.
    """
    runs = list(union(cuts))
    starts = [start for start, _ in runs]
    lost: list[Finding] = []
    left: list[Finding] = []
    for finding in found:
        at = bisect_right(starts, finding.start) - 1
        within = at >= 0 and finding.end <= runs[at][1]
        (lost if within else left).append(finding)
    return lost, left
