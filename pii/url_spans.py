"""URLs in a text, as four expressions find them: a kernel (what it replaces is told in pii.urls).

It reads a byte for each character: ASCII as it is, other white space as a space, and the rest as
one sign that a path may have and a host has not.
"""

# ruff: noqa: C901, PLR0912, PLR1714, PLR0915 - a state machine is easier to check in one place

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import regex
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.text import symbols_of
from unrote.pii.prefilter import digits_beyond_ascii

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Int = Any  # an int64 to numba
Char = Any  # a uint8
Flag = Any  # a bool

LONGEST = 253
"""Characters before the dot of a host's last domain."""
WITH_WWW = 260
"""The same with "www", three digits and a dot before them."""

_LETTERS = 26
_OTHER, _ODD = 1, 2


class Domains(NamedTuple):
    """The domains that end a host, by their first two letters, in the order in which an expression
    tries them: those that begin with the letters i and j are from firsts[26 * i + j] to the next;
    domain n is letters[starts[n]:starts[n + 1]].
    """

    firsts: Ints
    starts: Ints
    letters: Bytes


def domains_of(listed: Iterable[str]) -> Domains:
    """`listed` in lower case, of two letters at least."""

    def pair(domain: str) -> int:
        return (ord(domain[0]) - 97) * _LETTERS + ord(domain[1]) - 97

    ordered = sorted(listed, key=pair)  # which keeps the order of those with the same letters
    firsts = np.searchsorted([pair(one) for one in ordered], np.arange(_LETTERS**2 + 1))
    letters = np.frombuffer("".join(ordered).encode(), dtype=np.uint8).copy()
    starts = np.cumsum([0, *map(len, ordered)], dtype=np.int64)
    return Domains(firsts.astype(np.int64), starts, letters)


@cache
def _kinds() -> Bytes:
    """The byte of each code point."""
    kinds = np.full(0x110000, _OTHER, dtype=np.uint8)
    kinds[:0x80] = np.arange(0x80)
    beyond = "".join(map(chr, range(0x80, 0x3100)))  # where all of either are
    kinds[[ord(char) for char in regex.findall(r"\s", beyond)]] = 0x20
    letters = regex.findall("[a-z]|[A-Z]", beyond, regex.IGNORECASE)
    kinds[[*map(ord, letters), *digits_beyond_ascii()]] = _ODD
    return kinds


@cache
def _in_path() -> NDArray[np.bool_]:
    """Whether a byte may stand in a path."""
    return np.array([bool(regex.match(r"[^\s()<>\"']", chr(byte))) for byte in range(0x100)])


def url_spans(text: str, domains: Domains) -> list[tuple[int, int, int]] | None:
    """What the expressions find in whole lines of a text, without what another finding holds: start
    and end, and whether it stands behind a scheme. None where a letter beyond ASCII equals an ASCII
    letter in another case, as the Kelvin sign does, or a digit is none of ASCII.
    """
    data = symbols_of(text, _kinds())
    if not text.isascii() and (data == _ODD).any():
        return None
    found: Ints = _found(data, _in_path(), *domains)
    return [(start, end, sure) for start, end, sure in found.tolist()]


@inlined
def _is_host(char: Char) -> Any:
    low = char | 0x20
    return (
        (low >= 0x61 and low <= 0x7A and char >= 0x41)
        or (char >= 0x30 and char <= 0x39)
        or char == 0x2E
        or char == 0x2D
    )


@inlined
def _is_quote(char: Char) -> Any:
    return char == 0x22 or char == 0x27


@kernel
def _domain(data: Bytes, at: Int, after: Int, firsts: Ints, starts: Ints, letters: Bytes) -> Any:
    """The first domain behind `after`, which is a number or -1, with which data[at:] begins; -1 if
    none does.
    """
    if at + 1 >= data.size:
        return -1
    one, two = np.int64(data[at] | 0x20) - 97, np.int64(data[at + 1] | 0x20) - 97
    if one < 0 or one >= _LETTERS or two < 0 or two >= _LETTERS:
        return -1
    if data[at] < 0x41 or data[at + 1] < 0x41:
        return -1
    pair = one * _LETTERS + two
    for domain in range(max(firsts[pair], after + 1), firsts[pair + 1]):
        first, size = starts[domain], starts[domain + 1] - starts[domain]
        same = at + size <= data.size
        if same:
            for letter in range(2, size):
                char = data[at + letter]
                if char < 0x41 or (char | 0x20) != letters[first + letter]:
                    same = False
                    break
        if same:
            return domain
    return -1


@kernel
def _scheme(data: Bytes, at: Int) -> Any:
    """Where "http://" or "https://" ends that begins at data[at]; -1 if there is none."""
    size = data.size
    if at + 7 > size:
        return -1
    if (data[at] | 0x20) != 0x68 or (data[at + 1] | 0x20) != 0x74:
        return -1
    if (data[at + 2] | 0x20) != 0x74 or (data[at + 3] | 0x20) != 0x70:
        return -1
    at += 4
    if (data[at] | 0x20) == 0x73:
        at += 1
    if at + 3 > size or data[at] != 0x3A or data[at + 1] != 0x2F or data[at + 2] != 0x2F:
        return -1
    return at + 3


@kernel
def _end(
    data: Bytes,
    start: Int,
    quoted: Flag,
    in_path: NDArray[np.bool_],
    firsts: Ints,
    starts: Ints,
    letters: Bytes,
) -> Any:
    """Where a host and path end that begin at data[start], and the quote behind them if they are
    quoted; -1 if there are none.
    """
    size = data.size
    at = start
    while at < size and at < start + 3 and (data[at] | 0x20) == 0x77:
        at += 1
    if at == start + 3:
        while at < size and at < start + 6 and data[at] >= 0x30 and data[at] <= 0x39:
            at += 1
        if at < size and data[at] == 0x2E:
            end = _behind(data, at + 1, quoted, in_path, firsts, starts, letters)
            if end >= 0:
                return end
    return _behind(data, start, quoted, in_path, firsts, starts, letters)


@kernel
def _behind(
    data: Bytes,
    start: Int,
    quoted: Flag,
    in_path: NDArray[np.bool_],
    firsts: Ints,
    starts: Ints,
    letters: Bytes,
) -> Any:
    """`_end` of a host without "www"."""
    size = data.size
    dot = start
    while dot < size and dot - start < LONGEST and _is_host(data[dot]):
        dot += 1
    while dot > start:
        if dot < size and data[dot] == 0x2E:
            domain = _domain(data, dot + 1, -1, firsts, starts, letters)
            while domain >= 0:
                end = dot + 1 + starts[domain + 1] - starts[domain]
                if end < size and data[end] == 0x2F:
                    end += 1
                    while end < size and in_path[data[end]]:
                        end += 1
                if not quoted:
                    return end
                if end < size and _is_quote(data[end]):
                    return end + 1
                domain = _domain(data, dot + 1, domain, firsts, starts, letters)
        dot -= 1
    return -1


@kernel
def _found(
    data: Bytes, in_path: NDArray[np.bool_], firsts: Ints, starts: Ints, letters: Bytes
) -> Any:
    """int64[n, 3]: start, end, and whether there is a scheme; by start."""
    size = data.size
    dots = np.empty(size // 3 + 1, np.int64)
    count = schemes = 0
    for at in range(1, size):
        char = data[at]
        if char == 0x3A:
            schemes += at + 1 < size and data[at + 1] == 0x2F
        elif (
            char == 0x2E
            and _is_host(data[at - 1])
            and _domain(data, at + 1, -1, firsts, starts, letters) >= 0
        ):
            dots[count] = at
            count += 1
    spans = np.empty((4, count, 2), np.int64)
    counts = np.zeros(4, np.int64)
    if count == 0:
        return np.empty((0, 3), np.int64)
    for quotes in range(2 if schemes else 0):  # behind a scheme, and both within quotes
        at = 0
        while at < size:
            if not (_is_quote(data[at]) if quotes else (data[at] | 0x20) == 0x68):
                at += 1
                continue
            after = _scheme(data, at + quotes)
            end = -1
            if after >= 0:
                end = _end(data, after, quotes == 1, in_path, firsts, starts, letters)
            if end < 0:
                at += 1
                continue
            spans[2 * quotes, counts[2 * quotes]] = at, end
            counts[2 * quotes] += 1
            at = end
    behind = quoted_behind = 0
    tried = -1
    for number in range(count):
        dot = dots[number]
        begin = dot
        while begin > 0 and dot - begin < WITH_WWW and _is_host(data[begin - 1]):
            begin -= 1
        quote = begin - 1
        if quote >= quoted_behind and quote != tried and _is_quote(data[quote]):
            tried = quote
            end = _end(data, begin, True, in_path, firsts, starts, letters)
            if end >= 0:
                spans[3, counts[3]] = quote, end
                counts[3] += 1
                quoted_behind = end
        if dot <= behind:
            continue
        for start in range(max(behind, begin), dot):
            end = _end(data, start, False, in_path, firsts, starts, letters)
            if end >= 0:
                spans[1, counts[1]] = start, end
                counts[1] += 1
                behind = end
                break
            if dot - start <= LONGEST:
                break
    return _outermost(spans, counts)


@kernel
def _outermost(spans: Any, counts: Ints) -> Any:
    """The spans of the four expressions by start, without those that one holds which is as sure."""
    kept = np.empty((counts.sum(), 3), np.int64)
    size = 0
    nexts = np.zeros(4, np.int64)
    reach = reach_of_sure = -1
    while True:
        first = -1
        for one in range(4):
            if nexts[one] == counts[one]:
                continue
            if first >= 0:
                a, b = spans[first, nexts[first]], spans[one, nexts[one]]
                sooner = b[0] < a[0] or (b[0] == a[0] and b[1] > a[1])
                surer = b[0] == a[0] and b[1] == a[1] and one % 2 < first % 2
                if not (sooner or surer):
                    continue
            first = one
        if first < 0:
            return kept[:size]
        start, end = spans[first, nexts[first]]
        nexts[first] += 1
        sure = first % 2 == 0
        if reach_of_sure >= end or (not sure and reach >= end):
            continue
        kept[size] = start, end, 1 if sure else 0
        size += 1
        if sure:
            reach_of_sure = max(reach_of_sure, end)
        else:
            reach = max(reach, end)
