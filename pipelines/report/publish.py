"""From tables to the two report files: summarised where the tables are, built and rendered here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unrote.corpus.columns import text_columns
from unrote.corpus.errors import InputError
from unrote.corpus.extras import installed
from unrote.corpus.read import Fields, read_cut
from unrote.corpus.schema import ENTITIES, FINDINGS, REJECTS, SCORES, SPANS, Table, doc_key
from unrote.corpus.shard import Corpus
from unrote.corpus.tables import read_table
from unrote.memorization.identity import Identity
from unrote.pii.mask import Scrubbed, masked
from unrote.pii.opened import scanner_of
from unrote.pipelines.atomic import write_atomically
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.job import Job, reopen_job
from unrote.pipelines.manifest import (
    check_sealed,
    digest_of,
    holds_reports,
    read_manifest,
    reports_of,
    write_manifest,
)
from unrote.pipelines.release import release
from unrote.pipelines.report import html
from unrote.pipelines.report.model import (
    Report,
    Verdict,
    build,
    environment,
    examples,
    from_json,
    to_json,
    wanted,
)
from unrote.pipelines.report.summary import RELEASED, SUMMARIES, summarise
from unrote.pipelines.scoring import removes_sequences, risky_again


def summarised(job: Job) -> Report:
    """The report of what the job has committed so far."""
    flow = Flow()
    summarise(
        flow,
        tuple(shard.name for shard in job.run.corpus.shards),
        spans=bool(job.run.files(SPANS)),
        released=bool(job.run.files(RELEASED)),
        rejects=bool(job.run.files(REJECTS)),
        findings=bool(job.run.files(FINDINGS)),
        scores=bool(job.run.files(SCORES)),
        entities=bool(job.run.files(ENTITIES)),
        above=job.settings.memorization.above,
    )
    job.phase("summary", flow)
    reader = reader_of(job)
    with job.progress.aside("writing the report"):
        tables = {table.name: read_whole(job, table) for table in SUMMARIES}
        manifest = job.run.manifest() | {"environment": environment()}
        shown = Shown(job, wanted(tables), examples(tables))
        return build(
            manifest,
            tables,
            shown.excerpt,
            shown.example,
            *_columns(job),
            reader=reader,
            scrubs=installed("pii"),
        )


def reader_of(job: Job) -> Identity | None:
    """The language model that a job asked: of a finished run as it is written down there, since the
    model may not be here any more. None: it asked none.
    """
    if not job.settings.memorization.enabled:
        return None
    if job.run.finished:
        known = job.run.manifest().get("reader")
        return None if known is None else Identity(**known)
    return job.reader


def finish(job: Job, report: Report) -> None:
    """Write the manifest of a job whose report is written."""
    reader = reader_of(job)
    known = {} if reader is None else {"reader": asdict(reader)}
    reports = reports_of(job.run.out, _plain(report.verdict))
    with job.progress.aside("tidying up"):
        job.run.finish({"environment": report.environment, "reports": reports} | known)


def replace_report(folder: Path, report: Report) -> None:
    """Write another report of a finished run, and then its digests into the manifest.

    If that is cut off the manifest lists other reports than there are, and `verify` says so; the
    same command mends it. Raises InputError for a manifest that is not the run's.
    """
    manifest = read_manifest(str(folder))
    check_sealed(manifest, folder)
    write_report(folder, report)
    reports = reports_of(folder, _plain(report.verdict))
    write_manifest(folder, manifest | {"reports": reports})


def _plain(verdict: Verdict | None) -> object:
    return None if verdict is None else verdict.model_dump(mode="json")


def _columns(job: Job) -> tuple[list[str], list[str]]:
    """Other columns of text that the run did not scan, and those that it was to scan and of which
    no text was seen.
    """
    settings = job.settings
    if not settings.pii.enabled:
        return [], []
    found = text_columns(job.run.corpus)
    named = settings.pii.columns
    unscanned = [name for name in found if name not in {settings.input.text, *named}]
    return unscanned, [name for name in named if name not in found]


def write_report(folder: Path, report: Report) -> None:
    """report.json and report.html."""
    write_atomically(folder / "report.json", to_json(report))
    write_atomically(folder / "report.html", html.render(report).encode())


def read_report(folder: Path) -> Report:
    """The report of a finished run. Raises InputError where it is not the one the run wrote."""
    if not holds_reports(read_manifest(str(folder)), folder):
        raise InputError(
            f"{folder / 'report.json'} or report.html is not what the run wrote. `unrote report "
            f"{folder}` writes both anew from the tables; of a gate, the command that ran it does."
        )
    return _report_in(folder)


def _report_in(folder: Path) -> Report:
    try:
        return from_json((folder / "report.json").read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {folder / 'report.json'}: {error.strerror}.") from None


def rebuild(out: str) -> Path:
    """Summarise the tables of a finished run anew and write its reports; returns report.html.

    A verdict that report.json holds is kept: it speaks of the same tables. Raises InputError where
    it is not the verdict that the run gave.
    """
    with reopen_job(out) as job:
        check_sealed(job.run.manifest(), job.run.out)
        verdict = _given_verdict(job.run.out, job.run.manifest())
        report = _from_tables(job)
        replace_report(job.run.out, report.model_copy(update={"verdict": verdict}))
    return Path(out) / "report.html"


def known_report(out: str) -> Report:
    """The report of a finished run, to be judged; from its tables if the files were changed."""
    folder = Path(out)
    if holds_reports(read_manifest(out), folder):
        return _report_in(folder)
    with reopen_job(out) as job:
        return _from_tables(job)


def _from_tables(job: Job) -> Report:
    """The report of a finished run, by phases that leave nothing."""
    if removes_sequences(job.settings):
        risky_again(job)
    release(job, write=False)
    return summarised(job)


def _given_verdict(folder: Path, manifest: Mapping[str, Any]) -> Verdict | None:
    """The verdict in report.json, if it is the one whose digest the manifest lists."""
    there = (folder / "report.json").exists()
    verdict = _report_in(folder).verdict if there else None
    if digest_of(_plain(verdict)) != manifest.get("reports", {}).get("verdict"):
        raise InputError(
            f"the verdict in {folder / 'report.json'} is not the one that the run gave, so it "
            "cannot be kept. The gate's own command, with -o, gives a verdict again and writes the "
            "report anew."
        )
    return verdict


def read_whole(job: Job, table: Table) -> pa.Table:
    """A small table, all slices."""
    batches = [
        batch
        for file in job.run.files(table)
        for batch in read_table(str(job.run.table_path(table, file.slice)))
    ]
    return pa.Table.from_batches(batches, table.schema)


MARGIN = 300
"""Code points around an excerpt that are scanned with it: what it cuts off may say what it is."""


class Shown:
    """The text that a report shows, read from the input in one pass, and scrubbed.

    Where `output.excerpts` is false, or the detectors that scrub are not installed, there is none.
    """

    def __init__(
        self,
        job: Job,
        places: Sequence[tuple[int, int, int]],
        findings: Sequence[tuple[int, int, int, int, str]],
    ) -> None:
        self._ids: dict[int, str] = {}
        self._texts: dict[tuple[int, int, int], str] = {}
        self._examples: dict[tuple[int, int, int, int, str], str] = {}
        self._settings = job.settings
        self._excerpts: dict[int, list[tuple[int, int, int]]] = {}
        self._findings: dict[int, list[tuple[int, int, int, int, str]]] = {}
        for place in places:
            self._excerpts.setdefault(place[0], []).append(place)
        for finding in findings:
            self._findings.setdefault(finding[0], []).append(finding)
        docs = sorted({*self._excerpts, *self._findings})
        for row in rows_of(job.run.corpus, job.run.fields, docs):
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
            self._examples[finding] = masked(value, type_)

    @property
    def _shows(self) -> bool:
        return self._settings.output.excerpts and installed("pii")

    def _scrubbed(self, text: str, start: int, length: int) -> str:
        """text[start:start + length] without personal data; a little longer where that is so."""
        before, behind = text[max(0, start - MARGIN) : start], text[start + length :][:MARGIN]
        around = before + text[start : start + length] + behind
        pii = self._settings.pii
        scanners = [scanner_of(config) for config in pii.shown_configs]
        clean = Scrubbed(around, scanners, pii.all_actions)
        return clean.between(len(before), len(around) - len(behind))

    def excerpt(self, doc: int, start: int, length: int) -> tuple[str, str]:
        """The document's id, and `length` code points of its text from `start`, scrubbed."""
        return self._ids[doc], self._texts[doc, start, length]

    def example(self, doc: int, field: int, start: int, end: int, type: str) -> str:  # noqa: A002
        """A finding, masked."""
        return self._examples[doc, field, start, end, type]


def rows_of(corpus: Corpus, fields: Fields, docs: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The rows (corpus.schema.RECORDS) of a few documents, ascending."""
    wanted = np.array(docs, dtype=np.int64)
    cuts = [cut for piece in corpus.slices for cut in piece.cuts]
    firsts = [doc_key(cut.shard, cut.row) for cut in cuts] + [np.iinfo(np.int64).max]
    for cut, first, end in zip(cuts, firsts, firsts[1:], strict=False):
        here = wanted[(wanted >= first) & (wanted < end)]
        if here.size:
            for tag, batch in read_cut(corpus, cut, fields, "records", docs=here):
                if tag == "text":
                    yield from batch.to_pylist()
