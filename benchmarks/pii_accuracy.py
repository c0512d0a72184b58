"""Precision, recall and F1 per entity on labelled text, ours beside plain Presidio's.

    python -m benchmarks.pii_accuracy LABELLED.json [--threshold 0.4]

LABELLED.json is of presidio-research's format: a list of objects with `full_text` and `spans`, each
with entity_type, start_position and end_position (code points). Both systems have the same
recognisers, thresholds and context words; markers and secrets, which Presidio has not, are off.

A finding is right where it overlaps a label of its type, a label is found where a finding of its
type overlaps it; for `exact` the offsets must be equal. With --compatible the exit status is 1 if
the two differ in offsets, type or score of any finding. Prints numbers, never text.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from unrote.pii.config import Config
from unrote.pii.detector import Failure
from unrote.pii.presidio import analyze, analyzer_engine
from unrote.pii.scanner import Scanner

COMPARED = {
    "CREDIT_CARD": "CREDIT_CARD",
    "DATE_TIME": "DATE_TIME",
    "DOMAIN_NAME": "URL",
    "EMAIL_ADDRESS": "EMAIL_ADDRESS",
    "IBAN_CODE": "IBAN_CODE",
    "IP_ADDRESS": "IP_ADDRESS",
    "PHONE_NUMBER": "PHONE_NUMBER",
    "STREET_ADDRESS": "ADDRESS",
    "US_DRIVER_LICENSE": "US_DRIVER_LICENSE",
    "US_SSN": "US_SSN",
}
"""Labels of the data, and the entity that finds such, ADDRESS ours alone. Labels that are not here
have no recogniser of patterns (names, places, ages, titles), and are listed as not covered."""

Span = tuple[int, int, str]


@dataclass
class Tally:
    """Of one entity: labels and findings, and how many of them are right."""

    labels: int = 0
    found: int = 0
    exact: int = 0
    findings: int = 0
    right: int = 0

    def count(self, labels: list[Span], findings: list[Span]) -> None:
        """Add one document's, all of this entity."""
        self.labels += len(labels)
        self.findings += len(findings)
        self.found += sum(any(overlap(one, other) for other in findings) for one in labels)
        self.right += sum(any(overlap(one, other) for other in labels) for one in findings)
        self.exact += len({*labels} & {*findings})

    def scores(self) -> tuple[float, float, float]:
        """Precision, recall and F1 by overlap."""
        return scores(self.right, self.findings, self.found, self.labels)

    def exact_scores(self) -> tuple[float, float, float]:
        """The same by equal offsets."""
        return scores(self.exact, self.findings, self.exact, self.labels)


def scores(right: int, findings: int, found: int, labels: int) -> tuple[float, float, float]:
    """Precision, recall and F1 (their harmonic mean); nan where there is nothing to divide by."""
    precision = right / findings if findings else float("nan")
    recall = found / labels if labels else float("nan")
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def add(tallies: dict[str, Tally], labels: Iterable[Span], findings: Iterable[Span]) -> None:
    known, found = list(labels), list(findings)
    for entity, tally in tallies.items():
        tally.count([s for s in known if s[2] == entity], [s for s in found if s[2] == entity])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--compatible", action="store_true", help="as pii.compatible")
    parser.add_argument("--threshold", type=float, default=Config().threshold)
    options = parser.parse_args()
    config = Config(
        threshold=options.threshold,
        markers=False,
        secrets=False,
        names=False,
        addresses=not options.compatible,
        compatible=options.compatible,
    )
    scanner, engine = Scanner(config), analyzer_engine(config)
    ours = {entity: Tally() for entity in sorted(COMPARED.values())}
    theirs = {entity: Tally() for entity in ours}
    uncovered: Counter[str] = Counter()
    unlabelled: Counter[str] = Counter()
    documents = json_of(options.labelled)
    differing = 0
    for document in documents:
        text, labels = document["full_text"], []
        for span in document["spans"]:
            entity = COMPARED.get(span["entity_type"])
            if entity is None:
                uncovered[span["entity_type"]] += 1
            else:
                labels.append((span["start_position"], span["end_position"], entity))
        found = scanner.find(text)
        if isinstance(found, Failure):
            raise SystemExit(f"a document without an answer: {found.origin} {found.reason}")
        plain = analyze(engine, text, config)
        differing += [finding[:4] for finding in found] != plain
        add(ours, labels, (finding[:3] for finding in found))
        add(theirs, labels, ((start, end, entity) for start, end, entity, _ in plain))
        unlabelled.update(f.type for f in found if f.type not in ours)
    print(f"{len(documents)} documents, threshold {options.threshold:g}\n")
    show(ours, theirs)
    print(f"\nnot covered, labels: {listed(uncovered)}")
    print(f"findings of types without labels: {listed(unlabelled)}")
    print(f"documents in which the two differ: {differing}")
    return 1 if differing and options.compatible else 0


def json_of(path: Path) -> list[dict]:
    return orjson.loads(path.read_bytes())


def show(ours: dict[str, Tally], theirs: dict[str, Tally]) -> None:
    """One table: a row for each entity, ours and Presidio's side by side."""
    figures = "findings | precision | recall | F1 | exact F1"
    print(f"| entity | labels | ours: {figures} | Presidio: {figures} |")
    print("| --- " + "| --: " * 11 + "|")
    for name, tally in (*ours.items(), ("all", total(ours))):
        other = theirs[name] if name in theirs else total(theirs)
        cells = [f"{name} | {tally.labels}", *(row(one) for one in (tally, other))]
        print(f"| {' | '.join(cells)} |")


def row(tally: Tally) -> str:
    precision, recall, f1 = tally.scores()
    shown = (f"{score:.3f}" for score in (precision, recall, f1, tally.exact_scores()[2]))
    return " | ".join([str(tally.findings), *shown])


def total(tallies: dict[str, Tally]) -> Tally:
    """All entities together: every label and every finding counts alike."""
    sums = Tally()
    for tally in tallies.values():
        for name, number in vars(tally).items():
            setattr(sums, name, getattr(sums, name) + number)
    return sums


def listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.most_common()) or "none"


if __name__ == "__main__":
    sys.exit(main())
