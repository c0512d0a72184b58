"""Anchors of a buffer in memory, each linked to its first occurrence (dedup.anchors)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from unrote.corpus.kernel import inlined, kernel
from unrote.dedup.anchors import (
    MAX_ANCHORS,
    MAX_BUFFER,
    PART_BITS,
    SHAPE_BITS,
    Anchors,
    Each,
    ambiguous_classes,
    classify,
    hash_windows,
    pick_all,
    resolve,
    segment_end,
    shape_at,
    shape_lead,
    shape_windows,
)
from unrote.dedup.passages import COLUMNS, DOC, OCCURRENCES, START, WINDOWS, WITNESS_BYTE, more_room

_HEAVY = np.uint32(1 << 31)
_SEGMENT_BITS = 40
_PART = 6000  # anchors in a part: with its tables it stays in the second-level cache
_TASK = 16  # parts in a task
_ANCHOR_BYTES = 64


# In memory: what is known of an anchor is one word, its *link*. 0: nothing. Positive: the whole of
# its windows first occurs at those of anchor (low 32 bits), so many times (above). Negative: the
# complement is the index of the first of its *segments*, tagged with the task that made them. A
# segment is (offset of the first occurrence, occurrences << 14 | windows).


class Parts(NamedTuple):
    """Anchors by the top bits of their hash: part p has the indices bounds[p]:bounds[p + 1].

    hashes, fingerprints: uint64; numbers: uint32, the top bit set for heavy ones. Part of the
    kernels' input.
    """

    hashes: np.ndarray
    fingerprints: np.ndarray
    numbers: np.ndarray


class _Buffer(NamedTuple):
    """Text, and the shapes of all its anchors, by number. Part of the kernels' input."""

    data: np.ndarray
    shapes: np.ndarray
    min_bytes: int


class _Classes(NamedTuple):
    """The classes of a part's anchors: the first anchor and the size of each (`classify`)."""

    hashes: np.ndarray
    numbers: np.ndarray
    first: np.ndarray
    size: np.ndarray


@kernel
def scatter(
    hashes: np.ndarray,
    fingerprints: np.ndarray,
    heavy: np.ndarray,
    base: int,
    shift: np.uint64,
    next_index: np.ndarray,
    out: Parts,
) -> None:
    """Put anchors into the parts that their hash's top bits name, in their order.

    next_index: int64, where the next anchor of each part goes; advanced. Number i is base + i, its
    top bit set for those in `heavy` (int64, ascending).
    """
    out_hashes, out_fingerprints, out_numbers = out.hashes, out.fingerprints, out.numbers
    h = 0
    for i in range(len(hashes)):
        part = np.int64(hashes[i] >> shift)
        to = next_index[part]
        next_index[part] = to + 1
        number = np.uint32(base + i)
        if h < len(heavy) and heavy[h] == i:
            number |= _HEAVY
            h += 1
        out_hashes[to] = hashes[i]
        out_fingerprints[to] = fingerprints[i]
        out_numbers[to] = number


@kernel
def histogram(hashes: np.ndarray, shift: np.uint64, parts: int) -> np.ndarray:
    """How many hashes lie in each part: int64[parts]."""
    counts = np.zeros(parts, dtype=np.int64)
    for i in range(len(hashes)):
        counts[np.int64(hashes[i] >> shift)] += 1
    return counts


@kernel
def link_parts(
    buffer: _Buffer,
    bounds: np.ndarray,
    parts: Parts,
    heavy: np.ndarray,
    weights: np.ndarray,
    task: int,
    links: np.ndarray,
) -> np.ndarray:
    """Link the anchors of the parts between `bounds` (int64, indices of `scatter`'s output).

    heavy, weights: int64, numbers of heavy anchors (ascending) and their weights.
    Writes `links`; returns the segments, int64[:, 2].
    """
    shapes, numbers = buffer.shapes, parts.numbers
    hashes, fingerprints = parts.hashes, parts.fingerprints
    segments = np.empty((1024, 2), dtype=np.int64)
    used = 0
    for p in range(len(bounds) - 1):
        a, b = bounds[p], bounds[p + 1]
        weight = _weights(numbers[a:b], heavy, weights)
        of, first, size, group, classes = classify(hashes[a:b], fingerprints[a:b], weight)
        chosen = ambiguous_classes(group, classes)
        index = np.zeros(len(first), dtype=np.int64)
        if len(chosen):
            own = _Classes(hashes[a:b], numbers[a:b], first, size)
            segments, used = _add_segments(buffer, own, chosen, segments, used, index)
        for i in range(b - a):
            c = of[i]
            if classes[group[c]] > 1:
                links[numbers[a + i]] = ~(np.int64(task) << _SEGMENT_BITS | index[c])
            elif first[c] != i and size[c] < MAX_ANCHORS:
                links[numbers[a + i]] = size[c] << 32 | np.int64(numbers[a + first[c]])
            elif first[c] != i:  # more than a link can count
                if index[c] == 0:
                    if used == len(segments):
                        segments = more_room(segments)
                    shape = shapes[numbers[a + first[c]]]
                    segments[used, 0] = shape_at(shape)
                    segments[used, 1] = size[c] << 14 | shape_windows(shape)
                    used += 1
                    index[c] = used
                links[numbers[a + i]] = ~(np.int64(task) << _SEGMENT_BITS | (index[c] - 1))
    return segments[:used].copy()


@kernel
def _weights(numbers: np.ndarray, heavy: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights of anchors by number: int64. Takes the bits of heavy anchors off the numbers."""
    out = np.ones(len(numbers), dtype=np.int64)
    for i in range(len(numbers)):
        if numbers[i] & _HEAVY:
            numbers[i] &= ~_HEAVY
            out[i] = weights[np.searchsorted(heavy, np.int64(numbers[i]))]
    return out


@kernel
def _add_segments(
    buffer: _Buffer,
    classes: _Classes,
    chosen: np.ndarray,
    segments: np.ndarray,
    used: int,
    index: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Append the segments of the classes `chosen`; index[c] is where those of c begin."""
    data, shapes, min_bytes = buffer.data, buffer.shapes, buffer.min_bytes
    hashes, numbers, first, size = classes.hashes, classes.numbers, classes.first, classes.size
    n = len(chosen)
    bounds = np.zeros(n + 1, dtype=np.int64)
    seeds = np.empty(n, dtype=np.uint64)
    sizes = np.empty(n, dtype=np.int64)
    for x in range(n):
        bounds[x + 1] = bounds[x] + shape_windows(shapes[numbers[first[chosen[x]]]])
    sides = np.empty((bounds[n], 2), dtype=np.uint64)
    positions = np.empty(bounds[n], dtype=np.int64)
    for x in range(n):
        i = first[chosen[x]]
        shape = shapes[numbers[i]]
        windows = shape_windows(shape)
        seeds[x], sizes[x] = hashes[i], size[chosen[x]]
        hash_windows(
            data, shape_at(shape), shape_lead(shape), windows, min_bytes, seeds[x], sides, bounds[x]
        )
        for y in range(windows):
            positions[bounds[x] + y] = shape_at(shape) + y
    equal, counts = resolve(sides, bounds, seeds, sizes)
    for x in range(n):
        index[chosen[x]] = used
        y = bounds[x]
        while y < bounds[x + 1]:
            z = segment_end(equal, counts, positions, y, bounds[x + 1])
            if used == len(segments):
                segments = more_room(segments)
            segments[used, 0] = positions[equal[y]]
            segments[used, 1] = counts[y] << 14 | (z - y)
            used += 1
            y = z
    return segments, used


@kernel
def expand(
    offsets: np.ndarray,
    doc: int,
    min_bytes: int,
    start: int,
    end: int,
    shapes: np.ndarray,
    links: np.ndarray,
    tables: np.ndarray,
    segments: np.ndarray,
) -> np.ndarray:
    """The copied windows that anchors start:end own, as rows of `dedup.passages`.

    doc: the document of the first; tables: int64, where those of each task begin in `segments`.
    """
    rows = np.empty((max(16, end - start), COLUMNS), dtype=np.int64)
    used = 0
    for i in range(start, end):
        link = links[i]
        if link == 0:
            continue
        at = shape_at(shapes[i])
        while offsets[doc + 1] <= at:
            doc += 1
        if link > 0:
            witness = shape_at(shapes[link & 0xFFFFFFFF])
            if at - witness >= min_bytes:
                if used == len(rows):
                    rows = more_room(rows)
                used = _add(rows, used, doc, at, shape_windows(shapes[i]), witness, link >> 32)
            continue
        index = ~link
        x = tables[index >> _SEGMENT_BITS] + (index & ((1 << _SEGMENT_BITS) - 1))
        stop = at + shape_windows(shapes[i])
        while at < stop:
            windows = segments[x, 1] & 0x3FFF
            if at - segments[x, 0] >= min_bytes:
                if used == len(rows):
                    rows = more_room(rows)
                used = _add(rows, used, doc, at, windows, segments[x, 0], segments[x, 1] >> 14)
            at += windows
            x += 1
    return rows[:used]


@inlined
def _add(
    rows: np.ndarray, used: int, doc: int, at: int, windows: int, witness: int, count: int
) -> int:
    rows[used, DOC], rows[used, START], rows[used, WINDOWS] = doc, at, windows
    rows[used, 3], rows[used, WITNESS_BYTE], rows[used, 5] = 0, witness, 0
    rows[used, OCCURRENCES] = count
    return used + 1


@dataclass(frozen=True)
class Links:
    """All anchors of a buffer in memory, those linked that occur again."""

    offsets: np.ndarray
    min_bytes: int
    shapes: np.ndarray
    links: np.ndarray
    tables: np.ndarray
    segments: np.ndarray

    def copies(self, first: int, last: int) -> np.ndarray:
        """Copies in the documents first:last, as rows of `dedup.passages` with buffer offsets."""
        bounds = self.offsets[[first, last]] << SHAPE_BITS
        start, end = np.searchsorted(self.shapes, bounds)
        return expand(
            self.offsets, first, self.min_bytes, start, end, self.shapes, self.links, self.tables,
            self.segments,
        )  # fmt: skip


def hash_ranges(size: int, min_bytes: int, memory: int | None) -> list[tuple[int, int]]:
    """Ranges of top hash bits, [low, high), whose anchors fit into `memory` one range at a time."""
    need = 2 * size // (min_bytes // 2 + 1) * _ANCHOR_BYTES
    count = 1 if memory is None else min(1024, max(1, -(-need // max(1, memory))))
    bounds = [(i << PART_BITS) // count for i in range(count + 1)]
    return list(pairwise(bounds))


def link(
    data: np.ndarray, offsets: np.ndarray, min_bytes: int, low: int, high: int, each: Each
) -> Links:
    """Find the anchors whose hash lies in a range of `hash_ranges`, and link them.

    each: a `map`, perhaps over threads.
    """
    picked = pick_all(data, offsets, min_bytes, low, high, each)
    sizes = [len(p.shapes) for p in picked]
    bases = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    total = int(bases[-1])
    if total >= MAX_ANCHORS or offsets[-1] >= MAX_BUFFER:
        raise ValueError(f"{offsets[-1]} bytes of text at once: set `memory`, or split them.")
    shapes = np.concatenate([p.shapes for p in picked])
    heavies = np.concatenate(
        [p.heavy + np.array([[base, 0]]) for p, base in zip(picked, bases, strict=False)]
    )
    bits = min(PART_BITS, max(4, (total // _PART * (1 << PART_BITS) // (high - low)).bit_length()))
    parts, bounds = _partition(picked, bases, bits, each)
    del picked
    buffer = _Buffer(data, shapes, min_bytes)
    links = np.zeros(total, dtype=np.int64)
    heavy, weights = (np.ascontiguousarray(column) for column in heavies.T)

    def task(number: int) -> np.ndarray:
        part = bounds[number * _TASK : (number + 1) * _TASK + 1]
        return link_parts(buffer, part, parts, heavy, weights, number, links)

    segments = list(each(task, range((1 << bits) // _TASK)))
    tables = np.concatenate(([0], np.cumsum([len(p) for p in segments], dtype=np.int64)))
    return Links(offsets, min_bytes, shapes, links, tables, np.concatenate(segments))


_NONE = Anchors(*(np.empty(0, dtype=np.int64) for _ in range(4)))


def _partition(
    picked: list[Anchors], bases: np.ndarray, bits: int, each: Each
) -> tuple[Parts, np.ndarray]:
    """Anchors by the top bits of their hash, and where each part begins. Empties `picked`."""
    shift, count = np.uint64(64 - bits), 1 << bits
    counts = np.stack(list(each(lambda p: histogram(p.hashes, shift, count), picked)))
    bounds = np.concatenate(([0], np.cumsum(counts.sum(axis=0))))
    begins = bounds[:-1] + np.cumsum(counts, axis=0) - counts
    total = int(bounds[-1])
    hashes, fingerprints = np.empty(total, dtype=np.uint64), np.empty(total, dtype=np.uint64)
    parts = Parts(hashes, fingerprints, np.empty(total, dtype=np.uint32))

    def scatter_chunk(i: int) -> None:
        own = picked[i]
        heavy = np.ascontiguousarray(own.heavy[:, 0])
        scatter(own.hashes, own.fingerprints, heavy, bases[i], shift, begins[i], parts)
        picked[i] = _NONE

    list(each(scatter_chunk, range(len(picked))))
    return parts, bounds
