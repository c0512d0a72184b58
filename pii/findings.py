"""What a detector says: where, of which type, how sure, and who says so."""

import bisect
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


class Spans:
    """A set of spans that do not touch, in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        first = bisect.bisect_left(self._ends, start)
        last = bisect.bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def beyond(self, text: str, start: int, end: int) -> list[tuple[int, int]]:
        """What of a span lies outside: pieces that hold letters or digits, without the white space
        at a cut. A span that no other overlaps is a piece as it is.
        """
        first = bisect.bisect_right(self._ends, start)
        last = bisect.bisect_left(self._starts, end)
        if first >= last:
            return [(start, end)] if start < end else []
        cuts = [start]
        for at in range(first, last):
            cuts += [self._starts[at], self._ends[at]]
        cuts.append(end)
        pieces = []
        for left, right in zip(cuts[::2], cuts[1::2], strict=True):
            piece = text[left:right]
            if any(map(str.isalnum, piece)):
                left += len(piece) - len(piece.lstrip())
                pieces.append((left, left + len(piece.strip())))
        return pieces
