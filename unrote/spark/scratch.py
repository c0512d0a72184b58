"""A DataFrame in scratch: written once, sorted by its ids, and known again by its digest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it
from pyspark.sql import types as T  # noqa: N812

from unrote.corpus.errors import InputError, OutputError
from unrote.corpus.storage import Options, options_in_use, use_options
from unrote.pipelines.engines.failures import guarded
from unrote.pipelines.locations import reaching
from unrote.pipelines.progress import Progress
from unrote.pipelines.storage import (
    Location,
    location,
    make_folder,
    remove,
    remove_folder,
    staged,
    write_atomically,
)
from unrote.spark.frames import Batches, column_named, mapped

GROUP_BYTES = 32 << 20
"""About how much of a DataFrame a row group of the files in scratch holds."""


@dataclass(frozen=True)
class Written:
    """A DataFrame in scratch: files, in the order of ids, and what they hold.

    digest: of all rows, whatever their order.
    """

    folder: Location
    id: str
    schema: T.StructType
    files: tuple[str, ...]
    rows: int
    digest: int


def laid_down(
    df: DataFrame,
    id: str,
    folder: Location,
    *,
    fresh: bool,
    progress: Progress,
) -> Written:
    """The rows of `df` in the files of `folder`: those that are there, or written now.

    Raises OutputError where there is something else.
    """
    marker = folder / "input.json"
    with reaching(str(folder)):
        make_folder(folder)
        found = {path.name for path in folder.iterdir()} - {"input", "out", marker.name}
        if found:
            raise OutputError(
                f"scratch {folder} holds {min(found)}, which is no file of ours. Name an empty or "
                "new folder."
            )
        known = orjson.loads(marker.read_bytes()) if marker.exists() else None
        if known is not None and not fresh:
            with progress.aside("comparing the DataFrame with that in scratch"):
                rows, digest = _digest_of(df)
            if (rows, digest, df.schema.json()) != (
                known["rows"],
                known["digest"],
                known["schema"],
            ):
                raise OutputError(
                    f"scratch {folder} is of a run over other rows. Name another folder, or drop "
                    "that run with fresh=True."
                )
            return _written(df, id, folder, known)
        remove(marker)
        remove_folder(folder / "input")
        if fresh:
            remove_folder(folder / "out")
    with progress.aside("writing the DataFrame to scratch"):
        known = _write(df, id, folder)
    with reaching(str(folder)):
        write_atomically(marker, orjson.dumps(known))
    return _written(df, id, folder, known)


def _written(df: DataFrame, id: str, folder: Location, known: Mapping[str, Any]) -> Written:
    files = tuple(str(folder / "input" / name) for name in known["files"])
    return Written(folder, id, df.schema, files, known["rows"], known["digest"])


_DIGEST = "__unrote_digest"


def _with_digest(df: DataFrame) -> DataFrame:
    """`df` and a hash of each row. Spark hashes no maps, but their JSON."""
    columns = [
        F.to_json(F.struct(column_named(f.name)))
        if "map<" in f.dataType.simpleString()
        else column_named(f.name)
        for f in df.schema
    ]
    return df.withColumn(_DIGEST, F.xxhash64(*columns))


def _digest_of(df: DataFrame) -> tuple[int, int]:
    """Rows, and the sum of their hashes modulo 2^64."""
    sums = T.StructType([T.StructField(name, T.LongType()) for name in ("rows", "digest")])
    found = mapped(_with_digest(df).select(_DIGEST), _summing, sums).collect()
    return sum(row.rows for row in found), sum(row.digest for row in found) % (1 << 64)


def _write(df: DataFrame, id: str, folder: Location) -> dict[str, Any]:
    """Write the rows of `df`, sorted; the names of the files, and what they hold."""
    make_folder(folder / "input")
    ordered = (
        _with_digest(df).repartitionByRange(column_named(id)).sortWithinPartitions(column_named(id))
    )
    reported = T.StructType(
        [
            T.StructField("file", T.StringType()),
            T.StructField("rows", T.LongType()),
            T.StructField("digest", T.LongType()),
        ]
    )
    work = _writing(str(folder / "input"), id, options_in_use())
    found = sorted(mapped(ordered, work, reported).collect())
    if not found:
        raise InputError("the DataFrame has no row, so there is nothing to clean.")
    digest = sum(row.digest for row in found) % (1 << 64)
    return {
        "files": [row.file for row in found],
        "rows": sum(row.rows for row in found),
        "digest": digest,
        "schema": df.schema.json(),
    }


# What runs on the executors


def _writing(folder: str, id: str, options: Options) -> Callable[..., Any]:
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        use_options(options)
        name = f"{TaskContext.get().partitionId():05d}.parquet"
        checked = _checked(batches, id)
        first = next(checked, None)
        if first is None:
            return
        rows = digest = 0
        path = location(folder) / name
        kind = first.schema.remove(first.schema.get_field_index(_DIGEST))
        with staged(path) as temporary, pq.ParquetWriter(str(temporary), kind) as writer:
            for group in _groups(first, checked):
                rows += group.num_rows
                digest += sum(group.column(_DIGEST).to_pylist())
                writer.write_table(group.drop_columns(_DIGEST))
        yield _reported({"file": name, "rows": rows, "digest": _signed(digest)})

    return guarded(work)


def _checked(batches: Batches, id: str) -> Iterator[pa.RecordBatch]:
    """Batches with rows, whose ids ascend. Raises InputError for ids that are null or repeated."""
    last = None
    for batch in batches:
        ids = batch.column(id)
        if ids.null_count:
            raise InputError(f"{ids.null_count:,} rows have no {id}. Give each row one of its own.")
        for position, one in enumerate(ids.to_pylist()):
            if one == last:
                raise InputError(
                    f"several rows have the same {id}, one of them in row {position} of a batch of "
                    f"{batch.num_rows}. Give each row one of its own, or drop repeated ones first: "
                    f"dropDuplicates([{id!r}])."
                )
            last = one
        if batch.num_rows:
            yield batch


def _groups(first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Rows in groups of about GROUP_BYTES."""
    held, size = [first], first.nbytes
    for batch in others:
        if size >= GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
        held.append(batch)
        size += batch.nbytes
    yield pa.Table.from_batches(held)


@guarded
def _summing(batches: Batches) -> Iterator[pa.RecordBatch]:
    rows = digest = 0
    for batch in batches:
        rows += batch.num_rows
        digest += sum(batch.column(0).to_pylist())
    yield _reported({"rows": rows, "digest": _signed(digest)})


def _signed(value: int) -> int:
    """An integer modulo 2^64, as Spark's long."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _reported(row: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([row])
