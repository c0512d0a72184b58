"""Text as it may be shown: personal data masked, its shape still visible."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import regex

from unrote.pii.catalogue import POSSIBLE_PERSON
from unrote.pii.config import ACTIONS_BY_DEFAULT, SECRET, Action, action_of
from unrote.pii.findings import DEID_MARKER, RESERVED_VALUE, Failure, Finding
from unrote.pii.overlaps import resolve_overlaps

if TYPE_CHECKING:
    from unrote.pii.scanner import Scanner

MASK = "***"
UNREADABLE = "(not shown: a detector could not finish it)"

_parts = regex.compile(r"\p{N}+|\p{L}(?:[\p{L}\p{N}\p{M}._%+-]*[\p{L}\p{N}\p{M}])?")
_tag = regex.compile(r"[\W_]*(?:[A-Z][A-Z_]*(?:_\d{1,3})?)?[\W_]*")


def masked(value: str, type: str) -> str:  # noqa: A002 (the field's name)
    """A value of which one letter of each longer part is left: "jane@example.org" as "j***@e***".

    All digits are masked, and so is all of a secret. Reserved values belong to nobody and stay; so
    does a marker that is only a name in capitals; others may hold what they were to hide.
    """
    if type == RESERVED_VALUE or (type == DEID_MARKER and _tag.fullmatch(value)):
        return value
    if type == SECRET:
        return MASK
    return str(_parts.sub(lambda part: _first_letter(part[0]) + MASK, value))


def _first_letter(part: str) -> str:
    """The first letter of a part, unless that is half of it."""
    return part[0] if part[0].isalpha() and len(part) > 2 else ""


class MaskedText:
    """A text for excerpts: all findings masked that a release changes, or would by default.

    scanners: those of the run, and of the default configuration if that is another: a run that
    looked for little shows no more.
    """

    def __init__(
        self, text: str, scanners: "Sequence[Scanner]", actions: Mapping[str, Action]
    ) -> None:
        self._text = text
        self._readable = True
        masked_: list[Finding] = []
        for scanner in scanners:
            found = scanner.find(text)
            if isinstance(found, Failure):
                self._readable = False
                continue
            masked_ += [f for f in found if not _is_kept(f, actions)]
        self._findings = resolve_overlaps(text, masked_)

    def excerpt(self, start: int, end: int) -> str:
        """text[start:end] (code points), masked; a finding that crosses an end is masked whole."""
        if not self._readable:
            return UNREADABLE
        parts, offset = [], start
        for finding in self._findings:
            if finding.end > start and finding.start < end:
                value = self._text[finding.start : finding.end]
                parts += [self._text[offset : finding.start], masked(value, finding.type)]
                offset = finding.end
        return "".join([*parts, self._text[offset:end]])

    @property
    def text(self) -> str:
        """All of it, masked."""
        return self.excerpt(0, len(self._text))


def _is_kept(finding: Finding, actions: Mapping[str, Action]) -> bool:
    if finding.type == POSSIBLE_PERSON:
        return False  # a name, by chance
    return all(action_of(finding, one) == "keep" for one in (actions, ACTIONS_BY_DEFAULT))
