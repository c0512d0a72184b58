"""Texts as stages compare them: in one normalization form of Unicode, with the way back.

Canonically equivalent texts ("é" as one code point, or as "e" and a combining accent) are the same
text (Unicode Standard Annex 15). Stages compare normalized texts; what a user is told of, and what
is edited, are ranges of the input's own text.

A *segment* is a code point that begins one, and all up to the next that does. A code point begins a
segment if the first one of its decomposition is a starter (combining class 0) that composes with
nothing before it. Segments are normalized independently of each other: that is what the way back is
made of, and an edit of whole segments never splits a composed character.

Most texts are in the form already. A kernel says of which this is certain: no combining classes out
of order, no code points that the form does not have, and no pairs that compose (the quick check of
UAX 15 and, where that says "maybe", the pair itself). Only the others are normalized.
"""

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.kernel import inlined, kernel, load64
from unrote.corpus.text import HIGHS, arrow_buffers

Form = Literal["nfc", "nfkc", "none"]

_CODE_POINTS = 0x110000
_CLASS = np.uint16(0xFF)  # the canonical combining class, in an entry of the table
_SECOND = np.uint16(1 << 8)  # composes with some code point before it
_ABSENT = np.uint16(1 << 9)  # the form does not have it
_COMPOSED = np.uint16(1 << 10)  # has a decomposition: a mark may have to stand inside it

_BLOCKS = ((0x80, 0x3400), (0xA000, 0xAC00), (0xF900, 0x20000), (0x2F800, 0x2FA20))
"""Code points outside of these are starters that compose with nothing before them, and have no
decomposition but that of Hangul syllables."""

_IGNORABLE = (
    (0x00AD, 0x00AE), (0x034F, 0x0350), (0x061C, 0x061D), (0x115F, 0x1161), (0x17B4, 0x17B6),
    (0x180B, 0x1810), (0x200B, 0x2010), (0x202A, 0x202F), (0x2060, 0x2070), (0x3164, 0x3165),
    (0xFE00, 0xFE10), (0xFEFF, 0xFF00), (0xFFA0, 0xFFA1), (0xFFF0, 0xFFF9), (0x1BCA0, 0x1BCA4),
    (0x1D173, 0x1D17B), (0xE0000, 0xE1000),
)  # fmt: skip
"""Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt)."""

_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


@dataclass(frozen=True)
class Normalization:
    """What does not count as a difference between texts, to any stage.

    form: "nfc" for canonical equivalence, "nfkc" for compatibility forms too (full-width letters,
    ligatures), "none" for neither. drop_ignorable: code points that Unicode calls default ignorable
    (soft hyphens, zero-width spaces and joiners, byte order marks) are left out. unescape_html:
    character references of HTML ("&amp;") are what they stand for.

    Raises ValueError if `form` is not allowed.
    """

    form: Form = "nfc"
    drop_ignorable: bool = False
    unescape_html: bool = False

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            allowed = ", ".join(get_args(Form))
            raise ValueError(f"form is {self.form!r}; it must be one of {allowed}")

    def may_change(self, texts: pa.Array) -> np.ndarray:
        """For each text of an Arrow array of strings whether it may be normalized to another: bool.

        False is certain; of those that are True few are in the form all the same.
        """
        data, offsets = arrow_buffers(texts)
        plain = data[offsets[0] : offsets[-1]]
        changed = np.zeros(len(texts), dtype=np.bool_)
        if (self.form != "none" or self.drop_ignorable) and plain.size and plain.max() > 0x7F:
            table, pairs = _properties(self.form, self.drop_ignorable)
            changed = ~_normalized(data, offsets, table, pairs)
        if self.unescape_html:
            changed |= pc.match_substring_regex(texts, _REFERENCE.pattern).to_numpy(False)
        return changed

    def texts(self, texts: pa.Array) -> pa.Array:
        """The normalized texts of an Arrow array of strings: itself where none is changed."""
        changed = self.may_change(texts)
        if not changed.any():
            return texts
        mask = pa.array(changed)
        new = [self.text(text) for text in texts.filter(mask).to_pylist()]
        return pc.replace_with_mask(texts, mask, pa.array(new, texts.type))

    def text(self, text: str) -> str:
        """The normalized text."""
        if self.unescape_html:
            text = _REFERENCE.sub(lambda match: html.unescape(match[0]), text)
        if self.drop_ignorable and not text.isascii():
            text = text.translate(_dropped())
        if self.form == "none" or text.isascii():
            return text
        return unicodedata.normalize("NFC" if self.form == "nfc" else "NFKC", text)


NFC = Normalization()
"""What stages do unless they are told otherwise."""


@cache
def _dropped() -> dict[int, None]:
    return {code: None for start, end in _IGNORABLE for code in range(start, end)}


@cache
def _properties(form: str, drop_ignorable: bool) -> tuple[np.ndarray, np.ndarray]:
    """What a form makes of code points: (table uint16[0x110000], pairs int64[k]).

    table: combining class and flags; pairs: first << 21 | second of those that compose, ascending.
    Hangul syllables, which are computed, are not among them.
    """
    table, pairs = np.zeros(_CODE_POINTS, dtype=np.uint16), []
    if form != "none":
        for code in (code for block in _BLOCKS for code in range(*block)):
            table[code] = _entry(form.upper(), chr(code))
            pair = _canonical_pair(chr(code))
            if pair is not None:
                pairs.append(pair[0] << 21 | pair[1])
        seconds = np.array(pairs, dtype=np.int64) & ((1 << 21) - 1)
        table[seconds] |= _SECOND
        table[0x1161:0x1176] |= _SECOND
        table[0x11A8:0x11C3] |= _SECOND
    if drop_ignorable:
        for start, end in _IGNORABLE:
            table[start:end] |= _ABSENT
    table.flags.writeable = False
    return table, np.array(sorted(pairs), dtype=np.int64)


def _entry(form: Any, character: str) -> int:
    """Of a code point in the table, without _SECOND."""
    flags = 0
    if not unicodedata.is_normalized(form, character):
        flags = int(_ABSENT)
    elif not unicodedata.is_normalized("NFD", character):
        flags = int(_COMPOSED)
    return unicodedata.combining(character) | flags


def _canonical_pair(character: str) -> tuple[int, int] | None:
    """The two code points that compose to this one, if there are such."""
    parts = unicodedata.decomposition(character).split()
    if len(parts) != 2 or parts[0].startswith("<"):
        return None
    first, second = (int(part, 16) for part in parts)
    composed = unicodedata.normalize("NFC", chr(first) + chr(second))
    return (first, second) if composed == character else None


@inlined
def _decoded(data: np.ndarray, at: Any) -> tuple[Any, Any]:
    """The code point above 127 at data[at] of valid UTF-8, and its length."""
    lead = np.int64(data[at])
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | (data[at + 1] & 0x3F), np.int64(2)
    middle = np.int64(data[at + 1] & 0x3F) << 6 | (data[at + 2] & 0x3F)
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | middle, np.int64(3)
    return (lead & 0x07) << 18 | middle << 6 | (data[at + 3] & 0x3F), np.int64(4)


@inlined
def _compose(first: Any, second: Any, pairs: np.ndarray) -> bool:
    """Whether two code points are one in composed text."""
    if 0x1161 <= second < 0x1176:
        return bool(0x1100 <= first < 0x1113)
    if 0x11A8 <= second < 0x11C3:
        return bool(0xAC00 <= first < 0xD7A4 and (first - 0xAC00) % 28 == 0)
    key = first << 21 | second
    at = np.searchsorted(pairs, key)
    return bool(at < pairs.size and pairs[at] == key)


@kernel
def _normalized(
    data: np.ndarray, offsets: np.ndarray, table: np.ndarray, pairs: np.ndarray
) -> np.ndarray:
    """For each text whether it is what it is normalized to: bool. Arguments of `_properties`."""
    good = np.ones(offsets.size - 1, dtype=np.bool_)
    for d in range(offsets.size - 1):
        at, end = offsets[d], offsets[d + 1]
        # The last starter, and the combining class of the last code point.
        starter, before = np.int64(0), np.int64(0)
        while at < end:
            if data[at] < 0x80:
                while at + 8 <= end and load64(data, at) & HIGHS == 0:
                    at += 8
                while at < end and data[at] < 0x80:
                    at += 1
                starter, before = np.int64(data[at - 1]), np.int64(0)
                continue
            code, size = _decoded(data, at)
            at += size
            entry = table[code]
            if entry == 0:
                starter, before = code, np.int64(0)
                continue
            own = np.int64(entry & _CLASS)
            if (
                entry & _ABSENT
                or (own and before > own)
                or (
                    entry & _SECOND
                    and (before == 0 or before < own)
                    and (table[starter] & _COMPOSED or _compose(starter, code, pairs))
                )
            ):
                good[d] = False
                break
            starter = starter if own else code
            before = own
    return good
