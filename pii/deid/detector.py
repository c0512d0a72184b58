"""The shapes of all families, run over documents."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import log2

from unrote.pii.deid import clinical, courts, dates, tags, values
from unrote.pii.deid.model import AREA, BLOCK_IMAGE, Area, Evidence, Shape, Spot, score_of
from unrote.pii.deid.words import PROBES
from unrote.pii.findings import DEID_MARKER, Finding
from unrote.pii.gates import Gate, Probe

SHAPES: tuple[Shape, ...] = (
    *clinical.SHAPES,
    *tags.SHAPES,
    *courts.SHAPES,
    *values.SHAPES,
    *dates.SHAPES,
)
OVERHANG = 200
"""Characters behind a block in which a marker that begins in it may end."""

_MOST_COMPANY = 2.0


@dataclass(frozen=True)
class Verdict:
    """A candidate, with the evidence that made its score. Those below 0.5 are listed as well."""

    finding: Finding
    shape: str
    rows: str
    evidence: tuple[Evidence, ...]


@dataclass
class _Candidate:
    shape: Shape
    spot: Spot
    evidence: list[Evidence]
    points: float


@dataclass(frozen=True)
class DeidDetector:
    """Finds de-identification markers, shifted dates, surrogate ages and reserved values.

    `threshold`: the least score of a finding. `gate`: whether Hyperscan says first where a shape
    can be. It can be pickled; the gate is compiled once per process.
    """

    threshold: float = 0.5
    gate: bool = True

    def find(self, text: str) -> list[Finding]:
        """What has at least the threshold, by place; of overlapping findings the one that begins
        first, and of these the longest.
        """
        kept: list[Finding] = []
        for verdict in self.explain(text):
            finding = verdict.finding
            if finding.score >= self.threshold and not (kept and finding.start < kept[-1].end):
                kept.append(finding)
        return kept

    def explain(self, text: str) -> list[Verdict]:
        """Every candidate, by place and then by length, with the evidence for and against it."""
        candidates = list(_candidates(text, self.gate))
        _keep_company(candidates)
        candidates.sort(key=_order)
        return [_verdict(candidate) for candidate in candidates]


def _order(candidate: _Candidate) -> tuple[int, int, bool, float]:
    """Of the same span a marker comes first: some reserved values are markers of a scrubber."""
    spot, shape = candidate.spot, candidate.shape
    return spot.start, -spot.end, shape.type != DEID_MARKER, -candidate.points


def _verdict(candidate: _Candidate) -> Verdict:
    shape, spot = candidate.shape, candidate.spot
    finding = Finding(
        spot.start,
        spot.end,
        shape.type,
        score_of(candidate.points),
        shape.origin,
        shape.stands_for(spot),
    )
    return Verdict(finding, shape.name, shape.rows, tuple(candidate.evidence))


def _candidates(text: str, gate: bool) -> Iterator[_Candidate]:
    areas: dict[int, Area] = {}
    for shape, start, end in _regions(text, gate):
        for match in shape.pattern.finditer(text, start, min(len(text), end + OVERHANG)):
            first, last = match.span("span" if match.re.groupindex.get("span") else 0)
            if first < 0:
                first, last = match.span()
            if first >= end:
                break
            spot = Spot(text, first, last, match, _area(text, first, areas))
            evidence = [("the shape", shape.prior), *shape.weigh(spot)]
            yield _Candidate(shape, spot, evidence, sum(points for _, points in evidence))


def _area(text: str, place: int, areas: dict[int, Area]) -> Area:
    number = place // AREA
    if number not in areas:
        areas[number] = Area(text[max(0, (number - 1) * AREA) : (number + 2) * AREA])
    return areas[number]


def _keep_company(candidates: Iterable[_Candidate]) -> None:
    """Credible markers of a family speak for each other: density, and variety, in the document."""
    credible: dict[str, list[_Candidate]] = {}
    for candidate in candidates:
        if candidate.points >= 0:
            credible.setdefault(candidate.shape.family, []).append(candidate)
    counted = {
        family: (len(each), len({one.spot.marker for one in each}))
        for family, each in credible.items()
    }
    for candidate in candidates:
        number, different = counted.get(candidate.shape.family, (0, 0))
        others = number - (candidate.points >= 0)
        if others > 0:
            points = min(_MOST_COMPANY, 0.7 * log2(1 + others) + (0.5 if different > 1 else 0))
            candidate.evidence.append((f"{others} more in the document", points))
            candidate.points += points


@cache
def _gate(use: bool) -> Gate:
    shapes = [
        Probe(number, _ascii(shape.probe), shape.pattern.flags & re.IGNORECASE)
        for number, shape in enumerate(SHAPES)
    ]
    words = [
        Probe(len(SHAPES) + number, _ascii(expression), _word_flags(name))
        for number, (name, expression) in enumerate(PROBES.items())
    ]
    return Gate([*shapes, *words], use)


def _regions(text: str, use: bool) -> Iterator[tuple[Shape, int, int]]:
    """Where which shape can begin: neighbouring blocks as one."""
    gate, data = _gate(use), _image(text)
    fired = gate.block(0, data).fired if gate.works else _fired_by_hand(data.decode("ascii"))
    possible = _possible(fired)
    if not possible:
        return
    regions: dict[int, list[list[int]]] = {}
    for block in gate.blocks(data):
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


def _fired_by_hand(image: str) -> list[int]:
    """Without Hyperscan every shape is tried, but what it needs is looked for."""
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
    """What the gate reads: one byte for each character, "?" for those beyond ASCII.

    So the probes are written: "." or "?" where a letter is not ASCII, and a word may end anywhere.
    """
    return text.replace("█", BLOCK_IMAGE).encode("ascii", "replace")


def _possible(fired: Collection[int]) -> list[int]:
    """The shapes, by number, whose probe fired and what they need."""
    spoken = {name for number, name in enumerate(PROBES, len(SHAPES)) if number in fired}
    shapes = (number for number in fired if number < len(SHAPES))
    return [number for number in shapes if not (need := SHAPES[number].needs) or need in spoken]
