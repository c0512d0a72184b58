"""Arrow IPC, as streams (what `datasets` saves) and as files (Feather), through pyarrow.

Read batch by batch, from memory-mapped files where they are local: a batch may be the whole file.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from unrote.corpus.edits import ShardEdits
from unrote.corpus.errors import InputError
from unrote.corpus.formats.base import Cutter, Format
from unrote.corpus.formats.parquet import (
    GROUP_BYTES,
    Decoded,
    batch_rows,
    check_columns,
    columns_of_text,
    compacted,
    decoded_rows,
    rewritten_batch,
)
from unrote.corpus.formats.sniffing import ARROW_FILE, is_arrow
from unrote.corpus.rows import (
    BATCH_BYTES,
    Damaged,
    Fields,
    SelectedRows,
    View,
    refuse_expanded,
    rejects,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Compression, Cut, Shard
from unrote.corpus.storage import is_remote, open_stored, storage

CORRUPT = "Arrow data is corrupt or ends early"

_FILE_START = 8
"""Bytes before the first message of a file: the magic number, and two zeros."""


class Arrow(Format):
    """Arrow IPC files and streams."""

    name = "arrow"
    needs_state = True
    suffixes: Mapping[str, Compression] = {".arrow": "", ".feather": "", ".ipc": ""}

    def recognised(self, shard: Shard, stored: bytes) -> Shard:
        if not is_arrow(stored):
            raise InputError(
                f"{shard.url} is no Arrow file or stream: it does not start as one. Remove it from "
                "the input, replace it by a whole one, or give it the end of name of what it is."
            )
        return shard

    def cutter(self, shard: Shard, goal: int) -> Cutter:  # noqa: ARG002 - one cut
        return _Whole(shard)

    def read(
        self, shard: Shard, cut: Cut, fields: Fields, view: View, selected: SelectedRows
    ) -> Tagged:
        row, decoded = cut.row, Decoded(shard, fields.max_expansion)
        with open_arrow(shard) as reader:
            check_columns(shard, reader.schema, fields)
            try:
                for batch in _batches(shard, reader, BATCH_BYTES):
                    if selected.none_from(row):
                        return
                    found = batch_rows(batch, row, shard, fields, view, selected)
                    yield from decoded.counted(found)
                    row += len(batch)
            except Damaged as damage:
                if view == "records" and selected.has(row):
                    yield from rejects(shard, [row], [str(damage)])

    def rewrite(
        self,
        shard: Shard,
        cuts: Sequence[Cut],  # noqa: ARG002 - all of the shard's
        fields: Fields,
        edits: ShardEdits,
        path: Path,
    ) -> int:
        rows = row = 0
        with open_arrow(shard) as reader:
            check_columns(shard, reader.schema, fields)
            with _writer(shard, reader, path) as write, suppress(Damaged):
                # The row at the damage was rejected when it was read.
                for batch in _batches(shard, reader, GROUP_BYTES):
                    for one in rewritten_batch(batch, row, fields, edits):
                        if len(one):
                            write(_without_removed(one))
                            rows += len(one)
                    row += len(batch)
        return rows

    def text_columns(self, shard: Shard, first: Cut) -> set[str]:  # noqa: ARG002
        with open_arrow(shard) as reader:
            return columns_of_text(reader.schema)

    def check(self, shard: Shard, fields: Fields, first: Cut | None) -> None:  # noqa: ARG002
        with open_arrow(shard) as reader:
            check_columns(shard, reader.schema, fields)
        refuse_expanded(shard, _expanded_bytes(shard), fields.max_expansion)


class _Whole(Cutter):
    """Nowhere; but a file that is none is refused."""

    def cuts(self, size: int) -> list[Cut]:
        with open_arrow(self._shard) as reader:
            _refuse_what_keeps_removed_values(self._shard, reader.schema)
        return super().cuts(size)


@contextmanager
def open_arrow(shard: Shard) -> Iterator[Any]:
    """The shard as a pa.RecordBatchFileReader or pa.RecordBatchStreamReader.

    Raises InputError where it is neither, StorageError.
    """
    with storage(shard.url, "read"), _source(shard) as source:
        is_file = source.read(len(ARROW_FILE)) == ARROW_FILE
        source.seek(0)
        try:
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            _read_names(reader.schema)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(
                f"{shard.url} is not a whole Arrow {'file' if is_file else 'stream'}: {error}. "
                "Remove it from the input or replace it by a whole one."
            ) from None
        with reader:
            yield reader


def _source(shard: Shard) -> Any:
    if is_remote(shard.url):
        return pa.PythonFile(open_stored(shard.url, shard.etag), "r")
    return pa.memory_map(shard.url)


def _batches(shard: Shard, reader: Any, size: int) -> Iterator[pa.RecordBatch]:
    """The batches, larger ones in parts of about `size` bytes. Raises Damaged, StorageError."""
    number = 0
    while True:
        try:
            if isinstance(reader, pa.RecordBatchFileReader):
                if number == reader.num_record_batches:
                    return
                batch = reader.get_batch(number)
            else:
                batch = reader.read_next_batch()
            _validate(batch)
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            # Arrow says OSError for both bad data and failed reads; only the latter have a number.
            if isinstance(error, OSError) and error.errno is not None:
                with storage(shard.url, "read"):
                    raise
            raise Damaged(CORRUPT) from None
        number += 1
        rows = len(batch) if batch.nbytes <= size else max(1, size * len(batch) // batch.nbytes)
        rows = min([rows, *map(decoded_rows, batch.columns)])
        for start in range(0, len(batch), rows or 1):
            yield batch.slice(start, rows)


def _validate(batch: pa.RecordBatch) -> None:
    """Raise ArrowInvalid where reading the batch could leave its buffers."""
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):  # strings that are none are rejects of their rows
                raise


# Writing


@contextmanager
def _writer(shard: Shard, reader: Any, path: Path) -> Iterator[Any]:
    """What writes batches to `path`, as a file or stream as the shard is."""
    schema = reader.schema
    codec = _codec(shard)
    options = pa.ipc.IpcWriteOptions(compression=codec)
    if not isinstance(reader, pa.RecordBatchFileReader):
        with storage(path, "write"), pa.ipc.new_stream(path, schema, options=options) as writer:
            yield writer.write_batch
    elif not any(pa.types.is_dictionary(kind) for kind in schema.types):
        with storage(path, "write"), pa.ipc.new_file(path, schema, options=options) as writer:
            yield writer.write_batch
    else:
        # In a file all batches share a dictionary, which is known behind the last of them.
        beside = path.with_name(f"{path.name}.batches")
        with storage(path, "write"):
            with pa.ipc.new_stream(beside, schema) as writer:
                yield writer.write_batch
            with pa.memory_map(str(beside)) as source:
                table = pa.ipc.open_stream(source).read_all().unify_dictionaries()
                with pa.ipc.new_file(path, schema, options=options) as writer:
                    writer.write_table(table)
                del table
            beside.unlink()


def _without_removed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without what is in its buffers and in no row: it may be what was removed."""
    batch, every = compacted(batch), pa.array(range(len(batch)), pa.int64())
    columns = [
        column.cast(plain).cast(column.type)
        if (plain := _PLAIN.get(column.type))
        else column.take(every)
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


_PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def _refuse_what_keeps_removed_values(shard: Shard, schema: pa.Schema) -> None:
    """Raise InputError for types of which a row that goes leaves its values in the file."""
    for column in schema:
        for kind in _within(column.type):
            keeps = (
                pa.types.is_list_view(kind)
                or pa.types.is_large_list_view(kind)
                or pa.types.is_run_end_encoded(kind)
                or (kind != column.type and (pa.types.is_dictionary(kind) or kind in _PLAIN))
            )
            if keeps:
                raise InputError(
                    f"column {column.name!r} of {shard.url} is {column.type}, of which the values "
                    "of removed rows would stay in the file. Store it without views, run ends, and "
                    "dictionaries within other types, or as Parquet."
                )


def _read_names(schema: pa.Schema) -> None:
    """Raise UnicodeDecodeError where a name is no UTF-8."""
    for column in schema:
        column.name  # noqa: B018
        for kind in _within(column.type):
            for number in range(kind.num_fields):
                kind.field(number).name  # noqa: B018


def _within(kind: pa.DataType) -> Iterator[pa.DataType]:
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        yield from _within(kind.storage_type)
        return
    for number in range(kind.num_fields):
        yield from _within(kind.field(number).type)


# How a file is compressed: pyarrow reads it, and does not say it.


def _codec(shard: Shard) -> str | None:
    """What the buffers of the first batch are compressed with: "lz4", "zstd" or None."""
    with _source(shard) as source:
        if source.read(len(ARROW_FILE)) == ARROW_FILE:
            source.seek(_FILE_START)
        else:
            source.seek(0)
        try:
            for message in pa.ipc.MessageReader.open_stream(source):
                if message.type == "record batch":
                    return _codec_of(memoryview(message.metadata))
        except (pa.ArrowException, OSError, struct.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
    return None  # it has no batch, or cannot be read, which is said when it is read


def _expanded_bytes(shard: Shard) -> int:
    """Bytes of all buffers, as they say of themselves, without their compression."""
    size = 0
    with storage(shard.url, "read"), _source(shard) as source:
        source.seek(_FILE_START if source.read(len(ARROW_FILE)) == ARROW_FILE else 0)
        try:
            for message in pa.ipc.MessageReader.open_stream(source):
                size += _expanded(message)
        except (pa.ArrowException, OSError, struct.error, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
    return size  # what cannot be read is told when it is read


def _expanded(message: pa.ipc.Message) -> int:
    """The same of one message."""
    said, body = memoryview(message.metadata), memoryview(message.body or b"")
    batch = _table(said, struct.unpack_from("<I", said, 0)[0], 2)
    if message.type == "dictionary":
        batch = batch and _table(said, batch, 1)
    buffers = batch and _table(said, batch, 2)
    if not buffers or message.type not in ("record batch", "dictionary"):
        return 0
    size, compressed = 0, bool(_table(said, batch, 3))
    for at in range(buffers + 4, buffers + 4 + 16 * struct.unpack_from("<I", said, buffers)[0], 16):
        start, length = struct.unpack_from("<qq", said, at)
        whole = struct.unpack_from("<q", body, start)[0] if compressed and length else -1
        size += length if whole < 0 else whole
    return size


def _codec_of(message: memoryview) -> str | None:
    """Of a message's metadata, the flatbuffer `Message` of Arrow's Message.fbs."""
    root = struct.unpack_from("<I", message, 0)[0]
    batch = _table(message, root, 2)
    compression = batch and _table(message, batch, 3)
    if not compression:
        return None
    at = _field(message, compression, 0)
    return "zstd" if at and message[at] == 1 else "lz4"


def _field(message: memoryview, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table is, 0 where it has its default."""
    entries = table - struct.unpack_from("<i", message, table)[0]
    size = struct.unpack_from("<H", message, entries)[0]
    entry = 4 + 2 * number
    if entry >= size:
        return 0
    offset: int = struct.unpack_from("<H", message, entries + entry)[0]
    return offset and table + offset


def _table(message: memoryview, table: int, number: int) -> int:
    """Where the table is that a field of a table is, 0 where it is none."""
    at = _field(message, table, number)
    return at and at + int(struct.unpack_from("<I", message, at)[0])
