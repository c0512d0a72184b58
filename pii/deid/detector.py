"""The shapes of all families, run over documents."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import log2

from unrote.pii.deid import clinical, dates, delimited, dummy_values, languages, legal, notes, tags
from unrote.pii.deid.context import PROBES
from unrote.pii.deid.shapes import AREA, BLOCK_IMAGE, Area, Candidate, Evidence, Shape, score_of
from unrote.pii.findings import DEID_MARKER, Finding
from unrote.pii.prefilter import Prefilter, Probe

SHAPES: tuple[Shape, ...] = (
    *clinical.SHAPES,
    *tags.SHAPES,
    *delimited.SHAPES,
    *languages.SHAPES,
    *notes.SHAPES,
    *legal.SHAPES,
    *dummy_values.SHAPES,
    *dates.SHAPES,
)
OVERHANG = 200
"""Characters behind a block in which a marker that begins in it may end."""

SHORT = 16_000
"""Characters of a document that is not scanned by blocks: the shapes that it can have read it
whole, which takes less."""

_MAX_SUPPORT = 2.0
"""Points that other markers of a family give, at most."""


@dataclass(frozen=True)
class ScoredCandidate:
    """A candidate as a finding, with the evidence that made its score, and the names of its shape
    and its rows in docs/pii-markers.md. Those below the threshold are listed too.
    """

    finding: Finding
    shape: str
    rows: str
    evidence: tuple[Evidence, ...]


@dataclass
class _Weighed:
    """A candidate with its evidence so far."""

    shape: Shape
    candidate: Candidate
    evidence: list[Evidence]
    points: float

    @property
    def order(self) -> tuple[int, int, bool, float]:
        """By offset, the longer first; of the same span a marker comes first: some reserved values
        are markers of a scrubber.
        """
        start, end = self.candidate.start, self.candidate.end
        return start, -end, self.shape.type != DEID_MARKER, -self.points

    def scored(self) -> ScoredCandidate:
        """It, with its points as a score."""
        shape, candidate = self.shape, self.candidate
        finding = Finding(
            candidate.start,
            candidate.end,
            shape.type,
            score_of(self.points),
            shape.origin,
            shape.stands_for(candidate),
        )
        return ScoredCandidate(finding, shape.name, shape.rows, tuple(self.evidence))


@dataclass(frozen=True)
class DeidDetector:
    """Finds de-identification markers, shifted dates, surrogate ages and reserved values.

    threshold: lowest score of a finding, in [0, 1]. prefilter: whether Hyperscan says first where a
    shape can be; findings are the same without. It can be pickled; the prefilter is compiled once
    per process.
    """

    threshold: float = 0.5
    prefilter: bool = True

    @property
    def opened(self) -> Prefilter:
        """Its prefilter, one in a process."""
        return _prefilter(self.prefilter)

    def find(self, text: str) -> list[Finding]:
        """What reaches the threshold, by offset; of overlapping findings the one that begins first,
        and of these the longest.
        """
        kept: list[Finding] = []
        for scored in self.explain(text):
            finding = scored.finding
            if finding.score >= self.threshold and not (kept and finding.start < kept[-1].end):
                kept.append(finding)
        return kept

    def explain(self, text: str) -> list[ScoredCandidate]:
        """Every candidate, by offset and then by length, with the evidence for and against it."""
        weighed = list(_candidates(text, self.prefilter))
        _add_support(weighed)
        weighed.sort(key=lambda one: one.order)
        return [one.scored() for one in weighed]


def _candidates(text: str, use_prefilter: bool) -> Iterator[_Weighed]:
    areas: dict[int, Area] = {}
    for shape, start, end in _regions(text, use_prefilter):
        for match in shape.pattern.finditer(text, start, min(len(text), end + OVERHANG)):
            first, last = match.span("span" if match.re.groupindex.get("span") else 0)
            if first < 0:
                first, last = match.span()
            if first >= end:
                break
            if not shape.accepts(match):
                continue
            candidate = Candidate(text, first, last, match, _area(text, first, areas))
            evidence = [("the shape", shape.prior), *shape.weigh(candidate)]
            yield _Weighed(shape, candidate, evidence, sum(points for _, points in evidence))


def _area(text: str, offset: int, areas: dict[int, Area]) -> Area:
    number = offset // AREA
    if number not in areas:
        areas[number] = Area(text[max(0, (number - 1) * AREA) : (number + 2) * AREA])
    return areas[number]


def _add_support(weighed: Iterable[_Weighed]) -> None:
    """Credible markers of a family support each other, by their number and their variety in the
    document.
    """
    credible: dict[str, list[_Weighed]] = {}
    for one in weighed:
        if one.points >= 0:
            credible.setdefault(one.shape.family, []).append(one)
    counts = {
        family: (len(each), len({one.candidate.marker for one in each}))
        for family, each in credible.items()
    }
    for one in weighed:
        number, different = counts.get(one.shape.family, (0, 0))
        others = number - (one.points >= 0)
        if others > 0:
            points = min(_MAX_SUPPORT, 0.7 * log2(1 + others) + (0.5 if different > 1 else 0))
            one.evidence.append((f"{others} more in the document", points))
            one.points += points


@cache
def _prefilter(use: bool) -> Prefilter:
    shapes = [
        Probe(number, _ascii(shape.probe), shape.pattern.flags & re.IGNORECASE)
        for number, shape in enumerate(SHAPES)
    ]
    words = [
        Probe(len(SHAPES) + number, _ascii(expression), _word_flags(name))
        for number, (name, expression) in enumerate(PROBES.items())
    ]
    return Prefilter([*shapes, *words], use)


def _regions(text: str, use: bool) -> Iterator[tuple[Shape, int, int]]:
    """Where which shape can begin: neighbouring blocks as one."""
    prefilter, data = _prefilter(use), _image(text)
    if prefilter.works:
        fired = prefilter.block(0, data).fired
    else:
        fired = frozenset(_fired_without_hyperscan(data.decode("ascii")))
    possible = _possible(fired)
    if not possible:
        return
    if len(text) <= SHORT:
        yield from ((SHAPES[number], 0, len(text)) for number in sorted(possible))
        return
    regions: dict[int, list[list[int]]] = {}
    for block in prefilter.blocks(data):
        end = block.start + len(block.text)
        for number in block.fired:
            known = regions.setdefault(number, [])
            if known and known[-1][1] == block.start:
                known[-1][1] = end
            else:
                known.append([block.start, end])
    for number in sorted(possible):
        for start, end in regions.get(number, ()):
            yield SHAPES[number], start, end


def _fired_without_hyperscan(image: str) -> list[int]:
    """Every shape, and the words that shapes need, looked for by `re`."""
    words = (number for number, word in enumerate(_words(), len(SHAPES)) if word.search(image))
    return [*range(len(SHAPES)), *words]


@cache
def _words() -> list[re.Pattern[str]]:
    return [re.compile(_ascii(probe), _word_flags(name)) for name, probe in PROBES.items()]


def _word_flags(name: str) -> int:
    return re.IGNORECASE if name.startswith("clinical") else 0


def _ascii(probe: str) -> str:
    return re.sub(r"[^\x00-\x7f]", ".", probe)


def _image(text: str) -> bytes:
    """What the prefilter reads: one byte for each character, "?" for those beyond ASCII.

    So the probes are written: "." or "?" where a letter is not ASCII, and a word may end anywhere.
    """
    return text.replace("█", BLOCK_IMAGE).encode("ascii", "replace")


def _possible(fired: Collection[int]) -> list[int]:
    """The shapes, by number, whose probe fired and what they need."""
    spoken = {name for number, name in enumerate(PROBES, len(SHAPES)) if number in fired}
    shapes = (number for number in fired if number < len(SHAPES))
    return [number for number in shapes if not (need := SHAPES[number].needs) or need in spoken]
