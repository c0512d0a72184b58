"""The values that paths lead to in JSON lines: found, joined to a text, and each written back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrote.corpus import json_walker as walker
from unrote.corpus.json_scanner import BRACE, BRACKET, MINUS, QUOTE, VALUES
from unrote.corpus.json_walker import decode_joined, walk
from unrote.corpus.kernel import byte_buffer
from unrote.corpus.paths import EACH, SEPARATED, SEPARATOR, FieldPath, Selection
from unrote.corpus.text import bytes_view

NOTHING_THERE = "no text at "
"""How the reason of a row begins in which no path leads to a string."""

KEYS = 50
"""Fields of an object with more are not named one by one: such names are often values."""


@dataclass(frozen=True)
class Values:
    """The strings that a selection has in the rows of a block: data[starts[i]:ends[i]], quotes
    included, is one of row rows[i] (int64, by row and, within it, in the order of the selection).

    `reasons` says by row why what the paths lead to cannot be read.
    """

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    reasons: Mapping[int, str]


def find_values(data: np.ndarray, table: np.ndarray, column: int, selected: Selection) -> Values:
    """What `selected` leads to in the rows of `table` (json_scanner.scan), whose fields from number
    `column` on are the first steps of its paths.
    """
    places = [
        _places(data, table[:, VALUES + 2 * (column + k)], path)
        for k, path in enumerate(selected.paths)
    ]
    numbers = np.repeat(np.arange(len(places)), [len(one) for one in places])
    found = np.concatenate(places)
    order = np.lexsort((found[:, walker.START], numbers, found[:, walker.ROW]))
    found, numbers = found[order], numbers[order]
    first = data[found[:, walker.START]]
    is_value = found[:, walker.KIND] == walker.VALUE
    strings = is_value & (first == QUOTE)
    null = is_value & (first == ord("n"))
    odd = ~strings & ~null & (found[:, walker.KIND] != walker.ENTERED)
    reasons: dict[int, str] = {}
    if odd.any():
        for at in np.flatnonzero(odd).tolist():
            row, start, _, kind = found[at].tolist()
            if kind == walker.TWICE or not _leads_on(found, strings, row, start):
                path = selected.paths[numbers[at]]
                reasons.setdefault(row, _reason(kind, int(first[at]), path))
    rows, starts, ends, _ = np.ascontiguousarray(found[strings].T)
    return Values(rows, starts, ends, reasons)


def _places(data: np.ndarray, starts: np.ndarray, path: FieldPath) -> np.ndarray:
    steps = path.steps[1:]
    names = [b"" if step is EACH else step.encode() for step in steps]
    offsets = np.cumsum([0, *map(len, names)], dtype=np.int64)
    each = np.array([step is EACH for step in steps], dtype=np.bool_)
    return walk(data, np.ascontiguousarray(starts), bytes_view(b"".join(names)), offsets, each)


def _leads_on(found: np.ndarray, strings: np.ndarray, row: int, start: int) -> bool:
    """Whether another path reads what starts there: a string, or something in it."""
    here = (found[:, walker.ROW] == row) & (found[:, walker.START] == start)
    return bool((here & (strings | (found[:, walker.KIND] == walker.ENTERED))).any())


def _reason(kind: int, first: int, path: FieldPath) -> str:
    if kind == walker.TWICE:
        return f"a name on the path '{path}' occurs twice in an object"
    number = first == MINUS or 0x30 <= first <= 0x39
    kinds = {QUOTE: "a string", BRACE: "an object", BRACKET: "an array"}
    what = "a number" if number else kinds.get(first, "a boolean")
    return f"{what} at '{path}'" if kind == walker.VALUE else f"{what} on the path '{path}'"


def joined(
    data: np.ndarray, values: Values, count: int, selected: Selection
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], dict[int, str]]:
    """The texts that `values` make in `count` rows: (buffer, offsets, valid), and the reasons of
    rows that cannot be read by row; a row without a value has neither.
    """
    separator = ord(SEPARATOR) if selected.is_several else -1  # which no byte is
    room = int((values.ends - values.starts).sum()) + 8
    out = byte_buffer(room)
    offsets, status = decode_joined(
        data, values.rows, values.starts, values.ends, count, separator, out
    )
    reasons = dict(values.reasons)
    for kind, reason in (
        (walker.SURROGATE, f"lone surrogate in '{selected.name}'"),
        (walker.SEPARATED, SEPARATED),
    ):
        for row in np.flatnonzero(status == kind).tolist():
            reasons.setdefault(row, reason)
    return (out, offsets, status == walker.GOOD), reasons


def text_paths(row: Mapping[str, Any]) -> Iterator[str]:
    """The paths of the strings in a row; an object of many fields is named as a whole."""
    for name, value in row.items():
        yield from _paths_in(value, (name,))


def _paths_in(value: Any, steps: tuple[str | None, ...]) -> Iterator[str]:
    if isinstance(value, str):
        yield str(FieldPath(steps))
    elif isinstance(value, list):
        for each in value:
            yield from _paths_in(each, (*steps, EACH))
    elif isinstance(value, dict) and len(value) > KEYS:
        yield str(FieldPath(steps))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths_in(inner, (*steps, name))
