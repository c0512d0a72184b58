"""Policies: what they may say, and how a corpus measures up to them."""

import json
import re
from pathlib import Path

import pytest

import unrote
from tests.reports import report
from unrote.corpus.errors import ConfigError, RunError
from unrote.pipelines.config import Settings
from unrote.pipelines.policy import (
    MEASURES,
    Policy,
    Scope,
    check_policy,
    evaluate,
    load_policy,
    measure,
    results_of,
)
from unrote.pipelines.report.model import Findings

EXAMPLE = Path(__file__).parents[2] / "pipelines" / "templates" / "policy.toml"


NO_FINDINGS = Findings(total=0, changed=0, types=(), kinds=(), by_source=())


def policy(*rules: dict) -> Policy:
    return Policy.model_validate({"rule": list(rules)})


def named(measure: str) -> dict:
    """The languages or scripts that a rule with this measure has to name."""
    kind = MEASURES[measure].takes_names
    return {kind: {"languages": ["en"], "scripts": ["Latn"]}[kind]} if kind else {}


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "web", "overall"),
    [
        ("exact_share", 0.1, 10 / 150),
        ("near_share", 0.2, 20 / 150),
        ("duplicate_share", 0.3, 30 / 150),
        ("passage_share", 0.08, 80 / 1500),
    ],
)
def test_measures(name, web, overall):
    results = results_of(
        policy(
            {"measure": name, "limit": 0.15}, {"measure": name, "limit": 1, "each_source": True}
        ),
        report(),
    )
    assert [(r.source, r.measured) for r in results] == [
        (None, pytest.approx(overall)),
        ("web", pytest.approx(web)),
        ("books", 0),
    ]


def test_a_limit_is_the_highest_value_that_passes():
    rules = [{"measure": "near_share", "limit": limit, "source": "web"} for limit in (0.2, 0.1999)]
    assert [result.passed for result in results_of(policy(*rules), report())] == [True, False]


def test_one_broken_rule_refuses():
    held = {"measure": "exact_share", "limit": 0.5}
    broken = {"measure": "near_share", "limit": 0}
    assert evaluate(policy(held), report()).passed
    evaluated = evaluate(policy(held, broken), report())
    assert not evaluated.passed
    assert evaluated.verdict is not None
    assert [rule.passed for rule in evaluated.verdict.rules] == [True, False]
    assert report().passed


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_nothing_divided_by_nothing_passes_nothing(name):
    """Of every measure: a source without documents has no share of 0."""
    if MEASURES[name].overall_only or "memorization.enabled" in MEASURES[name].needs:
        return
    found = report(documents=0, languages={"enabled": True})
    found = found.model_copy(update={"findings": NO_FINDINGS})
    rule = {"measure": name, "limit": 1, "source": "web"} | named(name)
    (result,) = results_of(policy(rule), found)
    assert (result.measured, result.passed) == (None, False)
    assert result.reason


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("near_share", "near"),
        ("exact_share", "exact"),
        ("duplicate_share", "near"),
        ("passage_share", "passages"),
    ],
)
def test_what_is_not_looked_for_cannot_be_limited(name, off):
    settings = {"dedup": {off: {"enabled": False}}}
    rules = policy({"measure": name, "limit": 0.1})
    with pytest.raises(ConfigError, match=f"rule 1 .*{name}.*dedup.{off}.enabled is false"):
        results_of(rules, report(**settings))
    with pytest.raises(ConfigError, match=name):
        check_policy(rules, Settings.model_validate(settings).model_dump())
    check_policy(rules, Settings().model_dump())


def test_passages_that_nobody_measured_do_not_pass():
    found = report()
    nothing = found.total.passages.model_copy(update={"bytes": 0})
    changes = {"passage_chars": 9, "passages": nothing, "remainder": nothing}
    unmeasured = found.model_copy(update={"total": found.total.model_copy(update=changes)})
    with pytest.raises(RunError, match="not how many bytes"):
        results_of(policy({"measure": "passage_share", "limit": 0.1}), unmeasured)


def test_an_unknown_source_is_an_error():
    with pytest.raises(
        ConfigError, match=r"'wob'.*Did you mean 'web'\? Its sources: 'web', 'books'\."
    ):
        results_of(policy({"measure": "near_share", "limit": 0.1, "source": "wob"}), report())


def test_each_source_needs_all_sources():
    rules = policy({"measure": "near_share", "limit": 0.1, "each_source": True})
    with pytest.raises(ConfigError, match="each source, and there are 3 of them"):
        results_of(rules, report(others=True))


def test_an_empty_policy_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no rule, so everything would pass"):
        load_policy(written(tmp_path, ""))
    with pytest.raises(ConfigError, match="no rule"):
        results_of(policy(), report())


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('measure = "near_shar"\nlimit = 0.1', "did you mean 'near_share'"),
        ('measure = "near_share"\nlimt = 0.1', "Did you mean 'limit'"),
        ('measure = "near_share"', r"rule\.0\.limit"),
        ('measure = "near_share"\nlimit = 5', "5 percent is 0.05"),
        ('measure = "near_share"\nlimit = -1', "greater than or equal to 0"),
        ('measure = "near_share"\nlimit = nan', "finite"),
        ('measure = "near_share"\nlimit = 0.1\nsource = "a"\neach_source = true', "exclude"),
        ('measure = "rejects_share"\nlimit = 0.1\neach_source = true', "could not be read has no"),
        ('measure = "rejects_share"\nlimit = 0.1\nsource = "web"', "could not be read has no"),
    ],
)
def test_what_a_policy_must_not_say(tmp_path, rule, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_policy(written(tmp_path, f"[[rule]]\n{rule}\n"))
    assert "policy.toml" in str(caught.value)


def test_the_example_loads_and_measures_everything():
    example = load_policy(EXAMPLE)
    named = re.findall(r'^(?:# )?measure = "(\w+)"', EXAMPLE.read_text(), re.MULTILINE)
    assert set(named) == set(MEASURES)
    assert results_of(example, report())


def test_other_packages_register_measures_of_their_own(monkeypatch):
    monkeypatch.setattr("unrote.pipelines.policy.MEASURES", dict(MEASURES))

    @measure("documents_of_a_source", "documents", unit="documents", remedy="remove some")
    def documents(scope: Scope) -> float:
        return scope.balance.documents

    (result,) = results_of(policy({"measure": "documents_of_a_source", "limit": 60}), report())
    assert (result.measured, result.unit, result.passed) == (150, "documents", False)
    with pytest.raises(ValueError, match="registered twice"):
        measure("documents_of_a_source", "again", remedy="remove some")(documents)


class TestMinima:
    """Of documents and bytes the limit is the lowest value that passes, and of each source."""

    def test_of_each_source(self):
        rules = policy(
            {"measure": "documents", "limit": 60, "each_source": True},
            {"measure": "bytes", "limit": 500},
        )
        results = results_of(rules, report())
        assert [(r.source, r.measured, r.passed, r.lowest) for r in results] == [
            ("web", 65, True, True), ("books", 50, False, True), (None, 1120, True, True)
        ]  # fmt: skip
        assert "add documents" in results[1].remedy

    def test_nothing_is_too_little(self):
        (result,) = results_of(
            policy({"measure": "documents", "limit": 1, "source": "web"}), report(documents=0)
        )
        assert not result.passed


def test_hot_documents():
    found = report().model_copy(update={"hot_documents": 15})
    (result,) = results_of(policy({"measure": "hot_documents_share", "limit": 0.05}), found)
    assert (result.measured, result.passed) == (0.1, False)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"measure": "near_share", "target": "70B"}, "has no targets"),
        ({"measure": "expected_extracted", "target": "many"}, "'many' is no size"),
        ({"measure": "expected_extracted", "target": "70B", "category": "recite"}, "whole corpus"),
    ],
)
def test_targets_of_other_sizes(rule, said):
    with pytest.raises(ValueError, match=said):
        policy(rule | {"limit": 0})


def test_of_each_shard(tmp_path):
    """By the tables of this run, of a finished one, and with what a baseline has."""
    (tmp_path / "in").mkdir()
    texts = {"a": ["one text"] * 3, "b": ["two texts", "three texts"], "c": []}
    for name, rows in texts.items():
        lines = [json.dumps({"text": f"{text} of some length"}) + "\n" for text in rows]
        (tmp_path / "in" / f"{name}.jsonl").write_text("".join(lines))
    rules = '[[rule]]\nmeasure = "{}"\nlimit = {}\neach_shard = true\n'
    (tmp_path / "policy.toml").write_text(
        rules.format("exact_share", 0.5) + rules.format("documents", 1)
    )
    off = {"pii.enabled": False, "memorization.enabled": False}
    for _ in range(2):
        report = unrote.gate(
            tmp_path / "in", tmp_path / "policy.toml", out=tmp_path / "out", settings=off
        )
        found = [(r.shard, r.source, r.measured, r.passed, r.documents) for r in
                 report.verdict.rules]  # fmt: skip
        assert found == [
            ("a.jsonl", None, 2 / 3, False, ("a.jsonl#1", "a.jsonl#2")),
            ("b.jsonl", None, 0, True, ()),
            ("c.jsonl", None, None, False, ()),
            ("a.jsonl", None, 1, True, ()),
            ("b.jsonl", None, 2, True, ()),
            ("c.jsonl", None, None, False, ()),
        ]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"measure": "rejects_share"}, "not known by shard"),
        ({"measure": "near_share", "each_source": True}, "write two rules"),
    ],
)
def test_what_is_not_known_by_shard(rule, said):
    with pytest.raises(ValueError, match=said):
        policy(rule | {"limit": 0, "each_shard": True})
