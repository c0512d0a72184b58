"""Training of the tagger: a linear-chain CRF by stochastic gradients, with labels that may be open.

The gradient is that of the conditional likelihood (Lafferty, McCallum and Pereira 2001); where a
token's label is not known, that of all sequences that what is known allows. Steps are AdaGrad's
(Duchi, Hazan and Singer 2011), with decay of the weights that a step touches.
"""

# ruff: noqa: C901 - the recursions, side by side

from typing import Any

import numba
import numpy as np

from unrote.pii.names.decoder import LABELS, may_follow

ALL = (1 << LABELS) - 1
LOW = -1e30


def allowed_transitions() -> np.ndarray:
    """bool[LABELS, LABELS]: may the second label stand behind the first?"""
    return np.array(
        [[may_follow(label, after) for label in range(LABELS)] for after in range(LABELS)]
    )


@numba.njit
def _log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    return a if b < -1e29 else a + np.log1p(np.exp(b - a))


@numba.njit
def _expected(
    scores: Any, masks: Any, weights: Any, allowed: Any, tokens: Any, edges: Any
) -> float:
    """Marginals of tokens [n, L] and summed pairs [L, L] of the sequences that masks allow; the log
    of their sum.
    """
    n = scores.shape[0]
    forward = np.full((n, LABELS), LOW)
    backward = np.full((n, LABELS), LOW)
    for label in range(LABELS):
        if (masks[0] >> label) & 1 and allowed[0, label]:
            forward[0, label] = scores[0, label] + weights[0, label]
        if (masks[n - 1] >> label) & 1:
            backward[n - 1, label] = 0.0
    for i in range(1, n):
        for label in range(LABELS):
            if (masks[i] >> label) & 1:
                total = LOW
                for before in range(LABELS):
                    if allowed[before, label] and forward[i - 1, before] > LOW / 2:
                        total = _log_add(total, forward[i - 1, before] + weights[before, label])
                if total > LOW / 2:
                    forward[i, label] = total + scores[i, label]
    for i in range(n - 2, -1, -1):
        for label in range(LABELS):
            total = LOW
            for after in range(LABELS):
                known = allowed[label, after] and (masks[i + 1] >> after) & 1
                if known and backward[i + 1, after] > LOW / 2:
                    step = weights[label, after] + scores[i + 1, after]
                    total = _log_add(total, step + backward[i + 1, after])
            backward[i, label] = total
    whole = LOW
    for label in range(LABELS):
        if forward[n - 1, label] > LOW / 2:
            whole = _log_add(whole, forward[n - 1, label])
    for i in range(n):
        for label in range(LABELS):
            log = forward[i, label] + backward[i, label] - whole
            tokens[i, label] = np.exp(log) if log > -50 else 0.0
    edges[:] = 0.0
    for label in range(LABELS):
        edges[0, label] += tokens[0, label]
    for i in range(1, n):
        for before in range(LABELS):
            if forward[i - 1, before] < LOW / 2:
                continue
            for label in range(LABELS):
                if allowed[before, label] and (masks[i] >> label) & 1:
                    log = forward[i - 1, before] + weights[before, label] + scores[i, label]
                    log += backward[i, label] - whole
                    if log > -50:
                        edges[before, label] += np.exp(log)
    return whole


@numba.njit
def epoch(
    features: Any,
    masks: Any,
    starts: Any,
    importance: Any,
    order: Any,
    weights: Any,
    squares: Any,
    transitions: Any,
    transition_squares: Any,
    allowed: Any,
    rate: float,
    decay: float,
    dropped: float,
    seed: int,
) -> float:
    """One pass over the regions in `order`; the mean loss. starts: of regions among the tokens.

    dropped: the share of features that a token is trained without, so that no one feature decides.
    """
    np.random.seed(seed)
    free = np.full(1 << 16, ALL, dtype=np.int64)
    loss = 0.0
    for region in order:
        first, last = starts[region], starts[region + 1]
        n = last - first
        kept = np.random.random((n, features.shape[1])) >= dropped
        scores = np.zeros((n, LABELS))
        for i in range(n):
            for slot in range(features.shape[1]):
                if kept[i, slot]:
                    for label in range(LABELS):
                        scores[i, label] += weights[features[first + i, slot], label]
        model, edges = np.zeros((n, LABELS)), np.zeros((LABELS, LABELS))
        known, known_edges = np.zeros((n, LABELS)), np.zeros((LABELS, LABELS))
        whole = _expected(scores, free[:n], transitions, allowed, model, edges)
        right = _expected(scores, masks[first:last], transitions, allowed, known, known_edges)
        weight = importance[region]
        loss += weight * (whole - right)
        for i in range(n):
            for label in range(LABELS):
                error = (model[i, label] - known[i, label]) * weight
                if abs(error) < 1e-4:
                    continue
                for slot in range(features.shape[1]):
                    if kept[i, slot]:
                        at = features[first + i, slot]
                        gradient = error + decay * weights[at, label]
                        squares[at, label] += gradient * gradient
                        weights[at, label] -= rate * gradient / np.sqrt(squares[at, label])
        for before in range(LABELS):
            for label in range(LABELS):
                gradient = (edges[before, label] - known_edges[before, label]) * weight
                if gradient != 0.0:
                    transition_squares[before, label] += gradient * gradient
                    step = rate * gradient / np.sqrt(transition_squares[before, label])
                    transitions[before, label] -= step
    return loss / max(1, len(order))
