"""Why a line is no JSON: where, the cause, and what to do; for people, so without hurry."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from unrote.corpus.formats.json_values import NOTHING_THERE, text_paths
from unrote.corpus.rows import LONGER, NOT_UTF8
from unrote.corpus.text import BOM

NOT_JSON = "not JSON"

FIELDS_SHOWN = 10
"""Fields that are named of a row that has not the one that is looked for."""


def lines_in(data: np.ndarray) -> int:
    """How many line breaks are in `data` (uint8)."""
    return int(np.count_nonzero(data == ord("\n")))


def explained(
    reason: str, stored: bytes, line: int, name: str, column: int | None = 1, array: bool = False
) -> str:
    """`reason` with the line (from 1) of the row `stored`, and what can be said besides.

    `name` is the field of the text. `column` is that of the row's first character, None if nobody
    knows; `array` says that the row stands in an array.
    """
    if reason == NOT_UTF8:
        return not_utf8(stored, line, column)
    if reason == NOT_JSON:
        return not_json(stored, line, column, array)
    white = stored[: len(stored) - len(stored.lstrip())]
    line += white.count(b"\n")
    if reason == f"no field '{name}'":
        return no_field(stored, name, line)
    if reason.startswith(NOTHING_THERE):
        return no_path(stored, reason, line)
    if LONGER in reason:
        cause, colon, remedy = reason.partition(": ")
        return f"{cause} (line {line}){colon}{remedy}"
    return f"{reason} (line {line})"


def not_utf8(stored: bytes, line: int, column: int | None = 1) -> str:
    """The reason that the row from line `line` (from 1) on is rejected, which is not UTF-8."""
    try:
        stored.decode()
    except UnicodeDecodeError as error:
        where = _position(stored[: error.start].decode(), line, column)
        return f"invalid UTF-8 ({where}): store the file as UTF-8"
    raise ValueError("the line is UTF-8")


def not_json(stored: bytes, line: int, column: int | None = 1, array: bool = False) -> str:
    """The reason that the row from line `line` (from 1) on is rejected, which is no JSON."""
    text = stored.decode()
    at, cause = _cause(text, array)
    return f"{NOT_JSON} ({_position(text[:at], line, column)}): {cause}"


def _position(before: str, line: int, column: int | None) -> str:
    """Where one is behind `before`, which begins at `line` and `column`."""
    earlier, newline, last = before.rpartition("\n")
    line += earlier.count("\n") + len(newline)
    column = 1 if newline else column
    return f"line {line}" if column is None else f"line {line}, column {column + len(last)}"


def no_field(stored: bytes, name: str, line: int) -> str:
    """The reason that line `line` (from 1) is rejected, an object that has no field `name`."""
    there = _listed(_parsed(stored.decode()), "fields")
    return f"no field '{name}' (line {line}); {there}. Set input.text to the one with the text"


def no_path(stored: bytes, reason: str, line: int) -> str:
    """`reason` of line `line` (from 1), an object in which the paths lead to no string."""
    there = _listed(dict.fromkeys(text_paths(_parsed(stored.decode()))), "paths to strings")
    return f"{reason} (line {line}); {there}. Set input.text to those of the text"


def _parsed(text: str) -> Any:
    """The value; numbers stay text, since Python makes none of more than 4,300 digits."""
    return json.loads(text, parse_int=str)


def _listed(names: Iterable[str], what: str) -> str:
    shown = [ascii(name[:40]) for name in names]
    more = f" and {len(shown) - FIELDS_SHOWN} more" if len(shown) > FIELDS_SHOWN else ""
    return f"{what} there: {', '.join(shown[:FIELDS_SHOWN])}{more}" if shown else f"no {what} there"


def _cause(text: str, array: bool) -> tuple[int, str]:
    """At which character, and the cause."""
    if text.startswith(BOM.decode()):
        return 0, "a byte order mark within the file; join files without it"
    if array and text.lstrip(_SPACE)[:1] in (",", "]"):
        at = len(text) - len(text.lstrip(_SPACE))
        return at, f"a comma and then '{text[at]}', with no value between; leave the comma out"
    try:
        _parsed(text)
    except json.JSONDecodeError as error:
        return error.pos, _named(text, error, array)
    except RecursionError:
        pass
    return 0, "arrays and objects nested deeper than 512; store them flatter"


_SPACE = " \t\r\n"


def _named(text: str, error: json.JSONDecodeError, array: bool) -> str:
    """What is wrong at the position of `error`, and what to do."""
    at = error.pos
    found, rest = text[at : at + 1], text[at + 1 :].lstrip()[:1]
    if not found:
        return _ENDS_IN_ARRAY if array else _ENDS
    if found in ("}", "]") and text[:at].rstrip()[-1:] == ",":
        return f"a comma before '{found}'; leave it out"
    if error.msg.startswith("Illegal trailing comma"):  # from Python 3.13 on, at the comma
        return f"a comma before '{rest}'; leave it out"
    if found < " " or error.msg.startswith("Invalid control character"):
        code = f"{ord(found):04X}"
        return f"the raw control character U+{code}; JSON writes it as \\u{code.lower()}"
    causes = (*_CAUSES_IN_ARRAY, *_CAUSES) if array else _CAUSES
    of_message = next((told for start, told in causes if error.msg.startswith(start)), "")
    of_text = next((told for start, told in _PYTHON if text.startswith(start, at)), "")
    return of_text or of_message or f"{error.msg[:1].lower()}{error.msg[1:]}"


_ENDS = "the line ends within a value: it is cut off, or a value goes over several lines"
_ENDS_IN_ARRAY = "the value does not end: a bracket or a value is missing"

_PYTHON = (
    ("'", "single quotes, as Python shows a dict; write the file with json.dumps"),
    *(
        (word, f"{word}, as Python shows it; write the file with json.dumps")
        for word in ("True", "False", "None")
    ),
)

_CAUSES = (
    ("Extra data", "another value follows on the line; put each on its own: jq -c . FILE"),
    (
        "Unterminated string",
        "a string that does not end on its line: the line is cut off, or a line break in the "
        "string is not written as \\n",
    ),
    ("Invalid \\", "a backslash before what it cannot escape; write it as \\\\"),
    ("Expecting ',' delimiter", 'a comma is missing, or a quote in a string is not written as \\"'),
    (
        "Expecting property name",
        "the name of a field is expected here; the line may be part of pretty-printed JSON: make "
        "one line of each object with jq -c . FILE",
    ),
    (
        "Expecting value",
        "a value is expected here; the line may be part of pretty-printed JSON: make one line of "
        "each object with jq -c . FILE",
    ),
)

_CAUSES_IN_ARRAY = (
    (
        "Extra data",
        "a comma is missing between two values (white space, where they are in no array), or a "
        "bracket is closed too often",
    ),
    ("Unterminated string", "a string that does not end"),
    ("Expecting property name", "the name of a field is expected here"),
    ("Expecting value", "a value is expected here"),
)
"""The same of values that may go over several lines."""
