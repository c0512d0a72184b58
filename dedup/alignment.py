"""Texts as passages compare them, with the way back to the input's (corpus.normalization).

A *boundary* of compared text is an offset in code points, from 0 to the length. It has a place in
the input's text, except within a segment that normalization changed: what is there comes from all
of the segment. Between two boundaries that have a place stands what the input has between the
places, so what touches in one text touches in the other.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from unrote.corpus.normalization import Normalization
from unrote.corpus.text import arrow_buffers
from unrote.dedup.groups import Ints

Numbers = np.ndarray
"""int32[2 * k]: boundaries of compared text, ascending, behind them their places. Between two of
them places go on by one; boundaries with the place of the one before are within a segment."""


class Alignment(NamedTuple):
    """Boundaries of a compared text, and their places in the input's. int64[k] each."""

    boundaries: Ints
    places: Ints

    @classmethod
    def of(cls, normalization: Normalization, text: str) -> "Alignment":
        """That of a text with what it is normalized to."""
        if not (normalization.drop_ignorable or normalization.unescape_html):
            return cls(*_by_changes(normalization.changes(text)))
        _, starts, _ = normalization.aligned(text)
        places = np.array([*starts, len(text)], dtype=np.int64)
        places[places == places[0]] = 0  # what is dropped at the beginning goes with what follows
        new = np.diff(places, prepend=-2) != 1
        return cls(np.flatnonzero(new), places[new])

    @classmethod
    def read(cls, numbers: Numbers) -> "Alignment":
        """That which `numbers` describes."""
        wide = numbers.astype(np.int64).reshape(2, -1)
        return cls(wide[0], wide[1])

    @property
    def numbers(self) -> Numbers:
        return np.concatenate(self).astype(np.int32)

    @property
    def is_identity(self) -> bool:
        """Whether every boundary is its own place."""
        return len(self.places) == 1

    @property
    def inner(self) -> Ints:
        """The boundaries that have no place of their own, ascending."""
        before = self.places[:-1] + np.diff(self.boundaries) - 1  # of the boundary before each
        inner: Ints = self.boundaries[1:][before == self.places[1:]]
        return inner

    def places_of(self, boundaries: Ints) -> Ints:
        """The places of boundaries; within a segment that of its beginning."""
        k = np.searchsorted(self.boundaries, boundaries, side="right") - 1
        places: Ints = self.places[k] + boundaries - self.boundaries[k]
        return places

    def boundary_of(self, place: int) -> int:
        """The last boundary at or before a place."""
        k = int(np.searchsorted(self.places, place, side="right")) - 1
        boundary = int(self.boundaries[k]) + place - int(self.places[k])
        behind: list[int] = self.boundaries[k + 1 : k + 2].tolist()
        return min([boundary, *(b - 1 for b in behind)])

    def ends_of(self, boundaries: Ints) -> Ints:
        """The same; within a segment that of its end."""
        inner, behind = self.inner, boundaries.copy()
        while (within := np.isin(behind, inner)).any():
            behind += within
        return self.places_of(behind)


def _by_changes(changes: list[tuple[int, int, int]]) -> tuple[Ints, Ints]:
    """Boundaries and places, from segments and the lengths of what they are changed to."""
    boundaries, places, more = [0], [0], 0
    for start, end, length in changes:
        for within in range(1, length):
            boundaries.append(start + more + within)
            places.append(start)
        if end - start > 1:
            boundaries.append(start + more + length)
            places.append(end)
        more += length - (end - start)
    return np.array(boundaries, dtype=np.int64), np.array(places, dtype=np.int64)


class Compared:
    """Texts of an Arrow array as they are compared, and those that are not as they were.

    texts: the compared ones; changed: int64, the indices of those that may differ from the input's.
    """

    def __init__(self, normalization: Normalization, texts: pa.Array) -> None:
        self._normalization, self._input = normalization, texts
        self.texts = normalization.texts(texts)
        self.changed = np.empty(0, dtype=np.int64)
        if self.texts is not texts:
            self.changed = np.flatnonzero(normalization.may_change(texts))
        self._known: dict[int, Alignment] = {}

    @property
    def shifts(self) -> Ints:
        """How far behind its compared text each text begins, in their buffers."""
        _, before = arrow_buffers(self.texts)
        _, behind = arrow_buffers(self._input)
        shifts: Ints = (behind - before)[:-1]
        return shifts

    def alignment(self, index: int) -> Alignment:
        """That of a text."""
        if index not in self._known:
            text = self._input[index].as_py()
            self._known[index] = Alignment.of(self._normalization, text)
        return self._known[index]

    def altered(self) -> Iterator[tuple[int, Alignment]]:
        """The texts in which a boundary is not its own place."""
        for index in self.changed.tolist():
            alignment = Alignment.of(self._normalization, self._input[index].as_py())
            if not alignment.is_identity:
                yield index, alignment

    def inner(self, indices: Ints) -> np.ndarray:
        """Which bytes of the compared texts begin a code point at a boundary without a place, among
        those of some texts: uint8, as long as their buffer and one, or empty where none does.
        """
        data, offsets = arrow_buffers(self.texts)
        found = np.empty(0, dtype=np.uint8)
        for index in np.intersect1d(indices, self.changed).tolist():
            inner = self.alignment(index).inner
            if len(inner):
                if not len(found):
                    found = np.zeros(len(data) + 1, dtype=np.uint8)
                begin, end = offsets[index : index + 2]
                found[begin + _byte_offsets(data[begin:end])[inner]] = 1
        return found

    def in_input(self, index: int, boundaries: Ints) -> tuple[Ints, Ints]:
        """Where boundaries of a text lie in the input's: code points, and bytes of its buffer."""
        data, offsets = arrow_buffers(self._input)
        begin, end = offsets[index : index + 2]
        places = self.alignment(index).places_of(boundaries)
        return places, begin + _byte_offsets(data[begin:end])[places]


def _byte_offsets(data: np.ndarray) -> Ints:
    """Where code points begin in UTF-8, and where it ends."""
    return np.append(np.flatnonzero((data & 0xC0) != 0x80), len(data))
