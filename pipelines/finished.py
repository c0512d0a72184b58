"""A finished run, read: its manifest, settings, input, tables and report."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unrote.corpus import schema
from unrote.corpus.errors import InputError, StorageError
from unrote.corpus.shard import Corpus
from unrote.pipelines.config import Settings
from unrote.pipelines.manifest import read_manifest
from unrote.pipelines.publish import read_report
from unrote.pipelines.report.model import Report

PUBLISHED = {
    table.name: table
    for table in vars(schema).values()
    if isinstance(table, schema.Table) and not table.internal
}
"""The tables that a run may publish, by name."""


class FinishedRun:
    """What a run left in its folder. Open with `open_run`."""

    def __init__(self, out: Path, manifest: Mapping[str, Any]) -> None:
        self.out = out
        self.manifest = manifest

    @cached_property
    def settings(self) -> Settings:
        """The settings of the run."""
        return Settings.model_validate(self.manifest["settings"])

    @cached_property
    def corpus(self) -> Corpus:
        """The input: shards and slices."""
        return Corpus.from_json(self.manifest["input"])

    @cached_property
    def report(self) -> Report:
        """What report.json says. Raises InputError where it is missing."""
        return read_report(self.out)

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the run published, those without a row too."""
        written = {name for phase in self.manifest["phases"] for name in phase["rows"]}
        return tuple(sorted(written & set(PUBLISHED)))

    def table(self, name: str) -> pa.Table:
        """A published table, all of it (unrote.corpus.schema lists the columns).

        Raises InputError for a table that the run has not, StorageError where its files are
        damaged or missing.
        """
        if name not in self.tables:
            raise InputError(f"{self.out} has no table {name!r}. It has {', '.join(self.tables)}.")
        files = self.manifest["tables"].get(name, [])
        paths = [self.out / "tables" / name / f"{file['slice']:05d}.parquet" for file in files]
        empty = PUBLISHED[name].schema.empty_table()
        try:
            return pa.concat_tables([empty, *(pq.read_table(path) for path in paths)])
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"the table {name!r} of {self.out} cannot be read ({type(error).__name__}). "
                "`unrote verify` says what is damaged; run the job again with --fresh."
            ) from error

    def __repr__(self) -> str:
        return f"<finished {self.manifest['job']} in {str(self.out)!r}>"


def open_run(out: str | os.PathLike[str]) -> FinishedRun:
    """The finished run in the folder `out`. Raises InputError where there is none."""
    return FinishedRun(Path(out), read_manifest(os.fspath(out)))
