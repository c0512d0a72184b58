"""Ranges of a text."""

from collections.abc import Iterator, Sequence


def touches(ranges: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of the ranges has something in common with another range."""
    return any(a < end and b > start for a, b in ranges)


def joined(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same positions in disjoint ranges, in order."""
    union: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        elif start < end:
            union.append((start, end))
    return tuple(union)


def pieces(text: str, cuts: Sequence[tuple[int, int]]) -> Iterator[str]:
    at = 0
    for start, end in cuts:
        yield text[at:start]
        at = end
    yield text[at:]
