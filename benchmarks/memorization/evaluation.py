"""How well scores find what is extractable: ranking, budgets, calibration, and how sure that is.

Scores and labels are float64[n] arrays, higher scores riskier, labels 0 or 1. A value that is not
defined (one kind of label only) is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BUDGETS = (0.01, 0.05, 0.10)
BINS = 10


def auroc(scores: Floats, labels: Floats) -> float:
    """The chance that an extractable sequence has the higher score; equals count half."""
    positive = labels > 0
    pairs = positive.sum() * (~positive).sum()
    if pairs == 0:
        return float("nan")
    won = _ranks(scores)[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(won / pairs)


def auroc_within(scores: Floats, labels: Floats, levels: NDArray) -> float:
    """The same over pairs of one copy level only: each level weighs as many pairs as it has."""
    won = pairs = 0.0
    for level in np.unique(levels):
        rows = levels == level
        count = float(labels[rows].sum() * (1 - labels[rows]).sum())
        if count:
            won += count * auroc(scores[rows], labels[rows])
            pairs += count
    return won / pairs if pairs else float("nan")


def correlation_within(scores: Floats, graded: Floats, levels: NDArray) -> float:
    """Spearman's rank correlation with a graded label, within copy levels, weighted by their size.

    A level in which scores are all equal counts as 0.
    """
    total = 0.0
    for level in np.unique(levels):
        rows = levels == level
        one, two = _ranks(scores[rows]), _ranks(graded[rows])
        spread = one.std() * two.std()
        if spread > 0:
            total += rows.sum() * float(((one - one.mean()) * (two - two.mean())).mean() / spread)
    return total / levels.size


def _ranks(scores: Floats) -> Floats:
    """1 for the lowest; the mean rank for equals."""
    _, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[index])


def average_precision(scores: Floats, labels: Floats) -> float:
    """Mean precision at the extractable ones; of equal scores each counts as if all were taken."""
    if labels.sum() == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.cumsum(labels[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    precision = hits[last] / (last + 1)
    gained = np.diff(np.append(0, hits[last])) / hits[-1]
    return float((precision * gained).sum())


def recall_at(scores: Floats, labels: Floats, budget: float) -> float:
    """The share of extractable sequences among the riskiest `budget` of all; ties shared evenly."""
    if labels.sum() == 0:
        return float("nan")
    count = max(1, round(budget * labels.size))
    cut = np.sort(scores)[-count]
    above, at = scores > cut, scores == cut
    share = (count - above.sum()) / at.sum()
    return float((labels[above].sum() + share * labels[at].sum()) / labels.sum())


def brier(predicted: Floats, labels: Floats) -> float:
    return float(np.mean((predicted - labels) ** 2))


def calibration_error(predicted: Floats, labels: Floats) -> float:
    """Expected calibration error over ten bins of equal count (Naeini 2015)."""
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, BINS)
    gaps = [abs(predicted[p].mean() - labels[p].mean()) * p.size for p in parts if p.size]
    return float(sum(gaps) / labels.size)


def bootstrap(
    measure: Callable[[NDArray[np.int64]], Floats],
    documents: NDArray,
    rounds: int,
    seed: int,
) -> Floats:
    """`measure` of rows resampled by whole documents: float64[rounds, values]."""
    names, member = np.unique(documents, return_inverse=True)
    rows_of = [np.flatnonzero(member == k) for k in range(names.size)]
    generator = np.random.default_rng(seed)
    return np.array(
        [
            measure(
                np.concatenate(
                    [rows_of[k] for k in generator.integers(names.size, size=names.size)]
                )
            )
            for _ in range(rounds)
        ]
    )


def interval(values: Floats) -> tuple[float, float]:
    """The 95 % interval of bootstrap values."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
