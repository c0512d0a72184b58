"""Where the first digits stand that may be a phone number: most that look like one are none.

What phonenumbers takes for a candidate (`pii.phones._candidate`), and whether the digits of it may
be a number by their shape and their line (`pii.plausibility.is_phone_like`), is decided here in a
kernel, which refuses nothing that these accept. It reads a byte for each character: ASCII as it is,
and of what is beyond only whether a candidate may have it.
"""

# ruff: noqa: C901, PLR0911, PLR1714, SIM109, SIM110 - a state machine is easier to check whole

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.text import symbols_of
from unrote.pii.plausibility import FEWEST_PHONE_DIGITS, MOST_DIGITS, NEAR, PHONE_STEMS
from unrote.pii.prefilter import digits_beyond_ascii

Bytes = NDArray[np.uint8]
Int = Any  # an int64 to numba
Char = Any  # a uint8

LEAD = 10
"""Characters before the first digit in which a candidate may begin."""
MOST_BETWEEN = 4
"""Signs between two groups of digits."""
LONGEST_GROUP = 20
MOST_GROUPS = 21
MIN_CHARS = 4
"""Digits and letters of the shortest number of any region or calling code (tested)."""
FEWEST_DOTS = 3
"""Of an object identifier or a version."""
FRENCH = 5
"""Pairs of digits of a French number."""

_NEWLINE = 10
_BEYOND, _IN_CANDIDATE = 1, 2
_SIGNS = (
    "\xa0\xad\u2010\u2011\u2012\u2013\u2014\u2015\u2053\u200b\u2060\u2212\u223c\u3000\u30fc\uff08\uff09"
    "\uff0b\uff0d\uff0e\uff0f\uff3b\uff3d\uff5e\uff03\uff45\uff4e\uff54\uff58\uff49\u0434\u0414\uff38\uff25\uff2e\uff29\uff34"
)
"""Characters beyond ASCII that a candidate may have, or begin its extension; and digits."""


@cache
def _kinds() -> Bytes:
    """The byte of each code point."""
    kinds = np.full(0x110000, _BEYOND, dtype=np.uint8)
    kinds[:0x80] = np.arange(0x80)
    kinds[[*digits_beyond_ascii(), *map(ord, _SIGNS)]] = _IN_CANDIDATE
    return kinds


class _Stems(NamedTuple):
    """Words that speak of phones, one behind another by their first letters: those that begin with
    the byte c are from firsts[c] to firsts[c + 1]; word i is letters[starts[i]:starts[i + 1]].
    """

    firsts: NDArray[np.int64]
    starts: NDArray[np.int64]
    letters: Bytes


@cache
def _stems() -> _Stems:
    words = sorted(stem.encode() for stem in PHONE_STEMS if stem.isascii())
    firsts = np.searchsorted(np.array([word[0] for word in words]), np.arange(257))
    sizes = [len(word) for word in words]
    letters = np.frombuffer(b"".join(words), dtype=np.uint8).copy()
    return _Stems(firsts.astype(np.int64), np.cumsum([0, *sizes], dtype=np.int64), letters)


class Likely:
    """Where in whole lines of a text phone numbers may be."""

    def __init__(self, text: str) -> None:
        self._data = symbols_of(text, _kinds())
        self._anywhere = not text.isascii() and bool((self._data == _IN_CANDIDATE).any())

    def from_(self, index: int) -> int:
        """From where on phonenumbers' next candidate may be a number, of those that it has from
        `index` on; -1 if none is.
        """
        return index if self._anywhere else int(_next_likely(self._data, index, *_stems()))


@inlined
def _is_digit(char: Char) -> Any:
    return char >= 0x30 and char <= 0x39


@inlined
def _is_between(char: Char) -> Any:
    """Whether it may stand between the digits of a candidate: -x ()[].~/"""
    return (
        (char == 0x2D or char == 0x78 or char == 0x58 or char == 0x20 or char == 0x28)
        or (char == 0x29 or char == 0x5B or char == 0x5D or char == 0x2E or char == 0x2F)
        or char == 0x7E
    )


@inlined
def _leads(char: Char) -> Any:
    return char == 0x28 or char == 0x5B or char == 0x2B


@inlined
def _is_letter(char: Char) -> Any:
    return (char | 0x20) >= 0x61 and (char | 0x20) <= 0x7A


@kernel
def _next_likely(
    data: Bytes, index: Int, firsts: NDArray[np.int64], starts: NDArray[np.int64], letters: Bytes
) -> Any:
    size = data.size
    while True:
        digit = index
        while digit < size and not _is_digit(data[digit]):
            digit += 1
        if digit == size:
            return -1
        start = _start(data, max(index, digit - LEAD), digit)
        end = _end(data, digit)
        if _may_go_on(data, end) or _may_be(data, start, end, firsts, starts, letters):
            return index
        index = end


@kernel
def _start(data: Bytes, low: Int, digit: Int) -> Any:
    """Where the candidate begins whose first digit is data[digit]."""
    for start in range(low, digit):
        if not _leads(data[start]):
            continue
        at = start + 1
        while at < digit and at - start <= MOST_BETWEEN and _is_between(data[at]):
            at += 1
        if at == digit:
            return start
        for second in range(start + 1, at + 1):
            if not _leads(data[second]) or digit - second - 1 > MOST_BETWEEN:
                continue
            other = second + 1
            while other < digit and _is_between(data[other]):
                other += 1
            if other == digit:
                return start
    return digit


@kernel
def _end(data: Bytes, at: Int) -> Any:
    """Where the digits end that begin at data[at], and what joins them."""
    size = data.size
    end = at
    for _ in range(MOST_GROUPS):
        group = at
        while at < size and at - group < LONGEST_GROUP and _is_digit(data[at]):
            at += 1
        if at == group:
            break
        end = at
        while at < size and at - end < MOST_BETWEEN and _is_between(data[at]):
            at += 1
    return end


@kernel
def _may_go_on(data: Bytes, end: Int) -> Any:
    """Whether an extension may follow."""
    size = data.size
    if end == size:
        return False
    if data[end] == 0x3B:  # ;ext=
        return end + 1 < size and (data[end + 1] | 0x20) == 0x65
    at = end
    while at < size and (data[at] == 0x20 or data[at] == 0x09 or data[at] == 0x2C):
        at += 1
    if at < size:
        char = data[at] | 0x20 if _is_letter(data[at]) else data[at]
        after = data[at + 1] | 0x20 if at + 1 < size else 0
        third = data[at + 2] | 0x20 if at + 2 < size else 0
        if char == 0x78 or char == 0x23 or char == 0x7E:  # x # ~
            return True
        if char == 0x65 and after == 0x78:  # ext
            return True
        if char == 0x69 and after == 0x6E and third == 0x74:  # int
            return True
        if char == 0x61 and after == 0x6E and third == 0x65:  # anexo
            return True
    at = end
    while at < size and (data[at] == 0x20 or data[at] == 0x2D):
        at += 1
    if at == end:
        return False
    group = at
    while at < size and at - group < LONGEST_GROUP and _is_digit(data[at]):
        at += 1
    return at > group and at < size and data[at] == 0x23


@kernel
def _may_be(
    data: Bytes,
    start: Int,
    end: Int,
    firsts: NDArray[np.int64],
    starts: NDArray[np.int64],
    letters: Bytes,
) -> Any:
    """Whether data[start:end] may be a number: `is_phone_like`, or more."""
    digits = crosses = slashes = pluses = closed = 0
    for at in range(start, end):
        char = data[at]
        digits += _is_digit(char)
        crosses += char == 0x78 or char == 0x58
        slashes += char == 0x2F
        pluses += char == 0x2B
        closed += char == 0x29
    if crosses and slashes:
        return True  # it may be two numbers
    if digits + crosses < MIN_CHARS:
        return False
    if pluses:
        return not (_is_exponent(data, start) or _is_signed_decimal(data, start, end))
    dots = _dots(data, start, end)
    dotted = dots >= FEWEST_DOTS
    calculated = _is_calculated(data, start, end)
    if data[start] == 0x28 and closed and not dotted and not calculated:
        return True
    if digits > MOST_DIGITS or dots == 1 or _is_in_decimal(data, start, end):
        return False
    in_word = start > 1 and data[start - 1] == 0x2D and _is_letter(data[start - 2])
    if digits < FEWEST_PHONE_DIGITS or in_word or calculated:
        return _may_be_named(data, start, firsts, starts, letters)
    bare = start
    while bare < end and (data[bare] == 0x28 or data[bare] == 0x2D):
        bare += 1
    is_other = dotted and not _is_pairs(data, start, end)
    if is_other or digits == end - bare or _is_in_thousands(data, start, end):
        return _may_be_named(data, start, firsts, starts, letters)
    return True


@kernel
def _is_exponent(data: Bytes, start: Int) -> Any:
    if start < 2 or (data[start - 1] | 0x20) != 0x65:
        return False
    return _is_digit(data[start - 2]) or data[start - 2] == 0x2E


@kernel
def _is_signed_decimal(data: Bytes, start: Int, end: Int) -> Any:
    if data[start] != 0x2B:
        return False
    dot = start + 1
    while dot < end and _is_digit(data[dot]):
        dot += 1
    if dot == start + 1 or dot >= end - 1 or data[dot] != 0x2E:
        return False
    for at in range(dot + 1, end):
        if not _is_digit(data[at]):
            return False
    return end - dot - 1 <= 5 or dot - start - 1 >= 4


@kernel
def _dots(data: Bytes, start: Int, end: Int) -> Any:
    """Of digits with one dot between two groups, how many dots; 0 if they are something else. From
    FEWEST_DOTS on, parentheses around them and a mask behind them do not count.
    """
    low, high = start, end
    while low < high and (data[low] == 0x28 or data[low] == 0x29):
        low += 1
    while low < high and (data[high - 1] == 0x28 or data[high - 1] == 0x29):
        high -= 1
    dots = slashes = 0
    for at in range(low, high):
        if _is_digit(data[at]):
            continue
        if at == low or at == high - 1 or not _is_digit(data[at - 1]) or slashes:
            return 0
        if data[at] == 0x2F:
            slashes += 1
        elif data[at] == 0x2E:
            dots += 1
        else:
            return 0
    if dots < FEWEST_DOTS and (slashes or low != start or high != end):
        return 0
    return dots


@kernel
def _is_calculated(data: Bytes, start: Int, end: Int) -> Any:
    """A factor or an exponent, or a decimal in parentheses."""
    at = start - 1
    if at >= 0 and data[at] == 0x2A:
        at -= 1
        if at >= 0 and data[at] == 0x2A:
            at -= 1
        if at >= 0 and _is_operand(data[at], 0x29, 0x5D):
            return True
    at = end
    if at < data.size and data[at] == 0x2A:
        at += 1
        if at < data.size and data[at] == 0x2A:
            at += 1
        if at < data.size and _is_operand(data[at], 0x28, 0x28):
            return True
    if data[start] != 0x28:
        return False
    at = start + 1
    while at < end and _is_digit(data[at]):
        at += 1
    dot = at
    if dot >= end or data[dot] != 0x2E:
        return False
    at += 1
    while at < end and _is_digit(data[at]):
        at += 1
    return at > dot + 1 and at < end and data[at] == 0x29


@inlined
def _is_operand(char: Char, bracket: Char, other: Char) -> Any:
    return _is_digit(char) or _is_letter(char) or char == bracket or char == other


@kernel
def _is_in_decimal(data: Bytes, start: Int, end: Int) -> Any:
    before = start > 1 and data[start - 1] == 0x2E and _is_digit(data[start - 2])
    behind = end + 1 < data.size and data[end] == 0x2E and _is_digit(data[end + 1])
    return before or behind


@kernel
def _is_pairs(data: Bytes, start: Int, end: Int) -> Any:
    if end - start != 3 * FRENCH - 1:
        return False
    for at in range(start, end):
        if _is_digit(data[at]) == ((at - start) % 3 == 2):
            return False
    return True


@kernel
def _is_in_thousands(data: Bytes, start: Int, end: Int) -> Any:
    at = start
    while at < end and _is_digit(data[at]):
        at += 1
    if at == start or at - start > 3 or at == end:
        return False
    sign = data[at]
    if (sign != 0x20 and sign != 0x2E) or (end - at) % 4:
        return False
    while at < end:
        if data[at] != sign:
            return False
        for digit in range(at + 1, at + 4):
            if not _is_digit(data[digit]):
                return False
        at += 4
    return True


@kernel
def _may_be_named(
    data: Bytes,
    start: Int,
    firsts: NDArray[np.int64],
    starts: NDArray[np.int64],
    letters: Bytes,
) -> Any:
    """Whether a word on the same line, shortly before `start`, may speak of phones."""
    low = max(0, start - NEAR)
    at = start
    while at > low and data[at - 1] != _NEWLINE:
        at -= 1
    while at < start:
        char = data[at]
        if char == _BEYOND:
            return True
        lower = char | 0x20 if _is_letter(char) else char
        for stem in range(firsts[lower], firsts[lower + 1]):
            first, size = starts[stem], starts[stem + 1] - starts[stem]
            same = at + size <= start
            for letter in range(size):
                if not same or (data[at + letter] | 0x20) != letters[first + letter]:
                    same = False
                    break
            if same:
                return True
        at += 1
    return False
