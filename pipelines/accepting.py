"""What a gate's rules leave out of account: what a baseline has, and what waivers name.

A rule counts rows of a table. Each of them has a keyed fingerprint of what it is about: a finding
of its value, a document of its text, a passage or a sequence of its own text, a reject of shard and
reason. A baseline has fingerprints as often as they were there; what comes on top is new. A waiver
holds for whatever has its fingerprint. A rule then holds for the rest: `measured` is scaled by the
part of the rows' weight that is left, which for counts is the same as counting it.

Measures that are no counts (expected numbers of extracted sequences) are accepted as a number: what
such a rule measures beyond the baseline's is new.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.beside import RowsBeside, beside, picking
from unrote.corpus.errors import ConfigError, RunError, UsageError
from unrote.corpus.schema import (
    DUPLICATES,
    FINDINGS,
    REJECTS,
    SCORES,
    SPANS,
    TEXT,
    Table,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.tables import read_table, tuples_of
from unrote.pii.keys import KEY_VARIABLE, Key, load_key
from unrote.pipelines.baselines import (
    Baseline,
    Waiver,
    Waivers,
    load_baseline,
    load_waivers,
    today,
    write_baseline,
)
from unrote.pipelines.broken_rules import (
    SHOWN,
    counted_rows,
    name_of_document,
    place_of,
    scopes_by_rule,
)
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.job import Job
from unrote.pipelines.policy import MEASURES, Policy, Rows, Scope
from unrote.pipelines.report.model import (
    Report,
    RuleResult,
    UsedBaseline,
    UsedWaiver,
    Verdict,
)
from unrote.pipelines.run import RunFolder

WITH_TEXT = (DUPLICATES, SPANS, SCORES)
"""Tables whose rows are known by the text that they are about."""

ITEMS = Table(
    "items",
    pa.schema(
        {
            "doc": pa.int64(),
            "of": pa.int64(),
            "start": pa.int64(),
            "end": pa.int64(),
            "weight": pa.int64(),
            "fingerprint": pa.string(),
        }
    ),
    sort=("doc", "of", "start", "end"),
)
"""What a row of WITH_TEXT (`of` is the table's number there) is about. `weight` is 1, or for
passages the bytes that no earlier passage of the document has. A document goes from 0 to 0."""

RISKS_HIGH = ("risk_input_high", "risk_deduplicated_high", "risk_high")


@dataclass(frozen=True)
class ItemFingerprints(PlainStage):
    """Texts to ITEMS. tables: names of those that are read. threshold: of sequences at risk."""

    secret: Key
    tables: tuple[str, ...]
    threshold: float = 1.0

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"items": ITEMS.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        known = {table.name: table.schema for table in WITH_TEXT}
        return {**{name: known[name] for name in self.tables}, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        duplicates = RowsBeside(DUPLICATES.name, picking())
        spans = RowsBeside(SPANS.name, picking("start", "end"))
        scores = RowsBeside(SCORES.name, picking("start", "end", *RISKS_HIGH))
        for batch in beside(tagged, duplicates, spans, scores):
            rows: list[tuple[int, int, int, int, int, str]] = []
            for doc, text in tuples_of(batch, "doc", "text"):
                if duplicates.take(doc):
                    rows.append((doc, 0, 0, 0, 1, self._of("document", text)))
                rows += self._passages(doc, text, spans.take(doc))
                risky = {
                    (start, end)
                    for start, end, *risks in scores.take(doc)
                    if any(risk is not None and risk >= self.threshold for risk in risks)
                }
                rows += [
                    (doc, 2, start, end, 1, self._of("sequence", text[start:end]))
                    for start, end in sorted(risky)
                ]
            columns = zip(*rows, strict=True) if rows else [[]] * len(ITEMS.schema)
            arrays = [
                pa.array(column, kind)
                for column, kind in zip(columns, ITEMS.schema.types, strict=True)
            ]
            yield "items", pa.RecordBatch.from_arrays(arrays, schema=ITEMS.schema)

    def _passages(
        self, doc: int, text: str, spans: list[tuple[int, int]]
    ) -> Iterator[tuple[int, int, int, int, int, str]]:
        reached = 0
        for start, end in sorted(set(spans)):
            fresh = len(text[max(start, reached) : end].encode())
            reached = max(reached, end)
            yield doc, 1, start, end, fresh, self._of("passage", text[start:end])

    def _of(self, what: str, text: str) -> str:
        return self.secret.mac(f"gate {what}", text).hex()[:32]


@dataclass(frozen=True)
class Accepting:
    """What a gate is to accept. Open with `accepting`."""

    key: Key
    baseline: Baseline | None = None
    baseline_file: str = ""
    write: str = ""
    """The file of a baseline that is to be written, and then held against."""
    waivers: tuple[Waiver, ...] = ()
    day: date = field(default_factory=today)

    @property
    def asks(self) -> bool:
        """Whether anything is to be accepted. Without, things are only named."""
        return self.baseline is not None or bool(self.write or self.waivers)

    @property
    def valid(self) -> frozenset[str]:
        """Fingerprints of waivers that hold today."""
        own = [waiver for waiver in self.waivers if waiver.expires >= self.day]
        return frozenset(one for waiver in own for one in waiver.fingerprints)


def accepting(
    settings: Settings,
    baseline: str | os.PathLike[str] | None,
    write: str | os.PathLike[str] | None,
    waivers: str | os.PathLike[str] | None,
) -> Accepting | None:
    """What these files ask a gate to accept; None: nothing, and no key could name it.

    Raises UsageError where a baseline is to be read and written, ConfigError where there is no key,
    InputError or ConfigError for a file that cannot be used.
    """
    key = load_key(settings.pii.key_file)
    if baseline is None and write is None and waivers is None:
        return None if key is None else Accepting(key)
    if baseline is not None and write is not None:
        raise UsageError(
            "--write-baseline accepts all that is there, so that --baseline would have no part in "
            "it. Give one of them."
        )
    if key is None:
        raise ConfigError(
            "baselines and waivers know things by keyed fingerprints, and no key was given. Make "
            "one: (umask 077; openssl rand -hex 32 > unrote.key), then pii.key_file = "
            f"'unrote.key' or {KEY_VARIABLE}."
        )
    known = None if baseline is None else load_baseline(baseline, key.fingerprint())
    named: Waivers = Waivers() if waivers is None else load_waivers(waivers)
    file = os.fspath(baseline if baseline is not None else write or "")
    return Accepting(key, known, file, os.fspath(write or ""), tuple(named.waiver))


def item_fingerprints(job: Job, policy: Policy, wanted: Accepting) -> None:
    """The phase that finds what the rows are about that rules of `policy` count."""
    counted = {
        rows.table.name
        for rule in policy.rule
        if (rows := MEASURES[rule.measure].rows) is not None and rows.counted
    }
    tables = tuple(t for t in WITH_TEXT if t.name in counted and job.run.files(t))
    if not tables:
        return
    stage = ItemFingerprints(
        wanted.key,
        tuple(table.name for table in tables),
        job.settings.memorization.threshold,
    )
    flow = Flow()
    found = flow.map(stage, flow.read("text", *tables, only=tables))
    flow.write(ITEMS, found["items"])
    job.phase("items", flow)


def with_accepted(report: Report, policy: Policy, run: RunFolder, wanted: Accepting) -> Report:
    """The report, evaluated by `policy`, whose rules leave out what `wanted` accepts.

    A baseline that is to be written is written before.
    """
    assert report.verdict is not None
    scopes = scopes_by_rule(policy, report)
    judge = _Judge(run, policy, scopes, wanted)
    baseline = wanted.baseline
    if wanted.write:
        baseline = judge.everything(report.verdict)
        write_baseline(wanted.write, baseline)
    rules = tuple(judge.held(result, baseline) for result in report.verdict.rules)
    rules += tuple(_expired(wanted))
    used = None
    if baseline is not None:
        things = sum(sum(found.values()) for found in baseline.items.values())
        used = UsedBaseline(file=wanted.baseline_file, written=baseline.written, things=things)
    verdict = Verdict(
        passed=all(rule.passed for rule in rules),
        rules=rules,
        baseline=used,
        waivers=tuple(_used(wanted, judge.seen)),
    )
    return report.model_copy(update={"verdict": verdict})


def _expired(wanted: Accepting) -> Iterator[RuleResult]:
    """A broken rule for each waiver that holds no more."""
    for number, waiver in enumerate(wanted.waivers, 1):
        if waiver.expires < wanted.day:
            yield RuleResult(
                rule=None,
                measure=f"waiver {number}",
                description=f"days since the waiver of {waiver.owner} expired",
                unit="",
                source=None,
                limit=0,
                measured=(wanted.day - waiver.expires).days,
                passed=False,
                reason=f"it held until {waiver.expires}, because: {waiver.reason}",
                remedy="mend what it names and remove it, or let its owner give another day",
            )


def _used(wanted: Accepting, seen: set[str]) -> Iterator[UsedWaiver]:
    for number, waiver in enumerate(wanted.waivers, 1):
        named = set(waiver.fingerprints)
        yield UsedWaiver(
            number=number,
            reason=waiver.reason,
            owner=waiver.owner,
            expires=waiver.expires.isoformat(),
            expired=waiver.expires < wanted.day,
            fingerprints=len(named),
            unused=len(named - seen),
        )


@dataclass
class _Left:
    """What is left of the rows that a rule counts."""

    weight: int = 0
    whole: int = 0
    known: int = 0
    waived: int = 0
    docs: list[int] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)

    def count(self, doc: int, fingerprint: str, weight: int) -> None:
        """Take a row that nothing accepts; rows come in the order of the input."""
        self.weight += weight
        if len(self.docs) < SHOWN and doc not in self.docs:
            self.docs.append(doc)
        if len(self.fingerprints) < SHOWN and fingerprint not in self.fingerprints:
            self.fingerprints.append(fingerprint)


class _Judge:
    """Holds the results of rules against a baseline and waivers, by the tables of a run."""

    def __init__(
        self,
        run: RunFolder,
        policy: Policy,
        scopes: Mapping[tuple[int, str | None], Scope],
        wanted: Accepting,
    ) -> None:
        self._run, self._policy, self._scopes, self._wanted = run, policy, scopes, wanted
        self.seen: set[str] = set()
        """Fingerprints of waivers that something has."""

    def everything(self, verdict: Verdict) -> Baseline:
        """The baseline of all that the rules count now."""
        numbers: dict[str, float] = {}
        items: dict[str, Counter[str]] = {}
        for result in verdict.rules:
            if result.rule is None or result.measured is None or result.lowest:
                continue
            rows = self._rows(result)
            if rows is None:
                numbers[_number_name(result)] = result.measured
                continue
            scope = self._scopes[result.rule, place_of(result)]
            found = Counter(print_ for _, print_, _ in self._items(rows, scope))
            items[rows.table.name] = items.get(rows.table.name, Counter()) | found
        return Baseline(
            written=self._wanted.day.isoformat(),
            key=self._wanted.key.fingerprint(),
            numbers=numbers,
            items=items,
        )

    def held(self, result: RuleResult, baseline: Baseline | None) -> RuleResult:
        """The result of a rule without what is accepted."""
        if result.rule is None or result.measured is None:
            return result
        if result.lowest:  # what is missing is not accepted
            return result
        rows = self._rows(result)
        if rows is None:
            return self._number(result, baseline)
        left = self._left(rows, self._scopes[result.rule, place_of(result)], baseline)
        if result.measured and not left.whole:
            raise RunError(
                f"{result.measure} is {result.measured:g}, and the table {rows.table.name} has no "
                "row that counts for it. Run the gate again with --fresh."
            )
        changes: dict[str, object] = {"known": left.known, "waived": left.waived}
        if left.known or left.waived:
            measured = result.measured * left.weight / left.whole
            passed = measured <= result.limit
            changes |= {
                "measured": measured, "with_accepted": result.measured, "passed": passed,
                "remedy": "" if passed else result.remedy,
                "documents": tuple(name_of_document(self._run, doc) for doc in left.docs),
            }  # fmt: skip
        changed = result.model_copy(update=changes)
        if changed.passed:
            return changed.model_copy(update={"documents": ()})
        return changed.model_copy(update={"fingerprints": tuple(left.fingerprints)})

    def _number(self, result: RuleResult, baseline: Baseline | None) -> RuleResult:
        """The result of a rule that counts nothing: what the baseline has is accepted whole."""
        known = None if baseline is None else baseline.numbers.get(_number_name(result))
        if known is None or result.measured is None:
            return result
        new = max(0.0, result.measured - known)
        changes: dict[str, object] = {"measured": new, "with_accepted": result.measured}
        if new <= result.limit:
            changes |= {"passed": True, "remedy": "", "documents": ()}
        return result.model_copy(update=changes)

    def _left(self, rows: Rows, scope: Scope, baseline: Baseline | None) -> _Left:
        known = Counter(baseline.items.get(rows.table.name, {}) if baseline is not None else {})
        named = {one for waiver in self._wanted.waivers for one in waiver.fingerprints}
        valid, left = self._wanted.valid, _Left()
        for doc, print_, weight in self._items(rows, scope):
            left.whole += weight
            if print_ in named:
                self.seen.add(print_)
            if print_ in valid:
                left.waived += 1
            elif known[print_] > 0:
                known[print_] -= 1
                left.known += 1
            else:
                left.count(doc, print_, weight)
        return left

    def _measure(self, result: RuleResult) -> str:
        assert result.rule is not None
        return self._policy.rule[result.rule - 1].measure

    def _rows(self, result: RuleResult) -> Rows | None:
        """The rows that a rule counts; None: it counts none."""
        rows = MEASURES[self._measure(result)].rows
        return rows if rows is not None and rows.counted else None

    def _items(self, rows: Rows, scope: Scope) -> Iterator[tuple[int, str, int]]:
        """(doc, fingerprint, weight) of what a rule counts."""
        known: dict[tuple[int, int, int], tuple[str, int]] = {}
        slice_number, done = -1, set[tuple[int, int, int]]()
        for number, found in counted_rows(self._run, rows, scope):
            if rows.table is FINDINGS:
                yield from ((d, print_, 1) for d, print_ in tuples_of(found, "doc", "fingerprint"))
            elif rows.table is REJECTS:
                for doc, shard, reason in tuples_of(found, "doc", "shard", "reason"):
                    named = self._wanted.key.mac("gate reject", shard or "", reason or "")
                    yield doc, named.hex()[:32], 1
            else:
                if number != slice_number:
                    slice_number, known, done = number, self._texts(rows.table, number), set()
                for place in _places(rows.table, found):
                    if place not in done:  # a passage may have several rows
                        done.add(place)
                        yield place[0], *known[place]

    def _texts(
        self, table: Table, slice_number: int
    ) -> dict[tuple[int, int, int], tuple[str, int]]:
        """Fingerprint and weight of what the rows of a table's slice are about."""
        of = WITH_TEXT.index(table)
        found = {}
        for batch in read_table(str(self._run.table_path(ITEMS, slice_number))):
            own = batch.filter(pa.array(np.asarray(batch["of"]) == of))
            for doc, start, end, print_, weight in tuples_of(
                own, "doc", "start", "end", "fingerprint", "weight"
            ):
                found[doc, start, end] = (print_, weight)
        return found


def _places(table: Table, rows: pa.Table) -> Iterator[tuple[int, int, int]]:
    if table is DUPLICATES:
        return ((doc, 0, 0) for (doc,) in tuples_of(rows, "doc"))
    return tuples_of(rows, "doc", "start", "end")


def _number_name(result: RuleResult) -> str:
    """A rule and its source, as a baseline names a number."""
    place = place_of(result)
    return result.measure + ("" if place is None else f" in {place}")
