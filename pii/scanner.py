"""All that is looked for in a text: personal data, secrets, and the traces of their removal.

A marker is never reported as personal data, though recognisers take many for it: where the two
overlap markers win (pii.overlaps).
"""

from collections.abc import Iterable

import pyarrow as pa

from unrote.pii.config import Config
from unrote.pii.deid import DeidDetector
from unrote.pii.detector import Detector
from unrote.pii.findings import Failure, Finding
from unrote.pii.overlaps import prefer_markers
from unrote.pii.prefilter import Prefilter

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

    @property
    def prefilters(self) -> list[Prefilter]:
        """Of its detectors."""
        markers = [] if self._markers is None else [self._markers.opened]
        return [*self._detector.prefilters, *markers]

    def find(self, text: str, doc: int = 0) -> list[Finding] | Failure:
        """The findings in one text, by offset; those of recognisers may overlap. A Failure if a
        detector could not finish it.
        """
        normalization = self.config.normalization
        if normalization.text(text) == text:
            found = self.find_all(text, doc)
            return found if isinstance(found, Failure) else prefer_markers(text, found)
        normal, starts, ends = normalization.aligned(text)
        found = self.find_all(normal, doc)
        if isinstance(found, Failure):
            return found
        return [
            finding._replace(start=starts[finding.start], end=ends[finding.end - 1])
            for finding in prefer_markers(normal, found)
        ]

    def find_all(self, text: str, doc: int = 0) -> list[Finding] | Failure:
        """The same in a text that is in the configuration's form, before markers win over what they
        overlap: for pii.scrubbing, which has to drop its own surrogates first.
        """
        try:
            data = text.encode()
        except UnicodeEncodeError:  # which holds the text
            return Failure(doc, "Scanner", "reads no lone surrogates: decode the text strictly")
        found = self._detector.find_bytes(data, doc)
        if isinstance(found, Failure) or self._markers is None:
            return found
        try:
            markers = self._markers.find(text)
        except Exception as error:  # noqa: BLE001 (whatever it is, the document is rejected)
            return Failure(doc, "DeidDetector", f"raised {type(error).__name__}")
        return sorted([*found, *markers])

    def table(self, texts: Iterable[str]) -> tuple[pa.Table, list[Failure]]:
        """The findings in texts (schema FINDINGS), and the failures: the texts that have no rows
        because a detector could not finish them.
        """
        rows: list[tuple[int, *tuple[object, ...]]] = []
        failures: list[Failure] = []
        for doc, text in enumerate(texts):
            found = self.find(text, doc)
            if isinstance(found, Failure):
                failures.append(found)
            else:
                rows += [(doc, *finding) for finding in found]
        columns = list(zip(*rows, strict=True)) or [()] * len(FINDINGS)
        arrays = [pa.array(c, field.type) for c, field in zip(columns, FINDINGS, strict=True)]
        return pa.Table.from_arrays(arrays, schema=FINDINGS), failures
