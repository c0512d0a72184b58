"""Sorting and partitioning rows by int64 columns: what every grouping rests on.

Both take columns as one C-contiguous int64 array of shape (columns, rows), so that one compiled
kernel serves any number of columns.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel

Ints = NDArray[np.int64]

_WORD = 63  # bits of a packed column: none has a sign

_BUCKET_BITS = 17  # of more buckets not even the ends stay in the cache

_SMALL = 24  # insertion sort beats merging below about this many rows


def stack(columns: Sequence[Ints]) -> Ints:
    """Columns of n rows as one int64 array of shape (len(columns), n)."""
    return np.ascontiguousarray(np.stack([np.asarray(c, dtype=np.int64) for c in columns]))


def sort_order(columns: Ints) -> Ints | None:
    """The stable permutation that sorts rows by columns[0], then columns[1], …; None if sorted.

    columns: int64[m, n]. Returns int64[n].
    """
    if columns.shape[1] < 2 or is_sorted(columns):
        return None
    columns = _packed(columns)
    bits = max(1, min(_BUCKET_BITS, int(columns.shape[1]).bit_length() - 3))
    return _sort_order(columns, bits)


def _packed(columns: Ints) -> Ints:
    """Columns that sort the same, the first ones in one if their ranges have 63 bits together: few
    documents with many rows each would fill few buckets, whose rows are then sorted one by one.
    """
    lows: list[int] = []
    widths: list[int] = []
    for column in columns:
        low, high = int(column.min()), int(column.max())
        if sum(widths) + (high - low).bit_length() > _WORD:
            break
        lows.append(low)
        widths.append((high - low).bit_length())
    if len(widths) < 2:
        return columns
    packed = columns[0] - lows[0]
    for column, low, width in zip(columns[1:], lows[1:], widths[1:], strict=False):
        packed = packed << width | (column - low)
    return np.concatenate((packed[np.newaxis], columns[len(widths) :]))


def partition_order(columns: Ints, bits: int) -> tuple[Ints, Ints]:
    """The stable permutation that brings rows of equal hash prefix together, and where each starts.

    columns: int64[m, n], the key. Returns (order int64[n], offsets int64[2**bits + 1]).
    """
    return _partition_order(columns, bits)


def gather_order(parts: Ints, count: int) -> tuple[Ints, Ints]:
    """As `partition_order` for rows whose part, in 0 … count-1, is known. parts: int64[n]."""
    return _count_sort(parts, count)


@kernel
def rows_in_company(columns: Ints) -> Ints:
    """Which rows may have the same values as another one: indices, ascending, int64[k].

    columns: int64[m, n], at least one. All that do are among them, and few others: rows count in a
    table of 4 to 8 slots for each, by their hash.
    """
    n = columns.shape[1]
    slots = 16
    while slots < 4 * n:
        slots *= 2
    mask = np.uint64(slots - 1)
    counts = np.zeros(slots, dtype=np.uint8)
    slot_of = np.empty(n, dtype=np.uint32)
    for i in range(n):
        h = np.uint64(0x9E3779B97F4A7C15)
        for c in range(columns.shape[0]):
            h = _mixed(h ^ np.uint64(columns[c, i]))
        slot = np.uint32(h & mask)
        slot_of[i] = slot
        counts[slot] = min(counts[slot] + 1, 2)
    kept = np.empty(n, dtype=np.int64)
    found = 0
    for i in range(n):
        if counts[slot_of[i]] > 1:
            kept[found] = i
            found += 1
    return kept[:found]


@kernel
def is_sorted(columns: Ints) -> bool:
    """Whether rows ascend by columns[0], then columns[1], … columns: int64[m, n]."""
    for i in range(1, columns.shape[1]):  # noqa: SIM110 - numba has no all()
        if _less(columns, 0, i, i - 1):
            return False
    return True


@inlined
def _less(columns: Ints, first: int, a: int, b: int) -> bool:
    """Whether row a comes before row b by columns[first:]."""
    for c in range(first, columns.shape[0]):
        if columns[c, a] != columns[c, b]:
            return bool(columns[c, a] < columns[c, b])
    return False


@inlined
def _count_sort(parts: Ints, count: int) -> tuple[Ints, Ints]:
    offsets = np.zeros(count + 1, dtype=np.int64)
    for p in parts:
        offsets[p + 1] += 1
    for i in range(count):
        offsets[i + 1] += offsets[i]
    next_index = offsets[:-1].copy()
    order = np.empty(parts.size, dtype=np.int64)
    for i in range(parts.size):
        order[next_index[parts[i]]] = i
        next_index[parts[i]] += 1
    return order, offsets


@inlined
def _mixed(x: np.uint64) -> np.uint64:
    """The splitmix64 finaliser (Steele, Lea, Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def _partition_order(columns: Ints, bits: int) -> tuple[Ints, Ints]:
    n = columns.shape[1]
    parts = np.empty(n, dtype=np.int64)
    for i in range(n):
        h = np.uint64(0x9E3779B97F4A7C15)
        for c in range(columns.shape[0]):
            h = _mixed(h ^ np.uint64(columns[c, i]))
        parts[i] = np.int64(h >> np.uint64(64 - bits)) if bits else 0
    return _count_sort(parts, 1 << bits)


@kernel
def _sort_order(columns: Ints, bits: int) -> Ints:
    """Buckets by the leading bits of columns[0] over its range, then a merge sort in each bucket.

    Hashed keys fill the buckets evenly, so that nearly all of the work is one scatter. The keys go
    with their rows: looked up by row, each would wait for memory.
    """
    n = columns.shape[1]
    low = columns[0].min()
    spread = np.uint64(columns[0].max()) - np.uint64(low)
    shift = np.uint64(0)
    while (spread >> shift) >> np.uint64(bits):
        shift += np.uint64(1)
    parts = np.empty(n, dtype=np.int64)
    for i in range(n):
        parts[i] = np.int64((np.uint64(columns[0, i]) - np.uint64(low)) >> shift)
    order, offsets = _count_sort(parts, 1 << bits)
    keys = parts  # which nobody needs any more
    for i in range(n):
        keys[i] = columns[0, order[i]]
    spare_keys, spare = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for b in range(offsets.size - 1):
        _merge_sort(columns, keys, order, spare_keys, spare, offsets[b], offsets[b + 1])
    return order


@inlined
def _before(columns: Ints, key: Any, row: Any, other_key: Any, other: Any) -> bool:
    """`_less` of two rows whose columns[0] are at hand."""
    if key != other_key:
        return bool(key < other_key)
    return _less(columns, 1, row, other)


@inlined
def _merge_sort(
    columns: Ints, keys: Ints, order: Ints, spare_keys: Ints, spare: Ints, start: int, end: int
) -> None:
    """Sort order[start:end] by its rows: insertion sort of short runs, then merges, bottom up."""
    for run in range(start, end, _SMALL):
        for i in range(run + 1, min(run + _SMALL, end)):
            key, row, j = keys[i], order[i], i
            while j > run and _before(columns, key, row, keys[j - 1], order[j - 1]):
                keys[j], order[j] = keys[j - 1], order[j - 1]
                j -= 1
            keys[j], order[j] = key, row
    width = _SMALL
    while width < end - start:
        for left in range(start, end - width, 2 * width):
            right = min(left + 2 * width, end)
            _merge(columns, keys, order, spare_keys, spare, left, left + width, right)
        width *= 2


@inlined
def _merge(
    columns: Ints,
    keys: Ints,
    order: Ints,
    spare_keys: Ints,
    spare: Ints,
    left: int,
    middle: int,
    right: int,
) -> None:
    if not _before(columns, keys[middle], order[middle], keys[middle - 1], order[middle - 1]):
        return
    spare_keys[left:middle], spare[left:middle] = keys[left:middle], order[left:middle]
    i, j, out = left, middle, left
    while i < middle:
        if j < right and _before(columns, keys[j], order[j], spare_keys[i], spare[i]):
            keys[out], order[out] = keys[j], order[j]
            j += 1
        else:
            keys[out], order[out] = spare_keys[i], spare[i]
            i += 1
        out += 1
