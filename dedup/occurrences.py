"""How often given passages occur in texts: exactly, and nearly.

An exact occurrence is found by a *probe*: of each passage one k-mer (k consecutive bytes, k the
largest power of two up to 32 that fits) and its offset in the passage. A text's k-mers are looked
up by a rolling hash, and where one is a probe, the bytes of the passage are compared. The hash is
the "gear" of Xia et al. (2014): h <- h * 2**(64/k) + gear[byte], out of which a byte is shifted
after k steps. Of a passage's k-mers the probe is the one that is rarest among the k-mers of all
passages (counted by hash), so that neither a header which many passages share nor a run of spaces
makes candidates; the smallest hash decides between equally rare ones.

A near occurrence is found by the word shingles that a text shares with a passage (containment,
Broder 1997), found in an index from shingles to passages.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel, load64, multiply_fold
from unrote.corpus.text import arrow_buffers
from unrote.dedup.shingles import (
    BUFFERED,
    STATE,
    begin,
    fill,
    gram_power,
    is_characters,
    shingle_hashes,
    sort_distinct,
)
from unrote.dedup.words import Bytes, Hashes, Int, Ints, Table, table_for

Numbers = NDArray[np.int32]

LEAST = 0.125
"""The share of its shingles from which on a text counts as a near occurrence of a passage."""

_WIDTHS = 6  # a probe has 1 << w bytes, 0 <= w < 6
_WIDTH_BITS = np.uint64(7)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it keeps different keys apart
_SIX, _63 = np.uint64(6), np.uint64(63)
_GEAR = np.random.Generator(np.random.PCG64(0x6F636375727300)).integers(
    1 << 64, size=256, dtype=np.uint64
)
_STEPS = np.array([0] + [1 << (64 >> w) for w in range(1, _WIDTHS)], dtype=np.uint64)
_RAREST_BITS = 25  # 32 MiB of counters at most while probes are chosen
_BITMAP_BITS = 4  # a filter has 16 to 32 bits for each key: about 4 % of other keys pass


class Lookup(NamedTuple):
    """Well-mixed 64-bit keys, to be found. Part of the kernels' input.

    entries: uint64[m + 1, 2], ascending: a key and what belongs to it; the last one closes the
    table. starts: int32[2**a], the first entry whose key's first `a` bits are at least that number;
    drop: 64 - a. bitmap: uint64, which first bits occur; bit_drop: 64 less how many bits.
    """

    entries: Hashes
    starts: Numbers
    drop: np.uint64
    bitmap: Hashes
    bit_drop: np.uint64


class Exact(NamedTuple):
    """The distinct passages that are not empty, ascending by their probes' keys.

    Passage p is text[offsets[p]:offsets[p + 1]] (uint8, int64[m + 1]). Its probe ends with byte
    ends[p] (int64[m]). To a key in `lookup` belongs its first passage; its last one comes before
    the first one of the next key. widths: int64, the w of all probes.
    """

    text: Bytes
    offsets: Ints
    ends: Ints
    lookup: Lookup
    widths: Ints


class Near(NamedTuple):
    """The shingles of the same passages, in classes: those of a class are in the same passages.

    Text that no other passage has, or that all have which have any of it, is thus one
    class, and counted at one go. To a shingle in `lookup` belongs its class; class c is in the
    passages holders[first[c]:first[c + 1]] (int32, int64). needed: int32[m], how many a text must
    have of a passage's shingles.
    """

    lookup: Lookup
    first: Ints
    holders: Numbers
    needed: Numbers
    ngram: int


def _lookup(keys: Hashes) -> Lookup:
    """Of ascending keys (uint64): each distinct one with the index where it begins."""
    new = np.ones(len(keys) + 1, dtype=np.bool_)
    new[1:-1] = keys[1:] != keys[:-1]
    first = np.flatnonzero(new)
    entries = np.empty((len(first), 2), dtype=np.uint64)
    entries[:-1, 0], entries[-1, 0] = keys[first[:-1]], ~np.uint64(0)
    entries[:, 1] = first
    bits = max(6, len(first).bit_length())
    starts = np.zeros(1 << bits, dtype=np.int32)
    bitmap = np.zeros((1 << bits + _BITMAP_BITS) >> 6, dtype=np.uint64)
    lookup = Lookup(
        entries, starts, np.uint64(64 - bits), bitmap, np.uint64(64 - bits - _BITMAP_BITS)
    )
    _enter(lookup)
    return lookup


@kernel
def _enter(lookup: Lookup) -> None:
    bucket = 0
    for i in range(len(lookup.entries) - 1):
        key = lookup.entries[i, 0]
        while bucket <= np.int64(key >> lookup.drop):
            lookup.starts[bucket] = i
            bucket += 1
        bit = key >> lookup.bit_drop
        lookup.bitmap[np.int64(bit >> _SIX)] |= np.uint64(1) << (bit & _63)
    lookup.starts[bucket:] = len(lookup.entries) - 1


@inlined
def _maybe(bitmap: Hashes, bit_drop: np.uint64, key: np.uint64) -> bool:
    """False where `key` is certainly none of the keys."""
    bit = key >> bit_drop
    return bool((bitmap[np.int64(bit >> _SIX)] >> (bit & _63)) & np.uint64(1))


@inlined
def _find(entries: Hashes, key: np.uint64, i: Int) -> Int:
    """The number of the entry of `key`, which is `i` or a later one; -1 if there is none."""
    last = len(entries) - 1
    while i < last and entries[i, 0] < key:
        i += 1
    return np.int64(i) if i < last and entries[i, 0] == key else np.int64(-1)


@inlined
def _key(h: np.uint64, width: Int) -> np.uint64:
    """The key of a k-mer: of two that differ in length it is never the same.

    The last bits of `h`, which give way, depend on the last byte alone, and so do others.
    """
    return ((h & ~_WIDTH_BITS) | np.uint64(width)) * _MIX


@kernel
def _probes(text: Bytes, offsets: Ints, gear: Hashes, steps: Hashes, bits: Int) -> Any:
    """The probe of each passage: (keys uint64[m], ends int64[m]). No passage may be empty."""
    m = offsets.size - 1
    keys, ends = np.empty(m, dtype=np.uint64), np.empty(m, dtype=np.int64)
    counts = np.zeros(np.int64(1) << bits, dtype=np.uint8)
    drop = np.uint64(64 - bits)
    for choosing in range(2):
        for p in range(m):
            size, width = offsets[p + 1] - offsets[p], 0
            while width < _WIDTHS - 1 and 2 << width <= size:
                width += 1
            h, least = np.uint64(0), np.int64(256)
            for i in range(size):
                h = h * steps[width] + gear[text[offsets[p] + i]]
                if i + 1 < 1 << width:
                    continue
                key = _key(h, width)
                count = np.int64(counts[np.int64(key >> drop)])
                if not choosing:
                    counts[np.int64(key >> drop)] = min(count + 1, 255)
                elif count < least or (count == least and key < keys[p]):
                    least, keys[p], ends[p] = count, key, i
    return keys, ends


@inlined
def _equal(a: Bytes, at: Int, b: Bytes, start: Int, size: Int) -> bool:
    """Whether a[at:at + size] is b[start:start + size]; both must lie within the arrays."""
    i = np.int64(0)
    if size < 8:
        while i < size and a[at + i] == b[start + i]:
            i += 1
        return bool(i == size)
    # The end first: in a run of one character the beginning is always right.
    last = size - 8
    if load64(a, at + last) != load64(b, start + last):
        return False
    while i < last and load64(a, at + i) == load64(b, start + i):
        i += 8
    return bool(i >= last)


@kernel
def _count_exact(
    data: Bytes,
    start: Int,
    end: Int,
    exact: Exact,
    gear: Hashes,
    steps: Hashes,
    free: Ints,
    found: Ints,
) -> None:
    """Add the occurrences in the text data[start:end] to `found` (int64[m]).

    free: int64[m], behind the last occurrence of each passage.
    """
    # Out of a tuple within a loop, numba would count references with locked instructions.
    text, offsets, ends = exact.text, exact.offsets, exact.ends
    entries, starts, drop = exact.lookup.entries, exact.lookup.starts, exact.lookup.drop
    bitmap, bit_drop = exact.lookup.bitmap, exact.lookup.bit_drop
    for width in exact.widths:
        step, h = steps[width], np.uint64(0)
        full = min(end, start + (np.int64(1) << width) - 1)
        for i in range(start, full):
            h = h * step + gear[data[i]]
        for i in range(full, end):
            h = h * step + gear[data[i]]
            key = _key(h, width)
            if not _maybe(bitmap, bit_drop, key):
                continue
            number = _find(entries, key, np.int64(starts[np.int64(key >> drop)]))
            if number < 0:
                continue
            for p in range(np.int64(entries[number, 1]), np.int64(entries[number + 1, 1])):
                begins, size = i - ends[p], offsets[p + 1] - offsets[p]
                if begins < max(start, free[p]) or begins + size > end:
                    continue
                if _equal(data, begins, text, offsets[p], size):
                    found[p] += 1
                    free[p] = begins + size


@inlined
def _held(
    data: Bytes,
    start: Int,
    end: Int,
    near: Near,
    table: Table,
    ring: Hashes,
    state: Ints,
    buffer: Hashes,
    hashes: Ints,
) -> Int:
    """The shingles of the text data[start:end] that may be those of passages, into `hashes`.

    They are ascending and distinct. Returns how many they are.
    """
    power, size = gram_power(ring.size), 0
    bitmap, bit_drop = near.lookup.bitmap, near.lookup.bit_drop
    begin(data, start, end, table, False, ring, state)
    while True:
        filled = fill(data, end, table, False, ring, state, power, buffer)
        if filled == 0:
            return sort_distinct(hashes, 0, size)
        for i in range(filled):
            hashes[size] = np.int64(buffer[i])
            size += _maybe(bitmap, bit_drop, buffer[i])


@kernel
def _classes_held(
    lookup: Lookup, hashes: Ints, size: Int, indices: Ints, times: Numbers, touched: Numbers
) -> Int:
    """How often each class of shingles is among hashes[:size], into `times` (int32[classes]).

    touched: int32[classes + 1], the classes that are; returns how many. indices: int64, workspace.
    One loop for each memory access that must wait for the one before, so that the processor has
    those of many shingles under way at once.
    """
    entries, starts, drop = lookup.entries, lookup.starts, lookup.drop
    reached = np.int64(0)
    for low in range(0, size, indices.size):
        high = min(size, low + indices.size)
        for i in range(low, high):
            indices[i - low] = starts[np.int64(np.uint64(hashes[i]) >> drop)]
        for i in range(low, high):
            indices[i - low] += entries[indices[i - low], 0] < np.uint64(hashes[i])
        for i in range(low, high):
            number = _find(entries, np.uint64(hashes[i]), indices[i - low])
            if number >= 0:
                c = np.int64(entries[number, 1])
                touched[reached] = c
                reached += times[c] == 0
                times[c] += 1
    return reached


@kernel
def _count_near(
    near: Near,
    classes: Numbers,
    times: Numbers,
    free: Ints,
    start: Int,
    tally: Numbers,
    touched: Numbers,
    found: Ints,
) -> None:
    """Add what a text has of passages to `found` (int64[m]) where it is enough.

    classes, times: what `_classes_held` said of the text; `times` is zeros when done. The text
    begins at `start`: a passage with free[p] > start has an exact occurrence in it. tally:
    int32[m], zeros, and again when done. touched: int32[m + 1], workspace.
    """
    first, holders, needed, reached = near.first, near.holders, near.needed, np.int64(0)
    for c in classes:
        for j in range(first[c], first[c + 1]):
            p = holders[j]
            touched[reached] = p
            reached += tally[p] == 0
            tally[p] += times[c]
        times[c] = 0
    for i in range(reached):
        p = touched[i]
        if tally[p] >= needed[p] and free[p] <= start:
            found[p] += tally[p]
        tally[p] = 0


@kernel
def _count(
    data: Bytes,
    offsets: Ints,
    table: Table,
    exact: Exact,
    near: Near,
    gear: Hashes,
    steps: Hashes,
    near_too: bool,
) -> tuple[Ints, Ints]:
    """(exact int64[m], near int64[m]) of the texts data[offsets[i]:offsets[i + 1]].

    near_too: whether to count near ones.
    """
    m, longest = exact.ends.size, np.int64(0)
    for d in range(offsets.size - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    found, shared = np.zeros(m, dtype=np.int64), np.zeros(m, dtype=np.int64)
    free, tally = np.zeros(m, dtype=np.int64), np.zeros(m, dtype=np.int32)
    times = np.zeros(near.first.size - 1, dtype=np.int32)
    classes, touched = np.empty(times.size + 1, dtype=np.int32), np.empty(m + 1, dtype=np.int32)
    ring, state = np.zeros(near.ngram, dtype=np.uint64), np.zeros(STATE, dtype=np.int64)
    buffer, indices = np.empty(BUFFERED, dtype=np.uint64), np.empty(BUFFERED, dtype=np.int64)
    hashes = np.empty(longest // 2 + 2, dtype=np.int64)  # a word and what parts it: two bytes
    for d in range(offsets.size - 1):
        start, end = offsets[d], offsets[d + 1]
        _count_exact(data, start, end, exact, gear, steps, free, found)
        if near_too:
            size = _held(data, start, end, near, table, ring, state, buffer, hashes)
            size = _classes_held(near.lookup, hashes, size, indices, times, classes)
            _count_near(near, classes[:size], times, free, start, tally, touched, shared)
    return found, shared


class Passages:
    """Passages whose occurrences are to be counted, indexed once.

    The index takes two to three bytes for each byte of the distinct passages, and while it is made
    about twelve. It is only read, so that threads may share it; counting releases the interpreter
    lock. A call of `count` takes some 40 bytes for each passage: let batches be a megabyte or more.

    texts: any number of strings (Arrow or Python), equal and empty ones too. ngram: words in a
    shingle. least: the share of a passage's distinct shingles from which on a text is near to it.
    `shingles`: int64[n], how many distinct shingles each passage has (see dedup/shingles.py: one if
    it has fewer than `ngram` words, none if it has no words).
    Raises ValueError if `ngram` is below 1 or `least` is not above 0 and at most 1.
    """

    def __init__(
        self,
        texts: Sequence[str] | pa.StringArray | pa.LargeStringArray,
        *,
        ngram: int = 5,
        least: float = LEAST,
    ) -> None:
        is_characters("word", ngram)
        if not 0.0 < least <= 1.0:
            raise ValueError(f"least is {least}; it must be above 0 and at most 1")
        array = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
        coded = pc.fill_null(array.cast(pa.large_string()), "").dictionary_encode()
        distinct, codes = coded.dictionary, coded.indices.to_numpy()
        some = np.flatnonzero(pc.binary_length(distinct).to_numpy())
        keys, ends = _choose(distinct.take(some))
        order = np.argsort(keys, kind="stable")
        chosen = distinct.take(some[order])
        self._exact = _exact(chosen, keys[order], ends[order])
        self._near, counts = _near(self._exact, ngram, least)
        index = np.full(len(distinct), len(some), dtype=np.int64)
        index[some[order]] = np.arange(len(some))
        self._index = index[codes]
        self.shingles = np.append(counts, 0)[self._index]

    def count(self, data: Bytes, offsets: Ints) -> tuple[Ints, Ints]:
        """Count the passages in the texts data[offsets[i]:offsets[i + 1]].

        data: uint8[m], UTF-8; offsets: int64[texts + 1], ascending.
        Returns (exact, near), both int64[n], in the order of the passages; those of several batches
        are added up.

        exact: the occurrences that do not overlap, from left to right, as `str.count` counts them
        in each text; none of an empty passage. near: over the texts without an exact occurrence,
        how many of the passage's distinct shingles are in the text, where they are at least the
        share `least` of them; near / shingles is thus a number of copies weighted by containment.
        Shingles are compared by their 64-bit hashes, exact occurrences by their bytes.
        """
        return self._counted(data, offsets, True)

    def count_exact(self, data: Bytes, offsets: Ints) -> Ints:
        """`count` without the near occurrences: int64[n]."""
        return self._counted(data, offsets, False)[0]

    def _counted(self, data: Bytes, offsets: Ints, near_too: bool) -> tuple[Ints, Ints]:
        table = table_for(data)
        found = _count(data, offsets, table, self._exact, self._near, _GEAR, _STEPS, near_too)
        return np.append(found[0], 0)[self._index], np.append(found[1], 0)[self._index]


def _choose(texts: pa.LargeStringArray) -> tuple[Hashes, Ints]:
    """`_probes` of passages none of which is empty."""
    text, offsets = arrow_buffers(texts)
    bits = min(_RAREST_BITS, max(10, len(text).bit_length()))
    probes: tuple[Hashes, Ints] = _probes(text, offsets, _GEAR, _STEPS, bits)
    return probes


def _exact(texts: pa.LargeStringArray, keys: Hashes, ends: Ints) -> Exact:
    text, offsets = arrow_buffers(texts)
    widths = np.searchsorted(1 << np.arange(1, _WIDTHS), np.diff(offsets), side="right")
    return Exact(text, offsets, ends, _lookup(keys), np.unique(widths))


def _near(exact: Exact, ngram: int, least: float) -> tuple[Near, Ints]:
    """The index of the passages' shingles, and how many each has (int64[m])."""
    table = table_for(exact.text)
    hashes, bounds, _ = shingle_hashes(exact.text, exact.offsets, table, False, ngram, True, False)
    keys, counts = hashes.view(np.uint64), np.diff(bounds)
    order = np.argsort(keys, kind="stable")
    lookup = _lookup(keys[order])
    holders = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    first, holders = _classes(lookup.entries, holders[order])
    needed = np.ceil(counts * least).astype(np.int32)
    return Near(lookup, first, holders, needed, ngram), counts


@inlined
def _same(a: Numbers, i: Int, end: Int, b: Numbers, j: Int, stop: Int) -> bool:
    """Whether a[i:end] is b[j:stop]."""
    if end - i != stop - j:
        return False
    while i < end and a[i] == b[j]:
        i += 1
        j += 1
    return bool(i == end)


@kernel
def _classes(entries: Hashes, holders: Numbers) -> tuple[Ints, Numbers]:
    """Classes of keys with equal holders, which are given by the indices where they begin.

    holders: int32, ascending for each key. In `entries` the index becomes the class.
    Returns (first int64[classes + 1], holders int32) of the classes.
    """
    room = np.int64(1)
    while room < 2 * len(entries):
        room *= 2
    slots = np.full(room, -1, dtype=np.int32)
    first, kept = np.zeros(len(entries), dtype=np.int64), np.empty_like(holders)
    classes = np.int64(0)
    for i in range(len(entries) - 1):
        low, high = np.int64(entries[i, 1]), np.int64(entries[i + 1, 1])
        h = np.uint64(high - low)
        for j in range(low, high):
            h = multiply_fold(h ^ np.uint64(holders[j]), _MIX)
        slot = np.int64(h) & (room - 1)
        while slots[slot] >= 0:
            c = slots[slot]
            if _same(kept, first[c], first[c + 1], holders, low, high):
                break
            slot = (slot + 1) & (room - 1)
        if slots[slot] < 0:
            slots[slot] = classes
            first[classes + 1] = first[classes] + high - low
            kept[first[classes] : first[classes + 1]] = holders[low:high]
            classes += 1
        entries[i, 1] = np.uint64(slots[slot])
    return first[: classes + 1].copy(), kept[: first[classes]].copy()
