"""Texts as stages compare them: in one normalization form of Unicode, with the way back.

Canonically equivalent texts ("é" as one code point, or as "e" and a combining accent) are the same
text (Unicode Standard Annex 15). Stages compare normalized texts; what a user is told of, and what
is edited, are ranges of the input's own text.

A *segment* is a code point that begins one, and all up to the next that does. A code point begins a
segment if the first one of its decomposition is a starter (combining class 0) that composes with
nothing before it. Segments are normalized independently of each other: that is what the way back is
made of, and an edit of whole segments never splits a composed character.

Most texts are in the form already. A kernel says of which this is certain (corpus.quick_check);
only the others are normalized.
"""

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Form = Literal["nfc", "nfkc", "none"]

_IGNORABLE = (
    (0x00AD, 0x00AE), (0x034F, 0x0350), (0x061C, 0x061D), (0x115F, 0x1161), (0x17B4, 0x17B6),
    (0x180B, 0x1810), (0x200B, 0x2010), (0x202A, 0x202F), (0x2060, 0x2070), (0x3164, 0x3165),
    (0xFE00, 0xFE10), (0xFEFF, 0xFF00), (0xFFA0, 0xFFA1), (0xFFF0, 0xFFF9), (0x1BCA0, 0x1BCA4),
    (0x1D173, 0x1D17B), (0xE0000, 0xE1000),
)  # fmt: skip
"""Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt)."""

_FORMS: dict[str, Literal["NFC", "NFKC"]] = {"nfc": "NFC", "nfkc": "NFKC"}

_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


_BEYOND_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
"""What normalization may change: a code point of ASCII begins a segment."""


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

    def may_change(self, texts: "pa.Array") -> "np.ndarray":
        """For each text of an Arrow array of strings whether it may be normalized to another: bool.

        False is certain; of those that are True few are in the form all the same.
        """
        # Settings are read by programs that need neither numba nor Arrow.
        import numpy as np  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        from unrote.corpus.quick_check import normalized, properties  # noqa: PLC0415
        from unrote.corpus.text import arrow_buffers  # noqa: PLC0415

        data, offsets = arrow_buffers(texts)
        plain = data[offsets[0] : offsets[-1]]
        changed = np.zeros(len(texts), dtype=np.bool_)
        if (self.form != "none" or self.drop_ignorable) and plain.size and plain.max() > 0x7F:
            ignorable = _IGNORABLE if self.drop_ignorable else ()
            changed = ~normalized(data, offsets, *properties(self.form, ignorable))
        if self.unescape_html:
            changed |= pc.match_substring_regex(texts, _REFERENCE.pattern).to_numpy(False)
        return changed

    def texts(self, texts: "pa.Array") -> "pa.Array":
        """The normalized texts of an Arrow array of strings: itself where none is changed."""
        changed = self.may_change(texts)
        if not changed.any():
            return texts
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

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
        return unicodedata.normalize(_FORMS[self.form], text)

    def whole(self, text: str, start: int, end: int) -> tuple[int, int]:
        """The range text[start:end], widened to whole segments and references: what is found in the
        normalized text where it is normalized by itself.
        """
        if self.unescape_html:
            for match in _REFERENCE.finditer(text, max(0, start - 40), start + 40):
                start = match.start() if match.start() < start < match.end() else start
            for match in _REFERENCE.finditer(text, max(0, end - 40), end + 40):
                end = match.end() if match.start() < end < match.end() else end
        while 0 < start < len(text) and self._continues(text[start]):
            start -= 1
        while end < len(text) and self._continues(text[end]):
            end += 1
        return start, end

    def _continues(self, character: str) -> bool:
        """Whether no segment begins with a code point of the text."""
        if character <= "\x7f" or self.form == "none":
            return False
        dropped = self.drop_ignorable and ord(character) in _dropped()
        return dropped or not _begins_segment(self.form)[character]

    def aligned(self, text: str) -> tuple[str, list[int], list[int]]:
        """The normalized text, and where it comes from: code point i of it from
        text[starts[i]:ends[i]].

        Both ascend. All of a segment that normalization changes comes from all of the segment, what
        it leaves as it was from itself; what is dropped at the edge of a segment from nothing.
        """
        characters, starts, ends = self._characters(text)
        if self.form == "none":
            return characters, starts, ends
        form, begins = _FORMS[self.form], _begins_segment(self.form)
        parts: list[str] = []
        first: list[int] = []
        last: list[int] = []
        at = 0

        def copy(end: int) -> None:
            parts.append(characters[at:end])
            first.extend(starts[at:end])
            last.extend(ends[at:end])

        for match in _BEYOND_ASCII.finditer(characters):
            low, high = match.span()
            bounds = [i for i in range(low, high) if i == low or begins[characters[i]]]
            for a, b in pairwise([*bounds, high]):
                part = characters[a:b]
                new = unicodedata.normalize(form, part)
                if new != part:
                    copy(a)
                    parts.append(new)
                    first += [starts[a]] * len(new)
                    last += [ends[b - 1]] * len(new)
                    at = b
        copy(len(characters))
        return "".join(parts), first, last

    def changes(self, text: str) -> list[tuple[int, int, int]]:
        """The segments that are changed: where each begins and ends, and the length of what it is
        changed to. Only of what `form` does: without references and ignorable code points.
        """
        found: list[tuple[int, int, int]] = []
        if self.form == "none":
            return found
        end = -1
        for line in text.split("\n"):  # most lines of most texts are in the form
            begin, end = end, end + 1 + len(line)
            if not unicodedata.is_normalized(_FORMS[self.form], line):
                # A mark that a line begins with stands on the line break.
                for match in _BEYOND_ASCII.finditer(text, max(begin, 0), end):
                    if changes := _changes(self.form, match[0]):
                        at = match.start()
                        found += [(at + a, at + b, length) for a, b, length in changes]
        return found

    def _characters(self, text: str) -> tuple[str, list[int], list[int]]:
        """`aligned` without the form: references resolved, ignorable code points left out."""
        if not self.unescape_html and not self.drop_ignorable:
            return text, [*range(len(text))], [*range(1, len(text) + 1)]
        parts: list[tuple[str, int, int]] = []
        at = 0
        for match in _REFERENCE.finditer(text) if self.unescape_html else ():
            parts += ((text[i], i, i + 1) for i in range(at, match.start()))
            parts += ((c, *match.span()) for c in html.unescape(match[0]))
            at = match.end()
        parts += ((text[i], i, i + 1) for i in range(at, len(text)))
        if self.drop_ignorable:
            parts = [part for part in parts if ord(part[0]) not in _dropped()]
        return "".join(p[0] for p in parts), [p[1] for p in parts], [p[2] for p in parts]


NFC = Normalization()
"""What stages do unless they are told otherwise."""


@cache
def _dropped() -> dict[int, None]:
    return {code: None for start, end in _IGNORABLE for code in range(start, end)}


class _Begins(dict[str, bool]):
    """By code point: whether it begins a segment. Filled as code points are met."""

    def __init__(self, decomposed: Literal["NFD", "NFKD"]) -> None:
        from unrote.corpus.quick_check import seconds  # noqa: PLC0415

        super().__init__()
        self._decomposed: Literal["NFD", "NFKD"] = decomposed
        self._seconds = seconds()

    def __missing__(self, character: str) -> bool:
        first = unicodedata.normalize(self._decomposed, character)[0]
        begins = not unicodedata.combining(first) and ord(first) not in self._seconds
        self[character] = begins
        return begins


@cache
def _begins_segment(form: str) -> _Begins:
    return _Begins("NFD" if form == "nfc" else "NFKD")


@lru_cache(maxsize=1 << 12)
def _changes(form: str, text: str) -> list[tuple[int, int, int]]:
    """As `Normalization.changes`, for a match of `_BEYOND_ASCII`; most of them are met often."""
    if unicodedata.is_normalized(_FORMS[form], text):
        return []
    begins, found = _begins_segment(form), []
    bounds = [i for i, character in enumerate(text) if i == 0 or begins[character]]
    for a, b in pairwise([*bounds, len(text)]):
        new = unicodedata.normalize(_FORMS[form], part := text[a:b])
        if new != part:
            found.append((a, b, len(new)))
    return found
