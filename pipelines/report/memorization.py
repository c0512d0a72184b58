"""What a report says of memorization: how much would be extractable, before cleaning and after."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
from pydantic import Field

from unrote.memorization.reference_model import ReferenceModel
from unrote.memorization.risk import CATEGORIES
from unrote.memorization.target import LARGEST_FITTED, SMALLEST_FITTED, written_size
from unrote.pipelines.config import MemorizationSettings
from unrote.pipelines.report.formatting import counted, share
from unrote.pipelines.report.part import Part
from unrote.pipelines.summary.scores import (
    BILLION,
    EDGES,
    EXPECTED,
    FEATURES,
    RISK_BINS,
    RISK_ENTITIES,
    RISK_FEATURES,
    RISK_REMOVED,
    RISK_SAMPLE,
    RISK_SIZES,
    RISK_SOURCES,
    RISK_TABLES,
    RISKIEST_ROWS,
    SCORED_BY,
    VIEWS,
)

Rows = Mapping[str, list[dict[str, Any]]]

COUNTS = ("sequences", "tokens", "characters", "at_risk", "extractable")
"""What is counted of the sequences that the model read, and of those scored by their text."""

Showing = Callable[[int, int, int], dict[str, Any]]
"""(doc, start, length) → doc, shard, row, id and excerpt of a document."""


class RiskTarget(Part):
    """The model that the risk is for."""

    description: str
    parameters: float | None = Field(description="null: a proxy model (memorization.calibration).")
    tokens: float | None = Field(description="Of its training. null as above.")
    epochs: float | None = Field(description="How often it reads this text. null as above.")


class Expected(Part):
    """The expected number of extractable sequences, and how many are at risk."""

    sequences: int
    expected_extracted: float = Field(description="For a model of the family that was fitted on.")
    expected_low: float = Field(description="For a family that memorizes little.")
    expected_high: float = Field(description="For one that memorizes much: what a gate counts.")
    at_risk: int = Field(
        description="Sequences whose risk's high end is memorization.threshold or more."
    )

    @property
    def band(self) -> str:
        """From the low end to the high one."""
        return between(self.expected_low, self.expected_high)


class RiskStep(Expected):
    """How much would be extractable from the target, trained on one view of the text.

    Sequences are those of the released text, in all views but the last.
    """

    view: str = Field(
        description='"input": as it was read; "deduplicated": without duplicates; "released": with '
        'personal data replaced; "filtered": without what was removed for its risk.'
    )


class RiskCategory(Expected):
    """The same of one kind of sequences of the released text."""

    category: str = Field(
        description='"recite": it has many copies; "reconstruct": it is a pattern, or the '
        'reference model completes it; "recollect": neither.'
    )


class RiskSize(Part):
    """What another target would say: one of so many parameters, trained on the same text."""

    parameters: float
    expected_extracted: float
    expected_low: float
    expected_high: float


class RiskBin(Part):
    low: float = Field(description="Lowest risk in it.")
    high: float = Field(description="Up to here, not included; 1 is.")
    sequences: dict[str, int] = Field(description="By view.")


class RiskFeatureBin(Part):
    low: float = Field(description="Lowest number in it.")
    high: float | None = Field(description="Up to here, not included; null: no end.")
    sequences: int
    expected_extracted: float


class RiskFeature(Part):
    """The sequences of the released text by a column of the table `scores`."""

    feature: str = Field(
        description="copies_input and copies, copies_near (where they were counted), and of the "
        "text: template, repetition, rare_words, word_duplication."
    )
    bins: tuple[RiskFeatureBin, ...] = Field(description="Those with sequences.")


class RiskTables(Expected):
    """Header and first rows of documents that are tables: the sequences that begin there."""

    documents: int


class RiskSource(Part):
    source: str | None = Field(description="null: all others.")
    documents: int
    words: int = Field(description="Of these documents in the input.")
    steps: tuple[RiskStep, ...]
    categories: tuple[RiskCategory, ...]


class ScoredBy(Part):
    """The sequences of the released text, by what scored them."""

    scored_by: str | None = Field(description='"model", "text", or null: there was no token.')
    sequences: int
    tokens: int
    characters: int = Field(description="Of the input: what these sequences stand for there.")
    expected_extracted: float = Field(description="Expected number of extractable sequences.")
    at_risk: int
    extractable: int = Field(description="Suffixes that the reference model itself completes.")


class RiskSample(Part):
    """The random sample of sequences, which is representative of all."""

    sequences: int
    read: int = Field(description="Of these, the ones that the reference model read.")
    extractable: int = Field(description="Of those read, the suffixes that it completes itself.")
    loss: float = Field(description="Mean loss of those read, nats per token of the suffix.")
    expected_extracted: float = Field(description="Expected number of extractable sequences.")


class RiskySequence(Part):
    """A sequence with a high risk."""

    doc: int
    shard: str
    row: int
    id: str
    start: int = Field(description="In code points of the input's text.")
    length: int = Field(description="In code points.")
    category: str
    risk: float
    risk_low: float
    risk_high: float
    memorized: float = Field(description="Of the risk what copies do.")
    predictable: float | None = Field(
        description="What a model does that has not seen the text; null: none has read it."
    )
    scored_by: str
    copies_input: int
    copies_deduplicated: int | None = Field(description="null: they were not counted.")
    copies: int = Field(description="In the released text.")
    copies_near: float = Field(
        description="Documents with near copies of it there, each with the share of it that it has."
    )
    excerpt: str


class RiskEntities(Part):
    """Personal data that stays in the released text."""

    type: str
    entities: int = Field(description="That were selected to be measured.")
    measured: int
    completed: int = Field(
        description="The reference model completes: with a probability above 0.01, and more "
        "probably than after unrelated text."
    )


class Memorization(Part):
    """How much of this text would be extractable from a model trained on it."""

    model: str = Field(description="The reference model.")
    parameters: int | None = Field(description="Of that; null: unknown.")
    chance_loss: float | None = Field(
        default=None,
        description="Loss of a random guess, ln of the size of its vocabulary; null: unknown.",
    )
    device: str
    target: RiskTarget
    threshold: float = Field(
        description="The high end of the risk from which a sequence is at risk."
    )
    action: str
    sequences: int
    tokens: int
    scored: tuple[ScoredBy, ...]
    sample: RiskSample | None = Field(description="null: none was drawn.")
    steps: tuple[RiskStep, ...] = Field(description="In the order of cleaning.")
    views: tuple[str, ...] = Field(description="The views that the settings make different.")
    histogram: tuple[RiskBin, ...]
    by_source: tuple[RiskSource, ...] = Field(description="Highest expected_extracted first.")
    by_shard: tuple[RiskSource, ...] = Field(
        default=(),
        description="The same for each shard, where a rule of a gate asks for it; `source` is then "
        "the shard's name.",
    )
    categories: tuple[RiskCategory, ...] = Field(description="Of the released text.")
    memorized: float = Field(
        description="Of the released text's expected_extracted what copies do by themselves."
    )
    predictable: float = Field(
        description="Expected number of those that the reference model read which a model gives "
        "without having seen the text."
    )
    sizes: tuple[RiskSize, ...] = Field(
        description="Targets of other sizes, on the released text. Empty for a proxy model."
    )
    features: tuple[RiskFeature, ...]
    tables: RiskTables | None = Field(description="null: no document is a table.")
    removed_sequences: int
    removed_documents: int
    riskiest: tuple[RiskySequence, ...] = Field(description="By category, each text once.")
    entities: tuple[RiskEntities, ...]

    @property
    def first(self) -> RiskStep:
        """Before cleaning."""
        return self.steps[0]

    @property
    def path(self) -> tuple[RiskStep, ...]:
        """The steps of cleaning that were taken."""
        return tuple(step for step in self.steps if step.view in self.views)

    def step(self, view: str) -> RiskStep:
        """The step of one view."""
        return next(step for step in self.steps if step.view == view)

    @property
    def read(self) -> ScoredBy | None:
        """What the reference model read; None: nothing."""
        return next((row for row in self.scored if row.scored_by == "model"), None)

    @property
    def tokenless(self) -> bool:
        """Whether no text has a token."""
        return not any(row.sequences for row in self.scored if row.scored_by is not None)

    @property
    def unread(self) -> int:
        """Sequences that were scored by their text features and copies alone."""
        return sum(row.sequences for row in self.scored if row.scored_by == "text")

    @property
    def guessing(self) -> str:
        """A warning where the reference model predicts nothing of this text; "" if it does."""
        sample, chance = self.sample, self.chance_loss
        if sample is None or not sample.read or chance is None or sample.loss < chance:
            return ""
        return (
            f"The reference model predicts this text no better than chance: its loss on "
            f"{counted(sample.read, 'sequence')} drawn at random is {sample.loss:.2f} nats per "
            f"token, and guessing among its tokens costs {chance:.2f}. What it says of "
            "memorization means nothing; is its tokenizer its own?"
        )

    @property
    def finding(self) -> str:
        """How much would be extractable, in a few words."""
        found = self.path[-1]
        return (
            f"{self.target.description}: {found.band} of {counted(found.sequences, 'sequence')} "
            "extractable"
        )


def expected(number: float) -> str:
    """An expected number: 0.3, 12.4, 1,234. What is not nothing never reads as if it were."""
    if 0 < number < 0.05:
        return "<\N{NO-BREAK SPACE}0.1"
    return f"{number:,.{0 if number >= 99.95 or number == 0 else 1}f}"


def between(low: float, high: float) -> str:
    """Two expected numbers: 3.0 to 40; one where they read the same."""
    first, last = (expected(number) for number in (low, high))
    return first if first == last else f"{first} to {last}"


def risk_sources(rows: list[dict[str, Any]]) -> tuple[RiskSource, ...]:
    """From rows of RISK_SOURCES, or of SHARD_RISKS."""
    return tuple(
        RiskSource(
            source=row["source"],
            documents=row["documents"],
            words=row["words"],
            steps=_steps([row]),
            categories=_categories([row]),
        )
        for row in rows
    )


def memorization(
    settings: Mapping[str, Any], rows: Rows, reference: ReferenceModel | None, shown: Showing
) -> Memorization:
    """From the tables `SCORE_SUMMARIES`. settings: of the whole run."""
    ours = settings["memorization"]
    sources = rows[RISK_SOURCES.name]
    scored = tuple(_scored(row) for row in rows[SCORED_BY.name] if row["sequences"])
    removed = rows[RISK_REMOVED.name]
    return Memorization(
        model=ours["model"],
        parameters=reference.parameters if reference is not None else None,
        chance_loss=math.log(reference.vocabulary) if reference and reference.vocabulary else None,
        device=reference.device if reference is not None else ours["device"],
        target=_target(ours),
        threshold=ours["threshold"],
        action=ours["action"],
        sequences=sum(row.sequences for row in scored),
        tokens=sum(row.tokens for row in scored),
        scored=scored,
        sample=_sample(rows[RISK_SAMPLE.name]),
        steps=_steps(sources),
        views=_views(settings),
        histogram=_histogram(rows[RISK_BINS.name]),
        by_source=risk_sources(sources),
        categories=_categories(sources),
        memorized=sum(row["memorized"] for row in sources) / BILLION,
        predictable=sum(row["predictable"] for row in sources) / BILLION,
        sizes=tuple(
            RiskSize(
                parameters=row["parameters"],
                **{name: row[name] / BILLION for name in EXPECTED.values()},
            )
            for row in rows[RISK_SIZES.name]
        ),
        features=_features(rows[RISK_FEATURES.name]),
        tables=_tables(rows[RISK_TABLES.name]),
        removed_sequences=sum(row["sequences"] for row in removed),
        removed_documents=sum(row["documents"] for row in removed),
        riskiest=tuple(_risky(row, shown) for row in rows[RISKIEST_ROWS.name]),
        entities=_entities(rows[RISK_ENTITIES.name]),
    )


def excerpts(tables: Mapping[str, pa.Table], limit: int) -> set[tuple[int, int, int]]:
    """The (doc, start, length) that `memorization` will show, at most `limit` code points each."""
    rows = tables[RISKIEST_ROWS.name].to_pylist() if RISKIEST_ROWS.name in tables else []
    return {(r["document"], r["start"], min(r["end"] - r["start"], limit)) for r in rows}


def _views(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The views that differ. Where nothing is cleaned the released text is the input."""
    dedup = settings["dedup"].values()
    cleaned = any(part["enabled"] for part in dedup if isinstance(part, Mapping))
    scrubbed = settings["pii"]["enabled"]
    views = {
        "input": True,
        "deduplicated": cleaned and scrubbed,
        "released": cleaned or scrubbed,
        "filtered": settings["memorization"]["action"] != "report",
    }
    return tuple(view for view, differs in views.items() if differs)


def _target(ours: Mapping[str, Any]) -> RiskTarget:
    target = MemorizationSettings.model_validate(ours).scored_target
    if target is None:
        about = "the proxy model that memorization.calibration is of"
        return RiskTarget(description=about, parameters=None, tokens=None, epochs=None)
    return RiskTarget(description=str(target), **asdict(target))


def _expected(rows: Sequence[Mapping[str, Any]], of: str) -> dict[str, Any]:
    sums = {name: sum(row[f"{name}_{of}"] for row in rows) for name in EXPECTED.values()}
    return {name: value / BILLION for name, value in sums.items()} | {
        name: sum(row[f"{name}_{of}"] for row in rows) for name in ("sequences", "at_risk")
    }


def _steps(rows: Sequence[Mapping[str, Any]]) -> tuple[RiskStep, ...]:
    return tuple(RiskStep(view=view, **_expected(rows, view)) for view in VIEWS)


def _categories(rows: Sequence[Mapping[str, Any]]) -> tuple[RiskCategory, ...]:
    return tuple(RiskCategory(category=name, **_expected(rows, name)) for name in CATEGORIES)


def _histogram(rows: list[dict[str, Any]]) -> tuple[RiskBin, ...]:
    names = list(VIEWS)
    counts = {(names[row["view"]], row["bin"]): row["sequences"] for row in rows}
    ends = [*EDGES[1:], BILLION]
    return tuple(
        RiskBin(
            low=low / BILLION,
            high=high / BILLION,
            sequences={view: counts.get((view, at), 0) for view in VIEWS},
        )
        for at, (low, high) in enumerate(zip(EDGES, ends, strict=True))
    )


def _features(rows: list[dict[str, Any]]) -> tuple[RiskFeature, ...]:
    names = list(FEATURES)
    bins: dict[str, list[RiskFeatureBin]] = {}
    for row in rows:
        name, number = names[row["feature"]], row["bin"]
        edges = FEATURES[name]
        found = RiskFeatureBin(
            low=edges[number],
            high=edges[number + 1] if number + 1 < len(edges) else None,
            sequences=row["sequences"],
            expected_extracted=row["expected_extracted"] / BILLION,
        )
        bins.setdefault(name, []).append(found)
    return tuple(RiskFeature(feature=name, bins=tuple(found)) for name, found in bins.items())


def _tables(rows: list[dict[str, Any]]) -> RiskTables | None:
    for row in rows:
        if row["documents"]:
            expected = {name: row[name] / BILLION for name in EXPECTED.values()}
            return RiskTables(
                documents=row["documents"],
                sequences=row["sequences"],
                at_risk=row["at_risk"],
                **expected,
            )
    return None


def _scored(row: Mapping[str, Any]) -> ScoredBy:
    numbers = {name: row[name] for name in COUNTS}
    return ScoredBy(
        scored_by=row["scored_by"],
        expected_extracted=row["expected_extracted"] / BILLION,
        **numbers,
    )


def _sample(rows: list[dict[str, Any]]) -> RiskSample | None:
    for row in rows:
        if row["sequences"]:
            return RiskSample(
                sequences=row["sequences"],
                read=row["read"],
                extractable=row["extractable"],
                loss=row["loss"] / BILLION / row["read"] if row["read"] else 0.0,
                expected_extracted=row["expected_extracted"] / BILLION,
            )
    return None


def unread(found: Memorization) -> str:
    """What is missing where the reference model read nothing of a text; "" where it read some."""
    if found.tokenless:
        return f"the tokenizer of the model {found.model!r} found no token in the text"
    if found.read is None or not found.read.tokens:
        return (
            f"the reference model {found.model!r} read none of "
            f"{counted(found.sequences, 'sequence')}; raise memorization.max_tokens"
        )
    return ""


def _risky(row: Mapping[str, Any], shown: Showing) -> RiskySequence:
    deduplicated = row["copies_deduplicated"]
    return RiskySequence(
        **shown(row["document"], row["start"], row["end"] - row["start"]),
        start=row["start"],
        length=row["end"] - row["start"],
        category=CATEGORIES[row["category_key"]],
        risk=-row["negative_risk"] / BILLION,
        risk_low=row["low"] / BILLION,
        risk_high=row["high"] / BILLION,
        memorized=row["memorized"] / BILLION,
        predictable=row["predictable"] / BILLION if row["predictable"] >= 0 else None,
        scored_by=row["scored_by"],
        copies_input=row["copies_input"],
        copies_deduplicated=None if deduplicated < 0 else deduplicated,
        copies=row["copies"],
        copies_near=row["near"] / BILLION,
    )


def _entities(rows: list[dict[str, Any]]) -> tuple[RiskEntities, ...]:
    names = ("type", "entities", "measured", "completed")
    found = [RiskEntities(**{name: row[name] for name in names}) for row in rows]
    return tuple(sorted(found, key=lambda one: (-one.completed, -one.entities, one.type)))


def _about_target(found: Memorization) -> Iterable[str]:
    """Which model the risks are for, and how far they can be believed."""
    target = found.target
    if target.parameters is None:
        yield (
            f"Risks are for {target.description}: a small one, trained on this corpus alone. "
            "Larger models memorize more, and from fewer copies: take a low risk as no proof."
        )
        return
    yield (
        f"Risks are for {target.description} (memorization.target). They follow published counts "
        "of what models of one family (Pythia) memorized, by copies and size. At equal copies "
        "families differ by more than an order of magnitude: each number is a band. A gate, and "
        "memorization.threshold, go by its high end."
    )
    if not SMALLEST_FITTED <= target.parameters <= LARGEST_FITTED:
        yield (
            f"{written_size(target.parameters)} parameters are outside what was counted, "
            f"{written_size(SMALLEST_FITTED)} to {written_size(LARGEST_FITTED)}: these risks are "
            "extrapolated."
        )
    if found.tokens * (target.epochs or 1) > (target.tokens or 0):
        yield (
            f"This text alone has {counted(found.tokens, 'token')}, more than all that "
            f"{target.description}: say with memorization.target.tokens what it is trained on."
        )


def notes(found: Memorization) -> Iterable[str]:
    """What to know about these numbers, in sentences."""
    if not found.sequences:
        yield "There was no text that a model could memorize."
        return
    yield from _about_target(found)
    if nothing := unread(found):
        yield f"{nothing[0].upper()}{nothing[1:]}: these numbers are not the model's."
    elif found.unread and found.read is not None:
        yield (
            f"The reference model read {counted(found.read.sequences, 'sequence')} of "
            f"{found.sequences:,}: the riskiest of the repeated ones, and a random sample. The "
            "others have a category and a risk by copies and text features alone, without what a "
            "model completes by itself. memorization.max_tokens sets how much it reads."
        )
    if found.tokens:
        characters = sum(row.characters for row in found.scored) / found.tokens
        yield (
            f"A token is {characters:.1f} characters of this text, by the reference model's "
            "tokenizer. One with a larger vocabulary makes a sequence of as many tokens a longer "
            "text, of which models memorize more."
        )
    if found.tables is not None:
        number = found.tables.documents
        yield (
            f"{counted(number, 'document')} of the released text "
            f"{'is a table' if number == 1 else 'are tables'} (CSV-like). Models recite the "
            f"header and the first rows of a table first: here "
            f"{counted(found.tables.sequences, 'sequence')}, "
            f"{found.tables.band} of them expected to be extractable by their copies and text "
            "(tabular = head in the table scores)."
        )
    sample = found.sample
    if found.guessing:
        yield found.guessing
    elif sample is not None and sample.read:
        yield (
            f"Of {counted(sample.read, 'sequence')} drawn at random the reference model completes "
            f"{share(sample.extractable / sample.read)} by itself, so without having been trained "
            f"on them; its loss there is {sample.loss:.2f} nats per token."
        )
