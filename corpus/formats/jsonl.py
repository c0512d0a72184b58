"""JSON lines: read by blocks, and written back byte for byte but for the strings that are edited.

What stands in a line is found by the kernels of `json_scanner`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from unrote.corpus.edits import ShardEdits
from unrote.corpus.errors import InputError
from unrote.corpus.formats.base import Cutter, Format, with_compressions
from unrote.corpus.formats.json_errors import NOT_JSON as NO_JSON
from unrote.corpus.formats.json_errors import explained, lines_in
from unrote.corpus.formats.json_values import NOTHING_THERE, find_values, joined, text_paths
from unrote.corpus.formats.sniffing import (
    compression_of,
    head_of,
    is_array,
    is_pretty,
    refuse_wide,
)
from unrote.corpus.json_scanner import (
    BRACE,
    BRACKET,
    END,
    GOOD,
    MINUS,
    NOT_JSON,
    NOT_OBJECT,
    QUOTE,
    REPEATED,
    ROW,
    START,
    STATUS,
    STRINGS,
    VALUES,
    WITH_BOOLEANS,
    WITH_NUMBERS,
    count_rows,
    decode,
    scan,
)
from unrote.corpus.kernel import byte_buffer
from unrote.corpus.paths import SEPARATOR, Selection
from unrote.corpus.rows import (
    EXPANDED,
    IS_NULL,
    MAX_DOCUMENT,
    MAX_EXPANSION,
    NOT_UTF8,
    Damaged,
    Fields,
    SelectedRows,
    View,
    accepted,
    rejects,
    row_batches,
    too_long,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Compression, Cut, Shard
from unrote.corpus.storage import chunks, open_stored, storage
from unrote.corpus.streams import beginning, compressor, decompressed, not_expanded
from unrote.corpus.text import BOM, bytes_view, is_utf8, strings_from, utf8_ranges

FIRST_ROWS = 100
"""So many rows of a shard are looked at to see which fields it has."""


class JsonLines(Format):
    """One JSON object a line, plain or compressed."""

    name = "jsonl"
    suffixes: Mapping[str, Compression] = with_compressions(".jsonl", ".ndjson", ".json")

    def recognised(self, shard: Shard, stored: bytes) -> Shard:
        found = replace(shard, compression=compression_of(stored, shard.compression))
        head = head_of(stored, found.compression)
        refuse_wide(shard, head)
        if is_array(head):
            return replace(found, format="json")
        return replace(found, format="json-values") if is_pretty(head) else found

    def splits(self, shard: Shard) -> bool:
        return not shard.compression

    def is_lines(self, shard: Shard) -> bool:
        return not shard.compression

    def cutter(self, shard: Shard, goal: int) -> Cutter:
        return Cutter(shard) if shard.compression else LineCuts(shard, goal)

    def read(
        self, shard: Shard, cut: Cut, fields: Fields, view: View, selected: SelectedRows
    ) -> Tagged:
        content = stored_lines(shard, cut, fields.max_expansion)
        yield from read_jsonl(
            content, shard, cut.start == 0, cut.row, fields, view, selected, cut.line
        )

    def rewrite(
        self, shard: Shard, cuts: Sequence[Cut], fields: Fields, edits: ShardEdits, path: Path
    ) -> int:
        rows = 0
        with storage(path, "write"), path.open("wb") as file:
            sink = compressor(shard.compression)
            for cut in cuts:
                stored = stored_lines(shard, cut, fields.max_expansion)
                for count, chunk in rewritten_lines(stored, shard, cut, fields, edits):
                    rows += count
                    file.write(sink.compress(chunk))
            file.write(sink.flush())
        return rows

    def text_columns(self, shard: Shard, first: Cut) -> set[str]:
        return {path for _, row in _first_rows(shard, first) for path in text_paths(row)}

    def check(self, shard: Shard, fields: Fields, first: Cut | None) -> None:
        if first is None or not fields.columns:
            return
        check_values(shard, fields, _first_rows(shard, first))


# Where a file can be cut


class LineCuts(Cutter):
    """Where to cut a file that comes in chunks: after the first newline from `goal` bytes on."""

    def __init__(self, shard: Shard, goal: int) -> None:
        super().__init__(shard)
        self._goal = goal
        self._cut_points: list[tuple[int, int, int]] = [(0, 0, 0)]
        self._rows = 0
        self._lines = 0
        self._in_row = False

    def add(self, chunk: bytes, offset: int) -> None:
        data = bytes_view(chunk)
        at = len(BOM) if offset == 0 and data[: len(BOM)].tobytes() == BOM else 0
        while at >= 0:
            goal = self._cut_points[-1][0] + self._goal - 1 - offset
            at, self._rows, self._in_row, lines = count_rows(
                data, at, goal, self._rows, self._in_row
            )
            self._lines += lines
            if at >= 0:
                self._cut_points.append((offset + at, self._rows, self._lines))

    def cuts(self, size: int) -> list[Cut]:
        points = self._cut_points
        if len(points) > 1 and points[-1][0] == size:
            points.pop()
        ends = [start for start, _, _ in points[1:]] + [size]
        return [
            Cut(self._shard.number, start, end, row, line)
            for (start, row, line), end in zip(points, ends, strict=True)
        ]


# Reading


def stored_lines(shard: Shard, cut: Cut, max_expansion: int) -> Iterator[bytes]:
    """The bytes of a cut's JSON lines, decompressed. Raises StorageError, Damaged, InputError."""
    with storage(shard.url, "read"), open_stored(shard.url, shard.etag) as file:
        if shard.compression:
            yield from not_expanded(decompressed(file, shard.compression), shard, max_expansion)
        else:
            _seek(file, cut.start)
            yield from chunks(file, cut.end - cut.start)


def first_bytes(shard: Shard, cut: Cut) -> Iterator[bytes]:
    """As many as the first rows mostly have."""
    return beginning(stored_lines(shard, cut, MAX_EXPANSION), EXPANDED)


def _seek(file: Any, offset: int) -> None:
    if offset:
        file.seek(offset)


@dataclass(frozen=True)
class _Names:
    """Field names as `scan` takes them."""

    data: np.ndarray
    offsets: np.ndarray

    @classmethod
    def encoded(cls, names: Sequence[str]) -> "_Names":
        encoded = [name.encode() for name in names]
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(bytes_view(b"".join(encoded)), offsets)


@lru_cache(maxsize=64)  # asked for by each of many small files
def _names_of(fields: Fields, view: View) -> _Names:
    names = [path.top for one in fields.selections for path in one.paths]
    if view == "records":
        names += [fields.id, fields.source, fields.order]
    return _Names.encoded(names)


_ALWAYS = 1 << 62

_OVERLONG = bytes_view(b"\x01\n")
"""The block that stands for a line that is not held; it is told by its identity."""

_BLANK = bytes_view(b"\n")
_SPACE = b" \t\r"


def blocks(chunks: Iterable[bytes], limit: int) -> Iterator[np.ndarray]:
    """The same bytes cut behind newlines (uint8); a block is about a chunk, or one longer line.

    Of a line of more than `limit` bytes no more are held: its block is `_OVERLONG`, if it has any
    but white space. The last block may end without a newline, unless the chunks end in Damaged:
    then what follows the last newline is left out and Damaged is raised again.
    """
    held: list[bytes] = []
    size, is_row = 0, False  # of the line that goes on
    for chunk in chunks:
        if size > limit:
            line, newline, chunk = chunk.partition(b"\n")
            is_row = is_row or bool(line.strip(_SPACE))
            if not newline:
                continue
            yield _OVERLONG if is_row else _BLANK
            size = 0
        end = chunk.rfind(b"\n") + 1
        if end:
            whole = b"".join([*held, memoryview(chunk)[:end]]) if held else chunk
            yield bytes_view(whole)[: len(whole) if held else end]
            held, size = [], 0
        if end < len(chunk):
            held.append(chunk[end:])
            size += len(chunk) - end
        if size > limit:
            is_row, held = any(part.strip(_SPACE) for part in held), []
    if size > limit:
        yield _OVERLONG if is_row else _BLANK
    elif held:
        yield bytes_view(b"".join(held))


def scan_blocks(
    chunks: Iterable[bytes],
    at_start: bool,
    row: int,
    fields: Fields,
    view: View,
    selected: SelectedRows,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Blocks with what the scanner found: data, table, reasons, number of the next block's row.

    `reasons` (object, None for none) says why a row is rejected, apart from what `read_strings`
    finds. The fields in the table are the first steps of the paths of `fields`. `at_start` says
    that the chunks start where the file does.
    """
    lines = blocks(chunks, fields.max_document)
    for data, table, reasons, after in scan_each(lines, at_start, row, fields, view, selected):
        if data is _OVERLONG:
            reasons[:] = too_long(fields.max_document)
        yield data, table, reasons, after


def scan_each(
    blocks: Iterable[np.ndarray],
    at_start: bool,
    row: int,
    fields: Fields,
    view: View,
    selected: SelectedRows,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """As `scan_blocks`, of what was cut behind newlines before; a block in, a block out."""
    names = _names_of(fields, view)
    for data in blocks:
        if selected.none_from(row):
            return
        start = len(BOM) if at_start and data[: len(BOM)].tobytes() == BOM else 0
        at_start = False
        table, row = scan(
            data, start, names.data, names.offsets, row, selected.all, selected.rows, _ALWAYS
        )
        if len(table):
            reasons = _reasons(data, start, table, fields)
            reasons[table[:, END] - table[:, START] > fields.max_document] = too_long(
                fields.max_document
            )
            yield data, table, reasons, row
        else:
            yield data, table, np.empty(0, dtype=object), row


def _reasons(data: np.ndarray, start: int, table: np.ndarray, fields: Fields) -> np.ndarray:
    """Why each row of `table` is rejected (object array), None where it is not."""
    reasons = np.full(len(table), None, dtype=object)
    value_starts = table[:, VALUES]
    text = fields.selections[0]
    plain = not text.is_flat or _all_strings(data, value_starts)
    if len(table) and not ((table[:, STATUS] == GOOD).all() and plain):
        if text.is_flat:
            first = data[np.maximum(value_starts, 0)]
            for mark, kind in _KINDS:
                reasons[first == ord(mark)] = kind
            reasons[(first == MINUS) | ((first >= 0x30) & (first <= 0x39))] = "text is a number"
            reasons[first == QUOTE] = None
            reasons[value_starts < 0] = f"no field '{text.paths[0].top}'"
        reasons[table[:, STATUS] == NOT_OBJECT] = "not a JSON object"
        reasons[table[:, STATUS] == NOT_JSON] = NO_JSON
    # One look at the whole block is faster than one at each line; blame lines only if it fails.
    if not is_utf8(data, start):
        good = utf8_ranges(
            data, np.ascontiguousarray(table[:, START]), np.ascontiguousarray(table[:, END])
        )
        reasons[~good] = NOT_UTF8
    return reasons


_KINDS = (
    ("n", IS_NULL),
    ("N", "text is NaN"),
    ("I", "text is Infinity"),
    ("t", "text is a boolean"),
    ("f", "text is a boolean"),
    ("[", "text is an array"),
    ("{", "text is an object"),
)


def _all_strings(data: np.ndarray, value_starts: np.ndarray) -> bool:
    return bool((value_starts >= 0).all() and (data[value_starts] == QUOTE).all())


def read_jsonl(
    chunks: Iterable[bytes],
    shard: Shard,
    at_start: bool,
    row: int,
    fields: Fields,
    view: View,
    selected: SelectedRows,
    line: int = 0,
) -> Tagged:
    """Rows and (for view "records") rejects of JSON lines that come in chunks of any size.

    `line` line breaks are before the first chunk.

    An id that is a string gives its value, a number its literal; anything else, and a string with a
    lone surrogate, gives the derived id f"{shard.name}#{row}". A source that is not a string gives
    the shard's. `order` is the decoded string, or the literal of a number or boolean, else null.
    After damage: one reject at the next row, and the end.
    """
    try:
        for data, table, reasons, after in scan_blocks(
            chunks, at_start, row, fields, view, selected
        ):
            row = after
            explain = partial(_explained, data, line=line, name=fields.editable[0])
            yield from block_rows(data, table, reasons, shard, fields, view, explain)
            if view == "records":  # or nothing is said of a line
                line += lines_in(data)
    except Damaged as damage:
        if view == "records" and selected.has(row):
            yield from rejects(shard, [row], [str(damage)])


def block_rows(
    data: np.ndarray,
    table: np.ndarray,
    reasons: np.ndarray,
    shard: Shard,
    fields: Fields,
    view: View,
    explain: Callable[[np.ndarray, np.ndarray], list[str]],
) -> Tagged:
    """Rows and rejects of a block; `explain` gives what is said of rejected rows of the table."""
    readable, [(text, offsets, _), *strings] = read_strings(data, table, reasons, fields)
    if view == "text":
        yield from row_batches(shard, readable[:, ROW], text, offsets)
        return
    extra, columns = _extra(data, readable, fields), [strings_from(*one) for one in strings]
    yield from row_batches(shard, readable[:, ROW], text, offsets, extra, columns)
    bad = np.flatnonzero(~accepted(reasons))
    yield from rejects(shard, table[bad, ROW], explain(table[bad], reasons[bad]))


def _extra(data: np.ndarray, table: np.ndarray, fields: Fields) -> list[pa.StringArray | None]:
    """Ids, sources and orders."""
    others = enumerate((WITH_NUMBERS, STRINGS, WITH_BOOLEANS), _columns(fields)[-1])
    return [_column(data, table, field, takes) for field, takes in others]


def block_columns(
    data: np.ndarray, table: np.ndarray, reasons: np.ndarray, fields: Fields
) -> tuple[pa.StringArray, list[pa.StringArray | None], list[pa.StringArray]] | None:
    """Text, `_extra` and named columns of a block that was scanned for view "records"; None where
    one of its rows is rejected.
    """
    readable, [(text, offsets, _), *strings] = read_strings(data, table, reasons, fields)
    if not accepted(reasons).all():
        return None
    columns = [strings_from(*column) for column in strings]
    return strings_from(text, offsets), _extra(data, readable, fields), columns


def _explained(
    data: np.ndarray, table: np.ndarray, reasons: np.ndarray, line: int, name: str
) -> list[str]:
    """The `reasons` of rejected rows, with line and column; `line` line breaks are before data."""
    told, counted = [], 0
    for (start, end), reason in zip(table[:, [START, END]].tolist(), reasons, strict=True):
        line += lines_in(data[counted:start])
        counted = start
        told.append(explained(reason, data[start:end].tobytes(), line + 1, name))
    return told


_Strings = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_strings(
    data: np.ndarray, table: np.ndarray, reasons: np.ndarray, fields: Fields
) -> tuple[np.ndarray, list[_Strings]]:
    """The rows of `table` that can be read, and (see `decode`) their text and named columns.

    Adds to `reasons` why the other rows are rejected: a lone surrogate, too much of it, a named
    column that may hold text which nobody reads.
    """
    while True:
        good = accepted(reasons)
        readable = table if good.all() else np.ascontiguousarray(table[good])
        strings, blamed = _decoded_fields(data, readable, fields)
        blamed += _blamed(data, readable, strings, fields)
        if not blamed:
            return readable, strings
        good_rows = np.flatnonzero(good)
        for rows, reason in reversed(blamed):  # of several reasons the first stays
            reasons[good_rows[rows]] = reason


def _columns(fields: Fields) -> list[int]:
    """Where in the scanner's table each of `selections` begins, and what is behind the last."""
    return [0, *accumulate(len(one.paths) for one in fields.selections)]


def _decoded_fields(
    data: np.ndarray, table: np.ndarray, fields: Fields
) -> tuple[list[_Strings], list[tuple[np.ndarray, str]]]:
    """The strings of each of `selections`, and rows (bool) of those that lie deeper whose values
    will not do, with the reason.
    """
    strings: list[_Strings] = []
    blamed: list[tuple[np.ndarray, str]] = []
    for k, (column, one) in enumerate(zip(_columns(fields), fields.selections, strict=False)):
        if one.is_flat:
            strings.append(decoded(data, table, column, STRINGS))
            continue
        values = find_values(data, table, column, one)
        text, reasons = joined(data, values, len(table), one)
        reasons |= _repeated(data, table, column, one)
        for row, reason in reasons.items():
            blamed.append((np.arange(len(table)) == row, reason))
        if k == 0 and not text[2].all():
            blamed.append((~text[2], f"{NOTHING_THERE}'{one.name}'"))  # unless there is a reason
        strings.append(text)
    return strings, blamed


def _repeated(
    data: np.ndarray, table: np.ndarray, column: int, selected: Selection
) -> dict[int, str]:
    """Rows that have the field more than once in which values of `selected` lie, with the reason:
    what lies in the earlier ones was not read.
    """
    reasons = {}
    for row in np.flatnonzero(table[:, REPEATED]).tolist():
        start, end = table[row, [START, END]].tolist()
        line = data[start:end].tobytes()
        for k, path in enumerate(selected.paths):
            value = int(table[row, VALUES + 2 * (column + k)]) - start
            if value >= 0 and next(earlier_values(line, value, path.top), None) is not None:
                reasons[row] = f"field '{path.top}' occurs twice"
    return reasons


def _blamed(
    data: np.ndarray, table: np.ndarray, strings: list[_Strings], fields: Fields
) -> list[tuple[np.ndarray, str]]:
    """Rows (bool) of `table` whose strings will not do, with the reason; none without a row."""
    (_, _, valid), *columns = strings
    text, *selections = fields.selections
    found = [(~valid, "lone surrogate in text")] if text.is_flat else []
    for column, one, (_, _, valid) in zip(_columns(fields)[1:], selections, columns, strict=False):
        if not one.is_flat:
            continue
        value_starts = table[:, VALUES + 2 * column]
        first = np.where(value_starts >= 0, data[np.maximum(value_starts, 0)], 0)
        name = one.paths[0].top
        found += [
            ((first == QUOTE) & ~valid, f"lone surrogate in field '{name}'"),
            (first == BRACE, f"field '{name}' is an object"),
            (first == BRACKET, f"field '{name}' is an array"),
            (
                (first == MINUS) | ((first >= 0x30) & (first <= 0x39)),
                f"field '{name}' is a number",
            ),
        ]
    return [(rows, reason) for rows, reason in found if rows.any()]


def decoded(data: np.ndarray, table: np.ndarray, field: int, takes: int) -> _Strings:
    """`decode` into a new buffer: (buffer, offsets, valid)."""
    column = VALUES + 2 * field
    room = int((table[:, column + 1] - table[:, column]).sum()) + 8
    out = byte_buffer(room)
    offsets, valid = decode(data, table, field, takes, out)
    return out, offsets, valid


def _column(data: np.ndarray, table: np.ndarray, field: int, takes: int) -> pa.StringArray | None:
    """A field's values; None where no row has one."""
    if len(table) == 0 or not (table[:, VALUES + 2 * field] >= 0).any():
        return None
    out, offsets, valid = decoded(data, table, field, takes)
    return strings_from(out, offsets, valid)


# Writing


_DEFAULT = Fields()


def rewrite_jsonl(
    chunk: bytes, first_row: int, edits: Iterable[pa.RecordBatch], fields: Fields = _DEFAULT
) -> bytes:
    """The lines in `chunk`, the first of which is row `first_row` of shard 0, with `edits` applied.

    For tests and notebooks; `rewrite` does the same with a shard's cuts.
    """
    shard = Shard(0, "chunk", "chunk", "jsonl", "", len(chunk), "", "")
    cut = Cut(0, 0, len(chunk), first_row)
    changes = ShardEdits(shard, fields, edits)
    done = b"".join(
        chunk for _, chunk in rewritten_lines(iter([chunk]), shard, cut, fields, changes)
    )
    changes.finish()
    return done


def rewritten_lines(
    stored: Iterable[bytes], shard: Shard, cut: Cut, fields: Fields, edits: ShardEdits
) -> Iterator[tuple[int, bytes]]:
    """Pairs of rows and the bytes they come out as."""
    everything = SelectedRows(shard, None, cut.row)
    try:
        for data, table, reasons, _ in scan_blocks(
            stored, cut.start == 0, cut.row, fields, "text", everything
        ):
            read_strings(data, table, reasons, fields)
            yield _rewritten_block(data, table, accepted(reasons), edits, fields)
    except Damaged:
        return  # the row at the damage was rejected when it was read


def _rewritten_block(
    data: np.ndarray,
    table: np.ndarray,
    readable: np.ndarray,
    edits: ShardEdits,
    fields: Fields,
) -> tuple[int, bytes]:
    if len(table) == 0:
        return 0, b""
    view = memoryview(data)  # type: ignore[arg-type]

    has_string = partial(string_is_there, data, table, fields)
    kept, changes = edits.of_rows(int(table[0, ROW]), readable, has_string)
    for at in np.flatnonzero(table[:, REPEATED].astype(np.bool_) & kept).tolist():
        changes.setdefault(at, {})  # its earlier values were not read
    starts = table[:, START]
    ends = np.minimum(table[:, END] + 1, len(data))
    # Rows that follow one another are copied at once; only where something happens is a new chunk.
    breaks = np.ones(len(table), dtype=np.bool_)
    breaks[1:] = (starts[1:] != ends[:-1]) | ~kept[1:] | ~kept[:-1]
    edited = list(changes)
    breaks[edited] = True
    breaks[[at + 1 for at in edited if at + 1 < len(table)]] = True
    runs = np.flatnonzero(breaks)
    chunks: list[Any] = []
    for run, run_end in zip(runs, [*runs[1:], len(table)], strict=True):
        if not kept[run]:
            continue
        if int(run) in changes:
            line = view[starts[run] : ends[run]]
            chunks.extend(_edited_line(line, table[run], changes[int(run)], fields))
        else:
            chunks.append(view[starts[run] : ends[run_end - 1]])
    return int(kept.sum()), b"".join(chunks)


def string_is_there(
    data: np.ndarray, table: np.ndarray, fields: Fields, row: int, field: int
) -> bool:
    """Whether field `field` of row `row` of `table` (from `scan`) is a string, or has one."""
    selected, column = fields.selections[field], _columns(fields)[field]
    if not selected.is_flat:
        return len(find_values(data, table[row : row + 1], column, selected).rows) > 0
    start = table[row, VALUES + 2 * column]
    return bool(start >= 0 and data[start] == QUOTE)


def _edited_line(
    line: memoryview, found: np.ndarray, changes: dict[int, str], fields: Fields
) -> Iterator[bytes | memoryview]:
    """The chunks of `line`, of which the scanner says `found`, with `changes` made."""
    yield from replaced(line, new_values(line, found, changes, fields))


def new_values(
    line: memoryview, found: np.ndarray, changes: dict[int, str], fields: Fields
) -> list[tuple[int, int, bytes]]:
    """What is to be written in `line`, and from where to where, in order."""
    values: list[tuple[int, int, bytes]] = []
    for field, (first, one) in enumerate(zip(_columns(fields), fields.selections, strict=False)):
        if not one.is_flat:
            if field in changes:
                values += _of_selection(line, found, first, one, changes[field])
            continue
        column = VALUES + 2 * first
        if found[column] < 0:
            continue
        start, end = (found[column : column + 2] - found[START]).tolist()
        if field in changes:
            values.append((start, end, _written(changes[field], bytes(line[start:end]))))
        if found[REPEATED]:
            # Earlier values of the field may hold what was removed from the last, or was not read.
            earlier = earlier_values(bytes(line), start, one.paths[0].top)
            values.extend((*value, b'""') for value in earlier)
    return sorted(values)


def _of_selection(
    line: memoryview, found: np.ndarray, column: int, selected: Selection, text: str
) -> Iterator[tuple[int, int, bytes]]:
    """What `new_values` gives, of the values of `selected` that are others in `text`.

    Raises ValueError where `text` has not as many values.
    """
    here = found.copy()
    here[VALUES:] -= np.where(here[VALUES:] >= 0, here[START], 0)
    values = find_values(bytes_view(bytes(line)), here[np.newaxis], column, selected)
    spans = zip(values.starts.tolist(), values.ends.tolist(), strict=True)
    parts = text.split(SEPARATOR) if selected.is_several else [text]
    for (start, end), new in zip(spans, parts, strict=True):
        old = bytes(line[start:end])
        if orjson.loads(old) != new:
            yield start, end, _written(new, old)


def replaced(
    line: memoryview, values: Iterable[tuple[int, int, bytes]]
) -> Iterator[bytes | memoryview]:
    """The chunks of `line` with `values` of `new_values` written into it."""
    at = 0
    for start, end, new in values:
        yield line[at:start]
        yield new
        at = end
    yield line[at:]


def _written(text: str, old: bytes) -> bytes:
    """`text` as a JSON string instead of `old`."""
    # Who wrote everything as ASCII may read nothing else.
    ascii_only = b"\\u" in old and old.isascii()
    return json.dumps(text).encode() if ascii_only else orjson.dumps(text)


def earlier_values(line: bytes, before: int, name: str) -> Iterator[tuple[int, int]]:
    """The ranges of the values of field `name` in `line` that start before `before`, last first."""
    names = _Names.encoded([name])
    none = np.empty(0, dtype=np.int64)
    while True:
        table, _ = scan(bytes_view(line), 0, names.data, names.offsets, 0, True, none, before)
        before, end = table[0, VALUES : VALUES + 2].tolist()
        if before < 0:
            return
        yield before, end


# Looking at the first rows


def check_values(shard: Shard, fields: Fields, rows: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """Raise InputError where a named column of one of `rows` can hold no text."""
    for number, row in rows:
        for name, one in zip(fields.columns, fields.selections[1:], strict=True):
            if one.is_flat:
                _check_value(shard, number, name, row.get(one.paths[0].top))


def _check_value(shard: Shard, row: int, name: str, value: Any) -> None:
    kind = {dict: "an object", list: "an array", int: "a number", float: "a number"}.get(
        type(value)
    )
    if kind is not None:
        raise InputError(
            f"column {name!r} of {shard.url} is {kind} in row {row}; allowed in a column that "
            "pii.columns names are strings and null. Do not name it, or store it as text."
        )


def _first_rows(shard: Shard, cut: Cut) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows that are objects, with their numbers."""
    try:
        for number, line in enumerate(islice(_lines(first_bytes(shard, cut)), FIRST_ROWS)):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a reject, and reported as such
            if isinstance(row, dict):
                yield number, row
    except Damaged:
        return  # the same


def _lines(content: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of which all is there."""
    for block in blocks(content, MAX_DOCUMENT):
        for line in block.tobytes().split(b"\n"):
            if line.strip():
                yield line.removeprefix(BOM)
