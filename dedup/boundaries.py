"""Where a cut of a duplicate passage begins and ends: `narrowed`, the rules of `BOUNDARIES`.

A cut is what is found, moved inwards; it never grows. "character": it stays. "word", "line": each
end moves to the next position that is allowed (`dedup.passages`). "structure":

1. Each end moves to a line break that is near, else between two sentences, else between two words.
   *Near* is within 200 characters and a third of the passage. A line break in a paragraph that was
   wrapped is no more than a space; no end comes to lie within a row of a table, an item of a list,
   a line of a program, a heading or a record: where nothing else is left it moves to the next line.
   A line that a cut begins with loses the line break before it, not the one behind it, if both are
   found: nothing but whole lines goes, and what stays is joined by one line break.
2. Does the cut leave something half, it becomes its longest part that does not, between two of its
   line breaks or, where that is less than half of it, of its sentences too. Half are:
   brackets, quotes, comments and code fences that were balanced in the document (quotes: in their
   paragraph); a program's block without the line that opens it, or the other way round; a turn of a
   conversation without its tag, a question without its answer, and the other way round; rows of a
   table without their header.
3. Where no part is left, nothing is cut.

What is what is judged by `dedup.lines`.
"""

import numpy as np

from unrote.corpus.kernel import inlined, kernel
from unrote.dedup.lines import (
    ANSWERS,
    ASKS,
    BEGIN,
    CLOSED,
    CODE,
    FIRST,
    INDENT,
    ITEM,
    KIND,
    LAST,
    OPEN,
    PART,
    QUOTED,
    SHUT,
    SIGNS,
    TABLE,
    TEXT,
    tag_at,
)
from unrote.dedup.words import decode

BOUNDARIES = {"character": 0, "word": 1, "line": 2, "structure": 3}
CHARACTER, WORD, LINE, STRUCTURE = range(4)

NEAR = 200
"""Characters within which a line break, or the end of a sentence, is looked for."""

OTHER, LETTER, SINGLE, ATTACHED = range(4)
"""What a code point is to a word (`passages.word_classes`)."""

_COLUMNS = 8
_AT, _LINE, _MID, _STATE, _DEPTH, _LOW, _SHALLOW, _NEWLINE = range(_COLUMNS)
"""A boundary at which a cut may begin or end: its offset; its line (of which it is the beginning
unless _MID); which brackets are open, as one number; how many; the fewest that are since the
boundary before, and the least depth of a line since; the bytes of the line break before it."""

_IN_SENTENCES = 1 << 14
"""Bytes up to which a part is looked for between sentences too."""

_GAP = 64
"""Bytes of white space that are passed over between two sentences."""

_STARTS = 64
"""Boundaries that are tried as the beginning of a part."""

_FAR = 1 << 40

_KINDS = 10
_ALL = (1 << _KINDS) - 1
_QUOTE = 7
"""Kinds of brackets: ( [ { “ /* \"\"\" ''' " <|im_start|> ```"""
_TOGGLES = np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 1], dtype=np.int64)
_WEIGHTS = np.array([7 ** (3 + 2 * i) for i in range(_KINDS)], dtype=np.int64)
_LONG = 16
_MARKS = np.zeros(256, dtype=np.uint8)
_MARKS[list(b"()[]{}")] = range(1, 7)
_MARKS[list(b"/*\"'<`")] = _LONG
_MARKS[0xE2] = _LONG

_ENDS = np.zeros(256, dtype=np.bool_)
_ENDS[list(b".!?")] = True
_CLOSERS = np.zeros(256, dtype=np.bool_)
_CLOSERS[list(b"\"')]*_")] = True


@inlined
def may_cut(
    data: np.ndarray, begin: int, end: int, at: int, boundary: int, classes: np.ndarray
) -> bool:
    """Whether a cut may begin or end at `at`, in the document data[begin:end]."""
    if at in (begin, end):
        return True
    if data[at] & 0xC0 == 0x80:
        return False
    if boundary == LINE:
        before = data[at - 1]
        return bool(before == 0x0A or (before == 0x0D and data[at] != 0x0A))
    if boundary != WORD:
        return True
    left = _class_before(data, at, classes)
    right = classes[decode(data, at, end)[0]]
    if OTHER in (left, right):
        return True
    return right != ATTACHED and SINGLE in (left, right)


@inlined
def _class_before(data: np.ndarray, at: int, classes: np.ndarray) -> int:
    start = at - 1
    while data[start] & 0xC0 == 0x80:
        start -= 1
    return int(classes[decode(data, start, at)[0]])


@kernel
def narrowed(
    data: np.ndarray,
    begin: int,
    end: int,
    start: int,
    stop: int,
    boundary: int,
    classes: np.ndarray,
    lines: np.ndarray,
    inner: np.ndarray,
) -> tuple[int, int]:
    """What is cut of the passage data[start:stop] of the document data[begin:end].

    lines: `lines_of` the document, for "structure"; inner: of `passages.cut`. Empty where nothing
    is cut.
    """
    whole = boundary == STRUCTURE
    if whole:
        start, stop = _whole(data, start, stop, classes, lines)
        boundary = WORD
    # What is cut at structure moves on, to a word, from within a segment alone.
    if not whole or _is_inner(inner, start):
        while start < stop and (
            _is_inner(inner, start) or not may_cut(data, begin, end, start, boundary, classes)
        ):
            start += 1
    if not whole or _is_inner(inner, stop):
        while start < stop and (
            _is_inner(inner, stop) or not may_cut(data, begin, end, stop, boundary, classes)
        ):
            stop -= 1
    return start, stop


@inlined
def _is_inner(inner: np.ndarray, at: int) -> bool:
    """Whether `at` is within a segment that normalization changed."""
    return len(inner) > 0 and bool(inner[at])


@kernel
def _whole(
    data: np.ndarray, start: int, stop: int, classes: np.ndarray, lines: np.ndarray
) -> tuple[int, int]:
    """`narrowed` with "structure"."""
    ends = np.zeros((2, _COLUMNS), dtype=np.int64)
    third = (stop - start) // 3
    limit = min(_ahead(data, start, stop), start + third)
    if not _begin(data, lines, start, limit, stop, classes, ends[0]):
        return start, start
    limit = max(_behind(data, start, stop), stop - third)
    if not _end(data, lines, ends[0, _AT], limit, stop, classes, ends[1]):
        return start, start
    found = _longest(data, lines, ends, False)
    size = ends[1, _AT] - ends[0, _AT]
    if 2 * (found[1, _AT] - found[0, _AT]) < size <= _IN_SENTENCES:
        other = _longest(data, lines, ends, True)
        if other[1, _AT] - other[0, _AT] > found[1, _AT] - found[0, _AT]:
            found = other
    first, behind = found[0, _AT], found[1, _AT]
    if first >= behind:
        return start, start
    at_end = behind == lines[-1, BEGIN] and data[behind - 1] == 0x0A
    if first - found[0, _NEWLINE] >= start and not at_end:
        first -= found[0, _NEWLINE]
    return first, (behind if behind <= stop else behind - found[1, _NEWLINE])


@inlined
def _ahead(data: np.ndarray, at: int, stop: int) -> int:
    """The offset NEAR characters behind `at`, at most `stop`."""
    for _ in range(NEAR):
        at += 1
        while at < stop and data[at] & 0xC0 == 0x80:
            at += 1
        if at >= stop:
            return stop
    return at


@inlined
def _behind(data: np.ndarray, start: int, at: int) -> int:
    """The offset NEAR characters before `at`, at least `start`."""
    for _ in range(NEAR):
        at -= 1
        while at > start and data[at] & 0xC0 == 0x80:
            at -= 1
        if at <= start:
            return start
    return at


@inlined
def _line_at(lines: np.ndarray, at: int) -> int:
    """The last line that begins at or before an offset."""
    low, high = 0, len(lines) - 1
    while low < high:
        middle = (low + high + 1) >> 1
        if lines[middle, BEGIN] <= at:
            low = middle
        else:
            high = middle - 1
    return low


@inlined
def _newline(data: np.ndarray, lines: np.ndarray, i: int) -> int:
    """Bytes of the line break before a line; 0 where there is none."""
    at = lines[i, BEGIN]
    if i == 0 or data[at - 1] not in (0x0A, 0x0D):
        return 0
    return 2 if data[at - 1] == 0x0A and at - 1 > lines[0, BEGIN] and data[at - 2] == 0x0D else 1


@inlined
def _put(data: np.ndarray, lines: np.ndarray, at: int, line: int, out: np.ndarray) -> None:
    """Make `out` the boundary at `at`."""
    out[_AT], out[_LINE] = at, line
    out[_MID] = at != lines[line, BEGIN]
    out[_NEWLINE] = 0 if out[_MID] else _newline(data, lines, line)


@inlined
def _is_open(lines: np.ndarray, i: int) -> bool:
    return i == 0 or lines[i, CLOSED] == OPEN


@kernel
def _begin(
    data: np.ndarray,
    lines: np.ndarray,
    start: int,
    limit: int,
    stop: int,
    classes: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Where a cut of data[start:stop] begins: at a line up to `limit`, a sentence, or a word."""
    own = _line_at(lines, start)
    first = own if lines[own, BEGIN] == start else own + 1
    return (
        _line_ahead(data, lines, first, limit, out)
        or _split_ahead(data, lines, own, start, limit, 0, classes, out)
        or _split_ahead(data, lines, own, start, stop - 1, 1, classes, out)
        or _line_ahead(data, lines, first, stop - 1, out)
    )


@kernel
def _end(
    data: np.ndarray,
    lines: np.ndarray,
    start: int,
    limit: int,
    stop: int,
    classes: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Where a cut of data[start:stop] ends: at a line down to `limit`, a sentence, or a word."""
    own = _line_at(lines, stop)
    last = own
    if own + 1 < len(lines) and lines[own + 1, BEGIN] - _newline(data, lines, own + 1) <= stop:
        last = own + 1  # all but the line break of its line is in the cut
    return (
        _line_behind(data, lines, last, max(limit, start + 1), out)
        or _split_behind(data, lines, own, stop, max(limit, start + 1), 0, classes, out)
        or _split_behind(data, lines, own, stop, start + 1, 1, classes, out)
        or _line_behind(data, lines, last, start + 1, out)
    )


@inlined
def _line_ahead(data: np.ndarray, lines: np.ndarray, i: int, limit: int, out: np.ndarray) -> bool:
    """Make `out` the beginning of the first line from i on, up to `limit`, that is open."""
    while i < len(lines) and lines[i, BEGIN] <= limit:
        if _is_open(lines, i):
            _put(data, lines, lines[i, BEGIN], i, out)
            return True
        i += 1
    return False


@inlined
def _line_behind(data: np.ndarray, lines: np.ndarray, i: int, limit: int, out: np.ndarray) -> bool:
    while i > 0 and lines[i, BEGIN] >= limit:
        if _is_open(lines, i):
            _put(data, lines, lines[i, BEGIN], i, out)
            return True
        i -= 1
    return False


@kernel
def _split_ahead(
    data: np.ndarray,
    lines: np.ndarray,
    i: int,
    start: int,
    limit: int,
    fine: int,
    classes: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Make `out` the first boundary from start to `limit` between sentences, or (fine) words."""
    for at in range(start, limit + 1):
        while i + 1 < len(lines) and lines[i + 1, BEGIN] <= at:
            i += 1
        if _may_split(data, lines, i, at, fine, classes):
            _put(data, lines, at, i, out)
            return True
        if fine and ITEM <= lines[i, KIND] <= CODE:
            break
    return False


@kernel
def _split_behind(
    data: np.ndarray,
    lines: np.ndarray,
    i: int,
    stop: int,
    limit: int,
    fine: int,
    classes: np.ndarray,
    out: np.ndarray,
) -> bool:
    for at in range(stop, limit - 1, -1):
        while lines[i, BEGIN] > at:
            i -= 1
        if _may_split(data, lines, i, at, fine, classes):
            _put(data, lines, at, i, out)
            return True
        if fine and ITEM <= lines[i, KIND] <= CODE:
            break
    return False


@kernel
def _may_split(
    data: np.ndarray, lines: np.ndarray, i: int, at: int, fine: int, classes: np.ndarray
) -> bool:
    """Whether a cut may begin or end at `at` within line i: at a sentence, or (fine) at a word."""
    begin, end = lines[0, BEGIN], lines[-1, BEGIN]
    if at in (begin, end):
        return True
    if lines[i, KIND] not in (TEXT, ASKS, ANSWERS) or data[at] & 0xC0 == 0x80:
        return False
    if at == lines[i, BEGIN] and lines[i, CLOSED] == SHUT:
        return False
    if fine:
        apart = may_cut(data, begin, end, at, WORD, classes)
    else:
        apart = _between_sentences(data, begin, end, at)
    return apart and _behind_tag(data, lines, i, at)


@inlined
def _behind_tag(data: np.ndarray, lines: np.ndarray, i: int, at: int) -> bool:
    """Whether something of a turn stands between its tag, if that is near, and `at` in line i."""
    if lines[i, KIND] not in (ASKS, ANSWERS):
        return bool(lines[i, CLOSED] < SHUT or at > lines[i, FIRST])
    if at == lines[i, BEGIN]:
        return True
    behind = tag_at(data, lines, i)[1]
    while behind < at and data[behind] <= 0x20:
        behind += 1
    return behind < at


@inlined
def _between_sentences(data: np.ndarray, begin: int, end: int, at: int) -> bool:
    """Whether a sentence ends before `at` and what follows is no lower-case letter."""
    if 0x61 <= data[at - 1] | 0x20 <= 0x7A:  # most of them
        return False
    q = at
    while q > max(begin, at - _GAP) and data[q - 1] <= 0x20:
        q -= 1
    spaced = q < at or data[at] <= 0x20
    while q > begin and _CLOSERS[data[q - 1]]:
        q -= 1
    if q == begin:
        return False
    if not (spaced and _ENDS[data[q - 1]] and not _is_abbreviation(data, begin, q - 1)):
        return _ends_in_wide(data, begin, q, spaced)
    end = min(end, at + _GAP)
    while at < end and data[at] <= 0x20:
        at += 1
    return at == end or not 0x61 <= data[at] <= 0x7A


@inlined
def _is_abbreviation(data: np.ndarray, begin: int, dot: int) -> bool:
    """Whether one letter stands before a full stop, or two or three, the first a capital."""
    if data[dot] != 0x2E:
        return False
    at = dot
    while at > begin and at > dot - 4 and 0x41 <= data[at - 1] & 0xDF <= 0x5A:
        at -= 1
    size = dot - at
    return size == 1 or (1 < size < 4 and 0x41 <= data[at] <= 0x5A)


@inlined
def _ends_in_wide(data: np.ndarray, begin: int, at: int, spaced: bool) -> bool:
    """Whether an end of sentence of another script is before `at`: 。！？, or … । ” ’ spaced."""
    if at - 3 < begin:
        return False
    last = np.int64(data[at - 3]) << 16 | np.int64(data[at - 2]) << 8 | np.int64(data[at - 1])
    if last in (0xE38082, 0xEFBC81, 0xEFBC9F):
        return True
    if last in (0xE2809D, 0xE28099):
        return spaced and at - 3 > begin and bool(_ENDS[data[at - 4]])
    return spaced and (last in (0xE280A6, 0xE0A5A4) or last & 0xFFFF == 0xD89F)


@kernel
def _longest(data: np.ndarray, lines: np.ndarray, ends: np.ndarray, sentences: bool) -> np.ndarray:
    """The boundaries of the longest part between two ends that leaves nothing half: two rows.

    sentences: whether it may begin and end between sentences, not at line breaks alone.
    """
    found = np.zeros((2, _COLUMNS), dtype=np.int64)
    rows = _between(data, lines, ends, sentences)
    _measure(data, lines, rows, _ALL)
    best = _choose(lines, rows, found)
    if best < rows[-1, _AT] - rows[0, _AT] and _balanced(data, lines) != _ALL:
        # What the document itself does not balance no cut can unbalance.
        _measure(data, lines, rows, _balanced(data, lines))
        _choose(lines, rows, found)
    return found


@kernel
def _between(data: np.ndarray, lines: np.ndarray, ends: np.ndarray, sentences: bool) -> np.ndarray:
    """The boundaries from one end to the other, both among them."""
    first, last = ends[0, _LINE], ends[1, _LINE]
    most = last - first + 2
    if sentences:
        most += (ends[1, _AT] - ends[0, _AT]) // 2
    rows = np.zeros((most, _COLUMNS), dtype=np.int64)
    rows[0] = ends[0]
    used, i = 1, first
    none = np.empty(0, dtype=np.uint8)
    at = ends[0, _AT] + 1
    while at < ends[1, _AT]:
        while lines[i + 1, BEGIN] <= at:
            i += 1
        fits = at == lines[i, BEGIN] and _is_open(lines, i)
        if fits or (sentences and _may_split(data, lines, i, at, 0, none)):
            _put(data, lines, at, i, rows[used])
            used += 1
            at += 1
        at = at + 1 if sentences else lines[i + 1, BEGIN]
    rows[used] = ends[1]
    return rows[: used + 1]


@inlined
def _mark(data: np.ndarray, at: int, end: int) -> tuple[int, int, int]:
    """The kind of bracket at `at` or -1, +1 where it opens, its bytes."""
    code = int(_MARKS[data[at]])
    if code == 0:
        return -1, 0, 1
    if code < _LONG:
        return (code - 1) >> 1, (1 if code & 1 else -1), 1
    return _long_mark(data, at, end)


@inlined
def _long_mark(data: np.ndarray, at: int, end: int) -> tuple[int, int, int]:
    byte = data[at]
    after = data[at + 1] if at + 1 < end else 0
    third = data[at + 2] if at + 2 < end else 0
    if byte == after == third and byte in (0x22, 0x27, 0x60):
        return (5 if byte == 0x22 else (6 if byte == 0x27 else 9)), 0, 3
    if byte == 0x22:
        return _QUOTE, 0, 1
    if byte == 0x2F and after == 0x2A:
        return 4, 1, 2
    if byte == 0x2A and after == 0x2F:
        return 4, -1, 2
    if byte == 0xE2 and after == 0x80 and third in (0x9C, 0x9D):
        return 3, (1 if third == 0x9C else -1), 3
    return _token(data, at, end) if byte == 0x3C else (-1, 0, 1)


@inlined
def _token(data: np.ndarray, at: int, end: int) -> tuple[int, int, int]:
    """<|im_start|> or <|im_end|>, or none."""
    if at + 10 > end or data[at + 1] != 0x7C or data[at + 2] != 0x69 or data[at + 3] != 0x6D:
        return -1, 0, 1
    if data[at + 5] == 0x73 and data[at + 6] == 0x74:
        return 8, 1, 4
    return (8, -1, 4) if data[at + 5] == 0x65 and data[at + 6] == 0x6E else (-1, 0, 1)


@kernel
def _measure(data: np.ndarray, lines: np.ndarray, rows: np.ndarray, kinds: int) -> None:
    """_STATE, _DEPTH, _LOW and _SHALLOW of boundaries, by the brackets of the kinds that count."""
    depths = np.zeros(_KINDS, dtype=np.int64)
    i = rows[0, _LINE]
    at, behind = lines[i, BEGIN], lines[i + 1, BEGIN] if i + 1 < len(lines) else lines[i, BEGIN]
    depths[_QUOTE] = max(0, lines[i, QUOTED])
    low, shallow = _FAR, lines[i, INDENT]
    for r in range(len(rows)):
        while at < rows[r, _AT]:
            if at >= behind:
                i += 1
                behind = lines[i + 1, BEGIN]
                depths[_QUOTE] = max(0, lines[i, QUOTED])
                shallow = min(shallow, lines[i, INDENT])
            quotes = lines[i, QUOTED] >= 0
            at, low = _count(data, at, min(behind, rows[r, _AT]), kinds, quotes, depths, low)
        if not rows[r, _MID]:
            depths[_QUOTE] = max(0, lines[rows[r, _LINE], QUOTED])
        rows[r, _DEPTH], rows[r, _STATE] = depths.sum(), (depths * _WEIGHTS).sum()
        rows[r, _LOW], rows[r, _SHALLOW] = min(low, rows[r, _DEPTH]), shallow
        low, shallow = rows[r, _DEPTH], lines[i, INDENT] if rows[r, _MID] else _FAR


@inlined
def _count(
    data: np.ndarray,
    at: int,
    stop: int,
    kinds: int,
    quotes: bool,
    depths: np.ndarray,
    low: int,
) -> tuple[int, int]:
    """Count brackets up to `stop` into `depths`. Where it came to, and the lowest depth so far."""
    end = len(data)
    while at < stop:
        if _MARKS[data[at]] == 0:
            at += 1
            continue
        kind, step, size = _mark(data, at, end)
        at += size
        if kind >= 0 and kinds >> kind & 1 and (quotes or kind != _QUOTE):
            depths[kind] = 1 - depths[kind] if _TOGGLES[kind] else depths[kind] + step
            low = min(low, depths.sum())
    return at, low


@kernel
def _balanced(data: np.ndarray, lines: np.ndarray) -> int:
    """Which kinds of brackets the document balances, as bits; quotes, judged by paragraph, count.

    It is found once, and kept in the row behind the last line.
    """
    if lines[-1, LAST] >= 0:
        return lines[-1, LAST]  # type: ignore[no-any-return]
    depths, kinds = np.zeros(_KINDS, dtype=np.int64), np.ones(_KINDS, dtype=np.int64)
    at, end = lines[0, BEGIN], lines[-1, BEGIN]
    while at < end:
        if _MARKS[data[at]] == 0:
            at += 1
            continue
        kind, step, size = _mark(data, at, end)
        at += size
        if kind >= 0:
            depths[kind] = 1 - depths[kind] if _TOGGLES[kind] else depths[kind] + step
            kinds[kind] &= depths[kind] >= 0
    found = 0
    for kind in range(_KINDS):
        if kind == _QUOTE or (kinds[kind] and depths[kind] == 0):
            found |= 1 << kind
    lines[-1, LAST] = found
    return found


@kernel
def _choose(lines: np.ndarray, rows: np.ndarray, found: np.ndarray) -> int:
    """Put the two boundaries farthest apart that fit into `found`; returns how far that is."""
    best, i, last = 0, 0, len(rows) - 1
    found[:] = 0
    for _ in range(_STARTS):
        if i >= last or rows[last, _AT] - rows[i, _AT] <= best:
            break
        low, j, barred = rows[i, _DEPTH], i + 1, False
        while j <= last and not barred:
            barred = rows[j, _LOW] < low or (lines[-1, SIGNS] and _rises(lines, rows, i, j))
            if not barred and rows[j, _AT] - rows[i, _AT] > best and _fit(lines, rows, i, j):
                best = rows[j, _AT] - rows[i, _AT]
                found[0], found[1] = rows[i], rows[j]
            j += 1
        i = j - 1 if barred and j - 1 > i else i + 1
    return best


@inlined
def _rises(lines: np.ndarray, rows: np.ndarray, i: int, j: int) -> bool:
    """Whether a line right before boundary j is less deep than the line at boundary i."""
    return rows[j, _SHALLOW] < lines[rows[i, _LINE], INDENT]  # type: ignore[no-any-return]


@inlined
def _fit(lines: np.ndarray, rows: np.ndarray, i: int, j: int) -> bool:
    """Whether a cut from boundary i to j leaves nothing half, as far as both ends tell."""
    a, b = rows[i, _LINE], rows[j, _LINE]
    if rows[i, _STATE] != rows[j, _STATE]:
        return False
    if lines[b, TABLE] not in (0, lines[a, TABLE]):
        return False
    if lines[-1, SIGNS] and lines[b, INDENT] > lines[a, INDENT]:
        return False
    return _parts_fit(lines, a, rows[i, _MID], b, rows[j, _MID])


@inlined
def _parts_fit(lines: np.ndarray, a: int, a_mid: int, b: int, b_mid: int) -> bool:
    """Whether a cut takes whole questions with their answers, or lies within a part of one."""
    own, last = lines[a, PART], len(lines) - 1
    fresh = own <= 0 or (not a_mid and (lines[a, KIND] == ASKS or a == last))
    before = abs(lines[b if b_mid else b - 1, PART])
    over = lines[b, PART] <= 0 or (not b_mid and (lines[b, KIND] == ASKS or b == last))
    if fresh:
        return bool(over)
    return bool(own == before and (a_mid or lines[a, KIND] != ANSWERS))
