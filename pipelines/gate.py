"""The check before training: the same analysis, held against a policy; nothing is rewritten."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext

from unrote.pipelines.analysis import analyse
from unrote.pipelines.broken_rules import with_documents
from unrote.pipelines.config import Settings
from unrote.pipelines.job import open_job
from unrote.pipelines.policy import check_policy, evaluate, load_policy
from unrote.pipelines.progress import Progress
from unrote.pipelines.publish import (
    finish,
    known_report,
    replace_report,
    summarised,
    write_report,
)
from unrote.pipelines.release import release
from unrote.pipelines.report.model import Report
from unrote.pipelines.run import reopen_run


def gate(
    inputs: Sequence[str],
    policy: str | os.PathLike[str],
    out: str,
    settings: Settings,
    progress: Progress,
    *,
    fresh: bool = False,
) -> Report:
    """Hold the corpus `inputs` against the policy in the TOML file `policy`.

    Tables and report, with the verdict, stay in the folder `out`; if that is empty they are
    dropped. The verdict is given anew on every call; the analysis of an unchanged corpus is not
    repeated. Raises UsageError and RunError as `clean`, and ConfigError for a policy that cannot
    be applied.
    """
    rules = load_policy(policy)
    check_policy(rules, settings.model_dump())
    # A configuration that it shares with clean may say where to keep what is removed; nothing is.
    output = settings.output.model_copy(update={"keep_removed": ""})
    settings = settings.model_copy(update={"output": output})
    opened = nullcontext(out) if out else tempfile.TemporaryDirectory(prefix="unrote-gate-")
    with opened as folder, open_job("gate", inputs, folder, settings, progress, fresh=fresh) as job:
        if job.run.finished:
            out = str(job.run.out)
            report = evaluate(rules, known_report(out))
            report = with_documents(report, rules, reopen_run(out))
            replace_report(job.run.out, report)
            return report
        analyse(job, allow_empty=True)  # the verdict says so
        release(job, write=False)
        report = with_documents(evaluate(rules, summarised(job)), rules, job.run)
        write_report(job.run.out, report)
        finish(job, report)
        return report
