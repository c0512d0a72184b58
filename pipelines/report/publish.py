"""From tables to the two report files: summarised where the tables are, built and rendered here."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.errors import InputError
from corpus.read import Fields, read_cut
from corpus.schema import REJECTS, SPANS, Table, doc_key
from corpus.shards import Corpus
from corpus.tables import read_table
from pipelines.engines.base import Flow
from pipelines.job import Job, reopen_job
from pipelines.release import release
from pipelines.report import html
from pipelines.report.model import Report, build, environment, from_json, to_json, wanted
from pipelines.report.summary import RELEASED, SUMMARIES, summarise
from pipelines.run import write_atomically


def summarised(job: Job) -> Report:
    """The report of what the job has committed so far."""
    flow = Flow()
    summarise(
        flow,
        tuple(shard.name for shard in job.run.corpus.shards),
        spans=bool(job.run.files(SPANS)),
        released=bool(job.run.files(RELEASED)),
        rejects=bool(job.run.files(REJECTS)),
    )
    job.phase("summary", flow)
    tables = {table.name: read_whole(job, table) for table in SUMMARIES}
    manifest = job.run.manifest() | {"environment": environment()}
    return build(manifest, tables, Excerpts(job.run.corpus, job.run.fields, wanted(tables)))


def write_report(folder: Path, report: Report) -> None:
    """report.json and report.html."""
    write_atomically(folder / "report.json", to_json(report))
    write_atomically(folder / "report.html", html.render(report).encode())


def read_report(folder: Path) -> Report:
    """The report of a finished run. Raises InputError where there is none."""
    try:
        return from_json((folder / "report.json").read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {folder / 'report.json'}: {error.strerror}.") from None


def rebuild(out: str) -> Path:
    """Summarise the tables of a finished run anew and write its reports; returns report.html.

    A verdict that report.json holds is kept: it speaks of the same tables.
    """
    with reopen_job(out) as job:
        release(job, write=False)
        report = summarised(job)
        verdict = (
            read_report(job.run.out).verdict if (job.run.out / "report.json").exists() else None
        )
        write_report(job.run.out, report.model_copy(update={"verdict": verdict}))
    return Path(out) / "report.html"


def read_whole(job: Job, table: Table) -> pa.Table:
    """A small table, all slices."""
    batches = [
        batch
        for file in job.run.files(table)
        for batch in read_table(str(job.run.table_path(table, file.slice)))
    ]
    return pa.Table.from_batches(batches, table.schema)


class Excerpts:
    """Ids and text of the few documents that a report shows, read from the input in one pass."""

    def __init__(
        self, corpus: Corpus, fields: Fields, places: Sequence[tuple[int, int, int]]
    ) -> None:
        self._ids: dict[int, str] = {}
        self._texts: dict[tuple[int, int, int], str] = {}
        by_doc: dict[int, list[tuple[int, int, int]]] = {}
        for place in places:
            by_doc.setdefault(place[0], []).append(place)
        for row in rows_of(corpus, fields, sorted(by_doc)):
            self._ids[row["doc"]] = row["id"]
            for doc, start, length in by_doc[row["doc"]]:
                self._texts[doc, start, length] = row["text"][start : start + length]

    def __call__(self, doc: int, start: int, length: int) -> tuple[str, str]:
        """The document's id, and `length` code points of its text from `start`."""
        return self._ids[doc], self._texts[doc, start, length]


def rows_of(corpus: Corpus, fields: Fields, docs: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The rows (corpus.schema.RECORDS) of a few documents, ascending."""
    wanted = np.array(docs, dtype=np.int64)
    cuts = [cut for piece in corpus.slices for cut in piece.cuts]
    firsts = [doc_key(cut.shard, cut.row) for cut in cuts] + [np.iinfo(np.int64).max]
    for cut, first, end in zip(cuts, firsts, firsts[1:], strict=False):
        here = wanted[(wanted >= first) & (wanted < end)]
        if here.size:
            for tag, batch in read_cut(corpus, cut, fields, "records", wanted=here):
                if tag == "text":
                    yield from batch.to_pylist()
