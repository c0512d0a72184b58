"""What is done about a finding, and the one sweep that does it.

    findings = unknown(text, scan(text), key, actions)    # what we put there is no finding
    edited = apply(text, resolve(text, findings), actions, key, document)

Offsets are in code points of the text that was scanned, before and after.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from unrote.pii.catalogue import PRESETS
from unrote.pii.config import ACTIONS, DEFAULT, SECRET, Action
from unrote.pii.findings import DEID_MARKER, RESERVED_VALUE, Finding, Spans
from unrote.pii.keys import Key
from unrote.pii.surrogates import (
    ALIASES,
    STAND_INS,
    NoSurrogate,
    dates,
    is_surrogate,
    stand_in,
    stand_in_date,
    surrogate,
)

HASH_DIGITS = 16

_WRITTEN = re.compile(rf"\[([A-Z][A-Z0-9_]*)(:[0-9a-f]{{{HASH_DIGITS}}})?\]")
_NAMED = frozenset({*PRESETS["all"], *STAND_INS, SECRET, DEID_MARKER})
"""What a placeholder or a hash may name; models have more, for which an action is given."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Put `text` in the place of start:end."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A finding and what was done about it."""

    finding: Finding
    action: Action
    replacement: str = ""
    """What stands there now, for who counts how often each surrogate stands in a corpus; empty if
    the finding was kept or removed.
    """


@dataclass(frozen=True, slots=True)
class Edited:
    """A text after its sweep."""

    text: str
    """Empty if the document is rejected."""
    applied: tuple[Applied, ...]
    edits: tuple[Edit, ...]
    """In order and apart; empty if the document is rejected."""
    rejected: bool = False


def resolve(
    text: str, findings: Iterable[Finding], actions: Mapping[str, Action] | None = None
) -> list[Finding]:
    """Findings that do not overlap, in order: of those that do, the longest; of equals the one of
    the higher score, then the type that comes first in the alphabet, then the earlier one. With
    `actions`, what is kept gives way to what is not: an address stays none of a page's.

    What of a loser lies beyond the winners stays a finding of its own, if there are letters or
    digits in it, for it was found to be personal data and would be released otherwise.
    """

    def rank(f: Finding) -> tuple[object, ...]:
        stays = actions is not None and action_of(f, actions) == "keep"
        return (stays, f.start - f.end, -f.score, f.type, f.start, f.origin, f.stands_for)

    ranked = sorted(findings, key=rank)
    taken = Spans()
    kept = []
    for finding in ranked:
        for start, end in taken.beyond(text, finding.start, finding.end):
            kept.append(finding._replace(start=start, end=end))
        taken.add(finding.start, finding.end)
    return sorted(kept, key=lambda finding: finding.start)


def unknown(
    text: str,
    findings: Iterable[Finding],
    key: Key,
    actions: Mapping[str, Action] | None = None,
) -> list[Finding]:
    """The findings that are no surrogates of this key, in their order; nor, with `actions`, the
    masks, placeholders and hashes that these write, which detectors of markers find.

    Besides surrogates, what lies within one goes (a detector may see a host in an address), and
    what reaches beyond one by another surrogate, or by nothing but punctuation and white space. The
    dates of a document that move are told together, as `resolve` leaves them; where a marker stands
    for one more, they are none yet, for all will move together with what stands in for it.
    """
    rest = list(findings)
    own = Spans()
    if actions is not None:
        for start, end in _written(text, actions):
            own.add(start, end)
        if "mask" in actions.values():
            rest = [f for f in rest if not _is_mask(text[f.start : f.end])]
    count = -1
    while count != len(rest):
        count = len(rest)
        rest = [finding for finding in rest if not _is_known(text, finding, key, own)]
    moving = [f for f in rest if actions is None or action_of(f, actions) == "surrogate"]
    moved = [text[f.start : f.end] for f in resolve(text, moving) if _is_date(f)]
    more = any(f.type == DEID_MARKER and _type(f) == "DATE_TIME" for f in rest)
    if moved and not more and dates.are_shifted(moved, key):
        stays = [f for f in moving if _is_date(f)]
        rest = [finding for finding in rest if finding not in stays]
    return rest


def _written(text: str, actions: Mapping[str, Action]) -> Iterator[tuple[int, int]]:
    """Where placeholders and hashes stand that these actions write."""
    wanted = {action for action in actions.values() if action in {"placeholder", "hash"}}
    if not wanted:
        return
    for match in _WRITTEN.finditer(text):
        if match[1] not in _NAMED and match[1] not in actions:
            continue  # any word in capitals, or a secret
        action: Action = "hash" if match[2] else "placeholder"
        if action in {actions.get(match[1], actions.get(DEFAULT)), actions.get(DEID_MARKER)}:
            yield match.span()


def _is_mask(value: str) -> bool:
    return "*" in value and not any(map(str.isalnum, value))


def _is_known(text: str, finding: Finding, key: Key, own: Spans) -> bool:
    """Whether surrogates are all there is in a finding; `own` learns where they are."""
    type_ = _type(finding)
    beyond = own.beyond(text, finding.start, finding.end)
    if not beyond:
        return True
    if finding.type == DEID_MARKER and type_ in {DEID_MARKER, "AGE"}:
        return False  # an age in a marker is a marker
    whole = [(finding.start, finding.end)]
    for spans in (whole, beyond) if beyond != whole else (whole,):
        if all(is_surrogate(text[start:end], type_, key) for start, end in spans):
            own.add(finding.start, finding.end)
            return True
    return False


def _is_date(finding: Finding) -> bool:
    return finding.type != DEID_MARKER and _type(finding) == "DATE_TIME"


def apply(
    text: str,
    findings: Sequence[Finding],
    actions: Mapping[str, Action],
    key: Key,
    document: str | int,
) -> Edited:
    """Edit a text as its findings demand, in one sweep.

    findings: as `resolve` leaves them. actions: by type, `DEFAULT` for the others. document: what
    the shift of dates depends on; take what stays the same from run to run, such as the document's
    id.

    A marker that stands for a type is treated as a value of that type, whose surrogate differs from
    document to document; one that stands for nothing, or for a type that has no surrogates of its
    own, is removed. Raises ValueError if findings overlap or leave the text, or an action is
    unknown.
    """
    _check(text, findings, actions)
    applied = tuple(Applied(f, action_of(f, actions)) for f in findings)
    if any(one.action == "reject-document" for one in applied):
        return Edited("", applied, (), rejected=True)
    days = _days(text, applied, key, document)
    edits = []
    done = []
    for one in applied:
        edit = _edit(text, one, key, document, days)
        if edit is None:
            edit = Edit(one.finding.start, one.finding.end, "")
            one = replace(one, action="remove")
        if one.action != "keep":
            edits.append(edit)
            one = replace(one, replacement=edit.text)
        done.append(one)
    joined = _joined(text, edits)
    return Edited(replace_in(text, joined), tuple(done), tuple(joined))


def replace_in(text: str, edits: Sequence[Edit]) -> str:
    """The text with each edit's span replaced; the edits in order, none overlapping another."""
    out = []
    here = 0
    for edit in edits:
        if edit.start < here or edit.end < edit.start or edit.end > len(text):
            raise ValueError(
                f"edits must be in order, apart and within the text: {edit.start}:{edit.end} after "
                f"{here} of {len(text)}"
            )
        out += [text[here : edit.start], edit.text]
        here = edit.end
    return "".join([*out, text[here:]])


def _check(text: str, findings: Sequence[Finding], actions: Mapping[str, Action]) -> None:
    for type_, action in actions.items():
        if action not in ACTIONS:
            raise ValueError(
                f"the action for {type_} is {action!r}; it must be one of {', '.join(ACTIONS)}"
            )
    here = 0
    for finding in findings:
        if not here <= finding.start < finding.end <= len(text):
            raise ValueError(
                f"findings must be in order, apart and within the text, as resolve() leaves them: "
                f"{finding.start}:{finding.end} after {here} of {len(text)}"
            )
        here = finding.end


def _type(finding: Finding) -> str:
    """The type of surrogate that a finding gets."""
    trace = finding.type in {DEID_MARKER, RESERVED_VALUE}
    type_ = (finding.stands_for if trace else "") or finding.type
    return ALIASES.get(type_, type_)


def action_of(finding: Finding, actions: Mapping[str, Action]) -> Action:
    """What is to be done about a finding: as its type says, a marker's as what it stands for."""
    default = actions.get(DEFAULT, "surrogate")
    if finding.type == DEID_MARKER:
        return actions.get(DEID_MARKER, actions.get(finding.stands_for, default))
    return actions.get(finding.type, default)


def _days(text: str, applied: Sequence[Applied], key: Key, document: str | int) -> int:
    """How far those dates of this document move that do."""
    values = []
    for one in applied:
        finding = one.finding
        if _type(finding) == "DATE_TIME" and one.action == "surrogate":
            value = text[finding.start : finding.end]
            stands_in = finding.type == DEID_MARKER
            values.append(stand_in_date(key, value, document) if stands_in else value)
    return dates.shift(values, key, document) if values else 0


def _edit(text: str, one: Applied, key: Key, document: str | int, days: int) -> Edit | None:
    """None if the finding has to be removed instead."""
    finding = one.finding
    value = text[finding.start : finding.end]
    if one.action == "surrogate":
        try:
            if finding.type == DEID_MARKER:
                out = stand_in(finding.stands_for, key, value, document, days)
            else:
                out = surrogate(value, _type(finding), key, document, days)
        except NoSurrogate:
            out = None
    else:
        out = _plain(value, _type(finding), one.action, key)
    return None if out is None else Edit(finding.start, finding.end, out)


def _plain(value: str, type_: str, action: Action, key: Key) -> str | None:
    if action == "remove":
        return None
    if action == "mask":
        return "".join("*" if sign.isalnum() else sign for sign in value)
    if action == "placeholder":
        return f"[{type_}]"
    if action == "hash":
        return f"[{type_}:{key.value_fingerprint(value, type_)[:HASH_DIGITS]}]"
    return value


_CLOSING = frozenset(".,;:!?)]}»”’%")
_OPENING = frozenset("([{«“‘")
_PAIRS = frozenset({"()", "[]", "{}", "<>", '""', "''", "“”", "‘’", "«»"})


def _joined(text: str, edits: Sequence[Edit]) -> list[Edit]:
    """The edits with the white space around removed spans repaired, in order and apart.

    Removals that only white space separates are one.
    """
    out: list[Edit] = []
    for edit in edits:
        if (
            out
            and not edit.text
            and not out[-1].text
            and not text[out[-1].end : edit.start].strip(" \t")
        ):
            out[-1] = Edit(out[-1].start, edit.end, "")
        else:
            out.append(edit)
    repaired: list[Edit] = []
    for at, edit in enumerate(out):
        low = repaired[-1].end if repaired else 0
        high = out[at + 1].start if at + 1 < len(out) else len(text)
        repaired.append(edit if edit.text else _repaired(text, edit, low, high))
    return repaired


def _repaired(text: str, edit: Edit, low: int, high: int) -> Edit:
    """A removal, widened within low:high so that no white space is left over.

    One of two blanks goes, and the blank before a closing or after an opening sign; brackets and
    quotes that would be empty go too, and so does a line.
    """
    start, end = edit.start, edit.end
    while low < start and end < high and text[start - 1] + text[end] in _PAIRS:
        start, end = start - 1, end + 1
    left = _blanks_before(text, start, low)
    right = _blanks_after(text, end, high)
    at_line_start = left == 0 or text[left - 1] == "\n"
    at_line_end = right == len(text) or text[right] == "\n"
    if at_line_start and at_line_end:
        return _without_line(text, left, right, low, high)
    if at_line_end:
        start, end = left, right
    elif at_line_start:
        end = right
    elif (right < high and text[right] in _CLOSING) or (left > low and text[left - 1] in _OPENING):
        start, end = left, right
    elif left < start:
        end = right
    return Edit(start, end, "")


def _without_line(text: str, left: int, right: int, low: int, high: int) -> Edit:
    """Remove a line that would be empty, with one of its breaks; of two empty
    lines around it one.
    """
    if right < high and text[right] == "\n":
        right += 1
        if (left < 2 or text[left - 2 : left] == "\n\n") and right < high and text[right] == "\n":
            right += 1
    elif left > low and text[left - 1] == "\n":
        left -= 1
    return Edit(left, right, "")


def _blanks_before(text: str, at: int, low: int) -> int:
    while at > low and text[at - 1] in " \t":
        at -= 1
    return at


def _blanks_after(text: str, at: int, high: int) -> int:
    while at < high and text[at] in " \t":
        at += 1
    return at
