"""Tokens of a text, and the regions in which a name can stand.

A token is a word (letters with their marks, digits and "_"), a genitive ("'s"), or one other
character that is no white space. A *region* is a maximal run of capitalised words and of what joins
them ("van der", "of", "&", a hyphen, the period of an initial), on one line or on two that are not
set apart. Only tokens of regions are looked at further: elsewhere no name is found.
"""

# ruff: noqa: C901, PLR0912, PLR0915, PLR1714 - a state machine is easier to check in one place

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]
Hashes = NDArray[np.uint64]
Table = NDArray[np.uint16]
Int = Any  # an int64 to numba
Hash = Any  # a uint64
Flag = Any  # a bool

TABLE = 0x3000
"""Code points whose case is known; beyond are no scripts with capitals that we look for."""

_LOWERED = 0x3FFF
LETTER, DIGIT = 1 << 14, 1 << 15

# Flags of a token.
WORD = 1  # has letters or digits
CAPITAL = 2  # begins with a capital letter
UPPER = 4  # has two letters or more, all capital
LOWER = 8  # has a small letter
DIGITS = 16  # has a digit
CAMEL = 32  # has a capital behind a small letter
BROAD = 64  # has a letter beyond ASCII
SPACED = 128  # white space stands before it
LINE = 256  # a line break stands before it
BLANK = 512  # a blank line stands before it, or nothing
MARKED = 1024  # has "_"
GENITIVE = 2048

HASH_SEED = np.uint64(0x9AE16A3B2F90404F)
HASH_PRIME = np.uint64(0x100000001B3)

JOINED = 3
"""Tokens that may stand between two capitalised words of one region, at most."""

_JOINING = (
    "of the and de la du des van von der den ter ten di da del della do dos das bin ibn al el y e "
    "et for in at on zu zum zur und le les los las af av"
)


class Tokens(NamedTuple):
    """The tokens of a text: int32[n] offsets of bytes, uint64[n] hashes of lower-cased words,
    int32[n] flags.
    """

    starts: Ints
    ends: Ints
    hashes: Hashes
    flags: Ints


@cache
def case_table() -> Table:
    """uint16[TABLE]: each code point's one-to-one lower case in 14 bits, and what it is: LETTER (or
    a mark on one) and DIGIT. A code point that is a capital differs from its lower case.
    """
    table = np.zeros(TABLE, dtype=np.uint16)
    for code in range(TABLE):
        char = chr(code)
        lower = char.lower()
        table[code] = ord(lower) if len(lower) == 1 and ord(lower) < TABLE else code
        if char.isalpha() or "\u0300" <= char <= "\u036f":
            table[code] |= LETTER
        elif char.isdigit():
            table[code] |= DIGIT
    table.flags.writeable = False
    return table


@cache
def joining() -> Hashes:
    """uint64[k], sorted: the hashes of words that may join capitalised ones."""
    hashes = np.array(sorted(word_hash(word) for word in _JOINING.split()), dtype=np.uint64)
    hashes.flags.writeable = False
    return hashes


def word_hash(word: str) -> int:
    """The hash that a token has whose lower case is that of `word`."""
    table = case_table()
    value = int(HASH_SEED)
    for code in map(ord, word):
        lower = int(table[code]) & _LOWERED if code < TABLE else code
        value = ((value ^ lower) * int(HASH_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return value


@inlined
def _code_point(data: Bytes, at: Int) -> Int:
    """The code point at `at` of UTF-8, and behind its 21 bits how many bytes it has."""
    first = np.int64(data[at])
    if first < 0x80:
        return first | (1 << 21)
    if first < 0xE0:
        return ((first & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F) | (2 << 21)
    second = (np.int64(data[at + 1]) & 0x3F) << 6
    if first < 0xF0:
        return ((first & 0x0F) << 12) | second | (np.int64(data[at + 2]) & 0x3F) | (3 << 21)
    third = (np.int64(data[at + 2]) & 0x3F) << 6
    last = np.int64(data[at + 3]) & 0x3F
    return ((first & 0x07) << 18) | (second << 6) | third | last | (4 << 21)


@inlined
def _is_space(code: Int) -> Flag:
    return code <= 32 or code == 0xA0 or 0x2000 <= code <= 0x200B or code == 0x85 or code == 0x2028


@inlined
def _is_apostrophe(code: Int) -> Flag:
    return code == 0x27 or code == 0x2019


@inlined
def _class(table: Table, code: Int) -> Int:
    """LETTER, DIGIT or 0; ideographs and other letters beyond the table are none of ours."""
    return np.int64(table[code]) & (LETTER | DIGIT) if code < TABLE else 0


@kernel
def tokenize(
    data: Bytes, table: Table, starts: Ints, ends: Ints, hashes: Hashes, flags: Ints
) -> int:
    """Fill the columns of Tokens; how many there are. Each column has room for a token a byte."""
    size, count, at = data.size, 0, 0
    before = BLANK | LINE | SPACED
    while at < size:
        packed = _code_point(data, at)
        code, length = packed & 0x1FFFFF, packed >> 21
        if _is_space(code):
            if code == 10:
                before |= BLANK if before & LINE else LINE
            before |= SPACED
            at += length
            continue
        start = at
        value, flag = HASH_SEED, before
        before = 0
        kind = _class(table, code)
        if kind == 0 and code != 0x5F:
            value = (value ^ np.uint64(code)) * HASH_PRIME
            at += length
            if _is_apostrophe(code) and count > 0 and flag & SPACED == 0 and at < size:
                code = np.int64(data[at])
                follows = 0
                if at + 1 < size:
                    follows = _class(table, _code_point(data, at + 1) & 0x1FFFFF)
                if (code == 0x73 or code == 0x53) and follows == 0 and flags[count - 1] & WORD:
                    value = (value ^ np.uint64(0x73)) * HASH_PRIME
                    flag |= GENITIVE
                    at += 1
            starts[count], ends[count], hashes[count], flags[count] = start, at, value, flag
            count += 1
            continue
        flag |= WORD
        letters = uppers = 0
        small = False
        while at < size:
            packed = _code_point(data, at)
            code, length = packed & 0x1FFFFF, packed >> 21
            kind = _class(table, code)
            if kind == 0:
                if code == 0x5F:
                    flag |= MARKED
                    value = (value ^ np.uint64(code)) * HASH_PRIME
                    at += 1
                    small = False
                    continue
                if not _is_apostrophe(code) or letters == 0 or at + length >= size:
                    break
                behind = _code_point(data, at + length)
                if _class(table, behind & 0x1FFFFF) & LETTER == 0:
                    break
                after = at + length + (behind >> 21)
                last = behind & 0x1FFFFF
                if last == 0x73 or last == 0x53:  # a genitive is a token of its own
                    if after >= size:
                        break
                    if _class(table, _code_point(data, after) & 0x1FFFFF) == 0:
                        break
                value = (value ^ np.uint64(0x27)) * HASH_PRIME
                at += length
                continue
            lower = np.int64(table[code]) & _LOWERED
            if kind & DIGIT:
                flag |= DIGITS
            else:
                letters += 1
                if lower != code:
                    uppers += 1
                    if at == start:
                        flag |= CAPITAL
                    elif small:
                        flag |= CAMEL
                    small = False
                else:
                    flag |= LOWER
                    small = True
                if code >= 0x80:
                    flag |= BROAD
            value = (value ^ np.uint64(lower)) * HASH_PRIME
            at += length
        if letters >= 2 and uppers == letters:
            flag |= UPPER
        starts[count], ends[count], hashes[count], flags[count] = start, at, value, flag
        count += 1
    return count


def tokenized(data: Bytes) -> Tokens:
    """The tokens of a text in UTF-8 (uint8[m])."""
    room = data.size
    columns = Tokens(
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.uint64),
        np.empty(room, np.int32),
    )
    count = tokenize(data, case_table(), *columns)
    starts, ends, hashes, flags = columns
    return Tokens(starts[:count], ends[:count], hashes[:count], flags[:count])


@inlined
def _has(sorted_hashes: Hashes, value: Hash) -> Flag:
    low, high = 0, sorted_hashes.size
    while low < high:
        middle = (low + high) // 2
        if sorted_hashes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < sorted_hashes.size and sorted_hashes[low] == value


@inlined
def _is_name_like(flag: Int) -> Flag:
    return flag & CAPITAL != 0 and flag & MARKED == 0


@inlined
def _joins(data: Bytes, tokens: Tokens, at: Int, joining_words: Hashes) -> Flag:
    """Whether a token may stand between two capitalised words of a name."""
    flag = tokens.flags[at]
    if flag & (BLANK | DIGITS | MARKED):
        return False
    if flag & WORD:
        return _has(joining_words, tokens.hashes[at])
    if flag & GENITIVE:
        return True
    char = data[tokens.starts[at]]
    if char == 0x2E:  # a period: of an initial or a short title
        before = tokens.starts[at - 1]
        return flag & SPACED == 0 and tokens.ends[at - 1] - before <= 4
    if tokens.ends[at] - tokens.starts[at] == 3:  # a hyphen or a dash of U+2010 to U+2013
        return char == 0xE2 and data[tokens.starts[at] + 1] == 0x80 and flag & SPACED == 0
    return char == 0x2D or char == 0x26 or (char == 0x27 and flag & SPACED == 0)


@kernel
def regions(data: Bytes, tokens: Tokens, joining_words: Hashes, firsts: Ints, lasts: Ints) -> int:
    """Fill the first token of each region, and the one behind its last; how many there are.

    firsts, lasts: int32, with room for as many as there are tokens.
    """
    count, at, total = 0, 0, tokens.starts.size
    while at < total:
        if not _is_name_like(tokens.flags[at]):
            at += 1
            continue
        first, last = at, at
        following = at + 1
        while following < total and following - last <= JOINED + 1:
            flag = tokens.flags[following]
            if flag & BLANK:
                break
            if _is_name_like(flag):
                last = following
            elif not _joins(data, tokens, following, joining_words):
                break
            following += 1
        firsts[count], lasts[count] = first, last + 1
        count += 1
        at = last + 1
    return count
