"""Presidio recognisers by import path: where they run, what they find, what goes wrong."""

import json
import pickle
from random import Random
from string import ascii_letters, digits

import pytest

pytest.importorskip("presidio_analyzer")

from tests.command import settings, unrote
from tests.corpora import write_jsonl
from unrote.corpus.errors import ConfigError
from unrote.pii.config import Config
from unrote.pii.findings import Failure
from unrote.pii.scanner_cache import open_scanner
from unrote.pipelines.policy import Policy, check_policy

BADGES, ANIMALS = "tests.pii.own:Badges", "tests.pii.own:Animals"


def found(text, *paths, **more):
    scanner = open_scanner(
        Config(
            recognizers=paths, secrets=False, names=False, addresses=False, markers=False, **more
        )
    )
    findings = scanner.find(text)
    assert not isinstance(findings, Failure)
    return [(text[f.start : f.end], f.type, f.origin) for f in findings]


def test_a_pattern_recogniser_finds_beside_the_presets():
    text = "Badge BDG-1234 of ada@unrote.org"
    assert found(text, BADGES) == [("BDG-1234", "BADGE", "Badges")]
    assert {type_ for _, type_, _ in found(text, "EMAIL_ADDRESS", BADGES)} == {
        "BADGE",
        "EMAIL_ADDRESS",
    }


def test_an_instance_is_taken_as_it_is():
    assert found("BDG-1234", "tests.pii.own:BADGES") == [("BDG-1234", "BADGE", "Badges")]


def test_a_recogniser_with_an_analyze_of_its_own_has_all_its_entities():
    text = "a heron eats\na trout"
    assert found(text, ANIMALS) == [("heron", "BIRD", "Animals"), ("trout", "FISH", "Animals")]


def test_thresholds_take_its_entities():
    assert found("a heron", ANIMALS, thresholds=(("BIRD", 0.95),)) == []


def test_findings_are_the_same_without_the_prefilter():
    text = "no\n" * 300 + "Badge BDG-1234\n" + "no\n" * 300
    assert found(text, BADGES) == found(text, BADGES, prefilter=False)


@pytest.mark.parametrize("text", ["a unicorn", "a whale"])
def test_what_raises_or_lies_rejects_the_document_and_says_nothing_of_it(text):
    scanner = open_scanner(Config(recognizers=(ANIMALS,)))
    failure = scanner.find(text)
    assert isinstance(failure, Failure)
    assert failure.origin == "Animals"
    assert text not in failure.reason
    assert not isinstance(scanner.find("a heron"), Failure)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_package.module:One", "importing no_such_package.module raised"),
        ("tests.pii.own:Nobody", "has no Nobody. Recognisers in it: Animals, BADGES, Badges"),
        ("tests.pii.own:NUMBER", "no EntityRecognizer"),
        ("tests.pii.own:Nothing", "names no entity"),
        ("tests.pii.own:Needy", "raised TypeError"),
    ],
)
def test_errors_say_what_is_wrong(path, message):
    with pytest.raises(ConfigError, match=r"pii\.recognizers") as error:
        open_scanner(Config(recognizers=(path,)))
    assert message in str(error.value)


@pytest.mark.parametrize("path", ["a b:C", "module:", ":Name", "module:a.b", "a::b"])
def test_an_import_path_is_a_module_and_a_name(path):
    with pytest.raises(ConfigError, match="import path"):
        Config(recognizers=(path,))


def test_a_configuration_with_one_can_be_sent_to_workers():
    config = Config(recognizers=(ANIMALS,))
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_clean_with_one_counts_acts_and_gates(tmp_path):
    write_jsonl(
        tmp_path / "in" / "a.jsonl",
        [{"text": f"The badge BDG-{n:04d} was seen beside a heron, row {n}."} for n in range(8)]
        + [{"text": "A unicorn, which nobody can read."}],
    )
    arguments = [
        f'pii.recognizers=["default", "{BADGES}", "{ANIMALS}"]',
        'pii.actions={BADGE = "placeholder", BIRD = "keep"}',
        "memorization.enabled=false",
        "dedup.near.enabled=false",
        "engine.workers=2",
    ]
    given = [part for one in arguments for part in ("--set", one)]
    out = tmp_path / "out"
    done = unrote("clean", tmp_path / "in", "-o", out, *given)
    assert done.status == 0, done.err
    texts = [json.loads(line)["text"] for line in (out / "data/a.jsonl").read_text().splitlines()]
    assert len(texts) == 8
    assert all("[BADGE]" in text and "heron" in text for text in texts)
    report = json.loads((out / "report.json").read_text())
    assert "BADGE" in json.dumps(report)
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[rule]]\nmeasure = "findings_per_million_words"\ntype = "BADGE"\nlimit = 0\n'
    )
    gated = unrote("gate", tmp_path / "in", "-o", tmp_path / "gate", *given, "--policy", policy)
    assert gated.status == 1, gated.err
    assert "BADGE" in gated.out
    assert BADGES in unrote("explain", *given).out


def rule_about(type_):
    return Policy.model_validate(
        {"rule": [{"measure": "findings_per_million_words", "type": type_, "limit": 0}]}
    )


def test_a_policy_takes_the_types_that_the_settings_look_for_and_no_others():
    patterns = 'pii.patterns=[{name = "CASE_NUMBER", regex = "CASE-[0-9]{5}"}]'
    check_policy(rule_about("CASE_NUMBER"), settings(patterns).model_dump())
    own = settings(f'pii.recognizers=["{BADGES}"]').model_dump()
    check_policy(rule_about("BADGE"), own)
    with pytest.raises(ConfigError, match=r"rule 1 of the policy: 'CASE_NUMBR'.*CASE_NUMBER"):
        check_policy(rule_about("CASE_NUMBR"), settings(patterns).model_dump())
    with pytest.raises(ConfigError, match="US_SNS"):
        check_policy(rule_about("US_SNS"), settings().model_dump())


def test_show_names_the_rule_of_a_secret(tmp_path):
    token = "ghp_" + "".join(Random(3).choices(ascii_letters + digits, k=36))
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"id": "one", "text": f"token: {token}"}])
    out = tmp_path / "out"
    assert unrote("clean", tmp_path / "in", "-o", out).status == 0
    shown = unrote("show", out, "one").out
    assert "(github-token)" in shown
    assert token not in shown
