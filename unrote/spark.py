"""unrote on Spark DataFrames, in a session of your own, which is neither stopped nor changed.

>>> import unrote.spark
>>> cleaned = unrote.spark.clean(df, scratch="s3://lake/scratch")  # doctest: +SKIP
>>> cleaned.kept.write.parquet("s3://lake/cleaned")  # doctest: +SKIP

`scrub` and `score` look at each row by itself: one `mapInArrow`, run when the DataFrame that they
return is. `clean` and `near_duplicates` compare all rows with each other: they run as the command
`unrote clean` does on Spark, with a folder for what they keep between their steps.

Executors need unrote as this machine has it (docs/engines.md).
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from unrote.corpus.errors import InputError, OutputError, UsageError
from unrote.corpus.paths import FieldPath
from unrote.corpus.schema import doc_key
from unrote.corpus.storage import Options as StorageOptions
from unrote.corpus.storage import options_in_use, use_options
from unrote.memorization.config import Config as ScoreConfig
from unrote.memorization.config import Models
from unrote.pii.config import Action, Config
from unrote.pii.keys import Key
from unrote.pipelines.api import Options, Path, settings_from
from unrote.pipelines.batches import FINDING, Scoring, Scrubbing
from unrote.pipelines.clean import clean as _clean
from unrote.pipelines.config import Settings, SparkSettings
from unrote.pipelines.engines.failures import guarded
from unrote.pipelines.engines.spark import SparkEngine
from unrote.pipelines.engines.spark_session import (
    explaining,
    require_classic,
    require_pyspark,
)
from unrote.pipelines.finished import SCHEMAS, FinishedRun, open_run
from unrote.pipelines.locations import folder_named, reaching
from unrote.pipelines.progress import Progress, Silent
from unrote.pipelines.report.model import Report
from unrote.pipelines.storage import (
    Location,
    location,
    make_folder,
    remove,
    remove_folder,
    source,
    staged,
    write_atomically,
)

require_pyspark()
from pyspark import TaskContext  # noqa: E402 - known to be there from here on
from pyspark.sql import DataFrame, SparkSession  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402, N812 - as everybody calls it
from pyspark.sql import types as T  # noqa: E402, N812

__all__ = ["CleanedFrame", "clean", "near_duplicates", "score", "scrub"]

Batches = Iterable[pa.RecordBatch]
Read = Callable[[int], Iterator[pa.RecordBatch]]

GROUP_BYTES = 32 << 20
"""About how much of a DataFrame a row group of the files in scratch holds."""


def clean(
    df: DataFrame,
    text: str | Sequence[str] = "text",
    id: str = "id",
    *,
    scratch: Path,
    settings: Options = None,
    config: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> "CleanedFrame":
    """Clean the rows of a DataFrame as `unrote.clean` cleans the documents of a corpus.

    df: is written to scratch once, sorted by `id`, and read from there.
    text: the column with the text, or one or several paths into columns, as `input.text` has them.
    id: the column that tells rows apart, strings or integers, each once. Where rows are copies of
    each other, "the first" is the one with the smallest id.
    scratch: a folder, or the URL of one in a store, that this machine and all executors may write
    to. It holds the run and what the DataFrames of the result read: remove it when you are done
    with them. The same call with the same rows goes on where an earlier one was cut off.
    settings, config, fresh, progress: as for `unrote.clean`; input.text and input.id are the two
    above.

    Raises what `unrote.clean` does; InputError for ids that are missing or occur twice.
    """
    given = _settings(df, text, id, settings_from(settings, config))
    run, written = _run(df, id, scratch, given, fresh=fresh, progress=progress)
    return CleanedFrame(run, df.sparkSession, written)


def near_duplicates(
    df: DataFrame,
    text: str | Sequence[str] = "text",
    id: str = "id",
    *,
    scratch: Path,
    settings: Options = None,
    config: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> DataFrame:
    """The near-duplicates among the rows of a DataFrame: id, twin, similarity.

    twin: the id of the row that stays. similarity: Jaccard's, of the n-grams of both, float64 in
    0 … 1; copies are among them, with 1. The same rows as `unrote.near_duplicates` gives for the
    texts in the order of their ids. Arguments and errors as for `clean`; of the settings those of
    `dedup.near` count.
    """
    given = settings_from(settings, config)
    alone = {
        "dedup": given.dedup.model_copy(
            update={
                "exact": given.dedup.exact.model_copy(update={"enabled": False}),
                "near": given.dedup.near.model_copy(update={"enabled": True}),
                "passages": given.dedup.passages.model_copy(update={"enabled": False}),
            }
        ),
        "pii": given.pii.model_copy(update={"enabled": False}),
        "memorization": given.memorization.model_copy(update={"enabled": False}),
        "output": given.output.model_copy(update={"data": False, "keep_removed": ""}),
    }
    given = _settings(df, text, id, given.model_copy(update=alone))
    run, written = _run(df, id, scratch, given, fresh=fresh, progress=progress)
    found = CleanedFrame(run, df.sparkSession, written).table("duplicates")
    return found.select("id", "twin", "similarity")


def scrub(
    df: DataFrame,
    text: str = "text",
    id: str = "id",
    *,
    key: Key | str | bytes | None = None,
    config: Config | None = None,
    actions: Mapping[str, Action] | None = None,
) -> DataFrame:
    """The rows of a DataFrame with personal data and secrets in their text replaced.

    text: a column of strings. id: the column that decides how far a row's dates are shifted.
    key, config, actions: as for `unrote.scrub`; without a key one is made by this call.

    All columns, and two more: `findings`, an array of structs (start, end, type, score, action,
    origin, stands_for, fingerprint, surrogate_fingerprint), and `rejected`: why a text is not to be
    released, which is then null. A text that is null stays null.
    Raises ConfigError and ValueError as `unrote.scrub` does.
    """
    _require_columns(df, text, id)
    for name in ("findings", "rejected"):
        if name in df.columns:
            raise UsageError(f"the DataFrame has a column {name!r} already. Rename it first.")
    if not isinstance(df.schema[text].dataType, T.StringType):
        raise UsageError(f"the column {text!r} is no string column. Cast it first.")
    schema = T.StructType(
        [T.StructField(f.name, f.dataType, f.nullable or f.name == text) for f in df.schema]
        + [
            T.StructField("findings", T.ArrayType(_spark_type(FINDING))),
            T.StructField("rejected", T.StringType()),
        ]
    )
    return _mapped(df, _scrubbing(Scrubbing.of(key, config, actions), text, id), schema)


def score(
    df: DataFrame,
    text: str = "text",
    id: str = "id",
    *,
    model: str = "default",
    comparison: str = "",
    config: ScoreConfig | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> DataFrame:
    """The sequences of the rows of a DataFrame and their measures, a row for each.

    model, comparison, device, precision: as for `unrote.score`; models by name, which the executors
    have to have. config: as there.

    The columns are the id and those of `unrote.memorization.scorer.SCORES` without `doc`. A text
    that is null has no row. Raises ConfigError.
    """
    from unrote.memorization.scorer import SCORES  # noqa: PLC0415 - loads torch

    _require_columns(df, text, id)
    scoring = Scoring(Models(model, comparison, device, precision, config or ScoreConfig()))
    measures = [T.StructField(f.name, _spark_type(f.type)) for f in SCORES if f.name != "doc"]
    schema = T.StructType([T.StructField(id, df.schema[id].dataType), *measures])
    chosen = df.select(_column(id), _column(text))
    return _mapped(chosen, _scoring(scoring, text, id), schema)


@dataclass(frozen=True)
class _Written:
    """A DataFrame in scratch: files, in the order of ids, and what they hold.

    digest: of all rows, whatever their order.
    """

    folder: Location
    id: str
    schema: T.StructType
    files: tuple[str, ...]
    rows: int
    digest: int


class CleanedFrame:
    """What `clean` found and left, as DataFrames that read from scratch.

    run: the finished run, as `unrote.open_run` gives it.
    """

    def __init__(self, run: FinishedRun, session: SparkSession, written: _Written) -> None:
        self.run = run
        self._session = session
        self._written = written

    @property
    def report(self) -> Report:
        """What report.json says."""
        return self.run.report

    @cached_property
    def kept(self) -> DataFrame:
        """The rows that stay, with all their columns, their text cleaned."""
        urls = [str(self.run.out / file["path"]) for file in self.run.manifest["data"]]
        return self._frame(_rows_of(urls, options_in_use()), len(urls), self._written.schema)

    @cached_property
    def removed(self) -> DataFrame:
        """The rows that do not: id, reason, twin, similarity.

        reason: "exact", "near", "remainder" (of which cuts left too little), or why a row was
        rejected; then twin, the id of the row that stays in its place, is null.
        """
        gone = self.table("duplicates").select("id", "reason", "twin", "similarity")
        if "rejects" not in self.run.tables:
            return gone
        rejected = self.table("rejects").select("id", "reason")
        return gone.unionByName(rejected, allowMissingColumns=True)

    @cached_property
    def spans(self) -> DataFrame:
        """Duplicate passages: id, start, end, witness (an id), witness_start, witness_end,
        occurrences.
        """
        return self.table("spans")

    @cached_property
    def findings(self) -> DataFrame:
        """Personal data, secrets and markers: id and the columns of corpus.schema.FINDINGS."""
        return self.table("findings")

    def table(self, name: str) -> DataFrame:
        """A published table (unrote.corpus.schema), with ids in the place of documents' numbers.

        Raises InputError for a table that the run has not.
        """
        if name not in self.run.tables:
            raise InputError(
                f"{self.run.out} has no table {name!r}. It has {', '.join(self.run.tables)}."
            )
        files = self.run.manifest["tables"].get(name, ())
        urls = [
            str(self.run.out / "tables" / name / f"{file['slice']:05d}.parquet") for file in files
        ]
        columns = [
            T.StructField(f.name, _spark_type(f.type)) for f in SCHEMAS[name] if f.name != "id"
        ]
        read = _rows_of(urls, options_in_use(), [column.name for column in columns])
        frame = self._frame(read, len(urls), T.StructType(columns))
        named = {"doc": "id", "twin": "twin", "witness": "witness"}
        for column in columns:
            if column.name in named:
                frame = self._with_id(frame, column.name, named[column.name])
        return frame.select(
            "id", *(_column(column.name) for column in columns if column.name != "doc")
        )

    def _with_id(self, frame: DataFrame, column: str, name: str) -> DataFrame:
        """`frame` with the ids of the documents in `column`, as the column `name`."""
        ids = self._ids.select(F.col("doc").alias("__doc"), F.col("id").alias("__id"))
        joined = frame.join(ids, frame[column] == ids["__doc"], "left")
        return joined.drop(column, "__doc").withColumnRenamed("__id", name)

    @cached_property
    def _ids(self) -> DataFrame:
        """doc, id of every row: a document's number is that of its file and of its row there."""
        written = self._written
        kind = written.schema[written.id].dataType
        schema = T.StructType([T.StructField("doc", T.LongType()), T.StructField("id", kind)])
        numbers = {shard.url: shard.number for shard in self.run.corpus.shards}
        files = tuple((url, numbers[url]) for url in written.files)
        return self._frame(_ids_of(files, written.id, options_in_use()), len(files), schema)

    def _frame(self, read: Read, count: int, schema: T.StructType) -> DataFrame:
        """What `read` gives for 0 … count - 1, a task for each."""
        numbers = self._session.range(0, count, 1, max(1, count))
        return _mapped(numbers, _numbered(read), schema)

    def __repr__(self) -> str:
        return f"<cleaned DataFrame in {str(self.run.out)!r}>"


# The DataFrame in scratch, and the run


def _settings(
    df: DataFrame,
    text: str | Sequence[str],
    id: str,
    given: Settings,
) -> Settings:
    """The settings of a run over `df`. Raises UsageError for what cannot be."""
    require_classic(df.sparkSession)
    _require_columns(df, id)
    if not isinstance(df.schema[id].dataType, T.StringType | T.IntegralType):
        raise UsageError(
            f"the column {id!r} is {df.schema[id].dataType.simpleString()}; ids are strings or "
            "integers. Cast it first."
        )
    if given.engine.spark != SparkSettings():
        raise UsageError(
            "engine.spark.master and engine.spark.conf are those of the session that the DataFrame "
            "is of. Leave them out."
        )
    if isinstance(text, str):
        text = str(FieldPath((text,))) if text in df.columns else text
    update = {"text": text if isinstance(text, str) else list(text), "id": str(FieldPath((id,)))}
    tree = {name: getattr(given, name) for name in Settings.model_fields}
    tree["input"] = given.input.model_dump() | update
    tree["engine"] = given.engine.model_copy(update={"name": "spark"})
    return Settings.model_validate(tree)


def _run(
    df: DataFrame,
    id: str,
    scratch: Path,
    settings: Settings,
    *,
    fresh: bool,
    progress: Progress | None,
) -> tuple[FinishedRun, _Written]:
    """A run over the rows of `df`, from scratch to scratch."""
    use_options(settings.storage.options)
    folder = folder_named(os.fspath(scratch), "scratch")
    progress = progress or Silent()
    with explaining():
        written = _laid_down(df, id, folder, fresh=fresh, progress=progress)
    engine = SparkEngine(settings.engine, df.sparkSession)
    out = str(folder / "out")
    _clean([str(folder / "input")], out, settings, progress, fresh=fresh, engine=engine)
    return open_run(out), written


def _laid_down(
    df: DataFrame,
    id: str,
    folder: Location,
    *,
    fresh: bool,
    progress: Progress,
) -> _Written:
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


def _written(df: DataFrame, id: str, folder: Location, known: Mapping[str, Any]) -> _Written:
    files = tuple(str(folder / "input" / name) for name in known["files"])
    return _Written(folder, id, df.schema, files, known["rows"], known["digest"])


_DIGEST = "__unrote_digest"


def _with_digest(df: DataFrame) -> DataFrame:
    """`df` and a hash of each row. Spark hashes no maps, but their JSON."""
    columns = [
        F.to_json(F.struct(_column(f.name)))
        if "map<" in f.dataType.simpleString()
        else _column(f.name)
        for f in df.schema
    ]
    return df.withColumn(_DIGEST, F.xxhash64(*columns))


def _digest_of(df: DataFrame) -> tuple[int, int]:
    """Rows, and the sum of their hashes modulo 2^64."""
    sums = T.StructType([T.StructField(name, T.LongType()) for name in ("rows", "digest")])
    found = _mapped(_with_digest(df).select(_DIGEST), _summing, sums).collect()
    return sum(row.rows for row in found), sum(row.digest for row in found) % (1 << 64)


def _write(df: DataFrame, id: str, folder: Location) -> dict[str, Any]:
    """Write the rows of `df`, sorted; the names of the files, and what they hold."""
    make_folder(folder / "input")
    ordered = _with_digest(df).repartitionByRange(_column(id)).sortWithinPartitions(_column(id))
    reported = T.StructType(
        [
            T.StructField("file", T.StringType()),
            T.StructField("rows", T.LongType()),
            T.StructField("digest", T.LongType()),
        ]
    )
    work = _writing(str(folder / "input"), id, options_in_use())
    found = sorted(_mapped(ordered, work, reported).collect())
    if not found:
        raise InputError("the DataFrame has no row, so there is nothing to clean.")
    digest = sum(row.digest for row in found) % (1 << 64)
    return {
        "files": [row.file for row in found],
        "rows": sum(row.rows for row in found),
        "digest": digest,
        "schema": df.schema.json(),
    }


def _require_columns(df: DataFrame, *names: str) -> None:
    for name in names:
        if name not in df.columns:
            raise UsageError(
                f"the DataFrame has no column {name!r}. It has {', '.join(df.columns)}."
            )


def _column(name: str) -> Any:
    """A column by its name, whatever is in it."""
    return F.col("`" + name.replace("`", "``") + "`")


def _mapped(
    frame: DataFrame, work: Callable[[Batches], Iterator[pa.RecordBatch]], schema: T.StructType
) -> DataFrame:
    names = frame.columns
    if any("." in name for name in names):  # which mapInArrow takes for a path
        frame = frame.toDF(*(f"c{number}" for number in range(len(names))))
        work = _named(work, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which pandas it would rather have; none is used here
        return frame.mapInArrow(work, schema)


def _spark_type(kind: pa.DataType) -> T.DataType:
    """Spark's name for the Arrow types that our tables have."""
    if pa.types.is_list(kind):
        return T.ArrayType(_spark_type(kind.value_type))
    if pa.types.is_struct(kind):
        return T.StructType([T.StructField(f.name, _spark_type(f.type)) for f in kind])
    return _PLAIN[kind]()


_PLAIN: Mapping[pa.DataType, type[T.DataType]] = {
    pa.int64(): T.LongType,
    pa.int32(): T.IntegerType,
    pa.float64(): T.DoubleType,
    pa.string(): T.StringType,
    pa.bool_(): T.BooleanType,
}


# What runs on the executors


def _named(work: Callable[[Batches], Iterator[pa.RecordBatch]], names: list[str]) -> Any:
    """`work` on batches whose columns have these names."""

    def renamed(batches: Batches) -> Iterator[pa.RecordBatch]:
        return work(batch.rename_columns(names) for batch in batches)

    return renamed


def _scrubbing(scrubbing: Scrubbing, text: str, id: str) -> Callable[..., Any]:
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            names = [str(name) for name in batch.column(id).to_pylist()]
            texts, findings, reasons = scrubbing(batch.column(text).to_pylist(), names)
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            columns[text] = texts.cast(batch.column(text).type)
            columns |= {"findings": findings, "rejected": reasons}
            yield pa.RecordBatch.from_pydict(columns)

    return guarded(work)


def _scoring(scoring: Scoring, text: str, id: str) -> Callable[..., Any]:
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            table = scoring(batch.column(text).to_pylist())
            ids = batch.column(id).take(table.column("doc").combine_chunks())
            columns = {id: ids} | {n: table.column(n).combine_chunks() for n in table.schema.names}
            del columns["doc"]
            yield pa.RecordBatch.from_pydict(columns)

    return guarded(work)


def _writing(folder: str, id: str, options: StorageOptions) -> Callable[..., Any]:
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


def _numbered(read: Read) -> Callable[..., Any]:
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from read(number)

    return guarded(work)


def _rows_of(
    urls: Sequence[str], options: StorageOptions, columns: list[str] | None = None
) -> Read:
    """Reads the rows of the file with a number."""

    def read(number: int) -> Iterator[pa.RecordBatch]:
        use_options(options)
        with pq.ParquetFile(source(location(urls[number]))) as file:
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group, columns, use_threads=False).to_batches()

    return read


def _ids_of(files: Sequence[tuple[str, int]], id: str, options: StorageOptions) -> Read:
    """Reads doc and id of the rows of the file with a number."""

    def read(number: int) -> Iterator[pa.RecordBatch]:
        use_options(options)
        url, shard = files[number]
        first = doc_key(shard, 0)
        with pq.ParquetFile(source(location(url))) as file:
            for group in range(file.num_row_groups):
                for batch in file.read_row_group(group, use_threads=False).to_batches():
                    docs = pa.array(range(first, first + batch.num_rows), pa.int64())
                    first += batch.num_rows
                    ids = batch.column(id)
                    yield pa.RecordBatch.from_arrays([docs, ids], ["doc", "id"])

    return read
