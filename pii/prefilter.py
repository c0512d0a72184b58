r"""The prefilter: which recogniser can match where. One Hyperscan pass over the bytes, before any
expression runs.

A document is read in *blocks*: whole lines, at least 512 bytes. An expression none of whose parts
can match a line break finds in a block what it finds there in the document: look-behind and
look-ahead, `\b`, `^` and `$` see at a line break what they see at the end of a string. So it runs
on those blocks for which Hyperscan reports it. Expressions that can cross a line break (they are
told apart by their parse tree, and any that cannot be parsed counts among them) get the document as
one block.

Hyperscan's PREFILTER mode reports a superset of what an expression matches. That it does so rests
on Hyperscan reading the expression as the `regex` package does, which holds for ASCII. Beyond, its
tables are older and narrower: it does not know marks and joiners as word characters, nor the
letters that equal an ASCII letter in another case. A prefilter need not read the
text itself, so a block with such characters is read as its *image*: such a letter as the ASCII
letter, any digit as "0", any other word character that no expression names as "é". In the image
both agree.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]  # no public parse tree
from threading import Lock
from typing import Any, NamedTuple

import regex

from unrote.pii.databases import Database, Expression, compile_into, open_databases

log = logging.getLogger(__name__)

sre: Any = _constants

BLOCK = 512
"""Bytes. Half as much costs Hyperscan more than it saves; twice as much runs expressions on more
text (benchmarks/pii_speed.py)."""

RECENT = 8192
"""Blocks of the last document that are known."""

LONGEST_COUNT = 12
"""To which probes count: beyond, there may only be more."""

_NEWLINE = 10
_SPANNING = (sre.CATEGORY_SPACE, sre.CATEGORY_NOT_DIGIT, sre.CATEGORY_NOT_WORD)


@dataclass(frozen=True)
class Probe:
    """An expression, and the number that fires where it can match.

    `beyond_ascii`: it fires in every block that is not ASCII.
    """

    number: int
    expression: str
    flags: int
    beyond_ascii: bool = False


class Block(NamedTuple):
    """Whole lines of a document, and the numbers of the probes that fired there.

    `start` is in code points of the document; `plain` says that the block is ASCII. `known` is for
    what else is known of the text: it is the same object wherever the text comes up again soon.
    """

    start: int
    text: str
    plain: bool
    fired: frozenset[int]
    known: dict[Any, Any]


class Prefilter:
    """The probes as Hyperscan databases: those for ASCII, and those for images of other text.

    Without hyperscan (it has wheels for Linux and macOS) every probe fires everywhere.
    """

    def __init__(self, probes: Sequence[Probe], use: bool = True) -> None:
        self.probes = tuple(
            replace(one, expression=without_long_counts(one.expression)) for one in probes
        )
        self.everything = frozenset(probe.number for probe in probes)
        self._beyond = frozenset(probe.number for probe in probes if probe.beyond_ascii)
        self._hyperscan = _import_hyperscan() if use and probes else None
        self._image = _Image(probe.expression for probe in probes)
        self._databases: dict[bool, list[Database]] = {}
        self._lock = Lock()  # of the databases' scratch space
        self._recent: dict[bytes, Block] = {}

    @property
    def works(self) -> bool:
        """Whether anything is filtered."""
        return self._hyperscan is not None

    def block(self, start: int, data: bytes, text: str | None = None) -> Block:
        """Read UTF-8 `data` as one block. `text` is what it decodes to, if that is known."""
        plain = data.isascii()
        if text is None:
            text = data.decode()
        if not self.works:
            return Block(start, text, plain, self.everything, {})
        if not plain:
            data = self._image.of(text, data)
        fired = self._scan(plain, data)
        return Block(start, text, plain, fired if plain else fired | self._beyond, {})

    def blocks(self, data: bytes) -> Iterator[Block]:
        """The blocks of a document (UTF-8) in which a probe fired, in order.

        Blocks of the document before this one are known. A text that is scanned again after it was
        edited has most of them.
        """
        if not self.probes:
            return
        before, self._recent = self._recent, {}
        size, start, chars = len(data), 0, 0
        while start < size:
            end = data.find(b"\n", start + BLOCK) + 1 or size
            part = data[start:end]
            start = end
            block = before.get(part) or self.block(0, part)
            if len(self._recent) < RECENT:
                self._recent[part] = block
            if block.fired:
                yield Block(chars, *block[1:])
            chars += len(block.text)

    def _scan(self, plain: bool, data: bytes) -> frozenset[int]:
        numbers: set[int] = set()
        with self._lock:
            if plain not in self._databases:
                expressions = self._expressions(plain)
                self._databases[plain] = open_databases(self._hyperscan, expressions)
            for one in self._databases[plain]:
                fired: list[int] = []
                one.database.scan(data, _note, context=fired, scratch=one.scratch)
                for index in fired:
                    numbers.update(one.numbers[index])
        return frozenset(self.probes[number].number for number in numbers)

    def keep(self, folder: Path) -> list[str]:
        """Have the databases in a folder, compiled. Returns their names there. Raises OSError."""
        if not self.works:
            return []
        made_of = (self._expressions(plain) for plain in (True, False))
        return [compile_into(folder, self._hyperscan, one) for one in made_of]

    def _expressions(self, plain: bool) -> list[Expression]:
        return [
            Expression(one.expression.encode(), _flags(self._hyperscan, one.flags, plain))
            for one in self.probes
        ]


def unreadable(expression: str, flags: int) -> str:
    """Why Hyperscan cannot read an expression; "" if it can, or is not installed."""
    try:
        import hyperscan  # noqa: PLC0415 (optional)
    except ImportError:
        return ""
    expression = without_long_counts(expression)
    for plain in (True, False):
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        try:
            chosen = [_flags(hyperscan, flags, plain)]
            database.compile(expressions=[expression.encode()], ids=[0], elements=1, flags=chosen)
        except hyperscan.error as error:
            return str(error)
    return ""


_count = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_no_count = re.compile(r"\\\{\d|\[[^\]]*\{\d")
"""A brace before a digit that begins no count."""


def without_long_counts(expression: str) -> str:
    """An expression that matches wherever this does and counts to LONGEST_COUNT at most.

    Longer counts make a database large, and its pass over a long run of digits quadratic: one
    expression for 25 letters and digits did, beside others, in which no other than it counts so
    far.
    """
    if _no_count.search(expression):
        return expression
    return _count.sub(_shortened, expression)


def _shortened(count: re.Match[str]) -> str:
    least, most = int(count[1]), count[2]
    exact = most is None
    if least <= LONGEST_COUNT and (exact or (most and int(most) <= LONGEST_COUNT)):
        return count[0]
    return f"{{{min(least, LONGEST_COUNT)},}}"


def _note(number: int, _start: int, _end: int, _flags: int, fired: list[int]) -> None:
    fired.append(number)


def is_within_lines(expression: str, flags: int) -> bool:
    """Whether no part of the expression, looked at or consumed, can match a line break."""
    try:
        tree = _parser.parse(expression, flags & (re.IGNORECASE | re.MULTILINE | re.DOTALL))
    except (re.error, OverflowError):
        return False
    return bool(flags & re.MULTILINE) and _is_within_lines(tree)


def _is_within_lines(tree: Iterable[tuple[Any, Any]]) -> bool:
    return all(_keeps_to_line(operator, value) for operator, value in tree)


def _keeps_to_line(operator: Any, value: Any) -> bool:  # noqa: PLR0911 (one case each)
    match operator:
        case sre.LITERAL:
            return bool(value != _NEWLINE)
        case sre.NOT_LITERAL:
            return bool(value == _NEWLINE)
        case sre.IN:
            return not _class_has_newline(value)
        case sre.AT:
            return value in (sre.AT_BEGINNING, sre.AT_END, sre.AT_BOUNDARY)
        case sre.ASSERT | sre.ASSERT_NOT:
            return _is_within_lines(value[1])
        case sre.SUBPATTERN:
            return _is_within_lines(value[3])
        case sre.MAX_REPEAT | sre.MIN_REPEAT:
            return _is_within_lines(value[2])
        case sre.BRANCH:
            return all(_is_within_lines(branch) for branch in value[1])
        case sre.GROUPREF:
            return True
        case _:
            return False


def _class_has_newline(items: Iterable[tuple[Any, Any]]) -> bool:
    negated, has = False, False
    for operator, value in items:
        match operator:
            case sre.NEGATE:
                negated = True
            case sre.LITERAL:
                has |= value == _NEWLINE
            case sre.RANGE:
                has |= value[0] <= _NEWLINE <= value[1]
            case sre.CATEGORY:
                has |= value in _SPANNING
            case _:
                return True
    return has != negated


AS_THEY_ARE = (
    (0x00, 0x7F),
    (0xA0, 0xA9),  # signs
    (0xAB, 0xB1),
    (0xBB, 0xBB),
    (0xC0, 0x12F),  # Latin, without the i's of Turkish and the long s
    (0x132, 0x17E),
    (0x391, 0x3A1),  # Greek
    (0x3A3, 0x3CE),
    (0x400, 0x481),  # Cyrillic
    (0x48A, 0x513),
    (0x5D0, 0x5EA),  # Hebrew
    (0x60C, 0x60C),  # Arabic
    (0x621, 0x64A),
    (0x2010, 0x203E),  # punctuation
    (0x20A0, 0x20B5),
    (0x3001, 0x3003),
    (0x3041, 0x3096),  # Hiragana, Katakana
    (0x30A1, 0x30FA),
    (0x4E00, 0x9FA5),  # Han
    (0xAC00, 0xD7A3),  # Hangul
)
"""Ranges of characters that Hyperscan knows as the `regex` package does (tested). Their image is
they themselves, and most texts hold no others."""


def _not_of(ranges: Iterable[tuple[int, int]]) -> re.Pattern[str]:
    return re.compile("[^" + "".join(rf"\u{a:04x}-\u{b:04x}" for a, b in ranges) + "]")


_other = _not_of(AS_THEY_ARE)


class _Image(dict[int, int]):
    """str.translate's table from a character to what the prefilter reads in its place.

    Filled as characters are met.
    """

    _DIGIT = regex.compile(r"\d")
    _WORD = regex.compile(r"\w")
    _ASCII = tuple(
        (letter, regex.compile(letter, regex.I)) for letter in "abcdefghijklmnopqrstuvwxyz"
    )

    def __init__(self, expressions: Iterable[str]) -> None:
        super().__init__()
        named = {char for expression in expressions for char in expression}
        self._changes = _other
        self._named = {case for char in named for case in (char, *char.lower(), *char.upper())}

    def of(self, text: str, data: bytes) -> bytes:
        """The image in UTF-8 of `text`, which is `data` in UTF-8."""
        if _other.search(text) is None:
            return data
        return text.translate(self).encode()

    def __missing__(self, code: int) -> int:
        self[code] = image = ord(self._of(chr(code)))
        return image

    def _of(self, char: str) -> str:
        if char in self._named or _other.match(char) is None:
            return char
        for letter, expression in self._ASCII:
            if expression.match(char) or regex.match(letter.upper(), char, regex.I):
                return letter
        if self._DIGIT.match(char):
            return "0"
        return "é" if self._WORD.match(char) else char


def _import_hyperscan() -> Any:
    try:
        import hyperscan  # noqa: PLC0415 (optional: no wheel for every platform)
    except ImportError:
        log.warning(
            "hyperscan cannot be imported: every recogniser reads every document, which gives the "
            "same findings some twenty times slower. Install it where it has a wheel: "
            "pip install hyperscan."
        )
        return None
    return hyperscan


def _flags(hyperscan: Any, flags: int, plain: bool) -> int:
    chosen = hyperscan.HS_FLAG_PREFILTER | hyperscan.HS_FLAG_SINGLEMATCH
    chosen |= hyperscan.HS_FLAG_MULTILINE
    if flags & re.DOTALL:
        chosen |= hyperscan.HS_FLAG_DOTALL
    if flags & re.IGNORECASE:
        chosen |= hyperscan.HS_FLAG_CASELESS
    if not plain:
        chosen |= hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_UCP
    return int(chosen)
