"""What counts in a text as its n-grams are compared: written again, from the documentation."""

import functools
import re
import sys
import unicodedata
from collections.abc import Sequence

from unrote.pipelines.verify.symbols import symbols_between

_WITHOUT_SPACES = (
    (0x0E00, 0x0E7F), (0x0E80, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),  # Burmese
    (0x1780, 0x17FF), (0x19E0, 0x19FF),  # Khmer
    (0x3040, 0x309F), (0x30A0, 0x30FF), (0x31F0, 0x31FF),  # Hiragana, Katakana
    (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F),
    (0x2E80, 0x2FDF), (0x3000, 0x303F), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),  # Han
    (0x20000, 0x323FF),
)  # fmt: skip


def tokens_of(text: str, unit: str) -> Sequence[str]:
    """Words and symbols of a text, in their order; or the code points of its runs of letters and
    numbers and of its symbols, joined by one space. Nothing where there is no word.
    """
    text = lower(text)
    found: list[str] = []
    end, last = 0, ""
    for run in re.finditer("[{A}{L}{M}]+".format_map(_classes()), text):
        words = words_of(run[0])
        found += symbols_between(_operand(last), text[end : run.start()], _operand(words[0]))
        found += [run[0]] if unit == "character" else words
        end, last = run.end(), words[-1]
    if found:
        found += symbols_between(_operand(last), text[end:], "")
    return " ".join(found) if unit == "character" else found


def grams_of(text: str, unit: str, n: int) -> set[tuple[str, ...]]:
    """The n-grams of a text, of which those that end with a word of one character in a script
    without spaces are of half as many, rounded up. The first begins where the text does; all of the
    text is one if none ends where it does.
    """
    found = tokens_of(text, unit)
    if unit == "character":
        widths = [n] * len(found)
    else:
        short, alone = (n + 1) // 2, re.compile("[{A}]".format_map(_classes()))
        widths = [short if alone.match(token) else n for token in found]
    ends = [at for at, width in enumerate(widths, 1) if at >= width]
    grams = {tuple(found[end - widths[end - 1] : end]) for end in ends[1:]}
    if ends:
        grams.add(tuple(found[max(0, ends[0] - n) : ends[0]]))
    if found and ends[-1:] != [len(found)]:
        grams.add(tuple(found))
    return grams


def words_of(text: str) -> list[str]:
    """Runs of letters, numbers, marks and underscores, by Unicode category; in scripts without
    spaces a character with the marks behind it.
    """
    return re.findall("[{A}][{M}]*|[{L}{M}]+".format_map(_classes()), lower(text))


def _operand(word: str) -> str:
    """The word; or one that is no operand in its place, where it is no digit and its script has no
    spaces.
    """
    alone = word and not word[0].isdigit() and _kind(ord(word[0])) == "A"
    return "no operand" if alone else word


def lower(text: str) -> str:
    """Each code point's lower case where that is one code point.

    str.lower looks at the neighbours of a capital sigma, and makes two of the dotted capital I.
    """
    return "İ".join(part.lower() for part in text.replace("Σ", "σ").split("İ"))


def _kind(code: int) -> str:
    category = unicodedata.category(chr(code))[0]
    if category == "M":
        return "M"
    if category not in "LN" and code != ord("_"):
        return ""
    return "A" if any(first <= code <= last for first, last in _WITHOUT_SPACES) else "L"


@functools.cache
def _classes() -> dict[str, str]:
    """The code points of each kind, as a regular expression has them between brackets."""
    found: dict[str, list[list[int]]] = {"A": [], "L": [], "M": [], "": []}
    before = None
    for code in range(sys.maxunicode + 1):
        kind = _kind(code)
        if kind == before:
            found[kind][-1][1] = code
        else:
            found[kind].append([code, code])
        before = kind
    return {
        kind: "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
        for kind, ranges in found.items()
    }
