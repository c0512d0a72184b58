"""The phase `summary`: the published tables, added up into tables small enough to read whole.

The tables have a row for each document or passage; a report has room for a few dozen lines. Adding
up is a flow like any other, so it runs where the tables are, and what reaches the driver is
bounded: each table of a summary has a limit of rows, in the module of its name.

What the stages share, and what a row of a summary is, is in pipelines.summary.sums.
"""

from unrote.corpus.schema import DOCUMENTS, DUPLICATES, REJECTS, SPANS, UNCUT, Table
from unrote.memorization.target import Target
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary.clusters import CLUSTERS, COPIES_OF_REJECTED, summarise_clusters
from unrote.pipelines.summary.contamination import CONTAMINATED_SETS, summarise_contamination
from unrote.pipelines.summary.findings import FINDING_SUMMARIES, summarise_findings
from unrote.pipelines.summary.languages import LANGUAGE_TOTALS, summarise_languages
from unrote.pipelines.summary.passages import PASSAGES, summarise_passages
from unrote.pipelines.summary.rejects import FIRST_REJECTS, REJECT_REASONS, summarise_rejects
from unrote.pipelines.summary.scores import SCORE_SUMMARIES, summarise_scores
from unrote.pipelines.summary.totals import RELEASED, TOTALS, summarise_totals

SUMMARIES = (
    TOTALS,
    REJECT_REASONS,
    FIRST_REJECTS,
    CLUSTERS,
    PASSAGES,
    COPIES_OF_REJECTED,
    *FINDING_SUMMARIES,
    *SCORE_SUMMARIES,
    CONTAMINATED_SETS,
    LANGUAGE_TOTALS,
)


def summarise(
    flow: Flow,
    shards: tuple[str, ...],
    *,
    spans: bool = True,
    uncut: bool = True,
    released: bool = True,
    rejects: bool = True,
    findings: bool = True,
    scores: bool = False,
    entities: bool = False,
    evaluated: bool = False,
    languages: bool = False,
    threshold: float = 1.0,
    target: Target | None = None,
) -> None:
    """Build the flow that writes `SUMMARIES` from the published tables.

    shards: the shards' names, in the order of their numbers.
    spans, uncut, released, rejects, findings, scores, entities: whether the tables of these names
    were written; evaluated: those of contamination; languages: those of them. threshold, target: as
    for `summarise_scores`.
    """
    tables: tuple[Table, ...] = (DOCUMENTS, DUPLICATES)
    tables += rejects * (REJECTS,) + spans * (SPANS,) + uncut * (UNCUT,)
    tables += released * (RELEASED,)
    tally = summarise_totals(flow, tables)
    summarise_clusters(flow, tally, rejects=rejects)
    if findings:
        summarise_findings(flow)
    if scores:
        summarise_scores(flow, threshold, rejects=rejects, entities=entities, target=target)
    if evaluated:
        summarise_contamination(flow)
    if languages:
        summarise_languages(flow)
    if spans:
        summarise_passages(flow)
    if rejects:
        summarise_rejects(flow, shards)
