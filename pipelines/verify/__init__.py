"""Every promise of a run, checked from the input and OUT alone.

This package shares no kernel with the product, on purpose: it has its own readers, its own
tokeniser and its own document key, all in plain Python, so that a mistake there is not repeated
here. It reads the input once from end to end, beside the tables and the cleaned shards; of the
documents that a duplicate or a passage speaks of it keeps the text in an unlinked scratch file.

What is wrong with a run is a failed check, never an exception, and no failure quotes a text.
"""

import contextlib
import tempfile
from collections.abc import Iterator

from unrote.corpus.errors import OutputError, UsageError
from unrote.corpus.extras import require
from unrote.pipelines.verify.elsewhere import Elsewhere
from unrote.pipelines.verify.files import check_files, check_input, check_manifest, is_sealed
from unrote.pipelines.verify.kept import check_kept_twins
from unrote.pipelines.verify.layout import TABLES
from unrote.pipelines.verify.opening import open_run
from unrote.pipelines.verify.recall import DOCUMENTS, measured, open_sample
from unrote.pipelines.verify.rows import check_rows
from unrote.pipelines.verify.scores import check_copies
from unrote.pipelines.verify.state import Run, Texts
from unrote.pipelines.verify.tables import load_tables
from unrote.pipelines.verify.twins import check_duplicates, check_twins
from unrote.pipelines.verify.verdict import (
    CHECKS,
    Check,
    Progress,
    Recall,
    Remaining,
    Verdict,
    print_verdict,
)
from unrote.pipelines.verify.witnesses import check_chains, check_spans, check_uncut

__all__ = [
    "CHECKS",
    "DOCUMENTS",
    "TABLES",
    "Check",
    "Progress",
    "Recall",
    "Remaining",
    "Verdict",
    "print_verdict",
    "verify",
]


@contextlib.contextmanager
def _as_it_was_written(run: Run) -> Iterator[None]:
    """Turns what a changed manifest leads to, which may say anything, into an OutputError."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if is_sealed(run.manifest):
            raise
        raise OutputError(
            f"{run.root}/manifest.json was changed since the run wrote it, and cannot be checked "
            f"({type(error).__name__}). Run the job again with --fresh."
        ) from None


def verify(
    out: str,
    *,
    progress: Progress | None = None,
    recall: bool = False,
    sample: int = DOCUMENTS,
) -> Verdict:
    """Check every promise of the finished run in the folder (or fsspec URL) `out`.

    recall: say how many near-duplicates are left too, measured on `sample` released documents.

    Damage, a changed input and broken promises are failed checks. Raises OutputError where `out` is
    not a run folder, RunError where its run is unfinished, StorageError where there is no room for
    the scratch file, ConfigError where `recall` needs a package that is not
    installed, UsageError for a sample of fewer than 2.
    """
    if sample < 2:
        raise UsageError(f"sample {sample}: give a number of documents, 2 or more.")
    if recall:
        require("datasketch", "verify --recall")
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryFile())
        run = open_run(out, Texts(scratch), progress or (lambda *_: None))
        stack.enter_context(_as_it_was_written(run))
        check_files(run)
        check_manifest(run)
        check_input(run)
        load_tables(run)
        drawn = (
            open_sample(run, sample, stack.enter_context(tempfile.TemporaryFile()))
            if recall
            else None
        )
        elsewhere = None
        if run.rules.everywhere:
            elsewhere = Elsewhere(stack.enter_context(tempfile.TemporaryFile()))
        check_rows(run, drawn, elsewhere)
        if elsewhere is not None:
            elsewhere.check(run)
        check_copies(run)
        for doc in sorted(run.findings):
            run.tally["findings"].expect(False, "%s has findings and no row", run.name_of(doc))
        check_duplicates(run)
        check_twins(run)
        check_kept_twins(run)
        check_spans(run)
        check_uncut(run)
        check_chains(run)
        found = measured(run, drawn) if drawn is not None else None
    return Verdict(tuple(tally.check() for tally in run.tally.values()), found)
