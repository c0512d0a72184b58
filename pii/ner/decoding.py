"""From the label probabilities of tokens to entities: the most probable sequence of labels that its
scheme allows (Viterbi), and its spans.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import kernel
from unrote.pii.ner.labels import Bools, Ints, Scheme

Floats = NDArray[np.float32]


class Spans(NamedTuple):
    """Entities of a window, in order and disjoint: tokens first ... end - 1 are of a type.

    int64[n] each: first, end, type (by number); score float64[n]: the mean over its tokens of the
    probability of the type, whatever the tag.
    """

    first: Ints
    end: Ints
    type: Ints
    score: NDArray[np.float64]


def decode(log_probs: Floats, scheme: Scheme, *, opens: bool, closes: bool) -> Spans:
    """The entities in the tokens of one window.

    log_probs: float32[tokens, labels], logarithms of probabilities. opens, closes: whether the
    window begins where its text does, or ends there; elsewhere it may do so within an entity.
    """
    if not log_probs.shape[0]:
        none = np.empty(0, dtype=np.int64)
        return Spans(none, none, none, np.empty(0))
    path = best_path(
        log_probs,
        scheme.set_of,
        scheme.set_offsets,
        scheme.set_labels,
        scheme.first | (not opens),
        scheme.last | (not closes),
    )
    return Spans(*spans_of(log_probs, path, scheme.type_of, scheme.begins, scheme.ends))


@kernel
def best_path(
    log_probs: Floats, set_of: Ints, set_offsets: Ints, set_labels: Ints, first: Bools, last: Bools
) -> Ints:
    """The labels, int64[tokens], of the largest sum of log-probabilities among the sequences that
    are allowed; of equals the one with the lower labels from the end. Arguments: as in `Scheme`.
    """
    tokens, labels = log_probs.shape
    sets = set_offsets.size - 1
    before = np.zeros((tokens, sets), dtype=np.int32)
    total = np.empty(labels, dtype=np.float64)
    best = np.empty(sets, dtype=np.float64)
    for label in range(labels):
        total[label] = log_probs[0, label] if first[label] else -np.inf
    for token in range(1, tokens):
        for one in range(sets):
            allowed = set_labels[set_offsets[one] : set_offsets[one + 1]]
            at = allowed[np.argmax(total[allowed])]
            best[one] = total[at]
            before[token, one] = at
        for label in range(labels):
            total[label] = best[set_of[label]] + log_probs[token, label]
    at = np.argmax(np.where(last, total, -np.inf))
    path = np.empty(tokens, dtype=np.int64)
    for token in range(tokens - 1, -1, -1):
        path[token] = at
        if token:
            at = before[token, set_of[at]]
    return path


@kernel
def spans_of(
    log_probs: Floats, path: Ints, type_of: Ints, begins: Bools, ends: Bools
) -> tuple[Ints, Ints, Ints, NDArray[np.float64]]:
    """The fields of `Spans` of a sequence of labels."""
    tokens, labels = log_probs.shape
    first = np.empty(tokens, dtype=np.int64)
    end = np.empty(tokens, dtype=np.int64)
    type_ = np.empty(tokens, dtype=np.int64)
    score = np.empty(tokens, dtype=np.float64)
    found, open_ = 0, False
    for token in range(tokens):
        label = path[token]
        own = type_of[label]
        if own < 0:
            open_ = False
            continue
        if not open_ or begins[label] or type_[found - 1] != own:
            first[found], type_[found], score[found] = token, own, 0.0
            found += 1
        for other in range(labels):
            if type_of[other] == own:
                score[found - 1] += np.exp(np.float64(log_probs[token, other]))
        end[found - 1] = token + 1
        open_ = not ends[label]
    for one in range(found):
        score[one] = min(score[one] / (end[one] - first[one]), 1.0)
    return first[:found].copy(), end[:found].copy(), type_[:found].copy(), score[:found].copy()
