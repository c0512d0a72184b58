"""The rows of tables, the shards and the settings that checks read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import regex

from unrote.pipelines.verify.paths import Selected
from unrote.pipelines.verify.shapes import SECRET

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
class Replaced:
    """Which values the settings want replaced.

    types: those that are looked for and not kept, of the types that have a shape.
    """

    types: frozenset[str] = frozenset()
    allow: frozenset[str] = frozenset()
    allow_regex: tuple[str, ...] = ()

    @classmethod
    def of(cls, pii: Mapping[str, Any]) -> "Replaced":
        if not pii["enabled"]:
            return cls()
        asked, without = set(pii["recognizers"]), set(pii["without"])
        types = {SECRET} if pii["secrets"] else set()
        for type_ in ("EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE"):
            if asked & {type_, "default", "all"} and not without & {type_, "default", "all"}:
                types.add(type_)
        actions = pii["actions"]
        kept = {type_ for type_ in types if actions.get(type_, actions.get("*")) == "keep"}
        return cls(frozenset(types - kept), frozenset(pii["allow"]), tuple(pii["allow_regex"]))

    def includes(self, type_: str, value: str) -> bool:
        if type_ not in self.types or value in self.allow:
            return False
        return not any(regex.search(pattern, value) for pattern in self.allow_regex)


@dataclass(frozen=True)
class Rules:
    """The settings that say what may be removed."""

    text: Selected
    id: str
    source: str
    normalization: str
    drop_ignorable: bool
    unescape_html: bool
    normalise: str
    near: bool
    max_miss: float
    threshold: float
    unit: str
    ngram: int
    cut: bool
    min_bytes: int
    min_remaining: int
    pii: bool
    scores: bool
    risk_threshold: float
    target: Mapping[str, Any] | None
    action: str
    decontaminates: bool
    """Whether documents that contaminate evaluation sets are removed."""
    columns: tuple[Selected, ...]
    replaced: Replaced
    everywhere: bool
    data: bool
    internal: bool
    index: bool

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Rules":
        settings = manifest["settings"]
        fields, dedup, output = settings["input"], settings["dedup"], settings["output"]
        near, passages, pii = dedup["near"], dedup["passages"], settings["pii"]
        memorization, against = settings["memorization"], settings["contamination"]
        text = Selected.of(fields["text"])
        cut = passages["action"] == "cut" and (passages["cut_values"] or not text.several)
        return cls(
            text=text,
            id=fields["id"],
            source=fields["source"],
            normalization=fields["normalization"],
            drop_ignorable=fields["drop_ignorable"],
            unescape_html=fields["unescape_html"],
            normalise=dedup["exact"]["normalise"],
            near=near["enabled"],
            max_miss=near["max_miss"],
            threshold=near["threshold"],
            unit=near["unit"],
            ngram=near["ngram"],
            cut=cut,
            min_bytes=passages["min_bytes"],
            min_remaining=passages["min_remaining"],
            pii=pii["enabled"],
            scores=memorization["enabled"],
            risk_threshold=memorization["threshold"],
            target=None if memorization["calibration"] else memorization["target"],
            action=memorization["action"],
            decontaminates=bool(against["sets"]) and against["action"] == "remove",
            columns=tuple(map(Selected.of, pii["columns"])) if pii["enabled"] else (),
            replaced=Replaced.of(pii),
            everywhere=pii["enabled"] and pii["everywhere"],
            data=output["data"] and manifest["job"] != "gate",
            internal=output["internal_tables"],
            index=bool(dedup.get("index")),
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
    surrogate_fingerprint: str | None


class ScoredSequence(NamedTuple):
    doc: int
    start: int
    end: int
    prefix_tokens: int
    scored_by: str | None
    copies_input: int
    copies_deduplicated: int | None
    copies: int
    copies_near: float | None
    risk_low: float | None
    risk: float | None
    risk_high: float | None
    memorized: float | None
    predictable: float | None
    pz_log: float | None
    category: str | None
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
