"""Words: where they begin and end in UTF-8, and the hash of each.

A *word* is a maximal run of letters, numbers, marks (Unicode categories L*, N*, M*) and "_", each
code point lower-cased by its one-to-one mapping. In scripts that put no spaces between words
(Chinese, Japanese, Thai, Lao, Khmer, Burmese: WITHOUT_SPACES) each character is a word, with the
marks that follow it, whatever it stands beside.

Words are hashed where they lie: eight bytes at a time while they are ASCII, otherwise code point by
code point. Both ways hash the lower-cased UTF-8 bytes in chunks of eight, so that a word's hash
does not depend on which way was taken.
"""

import unicodedata
from functools import cache
from typing import Any

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from unrote.corpus.kernel import bits_of, inlined, kernel, load64, multiply_fold

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Table = NDArray[np.uint32]
Int = Any  # an int64: int to the interpreter, np.int64 to numpy's stubs, the same to numba

CODE_POINTS = 0x110000
WORD = np.uint32(1 << 31)  # flags beside the lower-cased code point in an entry of the table
SPACE = np.uint32(1 << 30)
ALONE = np.uint32(1 << 29)  # a word of its own, with the marks that follow
MARK = np.uint32(1 << 28)  # belongs to what it stands on
DIGIT = np.uint32(1 << 27)
SYMBOL = np.uint32(1 << 26)  # what dedup.symbols says of these
MARKED = np.uint32(1 << 25)
DOTTED = np.uint32(1 << 24)
LOWER = np.uint32((1 << 21) - 1)

WITHOUT_SPACES = (
    (0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x19E0, 0x1A00), (0x2E80, 0x2FE0),
    (0x3000, 0x3100), (0x31F0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xA9E0, 0xAA00),
    (0xAA60, 0xAA80), (0xF900, 0xFB00), (0xFF66, 0xFFA0), (0x1AFF0, 0x1B170), (0x20000, 0x32400),
)  # fmt: skip
"""Blocks of scripts that put no spaces between words: Han, Hiragana, Katakana, Thai, Lao, Khmer,
Burmese."""

ONES = np.uint64(0x0101010101010101)
HIGH = np.uint64(0x8080808080808080)
LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_BIT5 = np.uint64(0x2020202020202020)
# Adding these to a byte below 128 sets its top bit where the byte is at least 'a', above 'z', …
_FROM_A, _PAST_Z = ONES * np.uint64(0x80 - 0x61), ONES * np.uint64(0x80 - 0x7B)
_FROM_0, _PAST_9 = ONES * np.uint64(0x80 - 0x30), ONES * np.uint64(0x80 - 0x3A)
_UNDERSCORES = ONES * np.uint64(0x5F)

WORD_SEED = np.uint64(0xA0761D6478BD642F)
WORD_KEY = np.uint64(0xE7037ED1A0B428DB)


@cache
def unicode_table() -> Table:
    """Each code point's one-to-one lower case, with flags.

    WORD; of word characters: ALONE, MARK, DIGIT (`str.isdigit`); SPACE (`str.isspace`); of
    `dedup.symbols`: SYMBOL for what counts everywhere, MARKED and DOTTED for what may count.
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
    mark, symbol, dash = (np.zeros(CODE_POINTS, dtype=np.bool_) for _ in range(3))
    # Outside planes 0, 1 and 14 there are none of these; unicodedata would take 0.1 s to say so.
    for start, end in ((0, 0xD800), (0xF900, 0x20000), (0xE0000, 0xE1000)):
        rest = start + np.flatnonzero(~word[start:end])
        category = np.array(list(map(unicodedata.category, map(chr, rest))))
        mark[rest] = np.char.startswith(category, "M")
        symbol[rest] = np.isin(category, ("Sm", "Sc", "So"))
        dash[rest] = category == "Pd"
    symbol[0x2500:0x2600] = symbol[0xFFFD] = symbol[0x2212] = False
    dash[0x2212] = True
    first = characters[:0x20000]
    for c in np.flatnonzero(np.char.isupper(first) | np.char.istitle(first)):
        lower = chr(c).lower()
        if len(lower) == 1:
            table[c] = ord(lower)
    table[symbol] |= SYMBOL
    table[dash] |= MARKED
    table[:128] = _ascii_table()
    table[word | mark] |= WORD
    table[np.flatnonzero(np.char.isdigit(characters))] |= DIGIT
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
    table[[c.isdigit() for c in characters]] |= DIGIT
    for flag, marks in ((SYMBOL, "+<=~$&@^"), (MARKED, "*/\\|%#->!:;"), (DOTTED, ".,")):
        table[[c in marks for c in characters]] |= flag
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
def next_word(data: Bytes, at: Int, end: Int, table: Table) -> Int:
    """Where the first word from `at` on begins; `end` if there is none."""
    return gap_after(data, at, end, table)[0]


@inlined
def gap_after(data: Bytes, at: Int, end: Int, table: Table) -> tuple[Int, np.uint64]:
    """`next_word`, and the first eight bytes from `at` on, zeros after the end."""
    first = _bytes_at(data, at, end) if at < end else np.uint64(0)
    block = first
    while at < end:
        foreign = block & HIGH
        plain = block & LOW
        found = _word_bytes(plain, ascii_letters(plain)) | foreign
        if found == 0:
            at += 8
        else:
            at += np.int64(trailing_zeros(found)) >> 3
            if data[at] < 0x80:
                return at, first
            code, size = decode(data, at, end)
            if table[code] & WORD:
                return at, first
            at += size
        if at < end:
            block = _bytes_at(data, at, end)
    return end, first


@inlined
def hash_word(data: Bytes, at: Int, end: Int, table: Table) -> tuple[np.uint64, Int]:
    """The hash of the word that begins at `at`, and where it ends."""
    h, start = WORD_SEED, at
    while at < end:
        block = _bytes_at(data, at, end)
        plain = block & LOW
        letters = ascii_letters(plain)
        lower = plain | letters >> np.uint64(2)  # 0x80 to 0x20, the bit of lower case
        other = ~(_word_bytes(plain, letters) & ~block) & HIGH
        if other == 0:
            h = multiply_fold(h ^ lower, WORD_KEY)
            at += 8
            continue
        bits = np.uint64(trailing_zeros(other)) & np.uint64(0x38)
        chunk = lower & ((np.uint64(1) << bits) - np.uint64(1))
        filled = np.int64(bits >> np.uint64(3))
        at += filled
        if other & block & (np.uint64(0x80) << bits):
            return _hash_rest(data, at, end, table, h, chunk, filled, at == start)
        if filled:
            h = multiply_fold(h ^ chunk, WORD_KEY)
        break
    return h, at


_word_bits = bits_of((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_foreign_bits = bits_of((0x80, 0xFF))
_mark_bits = bits_of(
    (0x21, 0x21), (0x23, 0x26), (0x2A, 0x2B), (0x2D, 0x2D), (0x2F, 0x2F), (0x3A, 0x3E),
    (0x40, 0x40), (0x5C, 0x5C), (0x5E, 0x5E), (0x7C, 0x7C), (0x7E, 0x7E),
)  # fmt: skip
"""The SYMBOL and MARKED of ASCII."""

_AHEAD = 64 + 8  # bytes that there must be for `words_ahead` and `hash_ascii`


@inlined
def words_ahead(data: Bytes, at: Int, end: Int) -> np.uint64:
    """Which of the 63 bytes from `at` on, where a word begins, are of ASCII words: a bit for each.

    Ends before the first byte above 127 and at `end`; 0 where it is better not to begin.
    """
    if at + _AHEAD > data.size or data[at] > 0x7F:
        return np.uint64(0)
    words, foreign = np.uint64(_word_bits(data, at)), np.uint64(_foreign_bits(data, at))
    # The bits below the first foreign byte, the end, and the last one, so that a word has an end.
    limit = foreign | np.uint64(1) << np.uint64(min(end - at, 63))
    return words & ((limit & (~limit + np.uint64(1))) - np.uint64(1))


@inlined
def marks_ahead(data: Bytes, at: Int) -> np.uint64:
    """Which of the 64 bytes from `at` on are ASCII that is SYMBOL or MARKED: a bit for each.

    0 where `words_ahead` does not begin.
    """
    if at + _AHEAD > data.size or data[at] > 0x7F:
        return np.uint64(0)
    return np.uint64(_mark_bits(data, at))


@inlined
def is_dot(byte: Any) -> bool:
    """Whether a byte is the DOTTED of ASCII."""
    return bool(byte == 0x2C or byte == 0x2E)  # noqa: PLR1714 - faster


@inlined
def first_run(bits: np.uint64) -> tuple[np.uint64, np.uint64]:
    """How many of the lowest bits are set, and how many behind them are not; the second is 0 if
    none is set after that. The highest bit is not set.
    """
    size = np.uint64(trailing_zeros(~bits))
    behind = bits >> size
    return size, (np.uint64(trailing_zeros(behind)) if behind else np.uint64(0))


@inlined
def hash_ascii(data: Bytes, at: Int, size: Int) -> np.uint64:
    """`hash_word` of a word of `size` > 0 ASCII bytes, with eight more bytes behind it."""
    h = WORD_SEED
    while size >= 8:
        h = multiply_fold(h ^ _lower(np.uint64(load64(data, at))), WORD_KEY)
        at += 8
        size -= 8
    if size:
        kept = (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
        h = multiply_fold(h ^ _lower(np.uint64(load64(data, at)) & LOW) & kept, WORD_KEY)
    return h


@inlined
def _lower(block: np.uint64) -> np.uint64:
    """Eight bytes below 128 with their letters in lower case."""
    return block | ascii_letters(block) >> np.uint64(2)  # 0x80 to 0x20, the bit of lower case


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
    """`hash_word` from a byte above 127 on; `filled` bytes of the next chunk are there already.

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
            h = multiply_fold(h ^ chunk, WORD_KEY)
            filled -= 8
            chunk = letter >> np.uint64(8 * (length - filled)) if filled else np.uint64(0)
    if filled:
        h = multiply_fold(h ^ chunk, WORD_KEY)
    return h, at
