"""Where the elements of one JSON array, or values one after another, begin and end, found while the
bytes go by.

An element is then read by the scanner of JSON lines (`json_scanner`). For that the array is made
into lines of the same length, byte for byte: a comma between two elements and the array's last
bracket become newlines, a newline within an element a space, which means the same there. Of values
that are in no array the white space behind each becomes a newline. So every offset that the scanner
finds is one in the file.

What is within an element is only followed as far as needed to find its end: strings, and how many
brackets are open, whichever they are. Whether it is JSON the scanner says. A raw newline in a
string, which JSON does not have, becomes the control character that the scanner refuses.
"""

import numpy as np

from unrote.corpus.kernel import inlined, kernel, load64
from unrote.corpus.text import first_byte, zero_bytes

# ruff: noqa: C901, PLR0912, PLR0915, PLR1714
# As in `json_scanner`: a state machine is easier to check in one place.

# What is in a state (int64[6]): where in the file one is, how many brackets are open within the
# element, where in a string, whether the element has a byte that is no white space, how many
# elements came, and whether they are concatenated: values one after another, in no array.
PHASE, DEPTH, STRING, FILLED, ROWS, CONCATENATED = 0, 1, 2, 3, 4, 5

# Values of PHASE. BEYOND is at a byte behind the array that is no white space.
BEFORE, WITHIN, BEHIND, BEYOND = 0, 1, 2, 3

# Values of STRING.
_OUTSIDE, _INSIDE, _ESCAPED = 0, 1, 2

_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_WRONG = 0x01


def split_state(within: bool, row: int, concatenated: bool) -> np.ndarray:
    """The state at the start of a file, or `within` it before element `row`.

    concatenated: whether the elements are values one after another, in no array.
    """
    return np.array(
        [WITHIN if within else BEFORE, 0, _OUTSIDE, 0, row, concatenated], dtype=np.int64
    )


@inlined
def _cross_string(data: np.ndarray, at: int, lines: np.ndarray, state: np.ndarray) -> int:
    """The offset behind the next byte of a string that says something."""
    size = len(data)
    while state[STRING] == _INSIDE and at + 8 <= size:
        word = load64(data, at)
        stop = (
            zero_bytes(word ^ _QUOTES)
            | zero_bytes(word ^ _BACKSLASHES)
            | zero_bytes(word ^ _NEWLINES)
        )
        if stop != 0:
            at += first_byte(stop)
            break
        at += 8
    if at == size:
        return at
    if data[at] == 0x0A:
        lines[at] = _WRONG
    if state[STRING] == _ESCAPED:
        state[STRING] = _INSIDE
    elif data[at] == 0x22:
        state[STRING] = _OUTSIDE
    elif data[at] == 0x5C:
        state[STRING] = _ESCAPED
    return at + 1


@kernel
def split_elements(
    data: np.ndarray, at: int, lines: np.ndarray, goal: int, state: np.ndarray
) -> tuple[int, int]:
    """Make lines of the elements in data[at:], up to the first comma at or behind data[goal], or,
    in no array, the first white space behind a value there.

    lines: uint8, a copy of `data`, which is written to; state: of `split_state`, which is moved on.
    Elements with no value between commas, or between a comma and the last bracket, become lines
    that are no JSON. Returns where it stopped: behind that comma, at the first byte that has no
    business behind the array, or at the end; and the offset behind the last newline that it made,
    0 for none.
    """
    size = len(data)
    behind = 0
    concatenated = state[CONCATENATED] != 0
    while at < size:
        if state[STRING] != _OUTSIDE:
            at = _cross_string(data, at, lines, state)
            continue
        byte = data[at]
        white = _is_white(byte)
        separates = white if concatenated else byte == 0x2C
        if separates and state[DEPTH] == 0 and state[FILLED] == 1:
            lines[at] = 0x0A
            state[FILLED] = 0
            state[ROWS] += 1
            behind = at + 1
            if at >= goal:
                at += 1
                break
        elif white:
            if byte == 0x0A:
                lines[at] = 0x20
        elif state[PHASE] == BEFORE:
            if concatenated and byte != 0xEF and byte != 0xBB and byte != 0xBF:
                state[PHASE] = WITHIN
                continue
            if byte == 0x5B:
                state[PHASE] = WITHIN
            elif byte != 0xEF and byte != 0xBB and byte != 0xBF:  # a byte order mark
                state[PHASE] = BEYOND
                break
            lines[at] = 0x20
        elif state[PHASE] != WITHIN:
            state[PHASE] = BEYOND
            break
        elif byte == 0x5D and state[DEPTH] == 0 and not concatenated:
            lines[at] = 0x0A
            if state[FILLED] == 1:
                state[FILLED] = 0
                state[ROWS] += 1
            elif state[ROWS] > 0:
                lines[at] = _WRONG
                state[ROWS] += 1
            state[PHASE] = BEHIND
            behind = at + 1
        else:
            state[FILLED] = 1
            if byte == 0x22:
                state[STRING] = _INSIDE
            elif byte == 0x7B or byte == 0x5B:
                state[DEPTH] += 1
            elif byte == 0x7D or byte == 0x5D:
                state[DEPTH] = max(0, state[DEPTH] - 1)
            elif separates and state[DEPTH] == 0:
                lines[at] = _WRONG
        at += 1
    return at, behind


@inlined
def _is_white(byte: np.uint8) -> bool:
    return bool(byte == 0x20 or byte == 0x09 or byte == 0x0D or byte == 0x0A)


@kernel
def element_ranges(lines: np.ndarray, table: np.ndarray, start: int, end: int) -> np.ndarray:
    """The rows of `table` (from `scan`, of which `start` and `end` are columns) without the white
    space around them: int64[rows, 2].
    """
    ranges = np.empty((len(table), 2), dtype=np.int64)
    for i in range(len(table)):
        first, last = table[i, start], table[i, end]
        while first < last and _is_white(lines[first]):
            first += 1
        while last > first and _is_white(lines[last - 1]):
            last -= 1
        ranges[i, 0], ranges[i, 1] = first, last
    return ranges
