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
tables are older and narrower, and its pass takes three times as long. A prefilter need not read the
text itself, so it reads its *image* in ASCII, a byte for each character: a letter that equals an
ASCII letter in another case is that letter, any other digit "0", any other word character "_",
other white space a space, and the rest one control character. So are the characters that an
expression names: its image matches wherever it does, in the image of the text. An expression for
which that may not hold, such as `[^_]`, or with a range beyond ASCII, counts as found in every
block that is not ASCII.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]  # no public parse tree
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import regex

from unrote.corpus.text import symbols_of
from unrote.pii.databases import Database, Expression, compile_into, open_databases

log = logging.getLogger(__name__)

sre: Any = _constants

BLOCK = 512
"""Bytes. Half as much costs Hyperscan more than it saves; twice as much runs expressions on more
text (benchmarks/pii_speed.py)."""

RECENT = 4 << 20
"""Characters of the blocks that were read last and are known; twice as many at most."""

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

    `start` is in code points of the document. `known` is for what else is known of the text: it is
    the same object wherever the text comes up again soon.
    """

    start: int
    text: str
    fired: frozenset[int]
    known: dict[Any, Any]


class Prefilter:
    """The probes as Hyperscan databases.

    Without hyperscan (it has wheels for Linux and macOS) every probe fires everywhere.
    """

    def __init__(self, probes: Sequence[Probe], use: bool = True) -> None:
        self.probes = tuple(
            replace(one, expression=without_long_counts(one.expression)) for one in probes
        )
        self.everything = frozenset(probe.number for probe in probes)
        self._beyond = frozenset(one.number for one in self.probes if not _has_image(one))
        self._hyperscan = _import_hyperscan() if use and probes else None
        self._databases: list[Database] | None = None
        self._lock = Lock()  # of the databases' scratch space
        self._recent: dict[str | bytes, Block] = {}
        self._before: dict[str | bytes, Block] = {}
        self._size = 0  # of the recent ones

    @property
    def works(self) -> bool:
        """Whether anything is filtered."""
        return self._hyperscan is not None

    def block(
        self, start: int, data: bytes, text: str | None = None, image: bytes | None = None
    ) -> Block:
        """Read UTF-8 `data` as one block. `text` is what it decodes to, and `image` the image of
        that, if these are known.
        """
        if text is None:
            text = data.decode()
        if image is None:
            image = data if data.isascii() else image_of(text)
        return self._block(start, text, image)

    def blocks(self, data: bytes, image: bytes | None = None) -> Iterator[Block]:
        """The blocks of a document (UTF-8) in which a probe fired, in order. image: as for `block`.

        Blocks that were read not long ago are known: a text that is scanned again after it was
        edited has most of them, and documents have some in common.
        """
        if not self.probes:
            return
        text = None if data.isascii() else data.decode()
        if image is None:
            image = data if text is None else image_of(text)
        size, start = len(image), 0
        while start < size:
            end = image.find(b"\n", start + BLOCK) + 1 or size
            part = image[start:end] if text is None else text[start:end]
            block = self._recent.get(part)
            if block is None:
                block = self._before.get(part)
                if block is None:
                    own = part if isinstance(part, str) else part.decode("ascii")
                    block = self._block(0, own, image[start:end])
                self._remember(part, block)
            if block.fired:
                yield Block(start, *block[1:])
            start = end

    def _remember(self, part: str | bytes, block: Block) -> None:
        if self._size >= RECENT:
            self._before, self._recent, self._size = self._recent, {}, 0
        self._recent[part] = block
        self._size += len(part)

    def _block(self, start: int, text: str, image: bytes) -> Block:
        if not self.works:
            return Block(start, text, self.everything, {})
        fired = self._scan(image)
        return Block(start, text, fired if text.isascii() else fired | self._beyond, {})

    def _scan(self, image: bytes) -> frozenset[int]:
        numbers: set[int] = set()
        with self._lock:
            if self._databases is None:
                self._databases = open_databases(self._hyperscan, self._expressions())
            for one in self._databases:
                fired: list[int] = []
                one.database.scan(image, _note, context=fired, scratch=one.scratch)
                for index in fired:
                    numbers.update(one.numbers[index])
        return frozenset(self.probes[number].number for number in numbers)

    def keep(self, folder: Path) -> list[str]:
        """Have the database in a folder, compiled. Returns its name there, if there is one. Raises
        OSError.
        """
        if not self.works:
            return []
        return [compile_into(folder, self._hyperscan, self._expressions())]

    def _expressions(self) -> list[Expression]:
        """Of the probes, in their order: such as keep no image are for ASCII as they are."""
        return [
            Expression(
                (one.expression if one.number in self._beyond else _image_of(one)).encode(),
                _flags(self._hyperscan, one.flags),
            )
            for one in self.probes
        ]


def unreadable(expression: str, flags: int) -> str:
    """Why Hyperscan cannot read an expression; "" if it can, or is not installed."""
    try:
        import hyperscan  # noqa: PLC0415 (optional)
    except ImportError:
        return ""
    expression = without_long_counts(expression)
    probe = Probe(0, expression, flags, is_wide(expression))
    read = _image_of(probe) if _has_image(probe) else expression
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        chosen = [_flags(hyperscan, flags)]
        database.compile(expressions=[read.encode()], ids=[0], elements=1, flags=chosen)
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


_OTHER_WORD, _OTHER_SPACE, _OTHER_DIGIT, _OTHER = "_", " ", "0", "\x01"
_UNMET = 0xFF

_images = np.full(0x110000, _UNMET, dtype=np.uint8)
"""The image of each code point; filled as they are met."""
_images[:0x80] = np.arange(0x80)


def image_of(text: str) -> bytes:
    """The image of a text in ASCII: a byte for each code point."""
    image = symbols_of(text, _images).tobytes()
    if _UNMET in image:
        for char in set(text):
            if _images[ord(char)] == _UNMET:
                _images[ord(char)] = ord(_image_of_char(char))
        image = symbols_of(text, _images).tobytes()
    return image


_SPACE, _DIGIT, _WORD = (regex.compile(kind) for kind in (r"\s", r"\d", r"\w"))


def _image_of_char(char: str) -> str:
    for letter in sorted({*char.lower(), *char.upper(), *char.casefold()}):
        if letter.isascii() and letter.isalpha() and regex.match(letter, char, regex.IGNORECASE):
            return str(letter.lower())
    if _DIGIT.match(char):
        return _OTHER_DIGIT
    if _WORD.match(char):
        return _OTHER_WORD
    return _OTHER_SPACE if _SPACE.match(char) else _OTHER


def _image_of(probe: Probe) -> str:
    return image_of(probe.expression).decode("ascii")  # as Hyperscan is to read it


@cache
def digits_beyond_ascii() -> list[int]:
    """The code points of digits, as the `regex` package knows them, but those of ASCII."""
    beyond = np.arange(0x80, 0x110000, dtype=np.uint32).tobytes().decode("utf-32", "surrogatepass")
    return [ord(digit) for digit in _DIGIT.findall(beyond)]


def is_wide(expression: str) -> bool:
    """Whether an expression names characters beyond ASCII other than one by one."""
    return any(mark in expression for mark in (r"\u", r"\x", r"\p", r"\P", r"\N")) or any(
        not char.isascii() and "-" in expression[max(0, at - 1) : at + 2]
        for at, char in enumerate(expression)
    )


def _has_image(probe: Probe) -> bool:
    """Whether the image of an expression surely matches in the image of a text where it does in the
    text: it then names no range beyond ASCII, and nothing that it excludes is the image of others.
    """
    if probe.beyond_ascii:
        return False
    try:
        tree = _parser.parse(probe.expression, probe.flags & _FLAGS)
    except (re.error, OverflowError):
        return False
    return all(map(_excludes_no_image, _classes(tree)))


_FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL


def _classes(tree: Iterable[tuple[Any, Any]]) -> Iterator[list[tuple[Any, Any]]]:
    """What single characters an expression matches, in order, outside of what it only looks at,
    which Hyperscan leaves out.
    """
    for operator, value in tree:
        match operator:
            case sre.IN:
                yield value
            case sre.NOT_LITERAL:
                yield [(sre.NEGATE, None), (sre.LITERAL, value)]
            case sre.SUBPATTERN:
                yield from _classes(value[3])
            case sre.MAX_REPEAT | sre.MIN_REPEAT:
                yield from _classes(value[2])
            case sre.BRANCH:
                for branch in value[1]:
                    yield from _classes(branch)
            case sre.LITERAL | sre.ANY | sre.AT | sre.GROUPREF | sre.ASSERT | sre.ASSERT_NOT:
                pass
            case _:
                yield [(sre.NEGATE, None), (sre.RANGE, (0, 0x7F))]  # not known: excludes all


def _excludes_no_image(items: list[tuple[Any, Any]]) -> bool:
    """Whether a class excludes the image of a character only where it excludes the character."""
    if items[0][0] is not sre.NEGATE:
        return True
    whole = {value for operator, value in items if operator is sre.CATEGORY}
    pairs = (
        (_OTHER_WORD, sre.CATEGORY_WORD),
        (_OTHER_SPACE, sre.CATEGORY_SPACE),
        (_OTHER_DIGIT, sre.CATEGORY_DIGIT),
        (_OTHER, sre.CATEGORY_NOT_WORD),
        *((letter, sre.CATEGORY_WORD) for letter in "iksIKS"),  # of "ſ" and the Kelvin sign
    )
    for char, category in pairs:
        named = any(
            (operator is sre.LITERAL and value == ord(char))
            or (operator is sre.RANGE and value[0] <= ord(char) <= value[1])
            for operator, value in items
        )
        if named and category not in whole:
            return False
    return not any(operator is sre.LITERAL and value > 0x7F for operator, value in items)


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


def _flags(hyperscan: Any, flags: int) -> int:
    chosen = hyperscan.HS_FLAG_PREFILTER | hyperscan.HS_FLAG_SINGLEMATCH
    chosen |= hyperscan.HS_FLAG_MULTILINE
    if flags & re.DOTALL:
        chosen |= hyperscan.HS_FLAG_DOTALL
    if flags & re.IGNORECASE:
        chosen |= hyperscan.HS_FLAG_CASELESS
    return int(chosen)
