"""What a near copy of a document changes, word by word, short enough for a report."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal

from pydantic import Field

from unrote.corpus import display
from unrote.pipelines.report.part import Part

COMPARED = 2000
"""Code points of each text that are compared."""

AROUND = 60
"""Code points of text that both have which are shown beside a change."""

CHANGED = 400
"""Code points of a change that are shown."""

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


class DiffPart(Part):
    of: Literal["both", "kept", "copy"] = Field(description="The texts that have it.")
    text: str


class NearCopy(Part):
    """A near copy that was removed, and how it differs from the document that stays."""

    doc: int
    shard: str
    row: int
    id: str
    diff: tuple[DiffPart, ...] = Field(
        description="The beginnings of both texts; empty: they do not differ there, or no text is "
        "shown."
    )


def word_diff(kept: str, copy: str) -> tuple[DiffPart, ...]:
    """The parts of two texts, in order; empty where they are the same.

    Where a text goes on behind COMPARED code points, a difference at the very end is left out: it
    may be of the cut alone.
    """
    if kept == copy:
        return ()
    parts = list(_parts(_WORDS.findall(kept), _WORDS.findall(copy)))
    if max(len(kept), len(copy)) >= COMPARED:
        while parts and parts[-1].of != "both":
            parts.pop()
    return tuple(parts) if any(part.of != "both" for part in parts) else ()


def _parts(kept: list[str], copy: list[str]) -> Iterator[DiffPart]:
    blocks = SequenceMatcher(None, kept, copy, autojunk=False).get_opcodes()
    for number, (kind, a, b, c, d) in enumerate(blocks):
        if kind == "equal":
            first, last = number == 0, number == len(blocks) - 1
            yield DiffPart(of="both", text=_between("".join(kept[a:b]), first, last))
            continue
        if a < b:
            yield DiffPart(of="kept", text=display.shortened("".join(kept[a:b]), CHANGED))
        if c < d:
            yield DiffPart(of="copy", text=display.shortened("".join(copy[c:d]), CHANGED))


def _between(text: str, first: bool, last: bool) -> str:
    """What both have, without what is far from a change."""
    if len(text) <= 2 * AROUND:
        return text
    before = "" if first else text[:AROUND]
    behind = "" if last else text[-AROUND:]
    return f"{before} … {behind}"
