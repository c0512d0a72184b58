"""Edits of a text, and where the characters of the edited text come from."""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace text[start:end] (code points) by `text`."""

    start: int
    end: int
    text: str


def edited_text(text: str, edits: Sequence[Edit]) -> str:
    """The edited text. Raises ValueError for edits that overlap, are unordered or lie outside."""
    out = []
    offset = 0
    for edit in edits:
        if edit.start < offset or edit.end < edit.start or edit.end > len(text):
            raise ValueError(
                f"edits must be in order, disjoint and within the text: {edit.start}:{edit.end} "
                f"after {offset} of {len(text)}"
            )
        out += [text[offset : edit.start], edit.text]
        offset = edit.end
    return "".join([*out, text[offset:]])


def is_within(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of the spans, which are disjoint and in order, holds [start, end)."""
    index = bisect_right(spans, (start, sys.maxsize)) - 1
    return index >= 0 and end <= spans[index][1]


@dataclass(frozen=True)
class Alignment:
    """Which span of the source each character of an edited text comes from.

    starts, ends: int64[n], both ascending, for an edited text of n characters. All that an edit
    wrote comes from all that it replaced.
    """

    starts: Ints
    ends: Ints

    @classmethod
    def of(cls, length: int, edits: Sequence[Edit]) -> "Alignment":
        """That of a source of `length` characters after `edits`."""
        starts, ends, offset = [], [], 0
        for edit in edits:
            copied = np.arange(offset, edit.start)
            starts += [copied, np.full(len(edit.text), edit.start)]
            ends += [copied + 1, np.full(len(edit.text), edit.end)]
            offset = edit.end
        copied = np.arange(offset, length)
        return cls(np.concatenate([*starts, copied]), np.concatenate([*ends, copied + 1]))

    def source_of(self, start: int, end: int) -> tuple[int, int]:
        """The span of the source that edited[start:end] comes from; not for an empty one."""
        return int(self.starts[start]), int(self.ends[end - 1])

    def edited_from(self, start: int, end: int) -> tuple[int, int]:
        """The span of the edited text that comes from within source[start:end]."""
        first = int(np.searchsorted(self.starts, start))
        return first, int(np.searchsorted(self.ends, end, "right"))

    def spans_edited_from(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """`edited_from` of each span, where something is left of it."""
        for start, end in spans:
            first, last = self.edited_from(start, end)
            if first < last:
                yield first, last
