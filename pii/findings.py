"""What a detector says: where, of which type, how sure, and who says so."""

from dataclasses import dataclass
from typing import NamedTuple

from unrote.corpus.errors import RunError

DEID_MARKER = "DEID_MARKER"
"""What an earlier scrubbing left in the text."""
SHIFTED_DATE = "SHIFTED_DATE"
SURROGATE_AGE = "SURROGATE_AGE"
RESERVED_VALUE = "RESERVED_VALUE"
MARKER_TYPES = (DEID_MARKER, SHIFTED_DATE, SURROGATE_AGE, RESERVED_VALUE)


CUT = "cut"
"""The action of a finding whose text went with a copied passage: nothing was left to act on."""

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
    """A recogniser could not finish a document; nothing may be said of it."""
