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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from unrote.corpus.errors import UsageError
from unrote.corpus.paths import FieldPath
from unrote.corpus.storage import use_options
from unrote.memorization.config import Config as ScoreConfig
from unrote.memorization.config import Models
from unrote.pii.config import Action, Config
from unrote.pii.keys import Key
from unrote.pipelines.api import Options, Path, deduplication_alone, settings_from
from unrote.pipelines.batches import FINDING, Scoring, Scrubbing
from unrote.pipelines.clean import clean as _clean
from unrote.pipelines.config import Settings, SparkSettings
from unrote.pipelines.engines.failures import guarded
from unrote.pipelines.engines.spark import SparkEngine
from unrote.pipelines.engines.spark_session import explaining, require_classic, require_pyspark
from unrote.pipelines.finished import FinishedRun, open_run
from unrote.pipelines.locations import folder_named
from unrote.pipelines.progress import Progress, Silent

require_pyspark()
from pyspark.sql import DataFrame  # noqa: E402 - known to be there from here on
from pyspark.sql import types as T  # noqa: E402, N812 - as everybody calls it

from unrote.spark.cleaned import CleanedFrame  # noqa: E402
from unrote.spark.frames import (  # noqa: E402
    Batches,
    Held,
    column_named,
    held,
    mapped,
    require_columns,
    spark_type,
)
from unrote.spark.scratch import Written, laid_down  # noqa: E402

__all__ = ["CleanedFrame", "clean", "near_duplicates", "score", "scrub"]


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
) -> CleanedFrame:
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
    alone = deduplication_alone(given, exact=False, near=True, passages=False)
    given = _settings(df, text, id, alone)
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
    require_columns(df, text, id)
    for name in ("findings", "rejected"):
        if name in df.columns:
            raise UsageError(f"the DataFrame has a column {name!r} already. Rename it first.")
    if not isinstance(df.schema[text].dataType, T.StringType):
        raise UsageError(f"the column {text!r} is no string column. Cast it first.")
    schema = T.StructType(
        [T.StructField(f.name, f.dataType, f.nullable or f.name == text) for f in df.schema]
        + [
            T.StructField("findings", T.ArrayType(spark_type(FINDING))),
            T.StructField("rejected", T.StringType()),
        ]
    )
    return mapped(df, _scrubbing(held(df, Scrubbing.of(key, config, actions)), text, id), schema)


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

    require_columns(df, text, id)
    scoring = Scoring(Models(model, comparison, device, precision, config or ScoreConfig()))
    measures = [T.StructField(f.name, spark_type(f.type)) for f in SCORES if f.name != "doc"]
    schema = T.StructType([T.StructField(id, df.schema[id].dataType), *measures])
    chosen = df.select(column_named(id), column_named(text))
    return mapped(chosen, _scoring(held(df, scoring), text, id), schema)


def _settings(
    df: DataFrame,
    text: str | Sequence[str],
    id: str,
    given: Settings,
) -> Settings:
    """The settings of a run over `df`. Raises UsageError for what cannot be."""
    require_classic(df.sparkSession)
    require_columns(df, id)
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
) -> tuple[FinishedRun, Written]:
    """A run over the rows of `df`, from scratch to scratch."""
    use_options(settings.storage.options)
    folder = folder_named(os.fspath(scratch), "scratch")
    progress = progress or Silent()
    with explaining():
        written = laid_down(df, id, folder, fresh=fresh, progress=progress)
    engine = SparkEngine(settings.engine, df.sparkSession)
    out = str(folder / "out")
    _clean([str(folder / "input")], out, settings, progress, fresh=fresh, engine=engine)
    return open_run(out), written


# What runs on the executors


def _scrubbing(given: Held[Scrubbing], text: str, id: str) -> Callable[..., Any]:
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        scrubbing = given.opened()
        for batch in batches:
            names = [str(name) for name in batch.column(id).to_pylist()]
            texts, findings, reasons = scrubbing(batch.column(text).to_pylist(), names)
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            columns[text] = texts.cast(batch.column(text).type)
            columns |= {"findings": findings, "rejected": reasons}
            yield pa.RecordBatch.from_pydict(columns)

    return guarded(work)


def _scoring(given: Held[Scoring], text: str, id: str) -> Callable[..., Any]:
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        scoring = given.opened()
        for batch in batches:
            table = scoring(batch.column(text).to_pylist())
            ids = batch.column(id).take(table.column("doc").combine_chunks())
            columns = {id: ids} | {n: table.column(n).combine_chunks() for n in table.schema.names}
            del columns["doc"]
            yield pa.RecordBatch.from_pydict(columns)

    return guarded(work)
