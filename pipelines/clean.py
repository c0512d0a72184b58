"""The main job: a corpus in, the cleaned corpus and a report out."""

from collections.abc import Sequence

from unrote.corpus.errors import RunError
from unrote.pipelines.analysis import analyse
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Engine
from unrote.pipelines.finished import open_run
from unrote.pipelines.job import open_job
from unrote.pipelines.progress import Progress
from unrote.pipelines.publish import finish, summarised, write_report
from unrote.pipelines.release import release
from unrote.pipelines.report.formatting import counted
from unrote.pipelines.report.memorization import unread
from unrote.pipelines.report.model import Report
from unrote.pipelines.sampling import require_all


def refuse_unread(report: Report) -> None:
    """Raise RunError where a model was to read the text and its tokenizer found nothing in it."""
    found = report.memorization
    if found is not None and found.tokenless and report.total.words_kept:
        raise RunError(
            f"{unread(found)}, though {counted(report.total.words_kept, 'word')} were left, so "
            "nothing is known of memorization. Name another with memorization.model, "
            "or do without with --set memorization.enabled=false, and start over with --fresh."
        )


def clean(
    inputs: Sequence[str],
    out: str,
    settings: Settings,
    progress: Progress,
    *,
    kind: str = "clean",
    fresh: bool = False,
    engine: Engine | None = None,
) -> Report:
    """Clean the corpus `inputs` into the folder `out`, or continue where an earlier run stopped.

    engine: one that is there already; None: what the settings name.

    Raises UsageError where input, settings or `out` cannot be used, RunError where the run ended
    early; the same call then continues it.
    """
    require_all(settings, kind)
    opened = open_job(kind, inputs, out, settings, progress, fresh=fresh, engine=engine)
    with opened as job:
        if job.run.finished:
            return open_run(job.run.out).report
        analyse(job)
        release(job, write=settings.output.data)
        report = summarised(job)
        refuse_unread(report)
        write_report(job.run.out, report)
        job.add_to_index()
        finish(job, report)
        return report
