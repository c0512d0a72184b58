"""The experiment's measures beside obvious versions, and what its text must be like."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.memorization import evaluation, planted

scored = st.lists(
    st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 2)), min_size=1, max_size=40
)


def columns(rows):
    return tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True))


def pairs_won(scores, labels):
    return [
        (one > two) + (one == two) / 2 for one in scores[labels > 0] for two in scores[labels == 0]
    ]


@given(scored)
def test_auroc_is_the_share_of_pairs(rows):
    scores, labels, levels = columns(rows)
    won = pairs_won(scores, labels)
    assert evaluation.auroc(scores, labels) == pytest.approx(
        np.mean(won) if won else np.nan, nan_ok=True
    )
    within = [
        pair
        for level in set(levels)
        for pair in pairs_won(scores[levels == level], labels[levels == level])
    ]
    assert evaluation.auroc_within(scores, labels, levels) == pytest.approx(
        np.mean(within) if within else np.nan, nan_ok=True
    )


@given(scored)
def test_budgets_take_equals_evenly(rows):
    scores, labels, _ = columns(rows)
    if labels.sum():
        assert evaluation.recall_at(scores, labels, 1.0) == pytest.approx(1)
        drawn = []
        for seed in range(300):
            order = np.random.default_rng(seed).permutation(labels.size)
            ranked = order[np.argsort(-scores[order], kind="stable")]
            drawn.append(labels[ranked[: max(1, round(0.3 * labels.size))]].sum() / labels.sum())
        assert evaluation.recall_at(scores, labels, 0.3) == pytest.approx(np.mean(drawn), abs=0.12)


def test_average_precision_by_hand():
    found = evaluation.average_precision(np.array([4.0, 3, 2, 1]), np.array([1.0, 0, 1, 0]))
    assert found == pytest.approx((1 + 2 / 3) / 2)
    even = evaluation.average_precision(np.ones(4), np.array([1.0, 0, 0, 0]))
    assert even == pytest.approx(0.25)


def test_calibration_error_is_the_mean_gap():
    predicted = np.repeat(np.arange(10) / 10, 100)
    labels = np.concatenate([np.arange(100) < 10 * k for k in range(10)]).astype(float)
    assert evaluation.calibration_error(predicted, labels) == pytest.approx(0)
    assert evaluation.calibration_error(predicted + 0.1, labels) == pytest.approx(0.1)
    assert evaluation.brier(predicted, predicted) == 0


def test_correlation_within_levels_ignores_the_levels_themselves():
    levels = np.repeat([1.0, 2], 50)
    graded = np.random.default_rng(0).normal(size=100) + 10 * levels
    assert evaluation.correlation_within(levels, graded, levels) == 0
    assert evaluation.correlation_within(-10 * levels + graded, graded, levels) == pytest.approx(1)


def test_the_bootstrap_draws_whole_documents():
    documents = np.repeat(np.arange(20), 5)
    drawn = evaluation.bootstrap(
        lambda rows: np.array([rows.size, np.bincount(documents[rows]).max() % 5]), documents, 50, 0
    )
    assert (drawn == [100, 0]).all()
    assert evaluation.interval(np.arange(1001.0)) == (25, 975)


def target(ids, half=0, arm="planted", level=1, near=0, rate=0.0):
    return planted.Target(str(ids), ids, str(ids), "s", half, arm, level, near, rate)


def occurrences(documents, ids):
    text = [" ".join(map(str, document.tolist())) for document in documents]
    return [f" {one} ".count(" " + " ".join(map(str, ids)) + " ") for one in text]


def test_copies_are_planted_as_often_as_said_and_once_in_a_document():
    background = [np.zeros(size, dtype=np.int64) for size in range(50, 80)]
    one, two = list(range(100, 110)), list(range(200, 210))
    fuzzy = list(range(300, 310))
    targets = [
        target(one, level=7),
        target(two, half=1, level=5),
        target(fuzzy, arm="fuzzy", level=1, near=6, rate=1.0),
        target([0] * 10, arm="natural", level=3),
    ]
    for seed, expected in ((0, (7, 0)), (1, (0, 5)), (2, (7, 0))):
        made = planted.training_documents(background, targets, seed, np.array([400]))
        for ids, count in zip((one, two), expected, strict=True):
            found = occurrences(made, ids)
            assert sum(found) == count
            assert max(found) <= 1
        assert all((ids == 0).sum() == own.size for ids, own in zip(made, background, strict=True))
        here = seed % 2 == 0
        assert sum(np.isin(ids, fuzzy).sum() for ids in made) == 10 * here
        assert sum((ids == 400).sum() for ids in made) == 60 * here
    again = planted.training_documents(background, targets, 1, np.array([400]))
    first = planted.training_documents(background, targets, 1, np.array([400]))
    assert all((a == b).all() for a, b in zip(again, first, strict=True))


def test_a_document_is_on_one_side_and_sides_are_even():
    found = [
        planted.Target("", [], f"doc {n}", f"source {n % 3}", 0, "", 0)
        for n in range(60)
        for _ in range(1 + n % 7)
    ]
    planted.halves(found, random.Random(0))
    sides = {}
    for one in found:
        assert sides.setdefault(one.document, one.half) == one.half
    assert abs(sum(one.half for one in found) - len(found) / 2) < 15


def test_copies_in_text_are_counted_exactly_and_by_five_words():
    passage = "one two three four five six seven eight nine ten"
    near = "zero one two three four five six seven and then something else"
    exact, similar = planted.copies([passage], [f"a {passage} b {passage}", near, "nothing here"])
    assert exact.tolist() == [2]
    assert similar.tolist() == [pytest.approx(3 / 6)]


def test_equal_runs_have_equal_hashes():
    ids = np.random.default_rng(0).integers(0, 4, 400)
    hashes = planted.gram_hashes(ids, 4)
    runs = [tuple(ids[k : k + 4]) for k in range(397)]
    assert len(set(hashes.tolist())) == len(set(runs))
    assert planted.gram_hashes(ids[:3], 4).size == 0


def test_the_trigram_model_counts():
    text = np.array([0, 1, 2, 0, 1, 3, 0, 1, 2])
    unigram, mixed = planted.ngram_logprobs(text, np.array([[0, 1, 2]]))
    of = (np.bincount(text) + 0.5) / (text.size + 2)
    two = 0.4 * of[[1, 2]] + 0.6 * np.array([1, 2 / 3])
    expected = [of[0], two[0], 0.5 * two[1] + 0.5 * 2 / 3]
    assert np.exp(unigram[0]) == pytest.approx(of[[0, 1, 2]])
    assert np.exp(mixed[0]) == pytest.approx(expected)
