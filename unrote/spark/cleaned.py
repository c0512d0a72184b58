"""What a run over a DataFrame found and left, as DataFrames."""

from functools import cached_property
from typing import TypeVar

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it
from pyspark.sql import types as T  # noqa: N812

from unrote.corpus.errors import InputError
from unrote.corpus.storage import Options, options_in_use
from unrote.pipelines.engines.sealed import Sealed
from unrote.pipelines.finished import SCHEMAS, FinishedRun
from unrote.pipelines.report.model import Report
from unrote.spark.frames import Read, column_named, ids_of, mapped, numbered, rows_of, spark_type
from unrote.spark.scratch import Written

Files = TypeVar("Files")


class CleanedFrame:
    """What `clean` found and left, as DataFrames that read from scratch.

    run: the finished run, as `unrote.open_run` gives it.
    """

    def __init__(self, run: FinishedRun, session: SparkSession, written: Written) -> None:
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
        return self._frame(rows_of(self._sealed(urls)), len(urls), self._written.schema)

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
            T.StructField(f.name, spark_type(f.type)) for f in SCHEMAS[name] if f.name != "id"
        ]
        read = rows_of(self._sealed(urls), [column.name for column in columns])
        frame = self._frame(read, len(urls), T.StructType(columns))
        named = {"doc": "id", "twin": "twin", "witness": "witness"}
        for column in columns:
            if column.name in named:
                frame = self._with_id(frame, column.name, named[column.name])
        return frame.select(
            "id", *(column_named(column.name) for column in columns if column.name != "doc")
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
        return self._frame(ids_of(self._sealed(files), written.id), len(files), schema)

    def _sealed(self, files: Files) -> Sealed[tuple[Files, Options]]:
        """What there is to read, and how it is reached."""
        return Sealed(self._session.sparkContext, (files, options_in_use()))

    def _frame(self, read: Read, count: int, schema: T.StructType) -> DataFrame:
        """What `read` gives for 0 … count - 1, a task for each."""
        numbers = self._session.range(0, count, 1, max(1, count))
        return mapped(numbers, numbered(read), schema)

    def __repr__(self) -> str:
        return f"<cleaned DataFrame in {str(self.run.out)!r}>"
