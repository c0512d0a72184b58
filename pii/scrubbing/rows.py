"""The rows of the tables `findings`, `replacements` and `rejects`, collected text by text."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import FINDINGS, REJECTS, REPLACEMENTS, Tagged
from unrote.pii.findings import CUT
from unrote.pii.keys import Key
from unrote.pii.scrubbing.actions import AppliedAction
from unrote.pii.scrubbing.passes import ScrubbedText

SCHEMAS: Mapping[str, pa.Schema] = {
    "findings": FINDINGS.schema,
    "replacements": REPLACEMENTS.schema,
    "rejects": REJECTS.schema,
}


class ScrubRows:
    """Rows of the three tables, by their names.

    normalization: values that are equal in this form have the same fingerprint.
    """

    def __init__(self, normalization: Normalization = NFC) -> None:
        self._normalization = normalization
        self.findings: list[tuple[Any, ...]] = []
        self.replacements: list[tuple[Any, ...]] = []
        self.rejects: list[tuple[Any, ...]] = []

    def add(
        self,
        doc: int,
        field: int,
        text: str,
        scrubbed: ScrubbedText,
        key: Key,
        offset: int = 0,
    ) -> None:
        """Add what was found in one field of a document, and its edits.

        offset: where in the field `text` starts.
        """
        applied = [(one, str(one.action)) for one in scrubbed.applied]
        applied += [(AppliedAction(finding, "keep"), CUT) for finding in scrubbed.in_cuts]
        for one, action in sorted(applied, key=lambda pair: pair[0].finding.start):
            finding = one.finding
            value = self._normalization.text(text[finding.start : finding.end])
            surrogate = None
            if action == "surrogate":
                type_ = finding.stands_for or finding.type
                surrogate = key.value_fingerprint(one.replacement, type_)
            span = (doc, field, offset + finding.start, offset + finding.end)
            found = (finding.type, finding.score, action, finding.origin, finding.stands_for)
            fingerprints = (key.value_fingerprint(value, finding.type), surrogate)
            self.findings.append((*span, *found, *fingerprints))
        self.replacements += [
            (doc, field, offset + e.start, offset + e.end, e.text) for e in scrubbed.edits
        ]

    def batches(self) -> Tagged:
        """A batch for each table that has rows."""
        tables = (self.findings, self.replacements, self.rejects)
        for (tag, schema), rows in zip(SCHEMAS.items(), tables, strict=True):
            if rows:
                columns = zip(zip(*rows, strict=True), schema, strict=True)
                arrays = [pa.array(column, field.type) for column, field in columns]
                yield tag, pa.RecordBatch.from_arrays(arrays, schema=schema)
