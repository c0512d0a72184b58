"""The risk: calibrated, monotone in copies, whole where measures lack, and readable in parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.errors import ConfigError, InputError
from unrote.memorization.proxy_risk import PARTS, ProxyRisk, fit, is_scored, recalibrated

MODEL = ("loss_prefix", "loss_suffix", "pz_log", "min_k")


def corpus(n=1200, seed=0):
    """Columns, and the log-odds by which their labels are drawn."""
    draw = np.random.default_rng(seed)
    columns = {
        "copies": draw.choice([1.0, 2, 4, 8, 12, 16, 24, 32, 48], n),
        "copies_near": np.where(draw.random(n) < 0.3, draw.random(n) * 20, 0.0),
        "loss_prefix": draw.normal(3, 0.6, n),
        "loss_suffix": draw.normal(3, 0.6, n),
        "min_k": draw.normal(-8, 1, n),
        "pz_log": np.where(draw.random(n) < 0.7, -np.inf, draw.normal(-60, 10, n)),
        "template": draw.random(n) * 0.2,
        "repetition": draw.random(n) * 0.2,
        "rare_words": draw.random(n) * 0.4,
        "suffix_tokens": np.full(n, 32),
    }
    copies = np.log(columns["copies"] + 0.35 * columns["copies_near"])
    odds = -9 + 3 * copies - 1.5 * (columns["loss_suffix"] - 3) + columns["loss_prefix"] - 3
    return columns, odds


def labels(odds, seed=1):
    return (np.random.default_rng(seed).random(odds.size) < 1 / (1 + np.exp(-odds))).astype(float)


@pytest.fixture(scope="module")
def fitted():
    columns, odds = corpus()
    return fit(columns, labels(odds), np.arange(odds.size) // 8)


def test_probabilities_are_those_of_new_sequences(fitted):
    columns, odds = corpus(4000, seed=2)
    predicted = fitted.predict(columns)
    truth = 1 / (1 + np.exp(-odds))
    assert np.abs(predicted - truth).mean() < 0.03
    for low in np.arange(0, 1, 0.2):
        inside = (predicted >= low) & (predicted < low + 0.2)
        assert predicted[inside].mean() == pytest.approx(truth[inside].mean(), abs=0.05)


def test_the_weight_of_near_copies_is_found(fitted):
    assert fitted.scored.near_weight in {0.2, 0.35, 0.5}


def test_the_parts_add_up_to_the_log_odds(fitted):
    columns, _ = corpus(50, seed=3)
    columns["loss_suffix"][::2] = np.nan
    parts = fitted.parts(columns)
    odds = parts["intercept"] + sum(parts[name] for name in PARTS)
    scored = is_scored(columns)
    assert scored.sum() == 25
    for made, rows in ((fitted.scored, scored), (fitted.text, ~scored)):
        expected = 1 / (1 + np.exp(-(made.scale * odds[rows] + made.shift)))
        assert fitted.predict(columns)[rows] == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_a_sequence_without_measures_gets_the_other_fit(fitted):
    columns, _ = corpus(400, seed=4)
    bare = {name: column for name, column in columns.items() if name not in MODEL}
    mixed = {name: column.copy() for name, column in columns.items()}
    for name in MODEL:
        mixed[name][::2] = np.nan
    assert (fitted.predict(mixed)[::2] == fitted.predict(bare)[::2]).all()
    assert (fitted.predict(mixed)[1::2] == fitted.predict(columns)[1::2]).all()


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.sampled_from(["shipped", "fitted"]),
    st.floats(1, 1e6),
    st.floats(1, 100),
    st.lists(numbers, min_size=8, max_size=8),
)
def test_more_copies_never_lower_it_and_it_is_a_probability(fitted, which, copies, factor, content):
    risk = fitted if which == "fitted" else ProxyRisk.load()
    names = (*MODEL, "template", "repetition", "rare_words", "suffix_tokens")
    columns = {name: np.full(2, value) for name, value in zip(names, content, strict=True)}
    columns["copies"] = np.array([copies, copies * factor])
    low, high = risk.predict(columns)
    assert 0 < low < 1
    assert 0 < high < 1
    assert high >= low - 1e-12
    columns["copies"], columns["copies_near"] = np.full(2, copies), np.array([0, factor])
    low, high = risk.predict(columns)
    assert high >= low - 1e-12


def test_labels_that_fall_with_copies_do_not_make_it_fall():
    columns, _ = corpus()
    made = fit(columns, (columns["copies"] < 8).astype(float))
    assert made.scored.least_slope() >= 0


def test_longer_suffixes_are_extracted_less():
    columns, odds = corpus()
    y = labels(odds)
    extracted = np.where(y > 0, 32, np.random.default_rng(3).integers(0, 32, y.size))
    made = fit(columns, y, extracted_tokens=extracted)
    assert made.scored.length < 0
    short = columns | {"suffix_tokens": np.full(y.size, 16)}
    assert (made.predict(short) >= made.predict(columns)).all()


def test_a_trial_run_moves_the_level_and_keeps_the_order(fitted):
    columns, odds = corpus(600, seed=5)
    stronger = recalibrated(fitted, columns, labels(odds + 3))
    before, after = fitted.predict(columns), stronger.predict(columns)
    assert (np.argsort(before, kind="stable") == np.argsort(after, kind="stable")).all()
    truth = 1 / (1 + np.exp(-odds - 3))
    assert np.abs(after - truth).mean() < 0.04 < np.abs(before - truth).mean()


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_trial_run_of_equal_labels_moves_it_that_way(fitted, label):
    columns, _ = corpus(200, seed=6)
    moved = recalibrated(fitted, columns, np.full(200, label))
    difference = moved.predict(columns) - fitted.predict(columns)
    assert (difference * (label - 0.5) >= 0).all()
    assert np.abs(difference).max() > 0.05
    few = {name: column[:1] for name, column in columns.items()}
    less = recalibrated(fitted, few, np.full(1, label))
    assert abs(less.scored.shift - fitted.scored.shift) < abs(
        moved.scored.shift - fitted.scored.shift
    )


def test_what_is_saved_is_what_is_loaded(fitted, tmp_path):
    columns, _ = corpus(50)
    fitted.save(tmp_path / "risk.json")
    again = ProxyRisk.load(tmp_path / "risk.json")
    assert (again.predict(columns) == fitted.predict(columns)).all()
    assert again == fitted


def test_shipped_coefficients_say_where_they_are_from():
    card = ProxyRisk.load().card
    assert {"what", "fitted_on", "seed", "epochs"} <= set(card)


def test_copies_count_in_the_shipped_coefficients():
    once, often = ProxyRisk.load().predict({"copies": np.array([1.0, 64.0])})
    assert once < 0.1 < often


def test_bad_input_says_what_is_wrong(fitted, tmp_path):
    with pytest.raises(ConfigError, match="needs a column copies"):
        fitted.predict({"loss": np.ones(2)})
    with pytest.raises(ConfigError, match="one length"):
        fitted.predict({"copies": np.ones(2), "loss": np.ones(3)})
    columns, _ = corpus(20)
    with pytest.raises(ConfigError, match="both kinds"):
        fit(columns, np.zeros(20))
    with pytest.raises(ConfigError, match="one for each"):
        recalibrated(fitted, columns, np.zeros(3))
    (tmp_path / "broken.json").write_text('{"scored": {}}')
    with pytest.raises(InputError, match=r"broken\.json"):
        ProxyRisk.load(tmp_path / "broken.json")


def test_no_sequences_have_no_risk(fitted):
    assert fitted.predict({"copies": np.empty(0)}).shape == (0,)
