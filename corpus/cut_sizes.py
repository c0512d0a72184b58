"""How long texts are without what is cut from them, without making them (corpus.views)."""

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel, load64
from unrote.corpus.text import HIGHS

Ints = NDArray[np.int64]


@kernel
def sizes_after_cuts(
    data: NDArray[np.uint8], offsets: Ints, of: Ints, starts: Ints, ends: Ints
) -> Ints:
    """Bytes of each text with its cuts made as `views.apply_edits` makes them: int64[n].

    Cut i goes from text of[i], which ascends, from code point starts[i] to ends[i]; those of a text
    are sorted by start. Line breaks that join what is left are counted.
    """
    sizes, i = np.empty(offsets.size - 1, dtype=np.int64), 0
    for d in range(offsets.size - 1):
        at, end = offsets[d], offsets[d + 1]
        size, parts, last = 0, 0, 0  # cut, or counted, are the code points before `last`
        while i < of.size and of[i] == d:
            if starts[i] > last:
                kept = _forward(data, at, end, starts[i] - last)
                size, parts = size + kept - at, parts + 1
                at, last = kept, starts[i]
            if ends[i] > last:
                at, last = _forward(data, at, end, ends[i] - last), ends[i]
            i += 1
        if at < end:
            size, parts = size + end - at, parts + 1
        sizes[d] = size + max(0, parts - 1)
    return sizes


@inlined
def _forward(data: NDArray[np.uint8], at: int, end: int, count: int) -> int:
    """The byte behind the next `count` code points."""
    while count > 0 and at < end:
        if count >= 8 and at + 8 <= end and load64(data, at) & HIGHS == 0:
            at += 8
            count -= 8
            continue
        at += 1
        while at < end and data[at] & 0xC0 == 0x80:
            at += 1
        count -= 1
    return at
