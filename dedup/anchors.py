"""Anchors of duplicate windows: minimizers of k-mers, grouped by hash.

A window is `min_bytes` = L consecutive bytes of one document. With width w = L // 2 and
k = L - w + 1 every window holds w k-mers. Its *anchor* is the k-mer with the least hash, the
leftmost of equals (minimizers: Roberts et al. 2004; winnowing: Schleimer, Wilkerson, Aiken 2003).
The choice depends on the window's bytes alone, so equal windows have equal anchors at the same
relative position: only windows whose anchor's hash occurs again can be duplicates. An anchor *owns*
the windows that chose it; they are neighbours, so that they are a range: `windows` of them from the
byte `at`, the anchor itself `lead` bytes behind `at`. In ordinary text there is an anchor every
(w + 1) / 2 bytes.

Anchors with equal hash are a *group*; those whose owned text, lead and count of windows agree as
well (by fingerprint) are a *class*. A group of one class needs no look at single windows. Anchors
of other groups are *ambiguous*: the windows of each class are hashed once and compared within the
group.

In a repetition (period g <= w) there is one anchor every g bytes, all of one class. Those all of
whose windows also stand t * g bytes earlier in it (t * g >= L) are copies by the repetition rule of
`dedup.passages`: the first of them stays, with their number as its *weight*.

The kernels see one byte buffer and int64 offsets. Hashes are strong against chance, not against an
adversary; with the anchor's hash and the fingerprint 128 bits decide.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from unrote.corpus.kernel import inlined, kernel, load64, multiply_fold
from unrote.dedup.passages import same_length

_SHAPE = 13  # bits for a count below 8192, the largest width
SHAPE_BITS = 2 * _SHAPE
_LOW = (1 << _SHAPE) - 1
MAX_BUFFER = 1 << (63 - SHAPE_BITS)
MAX_ANCHORS = 1 << 31
PART_BITS = 16

_BASE = np.uint64(0x9FB21C651E98DF25)
_A = np.uint64(0xA0761D6478BD642F)
_B = np.uint64(0xE7037ED1A0B428DB)
_C = np.uint64(0x8EBC6AF09C88C6E3)
_D = np.uint64(0x589965CC75374CC3)
_TOP = np.uint64(64 - PART_BITS)

_CHUNK = 4 << 20

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""A `map`, perhaps over threads."""


class Anchors(NamedTuple):
    """Anchors in their order, or room for them. Part of the kernels' input.

    hashes, fingerprints: uint64; shapes: int64 (at << 26 | lead << 13 | windows - 1); heavy:
    int64[:, 2], rows (index, weight) of anchors that stand for several.
    """

    hashes: np.ndarray
    fingerprints: np.ndarray
    shapes: np.ndarray
    heavy: np.ndarray

    def copied(self, count: int, heavies: int) -> "Anchors":
        """The first `count` anchors, of which `heavies` are heavy: the arrays may be reused."""
        sizes = (count, count, count, heavies)
        return Anchors(*(array[:size].copy() for array, size in zip(self, sizes, strict=True)))


class _Scan(NamedTuple):
    """What stays the same while windows of one document are scanned. Numbers alone: out of a tuple
    of arrays numba would count references, at every anchor.

    The document is data[begin:end]; windows start before `stop`. Only anchors whose hash has top
    bits (PART_BITS) in [low, high) are written. slots: of the ring.
    """

    begin: int
    end: int
    stop: int
    min_bytes: int
    low: int
    high: int
    slots: int


class _Anchor(NamedTuple):
    """The k-mer at byte `anchor` with the hash `least`, and its `windows` windows from `at` on."""

    at: int
    windows: int
    anchor: int
    least: np.uint64


def _byte_values() -> np.ndarray:
    """256 random uint64, the digits of the rolling hash: splitmix64 from 1."""
    mask, values, state = (1 << 64) - 1, [], 1
    for _ in range(256):
        state = (state + 0x9E3779B97F4A7C15) & mask
        x = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ x >> 27) * 0x94D049BB133111EB) & mask
        values.append(x ^ x >> 31)
    return np.array(values, dtype=np.uint64)


def rolling_values(min_bytes: int) -> np.ndarray:
    """What a byte adds to the rolling hash when it enters and when it leaves: uint64[2, 256]."""
    size = min_bytes - min_bytes // 2 + 1
    power = np.uint64(pow(int(_BASE), size, 1 << 64))
    values = _byte_values()
    return np.stack((values, -(values * power)))


@inlined
def shape_at(shape: int) -> int:
    """First byte of the first window owned."""
    return shape >> SHAPE_BITS


@inlined
def shape_lead(shape: int) -> int:
    return (shape >> _SHAPE) & _LOW


@inlined
def shape_windows(shape: int) -> int:
    return (shape & _LOW) + 1


@inlined
def text_fingerprint(data: np.ndarray, at: int, length: int, seed: np.uint64) -> np.uint64:
    """64-bit hash of `length` >= 16 bytes from `at`."""
    end = at + length
    h, g = multiply_fold(seed ^ _A, _B), seed ^ _C
    while at + 32 < end:
        h = multiply_fold(load64(data, at) ^ _A, load64(data, at + 8) ^ h)
        g = multiply_fold(load64(data, at + 16) ^ _B, load64(data, at + 24) ^ g)
        at += 32
    if at + 16 < end:
        h = multiply_fold(load64(data, at) ^ _A, load64(data, at + 8) ^ h)
    g = multiply_fold(load64(data, end - 16) ^ _B, load64(data, end - 8) ^ g)
    return multiply_fold(h ^ _C, g ^ _D)  # type: ignore[no-any-return]


@kernel
def pick(
    data: np.ndarray,
    offsets: np.ndarray,
    first: int,
    last: int,
    min_bytes: int,
    values: np.ndarray,
    low: int,
    high: int,
    out: Anchors,
) -> tuple[int, int]:
    """The anchors of the windows that start in data[first:last], in their order.

    data: uint8, documents data[offsets[i]:offsets[i + 1]]; values: of `rolling_values`.
    Only anchors whose hash has top bits (PART_BITS) in [low, high) are written. out: room for
    last - first anchors.
    Returns how many anchors and how many heavy ones there are.
    """
    width = min_bytes // 2
    slots = 1
    while slots < width:
        slots *= 2
    ring = np.empty(slots, dtype=np.uint64)
    state = np.zeros(STATE, dtype=np.int64)
    doc = np.searchsorted(offsets, first, side="right") - 1
    while doc < len(offsets) - 1 and offsets[doc] < last:
        start = max(offsets[doc], first)
        stop = min(offsets[doc + 1] - min_bytes + 1, last)
        if start < stop:
            state[_HASH], state[_AT], state[_GAP], state[_KEPT] = 0, 0, 0, 0
            scan = _Scan(offsets[doc], offsets[doc + 1], stop, min_bytes, low, high, slots)
            _pick_windows(data, start, scan, values, ring, state, out)
        doc += 1
    return state[_COUNT], state[_HEAVIES]


# What is remembered from one anchor of a document to the next: the last one (its hash as int64; its
# offset + 1, 0 for none), and the repetition it lies in: period, where it was seen to begin and
# end, and the anchor (+ 1) that stands for those to come; how many bytes may be skipped, because
# nothing but such anchors are to come. Behind them: how much has been written.
_HASH, _AT, _GAP, _FROM, _TO, _KEPT, _SKIP, _COUNT, _HEAVIES = range(9)
STATE = 9


@kernel
def _pick_windows(
    data: np.ndarray,
    start: int,
    scan: _Scan,
    values: np.ndarray,
    ring: np.ndarray,
    state: np.ndarray,
    out: Anchors,
) -> None:
    """`pick` for the windows of a document that start in data[start:scan.stop].

    ring: uint64[slots], the last hashes; state: int64[STATE].
    """
    hashes, fingerprints, shapes, heavy = out.hashes, out.fingerprints, out.shapes, out.heavy
    stop, width = scan.stop, scan.min_bytes // 2
    size = scan.min_bytes - width + 1
    mask = len(ring) - 1
    entering, leaving = values[0], values[1]
    # The least hash so far is `least`, of the k-mer at `anchor`; `at` is the first window it owns.
    # The k-mer at j is the last one of the window at j - width + 1.
    h, least, anchor = _first_window(data, start, width, size, entering, leaving, ring)
    at, j, behind = start, start + width, stop + width - 1
    while True:
        until = min(anchor + width, behind)
        found = False
        while j < until:
            h = h * _BASE + (entering[data[j + size - 1]] + leaving[data[j - 1]])
            ring[j & mask] = h
            if h < least:
                found = True
                break
            j += 1
        window = j - width + 1
        owned = _Anchor(at, window - at, anchor, least)
        _emit(data, scan, owned, state, hashes, fingerprints, shapes, heavy)
        window += state[_SKIP]
        j += state[_SKIP]
        if found:
            least, anchor = h, j
        elif j < behind:
            h = h * _BASE + (entering[data[j + size - 1]] + leaving[data[j - 1]])
            ring[j & mask] = h
            # The least has left the window; an equal one, as in a repetition, takes its place.
            left, i = least, window
            least, anchor = ring[i & mask], i
            while i < j and (least != left or h < left):
                i += 1
                x = ring[i & mask]
                if x < least:
                    least, anchor = x, i
        else:
            break
        at = window
        j += 1


@inlined
def _first_window(
    data: np.ndarray,
    start: int,
    width: int,
    size: int,
    entering: np.ndarray,
    leaving: np.ndarray,
    ring: np.ndarray,
) -> tuple[np.uint64, np.uint64, int]:
    """Hash of the last k-mer of the window at `start`, least hash in it, and its offset."""
    mask = len(ring) - 1
    h = np.uint64(0)
    for i in range(start, start + size):
        h = h * _BASE + entering[data[i]]
    ring[start & mask] = h
    least, anchor = h, start
    for j in range(start + 1, start + width):
        h = h * _BASE + (entering[data[j + size - 1]] + leaving[data[j - 1]])
        ring[j & mask] = h
        if h < least:
            least, anchor = h, j
    return h, least, anchor


@inlined
def _emit(
    data: np.ndarray,
    scan: _Scan,
    owned: _Anchor,
    state: np.ndarray,
    hashes: np.ndarray,
    fingerprints: np.ndarray,
    shapes: np.ndarray,
    heavy: np.ndarray,
) -> None:
    """Write an anchor, unless another stands for it."""
    # The least of many hashes is small. Mixed again it spreads over all parts.
    mixed = multiply_fold(owned.least ^ _A, _D)
    state[_SKIP] = 0
    write = bool(scan.low <= np.int64(mixed >> _TOP) < scan.high)
    if write and state[_AT] > 0 and np.int64(owned.least) == state[_HASH]:
        write = _repeats(data, scan, owned, state, heavy)
    else:
        state[_GAP] = 0
        state[_KEPT] = 0
    state[_HASH] = np.int64(owned.least)
    state[_AT] = owned.anchor + 1 + state[_SKIP]
    if write:
        count = state[_COUNT]
        shape = (owned.anchor - owned.at) << _SHAPE | (owned.windows - 1)
        length = owned.windows - 1 + scan.min_bytes
        hashes[count] = mixed
        fingerprints[count] = text_fingerprint(data, owned.at, length, np.uint64(shape))
        shapes[count] = owned.at << SHAPE_BITS | shape
        state[_COUNT] = count + 1


@kernel
def _repeats(
    data: np.ndarray, scan: _Scan, owned: _Anchor, state: np.ndarray, heavy: np.ndarray
) -> bool:
    """Whether to write an anchor whose hash is that of the one before it in the document."""
    at, windows, anchor = owned.at, owned.windows, owned.anchor
    stop, min_bytes, slots = scan.stop, scan.min_bytes, scan.slots
    gap = anchor + 1 - state[_AT]
    shift = (min_bytes + gap - 1) // gap * gap
    if windows != gap:
        state[_GAP] = 0
        state[_KEPT] = 0
        return True
    if gap != state[_GAP]:
        state[_GAP], state[_FROM], state[_TO], state[_KEPT] = gap, anchor, anchor + gap, 0
        low = max(scan.begin, at - shift)
        while state[_FROM] > low and data[state[_FROM] - 1] == data[state[_FROM] - 1 + gap]:
            state[_FROM] -= 1
    need = at + windows - 1 + min_bytes
    if state[_TO] < need:
        limit = min(scan.end, stop + min_bytes + gap)
        state[_TO] += same_length(data, state[_TO] - gap, state[_TO], limit)
    if state[_FROM] > at - shift or state[_TO] < need:
        state[_KEPT] = 0
        return True
    if state[_KEPT] == 0:
        state[_KEPT] = state[_COUNT] + 1
        return True
    index, last = state[_KEPT] - 1, state[_HEAVIES] - 1
    if last < 0 or heavy[last, 0] != index:
        last += 1
        heavy[last, 0], heavy[last, 1] = index, 1
        state[_HEAVIES] = last + 1
    # So many more that are like this one. Whole rounds of the ring, so that it stays as it is.
    more = max(0, min((state[_TO] - need) // gap, (stop - at) // gap - 1)) // slots * slots
    state[_SKIP] = more * gap
    heavy[last, 1] += 1 + more
    return False


@kernel
def classify(
    hashes: np.ndarray, fingerprints: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Classes and groups of anchors.

    hashes, fingerprints: uint64[n]; weights: int64[n].
    Returns of_anchor int32[n] (the class), first int32[c] (a class's first anchor; classes are in
    the order of these), size int64[c] (weights summed), group int32[c], classes int32[g] (how many
    a group has).
    """
    n = len(hashes)
    slots = 16
    while slots < 2 * n:
        slots *= 2
    mask = slots - 1
    table = np.full(slots, -1, dtype=np.int32)
    of_anchor = np.empty(n, dtype=np.int32)
    first = np.empty(n, dtype=np.int32)
    size = np.empty(n, dtype=np.int64)
    count = 0
    for i in range(n):
        slot = np.int64(hashes[i] ^ fingerprints[i]) & mask
        c = table[slot]
        while c >= 0 and (
            hashes[first[c]] != hashes[i] or fingerprints[first[c]] != fingerprints[i]
        ):
            slot = (slot + 1) & mask
            c = table[slot]
        if c < 0:
            c = np.int32(count)
            table[slot] = c
            first[c] = i
            size[c] = 0
            count += 1
        of_anchor[i] = c
        size[c] += weights[i]
    group, classes = _group(hashes, first[:count], table)
    return of_anchor, first[:count], size[:count], group, classes


@kernel
def _group(
    hashes: np.ndarray, first: np.ndarray, table: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The group of each class and how many classes each group has. `table` is scratch."""
    mask = len(table) - 1
    table[:] = -1
    group = np.empty(len(first), dtype=np.int32)
    classes = np.zeros(len(first), dtype=np.int32)
    lead = np.empty(len(first), dtype=np.int32)
    count = 0
    for c in range(len(first)):
        key = hashes[first[c]]
        slot = np.int64(key) & mask
        g = table[slot]
        while g >= 0 and hashes[lead[g]] != key:
            slot = (slot + 1) & mask
            g = table[slot]
        if g < 0:
            g = np.int32(count)
            table[slot] = g
            lead[g] = first[c]
            count += 1
        group[c] = g
        classes[g] += 1
    return group, classes[:count]


@kernel
def ambiguous_classes(group: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The classes of groups that have several, group after group, in their order: int64."""
    starts = np.empty(len(classes), dtype=np.int64)
    total = 0
    for g in range(len(classes)):
        starts[g] = total
        if classes[g] > 1:
            total += classes[g]
    out = np.empty(total, dtype=np.int64)
    for c in range(len(group)):
        g = group[c]
        if classes[g] > 1:
            out[starts[g]] = c
            starts[g] += 1
    return out


@kernel
def hash_windows(
    data: np.ndarray,
    at: int,
    lead: int,
    windows: int,
    min_bytes: int,
    seed: np.uint64,
    sides: np.ndarray,
    to: int,
) -> None:
    """Hashes of the windows that an anchor owns: of the bytes left of it and of those from it on.

    Writes (left, right) of window i to sides[to + i], uint64[:, 2]. Windows of anchors with the
    same `seed` (the anchor's hash) are equal iff both halves are.
    """
    size = min_bytes - min_bytes // 2 + 1
    anchor = at + lead
    left = seed ^ _A
    for x in range(lead):
        if lead - x < windows:
            sides[to + lead - x, 0] = left
        left = multiply_fold(left ^ np.uint64(data[anchor - 1 - x]), _B)
    sides[to, 0] = left
    right = text_fingerprint(data, anchor, size, seed) if size >= 16 else seed
    if size < 16:
        for i in range(size):
            right = multiply_fold(right ^ np.uint64(data[anchor + i]), _C)
    reach = min_bytes - lead  # bytes from the anchor on, of the first window
    for i in range(size, reach):
        right = multiply_fold(right ^ np.uint64(data[anchor + i]), _C)
    sides[to, 1] = right
    for i in range(1, windows):
        right = multiply_fold(right ^ np.uint64(data[anchor + reach + i - 1]), _C)
        sides[to + i, 1] = right


@kernel
def resolve(
    sides: np.ndarray, bounds: np.ndarray, seeds: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First occurrence of each window and how often it occurs, among classes of anchors.

    Class c has the windows sides[bounds[c]:bounds[c + 1]] (of `hash_windows`), the anchor's hash
    seeds[c] and sizes[c] members; the classes of a group are in the order of their first members.
    Returns first int32[m] (index of the first equal window) and counts int64[m]. As many windows as
    an int32 cannot number would take 80 GB here.
    """
    m = len(sides)
    slots = 16
    while slots < 2 * m:
        slots *= 2
    mask = slots - 1
    table = np.full(slots, -1, dtype=np.int32)
    first = np.empty(m, dtype=np.int32)
    counts = np.zeros(m, dtype=np.int64)
    for c in range(len(bounds) - 1):
        for x in range(bounds[c], bounds[c + 1]):
            left, right = sides[x, 0], sides[x, 1]
            slot = np.int64(multiply_fold(left ^ _D, right ^ seeds[c])) & mask
            y = int(table[slot])
            while y >= 0 and (sides[y, 0] != left or sides[y, 1] != right):
                slot = (slot + 1) & mask
                y = int(table[slot])
            if y < 0:
                y = x
                table[slot] = x
            first[x] = y
            counts[y] += sizes[c]
    for x in range(m):
        counts[x] = counts[first[x]]
    return first, counts


@inlined
def segment_end(
    equal: np.ndarray, counts: np.ndarray, positions: np.ndarray, y: int, end: int
) -> int:
    """Where the windows from y on cease to occur first side by side and equally often."""
    z = y + 1
    while (
        z < end and counts[z] == counts[y] and positions[equal[z]] == positions[equal[y]] + (z - y)
    ):
        z += 1
    return z


def pick_all(
    data: np.ndarray, offsets: np.ndarray, min_bytes: int, low: int, high: int, each: Each
) -> list[Anchors]:
    """The anchors of each chunk of the buffer, with hashes whose top bits are in [low, high)."""
    values = rolling_values(min_bytes)
    scratch = threading.local()

    def pick_chunk(first: int) -> Anchors:
        if not hasattr(scratch, "anchors"):
            scratch.anchors = _scratch(min(_CHUNK, int(offsets[-1] - offsets[0])))
        out: Anchors = scratch.anchors
        last = min(first + _CHUNK, int(offsets[-1]))
        return out.copied(*pick(data, offsets, first, last, min_bytes, values, low, high, out))

    return list(each(pick_chunk, range(int(offsets[0]), int(offsets[-1]), _CHUNK)))


def _scratch(size: int) -> Anchors:
    """Room for an anchor at every byte. Memory that is never written to is never there."""
    return Anchors(
        np.empty(size, dtype=np.uint64),
        np.empty(size, dtype=np.uint64),
        np.empty(size, dtype=np.int64),
        np.empty((size, 2), dtype=np.int64),
    )


def pick_each(data: np.ndarray, offsets: np.ndarray, min_bytes: int) -> Iterator[Anchors]:
    """The anchors of all documents, some 4 MiB of text at a time."""
    first, end = int(offsets[0]), int(offsets[-1])
    values = rolling_values(min_bytes)
    out = _scratch(min(_CHUNK, end - first))
    for at in range(first, end, _CHUNK):
        last = min(at + _CHUNK, end)
        yield out.copied(*pick(data, offsets, at, last, min_bytes, values, 0, 1 << PART_BITS, out))
