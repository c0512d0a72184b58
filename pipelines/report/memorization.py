"""What a report says of memorization: how much would be extractable, before cleaning and after."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import Field

from unrote.memorization.reference_model import ReferenceModel
from unrote.pipelines.report.formatting import counted, share
from unrote.pipelines.report.part import Part
from unrote.pipelines.summary.scores import (
    EDGES,
    MILLION,
    RISK_BINS,
    RISK_ENTITIES,
    RISK_REMOVED,
    RISK_SAMPLE,
    RISK_SOURCES,
    RISKIEST_ROWS,
    SCORED_BY,
    VIEWS,
)

Rows = Mapping[str, list[dict[str, Any]]]

Showing = Callable[[int, int, int], dict[str, Any]]
"""(doc, start, length) → doc, shard, row, id and excerpt of a document."""


class RiskStep(Part):
    """How much would be extractable from a model trained on one view of the text."""

    view: str = Field(
        description='"input": as it was read; "deduplicated": without duplicates; "released": with '
        'personal data replaced; "filtered": without what was removed for its risk.'
    )
    sequences: int = Field(description="Those of the released text, in all views but the last.")
    expected_extracted: float = Field(description="Expected number of extractable sequences.")
    at_risk: int = Field(description="Sequences with a risk of memorization.threshold or more.")


class RiskBin(Part):
    low: float = Field(description="Lowest risk in it.")
    high: float = Field(description="Up to here, not included; 1 is.")
    sequences: dict[str, int] = Field(description="By view.")


class RiskSource(Part):
    source: str | None = Field(description="null: all others.")
    documents: int
    words: int = Field(description="Of these documents in the input.")
    steps: tuple[RiskStep, ...]


class ScoredBy(Part):
    """The sequences of the released text, by what scored them."""

    scored_by: str | None = Field(description='"model", "text", or null: there was no token.')
    sequences: int
    tokens: int
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
    risk: float
    scored_by: str
    copies_input: int
    copies_deduplicated: int | None = Field(description="null: they were not counted.")
    copies: int = Field(description="In the released text.")
    copies_near: float = Field(
        description="Documents with near copies of it there, each with the share of it that it has."
    )
    log_odds_copies: float = Field(description="What copies add to the log-odds of the risk.")
    log_odds_predictability: float
    log_odds_rarity: float
    excerpt: str

    @property
    def parts(self) -> dict[str, float]:
        """What the risk is made of, by name."""
        return {
            "copies": self.log_odds_copies,
            "predictability": self.log_odds_predictability,
            "rarity": self.log_odds_rarity,
        }


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
    threshold: float = Field(description="The risk from which a sequence is at risk.")
    action: str
    sequences: int
    tokens: int
    scored: tuple[ScoredBy, ...]
    sample: RiskSample | None = Field(description="null: none was drawn.")
    steps: tuple[RiskStep, ...] = Field(description="In the order of cleaning.")
    views: tuple[str, ...] = Field(description="The views that the settings make different.")
    histogram: tuple[RiskBin, ...]
    by_source: tuple[RiskSource, ...] = Field(description="Highest expected_extracted first.")
    removed_sequences: int
    removed_documents: int
    riskiest: tuple[RiskySequence, ...] = Field(description="Each text once.")
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
            f"about {expected(found.expected_extracted)} of {counted(found.sequences, 'sequence')}"
        )


def expected(number: float) -> str:
    """An expected number: 0.3, 12.4, 1,234. What is not nothing never reads as if it were."""
    if 0 < number < 0.05:
        return "<\N{NO-BREAK SPACE}0.1"
    return f"{number:,.{0 if number >= 99.95 or number == 0 else 1}f}"


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
        threshold=ours["threshold"],
        action=ours["action"],
        sequences=sum(row.sequences for row in scored),
        tokens=sum(row.tokens for row in scored),
        scored=scored,
        sample=_sample(rows[RISK_SAMPLE.name]),
        steps=_steps(sources),
        views=_views(settings),
        histogram=_histogram(rows[RISK_BINS.name]),
        by_source=tuple(
            RiskSource(
                source=row["source"],
                documents=row["documents"],
                words=row["words"],
                steps=_steps([row]),
            )
            for row in sources
        ),
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


def _steps(rows: Sequence[Mapping[str, Any]]) -> tuple[RiskStep, ...]:
    return tuple(
        RiskStep(
            view=view,
            sequences=sum(row[f"sequences_{view}"] for row in rows),
            expected_extracted=sum(row[f"expected_extracted_{view}"] for row in rows) / MILLION,
            at_risk=sum(row[f"at_risk_{view}"] for row in rows),
        )
        for view in VIEWS
    )


def _histogram(rows: list[dict[str, Any]]) -> tuple[RiskBin, ...]:
    names = list(VIEWS)
    counts = {(names[row["view"]], row["bin"]): row["sequences"] for row in rows}
    ends = [*EDGES[1:], MILLION]
    return tuple(
        RiskBin(
            low=low / MILLION,
            high=high / MILLION,
            sequences={view: counts.get((view, at), 0) for view in VIEWS},
        )
        for at, (low, high) in enumerate(zip(EDGES, ends, strict=True))
    )


def _scored(row: Mapping[str, Any]) -> ScoredBy:
    numbers = {name: row[name] for name in ("sequences", "tokens", "at_risk", "extractable")}
    return ScoredBy(
        scored_by=row["scored_by"],
        expected_extracted=row["expected_extracted"] / MILLION,
        **numbers,
    )


def _sample(rows: list[dict[str, Any]]) -> RiskSample | None:
    for row in rows:
        if row["sequences"]:
            return RiskSample(
                sequences=row["sequences"],
                read=row["read"],
                extractable=row["extractable"],
                loss=row["loss"] / MILLION / row["read"] if row["read"] else 0.0,
                expected_extracted=row["expected_extracted"] / MILLION,
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
        risk=-row["negative_risk"] / MILLION,
        scored_by=row["scored_by"],
        copies_input=row["copies_input"],
        copies_deduplicated=None if deduplicated < 0 else deduplicated,
        copies=row["copies"],
        copies_near=row["near"] / MILLION,
        log_odds_copies=row["log_odds_copies"] / MILLION,
        log_odds_predictability=row["log_odds_predictability"] / MILLION,
        log_odds_rarity=row["log_odds_rarity"] / MILLION,
    )


def _entities(rows: list[dict[str, Any]]) -> tuple[RiskEntities, ...]:
    names = ("type", "entities", "measured", "completed")
    found = [RiskEntities(**{name: row[name] for name in names}) for row in rows]
    return tuple(sorted(found, key=lambda one: (-one.completed, -one.entities, one.type)))


def notes(found: Memorization) -> Iterable[str]:
    """What to know about these numbers, in sentences."""
    if not found.sequences:
        yield "There was no text that a model could memorize."
        return
    yield (
        "Risks are those of a small model: they were calibrated on models of a few million "
        "parameters, trained twice on their text. Larger models memorize more, and from fewer "
        "copies: compare and order by these numbers, and take a low one as no proof."
    )
    if nothing := unread(found):
        yield f"{nothing[0].upper()}{nothing[1:]}: these numbers are not the model's."
    elif found.unread:
        yield (
            f"{counted(found.unread, 'sequence')} were scored by copies and text features alone; "
            "the reference model read the riskiest by these and a random sample (memorization."
            "max_tokens)."
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
