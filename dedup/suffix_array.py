"""Duplicate windows by a suffix array over everything (Lee et al. 2022), to compare with.

Suffixes that share their first L bytes stand side by side in the suffix array, in maximal
intervals whose neighbours have a longest common prefix of at least L (Kasai et al. 2001). Such an
interval is the set of windows with one content; suffixes that cross the end of their document are
no windows.

Memory: the text and about 26 bytes for each of its bytes (twice that above 2 GiB).
"""

import numpy as np
import pydivsufsort

from unrote.corpus.kernel import inlined, kernel
from unrote.dedup.passages import (
    COLUMNS,
    DOC,
    OCCURRENCES,
    START,
    WINDOWS,
    WITNESS,
    WITNESS_BYTE,
    WITNESS_CHAR,
    more_room,
)


def copied_windows(data: np.ndarray, offsets: np.ndarray, min_bytes: int) -> np.ndarray:
    """Stretches of copies with constant distance to their first occurrence, equally often.

    data: uint8; documents are data[offsets[i]:offsets[i + 1]], offsets int64.
    Returns rows of `dedup.passages`: WITNESS_BYTE is a buffer offset, WITNESS and WITNESS_CHAR 0.
    """
    base = int(offsets[0])
    text = data[base : int(offsets[-1])]
    if len(text) < min_bytes:
        return np.empty((0, COLUMNS), dtype=np.int64)
    array = pydivsufsort.divsufsort(text)
    common = pydivsufsort.kasai(text, array)
    # pydivsufsort's two arrays differ in type for some lengths; the kernels are compiled for one.
    wide = np.int64 if len(text) >= 1 << 31 else np.int32
    first, counts = _occurrences(
        array.astype(wide, copy=False), common.astype(wide, copy=False), offsets - base, min_bytes
    )
    del array, common
    rows = _copied_ranges(first, counts, offsets - base, min_bytes)
    rows[:, START] += base
    rows[:, WITNESS_BYTE] += base
    return rows


@kernel
def _occurrences(
    array: np.ndarray, common: np.ndarray, offsets: np.ndarray, min_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    """First occurrence of each window (-1: no window) and how often it occurs."""
    n = len(array)
    first = np.full(n, -1, dtype=array.dtype)
    counts = np.zeros(n, dtype=array.dtype)
    for d in range(len(offsets) - 1):
        for p in range(offsets[d], offsets[d + 1] - min_bytes + 1):
            first[p] = p
    a = 0
    while a < n:
        b = a + 1
        while b < n and common[b - 1] >= min_bytes:
            b += 1
        _count_interval(array, a, b, first, counts)
        a = b
    return first, counts


@inlined
def _count_interval(
    array: np.ndarray, a: int, b: int, first: np.ndarray, counts: np.ndarray
) -> None:
    least, count = len(array), 0
    for i in range(a, b):
        if first[array[i]] >= 0:
            least = min(least, array[i])
            count += 1
    for i in range(a, b):
        if first[array[i]] >= 0:
            first[array[i]] = least
            counts[array[i]] = count


@kernel
def _copied_ranges(
    first: np.ndarray, counts: np.ndarray, offsets: np.ndarray, min_bytes: int
) -> np.ndarray:
    rows = np.empty((1024, COLUMNS), dtype=np.int64)
    used = 0
    for d in range(len(offsets) - 1):
        p, end = offsets[d], offsets[d + 1] - min_bytes + 1
        while p < end:
            q = p + 1
            distance = p - first[p]
            while q < end and q - first[q] == distance and counts[q] == counts[p]:
                q += 1
            if distance >= min_bytes:
                if used == len(rows):
                    rows = more_room(rows)
                rows[used, DOC], rows[used, START], rows[used, WINDOWS] = d, p, q - p
                rows[used, WITNESS], rows[used, WITNESS_CHAR] = 0, 0
                rows[used, WITNESS_BYTE], rows[used, OCCURRENCES] = first[p], counts[p]
                used += 1
            p = q
    return rows[:used].copy()
