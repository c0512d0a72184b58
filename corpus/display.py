"""Text made safe to show: on a terminal, in a page, in a log or a message.

Names and texts come from a corpus, so from strangers. Characters that steer a terminal, turn the
order of writing around, hide, or have no agreed look are written as escapes, as Python writes them
in a string. Everything that shows a name or text goes through here; what rich, HTML and JSON take
for markup is another matter, which their own ways of quoting see to.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

NAME = 200
"""Characters of a name that are shown."""

LINE = 4000
"""Characters of a message that are shown."""

_STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control characters, format characters (bidirectional controls, zero width), lone surrogates,
private use, line and paragraph separators. Unassigned ones are left: newer emoji are among them."""

_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")
"""Letters and marks that are blank: a name that has one looks like another."""

_JOINERS = "\u200c\u200d"
"""Emoji and many scripts need them, so that they stay in a text; in a name they are escaped."""


def line(text: object, limit: int = LINE) -> str:
    """`text` on one line, nothing in it that steers; what is too long lacks its middle."""
    return shortened(_escaped(str(text), _visible), limit)


def name(text: object) -> str:
    """What a stranger chose to call something, as `line`, at most NAME characters."""
    return line(text, NAME)


def body(text: str) -> str:
    """Text of a document over several lines: its line breaks and tabs stay."""
    return _escaped(text, _visible_in_body)


def flat(text: str) -> str:
    """Text of a document on one line, its line breaks made visible."""
    return body(text.replace("\n", "⏎").replace("\t", " "))


def excerpt(text: str, limit: int) -> str:
    """The beginning of a document's text on one line, runs of white space as one space."""
    shown = body(" ".join(text.split()))
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def shortened(text: str, limit: int) -> str:
    """Beginning and end of a text that is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    between = f" … {len(text) - limit:,} characters … "
    room = max(2, limit - len(between))
    return text[: (room + 1) // 2] + between + text[-(room // 2) :]


def json_text(text: str) -> str:
    """JSON with such characters as JSON's own escapes: the same JSON, safe on a terminal."""
    return _escaped(text, _visible_in_json)


def _escaped(text: str, visible: Callable[[str], str]) -> str:
    if text.isprintable() and not _BLANK.search(text):  # nearly always
        return text
    return "".join(map(visible, text))


def _steers(character: str) -> bool:
    code = ord(character)
    nothing = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # noncharacters
    return nothing or unicodedata.category(character) in _STEERING


@lru_cache(maxsize=4096)
def _visible(character: str) -> str:
    if _steers(character) or _BLANK.match(character):
        return character.encode("unicode_escape").decode()
    return character


@lru_cache(maxsize=4096)
def _visible_in_body(character: str) -> str:
    if character in "\n\t" or character in _JOINERS or not _steers(character):
        return character
    return character.encode("unicode_escape").decode()


@lru_cache(maxsize=4096)
def _visible_in_json(character: str) -> str:
    if character in "\n\r\t" or not (_steers(character) or _BLANK.match(character)):
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
