"""The main job: a corpus in, the cleaned corpus and a report out."""

from collections.abc import Sequence

from corpus.schema import DUPLICATES, SPANS, Table
from pipelines.analysis import analyse
from pipelines.config import Settings
from pipelines.engines.base import Flow
from pipelines.job import Job, open_job
from pipelines.progress import Progress
from pipelines.release import REMOVED, Edit
from pipelines.report.model import Report
from pipelines.report.publish import read_report, summarised, write_report
from pipelines.report.summary import RELEASED


def clean(
    inputs: Sequence[str],
    out: str,
    settings: Settings,
    progress: Progress,
    *,
    kind: str = "clean",
    fresh: bool = False,
) -> Report:
    """Clean the corpus `inputs` into the folder `out`, or continue where an earlier run stopped.

    Raises UsageError where input, settings or `out` cannot be used, RunError where the run ended
    early; the same call then continues it.
    """
    with open_job(kind, inputs, out, settings, progress, fresh=fresh) as job:
        if job.run.finished:
            return read_report(job.run.out)
        analyse(job)
        release(job, write=settings.output.data)
        report = summarised(job)
        write_report(job.run.out, report)
        job.run.finish({"environment": report.environment})
        return report


def release(job: Job, *, write: bool) -> None:
    """Apply every edit once: the cleaned shards, the sizes of what was cut, what was removed."""
    passages = job.settings.dedup.passages
    tables: tuple[Table, ...] = (DUPLICATES, SPANS) if passages.enabled else (DUPLICATES,)
    flow = Flow()
    stage = Edit(cut=passages.action == "cut", keep_removed=bool(job.settings.output.keep_removed))
    edited = flow.map(stage, flow.read("text", *tables, only=tables))
    flow.write(RELEASED, edited["released"])
    if job.settings.output.keep_removed:
        flow.write(REMOVED, edited["removed"])
    if write:
        flow.release(edited["edits"])
    job.phase("release", flow)
