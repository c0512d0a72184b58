"""A finished run, read: its manifest, settings, input, tables and report.

The one reader for `show`, reports, proxy runs and notebooks.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unrote.corpus import display
from unrote.corpus.errors import ConfigError, InputError, StorageError
from unrote.corpus.paths import with_line_breaks
from unrote.corpus.pinning import check_sizes
from unrote.corpus.schema import PUBLISHED, shard_of
from unrote.corpus.shard import Corpus
from unrote.corpus.storage import Options, options_in_use, options_used
from unrote.pipelines.commits import TableFile, refuse_changed
from unrote.pipelines.config import Settings
from unrote.pipelines.manifest import holds_reports, read_manifest
from unrote.pipelines.records import records_of
from unrote.pipelines.report.formatting import count, measured, share, size
from unrote.pipelines.report.model import Report, from_json
from unrote.pipelines.storage import Location, location, source

SCHEMAS = {table.name: table.schema for table in PUBLISHED}
"""Of the tables that a run may publish, by name."""


class FinishedRun:
    """What a run left in its folder. Open with `open_run`."""

    def __init__(self, out: Location, manifest: Mapping[str, Any]) -> None:
        self.out = out
        self.manifest = manifest
        self._options = options_in_use()

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
        """What report.json says. Raises InputError where it is not the one that the run wrote."""
        if not self.has_reports:
            raise InputError(
                f"{self.out / 'report.json'} or report.html is not what the run wrote. `unrote "
                f"report {self.out}` writes both anew from the tables; of a gate, the command that "
                "ran it does."
            )
        with options_used(self._options):
            return report_in(self.out)

    @property
    def has_reports(self) -> bool:
        """Whether the reports are there, as the run wrote them."""
        with options_used(self._options):
            return holds_reports(self.manifest, self.out)

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the run published, those without a row too."""
        written = {name for phase in self.manifest["phases"] for name in phase["rows"]}
        return tuple(sorted(written & set(SCHEMAS)))

    def table(
        self, name: str, condition: pc.Expression | None = None, *, doc: int | None = None
    ) -> pa.Table:
        """A published table (unrote.corpus.schema lists the columns).

        condition: the rows that are wanted, None is all. doc: a document, if only its rows are;
        then only the files that may have them are read.
        Raises InputError for a table that the run has not, StorageError where its files are
        damaged or missing.
        """
        if name not in self.tables:
            raise InputError(f"{self.out} has no table {name!r}. It has {', '.join(self.tables)}.")
        found = [SCHEMAS[name].empty_table()]
        if doc is not None:
            own = pc.field("doc") == doc
            condition = own if condition is None else condition & own
        with options_used(self._options):
            for file in self.manifest["tables"].get(name, ()):
                if doc is not None and file["slice"] != self._slice_of(doc):
                    continue
                path = self.out / "tables" / name / f"{file['slice']:05d}.parquet"
                refuse_changed(path, TableFile(**file))
                try:
                    found.append(pq.read_table(source(path), filters=condition))
                except (OSError, pa.ArrowException) as error:
                    raise StorageError(
                        f"cannot read {path} ({type(error).__name__}). `unrote verify` says what "
                        "is damaged; run the job again with --fresh."
                    ) from error
        return pa.concat_tables(found)

    def records(self, docs: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The rows of the input that some documents are, by document (corpus.schema.RECORDS); a
        text of several values has a line break between two.

        Raises InputChanged where the input is not the one that was read.
        """
        wanted = sorted(set(docs))
        shards = tuple(self.corpus.shards[n] for n in sorted({shard_of(doc) for doc in wanted}))
        fields = replace(self.settings.fields, columns=tuple(self.settings.pii.columns))
        several = self.settings.has_several
        with options_used(self._options):
            check_sizes(replace(self.corpus, shards=shards))
            return {
                row["doc"]: row | {"text": with_line_breaks(row["text"], several=several)}
                for row in records_of(self.corpus, fields, wanted)
            }

    def pandas(self, name: str) -> Any:
        """A published table as a pandas.DataFrame. Raises as `table`, or ConfigError without it."""
        return _frame_of(name, self.table(name), "pandas")

    def polars(self, name: str) -> Any:
        """A published table as a polars.DataFrame. Raises as `table`, or ConfigError without it."""
        return _frame_of(name, self.table(name), "polars")

    def duckdb(self, name: str) -> Any:
        """A published table as a relation of DuckDB, for queries:
        run.duckdb("findings").aggregate("type, count(*)"). Raises as `table`; ConfigError without
        duckdb.
        """
        return _frame_of(name, self.table(name), "duckdb")

    def _repr_html_(self) -> str:
        """What a notebook shows: what happened, by reason, the tables, and where the report is."""
        report = self.report
        total = report.total
        amounts = {
            **total.parts, "rejected": total.rejected, "at risk": total.at_risk,
            "contaminated": total.contaminated, "kept": total.kept,
        }  # fmt: skip
        rows = [
            (name, count(part.documents), size(part.bytes), share(part.share))
            for name, part in amounts.items()
            if part.documents or name == "kept"
        ]
        if report.verdict is not None:
            rows += [
                (rule.measure, "passed" if rule.passed else "refused",
                 measured(rule.measured, rule.unit), measured(rule.limit, rule.unit))
                for rule in report.verdict.rules
            ]  # fmt: skip
        lines = "".join(
            "<tr>" + "".join(f"<td>{escape(display.name(cell))}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        tables = ", ".join(self.tables)
        return (
            f"<div><p><strong>unrote {escape(report.job)}</strong>: "
            f"{escape(display.line(report.headline))}</p><table>{lines}</table>"
            f"<p>Tables: {escape(tables)}. Report: "
            f"<code>{escape(display.line(str(self.out / 'report.html')))}</code></p></div>"
        )

    def _slice_of(self, doc: int) -> int:
        return int(self.corpus.slice_of(np.array([doc]))[0])

    def __repr__(self) -> str:
        return f"<finished {self.manifest['job']} in {str(self.out)!r}>"


def open_run(out: str | os.PathLike[str], *, storage_options: Options | None = None) -> FinishedRun:
    """The finished run in the folder `out`. Raises InputError where there is none.

    storage_options: how stores are reached, as storage.options, for this run; None: as before.
    """
    with options_used(storage_options):
        return FinishedRun(location(out), read_manifest(os.fspath(out)))


def report_in(folder: Location) -> Report:
    """What report.json says, whoever wrote it. Raises InputError where it is missing."""
    try:
        return from_json((folder / "report.json").read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {folder / 'report.json'}: {error.strerror}.") from None


def _frame_of(name: str, table: pa.Table, kind: str) -> Any:
    """A table as pandas, polars or duckdb have it. Raises ConfigError where that is not there."""
    try:
        if kind == "pandas":
            return table.to_pandas()
        if kind == "polars":
            import polars  # noqa: PLC0415

            return polars.from_arrow(table)
        import duckdb  # noqa: PLC0415

        return duckdb.from_arrow(table)
    except ImportError:
        raise ConfigError(
            f"the table {name} as {kind} needs {kind}, which this installation lacks: pip install "
            f"{kind}. table() gives it as Arrow."
        ) from None
