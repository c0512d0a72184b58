"""What each action writes in place of a finding: the edits of one pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unrote.pii.catalogue import PERSON
from unrote.pii.config import ACTIONS, Action, action_of
from unrote.pii.findings import DEID_MARKER, RESERVED_VALUE, Finding
from unrote.pii.keys import Key
from unrote.pii.scrubbing.edits import Edit
from unrote.pii.scrubbing.whitespace import repair_white_space
from unrote.pii.surrogates import (
    ALIASES,
    NoSurrogate,
    dates,
    marker_date,
    marker_surrogate,
    surrogate,
)
from unrote.pii.surrogates.people import People

_TRACES = frozenset({DEID_MARKER, RESERVED_VALUE})

HASH_DIGITS = 16
"""Hexadecimal digits that the action `hash` writes."""


@dataclass(frozen=True, slots=True)
class AppliedAction:
    """A finding and what was done about it."""

    finding: Finding
    action: Action
    replacement: str = ""
    """What was written in its place; empty if the finding was kept or removed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What actions do to a text."""

    applied: tuple[AppliedAction, ...] = ()
    edits: tuple[Edit, ...] = ()
    """In order and disjoint."""
    rejected_for: tuple[str, ...] = ()
    """The types found whose action is reject-document; with any, nothing else is done."""


def apply_actions(
    text: str,
    findings: Sequence[Finding],
    actions: Mapping[str, Action],
    key: Key,
    document: str | int,
) -> Outcome:
    """Do about each finding of a text what `actions` say.

    findings: as `resolve_overlaps` leaves them. actions: by type, `DEFAULT` for the others.
    document: decides how far dates are shifted; pass what is the same in every run, such as the
    document's id.

    A marker that stands for a type is replaced by a surrogate of that type, which differs from
    document to document. It is removed where what it stands for is unknown, and so is a value that
    no surrogate can be drawn for. Raises ValueError for findings that overlap or lie outside the
    text, and for an unknown action.
    """
    _check(text, findings, actions)
    rejecting = {f.type for f in findings if action_of(f, actions) == "reject-document"}
    if rejecting:
        return Outcome(rejected_for=tuple(sorted(rejecting)))
    days = _date_shift(text, findings, actions, key, document)
    people = People(text[f.start : f.end] for f in findings if _is_person(f))
    edits: list[Edit] = []
    applied: list[AppliedAction] = []
    for finding in findings:
        action = action_of(finding, actions)
        if action == "keep":
            applied.append(AppliedAction(finding, action))
            continue
        replacement = _replacement(text, finding, action, key, document, days, people)
        if replacement is None:
            action, replacement = "remove", ""
        edits.append(Edit(finding.start, finding.end, replacement))
        applied.append(AppliedAction(finding, action, replacement))
    return Outcome(tuple(applied), tuple(repair_white_space(text, edits)))


def surrogate_type(finding: Finding) -> str:
    """The type whose surrogates a finding gets: of a marker or reserved value, that which it stands
    for.
    """
    type_ = finding.type
    if type_ in _TRACES:
        type_ = finding.stands_for or type_
    return ALIASES.get(type_, type_)


def _check(text: str, findings: Sequence[Finding], actions: Mapping[str, Action]) -> None:
    for type_, action in actions.items():
        if action not in ACTIONS:
            raise ValueError(
                f"the action for {type_} is {action!r}; it must be one of {', '.join(ACTIONS)}"
            )
    offset = 0
    for finding in findings:
        if not offset <= finding.start < finding.end <= len(text):
            raise ValueError(
                "findings must be in order, disjoint and within the text, as resolve_overlaps() "
                f"leaves them: {finding.start}:{finding.end} after {offset} of {len(text)}"
            )
        offset = finding.end


def _date_shift(
    text: str,
    findings: Sequence[Finding],
    actions: Mapping[str, Action],
    key: Key,
    document: str | int,
) -> int:
    """The days by which the dates of this document move that get surrogates; 0 if none do."""
    values = []
    for finding in findings:
        if surrogate_type(finding) != "DATE_TIME" or action_of(finding, actions) != "surrogate":
            continue
        value = text[finding.start : finding.end]
        is_marker = finding.type == DEID_MARKER
        values.append(marker_date(key, value, document) if is_marker else value)
    return dates.shift(values, key, document) if values else 0


def _is_person(finding: Finding) -> bool:
    return finding.type != DEID_MARKER and surrogate_type(finding) == PERSON


def _replacement(
    text: str,
    finding: Finding,
    action: Action,
    key: Key,
    document: str | int,
    days: int,
    people: People,
) -> str | None:
    """What to write in place of a finding that is not kept; None if it is to be removed."""
    value, type_ = text[finding.start : finding.end], surrogate_type(finding)
    if action == "mask":
        return "".join("*" if char.isalnum() else char for char in value)
    if action == "placeholder":
        return f"[{type_}]"
    if action == "hash":
        return f"[{type_}:{key.value_fingerprint(value, type_)[:HASH_DIGITS]}]"
    if action == "surrogate" and _is_person(finding):
        known = people.surrogate(value, key)
        if known is not None:
            return known
    return None if action == "remove" else _surrogate(value, finding, key, document, days)


def _surrogate(
    value: str, finding: Finding, key: Key, document: str | int, days: int
) -> str | None:
    """The surrogate of a value or marker; None if none can be drawn."""
    try:
        if finding.type == DEID_MARKER:
            return marker_surrogate(finding.stands_for, key, value, document, days)
        return surrogate(value, surrogate_type(finding), key, document, days)
    except NoSurrogate:
        return None
