"""Ranges of a text, as pairs of start and end."""

from collections.abc import Iterable, Iterator


def union(intervals: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The union of intervals that are sorted by start: disjoint ones that do not touch."""
    start, end = -1, -1
    for next_start, next_end in intervals:
        if next_start > end:
            if start >= 0:
                yield start, end
            start = next_start
        end = max(end, next_end)
    if start >= 0:
        yield start, end
