"""How good the tagger of pii/names/ is, and how fast.

    python -m benchmarks.names --documents names-en.jsonl.zst --sentences pii-synthetic-en.json
        [--technical TEXTS.jsonl] [--sample 50]

Documents and sentences are those that training left out (labelled.is_held_out). A finding is right
where a label of its type overlaps it; a label is found where a finding of its type does. "cleaned"
is without labels that are no names and with what may lack a label left open (labelled.opened).
--technical: JSON Lines with `text`, such as benchmarks/debian.py makes; besides, files of the
standard library that training left out are read. --sample prints so many of the persons that would
be changed there, with the text around them, to read and count the wrong ones.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.names.labelled import (
    Labelled,
    documents,
    is_held_out,
    opened,
    read_lines,
    sentences,
)
from benchmarks.names.train import technical
from unrote.pii.catalogue import NAME_TYPES, PERSON, POSSIBLE_PERSON
from unrote.pii.names.features import COMMON, COMMON_SHIFT, GIVEN
from unrote.pii.names.model import tagger
from unrote.pii.names.recognizers import recognizers
from unrote.pii.names.tokens import word_hash

Span = tuple[int, int, str]


@dataclass
class Tally:
    """Labels, how many of them were found; findings, how many of them are right; exact ones."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, labels: Sequence[Span], findings: Sequence[Span]) -> None:
        self.counts["labels"] += len(labels)
        self.counts["found"] += sum(any(map(overlaps(one), findings)) for one in labels)
        self.counts["findings"] += len(findings)
        self.counts["right"] += sum(any(map(overlaps(one), labels)) for one in findings)
        self.counts["exact"] += len({*labels} & {*findings})

    def row(self) -> str:
        labels, findings = self.counts["labels"], self.counts["findings"]
        precision = self.counts["right"] / findings if findings else float("nan")
        recall = self.counts["found"] / labels if labels else float("nan")
        both = precision + recall
        f1 = 2 * precision * recall / both if both else 0.0
        exact = 2 * self.counts["exact"] / max(1, labels + findings)
        shown = (f"{score:.3f}" for score in (precision, recall, f1, exact))
        return f"{labels:,} | {findings:,} | {' | '.join(shown)}"


def overlaps(one: Span) -> Callable[[Span], bool]:
    return lambda other: one[0] < other[1] and other[0] < one[1] and one[2] == other[2]


def findings_of(text: str, readers: Sequence) -> list[Span]:
    return [
        (span.start, span.end, reader.entity)
        for reader in readers
        for span in reader.find(text, ())
    ]


def scored(texts: Iterable[Labelled], readers: Sequence) -> None:
    """Print the table of these texts."""
    tallies: dict[tuple[str, str], Tally] = {}
    for one in texts:
        found = [
            span
            for span in findings_of(one.text, readers)
            if not any(a < span[1] and span[0] < b for a, b in one.unsure)
        ]
        sure = [span for span in found if span[2] == PERSON]
        found = [(a, b, PERSON if kind == POSSIBLE_PERSON else kind) for a, b, kind in found]
        for type_ in (PERSON, "LOCATION", "ORGANIZATION"):
            labels = [span for span in one.spans if span[2] == type_]
            here = [span for span in found if span[2] == type_]
            for key in ((one.genre, "all"), ("all", type_), ("all", "all")):
                tallies.setdefault(key, Tally()).add(labels, here)
            if type_ == PERSON:
                for key in ((one.genre, "PERSON, changed"), ("all", "PERSON, changed")):
                    tallies.setdefault(key, Tally()).add(labels, sure)
    print("| genre | type | labels | findings | precision | recall | F1 | exact F1 |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for (genre, type_), tally in sorted(tallies.items(), key=lambda item: item[0][0] == "all"):
        print(f"| {genre} | {type_} | {tally.row()} |")
    print()


def quiet(name: str, texts: Sequence[str], readers: Sequence, sample: int) -> None:
    """Print how much is found in texts that have few names, and how fast."""
    counts: Counter[str] = Counter()
    changed: list[str] = []
    size = sum(len(text.encode()) for text in texts) / 1e6
    began = time.process_time()
    for text in texts:
        data = np.frombuffer(text.encode(), np.uint8)
        if data.size:
            tagger().find(data.copy())
    seconds = time.process_time() - began
    for text in texts:
        for start, end, type_ in findings_of(text, readers):
            counts[type_] += 1
            if type_ == PERSON:
                shown = (
                    f"{text[max(0, start - 40) : start]}[[{text[start:end]}]]{text[end : end + 30]}"
                )
                changed.append(" ".join(shown.split()))
    found = ", ".join(f"{type_} {counts[type_] / size:.1f}" for type_ in NAME_TYPES)
    print(f"{name}: {size:.1f} MB, {size / seconds:.1f} MB/s; findings a MB: {found}")
    for line in random.Random(1).sample(changed, min(sample, len(changed))):
        print(f"    {line}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--sentences", type=Path)
    parser.add_argument("--technical", type=Path, nargs="*", default=[])
    parser.add_argument("--sample", type=int, default=0)
    options = parser.parse_args()
    readers = recognizers()
    if options.documents:
        held_out = [one for one in documents(options.documents) if is_held_out(one)]
        print("Held-out documents, labels as they are:\n")
        scored(held_out, readers)
        print("Held-out documents, labels cleaned:\n")
        scored([opened(one, is_given, common) for one in held_out], readers)
    if options.sentences:
        print("Made sentences of held-out templates:\n")
        scored([one for one in sentences(options.sentences) if is_held_out(one)], readers)
    code = [one.text for one in technical(held_out=True, most=3_000_000)]
    quiet("standard library", code, readers, options.sample)
    for path in options.technical:
        quiet(path.name, [row["text"] for row in read_lines(path)], readers, options.sample)
    return 0


def _known(word: str) -> int:
    lexicon = tagger().lexicon
    key, at = word_hash(word) >> 32, 0
    at = key % len(lexicon.keys)
    while lexicon.keys[at] not in (0, key):
        at = (at + 1) % len(lexicon.keys)
    return int(lexicon.known[at]) if lexicon.keys[at] else 0


def is_given(word: str) -> bool:
    return bool(_known(word) & GIVEN)


def common(word: str) -> int:
    return _known(word) >> COMMON_SHIFT & COMMON


if __name__ == "__main__":
    sys.exit(main())
