"""Shingles: the n-grams of a text, each as one well-mixed 64-bit hash.

With unit "word" a token is a word (dedup.words) or, where symbols are asked for, a symbol that
counts (dedup.symbols). With unit "character" a text is its runs of letters, numbers, marks and "_",
in any script, and these symbols, joined by one space, and a token is a code point of that. A
shingle is `ngram` consecutive tokens; a text with fewer tokens, but at least one, has one shingle:
all of them. A text without words has none.

A word that is a character of a script without spaces (dedup.words) says less than a word: a shingle
that ends with one is (ngram + 1) // 2 tokens. So that every token is in a shingle, the first one
begins with the text's first token, and where the last token ends none, all of the text is one.

Candidates are named by the shingles of words alone (dedup.minhash), which are made for all text;
the similarity that is verified is that of the shingles with symbols.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa

from unrote.corpus.kernel import inlined, kernel, multiply_fold
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.text import arrow_buffers
from unrote.dedup.symbols import (
    gap_between,
    may_hold,
    next_symbol,
    plainly_bare,
    plainly_bare_after,
    symbol_at,
)
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
    first_run,
    gap_after,
    hash_ascii,
    hash_word,
    is_dot,
    kind_after,
    marks_ahead,
    next_word,
    table_for,
    words_ahead,
)

Unit = Literal["word", "character"]

BUFFERED = 512  # shingles that `fill` hands over at a time: 4 KiB stay in the first-level cache

_GRAM_BASE = np.uint64(0x9FB21C651E98DF25)
_GRAM_KEY = np.uint64(0x8EBC6AF09C88C6E3)
_SYMBOL_SEED = np.uint64(0x8BB84B93962EACC9)
_BLANK = 0x20

# What `fill` has to remember between two calls for one text: where the next token is, …
_AT, _COUNT, _SLOT, _GRAM, WORDS, _BEFORE = 0, 1, 2, 3, 4, 5
# … where the last word began and ended, where the next one begins (the token at _AT is a symbol if
# it stands before that), what is known of all between, and whether a space went before the token.
_BEGAN, _GAP, _AFTER, _KNOWN, _SPACED, _SYMBOLS = 6, 7, 8, 9, 10, 11
# … and which token, counted from 1, ended the last shingle of fewer than `ngram` tokens.
_SHORT = 12
STATE = 13


@inlined
def begin(
    data: Bytes, start: Int, end: Int, table: Table, symbols: bool, ring: Hashes, state: Ints
) -> None:
    """Prepare `fill` for the text data[start:end]. ring: uint64[ngram], state: int64[STATE]."""
    ring[:] = 0
    state[:] = 0
    after = next_word(data, start, end, table)
    state[_AT], state[_AFTER], state[_SPACED], state[_SYMBOLS] = after, after, 1, symbols
    if symbols and after < end:
        state[_AT] = _enter_gap(data, start, start, after, end, table, state)


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
    if characters:
        filled = _fill_characters(data, end, table, ring, state, power, out)
    elif state[_SYMBOLS]:
        filled = _fill_tokens(data, end, table, ring, state, power, out)
    else:
        filled = _fill_words(data, end, table, ring, state, power, out)
    count = state[_COUNT]
    if state[_AT] >= end and 0 < count < ring.size and state[_SHORT] < count and filled < out.size:
        gram = np.uint64(state[_GRAM])
        out[filled] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY + np.uint64(2 * count))
        filled, state[_COUNT] = filled + 1, ring.size
    return filled


@inlined
def _fill_words(
    data: Bytes, end: Int, table: Table, ring: Hashes, state: Ints, power: np.uint64, out: Hashes
) -> Int:
    at, count, slot = state[_AT], state[_COUNT], state[_SLOT]
    gram, words, ngram, filled = np.uint64(state[_GRAM]), state[WORDS], ring.size, 0
    while at < end and filled < out.size:
        began, ahead = at, words_ahead(data, at, end)
        while filled < out.size:
            size, gap = first_run(ahead)
            if gap == 0:
                break
            token = hash_ascii(data, at, np.int64(size))
            ahead >>= size + gap
            at += np.int64(size + gap)
            words += 1
            gram, slot = _rolled(gram, token, ring, slot, power)
            count += 1
            out[filled] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY)
            filled += count >= ngram
        if at > began:
            continue
        token, at = hash_word(data, at, end, table)
        at = next_word(data, at, end, table)
        words += 1
        gram, slot = _rolled(gram, token, ring, slot, power)
        count += 1
        out[filled] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY)
        if data[began] < 0x80:
            filled += count >= ngram
        else:
            filled += _ended(data, began, end, table, gram, ring, slot, count, state, out, filled)
    state[_AT], state[_COUNT], state[_SLOT] = at, count, slot
    state[_GRAM], state[WORDS] = np.int64(gram), words
    return filled


@inlined
def _fill_tokens(
    data: Bytes, end: Int, table: Table, ring: Hashes, state: Ints, power: np.uint64, out: Hashes
) -> Int:
    at, after, count, slot = state[_AT], state[_AFTER], state[_COUNT], state[_SLOT]
    gram, words, ngram, filled = np.uint64(state[_GRAM]), state[WORDS], ring.size, 0
    while at < end and filled < out.size:
        began = at
        if at == after:
            ahead, marks = words_ahead(data, at, end), marks_ahead(data, at)
            while at == after and filled < out.size:
                size, width = first_run(ahead)
                if width == 0:
                    break
                word, gap = at, at + np.int64(size)
                after = gap + np.int64(width)
                at = after
                words += 1
                token = hash_ascii(data, word, np.int64(size))
                gram, slot = _rolled(gram, token, ring, slot, power)
                count += 1
                out[filled] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY)
                filled += count >= ngram
                between = marks >> size & ((np.uint64(1) << width) - np.uint64(1))
                some = between != 0 or (width == 1 and is_dot(data[gap]))
                if some and (between > 1 or not plainly_bare_after(data, word, gap)):
                    at = _enter_gap(data, word, gap, after, end, table, state)
                ahead >>= size + width
                marks >>= size + width
            if at > began:
                continue
            token, gap = hash_word(data, at, end, table)
            after, first = gap_after(data, gap, end, table)
            at = after
            words += 1
            if not plainly_bare(first, after - gap):
                at = _enter_gap(data, began, gap, after, end, table, state)
        else:
            symbol, at = _take_symbol(data, at, table, state)
            token = np.uint64(multiply_fold(np.uint64(symbol) ^ _SYMBOL_SEED, WORD_KEY))
        gram, slot = _rolled(gram, token, ring, slot, power)
        count += 1
        out[filled] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY)
        if data[began] < 0x80:
            filled += count >= ngram
        else:
            filled += _ended(data, began, end, table, gram, ring, slot, count, state, out, filled)
    state[_AT], state[_AFTER], state[_COUNT], state[_SLOT] = at, after, count, slot
    state[_GRAM], state[WORDS] = np.int64(gram), words
    return filled


@kernel
def _ended(
    data: Bytes,
    began: Int,
    end: Int,
    table: Table,
    gram: np.uint64,
    ring: Hashes,
    slot: Int,
    count: Int,
    state: Ints,
    out: Hashes,
    filled: Int,
) -> bool:
    """Whether a shingle ends with token `count`, at data[began]; a short one goes to out[filled].

    The shingle of `ngram` tokens must be there already.
    """
    short = (ring.size + 1) // 2
    if count < short or not table[decode(data, began, end)[0]] & ALONE:
        return bool(count >= ring.size)
    if state[_SHORT] or count > ring.size:  # otherwise the first: all tokens
        gram = np.uint64(0)
        for back in range(short, 0, -1):
            gram = gram * _GRAM_BASE + ring[(slot - back) % ring.size]
        out[filled] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY)
    state[_SHORT] = count
    return True


@inlined
def _rolled(
    gram: np.uint64, token: np.uint64, ring: Hashes, slot: Int, power: np.uint64
) -> tuple[np.uint64, Int]:
    """The polynomial with one token more and the oldest one less, and the slot of that."""
    rolled = np.uint64(gram * _GRAM_BASE + token - ring[slot] * power)
    ring[slot] = token
    return rolled, (slot + 1 if slot + 1 < ring.size else np.int64(0))


@inlined
def _fill_characters(
    data: Bytes, end: Int, table: Table, ring: Hashes, state: Ints, power: np.uint64, out: Hashes
) -> Int:
    at, after, count, slot = state[_AT], state[_AFTER], state[_COUNT], state[_SLOT]
    gram, words, ngram, filled = np.uint64(state[_GRAM]), state[WORDS], ring.size, 0
    spaced, before, began = state[_SPACED] != 0, np.uint32(state[_BEFORE]), state[_BEGAN]
    symbols = state[_SYMBOLS] != 0
    while at < end and filled < out.size:
        if not spaced:
            code, spaced = np.int64(_BLANK), True
        elif at < after:
            code, at = _take_symbol(data, at, table, state)
            spaced = False
        else:
            found, size = decode(data, at, end)
            entry = np.uint32(table[found])
            if before == 0 or (entry | before) & ALONE:
                if begins_word(entry, before):
                    words += 1
                    began = at
                before = kind_after(entry, before)
            code = np.int64(entry & LOWER)
            at += size
            if at < end and not table[decode(data, at, end)[0]] & WORD:
                gap = at
                after, first = gap_after(data, gap, end, table)
                at = after
                if symbols and not plainly_bare(first, after - gap):
                    at = _enter_gap(data, began, gap, after, end, table, state)
                spaced, before = False, np.uint32(0)
        token = multiply_fold(np.uint64(code) ^ WORD_SEED, WORD_KEY)
        gram, slot = _rolled(gram, token, ring, slot, power)
        count += 1
        out[filled] = multiply_fold(gram ^ WORD_SEED, _GRAM_KEY)
        filled += count >= ngram
    state[_AT], state[_AFTER], state[_COUNT], state[_SLOT] = at, after, count, slot
    state[_GRAM], state[WORDS] = np.int64(gram), words
    state[_SPACED], state[_BEFORE], state[_BEGAN] = np.int64(spaced), np.int64(before), began
    return filled


@kernel
def _enter_gap(
    data: Bytes, began: Int, gap: Int, after: Int, end: Int, table: Table, state: Ints
) -> Int:
    """Where the first symbol that counts stands behind the word data[began:gap], or else the next
    word, at `after`.
    """
    if not may_hold(data, gap, after, table):
        return after
    known = gap_between(data, began, gap, after, end, table)
    state[_GAP], state[_AFTER], state[_KNOWN] = gap, after, known
    return next_symbol(data, gap, gap, after, known, table)


@kernel
def _take_symbol(data: Bytes, at: Int, table: Table, state: Ints) -> tuple[Int, Int]:
    """The symbol at `at`, and where the next token is."""
    gap, after, known = state[_GAP], state[_AFTER], state[_KNOWN]
    symbol, size = symbol_at(data, at, gap, after, known, table)
    return symbol, next_symbol(data, at + size, gap, after, known, table)


@inlined
def gram_power(ngram: Int) -> np.uint64:
    """`power` of `fill` for shingles of `ngram` tokens."""
    power = np.uint64(1)
    for _ in range(ngram):
        power *= _GRAM_BASE
    return power


@kernel
def shingle_hashes(
    data: Bytes,
    offsets: Ints,
    table: Table,
    characters: bool,
    ngram: Int,
    distinct: bool,
    symbols: bool,
) -> tuple[Ints, Ints, Ints]:
    """The shingles of each text.

    data: uint8[m], UTF-8; offsets: int64[n+1]; table: of `table_for`; distinct: as an ascending
    set, otherwise in the order of the text; symbols: whether those that count are tokens.
    Returns (hashes int64[k], offsets int64[n+1], words int64[n]).
    """
    n = offsets.size - 1
    power, ring = gram_power(ngram), np.zeros(ngram, dtype=np.uint64)
    state, buffer = np.zeros(STATE, dtype=np.int64), np.empty(BUFFERED, dtype=np.uint64)
    bounds, words = np.zeros(n + 1, dtype=np.int64), np.zeros(n, dtype=np.int64)
    hashes = np.empty(max(1024, (offsets[n] - offsets[0]) // 4), dtype=np.int64)
    size = 0
    for d in range(n):
        begin(data, offsets[d], offsets[d + 1], table, symbols, ring, state)
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
    symbols: bool = True,
    normalization: Normalization = NFC,
) -> list[Ints]:
    """The shingle hashes of each text.

    symbols: whether symbols that count are tokens, as in the similarity that is verified.
    Returns an int64[k] for each text: ascending and distinct, or in the order of the text.
    Raises ValueError if `unit` or `ngram` is not allowed.
    """
    characters = is_characters(unit, ngram)
    data, offsets = arrow_buffers(normalization.texts(pa.array(texts, pa.string())))
    hashes, bounds, _ = shingle_hashes(
        data, offsets, table_for(data), characters, ngram, distinct, symbols
    )
    return [hashes[a:b] for a, b in pairwise(bounds)]


def is_characters(unit: str, ngram: int) -> bool:
    """Whether `unit` is "character". Raises ValueError if `unit` or `ngram` is not allowed."""
    if unit not in ("word", "character"):
        raise ValueError(f"unit is {unit!r}; it must be 'word' or 'character'")
    if ngram < 1:
        raise ValueError(f"ngram is {ngram}; it must be at least 1")
    return unit == "character"
