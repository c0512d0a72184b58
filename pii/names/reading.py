"""The names of a text in one kernel: tokens, regions, features, scores, labels, in turn.

A text of a few kilobytes takes the steps a tenth of a millisecond; to call each from Python took as
long again.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel
from unrote.pii.names.decoder import Scores, Weights, decode, label_scores
from unrote.pii.names.features import Lexicon, english_share, features, lower_words
from unrote.pii.names.nameless import Keys, remember, without_nameless
from unrote.pii.names.tokens import Bytes, Hashes, Table, Tokens, regions, tokenize

Int = Any  # an int64 to numba

ENGLISH = 0.62
"""The share of common English words, of those in lower case, from which a text is English: prose
has 0.8 and more, code 0.7, Catalan and Czech with words of computing 0.2 to 0.6."""

ELSEWHERE = 60
"""The highest score, in hundredths, in text that is not English."""


@inlined
def _hundredths(margins: Scores, kind: Int, margin: Int) -> Int:
    """How many of the margins of a kind are reached."""
    low, high = 0, margins.shape[1]
    while low < high:
        middle = (low + high) // 2
        if margins[kind, middle] <= margin:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def names_in(
    data: Bytes,
    table: Table,
    joining_words: Hashes,
    lexicon: Lexicon,
    weights: Weights,
    transitions: Scores,
    margins: Scores,
    remembered: Keys,
    bits: int,
) -> NDArray[np.int32]:
    """int32[n, 4], in order: of each name its first byte, the one behind its last, its kind, and
    its score in hundredths.

    data: UTF-8. table, joining_words: of pii.names.tokens. weights, transitions, margins: as
    pii.names.model has them, weights `packed`; 2**bits of them. remembered: pii.names.nameless.
    """
    room = data.size
    starts, ends = np.empty(room, np.int32), np.empty(room, np.int32)
    hashes, flags = np.empty(room, np.uint64), np.empty(room, np.int32)
    total = tokenize(data, table, starts, ends, hashes, flags)
    tokens = Tokens(starts[:total], ends[:total], hashes[:total], flags[:total])
    firsts, lasts = np.empty(total, np.int32), np.empty(total, np.int32)
    count = regions(data, tokens, joining_words, firsts, lasts)
    seen = lower_words(tokens)
    keys = np.empty((count + 1, 2), np.uint64)
    count = without_nameless(data, tokens, seen, remembered, firsts[:count], lasts[:count], keys)
    rows = features(data, table, tokens, lexicon, seen, firsts[:count], lasts[:count], bits)
    scores = label_scores(rows, weights)
    found = np.empty((rows.shape[0], 4), np.int32)
    found = found[: decode(scores, transitions, firsts[:count], lasts[:count], found)]
    remember(remembered, keys, lasts[:count], found)
    highest = 100
    certain = False
    for name in range(found.shape[0]):
        found[name, 3] = _hundredths(margins, found[name, 2], found[name, 3])
        found[name, 0] = tokens.starts[found[name, 0]]
        found[name, 1] = tokens.ends[found[name, 1] - 1]
        certain = certain or found[name, 3] > ELSEWHERE
    if certain and english_share(tokens, lexicon) < ENGLISH:
        highest = ELSEWHERE
    for name in range(found.shape[0]):
        found[name, 3] = min(found[name, 3], highest)
    return found
