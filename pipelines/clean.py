"""The main job: a corpus in, the cleaned corpus and a report out."""

from collections.abc import Sequence

from pipelines.analysis import analyse
from pipelines.config import Settings
from pipelines.job import open_job
from pipelines.progress import Progress
from pipelines.release import release
from pipelines.report.model import Report
from pipelines.report.publish import finish, read_report, summarised, write_report


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
        finish(job, report)
        return report
