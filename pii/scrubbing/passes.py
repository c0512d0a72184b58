"""Scrubbing one text, in passes, until another pass would change nothing.

A pass scans the text, selects the findings to act on, and replaces these. One is not always
enough: a surrogate may, with the words beside it, look like a value of another type; one finding
may have hidden another; a context word may have come nearer. So what was written is scanned again,
and what is found there is mapped back to the input, where it supersedes the edits that it covers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from unrote.pii.config import Action, action_of, kept_types
from unrote.pii.findings import Failure, Finding
from unrote.pii.keys import Key
from unrote.pii.ner import entities_of
from unrote.pii.overlaps import Spans, prefer_markers, resolve_overlaps
from unrote.pii.scrubbing.actions import AppliedAction, apply_actions
from unrote.pii.scrubbing.edits import Alignment, Edit, edited_text, is_within
from unrote.pii.scrubbing.own_surrogates import (
    are_own_surrogates,
    drop_own_parts,
    drop_own_surrogates,
)

if TYPE_CHECKING:
    from unrote.pii.scanner import Scanner

PASSES = 10
"""Passes after the first, at most. One in thirty findings of a text of nothing but numbers needs
another pass."""

Cuts = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class ScrubbedText:
    """What was found in a text and what is done about it, in the text's own offsets.

    applied: findings outside cuts, with their actions; in_cuts: findings within a cut. Both by
    offset, and none overlaps another. edits: in order and disjoint. rejected: why the text is not
    to be released, or ""; where it is not, the rest is empty.
    """

    applied: tuple[AppliedAction, ...] = ()
    in_cuts: tuple[Finding, ...] = ()
    edits: tuple[Edit, ...] = ()
    rejected: str = ""


def scrub_text(
    text: str,
    scanner: "Scanner",
    actions: Mapping[str, Action],
    key: Key,
    document: str,
    cuts: Cuts = (),
    entities: Sequence[Finding] | None = None,
) -> ScrubbedText:
    """Find personal data in a text and replace it, until a pass finds nothing new.

    The text is scanned in the form of the scanner's configuration (corpus.normalization). What
    comes back are offsets of the text as it is; no edit splits what is one character in the form.

    actions, document: as for `apply_actions`. cuts: disjoint spans of the text that are not
    released, by start; findings within one are reported and not acted on.
    entities: what the model for entities found in the text; None: it is asked now. It is not asked
    again about what a pass wrote (docs/adr/0027-entities-by-a-model.md).
    """
    if entities is None:
        (entities,) = entities_of([text], scanner.config)
    key = key.with_shapes(scanner.config.shapes)
    passes = _Passes(scanner, actions, key, document)
    normalization = scanner.config.normalization
    if normalization.text(text) == text:
        return _scrubbed(text, passes, cuts, entities)
    normal, starts, ends = normalization.aligned(text)
    alignment = Alignment(np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64))
    moved = [
        entity._replace(start=start, end=end)
        for entity in entities
        for start, end in alignment.spans_edited_from([(entity.start, entity.end)])
    ]
    scrubbed = _scrubbed(normal, passes, tuple(alignment.spans_edited_from(cuts)), moved)
    return _in_source(scrubbed, alignment, len(text))


def _in_source(scrubbed: ScrubbedText, alignment: Alignment, length: int) -> ScrubbedText:
    """What was done to a normalized text in the offsets of its source, of `length` code points."""

    def span(start: int, end: int) -> tuple[int, int]:
        if start < end:
            return alignment.source_of(start, end)
        at = int(alignment.starts[start]) if start < len(alignment.starts) else length
        return at, at

    def moved(finding: Finding) -> Finding:
        start, end = span(finding.start, finding.end)
        return finding._replace(start=start, end=end)

    applied = tuple(replace(one, finding=moved(one.finding)) for one in scrubbed.applied)
    in_cuts = tuple(map(moved, scrubbed.in_cuts))
    edits = tuple(Edit(*span(e.start, e.end), e.text) for e in scrubbed.edits)
    found = sorted((f.start, f.end) for f in (*(one.finding for one in applied), *in_cuts))
    changed = [(edit.start, edit.end) for edit in edits]
    if any(left[1] > right[0] for spans in (found, changed) for left, right in pairwise(spans)):
        # "\ufb01" is one character of the source and two of the form nfkc.
        return ScrubbedText(rejected="has a character of which two findings have a part each")
    return replace(scrubbed, applied=applied, in_cuts=in_cuts, edits=edits)


def _scrubbed(
    text: str, passes: "_Passes", cuts: Cuts, entities: Sequence[Finding]
) -> ScrubbedText:
    """`scrub_text` of a text that is in the form."""
    scrubbed = passes.run(text, cuts, entities)
    if scrubbed.edits:
        scrubbed = _converged(text, scrubbed, passes, cuts)
    return scrubbed if scrubbed.rejected else disjoint(text, scrubbed, cuts)


@dataclass(frozen=True)
class _Passes:
    """A pass over any text of one document: arguments as for `scrub_text`."""

    scanner: "Scanner"
    actions: Mapping[str, Action]
    key: Key
    document: str

    def run(self, text: str, cuts: Cuts, entities: Sequence[Finding] = ()) -> ScrubbedText:
        """One pass over a text: scan, select, act."""
        found = self.scanner.find_all(text)
        if isinstance(found, Failure):
            return ScrubbedText(rejected=f"{found.origin} {found.reason}")
        if entities:
            found = sorted([*found, *self.scanner.admitted(text, entities)])
        in_cuts, findings = _split_by_cuts(found, cuts)
        # Own surrogates first: a marker's shape may lie within one, and would break up the finding
        # by which that is recognised.
        whole = drop_own_surrogates(text, findings, self.key, self.actions)
        findings = resolve_overlaps(text, prefer_markers(text, whole), self.actions)
        findings = drop_own_parts(text, findings, whole, self.key)
        parts_in_cuts, findings = _split_by_cuts(findings, cuts)  # uncovered parts may lie in a cut
        outcome = apply_actions(text, findings, self.actions, self.key, self.document)
        if outcome.rejected_for:
            types = ", ".join(outcome.rejected_for)
            return ScrubbedText(rejected=f"holds {types}, whose action is reject-document")
        in_cuts = resolve_overlaps(text, prefer_markers(text, [*in_cuts, *parts_in_cuts]))
        return ScrubbedText(outcome.applied, tuple(in_cuts), outcome.edits)

    def changes_nothing(self, written: str, cuts: Cuts) -> bool:
        """Whether a pass over what earlier ones wrote changes nothing, for sure.

        So it is where all that it would act on are own surrogates as a whole, or lie in such. What
        is kept is not looked for: of the others it could but take away.
        """
        found = self.scanner.find_all(written, without=kept_types(self.actions))
        if isinstance(found, Failure):
            return False
        _, outside = _split_by_cuts(found, cuts)
        acted = [one for one in outside if action_of(one, self.actions) != "keep"]
        return are_own_surrogates(written, acted, self.key)


def _split_by_cuts(findings: Iterable[Finding], cuts: Cuts) -> tuple[list[Finding], list[Finding]]:
    """The findings that lie within a cut, and those that touch text that stays."""
    if not cuts:
        return [], list(findings)
    inside: list[Finding] = []
    outside: list[Finding] = []
    for finding in findings:
        (inside if is_within(cuts, finding.start, finding.end) else outside).append(finding)
    return inside, outside


def _converged(text: str, scrubbed: ScrubbedText, passes: _Passes, cuts: Cuts) -> ScrubbedText:
    """`scrubbed` with what further passes add, until one adds nothing."""
    for _ in range(PASSES):
        written = edited_text(text, scrubbed.edits)
        alignment = Alignment.of(len(text), scrubbed.edits) if cuts else None
        cuts_there = tuple(alignment.spans_edited_from(cuts)) if alignment else ()
        if passes.changes_nothing(written, cuts_there):
            return scrubbed
        again = passes.run(written, cuts_there)
        if again.rejected:
            return again
        alignment = alignment or Alignment.of(len(text), scrubbed.edits)
        added = list(_mapped_back(written, again, alignment))
        if not added:
            return scrubbed
        scrubbed = superseded(scrubbed, added)
    return ScrubbedText(rejected=f"does not converge in {PASSES} passes")


def _mapped_back(
    written: str, again: ScrubbedText, alignment: Alignment
) -> Iterator[tuple[AppliedAction, Edit]]:
    """What a pass over `written` changed, as edits of the source: each takes in all that earlier
    edits wrote where it touches them, and has one finding of that extent.
    """
    changed = [edit for edit in again.edits if written[edit.start : edit.end] != edit.text]
    for group in _grouped(changed, alignment):
        shifted = [
            replace(e, start=e.start - group.start, end=e.end - group.start) for e in group.edits
        ]
        edited = edited_text(written[group.start : group.end], shifted)
        edit = Edit(*alignment.source_of(group.start, group.end), edited)
        inside = (one for one in again.applied if _covers(group, one.finding))
        longest = max(
            (one for one in inside if one.action != "keep"),
            key=lambda one: one.finding.end - one.finding.start,
        )
        finding = longest.finding._replace(start=edit.start, end=edit.end)
        yield replace(longest, finding=finding, replacement=edit.text), edit


@dataclass
class _Group:
    """Edits of written[start:end], which is the whole of what earlier edits wrote there."""

    start: int
    end: int
    edits: list[Edit]


def _grouped(edits: Iterable[Edit], alignment: Alignment) -> Iterator[_Group]:
    """The edits of a written text, together where they touch what one earlier edit wrote."""
    group: _Group | None = None
    for edit in edits:
        start, end = alignment.edited_from(*alignment.source_of(edit.start, edit.end))
        if group is not None and start < group.end:
            group.edits.append(edit)
            group.end = max(group.end, end)
            continue
        if group is not None:
            yield group
        group = _Group(start, end, [edit])
    if group is not None:
        yield group


def superseded(scrubbed: ScrubbedText, added: Iterable[tuple[AppliedAction, Edit]]) -> ScrubbedText:
    """`scrubbed` with the added edits in place of those that they cover."""
    new = sorted(added, key=lambda pair: pair[1].start)
    spans = [(edit.start, edit.end) for _, edit in new]
    applied = [
        one for one in scrubbed.applied if not is_within(spans, one.finding.start, one.finding.end)
    ]
    edits = [edit for edit in scrubbed.edits if not is_within(spans, edit.start, edit.end)]
    applied += [one for one, _ in new]
    edits += [edit for _, edit in new]
    applied.sort(key=lambda one: one.finding.start)
    edits.sort(key=lambda edit: edit.start)
    return replace(scrubbed, applied=tuple(applied), edits=tuple(edits))


def _covers(outer: Edit | _Group, inner: Edit | Finding) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def disjoint(text: str, scrubbed: ScrubbedText, cuts: Cuts) -> ScrubbedText:
    """The findings without overlaps: what is changed goes before what is kept, and that before what
    lies in cuts. What is left of a finding that is kept may lie in a cut as a whole.
    """
    claimed = Spans()
    changed = [one for one in scrubbed.applied if one.action != "keep"]
    for one in changed:
        claimed.add(one.finding.start, one.finding.end)
    kept = [
        one if part is one.finding else replace(one, finding=part)
        for one in scrubbed.applied
        if one.action == "keep"
        for part in claimed.uncovered_by(text, one.finding)
    ]
    for one in kept if scrubbed.in_cuts else ():
        claimed.add(one.finding.start, one.finding.end)
    in_cuts = [part for one in scrubbed.in_cuts for part in claimed.uncovered_by(text, one)]
    if cuts:
        inside, _ = _split_by_cuts((one.finding for one in kept), cuts)
        kept = [one for one in kept if not is_within(cuts, one.finding.start, one.finding.end)]
        in_cuts = sorted([*inside, *in_cuts])
    applied = sorted([*changed, *kept], key=lambda one: one.finding.start)
    return replace(scrubbed, applied=tuple(applied), in_cuts=tuple(in_cuts))
