"""Copied windows by anchors, as stages: no group of anchors with equal hash has to fit in memory.

    A   text → Anchors → Repeats → copies, ambiguous; witnesses
                         Repeats → hot → HotKeys → copies, ambiguous
    B   text beside ambiguous → Windows → CompareWindows → ambiguous copies

`dedup.anchors` says what groups and classes are. What is held of a group grows with its classes,
not with its members (docs/adr/0006-hot-keys.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import COPIES, TEXT, WITNESSES, Table, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers, bytes_view
from unrote.dedup import anchors
from unrote.dedup.alignment import Compared
from unrote.dedup.groups import (
    Ints,
    batch_of,
    column,
    grown,
    one_batch,
    parts,
    spread,
    starts,
    with_hot_keys,
)
from unrote.dedup.passages import (
    COLUMNS,
    DOC,
    OCCURRENCES,
    START,
    WINDOWS,
    WITNESS,
    WITNESS_BYTE,
    WITNESS_CHAR,
    count_chars,
    more_room,
    same_length,
    same_length_before,
)

ANCHORS = Table(
    "anchors",
    pa.schema(
        [(name, pa.int64()) for name in ("hash", "doc", "at", "fingerprint")]
        + [("char", pa.int32()), ("weight", pa.int32())]
        + [("lead", pa.int16()), ("windows", pa.int16())]
    ),
    sort=("doc", "at"),
)
"""Anchors (44 bytes each). `at` is the byte, `char` the code point of the first window owned,
`fingerprint` the fingerprint of all text owned; the others as `dedup.anchors` says."""

HOT_KEYS = pa.schema(
    [(name, pa.int64()) for name in ("hash", "fingerprint", "role", "doc", "at")]
    + [("char", pa.int32()), ("lead", pa.int16()), ("windows", pa.int16())]
    + [(name, pa.int64()) for name in ("size", "kind", "classes")]
)
"""Groups of hot keys, class by class: a summary of the class (role 0), then its members (role 1).
Role 0 has the position of the first member, the class's `size` (weights summed), its number in the
group (`kind`), and how many `classes` the group has."""

AMBIGUOUS = Table(
    "ambiguous",
    pa.schema(
        [
            (name, pa.int64())
            for name in ("doc", "at", "hash", "char", "lead", "windows", "size", "kind", "first")
        ]
    ),
    sort=("doc", "at", "hash"),
)
"""Anchors of groups with several classes. `kind` is the class's number in its group, `size` the sum
of its members' weights, `first` is 1 in its first member, whose windows stand for all."""

AMBIGUOUS_WINDOWS = pa.schema(
    [(name, pa.int64()) for name in ("hash", "role", "doc", "at", "char", "lead", "windows")]
    + [("size", pa.int64()), ("kind", pa.int64()), ("text", pa.large_binary())]
)
"""The same, in each group first the first members of classes (role 0), then the others (role 1).
Role 0 has the text of its windows, which takes a fraction of what their hashes would."""

AMBIGUOUS_COPIES = replace(COPIES, name="ambiguous_copies")

_HELD_BYTES = 1 << 22  # of rows that CompareWindows works on at once, in ten times the memory
_BATCH_ROWS = 1 << 18  # in a batch of copies: 14 MiB


def _unsigned(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint64)


def copies_batch(rows: np.ndarray) -> pa.RecordBatch:
    """Rows of `dedup.passages` as a batch of COPIES, without those of documents of an index."""
    rows = rows[rows[:, DOC] >= 0]
    return batch_of(COPIES.schema, (np.ascontiguousarray(rows[:, i]) for i in range(COLUMNS)))


def alignments(docs: Ints, compared: Compared) -> Tagged:
    """Rows of WITNESSES for documents (keys) whose offsets are not those of their compared text."""
    found = list(compared.altered())
    if found:
        rows = np.zeros((len(found), len(WITNESSES.schema) - 1), dtype=np.int64)
        rows[:, :2] = docs[[index for index, _ in found]][:, np.newaxis]
        yield "witnesses", witness_rows(rows, [alignment.numbers for _, alignment in found])


def witness_rows(rows: Ints, alignment: Sequence[np.ndarray | None]) -> pa.RecordBatch:
    """Rows of WITNESSES, from all columns but the last (int64[n, k]), and that."""
    columns = [pa.array(values) for values in np.ascontiguousarray(rows.T)]
    lists = pa.array(alignment, WITNESSES.schema.field("alignment").type)
    return pa.RecordBatch.from_arrays([*columns, lists], schema=WITNESSES.schema)


@dataclass(frozen=True)
class Anchors(PlainStage):
    """The anchors of each document, and the alignments of those that have some."""

    min_bytes: int = 100
    normalization: Normalization = NFC

    version: ClassVar[int] = 3
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "anchors": ANCHORS.schema,
        "witnesses": WITNESSES.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            docs = column(batch, "doc")
            compared = Compared(self.normalization, batch.column("text"))
            yield from alignments(docs, compared)
            data, offsets = arrow_buffers(compared.texts)
            if not len(docs) or offsets[-1] - offsets[0] < self.min_bytes:
                continue
            for picked in anchors.pick_each(data, offsets, self.min_bytes):
                hashes, fingerprints, shapes, heavy = picked
                index, at, char, lead, windows = _described(data, offsets, shapes)
                weight = np.ones(len(shapes), dtype=np.int64)
                weight[heavy[:, 0]] = heavy[:, 1]
                columns = (
                    hashes.view(np.int64),
                    docs[index],
                    at,
                    fingerprints.view(np.int64),
                    char,
                )
                yield "anchors", batch_of(ANCHORS.schema, (*columns, weight, lead, windows))


@kernel
def _described(
    data: np.ndarray, offsets: np.ndarray, shapes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Document (its index), byte, code point, lead and windows of anchors: int64 each."""
    n = len(shapes)
    docs, ats, chars = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    leads, windows = np.empty(n, np.int64), np.empty(n, np.int64)
    doc, counted, count = 0, offsets[0], 0
    for i in range(n):
        at = anchors.shape_at(shapes[i])
        while at >= offsets[doc + 1]:
            doc += 1
            counted, count = offsets[doc], 0
        count += count_chars(data, counted, at)
        counted = at
        docs[i], ats[i], chars[i] = doc, at - offsets[doc], count
        leads[i], windows[i] = anchors.shape_lead(shapes[i]), anchors.shape_windows(shapes[i])
    return docs, ats, chars, leads, windows


@dataclass(frozen=True)
class Repeats(PlainStage):
    """Groups of anchors. One class: its copies. Several: rows for `Windows`. One anchor: none.

    The group of a hot key goes on to `HotKeys`. Holds HOT_KEY_ROWS rows, and of an open hot key its
    classes.
    """

    min_bytes: int = 100

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("hash",)
    order: ClassVar[tuple[str, ...]] = ("doc", "at")
    singles: ClassVar[bool] = False
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"anchors": ANCHORS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "copies": COPIES.schema,
        "ambiguous": AMBIGUOUS.schema,
        "hot": HOT_KEYS,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        hot_key: _HotKey | None = None
        for key, batch in with_hot_keys(tagged, "hash"):
            if hot_key is not None and key != hot_key.hash:
                yield from hot_key.summary()
                hot_key = None
            if key is None:
                yield from self._whole_groups(batch)
            else:
                hot_key = hot_key or _HotKey(key)
                yield hot_key.members(batch)
        if hot_key is not None:
            yield from hot_key.summary()

    def _whole_groups(self, batch: pa.RecordBatch) -> Tagged:
        """The outputs for whole groups."""
        names = ("doc", "at", "hash", "char", "lead", "windows")
        rows = np.stack([column(batch, name).astype(np.int64) for name in names], axis=1)
        hashes, fingerprints = _unsigned(rows[:, 2]), _unsigned(column(batch, "fingerprint"))
        weights = column(batch, "weight").astype(np.int64)
        copies, ambiguous = _repeated(rows, hashes, fingerprints, weights, self.min_bytes)
        if len(copies):
            yield "copies", copies_batch(copies)
        if len(ambiguous):
            yield "ambiguous", batch_of(AMBIGUOUS.schema, np.ascontiguousarray(ambiguous.T))


@kernel
def _repeated(
    rows: np.ndarray,
    hashes: np.ndarray,
    fingerprints: np.ndarray,
    weights: np.ndarray,
    min_bytes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of COPIES and of AMBIGUOUS for whole groups. rows: the first columns of AMBIGUOUS."""
    n = len(rows)
    of, first, size, group, classes = anchors.classify(hashes, fingerprints, weights)
    kinds = np.empty(len(first), dtype=np.int64)
    seen = np.zeros(len(classes), dtype=np.int64)
    for c in range(len(first)):
        kinds[c] = seen[group[c]]
        seen[group[c]] += 1
    copies = np.empty((n, COLUMNS), dtype=np.int64)
    ambiguous = np.empty((n, 9), dtype=np.int64)
    used = others = 0
    for i in range(n):
        c = of[i]
        if classes[group[c]] > 1:
            for column_ in range(6):
                ambiguous[others, column_] = rows[i, column_]
            ambiguous[others, 6], ambiguous[others, 7] = size[c], kinds[c]
            ambiguous[others, 8] = first[c] == i
            others += 1
        elif first[c] != i:
            f = first[c]
            if rows[f, 0] != rows[i, 0] or rows[f, 1] + min_bytes <= rows[i, 1]:
                copies[used, DOC], copies[used, START] = rows[i, 0], rows[i, 1]
                copies[used, WINDOWS], copies[used, WITNESS] = rows[i, 5], rows[f, 0]
                copies[used, WITNESS_BYTE], copies[used, WITNESS_CHAR] = rows[f, 1], rows[f, 3]
                copies[used, OCCURRENCES] = size[c]
                used += 1
    return copies[:used], ambiguous[:others]


class _HotKey:
    """The classes of a hot key in the order of their first members, 56 to 112 bytes each."""

    def __init__(self, key: int) -> None:
        self.hash = key
        self.count = 0
        self.classes = np.empty((64, 5), dtype=np.int64)  # print, size; doc, at, char of the first
        self.slots = np.full(128, -1, dtype=np.int64)

    def members(self, batch: pa.RecordBatch) -> tuple[str, pa.RecordBatch]:
        """Count members in; they come out as rows of HOT_KEYS."""
        names = ("fingerprint", "weight", "doc", "at", "char")
        rows = np.stack([column(batch, name).astype(np.int64) for name in names], axis=1)
        most = self.count + len(rows)
        self.classes = grown(self.classes, most)
        if 2 * most > len(self.slots):
            self.slots = np.full(1 << (2 * most).bit_length(), -1, dtype=np.int64)
            _enter(self.classes[: self.count], self.slots)
        self.count = _join(rows, self.classes, self.count, self.slots)
        zero, one = (pa.array(np.full(len(rows), value)) for value in (0, 1))
        keys = (batch.column("hash"), batch.column("fingerprint"), one)
        own = (batch.column(name) for name in ("doc", "at", "char", "lead", "windows"))
        columns = [*keys, *own, zero, zero, zero]
        return "hot", pa.RecordBatch.from_arrays(columns, schema=HOT_KEYS)

    def summary(self) -> Tagged:
        """The rows of HOT_KEYS that summarise the classes."""
        for at in range(0, self.count, _BATCH_ROWS):
            fingerprints, size, doc, first, char = self.classes[
                at : min(at + _BATCH_ROWS, self.count)
            ].T
            zero = np.zeros_like(size)
            kind = np.arange(at, at + len(size))
            columns = (zero + self.hash, fingerprints, zero, doc, first, char, zero, zero)
            yield "hot", batch_of(HOT_KEYS, (*columns, size, kind, zero + self.count))


@kernel
def _join(members: Ints, classes: Ints, count: int, slots: Ints) -> int:
    """Add members (print, weight, doc, at, char) to their classes; how many of these there are."""
    mask = len(slots) - 1
    for i in range(len(members)):
        slot = members[i, 0] & mask
        while slots[slot] >= 0 and classes[slots[slot], 0] != members[i, 0]:
            slot = (slot + 1) & mask
        c = slots[slot]
        if c >= 0:
            classes[c, 1] += members[i, 1]
        else:
            slots[slot] = count
            classes[count] = members[i]
            count += 1
    return count


@kernel
def _enter(classes: Ints, slots: Ints) -> None:
    """Put classes into an empty table."""
    mask = len(slots) - 1
    for c in range(len(classes)):
        slot = classes[c, 0] & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = c


@dataclass(frozen=True)
class HotKeys(PlainStage):
    """Groups of hot keys, class by class: what `Repeats` says of the others.

    Holds the summary of the open class.
    """

    min_bytes: int = 100

    key: ClassVar[tuple[str, ...]] = ("hash", "fingerprint")
    order: ClassVar[tuple[str, ...]] = ("role", "doc", "at")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"hot": HOT_KEYS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "copies": COPIES.schema,
        "ambiguous": AMBIGUOUS.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        known = ("doc", "at", "char", "size", "kind", "classes")
        before: tuple[int, int] | None = None
        held = [0] * len(known)  # of the class that is open
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            hashes, fingerprints = column(batch, "hash"), column(batch, "fingerprint")
            begins = starts((hashes, fingerprints), before)
            own = [
                spread(column(batch, name).astype(np.int64), begins, value)
                for name, value in zip(known, held, strict=True)
            ]
            before, held = (
                (int(hashes[-1]), int(fingerprints[-1])),
                [int(values[-1]) for values in own],
            )
            member, several = column(batch, "role") == 1, own[-1] > 1
            yield from self._ambiguous(batch, own, np.flatnonzero(member & several))
            yield from self._copies(batch, own, np.flatnonzero(member & ~several))

    @staticmethod
    def _ambiguous(batch: pa.RecordBatch, own: list[Ints], rows: Ints) -> Tagged:
        if not len(rows):
            return
        first_doc, first_at, _, size, kind, _ = (values[rows] for values in own)
        names = ("doc", "at", "hash", "char", "lead", "windows")
        columns = [column(batch, name)[rows].astype(np.int64) for name in names]
        first = ((columns[0] == first_doc) & (columns[1] == first_at)).astype(np.int64)
        yield "ambiguous", batch_of(AMBIGUOUS.schema, (*columns, size, kind, first))

    def _copies(self, batch: pa.RecordBatch, own: list[Ints], rows: Ints) -> Tagged:
        doc, at = column(batch, "doc")[rows], column(batch, "at")[rows]
        first_doc, first_at, first_char, size, _, _ = (values[rows] for values in own)
        some = (doc >= 0) & ((doc != first_doc) | (first_at + self.min_bytes <= at))
        if some.any():
            windows = column(batch, "windows")[rows].astype(np.int64)
            columns = (doc, at, windows, first_doc, first_at, first_char, size)
            yield "copies", batch_of(COPIES.schema, (values[some] for values in columns))


@dataclass(frozen=True)
class Windows(PlainStage):
    """Ambiguous anchors, those that stand for their class with the text of their windows."""

    min_bytes: int = 100
    normalization: Normalization = NFC

    version: ClassVar[int] = 4
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"ambiguous": AMBIGUOUS.schema, "text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"windows": AMBIGUOUS_WINDOWS}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch, beside in with_rows(tagged):
            docs = column(batch, "doc")
            data, offsets = arrow_buffers(self.normalization.texts(batch.column("text")))
            rows = np.stack([column(beside, n) for n in ("doc", "at", "windows", "first")], axis=1)
            texts, bounds = _window_texts(data, offsets, docs, rows, self.min_bytes)
            role = pa.array(1 - rows[:, -1])
            binary = pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), len(rows), [None, pa.py_buffer(bounds), pa.py_buffer(texts)]
            )
            names = ("doc", "at", "char", "lead", "windows", "size", "kind")
            columns = [beside.column("hash"), role, *(beside.column(name) for name in names)]
            yield (
                "windows",
                pa.RecordBatch.from_arrays([*columns, binary], schema=AMBIGUOUS_WINDOWS),
            )


@kernel
def _window_texts(
    data: np.ndarray, offsets: np.ndarray, docs: np.ndarray, rows: np.ndarray, min_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    """`text` of AMBIGUOUS_WINDOWS: uint8[:], and where each row's begins, int64[n + 1].

    rows: doc, at, windows and first of AMBIGUOUS.
    """
    bounds = np.zeros(len(rows) + 1, dtype=np.int64)
    for i in range(len(rows)):
        bounds[i + 1] = bounds[i] + (rows[i, 2] + min_bytes - 1 if rows[i, 3] else 0)
    texts = np.empty(bounds[-1], dtype=np.uint8)
    for i in range(len(rows)):
        if rows[i, 3]:
            at = offsets[np.searchsorted(docs, rows[i, 0])] + rows[i, 1]
            texts[bounds[i] : bounds[i + 1]] = data[at : at + bounds[i + 1] - bounds[i]]
    return texts, bounds


def with_rows(tagged: Tagged) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Each batch of text that has rows in the tables beside it, with these; rows of documents of an
    index (corpus.schema.INDEXED) have none. The rows of each batch are sorted by `doc`.
    """
    held: list[pa.RecordBatch] = []
    for tag, batch in tagged:
        if tag != "text":
            held.append(batch)
            continue
        if not held or not batch.num_rows:
            continue
        first, last = column(batch, "doc")[[0, -1]]
        own, later = [], []
        for rows in held:
            low, high = np.searchsorted(column(rows, "doc"), (first, last + 1)).tolist()
            own.append(rows.slice(low, high - low))
            later.append(rows.slice(high))
        held = [rows for rows in later if rows.num_rows]
        if any(rows.num_rows for rows in own):
            yield batch, one_batch(own)


@dataclass(frozen=True)
class CompareWindows(PlainStage):
    """Copies among ambiguous anchors: windows compared one by one within each group.

    Holds the first members of the open group's classes with their windows, and once all have come
    what they say of the others: the classes' *segments*, ranges of windows that occur first side by
    side and equally often.
    """

    min_bytes: int = 100

    version: ClassVar[int] = 3
    key: ClassVar[tuple[str, ...]] = ("hash",)
    order: ClassVar[tuple[str, ...]] = ("role", "doc", "at")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"windows": AMBIGUOUS_WINDOWS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"copies": COPIES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        # The segments of class c of the open group: segments[bounds[c]:bounds[c + 1]]
        segments, bounds = np.empty((0, _SEGMENT), dtype=np.int64), np.zeros(1, dtype=np.int64)
        for batch in _with_all_classes(tagged):
            role, kind = column(batch, "role"), column(batch, "kind")
            first = np.flatnonzero(role == 0)
            more, more_bounds = _segments_of(batch, first, self.min_bytes)
            segments = np.concatenate((segments, more))
            bounds = np.concatenate((bounds, bounds[-1] + more_bounds[1:]))
            # Classes are numbered through: those held, then the batch's.
            own = len(bounds) - 1 - len(first)
            begins = starts((column(batch, "hash"),), None)
            begins[0] = role[0] == 0
            of = kind + spread(own + np.cumsum(role == 0) - 1, begins, 0)
            rows = np.stack((column(batch, "doc"), column(batch, "at"), of), axis=1)
            for part in parts(np.diff(bounds)[of], _BATCH_ROWS):
                copies = _copies_of_members(rows[part], segments, bounds, self.min_bytes)
                if len(copies):
                    yield "copies", copies_batch(copies)
            base = int(of[-1] - kind[-1])  # the open group's first class
            segments, bounds = segments[bounds[base] :].copy(), bounds[base:] - bounds[base]


def _with_all_classes(tagged: Tagged) -> Iterator[pa.RecordBatch]:
    """Rows of AMBIGUOUS_WINDOWS, cut so that no group's rows of role 0 are torn apart."""
    held: list[pa.RecordBatch] = []
    size, enough = 0, _HELD_BYTES
    for _, batch in tagged:
        if not batch.num_rows:
            continue
        held.append(batch)
        size += batch.nbytes
        if size < enough:
            continue
        rows = one_batch(held)
        keys, known = column(rows, "hash"), rows.num_rows
        if column(rows, "role")[-1] == 0:
            known = int(np.argmax(keys == keys[-1]))
        if known:
            yield rows.slice(0, known)
        held = [rows.slice(known)] if known < rows.num_rows else []
        size = sum(left.nbytes for left in held)
        enough = max(_HELD_BYTES, 2 * size)  # many classes are not copied again and again
    if held:
        yield one_batch(held)


# Columns of a segment: its first window's number in the class, how many windows; where they occur
# first, and how often.
_OFFSET, _LENGTH, _DOC, _BYTE, _CHAR, _COUNT = range(6)
_SEGMENT = 6


def _segments_of(batch: pa.RecordBatch, first: Ints, min_bytes: int) -> tuple[Ints, Ints]:
    """Segments of the classes in rows `first` of AMBIGUOUS_WINDOWS, and their bounds by class."""
    names = ("hash", "doc", "at", "char", "size", "lead", "windows")
    rows = np.stack([column(batch, name)[first] for name in names], axis=1)
    binary = batch.column("text")
    _, offsets, buffer = binary.buffers()
    ends = np.frombuffer(offsets, np.int64)[binary.offset :][: len(binary) + 1]
    return _segments(bytes_view(buffer), ends[first], rows, min_bytes, PAIRED_CLASSES)


_HASH, _FIRST_DOC, _FIRST_AT, _FIRST_CHAR, _SIZE, _LEAD, _WINDOWS = range(7)
"""Columns of the rows that describe classes."""

PAIRED_CLASSES = 64
"""Up to so many classes of a group are compared each with each, byte by byte. The windows that two
of them share lie side by side, so that takes no look at single windows; more are hashed."""


@kernel
def _segments(
    data: np.ndarray, begins: np.ndarray, rows: np.ndarray, min_bytes: int, paired: int
) -> tuple[np.ndarray, np.ndarray]:
    """Segments int64[:, _SEGMENT] of classes, and their bounds int64[len(rows) + 1].

    The text of class c begins at data[begins[c]]; rows as in `_segments_of`, whole groups. paired:
    how many classes are compared each with each.
    """
    out = np.empty((2 * len(rows) + 16, _SEGMENT), dtype=np.int64)
    bounds = np.zeros(len(rows) + 1, dtype=np.int64)
    a = used = 0
    while a < len(rows):
        b = a + 1
        while b < len(rows) and rows[b, _HASH] == rows[a, _HASH]:
            b += 1
        # Window y of class a + c is number own[c] + y of the group's.
        own = np.zeros(b - a + 1, dtype=np.int64)
        for c in range(b - a):
            own[c + 1] = own[c] + rows[a + c, _WINDOWS]
        if b - a <= paired:
            first, counts = _compared(data, begins, rows, a, own, min_bytes)
        else:
            first, counts = _hashed(data, begins, rows, a, own, min_bytes)
        for c in range(b - a):
            y, end = own[c], own[c + 1]
            while y < end:
                w = first[y]
                h = int(np.searchsorted(own, w, side="right")) - 1  # the class of w
                z = _segment_end(first, counts, y, min(end, y + own[h + 1] - w))
                if used == len(out):
                    out = more_room(out)
                text, within = begins[a + h], w - own[h]
                out[used, _OFFSET], out[used, _LENGTH] = y - own[c], z - y
                out[used, _DOC] = rows[a + h, _FIRST_DOC]
                out[used, _BYTE] = rows[a + h, _FIRST_AT] + within
                out[used, _CHAR] = rows[a + h, _FIRST_CHAR] + count_chars(data, text, text + within)
                out[used, _COUNT] = counts[y]
                used += 1
                y = z
            bounds[a + c + 1] = used
        a = b
    return out[:used].copy(), bounds


@kernel
def _compared(
    data: np.ndarray, begins: np.ndarray, rows: np.ndarray, a: int, own: np.ndarray, min_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    """First occurrence of each window of the group that begins with row a, and how often it occurs,
    as `anchors.resolve` gives them, by what each two classes share on both sides of the anchor.

    A window that begins `before` bytes in front of the anchor is in both if they share that many
    bytes there and the others from the anchor on.
    """
    first, counts = np.arange(own[-1]), np.empty(own[-1], dtype=np.int64)
    for i in range(len(own) - 1):
        lead, size = rows[a + i, _LEAD], rows[a + i, _SIZE]
        counts[own[i] : own[i + 1]] = size
        anchor = begins[a + i] + lead
        behind = rows[a + i, _WINDOWS] - 1 + min_bytes - lead
        for j in range(i):
            other_lead, other_size = rows[a + j, _LEAD], rows[a + j, _SIZE]
            other = begins[a + j] + other_lead
            most = min(behind, rows[a + j, _WINDOWS] - 1 + min_bytes - other_lead)
            least = min_bytes - same_length(data, other, anchor, anchor + most)
            for before in range(
                max(least, 0), same_length_before(data, other, anchor, min(lead, other_lead)) + 1
            ):
                x, y = own[i] + lead - before, own[j] + other_lead - before
                counts[x] += other_size
                counts[y] += size
                if first[x] == x:
                    first[x] = y
    return first, counts


@kernel
def _hashed(
    data: np.ndarray, begins: np.ndarray, rows: np.ndarray, a: int, own: np.ndarray, min_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `_compared` gives, by hashes of the windows."""
    classes = len(own) - 1
    sides = np.empty((own[-1], 2), dtype=np.uint64)
    seeds, sizes = np.empty(classes, dtype=np.uint64), np.empty(classes, dtype=np.int64)
    for c in range(classes):
        seeds[c], sizes[c] = np.uint64(rows[a + c, _HASH]), rows[a + c, _SIZE]
        lead, windows = rows[a + c, _LEAD], rows[a + c, _WINDOWS]
        anchors.hash_windows(data, begins[a + c], lead, windows, min_bytes, seeds[c], sides, own[c])
    first, counts = anchors.resolve(sides, own, seeds, sizes)
    return first.astype(np.int64), counts


@inlined
def _segment_end(first: np.ndarray, counts: np.ndarray, y: int, end: int) -> int:
    """Where the windows from y on cease to occur first side by side and equally often."""
    z = y + 1
    while z < end and counts[z] == counts[y] and first[z] == first[y] + (z - y):
        z += 1
    return z


@kernel
def _copies_of_members(
    rows: np.ndarray, segments: np.ndarray, bounds: np.ndarray, min_bytes: int
) -> np.ndarray:
    """Rows of COPIES for members of classes. rows: doc, at, class."""
    out = np.empty((max(16, len(rows)), COLUMNS), dtype=np.int64)
    used = 0
    for i in range(len(rows)):
        for p in range(bounds[rows[i, 2]], bounds[rows[i, 2] + 1]):
            doc, witness_byte = segments[p, _DOC], segments[p, _BYTE]
            at = rows[i, 1] + segments[p, _OFFSET]
            if doc != rows[i, 0] or witness_byte + min_bytes <= at:
                if used == len(out):
                    out = more_room(out)
                out[used, DOC], out[used, START], out[used, WINDOWS] = (
                    rows[i, 0],
                    at,
                    segments[p, _LENGTH],
                )
                out[used, WITNESS], out[used, WITNESS_BYTE] = doc, witness_byte
                out[used, WITNESS_CHAR] = segments[p, _CHAR]
                out[used, OCCURRENCES] = segments[p, _COUNT]
                used += 1
    return out[:used]
