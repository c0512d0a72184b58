"""One JSON array of objects, an object a line or pretty-printed, or pretty-printed objects one
after another in no array; written back byte for byte.

Elements are found by the kernels of `json_splitter` and read as JSON lines are. Of elements that
go, the comma and the white space go that stood before them; of the first, those behind it. No
library for streamed JSON says at which byte a value begins, so none is used.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from unrote.corpus.edits import ShardEdits
from unrote.corpus.formats.base import Cutter, Format
from unrote.corpus.formats.json_errors import explained, lines_in
from unrote.corpus.formats.json_values import text_paths
from unrote.corpus.formats.jsonl import (
    FIRST_ROWS,
    block_rows,
    check_values,
    first_bytes,
    new_values,
    read_strings,
    replaced,
    scan_each,
    stored_lines,
    string_is_there,
)
from unrote.corpus.json_scanner import END, REPEATED, ROW, START
from unrote.corpus.json_splitter import (
    BEHIND,
    BEYOND,
    CONCATENATED,
    PHASE,
    ROWS,
    WITHIN,
    element_ranges,
    split_elements,
    split_state,
)
from unrote.corpus.rows import (
    MAX_DOCUMENT,
    Damaged,
    Fields,
    SelectedRows,
    View,
    accepted,
    rejects,
    too_long,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Compression, Cut, Shard
from unrote.corpus.storage import storage
from unrote.corpus.streams import compressor
from unrote.corpus.text import bytes_view

_NEVER = 1 << 62


class JsonArray(Format):
    """One array of objects. Told from content, under the names that JSON lines have."""

    name = "json"
    suffixes: Mapping[str, Compression] = {}
    concatenated: ClassVar[bool] = False
    """Whether the objects stand in no array."""

    def cutter(self, shard: Shard, goal: int) -> Cutter:
        if shard.compression:
            return Cutter(shard)
        return _ElementCuts(shard, goal, split_state(False, 0, self.concatenated))

    def read(
        self, shard: Shard, cut: Cut, fields: Fields, view: View, selected: SelectedRows
    ) -> Tagged:
        row, position = cut.row, _Position(cut.line + 1, 1 if cut.start == 0 else None)
        elements = self._elements(shard, cut, fields)
        try:
            for block, table, reasons, after in elements.scanned(fields, view, selected):
                row = after
                explain = _Explain(block.stored, block.lines, position, fields.editable[0])
                yield from block_rows(block.lines, table, reasons, shard, fields, view, explain)
                position = position.behind(block.stored, block.skipped)
            elements.check_end(position)
        except Damaged as damage:
            if view == "records" and selected.has(row):
                yield from rejects(shard, [row], [str(damage)])

    def rewrite(
        self, shard: Shard, cuts: Sequence[Cut], fields: Fields, edits: ShardEdits, path: Path
    ) -> int:
        whole = Cut(shard.number, cuts[0].start, cuts[-1].end, 0)
        released = _Released(fields, edits)
        with storage(path, "write"), path.open("wb") as file:
            sink = compressor(shard.compression)
            everything = SelectedRows(shard, None, 0)
            elements = self._elements(shard, whole, fields)
            try:
                for block, table, reasons, _ in elements.scanned(fields, "text", everything):
                    read_strings(block.lines, table, reasons, fields)
                    chunks = released.block(block, table, accepted(reasons))
                    file.write(sink.compress(b"".join(chunks)))
            except Damaged:
                pass  # the row at the damage was rejected when it was read
            file.write(sink.compress(released.end(elements)))
            file.write(sink.flush())
        return released.rows

    def text_columns(self, shard: Shard, first: Cut) -> set[str]:
        rows = _first_rows(self._elements(shard, first))
        return {path for _, row in rows for path in text_paths(row)}

    def check(self, shard: Shard, fields: Fields, first: Cut | None) -> None:
        if first is not None and fields.columns:
            check_values(shard, fields, _first_rows(self._elements(shard, first)))

    def _elements(self, shard: Shard, cut: Cut, fields: Fields | None = None) -> "_Elements":
        """The elements of a cut; without `fields` those at its beginning."""
        state = split_state(cut.start > 0, cut.row, self.concatenated)
        if fields is None:
            return _Elements(shard, cut, state, first_bytes(shard, cut))
        return _Elements(shard, cut, state, stored_lines(shard, cut, fields.max_expansion))


class JsonValues(JsonArray):
    """Objects of several lines each, with white space between them, as jq writes them."""

    name = "json-values"
    concatenated = True


# Where a file can be cut


class _ElementCuts(Cutter):
    """Behind the first comma or white space between two elements from `goal` bytes on."""

    def __init__(self, shard: Shard, goal: int, state: np.ndarray) -> None:
        super().__init__(shard)
        self._goal = goal
        self._state = state
        self._cut_points: list[tuple[int, int, int]] = [(0, 0, 0)]
        self._lines = 0

    def add(self, chunk: bytes, offset: int) -> None:
        data = bytes_view(chunk)
        lines = data.copy()
        at = counted = 0
        while at < len(data) and self._state[PHASE] != BEYOND:
            goal = self._cut_points[-1][0] + self._goal - 1 - offset
            rows = self._state[ROWS]
            at, behind = split_elements(data, at, lines, max(0, goal), self._state)
            at_comma = self._state[PHASE] == WITHIN and behind == at and self._state[ROWS] > rows
            if at_comma and at > goal:
                self._lines += lines_in(data[counted:at])
                counted = at
                self._cut_points.append((offset + at, int(self._state[ROWS]), self._lines))
        self._lines += lines_in(data[counted:])

    def cuts(self, size: int) -> list[Cut]:
        points = self._cut_points
        ends = [start for start, _, _ in points[1:]] + [size]
        return [
            Cut(self._shard.number, start, end, row, line)
            for (start, row, line), end in zip(points, ends, strict=True)
        ]


# Reading


@dataclass(frozen=True)
class _Block:
    """Elements of the array, up to the comma or bracket behind one: as stored, and as lines.

    `is_overlong`: it stands for one element that is not held, and in which `skipped` line breaks
    are; its white space and what ends it are there.
    """

    stored: np.ndarray
    lines: np.ndarray
    is_overlong: bool = False
    skipped: int = 0


class _Elements:
    """The elements of a cut, in blocks; `state` is that of `json_splitter` at its start, `chunks`
    are its bytes.
    """

    def __init__(self, shard: Shard, cut: Cut, state: np.ndarray, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._first = cut.row
        self._last = cut.end == shard.size or bool(shard.compression)
        self._state = state

    @property
    def concatenated(self) -> bool:
        """Whether they stand in no array."""
        return bool(self._state[CONCATENATED])

    @property
    def closed(self) -> bool:
        """Whether the bracket that ends the array went by, if there is an array."""
        return self.concatenated or self._state[PHASE] in (BEHIND, BEYOND)

    def blocks(self, limit: int) -> Iterator[_Block]:
        """About a chunk each, or one larger element; the last is what comes behind the last end.

        Of an element of more than `limit` bytes no more are held. In an array, one behind which
        neither comma nor bracket comes is left out.
        """
        held: list[_Block] = []
        size = 0  # of the element that goes on
        overlong = _Overlong()
        for chunk in self._chunks:
            data = bytes_view(chunk)
            lines = data.copy()
            at = start = 0
            if size > limit:
                at, start = split_elements(data, 0, lines, 0, self._state)
                overlong.skip(data[: start or at])
                if start == 0:
                    continue
                yield overlong.block(data[start - 1])
                size = 0
            at, behind = split_elements(data, at, lines, _NEVER, self._state)
            if behind:
                yield _joined([*held, _Block(data[start:behind], lines[start:behind])])
                held, size = [], 0
            start = max(start, behind)
            if at > start:
                held.append(_Block(data[start:at], lines[start:at]))
                size += at - start
            if size > limit:
                overlong = _Overlong(held, limit)
                held = []
            if self._state[PHASE] == BEYOND:
                break
        if size > limit and self.concatenated:
            yield overlong.block(ord("\n"))
        elif held and self.closed:
            yield _joined(held)

    def scanned(
        self, fields: Fields, view: View, selected: SelectedRows
    ) -> Iterator[tuple[_Block, np.ndarray, np.ndarray, int]]:
        """Blocks, and what `jsonl.scan_each` finds in their lines. Raises Damaged."""
        going: list[_Block] = []

        def lines() -> Iterator[np.ndarray]:
            for block in self.blocks(fields.max_document):
                going.append(block)
                yield block.lines

        for _, table, reasons, row in scan_each(
            lines(), False, self._first, fields, view, selected
        ):
            block = going.pop()
            if block.is_overlong:
                reasons[:] = too_long(fields.max_document)
            yield block, table, reasons, row

    def check_end(self, position: "_Position") -> None:
        """Raises Damaged where the array does not end, or the file goes on; at `position`."""
        if self._state[PHASE] == BEYOND:
            raise Damaged(
                f"another value behind the array ({position}): what follows is not read; make one "
                "array of all, with jq -s add FILE"
            )
        if self._last and self._state[PHASE] == WITHIN and not self.concatenated:
            raise Damaged(
                f"the array does not end ({position}): the file is cut off behind that; replace it"
            )


class _Overlong:
    """An element that is not held: what was left of it."""

    def __init__(self, start: Sequence[_Block] = (), limit: int = 0) -> None:
        """`start` is how it begins. Raises Damaged where that is white space alone."""
        self._before = b""
        self._skipped = 0
        found = not start
        for block in start:
            white = 0
            if not found:
                lines = block.lines.tobytes()
                white = len(lines) - len(lines.lstrip(b" \t\r"))
                found = white < len(lines)
                self._before += block.stored[:white].tobytes()
            self._skipped += lines_in(block.stored[white:])
        if not found:
            raise Damaged(f"white space longer than {limit} bytes in an array: leave it out")

    def skip(self, data: np.ndarray) -> None:
        """`data` belongs to it."""
        self._skipped += lines_in(data)

    def block(self, end: int) -> _Block:
        """Its block; `end` is the comma or bracket behind it."""
        stored = bytes_view(self._before + bytes([1, end]))
        lines = bytes_view(b" " * len(self._before) + b"\x01\n")
        return _Block(stored, lines, True, self._skipped)


def _joined(blocks: Sequence[_Block]) -> _Block:
    if len(blocks) == 1:
        return blocks[0]
    return _Block(
        np.concatenate([block.stored for block in blocks]),
        np.concatenate([block.lines for block in blocks]),
    )


@dataclass(frozen=True)
class _Position:
    """A line and a column, from 1; the column is None where the line's start was not seen."""

    line: int
    column: int | None

    def behind(self, data: np.ndarray, skipped: int = 0) -> "_Position":
        """The position behind `data`, which starts here and lacks `skipped` of its line breaks."""
        if skipped:
            return _Position(self.line + lines_in(data) + skipped, None)
        breaks = lines_in(data)
        if breaks == 0 and self.column is None:
            return self
        last = data[int(np.flatnonzero(data == ord("\n"))[-1]) + 1 :] if breaks else data
        chars = int(np.count_nonzero((last & 0xC0) != 0x80))
        before = 1 if breaks else self.column
        assert before is not None
        return _Position(self.line + breaks, before + chars)

    def __str__(self) -> str:
        return f"line {self.line}" + (f", column {self.column}" if self.column else "")


@dataclass(frozen=True)
class _Explain:
    """The reasons of rejected rows of a block that starts at `position`; see `block_rows`."""

    stored: np.ndarray
    lines: np.ndarray
    position: _Position
    text: str

    def __call__(self, table: np.ndarray, reasons: np.ndarray) -> list[str]:
        told, counted, position = [], 0, self.position
        # Before the first element is the array's bracket, which is white space in the lines.
        starts = element_ranges(self.lines, table, START, END)[:, 0].tolist()
        for start, end, reason in zip(starts, table[:, END].tolist(), reasons, strict=True):
            position = position.behind(self.stored[counted:start])
            counted = start
            element = self.stored[start:end].tobytes()
            where = position.line, self.text, position.column
            told.append(explained(reason, element, *where, array=True))
        return told


# Writing


class _Released:
    """The released array, made as blocks go by."""

    def __init__(self, fields: Fields, edits: ShardEdits) -> None:
        self._fields = fields
        self._edits = edits
        self._between: list[bytes] = []  # what the file has since the last element
        self._started = False
        self.rows = 0

    def block(
        self, block: _Block, table: np.ndarray, readable: np.ndarray
    ) -> Iterator[bytes | memoryview]:
        """What comes out for a block's elements, of which the `readable` are not rejected."""
        if len(table) == 0:
            self._between.append(block.stored.tobytes())
            return
        lines = block.lines
        has_string = partial(string_is_there, lines, table, self._fields)
        kept, changes = self._edits.of_rows(int(table[0, ROW]), readable, has_string)
        for at in np.flatnonzero(table[:, REPEATED].astype(np.bool_) & kept).tolist():
            changes.setdefault(at, {})  # its earlier values were not read
        ranges = element_ranges(lines, table, START, END)
        stored = memoryview(block.stored)  # type: ignore[arg-type]
        self._between.append(bytes(stored[: ranges[0, 0]]))
        if not self._started:
            yield b"".join(self._between)
            self._between = []
        for first, last in _runs(kept, changes):
            if not kept[first]:
                self._between = []
            else:
                if self.rows:
                    yield b"".join(self._between)
                self._between = []
                if first in changes:
                    yield from self._element(block, table[first], ranges[first], changes[first])
                else:
                    yield stored[ranges[first, 0] : ranges[last, 1]]
                self.rows += last + 1 - first
            end = ranges[last + 1, 0] if last + 1 < len(table) else len(stored)
            self._between.append(bytes(stored[ranges[last, 1] : end]))
        self._started = True

    def _element(
        self,
        block: _Block,
        found: np.ndarray,
        between: np.ndarray,
        changes: dict[int, str],
    ) -> Iterator[bytes | memoryview]:
        """The chunks of one element, which stands between two offsets, with `changes` made."""
        start, end = between.tolist()
        # Values are looked for in the line that was made of it, and written into what is stored.
        line = memoryview(block.lines)[found[START] : found[END]]  # type: ignore[arg-type]
        inset = start - int(found[START])
        values = new_values(line, found, changes, self._fields)
        stored = memoryview(block.stored)[start:end]  # type: ignore[arg-type]
        return replaced(stored, ((at - inset, to - inset, new) for at, to, new in values))

    def end(self, elements: _Elements) -> bytes:
        """What comes behind the last of the elements, which all went by."""
        if elements.concatenated:
            return b"".join(self._between)
        if elements.closed:
            last = b"".join(self._between)
            # With a comma before it the bracket was taken for an element that is none.
            return last if b"]" in last else b"]" + last
        return b"]" if self._started else b"[]"


def _runs(kept: np.ndarray, edited: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last row of runs that come out as they are or go; an edited row is one alone."""
    breaks = np.ones(len(kept) + 1, dtype=np.bool_)
    breaks[1:-1] = kept[1:] != kept[:-1]
    for at in edited:
        breaks[[at, at + 1]] = True
    starts = np.flatnonzero(breaks).tolist()
    yield from ((first, after - 1) for first, after in pairwise(starts))


# Looking at the first rows


def _first_rows(elements: _Elements) -> Iterator[tuple[int, dict[str, Any]]]:
    """The elements that are objects, with their numbers."""
    lines = (
        line
        for block in elements.blocks(MAX_DOCUMENT)
        for line in block.lines.tobytes().split(b"\n")
        if line.strip(b" \t\r")
    )
    try:
        for number, line in enumerate(islice(lines, FIRST_ROWS)):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a reject, and reported as such
            if isinstance(row, dict):
                yield number, row
    except Damaged:
        return  # the same
