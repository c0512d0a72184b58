"""Recognising what an earlier scrubbing with this key wrote, which is no finding.

Surrogates carry a keyed check by which they are recognised (unrote.pii.surrogates); placeholders,
hashes and masks are recognised by their form, where the actions of this run write them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from unrote.pii.catalogue import KNOWN_TYPES, PERSON
from unrote.pii.config import DEFAULT, SECRET, Action, action_of
from unrote.pii.findings import DEID_MARKER, MARKER_TYPES, Finding
from unrote.pii.keys import Key
from unrote.pii.overlaps import Spans, resolve_overlaps
from unrote.pii.scrubbing.actions import HASH_DIGITS, surrogate_type
from unrote.pii.scrubbing.folding import Folded, telling_core
from unrote.pii.surrogates import SAMPLE_VALUES, dates, is_surrogate
from unrote.pii.surrogates.people import People

_PLACEHOLDER = re.compile(rf"\[([A-Z][A-Z0-9_]*)(:[0-9a-f]{{{HASH_DIGITS}}})?\]")
_NAMED_TYPES = frozenset({*KNOWN_TYPES, *SAMPLE_VALUES, SECRET, DEID_MARKER})
"""What a placeholder or a hash may name; models have more, for which an action is given."""


def drop_own_surrogates(
    text: str,
    findings: Iterable[Finding],
    key: Key,
    actions: Mapping[str, Action] | None = None,
) -> list[Finding]:
    """The findings that are no surrogates of this key, in their order; nor, with `actions`, masks,
    placeholders and hashes that these write.

    Dropped besides surrogates: what lies within one, in any spelling (a detector may see a host in
    an address), and what reaches out of one by another surrogate, or by nothing but punctuation and
    white space.
    """
    findings = list(findings)
    left = findings
    own = Spans()
    if actions is not None:
        for start, end in _placeholders(text, actions):
            own.add(start, end)
        if "mask" in actions.values():
            left = [one for one in left if not _is_mask(text[one.start : one.end])]
    strangers: set[tuple[int, int, str]] = set()
    count = -1
    while count != len(left):  # one that is recognised may let others be
        count = len(left)
        left = [one for one in left if not _is_own(text, one, key, own, strangers)]
    left = _without_spellings(text, findings, left, actions, own)
    left = _without_given_names(text, findings, left)
    return _without_shifted_dates(text, left, key, actions)


def are_own_surrogates(text: str, findings: Iterable[Finding], key: Key) -> bool:
    """Whether each finding is a surrogate of this key as a whole, lies within such, or is the given
    name alone of one: then `drop_own_surrogates` drops all of them, whatever else is found.
    """
    own, people, others = Spans(), [], []
    for finding in findings:
        value, type_ = text[finding.start : finding.end], surrogate_type(finding)
        is_marker = finding.type == DEID_MARKER and type_ in {DEID_MARKER, "AGE"}
        if is_marker or not is_surrogate(value, type_, key):
            others.append(finding)
            continue
        own.add(finding.start, finding.end)
        if _is_person(finding):
            people.append(value)
    others = [one for one in others if own.uncovered(text, one.start, one.end)]
    if not all(map(_is_person, others)):
        return False
    known = People(people)
    return all(known.has_given(text[one.start : one.end]) for one in others)


def _without_spellings(
    text: str,
    findings: Iterable[Finding],
    left: list[Finding],
    actions: Mapping[str, Action] | None,
    own: Spans,
) -> list[Finding]:
    """`left` without what lies in other spellings of own surrogates: of one that is written
    zuhe.becic%40uno.org in a URL a detector sees the host "zuhe.be".
    """
    if all(actions is not None and action_of(one, actions) == "keep" for one in left):
        return left
    others = set(left)
    dropped = (f for f in findings if f not in others and f.type not in MARKER_TYPES)
    cores = {telling_core(text[f.start : f.end], f.type) for f in dropped} - {""}
    if not cores:
        return left
    folded = Folded(text)
    for _, first, last in folded.occurrences(cores):
        runs = folded.source(first, last)
        own.add(runs[0][0], runs[-1][1])
    return [one for one in left if own.uncovered(text, one.start, one.end)]


def _without_given_names(
    text: str, findings: Iterable[Finding], left: list[Finding]
) -> list[Finding]:
    """`left` without given names alone that stand beside a surname in another own surrogate."""
    others = set(filter(_is_person, left))
    if not others:
        return left
    people = People(text[f.start : f.end] for f in findings if _is_person(f) and f not in others)
    return [f for f in left if not (_is_person(f) and people.has_given(text[f.start : f.end]))]


def _is_person(finding: Finding) -> bool:
    return finding.type != DEID_MARKER and surrogate_type(finding) == PERSON


def drop_own_parts(
    text: str, findings: Iterable[Finding], whole: Iterable[Finding], key: Key
) -> list[Finding]:
    """The findings without parts of `whole` ones that are surrogates of this key by themselves.

    A value that overlaps what is kept is replaced in part, and that part alone carries the check:
    of "star@a.star@example.com", which ends in a reserved address, "star@". What was found whole
    is `drop_own_surrogates`'s to judge.
    """
    spans = {(one.start, one.end) for one in whole}
    return [
        one
        for one in findings
        if (one.start, one.end) in spans
        or one.type in MARKER_TYPES
        or not is_surrogate(text[one.start : one.end], surrogate_type(one), key)
    ]


def _placeholders(text: str, actions: Mapping[str, Action]) -> Iterator[tuple[int, int]]:
    """The spans of placeholders and hashes that these actions write."""
    if not {"placeholder", "hash"}.intersection(actions.values()):
        return
    for match in _PLACEHOLDER.finditer(text):
        if match[1] not in _NAMED_TYPES and match[1] not in actions:
            continue  # any word in capitals, or a secret
        action: Action = "hash" if match[2] else "placeholder"
        if action in {actions.get(match[1], actions.get(DEFAULT)), actions.get(DEID_MARKER)}:
            yield match.span()


def _is_mask(value: str) -> bool:
    return "*" in value and not any(map(str.isalnum, value))


def _is_own(
    text: str, finding: Finding, key: Key, own: Spans, strangers: set[tuple[int, int, str]]
) -> bool:
    """Whether a finding consists of own surrogates. If it does, its span is added to `own`.

    strangers: what is known to be none as a whole; what is found to be none is added.
    """
    type_ = surrogate_type(finding)
    span = (finding.start, finding.end, type_)
    if span in strangers and own.is_clear(finding.start, finding.end):
        return False
    uncovered = own.uncovered(text, finding.start, finding.end)
    if not uncovered:
        return True
    if finding.type == DEID_MARKER and type_ in {DEID_MARKER, "AGE"}:
        return False  # an age in a marker is a marker
    whole = [(finding.start, finding.end)]
    for spans in (whole, uncovered) if uncovered != whole else (whole,):
        if all(is_surrogate(text[start:end], type_, key) for start, end in spans):
            own.add(finding.start, finding.end)
            return True
    strangers.add(span)
    return False


def _without_shifted_dates(
    text: str, findings: list[Finding], key: Key, actions: Mapping[str, Action] | None
) -> list[Finding]:
    """The findings without the dates, if together they are dates that were shifted with this key.

    Where a marker stands for a date too they are not yet: all will move with its surrogate.
    """
    moving = [f for f in findings if actions is None or action_of(f, actions) == "surrogate"]
    if not any(map(_is_date, moving)):
        return findings
    values = [text[f.start : f.end] for f in resolve_overlaps(text, moving) if _is_date(f)]
    marked = any(f.type == DEID_MARKER and surrogate_type(f) == "DATE_TIME" for f in findings)
    if marked or not values or not dates.are_shifted(values, key):
        return findings
    shifted = [finding for finding in moving if _is_date(finding)]
    return [finding for finding in findings if finding not in shifted]


def _is_date(finding: Finding) -> bool:
    return finding.type != DEID_MARKER and surrogate_type(finding) == "DATE_TIME"
