"""What the kernels must say, written down in plain Python."""

import math
import re
import unicodedata
from functools import lru_cache

from tests.dedup.passages_reference import ALONE
from unrote.pipelines.verify.tokens import tokens_of


def lower(character: str) -> str:
    small = character.lower()
    return small if len(small) == 1 else character


def is_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LNM"


def runs(text: str) -> list[str]:
    masked = "".join(lower(c) if is_word(c) else " " for c in text)
    return [w for w in masked.split(" ") if w]


def words(text: str) -> list[str]:
    """Runs, of which characters of scripts without spaces are split off, with their marks."""
    found: list[str] = []
    for run in runs(text):
        alone = None  # whether the last word is such a character
        for c in run:
            mark = unicodedata.category(c)[0] == "M"
            letter = alone is False and not without_spaces(c)
            if letter or (mark and alone is not None):
                found[-1] += c
            else:
                found.append(c)
                alone = without_spaces(c) and not mark
    return found


def without_spaces(character: str) -> bool:
    return any(start <= ord(character) < end for start, end in ALONE)


def tokens(text: str, unit: str, symbols: bool = True) -> list[str]:
    """Words and symbols as the verifier has them, which shares nothing with the kernels."""
    if symbols:
        return list(tokens_of(text, unit))
    return words(text) if unit == "word" else list(" ".join(runs(text)))


def shingles(
    text: str, ngram: int = 5, unit: str = "word", symbols: bool = True
) -> list[tuple[str, ...]]:
    """In the order of the text; those that end with a character of a script without spaces are of
    half the tokens, but for the first.
    """
    found, listed = tokens(text, unit, symbols), []
    for end in range(1, len(found) + 1):
        half = unit == "word" and without_spaces(found[end - 1][0])
        half = half and unicodedata.category(found[end - 1][0])[0] in "LN"
        width = math.ceil(ngram / 2) if half else ngram
        if end >= width:
            begin = end - width if listed else max(0, end - ngram)
            listed.append(tuple(found[begin:end]))
        elif end == len(found):
            listed.append(tuple(found))
    return listed


@lru_cache(maxsize=1024)
def distinct_shingles(text: str, ngram: int, unit: str) -> frozenset[str]:
    return frozenset(shingles(text, ngram, unit))  # each text is compared with many


def jaccard(left: str, right: str, ngram: int = 5, unit: str = "word") -> float:
    a, b = distinct_shingles(left, ngram, unit), distinct_shingles(right, ngram, unit)
    return len(a & b) / max(len(a | b), 1)


def normalised(text: str, normalise: str) -> str:
    if normalise == "none":
        return text
    parts = re.split(r"(\s+)", text.strip())
    for i in range(1, len(parts), 2):
        leads = re.fullmatch(r"([*/%])\1?", parts[i + 1]) and set("\n\r") & set(parts[i])
        parts[i] = "\n" if leads else " "
    text = "".join(parts)
    return "".join(map(lower, text)) if normalise == "case" else text
