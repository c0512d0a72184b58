"""The best labels of a region, and by how much each name in them is better than none there.

Labels are OUTSIDE and, for each kind of KINDS, that a name of it begins and that it goes on (the
IOB2 scheme). The score of a sequence of labels is the sum of a score for each token and label and
of one for each pair of neighbouring labels; all are integers. The *margin* of a name is the score
of the best sequence less that of the best one in which not exactly this name stands there.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel
from unrote.pii.names.tokens import Ints

KINDS = ("PERSON", "LOCATION", "ORGANIZATION")
OUTSIDE = 0
LABELS = 1 + 2 * len(KINDS)
"""OUTSIDE, then for each kind that a name begins (odd), and that it goes on (even)."""

IMPOSSIBLE = -(1 << 28)
_LANES = np.uint64(0x00FF00FF00FF00FF)

Weights = NDArray[np.uint64]
Scores = NDArray[np.int32]
Int = Any  # an int64 to numba


def may_follow(label: int, after: int) -> bool:
    """Whether `label` may stand behind `after`: what goes on has begun."""
    goes_on = label > 0 and label % 2 == 0
    return not goes_on or after in (label, label - 1)


def packed(weights: NDArray[np.int8]) -> Weights:
    """Weights (int8[n, LABELS]) as `label_scores` adds them up: uint64[n], a byte for each label,
    128 more than the weight.
    """
    lanes = np.zeros((len(weights), 8), dtype=np.uint8)
    lanes[:, :LABELS] = (weights.astype(np.int16) + 128).astype(np.uint8)
    return lanes.view("<u8").ravel()


@kernel
def label_scores(features: NDArray[np.int32], weights: Weights) -> Scores:
    """int32[a, LABELS]: for each token the sums of the weights (`packed`) of its features, of which
    there are at most 257: four labels are added at once, 16 bits for each.
    """
    count = features.shape[1]
    out = np.empty((features.shape[0], LABELS), dtype=np.int32)
    for row in range(features.shape[0]):
        even, odd = np.uint64(0), np.uint64(0)
        for slot in range(count):
            word = weights[features[row, slot]]
            even += word & _LANES
            odd += (word >> np.uint64(8)) & _LANES
        for label in range(LABELS):
            lanes = odd if label & 1 else even
            lane = (lanes >> np.uint64(16 * (label // 2))) & np.uint64(0xFFFF)
            out[row, label] = np.int32(lane) - 128 * count
    return out


@inlined
def _forward(scores: Scores, transitions: Scores, row: Int, count: Int, best: Scores) -> None:
    """best[i, l]: of the sequences up to token i with label l the best score."""
    for label in range(LABELS):
        best[0, label] = scores[row, label] + transitions[OUTSIDE, label]
    for i in range(1, count):
        for label in range(LABELS):
            top = IMPOSSIBLE
            for before in range(LABELS):
                top = max(top, best[i - 1, before] + transitions[before, label])
            best[i, label] = max(IMPOSSIBLE, top + scores[row + i, label])


@inlined
def _backward(scores: Scores, transitions: Scores, row: Int, count: Int, rest: Scores) -> None:
    """rest[i, l]: of the sequences behind token i, which has label l, the best score."""
    for label in range(LABELS):
        rest[count - 1, label] = 0
    for i in range(count - 2, -1, -1):
        for label in range(LABELS):
            top = IMPOSSIBLE
            for after in range(LABELS):
                step = transitions[label, after] + scores[row + i + 1, after]
                top = max(top, step + rest[i + 1, after])
            rest[i, label] = top


@inlined
def _best_labels(best: Scores, transitions: Scores, count: Int, labels: NDArray[np.int64]) -> bool:
    """Fill labels[0:count] with the best sequence; whether there is a name in it."""
    top = OUTSIDE
    for label in range(1, LABELS):
        if best[count - 1, label] > best[count - 1, top]:
            top = label
    labels[count - 1] = top
    named = top != OUTSIDE
    for i in range(count - 1, 0, -1):
        choice, high = OUTSIDE, 2 * IMPOSSIBLE
        for before in range(LABELS):
            score = best[i - 1, before] + transitions[before, labels[i]]
            if score > high:
                choice, high = before, score
        labels[i - 1] = choice
        named = named or choice != OUTSIDE
    return named


@inlined
def _without(
    best: Scores, rest: Scores, labels: NDArray[np.int64], start: Int, end: Int, count: Int
) -> Int:
    """The score of the best sequence in which the name [start, end) of `labels` is not."""
    other = IMPOSSIBLE
    for i in range(start, end):
        for label in range(LABELS):
            if label != labels[i]:
                other = max(other, best[i, label] + rest[i, label])
    if end < count:  # it goes on
        after = labels[end - 1] + (labels[end - 1] & 1)
        other = max(other, best[end, after] + rest[end, after])
    return other


@kernel
def decode(
    scores: Scores,
    transitions: Scores,
    firsts: Ints,
    lasts: Ints,
    found: NDArray[np.int32],
) -> int:
    """Fill found[n] with first token, last token + 1, kind and margin; how many names there are.

    scores: of all tokens of the regions [firsts, lasts), one behind another. transitions:
    int32[LABELS, LABELS], from a label to the one behind it; regions begin behind OUTSIDE. Of
    sequences with equal scores the one whose labels are lower, from the end, is best. found:
    int32[a, 4].
    """
    names = 0
    row: Int = 0
    for region in range(firsts.size):
        count = np.int64(lasts[region]) - np.int64(firsts[region])
        best = np.empty((count, LABELS), dtype=np.int32)
        labels = np.empty(count, dtype=np.int64)
        _forward(scores, transitions, row, count, best)
        if _best_labels(best, transitions, count, labels):
            whole = best[count - 1, labels[count - 1]]
            rest = np.empty((count, LABELS), dtype=np.int32)
            _backward(scores, transitions, row, count, rest)
            end = 0
            for i in range(count):
                if i < end or labels[i] == OUTSIDE:
                    continue
                end = i + 1
                while end < count and labels[end] == labels[i] + 1:
                    end += 1
                found[names, 0] = firsts[region] + i
                found[names, 1] = firsts[region] + end
                found[names, 2] = (labels[i] - 1) // 2
                found[names, 3] = whole - _without(best, rest, labels, i, end, count)
                names += 1
        row += count
    return names
