"""From tables to the report files: summarised where the tables are, built and rendered here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.columns import text_columns
from unrote.corpus.errors import InputError
from unrote.corpus.extras import installed
from unrote.corpus.schema import (
    DOCUMENTS,
    DUPLICATES,
    ENTITIES,
    EVALUATION_ITEMS,
    FINDINGS,
    INDEX_TWINS,
    LANGUAGES,
    REJECTS,
    SCORES,
    SCRIPTS,
    SPANS,
    UNCUT,
    Table,
)
from unrote.corpus.tables import read_table, tuples_of
from unrote.memorization.reference_model import ReferenceModel
from unrote.pii.ner import LoadedModel
from unrote.pipelines.commits import digest_of
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.finished import open_run, report_in
from unrote.pipelines.job import Job, reopen_job
from unrote.pipelines.manifest import (
    read_manifest,
    reports_of,
    write_manifest,
)
from unrote.pipelines.records import records_of
from unrote.pipelines.release import release
from unrote.pipelines.report import html
from unrote.pipelines.report.memorization import risk_sources
from unrote.pipelines.report.model import (
    Amount,
    Report,
    Verdict,
    build,
    environment,
    example_positions,
    excerpt_positions,
    found_sources,
    shard_balances,
    to_json,
    told,
)
from unrote.pipelines.report.openmetrics import as_openmetrics
from unrote.pipelines.storage import Location, location, write_atomically
from unrote.pipelines.summary.clusters import CLUSTERS
from unrote.pipelines.summary.findings import SHARD_FINDINGS, summarise_shard_findings
from unrote.pipelines.summary.languages import SHARD_LANGUAGES, summarise_languages
from unrote.pipelines.summary.phase import SUMMARIES, summarise
from unrote.pipelines.summary.scores import SHARD_RISKS, summarise_shard_risks
from unrote.pipelines.summary.totals import RELEASED, SHARD_TOTALS, SOURCES, summarise_shards


def summarised(job: Job) -> Report:
    """The report of what the job has committed so far."""
    flow = Flow()
    summarise(
        flow,
        tuple(shard.name for shard in job.run.corpus.shards),
        spans=bool(job.run.files(SPANS)),
        uncut=bool(job.run.files(UNCUT)),
        released=bool(job.run.files(RELEASED)),
        rejects=bool(job.run.files(REJECTS)),
        findings=bool(job.run.files(FINDINGS)),
        scores=bool(job.run.files(SCORES)),
        entities=bool(job.run.files(ENTITIES)),
        evaluated=bool(job.run.files(EVALUATION_ITEMS)),
        languages=bool(job.run.files(LANGUAGES)),
        threshold=job.settings.memorization.threshold,
        target=job.settings.memorization.scored_target,
    )
    job.phase("summary", flow)
    model = reference_model_of(job)
    with job.progress.aside("writing the report"):
        tables = {table.name: _rows(job, table) for table in SUMMARIES}
        manifest = job.run.manifest() | {"environment": environment()} | _of_index(job)
        clusters = tuples_of(tables[CLUSTERS.name], "twin", "near")
        copies = _near_copies(job, [twin for twin, near in clusters if near])
        excerpts = Excerpts(job, excerpt_positions(tables, copies), example_positions(tables))
        return build(
            manifest,
            tables,
            excerpts.excerpt,
            excerpts.example,
            *_columns(job),
            near_copies=copies,
            reference_model=model,
            ner_model=ner_model_of(job),
            scrubs=installed("pii"),
        )


def _near_copies(job: Job, kept: Sequence[int]) -> dict[int, int]:
    """The first near copy that was removed of each of these documents which has one."""
    found: dict[int, int] = {}
    for file in job.run.files(DUPLICATES):
        if len(found) == len(kept):
            break  # rows come in the order of the input
        for batch in read_table(str(job.run.table_path(DUPLICATES, file.slice))):
            own = pc.is_in(batch["twin"], pa.array(kept, pa.int64()))
            near = batch.filter(pc.and_(own, pc.equal(batch["reason"], "near")))
            for doc, twin in tuples_of(near, "doc", "twin"):
                found.setdefault(twin, doc)
    return found


def _of_index(job: Job) -> dict[str, Any]:
    """What the manifest says of the index, and how many documents were removed as copies of it."""
    known = job.run.manifest().get("index")
    if known is None:
        return {}
    copies = pc.sum(_rows(job, INDEX_TWINS)["copies"]).as_py() or 0
    return {"index": known | {"copies": copies}}


def with_shards(job: Job, report: Report) -> Report:
    """The report with a balance for each shard, as far as they can be known one by one."""
    tables: tuple[Table, ...] = (DOCUMENTS, DUPLICATES)
    tables += tuple(t for t in (REJECTS, SPANS, UNCUT, RELEASED) if job.run.files(t))
    flow = Flow()
    summarise_shards(flow, tables)
    if job.run.files(FINDINGS):
        summarise_shard_findings(flow)
    if job.run.files(SCORES):
        rejects, threshold = bool(job.run.files(REJECTS)), job.settings.memorization.threshold
        summarise_shard_risks(flow, threshold, rejects=rejects)
    if job.run.files(LANGUAGES):
        summarise_languages(flow, by_shard=True)
    job.phase("shards", flow)
    rows = [row for row in _rows(job, SHARD_TOTALS).to_pylist() if row["source"] is not None]
    known = {balance.source: balance for balance in shard_balances(rows, report.settings)}
    empty = report.total.model_copy(
        update={
            name: 0 if isinstance(value, int) else _NOTHING
            for name, value in report.total
            if name != "source"
        }
    )
    names = [shard.name for shard in job.run.corpus.shards]
    if len(rows) < SOURCES:  # else those without a document cannot be told from the others
        known = {
            name: known.get(name, empty.model_copy(update={"source": name, "sources": 1}))
            for name in names
        }
    return report.model_copy(update={"by_shard": tuple(known.values())} | _by_shard(job, report))


def _by_shard(job: Job, report: Report) -> dict[str, Any]:
    """What a report has of findings, risk and languages, with what each shard has of them."""
    found: dict[str, Any] = {}
    if report.findings is not None:
        own = found_sources(_rows(job, SHARD_FINDINGS).to_pylist())
        found["findings"] = report.findings.model_copy(update={"by_shard": own})
    if report.memorization is not None:
        risks = risk_sources(_rows(job, SHARD_RISKS).to_pylist())
        found["memorization"] = report.memorization.model_copy(update={"by_shard": risks})
    if report.languages is not None:
        rows = _rows(job, SHARD_LANGUAGES).to_pylist()
        shards = {
            "languages_by_shard": told(rows, LANGUAGES),
            "scripts_by_shard": told(rows, SCRIPTS),
        }
        found["languages"] = report.languages.model_copy(update=shards)
    return found


_NOTHING = Amount(documents=0, bytes=0, share=0.0)


def reference_model_of(job: Job) -> ReferenceModel | None:
    """The reference model of a job: of a finished run as its manifest says, since the model may not
    be here any more. None: it has none.
    """
    if not job.settings.memorization.enabled:
        return None
    if job.run.finished:
        known = job.run.manifest().get("reference_model")
        return None if known is None else ReferenceModel(**known)
    return job.reference_model


def ner_model_of(job: Job) -> LoadedModel | None:
    """The same of the model for entities."""
    if not job.settings.finds_entities:
        return None
    if job.run.finished:
        known = job.run.manifest().get("ner_model")
        return None if known is None else LoadedModel(**known)
    return job.ner_model


def finish(job: Job, report: Report) -> None:
    """Write the manifest of a job whose report is written."""
    model, names = reference_model_of(job), ner_model_of(job)
    known = {} if model is None else {"reference_model": asdict(model)}
    known |= {} if names is None else {"ner_model": asdict(names)}
    reports = reports_of(job.run.out, _plain(report.verdict))
    with job.progress.aside("tidying up"):
        job.run.finish({"environment": report.environment, "reports": reports} | known)


def replace_report(folder: Location, report: Report) -> None:
    """Write another report of a finished run, and then its digests into the manifest.

    If that is cut off the manifest lists other reports than there are, and `verify` says so; the
    same command mends it. Raises InputError for a manifest that is not the run's.
    """
    manifest = read_manifest(str(folder))
    write_report(folder, report)
    reports = reports_of(folder, _plain(report.verdict))
    write_manifest(folder, manifest | {"reports": reports})


def _plain(verdict: Verdict | None) -> object:
    return None if verdict is None else verdict.model_dump(mode="json")


def _columns(job: Job) -> tuple[list[str], list[str]]:
    """Other paths to strings, which the run did not scan, and those that it was to read and at
    which no text was seen.
    """
    settings = job.settings
    text, *columns = settings.fields.selections
    read = {str(path) for one in (text, *columns) for path in one.paths}
    optional = [*(text.paths if text.is_several else ()), *(one.paths[0] for one in columns)]
    if not (settings.pii.enabled or optional):
        return [], []
    found = text_columns(job.run.corpus)
    unscanned = [name for name in found if name not in read] if settings.pii.enabled else []
    return unscanned, [str(path) for path in optional if str(path) not in found]


def write_report(folder: Location, report: Report) -> None:
    """The files of REPORTS."""
    write_atomically(folder / "report.json", to_json(report))
    write_atomically(folder / "report.html", html.render(report).encode())
    write_atomically(folder / "metrics.prom", as_openmetrics(report).encode())


def rebuild(out: str) -> Location:
    """Summarise the tables of a finished run anew and write its reports; returns report.html.

    A verdict that report.json holds is kept: it speaks of the same tables. Raises InputError where
    it is not the verdict that the run gave.
    """
    with reopen_job(out) as job:
        verdict = _given_verdict(job.run.out, job.run.manifest())
        report = from_tables(job)
        replace_report(job.run.out, report.model_copy(update={"verdict": verdict}))
    return location(out) / "report.html"


def known_report(out: str) -> Report:
    """The report of a finished run, to be evaluated; from its tables if the files were changed."""
    run = open_run(out)
    if run.has_reports:
        return run.report
    with reopen_job(out) as job:
        return from_tables(job)


def from_tables(job: Job) -> Report:
    """The report of a finished run, by phases that leave nothing."""
    if job.settings.removes_sequences:
        from unrote.pipelines.scoring import at_risk_again  # noqa: PLC0415 - few jobs have it

        at_risk_again(job)
    if job.settings.contamination.cuts:
        from unrote.pipelines.contamination import contaminated_again  # noqa: PLC0415

        contaminated_again(job)
    release(job, write=False)
    return summarised(job)


def _given_verdict(folder: Location, manifest: Mapping[str, Any]) -> Verdict | None:
    """The verdict in report.json, if it is the one whose digest the manifest lists."""
    there = (folder / "report.json").exists()
    verdict = report_in(folder).verdict if there else None
    if digest_of(_plain(verdict)) != manifest.get("reports", {}).get("verdict"):
        raise InputError(
            f"the verdict in {folder / 'report.json'} is not the one that the run gave, so it "
            "cannot be kept. The gate's own command, with -o, gives a verdict again and writes the "
            "report anew."
        )
    return verdict


def _rows(job: Job, table: Table) -> pa.Table:
    """A small table, all slices."""
    batches = [
        batch
        for file in job.run.files(table)
        for batch in read_table(str(job.run.table_path(table, file.slice)))
    ]
    return pa.Table.from_batches(batches, table.schema)


CONTEXT = 300
"""Code points around an excerpt that are scanned with it: what it cuts off may say what it is."""


class Excerpts:
    """The text that a report shows, read from the input in one pass, and scrubbed.

    Where `output.excerpts` is false, or the detectors that scrub are not installed, there is none.
    """

    def __init__(
        self,
        job: Job,
        positions: Sequence[tuple[int, int, int]],
        findings: Sequence[tuple[int, int, int, int, str]],
    ) -> None:
        self._ids: dict[int, str] = {}
        self._texts: dict[tuple[int, int, int], str] = {}
        self._examples: dict[tuple[int, int, int, int, str], str] = {}
        self._settings = job.settings
        self._excerpts: dict[int, list[tuple[int, int, int]]] = {}
        self._findings: dict[int, list[tuple[int, int, int, int, str]]] = {}
        for position in positions:
            self._excerpts.setdefault(position[0], []).append(position)
        for finding in findings:
            self._findings.setdefault(finding[0], []).append(finding)
        docs = sorted({*self._excerpts, *self._findings})
        for row in records_of(job.run.corpus, job.run.fields, docs):
            self._read(row)

    def _read(self, row: Mapping[str, Any]) -> None:
        doc = row["doc"]
        self._ids[doc] = row["id"]
        for _, start, length in self._excerpts.get(doc, ()):
            shown = self._scrubbed(row["text"], start, length) if self._shows else ""
            self._texts[doc, start, length] = shown
        for finding in self._findings.get(doc, ()):
            _, field, start, end, type_ = finding
            value = (row["text"], *row["columns"])[field][start:end]
            from unrote.pii.mask import masked  # noqa: PLC0415 - a job without findings has none

            self._examples[finding] = masked(value, type_)

    @property
    def _shows(self) -> bool:
        return self._settings.output.excerpts and installed("pii")

    def _scrubbed(self, text: str, start: int, length: int) -> str:
        """text[start:start + length] without personal data; a little longer where that is so."""
        # A job without excerpts needs none of what finds personal data.
        from unrote.pii.mask import MaskedText  # noqa: PLC0415
        from unrote.pii.scanner_cache import scanner_of  # noqa: PLC0415

        before, behind = text[max(0, start - CONTEXT) : start], text[start + length :][:CONTEXT]
        around = before + text[start : start + length] + behind
        scanners = [scanner_of(config) for config in self._settings.shown_configs]
        clean = MaskedText(around, scanners, self._settings.pii.all_actions)
        return clean.excerpt(len(before), len(around) - len(behind))

    def excerpt(self, doc: int, start: int, length: int) -> tuple[str, str]:
        """The document's id, and `length` code points of its text from `start`, scrubbed."""
        return self._ids[doc], self._texts[doc, start, length]

    def example(self, doc: int, field: int, start: int, end: int, type: str) -> str:  # noqa: A002
        """A finding, masked."""
        return self._examples[doc, field, start, end, type]
