"""The report as one HTML file: no network, readable without scripts, on paper and in the dark.

One script of ours sorts and filters tables; the page allows that one alone, by its digest. Numbers
come from the model; this module adds what pictures need, places and widths.
"""

import base64
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from unrote.corpus import display
from unrote.memorization.target import written_size
from unrote.pipelines.report import formatting
from unrote.pipelines.report.memorization import (
    Memorization,
    RiskFeatureBin,
    RiskySequence,
    expected,
)
from unrote.pipelines.report.model import Amount, Balance, Report, summed
from unrote.pipelines.report.queries import queries
from unrote.pipelines.report.verdicts import accepted, advice, interval, summary
from unrote.pipelines.report.word_diff import COMPARED

SOURCES_SHOWN = 30
FOUND_SHOWN = 100
"""Rows of findings by source."""

SHOWN_OPEN = 8
"""Clusters and passages that are shown at once; the others are folded."""

WIDTH = 1000
"""Units of a picture's width; pictures stretch to the page."""

GAP = 16
NARROWEST = 0.004
"""Share of a picture's width that anything gets, so that what is there can be seen."""

LABELS = {
    "kept": "Kept",
    "exact": "Exact duplicates",
    "near": "Near-duplicates",
    "remainder": "Emptied by cuts",
    "passages": "Duplicate passages",
    "rejected": "Rejected",
    "at_risk": "At risk of memorization",
    "contaminated": "In evaluation sets",
}

VIEWS = {
    "input": "Input",
    "deduplicated": "Deduplicated",
    "released": "Released",
    "filtered": "At-risk text removed",
}
CATEGORIES = {
    "recite": "many copies",
    "reconstruct": "a template, a numbering or a repetition, or the reference model completes it",
    "recollect": "neither",
}
FEATURES = {
    "copies_input": "Copies in the input",
    "copies": "Copies in the released text",
    "copies_near": "Near copies there, each by the share of its word 5-grams",
    "template": "Follows a template",
    "repetition": "Repeats itself",
    "rare_words": "Rare words",
    "word_duplication": "How often its words are used, in a million words",
}
WORDS = {
    "model": "read by the reference model",
    "text": "scored by its text alone",
}


@dataclass(frozen=True)
class Segment:
    """A part of the input: where it is in the whole bar, and where once the parts are apart."""

    name: str
    label: str
    amount: Amount
    whole: tuple[float, float]
    apart: tuple[float, float]

    @property
    def ribbon(self) -> str:
        """The band from one to the other, as an SVG path of height 100."""
        (a, b), (c, d) = self.whole, self.apart
        return (
            f"M{a:.2f} 0C{a:.2f} 55 {c:.2f} 45 {c:.2f} 100H{d:.2f}C{d:.2f} 45 {b:.2f} 55 {b:.2f} 0Z"
        )


@dataclass(frozen=True)
class Tick:
    """A label of an axis, at a share of its length."""

    text: str
    at: float


@dataclass(frozen=True)
class Histogram:
    """Bars of all views side by side, in units of 100 by 100; `bars` are (view, x, width, height).

    The vertical axis is logarithmic: a corpus has thousands of sequences without any risk for each
    one that is at risk, which are those that matter.
    """

    bars: tuple[tuple[str, float, float, float], ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    views: tuple[str, ...]


def histogram(found: Memorization) -> Histogram:
    """The risks of all sequences, by view."""
    views = found.views
    most = max(one.sequences[view] for one in found.histogram for view in views)
    top = max(1, len(str(most)))  # the decades that hold the largest
    room = 100 / len(found.histogram)
    width = room * 0.78 / len(views)
    bars = []
    for at, one in enumerate(found.histogram):
        for number, view in enumerate(views):
            if one.sequences[view]:
                height = 100 * (0.1 + math.log10(one.sequences[view])) / (0.1 + top)
                x = room * (at + 0.11) + number * width
                bars.append((view, x, width * 0.92, height))
    across = [Tick(_percent(one.low), room * at) for at, one in enumerate(found.histogram)]
    across.append(Tick(_percent(1.0), 100))
    up = [Tick(f"{10**n:,}", 100 * (0.1 + n) / (0.1 + top)) for n in range(top + 1)]
    return Histogram(tuple(bars), tuple(across), tuple(up), views)


def _percent(value: float) -> str:
    return f"{value * 100:g}{formatting.SPACE}%"


def copies_of(row: RiskySequence) -> str:
    """The copies of a sequence in each view."""
    if row.copies_input:
        parts = [f"{formatting.counted(row.copies_input, 'copy', 'copies')} in the input"]
    else:  # What a cut or a replacement puts together was nowhere before.
        parts = ["not in the input in this form"]
    if row.copies_deduplicated is not None and row.copies_deduplicated != row.copies:
        parts.append(f"{formatting.count(row.copies_deduplicated)} after deduplication")
    parts.append(f"{formatting.count(row.copies)} released")
    if row.copies_near >= 0.05:
        parts.append(f"near copies worth {expected(row.copies_near)}")
    return ", ".join(parts)


def range_of(feature: str, row: RiskFeatureBin) -> str:
    """The numbers of a bin: "3 to 5" copies, "10 to 25 %", "none"."""
    low, high = row.low, row.high
    if feature in ("copies", "copies_input"):
        if high is None:
            return f"{low:,.0f} or more"
        return f"{low:,.0f}" if high - low == 1 else f"{low:,.0f} to {high - 1:,.0f}"
    if feature == "copies_near" and low == 0:
        return "none"
    if feature == "copies_near":
        low = math.floor(low)
        unit = ""
    elif feature == "word_duplication":
        low, high, unit = math.expm1(low), high and math.expm1(high), ""
    else:
        low, high, unit = 100 * low, high and 100 * high, f"{formatting.SPACE}%"
    if high is None:
        return f"{low:,.0f}{unit} or more"
    return f"below {high:,.0f}{unit}" if low == 0 else f"{low:,.0f} to {high:,.0f}{unit}"


def less(now: float, before: float) -> str:
    """How much less a number is than one before it: "4.8 % less"; empty where it is as much."""
    if before <= 0 or now == before:
        return ""
    change = now / before - 1
    return f"{formatting.share(abs(change))} {'less' if change < 0 else 'more'}"


def parts_of(row: RiskySequence) -> str:
    """What the risk of a sequence is made of."""
    parts = [f"{formatting.percent(row.risk_low)} to {formatting.percent(row.risk_high)}"]
    if row.predictable is not None:
        parts.append(f"by its copies {formatting.percent(row.memorized)}")
        parts.append(f"without having seen it {formatting.percent(row.predictable)}")
    return ", ".join(parts)


@dataclass(frozen=True)
class Sizes:
    """What targets of other sizes would say, in units of 100 by 100; both axes are logarithmic.

    band: the points of a polygon; line: of the middle; here: where the target is, None: outside.
    """

    band: str
    line: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    here: tuple[float, float] | None


def sizes(found: Memorization) -> Sizes | None:
    """The expected numbers by size of the target; None: there is one size."""
    if not found.sizes or found.target.parameters is None:
        return None
    rows = found.sizes
    first, last = (math.log10(row.parameters) for row in (rows[0], rows[-1]))
    most = max(1.0, *(row.expected_high for row in rows))
    least = min(row.expected_low for row in rows)
    bottom = max(math.floor(math.log10(least)) if least > 0 else -2, -2)
    top = math.ceil(math.log10(most))

    def across(parameters: float) -> float:
        return 100 * (math.log10(parameters) - first) / (last - first)

    def up(number: float) -> float:
        height = (math.log10(max(number, 10.0**bottom)) - bottom) / max(top - bottom, 1)
        return 100 - 100 * height

    def path(points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{across(x):.2f},{up(y):.2f}" for x, y in points)

    highs = [(row.parameters, row.expected_high) for row in rows]
    lows = [(row.parameters, row.expected_low) for row in rows]
    shown = rows[0].parameters <= found.target.parameters <= rows[-1].parameters
    step = found.step("released")
    return Sizes(
        path([*highs, *reversed(lows)]),
        path((row.parameters, row.expected_extracted) for row in rows),
        tuple(Tick(written_size(row.parameters), across(row.parameters)) for row in rows),
        tuple(
            Tick(f"{10.0**n:,g}", 100 * (n - bottom) / max(top - bottom, 1))
            for n in range(bottom, top + 1)
        ),
        (across(found.target.parameters), up(step.expected_extracted)) if shown else None,
    )


def render(report: Report) -> str:
    """report.html, as text."""
    page = _template().render(
        report=report,
        flow=segments(report.total, report.cut),
        sources=[(row, segments(row, report.cut)) for row in _sources(report)],
        found_sources=report.findings.by_source[:FOUND_SHOWN] if report.findings else (),
        settings=list(_flat(report.settings)),
        slowest=max((phase.seconds for phase in report.phases), default=0) or 1,
        started=_moment(report.started),
        shown_open=SHOWN_OPEN,
        compared=COMPARED,
        width=WIDTH,
        memorization=_memorization(report.memorization),
        view_names=VIEWS,
        words=WORDS,
        copies_of=copies_of,
        parts_of=parts_of,
        range_of=range_of,
        features=FEATURES,
        categories=CATEGORIES,
        less=less,
        accepted=accepted(report),
        advice=advice,
        interval=interval,
        summary=summary,
        queries=queries(report),
        script=_script(),
        script_digest=_digest(_script()),
    )
    return page.lstrip()  # Macros stand before the document type and leave blank lines.


def _memorization(found: Memorization | None) -> dict[str, Any] | None:
    """What the section on memorization shows besides the model; None: there is nothing to tell."""
    if found is None or not found.sequences:
        return None
    return {
        "histogram": histogram(found),
        "sizes": sizes(found),
        "riskiest": {
            row.category: [one for one in found.riskiest if one.category == row.category]
            for row in found.categories
        },
        "sources": [row for row in found.by_source if row.source is not None][:SOURCES_SHOWN],
    }


def segments(balance: Balance, cut: bool) -> list[Segment]:
    """What became of the bytes, left to right; what is not there is left out."""
    amounts = {name: amount for name, amount in _amounts(balance, cut).items() if amount.bytes > 0}
    weights = [max(NARROWEST, amount.bytes / balance.bytes) for amount in amounts.values()]
    room = WIDTH - GAP * (len(amounts) - 1)
    found, start = [], 0.0
    for index, (name, amount) in enumerate(amounts.items()):
        end = start + weights[index] / sum(weights)
        whole = start * WIDTH, end * WIDTH
        apart = start * room + index * GAP, end * room + index * GAP
        found.append(Segment(name, LABELS[name], amount, whole, apart))
        start = end
    return found


def _amounts(balance: Balance, cut: bool) -> dict[str, Amount]:
    parts = {**balance.parts, "rejected": balance.rejected, "at_risk": balance.at_risk}
    parts["contaminated"] = balance.contaminated
    amounts: dict[str, Amount] = {"kept": balance.kept, **parts}
    if not cut:  # Passages that stay are part of what is kept, not beside it.
        amounts.pop("passages")
    return amounts


def _sources(report: Report) -> Iterator[Balance]:
    """One row for each of the largest sources, and one for all others."""
    yield from report.by_source[:SOURCES_SHOWN]
    others = [*report.by_source[SOURCES_SHOWN:], *filter(None, [report.other_sources])]
    if others:
        yield summed(others).model_copy(update={"source": None})


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Settings as they would be written after --set."""
    for name, value in tree.items():
        key = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            yield from _flat(value, key)
        else:
            yield key, str(value).lower() if isinstance(value, bool) else str(value)


def _moment(time: str) -> str:
    """An ISO time as people write it; what is none stays as it is."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    return f"{moment.day} {moment:%B %Y, %H:%M %Z}".rstrip()


@lru_cache(maxsize=1)
def _template() -> Template:
    """The page's template. To compile it takes longer than to fill it."""
    return _environment().get_template("report.html.j2")


@lru_cache(maxsize=1)
def _script() -> Markup:
    """The page's script."""
    loader = _environment().loader
    assert loader is not None
    return Markup(loader.get_source(_environment(), "report.js")[0])  # noqa: S704 - ours


def _digest(script: str) -> str:
    """As a content security policy names a script that may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("unrote.pipelines.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    names = ("count", "counted", "size", "share", "percent", "duration", "rate", "measured")
    environment.filters |= {name: getattr(formatting, name) for name in names}
    environment.filters["expected"] = expected
    environment.filters["parameters"] = written_size
    environment.filters["name"] = display.name
    environment.filters["body"] = lambda text: escape(display.body(text))
    return environment


def _shown(value: object) -> object:
    """What a template prints, before it is quoted: whatever is text may be a stranger's."""
    quoted = isinstance(value, Markup) or not isinstance(value, str)
    return value if quoted else display.line(value)
