"""Findings lie in what is released, and what was done with each is said."""

from collections.abc import Sequence

from unrote.pipelines.verify.canonical import canonical
from unrote.pipelines.verify.layout import ACTIONS
from unrote.pipelines.verify.paths import Selected
from unrote.pipelines.verify.ranges import joined, touches
from unrote.pipelines.verify.readers import Fields
from unrote.pipelines.verify.records import Document, Finding
from unrote.pipelines.verify.released import Left, LeftValues
from unrote.pipelines.verify.state import Run


def check_findings(
    run: Run,
    document: Document,
    fields: Fields,
    rejected: bool,
    at_risk: Sequence[tuple[int, int]],
) -> dict[Selected, Left]:
    """What must be left of each field of a document, after its findings were looked at.

    at_risk: what of the text is removed as at risk of memorization, with the values in it.
    """
    doc, tally = document.doc, run.tally["findings"]
    found = run.findings.pop(doc, [])
    gone = rejected or run.reason(doc) in ("exact", "near")
    tally.expect(not (found and gone), "%s has findings and is not released", run.name_of(doc))
    expected = {}
    selected = (run.rules.text, *run.rules.columns)
    texts = (fields.text, *fields.columns)
    for number, (one, text) in enumerate(zip(selected, texts, strict=False)):
        own = [finding for finding in found if finding.field == number]
        if text is not None:
            cuts = run.cuts(doc) if number == 0 else ()
            for i, finding in enumerate(own):
                before = own[i - 1].end if i else 0
                problem = _finding_problem(run, finding, text, before, cuts)
                tally.expect(
                    problem is None, "%s, %d: %s", run.name_of(doc), finding.start, problem
                )
            changed = [f for f in own if changes(f) and f.end <= len(text)]
            if at_risk and number == 0:
                changed = [f for f in changed if not touches(at_risk, f.start, f.end)]
                cuts = joined([*cuts, *at_risk])
            expected[one] = (LeftValues if one.several else Left)(text, cuts, changed)
        else:
            tally.expect(not own, "%s has findings in a field that it lacks", run.name_of(doc))
    stray = any(finding.field >= len(selected) for finding in found)
    tally.expect(not stray, "%s has findings in a field that was not scanned", run.name_of(doc))
    return expected


def changes(finding: Finding) -> bool:
    return finding.action not in ("keep", "cut")


def _finding_problem(
    run: Run, finding: Finding, text: str, before: int, cuts: Sequence[tuple[int, int]]
) -> str | None:
    within = any(start <= finding.start and finding.end <= end for start, end in cuts)
    spelled = canonical(text[finding.start : finding.end], run.rules)
    value = hash((finding.type, spelled))
    known = run.values.setdefault(finding.fingerprint, value)
    problems = {
        "it is not in the text, or overlaps another": not (
            before <= finding.start < finding.end <= len(text)
        ),
        "its action is none": finding.action not in ACTIONS,
        "it has a surrogate and another action, or the other way round": (
            (finding.action == "surrogate") != (finding.surrogate_fingerprint is not None)
        ),
        "it went with a passage and another action is named, or the other way round": (
            within != (finding.action == "cut")
        ),
        "another value has its fingerprint": known != value,
    }
    return next((problem for problem, is_so in problems.items() if is_so), None)
