"""Scores are added to the right run of test_verify; then what they promise is broken on purpose."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipelines.test_verify import (
    DUPLICATES,
    PASSAGE,
    REFRAIN,
    REJECTS,
    TEXTS,
    A,
    B,
    C,
    D,
    Run,
    a_line,
    broken,
)
from unrote.memorization.risk import Risk
from unrote.pipelines.verify import TABLES

WIDTH = 60
PLACE = TEXTS[C].rindex(REFRAIN)
LEFT = {
    A: TEXTS[A],
    A + 3: TEXTS[A + 3].replace(PASSAGE, "\n"),
    B: TEXTS[B],
    C: TEXTS[C][:PLACE] + "\n" + TEXTS[C][PLACE + len(REFRAIN) :],
    C + 1: TEXTS[C + 1],
    D: "Tennyson: ",
}
AT_RISK = (A, D)
"""Documents of which the first sequence is at risk."""

NAME = {
    "doc": A, "field": 0, "start": 0, "end": 8, "type": "PERSON", "score": 1.0, "action": "mask",
    "origin": "o", "stands_for": "", "fingerprint": "f", "surrogate_fingerprint": None,
}  # fmt: skip
"""A value that was replaced, in the first sequence."""


def risks(copies: int, log_pz: float | None) -> dict[str, float | None]:
    """As memorization.scores has them. What is at risk here is what a model completes."""
    known = {"pz_log": np.array([math.nan if log_pz is None else log_pz])}
    columns = known | {"copies": np.array([copies]), "prefix_tokens": np.array([5.0])}
    low, middle, high = (float(part[0]) for part in Risk().band(columns))
    return {
        "risk_low": low,
        "risk": middle,
        "risk_high": high,
        "memorized": float(Risk().memorized(columns).middle[0]),
        "predictable": None if log_pz is None else math.exp(log_pz),
    }


def score(doc: int, start: int, end: int, action: str) -> dict[str, Any]:
    text, by_model = TEXTS[doc][start:end], doc in (A, B)
    at_risk = doc in AT_RISK and start == 0
    copies = sum(t.count(text) for t in LEFT.values())
    log_pz = math.log(0.9 if at_risk else 0.25) if by_model or at_risk else None
    row: dict[str, Any] = dict.fromkeys(TABLES["scores"])
    return row | {
        "doc": doc,
        "start": start,
        "end": end,
        "prefix_tokens": 5,
        "suffix_tokens": 5,
        "scored_by": "model" if by_model else "text",
        "sampled": False,
        "copies_input": sum(other.count(text) for other in TEXTS.values()),
        "copies_deduplicated": sum(t.count(text) for t in LEFT.values()) if by_model else None,
        "copies": copies,
        "category": "recollect",
        "pz_log": log_pz,
        **risks(copies, log_pz),
        "action": action if at_risk else "keep",
        "reason": None if by_model else "not selected",
    }


def scores(action: str) -> list[dict[str, Any]]:
    found = []
    for doc in LEFT:
        size = len(TEXTS[doc])
        starts = [*range(0, max(1, size - WIDTH), WIDTH), max(0, size - WIDTH)]
        found += [
            score(doc, start, min(size, start + WIDTH), action) for start in dict.fromkeys(starts)
        ]
    return found


def write(run: Run, action: str) -> None:
    run.settings["memorization"] |= {"enabled": True, "action": action}
    run.table("scores", scores("keep" if action == "report" else action))
    if action == "report":
        return
    run.table("findings", [NAME])
    if action == "remove-sequence":
        lines = [a_line(A, TEXTS[A][WIDTH:]), a_line(A + 3, LEFT[A + 3], before="")]
        run.data(3, "d.txt", b"")
    else:
        lines = [a_line(A + 3, LEFT[A + 3], before="")]
        why = "at risk of memorization"
        refused = [
            {"doc": A, "shard": "a.jsonl", "row": 0, "reason": why},
            {"doc": D, "shard": "d.txt", "row": 0, "reason": why},
        ]
        run.table("rejects", sorted([*REJECTS, *refused], key=lambda row: row["doc"]))
        run.report["copies_of_rejected"] = 1  # A is a twin
        run.drop_data(3)
    run.data(0, "a.jsonl", "".join(f"{one}\n" for one in lines).encode())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Sequences at risk are removed."""
    made = Run(tmp_path)
    write(made, "remove-sequence")
    return made


@pytest.fixture
def refusing(tmp_path: Path) -> Run:
    """Documents with sequences at risk are removed."""
    made = Run(tmp_path)
    write(made, "remove-document")
    return made


@pytest.mark.parametrize("action", ["report", "remove-sequence", "remove-document"])
def test_right_run_passes(tmp_path: Path, action: str) -> None:
    run = Run(tmp_path)
    write(run, action)
    verdict = run.verify()
    assert [check.failures for check in verdict.checks if check.failed] == []
    checked = {check.name: check.checked for check in verdict.checks}
    assert checked["scores"] > len(scores("keep"))
    assert checked["copies"] > 3


def change(run: Run, doc: int, place: int, **values: object) -> None:
    """Give one sequence of a document other values."""
    rows = run.rows("scores")
    at = [n for n, row in enumerate(rows) if row["doc"] == doc][place]
    rows[at] |= values
    run.table("scores", rows)


def document_without_scores(run: Run) -> None:
    run.table("scores", [row for row in run.rows("scores") if row["doc"] != C + 1])


def sequence_missing(run: Run) -> None:
    rows = run.rows("scores")
    run.table("scores", [row for row in rows if (row["doc"], row["start"]) != (B, WIDTH)])


def duplicate_has_scores(run: Run) -> None:
    rows = run.rows("scores")
    row = rows[0] | {"doc": A + 2, "risk": 0.25, "action": "keep"}
    run.table("scores", sorted([*rows, row], key=lambda row: (row["doc"], row["start"])))


def no_document_has_scores(run: Run) -> None:
    rows = run.rows("scores")
    run.table("scores", [*rows, rows[-1] | {"doc": D + 1}])


def memorization_was_off(run: Run) -> None:
    run.settings["memorization"]["enabled"] = False


def sequence_outside(run: Run) -> None:
    change(run, C + 1, 0, end=len(TEXTS[C + 1]) + 1)


def sequence_within_the_one_before(run: Run) -> None:
    change(run, B, 1, start=WIDTH - 20, end=WIDTH - 10)


def sequences_not_sorted(run: Run) -> None:
    run.table("scores", run.rows("scores")[::-1])


def sequences_with_a_gap(run: Run) -> None:
    change(run, B, 1, start=WIDTH + 1)


def risk_above_one(run: Run) -> None:
    change(run, A, 0, risk=1.5)


def risk_outside_its_band(run: Run) -> None:
    change(run, B, 0, risk_low=0.999)


def risk_without_a_band(run: Run) -> None:
    change(run, B, 0, risk_low=None)


def risk_of_other_copies(run: Run) -> None:
    change(run, C + 1, 0, **risks(50, None))


def risk_for_another_target(run: Run) -> None:
    run.settings["memorization"]["target"]["parameters"] = "70M"


def risk_without_what_is_predictable(run: Run) -> None:
    row = next(row for row in scores("keep") if row["doc"] == B)
    change(run, B, 0, risk=row["memorized"], risk_low=0.0)


def predictable_as_no_model_said(run: Run) -> None:
    change(run, B, 0, pz_log=-3.0)


def predictable_though_not_read(run: Run) -> None:
    change(run, C + 1, 0, predictable=0.0)


def category_unknown(run: Run) -> None:
    change(run, B, 0, category="recall")


def category_missing(run: Run) -> None:
    change(run, B, 0, category=None)


def risk_is_no_number(run: Run) -> None:
    change(run, B, 0, risk=float("nan"))


def measure_is_no_number(run: Run) -> None:
    change(run, B, 0, min_k=float("nan"))


def risk_missing(run: Run) -> None:
    change(run, B, 0, risk=None)


def reason_missing(run: Run) -> None:
    change(run, C + 1, 0, reason=None)


def scored_by_someone(run: Run) -> None:
    change(run, B, 0, scored_by="hearsay")


def read_and_not_counted(run: Run) -> None:
    change(run, B, 0, copies_deduplicated=None)


def kept_at_risk(run: Run) -> None:
    change(run, B, 0, risk_high=0.5)


def removed_without_risk(run: Run) -> None:
    change(run, A, 0, risk_high=0.49)


def removed_as_reported(run: Run) -> None:
    run.settings["memorization"]["action"] = "report"


def released_at_risk(run: Run) -> None:
    run.data(3, "d.txt", b"Tennyson: ")


def replaced_value_stays(run: Run) -> None:
    text = "*" * 8 + TEXTS[A][WIDTH:]
    lines = [a_line(A, text), a_line(A + 3, LEFT[A + 3], before="")]
    run.data(0, "a.jsonl", "".join(f"{one}\n" for one in lines).encode())


def more_removed_than_at_risk(run: Run) -> None:
    lines = [a_line(A, TEXTS[A][WIDTH + 1 :]), a_line(A + 3, LEFT[A + 3], before="")]
    run.data(0, "a.jsonl", "".join(f"{one}\n" for one in lines).encode())


@pytest.mark.parametrize(
    "change",
    [
        document_without_scores,
        sequence_missing,
        duplicate_has_scores,
        no_document_has_scores,
        memorization_was_off,
        sequence_outside,
        sequence_within_the_one_before,
        sequences_not_sorted,
        sequences_with_a_gap,
        risk_above_one,
        risk_outside_its_band,
        risk_without_a_band,
        risk_of_other_copies,
        risk_for_another_target,
        risk_without_what_is_predictable,
        predictable_as_no_model_said,
        predictable_though_not_read,
        category_unknown,
        category_missing,
        risk_is_no_number,
        measure_is_no_number,
        risk_missing,
        reason_missing,
        scored_by_someone,
        read_and_not_counted,
        kept_at_risk,
        removed_without_risk,
        removed_as_reported,
        released_at_risk,
        replaced_value_stays,
        more_removed_than_at_risk,
    ],
)
def test_accounted_for(run: Run, change: Callable[[Run], None]) -> None:
    change(run)
    assert "accounted for" in broken(run.verify())


def refused_and_no_reject(run: Run) -> None:
    run.table("rejects", [row for row in run.rows("rejects") if row["doc"] != A])


def rejected_and_not_refused(run: Run) -> None:
    change(run, D, 0, action="keep", pz_log=None, **risks(1, None))


def refused_and_released(run: Run) -> None:
    run.data(3, "d.txt", b"Tennyson: ")


@pytest.mark.parametrize(
    ("change", "promises"),
    [
        (refused_and_no_reject, {"accounted for", "twin"}),
        (rejected_and_not_refused, {"accounted for"}),
        (refused_and_released, {"accounted for", "fail closed"}),
    ],
)
def test_documents_are_accounted_for(
    refusing: Run, change: Callable[[Run], None], promises: set[str]
) -> None:
    change(refusing)
    assert broken(refusing.verify()) == promises


def test_copies_of_rejected_documents_are_told(refusing: Run) -> None:
    refusing.report["copies_of_rejected"] = 0
    assert broken(refusing.verify()) == {"twin"}
    del refusing.report["copies_of_rejected"]
    assert broken(refusing.verify()) == {"twin"}


@pytest.mark.parametrize("name", ["copies_input", "copies_deduplicated", "copies"])
def test_exact(tmp_path: Path, name: str) -> None:
    """A count that is one off is found where all sequences are counted again."""
    run = Run(tmp_path)
    write(run, "report")
    value = next(row[name] for row in scores("keep") if row["doc"] == B)
    for wrong in (value - 1, value + 1):
        right = risks(wrong, math.log(0.25)) if name == "copies" else {}
        change(run, B, 0, **{name: wrong}, **right)
        assert broken(run.verify()) == {"exact"}


def test_copies_in_other_documents_count(tmp_path: Path) -> None:
    run = Run(tmp_path)
    write(run, "report")
    assert any(row["copies_input"] > row["copies"] for row in run.rows("scores"))
    run.table("duplicates", [row for row in DUPLICATES if row["doc"] != B + 1])
    assert "exact" in broken(run.verify())
