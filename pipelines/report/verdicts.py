"""A gate's verdict for machines, and for the pages that they show it on.

`FORMATS` has them by the name that `unrote gate --format` takes. Each is a function of the report
and of the policy that gave its verdict, and returns the whole file.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree as Xml

import orjson
from pydantic import Field

from unrote.corpus import display
from unrote.corpus.version import VERSION
from unrote.pipelines.report.formatting import count, counted, measured
from unrote.pipelines.report.model import Report, RuleResult, UsedBaseline, UsedWaiver
from unrote.pipelines.report.part import Part

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
HOME = "https://github.com/unrote/unrote"


@dataclass(frozen=True)
class PolicyFile:
    """Where the rules stand that a verdict is about."""

    path: str
    lines: tuple[int, ...]
    """Of the rules, in their order, counted from 1."""

    @classmethod
    def of(cls, path: str, text: str) -> "PolicyFile":
        heads = re.finditer(r"(?m)^[ \t]*\[\[[ \t]*rule[ \t]*\]\]", text)
        return cls(path, tuple(text.count("\n", 0, head.start()) + 1 for head in heads))

    def line(self, result: RuleResult) -> int:
        """Of the rule that has this result; the first line for a minimum, and in a policy whose
        rules are written in another way than with [[rule]] at the beginning of a line.
        """
        number = result.rule or 0
        return self.lines[number - 1] if 0 < number <= len(self.lines) else 1


def name_of(result: RuleResult) -> str:
    """A rule, and the source or shard it is about."""
    if result.shard is not None:
        return f"{result.measure} in {display.name(result.shard)}"
    where = "" if result.source is None else f" in {display.name(result.source or '(no name)')}"
    return result.measure + where


def sentence(result: RuleResult) -> str:
    """What was asked and found, and `advice`."""
    asked = measured(result.limit, result.unit, lowest=result.lowest)
    limit = asked if result.lowest else f"at most {asked}"
    found = measured(result.measured, result.unit) + interval(result)
    return " ".join(
        filter(None, (f"{result.description}: {found}, allowed is {limit}.", advice(result)))
    )


def interval(result: RuleResult) -> str:
    """The interval of a sample, in parentheses; "" where there is none."""
    if result.low is None or result.high is None:
        return ""
    return f" ({result.low:,.4g} to {result.high:,.4g})"


def advice(result: RuleResult) -> str:
    """Of a broken rule: why nothing was measured, what to do, which documents to look at, and what
    would waive the first things that count.
    """
    parts = [display.line(result.reason), result.remedy]
    if result.documents:
        parts.append("for example " + ", ".join(map(display.name, result.documents)))
    if result.fingerprints:
        parts.append("fingerprints for a waiver: " + ", ".join(result.fingerprints))
    parts.append(left_out(result))
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)


def left_out(result: RuleResult) -> str:
    """What a rule did not count for the sake of a baseline or waivers, as a clause; "": nothing."""
    if result.with_accepted is None:
        return ""
    parts = [
        f"{count(number)} {what}"
        for number, what in ((result.known, "in the baseline"), (result.waived, "waived"))
        if number
    ] or ["the baseline's number"]
    with_these = measured(result.with_accepted, result.unit)
    return f"not counted: {' and '.join(parts)}, with which it is {with_these}"


def accepted(report: Report) -> list[str]:
    """What the verdict did not count, in sentences: by rule, then the baseline and each waiver."""
    verdict = report.verdict
    if verdict is None:
        return []
    lines = [f"{name_of(rule)}: {left_out(rule)}." for rule in verdict.rules if left_out(rule)]
    if (found := verdict.baseline) is not None:
        things = counted(found.things, "thing")
        lines.append(f"Baseline {display.name(found.file)} of {found.written}: {things}.")
    for one in verdict.waivers:
        until = f"{'expired on' if one.expired else 'until'} {one.expires}"
        named = counted(one.fingerprints, "fingerprint")
        unused = f", {one.unused} of them in nothing that a rule counts" if one.unused else ""
        owner, reason = display.line(one.owner), display.line(one.reason)
        lines.append(f"Waiver {one.number} ({owner}, {until}): {reason}: {named}{unused}.")
    return lines


def summary(report: Report) -> str:
    """Passed or refused, in a sentence."""
    rules = report.verdict.rules if report.verdict is not None else ()
    failed, of = sum(not rule.passed for rule in rules), counted(len(rules), "rule")
    return f"Refused: {failed} of {of} broken." if failed else f"Passed: {of} held."


class GateResult(Part):
    """What `unrote gate --format json` prints; docs/schemas/gate.json is its JSON schema."""

    format: Literal[1] = 1
    unrote: str = Field(description="The version that gave the verdict.")
    passed: bool
    policy: str = Field(description="The file of the rules.")
    fingerprint: str = Field(description="Digest of input and settings.")
    documents: int = Field(description="Documents that were read.")
    bytes: int = Field(description="UTF-8 bytes of their text.")
    rules: tuple[RuleResult, ...] = Field(description="In the order of the policy.")
    baseline: UsedBaseline | None = Field(
        default=None, description="null: it was held against none."
    )
    waivers: tuple[UsedWaiver, ...] = Field(default=(), description="In the order of the file.")
    notes: tuple[str, ...] = Field(description="What a reader should know, in sentences.")


def as_json(report: Report, policy: PolicyFile) -> str:
    result = GateResult(
        unrote=VERSION,
        passed=report.passed,
        policy=policy.path,
        fingerprint=report.fingerprint,
        documents=report.total.documents,
        bytes=report.total.bytes,
        rules=_rules(report),
        baseline=None if report.verdict is None else report.verdict.baseline,
        waivers=() if report.verdict is None else report.verdict.waivers,
        notes=report.notes,
    )
    return _json(result.model_dump(mode="json"))


def as_markdown(report: Report, policy: PolicyFile) -> str:
    """For a comment on a pull request."""
    rows = []
    for rule in _rules(report):
        numbers = (
            measured(rule.measured, rule.unit) + interval(rule),
            measured(rule.limit, rule.unit, lowest=rule.lowest),
        )
        cells = (_icon(rule.passed), *map(_cell, (name_of(rule), *numbers)))
        rows.append(f"| {' | '.join(cells)} |")
    table = ["| | rule | measured | limit |", "|---|---|--:|--:|", *rows]
    broken = [f"- **{_cell(name_of(r))}**: {_cell(sentence(r))}" for r in _broken(report)]
    head = f"### {_icon(report.passed)} unrote gate: {summary(report)}"
    about = f"{_cell(report.headline)} Policy: {_code(policy.path)}."
    notes = [f"- {_cell(note)}" for note in report.notes]
    folded = ["<details><summary>Notes</summary>", "", *notes, "", "</details>"] if notes else []
    left = [f"- {_cell(line)}" for line in accepted(report)]
    accepted_ = (
        ["<details><summary>Accepted</summary>", "", *left, "", "</details>"] if left else []
    )
    parts = [[head], [about], table, broken, accepted_, folded]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _icon(passed: bool) -> str:
    return "✅" if passed else "❌"


def as_junit(report: Report, policy: PolicyFile) -> str:
    """A test for each rule: what CI servers show as test results."""
    rules = _rules(report)
    numbers = {
        "tests": str(len(rules)),
        "failures": str(sum(not rule.passed for rule in rules)),
        "errors": "0",
        "time": f"{report.seconds:.3f}",
    }
    root = Xml.Element("testsuites", {"name": "unrote", **numbers})
    about = {"timestamp": report.finished[:19]} if report.finished else {}
    named = {"name": "unrote gate", "skipped": "0"}
    suite = Xml.SubElement(root, "testsuite", named | numbers | about)
    for rule in rules:
        names = {"classname": "unrote.gate", "name": name_of(rule), "time": "0.000"}
        case = Xml.SubElement(suite, "testcase", names | {"file": display.line(policy.path)})
        if not rule.passed:
            said = sentence(rule)
            Xml.SubElement(case, "failure", {"message": said, "type": rule.measure}).text = said
        elif said := left_out(rule):
            Xml.SubElement(case, "system-out").text = said
    if said := "\n".join(accepted(report)):
        Xml.SubElement(suite, "system-out").text = said
    Xml.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + Xml.tostring(root, encoding="unicode") + "\n"


def as_sarif(report: Report, policy: PolicyFile) -> str:
    """SARIF 2.1.0, with what GitHub's code scanning requires beyond it: a result for each broken
    rule, at the rule's line of the policy.
    """
    rules = {rule.measure: rule for rule in _rules(report)}
    described = [
        {
            "id": name,
            "shortDescription": {"text": rule.description},
            "fullDescription": {"text": rule.description},
            "help": {"text": rule.remedy or rule.description},
            "helpUri": f"{HOME}#readme",
            "defaultConfiguration": {"level": "error"},
        }
        for name, rule in rules.items()
    ]
    driver = {
        "name": "unrote", "version": VERSION, "informationUri": HOME, "rules": described
    }  # fmt: skip
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "unrote/gate/"},
        "results": [
            *(_result(rule, list(rules), policy) for rule in _broken(report)),
            *(_suppressed(rule, list(rules), policy) for rule in _rules(report) if rule.accepted),
        ],
        "properties": {
            "passed": report.passed,
            "documents": report.total.documents,
            "accepted": accepted(report),
        },
    }
    return _json({"$schema": SARIF, "version": "2.1.0", "runs": [run]})


def _result(rule: RuleResult, ids: list[str], policy: PolicyFile) -> dict[str, Any]:
    location = {
        "artifactLocation": {"uri": _uri(policy.path)},
        "region": {"startLine": policy.line(rule)},
    }
    return {
        "ruleId": rule.measure,
        "ruleIndex": ids.index(rule.measure),
        "level": "error",
        "message": {"text": f"{name_of(rule)}: {sentence(rule)}"},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"rule/v1": f"{name_of(rule)}:{rule.rule or 0}"},
        "properties": {
            "documents": list(rule.documents), "fingerprints": list(rule.fingerprints)
        },
    }  # fmt: skip


def _suppressed(rule: RuleResult, ids: list[str], policy: PolicyFile) -> dict[str, Any]:
    """The result of a rule that passed for the sake of a baseline or of waivers."""
    suppression = {"kind": "external", "status": "accepted", "justification": left_out(rule)}
    return _result(rule, ids, policy) | {"suppressions": [suppression]}


def as_github(report: Report, policy: PolicyFile) -> str:
    """Workflow commands, which GitHub shows as annotations of the policy's lines."""
    lines = [
        f"::error file={_property(policy.path)},line={policy.line(rule)},"
        f"title={_property('unrote gate: ' + name_of(rule))}::{_data(sentence(rule))}"
        for rule in _broken(report)
    ]
    if not lines:
        lines = [f"::notice title=unrote gate::{_data(summary(report))}"]
    lines += [f"::notice title=unrote gate accepts::{_data(line)}" for line in accepted(report)]
    return "\n".join(lines) + "\n"


FORMATS: Mapping[str, Callable[[Report, PolicyFile], str]] = {
    "json": as_json,
    "markdown": as_markdown,
    "junit": as_junit,
    "sarif": as_sarif,
    "github": as_github,
}


def _rules(report: Report) -> tuple[RuleResult, ...]:
    return () if report.verdict is None else report.verdict.rules


def _broken(report: Report) -> Iterator[RuleResult]:
    return (rule for rule in _rules(report) if not rule.passed)


def _json(tree: object) -> str:
    return display.json_text(orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode()) + "\n"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is, in a cell of a table too; code in backquotes stays."""
    parts = display.line(text).split("`")
    plain = [re.sub(r"([\\*_{}\[\]<>|#~@])", r"\\\1", part) for part in parts]
    if len(parts) % 2 == 0:
        return "\\`".join(plain)
    return "`".join(part if n % 2 else plain[n] for n, part in enumerate(parts))


def _code(text: str) -> str:
    shown = display.line(text).replace("`", "'")
    return f"`{shown}`"


def _uri(path: str) -> str:
    """A path as a relative URI with slashes, or a file URI where it is absolute."""
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(pure.as_posix())


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(display.line(text)).replace(":", "%3A").replace(",", "%2C")
