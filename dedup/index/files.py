"""Files of an index, written and read."""

import os
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.errors import StorageError
from unrote.corpus.storage import is_remote, open_stored, storage
from unrote.corpus.tables import Digested
from unrote.dedup.groups import Ints, parts
from unrote.dedup.index.layout import DOCUMENTS, IDS, TEXT_BATCH, TEXTS, File, path_of

_FIRSTS = b"firsts"
"""In a schema's metadata: the first `at` of each batch, as int64."""

_OPEN_FILES = 1024


def write_keys(path: str, rows: pa.Table) -> File:
    """Write FINGERPRINTS or BANDS, sorted, as one batch that can be mapped."""
    return _write(path, rows.schema, rows.combine_chunks().to_batches(), None, {})


def write_documents(path: str, rows: pa.Table) -> File:
    """Write DOCUMENTS, sorted by `at`."""
    bounds = [*range(0, rows.num_rows, IDS), rows.num_rows]
    return _write_batched(path, DOCUMENTS, rows, bounds, level=3)


def write_texts(path: str, rows: pa.Table) -> File:
    """Write TEXTS, sorted by `at`."""
    sizes = pc.fill_null(pc.binary_length(rows["text"]), 0).to_numpy().astype(np.int64)
    bounds = [part.start for part in parts(sizes, TEXT_BATCH)] if len(sizes) else []
    return _write_batched(path, TEXTS, rows, [*bounds, rows.num_rows], level=9)


def _write_batched(
    path: str, schema: pa.Schema, rows: pa.Table, bounds: Sequence[int], level: int
) -> File:
    """Write rows, one batch for each two neighbours of `bounds`."""
    rows = rows.combine_chunks()
    batches = [
        batch
        for low, high in pairwise(bounds)
        for batch in rows.slice(low, high - low).to_batches()
    ]
    firsts = np.array([batch["at"][0].as_py() for batch in batches], dtype="<i8")
    codec = pa.Codec("zstd", compression_level=level)
    return _write(path, schema, batches, codec, {_FIRSTS: firsts.tobytes()})


def _write(
    path: str,
    schema: pa.Schema,
    batches: Sequence[pa.RecordBatch],
    codec: pa.Codec | None,
    metadata: dict[bytes, bytes],
) -> File:
    options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False)
    with storage(path, "write"), open(path, "wb") as file:
        sink = Digested(file)
        said = schema.with_metadata(metadata)
        with pa.ipc.new_file(pa.PythonFile(sink, mode="w"), said, options=options) as writer:
            for batch in batches:
                writer.write_batch(batch.replace_schema_metadata(metadata))
        file.flush()
        os.fsync(file.fileno())
    return File(sink.hexdigest(), sum(batch.num_rows for batch in batches), sink.size)


class Opened:
    """A file of an index, open. Safe for use by several threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._reading = threading.Lock()
        with storage(path, "read"):
            source = pa.PythonFile(open_stored(path)) if is_remote(path) else pa.memory_map(path)
            self._reader = _checked(path, pa.ipc.open_file, source)
            known = (self._reader.schema.metadata or {}).get(_FIRSTS, b"")
            self.firsts: Ints = _checked(path, np.frombuffer, known, "<i8")

    def has(self, schema: pa.Schema) -> bool:
        """Whether its columns are those of `schema`."""
        return bool(self._reader.schema.remove_metadata().equals(schema))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches."""
        return map(self.batch, range(self._reader.num_record_batches))

    def batch(self, number: int) -> pa.RecordBatch:
        """One batch. Raises StorageError where it is damaged."""
        with storage(self._path, "read"), self._reading:
            return _checked(self._path, self._whole, number)

    def _whole(self, number: int) -> pa.RecordBatch:
        batch = self._reader.get_batch(number)
        batch.validate(
            full=bool(len(self.firsts))
        )  # keys are mapped: what is not asked stays there
        return batch

    def columns(self) -> tuple[Ints, ...]:
        """The columns of a file of keys; of one on a disk, mapped."""
        batch = next(self.batches(), None)
        if batch is None:
            return tuple(np.empty(0, field.type.to_pandas_dtype()) for field in self._reader.schema)
        return tuple(column.to_numpy() for column in batch.columns)

    def rows_at(self, at: Ints) -> Iterator[tuple[Ints, pa.RecordBatch]]:
        """For each batch that has some of `at` (ascending): where they are in it, and the batch."""
        number = np.searchsorted(self.firsts, at, side="right") - 1
        bounds = np.flatnonzero(np.diff(number, prepend=-1, append=-1))
        for low, high in pairwise(bounds.tolist()):
            batch = self.batch(int(number[low]))
            yield _checked(self._path, _places, batch, at[low:high]), batch


def _places(batch: pa.RecordBatch, at: Ints) -> Ints:
    """Where `at` are in a batch. Raises ValueError, IndexError, KeyError where they are not."""
    there = batch["at"].to_numpy()
    places = np.searchsorted(there, at)
    if (there[places] != at).any():
        raise ValueError("rows are missing")
    return places


def _checked(path: str, function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise damaged(path, " ".join(str(error).split())) from None


def damaged(path: str, why: str) -> StorageError:
    """What is said of a file that is not what was written."""
    return StorageError(
        f"{path} is damaged ({why}). `unrote index verify` says which files are; bring them back "
        "from a copy."
    )


def opened(folder: str, file: File, schema: pa.Schema) -> Opened:
    """A file of the index in `folder` with these columns. Raises StorageError where it is none."""
    return _opened(path_of(folder, file), schema)


@lru_cache(maxsize=_OPEN_FILES)
def _opened(path: str, schema: pa.Schema) -> Opened:
    file = Opened(path)
    if not file.has(schema):
        raise damaged(path, "it has other columns")
    return file


@lru_cache(maxsize=_OPEN_FILES)
def _columns(path: str) -> tuple[Ints, ...]:
    return Opened(path).columns()


def columns_of(folder: str, file: File) -> tuple[Ints, ...]:
    """The columns of a file of keys, for all threads. Raises StorageError where it is damaged."""
    columns = _columns(path_of(folder, file))
    if {len(column) for column in columns} != {file.rows}:
        raise damaged(path_of(folder, file), f"it has not {file.rows} rows")
    return columns
