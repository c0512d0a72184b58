"""The values that a path leads to in JSON lines: a walker over what the scanner found to be JSON.

`json_scanner.scan` says where the values of a row's fields are, and that the row is JSON; here the
steps below such a field are taken, depth first, without an object per value.
"""

import numpy as np

from unrote.corpus.json_scanner import (
    BRACE,
    BRACKET,
    MAX_DEPTH,
    same_name,
    skip_space,
    skip_string,
    skip_value,
    unescape,
)
from unrote.corpus.kernel import inlined, kernel

# ruff: noqa: C901, PLR0912, PLR0915 - as in json_scanner: a state machine is easier to check in one place

# Columns of the table that `walk` makes, a row for each place that the path came to.
ROW, START, END, KIND = 0, 1, 2, 3

# Values of KIND: a value at the end of the path; an object or array that the path leads into; one
# that it cannot lead into, and which is not null; an object that has a name twice.
VALUE, ENTERED, OTHER, TWICE = 0, 1, 2, 3

# What `decode_joined` says of a row: no value, a text, a lone surrogate, the separator in a value.
NONE, GOOD, SURROGATE, SEPARATED = 0, 1, 2, 3

_COMMA = 0x2C


@kernel
def walk(
    data: np.ndarray,
    starts: np.ndarray,
    names: np.ndarray,
    name_offsets: np.ndarray,
    each: np.ndarray,
) -> np.ndarray:
    """Follow one path from the values that start at data[starts[i]] (int64; -1 for none).

    Step s is to every element of an array where each[s] (bool), else to the field of an object
    whose name is names[name_offsets[s]:name_offsets[s + 1]] (uint8, int64).
    Returns a table, int64 of shape (places, 4), see the columns above, by row and place; ROW is i.
    """
    table = np.empty((256, 4), dtype=np.int64)
    count, steps, size = 0, len(each), len(data)
    opened = np.empty(MAX_DEPTH, dtype=np.uint8)
    for row in range(len(starts)):
        at, level = starts[row], 0
        while at >= 0:
            at = skip_space(data, at, size)
            table = _with_room(table, count)
            first = data[at]
            ended = True  # whether a value has been passed, and not gone into
            if level < steps and first == (BRACKET if each[level] else BRACE):
                _put(table, count, row, at, at, ENTERED)
                count += 1
                at = skip_space(data, at + 1, size)
                if data[at] == first + 2:  # } and ] are two behind { and [
                    at += 1
                elif each[level]:
                    level += 1
                    ended = False
                else:
                    at, found = _member(data, at, names, name_offsets[level : level + 2], opened)
                    if found:
                        level += 1
                        ended = False
            else:
                end = skip_value(data, at, size, opened, 0)
                if level == steps:
                    _put(table, count, row, at, end, VALUE)
                    count += 1
                elif first != 0x6E:  # null
                    _put(table, count, row, at, end, OTHER)
                    count += 1
                at = end
            if not ended:
                continue
            # Close what ends here, up to the next value of the path.
            while level > 0:
                at = skip_space(data, at, size)
                comma = data[at] == _COMMA
                at += 1
                if comma and each[level - 1]:
                    break
                if comma:
                    start = at
                    names_at = name_offsets[level - 1 : level + 1]
                    at, found = _member(data, at, names, names_at, opened)
                    if found:
                        table = _with_room(table, count)
                        _put(table, count, row, start, at, TWICE)
                        count += 1
                        break
                level -= 1
            else:
                break
    return table[:count]


@inlined
def _with_room(table: np.ndarray, count: int) -> np.ndarray:
    if count < len(table):
        return table
    larger = np.empty((2 * count, 4), dtype=np.int64)
    larger[:count] = table
    return larger


@inlined
def _put(table: np.ndarray, count: int, row: int, start: int, end: int, kind: int) -> None:
    table[count, ROW], table[count, START] = row, start
    table[count, END], table[count, KIND] = end, kind


@kernel
def _member(
    data: np.ndarray, at: int, names: np.ndarray, name_at: np.ndarray, opened: np.ndarray
) -> tuple[int, bool]:
    """The value of the next member with a name, and True; else what is behind the object's end.

    `at` is before a member's name. The name is names[name_at[0]:name_at[1]].
    """
    size = len(data)
    while True:
        at = skip_space(data, at, size) + 1
        name = at
        at = skip_string(data, at, size)
        is_it = same_name(data, name, at - 1, names, name_at[0], name_at[1])
        at = skip_space(data, skip_space(data, at, size) + 1, size)
        if is_it:
            return at, True
        at = skip_space(data, skip_value(data, at, size, opened, 0), size) + 1
        if data[at - 1] != _COMMA:
            return at, False


@kernel
def decode_joined(
    data: np.ndarray,
    rows: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    count: int,
    separator: int,
    out: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Unescape strings data[starts[i]:ends[i]], quotes included, of rows[i] (int64, ascending).

    Those of a row stand in `out` (uint8) one behind another with the byte `separator` between two.
    Returns offsets (int64[count + 1]) into `out`, and for each of `count` rows NONE, GOOD,
    SURROGATE or SEPARATED (int64); only GOOD ones have a text.
    """
    offsets = np.zeros(count + 1, dtype=np.int64)
    status = np.zeros(count, dtype=np.int64)
    at, to = 0, 0
    for row in range(count):
        begin = to
        while at < len(rows) and rows[at] == row:
            if status[row] == GOOD:
                out[to] = separator
                to += 1
            if status[row] <= GOOD:
                status[row] = GOOD
                after = unescape(data, starts[at] + 1, ends[at] - 1, out, to)
                if after < 0:
                    status[row] = SURROGATE
                else:
                    for i in range(to, after):
                        if out[i] == separator:
                            status[row] = SEPARATED
                    to = after
            at += 1
        if status[row] != GOOD:
            to = begin
        offsets[row + 1] = to
    return offsets, status
