"""The lines of a document, and what each is to the whole: a row, an item, code, a turn.

`lines_of` goes over a document once. What it finds is judged by the bytes of lines alone, in any
language: it knows Markdown's tables, lists and fences, tables with tabs or commas, the tags of
conversations and of questions, and code by its signs. Where it is wrong a cut is shorter than it
could be, or not made.

`dedup.boundaries` asks at which line a cut may begin and end; both are written in terms of the
boundary before a line.
"""

import numpy as np

from unrote.corpus.kernel import inlined, kernel

LINE_COLUMNS = 10
BEGIN, FIRST, LAST, KIND, SIGNS, QUOTED, INDENT, PART, TABLE, CLOSED = range(LINE_COLUMNS)
"""A line:

BEGIN, FIRST, LAST  the offsets of its first byte, its first that is no space, behind its last such
KIND                what it is
SIGNS               which signs are in it, and how many
QUOTED              whether a quote of its paragraph is open before it; -1 where its quotes are odd
INDENT              how deep it begins
PART                the part of a conversation it belongs to: a question has an odd number, its
                    answer the next; 0 is none, -n of blank lines between part n and a question
TABLE               the table in which, behind its header, the boundary before it lies; 0 is none
CLOSED              of the boundary before it: OPEN, WRAPPED (a sentence may go on there) or SHUT

Of the row behind the last line SIGNS says whether the document is a program, and LAST what it
balances (`boundaries`), -1 for not yet known."""

BLANK, TEXT, ITEM, MORE, ROW, RULE, CODE, ASKS, ANSWERS = range(9)
"""What a line is. MORE: a later line of an item. RULE: what is between a header and its rows. ASKS,
ANSWERS: it begins with the tag of a turn that asks (or instructs), or that answers."""

OPEN, WRAPPED, SHUT = range(3)

SOLID_BYTES = 400
"""A longer line is a paragraph, whatever signs are in it."""

# Signs: what a line has anywhere in it.
_EQUALS, _BRACE, _PAREN = 1, 2, 4
_COUNTED, _BREAK = 0x80, 0x81  # a byte that is counted; one that may end the line
_SIGN = np.zeros(256, dtype=np.uint8)
for _chars, _bits in (("=", _EQUALS), ("{}", _BRACE), ("()", _PAREN), ("\r\n", _BREAK)):
    _SIGN[list(_chars.encode())] = _bits
_SIGN[list(b'|\t,"')] = _COUNTED

_PIPES, _TABS, _COMMAS = 8, 24, 40
"""Above the signs: how many there are, 16 bits each; commas neither quoted nor before a space."""
_MOST = 0xFFFF

_DIGIT = np.zeros(256, dtype=np.bool_)
_DIGIT[list(b"0123456789")] = True
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32
_WORD = np.zeros(256, dtype=np.bool_)
_WORD[[c for c in range(128) if chr(c).isalnum()]] = True
_WORD[0x5F] = True
_WORD[0x80:] = True
_AROUND = np.zeros(256, dtype=np.bool_)
_AROUND[list(b"<|#*[_ ")] = True


def _table(words: str) -> np.ndarray:
    """Lower-case words as rows of bytes, each behind its length: uint8[n, 20]."""
    rows = np.zeros((len(words.split()), 20), dtype=np.uint8)
    for row, word in zip(rows, words.split(), strict=True):
        row[: len(word) + 1] = [len(word), *word.encode()]
    return rows


_ASKING = _table("user human question q")
_ANSWERING = _table("assistant bot gpt ai answer a")
_ASKING_MARKED = _table("user human question q system instruction prompt customer")
_ANSWERING_MARKED = _table("assistant bot gpt ai answer a model response output agent")
_TOKENS = _table("im_start|> start_header_id|> start_of_turn>")
_CONTINUING = _table("else elif except finally catch")
"""A block goes on with these: what is before them cannot go alone."""


@kernel
def lines_of(data: np.ndarray, begin: int, end: int) -> np.ndarray:
    """The lines of the document data[begin:end]: int64[n + 1, LINE_COLUMNS].

    The last row is none of them: the end of the document, as a boundary.
    """
    lines = _scanned(data, begin, end)
    n = len(lines) - 1
    code = 0
    full = 0
    for i in range(n):
        lines[i, KIND] = _kind_of(data, lines, i)
        full += lines[i, KIND] != BLANK
        code += lines[i, KIND] == CODE
    _number_tables(data, lines)
    _mark_items(lines)
    is_code = 4 * code >= full
    if is_code:
        _mark_code(data, lines)
    lines[n, SIGNS], lines[n, LAST] = is_code, -1
    _number_parts(lines)
    for i in range(1, n):
        lines[i, CLOSED] = max(lines[i, CLOSED], _closed(data, lines, i, is_code))
    return lines


@kernel
def _scanned(data: np.ndarray, begin: int, end: int) -> np.ndarray:
    """The lines with BEGIN, FIRST, LAST, SIGNS and QUOTED."""
    lines = np.zeros((max(16, (end - begin) // 32), LINE_COLUMNS), dtype=np.int64)
    n, at = 0, begin
    paragraph = 0
    while at < end:
        if n + 2 > len(lines):
            more = np.zeros((2 * n + 16, LINE_COLUMNS), dtype=np.int64)
            more[:n] = lines[:n]
            lines = more
        at = _scan_line(data, at, end, lines, n)
        if lines[n, FIRST] >= lines[n, LAST]:
            _settle_quotes(lines, paragraph, n)
            paragraph = n + 1
        n += 1
    _settle_quotes(lines, paragraph, n)
    lines[n, BEGIN] = lines[n, FIRST] = lines[n, LAST] = end
    return lines[: n + 1]


@inlined
def _scan_line(data: np.ndarray, at: int, end: int, lines: np.ndarray, i: int) -> int:
    """Fill in line i, which begins at `at`; returns where the next one begins."""
    first = at
    while first < end and data[first] <= 0x20 and _SIGN[data[first]] != _BREAK:
        first += 1
    signs = quotes = 0
    lines[i, BEGIN], stop = at, end
    while at < end:
        bits = int(_SIGN[data[at]])
        at += 1
        if bits == 0:
            continue
        if bits == _BREAK:
            if data[at - 1] == 0x0A or at == end or data[at] != 0x0A:
                stop = at
                break
        elif bits != _COUNTED:
            signs |= bits
        elif data[at - 1] == 0x22:
            quotes += 1
        else:
            signs = _counted(data, at, end, signs, quotes & 1)
    while stop > first and data[stop - 1] <= 0x20:
        stop -= 1
    lines[i, FIRST], lines[i, LAST] = first, stop
    lines[i, SIGNS], lines[i, QUOTED] = signs, quotes
    lines[i, INDENT] = first - lines[i, BEGIN]
    return at


@inlined
def _counted(data: np.ndarray, behind: int, end: int, signs: int, quoted: int) -> int:
    """`signs` with one more pipe, tab or comma, which ends at `behind`."""
    byte = data[behind - 1]
    if byte == 0x2C and (quoted or (behind < end and data[behind] == 0x20)):
        return signs
    shift = _COMMAS if byte == 0x2C else (_TABS if byte == 0x09 else _PIPES)
    return signs + ((signs >> shift & _MOST < _MOST) << shift)


@inlined
def _settle_quotes(lines: np.ndarray, first: int, behind: int) -> None:
    """QUOTED of the lines of a paragraph, where it was how many quotes each has."""
    total = np.int64(0)
    for i in range(first, behind):
        quotes = lines[i, QUOTED]
        lines[i, QUOTED] = total & 1
        total += quotes
    if total & 1:
        for i in range(first, behind):
            lines[i, QUOTED] = -1


@inlined
def count_of(lines: np.ndarray, i: int, sign: int) -> int:
    """How many pipes, tabs or commas there are in a line."""
    return lines[i, SIGNS] >> sign & _MOST  # type: ignore[no-any-return]


@inlined
def _starts(data: np.ndarray, at: int, end: int, words: np.ndarray) -> int:
    """The length of the word of `words` that stands at `at`, in any case; 0 if there is none."""
    for w in range(len(words)):
        size = int(words[w, 0])
        if at + size > end or _LOWER[data[at]] != words[w, 1]:
            continue
        i = 1
        while i < size and _LOWER[data[at + i]] == words[w, 1 + i]:
            i += 1
        if i == size:
            return size
    return 0


@kernel
def tag_at(data: np.ndarray, lines: np.ndarray, i: int) -> tuple[int, int]:
    """Whether line i begins with the tag of a turn (ASKS, ANSWERS, or 0), and where that ends."""
    start, end = lines[i, FIRST], lines[i, LAST]
    at = start
    while at < end and at < start + 8 and _AROUND[data[at]]:
        at += 1
    if at == end:
        return 0, start
    at += _starts(data, at, end, _TOKENS)
    marked = at > start
    kind = ASKS
    size = _whole(data, at, end, _ASKING_MARKED if marked else _ASKING)
    if size == 0:
        kind = ANSWERS
        size = _whole(data, at, end, _ANSWERING_MARKED if marked else _ANSWERING)
    if size == 0:
        return 0, start
    at += size
    while at < end and _AROUND[data[at]] and data[at] != 0x7C:
        at += 1
    if at == end:
        return (kind if marked else 0), at
    if data[at] not in (0x3A, 0x7C, 0x3E, 0x5D):  # : | > ]
        return 0, start
    while at < end and data[at] in (0x3A, 0x7C, 0x3E, 0x5D, 0x2A):
        at += 1
    return kind, at


@inlined
def _whole(data: np.ndarray, at: int, end: int, words: np.ndarray) -> int:
    """As `_starts`, if no letter follows."""
    size = _starts(data, at, end, words)
    if size and at + size < end and _WORD[data[at + size]]:
        return 0
    return size


@kernel
def _kind_of(data: np.ndarray, lines: np.ndarray, i: int) -> int:
    """What a line is, by its own bytes."""
    first, last = lines[i, FIRST], lines[i, LAST]
    if first >= last:
        return BLANK
    tag, _ = tag_at(data, lines, i)
    if tag:
        return tag
    if data[first] == 0x7C and count_of(lines, i, _PIPES) >= 2:
        return ROW
    if _is_item(data, first, last):
        return ITEM
    return CODE if _is_code(data, lines, i) else TEXT


@inlined
def _is_item(data: np.ndarray, at: int, end: int) -> bool:
    """Whether the mark of a list item stands at `at`: "- ", "* ", "+ ", "• ", "1. ", "(a) "."""
    if data[at] in (0x2D, 0x2A, 0x2B):
        return at + 1 < end and data[at + 1] == 0x20
    if data[at] == 0xE2:
        return at + 3 < end and data[at + 1] == 0x80 and data[at + 2] == 0xA2
    at += data[at] == 0x28
    start = at
    while at < end and at < start + 3 and _DIGIT[data[at]]:
        at += 1
    if at == start and at + 1 < end and _WORD[data[at]] and data[at + 1] == 0x29:
        at += 1  # a)
    return start < at < end - 1 and data[at] in (0x2E, 0x29) and data[at + 1] == 0x20


@inlined
def _is_code(data: np.ndarray, lines: np.ndarray, i: int) -> bool:
    """Whether a line looks like code, a heading, or one record: no sentence may be taken of it."""
    first, last, signs = lines[i, FIRST], lines[i, LAST], lines[i, SIGNS]
    begins, ends = data[first], data[last - 1]
    if ends == 0x2C and last - first > 1:
        ends = data[last - 2]
    if begins in (0x7B, 0x5B, 0x3C) and ends in (0x7D, 0x5D, 0x3E):  # { [ < … } ] >
        return True
    if last - first > SOLID_BYTES:
        return False
    if begins in (0x23, 0x40, 0x7D, 0x7B):  # # @ } {
        return True
    if begins == 0x2F and first + 1 < last and data[first + 1] in (0x2F, 0x2A):  # // /*
        return True
    if ends in (0x3B, 0x7B, 0x7D) or signs & (_EQUALS | _BRACE):
        return True
    return signs & _PAREN != 0 and ends in (0x29, 0x3A, 0x28) and _is_called(data, first, last)


@inlined
def _is_called(data: np.ndarray, first: int, last: int) -> bool:
    """Whether a word stands right before a bracket, as in f(x)."""
    at = first + 1
    while at < last and not (data[at] == 0x28 and _WORD[data[at - 1]]):
        at += 1
    return at < last


@kernel
def _number_tables(data: np.ndarray, lines: np.ndarray) -> None:
    """Rows of tables, their headers' rules, and TABLE."""
    n, number, a = len(lines) - 1, 0, 0
    while a < n:
        b = a + 1
        sign = _separator(lines, a)
        while b < n and sign and _same_row(lines, a, b, sign):
            b += 1
        if b - a < 2:
            a = b
            continue
        number += 1
        ruled = sign == _PIPES and _is_rule(data, lines, a + 1)
        for i in range(a, b):
            lines[i, KIND] = RULE if ruled and i == a + 1 else ROW
        if ruled:
            lines[a + 1, CLOSED] = SHUT
        if ruled or sign != _PIPES:
            for i in range(a + 1 + ruled, b):
                lines[i, TABLE] = number
        a = b


@inlined
def _separator(lines: np.ndarray, i: int) -> int:
    """The sign that parts the cells of a line, if it may be the row of a table; otherwise 0."""
    if lines[i, KIND] in (BLANK, ASKS, ANSWERS):
        return 0
    if lines[i, KIND] == ROW:
        return _PIPES
    if count_of(lines, i, _TABS) >= 2 and lines[i, INDENT] == 0:
        return _TABS
    return _COMMAS if count_of(lines, i, _COMMAS) >= 3 and lines[i, KIND] != CODE else 0


@inlined
def _same_row(lines: np.ndarray, a: int, b: int, sign: int) -> bool:
    if sign == _PIPES:
        return lines[b, KIND] == ROW  # type: ignore[no-any-return]
    return lines[b, KIND] != BLANK and count_of(lines, a, sign) == count_of(lines, b, sign)


@inlined
def _is_rule(data: np.ndarray, lines: np.ndarray, i: int) -> bool:
    """Whether a line is a row of dashes: | --- |:--:|."""
    at = lines[i, FIRST]
    while at < lines[i, LAST] and data[at] in (0x7C, 0x2D, 0x3A, 0x20):
        at += 1
    return bool(at == lines[i, LAST])


@inlined
def _mark_items(lines: np.ndarray) -> None:
    """The later lines of items: those that follow, deeper than the item's mark."""
    inside, depth = False, 0
    for i in range(len(lines) - 1):
        if lines[i, KIND] == ITEM:
            inside, depth = True, lines[i, INDENT]
        elif inside and lines[i, KIND] in (TEXT, CODE) and lines[i, INDENT] > depth:
            lines[i, KIND], lines[i, CLOSED] = MORE, SHUT
        else:
            inside = False


@inlined
def _mark_code(data: np.ndarray, lines: np.ndarray) -> None:
    """In a program text is code; blank lines and those with "#" are as deep as the next."""
    depth = 0
    for i in range(len(lines) - 2, -1, -1):
        if lines[i, KIND] == BLANK or data[lines[i, FIRST]] == 0x23:
            lines[i, INDENT] = depth
            continue
        depth = lines[i, INDENT]
        if lines[i, KIND] in (TEXT, ITEM, MORE):
            lines[i, KIND], lines[i, CLOSED] = CODE, OPEN


@inlined
def _number_parts(lines: np.ndarray) -> None:
    """PART: questions have odd numbers, from 1; their answers the next ones.

    0 throughout, and no line a tag, where no question has an answer.
    """
    part = answered = 0
    for i in range(len(lines) - 1):
        if lines[i, KIND] == ASKS:
            part += 1 + (part & 1)
        elif lines[i, KIND] == ANSWERS and part & 1:
            part += 1
            answered += 1
        elif lines[i, KIND] == ANSWERS and not part:
            lines[i, KIND] = TEXT
        lines[i, PART] = part
    ending = True
    for i in range(len(lines) - 2, -1, -1):
        if not answered and lines[i, KIND] == ASKS:
            lines[i, KIND] = TEXT
        ending = lines[i, KIND] == ASKS or (ending and lines[i, KIND] == BLANK)
        if not answered:
            lines[i, PART] = 0
        elif ending and lines[i, KIND] == BLANK:
            lines[i, PART] = -lines[i, PART]


@inlined
def _closed(data: np.ndarray, lines: np.ndarray, i: int, is_code: bool) -> int:
    """What the boundary between line i - 1 and line i is to a cut."""
    kind, before = lines[i, KIND], lines[i - 1, KIND]
    if before in (ASKS, ANSWERS) and tag_at(data, lines, i - 1)[1] == lines[i - 1, LAST]:
        return SHUT
    if is_code and _goes_on(data, lines, i):
        return SHUT
    if kind == TEXT and before in (TEXT, MORE, ITEM, ASKS, ANSWERS) and _is_wrapped(data, lines, i):
        return WRAPPED
    return OPEN


@inlined
def _goes_on(data: np.ndarray, lines: np.ndarray, i: int) -> bool:
    """Whether line i of a program belongs to the one before it: the first of a block, an "else"."""
    if lines[i, KIND] == BLANK or lines[i - 1, KIND] == BLANK:
        return False
    above, first = lines[i - 1, LAST] - 1, lines[i, FIRST]
    if data[above] in (0x3A, 0x7B, 0x28, 0x5B, 0x5C) or data[first] == 0x7B:  # : { ( [ \ … {
        return True
    if data[lines[i - 1, FIRST]] == 0x40:  # @
        return True
    if data[above] == 0x29 and lines[i, INDENT] > lines[i - 1, INDENT]:  # if (x)\n  y
        return True
    return _whole(data, first, lines[i, LAST], _CONTINUING) > 0


@inlined
def _is_wrapped(data: np.ndarray, lines: np.ndarray, i: int) -> bool:
    """Whether a sentence may go on from line i - 1 to line i, both of them text."""
    above, first = data[lines[i - 1, LAST] - 1], data[lines[i, FIRST]]
    if above in (0x2E, 0x21, 0x3F, 0x3A):  # . ! ? :
        return False
    lower = 0x61 <= first <= 0x7A
    long = lines[i - 1, LAST] - lines[i - 1, BEGIN] >= 50
    return bool(lower or (long and (_WORD[above] or above in (0x2C, 0x22, 0x29))))
