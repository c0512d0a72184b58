"""DataFrames by Arrow batches: what is made of each row, and the rows of files."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it
from pyspark.sql import types as T  # noqa: N812

from unrote.corpus.errors import UsageError
from unrote.corpus.schema import doc_key
from unrote.corpus.storage import Options, use_options
from unrote.pipelines.engines.failures import guarded
from unrote.pipelines.engines.sealed import Sealed
from unrote.pipelines.engines.spark_session import is_classic
from unrote.pipelines.storage import location, source

V = TypeVar("V")

Batches = Iterable[pa.RecordBatch]
Read = Callable[[int], Iterator[pa.RecordBatch]]


def require_columns(df: DataFrame, *names: str) -> None:
    for name in names:
        if name not in df.columns:
            raise UsageError(
                f"the DataFrame has no column {name!r}. It has {', '.join(df.columns)}."
            )


def column_named(name: str) -> Any:
    """A column by its name, whatever is in it."""
    return F.col("`" + name.replace("`", "``") + "`")


def mapped(
    frame: DataFrame, work: Callable[[Batches], Iterator[pa.RecordBatch]], schema: T.StructType
) -> DataFrame:
    names = frame.columns
    if any("." in name for name in names):  # which mapInArrow takes for a path
        frame = frame.toDF(*(f"c{number}" for number in range(len(names))))
        work = _named(work, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which pandas it would rather have; none is used here
        return frame.mapInArrow(work, schema)


def spark_type(kind: pa.DataType) -> T.DataType:
    """Spark's name for the Arrow types that our tables have."""
    if pa.types.is_list(kind):
        return T.ArrayType(spark_type(kind.value_type))
    if pa.types.is_struct(kind):
        return T.StructType([T.StructField(f.name, spark_type(f.type)) for f in kind])
    return _PLAIN[kind]()


_PLAIN: Mapping[pa.DataType, type[T.DataType]] = {
    pa.int64(): T.LongType,
    pa.int32(): T.IntegerType,
    pa.float64(): T.DoubleType,
    pa.string(): T.StringType,
    pa.bool_(): T.BooleanType,
}


@dataclass(frozen=True)
class Unsealed(Generic[V]):
    """A value that goes with tasks as it is."""

    value: V

    def opened(self) -> V:
        """The value."""
        return self.value


Held = Sealed[V] | Unsealed[V]


def held(df: DataFrame, value: V) -> Held[V]:
    """A value for the tasks over a DataFrame, of which Spark writes nothing readable to a file. A
    session of Spark Connect has no broadcasts: there it is a part of the plan.
    """
    session = df.sparkSession
    return Sealed(session.sparkContext, value) if is_classic(session) else Unsealed(value)


# What runs on the executors


def _named(work: Callable[[Batches], Iterator[pa.RecordBatch]], names: list[str]) -> Any:
    """`work` on batches whose columns have these names."""

    def renamed(batches: Batches) -> Iterator[pa.RecordBatch]:
        return work(batch.rename_columns(names) for batch in batches)

    return renamed


def numbered(read: Read) -> Callable[..., Any]:
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from read(number)

    return guarded(work)


def rows_of(files: Sealed[tuple[Sequence[str], Options]], columns: list[str] | None = None) -> Read:
    """Reads the rows of the file with a number. files: their URLs, and how these are reached."""

    def read(number: int) -> Iterator[pa.RecordBatch]:
        urls, options = files.opened()
        use_options(options)
        with pq.ParquetFile(source(location(urls[number]))) as file:
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group, columns, use_threads=False).to_batches()

    return read


def ids_of(files: Sealed[tuple[Sequence[tuple[str, int]], Options]], id: str) -> Read:
    """Reads doc and id of the rows of the file with a number. files: their URLs with the numbers
    of shards, and how these are reached.
    """

    def read(number: int) -> Iterator[pa.RecordBatch]:
        numbered, options = files.opened()
        use_options(options)
        url, shard = numbered[number]
        first = doc_key(shard, 0)
        with pq.ParquetFile(source(location(url))) as file:
            for group in range(file.num_row_groups):
                for batch in file.read_row_group(group, use_threads=False).to_batches():
                    docs = pa.array(range(first, first + batch.num_rows), pa.int64())
                    first += batch.num_rows
                    ids = batch.column(id)
                    yield pa.RecordBatch.from_arrays([docs, ids], ["doc", "id"])

    return read
