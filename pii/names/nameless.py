"""Regions in which no name was found, remembered: text repeats itself, and what was scrubbed is
read again.

Whether a region has a name depends on its letters, on AROUND tokens on both sides, and on which of
its words the document has in lower case, and on nothing else. So a key of 128 bits of all that says
that a region was read before. A table has the last ones, each where its key says.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel, multiply_fold
from unrote.pii.names.features import AROUND, is_seen
from unrote.pii.names.tokens import HASH_PRIME, Bytes, Ints, Tokens

Int = Any  # an int64 to numba
Keys = NDArray[np.uint64]

SLOTS = 1 << 16
"""Regions remembered, at most: 1 MB."""

_MIX_A, _MIX_B = np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
_MIX_C, _MIX_D = np.uint64(0x8EBC6AF09C88C6E3), np.uint64(0x589965CC75374CC3)
_NO_TOKEN = np.uint64(1 << 32)


def nothing_remembered() -> Keys:
    """An empty table: uint64[SLOTS, 2]."""
    return np.zeros((SLOTS, 2), dtype=np.uint64)


@inlined
def _key(
    data: Bytes, tokens: Tokens, seen: Bytes, first: Int, last: Int, keys: Keys, at: Int
) -> None:
    """Into keys[at] what the region [first, last) is known by; never two zeros."""
    one, other = _MIX_A ^ np.uint64(last - first), _MIX_C
    for token in range(first - AROUND, last + AROUND):
        value, flag = np.uint64(0), _NO_TOKEN
        if 0 <= token < tokens.starts.size:
            value, flag = tokens.hashes[token], np.uint64(tokens.flags[token])
        if first <= token < last:
            flag |= np.uint64(is_seen(seen, value)) << np.uint64(33)
            for byte in range(tokens.starts[token], tokens.ends[token]):
                value = (value ^ np.uint64(data[byte])) * HASH_PRIME
        one = multiply_fold(one ^ value, _MIX_B ^ flag)
        other = multiply_fold(other ^ value, _MIX_D ^ flag)
    keys[at, 0] = one
    keys[at, 1] = other | np.uint64(1)


@inlined
def _slot(keys: Keys, at: Int) -> Int:
    return np.int64(keys[at, 0] & np.uint64(SLOTS - 1))


@kernel
def without_nameless(
    data: Bytes,
    tokens: Tokens,
    seen: Bytes,
    remembered: Keys,
    firsts: Ints,
    lasts: Ints,
    keys: Keys,
) -> int:
    """Move the regions that are not remembered to the front of firsts and lasts, with their keys
    (uint64[n, 2] for n regions); how many they are.
    """
    count = 0
    for region in range(firsts.size):
        first, last = np.int64(firsts[region]), np.int64(lasts[region])
        _key(data, tokens, seen, first, last, keys, count)
        slot = _slot(keys, count)
        if remembered[slot, 0] == keys[count, 0] and remembered[slot, 1] == keys[count, 1]:
            continue
        firsts[count], lasts[count] = first, last
        count += 1
    return count


@kernel
def remember(remembered: Keys, keys: Keys, lasts: Ints, found: Ints) -> None:
    """Remember the regions without a name. lasts: int32[n], of regions in order. found: int32[m, 4]
    with the first token of each name, in order.
    """
    name = 0
    for region in range(lasts.size):
        named = False
        while name < found.shape[0] and found[name, 0] < lasts[region]:
            named = True
            name += 1
        if not named:
            slot = _slot(keys, region)
            remembered[slot, 0], remembered[slot, 1] = keys[region, 0], keys[region, 1]
