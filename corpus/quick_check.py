"""Which texts are in a normalization form for certain: the quick check of UAX 15, by a kernel.

A text is in the form if no combining classes are out of order, no code point is one that the form
does not have, and no two compose. Where the quick check says "maybe", the pair itself is looked up.
"""

import unicodedata
from functools import cache
from typing import Any

import numpy as np

from unrote.corpus.kernel import inlined, kernel, load64
from unrote.corpus.text import HIGHS

_CODE_POINTS = 0x110000
_STEP = 16  # bytes passed over at a time
_CLASS = np.uint16(0xFF)  # the canonical combining class, in an entry of the table
_SECOND = np.uint16(1 << 8)  # composes with some code point before it
_ABSENT = np.uint16(1 << 9)  # the form does not have it
_COMPOSED = np.uint16(1 << 10)  # has a decomposition: a mark may have to stand inside it

_BLOCKS = ((0x80, 0x3400), (0xA000, 0xAC00), (0xF900, 0x20000), (0x2F800, 0x2FA20))
"""Code points outside of these are starters that compose with nothing before them, and have no
decomposition but that of Hangul syllables."""


@cache
def properties(
    form: str, ignorable: tuple[tuple[int, int], ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a form makes of code points: (table uint16[0x110000], inert uint64[0x4400], loud
    uint8[256], pairs int64[k]).

    ignorable: ranges of code points that count as absent from the form.
    table: combining class and flags; inert: for each 64 code points a bit for each that is a
    starter without a flag but that of a decomposition; loud: 1 for the first bytes of code points
    that are not all inert; pairs: first << 21 | second of those that compose,
    ascending. Hangul syllables, which are computed, are not among them.
    """
    table, pairs = np.zeros(_CODE_POINTS, dtype=np.uint16), []
    if form != "none":
        for start, end in _BLOCKS:
            characters = [*map(chr, range(start, end))]
            table[start:end] = [*map(unicodedata.combining, characters)]
            for character in filter(unicodedata.decomposition, characters):
                table[ord(character)] |= _flag(form.upper(), character)
                pair = _canonical_pair(character)
                if pair is not None:
                    pairs.append(pair[0] << 21 | pair[1])
        seconds = np.array(pairs, dtype=np.int64) & ((1 << 21) - 1)
        table[seconds] |= _SECOND
        table[0x1161:0x1176] |= _SECOND
        table[0x11A8:0x11C3] |= _SECOND
    for start, end in ignorable:
        table[start:end] |= _ABSENT
    table.flags.writeable = False
    each = (table & ~_COMPOSED).reshape(-1, 64) == 0
    inert = (each.astype(np.uint64) << np.arange(64, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    whole, loud = each.all(axis=1), np.zeros(256, dtype=np.uint8)
    for lead in range(0xC2, 0xF5):
        bits = (lead >= 0xE0) * 6 + (lead >= 0xF0) * 6  # of the number of a block, behind this byte
        first = (lead & (0x1F >> bits // 6)) << bits
        loud[lead] = not whole[first : first + (1 << bits)].all()
    return table, inert, loud, np.array(sorted(pairs), dtype=np.int64)


@cache
def seconds() -> frozenset[int]:
    """The code points that compose with some code point before them."""
    table = properties("nfc", ())[0]
    return frozenset(np.flatnonzero(table & _SECOND).tolist())


def _flag(form: Any, character: str) -> np.uint16:
    """Of a code point with a decomposition, what the table says of it."""
    if not unicodedata.is_normalized(form, character):
        return _ABSENT
    return np.uint16(0) if unicodedata.is_normalized("NFD", character) else _COMPOSED


def _canonical_pair(character: str) -> tuple[int, int] | None:
    """The two code points that compose to this one, if there are such."""
    parts = unicodedata.decomposition(character).split()
    if len(parts) != 2 or parts[0].startswith("<"):
        return None
    first, second = (int(part, 16) for part in parts)
    composed = unicodedata.normalize("NFC", chr(first) + chr(second))
    return (first, second) if composed == character else None


@inlined
def _size(lead: Any) -> Any:
    """How many bytes the code point has of which this is the first byte."""
    return np.int64(1) + np.int64(lead >= 0xC0) + np.int64(lead >= 0xE0) + np.int64(lead >= 0xF0)


@inlined
def _block(data: np.ndarray, at: Any, lead: Any) -> Any:
    """The number of the 64 code points with those first bytes; data[at] is above 127."""
    if lead < 0xE0:
        return np.int64(lead & 0x1F)
    if lead < 0xF0:
        return np.int64(lead & 0x0F) << 6 | np.int64(data[at + 1] & 0x3F)
    middle = np.int64(data[at + 1] & 0x3F) << 6 | np.int64(data[at + 2] & 0x3F)
    return np.int64(lead & 0x07) << 12 | middle


@inlined
def _decoded(data: np.ndarray, at: Any) -> Any:
    """The code point at data[at] of valid UTF-8."""
    lead = data[at]
    if lead < 0x80:
        return np.int64(lead)
    last = np.int64(data[at + _size(lead) - 1] & 0x3F)
    return _block(data, at, lead) << 6 | last


@inlined
def _may_compose(first: Any, second: Any, table: np.ndarray, pairs: np.ndarray) -> bool:
    """Whether two code points are one in composed text, or the first one has a decomposition."""
    if table[first] & _COMPOSED:
        return True
    if 0x1161 <= second < 0x1176:
        return bool(0x1100 <= first < 0x1113)
    if 0x11A8 <= second < 0x11C3:
        return bool(0xAC00 <= first < 0xD7A4 and (first - 0xAC00) % 28 == 0)
    key = first << 21 | second
    at = np.searchsorted(pairs, key)
    return bool(at < pairs.size and pairs[at] == key)


@inlined
def _past_ascii(data: np.ndarray, at: Any, end: Any) -> Any:
    """Behind the ASCII that data[at:end] begins with, up to seven bytes of which may be left."""
    while at + 32 <= end:
        low = load64(data, at) | load64(data, at + 8)
        high = load64(data, at + 16) | load64(data, at + 24)
        if (low | high) & HIGHS:
            break
        at += 32
    while at + 8 <= end and load64(data, at) & HIGHS == 0:
        at += 8
    return at


@inlined
def _all_inert(data: np.ndarray, at: Any, loud: np.ndarray) -> bool:
    """Whether the code points that begin in data[at:at + _STEP] are inert by their first bytes."""
    some = np.uint8(0)
    for i in range(_STEP):
        some |= loud[data[at + i]]
    return bool(some == 0)


@kernel
def normalized(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    inert: np.ndarray,
    loud: np.ndarray,
    pairs: np.ndarray,
) -> np.ndarray:
    """For each text whether it is what it is normalized to: bool.

    table, inert, loud, pairs: of `properties`. Bytes of scripts without marks are passed over
    some at a time, by their first bytes alone.
    """
    good = np.ones(offsets.size - 1, dtype=np.bool_)
    for d in range(offsets.size - 1):
        at, end = offsets[d], offsets[d + 1]
        # Where the last starter is, and the combining class of the last code point.
        starter, before, tried = at, np.int64(0), at
        while at < end:
            behind = _past_ascii(data, at, end)
            if behind > at:
                at = behind
                starter, before = at - 1, np.int64(0)
                continue
            if at >= tried and at + _STEP <= end:
                if _all_inert(data, at, loud):
                    starter, before = at + _STEP - 1, np.int64(0)
                    while data[starter] & 0xC0 == 0x80:
                        starter -= 1
                    at = starter + _size(data[starter])
                    continue
                tried = at + _STEP
            lead = data[at]
            if lead < 0x80:
                starter, before = at, np.int64(0)
                at += 1
                continue
            size = _size(lead)
            last = np.uint64(data[at + size - 1] & 0x3F)
            if inert[_block(data, at, lead)] >> last & np.uint64(1):
                starter, before = at, np.int64(0)
                at += size
                continue
            code = _decoded(data, at)
            entry = table[code]
            own = np.int64(entry & _CLASS)
            if (
                entry & _ABSENT
                or (own and before > own)
                or (
                    entry & _SECOND
                    and (before == 0 or before < own)
                    and _may_compose(_decoded(data, starter), code, table, pairs)
                )
            ):
                good[d] = False
                break
            starter = starter if own else at
            before = own
            at += size
    return good
