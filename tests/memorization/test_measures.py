import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.memorization import reference
from unrote.memorization import measures

LOGS = st.lists(st.floats(-20, 0), max_size=8)
RAGGED = st.lists(LOGS, max_size=6)


def flat(parts, kind=float):
    sizes = [len(part) for part in parts]
    ends = np.cumsum(sizes, dtype=np.int64)
    values = np.array([x for part in parts for x in part], dtype=kind)
    return values, ends - np.array(sizes, dtype=np.int64), ends


def check(ours, expected):
    """Equal to 1e-9, with NaN where `expected` is None."""
    expected = [math.nan if x is None else x for x in expected]
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@given(RAGGED, st.floats(0.01, 1))
def test_measures_of_log_probabilities(parts, share):
    ragged = flat(parts)
    check(measures.loss(*ragged), [reference.loss(p) if p else None for p in parts])
    check(measures.total_bits(*ragged), [-sum(p) / math.log(2) if p else None for p in parts])
    check(measures.log_pz(*ragged), [sum(p) if p else None for p in parts])
    lowest = [reference.min_k(p, share) if p else None for p in parts]
    check(measures.lowest_mean(*ragged, share), lowest)


@given(st.lists(st.lists(st.booleans(), max_size=8), max_size=6))
def test_measures_of_hits(parts):
    ragged = flat(parts, bool)
    check(measures.extractable(*ragged), [all(p) if p else None for p in parts])
    strength = [reference.extraction_strength(p) if p else None for p in parts]
    check(measures.extraction_strength(*ragged), strength)


def test_ranges_need_not_touch():
    values = np.arange(10.0)
    starts, ends = np.array([1, 5, 5]), np.array([3, 5, 10])
    assert measures.sums(values, starts, ends).tolist() == [3, 0, 35]
    assert measures.lowest_mean(values, starts, ends, 0.5)[[0, 2]].tolist() == [1, 5.5]
    hits = np.array([True, False, True, False, False, True, False, True, True, True])
    assert measures.extraction_strength(hits, starts, ends)[[0, 2]].tolist() == [0.5, 0.6]


@pytest.mark.parametrize("queries", [1, 7, 1000])
@pytest.mark.parametrize("pz", [0.9999, 0.5, 0.01, 1e-9])
def test_chances_of_common_suffixes(pz, queries):
    log = np.array([math.log(pz)])
    direct = -math.expm1(queries * math.log1p(-pz))
    assert measures.probability_within(log, queries)[0] == pytest.approx(direct, rel=1e-9)
    needed = max(1.0, math.log(1 - 0.9) / math.log1p(-pz))
    assert math.exp(measures.log_queries(log, 0.9)[0]) == pytest.approx(needed, rel=1e-9)


def test_chances_of_rare_suffixes_do_not_underflow():
    """At 1e-16 and below log(1 - p_z) is 0 in doubles; from ln p_z = -745 on p_z itself is."""
    logs = np.array([-37.0, -100.0, -1000.0, -50000.0])
    expected = -logs + math.log(-math.log1p(-0.5))
    np.testing.assert_allclose(measures.log_queries(logs, 0.5), expected, rtol=1e-12)
    within = measures.probability_within(logs, 1e10)
    np.testing.assert_allclose(within[:2], np.exp(logs[:2] + math.log(1e10)), rtol=1e-5)
    assert within[2:].tolist() == [0, 0]


def test_chances_are_continuous_where_the_formula_changes():
    left, right = measures.log_queries(np.array([-36 - 1e-9, -36 + 1e-9]), 0.5)
    assert left == pytest.approx(right, abs=1e-8)


def test_chances_at_the_ends():
    logs = np.array([-math.inf, 0.0, math.nan])
    assert measures.probability_within(logs, 10)[:2].tolist() == [0, 1]
    assert measures.log_queries(logs, 0.5)[:2].tolist() == [math.inf, 0]
    assert np.isnan(measures.probability_within(logs, 10)[2])
    assert np.isnan(measures.log_queries(logs, 0.5)[2])


def test_queries_and_probability_are_inverse():
    logs = np.array([-0.5, -3.0, -12.0])
    for log in logs:
        queries = math.exp(measures.log_queries(np.array([log]), 0.7)[0])
        if queries > 1:
            within = measures.probability_within(np.array([log]), queries)
            assert within[0] == pytest.approx(0.7)


def test_perplexity_does_not_overflow():
    values = measures.perplexity(np.array([0.0, 1.0, 1e6, math.nan]))
    assert values[:2].tolist() == pytest.approx([1, math.e])
    assert np.isfinite(values[2])
    assert np.isnan(values[3])


def test_zlib_ratio_is_bits_over_bits():
    text = "the same and the same and the same é"
    ratio = measures.zlib_ratio(np.array([100.0]), [text])
    assert ratio[0] == 100 / (8 * len(zlib.compress(text.encode())))
    assert np.isfinite(measures.zlib_ratio(np.array([1.0]), [""])).all()


def test_standardized_of_a_certain_token_is_zero():
    zero = np.zeros(1)
    assert measures.standardized(zero, zero, zero).tolist() == [0]
    assert measures.standardized(zero - 3, zero - 1, zero + 4).tolist() == [-1]


TOKENS = st.lists(st.integers(0, 3), max_size=6)


@given(TOKENS, TOKENS)
def test_edit_distance(left, right):
    ours = measures.edit_distance(np.array(left, dtype=np.int64), np.array(right, dtype=np.int64))
    assert ours == reference.edit_distance(left, right)


def test_bleu():
    assert measures.bleu([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == pytest.approx(1)
    assert measures.bleu([1, 2, 3, 9, 4], [1, 2, 3, 4, 5]) == 0  # no four in a row
    # 5 of 6 tokens, 4 of 5 pairs, 3 of 4 triples, 2 of 3 fours
    expected = (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
    assert measures.bleu([1, 2, 3, 4, 5, 9], [1, 2, 3, 4, 5, 6]) == pytest.approx(expected)
    assert measures.bleu([1, 1, 1], [1, 2, 3]) == 0  # a token counts as often as it is there
    brief = measures.bleu([1, 2, 3, 4], [1, 2, 3, 4, 5, 6])
    assert brief == pytest.approx(math.exp(1 - 6 / 4))
    assert math.isnan(measures.bleu([], [1]))


def test_biderman_score_counts_places_also_after_a_miss():
    generated = np.array([[1, 9, 3, 4], [1, 2, 3, 4], [4, 3, 2, 1]])
    scores = measures.biderman_score(generated, np.tile([1, 2, 3, 4], (3, 1)))
    assert scores.tolist() == [0.75, 1, 0]


def test_exposure_is_by_rank():
    references = np.array([4.0, 1.0, 2.0, 3.0, math.nan])
    losses = np.array([0.5, 1.0, 2.5, 9.0, math.nan])
    exposures = measures.exposure(losses, references)
    np.testing.assert_allclose(exposures[:4], 2 - np.log2([1, 2, 3, 5]))
    assert np.isnan(exposures[4])
    assert np.isnan(measures.exposure(losses, np.array([math.nan]))).all()


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=5))
def test_log_mean_exp(values):
    direct = math.log(sum(map(math.exp, values)) / len(values))
    assert measures.log_mean_exp(np.array(values)) == pytest.approx(direct, abs=1e-9)


def test_log_mean_exp_where_exp_underflows():
    assert measures.log_mean_exp(np.array([-2000.0, -2000.0])) == pytest.approx(-2000)
    assert measures.log_mean_exp(np.array([-math.inf])) == -math.inf
    assert math.isnan(measures.log_mean_exp(np.empty(0)))


def test_what_is_extracted_ends_with_the_first_miss():
    hits = np.array([1, 1, 0, 1, 0, 1, 1, 1, 1], dtype=bool)
    starts, ends = np.array([0, 3, 4, 5, 9]), np.array([3, 4, 5, 9, 9])
    found = measures.hits_before_miss(hits, starts, ends)
    assert found[:4].tolist() == [2, 1, 0, 4]
    assert np.isnan(found[4])
