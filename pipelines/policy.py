"""The check before training: the rules of a policy, and how a corpus measures up to them.

A policy is a TOML file of rules, each with a measure and the highest value that passes, and of how
much text there must be at least. Measures are functions of a report; a package that finds something
registers its own with `@measure`. A measure of nothing is no number, and no number passes no rule.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unrote.corpus import display
from unrote.corpus.errors import ConfigError, RunError
from unrote.corpus.languages import KNOWN_LANGUAGES, UNKNOWN
from unrote.corpus.schema import (
    CONTAMINATION,
    DUPLICATES,
    FINDINGS,
    LANGUAGES,
    REJECTS,
    SCORES,
    SCRIPTS,
    SPANS,
    Table,
)
from unrote.corpus.scripts import script_codes
from unrote.memorization.target import size_of, written_size
from unrote.pii.catalogue import KNOWN_TYPES, check_entity
from unrote.pii.config import ENTITY_NAME, SECRET
from unrote.pii.findings import CUT, MARKER_TYPES, RESERVED_VALUE
from unrote.pipelines.config import describe, read_toml
from unrote.pipelines.report.memorization import Expected, RiskSize, unread
from unrote.pipelines.report.model import (
    UNCHANGED,
    Amount,
    Balance,
    ContaminatedSet,
    FoundSource,
    Report,
    RuleResult,
    ToldSource,
    Verdict,
)
from unrote.pipelines.summary.scores import EXPECTED

_KNOWN_TYPES = (*KNOWN_TYPES, SECRET, *MARKER_TYPES)


@dataclass(frozen=True)
class Scope:
    """What a measure is taken of: the whole corpus, or one source of it."""

    report: Report
    balance: Balance
    type: str | None = None
    """Only findings of this type."""
    view: str = "released"
    """The view of the text whose memorization risk is meant."""
    category: str | None = None
    """Only sequences that can be memorized for this reason."""
    band: str = "high"
    """The end of the risk's band."""
    set: str | None = None
    """Only items of this evaluation set."""
    target: str | None = None
    """A target of another size than memorization.target, by its parameters."""
    shard: str | None = None
    """Only documents of this shard; `balance` is then the shard's."""
    names: tuple[str, ...] = ()
    """The languages or scripts that a measure names."""


@dataclass(frozen=True)
class Rows:
    """The rows of a published table that a measure counts: what can be shown of a broken rule."""

    table: Table
    condition: Callable[[Scope], pc.Expression | None] = lambda _: None
    """None: every row."""
    highest: Callable[[Scope], str] | None = None
    """The column by which the documents with the highest values are shown, instead of the first."""
    counted: bool = True
    """Whether what a measure says follows from how many of these rows there are."""


class Unmeasured(Exception):
    """There is nothing that a measure could be taken of; the argument says what is missing."""


@dataclass(frozen=True)
class Measure:
    """A number that a policy can limit. Higher is worse, unless it is a `lowest`."""

    name: str
    description: str
    unit: str
    needs: tuple[str, ...]
    overall_only: str
    takes_type: bool
    takes_view: bool
    takes_band: bool
    takes_set: bool
    takes_target: bool
    lowest: bool
    takes_names: Literal["languages", "scripts"] | None
    remedy: str
    rows: Rows | None
    function: Callable[[Scope], float]


MEASURES: dict[str, Measure] = {}


def measure(
    name: str,
    description: str,
    *,
    unit: str = "share",
    needs: tuple[str, ...] = (),
    overall_only: str = "",
    takes_type: bool = False,
    takes_view: bool = False,
    takes_band: bool = False,
    takes_set: bool = False,
    takes_target: bool = False,
    takes_names: Literal["languages", "scripts"] | None = None,
    lowest: bool = False,
    remedy: str,
    rows: Rows | None = None,
) -> Callable[[Callable[[Scope], float]], Callable[[Scope], float]]:
    """Register a function of a `Scope` as the measure `name`.

    unit: "share" is 0 … 1; anything else is shown as it is.
    needs: settings that must be true for the measure to mean anything, "dedup.near.enabled".
    overall_only: why it cannot be taken of one source; empty: it can.
    takes_type: whether it can be taken of one type of findings.
    takes_view: whether it can be taken of the text before it was cleaned, or of one category of
    sequences. takes_band: whether it is a number with a band. takes_set: whether it can be taken of
    one evaluation set. takes_target: whether it can be taken for a target of another size.
    takes_names: whether it is about languages, or scripts, that a rule lists. lowest: whether the
    limit is the lowest value that passes.
    remedy: what a user can do who is refused, a clause that a full stop ends.
    rows: which documents it counts; None: it is not known by document.
    The function raises Unmeasured where there is nothing to measure: the rule refuses then.
    """

    def register(function: Callable[[Scope], float]) -> Callable[[Scope], float]:
        if name in MEASURES:
            raise ValueError(f"measure {name!r} is registered twice")
        takes = (takes_type, takes_view, takes_band, takes_set, takes_target, lowest)
        about = (name, description, unit, needs, overall_only)
        MEASURES[name] = Measure(*about, *takes, takes_names, remedy, rows, function)
        return function

    return register


def _share(part: int, whole: int, of: str = "document") -> float:
    """A part of the documents or bytes. Raises Unmeasured where there are none."""
    if not whole:
        raise Unmeasured(f"there is no {of}")
    return part / whole


def _removed_as(*reasons: str) -> Rows:
    return Rows(DUPLICATES, lambda _: pc.field("reason").isin(reasons))


DEDUPLICATE = "`unrote clean` and `unrote dedup` remove them"


@measure(
    "exact_share",
    "documents that are exact duplicates",
    needs=("dedup.exact.enabled",),
    remedy=DEDUPLICATE,
    rows=_removed_as("exact"),
)
def exact_share(scope: Scope) -> float:
    return _share(scope.balance.exact.documents, scope.balance.documents)


@measure(
    "near_share",
    "documents that are near-duplicates",
    needs=("dedup.near.enabled",),
    remedy=DEDUPLICATE,
    rows=_removed_as("near"),
)
def near_share(scope: Scope) -> float:
    return _share(scope.balance.near.documents, scope.balance.documents)


@measure(
    "duplicate_share",
    "documents that are exact or near-duplicates",
    needs=("dedup.exact.enabled", "dedup.near.enabled"),
    remedy=DEDUPLICATE,
    rows=_removed_as("exact", "near"),
)
def duplicate_share(scope: Scope) -> float:
    copies = scope.balance.exact.documents + scope.balance.near.documents
    return _share(copies, scope.balance.documents)


@measure(
    "passage_share",
    "bytes in duplicate passages",
    needs=("dedup.passages.enabled",),
    remedy=DEDUPLICATE,
    rows=Rows(SPANS),
)
def passage_share(scope: Scope) -> float:
    """Documents of which nothing else is left are duplicate passages as a whole."""
    balance = scope.balance
    if balance.passage_chars and not balance.passages.bytes + balance.remainder.bytes:
        # Not zero but unknown: a gate must not pass what nobody measured.
        raise RunError(
            "duplicate passages were found, but not how many bytes they take. The table `released` "
            "is missing; run the gate again in an empty folder."
        )
    copied = balance.passages.bytes + balance.remainder.bytes
    return _share(copied, balance.bytes, "byte of text")


@measure(
    "rejects_share",
    "rows that could not be read or may not be released",
    overall_only="a row that could not be read has no source",
    remedy="mend or remove these rows; the table rejects has the reason of each",
    rows=Rows(REJECTS),
)
def rejects_share(scope: Scope) -> float:
    rejects = scope.report.rejects
    if not rejects.rows and not scope.report.total.documents:
        raise Unmeasured("there is no row")
    return rejects.share


def _of_type(scope: Scope) -> pc.Expression:
    """The findings that a rule about one type counts, or about none."""
    if scope.type is not None:
        return (pc.field("type") == scope.type) & (pc.field("action") != CUT)
    kept = [action for action in UNCHANGED if action is not None]
    changed = pc.field("action").is_valid() & ~pc.field("action").isin(kept)
    return changed & ~pc.field("type").isin(list(MARKER_TYPES))


@measure(
    "findings_per_million_words",
    "personal data and secrets that a release would change, or all findings of a type",
    unit="per M words",
    needs=("pii.enabled",),
    takes_type=True,
    remedy="`unrote clean` and `unrote scrub` replace what pii.actions says",
    rows=Rows(FINDINGS, _of_type),
)
def findings_per_million_words(scope: Scope) -> float:
    if scope.type is not None:
        return _per_million(scope, lambda row: row.type == scope.type)
    return _per_million(
        scope, lambda row: row.type not in MARKER_TYPES and row.action not in UNCHANGED
    )


TRACES = tuple(sorted(set(MARKER_TYPES) - {RESERVED_VALUE}))
"""A reserved value is no trace: its score says that it is one, not how it came there."""


@measure(
    "markers_per_million_words",
    "traces of earlier de-identification",
    unit="per M words",
    needs=("pii.enabled", "pii.markers"),
    remedy="`unrote clean` and `unrote scrub` replace or remove them",
    rows=Rows(FINDINGS, lambda _: pc.field("type").isin(TRACES) & (pc.field("action") != CUT)),
)
def markers_per_million_words(scope: Scope) -> float:
    return _per_million(scope, lambda row: row.type in TRACES)


@measure(
    "secrets_per_million_words",
    "API keys, tokens and private keys",
    unit="per M words",
    needs=("pii.enabled", "pii.secrets"),
    remedy="revoke them; `unrote clean` and `unrote scrub` replace them",
    rows=Rows(FINDINGS, lambda _: (pc.field("type") == SECRET) & (pc.field("action") != CUT)),
)
def secrets_per_million_words(scope: Scope) -> float:
    return _per_million(scope, lambda row: row.type == SECRET)


def _per_million(scope: Scope, counts: Callable[[FoundSource], bool]) -> float:
    """Findings in the text that deduplication leaves, per million words of it."""
    assert scope.report.findings is not None  # pii.enabled, see `needs`
    found_in = scope.report.findings
    rows = found_in.by_source if scope.shard is None else found_in.by_shard
    if any(row.type is None for row in rows):
        # Not zero but unknown: a gate must not pass what nobody measured.
        raise RunError(
            "there are more types and sources of findings than a report lists, so that they cannot "
            "be measured one by one. Let input.source name a field with fewer values, and give the "
            "gate fewer shards at a time where a rule is about each."
        )
    own = scope.balance.source
    found = sum(
        row.findings
        for row in rows
        if counts(row) and row.action != CUT and own in {None, row.source}
    )
    if not scope.balance.words_kept:
        raise Unmeasured("deduplication and rejects leave no word in which to find anything")
    return 1e6 * found / scope.balance.words_kept


MEMORIZATION = ("memorization.enabled",)

LESS_RISK = (
    'remove copies with `unrote clean`, and sequences with memorization.action = "remove-sequence"'
)


def _in_category(scope: Scope) -> pc.Expression | None:
    return None if scope.category is None else pc.field("category") == scope.category


def _risk_column(scope: Scope) -> str:
    view = "" if scope.view == "released" else f"_{scope.view}"
    return f"risk{view}" + ("" if scope.band == "middle" else f"_{scope.band}")


def _at_risk(scope: Scope) -> pc.Expression:
    """The sequences that may be at risk: the high end of the band decides."""
    threshold = scope.report.settings["memorization"]["threshold"]
    risky, own = pc.field(_risk_column(scope)) >= threshold, _in_category(scope)
    return risky if own is None else risky & own


RISKIEST = Rows(SCORES, _in_category, _risk_column, counted=False)
AT_RISK_FIRST = Rows(SCORES, _at_risk, _risk_column)


@measure(
    "hot_documents_share",
    "documents in LSH buckets so large that they were taken apart",
    needs=("dedup.near.enabled",),
    overall_only="a bucket goes across sources",
    remedy="look for a line or template that most documents have (table duplicates), and cut it",
)
def hot_documents_share(scope: Scope) -> float:
    return _share(scope.report.hot_documents, scope.report.total.documents)


@measure(
    "documents",
    "documents that deduplication and detectors leave",
    unit="",
    lowest=True,
    remedy="add documents, or lower the limit",
)
def documents(scope: Scope) -> float:
    return float(_kept(scope).documents)


@measure(
    "bytes",
    "bytes of text that deduplication and detectors leave",
    unit="bytes",
    lowest=True,
    remedy="add text, or lower the limit",
)
def bytes_left(scope: Scope) -> float:
    return float(_kept(scope).bytes)


def _kept(scope: Scope) -> Amount:
    """What is left. Raises Unmeasured where nothing came in."""
    if not scope.balance.documents:
        raise Unmeasured("there is no document")
    return scope.balance.kept


@measure(
    "expected_extracted",
    "expected number of sequences extractable from memorization.target",
    unit="",
    needs=MEMORIZATION,
    takes_view=True,
    takes_band=True,
    takes_target=True,
    remedy=LESS_RISK,
    rows=RISKIEST,
)
def expected_extracted(scope: Scope) -> float:
    """The high end of the band, unless the rule asks for another: the bad end decides."""
    if scope.target is not None:
        return float(getattr(_of_size(scope, scope.target), EXPECTED[scope.band]))
    return float(sum(getattr(step, EXPECTED[scope.band]) for step, _ in _steps(scope)))


@measure(
    "extracted_per_million_words",
    "expected number of extractable sequences, for each million words",
    unit="per M words",
    needs=MEMORIZATION,
    takes_view=True,
    takes_band=True,
    remedy=LESS_RISK,
    rows=RISKIEST,
)
def extracted_per_million_words(scope: Scope) -> float:
    return _for_a_million(expected_extracted(scope), scope)


@measure(
    "sequences_at_risk",
    "sequences whose risk may be memorization.threshold or more",
    unit="",
    needs=MEMORIZATION,
    takes_view=True,
    remedy=LESS_RISK,
    rows=AT_RISK_FIRST,
)
def sequences_at_risk(scope: Scope) -> float:
    return sum(step.at_risk for step, _ in _steps(scope))


@measure(
    "at_risk_per_million_words",
    "sequences at risk, for each million words",
    unit="per M words",
    needs=MEMORIZATION,
    takes_view=True,
    remedy=LESS_RISK,
    rows=AT_RISK_FIRST,
)
def at_risk_per_million_words(scope: Scope) -> float:
    return _for_a_million(sequences_at_risk(scope), scope)


def _of_size(scope: Scope, target: str) -> RiskSize:
    """The expected numbers for a target of another size. Raises ConfigError for one that is not
    scored, Unmeasured where no sequence is.
    """
    _steps(scope)
    found = scope.report.memorization
    assert found is not None  # memorization.enabled, see `needs`
    for one in found.sizes:
        if one.parameters == size_of(target):
            return one
    sizes = ", ".join(written_size(one.parameters) for one in found.sizes) or "none"
    raise ConfigError(
        f"the policy is about a target of {target} parameters. Scored are {sizes}; for another set "
        "memorization.target.parameters and leave target out."
    )


def _for_a_million(number: float, scope: Scope) -> float:
    words = sum(words for _, words in _steps(scope))
    if not words:
        raise Unmeasured("there is no word in the documents that have sequences")
    return 1e6 * number / words


def _steps(scope: Scope) -> list[tuple[Expected, int]]:
    """The memorization risk of each source in the scope, and its words.

    Words, like the sequences, are those of the documents that deduplication leaves and no detector
    rejects, before `memorization.action` takes any out: a gate is about what is there.
    """
    found = scope.report.memorization
    assert found is not None  # memorization.enabled, see `needs`
    own = scope.balance.source
    known = found.by_source if scope.shard is None else found.by_shard
    rows = [row for row in known if own in {None, row.source}]
    if not rows and any(row.source is None for row in known):
        # Not zero but unknown: a gate must not pass what nobody measured.
        raise RunError(
            "there are more sources than a report lists, so that the memorization risk of "
            f"{own!r} is not known. Let input.source name a field with fewer values, or give the "
            "gate fewer shards at a time."
        )
    if not any(step.sequences for row in rows for step in row.steps):
        raise Unmeasured("there is no sequence whose memorization risk could be scored")
    if nothing := unread(found):
        raise Unmeasured(nothing)
    if scope.category is not None:
        return [
            (one, row.words)
            for row in rows
            for one in row.categories
            if one.category == scope.category
        ]
    return [(step, row.words) for row in rows for step in row.steps if step.view == scope.view]


EVALUATED = ("contamination.sets",)

CLEAN_OF_TESTS = 'set contamination.action = "cut" or "remove" for `unrote clean`'


def _of_set(scope: Scope) -> pc.Expression:
    """The passages that count, of one evaluation set or of all."""
    counts = pc.field("contaminated")
    return counts if scope.set is None else counts & (pc.field("set") == scope.set)


def _sets(scope: Scope) -> list[ContaminatedSet]:
    """The evaluation sets that a rule is about. Raises Unmeasured where nothing can be found."""
    found = scope.report.contamination
    assert found is not None  # contamination.sets, see `needs`
    sets = [one for one in found.sets if scope.set in {None, one.set}]
    if not sets:
        names = ", ".join(repr(display.name(one.set)) for one in found.sets)
        raise ConfigError(
            f"the policy is about the evaluation set '{display.name(scope.set or '')}', and there "
            f"are {names}."
        )
    if empty := [one.set for one in sets if not one.items]:
        raise Unmeasured(f"no item of {display.name(empty[0])} has 8 words, so none is looked for")
    if not scope.report.total.documents:
        raise Unmeasured("there is no document")
    return sets


@measure(
    "contaminated_share",
    "items of an evaluation set that the corpus contains (of the set with the most)",
    needs=EVALUATED,
    overall_only="what an item shares may stand in several",
    takes_set=True,
    remedy=CLEAN_OF_TESTS,
    rows=Rows(CONTAMINATION, _of_set, counted=False),
)
def contaminated_share(scope: Scope) -> float:
    return max(one.share for one in _sets(scope))


@measure(
    "contaminated_items",
    "items of evaluation sets that the corpus contains",
    unit="",
    needs=EVALUATED,
    overall_only="what an item shares may stand in several",
    takes_set=True,
    remedy=CLEAN_OF_TESTS,
    rows=Rows(CONTAMINATION, _of_set, counted=False),
)
def contaminated_items(scope: Scope) -> float:
    return sum(one.contaminated for one in _sets(scope))


TOLD = ("languages.enabled",)

OTHER_TEXT = "remove the documents that `unrote show` lists, or sort them by the table {}"


def _named(column: str, *, others: bool = False) -> Callable[[Scope], pc.Expression]:
    """The rows of the languages or scripts that a rule lists, or of all others."""

    def condition(scope: Scope) -> pc.Expression:
        named = pc.field(column).isin(list(scope.names))
        return ~named if others else named

    return condition


def _share_of_letters(rows: tuple[ToldSource, ...], scope: Scope, *, others: bool) -> float:
    """The letters of the languages or scripts that a rule lists, or of all others, of all."""
    own = scope.balance.source
    if any(row.name is None for row in rows):
        # Not zero but unknown: a gate must not pass what nobody measured.
        raise RunError(
            "there are more languages, scripts and sources than a report lists, so that they "
            "cannot be measured one by one. Let input.source name a field with fewer values, and "
            "give the gate fewer shards at a time where a rule is about each."
        )
    rows = tuple(row for row in rows if own in {None, row.source})
    counted = sum(row.letters for row in rows if (row.name in scope.names) is not others)
    return _share(counted, sum(row.letters for row in rows), "letter")


def _languages(scope: Scope) -> tuple[ToldSource, ...]:
    found = scope.report.languages
    assert found is not None  # languages.enabled, see `needs`
    return found.languages if scope.shard is None else found.languages_by_shard


def _scripts(scope: Scope) -> tuple[ToldSource, ...]:
    found = scope.report.languages
    assert found is not None  # languages.enabled, see `needs`
    return found.scripts if scope.shard is None else found.scripts_by_shard


@measure(
    "language_share",
    "letters in documents of these languages",
    needs=TOLD,
    takes_names="languages",
    remedy=OTHER_TEXT.format("languages"),
    rows=Rows(LANGUAGES, _named("language"), lambda _: "letters", counted=False),
)
def language_share(scope: Scope) -> float:
    return _share_of_letters(_languages(scope), scope, others=False)


@measure(
    "other_language_share",
    "letters in documents of other languages than these",
    needs=TOLD,
    takes_names="languages",
    remedy=OTHER_TEXT.format("languages"),
    rows=Rows(LANGUAGES, _named("language", others=True), lambda _: "letters", counted=False),
)
def other_language_share(scope: Scope) -> float:
    """What is in no known language is in another, unless the rule lists "unknown"."""
    return _share_of_letters(_languages(scope), scope, others=True)


@measure(
    "script_share",
    "letters of these scripts",
    needs=TOLD,
    takes_names="scripts",
    remedy=OTHER_TEXT.format("scripts"),
    rows=Rows(SCRIPTS, _named("script"), lambda _: "letters", counted=False),
)
def script_share(scope: Scope) -> float:
    return _share_of_letters(_scripts(scope), scope, others=False)


@measure(
    "other_script_share",
    "letters of other scripts than these",
    needs=TOLD,
    takes_names="scripts",
    remedy=OTHER_TEXT.format("scripts"),
    rows=Rows(SCRIPTS, _named("script", others=True), lambda _: "letters", counted=False),
)
def other_script_share(scope: Scope) -> float:
    return _share_of_letters(_scripts(scope), scope, others=True)


class Rule(BaseModel):
    """One line of a policy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: str = Field(description="What is measured.")
    limit: float = Field(
        ge=0,
        allow_inf_nan=False,
        description="The highest value that passes; of documents and bytes the lowest.",
    )
    source: str | None = Field(default=None, description="Only this source.")
    each_source: bool = Field(default=False, description="Every source on its own.")
    each_shard: bool = Field(default=False, description="Every shard on its own.")
    type: str | None = Field(default=None, description="Only findings of this type.")
    view: Literal["input", "deduplicated", "released"] | None = Field(
        default=None,
        description="Memorization in the input, the deduplicated or the released text; without, "
        "the released text.",
    )
    category: Literal["recite", "reconstruct", "recollect"] | None = Field(
        default=None, description="Memorization of one kind of sequences of the released text."
    )
    band: Literal["low", "middle", "high"] | None = Field(
        default=None,
        description="Which end of the band of expected numbers; without, the high one.",
    )

    set: str | None = Field(default=None, description="Only items of this evaluation set.")
    target: str | None = Field(
        default=None,
        description='A model of so many parameters ("70B") in the place of memorization.target.',
    )
    languages: tuple[str, ...] = Field(
        default=(), description='The languages that it is about, by ISO 639, or "unknown".'
    )
    scripts: tuple[str, ...] = Field(
        default=(), description="The scripts that it is about, by ISO 15924."
    )

    @field_validator("measure")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in MEASURES:
            near = difflib.get_close_matches(name, MEASURES, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"no such measure; {hint}There are {', '.join(sorted(MEASURES))}")
        return name

    @model_validator(mode="after")
    def _of_sequences(self) -> "Rule":
        found = MEASURES[self.measure]
        if self.category is not None and not found.takes_view:
            takes = ", ".join(name for name, one in MEASURES.items() if one.takes_view)
            raise ValueError(f"{self.measure} has no categories. Leave category out; {takes} have")
        if self.category is not None and self.view not in {None, "released"}:
            raise ValueError(
                f"categories are those of the released text, and view is {self.view!r}. Leave one "
                "of them out"
            )
        if self.band is not None and not found.takes_band:
            takes = ", ".join(name for name, one in MEASURES.items() if one.takes_band)
            raise ValueError(f"{self.measure} has no band. Leave band out; {takes} have")
        return self

    @model_validator(mode="after")
    def _sensible(self) -> "Rule":
        found = MEASURES[self.measure]
        if self.source is not None and self.each_source:
            raise ValueError("source and each_source exclude each other; write two rules")
        if found.overall_only and (self.each_source or self.source is not None):
            raise ValueError(
                f"{self.measure} has no sources: {found.overall_only}. Leave source and "
                "each_source out"
            )
        if self.type is not None and not found.takes_type:
            takes = ", ".join(name for name, one in MEASURES.items() if one.takes_type)
            raise ValueError(
                f"{self.measure} has no types of findings. Leave type out; {takes} has"
            )
        if self.type is not None:
            try:
                if not re.fullmatch(ENTITY_NAME, self.type):
                    check_entity(self.type, _KNOWN_TYPES)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        if self.view is not None and not found.takes_view:
            takes = ", ".join(name for name, one in MEASURES.items() if one.takes_view)
            raise ValueError(f"{self.measure} has no views. Leave view out; {takes} have")
        if found.unit == "share" and self.limit > 1:
            raise ValueError(
                f"the limit {self.limit:g} of {self.measure} is more than all; shares are 0 to 1, "
                f"so {self.limit:g} percent is {self.limit / 100:g}"
            )
        return self

    @model_validator(mode="after")
    def _of_names(self) -> "Rule":
        wanted = MEASURES[self.measure].takes_names
        for kind, known in (
            ("languages", (*KNOWN_LANGUAGES, UNKNOWN)),
            ("scripts", script_codes()[1:]),
        ):
            given: tuple[str, ...] = getattr(self, kind)
            if given and wanted != kind:
                takes = ", ".join(n for n, one in MEASURES.items() if one.takes_names == kind)
                raise ValueError(f"{self.measure} has no {kind}. Leave {kind} out; {takes} have")
            if wanted == kind and not given:
                raise ValueError(f'{self.measure} is about none. Give {kind} = ["…"]')
            if strange := [name for name in given if name not in known]:
                near = difflib.get_close_matches(strange[0], known, 3, 0.3)
                hint = f" Near it: {', '.join(near)}." if near else ""
                raise ValueError(
                    f"{kind}: {strange[0]!r} is none that is told.{hint} "
                    f"Known: {', '.join(sorted(known))}"
                )
        return self

    @model_validator(mode="after")
    def _of_shards(self) -> "Rule":
        if not self.each_shard:
            return self
        if self.measure not in OF_SHARDS:
            raise ValueError(
                f"{self.measure} is not known by shard. Leave each_shard out; "
                f"{', '.join(OF_SHARDS)} are"
            )
        if self.source is not None or self.each_source:
            raise ValueError("each_shard and sources exclude each other; write two rules")
        return self

    @model_validator(mode="after")
    def _of_a_set(self) -> "Rule":
        if self.set is not None and not MEASURES[self.measure].takes_set:
            takes = ", ".join(name for name, one in MEASURES.items() if one.takes_set)
            raise ValueError(f"{self.measure} has no evaluation sets. Leave set out; {takes} have")
        return self

    @model_validator(mode="after")
    def _for_a_target(self) -> "Rule":
        if self.target is None:
            return self
        if not MEASURES[self.measure].takes_target:
            takes = ", ".join(name for name, one in MEASURES.items() if one.takes_target)
            raise ValueError(f"{self.measure} has no targets. Leave target out; {takes} has")
        parts = (self.category, self.source is not None, self.each_source, self.each_shard)
        if any(parts) or self.view:
            raise ValueError(
                "a target of another size is for the released text of the whole corpus. Leave "
                "category, source, each_source, each_shard and view out"
            )
        try:
            size_of(self.target)
        except ConfigError as error:
            raise ValueError(f"target: {error}") from None
        return self


OF_SHARDS = tuple(name for name, one in MEASURES.items() if not one.overall_only)
"""Measures that are known by shard: those that are known by source."""


class Policy(BaseModel):
    """What a corpus has to fulfil before anything is trained on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum_documents: int = Field(
        default=1, ge=1, description="Fewer documents than this, as they are read, are refused."
    )
    minimum_bytes: int = Field(
        default=0, ge=0, description="Fewer bytes of text (UTF-8) than this are refused."
    )
    rule: list[Rule] = Field(default=[], description="The rules; all of them must pass.")

    def require_rules(self, name: str) -> None:
        """Raise ConfigError where the policy asks for nothing."""
        if not self.rule and not self.model_fields_set & {"minimum_documents", "minimum_bytes"}:
            raise ConfigError(
                f"{name} has no rule, so everything would pass. Add at least one: "
                '[[rule]] measure = "near_share" limit = 0.05.'
            )


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in the TOML file `path`. Raises ConfigError, which names all that is wrong."""
    try:
        policy = Policy.model_validate(read_toml(path))
    except ValidationError as error:
        raise ConfigError(*describe(error, Policy, f"{path}: ")) from None
    policy.require_rules(str(path))
    return policy


def check_policy(policy: Policy, settings: Mapping[str, Any]) -> None:
    """Raise ConfigError for rules whose analysis is off in `settings`: ask before a run."""
    for number, rule in enumerate(policy.rule, 1):
        for need in MEASURES[rule.measure].needs:
            if need in EVALUATED and not _enabled(settings, need):
                raise ConfigError(
                    f"rule {number} of the policy limits {rule.measure}, and no evaluation set is "
                    "named. Name one with --against FILE or contamination.sets, or remove the rule."
                )
            if not _enabled(settings, need):
                raise ConfigError(
                    f"rule {number} of the policy limits {rule.measure}, which cannot be measured "
                    f"while {need} is false. Set it to true, or remove the rule."
                )
        if rule.type is not None:
            _check_type(number, rule.type, settings.get("pii") or {})


def _check_type(number: int, type_: str, pii: Mapping[str, Any]) -> None:
    """Raise ConfigError for a type that nothing in the settings `pii` looks for: it would always be
    within its limit. A model, and a recogniser that is imported, may have any.
    """
    if pii.get("ner") or any(":" in name for name in pii.get("recognizers", ())):
        return
    own = [pattern["name"] for pattern in pii.get("patterns", ())]
    try:
        check_entity(type_, (*_KNOWN_TYPES, *own))
    except ConfigError as error:
        raise ConfigError(f"rule {number} of the policy: {error}") from None


def _enabled(settings: Mapping[str, Any], path: str) -> bool:
    value: Any = settings
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value is True or (isinstance(value, list) and bool(value))


def results_of(policy: Policy, report: Report) -> tuple[RuleResult, ...]:
    """How the corpus measures up: a result for each rule and source it is about, before them those
    of the minima that the policy names or the corpus misses.

    Raises ConfigError for a rule about a source that the corpus does not have, or about every
    source where there are more than a report lists.
    """
    policy.require_rules("the policy")
    check_policy(policy, report.settings)
    return (
        *_minima(policy, report),
        *_scored(report),
        *(
            _result(number, rule, scope)
            for number, rule in enumerate(policy.rule, 1)
            for scope in scopes_of(number, rule, report)
        ),
    )


def _minima(policy: Policy, report: Report) -> Iterator[RuleResult]:
    """Whether there is as much as there must be. A minimum that nobody named is shown if broken."""
    found = {
        "minimum_documents": (report.total.documents, "documents that were read", ""),
        "minimum_bytes": (report.total.bytes, "bytes of text that were read", "bytes"),
    }
    for name, (number, description, unit) in found.items():
        limit, reason = getattr(policy, name), ""
        if name == "minimum_documents" and not number:
            reason = report.nothing_read
        if name in policy.model_fields_set or number < limit:
            yield RuleResult(
                rule=None,
                measure=name,
                description=description,
                unit=unit,
                source=None,
                limit=limit,
                lowest=True,
                measured=number,
                passed=number >= limit,
                reason=reason,
                remedy="" if number >= limit else "add documents, or lower the minimum",
            )


def _scored(report: Report) -> Iterator[RuleResult]:
    """A broken rule where the reference model should have read the text and read nothing, whatever
    the policy asks: a run that was to look and did not is no ground to pass.
    """
    found = report.memorization
    if found is not None and report.total.words_kept and (nothing := unread(found)):
        yield RuleResult(
            rule=None,
            measure="minimum_sequences",
            description="sequences that the reference model read, where there is text",
            unit="",
            source=None,
            limit=1,
            lowest=True,
            measured=0,
            passed=False,
            reason=nothing,
            remedy="let the reference model read more: memorization.max_tokens, memorization.model",
        )


def evaluate(policy: Policy, report: Report) -> Report:
    """The report with the policy's verdict in it."""
    rules = results_of(policy, report)
    verdict = Verdict(passed=all(rule.passed for rule in rules), rules=rules)
    return report.model_copy(update={"verdict": verdict})


def scopes_of(number: int, rule: Rule, report: Report) -> Iterator[Scope]:
    """What a rule is about: the corpus, or sources of it; number: the rule's in the policy, from 1.

    Raises ConfigError as `results_of`.
    """
    view, band = rule.view or "released", rule.band or "high"
    names = rule.languages or rule.scripts
    if rule.each_shard:
        for balance in _of_each_shard(number, report):
            yield Scope(
                report, balance, rule.type, view, rule.category, band, shard=balance.source,
                names=names,
            )  # fmt: skip
        return
    for balance in _balances(number, rule, report):
        yield Scope(
            report, balance, rule.type, view, rule.category, band, rule.set, rule.target,
            names=names,
        )  # fmt: skip


def _of_each_shard(number: int, report: Report) -> tuple[Balance, ...]:
    if report.input.shards != len(report.by_shard):
        raise ConfigError(
            f"rule {number} of the policy is about each shard, and of {report.input.shards:,} "
            f"shards {len(report.by_shard):,} are known one by one. Give the gate fewer at a time, "
            "or leave each_shard out."
        )
    return report.by_shard


def _balances(number: int, rule: Rule, report: Report) -> Iterator[Balance]:
    if rule.each_source:
        if report.other_sources is not None:
            raise ConfigError(
                f"rule {number} of the policy is about each source, and there are "
                f"{report.input.sources:,} of them, more than a report lists. Name sources one by "
                "one, or let input.source name a field with fewer values."
            )
        yield from report.by_source
    elif rule.source is not None:
        found = [balance for balance in report.by_source if balance.source == rule.source]
        if not found:
            raise ConfigError(_unknown_source(number, rule.source, report))
        yield found[0]
    else:
        yield report.total


def _unknown_source(number: int, source: str, report: Report) -> str:
    names = [balance.source or "" for balance in report.by_source]
    near = difflib.get_close_matches(source, names, 1)
    hint = f" Did you mean '{display.name(near[0])}'?" if near else ""
    listed = ", ".join(f"'{display.name(name)}'" for name in names[:20]) or "none"
    more = f" and {report.input.sources - 20:,} more" if report.input.sources > 20 else ""
    return (
        f"rule {number} of the policy is about the source '{display.name(source)}', which the "
        f"corpus does not have.{hint} Its sources: {listed}{more}."
    )


def _name(rule: Rule) -> str:
    """The measure, and what it is of."""
    return " ".join(
        [
            rule.measure,
            *([f"of {rule.type}"] if rule.type is not None else ()),
            *([f"for {rule.target}"] if rule.target is not None else ()),
            *([f"of {rule.set}"] if rule.set is not None else ()),
            *([f"({', '.join(names)})"] if (names := rule.languages or rule.scripts) else ()),
            *([f"of what is there to {rule.category}"] if rule.category is not None else ()),
            *(f"({part})" for part in (rule.view, rule.band) if part is not None),
        ]
    )


def _result(number: int, rule: Rule, scope: Scope) -> RuleResult:
    found, value, reason = MEASURES[rule.measure], None, ""
    try:
        value = found.function(scope)
    except Unmeasured as nothing:
        reason = str(nothing)
    passed = value is not None and (value >= rule.limit if found.lowest else value <= rule.limit)
    return RuleResult(
        rule=number,
        measure=_name(rule),
        description=found.description,
        unit=found.unit,
        source=None if scope.shard is not None else scope.balance.source,
        shard=scope.shard,
        limit=rule.limit,
        lowest=found.lowest,
        measured=value,
        passed=passed,
        reason=reason,
        remedy="" if passed or value is None else found.remedy,
    )
