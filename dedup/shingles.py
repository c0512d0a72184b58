"""Shingles: the n-grams of a text, each as one well-mixed 64-bit hash.

With unit "word" a token is a word (dedup.words). With unit "character" a text is its runs of
letters, numbers, marks and "_" joined by one space, in any script, and a token is a code point of
that. A shingle is `ngram` consecutive tokens; a text with fewer tokens, but at least one, has one
shingle: all of them. A text without words has none.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa

from unrote.corpus.kernel import inlined, kernel, multiply_fold
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.text import arrow_buffers
from unrote.dedup.words import (
    ALONE,
    LOWER,
    WORD,
    WORD_KEY,
    WORD_SEED,
    Bytes,
    Hashes,
    Int,
    Ints,
    Table,
    begins_word,
    decode,
    hash_word,
    kind_after,
    next_word,
    table_for,
)

Unit = Literal["word", "character"]

BUFFERED = 512  # shingles that `fill` hands over at a time: 4 KiB stay in the first-level cache

_GRAM_BASE = np.uint64(0x9FB21C651E98DF25)
_GRAM_KEY = np.uint64(0x8EBC6AF09C88C6E3)
_BLANK = 0x20

# What `fill` has to remember between two calls for one text.
_AT, _COUNT, _SLOT, _GRAM, WORDS, _BEFORE = 0, 1, 2, 3, 4, 5
STATE = 6


@inlined
def begin(data: Bytes, start: Int, end: Int, table: Table, ring: Hashes, state: Ints) -> None:
    """Prepare `fill` for the text data[start:end]. ring: uint64[ngram], state: int64[STATE]."""
    ring[:] = 0
    state[:] = 0
    state[_AT] = next_word(data, start, end, table)


@kernel
def fill(
    data: Bytes,
    end: Int,
    table: Table,
    characters: bool,
    ring: Hashes,
    state: Ints,
    power: np.uint64,
    out: Hashes,
) -> Int:
    """The next shingles of a text into `out`; how many they are, 0 when there are no more.

    A shingle is a polynomial of its tokens' hashes modulo 2**64 (Karp and Rabin 1987), mixed.
    ring: the last `ngram` tokens; power: of `gram_power`, with which the oldest of them leaves.
    """
    ngram = ring.size
    at, count, slot = state[_AT], state[_COUNT], state[_SLOT]
    gram, words, before = np.uint64(state[_GRAM]), state[WORDS], np.uint32(state[_BEFORE])
    filled = 0
    while at < end and filled < out.size:
        if characters:
            token, at, entry = _next_character(data, at, end, table)
            words += entry == 0 or count == 0
            if (entry | before) & ALONE:
                words += entry != 0 and before != 0 and begins_word(entry, before)
                before = kind_after(entry, before) if entry else np.uint32(0)
            else:
                before = entry & WORD
        else:
            token, at = hash_word(data, at, end, table)
            at = next_word(data, at, end, table)
            words += 1
        gram = gram * _GRAM_BASE + token - ring[slot] * power
        ring[slot] = token
        slot = slot + 1 if slot + 1 < ngram else 0
        count += 1
        out[filled] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY)
        filled += count >= ngram
    if at >= end and 0 < count < ngram:
        out[0] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY + np.uint64(2 * count))
        filled, count = 1, ngram
    state[_AT], state[_COUNT], state[_SLOT] = at, count, slot
    state[_GRAM], state[WORDS], state[_BEFORE] = np.int64(gram), words, np.int64(before)
    return filled


@inlined
def _next_character(
    data: Bytes, at: Int, end: Int, table: Table
) -> tuple[np.uint64, Int, np.uint32]:
    """The token at `at`, where the next one is, and its entry of the table: 0 for a space."""
    code, size = decode(data, at, end)
    entry = np.uint32(table[code])
    if entry & WORD:
        after = at + size
        if after < end and not table[decode(data, after, end)[0]] & WORD:
            # Nothing but other characters up to the end: no space, and no further token.
            after = after if next_word(data, after, end, table) < end else end
        return multiply_fold(np.uint64(entry & LOWER) ^ WORD_SEED, WORD_KEY), after, entry
    after = next_word(data, at, end, table)
    return multiply_fold(np.uint64(_BLANK) ^ WORD_SEED, WORD_KEY), after, np.uint32(0)


@inlined
def gram_power(ngram: Int) -> np.uint64:
    """`power` of `fill` for shingles of `ngram` tokens."""
    power = np.uint64(1)
    for _ in range(ngram):
        power *= _GRAM_BASE
    return power


@kernel
def shingle_hashes(
    data: Bytes, offsets: Ints, table: Table, characters: bool, ngram: Int, distinct: bool
) -> tuple[Ints, Ints, Ints]:
    """The shingles of each text.

    data: uint8[m], UTF-8; offsets: int64[n+1]; table: of `table_for`; distinct: as an ascending
    set, otherwise in the order of the text.
    Returns (hashes int64[k], offsets int64[n+1], words int64[n]).
    """
    n = offsets.size - 1
    power, ring = gram_power(ngram), np.zeros(ngram, dtype=np.uint64)
    state, buffer = np.zeros(STATE, dtype=np.int64), np.empty(BUFFERED, dtype=np.uint64)
    bounds, words = np.zeros(n + 1, dtype=np.int64), np.zeros(n, dtype=np.int64)
    hashes = np.empty(max(1024, (offsets[n] - offsets[0]) // 4), dtype=np.int64)
    size = 0
    for d in range(n):
        begin(data, offsets[d], offsets[d + 1], table, ring, state)
        start = size
        while True:
            filled = fill(data, offsets[d + 1], table, characters, ring, state, power, buffer)
            if filled == 0:
                break
            if size + filled > hashes.size:
                grown = np.empty(2 * hashes.size + filled, dtype=np.int64)
                grown[:size] = hashes[:size]
                hashes = grown
            for i in range(filled):
                hashes[size + i] = np.int64(buffer[i])
            size += filled
        words[d] = state[WORDS]
        if distinct:
            size = sort_distinct(hashes, start, size)
        bounds[d + 1] = size
    return hashes[:size].copy(), bounds, words


@kernel
def sort_distinct(hashes: Ints, start: Int, end: Int) -> Int:  # noqa: C901 - one pass after another
    """Make hashes[start:end] an ascending set in place; where it ends.

    Hashes are spread evenly, so as many buckets as hashes by their leading bits put each almost in
    its place, and an insertion sort moves it there: three times as fast as a general sort. Equal
    hashes are dropped when they meet, so that a text of one shingle does not fill one bucket.
    """
    count = end - start
    if count < 2:
        return end
    bits = np.uint64(1)
    while np.int64(1) << np.int64(bits) < count:
        bits += np.uint64(1)
    shift, sign = np.uint64(64) - bits, np.uint64(1) << np.uint64(63)
    ends = np.zeros((np.int64(1) << np.int64(bits)) + 1, dtype=np.int64)
    for i in range(start, end):
        ends[((np.uint64(hashes[i]) ^ sign) >> shift) + 1] += 1
    for b in range(1, ends.size):
        ends[b] += ends[b - 1]
    part, first = np.empty(count, dtype=np.int64), ends[:-1].copy()
    for i in range(start, end):
        value = hashes[i]
        bucket = np.int64((np.uint64(value) ^ sign) >> shift)
        at, low = ends[bucket], first[bucket]
        # ends[bucket] is where the bucket's sorted, distinct values stop so far.
        while at > low and part[at - 1] > value:
            at -= 1
        if at > low and part[at - 1] == value:
            continue
        for j in range(ends[bucket], at, -1):
            part[j] = part[j - 1]
        part[at] = value
        ends[bucket] += 1
    size = start
    for b in range(first.size):
        for i in range(first[b], ends[b]):
            hashes[size] = part[i]
            size += 1
    return size


def shingles(
    texts: Sequence[str],
    *,
    ngram: int = 5,
    unit: Unit = "word",
    distinct: bool = True,
    normalization: Normalization = NFC,
) -> list[Ints]:
    """The shingle hashes of each text.

    Returns an int64[k] for each text: ascending and distinct, or in the order of the text.
    Raises ValueError if `unit` or `ngram` is not allowed.
    """
    characters = is_characters(unit, ngram)
    data, offsets = arrow_buffers(normalization.texts(pa.array(texts, pa.string())))
    hashes, bounds, _ = shingle_hashes(data, offsets, table_for(data), characters, ngram, distinct)
    return [hashes[a:b] for a, b in pairwise(bounds)]


def is_characters(unit: str, ngram: int) -> bool:
    """Whether `unit` is "character". Raises ValueError if `unit` or `ngram` is not allowed."""
    if unit not in ("word", "character"):
        raise ValueError(f"unit is {unit!r}; it must be 'word' or 'character'")
    if ngram < 1:
        raise ValueError(f"ngram is {ngram}; it must be at least 1")
    return unit == "character"
