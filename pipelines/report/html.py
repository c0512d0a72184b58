"""The report as one HTML file: no script, no network, readable on paper and in the dark.

Numbers come from the model; this module adds what pictures need, places and widths.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipelines.report import figures
from pipelines.report.model import Amount, Balance, Report, added_up

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
    "exact": "Exact copies",
    "near": "Near copies",
    "remainder": "Nothing else left",
    "passages": "Copied passages",
    "rejected": "Rejected",
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


def render(report: Report) -> str:
    """report.html, as text."""
    template = _environment().get_template("report.html.j2")
    page = template.render(
        report=report,
        flow=segments(report.total, report.cut),
        sources=[(row, segments(row, report.cut)) for row in _sources(report)],
        found_sources=report.findings.by_source[:FOUND_SHOWN] if report.findings else (),
        settings=list(_flat(report.settings)),
        slowest=max((phase.seconds for phase in report.phases), default=0) or 1,
        started=_moment(report.started),
        shown_open=SHOWN_OPEN,
        width=WIDTH,
    )
    return page.lstrip()  # Macros stand before the document type and leave blank lines.


def segments(balance: Balance, cut: bool) -> list[Segment]:
    """What became of the bytes, left to right; what is not there is left out."""
    amounts = {name: amount for name, amount in _amounts(balance, cut).items() if amount.bytes > 0}
    weights = [max(NARROWEST, amount.bytes / balance.bytes) for amount in amounts.values()]
    room = WIDTH - GAP * (len(amounts) - 1)
    found, start = [], 0.0
    for place, (name, amount) in enumerate(amounts.items()):
        end = start + weights[place] / sum(weights)
        whole = start * WIDTH, end * WIDTH
        apart = start * room + place * GAP, end * room + place * GAP
        found.append(Segment(name, LABELS[name], amount, whole, apart))
        start = end
    return found


def _amounts(balance: Balance, cut: bool) -> dict[str, Amount]:
    parts = {**balance.parts, "rejected": balance.rejected}
    amounts: dict[str, Amount] = {"kept": balance.kept, **parts}
    if not cut:  # Passages that stay are part of what is kept, not beside it.
        amounts.pop("passages")
    return amounts


def _sources(report: Report) -> Iterator[Balance]:
    """One row for each of the largest sources, and one for all others."""
    yield from report.by_source[:SOURCES_SHOWN]
    others = [*report.by_source[SOURCES_SHOWN:], *filter(None, [report.other_sources])]
    if others:
        yield added_up(others).model_copy(update={"source": None})


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


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipelines.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = ("count", "counted", "size", "share", "duration", "rate", "measured")
    environment.filters |= {name: getattr(figures, name) for name in names}
    return environment
