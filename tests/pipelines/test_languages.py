"""Rules about languages and scripts, and what is known by shard, through whole gates."""

import json
import re

import pytest

import unrote
from tests.corpus.test_languages import TEXTS
from unrote.pipelines.card import card
from unrote.pipelines.policy import MEASURES, OF_SHARDS, Policy

SMALL = {"memorization.max_tokens": 500, "memorization.device": "cpu", "engine.workers": 1}
TOLD = {"languages.enabled": True}
OFF = {"pii.enabled": False, "memorization.enabled": False}


@pytest.fixture
def corpus(tmp_path):
    """A source, and a shard, for each language; in one of them an address and a copy."""
    texts = {
        "en": [f"{TEXTS['en']} Mail jane.roe{n}@corp-mail.org or write." for n in range(4)],
        "ru": [TEXTS["ru"], TEXTS["ru"]],
        "de": [TEXTS["de"] + " Слово.", "ok"],
    }
    for name, rows in texts.items():
        (tmp_path / "in" / name).mkdir(parents=True)
        lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in rows]
        (tmp_path / "in" / name / "a.jsonl").write_text("".join(lines), "utf-8")
    return tmp_path / "in"


def rule(measure, limit, **more):
    lines = [f"measure = {json.dumps(measure)}", f"limit = {limit}"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    return "[[rule]]\n" + "\n".join(lines) + "\n"


def judged(corpus, *rules, **settings):
    policy = corpus.parent / "policy.toml"
    policy.write_text("".join(rules))
    out = corpus.parent / "out"
    return unrote.gate(corpus, policy, out=out, settings=settings).verdict.rules


def test_shares_of_languages_and_scripts(corpus):
    rules = (
        rule("language_share", 0.1, languages=["ru"]),
        rule("other_language_share", 0.9, languages=["en", "unknown"]),
        rule("script_share", 0.01, scripts=["Cyrl"], each_source=True),
        rule("other_script_share", 1, scripts=["Latn"]),
    )
    russian, others, *cyrillic, foreign = judged(corpus, *rules, **OFF, **TOLD)
    letters = {name: len(re.findall(r"[^\W\d_]", text)) for name, text in TEXTS.items()}
    assert not russian.passed
    assert russian.documents == ("ru/a.jsonl#0",)  # its copy is no document of what is left
    assert "unrote show" in russian.remedy
    assert others.passed
    german = russian.measured * (letters["de"] + 5) / letters["ru"]
    assert others.measured == pytest.approx(russian.measured + german)
    assert {r.source: r.passed for r in cyrillic} == {"en": True, "ru": False, "de": False}
    assert {r.source: r.measured for r in cyrillic}["de"] == 5 / (letters["de"] + 7)
    assert foreign.measured == pytest.approx(russian.measured * (letters["ru"] + 5) / letters["ru"])
    (again, *_) = judged(corpus, rules[0], **OFF, **TOLD)  # of the finished run
    assert again == russian


def test_all_that_is_known_by_source_is_known_by_shard(corpus):
    """Each source here is a shard: both kinds of a rule measure the same."""
    names = {"languages": ["de"], "scripts": ["Cyrl"]}
    by = []
    for each in ("each_source", "each_shard"):
        for name in OF_SHARDS:
            kind = MEASURES[name].takes_names
            more = {kind: names[kind]} if kind else {}
            by.append(rule(name, 0, **more, **{each: True}))
    for _ in range(2):  # of the run, and of a finished one
        results = judged(corpus, *by, **SMALL, **TOLD)
        found = {
            (r.rule % len(OF_SHARDS), (r.shard or r.source).removesuffix("/a.jsonl")): []
            for r in results
        }
        for r in results:
            own = (r.measured, r.passed, r.documents)
            found[r.rule % len(OF_SHARDS), (r.shard or r.source).removesuffix("/a.jsonl")] += [own]
        assert len(found) == 3 * len(OF_SHARDS)
        for pair in found.values():
            assert pair[0] == pair[1]
        measured = {(r.measure, r.shard): r.measured for r in results if r.shard}
        assert measured["findings_per_million_words", "en/a.jsonl"] > 0
        assert measured["findings_per_million_words", "ru/a.jsonl"] == 0
        assert measured["expected_extracted", "en/a.jsonl"] > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"measure": "language_share"}, "is about none"),
        ({"measure": "language_share", "languages": ["eng"]}, "'eng' is none that is told"),
        ({"measure": "script_share", "scripts": ["Latin"]}, "Near it: Latn"),
        ({"measure": "script_share", "scripts": ["unknown"]}, "is none that is told"),
        ({"measure": "near_share", "languages": ["en"]}, "has no languages"),
        ({"measure": "script_share", "languages": ["en"]}, "has no languages"),
    ],
)
def test_rules_that_would_say_nothing(given, said):
    with pytest.raises(ValueError, match=said):
        Policy.model_validate({"rule": [given | {"limit": 0}]})


def test_a_rule_needs_the_setting(corpus):
    with pytest.raises(unrote.ConfigError, match=r"languages\.enabled is false"):
        judged(corpus, rule("language_share", 0, languages=["en"]), **OFF)


def test_report_verify_and_papers(corpus, tmp_path):
    out = tmp_path / "clean"
    unrote.clean(corpus, out, settings=OFF | TOLD)
    assert unrote.verify(out).ok
    report = unrote.open_run(out).report
    assert [row.name for row in report.languages.total("languages")] == [
        "en", "de", "ru", "unknown"
    ]  # fmt: skip
    page = (out / "report.html").read_text()
    assert "Languages and scripts" in page
    written = card(out, tmp_path / "papers")
    assert "languages" not in written.gaps
    paper = (tmp_path / "papers" / "README.md").read_text()
    assert 'language: ["en","de","ru"]' in paper
    assert "Languages: en, de, ru (measured by unrote" in paper
