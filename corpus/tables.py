"""The one writer of table files. The same rows give the same bytes, whoever brings them.

Parquet bytes depend on how rows are chunked and on a dozen settings, so rows are brought into
row groups of ROW_GROUP rows whatever batches they came in, and every setting is pinned here.
"""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from unrote.corpus.errors import StorageError
from unrote.corpus.storage import open_output, open_stored, storage

ROW_GROUP = 1 << 17
"""Rows in a row group, the last one's excepted. A constant of the format."""

INTERNAL_ROW_GROUP = 1 << 15
"""The same of internal tables, which tasks read by ranges: what lies beside a range in a row group
is decoded for nothing."""


class Digested(io.RawIOBase):
    """A file for writing that knows the size and the xxh3_128 of what was written."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.size = 0
        self._hash = xxhash.xxh3_128()

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        view = memoryview(chunk).cast("B")
        self.file.write(view)
        self._hash.update(view)
        self.size += len(view)
        return len(view)

    def hexdigest(self) -> str:
        return str(self._hash.hexdigest())


def write_table(
    path: str | os.PathLike[str],
    schema: pa.Schema,
    rows: Iterable[pa.RecordBatch] | pa.Table | pa.RecordBatch,
    *,
    internal: bool = False,
) -> tuple[int, int, str]:
    """Write `rows`, cast to `schema`, as the Parquet file `path` (a path or an fsspec URL).

    internal: nobody but the run itself reads it, so it is written as is fastest.
    Returns rows, bytes and the file's xxh3_128 in hex. Holds one row group in memory.
    Raises StorageError where the file cannot be written, pa.ArrowInvalid where rows cannot be cast.
    """
    if isinstance(rows, pa.RecordBatch):
        rows = [rows]
    elif isinstance(rows, pa.Table):
        rows = rows.to_batches()
    count, settings = 0, _settings(schema) | (_internal_settings(schema) if internal else {})
    group_rows = INTERNAL_ROW_GROUP if internal else ROW_GROUP
    with storage(path, "write"), open_output(path) as file:
        sink = Digested(file)
        with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, **settings) as writer:
            for group in _groups(schema, rows):
                writer.write_table(group, row_group_size=group_rows)
                count += len(group)
    return count, sink.size, sink.hexdigest()


@contextmanager
def readable(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what Arrow says of a damaged table file into a StorageError."""
    try:
        with storage(path, "read"):
            yield
    except pa.ArrowException as error:
        raise StorageError(
            f"{os.fspath(path)} is not a readable Parquet file: {error}. Run the job again with "
            "--fresh."
        ) from None


def read_table(path: str | os.PathLike[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a table file, in order. Raises StorageError where it cannot be read."""
    with readable(path), open_stored(path) as file, pq.ParquetFile(file) as table:
        yield from table.iter_batches(batch_size=1 << 16)


def tuples_of(rows: pa.RecordBatch | pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    """The rows, as tuples of these columns."""
    return zip(*(rows[name].to_pylist() for name in names), strict=True)


def _settings(schema: pa.Schema) -> dict[str, Any]:
    # A dictionary pays for strings such as shard names; integers here hardly repeat.
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    return {
        "version": "2.6",
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": strings or False,
        "dictionary_pagesize_limit": 1 << 20,
        "data_page_size": 1 << 20,
        "data_page_version": "1.0",
        "write_batch_size": 1024,
        "write_statistics": True,
        "write_page_index": False,
        "write_page_checksum": False,
        "store_schema": False,
    }


def _internal_settings(schema: pa.Schema) -> dict[str, Any]:
    """Bytes of equal weight side by side and LZ4: of tables of integers that is a third of the time
    that zstd takes, and no more bytes. Not every reader of Parquet knows it for integers.
    """
    numbers = [
        f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)
    ]
    return {
        "compression": "lz4",
        "compression_level": None,
        "column_encoding": dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
    }


def _groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in tables of ROW_GROUP rows, each column one chunk."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        batch = _cast(batch, schema)
        while count + len(batch) >= ROW_GROUP:
            room = ROW_GROUP - count
            yield _combined([*waiting, batch.slice(0, room)], schema)
            batch = batch.slice(room)
            waiting, count = [], 0
        if len(batch):
            waiting.append(batch)
            count += len(batch)
    if waiting:
        yield _combined(waiting, schema)


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    return batch.select(schema.names).cast(schema)


def _combined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(batches, schema).combine_chunks()
