"""Shingles: the n-grams of a text, each as one well-mixed 64-bit hash.

A *word* is a maximal run of letters, numbers, marks (Unicode categories L*, N*, M*) and "_", each
code point lower-cased by its one-to-one mapping. In scripts that put no spaces between words
(Chinese, Japanese, Thai, Lao, Khmer, Burmese: WITHOUT_SPACES) each character is a word, with the
marks that follow it, whatever it stands beside.

With unit "word" a token is a word. With unit "character" a text is its runs of letters, numbers,
marks and "_" joined by one space, in any script, and a token is a code point of that. A shingle is
`ngram` consecutive tokens; a text with fewer tokens, but at least one, has one shingle: all of
them. A text without words has none.

Words are hashed where they lie: eight bytes at a time while they are ASCII, otherwise code point by
code point. Both ways hash the lower-cased UTF-8 bytes in chunks of eight, so that a word's hash
does not depend on which way was taken.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel, load64, multiply_fold
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.text import arrow_buffers

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Table = NDArray[np.uint32]
Unit = Literal["word", "character"]
Int = Any  # an int64: int to the interpreter, np.int64 to numpy's stubs, the same to numba

CODE_POINTS = 0x110000
WORD = np.uint32(1 << 31)  # flags beside the lower-cased code point in an entry of the table
SPACE = np.uint32(1 << 30)
ALONE = np.uint32(1 << 29)  # a word of its own, with the marks that follow
MARK = np.uint32(1 << 28)  # belongs to what it stands on
LOWER = np.uint32((1 << 21) - 1)

WITHOUT_SPACES = (
    (0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x19E0, 0x1A00), (0x2E80, 0x2FE0),
    (0x3000, 0x3100), (0x31F0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xA9E0, 0xAA00),
    (0xAA60, 0xAA80), (0xF900, 0xFB00), (0xFF66, 0xFFA0), (0x1AFF0, 0x1B170), (0x20000, 0x32400),
)  # fmt: skip
"""Blocks of scripts that put no spaces between words: Han, Hiragana, Katakana, Thai, Lao, Khmer,
Burmese."""

BUFFERED = 512  # shingles that `fill` hands over at a time: 4 KiB stay in the first-level cache

ONES = np.uint64(0x0101010101010101)
HIGH = np.uint64(0x8080808080808080)
LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_BIT5 = np.uint64(0x2020202020202020)
# Adding these to a byte below 128 sets its top bit where the byte is at least 'a', above 'z', …
_FROM_A, _PAST_Z = ONES * np.uint64(0x80 - 0x61), ONES * np.uint64(0x80 - 0x7B)
_FROM_0, _PAST_9 = ONES * np.uint64(0x80 - 0x30), ONES * np.uint64(0x80 - 0x3A)
_UNDERSCORES = ONES * np.uint64(0x5F)

_WORD_SEED = np.uint64(0xA0761D6478BD642F)
_WORD_KEY = np.uint64(0xE7037ED1A0B428DB)
_GRAM_BASE = np.uint64(0x9FB21C651E98DF25)
_GRAM_KEY = np.uint64(0x8EBC6AF09C88C6E3)
_BLANK = 0x20

# What `fill` has to remember between two calls for one text.
_AT, _COUNT, _SLOT, _GRAM, WORDS, _BEFORE = 0, 1, 2, 3, 4, 5
STATE = 6


@cache
def unicode_table() -> Table:
    """Each code point's one-to-one lower case, with the flags WORD, SPACE (`str.isspace`), ALONE
    and MARK. The last two are of word characters only.

    Returns uint32[0x110000], read-only.
    """
    table = np.arange(CODE_POINTS, dtype=np.uint32)
    letters = table.copy()
    letters[0xD800:0xE000] = 0  # no characters, and numpy rightly refuses them
    characters = letters.view("U1")
    word = np.char.isalnum(characters)
    word[ord("_")] = True
    alone = np.zeros(CODE_POINTS, dtype=np.bool_)
    for start, end in WITHOUT_SPACES:
        alone[start:end] = word[start:end]
    mark = np.zeros(CODE_POINTS, dtype=np.bool_)
    # Outside planes 0, 1 and 14 there are no marks; unicodedata would take 0.1 s to say so.
    for start, end in ((0, 0xD800), (0xF900, 0x20000), (0xE0000, 0xE1000)):
        rest = start + np.flatnonzero(~word[start:end])
        category = map(unicodedata.category, map(chr, rest))
        mark[rest] = np.fromiter((c[0] == "M" for c in category), bool, rest.size)
    first = characters[:0x20000]
    for c in np.flatnonzero(np.char.isupper(first) | np.char.istitle(first)):
        lower = chr(c).lower()
        if len(lower) == 1:
            table[c] = ord(lower)
    table[word | mark] |= WORD
    table[alone] |= ALONE
    table[mark] |= MARK
    table[np.flatnonzero(np.char.isspace(first))] |= SPACE
    table.flags.writeable = False
    return table


@cache
def _ascii_table() -> Table:
    characters = [chr(c) for c in range(128)]
    table = np.array([ord(c.lower()) for c in characters], dtype=np.uint32)
    table[[c.isalnum() or c == "_" for c in characters]] |= WORD
    table[[c.isspace() for c in characters]] |= SPACE
    table.flags.writeable = False
    return table


def table_for(data: Bytes) -> Table:
    """The part of `unicode_table` that a buffer of UTF-8 needs: making all of it takes 20 ms.

    data: uint8[m]. Returns uint32[128] or uint32[0x110000], read-only.
    """
    return unicode_table() if data.size and data.max() > 127 else _ascii_table()


@inlined
def _bytes_at(data: Bytes, at: Int, end: Int) -> np.uint64:
    """Eight bytes of data[:end] from `at` < `end`, zeros after the end."""
    left = end - at
    if left >= 8:
        return np.uint64(load64(data, at))
    if data.size - at >= 8:
        return np.uint64(load64(data, at)) & ((np.uint64(1) << np.uint64(8 * left)) - np.uint64(1))
    block = np.uint64(0)
    for i in range(left):
        block |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return block


@inlined
def ascii_letters(block: np.uint64) -> np.uint64:
    """0x80 in each byte that is an ASCII letter, among bytes below 128."""
    folded = block | _BIT5
    return (folded + _FROM_A) & ~(folded + _PAST_Z) & HIGH


@inlined
def _word_bytes(block: np.uint64, letters: np.uint64) -> np.uint64:
    """0x80 in each byte that is an ASCII word character, among bytes below 128."""
    digits = (block + _FROM_0) & ~(block + _PAST_9)
    not_underscore = (block ^ _UNDERSCORES) + LOW
    return (letters | digits | ~not_underscore) & HIGH


@inlined
def decode(data: Bytes, at: Int, end: Int) -> tuple[Int, Int]:
    """The code point at data[at] and its length; (U+FFFD, 1) where there is no whole sequence."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, np.int64(1)
    size = np.int64(2) + np.int64(lead >= 0xE0) + np.int64(lead >= 0xF0)
    if lead < 0xC2 or lead > 0xF4 or at + size > end:
        return np.int64(0xFFFD), np.int64(1)
    code = lead & (0x7F >> size)
    for i in range(1, size):
        code = code << 6 | (np.int64(data[at + i]) & 0x3F)
    if code >= CODE_POINTS:
        return np.int64(0xFFFD), np.int64(1)
    return code, size


@inlined
def encoded(code: Int) -> tuple[np.uint64, Int]:
    """The UTF-8 bytes of a code point as one little-endian number, and how many they are."""
    c = np.uint64(code)
    tail = np.uint64(0x80) | (c & np.uint64(0x3F))
    if code < 0x80:
        return c, np.int64(1)
    if code < 0x800:
        return np.uint64(0xC0) | c >> np.uint64(6) | tail << np.uint64(8), np.int64(2)
    middle = np.uint64(0x80) | (c >> np.uint64(6) & np.uint64(0x3F))
    if code < 0x10000:
        lead = np.uint64(0xE0) | c >> np.uint64(12)
        return lead | middle << np.uint64(8) | tail << np.uint64(16), np.int64(3)
    second = np.uint64(0x80) | (c >> np.uint64(12) & np.uint64(0x3F))
    lead = np.uint64(0xF0) | c >> np.uint64(18)
    tail = middle << np.uint64(16) | tail << np.uint64(24)
    return lead | second << np.uint64(8) | tail, np.int64(4)


@inlined
def begins_word(entry: np.uint32, before: np.uint32) -> bool:
    """Whether a word begins with the word character of `entry`.

    before: of `kind_after` the character before it; 0 where that is none of a word.
    """
    return bool(entry & ALONE or before == 0 or (before & ALONE and not entry & MARK))


@inlined
def kind_after(entry: np.uint32, before: np.uint32) -> np.uint32:
    """`before` of `begins_word` for what follows the word character of `entry`."""
    return before if before and entry & MARK else entry & (WORD | ALONE)


@inlined
def _next_word(data: Bytes, at: Int, end: Int, table: Table) -> Int:
    """Where the first word from `at` on begins; `end` if there is none."""
    while at < end:
        block = _bytes_at(data, at, end)
        foreign = block & HIGH
        plain = block & LOW
        found = _word_bytes(plain, ascii_letters(plain)) | foreign
        if found == 0:
            at += 8
            continue
        at += np.int64(trailing_zeros(found)) >> 3
        if data[at] < 0x80:
            return at
        code, size = decode(data, at, end)
        if table[code] & WORD:
            return at
        at += size
    return end


@inlined
def _hash_word(data: Bytes, at: Int, end: Int, table: Table) -> tuple[np.uint64, Int]:
    """The hash of the word that begins at `at`, and where it ends."""
    h, start = _WORD_SEED, at
    while at < end:
        block = _bytes_at(data, at, end)
        plain = block & LOW
        letters = ascii_letters(plain)
        lower = plain | letters >> np.uint64(2)  # 0x80 to 0x20, the bit of lower case
        other = ~(_word_bytes(plain, letters) & ~block) & HIGH
        if other == 0:
            h = multiply_fold(h ^ lower, _WORD_KEY)
            at += 8
            continue
        bits = np.uint64(trailing_zeros(other)) & np.uint64(0x38)
        chunk = lower & ((np.uint64(1) << bits) - np.uint64(1))
        filled = np.int64(bits >> np.uint64(3))
        at += filled
        if other & block & (np.uint64(0x80) << bits):
            return _hash_rest(data, at, end, table, h, chunk, filled, at == start)
        if filled:
            h = multiply_fold(h ^ chunk, _WORD_KEY)
        break
    return h, at


@kernel
def _hash_rest(
    data: Bytes,
    at: Int,
    end: Int,
    table: Table,
    h: np.uint64,
    chunk: np.uint64,
    filled: Int,
    first: bool,
) -> tuple[np.uint64, Int]:
    """`_hash_word` from a byte above 127 on; `filled` bytes of the next chunk are there already.

    first: whether the word begins here.
    """
    before = np.uint32(0) if first else WORD
    while at < end:
        code, size = decode(data, at, end)
        entry = np.uint32(table[code])
        if not entry & WORD or (before and begins_word(entry, before)):
            break
        before = kind_after(entry, before)
        at += size
        letter, length = encoded(np.int64(entry & LOWER))
        chunk |= letter << np.uint64(8 * filled)
        filled += length
        if filled >= 8:
            h = multiply_fold(h ^ chunk, _WORD_KEY)
            filled -= 8
            chunk = letter >> np.uint64(8 * (length - filled)) if filled else np.uint64(0)
    if filled:
        h = multiply_fold(h ^ chunk, _WORD_KEY)
    return h, at


@inlined
def begin(data: Bytes, start: Int, end: Int, table: Table, ring: Hashes, state: Ints) -> None:
    """Prepare `fill` for the text data[start:end]. ring: uint64[ngram], state: int64[STATE]."""
    ring[:] = 0
    state[:] = 0
    state[_AT] = _next_word(data, start, end, table)


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
            token, at = _hash_word(data, at, end, table)
            at = _next_word(data, at, end, table)
            words += 1
        gram = gram * _GRAM_BASE + token - ring[slot] * power
        ring[slot] = token
        slot = slot + 1 if slot + 1 < ngram else 0
        count += 1
        out[filled] = multiply_fold(gram ^ _WORD_SEED, _GRAM_KEY)
        filled += count >= ngram
    if at >= end and 0 < count < ngram:
        out[0] = multiply_fold(gram ^ _WORD_SEED, _GRAM_KEY + np.uint64(2 * count))
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
            after = after if _next_word(data, after, end, table) < end else end
        return multiply_fold(np.uint64(entry & LOWER) ^ _WORD_SEED, _WORD_KEY), after, entry
    after = _next_word(data, at, end, table)
    return multiply_fold(np.uint64(_BLANK) ^ _WORD_SEED, _WORD_KEY), after, np.uint32(0)


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
