"""Rows as record batches, whatever the format, and rejected rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.errors import InputError
from unrote.corpus.paths import Selection, selection
from unrote.corpus.schema import RECORDS, REJECTS, TEXT, Tagged, doc_key
from unrote.corpus.shard import Shard
from unrote.corpus.text import strings_from

BATCH_BYTES = 8 << 20
"""A batch holds at most so many bytes of text and named columns, or one document."""

MAX_DOCUMENT = 64 << 20
"""Bytes of the longest document that is read, unless `Fields` says otherwise.

A worker holds a document several times over: stored, decoded, and in a batch. One of this size fits
into the default of engine.memory, and is about as long as what is scanned for personal data.
"""

MAX_EXPANSION = 200
"""How many times its stored size a file may have without its compression, unless `Fields` says
otherwise. Text has 3 to 20, and what repeats itself rarely 100."""

EXPANDED = 64 << 20
"""Bytes that any file may become, however small it is."""

NOT_UTF8 = "invalid UTF-8"
IS_NULL = "text is null"
ENDS_EARLY = "compressed data ends early"
CORRUPT = "compressed data is corrupt"

POSITION = r" \(line [0-9]+(, column [0-9]+)?\)"
"""How the reason of a reject says where in the file it is, as a regular expression. Without it the
same causes have the same reasons."""

View = Literal["records", "text"]


@dataclass(frozen=True)
class Fields:
    """Which fields (columns) of a row are read, and how long a document may be. An empty name
    stands for none.

    `text` is the path of the text, or several (corpus.paths). `columns` are paths of other strings
    that are read and can be edited: field n of an edit is columns[n - 1], field 0 the text. They
    are all different, and none of them is the text. The others are names of fields of the row.
    `max_document` is in bytes of what is stored, without its compression: of a line, a record, an
    element of an array or a text file; in Parquet of a text, and of the named columns of a row.
    `max_expansion`: see MAX_EXPANSION.
    """

    text: str | tuple[str, ...] = "text"
    id: str = "id"
    source: str = ""
    order: str = ""
    columns: tuple[str, ...] = ()
    max_document: int = MAX_DOCUMENT
    max_expansion: int = MAX_EXPANSION

    @property
    def editable(self) -> tuple[str, ...]:
        """The names of the fields that can be edited, by the number that an edit has for them."""
        return tuple(one.name for one in self.selections)

    @cached_property
    def selections(self) -> tuple[Selection, ...]:
        """The same as paths. Raises ConfigError for what is none."""
        return (selection(self.text), *map(selection, self.columns))

    @property
    def several(self) -> tuple[bool, ...]:
        """Which of them may have several values, with corpus.paths.SEPARATOR between them."""
        return tuple(one.is_several for one in self.selections)


LONGER = " longer than "


def too_long(limit: int, what: str = "document") -> str:
    """The reason why something is rejected that has more than `limit` bytes."""
    return f"{what}{LONGER}{limit} bytes: split it, or raise input.max_document"


def refuse_expanded(shard: Shard, size: int, ratio: int) -> None:
    """Raise InputError where `size` bytes are more than a file of this size may become."""
    if size > max(EXPANDED, ratio * shard.size):
        raise InputError(
            f"{shard.url} has {shard.size} bytes and becomes more than {ratio} times as large: it "
            "is not read, in case it is made to fill disk and memory. Leave it out, or raise "
            "input.max_expansion."
        )


class Damaged(Exception):
    """A shard's stored bytes cannot be read on; the argument is the reason of the reject."""


T = TypeVar("T")


def together(rows: Iterable[T], count: int) -> Iterator[list[T]]:
    """`rows`, `count` at a time. Those before damage come, too, and then Damaged."""
    some: list[T] = []
    try:
        for row in rows:
            some.append(row)
            if len(some) == count:
                yield some
                some = []
    except Damaged:
        if some:
            yield some
        raise
    if some:
        yield some


def row_batches(
    shard: Shard,
    rows: np.ndarray,
    data: np.ndarray,
    offsets: np.ndarray,
    extra: Sequence[pa.StringArray | None] = (),
    columns: Sequence[pa.Array | None] = (),
) -> Tagged:
    """("text", batch) with the rows `rows` (int64), whose texts are data[offsets[i]:offsets[i+1]].

    `extra` is empty for batches of schema TEXT. For RECORDS it is ids, sources and orders; where
    one of these, or a value in it, is null, the default is filled in: an id f"{shard.name}#{row}",
    the shard's source, no order. `columns` are then the named columns (pa.StringArray or
    pa.LargeStringArray), None for one that no row has.
    """
    docs = rows + doc_key(shard.number, 0)
    for start, end in _spans(_with_columns(offsets, columns)):
        text = strings_from(data, offsets[start : end + 1])
        keys = pa.array(docs[start:end])
        if not extra:
            yield "text", pa.RecordBatch.from_arrays([keys, text], schema=TEXT)
            continue
        count = end - start
        numbers = pa.array(rows[start:end])
        own = [None if column is None else column.slice(start, count) for column in extra]
        values = [
            keys,
            pa.repeat(pa.scalar(shard.name, pa.string()), count),
            numbers,
            _ids(own[0], shard.name, numbers),
            _filled(own[1], pa.scalar(shard.source, pa.string()), count),
            pa.nulls(count, pa.string()) if own[2] is None else own[2],
            text,
            _lists(columns, start, count),
        ]
        yield "text", pa.RecordBatch.from_arrays(values, schema=RECORDS)


def several_batch(
    shards: Sequence[Shard],
    of: np.ndarray,
    keys: np.ndarray,
    rows: np.ndarray,
    text: pa.StringArray,
    extra: Sequence[pa.StringArray | None],
    columns: Sequence[pa.Array],
    view: View,
) -> pa.RecordBatch:
    """The rows of several shards as `row_batches` gives those of one.

    of: int64, the index of each row's shard; keys: int64, the documents'.
    """
    if view == "text":
        return pa.RecordBatch.from_arrays([pa.array(keys), text], schema=TEXT)
    which, numbers, count = pa.array(of), pa.array(rows), len(keys)
    names, sources = (
        pa.array([getattr(shard, name) for shard in shards], pa.string()).take(which)
        for name in ("name", "source")
    )
    own, source, order = extra
    values = [
        pa.array(keys),
        names,
        numbers,
        _ids(own, names, numbers),
        sources if source is None else pc.coalesce(source, sources),
        pa.nulls(count, pa.string()) if order is None else order,
        text,
        _lists(columns, 0, count),
    ]
    return pa.RecordBatch.from_arrays(values, schema=RECORDS)


def accepted(reasons: np.ndarray) -> np.ndarray:
    """Which elements of an object array of reasons are None (bool)."""
    return np.asarray(reasons == None, dtype=np.bool_)  # noqa: E711  element by element


def rejects(shard: Shard, rows: Sequence[int] | np.ndarray, reasons: Iterable[str]) -> Tagged:
    """One ("rejects", batch), or nothing if there are no rows."""
    if len(rows):
        numbers = np.asarray(rows, dtype=np.int64)
        docs = pa.array(numbers + doc_key(shard.number, 0))
        names = pa.repeat(pa.scalar(shard.name, pa.string()), len(rows))
        columns = [docs, names, pa.array(numbers), pa.array(reasons, pa.string())]
        yield "rejects", pa.RecordBatch.from_arrays(columns, schema=REJECTS.schema)


def _spans(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of rows whose texts together fit in a batch."""
    start, count = 0, len(offsets) - 1
    while start < count:
        goal = offsets[start] + BATCH_BYTES
        end = int(np.searchsorted(offsets, goal, side="right")) - 1
        end = min(count, max(end, start + 1))
        yield start, end
        start = end


def _with_columns(offsets: np.ndarray, columns: Sequence[pa.Array | None]) -> np.ndarray:
    """The offsets of texts, moved on by what the columns hold: differences are sizes of rows."""
    for column in columns:
        if column is not None:
            sizes = pc.binary_length(column).fill_null(0).to_numpy()
            offsets = offsets + np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    return offsets


def _lists(columns: Sequence[pa.Array | None], start: int, count: int) -> pa.ListArray:
    """For each of `count` rows from `start` the list of its values in `columns`."""
    offsets = np.arange(count + 1, dtype=np.int32) * len(columns)
    if not columns:
        return pa.ListArray.from_arrays(pa.array(offsets), _NO_STRINGS)
    # 64-bit offsets, because the columns may be parts of something larger than 2 GiB.
    kind = pa.large_string()
    one_by_one = pa.concat_arrays(
        [pa.nulls(count, kind) if c is None else c.slice(start, count).cast(kind) for c in columns]
    )
    row_by_row = np.arange(count * len(columns)).reshape(len(columns), count).T.ravel()
    values = one_by_one.take(pa.array(row_by_row)).cast(pa.string())
    return pa.ListArray.from_arrays(pa.array(offsets), values)


_NO_STRINGS = pa.nulls(0, pa.string())  # pa.array would import pandas, where there is one


def _ids(
    own: pa.StringArray | None, name: str | pa.StringArray, rows: pa.Int64Array
) -> pa.StringArray:
    if own is not None and own.null_count == 0:
        return own
    derived = pc.binary_join_element_wise(name, rows.cast(pa.string()), "#")
    return derived if own is None else pc.coalesce(own, derived)


def _filled(own: pa.StringArray | None, default: pa.Scalar, count: int) -> pa.StringArray:
    if own is None:
        return pa.repeat(default, count)
    return own.fill_null(default)


class SelectedRows:
    """The rows of one shard that are asked for: all, or those of a sorted int64 array."""

    def __init__(self, shard: Shard, docs: np.ndarray | None, first_row: int) -> None:
        self.all = docs is None
        if docs is None:
            docs = np.empty(0, dtype=np.int64)
        low, high = doc_key(shard.number, first_row), doc_key(shard.number + 1, 0)
        start, end = np.searchsorted(docs, [low, high])
        self.rows = docs[start:end].astype(np.int64) - doc_key(shard.number, 0)

    def none_from(self, row: int) -> bool:
        """Whether no row at or behind `row` is asked for."""
        return not self.all and (len(self.rows) == 0 or bool(self.rows[-1] < row))

    def of(self, start: int, end: int) -> np.ndarray:
        """The rows (int64) in [start, end) that are asked for."""
        if self.all:
            return np.arange(start, end, dtype=np.int64)
        low, high = np.searchsorted(self.rows, [start, end])
        return self.rows[low:high]

    def has(self, row: int) -> bool:
        return len(self.of(row, row + 1)) == 1
