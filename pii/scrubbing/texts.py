"""Texts in memory, scrubbed: what the stage `Scan` does to documents, for a list of strings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from unrote.corpus.schema import FINDINGS
from unrote.pii.config import Action, Config
from unrote.pii.keys import Key
from unrote.pii.ner import entities_of
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing.edits import edited_text
from unrote.pii.scrubbing.passes import scrub_text
from unrote.pii.scrubbing.rows import ScrubRows
from unrote.pii.scrubbing.spellings import replaced_values, with_spellings


@dataclass(frozen=True)
class ScrubbedTexts:
    """What `unrote.scrub` returns.

    texts: the scrubbed texts, in their order; None for one that is not to be released.
    findings: a table of schema `unrote.corpus.schema.FINDINGS`, where `doc` is the index of the
    text, and `start` and `end` are code points of the text as it was given.
    rejected: the index of each text that is None -> the reason.
    """

    texts: list[str | None]
    findings: pa.Table
    rejected: dict[int, str]


def scrub_texts(
    texts: Sequence[str],
    ids: Sequence[str],
    config: Config,
    actions: Mapping[str, Action],
    key: Key,
) -> ScrubbedTexts:
    """Every finding in `texts` acted on as `actions` say (pii.config.actions_for)."""
    scanner = scanner_of(config)
    rows = ScrubRows(config.normalization)
    released: list[str | None] = []
    rejected: dict[int, str] = {}
    known = entities_of(texts, config)
    for index, (text, name, entities) in enumerate(zip(texts, ids, known, strict=True)):
        scrubbed = scrub_text(text, scanner, actions, key, name, entities=entities)
        if scrubbed.rejected:
            rejected[index] = scrubbed.rejected
            released.append(None)
            continue
        scrubbed = with_spellings(text, scrubbed, replaced_values(text, scrubbed))
        rows.add(index, 0, text, scrubbed, key)
        released.append(edited_text(text, scrubbed.edits))
    found = [batch for tag, batch in rows.batches() if tag == "findings"]
    return ScrubbedTexts(released, pa.Table.from_batches(found, FINDINGS.schema), rejected)
