"""Texts by the batch, scrubbed and scored as steps of a user's own Spark or Beam program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from unrote.corpus.extras import require
from unrote.corpus.schema import FINDINGS
from unrote.memorization.config import Models
from unrote.pii.config import Action, Config, actions_for, default_config
from unrote.pii.keys import Key, fresh_key
from unrote.pii.scrubbing import scrub_texts

FINDING = pa.struct([f for f in FINDINGS.schema if f.name not in ("doc", "field")])
"""A finding in the text of one row."""


@dataclass(frozen=True)
class Scrubbing:
    """What `unrote.scrub` is told, checked and small enough to travel to workers."""

    key: Key
    config: Config
    actions: Mapping[str, Action]

    @classmethod
    def of(
        cls,
        key: Key | str | bytes | None,
        config: Config | None,
        actions: Mapping[str, Action] | None,
    ) -> "Scrubbing":
        """As `unrote.scrub` takes them. Raises ConfigError and ValueError as that does."""
        require("pii", "Looking for personal data")
        config = config or default_config()
        secret = fresh_key() if key is None else key if isinstance(key, Key) else Key.of(key)
        return cls(secret, config, actions_for(config.recognizers, actions, config.ner))

    def __call__(
        self, texts: Sequence[str | None], ids: Sequence[str]
    ) -> tuple[pa.Array, pa.Array, pa.Array]:
        """(texts, findings, reasons) of as many texts, which `ids` name.

        texts: string, null where it was null or is not to be released. findings: lists of FINDING,
        by `start`, null for a text that is null. reasons: string, why a text is not to be released,
        null where it is.
        """
        there = [index for index, text in enumerate(texts) if text is not None]
        given = [text for text in texts if text is not None]
        names = [ids[index] for index in there]
        scrubbed = scrub_texts(given, names, self.config, self.actions, self.key)
        found: list[list[dict[str, object]]] = [[] for _ in given]
        for row in scrubbed.findings.drop_columns("field").to_pylist():
            found[row.pop("doc")].append(row)
        clean: list[str | None] = [None] * len(texts)
        findings: list[list[dict[str, object]] | None] = [None] * len(texts)
        reasons: list[str | None] = [None] * len(texts)
        for position, index in enumerate(there):
            clean[index] = scrubbed.texts[position]
            findings[index] = found[position]
            reasons[index] = scrubbed.rejected.get(position)
        return (
            pa.array(clean, pa.string()),
            pa.array(findings, pa.list_(FINDING)),
            pa.array(reasons, pa.string()),
        )


@dataclass(frozen=True)
class Scoring:
    """What `unrote.score` is told; models by name, which each worker loads once."""

    models: Models = field(default_factory=Models)

    def __post_init__(self) -> None:
        require("score", "Scoring what a model would memorize")

    def __call__(self, texts: Sequence[str | None]) -> pa.Table:
        """The sequences of the texts that are not null: memorization.scorer.SCORES, by `doc`, which
        is the index in `texts`.
        """
        from unrote.memorization.scorer import scorer_of  # noqa: PLC0415 - loads torch

        there = [index for index, text in enumerate(texts) if text is not None]
        table = scorer_of(self.models).table([text for text in texts if text is not None])
        docs = pa.array(there, pa.int64()).take(table.column("doc").combine_chunks())
        return table.set_column(0, table.schema.field("doc"), docs)
