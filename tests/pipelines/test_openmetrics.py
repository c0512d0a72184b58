"""metrics.prom: what Prometheus' own parser reads in it."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import parser as older
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.command import unrote
from tests.corpora import personal, write_corpus, write_jsonl
from tests.examples import examples
from tests.reports import report
from unrote.pipelines.finished import open_run
from unrote.pipelines.report.model import RuleResult, Verdict
from unrote.pipelines.report.openmetrics import as_openmetrics


def samples(text):
    """Values by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_gate_s_numbers_are_those_of_its_report(tmp_path):
    write_corpus(tmp_path / "in", count=20)
    write_jsonl(tmp_path / "in" / "web" / "personal.jsonl", personal(1, 6))
    rule = '[[rule]]\nmeasure = "near_share"\nlimit = 0\n'
    (tmp_path / "policy.toml").write_text(rule)
    gate = ["gate", tmp_path / "in", "--policy", tmp_path / "policy.toml", "-o", tmp_path / "out"]
    options = [f"--set=memorization.{one}" for one in ("max_tokens=2000", "device=cpu")]
    assert unrote(*gate, *options).status == 1
    told, run = samples((tmp_path / "out" / "metrics.prom").read_text()), open_run(tmp_path / "out")
    total, found = run.report.total, run.report.memorization
    assert told["unrote_documents", "input"] == total.documents == 26
    assert told["unrote_documents", "kept"] == total.kept.documents
    assert told["unrote_text_bytes", "near"] == total.near.bytes
    for one in run.report.findings.types:
        assert told["unrote_findings", one.type] == one.findings
        assert told["unrote_findings_changed", one.type] == one.changed
    for step in found.steps:
        high = told["unrote_extractable_sequences", *sorted(("high", step.view))]
        assert high == step.expected_high
        assert told["unrote_sequences_at_risk", step.view] == step.at_risk
    assert told["unrote_gate_passed",] == 0
    assert told["unrote_gate_rule_passed", "", "0", "near_share"] == 0
    ended = datetime.fromisoformat(run.report.finished).timestamp()
    assert told["unrote_run_finished_timestamp_seconds",] == ended
    assert unrote("verify", tmp_path / "out").status == 0


@examples(40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
def test_names_of_strangers_break_nothing(sources):
    rules = tuple(
        RuleResult(
            rule=1, measure="near_share", description="", unit="share", source=source,
            limit=0.1, measured=0.25, passed=False,
        )
        for source in sources
    )  # fmt: skip
    judged = report().model_copy(update={"verdict": Verdict(passed=False, rules=rules)})
    text = as_openmetrics(judged)
    measured = [
        [one for one in read(text) if one.name == "unrote_gate_rule_measured"]
        for read in (text_string_to_metric_families, older.text_string_to_metric_families)
    ]
    for families in measured:
        assert [s.value for family in families for s in family.samples] == [0.25] * len(sources)
