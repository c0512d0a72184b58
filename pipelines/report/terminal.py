"""The report in a terminal, short: what happened, by reason, and where the rest is.

It is data, so it goes to stdout, and reads the same without colours or a terminal.
"""

import os

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from unrote.corpus import display
from unrote.pipelines.report.formatting import count, counted, duration, measured, rate, share, size
from unrote.pipelines.report.memorization import Expected, Memorization, expected
from unrote.pipelines.report.model import Contamination, Findings, Languages, Report
from unrote.pipelines.report.verdicts import accepted, advice, interval, name_of, summary
from unrote.pipelines.storage import location

LABELS = {
    "exact": "exact duplicates",
    "near": "near-duplicates",
    "remainder": "emptied by cuts",
    "passages": "duplicate passages",
}
VIEWS = {
    "input": "input",
    "deduplicated": "deduplicated",
    "released": "released",
    "filtered": "at-risk text removed",
}
SOURCES_SHOWN = 10
LANGUAGES_SHOWN = 5


def print_summary(
    report: Report, out: str | os.PathLike[str], console: Console | None = None
) -> None:
    """Print what a run did. `out` is its folder; empty: it was not kept."""
    console = console or Console(highlight=False, markup=False, emoji=False)
    _print(console, _said(report.headline, "bold"), _balance(report))
    if report.findings is not None and report.findings.total:
        _print(console, _findings(report.findings))
    if report.memorization is not None and report.memorization.sequences:
        _print(console, _said(f"{_capital(report.memorization.finding)}."))
        _print(console, _memorization(report.memorization))
    if report.contamination is not None:
        _print(console, _contamination(report.contamination))
    if report.languages is not None:
        _print(console, _said(languages_line(report.languages)))
    if len(report.by_source) > 1:
        _print(console, _sources(report))
    for note in report.notes:
        _print(console, _said(f"Note: {note}", "dim"))
    _print_location(console, report, out)


def print_verdict(
    report: Report, out: str | os.PathLike[str], console: Console | None = None
) -> None:
    """Print what a gate decided, rule by rule. `out` as for `print_summary`."""
    console = console or Console(highlight=False, markup=False, emoji=False)
    _print(console, _said(report.headline, "bold"))
    if report.verdict is not None:
        _print(console, _rules(report))
        for rule in report.verdict.rules:
            if not rule.passed and (said := advice(rule)):
                _print(console, _said(f"{name_of(rule)}: {said}"))
        for line in accepted(report):
            _print(console, _said(line))
        if report.memorization is not None and report.memorization.guessing:
            _print(console, _said(f"Note: {report.memorization.guessing}"))
        style = "bold green" if report.passed else "bold red"
        _print(console, Text(summary(report), style=style))
    _print_location(console, report, out)


def languages_line(found: Languages) -> str:
    """The languages and scripts with the most letters, in a sentence."""
    lines = []
    for what, rows in (
        ("Languages", found.total("languages")),
        ("scripts", found.total("scripts")),
    ):
        letters = sum(row.letters for row in rows)
        shown = [
            f"{'others' if row.name is None else row.name} {share(row.letters / letters)}"
            for row in rows[:LANGUAGES_SHOWN]
            if letters
        ]
        more = len(rows) - LANGUAGES_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        lines.append(f"{what}: {', '.join(shown) or 'no letter'}{rest}")
    return "; ".join(lines) + "."


def _said(text: str, style: str = "") -> Text:
    """One line that may hold anything. Text, because rich reads markup in a str."""
    return Text(display.line(text), style=style)


def _named(name: str) -> Text:
    return Text(display.name(name))


def _print(console: Console, *parts: RenderableType) -> None:
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))


def _print_location(console: Console, report: Report, out: str | os.PathLike[str]) -> None:
    spent = f"{duration(report.seconds)}, {rate(_speed(report))}"
    _print(console, Text(f"{size(report.total.bytes)} of text in {spent}."))
    if os.fspath(out):  # Last and alone on its line, so that it can be copied or opened.
        _print(console, _said(f"Report: {location(out) / 'report.html'}"))


def _speed(report: Report) -> float | None:
    return report.total.bytes / report.seconds if report.seconds else None


def _balance(report: Report) -> Table:
    total, table = report.total, _table("", "documents", "text", "share")
    table.add_row("input", count(total.documents), size(total.bytes), "")
    for name, amount in total.parts.items():
        if amount.bytes or amount.documents:
            row = (count(amount.documents), size(amount.bytes), share(amount.share))
            table.add_row(Text(LABELS[name]), *row)
    if total.rejected.documents:
        lost = total.rejected
        table.add_row("rejected", count(lost.documents), size(lost.bytes), share(lost.share))
    if total.at_risk.documents:
        lost = total.at_risk
        row = (count(lost.documents), size(lost.bytes), share(lost.share))
        table.add_row("at risk of memorization", *row)
    if total.contaminated.documents:
        lost = total.contaminated
        row = (count(lost.documents), size(lost.bytes), share(lost.share))
        table.add_row("in evaluation sets", *row)
    kept = total.kept
    table.add_row("kept", count(kept.documents), size(kept.bytes), share(kept.share), style="bold")
    if report.rejects.rows:
        table.add_row("rejected rows", count(report.rejects.rows), "", share(report.rejects.share))
    return table


def _findings(findings: Findings) -> Table:
    """What was found, by type, and how much of it was changed."""
    table = _table(
        "found",
        "findings",
        "documents",
        "changed",
        "most\nrepeated\nvalue",
        "most\nrepeated\nsurrogate",
    )
    for row in findings.types:
        drawn = "" if row.most_repeated_surrogate is None else count(row.most_repeated_surrogate)
        numbers = (
            count(row.findings),
            count(row.documents),
            count(row.changed),
            count(row.most_repeated_value),
        )
        table.add_row(_named(row.type), *numbers, drawn)
    return table


def _memorization(found: Memorization) -> Table:
    """How much would be extractable from the target trained on each view, and why."""
    table = _table(
        "expected extractable",
        "low",
        "middle",
        "high",
        f"risk ≥ {found.threshold:g}",
        "sequences",
    )
    for step in found.path:
        table.add_row(Text(VIEWS[step.view]), *_expected(step))
    for row in found.categories:
        if row.sequences:
            table.add_row(Text(f"  {row.category}"), *_expected(row), style="dim")
    return table


def _contamination(found: Contamination) -> Table:
    """How many items of each evaluation set are in the corpus, by each published rule."""
    table = _table("evaluation set", "items", "contaminated", "share", "gpt3", "llama2", "olmo")
    for row in found.sets:
        numbers = (row.gpt3, row.llama2, row.olmo)
        cells = (count(row.items), count(row.contaminated), share(row.share))
        table.add_row(_named(row.set), *cells, *map(count, numbers))
    return table


def _expected(row: Expected) -> tuple[str, ...]:
    numbers = (row.expected_low, row.expected_extracted, row.expected_high)
    return (*map(expected, numbers), count(row.at_risk), count(row.sequences))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sources(report: Report) -> Table:
    table = _table("source", "documents", "removed", "text", "duplicate bytes")
    for row in report.by_source[:SOURCES_SHOWN]:
        numbers = (count(row.documents), count(row.removed_documents), size(row.bytes))
        table.add_row(_named(row.source or "(no name)"), *numbers, share(row.duplicate_share))
    more = report.input.sources - min(len(report.by_source), SOURCES_SHOWN)
    if more:
        table.add_row(Text(f"and {counted(more, 'more source')}", style="dim"))
    return table


def _rules(report: Report) -> Table:
    table = _table("", "measured", "limit", "result")
    for rule in report.verdict.rules if report.verdict else ():
        result = Text("passed", style="green") if rule.passed else Text("refused", style="red")
        limit = measured(rule.limit, rule.unit, lowest=rule.lowest)
        table.add_row(
            _said(name_of(rule)), measured(rule.measured, rule.unit) + interval(rule), limit, result
        )
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
