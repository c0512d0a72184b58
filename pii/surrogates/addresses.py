"""Surrogates of street addresses: each word that is a name is blended as a town's is; numbers and
letters of postal codes are drawn; types of streets, particles, units and states stay.

The name of a street that is one word with its type keeps the type ("Hauptstraße"). An address
without a name, such as a post box, is recognised by its first number, which then has seven digits.
"""

import re

from unrote.pii.address_words import endings, kept_words
from unrote.pii.keys import Key
from unrote.pii.surrogates.codes import PATTERN, UPPER
from unrote.pii.surrogates.family import Family
from unrote.pii.surrogates.names import cased, latin, numbered, towns

_TOKEN = re.compile(
    r"\d+(?:st|nd|rd|th)\b|\d+(?:-\d{4}\b)?|[^\W\d_]+(?:['’][^\W\d_]{2,})?", re.IGNORECASE
)
_ORDINAL = re.compile(r"\d+[a-z]", re.IGNORECASE)


def _is_latin(value: str) -> bool:
    return latin(value.replace("º", "").replace("ª", ""))


def _names(value: str) -> list[re.Match[str]]:
    """The words of a value that are names, and numbers of streets (5th)."""
    return [
        match
        for match in _TOKEN.finditer(value)
        if _ORDINAL.match(match[0])
        or (len(match[0]) > 2 and match[0][0].isalpha() and match[0].lower() not in kept_words())
    ]


def _name_and_type(word: str) -> tuple[str, str]:
    """The name of a street that is one word with its type, and the type: Haupt, straße."""
    lower = word.lower()
    for ending in endings():
        if lower.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)], word[-len(ending) :]
    return word, ""


def _draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    if not _is_latin(value):
        return None
    out, at, names = [], 0, {match.start() for match in _names(value)}
    checked = not names
    if checked and not any(map(str.isdigit, value)):
        return None
    for number, match in enumerate(_TOKEN.finditer(value)):
        word = match[0]
        if match.start() in names:
            name, type_ = _name_and_type(word)
            new = cased(towns().drawn(key, seed, attempt, number), name) + type_
        elif word[0].isdigit() and checked:
            new, checked = PATTERN.draw(key, word, seed, attempt) or word, False
        elif word[0].isdigit():
            new = numbered(key, match, seed, attempt)
        elif word.lower() in kept_words() or not word.isupper():
            new = word
        else:  # of a postal code, or an initial
            new = "".join(
                UPPER[key.number(26, "letter", seed, attempt, number, n)] for n in range(len(word))
            )
        out += [value[at : match.start()], new]
        at = match.end()
    return "".join([*out, value[at:]])


def _recognizes(key: Key, value: str) -> bool:
    if not _is_latin(value):
        return False
    names = _names(value)
    if names:
        return all(towns().recognizes(key, _name_and_type(match[0])[0]) for match in names)
    first = next((match[0] for match in _TOKEN.finditer(value) if match[0][0].isdigit()), "")
    return bool(first) and PATTERN.recognizes(key, first)


ADDRESS = Family("address", _draw, _recognizes, bool)
