"""What a report says, whichever way it is shown. `report.json` is this, key for key.

A report is built from the manifest and the small tables of `pipelines.report.summary`; the text it
shows comes through one function that the job supplies, so that there is one place to scrub it.
"""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import orjson
import pyarrow as pa
from pydantic import Field, ValidationError

from unrote.corpus import display
from unrote.corpus.errors import InputError
from unrote.corpus.schema import LANGUAGES, SCRIPTS, Table, row_of, shard_of
from unrote.dedup.prefixes import HOT_DOCUMENTS_OF_BUCKET
from unrote.memorization.reference_model import ReferenceModel
from unrote.pii.findings import CUT, TIMED_OUT
from unrote.pii.keys import KEY_VARIABLE
from unrote.pii.ner import LoadedModel
from unrote.pipelines.config import Settings
from unrote.pipelines.report.formatting import count, counted, share
from unrote.pipelines.report.memorization import Memorization, excerpts, memorization
from unrote.pipelines.report.memorization import notes as memorization_notes
from unrote.pipelines.report.part import Part
from unrote.pipelines.report.word_diff import COMPARED, NearCopy, word_diff
from unrote.pipelines.summary.clusters import CLUSTERS, COPIES_OF_REJECTED
from unrote.pipelines.summary.contamination import BUCKETS, CONTAMINATED_SETS
from unrote.pipelines.summary.findings import (
    FINDING_EXAMPLES,
    FINDING_VALUES,
    FINDINGS_BY_KIND,
    FINDINGS_BY_SOURCE,
)
from unrote.pipelines.summary.languages import LANGUAGE_TOTALS
from unrote.pipelines.summary.passages import PASSAGES
from unrote.pipelines.summary.phase import SUMMARIES
from unrote.pipelines.summary.rejects import FIRST_REJECTS, REJECT_REASONS
from unrote.pipelines.summary.totals import MEASURES, TOTALS

FORMAT = 1
UNCHANGED = frozenset({"keep", CUT, None})
"""Actions of findings that left the text as it was."""

PACKAGES = (
    "numpy", "numba", "pyarrow", "presidio-analyzer", "phonenumbers", "regex", "torch",
)  # fmt: skip
"""Packages that can decide a result."""

EXCERPT = 200
"""Code points of text that a report shows of a document or passage."""

Excerpt = Callable[[int, int, int], tuple[str, str]]
"""(doc, start, length) → the document's id, and text of it that the output may hold: what stands
from code point `start` of the input, at most `length` code points."""

Example = Callable[[int, int, int, int, str], str]
"""(doc, field, start, end, type) → the finding there, masked."""


class Amount(Part):
    documents: int
    bytes: int = Field(description="UTF-8 bytes of text.")
    share: float = Field(description="Of the input's bytes of text, 0 … 1.")


class Balance(Part):
    """What came in and what became of it, for all sources or for one."""

    source: str | None = Field(description="null: several sources.")
    sources: int = Field(description="How many sources this adds up.")
    documents: int
    bytes: int = Field(description="UTF-8 bytes of text.")
    words: int
    exact: Amount = Field(description="Removed: the same text as a document that stays.")
    near: Amount = Field(description="Removed: similar to a document that stays.")
    remainder: Amount = Field(description="Removed: nothing was left but duplicate passages.")
    passages: Amount = Field(
        description="Documents that stay with duplicate passages in them, and the passages' bytes."
    )
    rejected: Amount = Field(
        description="Rejected: a detector could not finish it, or it holds what is not released."
    )
    at_risk: Amount = Field(
        description="Removed as at risk of memorization: documents of which sequences are "
        "taken out or that went as a whole, and the bytes that went."
    )
    contaminated: Amount = Field(
        default=Amount(documents=0, bytes=0, share=0.0),
        description="Removed as shared with an evaluation set: documents that lose passages or "
        "went as a whole, and the bytes that went.",
    )
    kept: Amount = Field(
        description="What is left, or would be left, before personal data is replaced."
    )
    passage_rows: int = Field(description="Rows of the table `spans`.")
    passage_chars: int = Field(description="Code points of text in duplicate passages.")
    uncut_rows: int = Field(description="Rows of the table `uncut`.")
    uncut_bytes: int = Field(description="Bytes of duplicate passages that were found and not cut.")
    words_kept: int = Field(description="Words of the documents that are kept.")
    ids_derived: int = Field(description="Documents that had no id and were given one.")

    @property
    def parts(self) -> dict[str, Amount]:
        """What is duplicate, by reason."""
        return {
            "exact": self.exact,
            "near": self.near,
            "remainder": self.remainder,
            "passages": self.passages,
        }

    @property
    def duplicate_share(self) -> float:
        """The share of the bytes that are duplicate."""
        return sum(part.share for part in self.parts.values())

    @property
    def removed_documents(self) -> int:
        return self.documents - self.kept.documents - self.rejected.documents


class Input(Part):
    shards: int
    size: int = Field(description="Bytes of the shards as they are stored.")
    sources: int
    passed_over: tuple[str, ...] = Field(
        default=(), description="Files that lie there and were not read."
    )


class Output(Part):
    shards: int
    size: int = Field(description="Bytes of the cleaned shards as they are stored.")


class RejectReason(Part):
    reason: str | None = Field(description="null: all other reasons.")
    rows: int


class RejectedRow(Part):
    shard: str
    row: int
    reason: str


class Rejects(Part):
    """Rows that could not be read as documents, and documents that may not be released."""

    rows: int
    share: float = Field(description="Of all rows, 0 … 1.")
    reasons: tuple[RejectReason, ...] = Field(description="The most frequent first.")
    first: tuple[RejectedRow, ...] = Field(description="The first in the input.")


class FoundType(Part):
    """Findings of one type, in the documents that deduplication leaves."""

    type: str
    findings: int
    documents: int = Field(description="With such a finding.")
    changed: int = Field(description="Findings that were not kept, nor cut with a passage.")
    values: int = Field(description="Different values.")
    most_repeated_value: int = Field(description="How often the most repeated value was found.")
    most_repeated_surrogate: int | None = Field(
        description="How often the most repeated surrogate was put in; null: there are none."
    )
    examples: tuple[str, ...] = Field(description="A few values, masked.")


class FoundKind(Part):
    type: str | None = Field(description="null: all others.")
    origin: str | None = Field(description="The recogniser, or where a marker comes from.")
    action: str | None = Field(description='What was done; "cut": it went with a passage.')
    findings: int


class FoundSource(Part):
    type: str | None = Field(description="null: all others.")
    source: str | None
    action: str | None
    findings: int
    documents: int = Field(description="Each counts once for a type, at its first finding.")


class Findings(Part):
    """Personal data, secrets, and traces of earlier de-identification."""

    total: int
    changed: int
    types: tuple[FoundType, ...] = Field(description="The most frequent first.")
    kinds: tuple[FoundKind, ...] = Field(description="By type, origin and action.")
    by_source: tuple[FoundSource, ...] = Field(description="By type, source and action.")
    by_shard: tuple[FoundSource, ...] = Field(
        default=(),
        description="By type, shard and action, where a rule of a gate asks for it; `source` is "
        "then the shard's name.",
    )


class ContaminatedSet(Part):
    """Items of an evaluation set, by what they share with the corpus."""

    set: str
    items: int = Field(description="Those of 8 words or more, which are looked for.")
    short: int = Field(description="Those of fewer words, which are not looked for.")
    template: int = Field(
        description="Items with 8-grams that over 100 items of the set have; these 8-grams are not "
        "looked for."
    )
    contaminated: int = Field(description="Items that count by `contamination.rule`.")
    gpt3: int = Field(description="That count by GPT-3's rule.")
    llama2_not_clean: int = Field(description="Not clean by Llama 2's rule: 20 % or more.")
    llama2: int = Field(description="Dirty by Llama 2's rule: 80 % or more.")
    olmo: int = Field(description="That count by OLMo's rule.")
    overlaps: tuple[int, ...] = Field(
        description="Items by the share of their words in passages of 8 words or more that the "
        "corpus has: none, below 20, 40, 60, 80 and 100 %, all."
    )

    @property
    def share(self) -> float:
        """Of the items that are looked for."""
        return self.contaminated / self.items if self.items else 0.0


class Contamination(Part):
    """What evaluation sets share with the documents that deduplication leaves."""

    rule: str
    action: str
    sets: tuple[ContaminatedSet, ...]


class ToldSource(Part):
    """A language or a script in the documents of a source that deduplication leaves."""

    name: str | None = Field(
        description='A language by ISO 639, or "unknown"; a script by ISO 15924. null: all others.'
    )
    source: str | None
    documents: int
    letters: int


class Languages(Part):
    """Languages and scripts of the documents that deduplication leaves."""

    languages: tuple[ToldSource, ...] = Field(
        description="By source, most letters first; a document's letters are all of its language."
    )
    scripts: tuple[ToldSource, ...] = Field(
        description="By source, most letters first; a document counts for each of its scripts."
    )
    languages_by_shard: tuple[ToldSource, ...] = Field(
        default=(), description="By shard, where a rule of a gate asks for it."
    )
    scripts_by_shard: tuple[ToldSource, ...] = Field(default=(), description="The same.")

    def total(self, kind: Literal["languages", "scripts"]) -> tuple[ToldSource, ...]:
        """Of all sources together, most letters first."""
        found: dict[str | None, list[ToldSource]] = {}
        for row in getattr(self, kind):
            found.setdefault(row.name, []).append(row)
        rows = [
            ToldSource(
                name=name,
                source=None,
                documents=sum(row.documents for row in own),
                letters=sum(row.letters for row in own),
            )
            for name, own in found.items()
        ]
        return tuple(sorted(rows, key=lambda row: (row.name is None, -row.letters, row.name or "")))


class Cluster(Part):
    """A document that stays, and how many went because of it."""

    doc: int
    shard: str
    row: int
    id: str
    copies: int
    exact: int
    near: int
    bytes: int = Field(description="Of the copies.")
    excerpt: str
    near_copy: NearCopy | None = Field(
        default=None, description="The first near copy; null: there is none."
    )


class Passage(Part):
    """A passage that occurs more than once, where it occurs first."""

    doc: int
    shard: str
    row: int
    id: str
    start: int = Field(description="In code points of the input's text.")
    length: int = Field(description="In code points.")
    occurrences: int
    excerpt: str


class Phase(Part):
    name: str
    seconds: float
    input_bytes: int = Field(description="Bytes of the input that the phase read.")
    bytes_per_second: float | None = Field(description="null: the phase reads no input.")
    shuffled_bytes: int = Field(
        description="Bytes of rows that went from task to task: on Spark and Beam as they were "
        "sent, compressed; on the local engine as they lie in memory."
    )
    spilled_bytes: int = Field(description="Bytes written to disk because memory was short.")
    workers: int = Field(description="Threads or processes that the phase's tasks ran in.")
    rows: int = Field(description="Rows written to tables.")


class RuleResult(Part):
    """What a gate's rule asked and what was found."""

    rule: int | None = Field(
        description="Its number in the policy, from 1; null: a minimum, which is no [[rule]]."
    )
    measure: str
    description: str
    unit: str = Field(description='"share" is 0 … 1.')
    source: str | None = Field(description="null: the whole corpus.")
    shard: str | None = Field(default=None, description="null: the rule is about no shard.")
    limit: float
    lowest: bool = Field(
        default=False, description="Whether the limit is the lowest value that passes."
    )
    measured: float | None = Field(description="null: there was nothing to measure.")
    passed: bool
    reason: str = Field(
        default="", description='What was missing where nothing was measured; or "".'
    )
    remedy: str = Field(default="", description='What to do about it; "" where it passed.')
    documents: tuple[str, ...] = Field(
        default=(),
        description="The first documents that count for it, as `unrote show` takes them; of a rule "
        "that passed none.",
    )
    low: float | None = Field(
        default=None, description="The low end of the interval of 95 % of a sample; null: none."
    )
    high: float | None = Field(
        default=None, description="The high end, which the rule goes by; null: there is none."
    )
    fingerprints: tuple[str, ...] = Field(
        default=(), description="Of the first things that count for it, as a waiver takes them."
    )
    known: int = Field(
        default=0, description="Things that the baseline has: they are not in `measured`."
    )
    waived: int = Field(
        default=0, description="Things that a waiver names: they are not in `measured`."
    )
    with_accepted: float | None = Field(
        default=None,
        description="`measured` with what the baseline has and waivers name; null: it is the same.",
    )

    @property
    def accepted(self) -> bool:
        """Whether it passed for the sake of a baseline or a waiver."""
        if not self.passed or self.with_accepted is None:
            return False
        return self.with_accepted > self.limit


class UsedBaseline(Part):
    """The baseline that a verdict was held against."""

    file: str
    written: str = Field(description="The day, UTC.")
    things: int = Field(description="How many things it has, each as often as it was there.")


class UsedWaiver(Part):
    """A waiver, and what it did."""

    number: int = Field(description="In the file, from 1.")
    reason: str
    owner: str
    expires: str = Field(description="The last day (UTC) on which it holds.")
    expired: bool
    fingerprints: int = Field(description="How many it names.")
    unused: int = Field(description="Those of them that nothing in the corpus has.")


class Verdict(Part):
    passed: bool
    rules: tuple[RuleResult, ...]
    baseline: UsedBaseline | None = Field(
        default=None, description="null: it was held against none."
    )
    waivers: tuple[UsedWaiver, ...] = Field(default=(), description="In the order of the file.")


class Report(Part):
    format: Literal[1] = 1
    job: str
    version: str = Field(description="Of unrote.")
    fingerprint: str = Field(description="Digest of input and settings.")
    started: str = Field(description="ISO 8601, UTC.")
    finished: str = Field(description="ISO 8601, UTC.")
    cut: bool = Field(
        description="Whether duplicate passages are taken out of documents that stay."
    )
    input: Input
    output: Output | None = Field(description="null: no cleaned corpus was written.")
    total: Balance
    by_source: tuple[Balance, ...] = Field(description="The largest sources, by bytes.")
    by_shard: tuple[Balance, ...] = Field(
        default=(),
        description="The same for each shard, where a rule of a gate asks for it; `source` is then "
        "the shard's name.",
    )
    other_sources: Balance | None = Field(description="All others; null: there are none.")
    rejects: Rejects
    findings: Findings | None = Field(description="null: none were looked for.")
    memorization: Memorization | None = Field(
        default=None, description="null: it was not estimated."
    )
    contamination: Contamination | None = Field(
        default=None, description="null: no evaluation set was named."
    )
    languages: Languages | None = Field(default=None, description="null: they were not told.")
    clusters: tuple[Cluster, ...] = Field(description="Most copies first.")
    passages: tuple[Passage, ...] = Field(description="Largest length times occurrences first.")
    phases: tuple[Phase, ...] = Field(description="In the order in which they ran.")
    settings: dict[str, Any]
    environment: dict[str, str] = Field(description="Versions that can decide a result.")
    hot_buckets: int = Field(
        default=0, description="LSH buckets so large that they were taken apart."
    )
    hot_documents: int = Field(default=0, description="Documents in these.")
    copies_of_rejected: int = Field(
        default=0,
        description="Documents removed as copies of documents that were rejected later.",
    )
    notes: tuple[str, ...] = Field(description="What a reader should know, in sentences.")
    verdict: Verdict | None = Field(default=None, description="Of a gate; null otherwise.")

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against training on this."""
        return self.verdict is None or self.verdict.passed

    @property
    def nothing_read(self) -> str:
        """Why there is no document; "" where there are some."""
        if self.total.documents:
            return ""
        if not self.rejects.rows:
            return f"{counted(self.input.shards, 'input file')} held no row"
        first = f"; the first: {self.rejects.first[0].reason}" if self.rejects.first else ""
        rejected = "it was" if self.rejects.rows == 1 else "all of them were"
        return (
            f"of {counted(self.rejects.rows, 'row')} none could be read: {rejected} rejected{first}"
        )

    @property
    def headline(self) -> str:
        """What happened, in one sentence."""
        total, found = self.total, share(self.total.duplicate_share)
        if not total.documents:
            return "There were no documents to read."
        if self.job == "scrub" and self.findings is not None:
            counts = f"{counted(total.documents, 'document')} in, {count(total.kept.documents)} out"
            changed = f"{counted(self.findings.total, 'finding')}, {count(self.findings.changed)}"
            return f"{counts}: {changed} {'replaced' if self.output else 'to be replaced'}."
        if self.job == "score" and self.memorization is not None:
            return f"{counted(total.documents, 'document')} read: {self.memorization.finding}."
        if self.job == "gate":
            return (
                f"{counted(total.documents, 'document')} read: {found} of the bytes are duplicates."
            )
        counts = f"{counted(total.documents, 'document')} in, {count(total.kept.documents)} out"
        return f"{counts}: {found} of the bytes are duplicates."


def to_json(report: Report) -> bytes:
    """`report.json`: indented, keys in the order of the model."""
    stored = orjson.dumps(report.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    return display.json_text(stored.decode()).encode() + b"\n"


def from_json(content: bytes | str) -> Report:
    """The report in `report.json`. Raises InputError where it is not one."""
    try:
        return Report.model_validate(orjson.loads(content))
    except (orjson.JSONDecodeError, ValidationError) as error:
        what = str(error).splitlines()[0]
        raise InputError(
            f"this is no report.json of format {FORMAT}: {what}. Name one that this version wrote."
        ) from None


def build(
    manifest: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    excerpt: Excerpt,
    example: Example,
    unscanned: Sequence[str] = (),
    missing: Sequence[str] = (),
    near_copies: Mapping[int, int] | None = None,
    reference_model: ReferenceModel | None = None,
    ner_model: LoadedModel | None = None,
    scrubs: bool = True,
) -> Report:
    """The report of a run.

    manifest: as docs/architecture.md describes it. tables: the tables `SUMMARIES` by name; those
    that were not written are left out. excerpt: gives ids and text; called once for each of
    `excerpt_positions(tables)`. example: gives findings masked; called once for each of
    `example_positions(tables)`.
    near_copies: by document, its first near copy, of those in the table CLUSTERS that have one.
    unscanned: other columns of text that were not scanned. missing: columns that were to be read
    and of which no text was seen. reference_model, ner_model: of the run; None: none. scrubs:
    whether the detectors that scrub excerpts are installed.
    """
    rows = {t.name: tables[t.name].to_pylist() if t.name in tables else [] for t in SUMMARIES}
    settings = manifest["settings"]
    cut = Settings.model_validate(settings).cuts_passages
    total, named, others = _balances(rows[TOTALS.name], cut)
    shards = [shard["name"] for shard in manifest["input"]["shards"]]
    show = _Excerpts(shards, excerpt)
    scored = None
    if _estimated(settings):
        scored = memorization(settings, rows, reference_model, show.sequence)
    return Report(
        job=manifest["job"],
        version=manifest["unrote"],
        fingerprint=manifest["fingerprint"],
        started=manifest.get("started", ""),
        finished=manifest.get("finished", ""),
        cut=cut,
        input=Input(
            shards=len(shards),
            passed_over=tuple(manifest.get("passed_over", ())),
            size=sum(shard["size"] for shard in manifest["input"]["shards"]),
            sources=total.sources,
        ),
        output=_output(manifest["data"]),
        total=total,
        by_source=named,
        other_sources=others,
        rejects=_rejects(rows, total),
        memorization=scored,
        findings=_findings(rows, example) if _looked_for(settings) else None,
        contamination=_contamination(rows, settings),
        languages=_languages(rows, settings),
        clusters=tuple(
            show.cluster(row, (near_copies or {}).get(row["twin"])) for row in rows[CLUSTERS.name]
        ),
        passages=tuple(show.passage(row) for row in rows[PASSAGES.name]),
        phases=tuple(_phase(phase) for phase in manifest["phases"]),
        settings=settings,
        environment=manifest.get("environment", {}),
        hot_buckets=_hot(manifest, "hot_buckets"),
        hot_documents=_hot(manifest, "hot_documents"),
        copies_of_rejected=_copies_of_rejected(rows),
        notes=(
            *_notes(manifest, total, others, scrubs),
            *_warnings(manifest, rows, unscanned, missing),
            *_labels_left_out(ner_model),
            *(memorization_notes(scored) if scored is not None else ()),
        ),
    )


def excerpt_positions(
    tables: Mapping[str, pa.Table], near_copies: Mapping[int, int]
) -> list[tuple[int, int, int]]:
    """What `build` will ask `excerpt` for: (doc, start, length), in `doc` order, so that a job can
    read all of it in one pass.
    """
    clusters, passages = (
        tables[table.name].to_pylist() if table.name in tables else []
        for table in (CLUSTERS, PASSAGES)
    )
    return sorted(
        {(row["twin"], 0, EXCERPT) for row in clusters}
        | {(row["witness"], row["start"], min(row["length"], EXCERPT)) for row in passages}
        | {(doc, 0, COMPARED) for pair in near_copies.items() for doc in pair}
        | excerpts(tables, EXCERPT)
    )


def example_positions(tables: Mapping[str, pa.Table]) -> list[tuple[int, int, int, int, str]]:
    """What `build` will ask `example` for: (doc, field, start, end, type), in `doc` order."""
    rows = tables[FINDING_EXAMPLES.name].to_pylist() if FINDING_EXAMPLES.name in tables else []
    return sorted((r["document"], r["field"], r["start"], r["end"], r["type"]) for r in rows)


def environment() -> dict[str, str]:
    """What a job writes into its manifest: the versions that can decide a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found | {"platform": platform.platform()}


def summed(balances: Iterable[Balance]) -> Balance:
    """Several balances as one."""
    rows = list(balances)
    size = sum(row.bytes for row in rows)

    def amount(name: str) -> Amount:
        parts: list[Amount] = [getattr(row, name) for row in rows]
        return _amount(sum(p.documents for p in parts), sum(p.bytes for p in parts), size)

    names = (
        *("sources", "documents", "bytes", "words", "words_kept", "passage_rows", "passage_chars"),
        *("uncut_rows", "uncut_bytes", "ids_derived"),
    )
    numbers = {name: sum(getattr(row, name) for row in rows) for name in names}
    source = rows[0].source if len(rows) == 1 else None
    amounts: dict[str, Any] = {
        name: amount(name)
        for name in (
            "exact",
            "near",
            "remainder",
            "passages",
            "rejected",
            "at_risk",
            "contaminated",
            "kept",
        )
    }
    return Balance(source=source, **numbers, **amounts)


def _setting(settings: Mapping[str, Any], section: str, name: str) -> Any:
    return settings.get("dedup", {}).get(section, {}).get(name)


def _amount(documents: int, size: int, of: int) -> Amount:
    return Amount(documents=documents, bytes=size, share=size / of if of else 0.0)


def _balance(row: Mapping[str, Any], cut: bool) -> Balance:
    size = row["bytes"]
    parts = {r: (row[f"removed_{r}"], row[f"bytes_{r}"]) for r in ("exact", "near", "remainder")}
    whole, whole_bytes = row["rejected_at_risk"], row["bytes_rejected_at_risk"]
    shared, shared_bytes = row["rejected_contaminated"], row["bytes_rejected_contaminated"]
    parts["rejected"] = (
        row["rejected"] - whole - shared,
        row["bytes_rejected"] - whole_bytes - shared_bytes,
    )
    kept_documents = row["documents"] - sum(documents for documents, _ in parts.values())
    kept_documents -= whole + shared
    kept_bytes = size - sum(removed for _, removed in parts.values()) - cut * row["bytes_passages"]
    kept_bytes -= row["bytes_at_risk"] + whole_bytes + row["bytes_contaminated"] + shared_bytes
    parts |= {
        "contaminated": (
            row["documents_contaminated"] + shared,
            row["bytes_contaminated"] + shared_bytes,
        ),
        "at_risk": (row["documents_at_risk"] + whole, row["bytes_at_risk"] + whole_bytes),
        "passages": (row["documents_cut"], row["bytes_passages"]),
        "kept": (kept_documents, kept_bytes),
    }
    names = ("source", "sources", "documents", "bytes", "words", "words_kept", "passage_chars")
    columns = {name: row[name] for name in (*names, "ids_derived")} | {
        "passage_rows": row["passages"],
        "uncut_rows": row["uncut"],
        "uncut_bytes": row["bytes_uncut"],
    }
    amounts: dict[str, Any] = {name: _amount(*part, size) for name, part in parts.items()}
    return Balance(**columns, **amounts)


def shard_balances(rows: list[dict[str, Any]], settings: Mapping[str, Any]) -> tuple[Balance, ...]:
    """A balance for each row of SHARD_TOTALS."""
    cut = Settings.model_validate(settings).cuts_passages
    return tuple(_balance(row, cut) for row in rows)


def _balances(
    rows: list[dict[str, Any]], cut: bool
) -> tuple[Balance, tuple[Balance, ...], Balance | None]:
    """All sources together, the named ones, and the others."""
    balances = [_balance(row, cut) for row in rows]
    named = tuple(balance for balance in balances if balance.source is not None)
    others = next((balance for balance in balances if balance.source is None), None)
    nothing = dict.fromkeys(("sources", *MEASURES), 0) | {"source": None}
    total = summed(balances) if balances else _balance(nothing, cut)
    return total.model_copy(update={"source": None}), named, others


def _output(data: list[dict[str, Any]]) -> Output | None:
    return Output(shards=len(data), size=sum(file["bytes"] for file in data)) if data else None


def _rejects(rows: Mapping[str, list[dict[str, Any]]], total: Balance) -> Rejects:
    reasons = rows[REJECT_REASONS.name]
    rejected = sum(row["rows"] for row in reasons)
    read = total.documents - sum(row["rejected"] for row in rows[TOTALS.name])
    return Rejects(
        rows=rejected,
        share=rejected / (rejected + read) if rejected else 0.0,
        reasons=tuple(RejectReason(reason=row["reason"], rows=row["rows"]) for row in reasons),
        first=tuple(
            RejectedRow(shard=row["shard"], row=row["row"], reason=row["reason"] or "")
            for row in rows[FIRST_REJECTS.name]
        ),
    )


def _contamination(
    rows: Mapping[str, list[dict[str, Any]]], settings: Mapping[str, Any]
) -> Contamination | None:
    ours = settings.get("contamination", {})
    if not ours.get("sets"):
        return None
    known = {row["set"]: row for row in rows[CONTAMINATED_SETS.name]}
    labels = [one["name"] or one["path"] for one in ours["sets"]]
    numbers = [name for name in ContaminatedSet.model_fields if name not in {"set", "overlaps"}]
    sets = [
        ContaminatedSet(
            set=label,
            overlaps=tuple(known[label][f"overlap_{n}"] for n in range(len(BUCKETS) + 1)),
            **{name: known[label][name] for name in numbers},
        )
        for label in labels
    ]
    return Contamination(rule=ours["rule"], action=ours["action"], sets=tuple(sets))


def told(rows: list[dict[str, Any]], kind: Table) -> tuple[ToldSource, ...]:
    """The languages or scripts in rows of LANGUAGE_TOTALS, or of SHARD_LANGUAGES."""
    names = tuple(ToldSource.model_fields)
    return tuple(
        ToldSource(**{name: row[name] for name in names})
        for row in rows
        if row["kind"] in {kind.name, None}
    )


def _languages(
    rows: Mapping[str, list[dict[str, Any]]], settings: Mapping[str, Any]
) -> Languages | None:
    if not settings.get("languages", {}).get("enabled"):
        return None
    own = rows[LANGUAGE_TOTALS.name]
    return Languages(languages=told(own, LANGUAGES), scripts=told(own, SCRIPTS))


def _looked_for(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("pii", {}).get("enabled"))


def _estimated(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("memorization", {}).get("enabled"))


def _findings(rows: Mapping[str, list[dict[str, Any]]], example: Example) -> Findings:
    sources = rows[FINDINGS_BY_SOURCE.name]
    shown: dict[str, list[str]] = {}
    for row in rows[FINDING_EXAMPLES.name]:
        location = (row["document"], row["field"], row["start"], row["end"])
        shown.setdefault(row["type"], []).append(
            display.excerpt(example(*location, row["type"]), EXCERPT)
        )
    values = {(row["type"], row["surrogate"]): row for row in rows[FINDING_VALUES.name]}
    types = []
    for type_, kind in values:
        if kind == 0:
            own = [row for row in sources if row["type"] == type_]
            drawn = values.get((type_, 1))
            types.append(
                FoundType(
                    type=type_,
                    findings=values[type_, 0]["findings"],
                    documents=sum(row["documents"] for row in own),
                    changed=sum(row["findings"] for row in own if row["action"] not in UNCHANGED),
                    values=values[type_, 0]["values"],
                    most_repeated_value=values[type_, 0]["most_repeated"],
                    most_repeated_surrogate=drawn and drawn["most_repeated"],
                    examples=tuple(dict.fromkeys(shown.get(type_, ()))),
                )
            )
    types.sort(key=lambda found: (-found.findings, found.type))
    kinds = [
        {name: row[name] for name in FoundKind.model_fields} for row in rows[FINDINGS_BY_KIND.name]
    ]
    return Findings(
        total=sum(found.findings for found in types),
        changed=sum(row["findings"] for row in sources if row["action"] not in UNCHANGED),
        types=tuple(types),
        kinds=tuple(FoundKind(**row) for row in kinds),
        by_source=found_sources(sources),
    )


def found_sources(rows: list[dict[str, Any]]) -> tuple[FoundSource, ...]:
    """From rows of FINDINGS_BY_SOURCE, or of SHARD_FINDINGS."""
    names = tuple(FoundSource.model_fields)
    return tuple(FoundSource(**{name: row[name] for name in names}) for row in rows)


def _hot(manifest: Mapping[str, Any], what: str) -> int:
    """Rows of a table of the phase that takes hot LSH buckets apart."""
    found = [p["rows"][what] for p in manifest["phases"] if p["name"] == "near-hot-buckets"]
    return int(found[0]) if found else 0


def _copies_of_rejected(rows: Mapping[str, list[dict[str, Any]]]) -> int:
    return sum(row["copies"] for row in rows[COPIES_OF_REJECTED.name])


def _warnings(
    manifest: Mapping[str, Any],
    rows: Mapping[str, list[dict[str, Any]]],
    unscanned: Sequence[str],
    missing: Sequence[str],
) -> Iterable[str]:
    """What a reader should know of what was not looked for, and of personal data."""
    if copies := _copies_of_rejected(rows):
        yield (
            f"{counted(copies, 'document')} were removed as copies of documents that were "
            "rejected later: no copy of these texts is left."
        )
    if not _estimated(manifest["settings"]) and manifest["job"] in {"clean", "gate"}:
        yield "The risk of memorization was not scored (memorization.enabled is false)."
    if not _looked_for(manifest["settings"]):
        if manifest["job"] != "dedup":
            yield "Personal data was not looked for (pii.enabled is false)."
        return
    if not manifest["key"]:
        yield (
            "No key was given: surrogates and fingerprints are those of this run alone. With "
            f"pii.key_file or {KEY_VARIABLE} every run has the same."
        )
    if unscanned:
        names = ", ".join(map(display.name, unscanned))
        yield f"Other columns of text were not scanned: {names} (pii.columns names those that are)."
    if missing:
        names = ", ".join(map(display.name, missing))
        yield f"Settings name {names}: no text was seen there in the first rows of any shard."
    if any(TIMED_OUT in (row["reason"] or "") for row in rows[REJECT_REASONS.name]):
        yield (
            "A recogniser ran out of time (pii.max_seconds), and its document was rejected. A "
            "faster machine might not reject it: this run is not reproducible."
        )


class _Excerpts:
    """Names documents, and shows text of them."""

    def __init__(self, shards: list[str], excerpt: Excerpt) -> None:
        self._shards = shards
        self._excerpt = excerpt

    def cluster(self, row: Mapping[str, Any], copy: int | None) -> Cluster:
        shown = self._shown(row["twin"], 0, EXCERPT, cut=True)
        numbers = {name: row[name] for name in ("copies", "exact", "near", "bytes")}
        near = None if copy is None else self._near_copy(row["twin"], copy)
        return Cluster(**shown, **numbers, near_copy=near)

    def _near_copy(self, kept: int, copy: int) -> NearCopy:
        (_, text), (name, other) = (self._excerpt(doc, 0, COMPARED) for doc in (kept, copy))
        location = {"doc": copy, "shard": self._shards[shard_of(copy)], "row": row_of(copy)}
        return NearCopy(**location, id=name, diff=word_diff(text, other))

    def passage(self, row: Mapping[str, Any]) -> Passage:
        length = min(row["length"], EXCERPT)
        shown = self._shown(row["witness"], row["start"], length, cut=row["length"] > EXCERPT)
        numbers = {name: row[name] for name in ("start", "length", "occurrences")}
        return Passage(**shown, **numbers)

    def sequence(self, doc: int, start: int, length: int) -> dict[str, Any]:
        """The document and an excerpt."""
        return self._shown(doc, start, min(length, EXCERPT), cut=length > EXCERPT)

    def _shown(self, doc: int, start: int, length: int, *, cut: bool) -> dict[str, Any]:
        """cut: whether there is more, if the excerpt is as long as it may be."""
        name, text = self._excerpt(doc, start, length)
        location = {"doc": doc, "shard": self._shards[shard_of(doc)], "row": row_of(doc)}
        shown = display.excerpt(text, EXCERPT)
        if cut and len(text) >= length and not shown.endswith("…"):
            shown += "…"
        return location | {"id": name, "excerpt": shown}


def _phase(phase: Mapping[str, Any]) -> Phase:
    seconds, size = phase["seconds"], phase["input_bytes"]
    return Phase(
        name=phase["name"],
        seconds=seconds,
        input_bytes=size,
        bytes_per_second=size / seconds if size and seconds else None,
        shuffled_bytes=phase["shuffled_bytes"],
        spilled_bytes=phase["spilled_bytes"],
        workers=phase["workers"],
        rows=sum(phase.get("rows", {}).values()),
    )


def _passages_left(job: str, settings: Mapping[str, Any], total: Balance) -> Iterable[str]:
    """Duplicate passages that were found and stand where they stood."""
    cut = Settings.model_validate(settings).cuts_passages
    if job != "gate" and total.passage_rows and not cut:
        why = "dedup.passages.action is report"
        if _setting(settings, "passages", "action") == "cut":
            why = "documents have several values; dedup.passages.cut_values cuts there too"
        yield f"Duplicate passages were found and left in place ({why})."
    if total.uncut_rows:
        yield (
            f"{counted(total.uncut_rows, 'duplicate passage')} with "
            f"{counted(total.uncut_bytes, 'byte')} were found and not cut (table uncut)."
        )


def _of_index(manifest: Mapping[str, Any]) -> Iterable[str]:
    """What earlier runs had to do with this one."""
    if known := manifest.get("index"):
        copies, held = (counted(known[name], "document") for name in ("copies", "before"))
        yield (
            f"{copies} went as a copy of one in the index {display.name(known['folder'])}, which "
            f"held {held} of earlier runs. What an index holds comes first, whatever "
            "dedup.near.keep says."
        )


PASSED_OVER_SHOWN = 20


def _passed_over(manifest: Mapping[str, Any]) -> Iterable[str]:
    """Files of the input that were not read."""
    if names := manifest.get("passed_over", ()):
        more = len(names) - PASSED_OVER_SHOWN
        rest = f" and {more} more, which report.json lists" if more > 0 else ""
        shown = ", ".join(map(display.name, names[:PASSED_OVER_SHOWN]))
        yield f"Files of the input that were passed over, not read: {shown}{rest}."


def _labels_left_out(model: LoadedModel | None) -> Iterable[str]:
    """Labels of the model for entities of which nobody says what they stand for."""
    if model is not None and model.ignored:
        yield (
            f"Not looked for, since nothing says what they stand for (pii.ner_labels): "
            f"{', '.join(model.ignored)}, of the model for names."
        )


def _notes(
    manifest: Mapping[str, Any], total: Balance, others: Balance | None, scrubs: bool
) -> Iterable[str]:
    job, settings = manifest["job"], manifest["settings"]
    looked_for = {
        "exact": "Exact duplicates",
        "near": "Near-duplicates",
        "passages": "Duplicate passages",
    }
    for section, name in looked_for.items():
        if _setting(settings, section, "enabled") is False and job != "scrub":
            yield f"{name} were not looked for (dedup.{section}.enabled is false)."
    if job == "gate":
        yield "Nothing was rewritten; what is kept is what a clean with these settings would leave."
    yield from _passages_left(job, settings, total)
    yield from _of_index(manifest)
    hot = [p["rows"] for p in manifest["phases"] if p["name"] == "near-hot-buckets"]
    if hot and hot[0]["hot_buckets"]:
        yield (
            f"{counted(hot[0]['hot_documents'], 'document')} shared "
            f"{counted(hot[0]['hot_buckets'], 'hot LSH bucket')} (more than "
            f"{HOT_DOCUMENTS_OF_BUCKET} documents each, such as those with a line in common): "
            "of these, documents were compared that share one of their rarer shingles, which no "
            "pair at or above the threshold is without."
        )
    yield from _passed_over(manifest)
    if job in {"clean", "gate"} and not settings.get("contamination", {}).get("sets"):
        yield "Evaluation sets were not looked for: none was named (--against FILE)."
    if total.ids_derived:
        yield f"{counted(total.ids_derived, 'document')} had no id and were given a derived one."
    if others is not None:
        yield f"{counted(others.sources, 'small source')} are shown as one row."
    if not scrubs and settings["output"]["excerpts"]:
        yield (
            "No text is shown: excerpts are scrubbed first, and what that takes is not installed "
            "(pip install 'unrote[pii]')."
        )
