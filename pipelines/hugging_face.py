"""Data sets of the package `datasets`, cleaned: written as Parquet, run, and read back."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unrote.corpus.errors import InputError, UsageError
from unrote.corpus.storage import is_remote
from unrote.pipelines.finished import FinishedRun
from unrote.pipelines.storage import temporary_folder

ROWS = 10_000
"""Rows that are written at a time."""

SHARD_ROWS = 1_000_000


def is_dataset(given: object) -> bool:
    """Whether this is a Dataset or IterableDataset, without importing the package."""
    return any(
        one.__module__.partition(".")[0] == "datasets"
        and one.__name__ in {"Dataset", "IterableDataset"}
        for one in type(given).__mro__
    )


def refuse_splits(given: object) -> None:
    """Raise UsageError for a dictionary of data sets."""
    if type(given).__name__ in {"DatasetDict", "IterableDatasetDict"}:
        raise UsageError(
            "this is a dictionary of data sets. Clean one split, or what "
            "datasets.concatenate_datasets makes of several: copies go across splits."
        )


def cleaned(dataset: Any, out: str | None, run: Callable[[str, str], FinishedRun]) -> Any:
    """What `run(input, out)` releases of a data set, as a data set of the same features.

    out: where result, tables and report stay; None: nowhere, and the data set is in memory. One
    that streams is written row by row, and streams out of `out`, which it needs.
    """
    streams = not hasattr(dataset, "num_rows")
    if streams and out is None:
        raise UsageError(
            "a data set that streams is released to a folder, from where it streams again. Name "
            "it: unrote.clean(dataset, 'cleaned/')."
        )
    if out is not None and is_remote(out):
        raise UsageError(
            f"{out} lies in a store, and a data set is written to a disk first. Name a folder, or "
            "write it to the store yourself and clean that."
        )
    with contextlib.ExitStack() as stack:
        if out is None:
            folder = stack.enter_context(temporary_folder("clean"))
            source, out = folder / "input", str(folder / "out")
        else:
            source = Path(f"{out.rstrip('/')}-input")
        _write(dataset, source)
        done = run(str(source), out)
        files = sorted(Path(done.out, "data").rglob("*.parquet"))
        return _streamed(files, dataset) if streams else _loaded(files, dataset)


def _write(dataset: Any, folder: Path) -> None:
    """The rows as Parquet, SHARD_ROWS in a file. The same rows give the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.parquet"):
        old.unlink()
    number, rows, writer = 0, 0, None
    schema = dataset.features.arrow_schema if dataset.features is not None else None
    try:
        for table in _tables(dataset, schema):
            if writer is None or rows >= SHARD_ROWS:
                if writer is not None:
                    writer.close()
                path = folder / f"{number:05d}.parquet"
                writer = pq.ParquetWriter(path, table.schema)
                number, rows = number + 1, 0
            writer.write_table(table)
            rows += len(table)
    finally:
        if writer is not None:
            writer.close()
    if not number:
        raise InputError("the data set has no row, so there is nothing to clean.")


def _tables(dataset: Any, schema: pa.Schema | None) -> Iterator[pa.Table]:
    for batch in dataset.with_format("arrow").iter(batch_size=ROWS):
        yield batch.cast(schema) if schema is not None else batch


def _loaded(files: list[Path], dataset: Any) -> Any:
    from datasets import Dataset  # noqa: PLC0415
    from datasets.table import InMemoryTable  # noqa: PLC0415

    read = pa.concat_tables([pq.read_table(os.fspath(file)) for file in files])
    return Dataset(InMemoryTable(read.replace_schema_metadata(None)), info=dataset.info.copy())


def _streamed(files: list[Path], dataset: Any) -> Any:
    from datasets import load_dataset  # noqa: PLC0415

    paths = [os.fspath(file) for file in files]
    return load_dataset(
        "parquet", data_files=paths, split="train", streaming=True, features=dataset.features
    )
