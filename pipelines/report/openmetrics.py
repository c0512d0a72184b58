"""metrics.prom: the numbers of a run for Prometheus and what reads its formats.

OpenMetrics 1.0, of gauges alone, so that readers of the older text format take it too (the textfile
collector of node_exporter). A run that ends writes it; a scheduler's alerts are about
`unrote_run_finished_timestamp_seconds`, which stands still where no run ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from unrote.corpus import display
from unrote.pipelines.report.model import Balance, Report

Sample = tuple[Mapping[str, str], float]
"""Labels, and the value."""


class Gauge(NamedTuple):
    name: str
    help: str
    samples: Sequence[Sample]


def as_openmetrics(report: Report) -> str:
    """The file: names of sources and rules made safe to show, and no text of a document."""
    return "".join(map(_family, _gauges(report))) + "# EOF\n"


def _gauges(report: Report) -> Iterator[Gauge]:
    about = {"job": report.job, "version": report.version, "fingerprint": report.fingerprint}
    yield Gauge("unrote_run", "The run that these numbers are of.", [(about, 1)])
    for name, moment in (("started", report.started), ("finished", report.finished)):
        if moment:
            seconds = datetime.fromisoformat(moment).timestamp()
            what = f"When the run {name}, in seconds since 1970."
            yield Gauge(f"unrote_run_{name}_timestamp_seconds", what, [({}, seconds)])
    yield Gauge(
        "unrote_phase_seconds",
        "Time of a phase.",
        [({"phase": phase.name}, phase.seconds) for phase in report.phases],
    )
    yield from _balance(report.total)
    yield Gauge(
        "unrote_rejected_rows",
        "Rows that were not read or are not released.",
        [({}, report.rejects.rows)],
    )
    yield from _found(report)
    yield from _extractable(report)
    yield from _verdict(report)


def _balance(total: Balance) -> Iterator[Gauge]:
    amounts = {**total.parts, "rejected": total.rejected, "at_risk": total.at_risk}
    amounts["contaminated"] = total.contaminated
    states = [
        ("input", total.documents, total.bytes),
        *((name, amount.documents, amount.bytes) for name, amount in amounts.items()),
        ("kept", total.kept.documents, total.kept.bytes),
    ]
    yield Gauge(
        "unrote_documents",
        "Documents by what became of them; passages: with cuts, and kept too.",
        [({"state": state}, documents) for state, documents, _ in states],
    )
    yield Gauge(
        "unrote_text_bytes",
        "UTF-8 bytes of text, by what became of them.",
        [({"state": state}, size) for state, _, size in states],
    )


def _found(report: Report) -> Iterator[Gauge]:
    if report.findings is None:
        return
    found = [({"type": one.type}, one.findings) for one in report.findings.types]
    yield Gauge("unrote_findings", "Personal data and markers in what stays, by type.", found)
    changed = [({"type": one.type}, one.changed) for one in report.findings.types]
    yield Gauge("unrote_findings_changed", "Of them, those that were replaced or removed.", changed)


def _extractable(report: Report) -> Iterator[Gauge]:
    if report.memorization is None:
        return
    steps = report.memorization.steps
    yield Gauge(
        "unrote_extractable_sequences",
        "Expected sequences extractable from the target, by view of the text and end of the band.",
        [
            ({"view": step.view, "band": band}, value)
            for step in steps
            for band, value in (
                ("low", step.expected_low),
                ("middle", step.expected_extracted),
                ("high", step.expected_high),
            )
        ],
    )
    yield Gauge(
        "unrote_sequences_at_risk",
        "Sequences whose risk may be memorization.threshold or more.",
        [({"view": step.view}, step.at_risk) for step in steps],
    )


def _verdict(report: Report) -> Iterator[Gauge]:
    if report.verdict is None:
        return
    yield Gauge("unrote_gate_passed", "1: the gate passed, 0: it refused.", [({}, report.passed)])
    rules = [
        ({"number": str(number), "measure": rule.measure, "source": rule.source or ""}, rule)
        for number, rule in enumerate(report.verdict.rules)
    ]
    passed = [(labels, float(rule.passed)) for labels, rule in rules]
    yield Gauge("unrote_gate_rule_passed", "1: the rule passed, 0: it was broken.", passed)
    measured = [(labels, rule.measured) for labels, rule in rules if rule.measured is not None]
    yield Gauge("unrote_gate_rule_measured", "What was measured for the rule.", measured)


def _family(gauge: Gauge) -> str:
    """Nothing where there is no sample: a gauge without one says no more than none."""
    if not gauge.samples:
        return ""
    lines = [f"# TYPE {gauge.name} gauge", f"# HELP {gauge.name} {gauge.help}"]
    lines += [f"{gauge.name}{_labels(labels)} {_number(value)}" for labels, value in gauge.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    written = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return f"{{{written}}}" if written else ""


def _quoted(value: str) -> str:
    return display.name(value).replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    return repr(float(value)) if value != int(value) else str(int(value))
