"""Why a line is no JSON: where, the cause, and what to do; for people, so without hurry."""

import json

import numpy as np

from unrote.corpus.rows import NOT_UTF8
from unrote.corpus.text import BOM

NOT_JSON = "not JSON"

FIELDS_SHOWN = 10
"""Fields that are named of a row that has not the one that is looked for."""


def lines_in(data: np.ndarray) -> int:
    """How many line breaks are in `data` (uint8)."""
    return int(np.count_nonzero(data == ord("\n")))


def explained(reason: str, stored: bytes, line: int, name: str) -> str:
    """`reason` with the line (from 1), whose bytes are `stored`, and what can be said besides.

    `name` is the field of the text.
    """
    if reason == NOT_UTF8:
        return not_utf8(stored, line)
    if reason == NOT_JSON:
        return not_json(stored, line)
    if reason == f"no field '{name}'":
        return no_field(stored, name, line)
    return f"{reason} (line {line})"


def not_utf8(stored: bytes, line: int) -> str:
    """The reason that line `line` (from 1) is rejected, whose bytes are not UTF-8."""
    try:
        stored.decode()
    except UnicodeDecodeError as error:
        column = len(stored[: error.start].decode()) + 1
        return f"invalid UTF-8 (line {line}, column {column}): store the file as UTF-8"
    raise ValueError("the line is UTF-8")


def not_json(stored: bytes, line: int) -> str:
    """The reason that line `line` (from 1) is rejected, which the scanner takes for no JSON."""
    text = stored.decode()
    column, cause = _cause(text)
    return f"{NOT_JSON} (line {line}, column {column}): {cause}"


def no_field(stored: bytes, name: str, line: int) -> str:
    """The reason that line `line` (from 1) is rejected, an object that has no field `name`."""
    names = [ascii(key[:40]) for key in json.loads(stored.decode())]
    more = f" and {len(names) - FIELDS_SHOWN} more" if len(names) > FIELDS_SHOWN else ""
    there = f"fields there: {', '.join(names[:FIELDS_SHOWN])}{more}" if names else "it has none"
    return f"no field '{name}' (line {line}); {there}. Set input.text to the one with the text"


def _cause(text: str) -> tuple[int, str]:
    """The column (from 1) and the cause."""
    if text.startswith(BOM.decode()):
        return 1, "a byte order mark within the file; join files without it"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos + 1, _named(text, error)
    except RecursionError:
        pass
    return 1, "arrays and objects nested deeper than 512; store them flatter"


def _named(text: str, error: json.JSONDecodeError) -> str:
    """What is wrong at the position of `error`, and what to do."""
    at = error.pos
    found, rest = text[at : at + 1], text[at + 1 :].lstrip()[:1]
    if not found:
        return "the line ends within a value: it is cut off, or a value goes over several lines"
    if found in ("}", "]") and text[:at].rstrip()[-1:] == ",":
        return f"a comma before '{found}'; leave it out"
    if error.msg.startswith("Illegal trailing comma"):  # from Python 3.13 on, at the comma
        return f"a comma before '{rest}'; leave it out"
    if found < " " or error.msg.startswith("Invalid control character"):
        code = f"{ord(found):04X}"
        return f"the raw control character U+{code}; JSON writes it as \\u{code.lower()}"
    of_message = next((told for start, told in _CAUSES if error.msg.startswith(start)), "")
    of_text = next((told for start, told in _PYTHON if text.startswith(start, at)), "")
    return of_text or of_message or f"{error.msg[:1].lower()}{error.msg[1:]}"


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
