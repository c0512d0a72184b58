"""Labelled text: where it comes from, what is held out, and its labels as the tagger has them."""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import zstandard

Span = tuple[int, int, str]

KINDS = {"PERSON": 0, "LOCATION": 1, "GPE": 1, "ORGANIZATION": 2}


@dataclass(frozen=True)
class Labelled:
    """A text with the names in it: code points [start, end) and type.

    unsure: spans in which any label may be right. genre: of a document, or which made text.
    """

    id: str
    text: str
    spans: tuple[Span, ...]
    genre: str
    unsure: tuple[tuple[int, int], ...] = ()


def read_lines(path: Path) -> Iterator[dict]:
    """The objects of a JSON Lines file, compressed by zstd or not."""
    with path.open("rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file) if path.suffix == ".zst" else file
        for line in io.TextIOWrapper(raw, encoding="utf-8"):
            yield json.loads(line)


def part_of(name: str, parts: int) -> int:
    """The part, of `parts`, in which what is named so lies: by a hash, so the same for ever."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % parts


def documents(path: Path) -> list[Labelled]:
    """Labelled documents (names-en.jsonl): id, text, spans, genre."""
    return [
        Labelled(
            row["id"],
            row["text"],
            tuple(sorted((s, e, t) for s, e, t in row["spans"])),
            row["genre"],
        )
        for row in read_lines(path)
    ]


def sentences(path: Path) -> list[Labelled]:
    """presidio-research's made sentences; the id is the template's."""
    found = []
    for row in json.loads(path.read_bytes()):
        spans, unsure = [], []
        for span in row["spans"]:
            at = (span["start_position"], span["end_position"])
            if span["entity_type"] in KINDS:
                kind = "LOCATION" if span["entity_type"] == "GPE" else span["entity_type"]
                spans.append((*at, kind))
            elif span["entity_type"] in ("STREET_ADDRESS", "NRP", "TITLE"):
                unsure.append(at)
        found.append(
            Labelled(
                str(row["template_id"]),
                row["full_text"],
                tuple(sorted(spans)),
                "made sentences",
                tuple(unsure),
            )
        )
    return found


def is_held_out(one: Labelled) -> bool:
    """Whether a text is for the last measurement alone: a quarter of each genre's documents, a
    third of the templates.
    """
    if one.genre == "made sentences":
        return part_of(f"template {one.id}", 3) == 0
    return part_of(one.id, 4) == 0


def is_for_choosing(one: Labelled) -> bool:
    """Of what is not held out, whether it is for choosing thresholds, and not for weights."""
    return part_of(f"choosing {one.id}", 5) == 0


_CAPITALISED = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def opened(one: Labelled, given: Callable[[str], bool], common: Callable[[str], int]) -> Labelled:
    """A document without the labels that are none, and with what may lack one left open.

    The labels of names-en are the heads of mentions: in "the captain Harry Kane" the head is
    "captain", and the name has no label; "Petitioner" and "Americans" have one. So labels of people
    and places whose words are all common ones, or in the plural, are open; and so are, outside of
    labels, the words of a given name with what follows it, and words that are labelled elsewhere in
    the document.

    given: whether a word in lower case is a given name. common: how common one is, 0 to 7.
    """
    kept, unsure = [], list(one.unsure)
    labelled: dict[str, str] = {}
    for start, end, kind in one.spans:
        words = [m[0].lower() for m in _CAPITALISED.finditer(one.text[start:end])]
        plural = kind == "PERSON" and len(words) == 1 and words[0].endswith(("s", "men", "ese"))
        none = all(common(word) >= 2 and not given(word) for word in words)
        if not words or (kind != "ORGANIZATION" and none) or (plural and not given(words[0])):
            unsure.append((start, end))
            continue
        kept.append((start, end, kind))
        labelled.update((word, kind) for word in words if len(word) > 3 and common(word) < 2)
    covered = sorted((start, end) for start, end, _ in kept)
    after_given = -1
    at = 0
    for match in _CAPITALISED.finditer(one.text):
        while at < len(covered) and covered[at][1] <= match.start():
            at += 1
        word = match[0].lower()
        if not match[0][0].isupper() or (at < len(covered) and covered[at][0] < match.end()):
            after_given = -1
            continue
        follows = 0 <= match.start() - after_given <= 3 and after_given >= 0
        is_given = given(word) and common(word) < 4
        if is_given or follows or word in labelled:
            unsure.append(match.span())
        after_given = match.end() if is_given or follows else -1
    return replace(one, spans=tuple(kept), unsure=tuple(unsure))
