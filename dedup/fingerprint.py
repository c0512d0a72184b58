"""128-bit fingerprints of normalised text: equal fingerprints are taken for equal texts.

Texts are in one Unicode form first (corpus.normalization).

normalise  what does not count as a difference
none       nothing
whitespace runs of white space (`str.isspace`), and at the ends: `" ".join(text.split())`; but a
           line break before a mark that would be an operator within the line (dedup.symbols)
case       that, and letter case: each code point lower-cased as words are (dedup.words)

Texts that are equal when normalised have the same words and symbols, and so the same shingles.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.hashing import hash128
from unrote.corpus.kernel import inlined, kernel, load64
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.text import arrow_buffers, store64
from unrote.dedup.symbols import leads_line
from unrote.dedup.words import (
    HIGH,
    LOW,
    LOWER,
    ONES,
    SPACE,
    Bytes,
    Int,
    Ints,
    Table,
    ascii_letters,
    decode,
    encoded,
    table_for,
)

Normalise = Literal["none", "whitespace", "case"]

SEED = np.uint64(0x66696E6765727072)
SLACK = 16  # bytes beyond a text's own that `fingerprint` may write to its scratch buffer

_SPACES = ONES * np.uint64(0x20)
_FROM_BLANK = ONES * np.uint64(0x80 - 0x20)


def normalise_level(normalise: str) -> int:
    """0, 1, 2 for none, whitespace, case. Raises ValueError for anything else."""
    allowed = get_args(Normalise)
    if normalise not in allowed:
        raise ValueError(f"normalise is {normalise!r}; it must be one of {', '.join(allowed)}")
    return allowed.index(normalise)


@kernel
def fingerprint(
    data: Bytes, start: Int, end: Int, table: Table, level: Int, scratch: Bytes
) -> tuple[np.uint64, np.uint64]:
    """(high, low) of the fingerprint of the text data[start:end].

    scratch: uint8 of at least 3 / 2 * (end - start) + SLACK bytes where level > 0, overwritten.
    """
    if level == 0:
        return hash128(data, start, end, SEED)
    return hash128(scratch, 0, _normalised(data, start, end, table, level == 2, scratch), SEED)


@kernel
def _normalised(  # noqa: C901 - two ways through one text
    data: Bytes, start: Int, end: Int, table: Table, lower: bool, out: Bytes
) -> Int:
    """Write the normalised text data[start:end] to `out`; how many bytes it has.

    Eight bytes at a time as long as they are ASCII, not below the space, and no space follows
    another; otherwise by code points until that holds again. `blank` says that the last byte
    written is a space, which it also counts as at the beginning; `broken` that a line broke there.
    """
    at, size, blank, broken = start, 0, True, False
    while at < end:
        if end - at >= 8:
            block = load64(data, at)
            spaces = ~((block ^ _SPACES) + LOW) & HIGH  # sound if no byte is above 127
            before = spaces << np.uint64(8) | np.uint64(0x80 * blank)
            low = ~((block & LOW) + _FROM_BLANK) & HIGH
            if (block & HIGH) | low | (spaces & before) == 0:
                if lower:
                    block |= ascii_letters(block) >> np.uint64(2)
                store64(out, size, block)
                size += 8
                at += 8
                blank = (spaces >> np.uint64(63)) != 0
                continue
        stop = min(at + 8, end)
        while at < stop or (broken and at < end):
            code, length = decode(data, at, end)
            entry = table[code]
            if entry & SPACE:
                if not blank:
                    out[size] = 0x20
                    size += 1
                    blank = True
                broken = broken or code in (0x0A, 0x0D)
                at += length
                continue
            if broken:
                if size and leads_line(data, at, end, table):
                    out[size - 1] = 0x0A
                broken = False
            if lower or length == 1:
                size += _put(out, size, data, at, length, np.uint32(entry), lower)
                blank = False
            else:
                for i in range(length):
                    out[size + i] = data[at + i]
                size += length
                blank = False
            at += length
    return size - 1 if size and blank else size


@inlined
def _put(
    out: Bytes, size: Int, data: Bytes, at: int, length: Int, entry: np.uint32, lower: bool
) -> Int:
    """Write one code point, or one byte that belongs to none, as it is; how many bytes it took."""
    if not lower or (length == 1 and data[at] > 0x7F):
        out[size] = data[at]
        return 1
    letter, length = encoded(np.int64(entry & LOWER))
    for i in range(length):
        out[size + i] = np.uint8(letter >> np.uint64(8 * i) & np.uint64(0xFF))
    return length


@kernel
def _fingerprints(data: Bytes, offsets: Ints, table: Table, level: Int) -> Ints:
    n = offsets.size - 1
    scratch = scratch_for(offsets, level)
    keys = np.empty((n, 2), dtype=np.int64)
    for d in range(n):
        high, low = fingerprint(data, offsets[d], offsets[d + 1], table, level, scratch)
        keys[d, 0], keys[d, 1] = np.int64(high), np.int64(low)
    return keys


@inlined
def scratch_for(offsets: Ints, level: Int) -> Bytes:
    """A scratch buffer for `fingerprint` that serves each of the texts."""
    longest = 0
    if level:
        for d in range(offsets.size - 1):
            longest = max(longest, offsets[d + 1] - offsets[d])
    # The lower case of U+023A and U+023E has three bytes instead of two.
    return np.empty(longest + longest // 2 + SLACK, dtype=np.uint8)


def fingerprints(
    texts: Sequence[str],
    *,
    normalise: Normalise = "whitespace",
    normalization: Normalization = NFC,
) -> NDArray[np.int64]:
    """The fingerprints of texts: int64[n, 2], high and low half.

    Raises ValueError if `normalise` is not allowed.
    """
    data, offsets = arrow_buffers(normalization.texts(pa.array(texts, pa.string())))
    level = normalise_level(normalise)
    return _fingerprints(data, offsets, table_for(data), level)
