"""Which documents broke a gate's rules: the first few of each, by the tables that the run left."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import DOCUMENTS, ROW_BITS, row_of, shard_of
from unrote.corpus.tables import read_table
from unrote.pipelines.policy import MEASURES, Policy, Rows, Scope, scopes_of
from unrote.pipelines.report.model import Report, RuleResult
from unrote.pipelines.run import RunFolder

SHOWN = 3
"""Documents that a broken rule names."""


def with_documents(report: Report, policy: Policy, run: RunFolder) -> Report:
    """The report, evaluated by `policy`, whose broken rules name documents in the tables of `run`.

    Raises StorageError where a table cannot be read.
    """
    if report.verdict is None:
        return report
    scopes = scopes_by_rule(policy, report)

    def named(result: RuleResult) -> RuleResult:
        if result.passed or result.measured is None or result.rule is None:
            return result
        rows = MEASURES[policy.rule[result.rule - 1].measure].rows
        if rows is None:
            return result
        found = _documents(run, rows, scopes[result.rule, place_of(result)])
        return result.model_copy(
            update={"documents": tuple(name_of_document(run, doc) for doc in found)}
        )

    verdict = report.verdict.model_copy(
        update={"rules": tuple(named(result) for result in report.verdict.rules)}
    )
    return report.model_copy(update={"verdict": verdict})


def scopes_by_rule(policy: Policy, report: Report) -> dict[tuple[int, str | None], Scope]:
    """What each rule is about, by its number and source."""
    return {
        (number, scope.shard if scope.shard is not None else scope.balance.source): scope
        for number, rule in enumerate(policy.rule, 1)
        for scope in scopes_of(number, rule, report)
    }


def place_of(result: RuleResult) -> str | None:
    """The source or shard that a result is about, as `scopes_by_rule` has it."""
    return result.source if result.shard is None else result.shard


def name_of_document(run: RunFolder, doc: int) -> str:
    """As `unrote show` takes it."""
    return f"{run.corpus.shards[shard_of(doc)].name}#{row_of(doc)}"


def _documents(run: RunFolder, rows: Rows, scope: Scope) -> list[int]:
    """At most SHOWN documents that have one of `rows`: the first, or those with the highest."""
    best: dict[int, float] = {}
    for _, found in counted_rows(run, rows, scope):
        docs = found["doc"].to_numpy()
        values = np.zeros(len(docs))
        if rows.highest is not None:
            values = found[rows.highest(scope)].fill_null(0.0).to_numpy()
        order = np.lexsort((docs, -values))
        _, firsts = np.unique(docs[order], return_index=True)
        for at in order[np.sort(firsts)[:SHOWN]].tolist():
            doc, value = int(docs[at]), float(values[at])
            best[doc] = max(value, best.get(doc, value))
        best = dict(sorted(best.items(), key=lambda one: (-one[1], one[0]))[:SHOWN])
        if rows.highest is None and len(best) == SHOWN:
            break  # rows come in the order of the input
    return list(best)


def counted_rows(run: RunFolder, rows: Rows, scope: Scope) -> Iterator[tuple[int, pa.Table]]:
    """The rows that count, of the scope's source, in the order of the input, and their slice."""
    condition = rows.condition(scope)
    numbers = {shard.name: shard.number for shard in run.corpus.shards}
    for file in run.files(rows.table):
        own = None if scope.shard is not None else _of_source(run, file.slice, scope.balance.source)
        for batch in read_table(str(run.table_path(rows.table, file.slice))):
            found = pa.Table.from_batches([batch])
            if condition is not None:
                found = found.filter(condition)
            if scope.shard is not None:
                number = numbers[scope.shard]
                found = found.filter(pa.array(found["doc"].to_numpy() >> ROW_BITS == number))
            if own is not None:
                found = found.filter(pa.array(np.isin(found["doc"].to_numpy(), own)))
            if len(found):
                yield file.slice, found


def _of_source(run: RunFolder, slice_number: int, source: str | None) -> np.ndarray | None:
    """The documents (int64) of a slice that are of a source; None: it does not matter."""
    if source is None:
        return None
    parts = [
        np.asarray(batch["doc"])[np.asarray(batch["source"].to_pylist(), dtype=object) == source]
        for batch in read_table(str(run.table_path(DOCUMENTS, slice_number)))
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])
