"""A gate that searches a sample of the documents for personal data, and how sure it then is.

Documents are drawn by a hash of their ids, so that the same corpus has the same sample, wherever it
is cut. Duplicates are found in all documents: a pair is in a sample of 1 % once in 10,000 times, so
that a share of a sample's duplicates says nothing of the corpus. Memorization draws a sample of
sequences by itself. What is estimated is a ratio, findings for each word, from whole documents:

    R = sum(y) / sum(x),   var(sum(y)) = (1 - f) * n / (n - 1) * sum((y - R * x)**2)

with y findings and x words of the n documents of the sample and f the share that is drawn (Cochran
1977, Sampling Techniques, 6.4). Findings come in clusters: their number, divided by the design
effect var(sum(y)) / sum(y), is taken as Poisson, whose interval (Garwood 1936) is right for few and
for none.
A rule passes only if the high end of the interval of 95 % does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError
from unrote.corpus.schema import DOCUMENTS, DUPLICATES, FINDINGS, REJECTS, shard_of
from unrote.corpus.tables import read_table
from unrote.pipelines.broken_rules import counted_rows, place_of, scopes_by_rule
from unrote.pipelines.config import Settings
from unrote.pipelines.policy import MEASURES, Policy, Rows, Scope
from unrote.pipelines.report.model import Report, RuleResult, Verdict
from unrote.pipelines.run import RunFolder
from unrote.pipelines.sampled import is_sampled

Floats = NDArray[np.float64]

Z = 1.959964
"""Of the normal distribution, for an interval of 95 %."""

FEWEST = 30
"""Documents of the smallest sample that is taken for one."""


@dataclass(frozen=True)
class Estimate:
    """A ratio, and its interval of 95 %."""

    value: float
    low: float
    high: float


def estimate(found: Floats, words: Floats, share: float) -> Estimate:
    """Findings for each word of the corpus, from a sample of whole documents.

    found, words: of each document (float64[n]); share: of the documents that was drawn.
    """
    total, size, n = float(found.sum()), float(words.sum()), found.size
    ratio = total / size
    spread = (1 - share) * n / max(1, n - 1) * float(((found - ratio * words) ** 2).sum())
    effect = max(1.0, spread / total) if total else 1.0
    low, high = poisson_interval(total / effect)
    return Estimate(ratio, low * effect / size, high * effect / size)


def poisson_interval(count: float) -> tuple[float, float]:
    """The interval of 95 % for the mean of a Poisson variable of which `count` was seen.

    Garwood's, with Wilson and Hilferty's (1931) approximation of the quantiles of chi square.
    """
    above = count + 1
    high = above * (1 - 1 / (9 * above) + Z / (3 * above**0.5)) ** 3
    if count <= 0:
        return 0.0, high
    return max(0.0, count * (1 - 1 / (9 * count) - Z / (3 * count**0.5)) ** 3), high


def require_all(settings: Settings, job: str) -> None:
    """Raise ConfigError where a job that releases text is to search a sample of it."""
    if settings.pii.enabled and settings.pii.sample < 1 and job != "gate":
        raise ConfigError(
            f"pii.sample is {settings.pii.sample:g}: {job} would release what nobody searched. "
            "Leave it out; `unrote gate` takes --sample."
        )


def with_intervals(report: Report, policy: Policy, run: RunFolder) -> Report:
    """The report of a sampled gate, evaluated by `policy`, whose rules about findings have
    intervals, and hold only where the high end does.
    """
    share = run.settings.pii.sample
    if report.verdict is None or not run.settings.pii.enabled or share >= 1:
        return report
    scopes = scopes_by_rule(policy, report)
    searched = _searched(run, share)

    def held(result: RuleResult) -> RuleResult:
        rows = None if result.rule is None else MEASURES[policy.rule[result.rule - 1].measure].rows
        if rows is None or rows.table is not FINDINGS or result.rule is None:
            return result
        scope = scopes[result.rule, place_of(result)]
        return _with_interval(result, run, rows, scope, searched, share)

    rules = tuple(held(result) for result in report.verdict.rules)
    verdict = Verdict(passed=all(rule.passed for rule in rules), rules=rules)
    note = (
        f"Personal data was looked for in {share * 100:g} % of the documents, drawn by a hash of "
        "their ids: rules about it hold if the high end of an interval of 95 % does. Duplicates "
        "were looked for in all."
    )
    return report.model_copy(update={"verdict": verdict, "notes": (*report.notes, note)})


def _with_interval(
    result: RuleResult,
    run: RunFolder,
    rows: Rows,
    scope: Scope,
    searched: Mapping[int, tuple[str, int]],
    share: float,
) -> RuleResult:
    own = scope.balance.source
    if scope.shard is None:
        drawn = [doc for doc, (source, _) in searched.items() if own in {None, source}]
    else:
        number = next(one.number for one in run.corpus.shards if one.name == scope.shard)
        drawn = [doc for doc in searched if shard_of(doc) == number]
    docs = {doc: n for n, doc in enumerate(drawn)}
    words = np.array([searched[doc][1] for doc in docs], dtype=np.float64)
    if len(docs) < FEWEST or not words.sum():
        return result.model_copy(
            update={
                "measured": None, "passed": False, "remedy": "",
                "reason": f"the sample has {len(docs)} documents with words here, fewer than "
                f"{FEWEST}: draw a larger one",
            }
        )  # fmt: skip
    found = np.zeros(len(docs))
    for _, table in counted_rows(run, rows, scope):
        for doc in table["doc"].to_pylist():
            if doc in docs:
                found[docs[doc]] += 1
    one = estimate(found, words, share)
    value, low, high = (1e6 * number for number in (one.value, one.low, one.high))
    passed = high <= result.limit
    reason = ""
    if not passed and value <= result.limit:
        reason = (
            f"the sample has less than the limit, and the corpus may have up to {high:,.4g}: draw "
            "a larger sample, or search all"
        )
    remedy = "" if passed else MEASURES[result.measure.split(" ")[0]].remedy
    return result.model_copy(
        update={
            "measured": value, "low": low, "high": high, "passed": passed, "reason": reason,
            "remedy": remedy, "documents": () if passed else result.documents,
        }
    )  # fmt: skip


def _searched(run: RunFolder, share: float) -> dict[int, tuple[str, int]]:
    """Source and words of the documents of the sample that are neither removed nor rejected."""
    gone = {
        doc
        for table in (DUPLICATES, REJECTS)
        for file in run.files(table)
        for batch in read_table(str(run.table_path(table, file.slice)))
        for doc in batch["doc"].to_pylist()
    }
    found: dict[int, tuple[str, int]] = {}
    for file in run.files(DOCUMENTS):
        for batch in read_table(str(run.table_path(DOCUMENTS, file.slice))):
            own = batch.filter(pa.array(is_sampled(batch["id"].to_pylist(), share)))
            rows = zip(*(own[name].to_pylist() for name in ("doc", "source", "words")), strict=True)
            found |= {doc: (source or "", words) for doc, source, words in rows if doc not in gone}
    return found
