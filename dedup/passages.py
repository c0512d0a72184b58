"""Duplicate passages, defined, and made of copied windows, whichever method found these.

Documents stand in `doc` order, each with its text as it is compared: in the form that
corpus.normalization names. L is `min_bytes`. A *window* is L consecutive UTF-8 bytes inside
one document, known by its first byte. F(p) is the first occurrence, in corpus order (document,
byte), of the content of window p. Window p is a *copy* iff F(p) lies in an earlier document, or in
the same one with F(p) + L <= p. Its *occurrences* are all windows of the corpus with that content.

*Witness.* The witness of a copy is F(p), but in a repetition it stands close by. Let [s, e) be a
maximal substring of one document with the period g <= L // 2, g the smallest, and t * g the
smallest multiple of g that is at least L. The windows p with s + t * g <= p <= e - L (all of them
copies) have the witness p - t * g. So a repetition is one row, not one for each byte.

*COPIES* are the maximal ranges of neighbouring copies of a document whose witnesses lie in one
document at a constant distance. A window is in one row, so rows are disjoint in windows (their text
overlaps). `occurrences` is the least of the row's windows.

*SPANS* are what is cut:

1. the text of each row of COPIES, narrowed to whole code points, and to whole segments where
   normalization changed these (corpus.normalization);
2. the union of these in a document falls into connected components (touching counts). Each is moved
   inwards until it may be cut there. "character": anywhere. "word": not between two characters of
   one word, where a word is a run of letters, numbers, marks and "_" (Unicode categories L*, N*,
   M*); scripts written without spaces (words.WITHOUT_SPACES) may be cut anywhere but before a
   mark. "line": after a line break (LF, CR LF, CR). Always: at the document's ends.
   "structure": as `dedup.boundaries` says, and it may come to nothing;
3. components that have become empty or have fewer than `min_words` words ("structure": none) are
   not cut, they are UNCUT; each character of a script without spaces counts as a word;
4. rows are clipped to the components, empty ones dropped;
5. offsets become code points of the input's text (dedup.alignment). A witness is the least range of
   whole segments that has all of the compared text: that of the passage, or more where it begins or
   ends within a segment. All between two places of compared text lies between them in the
   input, so code points that are not compared go with what stands before them.

Every byte of a component lies in a row, and a witness stands before what it is witness to:
following witnesses ends at a byte that is kept.

The kernels see a byte buffer, int64 offsets, and *rows*: int64[:, COLUMNS], sorted by document and
start, disjoint in windows.
"""

from functools import cache

import numpy as np

from unrote.corpus.kernel import inlined, kernel, load64
from unrote.corpus.text import starters
from unrote.dedup.boundaries import ATTACHED, LETTER, OTHER, SINGLE, STRUCTURE, narrowed
from unrote.dedup.lines import LINE_COLUMNS, lines_of
from unrote.dedup.words import ALONE, MARK, WORD, decode, unicode_table

COLUMNS = 7
DOC, START, WINDOWS, WITNESS, WITNESS_BYTE, WITNESS_CHAR, OCCURRENCES = range(COLUMNS)
"""A row: index of the document, buffer offset of its first window, how many windows; the witness
document, byte and code point offsets in it (`schema.COPIES`), occurrences."""

CUT_COLUMNS = 10
CUT_START, CUT_END, CUT_WITNESS, CUT_FROM, CUT_UNTIL, CUT_OCCURRENCES = range(1, 7)
FIRST_BYTE, LAST_BYTE, IS_CUT = range(7, 10)
"""A passage: index of the document (DOC), `schema.SPANS`, its buffer offsets, whether it is cut.
What is not cut is the whole of what was found."""

_BLOCK = 10  # code points are counted in blocks of 1024 bytes


@cache
def word_classes(ascii_only: bool) -> np.ndarray:
    """What each code point is to a word: nothing, a letter, a word of its own, a mark. uint8."""
    if ascii_only:
        known = [chr(c).isalnum() or c == 0x5F for c in range(128)]
        return np.array(known, dtype=np.uint8)
    table = unicode_table()
    classes: np.ndarray = ((table & WORD) != 0).astype(np.uint8)
    classes[(table & ALONE) != 0] = SINGLE
    classes[(table & MARK) != 0] = ATTACHED
    return classes


@inlined
def copy_row(source: np.ndarray, i: int, target: np.ndarray, j: int) -> None:
    """Row j of `target` becomes row i of `source`. (Slices would take numba seconds to compile.)"""
    for column in range(source.shape[1]):
        target[j, column] = source[i, column]


@kernel
def more_room(rows: np.ndarray) -> np.ndarray:
    """`rows` (int64[n, columns]) and room for as many again."""
    more = np.empty((2 * rows.shape[0] + 16, rows.shape[1]), dtype=np.int64)
    for i in range(rows.shape[0]):
        copy_row(rows, i, more, i)
    return more


@inlined
def count_chars(data: np.ndarray, start: int, end: int) -> int:
    """How many code points start in data[start:end]."""
    chars = np.int64(0)
    while start + 8 <= end:
        chars += starters(load64(data, start))
        start += 8
    while start < end:
        chars += (data[start] & 0xC0) != 0x80
        start += 1
    return chars  # type: ignore[return-value]


@inlined
def same_length(data: np.ndarray, a: int, b: int, limit: int) -> int:
    """How many bytes from `a` and from `b` > `a` are the same, at most up to `limit` behind `b`."""
    start = b
    while b + 8 <= limit and load64(data, a) == load64(data, b):
        a += 8
        b += 8
    while b < limit and data[a] == data[b]:
        a += 1
        b += 1
    return b - start


@inlined
def same_length_before(data: np.ndarray, a: int, b: int, most: int) -> int:
    """How many bytes before `a` and before `b` are the same, at most `most`."""
    found = np.int64(0)
    while found + 8 <= most and load64(data, a - found - 8) == load64(data, b - found - 8):
        found += 8
    while found < most and data[a - found - 1] == data[b - found - 1]:
        found += 1
    return found  # type: ignore[return-value]


@kernel
def repetitions(data: np.ndarray, begin: int, end: int, min_bytes: int) -> np.ndarray:
    """The windows of the document data[begin:end] whose witness lies in their own repetition.

    Returns int64[n, 3], ascending: first window, the one behind the last, distance t * g.
    A repetition that has such windows is at least 2 L long, so that it holds a whole one of the
    blocks of L bytes at multiples of L; the smallest period of that is the repetition's.
    """
    found = np.empty((4, 3), dtype=np.int64)
    used = 0
    p = begin
    while p + min_bytes <= end:
        g = _period(data, p, p + min_bytes)
        if g == 0:
            p += min_bytes
            continue
        stop = p + g + same_length(data, p, p + g, end)
        start = p
        while start > begin and data[start - 1] == data[start - 1 + g]:
            start -= 1
        shift = (min_bytes + g - 1) // g * g
        if start + shift <= stop - min_bytes:
            if used == len(found):
                found = more_room(found)
            found[used, 0], found[used, 1] = start + shift, stop - min_bytes + 1
            found[used, 2] = shift
            used += 1
        p += ((stop - p) // min_bytes) * min_bytes
    return found[:used]


@inlined
def _period(data: np.ndarray, start: int, end: int) -> int:
    """The smallest period of data[start:end] if it is at most half of its length, otherwise 0."""
    head = load64(data, start)
    for g in range(1, (end - start) // 2 + 1):
        if load64(data, start + g) == head and same_length(data, start, start + g, end) == (
            end - start - g
        ):
            return g
    return 0


@kernel
def merge_windows(
    data: np.ndarray,
    offsets: np.ndarray,
    rows: np.ndarray,
    names: np.ndarray,
    bases: np.ndarray,
    min_bytes: int,
) -> np.ndarray:
    """COPIES out of ranges of copies with constant occurrences: repetitions, then neighbours.

    rows: ranges of windows whose witness is the first occurrence; where windows of a repetition
    are missing, equal ones of the same repetition must be there. names, bases: int64, what a
    document is called as a witness and the buffer offset from which its witness bytes count.
    """
    out = np.empty((max(16, len(rows) // 4), COLUMNS), dtype=np.int64)
    used = a = 0
    while a < len(rows):
        doc = rows[a, DOC]
        b = a + 1
        while b < len(rows) and rows[b, DOC] == doc:
            b += 1
        begin = offsets[doc]
        regions = repetitions(data, begin, offsets[doc + 1], min_bytes)
        # Each row and each repetition ends in at most one row more than it begins with.
        while len(out) < used + b - a + 2 * len(regions):
            out = more_room(out)
        used = _merge_document(data, begin, names[doc], bases[doc], rows, a, b, regions, out, used)
        a = b
    return out[:used]


@kernel
def _merge_document(
    data: np.ndarray,
    begin: int,
    name: int,
    base: int,
    rows: np.ndarray,
    a: int,
    b: int,
    regions: np.ndarray,
    out: np.ndarray,
    used: int,
) -> int:
    """`merge_windows` of rows a:b, all of one document; `out` has room. Its rows then."""
    r, least, fresh = 0, -1, used
    for i in range(a, b):
        at, stop = rows[i, START], rows[i, START] + rows[i, WINDOWS]
        while at < stop:
            while r < len(regions) and regions[r, 1] <= at:
                used = _region(data, begin, name, base, rows[a, DOC], regions, r, least, out, used)
                r, least = r + 1, -1
            if r < len(regions) and at >= regions[r, 0]:
                count = rows[i, OCCURRENCES]
                least = count if least < 0 else min(least, count)
                at = min(stop, regions[r, 1])
            else:
                upto = stop if r == len(regions) else min(stop, regions[r, 0])
                used = _append(data, rows, i, at, upto, out, used, fresh)
                at = upto
    if r < len(regions):
        used = _region(data, begin, name, base, rows[a, DOC], regions, r, least, out, used)
    return used


@kernel
def _region(
    data: np.ndarray,
    begin: int,
    name: int,
    base: int,
    doc: int,
    regions: np.ndarray,
    r: int,
    least: int,
    out: np.ndarray,
    used: int,
) -> int:
    """Append the one row of the repetition `r`."""
    if least < 0:
        return used
    start, stop = regions[r, 0], regions[r, 1]
    witness = start - regions[r, 2]
    out[used, DOC], out[used, START], out[used, WINDOWS] = doc, start, stop - start
    out[used, WITNESS], out[used, WITNESS_BYTE] = name, witness - base
    out[used, WITNESS_CHAR], out[used, OCCURRENCES] = count_chars(data, begin, witness), least
    return used + 1


@inlined
def _append(
    data: np.ndarray,
    rows: np.ndarray,
    i: int,
    at: int,
    upto: int,
    out: np.ndarray,
    used: int,
    fresh: int,
) -> int:
    """Append the windows at:upto of row i, or lengthen the row before where they continue it."""
    start, last = rows[i, START], used - 1
    witness_byte = rows[i, WITNESS_BYTE] + at - start
    if (
        used > fresh
        and out[last, START] + out[last, WINDOWS] == at
        and out[last, WITNESS] == rows[i, WITNESS]
        and out[last, WITNESS_BYTE] + out[last, WINDOWS] == witness_byte
    ):
        out[last, WINDOWS] += upto - at
        out[last, OCCURRENCES] = min(out[last, OCCURRENCES], rows[i, OCCURRENCES])
        return used
    copy_row(rows, i, out, used)
    out[used, START], out[used, WINDOWS], out[used, WITNESS_BYTE] = at, upto - at, witness_byte
    out[used, WITNESS_CHAR] += count_chars(data, start, at)
    return used + 1


@kernel
def block_chars(data: np.ndarray, start: int, end: int) -> np.ndarray:
    """Code points that start in each 1024 bytes of data[start:end]: int64."""
    counts = np.empty(((end - start) >> _BLOCK) + 1, dtype=np.int64)
    for i in range(len(counts)):
        at = start + (i << _BLOCK)
        counts[i] = count_chars(data, at, min(end, at + (1 << _BLOCK)))
    return counts


@kernel
def locate(
    data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, index: np.ndarray, min_bytes: int
) -> np.ndarray:
    """Rows whose WITNESS_BYTE is a buffer offset, with the document and offsets in it instead.

    index: int64, code points before each 1024 bytes of the buffer (sums of `block_chars`).
    Rows whose text is not that of their witness, should a hash have deceived us, are left out.
    """
    used = 0
    for i in range(len(rows)):
        witness, length = rows[i, WITNESS_BYTE], rows[i, WINDOWS] - 1 + min_bytes
        if same_length(data, witness, rows[i, START], rows[i, START] + length) < length:
            continue
        doc = np.searchsorted(offsets, witness, side="right") - 1
        begin = offsets[doc]
        copy_row(rows, i, rows, used)
        rows[used, WITNESS], rows[used, WITNESS_BYTE] = doc, witness - begin
        rows[used, WITNESS_CHAR] = _chars_before(data, witness, index) - _chars_before(
            data, begin, index
        )
        used += 1
    return rows[:used]


@inlined
def _chars_before(data: np.ndarray, at: int, index: np.ndarray) -> int:
    block = at >> _BLOCK
    return int(index[block]) + count_chars(data, block << _BLOCK, at)


@kernel
def _count_words(data: np.ndarray, start: int, end: int, classes: np.ndarray) -> int:
    words, before = 0, OTHER
    while start < end:
        code, size = decode(data, start, end)
        kind = int(classes[code])
        if (
            kind == SINGLE
            or (kind != OTHER and before == OTHER)
            or (kind == LETTER and before == SINGLE)
        ):
            words += 1
        # A mark belongs to what it stands on.
        if kind != ATTACHED or before == OTHER:
            before = kind
        start += size
    return words


@kernel
def cut(
    data: np.ndarray,
    offsets: np.ndarray,
    rows: np.ndarray,
    min_bytes: int,
    boundary: int,
    min_words: int,
    classes: np.ndarray,
    inner: np.ndarray,
) -> np.ndarray:
    """SPANS and UNCUT out of COPIES: int64[n, CUT_COLUMNS], sorted as both are.

    boundary: of `boundaries.BOUNDARIES`; classes: of `word_classes`; inner: uint8, which bytes of
    the buffer have a segment that normalization changed on both sides, or empty: none.
    """
    out = np.empty((max(16, len(rows)), CUT_COLUMNS), dtype=np.int64)
    # Where code points of cuts' starts and ends have been counted up to, and how many there are.
    counted = np.zeros((2, 2), dtype=np.int64)
    lines = np.empty((0, LINE_COLUMNS), dtype=np.int64)
    least = max(min_words, boundary == STRUCTURE)
    used = a = 0
    last = -1
    while a < len(rows):
        doc = rows[a, DOC]
        begin, end = offsets[doc], offsets[doc + 1]
        if doc != last:
            counted[:, 0], counted[:, 1] = begin, 0
            last = doc
            if boundary == STRUCTURE:
                lines = lines_of(data, begin, end)
        start, stop = _inside(data, rows, a, end, min_bytes, inner)
        if start >= stop:  # all of it in one segment
            a += 1
            continue
        b = a + 1
        while b < len(rows) and rows[b, DOC] == doc:
            first, behind = _inside(data, rows, b, end, min_bytes, inner)
            if first > stop:
                break
            stop = behind
            b += 1
        first, behind = narrowed(data, begin, end, start, stop, boundary, classes, lines, inner)
        goes = first < behind and (
            least == 0 or _count_words(data, first, behind, classes) >= least
        )
        if goes:
            start, stop = first, behind
        for i in range(a, b):
            used = _clip(
                data, rows, i, start, stop, end, min_bytes, inner, counted, goes, out, used
            )
        a = b
    return out[:used]


@inlined
def _inside(
    data: np.ndarray, rows: np.ndarray, i: int, end: int, min_bytes: int, inner: np.ndarray
) -> tuple[int, int]:
    """The text of row i, without code points and segments that begin or end outside."""
    start, stop = rows[i, START], rows[i, START] + rows[i, WINDOWS] - 1 + min_bytes
    while start < end and (data[start] & 0xC0 == 0x80 or (len(inner) and inner[start])):
        start += 1
    while stop < end and (data[stop] & 0xC0 == 0x80 or (len(inner) and inner[stop])):
        stop -= 1
    return start, stop


@kernel
def _clip(
    data: np.ndarray,
    rows: np.ndarray,
    i: int,
    start: int,
    stop: int,
    end: int,
    min_bytes: int,
    inner: np.ndarray,
    counted: np.ndarray,
    goes: bool,
    out: np.ndarray,
    used: int,
) -> int:
    """Append row i clipped to start:stop, sorted among those with the same start and end."""
    first, behind = _inside(data, rows, i, end, min_bytes, inner)
    first, behind = max(first, start), min(behind, stop)
    if first >= behind:
        return used
    counted[0, 1] += count_chars(data, counted[0, 0], first)
    counted[1, 1] += count_chars(data, counted[1, 0], behind)
    counted[0, 0], counted[1, 0] = first, behind
    doc, witness, count = rows[i, DOC], rows[i, WITNESS], rows[i, OCCURRENCES]
    witness_char = rows[i, WITNESS_CHAR] + count_chars(data, rows[i, START], first)
    to = used
    while to > 0 and _order(doc, first, behind, witness, witness_char, out, to - 1) < 0:
        to -= 1
    if to > 0 and _order(doc, first, behind, witness, witness_char, out, to - 1) == 0:
        out[to - 1, CUT_OCCURRENCES] = min(out[to - 1, CUT_OCCURRENCES], count)
        return used
    for j in range(used, to, -1):
        copy_row(out, j - 1, out, j)
    out[to, DOC], out[to, FIRST_BYTE], out[to, LAST_BYTE] = doc, first, behind
    out[to, CUT_START], out[to, CUT_END] = counted[0, 1], counted[1, 1]
    out[to, CUT_WITNESS], out[to, CUT_FROM], out[to, CUT_OCCURRENCES] = witness, witness_char, count
    out[to, CUT_UNTIL] = witness_char + counted[1, 1] - counted[0, 1]
    out[to, IS_CUT] = goes
    return used + 1


@inlined
def _order(
    doc: int, first: int, behind: int, witness: int, witness_char: int, cuts: np.ndarray, i: int
) -> int:
    """Whether a cut sorts before (< 0), as or after (> 0) cut i: their starts and ends ascend."""
    if cuts[i, DOC] != doc or cuts[i, FIRST_BYTE] != first or cuts[i, LAST_BYTE] != behind:
        return 1
    if cuts[i, CUT_WITNESS] != witness:
        return -1 if witness < cuts[i, CUT_WITNESS] else 1
    return -1 if witness_char < cuts[i, CUT_FROM] else int(witness_char > cuts[i, CUT_FROM])
