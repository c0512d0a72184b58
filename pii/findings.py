"""Findings: span, type, score and detector; and the failures of detectors."""

from dataclasses import dataclass
from typing import NamedTuple

from unrote.corpus.errors import RunError

DEID_MARKER = "DEID_MARKER"
"""What an earlier de-identification left in the text: a tag, a mask, a constant."""
SHIFTED_DATE = "SHIFTED_DATE"
SURROGATE_AGE = "SURROGATE_AGE"
RESERVED_VALUE = "RESERVED_VALUE"
MARKER_TYPES = (DEID_MARKER, SHIFTED_DATE, SURROGATE_AGE, RESERVED_VALUE)


CUT = "cut"
"""The action of a finding within a duplicate passage, which was cut with its text."""

TIMED_OUT = "took more than"
"""What the reason of a failure begins with where the wall clock decided: another machine might not
reject the document."""


class Finding(NamedTuple):
    """text[start:end] (code points) is a `type` with `score`, says the recogniser `origin`.

    stands_for: what a de-identification marker stands for; empty for personal data, or where
    unknown. A finding never holds the text itself.
    """

    start: int
    end: int
    type: str
    score: float
    origin: str
    stands_for: str = ""


@dataclass(frozen=True)
class Failure:
    """A document that `origin` could not finish. `reason` holds no text of it."""

    doc: int
    origin: str
    reason: str


class DetectionFailed(RunError):
    """A recogniser could not finish a text, so that its findings are unknown."""
