"""JSON lines: read a block of lines at a time, through the scanner of `json_scanner`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from unrote.corpus.json_scanner import (
    BRACE,
    BRACKET,
    END,
    GOOD,
    MINUS,
    NOT_JSON,
    NOT_OBJECT,
    QUOTE,
    ROW,
    START,
    STATUS,
    STRINGS,
    VALUES,
    WITH_BOOLEANS,
    WITH_NUMBERS,
    decode,
    scan,
)
from unrote.corpus.kernel import byte_buffer
from unrote.corpus.rows import (
    COLUMNS_TOO_LONG,
    IS_NULL,
    MAX_TEXT,
    NOT_UTF8,
    TOO_LONG,
    Damaged,
    Fields,
    View,
    Wanted,
    accepted,
    rejects,
    row_batches,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Shard
from unrote.corpus.text import BOM, bytes_view, is_utf8, strings_from, utf8_ranges


@dataclass(frozen=True)
class _Names:
    """Field names as `scan` takes them."""

    data: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, fields: Fields, view: View) -> "_Names":
        names = [*fields.editable]
        if view == "records":
            names += [fields.id, fields.source, fields.order]
        return cls.encoded(names)

    @classmethod
    def encoded(cls, names: Sequence[str]) -> "_Names":
        encoded = [name.encode() for name in names]
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(bytes_view(b"".join(encoded)), offsets)


_ALWAYS = 1 << 62


def blocks(pieces: Iterable[bytes]) -> Iterator[np.ndarray]:
    """The same bytes cut behind newlines (uint8); a block is about a piece, or one longer line.

    The last block may end without a newline, unless the pieces end in Damaged: then what follows
    the last newline is left out and Damaged is raised again.
    """
    waiting: list[bytes] = []
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if cut == 0:
            waiting.append(piece)
            continue
        whole = b"".join([*waiting, memoryview(piece)[:cut]]) if waiting else piece
        waiting = [piece[cut:]] if cut < len(piece) else []
        yield bytes_view(whole)[: len(whole) if whole is not piece else cut]
    if waiting:
        yield bytes_view(b"".join(waiting))


def scan_blocks(
    pieces: Iterable[bytes], at_start: bool, row: int, fields: Fields, view: View, wanted: Wanted
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Blocks with what the scanner found: data, table, reasons, number of the next block's row.

    `reasons` (object, None for none) says why a row is rejected, apart from what `read_strings`
    finds. Field k in the table is fields.editable[k]. `at_start` says that the pieces start where
    the file does.
    """
    names = _Names.of(fields, view)
    for data in blocks(pieces):
        if wanted.none_from(row):
            return
        start = len(BOM) if at_start and data[: len(BOM)].tobytes() == BOM else 0
        at_start = False
        table, row = scan(
            data, start, names.data, names.offsets, row, wanted.all, wanted.rows, _ALWAYS
        )
        if len(table):
            yield data, table, _reasons(data, start, table, fields.text), row
        else:
            yield data, table, np.empty(0, dtype=object), row


def _reasons(data: np.ndarray, start: int, table: np.ndarray, name: str) -> np.ndarray:
    """Why each row of `table` is rejected (object array), None where it is not."""
    reasons = np.full(len(table), None, dtype=object)
    places = table[:, VALUES]
    if len(table) and not ((table[:, STATUS] == GOOD).all() and _all_strings(data, places)):
        first = data[np.maximum(places, 0)]
        for mark, kind in _KINDS:
            reasons[first == ord(mark)] = kind
        reasons[(first == MINUS) | ((first >= 0x30) & (first <= 0x39))] = "text is a number"
        reasons[first == QUOTE] = None
        reasons[places < 0] = f"no field '{name}'"
        reasons[table[:, STATUS] == NOT_OBJECT] = "not a JSON object"
        reasons[table[:, STATUS] == NOT_JSON] = "not JSON"
    # One look at the whole block is faster than one at each line; blame lines only if it fails.
    if not is_utf8(data, start):
        good = utf8_ranges(
            data, np.ascontiguousarray(table[:, START]), np.ascontiguousarray(table[:, END])
        )
        reasons[~good] = NOT_UTF8
    return reasons


_KINDS = (
    ("n", IS_NULL),
    ("t", "text is a boolean"),
    ("f", "text is a boolean"),
    ("[", "text is an array"),
    ("{", "text is an object"),
)


def _all_strings(data: np.ndarray, places: np.ndarray) -> bool:
    return bool((places >= 0).all() and (data[places] == QUOTE).all())


def read_jsonl(
    pieces: Iterable[bytes],
    shard: Shard,
    at_start: bool,
    row: int,
    fields: Fields,
    view: View,
    wanted: Wanted,
) -> Tagged:
    """Rows and (for view "records") rejects of JSON lines that come in pieces of any size.

    An id that is a string gives its value, a number its literal; anything else, and a string with a
    lone surrogate, gives the derived id f"{shard.name}#{row}". A source that is not a string gives
    the shard's. `order` is the decoded string, or the literal of a number or boolean, else null.
    After damage: one reject at the next row, and the end.
    """
    try:
        for data, table, reasons, after in scan_blocks(pieces, at_start, row, fields, view, wanted):
            row = after
            yield from _block_rows(data, table, reasons, shard, fields, view)
    except Damaged as damage:
        if view == "records" and wanted.has(row):
            yield from rejects(shard, [row], [str(damage)])


def _block_rows(
    data: np.ndarray,
    table: np.ndarray,
    reasons: np.ndarray,
    shard: Shard,
    fields: Fields,
    view: View,
) -> Tagged:
    readable, [(text, offsets, _), *strings] = read_strings(data, table, reasons, fields)
    if view == "text":
        yield from row_batches(shard, readable[:, ROW], text, offsets)
        return
    others = enumerate((WITH_NUMBERS, STRINGS, WITH_BOOLEANS), len(fields.editable))
    extra = [_column(data, readable, field, takes) for field, takes in others]
    columns = [strings_from(*column) for column in strings]
    yield from row_batches(shard, readable[:, ROW], text, offsets, extra, columns)
    bad = np.flatnonzero(~accepted(reasons))
    yield from rejects(shard, table[bad, ROW], list(reasons[bad]))


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
        strings = [decoded(data, readable, k, STRINGS) for k in range(len(fields.editable))]
        blamed = _blamed(data, readable, strings, fields)
        if not blamed:
            return readable, strings
        places = np.flatnonzero(good)
        for rows, reason in reversed(blamed):  # of several reasons the first stays
            reasons[places[rows]] = reason


def _blamed(
    data: np.ndarray, table: np.ndarray, strings: list[_Strings], fields: Fields
) -> list[tuple[np.ndarray, str]]:
    """Rows (bool) of `table` whose strings will not do, with the reason; none without a row."""
    (_, offsets, valid), *columns = strings
    found = [(~valid, "lone surrogate in text"), (np.diff(offsets) > MAX_TEXT, TOO_LONG)]
    if columns:
        sizes = np.sum([np.diff(offsets) for _, offsets, _ in columns], axis=0)
        found.append((sizes > MAX_TEXT, COLUMNS_TOO_LONG))
    for k, (_, _, valid) in enumerate(columns, 1):
        places = table[:, VALUES + 2 * k]
        first = np.where(places >= 0, data[np.maximum(places, 0)], 0)
        name = fields.editable[k]
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


def earlier_values(line: bytes, before: int, name: str) -> Iterator[tuple[int, int]]:
    """The places of the values of field `name` in `line` that start before `before`, last first."""
    names = _Names.encoded([name])
    none = np.empty(0, dtype=np.int64)
    while True:
        table, _ = scan(bytes_view(line), 0, names.data, names.offsets, 0, True, none, before)
        before, end = table[0, VALUES : VALUES + 2].tolist()
        if before < 0:
            return
        yield before, end
