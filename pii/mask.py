"""Text as it may be shown: what is personal in it hidden, its shape still there."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import regex

from unrote.pii.config import ACTIONS_BY_DEFAULT, SECRET, Action, action_of
from unrote.pii.findings import DEID_MARKER, RESERVED_VALUE, Failure, Finding
from unrote.pii.overlaps import resolve_overlaps

if TYPE_CHECKING:
    from unrote.pii.scanner import Scanner

HIDDEN = "***"
UNREADABLE = "(not shown: a detector could not finish it)"

_parts = regex.compile(r"\p{N}+|\p{L}(?:[\p{L}\p{N}\p{M}._%+-]*[\p{L}\p{N}\p{M}])?")
_tag = regex.compile(r"[\W_]*(?:[A-Z][A-Z_]*(?:_\d{1,3})?)?[\W_]*")


def masked(value: str, type: str) -> str:  # noqa: A002 (the field's name)
    """A value of which one letter of each longer part is left: "jane@example.org" as "j***@e***".

    Digits are hidden all, and so is a secret. A value that is reserved is nobody's and stays, and
    so does a marker that is nothing but a name in capitals; others may hold what they should hide.
    """
    if type == RESERVED_VALUE or (type == DEID_MARKER and _tag.fullmatch(value)):
        return value
    if type == SECRET:
        return HIDDEN
    return str(_parts.sub(lambda part: _first_letter(part[0]) + HIDDEN, value))


def _first_letter(part: str) -> str:
    """It, unless that is half of all."""
    return part[0] if part[0].isalpha() and len(part) > 2 else ""


class Scrubbed:
    """A text with all findings masked that a release changes, or would by default.

    scanners: those of the run, and of the default configuration if that is another: a run that
    looked for little shows no more.
    """

    def __init__(
        self, text: str, scanners: "Sequence[Scanner]", actions: Mapping[str, Action]
    ) -> None:
        self._text = text
        self._readable = True
        hidden: list[Finding] = []
        for scanner in scanners:
            found = scanner.find(text)
            if isinstance(found, Failure):
                self._readable = False
                continue
            hidden += [f for f in found if not _stays(f, actions)]
        self._hidden = resolve_overlaps(text, hidden)

    def between(self, start: int, end: int) -> str:
        """text[start:end], in which a finding that reaches across an end is there as a whole."""
        if not self._readable:
            return UNREADABLE
        pieces, place = [], start
        for finding in self._hidden:
            if finding.end > start and finding.start < end:
                value = self._text[finding.start : finding.end]
                pieces += [self._text[place : finding.start], masked(value, finding.type)]
                place = finding.end
        return "".join([*pieces, self._text[place:end]])

    @property
    def text(self) -> str:
        """All of it."""
        return self.between(0, len(self._text))


def _stays(finding: Finding, actions: Mapping[str, Action]) -> bool:
    return all(action_of(finding, one) == "keep" for one in (actions, ACTIONS_BY_DEFAULT))
