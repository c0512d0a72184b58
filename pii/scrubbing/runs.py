"""A folded text in one pass: a kernel for texts in which every code point becomes one."""

# ruff: noqa: C901, PLR0911, PLR0912, PLR1714 - a state machine is easier to check in one place

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel

Codes = NDArray[np.uint32]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Code = Any  # a uint32
Int = Any  # an int64 to numba
Flag = Any  # a bool

OTHER, SOLID, SEPARATOR, BREAK = range(4)
"""What a code point of a folded text is."""

LINE_BREAK = 10

UNKNOWN, CHANGED = -1, -2
"""In place of a number of runs: a code point was met that is not known; something may become
another number of code points."""


@inlined
def _is_letter(code: Code) -> Flag:
    return 0x61 <= (code | 0x20) <= 0x7A


@inlined
def _may_be_escape(codes: Codes, at: Int) -> Flag:
    r"""Whether an escape (%40, \u0040, \x40, &#64;) may begin here."""
    if at + 2 >= codes.size:
        return False
    code, behind = codes[at], codes[at + 1]
    if code == 0x25:
        return 0x32 <= behind <= 0x37
    if code == 0x5C:
        return behind == 0x75 or behind == 0x78
    return code == 0x26 and (behind == 0x23 or _is_letter(behind))


@inlined
def _is_sign(codes: Codes, at: Int) -> Flag:
    """Whether a sign in words, such as `(at)`, begins at an opening bracket."""
    size = codes.size
    at += 1
    if at < size and codes[at] == 0x20:
        at += 1
    if at + 2 >= size:
        return False
    first, second = codes[at] | 0x20, codes[at + 1] | 0x20
    if first == 0x61 and second == 0x74:
        at += 2
    elif first == 0x64 and second == 0x6F and codes[at + 2] | 0x20 == 0x74:
        at += 3
    else:
        return False
    if at < size and codes[at] == 0x20:
        at += 1
    if at == size:
        return False
    code = codes[at]
    return code == 0x29 or code == 0x5D or code == 0x7D or code == 0x3E


@kernel
def folded_runs(
    codes: Codes,
    folded: Codes,
    whole: Bools,
    classes: Bytes,
    known: Bools,
    widest: int,
    core: Codes,
    runs: Ints,
) -> tuple[int, int]:
    """Fill the core of a text, and its runs. How many runs there are (or UNKNOWN, CHANGED), and how
    many code points the core has.

    codes: the text. folded, whole, classes, known: of every code point (pii.scrubbing.folding).
    widest: characters of the widest gap in which no line break is put. core: uint32[n] for a text
    of n. runs: int64[n, 4], of each where it begins and ends in the core, and in the text.
    """
    count = size = 0
    gap = 0
    first_break = -1
    at = 0
    while at < codes.size:
        code = codes[at]
        if not known[code]:
            return UNKNOWN, 0
        if whole[code]:
            return CHANGED, 0
        if code == 0x25 or code == 0x5C or code == 0x26:
            if _may_be_escape(codes, at):
                return CHANGED, 0
        elif (code == 0x28 or code == 0x5B or code == 0x7B or code == 0x3C) and _is_sign(codes, at):
            return CHANGED, 0
        kind = classes[folded[code]]
        if kind != SOLID:
            if kind == BREAK and first_break < 0:
                first_break = at
            at += 1
            continue
        if count and at - gap > widest:
            core[size] = LINE_BREAK
            size += 1
        elif first_break >= 0:
            core[size] = folded[codes[first_break]]
            size += 1
        else:
            for between in range(gap, at):
                if classes[folded[codes[between]]] == OTHER:
                    core[size] = folded[codes[between]]
                    size += 1
        runs[count, 0], runs[count, 2] = size, at
        while at < codes.size:
            code = codes[at]
            if not known[code]:
                return UNKNOWN, 0
            if whole[code]:
                return CHANGED, 0
            code = folded[code]
            if classes[code] != SOLID:
                break
            core[size] = code
            size += 1
            at += 1
        runs[count, 1], runs[count, 3] = size, at
        count += 1
        gap, first_break = at, -1
    return count, size


@kernel
def runs_beginning(codes: Codes, starts: Ints, factors: Codes, wanted: Codes, found: Ints) -> int:
    """Fill the numbers of the runs whose first code points may be one of the wanted; how many.

    codes: a core. starts: int64[n], where runs begin in it. factors: uint32[k], by which k code
    points are mixed. wanted: uint32[m], mixed, in order. found: int64[n].
    """
    count = 0
    for run in range(starts.size):
        start = starts[run]
        if start + factors.size > codes.size:
            break
        mixed = np.uint32(0)
        for i in range(factors.size):
            mixed = np.uint32(mixed + codes[start + i] * factors[i])
        low, high = 0, wanted.size
        while low < high:
            middle = (low + high) // 2
            if wanted[middle] < mixed:
                low = middle + 1
            else:
                high = middle
        if low < wanted.size and wanted[low] == mixed:
            found[count] = run
            count += 1
    return count
