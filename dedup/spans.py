"""Duplicate passages: runs of at least `min_bytes` bytes that occur more than once.

`dedup.passages` says exactly what is found. Two methods find it: `dedup.anchors` (the default) and
`dedup.suffix_array`; their answers are the same. On lists of strings:

>>> duplicate_spans([licence, licence + notes], min_bytes=100).to_pylist()
[{'doc': 1, 'start': 0, 'end': 1068, 'witness': 0, 'witness_start': 0, 'occurrences': 2}]

For the engines the same is a chain of stages:

    A   text → Anchors → Repeats → copies, contested
    B   text beside contested → Windows → Contest → contested copies
    C   text beside both copies → Spans → spans, claims → Remainder → remainder

With method "suffix-array" A and B are: text → Everything → SuffixArray → copies.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from corpus.kernel import inlined, kernel
from corpus.schema import COPIES, DUPLICATES, SPANS, TEXT, Table, Tagged
from corpus.text import arrow_buffers, bytes_view
from dedup import anchors
from dedup.groups import PlainStage, batch_of, column
from dedup.passages import (
    BOUNDARIES,
    COLUMNS,
    CUT_COLUMNS,
    DOC,
    FIRST_BYTE,
    LAST_BYTE,
    OCCURRENCES,
    START,
    WINDOWS,
    WITNESS,
    WITNESS_BYTE,
    WITNESS_CHAR,
    count_chars,
    cut,
    locate,
    more_room,
    settle,
    word_classes,
)
from dedup.search import Method, char_index, duplicate_windows, find, text_buffers
from dedup.shingles import SPACE, decode, table_for

__all__ = ["duplicate_spans", "duplicate_windows"]

Boundary = Literal["word", "character", "line"]


def duplicate_spans(
    texts: Sequence[str] | pa.Array | pa.ChunkedArray,
    *,
    min_bytes: int = 100,
    method: Method = "anchors",
    boundary: Boundary = "word",
    min_words: int = 0,
    workers: int | None = None,
    memory: int | None = None,
) -> pa.Table:
    """Passages of `texts` that occur earlier in them.

    texts: strings, or Arrow strings (not copied).
    min_bytes: least length, in UTF-8 bytes (16 to 16384).
    method, boundary, min_words: see `dedup.passages`; the methods' answers are the same.
    workers: threads, None is one for each core.
    memory: bytes that the anchors may take beside the text; where that is not enough they are
    found and compared range of hashes by range of hashes. None: as many as they need, about 2.5
    bytes for each byte of text with min_bytes=100.

    Returns `corpus.schema.SPANS`: `doc` and `witness` are places in `texts`, offsets code points.
    Raises ValueError for a setting that is not allowed.
    """
    if boundary not in BOUNDARIES:
        raise ValueError(f"boundary is {boundary!r}; it must be one of {', '.join(BOUNDARIES)}")
    data, offsets = text_buffers(texts)
    classes = word_classes(not len(data) or int(data.max()) < 128)

    def finish(rows: np.ndarray) -> np.ndarray:
        return cut(data, offsets, rows, min_bytes, BOUNDARIES[boundary], min_words, classes)

    found = find(data, offsets, min_bytes, method, workers, memory, finish)
    cuts = np.concatenate([np.empty((0, CUT_COLUMNS), dtype=np.int64), *found])
    return pa.table([np.ascontiguousarray(cuts[:, i]) for i in range(6)], schema=SPANS.schema)


ANCHORS = Table(
    "anchors",
    pa.schema(
        [(name, pa.int64()) for name in ("hash", "doc", "at", "print")]
        + [("char", pa.int32()), ("weight", pa.int32())]
        + [("lead", pa.int16()), ("windows", pa.int16())]
    ),
    sort=("doc", "at"),
)
"""Anchors (44 bytes each). `at` is the byte, `char` the code point of the first window owned,
`print` the fingerprint of all text owned; the others as `dedup.anchors` says."""

CONTESTED = Table(
    "contested",
    pa.schema(
        [
            (name, pa.int64())
            for name in ("doc", "at", "hash", "char", "lead", "windows", "weight", "kind", "first")
        ]
    ),
    sort=("doc", "at", "hash"),
)
"""Anchors of groups with several classes. `kind` is the class's place in its group, `first` is 1 in
the first member of a class, whose windows stand for all."""

HASHED = pa.schema(
    [(name, pa.int64()) for name in ("hash", "doc", "at", "char", "windows", "weight", "kind")]
    + [("sides", pa.large_binary())]
)
"""The same with the hashes of the windows of first members: 16 bytes each (`hash_windows`), empty
in the others. The lowest bit says whether the window begins with the start of a code point."""

CONTESTED_COPIES = replace(COPIES, name="contested-copies")

EVERYTHING = pa.schema([("all", pa.int64()), ("doc", pa.int64()), ("text", pa.string())])

CLAIMS = pa.schema([(name, pa.int64()) for name in ("doc", "kind", "start", "end")])
"""What decides whether a document of which little is left goes. `kind` 0: it is a candidate with
`start` characters left; 1: a cut of a candidate; 2: a witness range in it. Code points."""

_CANDIDATE, _CUT, _WITNESS = range(3)
_GROUP_ROWS = 1 << 17


def _whole_groups(tagged: Tagged, key: str) -> Iterator[pa.RecordBatch]:
    """The rows of a stage with one input, cut between groups, at least _GROUP_ROWS at a time.

    A group must fit into memory.
    """
    held: list[pa.RecordBatch] = []
    count, enough = 0, _GROUP_ROWS
    for _, batch in tagged:
        held.append(batch)
        count += batch.num_rows
        if count < enough:
            continue
        rows = _one_batch(held)
        keys = column(rows, key)
        last = int(np.argmax(keys == keys[-1]))
        if last:
            yield rows.slice(0, last)
        held, count = [rows.slice(last)], count - last
        enough = max(_GROUP_ROWS, 2 * count)  # a large open group is not copied again and again
    if count:
        yield _one_batch(held)


def _one_batch(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches).combine_chunks()
    return table.to_batches()[0]


def _unsigned(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint64)


def _copies_batch(rows: np.ndarray) -> pa.RecordBatch:
    return batch_of(COPIES.schema, (np.ascontiguousarray(rows[:, i]) for i in range(COLUMNS)))


@dataclass(frozen=True)
class Anchors(PlainStage):
    """The anchors of each document."""

    min_bytes: int = 100

    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"anchors": ANCHORS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            docs = column(batch, "doc")
            data, offsets = arrow_buffers(batch.column("text"))
            if not len(docs) or offsets[-1] - offsets[0] < self.min_bytes:
                continue
            for picked in anchors.pick_each(data, offsets, self.min_bytes):
                hashes, prints, shapes, heavy = picked
                index, at, char, lead, windows = _described(data, offsets, shapes)
                weight = np.ones(len(shapes), dtype=np.int64)
                weight[heavy[:, 0]] = heavy[:, 1]
                columns = (hashes.view(np.int64), docs[index], at, prints.view(np.int64), char)
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
    """Groups of anchors. One class: its copies. Several: rows for `Windows`. One anchor: none."""

    min_bytes: int = 100

    key: ClassVar[tuple[str, ...]] = ("hash",)
    order: ClassVar[tuple[str, ...]] = ("doc", "at")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"anchors": ANCHORS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "copies": COPIES.schema,
        "contested": CONTESTED.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        for batch in _whole_groups(tagged, "hash"):
            names = ("doc", "at", "hash", "char", "lead", "windows", "weight")
            rows = np.stack([column(batch, name).astype(np.int64) for name in names], axis=1)
            hashes, prints = _unsigned(rows[:, 2]), _unsigned(column(batch, "print"))
            copies, contested = _repeated(rows, hashes, prints, self.min_bytes)
            if len(copies):
                yield "copies", _copies_batch(copies)
            if len(contested):
                yield "contested", batch_of(CONTESTED.schema, np.ascontiguousarray(contested.T))


@kernel
def _repeated(
    rows: np.ndarray, hashes: np.ndarray, prints: np.ndarray, min_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of COPIES and of CONTESTED for whole groups. rows: the first columns of CONTESTED."""
    n = len(rows)
    weights = rows[:, 6].copy()
    of, first, size, group, classes = anchors.classify(hashes, prints, weights)
    kinds = np.empty(len(first), dtype=np.int64)
    seen = np.zeros(len(classes), dtype=np.int64)
    for c in range(len(first)):
        kinds[c] = seen[group[c]]
        seen[group[c]] += 1
    copies = np.empty((n, COLUMNS), dtype=np.int64)
    contested = np.empty((n, 9), dtype=np.int64)
    used = others = 0
    for i in range(n):
        c = of[i]
        if classes[group[c]] > 1:
            for column_ in range(7):
                contested[others, column_] = rows[i, column_]
            contested[others, 7], contested[others, 8] = kinds[c], first[c] == i
            others += 1
        elif first[c] != i:
            f = first[c]
            if rows[f, 0] != rows[i, 0] or rows[f, 1] + min_bytes <= rows[i, 1]:
                copies[used, DOC], copies[used, START] = rows[i, 0], rows[i, 1]
                copies[used, WINDOWS], copies[used, WITNESS] = rows[i, 5], rows[f, 0]
                copies[used, WITNESS_BYTE], copies[used, WITNESS_CHAR] = rows[f, 1], rows[f, 3]
                copies[used, OCCURRENCES] = size[c]
                used += 1
    return copies[:used], contested[:others]


@dataclass(frozen=True)
class Windows(PlainStage):
    """Contested anchors, those that stand for their class with the hashes of their windows."""

    min_bytes: int = 100

    inputs: ClassVar[Mapping[str, pa.Schema]] = {"contested": CONTESTED.schema, "text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"windows": HASHED}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch, beside in _with_rows(tagged):
            docs = column(batch, "doc")
            data, offsets = arrow_buffers(batch.column("text"))
            rows = np.stack([column(beside, name) for name in CONTESTED.schema.names], axis=1)
            sides, bounds = _sides(data, offsets, docs, rows, self.min_bytes)
            names = ("hash", "doc", "at", "char", "windows", "weight", "kind")
            binary = pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), len(rows), [None, pa.py_buffer(bounds), pa.py_buffer(sides)]
            )
            columns = [beside.column(name) for name in names]
            yield "windows", pa.RecordBatch.from_arrays([*columns, binary], schema=HASHED)


@kernel
def _sides(
    data: np.ndarray, offsets: np.ndarray, docs: np.ndarray, rows: np.ndarray, min_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    """`sides` of HASHED for rows of CONTESTED: uint64[:, 2], and byte offsets int64[n + 1]."""
    bounds = np.zeros(len(rows) + 1, dtype=np.int64)
    for i in range(len(rows)):
        bounds[i + 1] = bounds[i] + (rows[i, 5] if rows[i, 8] else 0)
    sides = np.empty((bounds[-1], 2), dtype=np.uint64)
    for i in range(len(rows)):
        if rows[i, 8]:
            at = offsets[np.searchsorted(docs, rows[i, 0])] + rows[i, 1]
            anchors.hash_windows(
                data, at, rows[i, 4], rows[i, 5], min_bytes, np.uint64(rows[i, 2]), sides, bounds[i]
            )
            for y in range(rows[i, 5]):
                starts = np.uint64((data[at + y] & 0xC0) != 0x80)
                sides[bounds[i] + y, 0] = (sides[bounds[i] + y, 0] & ~np.uint64(1)) | starts
    return sides, bounds * 16


def _with_rows(
    tagged: Tagged,
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Each batch of text that has rows in the tables beside it, with these."""
    held: list[pa.RecordBatch] = []
    for tag, batch in tagged:
        if tag != "text":
            held.append(batch)
            continue
        if not held or not batch.num_rows:
            continue
        rows = _one_batch(held) if any(b.num_rows for b in held) else held[0]
        doc = column(rows, "doc")
        last = column(batch, "doc")[-1]
        own = rows.filter(pa.array(doc <= last))
        held = [rows.filter(pa.array(doc > last))]
        if own.num_rows:
            yield batch, own


@dataclass(frozen=True)
class Contest(PlainStage):
    """Copies among contested anchors: windows compared one by one within each group."""

    min_bytes: int = 100

    key: ClassVar[tuple[str, ...]] = ("hash",)
    order: ClassVar[tuple[str, ...]] = ("doc", "at")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"windows": HASHED}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"copies": COPIES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch in _whole_groups(tagged, "hash"):
            rows = np.stack([column(batch, name) for name in HASHED.names[:-1]], axis=1)
            binary = batch.column("sides")
            _, places, buffer = binary.buffers()
            bounds = np.frombuffer(places, np.int64)[binary.offset :][: len(rows) + 1] // 16
            data = bytes_view(buffer)[: int(bounds[-1]) * 16]
            copies = _contested_copies(
                rows, bounds, data.view(np.uint64).reshape(-1, 2), self.min_bytes
            )
            if len(copies):
                yield "copies", _copies_batch(copies)


@kernel
def _contested_copies(
    rows: np.ndarray, bounds: np.ndarray, sides: np.ndarray, min_bytes: int
) -> np.ndarray:
    """Rows of COPIES for whole groups. rows: HASHED but for `sides`, which lie between `bounds`."""
    n = len(rows)
    of = np.empty(n, dtype=np.int64)  # class, numbered over all groups
    owner = np.empty(n, dtype=np.int64)  # the member that stands for a class
    base = count = 0
    for i in range(n):
        if i > 0 and rows[i, 0] != rows[i - 1, 0]:
            base = count
        of[i] = base + rows[i, 6]
        if of[i] == count:
            owner[count] = i
            count += 1
    sizes = np.zeros(count, dtype=np.int64)
    for i in range(n):
        sizes[of[i]] += rows[i, 5]
    marks = np.empty(count + 1, dtype=np.int64)
    seeds = np.empty(count, dtype=np.uint64)
    for c in range(count):
        marks[c], seeds[c] = bounds[owner[c]], np.uint64(rows[owner[c], 0])
    marks[count] = bounds[n]
    first, counts = anchors.resolve(sides, marks, seeds, sizes)
    holders, chars = _window_places(rows, owner[:count], marks, sides)
    out = np.empty((max(16, n), COLUMNS), dtype=np.int64)
    used = 0
    for i in range(n):
        y, end = marks[of[i]], marks[of[i] + 1]
        begin = y
        while y < end:
            z = _same_holder(first, counts, holders, y, end)
            w = first[y]
            h = owner[holders[w]]
            doc, place = rows[h, 1], rows[h, 2] + w - marks[holders[w]]
            at = rows[i, 2] + y - begin
            if doc != rows[i, 1] or place + min_bytes <= at:
                if used == len(out):
                    out = more_room(out)
                out[used, DOC], out[used, START], out[used, WINDOWS] = rows[i, 1], at, z - y
                out[used, WITNESS], out[used, WITNESS_BYTE] = doc, place
                out[used, WITNESS_CHAR], out[used, OCCURRENCES] = chars[w], counts[y]
                used += 1
            y = z
    return out[:used]


@kernel
def _window_places(
    rows: np.ndarray, owner: np.ndarray, marks: np.ndarray, sides: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The class of each window and how many code points of the document start before it."""
    holders = np.empty(len(sides), dtype=np.int64)
    chars = np.empty(len(sides), dtype=np.int64)
    for c in range(len(owner)):
        char = rows[owner[c], 3]
        for y in range(marks[c], marks[c + 1]):
            holders[y], chars[y] = c, char
            char += np.int64(sides[y, 0] & np.uint64(1))
    return holders, chars


@inlined
def _same_holder(
    first: np.ndarray, counts: np.ndarray, holders: np.ndarray, y: int, end: int
) -> int:
    """Where the windows from y on cease to occur first side by side and equally often."""
    z = y + 1
    while (
        z < end
        and counts[z] == counts[y]
        and first[z] == first[y] + (z - y)
        and holders[first[z]] == holders[first[y]]
    ):
        z += 1
    return z


@dataclass(frozen=True)
class Everything(PlainStage):
    """Gives all documents one key, so that `SuffixArray` sees them together."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"everything": EVERYTHING}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            key = pa.array(np.zeros(batch.num_rows, dtype=np.int64))
            columns = [key, *batch.columns]
            yield "everything", pa.RecordBatch.from_arrays(columns, schema=EVERYTHING)


@dataclass(frozen=True)
class SuffixArray(PlainStage):
    """Copies by one suffix array over all text, in memory: about 28 bytes for each byte of it."""

    min_bytes: int = 100

    key: ClassVar[tuple[str, ...]] = ("all",)
    order: ClassVar[tuple[str, ...]] = ("doc",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"everything": EVERYTHING}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"copies": COPIES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        from dedup.suffix_array import copied_windows  # noqa: PLC0415 - rarely used

        batches = [batch for _, batch in tagged if batch.num_rows]
        if not batches:
            return
        docs = np.concatenate([column(batch, "doc") for batch in batches])
        text = pa.chunked_array([batch.column("text") for batch in batches])
        del batches
        data, offsets = text_buffers(text)
        del text
        rows = copied_windows(data, offsets, self.min_bytes)
        index = char_index(data, map)
        for at in range(0, len(rows), _GROUP_ROWS):
            part = locate(data, offsets, rows[at : at + _GROUP_ROWS], index, self.min_bytes)
            part[:, START] -= offsets[part[:, DOC]]
            part[:, DOC], part[:, WITNESS] = docs[part[:, DOC]], docs[part[:, WITNESS]]
            yield "copies", _copies_batch(part)


@dataclass(frozen=True)
class Spans(PlainStage):
    """What is cut from each document, and what decides whether the rest of it stays."""

    min_bytes: int = 100
    boundary: Boundary = "word"
    min_words: int = 0
    min_remaining: int = 0
    action: Literal["cut", "report"] = "cut"

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        COPIES.name: COPIES.schema,
        CONTESTED_COPIES.name: COPIES.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"spans": SPANS.schema, "claims": CLAIMS}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch, beside in _with_rows(tagged):
            docs = column(batch, "doc")
            data, offsets = arrow_buffers(batch.column("text"))
            rows = np.stack([column(beside, name) for name in COPIES.schema.names], axis=1)
            rows[:, DOC] = np.searchsorted(docs, rows[:, DOC])
            rows[:, START] += offsets[rows[:, DOC]]
            rows = rows[np.argsort(rows[:, START], kind="stable")]
            cuts = self._cuts(data, offsets, docs, rows)
            if not len(cuts):
                continue
            if self.action == "cut":
                claims = self._claims(data, offsets, docs, cuts)
                yield "claims", batch_of(CLAIMS, np.ascontiguousarray(claims.T))
            cuts[:, DOC] = docs[cuts[:, DOC]]
            yield "spans", batch_of(SPANS.schema, np.ascontiguousarray(cuts[:, :6].T))

    def _cuts(
        self, data: np.ndarray, offsets: np.ndarray, docs: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        rows = settle(data, offsets, rows, docs, offsets, self.min_bytes)
        classes = word_classes(not len(data) or int(data.max()) < 128)
        boundary = BOUNDARIES[self.boundary]
        return cut(data, offsets, rows, self.min_bytes, boundary, self.min_words, classes)

    def _claims(
        self, data: np.ndarray, offsets: np.ndarray, docs: np.ndarray, cuts: np.ndarray
    ) -> np.ndarray:
        remaining = _remaining(data, offsets, cuts, table_for(data))
        few = (remaining >= 0) & (remaining < max(1, self.min_remaining))
        index = np.flatnonzero(few)
        candidates = np.zeros((len(index), 4), dtype=np.int64)
        candidates[:, 0], candidates[:, 2] = docs[index], remaining[index]
        of_these = few[cuts[:, DOC]]
        own, kinds = cuts[of_these], np.full((len(cuts), 1), _CUT)
        cut_rows = np.hstack((docs[own[:, :1]], kinds[: len(own)], own[:, 1:3]))
        length = cuts[:, 2] - cuts[:, 1]
        witnesses = np.stack(
            (cuts[:, 3], np.full(len(cuts), _WITNESS), cuts[:, 4], cuts[:, 4] + length), axis=1
        )
        return np.concatenate((candidates, cut_rows, witnesses))


@kernel
def _remaining(
    data: np.ndarray, offsets: np.ndarray, cuts: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """Characters but white space that are left of each document: int64; -1 if nothing is cut."""
    out = np.full(len(offsets) - 1, -1, dtype=np.int64)
    a = 0
    while a < len(cuts):
        doc = cuts[a, DOC]
        at, end, left = offsets[doc], offsets[doc + 1], 0
        while a <= len(cuts):
            own = a < len(cuts) and cuts[a, DOC] == doc
            stop = cuts[a, FIRST_BYTE] if own else end
            while at < stop:
                code, size = decode(data, at, end)
                left += (table[code] & SPACE) == 0
                at += size
            if not own:
                break
            at = max(at, cuts[a, LAST_BYTE])
            a += 1
        out[doc] = left
    return out


@dataclass(frozen=True)
class Remainder(PlainStage):
    """Documents of which too little is left, unless what is left is somebody's witness."""

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("kind", "start", "end")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"claims": CLAIMS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"remainder": DUPLICATES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch in _whole_groups(tagged, "doc"):
            rows = np.stack([column(batch, name) for name in CLAIMS.names], axis=1)
            docs = _unclaimed(rows)
            if len(docs):
                nothing = pa.nulls(len(docs))
                reasons = pa.repeat(pa.scalar("remainder"), len(docs))
                columns = [pa.array(docs), reasons, nothing.cast(pa.int64())]
                columns.append(nothing.cast(pa.float64()))
                yield "remainder", pa.RecordBatch.from_arrays(columns, schema=DUPLICATES.schema)


@kernel
def _unclaimed(rows: np.ndarray) -> np.ndarray:
    """The candidates no witness range of which reaches out of their cuts. rows: CLAIMS, sorted."""
    out = np.empty(len(rows), dtype=np.int64)
    used = a = 0
    while a < len(rows):
        b = a
        while b < len(rows) and rows[b, 0] == rows[a, 0]:
            b += 1
        if rows[a, 1] == _CANDIDATE and _within_cuts(rows[a + 1 : b]):
            out[used] = rows[a, 0]
            used += 1
        a = b
    return out[:used]


@kernel
def _within_cuts(rows: np.ndarray) -> bool:
    cuts = 0
    while cuts < len(rows) and rows[cuts, 1] == _CUT:
        cuts += 1
    i, start, stop = 0, 0, 0  # the connected cuts reached so far
    for w in range(cuts, len(rows)):
        while i < cuts and rows[i, 2] <= rows[w, 2]:
            if rows[i, 2] > stop:
                start = rows[i, 2]
            stop = max(stop, rows[i, 3])
            i += 1
        while i < cuts and rows[i, 2] <= stop:
            stop = max(stop, rows[i, 3])
            i += 1
        if not (start <= rows[w, 2] and rows[w, 3] <= stop):
            return False
    return True
