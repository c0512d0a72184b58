"""Values that were replaced in a document, replaced in every other: the stages of
`pii.everywhere`.

`Scan` (pii.stages) writes down what it replaced; `DistinctValues` keeps of each value the row of
the first document that has it; `OtherOccurrences` reads all documents once more with these.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.beside import RowsBeside, beside, picking
from unrote.corpus.intervals import union
from unrote.corpus.normalization import Normalization
from unrote.corpus.pulse import pulse
from unrote.corpus.schema import (
    FINDINGS,
    FIRST_FINDINGS,
    FIRST_REPLACEMENTS,
    RECORDS,
    REJECTS,
    REPLACED_VALUES,
    REPLACEMENTS,
    SPANS,
    Tagged,
)
from unrote.corpus.stages import PlainStage, Workers
from unrote.pii.findings import CUT, Finding
from unrote.pii.keys import Key
from unrote.pii.scrubbing import Edit, ScrubbedText, ScrubRows
from unrote.pii.scrubbing.actions import AppliedAction
from unrote.pii.scrubbing.corpus_values import CorpusValues
from unrote.pii.scrubbing.spellings import readings, with_spellings

Row = tuple[Any, ...]


@dataclass(frozen=True)
class DistinctValues(PlainStage):
    """REPLACED_VALUES, of each value the first row."""

    version: ClassVar[int] = 1
    key: ClassVar[tuple[str, ...]] = ("high", "low")
    order: ClassVar[tuple[str, ...]] = ("doc", "number")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"values": REPLACED_VALUES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"values": REPLACED_VALUES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        last = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            high, low = (batch.column(name).to_numpy() for name in self.key)
            is_first = np.ones(batch.num_rows, dtype=bool)
            is_first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
            is_first[0] = last != (high[0], low[0])
            last = (high[-1], low[-1])
            yield "values", batch.filter(pa.array(is_first))


@dataclass(frozen=True)
class OtherOccurrences(PlainStage):
    """Documents, with what was found and replaced in them, to FINDINGS and REPLACEMENTS with the
    values of REPLACED_VALUES besides.

    secret: the key of fingerprints and surrogates. normalization: as in pii.config. cut: whether
    SPANS are read, which are going to be cut.
    """

    secret: Key
    normalization: Normalization
    cut: bool = False

    version: ClassVar[int] = 1
    workers: ClassVar[Workers] = "process"  # it is Python
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "findings": FINDINGS.schema,
        "replacements": REPLACEMENTS.schema,
    }

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        tables = (REPLACED_VALUES, FIRST_FINDINGS, FIRST_REPLACEMENTS)
        spans = {SPANS.name: SPANS.schema} if self.cut else {}
        schemas = {table.name: table.schema for table in tables}
        return {**schemas, **spans, "text": RECORDS, "rejects": REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        values = CorpusValues(self.secret)
        cuts = RowsBeside(SPANS.name, picking("start", "end"))
        findings = RowsBeside(FIRST_FINDINGS.name, picking(*FINDINGS.schema.names[1:]))
        edits = RowsBeside(FIRST_REPLACEMENTS.name, picking(*REPLACEMENTS.schema.names[1:]))
        for batch in beside(tagged, values, cuts, findings, edits, ignored=("rejects",)):
            rows = ScrubRows(self.normalization)
            for number, record in enumerate(batch.to_pylist()):
                pulse(number / batch.num_rows)
                doc = record["doc"]
                within = tuple(union(cuts.take(doc)))
                found, changed = findings.take(doc), edits.take(doc)
                for field, text in enumerate((record["text"], *record["columns"])):
                    if text is not None:
                        own = _Field(doc, field, found, changed)
                        own.add_to(rows, text, within if field == 0 else (), values, self.secret)
            yield from rows.batches()


class _Field:
    """What the first look found in one field of a document, and what it replaced."""

    def __init__(self, doc: int, field: int, found: Iterable[Row], edits: Iterable[Row]) -> None:
        self._doc, self._number = doc, field
        self._found = [row for row in found if row[0] == field]
        self._edits = [row for row in edits if row[0] == field]

    def add_to(
        self,
        rows: ScrubRows,
        text: str,
        cuts: tuple[tuple[int, int], ...],
        values: CorpusValues,
        key: Key,
    ) -> None:
        """Add the rows of the field, with what of `values` is in it besides."""
        first = self._scrubbed()
        whole = with_spellings(text, first, values.held_by(readings(text, first, cuts)), cuts)
        before = {(row[1], row[2], row[3]): (self._doc, *row) for row in self._found}
        if whole is first:
            rows.findings += before.values()
            rows.replacements += [(self._doc, *row) for row in self._edits]
            return
        start = len(rows.findings)
        rows.add(self._doc, self._number, text, whole, key)
        # The surrogates of the first look are not known here: its own rows have their fingerprints.
        rows.findings[start:] = [
            before.get((row[2], row[3], row[4]), row) for row in rows.findings[start:]
        ]

    def _scrubbed(self) -> ScrubbedText:
        applied, in_cuts = [], []
        for _, start, end, type_, score, action, origin, stands_for, *_ in self._found:
            finding = Finding(start, end, type_, score, origin, stands_for)
            if action == CUT:
                in_cuts.append(finding)
            else:
                applied.append(AppliedAction(finding, action))
        edits = tuple(Edit(start, end, text) for _, start, end, text in self._edits)
        return ScrubbedText(tuple(applied), tuple(in_cuts), edits)
