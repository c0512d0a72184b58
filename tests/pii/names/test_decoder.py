import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unrote.pii.names import decoder
from unrote.pii.names.decoder import IMPOSSIBLE, KINDS, LABELS, OUTSIDE, may_follow


def transitions_of(seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).integers(-40, 40, (LABELS, LABELS))
    allowed = [[may_follow(b, a) for b in range(LABELS)] for a in range(LABELS)]
    return np.where(allowed, drawn, IMPOSSIBLE).astype(np.int32)


def names_in(labels: tuple[int, ...]) -> list[tuple[int, int, int]]:
    found = []
    for i, label in enumerate(labels):
        if label % 2:
            end = i + 1
            while end < len(labels) and labels[end] == label + 1:
                end += 1
            found.append((i, end, (label - 1) // 2))
    return found


def scored(scores: np.ndarray, transitions: np.ndarray) -> dict[tuple[int, ...], int]:
    """Every sequence of labels that may be, with its score."""
    every = {}
    for labels in itertools.product(range(LABELS), repeat=len(scores)):
        pairs = list(zip((OUTSIDE, *labels), labels, strict=False))
        if all(may_follow(label, after) for after, label in pairs):
            every[labels] = sum(int(scores[i, label]) for i, label in enumerate(labels)) + sum(
                int(transitions[pair]) for pair in pairs
            )
    return every


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_names_and_margins_are_those_of_all_sequences(sizes, seed):
    random = np.random.default_rng(seed)
    scores = random.integers(-60, 60, (sum(sizes), LABELS)).astype(np.int32)
    transitions = transitions_of(seed)
    lasts = np.cumsum(sizes).astype(np.int32)
    firsts = (lasts - sizes).astype(np.int32)
    found = np.empty((len(scores), 4), np.int32)
    found = found[: decoder.decode(scores, transitions, firsts, lasts, found)]
    at = 0
    for first, last in zip(firsts, lasts, strict=True):
        every = scored(scores[first:last], transitions)
        top = max(every.values())
        best = [names_in(labels) for labels, score in every.items() if score == top]
        here = [row for row in found.tolist() if first <= row[0] < last]
        assert [(a - first, b - first, kind) for a, b, kind, _ in here] in best
        for start, end, kind, margin in here:
            name = (start - first, end - first, kind)
            without = [score for labels, score in every.items() if name not in names_in(labels)]
            assert margin == top - max(without)
        at += len(here)
    assert at == len(found)


@given(st.integers(1, 80), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_label_scores_are_sums_of_weights(slots, seed):
    random = np.random.default_rng(seed)
    weights = random.integers(-127, 128, (64, LABELS)).astype(np.int8)
    features = random.integers(0, 64, (9, slots)).astype(np.int32)
    found = decoder.label_scores(features, decoder.packed(weights))
    assert (found == weights[features].astype(np.int64).sum(axis=1)).all()


def test_labels():
    assert 1 + 2 * len(KINDS) == LABELS
    assert not may_follow(2, OUTSIDE)
    assert may_follow(2, 1)
    assert not may_follow(2, 3)
