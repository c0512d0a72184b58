"""Which scripts the letters of a text are in, by Unicode's property Script.

A letter is a code point of the general category L. A script is called by its code in ISO 15924
(`Latn`, `Cyrl`, `Hani`); Japanese has three. Letters that several scripts share are in none, nor
are digits, marks and punctuation. The table comes with unrote (scripts.csv), so that every Python
counts alike.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import kernel, load64

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_HIGH = np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)
_BIT5 = np.uint64(0x2020202020202020)
_FROM_A, _PAST_Z = _ONES * np.uint64(0x80 - 0x61), _ONES * np.uint64(0x80 - 0x7B)


@cache
def _scripts() -> tuple[tuple[str, ...], Bytes]:
    codes: list[str] = ["", "Latn"]  # of Latn the kernel counts ASCII letters
    table = np.zeros(0x110000, dtype=np.uint8)
    stored = files("unrote.corpus").joinpath("scripts.csv").read_text("ascii")
    for line in stored.splitlines()[1:]:
        first, last, code = line.split(",")
        if code not in codes:
            codes.append(code)
        table[int(first, 16) : int(last, 16) + 1] = codes.index(code)
    return tuple(codes), table


def script_codes() -> tuple[str, ...]:
    """The scripts' codes by their numbers; 0 is none of them and has the code ""."""
    return _scripts()[0]


def letters_by_script(data: Bytes, offsets: Ints) -> Ints:
    """How many letters of each script texts have.

    data: uint8[m], UTF-8; offsets: int64[n + 1]. Returns int64[n, len(script_codes())]; the first
    column is 0.
    """
    codes, table = _scripts()
    return _count(data, offsets, table, len(codes))


@kernel
def _count(data: Bytes, offsets: Ints, table: Bytes, scripts: int) -> Ints:
    out = np.zeros((offsets.size - 1, scripts), dtype=np.int64)
    for text in range(offsets.size - 1):
        at, end = offsets[text], offsets[text + 1]
        while at < end:
            if at + 8 <= end:
                block = np.uint64(load64(data, at))
                if block & _HIGH == 0:
                    lower = block | _BIT5
                    letters = (lower + _FROM_A) & ~(lower + _PAST_Z) & _HIGH
                    out[text, 1] += np.int64((letters >> np.uint64(7)) * _ONES >> np.uint64(56))
                    at += 8
                    continue
            lead: Any = np.int64(data[at])
            size = 1 + np.int64(lead >= 0xC0) + np.int64(lead >= 0xE0) + np.int64(lead >= 0xF0)
            code = lead & (0x7F if size == 1 else 0x7F >> size)
            for i in range(at + 1, min(at + size, end)):
                code = code << 6 | (np.int64(data[i]) & 0x3F)
            out[text, table[code]] += 1
            at += size
        out[text, 0] = 0
    return out
