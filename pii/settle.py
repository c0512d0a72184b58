"""Scrubbing a text until scrubbing it again changes nothing.

One sweep is not always enough. What stands in for a value may, with the words beside it, look like
a value of another type; one finding may have hidden another; a context word may have come nearer.
So what was written is scanned again, and what is found there is put back into the coordinates of
the input, where it takes the place of the findings that it holds.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unrote.pii.actions import Applied, Edit, apply, replace_in, resolve, unknown
from unrote.pii.config import Action
from unrote.pii.findings import Failure, Finding, Spans
from unrote.pii.keys import Key

if TYPE_CHECKING:
    from unrote.pii.scanner import Scanner

Ints = NDArray[np.int64]

SWEEPS = 10
"""One in thirty findings of a text made of nothing but numbers wants another sweep."""


@dataclass(frozen=True)
class Settled:
    """What was found in a text, and what is done about it, in the text's own coordinates.

    applied, gone: findings by place, none overlapping another; `gone` lie within a cut. edits: in
    order and apart. rejected: the reason if the text is not to be released; then there is no more.
    """

    applied: tuple[Applied, ...] = ()
    gone: tuple[Finding, ...] = ()
    edits: tuple[Edit, ...] = ()
    rejected: str = ""


def settle(
    text: str,
    scanner: "Scanner",
    actions: Mapping[str, Action],
    key: Key,
    document: str,
    cuts: Sequence[tuple[int, int]] = (),
) -> Settled:
    """Find, and act, until nothing new is found in what is written.

    actions, document: as for pii.actions.apply. cuts: disjoint parts of the text that are not
    released, by start; what lies within one is found and left alone.
    """
    first = _sweep(text, scanner, actions, key, document, cuts)
    changes = [one for one in first.applied if one.action != "keep"]
    kept = [one for one in first.applied if one.action == "keep"]
    edits = list(first.edits)
    for _ in range(SWEEPS if edits else 0):
        if first.rejected:
            break
        written = replace_in(text, edits)
        starts, ends = _origins(len(text), edits)
        still_cut = tuple(_moved(cuts, starts, ends))
        again = _sweep(written, scanner, actions, key, document, still_cut)
        if again.rejected:
            return Settled(rejected=again.rejected)
        new = list(_found_again(written, again, starts, ends))
        if not new:
            break
        for one, edit in new:
            changes = [c for c in changes if not _holds(edit, c.finding)] + [one]
            edits = [e for e in edits if not _holds(edit, e)] + [edit]
        changes.sort(key=lambda one: one.finding.start)
        edits.sort(key=lambda edit: edit.start)
    else:
        if edits:
            return Settled(rejected=f"does not settle in {SWEEPS} sweeps")
    claimed = Spans()
    for one in changes:
        claimed.add(one.finding.start, one.finding.end)
    kept = [Applied(piece, "keep") for one in kept for piece in _beyond(text, one.finding, claimed)]
    for one in kept:
        claimed.add(one.finding.start, one.finding.end)
    gone = [piece for finding in first.gone for piece in _beyond(text, finding, claimed)]
    applied = sorted([*changes, *kept], key=lambda one: one.finding.start)
    return Settled(tuple(applied), tuple(gone), tuple(edits), first.rejected)


def _sweep(
    text: str,
    scanner: "Scanner",
    actions: Mapping[str, Action],
    key: Key,
    document: str,
    cuts: Sequence[tuple[int, int]],
) -> Settled:
    """What one look at a text says is to be done."""
    from unrote.pii.scanner import outranked  # noqa: PLC0415 (loads Presidio)

    found = scanner.find_all(text)
    if isinstance(found, Failure):
        return Settled(rejected=f"{found.origin} {found.reason}")
    gone, left = _parted(found, cuts)
    # `unknown` first: a marker's shape may lie within one of our own surrogates, and would break up
    # the finding by which that is known.
    left = resolve(text, outranked(text, unknown(text, left, key, actions)), actions)
    more, left = _parted(left, cuts)  # what others left of a finding may lie in a cut
    edited = apply(text, left, actions, key, document)
    if edited.rejected:
        types = {one.finding.type for one in edited.applied if one.action == "reject-document"}
        listed = ", ".join(sorted(types))
        return Settled(rejected=f"holds {listed}, whose action is reject-document")
    lost = resolve(text, outranked(text, [*gone, *more]))
    return Settled(edited.applied, tuple(lost), edited.edits)


def _parted(
    found: Iterable[Finding], cuts: Sequence[tuple[int, int]]
) -> tuple[list[Finding], list[Finding]]:
    """The findings that lie within a cut, and those that touch text that stays."""
    starts = [start for start, _ in cuts]
    lost: list[Finding] = []
    left: list[Finding] = []
    for finding in found:
        at = bisect_right(starts, finding.start) - 1
        within = at >= 0 and finding.end <= cuts[at][1]
        (lost if within else left).append(finding)
    return lost, left


def _beyond(text: str, finding: Finding, claimed: Spans) -> Iterator[Finding]:
    for start, end in claimed.beyond(text, finding.start, finding.end):
        yield finding._replace(start=start, end=end)


def _holds(edit: Edit, other: Edit | Finding) -> bool:
    return edit.start <= other.start and other.end <= edit.end


def _found_again(
    written: str, again: Settled, starts: Ints, ends: Ints
) -> Iterator[tuple[Applied, Edit]]:
    """What was found in `written`, as edits of the text: each with all of the earlier edits that it
    touches in it, and a finding of that extent. starts, ends: as _origins gives them.
    """
    real = [edit for edit in again.edits if written[edit.start : edit.end] != edit.text]
    for low, high, first, last, own in _grouped(real, starts, ends):
        shifted = [Edit(edit.start - first, edit.end - first, edit.text) for edit in own]
        edit = Edit(low, high, replace_in(written[first:last], shifted))
        whole = Edit(first, last, "")
        inside = (one for one in again.applied if _holds(whole, one.finding))
        most = max(
            (one for one in inside if one.action != "keep"),
            key=lambda one: one.finding.end - one.finding.start,
        )
        finding = most.finding._replace(start=low, end=high)
        yield replace(most, finding=finding, replacement=edit.text), edit


def _origins(length: int, edits: Sequence[Edit]) -> tuple[Ints, Ints]:
    """For each character of what the edits write, where it comes from: start and end in a text of
    `length` characters. All that an edit wrote comes from all that it replaced.
    """
    starts, ends, place = [], [], 0
    for edit in edits:
        plain = np.arange(place, edit.start)
        starts += [plain, np.full(len(edit.text), edit.start)]
        ends += [plain + 1, np.full(len(edit.text), edit.end)]
        place = edit.end
    plain = np.arange(place, length)
    return np.concatenate([*starts, plain]), np.concatenate([*ends, plain + 1])


def _moved(parts: Iterable[tuple[int, int]], starts: Ints, ends: Ints) -> Iterator[tuple[int, int]]:
    """Where parts of the text are in what was written, without what was changed at their ends."""
    for start, end in parts:
        first, last = int(np.searchsorted(starts, start)), int(np.searchsorted(ends, end, "right"))
        if first < last:
            yield first, last


def _grouped(
    edits: Sequence[Edit], starts: Ints, ends: Ints
) -> Iterator[tuple[int, int, int, int, list[Edit]]]:
    """Edits of what was written, those together that touch what one earlier edit wrote: the part
    of the text that they are about, the part of what was written, and they.
    """
    group: list[Edit] = []
    low = high = first = last = 0
    for edit in edits:
        from_, to = int(starts[edit.start]), int(ends[edit.end - 1])
        begin, end = int(np.searchsorted(starts, from_)), int(np.searchsorted(ends, to, "right"))
        if group and begin < last:
            group.append(edit)
            high, last = max(high, to), max(last, end)
            continue
        if group:
            yield low, high, first, last, group
        group, low, high, first, last = [edit], from_, to, begin, end
    if group:
        yield low, high, first, last, group
