"""Sampled gates: intervals that hold, by simulation, and rules that go by their bad end."""

import json

import numpy as np
import pytest

import unrote as library
from tests.command import unrote
from unrote.pipelines.sampled import is_sampled
from unrote.pipelines.sampling import estimate, poisson_interval

POLICY = """
[[rule]]
measure = "exact_share"
limit = 0.5

[[rule]]
measure = "findings_per_million_words"
type = "EMAIL_ADDRESS"
limit = {limit}
"""

SAMPLES = 150


def population(kind, rng, size=4000):
    """Words and findings of documents."""
    words = rng.lognormal(5, 1, size).astype(int) + 5.0
    if kind == "spread":
        return words, rng.poisson(words / 200).astype(float)
    if kind == "rare":
        return words, (rng.random(size) < 0.02).astype(float)
    return words, np.where(rng.random(size) < 0.05, rng.poisson(8, size), 0).astype(float)


@pytest.mark.parametrize("kind", ["spread", "rare", "clustered"])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_intervals_cover_and_the_estimate_has_no_bias(kind, share):
    """Of SAMPLES at least 92 % of the intervals have the truth in them; on the bad side, which
    rules go by, at least 95 %.
    """
    words, found = population(kind, np.random.default_rng(5))
    truth = found.sum() / words.sum()
    values, within, below = [], 0, 0
    for turn in range(SAMPLES):
        drawn = is_sampled([f"{turn}#{n}" for n in range(words.size)], share)
        one = estimate(found[drawn], words[drawn], share)
        values.append(one.value)
        within += one.low <= truth <= one.high
        below += truth <= one.high
        assert one.low <= one.value <= one.high
    assert within >= 0.92 * SAMPLES
    assert below >= 0.95 * SAMPLES
    assert np.mean(values) == pytest.approx(truth, rel=0.1)


def test_a_sample_does_not_depend_on_order_and_grows():
    ids = [f"web/a.jsonl#{n}" for n in range(20_000)]
    small, large = is_sampled(ids, 0.01), is_sampled(ids, 0.05)
    assert not (small & ~large).any()
    assert small.mean() == pytest.approx(0.01, rel=0.3)
    assert (is_sampled(ids[::-1], 0.05)[::-1] == large).all()
    assert is_sampled(ids, 1).all()


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.689), (1, 0.025, 5.572), (10, 4.795, 18.39)]
)
def test_garwoods_interval(count, low, high):
    """Garwood's table, by its approximation."""
    assert poisson_interval(count) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sampled")
    rows = [{"text": f"row {n} has nothing of note in all of its few words"} for n in range(600)]
    rows += [{"text": f"write to person{n}@acme.org in row {n} of this"} for n in range(60)]
    rows += rows[:40]
    (folder / "in").mkdir()
    (folder / "in" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def gate(folder, limit, *args):
    (folder / "policy.toml").write_text(POLICY.format(limit=limit))
    off = ("--set", "dedup.near.enabled=false", "--set", "dedup.passages.enabled=false", "-q")
    done = unrote("gate", folder / "in", "--policy", folder / "policy.toml", *off, *args)
    return done, json.loads(done.out) if "--format=json" in args else None


def test_a_rule_goes_by_the_bad_end(corpus):
    _, whole = gate(corpus, 1e6, "--format=json")
    exact, found = whole["rules"]
    assert found["high"] is None
    done, told = gate(corpus, 1e6, "--sample", "50%", "--format=json", "-o", corpus / "out")
    assert done.status == 0
    assert told["rules"][0]["measured"] == exact["measured"]  # duplicates are looked for in all
    sampled = told["rules"][1]
    assert sampled["low"] < found["measured"] < sampled["high"]
    assert any("50 %" in note for note in told["notes"])
    run = library.open_run(corpus / "out")
    assert 0 < run.table("findings").num_rows < 60
    between = (sampled["measured"] + sampled["high"]) / 2
    done, told = gate(corpus, between, "--sample", "0.5", "--format=json", "-o", corpus / "out")
    (_, rule) = told["rules"]
    assert (done.status, rule["passed"]) == (1, False)
    assert rule["measured"] <= between < rule["high"]
    assert "draw a larger sample" in rule["reason"]
    assert f"{rule['high']:,.4g}" in (corpus / "out" / "report.html").read_text()
    assert library.verify(corpus / "out").ok


def test_what_a_sample_cannot_say(corpus, monkeypatch):
    done, told = gate(corpus, 1e6, "--sample", "1%", "--format=json")
    assert (done.status, told["rules"][1]["measured"]) == (1, None)
    assert "fewer than 30" in told["rules"][1]["reason"]
    for share in ("0", "200%", "many"):
        done, _ = gate(corpus, 0, "--sample", share)
        assert (done.status, "above 0" in done.err) == (2, True)
    monkeypatch.setenv("UNROTE_KEY", "a key of these tests, which nobody else has")
    done, _ = gate(corpus, 0, "--sample", "5%", "--write-baseline", corpus / "b.json")
    assert (done.status, "Leave one" in done.err) == (2, True)


def test_a_clean_searches_all(corpus, tmp_path):
    with pytest.raises(library.ConfigError, match="nobody searched"):
        library.clean(corpus / "in", tmp_path / "out", settings={"pii.sample": 0.5})
