"""Overlapping findings: which one stands, and what of the others it leaves uncovered.

A part of a finding that no winner covers stays a finding if it holds letters or digits: it was
found to be personal data, and would be released otherwise.
"""

import bisect
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from operator import attrgetter

from unrote.pii.config import Action, action_of
from unrote.pii.findings import MARKER_TYPES, RESERVED_VALUE, Finding


class Spans:
    """A set of disjoint spans [start, end), in order; those that touch are one."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        first = bisect.bisect_left(self._ends, start)
        last = bisect.bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def is_clear(self, start: int, end: int) -> bool:
        """Whether no span overlaps [start, end), which is not empty."""
        first = bisect.bisect_right(self._ends, start)
        return start < end and (first == len(self._starts) or self._starts[first] >= end)

    def uncovered(self, text: str, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of text[start:end] outside these spans that hold letters or digits, without the
        white space at a cut. A span that none of these overlaps comes back as it is.
        """
        first = bisect.bisect_right(self._ends, start)
        last = bisect.bisect_left(self._starts, end)
        if first >= last:
            return [(start, end)] if start < end else []
        bounds = [start]
        for index in range(first, last):
            bounds += [self._starts[index], self._ends[index]]
        bounds.append(end)
        parts = []
        for left, right in zip(bounds[::2], bounds[1::2], strict=True):
            part = text[left:right]
            if any(map(str.isalnum, part)):
                left += len(part) - len(part.lstrip())
                parts.append((left, left + len(part.strip())))
        return parts

    def uncovered_by(self, text: str, finding: Finding) -> list[Finding]:
        """The finding's uncovered parts, each as a finding; it itself, if nothing covers it."""
        if self.is_clear(finding.start, finding.end):
            return [finding]
        parts = self.uncovered(text, finding.start, finding.end)
        return [finding._replace(start=start, end=end) for start, end in parts]


def prefer_markers(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings by offset, where de-identification markers win over personal data.

    Of a finding that overlaps a marker only the uncovered parts stay. A finding within a reserved
    value ("user@example.com") is dropped; so is a reserved value within a longer finding.
    """
    personal: list[Finding] = []
    markers: list[Finding] = []
    for finding in findings:
        (markers if finding.type in MARKER_TYPES else personal).append(finding)
    if not markers:
        return sorted(personal)
    claimed = Spans()
    preferred: list[Finding] = []
    around = _Around(personal)
    for marker in markers:
        if marker.type == RESERVED_VALUE and any(
            _is_more(text, one, marker) for one in around.those_with(marker.start, marker.end)
        ):
            continue
        claimed.add(marker.start, marker.end)
        preferred.append(marker)
    for finding in personal:
        preferred += claimed.uncovered_by(text, finding)
    return sorted(preferred)


class _Around:
    """Findings, of which those are asked for that hold a span."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._findings = sorted(findings)
        self._starts = [finding.start for finding in self._findings]
        self._reach = list(accumulate((finding.end for finding in self._findings), max))

    def those_with(self, start: int, end: int) -> Iterator[Finding]:
        """The findings of which [start, end) is a part."""
        index = bisect.bisect_right(self._starts, start) - 1
        while index >= 0 and self._reach[index] >= end:
            if self._findings[index].end >= end:
                yield self._findings[index]
            index -= 1


def _is_more(text: str, finding: Finding, marker: Finding) -> bool:
    """Whether a finding that holds a marker has letters or digits beside it."""
    beside = text[finding.start : marker.start] + text[marker.end : finding.end]
    return any(map(str.isalnum, beside))


def resolve_overlaps(
    text: str, findings: Iterable[Finding], actions: Mapping[str, Action] | None = None
) -> list[Finding]:
    """Disjoint findings, by offset: of those that overlap the longest wins; of equals the one of
    the higher score, then the type that comes first in the alphabet, then the earlier one. Of the
    others the uncovered parts stay.

    actions: by type. With it, what is replaced wins over what is kept: an e-mail address within a
    URL is replaced though URLs are kept.
    """

    def rank(finding: Finding) -> tuple[object, ...]:
        length = finding.end - finding.start
        kept = actions is not None and action_of(finding, actions) == "keep"
        names = (finding.type, finding.start, finding.origin, finding.stands_for)
        return (kept, -length, -finding.score, *names)

    resolved: list[Finding] = []
    for meeting in _meeting(findings):
        if len(meeting) > 1:
            meeting.sort(key=rank)
        claimed = Spans()
        for finding in meeting:
            resolved += claimed.uncovered_by(text, finding)
            claimed.add(finding.start, finding.end)
    return sorted(resolved, key=_start)


_start = attrgetter("start")


def _meeting(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """The findings by offset, together where one overlaps the next: most stand alone."""
    group: list[Finding] = []
    reach = 0
    for finding in sorted(findings, key=_start):
        if group and finding.start >= reach:
            yield group
            group = []
        group.append(finding)
        reach = max(reach, finding.end) if len(group) > 1 else finding.end
    if group:
        yield group
