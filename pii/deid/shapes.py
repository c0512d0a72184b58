"""Shapes, candidates (text of a shape), and how evidence becomes a score.

Each shape starts with `prior` points and gets more, or fewer, for what stands around it. A point is
a factor of two in the odds: a score is 1 / (1 + 2 ** -points), so 0 points are 0.5, 3 points 0.89,
-3 points 0.11. The points are set by hand. Each has a name that says what was seen, and
DeidDetector.explain lists them.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps

from unrote.pii.findings import DEID_MARKER

Evidence = tuple[str, float]
"""What was seen, and its points."""

NEAR = 80
"""Characters before and after a candidate that are read as its neighbours."""
BLOCK_IMAGE = "\x01"
"""What stands for "█" in the image that probes are matched against (pii.deid.detector)."""
LINE = 200
"""Characters of its line that are read to either side: lines may be megabytes."""
REMEMBERED = 1 << 12
"""Surroundings of which evidence is known."""
AREA = 2000
"""Areas begin at multiples of this many characters, and reach as far again to either side."""


def score_of(points: float) -> float:
    return float(1 / (1 + 2 ** -max(-60.0, min(60.0, points))))


class AnyCase:
    """An expression in lower case, whose letters stand for those of any case.

    `re` takes four times as long for alternatives without regard to case, so a text without
    _ODD_CASES is read in lower case.
    """

    def __init__(self, lower: str) -> None:
        self._lower, self._any = re.compile(lower), re.compile(lower, re.IGNORECASE)

    def distinct(self, text: str) -> int:
        """How many different strings of the text match, in lower case."""
        if _ODD_CASES.search(text):
            return len({match[0].lower() for match in self._any.finditer(text)})
        return len({match[0] for match in self._lower.finditer(text.lower())})


_ODD_CASES = re.compile("[\u0130\u0131\u017f]")
"""The letters that `re` takes for an i or s and that lower() does not, or makes two of."""


class Area:
    """The text around candidates, in which words are counted once for all of them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._distinct: dict[re.Pattern[str], int] = {}
        self._in_any_case: dict[AnyCase, int] = {}

    def distinct(self, pattern: re.Pattern[str]) -> int:
        """How many different strings of the area match, in lower case."""
        if pattern not in self._distinct:
            found = {match[0].lower() for match in pattern.finditer(self.text)}
            self._distinct[pattern] = len(found)
        return self._distinct[pattern]

    def distinct_in_any_case(self, words: AnyCase) -> int:
        """The same of words in any case."""
        if words not in self._in_any_case:
            self._in_any_case[words] = words.distinct(self.text)
        return self._in_any_case[words]


@dataclass
class Candidate:
    """A candidate: text[start:end] has a shape."""

    text: str
    start: int
    end: int
    match: re.Match[str]
    area: Area

    @cached_property
    def surroundings(self) -> tuple[str, str, str]:
        """It, with its line before and behind it. Where it begins its line, what is before that:
        in an expression "$" matches before a line break too.
        """
        return self.line_before or self.before, self.marker, self.line_after

    @cached_property
    def marker(self) -> str:
        return self.text[self.start : self.end]

    @cached_property
    def before(self) -> str:
        return self.text[max(0, self.start - NEAR) : self.start]

    @cached_property
    def after(self) -> str:
        return self.text[self.end : self.end + NEAR]

    @cached_property
    def line_before(self) -> str:
        return self.text[max(0, self.start - LINE) : self.start].rpartition("\n")[2]

    @cached_property
    def line_after(self) -> str:
        return self.text[self.end : self.end + LINE].partition("\n")[0]

    @cached_property
    def line(self) -> str:
        return self.line_before + self.marker + self.line_after

    @cached_property
    def is_alone(self) -> bool:
        """Whether its line holds no other letter or digit."""
        return not re.search(r"[^\W_]", self.line_before + self.line_after)

    @cached_property
    def is_within_prose(self) -> bool:
        """Whether lower-case words stand around, as in a sentence."""
        return len(re.findall(r"(?<!\S)[^\W\d_A-Z]{2,}(?![^\s.,;:!?)\"”])", self.line)) >= 3


Weigh = Callable[[Candidate], Iterable[Evidence]]
StandsFor = Callable[[Candidate], str]
Accepts = Callable[[re.Match[str]], bool]


def local(weigh: Callable[[Candidate], Iterable[Evidence]]) -> Weigh:
    """Evidence from a candidate's line alone, by expressions that match no line break: remembered.

    A text that was scrubbed is read again, and most lines are as they were.
    """

    @lru_cache(maxsize=REMEMBERED)
    def of(before: str, marker: str, behind: str) -> tuple[Evidence, ...]:
        start = len(before)
        alone = _Alone(before + marker + behind, start, start + len(marker))
        return tuple(weigh(alone))

    @wraps(weigh)
    def remembered(candidate: Candidate) -> tuple[Evidence, ...]:
        return of(*candidate.surroundings)

    return remembered


class _Alone(Candidate):
    """A candidate of which no match and no area are known."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text, self.start, self.end = text, start, end


def unknown_type(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    """It is not known what stood there."""
    return ""


def any_match(match: re.Match[str]) -> bool:  # noqa: ARG001 (an Accepts)
    """All that the pattern matches is a candidate."""
    return True


@dataclass(frozen=True)
class Shape:
    """A form that markers of an origin take.

    name, rows   what it is called, and its rows in docs/pii-markers.md
    origin       whose markers look like that: a data set, a scrubber
    family       shapes of one family support each other
    prior        points that a candidate has before anything around it is looked at
    pattern      where it has a group "span", that is the marker
    weigh        yields evidence for and against a candidate
    probe        what the prefilter looks for in the image; it matches wherever a candidate is
    stands_for   the type that a candidate stands for, "" where unknown
    needs        a probe of pii.deid.context; without it in a document the shape is not looked for
    accepts      whether what the pattern matches is a candidate: says what it cannot
    """

    name: str
    rows: str
    origin: str
    family: str
    prior: float
    pattern: re.Pattern[str]
    weigh: Weigh
    probe: str
    stands_for: StandsFor = unknown_type
    type: str = DEID_MARKER
    needs: str = ""
    accepts: Accepts = any_match
