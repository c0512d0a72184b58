"""What cuts of duplicate passages leave half, for each boundary rule, on labelled documents.

    python -m benchmarks.boundaries [--pairs 40] [--kinds] [--data texts.jsonl]

Prints a table for the kinds of documents that the rules were made with and one for those held out:
the share of cuts that damage something, by what they damage; the bytes removed as a share of those
found; the passages found and not cut. --kinds: damage by kind of document. --data: the bytes that
each rule removes from other texts, a JSONL file with a field `text`.

A cut damages a document where, this cut alone made, there stays half of a table row, list item,
line of code, sentence or word; a role tag without its turn, or the other way round; a question
without its answer, or the other way round; rows without the header of their table; brackets or
quotes that were balanced and are not; Python that could be parsed and cannot.
"""

from __future__ import annotations

import argparse
import ast
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.structured import KINDS, Labelled, corpus
from unrote.corpus.intervals import union
from unrote.corpus.views import apply_edits
from unrote.dedup.boundaries import BOUNDARIES
from unrote.dedup.spans import duplicate_spans

_CLOSING = {")": "(", "]": "[", "}": "{"}

DAMAGE = ("word", "sentence", "row", "item", "line", "turn", "question", "header", "block")
DAMAGE += ("balance", "syntax")

Range = tuple[int, int]


def damage(document: Labelled, start: int, end: int) -> set[str]:
    """What a cut of text[start:end] leaves half; of `DAMAGE`."""
    text = document.text
    found = set(_half_parts(document, start, end)) | set(_lone_parts(document, start, end))
    for at in (start, end):
        if 0 < at < len(text) and _is_word(text[at - 1]) and _is_word(text[at]):
            found.add("word")
    left = apply_edits(text, [(start, end)], [])
    if balanced(text) and not balanced(left):
        found.add("balance")
    if document.kind == "python" and parses(text) and not parses(left):
        found.add("syntax")
    return found


def _half_parts(document: Labelled, start: int, end: int) -> Iterator[str]:
    for name, first, behind in document.parts:
        gone = document.text[max(first, start) : max(start, min(behind, end))]
        if gone.strip() and _left(document.text, (first, behind), start, end):
            yield "row" if name == "header" else name


def _lone_parts(document: Labelled, start: int, end: int) -> Iterator[str]:
    for name, *both in document.pairs:
        one, other = (_left(document.text, part, start, end) for part in both)
        if one != other and not (name == "header" and one):  # a table may be empty
            yield name


def _left(text: str, part: Range, start: int, end: int) -> bool:
    """Whether anything stays of a part of a text."""
    first, behind = part
    return bool(
        (text[first : max(first, min(behind, start))] + text[max(first, end) : behind]).strip()
    )


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def balanced(text: str) -> bool:
    """Whether brackets close each other, and straight quotes come in pairs."""
    held: list[str] = []
    for char in text:
        if char in "([{":
            held.append(char)
        elif char in _CLOSING and (not held or held.pop() != _CLOSING[char]):
            return False
    return not held and text.count('"') % 2 == 0


def parses(text: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except SyntaxError:
        return False
    return True


@dataclass
class Tally:
    """What a rule does to documents: bytes, passages, cuts, and what these damage."""

    found: int = 0
    removed: int = 0
    passages: int = 0
    not_cut: int = 0
    cuts: int = 0
    damaged: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def share(self, name: str = "") -> float:
        return (self.kinds[name] if name else self.damaged) / max(1, self.cuts)


def ranges(texts: list[str], boundary: str) -> dict[int, list[Range]]:
    """What is cut of each text: disjoint ranges."""
    rows = duplicate_spans(texts, boundary=boundary)  # type: ignore[arg-type]
    by_text: defaultdict[int, list[Range]] = defaultdict(list)
    for doc, start, end in zip(
        *(rows[c].to_pylist() for c in ("doc", "start", "end")), strict=True
    ):
        by_text[doc].append((start, end))
    return {doc: list(union(spans)) for doc, spans in by_text.items()}


def tallies(documents: list[Labelled], boundary: str) -> dict[str, Tally]:
    """What the rule does to the documents of each kind."""
    texts = [one.text for one in documents]
    found, cut = ranges(texts, "character"), ranges(texts, boundary)
    out = {one.kind: Tally() for one in documents}
    for doc, passages in found.items():
        document, tally, cuts = documents[doc], out[documents[doc].kind], cut.get(doc, [])
        tally.found += _size(document.text, passages)
        tally.removed += _size(document.text, cuts)
        tally.passages += len(passages)
        tally.not_cut += sum(
            not any(a <= start and end <= b for start, end in cuts) for a, b in passages
        )
        tally.cuts += len(cuts)
        for start, end in cuts:
            harm = damage(document, start, end)
            tally.damaged += bool(harm)
            tally.kinds.update(harm)
    return out


def total(parts: Iterable[Tally]) -> Tally:
    out = Tally()
    for one in parts:
        for name in ("found", "removed", "passages", "not_cut", "cuts", "damaged"):
            setattr(out, name, getattr(out, name) + getattr(one, name))
        out.kinds += one.kinds
    return out


def _size(text: str, spans: list[Range]) -> int:
    return sum(len(text[start:end].encode()) for start, end in spans)


def table(rows: dict[str, Tally]) -> str:
    """A Markdown table: a line for each rule."""
    names = ["rule", "cuts", "damaged", *DAMAGE, "bytes removed", "not cut"]
    lines = ["| " + " | ".join(names) + " |", "|---" + "|--:" * (len(names) - 1) + "|"]
    for rule, one in rows.items():
        shares = [one.share(), *map(one.share, DAMAGE), one.removed / max(1, one.found)]
        shares.append(one.not_cut / max(1, one.passages))
        cells = [rule, str(one.cuts), *(f"{100 * share:.1f} %" for share in shares)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_kind(measured: dict[str, dict[str, Tally]]) -> str:
    """A Markdown table: share of damaged cuts, and of bytes removed, by kind of document."""
    lines = ["| kind | " + " | ".join(measured) + " |", "|---" + "|--:" * len(measured) + "|"]
    for kind in KINDS:
        own = [rule[kind] for rule in measured.values()]
        cells = [
            f"{100 * one.share():.1f} %, {100 * one.removed / max(1, one.found):.0f} %"
            for one in own
        ]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def removed_of(path: Path) -> str:
    """Bytes that each rule removes from the texts of a JSONL file."""
    texts = [orjson.loads(line)["text"] for line in path.read_bytes().splitlines()]
    sizes = {
        boundary: sum(_size(texts[doc], spans) for doc, spans in ranges(texts, boundary).items())
        for boundary in BOUNDARIES
    }
    all_bytes = sizes["character"]
    return "\n".join(
        f"{rule}: {size:,} bytes, {100 * size / all_bytes:.1f} % of those found"
        for rule, size in sizes.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=40, help="pairs of documents of each kind")
    parser.add_argument("--kinds", action="store_true", help="damage by kind of document")
    parser.add_argument("--data", type=Path, help="JSONL with a field text")
    arguments = parser.parse_args()
    documents = corpus(pairs=arguments.pairs)
    measured = {rule: tallies(documents, rule) for rule in BOUNDARIES}
    for held_out, title in ((False, "the ten kinds at hand"), (True, "the five held out")):
        print(f"\n**{title}**\n")
        rows = {
            rule: total(own[kind] for kind in KINDS if KINDS[kind].held_out == held_out)
            for rule, own in measured.items()
        }
        print(table(rows))
    if arguments.kinds:
        print(f"\n{by_kind(measured)}")
    if arguments.data:
        print(f"\n{removed_of(arguments.data)}")


if __name__ == "__main__":
    main()
