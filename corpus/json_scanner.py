"""A JSON line, byte for byte: a scanner that finds the values of a few fields, and an unescaper.

The scanner is strict: RFC 8259 in one pass over a block of lines, without an object per line:
strings are crossed eight bytes at a time, everything else byte by byte. Beyond it NaN, Infinity
and -Infinity are scalars, as Python's `json` writes them. It differs from `json` where that is lax:
lone surrogates in a text are refused, and so is nesting deeper than MAX_DEPTH. Of repeated names
the last counts. A line ends at a newline byte, blank lines
(nothing but JSON's white space: space, tab, carriage return) are no rows, and a byte order mark at
the start of the file is skipped. Zeros and other control bytes are no white space: a writer that
crashed, or a file with holes, leaves them where rows were lost.
"""

import numpy as np

from unrote.corpus.kernel import inlined, kernel, load64
from unrote.corpus.text import first_byte, store64, zero_bytes

# ruff: noqa: C901, PLR0911, PLR0912, PLR1714, SIM109
# A scanner is a state machine: its states are easier to check in one place than in ten, and numba
# compiles comparisons, but not membership of a tuple, to the instructions meant here.

MAX_DEPTH = 512
"""Arrays and objects that may be open at once."""

# Columns of the table that `scan` makes, one row per row it looked at. For field k, the value's
# start is in column VALUES + 2k and its end in the next; -1 where the field is missing. REPEATED is
# 1 where one of the fields occurs more than once.
ROW, START, END, STATUS, REPEATED, VALUES = 0, 1, 2, 3, 4, 5

# Values of STATUS.
GOOD, NOT_JSON, NOT_OBJECT = 0, 1, 2

# What `decode` takes: strings, strings and numbers, every scalar but null.
STRINGS, WITH_NUMBERS, WITH_BOOLEANS = 0, 1, 2

_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)
_HIGHS = np.uint64(0x8080808080808080)

_SPACE, QUOTE, _COMMA, MINUS, _POINT, _COLON = 0x20, 0x22, 0x2C, 0x2D, 0x2E, 0x3A
BRACKET, _BACKSLASH, _BRACKET_END, BRACE, _BRACE_END = 0x5B, 0x5C, 0x5D, 0x7B, 0x7D
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)


# Lines.


@kernel
def count_rows(
    data: np.ndarray, at: int, goal: int, rows: int, in_row: bool
) -> tuple[int, int, bool, int]:
    """Count rows (lines that are not blank) up to the first newline at or behind data[goal].

    `in_row` says whether the line that `at` is in was counted already. Returns the offset after
    that newline, -1 where there is none in `data`; the rows; whether the last line was counted; and
    how many newlines went by.
    """
    size, lines = len(data), 0
    while at < size:
        if not in_row:
            at = skip_space(data, at, size)
            if at == size:
                break
            if data[at] != 0x0A:
                in_row = True
                rows += 1
        at = newline(data, at, size)
        if at == size:
            break
        in_row = False
        at += 1
        lines += 1
        if at > goal:
            return at, rows, in_row, lines
    return -1, rows, in_row, lines


@inlined
def skip_space(data: np.ndarray, at: int, end: int) -> int:
    """The offset of the first byte in data[at:end] that is no JSON white space within a line."""
    while at < end and (data[at] == 0x20 or data[at] == 0x09 or data[at] == 0x0D):
        at += 1
    return at


@kernel
def newline(data: np.ndarray, at: int, end: int) -> int:
    """The offset of the first newline in data[at:end], `end` if there is none."""
    while at + 32 <= end:
        found = (
            zero_bytes(load64(data, at) ^ _NEWLINES)
            | zero_bytes(load64(data, at + 8) ^ _NEWLINES)
            | zero_bytes(load64(data, at + 16) ^ _NEWLINES)
            | zero_bytes(load64(data, at + 24) ^ _NEWLINES)
        )
        if found != 0:
            break
        at += 32
    while at < end and data[at] != 0x0A:
        at += 1
    return at


# The scanner. Each function takes an offset and returns that behind what it read, -1 for none.


@kernel
def skip_string(data: np.ndarray, at: int, end: int) -> int:
    """The offset behind the closing quote of a string whose first byte is at `at`."""
    while True:
        while at + 8 <= end:
            word = load64(data, at)
            stop = (
                zero_bytes(word ^ _QUOTES)
                | zero_bytes(word ^ _BACKSLASHES)
                | ((word - _SPACES) & ~word & _HIGHS)
            )
            if stop != 0:
                at += first_byte(stop)
                break
            at += 8
        while at < end and data[at] >= _SPACE and data[at] != QUOTE and data[at] != _BACKSLASH:
            at += 1
        if at >= end or data[at] < _SPACE:
            return -1
        if data[at] == QUOTE:
            return at + 1
        at = _skip_escape(data, at + 1, end)
        if at < 0:
            return -1


@inlined
def _skip_escape(data: np.ndarray, at: int, end: int) -> int:
    if at >= end:
        return -1
    mark = data[at]
    if mark == 0x75:  # u
        if at + 5 > end:
            return -1
        for i in range(at + 1, at + 5):
            if _hex(data[i]) < 0:
                return -1
        return at + 5
    if (
        mark == QUOTE
        or mark == _BACKSLASH
        or mark == 0x2F  # /
        or mark == 0x62  # b
        or mark == 0x66  # f
        or mark == 0x6E  # n
        or mark == 0x72  # r
        or mark == 0x74  # t
    ):
        return at + 1
    return -1


@inlined
def _hex(byte: int) -> int:
    """Value of a hexadecimal digit, -1 for any other byte."""
    digit = byte | 0  # int64, so that differences can be negative
    if 0x30 <= digit <= 0x39:
        return digit - 0x30
    digit |= 0x20
    if 0x61 <= digit <= 0x66:
        return digit - 0x57
    return -1


@inlined
def _is_digit(data: np.ndarray, at: int, end: int) -> bool:
    return at < end and data[at] >= 0x30 and data[at] <= 0x39


@kernel
def _skip_number(data: np.ndarray, at: int, end: int) -> int:
    if at < end and data[at] == MINUS:
        at += 1
    if not _is_digit(data, at, end):
        return -1
    at += 1
    if data[at - 1] != 0x30:
        while _is_digit(data, at, end):
            at += 1
    if at < end and data[at] == _POINT:
        at += 1
        if not _is_digit(data, at, end):
            return -1
        while _is_digit(data, at, end):
            at += 1
    if at < end and data[at] | 0x20 == 0x65:  # e
        at += 1
        if at < end and (data[at] == 0x2B or data[at] == MINUS):
            at += 1
        if not _is_digit(data, at, end):
            return -1
        while _is_digit(data, at, end):
            at += 1
    return at


@kernel
def _skip_scalar(data: np.ndarray, at: int, end: int) -> int:
    first = data[at]
    if first == QUOTE:
        return skip_string(data, at + 1, end)
    word = np.uint64(0)
    for i in range(at, min(at + 5, end)):
        word |= np.uint64(data[i]) << np.uint64((i - at) * 8)
    if word & np.uint64(0xFFFFFFFF) == np.uint64(0x65757274):  # true
        return at + 4
    if word & np.uint64(0xFFFFFFFF) == np.uint64(0x6C6C756E):  # null
        return at + 4
    if word == np.uint64(0x65736C6166):  # false
        return at + 5
    if word & np.uint64(0xFFFFFF) == np.uint64(0x4E614E):  # NaN
        return at + 3
    word_start = at + 1 if first == MINUS else at
    if _is_infinity(data, word_start, end):
        return word_start + 8
    return _skip_number(data, at, end)


@inlined
def _is_infinity(data: np.ndarray, at: int, end: int) -> bool:
    if at + 8 > end:
        return False
    word = np.uint64(0)
    for i in range(8):
        word |= np.uint64(data[at + i]) << np.uint64(i * 8)
    return bool(word == np.uint64(0x7974696E69666E49))


@inlined
def _skip_name(data: np.ndarray, at: int, end: int) -> int:
    """The offset behind the colon of a member whose name starts, after spaces, at `at`."""
    at = skip_space(data, at, end)
    if at >= end or data[at] != QUOTE:
        return -1
    at = skip_string(data, at + 1, end)
    if at < 0:
        return -1
    at = skip_space(data, at, end)
    return at + 1 if at < end and data[at] == _COLON else -1


@kernel
def skip_value(data: np.ndarray, at: int, end: int, opened: np.ndarray, depth: int) -> int:
    """The offset behind a value; opened[:depth] (uint8) are the brackets open around it."""
    around = depth
    while True:
        at = skip_space(data, at, end)
        if at >= end:
            return -1
        first = data[at]
        if first == BRACE or first == BRACKET:
            if depth == MAX_DEPTH:
                return -1
            opened[depth] = first
            depth += 1
            at = skip_space(data, at + 1, end)
            if at >= end:
                return -1
            if data[at] == first + 2:  # } and ] are two behind { and [
                at += 1
                depth -= 1
            else:
                if first == BRACE:
                    at = _skip_name(data, at, end)
                    if at < 0:
                        return -1
                continue
        else:
            at = _skip_scalar(data, at, end)
            if at < 0:
                return -1
        # A value has ended: close what ends with it, up to a comma.
        while depth > around:
            at = skip_space(data, at, end)
            if at >= end:
                return -1
            mark = data[at]
            at += 1
            if mark == _COMMA:
                if opened[depth - 1] == BRACE:
                    at = _skip_name(data, at, end)
                    if at < 0:
                        return -1
                break
            if mark != opened[depth - 1] + 2:
                return -1
            depth -= 1
        if depth == around:
            return at


@kernel
def same_name(data: np.ndarray, start: int, end: int, names: np.ndarray, at: int, to: int) -> bool:
    """Whether the raw name data[start:end], its escapes undone, is names[at:to]."""
    size = to - at
    if size == 0 or end - start < size:
        return False
    if end - start > size:
        # Longer, so the same only if it has escapes; those are rare.
        found = False
        for i in range(start, end):
            found = found or data[i] == _BACKSLASH
        if not found:
            return False
        plain = np.empty(end - start + 8, dtype=np.uint8)
        if unescape(data, start, end, plain, 0) != size:
            return False
        for i in range(size):  # noqa: SIM110
            if plain[i] != names[at + i]:
                return False
        return True
    for i in range(size):  # noqa: SIM110  numba has no all()
        if data[start + i] != names[at + i]:
            return False
    return True


@kernel
def _scan_line(
    data: np.ndarray,
    at: int,
    end: int,
    names: np.ndarray,
    name_offsets: np.ndarray,
    before: int,
    opened: np.ndarray,
    line: np.ndarray,
) -> int:
    """Read the row that starts at `at` into `line`. The offset of the newline behind it, or -1."""
    if data[at] != BRACE:
        line[STATUS] = NOT_OBJECT
        at = skip_value(data, at, end, opened, 0)
        return -1 if at < 0 else _line_end(data, at, end)
    opened[0] = BRACE
    at = skip_space(data, at + 1, end)
    if at < end and data[at] == _BRACE_END:
        return _line_end(data, at + 1, end)
    while True:
        at = skip_space(data, at, end)
        name = at + 1
        at = _skip_name(data, at, end)
        if at < 0:
            return -1
        value = skip_space(data, at, end)
        at = skip_value(data, value, end, opened, 1)
        if at < 0:
            return -1
        if value < before:
            name_end = name
            while data[name_end] != QUOTE:
                name_end += 2 if data[name_end] == _BACKSLASH else 1
            for k in range(len(name_offsets) - 1):
                if same_name(data, name, name_end, names, name_offsets[k], name_offsets[k + 1]):
                    if line[VALUES + 2 * k] >= 0:
                        line[REPEATED] = 1
                    line[VALUES + 2 * k] = value
                    line[VALUES + 2 * k + 1] = at
        at = skip_space(data, at, end)
        if at >= end:
            return -1
        at += 1
        if data[at - 1] == _BRACE_END:
            return _line_end(data, at, end)
        if data[at - 1] != _COMMA:
            return -1


@inlined
def _line_end(data: np.ndarray, at: int, end: int) -> int:
    at = skip_space(data, at, end)
    return at if at == end or data[at] == 0x0A else -1


@kernel
def scan(
    data: np.ndarray,
    start: int,
    names: np.ndarray,
    name_offsets: np.ndarray,
    row: int,
    every: bool,
    selected: np.ndarray,
    before: int,
) -> tuple[np.ndarray, int]:
    """Scan the lines in data[start:]; the first row there has number `row`.

    Field k has the name names[name_offsets[k]:name_offsets[k + 1]] (uint8, int64); only values that
    start before data[before] are looked at. Unless `every`, only the rows in `selected` (int64,
    ascending) are read, and scanning may stop behind the last of them.
    Returns a table, int64 of shape (rows read, VALUES + 2 * fields), see the columns above, and the
    number of the row after the last one.
    """
    width = VALUES + 2 * (len(name_offsets) - 1)
    table = np.empty((256, width), dtype=np.int64)
    opened = np.empty(MAX_DEPTH, dtype=np.uint8)
    count = 0
    end = len(data)
    at = start
    next_selected = 0
    while next_selected < len(selected) and selected[next_selected] < row:
        next_selected += 1
    while at < end:
        line_start = at
        at = skip_space(data, at, end)
        if at == end:
            break
        if data[at] == 0x0A:
            at += 1
            continue
        if not every:
            if next_selected == len(selected):
                break
            if selected[next_selected] != row:
                row += 1
                at = newline(data, at, end) + 1
                continue
            next_selected += 1
        if count == len(table):
            larger = np.empty((2 * count, width), dtype=np.int64)
            larger[:count] = table
            table = larger
        line = table[count]
        line[:] = -1
        line[ROW], line[START], line[STATUS], line[REPEATED] = row, line_start, GOOD, 0
        stop = _scan_line(data, at, end, names, name_offsets, before, opened, line)
        if stop < 0:
            line[STATUS] = NOT_JSON
            stop = newline(data, at, end)
        line[END] = stop
        at = stop + 1
        row += 1
        count += 1
    return table[:count], row


# The unescaper.


@inlined
def _four_hex(data: np.ndarray, at: int) -> int:
    code = 0
    for i in range(at, at + 4):
        code = code * 16 + _hex(data[i])
    return code


@inlined
def _plain_escape(mark: int) -> int:
    if mark == 0x6E:
        return 0x0A
    if mark == 0x74:
        return 0x09
    if mark == 0x72:
        return 0x0D
    if mark == 0x62:
        return 0x08
    if mark == 0x66:
        return 0x0C
    return mark


@inlined
def _put_code_point(out: np.ndarray, to: int, code: int) -> int:
    if code < 0x80:
        out[to] = code
        return to + 1
    if code < 0x800:
        out[to] = 0xC0 | code >> 6
        out[to + 1] = 0x80 | code & 0x3F
        return to + 2
    if code < 0x10000:
        out[to] = 0xE0 | code >> 12
        out[to + 1] = 0x80 | code >> 6 & 0x3F
        out[to + 2] = 0x80 | code & 0x3F
        return to + 3
    out[to] = 0xF0 | code >> 18
    out[to + 1] = 0x80 | code >> 12 & 0x3F
    out[to + 2] = 0x80 | code >> 6 & 0x3F
    out[to + 3] = 0x80 | code & 0x3F
    return to + 4


@kernel
def unescape(data: np.ndarray, at: int, end: int, out: np.ndarray, to: int) -> int:
    """Write what stands between a valid JSON string's quotes, data[at:end], to out[to:] as UTF-8.

    The end of what was written, -1 for a lone surrogate. `out` has room for end - at + 8 bytes.
    """
    while True:
        while at + 8 <= end:
            word = load64(data, at)
            store64(out, to, word)
            stop = zero_bytes(word ^ _BACKSLASHES)
            if stop != 0:
                step = first_byte(stop)
                at += step
                to += step
                break
            at += 8
            to += 8
        while at < end and data[at] != _BACKSLASH:
            out[to] = data[at]
            at += 1
            to += 1
        if at >= end:
            return to
        mark = data[at + 1]
        if mark != 0x75:
            out[to] = _plain_escape(mark)
            at += 2
            to += 1
            continue
        code = _four_hex(data, at + 2)
        at += 6
        if code & 0xF800 == 0xD800:
            # A high surrogate must be followed by a low one, and a low one follow a high one.
            if code >= 0xDC00 or at + 6 > end or data[at] != _BACKSLASH or data[at + 1] != 0x75:
                return -1
            low = _four_hex(data, at + 2)
            if low & 0xFC00 != 0xDC00:
                return -1
            code = 0x10000 + ((code & 0x3FF) << 10 | low & 0x3FF)
            at += 6
        to = _put_code_point(out, to, code)


@kernel
def decode(
    data: np.ndarray, table: np.ndarray, field: int, takes: int, out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Decode field `field` of every row of `table` (from `scan`) into `out` (uint8), one by one.

    Strings are unescaped, other scalars copied as they are written. `takes` says which are taken;
    NaN and the infinities never are.
    Returns offsets (int64) into `out`, and which rows have a value (bool): not those where the
    field is missing, of a kind not taken, or a string with a lone surrogate.
    """
    column = VALUES + 2 * field
    offsets = np.zeros(len(table) + 1, dtype=np.int64)
    valid = np.zeros(len(table), dtype=np.bool_)
    to = 0
    for i in range(len(table)):
        at, end = table[i, column], table[i, column + 1]
        if at >= 0:
            after = -1
            first = data[at]
            number = (first == MINUS and data[at + 1] != 0x49) or (first >= 0x30 and first <= 0x39)
            if first == QUOTE:
                after = unescape(data, at + 1, end - 1, out, to)
            elif (takes >= WITH_NUMBERS and number) or (
                takes == WITH_BOOLEANS and (first == 0x74 or first == 0x66)
            ):
                for j in range(end - at):
                    out[to + j] = data[at + j]
                after = to + end - at
            if after >= 0:
                to = after
                valid[i] = True
        offsets[i + 1] = to
    return offsets, valid
