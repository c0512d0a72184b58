"""Parquet shards, through pyarrow: read by row groups, rewritten with everything else as it was."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unrote.corpus.edits import ShardEdits
from unrote.corpus.errors import InputError, StorageError
from unrote.corpus.formats.base import Cutter, Format
from unrote.corpus.formats.parquet_values import (
    Values,
    find_values,
    text_paths,
    type_at,
    with_values,
)
from unrote.corpus.paths import SEPARATED, FieldPath, Selection
from unrote.corpus.rows import (
    BATCH_BYTES,
    IS_NULL,
    NOT_UTF8,
    Damaged,
    Fields,
    SelectedRows,
    View,
    accepted,
    refuse_expanded,
    rejects,
    row_batches,
    too_long,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Compression, Cut, Shard
from unrote.corpus.storage import open_stored, storage
from unrote.corpus.text import arrow_buffers, utf8_ranges

CORRUPT = "Parquet data is corrupt"

DECODED = 256 << 20
"""Bytes that a batch may have when the values of a dictionary are in their places."""

_ROW = 8
"""Bytes that a row is counted as, though nothing may be in it."""

GROUP_BYTES = 64 << 20
"""Row groups larger than this are rewritten as several."""


class Parquet(Format):
    """Parquet files. A cut is row groups: its start and end are their numbers."""

    name = "parquet"
    suffixes: Mapping[str, Compression] = {".parquet": ""}

    def cutter(self, shard: Shard, goal: int) -> Cutter:
        return GroupCuts(shard, goal)

    def stored_bytes(self, shard: Shard, cut: Cut) -> int:  # noqa: ARG002 - it counts row groups
        return shard.size

    def read(
        self, shard: Shard, cut: Cut, fields: Fields, view: View, selected: SelectedRows
    ) -> Tagged:
        return read_parquet(shard, cut, fields, view, selected)

    def rewrite(
        self,
        shard: Shard,
        cuts: Sequence[Cut],  # noqa: ARG002 - all of the shard's
        fields: Fields,
        edits: ShardEdits,
        path: Path,
    ) -> int:
        return rewrite_parquet(shard, fields, edits, path)

    def text_columns(self, shard: Shard, first: Cut) -> set[str]:  # noqa: ARG002
        with open_parquet(shard) as file:
            return columns_of_text(file.schema_arrow)

    def check(self, shard: Shard, fields: Fields, first: Cut | None) -> None:  # noqa: ARG002
        with open_parquet(shard) as file:
            check_columns(shard, file.schema_arrow, fields)
            groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        size = sum(
            group.column(n).total_uncompressed_size
            for group in groups
            for n in range(group.num_columns)
        )
        refuse_expanded(shard, size, fields.max_expansion)
        refuse_expanded(shard, _ROW * sum(group.num_rows for group in groups), fields.max_expansion)


def columns_of_text(schema: pa.Schema) -> set[str]:
    """The columns that hold text, and paths to text within others."""
    return set(text_paths(schema, is_text))


@contextmanager
def open_parquet(shard: Shard) -> Iterator[pq.ParquetFile]:
    """The shard as a pq.ParquetFile. Raises InputError where it is none, StorageError."""
    with storage(shard.url, "read"), open_stored(shard.url, shard.etag) as stored:
        try:
            file = pq.ParquetFile(stored)
            file.schema_arrow.names  # noqa: B018 - what cannot be read is told now
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(
                f"{shard.url} is not a Parquet file: {error}. Remove it from the input or replace "
                "it by a whole one."
            ) from None
        with file:
            yield file


# Columns


def check_columns(shard: Shard, schema: pa.Schema, fields: Fields) -> None:
    """Raises InputError unless `schema` has exactly one text column and it holds strings.

    So does every named column that is there.
    """
    text, *columns = fields.selections
    for path in text.paths:
        column = _field_of(shard, schema, path, "input.text")
        if column is None:
            what = "column" if text.is_flat else "field"
            raise InputError(
                f"{shard.url} has no {what} {str(path)!r}. {_there(schema)} Set input.text to what "
                "holds the text."
            )
        if pa.types.is_null(column.type):
            raise InputError(
                f"column {column.name!r} of {shard.url} is null in every row: there is no text in "
                f"it. Leave the file out, or set input.text to another. {_there(schema)}"
            )
        _check_type(shard, column, "Set input.text to a column of text.")
    for one in columns:
        named = _field_of(shard, schema, one.paths[0], "a column that is named")
        if named is not None:
            _check_type(shard, named, "Do not name it, or store it as text.")


def _field_of(shard: Shard, schema: pa.Schema, path: FieldPath, what: str) -> pa.Field | None:
    """What a path leads to, under the path's name. Raises InputError where there are several."""
    columns = schema.get_all_field_indices(path.top)
    if len(columns) > 1:
        raise InputError(
            f"{shard.url} has {len(columns)} columns {path.top!r}; {what} has to be the only one "
            "of its name. Rename the others or name another."
        )
    kind = type_at(schema, path)
    return None if kind is None else pa.field(str(path), kind)


def _there(schema: pa.Schema) -> str:
    deeper = [name for name in text_paths(schema, is_text) if name not in schema.names]
    paths = f" Strings within them: {', '.join(deeper)}." if deeper else ""
    return f"Columns there: {', '.join(schema.names)}.{paths}"


def _check_type(shard: Shard, column: pa.Field, remedy: str) -> None:
    if not is_text(column.type):
        raise InputError(
            f"column {column.name!r} of {shard.url} is {column.type}; allowed are string, "
            f"large_string, string_view and dictionaries of these. {remedy}"
        )


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


# Where a file can be cut


class GroupCuts(Cutter):
    """Row groups of about `goal` bytes together, as the footer tells."""

    def __init__(self, shard: Shard, goal: int) -> None:
        super().__init__(shard)
        self._goal = goal

    def cuts(self, size: int) -> list[Cut]:  # noqa: ARG002
        cuts: list[Cut] = []
        with open_parquet(self._shard) as file:
            metadata = file.metadata
            _refuse_contradictions(self._shard, metadata)
            start = row = first_row = held = 0
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                held += group.total_byte_size
                row += group.num_rows
                if held >= self._goal:
                    cuts.append(Cut(self._shard.number, start, number + 1, first_row))
                    start, first_row, held = number + 1, row, 0
            if start < metadata.num_row_groups or not cuts:
                cuts.append(Cut(self._shard.number, start, metadata.num_row_groups, first_row))
        return cuts


def _refuse_contradictions(shard: Shard, metadata: pq.FileMetaData) -> None:
    """Raise InputError where the footer says two things of how many rows there are: which rows are
    read would depend on the reader.
    """
    rows = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows += group.num_rows
        for at in range(group.num_columns):
            flat = metadata.schema.column(at).max_repetition_level == 0
            values = group.column(at).num_values
            if values != group.num_rows if flat else values < 0:
                raise InputError(
                    f"{shard.url} is damaged: row group {number} says {group.num_rows} rows and "
                    f"{values} values in column {group.column(at).path_in_schema!r}. Replace it by "
                    "a whole one."
                )
    if rows != metadata.num_rows:
        raise InputError(
            f"{shard.url} is damaged: it says {metadata.num_rows} rows and its row groups say "
            f"{rows}. Replace it by a whole one."
        )


# Reading


def read_parquet(
    shard: Shard, cut: Cut, fields: Fields, view: View, selected: SelectedRows
) -> Tagged:
    """Rows and (for view "records") rejects of a cut's row groups.

    Ids, sources and orders are cast to strings; a null, and a column of lists, structs or bytes,
    counts as missing. Where a row group is damaged, all its rows from there on are rejects, and the
    next row group is read. Raises InputError (`check_columns`), StorageError.
    """
    row, decoded = cut.row, Decoded(shard, fields.max_expansion)
    with open_parquet(shard) as file:
        check_columns(shard, file.schema_arrow, fields)
        for number in range(cut.start, cut.end):
            after = row + file.metadata.row_group(number).num_rows
            if len(selected.of(row, after)) > 0:
                try:
                    for batch in _batches(shard, file, number, _present(file, fields)):
                        found = batch_rows(batch, row, shard, fields, view, selected)
                        yield from decoded.counted(found)
                        row += len(batch)
                except Damaged as damage:
                    lost = selected.of(row, after)
                    if view == "records":
                        yield from rejects(shard, lost, [str(damage)] * len(lost))
            row = after


def _present(file: pq.ParquetFile, fields: Fields) -> list[str]:
    """The columns to read: the same whatever the view, so that damage is the same, too."""
    texts = (path.top for one in fields.selections for path in one.paths)
    names = dict.fromkeys((*texts, fields.id, fields.source, fields.order))
    return [name for name in names if name in file.schema_arrow.names]


def _batches(
    shard: Shard, file: pq.ParquetFile, group: int, columns: list[str] | None
) -> Iterator[pa.RecordBatch]:
    """A row group's rows in batches of about BATCH_BYTES. Raises Damaged, StorageError."""
    metadata, left = file.metadata.row_group(group), file.metadata.row_group(group).num_rows
    rows = max(1, BATCH_BYTES * metadata.num_rows // max(1, metadata.total_byte_size))
    rows = min(rows, _rows_of_dictionaries(shard, metadata, columns))
    batches = file.iter_batches(
        batch_size=min(rows, 1 << 20), row_groups=[group], columns=columns, use_threads=False
    )
    while True:
        try:
            batch = next(batches, None)
        except (OSError, pa.ArrowException) as error:
            # Arrow says OSError for both bad pages and failed reads; only the latter have a number.
            if isinstance(error, OSError) and error.errno is not None:
                with storage(shard.url, "read"):
                    raise
            raise Damaged(CORRUPT) from None
        if batch is None:
            break
        left -= len(batch)
        yield batch
    if left:  # what the footer says is not believed: a column may end early without an error
        raise Damaged(CORRUPT)


@dataclass
class Decoded:
    """How much came of a shard's cut, in which few bytes may say that one text stands again and
    again.
    """

    shard: Shard
    max_expansion: int
    size: int = 0

    def counted(self, batches: Tagged) -> Tagged:
        """The batches. Raises InputError where they become too many."""
        for tag, batch in batches:
            self.size += batch.nbytes
            refuse_expanded(self.shard, self.size, self.max_expansion)
            yield tag, batch


def decoded_rows(column: pa.Array) -> int:
    """How many rows of a column have DECODED bytes at most, whatever values they have."""
    if not (pa.types.is_dictionary(column.type) and is_text(column.type)):
        return len(column)
    longest = pc.max(pc.binary_length(column.dictionary.cast(pa.large_string()))).as_py()
    return max(1, DECODED // max(1, longest or 0))


def _rows_of_dictionaries(
    shard: Shard, group: pq.RowGroupMetaData, columns: list[str] | None
) -> int:
    """How many rows of a row group have DECODED bytes at most, by the sizes of its dictionaries."""
    rows = max(1, group.num_rows)
    with open_stored(shard.url, shard.etag) as stored:
        for number in range(group.num_columns):
            column = group.column(number)
            named = columns is None or column.path_in_schema.partition(".")[0] in columns
            if named and column.physical_type == "BYTE_ARRAY":
                at = min(column.dictionary_page_offset or 1 << 62, column.data_page_offset)
                in_a_row = 1 + column.num_values // max(1, group.num_rows)
                size = _dictionary_bytes(stored, at) * in_a_row
                rows = min(rows, max(1, DECODED // max(1, size)))
    return int(rows)


def _dictionary_bytes(stored: Any, at: int) -> int:
    """Bytes of the dictionary that a column begins with, without compression; 0: it has none.

    A page begins with Thrift's compact form of PageHeader (parquet.thrift): its type and then its
    sizes are fields 1 and 2, zigzag integers of seven bits a byte.
    """
    stored.seek(at)
    head = stored.read(16)
    values: list[int] = []
    position = 0
    while len(values) < 2 and head[position : position + 1] == b"\x15":
        shift = value = 0
        position += 1
        while position < len(head):
            value |= (head[position] & 0x7F) << shift
            shift, position = shift + 7, position + 1
            if head[position - 1] < 0x80:
                break
        values.append(value >> 1)
    return values[1] if values[:1] == [_DICTIONARY_PAGE] and len(values) == 2 else 0


_DICTIONARY_PAGE = 2


def batch_rows(
    batch: pa.RecordBatch,
    row: int,
    shard: Shard,
    fields: Fields,
    view: View,
    selected: SelectedRows,
) -> Tagged:
    """The selected rows of a batch, whose first is `row`, and (for view "records") its rejects."""
    rows = selected.of(row, row + len(batch))
    if len(rows) == 0:
        return
    found = [None if one.is_flat else find_values(batch, one) for one in fields.selections]
    text, columns = _texts(batch, fields, found)
    others = (fields.id, fields.source, fields.order) if view == "records" else ()
    extra = [_strings(batch, name) for name in others]
    fine = np.zeros(len(batch), dtype=np.bool_)
    fine[rows - row] = True
    reasons = _reasons(fields, found, text, columns)
    bad = fine & ~accepted(reasons)
    fine &= ~bad
    if view == "text":
        columns = []
    if not fine.all():
        mask = pa.array(fine)
        text = text.filter(mask)
        extra = [None if column is None else column.filter(mask) for column in extra]
        columns = [None if column is None else column.filter(mask) for column in columns]
    data, offsets = arrow_buffers(text)
    yield from row_batches(shard, row + np.flatnonzero(fine), data, offsets, extra, columns)
    if view == "records":
        yield from rejects(shard, row + np.flatnonzero(bad), list(reasons[bad]))


def _texts(
    batch: pa.RecordBatch, fields: Fields, found: Sequence[Values | None]
) -> tuple[pa.LargeStringArray, list[pa.LargeStringArray | None]]:
    """The text and the named columns, None for one that is missing.

    found: the values of each selection, not needed of one that is a field of the row.
    Cast, because some types, such as string_view, cannot be filtered.
    """
    each = zip(fields.selections, found, strict=True)
    text, *columns = (_text(batch, one, values) for one, values in each)
    return text, columns


def _text(
    batch: pa.RecordBatch, selected: Selection, found: Values | None
) -> pa.LargeStringArray | None:
    if not selected.is_flat:
        assert found is not None
        return found.joined(len(batch))
    column = batch.schema.get_field_index(selected.paths[0].top)
    return None if column < 0 else batch.column(column).cast(pa.large_string())


def _reasons(
    fields: Fields,
    found: Sequence[Values | None],
    text: pa.LargeStringArray,
    columns: Sequence[pa.LargeStringArray | None],
) -> np.ndarray:
    """Why each row with this text and these named columns is rejected (object array), or None."""
    limit = fields.max_document
    named = [column for column in columns if column is not None]
    reasons = np.full(len(text), None, dtype=object)
    _, offsets = arrow_buffers(text)
    reasons[np.diff(offsets) > limit] = too_long(limit)
    if named:
        sizes = np.sum([np.diff(arrow_buffers(column)[1]) for column in named], axis=0)
        reasons[sizes > limit] = too_long(limit, "named columns")
    for column in (text, *named):
        reasons[~_are_utf8(column)] = NOT_UTF8
    for one, values in zip(fields.selections, found, strict=True):
        if one.is_several and values is not None:
            reasons[values.separated(len(text))] = SEPARATED
    if text.null_count:
        flat, name = fields.selections[0].is_flat, fields.editable[0]
        reason = IS_NULL if flat else f"no text at '{name}'"
        reasons[text.is_null().to_numpy(zero_copy_only=False)] = reason
    return reasons


def _are_utf8(strings: pa.Array) -> np.ndarray:
    """Which strings (of a pa.StringArray or pa.LargeStringArray) are UTF-8 (bool)."""
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid:
        data, offsets = arrow_buffers(strings)
        return utf8_ranges(data, offsets[:-1].copy(), offsets[1:].copy())
    return np.ones(len(strings), dtype=np.bool_)


def _strings(batch: pa.RecordBatch, name: str) -> pa.StringArray | None:
    """A column as strings; None where it is missing or cannot be."""
    if not name or batch.schema.get_field_index(name) < 0:
        return None
    column = batch.column(name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind) or _is_bytes(kind):
        return None
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    column = column.cast(pa.string())
    good = _are_utf8(column)
    if not good.all():
        column = pc.if_else(pa.array(good), column, pa.scalar(None, pa.string()))
    return column


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


# Writing


def rewrite_parquet(shard: Shard, fields: Fields, edits: ShardEdits, path: Path) -> int:
    rows = row = 0
    with open_parquet(shard) as file, storage(path, "write"):
        schema = file.schema_arrow
        check_columns(shard, schema, fields)
        with pq.ParquetWriter(path, schema, compression=compression_of(file)) as writer:
            for group in range(file.metadata.num_row_groups):
                first, waiting = row, _Group(writer, schema)
                for batch in read_group(shard, file, group, fields):
                    waiting.add(rewritten_batch(batch, first, fields, edits))
                    first += len(batch)
                waiting.write()
                rows += waiting.rows
                row += file.metadata.row_group(group).num_rows
    return rows


class _Group:
    """Rows of one row group of the input, written as one row group, or several if it is large."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._batches: list[pa.RecordBatch] = []
        self._size = 0
        self.rows = 0

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            if len(batch):
                self._batches.append(compacted(batch))
                self._size += batch.nbytes
                self.rows += len(batch)
            if self._size >= GROUP_BYTES:
                self.write()

    def write(self) -> None:
        if self._batches:
            self._write(self._batches)
        self._batches, self._size = [], 0

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches, self._schema)
        try:
            # A reader numbers the values of a whole row group by the dictionary's index type.
            table = table.unify_dictionaries()
        except pa.ArrowInvalid:
            if len(batches) == 1:
                raise
            half = len(batches) // 2
            self._write(batches[:half])
            self._write(batches[half:])
        else:
            self._writer.write_table(table, row_group_size=max(1, len(table)))


def compacted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without the dictionary values that no row has: they may be what was removed."""
    for number, column in enumerate(batch.columns):
        if pa.types.is_dictionary(column.type):
            used = pa.array(np.unique(column.indices.drop_null().to_numpy()))
            indices = pc.index_in(column.indices, value_set=used).cast(column.type.index_type)
            values = column.dictionary.take(used)
            column = pa.DictionaryArray.from_arrays(indices, values, ordered=column.type.ordered)
            batch = batch.set_column(number, batch.schema.field(number), column)
    return batch


def rewritten_batch(
    batch: pa.RecordBatch, row: int, fields: Fields, edits: ShardEdits
) -> Iterator[pa.RecordBatch]:
    """`batch`, whose first row is `row`, with the edits made, in one chunk or more."""
    found = [find_values(batch, one) for one in fields.selections]

    def has_string(at: int, field: int) -> bool:
        rows = found[field].rows
        return bool(np.searchsorted(rows, at) < np.searchsorted(rows, at + 1))

    kept, changes = edits.of_rows(row, _readable(batch, fields, found), has_string)
    return _edited(batch, fields, changes, kept)


def _edited(
    batch: pa.RecordBatch,
    fields: Fields,
    changes: Mapping[int, Mapping[int, str]],
    kept: np.ndarray,
) -> Iterator[pa.RecordBatch]:
    """The `kept` rows of `batch` with `changes`: the new strings of rows, by field.

    In several chunks where a dictionary's index type cannot number all values of a column.
    """
    done = batch
    try:
        for field in sorted({field for strings in changes.values() for field in strings}):
            own = {at: strings[field] for at, strings in changes.items() if field in strings}
            selected = fields.selections[field]
            values = find_values(done, selected)
            for number, column in with_values(done, selected, values, own).items():
                done = done.set_column(number, batch.schema.field(number), column)
    except pa.ArrowInvalid:
        if len(batch) == 1:
            raise
        half = len(batch) // 2
        for start, end in ((0, half), (half, len(batch))):
            here = {at - start: strings for at, strings in changes.items() if start <= at < end}
            yield from _edited(batch[start:end], fields, here, kept[start:end])
    else:
        yield done if kept.all() else _filtered(done, kept)


def _filtered(batch: pa.RecordBatch, kept: np.ndarray) -> pa.RecordBatch:
    try:
        return batch.filter(pa.array(kept))
    except pa.ArrowNotImplementedError:
        # Views (string_view) cannot be filtered, but sliced and joined.
        runs = np.flatnonzero(np.diff(np.concatenate(([False], kept, [False]))))
        parts = [batch.slice(a, b - a) for a, b in runs.reshape(-1, 2).tolist()]
        return pa.concat_batches(parts) if parts else batch.slice(0, 0)


def read_group(
    shard: Shard, file: pq.ParquetFile, group: int, fields: Fields
) -> Iterator[pa.RecordBatch]:
    """All columns of a row group's rows, for rewriting; where it is damaged, the rows before that.

    Raises StorageError where `read_parquet` could read rows whose other columns are damaged.
    """
    done = 0
    try:
        for batch in _batches(shard, file, group, None):
            yield batch
            done += len(batch)
    except Damaged:
        readable = 0
        try:
            for batch in _batches(shard, file, group, _present(file, fields)):
                readable += len(batch)
        except Damaged:
            pass
        if readable > done:
            raise StorageError(
                f"row group {group} of {shard.url} is corrupt in a column that is carried through. "
                "Replace the file by a whole one and start a new run."
            ) from None


def _readable(batch: pa.RecordBatch, fields: Fields, found: Sequence[Values]) -> np.ndarray:
    """Which rows are not rejected when they are read (bool)."""
    return accepted(_reasons(fields, found, *_texts(batch, fields, found)))


def compression_of(file: pq.ParquetFile) -> str:
    """The compression of the first column chunk, as pq.ParquetWriter names it."""
    metadata: Any = file.metadata
    if metadata.num_row_groups == 0 or metadata.num_columns == 0:
        return "zstd"
    name = str(metadata.row_group(0).column(0).compression).lower()
    return {"uncompressed": "none", "lz4": "lz4"}.get(name, name)
