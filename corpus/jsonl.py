"""JSON lines: a strict scanner that finds the values of a few fields, and an unescaper.

The scanner is RFC 8259 in one pass over a block of lines, without an object per line: strings are
crossed eight bytes at a time, everything else byte by byte. It differs from Python's `json` where
that is lax: NaN, Infinity and lone surrogates in a text are refused, and so is nesting deeper than
MAX_DEPTH. Of repeated names the last counts. A line ends at a newline byte, blank lines (nothing
but JSON's white space: space, tab, carriage return) are no rows, and a byte order mark at the start
of the file is skipped. Zeros and other control bytes are no white space: a writer that crashed, or
a file with holes, leaves them where rows were lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from unrote.corpus.kernel import byte_buffer, inlined, kernel, load64
from unrote.corpus.rows import (
    COLUMNS_TOO_LONG,
    IS_NULL,
    MAX_TEXT,
    NOT_UTF8,
    TOO_LONG,
    Damaged,
    Fields,
    View,
    Wanted,
    accepted,
    rejects,
    row_batches,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shards import BOM, Shard, newline, skip_space
from unrote.corpus.text import (
    bytes_view,
    first_byte,
    is_utf8,
    store64,
    strings_from,
    utf8_ranges,
    zero_bytes,
)

# ruff: noqa: C901, PLR0911, PLR0912, PLR1714, SIM109
# A scanner is a state machine: its states are easier to check in one place than in ten, and numba
# compiles comparisons, but not membership of a tuple, to the instructions meant here.

MAX_DEPTH = 512
"""Arrays and objects that may be open at once."""

# Columns of the table that `scan` makes, one row per row it looked at. For field k, the value's
# start is in column VALUES + 2k and its end in the next; -1 where the field is missing. REPEATED is
# 1 where one of the fields is there more than once.
ROW, START, END, STATUS, REPEATED, VALUES = 0, 1, 2, 3, 4, 5

# Values of STATUS.
GOOD, NOT_JSON, NOT_OBJECT = 0, 1, 2

# What `decode` takes: strings, strings and numbers, every scalar but null.
STRINGS, WITH_NUMBERS, WITH_BOOLEANS = 0, 1, 2

_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)
_HIGHS = np.uint64(0x8080808080808080)

_SPACE, _QUOTE, _COMMA, _MINUS, _POINT, _COLON = 0x20, 0x22, 0x2C, 0x2D, 0x2E, 0x3A
_BRACKET, _BACKSLASH, _BRACKET_END, _BRACE, _BRACE_END = 0x5B, 0x5C, 0x5D, 0x7B, 0x7D


# The scanner. Each function takes a place and returns the place behind what it read, -1 for none.


@kernel
def _skip_string(data: np.ndarray, at: int, end: int) -> int:
    """The place behind the closing quote of a string whose first byte is at `at`."""
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
        while at < end and data[at] >= _SPACE and data[at] != _QUOTE and data[at] != _BACKSLASH:
            at += 1
        if at >= end or data[at] < _SPACE:
            return -1
        if data[at] == _QUOTE:
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
        mark == _QUOTE
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
    if at < end and data[at] == _MINUS:
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
        if at < end and (data[at] == 0x2B or data[at] == _MINUS):
            at += 1
        if not _is_digit(data, at, end):
            return -1
        while _is_digit(data, at, end):
            at += 1
    return at


@kernel
def _skip_scalar(data: np.ndarray, at: int, end: int) -> int:
    first = data[at]
    if first == _QUOTE:
        return _skip_string(data, at + 1, end)
    word = np.uint64(0)
    for i in range(at, min(at + 5, end)):
        word |= np.uint64(data[i]) << np.uint64((i - at) * 8)
    if word & np.uint64(0xFFFFFFFF) == np.uint64(0x65757274):  # true
        return at + 4
    if word & np.uint64(0xFFFFFFFF) == np.uint64(0x6C6C756E):  # null
        return at + 4
    if word == np.uint64(0x65736C6166):  # false
        return at + 5
    return _skip_number(data, at, end)


@inlined
def _skip_name(data: np.ndarray, at: int, end: int) -> int:
    """The place behind the colon of a member whose name starts, after spaces, at `at`."""
    at = skip_space(data, at, end)
    if at >= end or data[at] != _QUOTE:
        return -1
    at = _skip_string(data, at + 1, end)
    if at < 0:
        return -1
    at = skip_space(data, at, end)
    return at + 1 if at < end and data[at] == _COLON else -1


@kernel
def _skip_value(data: np.ndarray, at: int, end: int, opened: np.ndarray, depth: int) -> int:
    """The place behind a value; opened[:depth] (uint8) are the brackets that are open around it."""
    around = depth
    while True:
        at = skip_space(data, at, end)
        if at >= end:
            return -1
        first = data[at]
        if first == _BRACE or first == _BRACKET:
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
                if first == _BRACE:
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
                if opened[depth - 1] == _BRACE:
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
def _same_name(data: np.ndarray, start: int, end: int, names: np.ndarray, at: int, to: int) -> bool:
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
    """Read the row that starts at `at` into `line`. The place of the newline behind it, or -1."""
    if data[at] != _BRACE:
        line[STATUS] = NOT_OBJECT
        at = _skip_value(data, at, end, opened, 0)
        return -1 if at < 0 else _line_end(data, at, end)
    opened[0] = _BRACE
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
        at = _skip_value(data, value, end, opened, 1)
        if at < 0:
            return -1
        if value < before:
            name_end = name
            while data[name_end] != _QUOTE:
                name_end += 2 if data[name_end] == _BACKSLASH else 1
            for k in range(len(name_offsets) - 1):
                if _same_name(data, name, name_end, names, name_offsets[k], name_offsets[k + 1]):
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
    wanted: np.ndarray,
    before: int,
) -> tuple[np.ndarray, int]:
    """Scan the lines in data[start:]; the first row there has number `row`.

    Field k has the name names[name_offsets[k]:name_offsets[k + 1]] (uint8, int64); only values that
    start before data[before] are looked at. Unless `every`, only the rows in `wanted` (int64,
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
    next_wanted = 0
    while next_wanted < len(wanted) and wanted[next_wanted] < row:
        next_wanted += 1
    while at < end:
        line_start = at
        at = skip_space(data, at, end)
        if at == end:
            break
        if data[at] == 0x0A:
            at += 1
            continue
        if not every:
            if next_wanted == len(wanted):
                break
            if wanted[next_wanted] != row:
                row += 1
                at = newline(data, at, end) + 1
                continue
            next_wanted += 1
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

    Strings are unescaped, other scalars copied as they are written. `takes` says which are taken.
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
            number = first == _MINUS or (first >= 0x30 and first <= 0x39)
            if first == _QUOTE:
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


# Around the kernels.


@dataclass(frozen=True)
class _Names:
    """Field names as `scan` takes them."""

    data: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, fields: Fields, view: View) -> "_Names":
        names = [*fields.editable]
        if view == "records":
            names += [fields.id, fields.source, fields.order]
        return cls.encoded(names)

    @classmethod
    def encoded(cls, names: Sequence[str]) -> "_Names":
        encoded = [name.encode() for name in names]
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(bytes_view(b"".join(encoded)), offsets)


_ALWAYS = 1 << 62


def blocks(pieces: Iterable[bytes]) -> Iterator[np.ndarray]:
    """The same bytes cut behind newlines (uint8); a block is about a piece, or one longer line.

    The last block may end without a newline, unless the pieces end in Damaged: then what follows
    the last newline is left out and Damaged is raised again.
    """
    waiting: list[bytes] = []
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if cut == 0:
            waiting.append(piece)
            continue
        whole = b"".join([*waiting, memoryview(piece)[:cut]]) if waiting else piece
        waiting = [piece[cut:]] if cut < len(piece) else []
        yield bytes_view(whole)[: len(whole) if whole is not piece else cut]
    if waiting:
        yield bytes_view(b"".join(waiting))


def scan_blocks(
    pieces: Iterable[bytes], at_start: bool, row: int, fields: Fields, view: View, wanted: Wanted
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Blocks with what the scanner found: data, table, reasons, number of the next block's row.

    `reasons` (object, None for none) says why a row is rejected, apart from what `read_strings`
    finds. Field k in the table is fields.editable[k]. `at_start` says that the pieces start where
    the file does.
    """
    names = _Names.of(fields, view)
    for data in blocks(pieces):
        if wanted.none_from(row):
            return
        start = len(BOM) if at_start and data[: len(BOM)].tobytes() == BOM else 0
        at_start = False
        table, row = scan(
            data, start, names.data, names.offsets, row, wanted.all, wanted.rows, _ALWAYS
        )
        if len(table):
            yield data, table, _reasons(data, start, table, fields.text), row
        else:
            yield data, table, np.empty(0, dtype=object), row


def _reasons(data: np.ndarray, start: int, table: np.ndarray, name: str) -> np.ndarray:
    """Why each row of `table` is rejected (object array), None where it is not."""
    reasons = np.full(len(table), None, dtype=object)
    places = table[:, VALUES]
    if len(table) and not ((table[:, STATUS] == GOOD).all() and _all_strings(data, places)):
        first = data[np.maximum(places, 0)]
        for mark, kind in _KINDS:
            reasons[first == ord(mark)] = kind
        reasons[(first == _MINUS) | ((first >= 0x30) & (first <= 0x39))] = "text is a number"
        reasons[first == _QUOTE] = None
        reasons[places < 0] = f"no field '{name}'"
        reasons[table[:, STATUS] == NOT_OBJECT] = "not a JSON object"
        reasons[table[:, STATUS] == NOT_JSON] = "not JSON"
    # One look at the whole block is faster than one at each line; blame lines only if it fails.
    if not is_utf8(data, start):
        good = utf8_ranges(
            data, np.ascontiguousarray(table[:, START]), np.ascontiguousarray(table[:, END])
        )
        reasons[~good] = NOT_UTF8
    return reasons


_KINDS = (
    ("n", IS_NULL),
    ("t", "text is a boolean"),
    ("f", "text is a boolean"),
    ("[", "text is an array"),
    ("{", "text is an object"),
)


def _all_strings(data: np.ndarray, places: np.ndarray) -> bool:
    return bool((places >= 0).all() and (data[places] == _QUOTE).all())


def read_jsonl(
    pieces: Iterable[bytes],
    shard: Shard,
    at_start: bool,
    row: int,
    fields: Fields,
    view: View,
    wanted: Wanted,
) -> Tagged:
    """Rows and (for view "records") rejects of JSON lines that come in pieces of any size.

    An id that is a string gives its value, a number its literal; anything else, and a string with a
    lone surrogate, gives the derived id f"{shard.name}#{row}". A source that is not a string gives
    the shard's. `order` is the decoded string, or the literal of a number or boolean, else null.
    After damage: one reject at the next row, and the end.
    """
    try:
        for data, table, reasons, after in scan_blocks(pieces, at_start, row, fields, view, wanted):
            row = after
            yield from _block_rows(data, table, reasons, shard, fields, view)
    except Damaged as damage:
        if view == "records" and wanted.has(row):
            yield from rejects(shard, [row], [str(damage)])


def _block_rows(
    data: np.ndarray,
    table: np.ndarray,
    reasons: np.ndarray,
    shard: Shard,
    fields: Fields,
    view: View,
) -> Tagged:
    readable, [(text, offsets, _), *strings] = read_strings(data, table, reasons, fields)
    if view == "text":
        yield from row_batches(shard, readable[:, ROW], text, offsets)
        return
    others = enumerate((WITH_NUMBERS, STRINGS, WITH_BOOLEANS), len(fields.editable))
    extra = [_column(data, readable, field, takes) for field, takes in others]
    columns = [strings_from(*column) for column in strings]
    yield from row_batches(shard, readable[:, ROW], text, offsets, extra, columns)
    bad = np.flatnonzero(~accepted(reasons))
    yield from rejects(shard, table[bad, ROW], list(reasons[bad]))


_Strings = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_strings(
    data: np.ndarray, table: np.ndarray, reasons: np.ndarray, fields: Fields
) -> tuple[np.ndarray, list[_Strings]]:
    """The rows of `table` that can be read, and (see `decode`) their text and named columns.

    Adds to `reasons` why the other rows are rejected: a lone surrogate, too much of it, a named
    column that may hold text which nobody reads.
    """
    while True:
        good = accepted(reasons)
        readable = table if good.all() else np.ascontiguousarray(table[good])
        strings = [decoded(data, readable, k, STRINGS) for k in range(len(fields.editable))]
        blamed = _blamed(data, readable, strings, fields)
        if not blamed:
            return readable, strings
        places = np.flatnonzero(good)
        for rows, reason in reversed(blamed):  # of several reasons the first stays
            reasons[places[rows]] = reason


def _blamed(
    data: np.ndarray, table: np.ndarray, strings: list[_Strings], fields: Fields
) -> list[tuple[np.ndarray, str]]:
    """Rows (bool) of `table` whose strings will not do, with the reason; none without a row."""
    (_, offsets, valid), *columns = strings
    found = [(~valid, "lone surrogate in text"), (np.diff(offsets) > MAX_TEXT, TOO_LONG)]
    if columns:
        sizes = np.sum([np.diff(offsets) for _, offsets, _ in columns], axis=0)
        found.append((sizes > MAX_TEXT, COLUMNS_TOO_LONG))
    for k, (_, _, valid) in enumerate(columns, 1):
        places = table[:, VALUES + 2 * k]
        first = np.where(places >= 0, data[np.maximum(places, 0)], 0)
        name = fields.editable[k]
        found += [
            ((first == _QUOTE) & ~valid, f"lone surrogate in field '{name}'"),
            (first == _BRACE, f"field '{name}' is an object"),
            (first == _BRACKET, f"field '{name}' is an array"),
            (
                (first == _MINUS) | ((first >= 0x30) & (first <= 0x39)),
                f"field '{name}' is a number",
            ),
        ]
    return [(rows, reason) for rows, reason in found if rows.any()]


def decoded(data: np.ndarray, table: np.ndarray, field: int, takes: int) -> _Strings:
    """`decode` into a new buffer: (buffer, offsets, valid)."""
    column = VALUES + 2 * field
    room = int((table[:, column + 1] - table[:, column]).sum()) + 8
    out = byte_buffer(room)
    offsets, valid = decode(data, table, field, takes, out)
    return out, offsets, valid


def _column(data: np.ndarray, table: np.ndarray, field: int, takes: int) -> pa.StringArray | None:
    """A field's values; None where no row has one."""
    if len(table) == 0 or not (table[:, VALUES + 2 * field] >= 0).any():
        return None
    out, offsets, valid = decoded(data, table, field, takes)
    return strings_from(out, offsets, valid)


def earlier_values(line: bytes, before: int, name: str) -> Iterator[tuple[int, int]]:
    """The places of the values of field `name` in `line` that start before `before`, last first."""
    names = _Names.encoded([name])
    none = np.empty(0, dtype=np.int64)
    while True:
        table, _ = scan(bytes_view(line), 0, names.data, names.offsets, 0, True, none, before)
        before, end = table[0, VALUES : VALUES + 2].tolist()
        if before < 0:
            return
        yield before, end
