"""Exact Jaccard similarity of shingle sets."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import kernel

Ints = NDArray[np.int64]


@kernel
def similarities(values: Ints, offsets: Ints, left: Ints, right: Ints) -> NDArray[np.float64]:
    """The Jaccard similarity of pairs of sets.

    Set i is values[offsets[i]:offsets[i+1]], ascending and distinct; a pair is the sets left[p] and
    right[p]. All int64. Returns float64[pairs]: the size of the intersection by the size of the
    union, both exact, in one correctly rounded division, so that whoever counts the same shingles
    gets the same number. 0.0 where both are empty.
    """
    found = np.empty(left.size, dtype=np.float64)
    for p in range(left.size):
        i, stop = offsets[left[p]], offsets[left[p] + 1]
        j, end = offsets[right[p]], offsets[right[p] + 1]
        together = stop - i + end - j
        shared = 0
        while i < stop and j < end:
            x, y = values[i], values[j]
            shared += x == y
            i += x <= y
            j += y <= x
        found[p] = shared / max(together - shared, 1)
    return found


def jaccard(left: Sequence[int] | Ints, right: Sequence[int] | Ints) -> float:
    """The Jaccard similarity of two sets of shingle hashes, in any order."""
    sets = [np.unique(np.asarray(side, dtype=np.int64)) for side in (left, right)]
    offsets = np.array([0, len(sets[0]), len(sets[0]) + len(sets[1])], dtype=np.int64)
    pair = np.zeros(1, dtype=np.int64)
    return float(similarities(np.concatenate(sets), offsets, pair, pair + 1)[0])
