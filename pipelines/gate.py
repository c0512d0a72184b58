"""The check before training: the same analysis, held against a policy; nothing is rewritten."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from unrote.corpus.errors import UsageError
from unrote.pipelines.accepting import Accepting, accepting, item_fingerprints, with_accepted
from unrote.pipelines.analysis import analyse
from unrote.pipelines.broken_rules import with_documents
from unrote.pipelines.config import Settings
from unrote.pipelines.job import Job, open_job, reopen_job
from unrote.pipelines.policy import Policy, check_policy, evaluate, load_policy
from unrote.pipelines.progress import Progress
from unrote.pipelines.publish import (
    finish,
    from_tables,
    known_report,
    replace_report,
    summarised,
    with_shards,
    write_report,
)
from unrote.pipelines.release import release
from unrote.pipelines.report.model import Report
from unrote.pipelines.run import reopen_run
from unrote.pipelines.sampling import with_intervals
from unrote.pipelines.storage import temporary_folder


def gate(
    inputs: Sequence[str],
    policy: str | os.PathLike[str],
    out: str,
    settings: Settings,
    progress: Progress,
    *,
    fresh: bool = False,
    baseline: str | os.PathLike[str] | None = None,
    write_baseline: str | os.PathLike[str] | None = None,
    waivers: str | os.PathLike[str] | None = None,
) -> Report:
    """Hold the corpus `inputs` against the policy in the TOML file `policy`.

    Tables and report, with the verdict, stay in the folder `out`; if that is empty they are
    dropped. The verdict is given anew on every call; the analysis of an unchanged corpus is not
    repeated. baseline, waivers: files of what rules are not to count (pipelines.accepting);
    write_baseline: the file for a baseline of all that is there, which is then held against.
    Raises UsageError and RunError as `clean`, and ConfigError for a policy that cannot be applied.
    """
    rules = load_policy(policy)
    check_policy(rules, settings.model_dump())
    wanted = accepting(settings, baseline, write_baseline, waivers)
    if wanted is not None and wanted.asks and settings.pii.enabled and settings.pii.sample < 1:
        raise UsageError(
            "a baseline or waivers speak of what is found in all documents, and --sample searches "
            "a part of them. Leave one of them out."
        )
    # A configuration that it shares with clean may say where to keep what is removed; nothing is.
    output = settings.output.model_copy(update={"keep_removed": ""})
    settings = settings.model_copy(update={"output": output})
    opened = nullcontext(out) if out else _temporary_out()
    with opened as folder, open_job("gate", inputs, folder, settings, progress, fresh=fresh) as job:
        if job.run.finished:
            report = _judged_again(str(job.run.out), rules, wanted)
            replace_report(job.run.out, report)
            return report
        analyse(job, allow_empty=True)  # the verdict says so
        release(job, write=False)
        report = _judged(job, summarised(job), rules, wanted)
        write_report(job.run.out, report)
        finish(job, report)
        return report


@contextmanager
def _temporary_out() -> Iterator[str]:
    with temporary_folder("gate") as folder:
        yield str(folder / "out")


def _judged(job: Job, report: Report, rules: Policy, wanted: Accepting | None) -> Report:
    """The report with its verdict. What broke a rule is named where there is a key to name it."""
    if any(rule.each_shard for rule in rules.rule):
        report = with_shards(job, report)
    report = with_documents(evaluate(rules, report), rules, job.run)
    report = with_intervals(report, rules, job.run)
    sampled = job.settings.pii.enabled and job.settings.pii.sample < 1
    if wanted is None or sampled or (report.passed and not wanted.asks):
        return report
    item_fingerprints(job, rules, wanted)
    return with_accepted(report, rules, job.run, wanted)


def _judged_again(out: str, rules: Policy, wanted: Accepting | None) -> Report:
    """The report of a finished run, with another verdict."""
    by_shard = any(rule.each_shard for rule in rules.rule)
    report = known_report(out)
    if wanted is None and not by_shard:
        run = reopen_run(out)
        return with_intervals(with_documents(evaluate(rules, report), rules, run), rules, run)
    with reopen_job(out) as job:
        return _judged(job, from_tables(job) if by_shard else report, rules, wanted)
