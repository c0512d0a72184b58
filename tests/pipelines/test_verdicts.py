"""A gate's verdict in each format: read back by what reads it elsewhere."""

import json
import re
from io import StringIO

import jsonschema
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml
from pydantic import BaseModel
from sarif_pydantic import Sarif

from tests.command import ROOT, unrote
from tests.examples import examples
from tests.reports import report
from unrote.corpus.errors import UsageError
from unrote.corpus.schema import SCORES
from unrote.pipelines import broken_rules
from unrote.pipelines.policy import Rows
from unrote.pipelines.report.model import RuleResult, Verdict
from unrote.pipelines.report.verdict_files import asked_formats
from unrote.pipelines.report.verdicts import FORMATS, PolicyFile, advice

POLICY = PolicyFile("rules/policy.toml", (3, 7, 20))

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "docs" / "schemas" / "gate.json").read_bytes())
)


def result(**changed):
    plain = {
        "rule": 1, "measure": "near_share", "description": "documents that are near-duplicates",
        "unit": "share", "source": None, "limit": 0.05, "measured": 0.2, "passed": False,
        "remedy": "remove them", "documents": ("web.jsonl#17",),
    }  # fmt: skip
    return RuleResult(**plain | changed)


PASSED = result(measured=0.01, passed=True, remedy="", documents=())
UNKNOWN = result(rule=3, measured=None, reason="there is no document", remedy="", documents=())


def judged(*rules):
    verdict = Verdict(passed=all(rule.passed for rule in rules), rules=rules)
    return report().model_copy(update={"verdict": verdict})


def unknown_fields(part):
    """The fields of a parsed model, and of the models in it, that the model does not have."""
    if isinstance(part, BaseModel):
        yield from part.model_extra or ()
        for value in vars(part).values():
            yield from unknown_fields(value)
    elif isinstance(part, list):
        for one in part:
            yield from unknown_fields(one)


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
results = st.builds(
    result,
    rule=st.none() | st.integers(1, 5),
    measure=st.sampled_from(["near_share", "secrets_per_million_words of SECRET"]),
    source=st.none() | anything,
    reason=anything,
    measured=st.none() | st.floats(0, 1),
    documents=st.lists(anything.filter(bool), max_size=3).map(tuple),
    passed=st.booleans(),
)
verdicts = st.lists(results, min_size=1, max_size=4)
few = examples(25)


class TestEachFormat:
    @few
    @given(verdicts)
    def test_json_has_its_schema(self, rules):
        told = json.loads(FORMATS["json"](judged(*rules), POLICY))
        SCHEMA.validate(told)
        assert [rule["source"] for rule in told["rules"]] == [rule.source for rule in rules]

    @few
    @given(verdicts)
    def test_junit_has_a_test_for_each_rule(self, rules):
        read = JUnitXml.fromstring(FORMATS["junit"](judged(*rules), POLICY).encode())
        failures = [case for suite in read for case in suite if case.result]
        assert (read.tests, read.failures) == (len(rules), len(failures))
        assert len(failures) == sum(not rule.passed for rule in rules)

    @few
    @given(verdicts)
    def test_sarif_has_a_result_for_each_broken_rule(self, rules):
        text = FORMATS["sarif"](judged(*rules), POLICY)
        read = Sarif.model_validate_json(text)
        assert [*unknown_fields(read)] == []
        (run,) = read.runs
        assert len(run.results) == sum(not rule.passed for rule in rules)
        ids = [rule.id for rule in run.tool.driver.rules]
        for one in run.results:
            assert one.rule_id == ids[one.rule_index]
            assert one.message.text
            (location,) = one.locations
            assert location.physical_location.region.start_line in {1, *POLICY.lines}

    @few
    @given(verdicts)
    def test_github_takes_one_line_for_each_broken_rule(self, rules):
        lines = FORMATS["github"](judged(*rules), POLICY).splitlines()
        broken = [rule for rule in rules if not rule.passed]
        assert len(lines) == max(1, len(broken))
        for line in lines if broken else ():
            command = r"::error file=rules/policy\.toml,line=\d+,title=[^,:]*::[^\r\n]+"
            assert re.fullmatch(command, line)

    @few
    @given(verdicts)
    def test_markdown_has_a_row_for_each_rule(self, rules):
        lines = FORMATS["markdown"](judged(*rules), POLICY).split("\n")
        rows = [line for line in lines if line.startswith(("| ✅", "| ❌"))]
        assert len(rows) == len(rules)
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("rules", [(PASSED,), (PASSED, result()), (UNKNOWN,), ()])
    def test_nothing_is_passed_that_is_not(self, name, rules):
        text = FORMATS[name](judged(*rules), POLICY)
        passed = {
            "json": '"passed": true,\n  "policy"', "junit": 'failures="0"', "github": "::notice",
            "sarif": '"results": []', "markdown": "✅ unrote gate: Passed",
        }[name]  # fmt: skip
        assert (passed in text) == all(rule.passed for rule in rules)


def test_a_rule_is_shown_at_its_line():
    text = '# [[rule]]\n[[rule]]\nmeasure = "a"\n\n  [[ rule ]]\nmeasure = "b"\n'
    policy = PolicyFile.of("policy.toml", text)
    assert policy.lines == (2, 5)
    assert [policy.line(result(rule=n)) for n in (None, 1, 2, 3)] == [1, 2, 5, 1]


def test_advice_says_what_to_do_and_where_to_look():
    assert advice(result()) == "Remove them. For example web.jsonl#17."
    assert advice(UNKNOWN) == "There is no document."


@examples(40)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=8),
        max_size=4,
    )
)
def test_the_riskiest_documents_are_named(batches):
    def found(*_):
        for rows in batches:
            yield 0, pa.table({"doc": [doc for doc, _ in rows], "risk": [v / 8 for _, v in rows]})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broken_rules, "counted_rows", found)
        named = broken_rules._documents(None, Rows(SCORES, highest=lambda _: "risk"), None)
    most = {}
    for doc, value in (row for rows in batches for row in rows):
        most[doc] = max(value, most.get(doc, 0))
    assert named == sorted(most, key=lambda doc: (-most[doc], doc))[: broken_rules.SHOWN]


class TestWhereTo:
    def test_text_goes_to_stdout_without_being_asked(self):
        assert [(one.name, one.file) for one in asked_formats([])] == [("text", "")]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["yaml"], "text, json"),
            (["json", "text"], "stdout"),
            (["json=a", "junit=./a"], "Name a file for each"),
            (["json=missing/a"], "folder"),
            (["json="], "folder"),
        ],
    )
    def test_what_cannot_be_is_refused_before_the_run(self, options, said, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError, match=said):
            asked_formats(options)

    def test_formats_and_documents_through_the_command(self, tmp_path):
        """stdout is data alone, in one format; others go to files. Documents that broke a rule
        are named, of the source that it is about.
        """
        for source, texts in {"a": ["one text"] * 3, "b": ["two texts", "x", "two texts"]}.items():
            rows = [json.dumps({"text": f"{text} of some length"}) for text in texts]
            (tmp_path / "in" / source).mkdir(parents=True)
            (tmp_path / "in" / source / "all.jsonl").write_text("\n".join(rows))
        rule = '[[rule]]\nmeasure = "exact_share"\nlimit = 0.1\n'
        (tmp_path / "policy.toml").write_text(rule + "\n" + rule + "each_source = true\n")
        off = [
            part for one in ("pii", "memorization") for part in ("--set", f"{one}.enabled=false")
        ]
        files = [f"--format={name}={tmp_path / name}" for name in ("text", "junit", "sarif")]
        gate = ["gate", tmp_path / "in", "--policy", tmp_path / "policy.toml", *off]
        for again in ((), ("--set", "engine.workers=1")):  # the second has the first one's tables
            done = unrote(*gate, "--format=json", *files, "-o", tmp_path / "out", *again)
            told = json.loads(done.out)
            SCHEMA.validate(told)
            assert (done.status, told["passed"]) == (1, False)
            assert [(r["source"], r["documents"]) for r in told["rules"]] == [
                (None, ["a/all.jsonl#1", "a/all.jsonl#2", "b/all.jsonl#2"]),
                ("a", ["a/all.jsonl#1", "a/all.jsonl#2"]),
                ("b", ["b/all.jsonl#2"]),
            ]
        assert "Refused: 3 of 3 rules broken." in (tmp_path / "text").read_text()
        assert JUnitXml.fromfile(str(tmp_path / "junit")).failures == 3
        lines = json.loads((tmp_path / "sarif").read_bytes())["runs"][0]["results"]
        starts = [one["locations"][0]["physicalLocation"]["region"]["startLine"] for one in lines]
        assert starts == [1, 5, 5]
        for name in told["rules"][0]["documents"]:
            assert unrote("show", tmp_path / "out", name).status == 0
        assert StringIO(done.err).readline().startswith("{")
