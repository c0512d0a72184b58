"""The rows of tables, the shards and the settings that checks read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Key = tuple[int, ...]


@dataclass(frozen=True)
class Shard:
    number: int
    name: str
    url: str
    format: str
    compression: str
    size: int
    checksum: str
    source: str


@dataclass(frozen=True)
class Rules:
    """The settings that say what may be removed."""

    text: str
    id: str
    source: str
    normalise: str
    threshold: float
    unit: str
    ngram: int
    cut: bool
    min_bytes: int
    min_remaining: int
    pii: bool
    scores: bool
    above: float
    action: str
    columns: tuple[str, ...]
    data: bool
    internal: bool

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Rules":
        settings = manifest["settings"]
        fields, dedup, output = settings["input"], settings["dedup"], settings["output"]
        near, passages, pii = dedup["near"], dedup["passages"], settings["pii"]
        memorization = settings["memorization"]
        return cls(
            text=fields["text"],
            id=fields["id"],
            source=fields["source"],
            normalise=dedup["exact"]["normalise"],
            threshold=near["threshold"],
            unit=near["unit"],
            ngram=near["ngram"],
            cut=passages["action"] == "cut",
            min_bytes=passages["min_bytes"],
            min_remaining=passages["min_remaining"],
            pii=pii["enabled"],
            scores=memorization["enabled"],
            above=memorization["above"],
            action=memorization["action"],
            columns=tuple(pii["columns"]) if pii["enabled"] else (),
            data=output["data"] and manifest["job"] != "gate",
            internal=output["internal_tables"],
        )


class Duplicate(NamedTuple):
    reason: str
    twin: int | None
    similarity: float | None


class Finding(NamedTuple):
    doc: int
    field: int
    start: int
    end: int
    type: str
    action: str
    fingerprint: str
    surrogate: str | None


class ScoredSequence(NamedTuple):
    doc: int
    start: int
    end: int
    scored_by: str | None
    copies_input: int
    copies_deduplicated: int | None
    copies: int
    risk: float | None
    action: str
    reason: str | None


class Recounted(NamedTuple):
    """A sequence of which the copies are counted again. The least `draw` are taken."""

    draw: int
    row: ScoredSequence
    text: str


class Document(NamedTuple):
    doc: int
    id: str
    shard: str
    row: int
    source: str
    bytes: int
