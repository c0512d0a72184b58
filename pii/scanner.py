"""All that is looked for in a text: personal data, secrets, and the traces of their removal.

A marker is never reported as personal data, though recognisers take many for it: where the two
overlap markers win (pii.overlaps).
"""

import re
from collections.abc import Container, Iterable, Sequence

import numpy as np
import pyarrow as pa

from unrote.pii.config import Config
from unrote.pii.deid import DeidDetector
from unrote.pii.detector import Detector
from unrote.pii.findings import Failure, Finding
from unrote.pii.ner import Entities, entities_of, origin_of
from unrote.pii.overlaps import prefer_markers
from unrote.pii.prefilter import Prefilter
from unrote.pii.scrubbing.edits import Alignment

_escape_before_value = re.compile(r"\\[nrt](?=[+(]{0,2}[0-9A-Za-z][0-9A-Za-z ]{0,7}[0-9:.-])")
"""What is a line break or tab as an escape, unless the backslash itself is escaped, where a value
with a digit may follow."""


def without_escapes(text: str) -> tuple[str, set[int]]:
    """The text with a space for the letter of each such escape, and where what follows begins."""
    behind: set[int] = set()

    def without_letter(match: re.Match[str]) -> str:
        before = match.start()
        while before and text[before - 1] == "\\":
            before -= 1
        if (match.start() - before) % 2:
            return match[0]
        behind.add(match.end())
        return match[0][:-1] + " "

    return _escape_before_value.sub(without_letter, text), behind


FINDINGS = pa.schema(
    [
        pa.field("doc", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("stands_for", pa.string(), nullable=False),
    ]
)
"""One row per finding: doc is the index of the text, start and end are code points in it.
`stands_for` is what a marker stands for, empty for other findings and where that is unknown."""


class Scanner:
    """The detectors of a Config, opened. Not to be shared by threads, nor pickled.

    Raises ConfigError where a named model or recogniser is not installed.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self._detector = Detector(self.config)
        self._markers = (
            DeidDetector(self.config.marker_threshold, self.config.prefilter)
            if self.config.markers
            else None
        )
        self._last: tuple[str, list[Finding]] = ("", [])
        """The last text, and the markers in it."""

    @property
    def prefilters(self) -> list[Prefilter]:
        """Of its detectors."""
        markers = [] if self._markers is None else [self._markers.opened]
        return [*self._detector.prefilters, *markers]

    def find(
        self, text: str, doc: int = 0, entities: Entities | None = None
    ) -> list[Finding] | Failure:
        """The findings in one text, by offset; those of recognisers may overlap. A Failure if a
        detector could not finish it.

        entities: what the model for entities found in it; None: it is asked now.
        """
        if entities is None:
            (entities,) = entities_of([text], self.config)
        normalization = self.config.normalization
        if normalization.text(text) == text:
            found = self.find_all(text, doc)
            if isinstance(found, Failure):
                return found
            return prefer_markers(text, [*found, *self.admitted(text, entities)])
        normal, starts, ends = normalization.aligned(text)
        found = self.find_all(normal, doc)
        if isinstance(found, Failure):
            return found
        alignment = Alignment(np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64))
        moved = [
            entity._replace(start=start, end=end)
            for entity in entities
            for start, end in alignment.spans_edited_from([(entity.start, entity.end)])
        ]
        return [
            finding._replace(start=starts[finding.start], end=ends[finding.end - 1])
            for finding in prefer_markers(normal, [*found, *self.admitted(normal, moved)])
        ]

    def find_all(
        self, text: str, doc: int = 0, without: Container[str] = ()
    ) -> list[Finding] | Failure:
        """The same in a text that is in the configuration's form, before markers win over what they
        overlap: for pii.scrubbing, which has to drop its own surrogates first. Those of a model for
        entities are left out.

        without: types of personal data that are not looked for.
        """
        if self.config.ner and len(text) > self.config.max_chars:
            limit = f"reads at most {self.config.max_chars} characters, not {len(text)}"
            return Failure(doc, origin_of(self.config.ner), limit)
        try:
            data = text.encode()
        except UnicodeEncodeError:  # which holds the text
            return Failure(doc, "Scanner", "reads no lone surrogates: decode the text strictly")
        found = self._detector.find_bytes(data, doc, without)
        if not isinstance(found, Failure) and not self.config.compatible:
            found = self._with_escaped(text, found, doc, without)
        if isinstance(found, Failure) or self._markers is None:
            return found
        if self._last[0] != text:
            try:
                self._last = text, self._markers.find(text)
            except Exception as error:  # noqa: BLE001 (whatever it is, the document is rejected)
                return Failure(doc, "DeidDetector", f"raised {type(error).__name__}")
        return sorted([*found, *self._last[1]])

    def admitted(self, text: str, entities: Iterable[Finding]) -> Entities:
        """Of what a model found in a text, by its offsets there, what reaches its threshold, holds
        a letter or digit, and is not allowed.
        """
        return [
            entity
            for entity in entities
            if entity.score >= self.config.threshold_of(entity.type)
            and any(map(str.isalnum, value := text[entity.start : entity.end]))
            and not self._detector.allowed(value)
        ]

    def _with_escaped(
        self, text: str, found: list[Finding], doc: int, without: Container[str]
    ) -> list[Finding] | Failure:
        r"""`found` with what begins right behind an escape: in the JSON string "SSN:\n536-90-4399"
        the letter n runs together with the number.
        """
        spaced, behind = without_escapes(text)
        if not behind:
            return found
        again = self._detector.find_bytes(spaced.encode(), doc, without, tuple(sorted(behind)))
        if isinstance(again, Failure):
            return again
        known = {(one.start, one.end, one.type) for one in found}
        more = (one for one in again if one.start in behind)
        return sorted(found + [one for one in more if (one.start, one.end, one.type) not in known])

    def table(self, texts: Sequence[str]) -> tuple[pa.Table, list[Failure]]:
        """The findings in texts (schema FINDINGS), and the failures: the texts that have no rows
        because a detector could not finish them.
        """
        rows: list[tuple[int, *tuple[object, ...]]] = []
        failures: list[Failure] = []
        known = entities_of(texts, self.config)
        for doc, (text, entities) in enumerate(zip(texts, known, strict=True)):
            found = self.find(text, doc, entities)
            if isinstance(found, Failure):
                failures.append(found)
            else:
                rows += [(doc, *finding) for finding in found]
        columns = list(zip(*rows, strict=True)) or [()] * len(FINDINGS)
        arrays = [pa.array(c, field.type) for c, field in zip(columns, FINDINGS, strict=True)]
        return pa.Table.from_arrays(arrays, schema=FINDINGS), failures
