"""Windows: what a model for entities reads at once, with overlap, and of which part of it the
answer counts.

A text longer than a window is read in several that overlap. Of an overlap the first half belongs to
the window before and the second to the one behind, so that a model sees text on both sides of what
it is asked about. An entity counts in each window to which one of its tokens belongs: where two cut
it at different ends it is what both have of it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import pyarrow as pa
import regex
from numpy.typing import NDArray

from unrote.corpus.normalization import Normalization

Ints = NDArray[np.int64]

_ints = pa.list_(pa.int32())

WINDOWS = pa.schema(
    [
        pa.field("text_index", pa.int64(), nullable=False),
        pa.field("own_start", pa.int64(), nullable=False),
        pa.field("own_end", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("ids", _ints, nullable=False),
        pa.field("starts", _ints, nullable=False),
        pa.field("ends", _ints, nullable=False),
        pa.field("text", pa.string()),
    ]
)
"""A window of a text. A model that has tokens of its own is given these (`text` is null): ids, and
starts and ends in code points of the text from `start` on. Others are given `text`, and have a
start and an end for each of its code points, or none where these count from `start` one by one.
own_start to own_end are the tokens (code points) of the window that belong to it, of `size`:
whether these are all on a side says whether the text begins or ends there."""

FOUND = pa.schema(
    [
        pa.field("window", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
    ]
)
"""An entity: `window` is the row of the window it was found in, start and end are code points of
the text of which that is a window, as it was given."""


class Cutter(Protocol):
    """What cuts texts into the windows of a model for entities."""

    def cut(self, texts: Sequence[str], normalization: Normalization) -> pa.RecordBatch:
        """The windows of texts, schema WINDOWS, in their order; a text that is only white space has
        none. normalization: the form in which the model reads them.
        """
        ...


class EntityModel(Protocol):
    """A loaded model for entities, which reads windows.

    entities: the types that it can find, sorted. ignored: its labels that stand for none. device:
    "cpu", "cuda" or "mps". width: of its windows, for its cutter.
    """

    entities: tuple[str, ...]
    ignored: tuple[str, ...]
    device: str
    width: int

    def find(self, windows: pa.RecordBatch) -> pa.RecordBatch:
        """The entities in windows, schema FOUND. Raises RunError where it cannot read one."""
        ...


def window_bounds(size: int, width: int, overlap: int) -> Iterator[tuple[int, int, int, int]]:
    """(start, end, own start, own end) of windows of at most `width` that cover a text of `size`,
    each overlapping the next by at least `overlap`; own parts are disjoint and cover it too.
    """
    step = max(width - overlap, 1)
    count = 1 + max(0, -(-(size - width) // step))
    starts = [min(number * step, max(size - width, 0)) for number in range(count)]
    bounds = [0]
    for before, after in pairwise(starts):
        bounds.append((after + before + width + 1) // 2)
    bounds.append(size)
    for number, start in enumerate(starts):
        yield start, min(start + width, size), bounds[number], bounds[number + 1]


PIECE = 100_000
"""Code points that are cut into tokens at once, about: a tokenizer holds some hundred bytes for
each token."""

_BREAK = regex.compile(r"(?r)\s")


def pieces(text: str, limit: int = PIECE) -> Iterator[tuple[int, int]]:
    """Ranges that together are the text, of at most `limit` code points, cut before the last white
    space in each where there is any.
    """
    start = 0
    while len(text) - start > limit:
        found = _BREAK.search(text, start + limit // 2, start + limit)
        end = found.start() if found else start + limit
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)


_WORD = regex.compile(
    r"[[\w\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]+", regex.V1
)
"""A word, in scripts that put spaces between words; in others each token is for itself."""


def snapped(text: str, starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """The spans without white space at their edges, and where they touch a word all of it.

    starts, ends: int64[n] code points. A span of white space alone comes back empty.
    """
    if not starts.size:
        return starts, ends
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    black = np.flatnonzero(~np.isin(codes, _SPACES))
    after = np.searchsorted(black, starts)
    behind = np.searchsorted(black, ends) - 1
    blank = after > behind
    if black.size:
        starts = np.where(blank, starts, black[np.minimum(after, black.size - 1)])
        ends = np.where(blank, starts, black[np.maximum(behind, 0)] + 1)
    spans = np.array([match.span() for match in _WORD.finditer(text)], dtype=np.int64).reshape(
        -1, 2
    )
    if not spans.size:
        return starts, np.where(blank, starts, ends)
    left = np.maximum(np.searchsorted(spans[:, 0], starts, "right") - 1, 0)
    right = np.maximum(np.searchsorted(spans[:, 0], ends - 1, "right") - 1, 0)
    in_left = (spans[left, 0] <= starts) & (starts < spans[left, 1]) & ~blank
    in_right = (spans[right, 0] < ends) & (ends <= spans[right, 1]) & ~blank
    starts = np.where(in_left, spans[left, 0], starts)
    ends = np.where(in_right, spans[right, 1], ends)
    return starts, np.where(blank, starts, ends)


_SPACES = np.array([code for code in range(0x3001) if chr(code).isspace()], dtype=np.uint32)


class WindowRows:
    """Rows of WINDOWS, collected."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._lists: list[tuple[Ints, Ints, Ints]] = []
        self._texts: list[str | None] = []

    def add(
        self,
        index: int,
        own: tuple[int, int],
        size: int,
        start: int,
        tokens: tuple[Ints, Ints, Ints],
        text: str | None = None,
    ) -> None:
        """own: own_start and own_end. tokens: ids, starts, ends, from `start` on."""
        self._rows.append((index, *own, size, start))
        self._lists.append(tokens)
        self._texts.append(text)

    def batch(self) -> pa.RecordBatch:
        numbers = np.array(self._rows, dtype=np.int64).reshape(-1, 5)
        lists = [_list_array([one[kind] for one in self._lists]) for kind in range(3)]
        columns = [pa.array(numbers[:, column]) for column in range(5)]
        return pa.RecordBatch.from_arrays(
            [*columns, *lists, pa.array(self._texts, pa.string())], schema=WINDOWS
        )


def _list_array(lists: Sequence[Ints]) -> pa.ListArray:
    offsets = np.cumsum([0, *(one.size for one in lists)], dtype=np.int32)
    values = np.concatenate([np.empty(0, dtype=np.int32), *lists]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=_ints)


def list_values(column: pa.ListArray, row: int) -> NDArray[np.int32]:
    """The list in a row, without a copy."""
    first, end = column.offsets[row].as_py(), column.offsets[row + 1].as_py()
    values: NDArray[np.int32] = column.values.slice(first, end - first).to_numpy()
    return values


Aligned = tuple[str, Ints | None, Ints | None]


def aligned(text: str, normalization: Normalization) -> Aligned:
    """(the text in the form, starts, ends): code point i of it comes from text[starts[i]:ends[i]];
    None for both where it is the text itself.
    """
    if normalization.text(text) == text:
        return text, None, None
    normal, starts, ends = normalization.aligned(text)
    return normal, np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)


def in_source(starts: Ints, ends: Ints, back: tuple[Ints | None, Ints | None]) -> tuple[Ints, Ints]:
    """Spans of a text in the form, int64[n] each, as spans of the text that was given."""
    first, last = back
    if first is None or last is None or not first.size:
        return starts, ends
    lower = first[np.minimum(starts, first.size - 1)]
    upper = last[np.maximum(ends, 1) - 1]
    return lower, np.where(ends > starts, upper, lower)


class TextCutter:
    """A Cutter for models that cut text into tokens by themselves: windows of about `width` code
    points, cut at white space.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._overlap = width // 4

    def cut(self, texts: Sequence[str], normalization: Normalization) -> pa.RecordBatch:
        rows = WindowRows()
        for index, text in enumerate(texts):
            if not text.strip() or not encodable(text):
                continue
            normal, *back = aligned(text, normalization)
            for start, end, own_start, own_end in window_bounds(
                len(normal), self._width, self._overlap
            ):
                first = _moved(normal, start, own_start, _NEXT) if start else start
                last = _moved(normal, own_end, end, _LAST) if end < len(normal) else end
                at = np.arange(first, last + 1)
                starts, ends = in_source(at[:-1], at[1:], (back[0], back[1]))
                base = int(starts[0])
                lists = (_NO_INTS, _NO_INTS, _NO_INTS)
                if back[0] is not None:
                    lists = (_NO_INTS, starts - base, ends - base)
                own = (own_start - first, own_end - first)
                rows.add(index, own, last - first, base, lists, normal[first:last])
        return rows.batch()


_NO_INTS = np.empty(0, dtype=np.int64)
_NEXT = regex.compile(r"(?<=\s)\S")
_LAST = regex.compile(r"(?r)\s")


def _moved(text: str, start: int, end: int, to: "regex.Pattern[str]") -> int:
    """Where `to` matches first in text[start:end]; else the edge at which the search began."""
    found = to.search(text, start, end)
    fallback = end if to is _LAST else start
    return int(found.start()) if found else fallback


def encodable(text: str) -> bool:
    """Whether a text is Unicode: one with lone surrogates is refused by whoever scans it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def found_batch(rows: Sequence[tuple[int, int, int, str, float]]) -> pa.RecordBatch:
    """Rows of FOUND as a batch; scores rounded, since the last bits depend on who computed them."""
    columns = list(zip(*rows, strict=True)) or [()] * len(FOUND)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, FOUND, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=FOUND)


SCORE_DIGITS = 4
"""Of a score: further ones differ with the batch that a window is read in."""


def entities_in_text(
    windows: pa.RecordBatch,
    spans: Callable[[list[str]], Iterable[list[tuple[int, int, str, float]]]],
) -> pa.RecordBatch:
    """The rows of FOUND that `spans` gives for texts of windows: (start, end, type, score) in code
    points of the window's text.
    """
    columns = {
        name: windows[name].to_pylist() for name in ("own_start", "own_end", "start", "text")
    }
    rows = []
    for window, (own, end, start, text, found) in enumerate(
        zip(*columns.values(), spans(columns["text"]), strict=True)
    ):
        first = list_values(windows["starts"], window)
        last = list_values(windows["ends"], window)
        starts = np.array([one[0] for one in found], dtype=np.int64)
        ends = np.array([one[1] for one in found], dtype=np.int64)
        whole = zip(*(edge.tolist() for edge in snapped(text, starts, ends)), strict=True)
        for (a, b), (_, _, type_, score) in zip(whole, found, strict=True):
            if a < b and a < end and b > own:
                lower, upper = (int(first[a]), int(last[b - 1])) if first.size else (a, b)
                entity = (window, start + lower, start + upper, type_, round(score, SCORE_DIGITS))
                rows.append(entity)
    return found_batch(rows)
