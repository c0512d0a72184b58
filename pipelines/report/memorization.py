"""What a report says of memorization: how much a model would recite, before cleaning and after."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field
from unrote.memorization.identity import Identity

from unrote.pipelines.report.formatting import counted, share
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


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RiskStep(_Part):
    """What a model would recite if it were trained on one view of the text."""

    view: str = Field(
        description='"input": as it was read; "deduplicated": without duplicates; "released": with '
        'personal data replaced; "left": without what was removed for its risk.'
    )
    sequences: int = Field(description="Those of the released text, in all views but the last.")
    recited: float = Field(description="Expected number of sequences recited.")
    above: int = Field(description="Sequences at risk, memorization.above or more.")


class RiskBin(_Part):
    low: float = Field(description="Lowest risk in it.")
    high: float = Field(description="Up to here, not included; 1 is.")
    sequences: dict[str, int] = Field(description="By view.")


class RiskSource(_Part):
    source: str | None = Field(description="null: all others.")
    documents: int
    words: int = Field(description="Of these documents in the input.")
    steps: tuple[RiskStep, ...]


class ScoredBy(_Part):
    scored_by: str | None = Field(description='"model", "text", or null: there was no token.')
    sequences: int
    tokens: int
    recited: float = Field(description="Expected number recited, as released.")
    above: int
    extractable: int = Field(description="Suffixes that the reference model itself completes.")


class RiskSample(_Part):
    """The sequences drawn at random: they speak for all."""

    sequences: int
    read: int = Field(description="Of them, those that the reference model could read.")
    extractable: int = Field(description="Of those read, the ones that it completes itself.")
    loss: float = Field(description="Mean loss of those read, nats per token of the suffix.")
    recited: float = Field(description="Expected number recited, as released.")


class Recited(_Part):
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
    copies_near: float = Field(description="Documents like it there, each with its likeness.")
    part_copies: float = Field(description="What copies add to the log-odds of the risk.")
    part_predictability: float
    part_rarity: float
    excerpt: str

    @property
    def parts(self) -> dict[str, float]:
        """What the risk is made of, by name."""
        return {
            "copies": self.part_copies,
            "predictability": self.part_predictability,
            "rarity": self.part_rarity,
        }


class RiskEntities(_Part):
    """Personal data left in the released text."""

    type: str
    entities: int = Field(description="That were chosen to be measured.")
    measured: int
    completed: int = Field(
        description="The reference model completes: with a probability above 0.01, and more "
        "probably than after unrelated text."
    )


class Memorization(_Part):
    """What a model trained on this text would recite."""

    model: str = Field(description="The reference model.")
    parameters: int | None = Field(description="Of that; null: unknown.")
    chance: float | None = Field(
        default=None,
        description="Loss of a guess at random, ln of the number of its tokens; null: unknown.",
    )
    device: str
    above: float = Field(description="The risk from which on a sequence is at risk.")
    action: str
    sequences: int
    tokens: int
    scored: tuple[ScoredBy, ...]
    sample: RiskSample | None = Field(description="null: none was drawn.")
    steps: tuple[RiskStep, ...] = Field(description="In the order of cleaning.")
    views: tuple[str, ...] = Field(description="The views that the settings make different.")
    histogram: tuple[RiskBin, ...]
    by_source: tuple[RiskSource, ...] = Field(description="Most recited first.")
    removed_sequences: int
    removed_documents: int
    riskiest: tuple[Recited, ...] = Field(description="Each text once.")
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
        """What would be recited of one view."""
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
        """Sequences that were scored by their text alone."""
        return sum(row.sequences for row in self.scored if row.scored_by == "text")

    @property
    def guessing(self) -> str:
        """What a reader must know of a model that knows nothing of this text; "" if it does."""
        sample = self.sample
        if sample is None or not sample.read or self.chance is None or sample.loss < self.chance:
            return ""
        return (
            f"The reference model predicts this text no better than chance: its loss on "
            f"{counted(sample.read, 'sequence')} drawn at random is {sample.loss:.2f} nats per "
            f"token, and guessing among its tokens costs {self.chance:.2f}. What it says of "
            "memorization means nothing; is its tokenizer its own?"
        )

    @property
    def finding(self) -> str:
        """How much would be recited, in a few words."""
        found = self.path[-1]
        return f"about {expected(found.recited)} of {counted(found.sequences, 'sequence')}"


def expected(number: float) -> str:
    """An expected number: 0.3, 12.4, 1,234. What is not nothing never reads as if it were."""
    if 0 < number < 0.05:
        return "<\N{NO-BREAK SPACE}0.1"
    return f"{number:,.{0 if number >= 99.95 or number == 0 else 1}f}"


def memorization(
    settings: Mapping[str, Any], rows: Rows, reader: Identity | None, shown: Showing
) -> Memorization:
    """From the tables `SCORE_SUMMARIES`. settings: of the whole run."""
    ours = settings["memorization"]
    sources = rows[RISK_SOURCES.name]
    scored = tuple(_scored(row) for row in rows[SCORED_BY.name] if row["sequences"])
    removed = rows[RISK_REMOVED.name]
    return Memorization(
        model=ours["model"],
        parameters=reader.parameters if reader is not None else None,
        chance=math.log(reader.vocabulary) if reader is not None and reader.vocabulary else None,
        device=reader.device if reader is not None else ours["device"],
        above=ours["above"],
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
        riskiest=tuple(_recited(row, shown) for row in rows[RISKIEST_ROWS.name]),
        entities=_entities(rows[RISK_ENTITIES.name]),
    )


def places(tables: Mapping[str, pa.Table], limit: int) -> set[tuple[int, int, int]]:
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
        "left": settings["memorization"]["action"] != "report",
    }
    return tuple(view for view, differs in views.items() if differs)


def _steps(rows: Sequence[Mapping[str, Any]]) -> tuple[RiskStep, ...]:
    return tuple(
        RiskStep(
            view=view,
            sequences=sum(row[f"sequences_{view}"] for row in rows),
            recited=sum(row[f"recited_{view}"] for row in rows) / MILLION,
            above=sum(row[f"above_{view}"] for row in rows),
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
    numbers = {name: row[name] for name in ("sequences", "tokens", "above", "extractable")}
    return ScoredBy(scored_by=row["scored_by"], recited=row["recited"] / MILLION, **numbers)


def _sample(rows: list[dict[str, Any]]) -> RiskSample | None:
    for row in rows:
        if row["sequences"]:
            return RiskSample(
                sequences=row["sequences"],
                read=row["read"],
                extractable=row["extractable"],
                loss=row["loss"] / MILLION / row["read"] if row["read"] else 0.0,
                recited=row["recited"] / MILLION,
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


def _recited(row: Mapping[str, Any], shown: Showing) -> Recited:
    left = row["copies_deduplicated"]
    return Recited(
        **shown(row["document"], row["start"], row["end"] - row["start"]),
        start=row["start"],
        length=row["end"] - row["start"],
        risk=-row["negative_risk"] / MILLION,
        scored_by=row["scored_by"],
        copies_input=row["copies_input"],
        copies_deduplicated=None if left < 0 else left,
        copies=row["copies"],
        copies_near=row["near"] / MILLION,
        part_copies=row["part_copies"] / MILLION,
        part_predictability=row["part_predictability"] / MILLION,
        part_rarity=row["part_rarity"] / MILLION,
    )


def _entities(rows: list[dict[str, Any]]) -> tuple[RiskEntities, ...]:
    names = ("type", "entities", "measured", "completed")
    found = [RiskEntities(**{name: row[name] for name in names}) for row in rows]
    return tuple(sorted(found, key=lambda one: (-one.completed, -one.entities, one.type)))


def notes(found: Memorization) -> Iterable[str]:
    """What a reader should know of these numbers, in sentences."""
    if not found.sequences:
        yield "There was no text of which a model could recite anything."
        return
    yield (
        "Risks are those of a small model: they were calibrated on models of a few million "
        "parameters, trained twice on their text. Larger models recite more, and from fewer "
        "copies: compare and order by these numbers, and take a low one as no proof."
    )
    if nothing := unread(found):
        yield f"{nothing[0].upper()}{nothing[1:]}: these numbers are not the model's."
    elif found.unread:
        yield (
            f"{counted(found.unread, 'sequence')} were scored by copies and wording alone; the "
            "reference model read the riskiest by these and a random sample (memorization."
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
