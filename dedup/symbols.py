r"""Symbols: which marks between two words distinguish a text from another.

Marks of sentences and of setting do not: a copy has other quotes, dashes or bullets, or the comment
marks of another language. Operators, signs, currencies and pictures do. In what stands between two
words, or at an end of a text, these count, each as a token:

1. mathematical, currency and other symbols of Unicode (Sm, Sc, So) and & @ ^. Not | and >, boxes,
   blocks and bullets (U+2500 to U+25FF), U+FFFD, and the < of "<!--";
2. * / % > and dashes between two operands, that is numbers or single letters: 7 - 3, a > b. All
   dashes and the minus sign are one symbol; a character of a script without spaces is no operand;
3. * / \ | % # that join two words, without white space: width*height, km/h; a / by itself; * % **
   // %% by themselves between two words, but at the start of a line, where they lead a comment or
   an item;
4. a dash before an operand, with at most a currency sign between, and not after a word: -5, -$5;
5. # after a word or before a number, % after either: C#, #5, 5 %;
6. . , and : by themselves between two digits: 1.50, 1:50;
7. ! before = or, not after a word, before a word; > beside = or after a single dash: !=, >=, ->;
8. the brackets of :) ;-) :( that do not follow a word.

Where the same ASCII mark of 1 to 3 stands three times in a row, with or without white space, that
is a ruler: of what stands between the same two words only symbols outside ASCII count.

Nothing here depends on how much white space there is or on its kind, but for whether a line breaks
before one of the marks of 3: dedup.fingerprint, to which it is no difference otherwise, keeps these
breaks (`leads_line`), so that texts with equal fingerprints have the same symbols.
"""

from typing import Any

import numpy as np

from unrote.corpus.kernel import inlined, kernel
from unrote.dedup.words import (
    ALONE,
    DIGIT,
    DOTTED,
    LOWER,
    MARKED,
    SPACE,
    SYMBOL,
    WORD,
    Bytes,
    Int,
    Table,
    decode,
)

# What there is to know of all that stands between two words, as bits.
_LEFT, _RIGHT, _LEFT_DIGIT, _RIGHT_DIGIT, _LEFT_OPERAND, _RIGHT_OPERAND, _SPACED, _RULER = (
    1 << bit for bit in range(8)
)

_DASH = 0x2D
_SPACE, _COMMA_SPACE, _STOP_SPACE = np.uint64(0x20), np.uint64(0x202C), np.uint64(0x202E)
_ANYWHERE = SYMBOL | MARKED


@inlined
def plainly_bare(first: np.uint64, size: Int) -> bool:
    """Whether what stands between two words is a space, perhaps after a comma or a full stop: most
    of it is, and no symbol counts there.

    first: its first bytes; size: how many it has.
    """
    if size == 1:
        return bool(first & np.uint64(0xFF) == _SPACE)
    two = first & np.uint64(0xFFFF)
    return bool(size == 2 and (two == _COMMA_SPACE or two == _STOP_SPACE))  # noqa: PLR1714, SIM109


@inlined
def plainly_bare_after(data: Bytes, word: Int, gap: Int) -> bool:
    """Whether the mark data[gap] does not count, if it is the only one between the ASCII word
    data[word:gap] and the next one: behind a letter . , : ; - do not, if a dash not behind a single
    one.
    """
    mark, last = data[gap], data[gap - 1]
    digit = 0x30 <= last <= 0x39
    joins = mark in (ord("."), ord(","), ord(":"), ord(";"))
    return bool(not digit and (joins or (mark == _DASH and gap - word > 1)))


@kernel
def may_hold(data: Bytes, gap: Int, end: Int, table: Table) -> bool:
    """Whether a symbol may count in data[gap:end], which holds no word."""
    seen = np.uint32(0)
    size = end - gap
    while gap < end and not seen & _ANYWHERE:
        code, length = decode(data, gap, end)
        seen = np.uint32(seen | table[code])
        gap += length
    return bool(seen & _ANYWHERE or (size == 1 and seen & DOTTED))


@kernel
def gap_between(data: Bytes, began: Int, gap: Int, after: Int, end: Int, table: Table) -> Int:
    """What there is to know of data[gap:after], between the word data[began:gap], if that is not
    empty, and the one that begins at `after` < `end`, if that is.
    """
    known = 0
    if began < gap:
        code, size = _before(data, began, gap)
        digit = (table[code] & DIGIT) != 0
        _, first = decode(data, began, gap)
        letter = first == gap - began and not table[code] & ALONE
        known |= _LEFT | _LEFT_DIGIT * digit | _LEFT_OPERAND * (digit or letter)
    if after < end:
        code, size = decode(data, after, end)
        digit = (table[code] & DIGIT) != 0
        letter = not table[code] & ALONE
        if letter and after + size < end:
            following = table[decode(data, after + size, end)[0]]
            letter = not following & WORD or (following & ALONE) != 0
        known |= _RIGHT | _RIGHT_DIGIT * digit | _RIGHT_OPERAND * (digit or letter)
    last, times = np.int64(-1), 0
    while gap < after:
        code, size = decode(data, gap, after)
        gap += size
        if table[code] & SPACE:
            known |= _SPACED
            continue
        mark = _mark_of(code, table)
        times = times + 1 if mark == last else 1
        last = mark
        if times >= 3 and _in_rulers(mark):
            known |= _RULER
    return known


@kernel
def next_symbol(data: Bytes, at: Int, gap: Int, after: Int, known: Int, table: Table) -> Int:
    """Where the first symbol from `at` on stands that counts; `after` if there is none."""
    while at < after:
        code, size = decode(data, at, after)
        some = table[code] & (SYMBOL | MARKED | DOTTED)
        if some and symbol_at(data, at, gap, after, known, table)[0]:
            return at
        at += size
    return after


@kernel
def symbol_at(  # noqa: C901 - the rule's list, line by line
    data: Bytes, at: Int, gap: Int, after: Int, known: Int, table: Table
) -> tuple[Int, Int]:
    """The code point that the mark at data[at] counts as, 0 if it does not, and its length.

    gap, after: where what stands between two words begins and ends; known: of `gap_between`.
    """
    code, size = decode(data, at, after)
    mark, symbol = _mark_of(code, table), (table[code] & SYMBOL) != 0
    if mark > 0x7F:
        return (mark if symbol else np.int64(0)), size
    if known & _RULER:
        return np.int64(0), size
    after_word = at == gap and (known & _LEFT) != 0
    before_word = at + size == after and (known & _RIGHT) != 0
    joins = known & (_LEFT | _RIGHT | _SPACED) == _LEFT | _RIGHT
    operands = known & (_LEFT_OPERAND | _RIGHT_OPERAND) == _LEFT_OPERAND | _RIGHT_OPERAND
    before = _before(data, gap, at)[0] if at > gap else np.int64(-1)
    follows = decode(data, at + size, after)[0] if at + size < after else np.int64(-1)
    counts: Any = False
    if symbol:
        counts = not (mark == ord("<") and follows == ord("!"))
    elif mark == _DASH:
        counts = operands or (not after_word and _is_sign(data, at + size, after, known, table))
    elif mark == ord(">"):
        counts = operands or before == ord("=") or follows == ord("=")
        counts = counts or _ends_arrow(data, gap, at, table)
    elif mark == ord("!"):
        counts = follows == ord("=") or (before_word and not after_word)
    elif mark in (ord("."), ord(","), ord(":"), ord(";")):
        both = known & (_LEFT_DIGIT | _RIGHT_DIGIT) == _LEFT_DIGIT | _RIGHT_DIGIT
        counts = both and at == gap and at + size == after and mark != ord(";")
    elif mark == ord("/"):
        free = (before < 0 or table[before] & SPACE) and (follows < 0 or table[follows] & SPACE)
        counts = joins or operands or (free and not after_word and not before_word)
        counts = counts or _operates(data, at, gap, known, table)
    elif mark == ord("%"):
        number = (known & _LEFT_DIGIT) != 0 and _only_space(data, gap, at, table)
        counts = joins or operands or after_word or number
        counts = counts or _operates(data, at, gap, known, table)
    elif mark == ord("#"):
        counts = joins or after_word or (before_word and (known & _RIGHT_DIGIT) != 0)
    else:  # * \\ |
        counts = joins or (operands and mark == ord("*"))
        counts = counts or (mark == ord("*") and _operates(data, at, gap, known, table))
    if not counts and mark in (ord(":"), ord(";")) and not after_word:
        return _mouth(data, at + size, after, table), size
    return (mark if counts else np.int64(0)), size


@inlined
def _ends_arrow(data: Bytes, gap: Int, at: Int, table: Table) -> bool:
    """Whether one dash, of whatever kind, and no second one stands before data[at]."""
    if at == gap:
        return False
    code, size = _before(data, gap, at)
    if _mark_of(code, table) != _DASH:
        return False
    at -= size
    return bool(at == gap or _mark_of(_before(data, gap, at)[0], table) != _DASH)


@inlined
def leads_line(data: Bytes, at: Int, end: Int, table: Table) -> bool:
    """Whether one or two marks that may be an operator, with white space or nothing behind them,
    begin at `at` < `end`.
    """
    mark = data[at]
    if mark not in (ord("*"), ord("/"), ord("%")):
        return False
    at += 1
    if at < end and data[at] == mark:
        at += 1
    return bool(at == end or table[decode(data, at, end)[0]] & SPACE)


@kernel
def _operates(data: Bytes, at: Int, gap: Int, known: Int, table: Table) -> bool:
    """Whether the mark at `at` is of an operator by itself between two words, and leads no line."""
    if known & (_LEFT | _RIGHT) != _LEFT | _RIGHT:
        return False
    if at > gap and data[at - 1] == data[at]:
        at -= 1
    if at == gap or not leads_line(data, at, data.size, table):
        return False
    code, size = _before(data, gap, at)
    if not table[code] & SPACE:
        return False
    while at > gap and table[code] & SPACE:
        if code in (0x0A, 0x0D):
            return False
        at -= size
        if at > gap:
            code, size = _before(data, gap, at)
    return True


@inlined
def _mark_of(code: Int, table: Table) -> Int:
    """The code point in lower case. All dashes are one: they alone are MARKED outside ASCII."""
    if code > 0x7F:
        return np.int64(_DASH) if table[code] & MARKED else np.int64(table[code] & LOWER)
    return code


@inlined
def _in_rulers(mark: Int) -> bool:
    return mark in (
        ord("-"), ord("+"), ord("<"), ord("="), ord("~"), ord("$"), ord("&"), ord("@"), ord("^"),
        ord("*"), ord("/"), ord("\\"), ord("|"), ord("#"), ord("%"), ord(">"),
    )  # fmt: skip


@inlined
def _before(data: Bytes, start: Int, at: Int) -> tuple[Int, Int]:
    """The code point that ends at `at` > `start`, and its length."""
    low = at - 1
    while low > start and low > at - 4 and data[low] & 0xC0 == 0x80:
        low -= 1
    return decode(data, low, at)


@inlined
def _only_space(data: Bytes, start: Int, end: Int, table: Table) -> bool:
    while start < end:
        code, size = decode(data, start, end)
        if not table[code] & SPACE:
            return False
        start += size
    return True


@inlined
def _is_sign(data: Bytes, at: Int, after: Int, known: Int, table: Table) -> bool:
    """Whether a dash that ends at `at` is the sign of the operand that begins at `after`."""
    if at < after:
        code, size = decode(data, at, after)
        if table[code] & SYMBOL and (code > 0x7F or code == ord("$")):
            at += size
    return bool(at == after and (known & _RIGHT_OPERAND) != 0)


@inlined
def _mouth(data: Bytes, at: Int, after: Int, table: Table) -> Int:
    """The bracket that makes a face of a colon that ends at `at`; 0 if there is none."""
    if at < after:
        code, size = decode(data, at, after)
        if _mark_of(code, table) == _DASH:
            at += size
    if at < after and data[at] in (ord("("), ord(")")):
        return np.int64(data[at])
    return np.int64(0)
