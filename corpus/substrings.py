"""Sampled substrings: how often a part of a text occurs, roughly, without comparing texts.

Substrings of `LENGTH` bytes are sampled by their content (one in `RATE`, those whose hash is 0
modulo it), so that all copies of a substring are sampled or none. A part of a text that occurs n
times holds no sampled substring that occurs less than n times: the rarest one in it is a cheap
estimate of its copies, never too low, but for parts of one byte's repetition, which count once
where they touch. Of a short text without a sampled substring the one with the least hash is taken,
so that it has one at all; its count is of such texts alone.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.hashing import mix64
from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.text import arrow_buffers, chars_at

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Int = Any  # an int64, as dedup.shingles.Int

LENGTH = 32
RATE = 32
SHORT = 512
"""Bytes up to which a text without a sampled substring has the one with the least hash taken."""

_BASE = np.uint64(0x9E3779B97F4A7C15)
_OFFSET_BITS = 40  # a text's number before an offset in it


@kernel
def sampled_substrings(data: Bytes, offsets: Ints) -> tuple[Ints, Ints, Ints]:
    """The sampled substrings of texts: (text, start byte within it, hash), int64[n] each.

    Those of one byte's repetition are sampled once. A text shorter than LENGTH is one substring.
    """
    found = np.empty((3, (offsets[-1] - offsets[0]) // 24 + offsets.size), dtype=np.int64)
    count = 0
    for text in range(offsets.size - 1):
        begin, end, known = offsets[text], offsets[text + 1], count
        size = min(LENGTH, end - begin)
        if size == 0:
            continue
        power, rolling = np.uint64(1), np.uint64(0)
        for i in range(size):
            power *= _BASE
            rolling = rolling * _BASE + np.uint64(data[begin + i]) + np.uint64(1)
        least, least_at, before = np.uint64(0xFFFFFFFFFFFFFFFF), np.int64(-1), np.uint64(0)
        at = begin
        while True:
            if rolling != before or at == begin:
                mixed = mix64(rolling ^ np.uint64(size))
                if mixed % np.uint64(RATE) == 0:
                    found = _append(found, count, text, at - begin, mixed)
                    count += 1
                if mixed < least:
                    least, least_at = mixed, at - begin
            before = rolling
            if at + size >= end:
                break
            rolling = rolling * _BASE + np.uint64(data[at + size]) + np.uint64(1)
            rolling -= power * (np.uint64(data[at]) + np.uint64(1))
            at += 1
        if end - begin <= SHORT and count == known:
            found = _append(found, count, text, least_at, least)
            count += 1
    return found[0, :count], found[1, :count], found[2, :count]


@inlined
def _append(found: Ints, count: Int, text: Int, start: Int, substring: np.uint64) -> Ints:
    """Append a substring at index `count` of those found, an array that grows by doubling."""
    if count == found.shape[1]:
        longer = np.empty((3, 2 * count + 8), dtype=np.int64)
        longer[:, :count] = found
        found = longer
    found[0, count], found[1, count], found[2, count] = text, start, np.int64(substring)
    return found


def rarest(
    texts: Sequence[str], repeated: Ints, text: Ints, first: Ints, last: Ints
) -> tuple[Ints, Ints]:
    """For parts texts[text][first:last] (code points; int64[n], by text and offset) two counts of
    the rarest sampled substring in each: int64[n], 1 where there is none.

    repeated: int64[m, 4] (text, start byte, and the two counts), by text and offset, of all sampled
    substrings that do not count 1 and 1.
    """
    data, offsets = arrow_buffers(pa.array(texts, pa.large_string()))
    number, start, _ = sampled_substrings(data, offsets)
    counts = np.ones((2, number.size + 1), dtype=np.int64)
    known = np.searchsorted(_keys(number, start), _keys(repeated[:, 0], repeated[:, 1]))
    counts[:, known] = repeated[:, 2:].T
    begin, end = _in_chars(data, offsets, number, start)
    low = np.searchsorted(_keys(number, begin), _keys(text, first), side="left")
    high = np.searchsorted(_keys(number, end), _keys(text, last), side="right")
    some = high > low
    bounds = np.stack([low, np.maximum(high, low)], axis=1).ravel()
    before, after = (
        np.where(some, np.minimum.reduceat(one, bounds)[::2] if text.size else 1, 1)
        for one in counts
    )
    return before, after


def _keys(text: Ints, offset: Ints) -> Ints:
    return (text << _OFFSET_BITS) | offset


def _in_chars(data: Bytes, offsets: Ints, number: Ints, start: Ints) -> tuple[Ints, Ints]:
    """The code points before which substrings begin and end; part of a code point counts whole."""
    begin, end = start.copy(), np.minimum(start + LENGTH, np.diff(offsets)[number])
    bounds = np.searchsorted(number, np.arange(offsets.size))
    for one, (low, high) in enumerate(pairwise(bounds)):
        if high > low:
            # Before a byte and one more, less the code point that this one is of.
            begin[low:high] = chars_at(data, offsets[one], start[low:high] + 1) - 1
            end[low:high] = chars_at(data, offsets[one], end[low:high])
    return begin, end
