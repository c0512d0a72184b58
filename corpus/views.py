"""A document's released text, made of its input text by cuts and changes, and the way back.

Three views of a document have names: *input*, as it was read; *deduplicated*, without what is cut;
*released*, with findings replaced besides. Tables speak of the input's offsets;
who looks at another view finds them again with `View.inside`, and its way there with `View.where`.

A text of several values (corpus.paths) keeps what separates them: what is cut goes from each value.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.intervals import union
from unrote.corpus.paths import SEPARATOR

Ints = NDArray[np.int64]

Change = tuple[int, int, str]
"""Start, end, and what is put there."""

_Segment = tuple[int, int, str, bool]
"""Start and end in the input, what stands there now, and whether it is what stood there before."""


@dataclass(frozen=True)
class View:
    """A text made of another. Segment i begins at offsets[i] (int64[n], ascending, code points); it
    stands for text[starts[i]:ends[i]] of the input, unchanged if copied[i] (bool[n]).
    """

    text: str
    offsets: Ints
    starts: Ints
    ends: Ints
    copied: NDArray[np.bool_]

    def inside(self, first: Ints, last: Ints) -> tuple[Ints, Ints]:
        """Where in the input text[first:last] comes from: (starts, ends), int64[m] each.

        What was changed counts whole, and a line break between two sides of a cut as the cut. An
        empty range is empty there too, but within what was changed.
        """
        if not self.offsets.size:
            return np.zeros_like(first), np.zeros_like(last)
        at = np.searchsorted(self.offsets, first, side="right") - 1
        behind = np.maximum(np.searchsorted(self.offsets, last, side="left") - 1, at)
        begin = self.starts[at] + np.where(self.copied[at], first - self.offsets[at], 0)
        stop = self.starts[behind] + last - self.offsets[behind]
        return begin, np.where(self.copied[behind], stop, self.ends[behind])

    def where(self, start: Ints, end: Ints) -> tuple[Ints, Ints]:
        """What stands for the input's [start, end) is text[first:last]: (firsts, lasts), int64[m]
        each, equal where nothing does. As in `inside`, changes and cuts count whole.
        """
        if not self.offsets.size:
            return np.zeros_like(start), np.zeros_like(end)
        at = np.searchsorted(self.ends, start, side="right")
        behind = np.searchsorted(self.starts, end, side="left") - 1
        nothing = behind < at
        at, behind = np.where(nothing, 0, at), np.where(nothing, 0, behind)
        begin = np.where(self.copied[at], np.maximum(start - self.starts[at], 0), 0)
        stops = np.append(self.offsets[1:], len(self.text))
        beyond = np.maximum(self.ends[behind] - end, 0)
        first = self.offsets[at] + begin
        last = stops[behind] - np.where(self.copied[behind], beyond, 0)
        return np.where(nothing, 0, first), np.where(nothing, 0, last)


def changes_outside(changes: Sequence[Change], removed: Sequence[tuple[int, int]]) -> list[Change]:
    """The changes that do not reach into text that goes whole: disjoint ranges, in order."""
    ends = [end for _, end in removed]
    left = []
    for change in changes:
        at = bisect_right(ends, change[0])
        if at == len(removed) or removed[at][0] >= change[1]:
            left.append(change)
    return left


def apply_edits(
    text: str,
    cuts: Iterable[tuple[int, int]],
    changes: Sequence[Change],
    *,
    several: bool = False,
) -> str:
    """`text` with the changes made, and without what cuts take of the rest.

    cuts: sorted by start. changes: sorted, none overlapping another. What stays on both sides of a
    cut is joined by a line break. several: whether the text may have several values; then no change
    reaches over two.
    """
    return "".join(new for _, _, new, _ in _all_segments(text, cuts, changes, several))


def view(
    text: str,
    cuts: Iterable[tuple[int, int]],
    changes: Sequence[Change],
    *,
    several: bool = False,
) -> View:
    """What `apply_edits` makes, with the ranges of the input that it comes from."""
    segments = [one for one in _all_segments(text, cuts, changes, several) if one[2]]
    starts, ends, texts, copied = zip(*segments, strict=True) if segments else ((),) * 4
    sizes = np.array([len(one) for one in texts], dtype=np.int64)
    return View(
        "".join(texts),
        np.cumsum(sizes) - sizes,
        np.array(starts, dtype=np.int64),
        np.array(ends, dtype=np.int64),
        np.array(copied, dtype=np.bool_),
    )


def _all_segments(
    text: str, cuts: Iterable[tuple[int, int]], changes: Sequence[Change], several: bool
) -> Iterator[_Segment]:
    """`_segments` of each value, and what separates them."""
    if not several or SEPARATOR not in text:
        yield from _segments(text, cuts, changes)
        return
    cuts = list(union(cuts))
    for start, end in value_ranges(text):
        if start:
            yield start - 1, start, SEPARATOR, True
        own_cuts = clipped(cuts, start, end)
        own = [(a - start, b - start, new) for a, b, new in changes if start <= a and b <= end]
        for a, b, new, copied in _segments(text[start:end], own_cuts, own):
            yield a + start, b + start, new, copied


def value_ranges(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each value of a text that may have several."""
    start = 0
    for value in text.split(SEPARATOR):
        yield start, start + len(value)
        start += len(value) + 1


def clipped(cuts: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """What disjoint cuts have in [start, end), counted from `start`."""
    return [(max(a, start) - start, min(b, end) - start) for a, b in cuts if a < end and b > start]


def _segments(
    text: str, cuts: Iterable[tuple[int, int]], changes: Sequence[Change]
) -> Iterator[_Segment]:
    """What the view is made of, in order; empty ranges between two cuts are no lines."""
    at, last = 0, -1
    for start, end in (*_apart(union(cuts), changes), (len(text), len(text))):
        here = [one for one in _changed(text, at, start, changes) if one[2]]
        if here and last >= 0:
            yield last, at, "\n", False
        if here:
            last = start
            yield from here
        at = end


def _apart(cuts: Iterable[tuple[int, int]], changes: Sequence[Change]) -> Iterator[tuple[int, int]]:
    """The cuts without the ranges that are changed."""
    ends = [end for _, end, _ in changes]
    for start, end in cuts:
        at = bisect_left(ends, start + 1)
        while at < len(changes) and changes[at][0] < end:
            if start < changes[at][0]:
                yield start, changes[at][0]
            start = changes[at][1]
            at += 1
        if start < end:
            yield start, end


def _changed(text: str, start: int, end: int, changes: Sequence[Change]) -> Iterator[_Segment]:
    """text[start:end], which no change reaches out of, with the changes within it."""
    at = bisect_left(changes, (start,))
    while at < len(changes) and changes[at][1] <= end and changes[at][0] >= start:
        from_, to, new = changes[at]
        yield start, from_, text[start:from_], True
        yield from_, to, new, False
        start = to
        at += 1
    yield start, end, text[start:end], True
