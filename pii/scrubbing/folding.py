"""A text without what spellings of a value differ in, and the way back.

What differs between spellings is separators, letter case, full-width forms, the escapes of URLs,
HTML and JSON, and `(at)` for a sign.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from string import ascii_letters
from typing import cast

import numpy as np
from numpy.typing import NDArray

from unrote.pii.catalogue import NAME_TYPES
from unrote.pii.config import SECRET
from unrote.pii.findings import MARKER_TYPES
from unrote.pii.scrubbing.runs import (
    BREAK,
    CHANGED,
    LINE_BREAK,
    OTHER,
    SEPARATOR,
    SOLID,
    UNKNOWN,
    folded_runs,
    runs_beginning,
)

Codes = NDArray[np.uint32]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

SHORTEST = 6
"""Letters and digits of the shortest value that is looked for again."""

WIDEST = 6
"""Characters of the widest gap within a value: what is wider stands between columns of a table."""

SHORTEST_SECRET = 16
"""The same of a secret: a shorter one may be any word of the text."""

OTHERS_HAVE = frozenset(
    {*NAME_TYPES, "NRP", "ADDRESS", "DATE_TIME", "DATE_OF_BIRTH", "AGE", "URL"}
) | frozenset(MARKER_TYPES)
"""Types of values that say nothing by themselves: another place may mean somebody else."""

_ESCAPE = re.compile(
    r"%([2-7][0-9A-Fa-f])|\\u(00[2-7][0-9A-Fa-f])|\\x([2-7][0-9A-Fa-f])"
    r"|(&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,31});)"
)
_SIGN = re.compile(r"[(\[{<] ?(?i:(at)|dot) ?[)\]}>] ?")
"""A sign in words; a space before it belongs to it."""
_BEGINNINGS = (("%", "234567"), ("\\", "ux"), ("&", f"#{ascii_letters}"), ("([{<", " aAdD"))
"""The first two characters of an escape, and of a sign in words."""
_PLAIN = re.compile(rf"(?!.*[._@+-]{{{WIDEST + 1}}})[A-Za-z0-9._@+-]+")
"""No escape, no letter that becomes another, and no wide gap."""
_UNSEEN = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
RUN = re.compile(r"[^\W_]+")
_SEPARATORS = re.compile(r"[ \t.\-\u2010-\u2015\u2212\u00b7]+")


class Folded:
    """A text without what spellings differ in, and the way back.

    core: its runs of letters and digits in lower case, and of what stands between two runs what is
    no separator. Run i is core[starts[i]:ends[i]], and text[sources[i][0]:sources[i][1]].
    """

    _codes: Codes
    _starts: Ints
    _ends: Ints
    _sources: Ints

    def __init__(self, text: str) -> None:
        if not self._in_one_pass(_codes_of(text)):
            self._in_steps(text)

    @cached_property
    def core(self) -> str:
        return _text_of(self._codes)

    def _in_one_pass(self, codes: Codes) -> bool:
        """Fold a text in which every code point becomes one; whether it is such."""
        core, runs = np.empty_like(codes), np.empty((len(codes), 4), dtype=np.int64)
        tables = (_letters.folded, _letters.whole, _letters.classes, _letters.known)
        count, size = folded_runs(codes, *tables, WIDEST, core, runs)
        if count == UNKNOWN:
            _letters.meet(codes)
            count, size = folded_runs(codes, *tables, WIDEST, core, runs)
        if count == CHANGED:
            return False
        self._codes = core[:size]
        self._starts, self._ends = runs[:count, 0].copy(), runs[:count, 1].copy()
        self._sources = runs[:count, 2:]
        return True

    def _in_steps(self, text: str) -> None:
        folded, pieces = _folded(text)
        classes = _letters.classes[folded]
        run = np.zeros(len(folded) + 2, dtype=np.int8)
        run[1:-1] = classes == SOLID
        edges = np.diff(run)
        begins, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        wide = begins[1:] - stops[:-1] > WIDEST
        folded[stops[:-1][wide]] = LINE_BREAK
        kept = _kept(_letters.classes[folded], begins, stops)
        size = np.cumsum(kept, dtype=np.int64)
        self._codes = folded[kept]
        self._starts, self._ends = size[begins] - 1, size[stops - 1]
        self._sources = pieces.sources(begins, stops)

    def source(self, first: int, last: int) -> list[tuple[int, int]]:
        """Where the runs from `first` to `last` stand in the text."""
        return [(int(a), int(b)) for a, b in self._sources[first : last + 1]]

    def alone(self) -> str:
        """The core of the text from its first run to its last, with a plus sign before it."""
        if not len(self._starts):
            return ""
        first = int(self._starts[0])
        return self.core[first - self.core.startswith("+", max(0, first - 1), first) :]

    def occurrences(self, cores: Iterable[str]) -> Iterator[tuple[str, int, int]]:
        """Each place where one of `cores` stands alone: it, and its first and last run."""
        by_head: dict[str, list[str]] = {}
        for core in cores:
            by_head.setdefault(core.removeprefix("+")[:SHORTEST], []).append(core)
        for number in self._runs_beginning(by_head):
            start = int(self._starts[number])
            for core in by_head.get(self.core[start : start + SHORTEST], ()):
                signed = core.startswith("+")
                found = self.alone_at(number, len(core) - signed, signed)
                if found is not None and found[0] == core:
                    yield core, number, found[1]

    def heads(self) -> list[str]:
        """The first characters of the core from each run on: SHORTEST, or at its end fewer."""
        return [self.core[start : start + SHORTEST] for start in self._starts.tolist()]

    def alone_at(self, number: int, length: int, signed: bool) -> tuple[str, int] | None:
        """So many characters of the core from run `number` on, with a sign before them if they are
        `signed`, and their last run; None where they do not stand alone.
        """
        first = int(self._starts[number])
        start, end = first - signed, first + length
        last = int(np.searchsorted(self._ends, end))
        if start < 0 or last == len(self._ends) or self._ends[last] != end:
            return None
        return None if self._goes_on(start, end) else (self.core[start:end], last)

    def _runs_beginning(self, heads: Iterable[str]) -> list[int]:
        """The runs that may begin with one of `heads`, by number."""
        wanted = np.sort(np.array([_codes_of(head) for head in heads]) @ _MIX)
        found = np.empty(len(self._starts), dtype=np.int64)
        count = runs_beginning(self._codes, self._starts, _MIX, wanted, found)
        return cast("list[int]", found[:count].tolist())

    def _goes_on(self, start: int, end: int) -> bool:
        """Whether core[start:end] begins or ends within a number."""
        before, behind = self.core[max(0, start - 1) : start + 1], self.core[end - 1 : end + 1]
        return any(len(pair) == 2 and pair.isdigit() for pair in (before, behind))


_MIX = np.array([3 ** (11 * i) % 2**32 for i in range(SHORTEST)], dtype=np.uint32)
"""Factors by which the first characters of runs are told apart, modulo 2³²."""


def _kept(classes: Bytes, begins: Ints, stops: Ints) -> Bools:
    """What of a folded text its core has: of what stands between two runs no separators, and only
    the line break where there is one; nothing behind the last run.
    """
    kept: Bools = (classes == SOLID) | (classes == OTHER)
    kept[stops[-1] if len(stops) else 0 :] = False
    breaks = np.flatnonzero(classes == BREAK)
    gaps = np.searchsorted(begins, breaks)
    gaps, firsts = np.unique(gaps[gaps < len(begins)], return_index=True)
    within = np.zeros(len(classes) + 1, dtype=np.int64)
    within[np.concatenate([[0], stops])[gaps]] += 1
    within[begins[gaps]] -= 1
    kept &= np.cumsum(within[:-1]) == 0
    kept[breaks[firsts]] = True
    return kept


_CODES = 0x110000


class _Letters:
    """What becomes of each code point, looked up in arrays: filled as code points are met.

    folded: the one code point that it becomes. whole: whether it becomes another number of them.
    classes: whether one of a folded text is a letter or digit, a separator or a line break. known:
    whether it was met.
    """

    def __init__(self) -> None:
        self.folded = np.arange(_CODES, dtype=np.uint32)
        self.whole = np.zeros(_CODES, dtype=np.bool_)
        self.classes = np.zeros(_CODES, dtype=np.uint8)
        self.known = np.zeros(_CODES, dtype=np.bool_)

    def meet(self, codes: Codes) -> None:
        """Know these code points, and what they become."""
        for code in np.unique(codes[~self.known[codes]]).tolist():
            new = _plain_letter(chr(code))
            self.whole[code] = len(new) != 1
            if len(new) == 1:
                self.folded[code] = ord(new)
            for char in {chr(code), *new}:
                self.classes[ord(char)] = _class_of(char)
            self.known[code] = True


_letters = _Letters()


def _class_of(char: str) -> int:
    if char.isalnum():
        return SOLID
    return BREAK if char == "\n" else SEPARATOR if _SEPARATORS.fullmatch(char) else OTHER


@dataclass(frozen=True)
class _Pieces:
    """Where the characters of a folded text come from: from pieces copied, or changed whole.

    Piece i begins at at[i] of the folded text and comes from firsts[i] to lasts[i] of the text.
    """

    at: Ints
    firsts: Ints
    lasts: Ints
    copied: Bools

    def sources(self, begins: Ints, stops: Ints) -> Ints:
        """Of spans of the folded text those of the text: int64[n, 2]."""
        piece = np.searchsorted(self.at, begins, "right") - 1
        first = self.firsts[piece] + (begins - self.at[piece]) * self.copied[piece]
        piece = np.searchsorted(self.at, stops - 1, "right") - 1
        within = self.firsts[piece] + stops - self.at[piece]
        return np.stack([first, np.where(self.copied[piece], within, self.lasts[piece])], axis=1)


def _folded(text: str) -> tuple[Codes, _Pieces]:
    codes = _codes_of(text)
    _letters.meet(codes)
    parts: list[Codes] = []
    rows: list[tuple[int, int, int, bool]] = []
    size = at = 0
    copied = _letters.folded[codes]
    for start, end, new in _changed_whole(text, codes):
        for part, low, high, copy in (
            (copied[at:start], at, start, True),
            (_codes_of(new), start, end, False),
        ):
            if len(part):
                rows.append((size, low, high, copy))
                parts.append(part)
                size += len(part)
        at = end
    rows.append((size, at, len(text), True))
    table = np.array(rows, dtype=np.int64)
    pieces = _Pieces(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(np.bool_))
    folded = np.concatenate([*parts, copied[at:]])
    _letters.meet(folded)
    return folded, pieces


def folded_size(text: str) -> int:
    """The characters of a text, folded."""
    return len(_folded(text)[0])


def _changed_whole(text: str, codes: Codes) -> Iterator[tuple[int, int, str]]:
    """What does not become one code point for one: its span, and what it becomes."""
    spans = [
        (at, at + 1, _plain_letter(text[at]))
        for at in np.flatnonzero(_letters.whole[codes]).tolist()
    ]
    spans += _escapes(text, codes)
    return iter(sorted(spans))


def _escapes(text: str, codes: Codes) -> Iterator[tuple[int, int, str]]:
    """Escapes and signs in words: looked for where two characters say that one may begin, since an
    expression that is tried everywhere takes as long as all else here.
    """
    low = codes < _ASCII
    starts = np.flatnonzero(low[:-1] & low[1:])
    end = 0
    for start in starts[_may_begin[codes[starts], codes[starts + 1]]].tolist():
        match = _ESCAPE.match(text, start) or _SIGN.match(text, start)
        if match is None or start < end:
            continue
        is_escape = match.re is _ESCAPE
        start -= not is_escape and start > end and text[start - 1] == " "
        end = match.end()
        yield start, end, _plain(match) if is_escape else "@" if match[1] else "."


_ASCII = 128
_may_begin = np.zeros((_ASCII, _ASCII), dtype=np.bool_)
for _first, _second in _BEGINNINGS:
    for _pair in product(map(ord, _first), map(ord, _second)):
        _may_begin[_pair] = True


def _codes_of(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _text_of(codes: Codes) -> str:
    return codes.tobytes().decode("utf-32-le")


def _plain(match: re.Match[str]) -> str:
    """What an escape stands for, folded."""
    code = match[1] or match[2] or match[3]
    return _plain_letter(chr(int(code, 16)) if code else html.unescape(match[4]))


def _plain_letter(char: str) -> str:
    return "" if char in _UNSEEN else unicodedata.normalize("NFKC", char).casefold()


@lru_cache(maxsize=1 << 12)
def core_of(value: str) -> str:
    """`Folded.alone` of a value, which is quick for most."""
    if not _PLAIN.fullmatch(value):
        return Folded(value).alone()
    kept = value.lower().replace(".", "").replace("-", "").rstrip("@_+")
    solid = kept.lstrip("@_+")
    return f"+{solid}" if solid and kept[: -len(solid)].endswith("+") else solid


def telling_core(value: str, type_: str) -> str:
    """`core_of` a value of a type, if the same in another place of its document is the same value;
    else "".
    """
    if type_ in OTHERS_HAVE:
        return ""
    core = core_of(value)
    solid = sum(map(str.isalnum, core))
    if type_ != SECRET:
        return core if solid >= SHORTEST else ""
    mixed = any(map(str.isdigit, core)) and not core.isdigit()
    return core if solid >= SHORTEST_SECRET and mixed else ""
