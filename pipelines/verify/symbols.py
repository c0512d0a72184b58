"""Which symbols count between two words: written again, from the documentation."""

import re
import unicodedata
from collections.abc import Iterator

ALWAYS = "+=<~$&@^"
OPERATORS = re.compile(r"(?<=\s)([*/%])\1?(?=\s)")
"""By themselves, between two words, and where no line begins with them."""
RULERS = re.compile(r"([-+=<~$&@^*/\\|#%>])\s*\1\s*\1")


def symbols_between(left: str, gap: str, right: str) -> Iterator[str]:
    """The symbols that count of what stands between the words `left` and `right`.

    A word is empty at an end of the text.
    """
    gap = "".join("-" if _is_dash(c) else c for c in gap)
    ruler = RULERS.search(gap) is not None
    between = _Between(left, gap, right)
    for at, character in enumerate(gap):
        if character > "\x7f":
            if _is_symbol(character):
                yield character
        elif not ruler:
            yield from between.counted(at)


class _Between:
    def __init__(self, left: str, gap: str, right: str) -> None:
        self.left, self.gap, self.right = left, gap, right
        self.closed = bool(left and right) and not any(c.isspace() for c in gap)
        self.operands = _ends_operand(left) and _begins_operand(right)
        self.numbers = left[-1:].isdigit() and right[:1].isdigit()
        self.leading = len(gap) - len(gap.lstrip())
        """How much white space the gap begins with."""

    def counted(self, at: int) -> str:
        """What the ASCII character gap[at] counts as: nothing, or a symbol."""
        gap, mark = self.gap, self.gap[at]
        after_word = at == 0 and bool(self.left)
        before_word = at == len(gap) - 1 and bool(self.right)
        before, after = gap[at - 1 : at] if at else "", gap[at + 1 : at + 2]
        if mark in ".,:" and gap == mark and self.numbers:
            return mark
        if mark in ":;" and not after_word:
            smile = re.compile("-?([()])").match(gap, at + 1)
            return smile[1] if smile else ""
        free = (not before or before.isspace()) and (not after or after.isspace())
        counts = {
            "<": after != "!",
            "!": after == "=" or (before_word and not after_word),
            "*": self.closed or self.operands or self._operates(at),
            "/": self.closed or self.operands or (free and not after_word and not before_word)
            or self._operates(at),
            "\\": self.closed,
            "|": self.closed,
            "#": self.closed or after_word or (before_word and self.right[0].isdigit()),
            "%": self.closed or self.operands or after_word
            or (self.left[-1:].isdigit() and at == self.leading) or self._operates(at),
            "-": self.operands or (not after_word and self._is_sign(at)),
            ">": self.operands or "=" in (before, after)
            or (before == "-" and gap[max(0, at - 2) : at] != "--"),
        }.get(mark, mark in ALWAYS)  # fmt: skip
        return mark if counts else ""

    def _operates(self, at: int) -> bool:
        if not (self.left and self.right):
            return False
        for found in OPERATORS.finditer(self.gap):
            if found.start() <= at < found.end():
                before = self.gap[: found.start()]
                return not re.search(r"[\n\r]", before[len(before.rstrip()) :])
        return False

    def _is_sign(self, at: int) -> bool:
        rest = self.gap[at + 1 :][:2]
        currency = rest == "$" or (rest > "\x7f" and len(rest) == 1 and _is_symbol(rest))
        return (not rest or currency) and _begins_operand(self.right)


def _is_symbol(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Sm", "Sc", "So")
        and not "\u2500" <= character <= "\u25ff"  # boxes, blocks and bullets
        and character != "\ufffd"
    )


def _is_dash(character: str) -> bool:
    return unicodedata.category(character) == "Pd" or character == "\u2212"


def _ends_operand(word: str) -> bool:
    return word[-1:].isdigit() or _is_letter(word)


def _begins_operand(word: str) -> bool:
    return word[:1].isdigit() or _is_letter(word)


def _is_letter(word: str) -> bool:
    return len(word) == 1
