"""Texts in memory, scrubbed: what the stage `Scan` does to documents, for a list of strings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from unrote.corpus.schema import FINDINGS
from unrote.pii.actions import replace_in
from unrote.pii.config import Action, Config
from unrote.pii.keys import Key
from unrote.pii.opened import scanner_of
from unrote.pii.settle import settle
from unrote.pii.stages import FoundRows


@dataclass(frozen=True)
class ScrubbedTexts:
    """texts: the scrubbed ones, None for those that are not to be released. findings: as
    `unrote.corpus.schema.FINDINGS`, where `doc` is the index of the text. rejected: why a text is
    None, by index.
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
    """`texts` with every finding done with as `actions` say (pii.config.actions_for)."""
    scanner = scanner_of(config)
    rows = FoundRows()
    released: list[str | None] = []
    rejected: dict[int, str] = {}
    for index, (text, name) in enumerate(zip(texts, ids, strict=True)):
        scanned = settle(text, scanner, actions, key, name)
        if scanned.rejected:
            rejected[index] = scanned.rejected
            released.append(None)
            continue
        rows.add(index, 0, text, scanned, key)
        released.append(replace_in(text, scanned.edits))
    found = [batch for tag, batch in rows.batches() if tag == "findings"]
    return ScrubbedTexts(released, pa.Table.from_batches(found, FINDINGS.schema), rejected)
