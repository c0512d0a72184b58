"""De-identification markers: precision and recall on the labelled set, and what a corpus holds.

    python -m benchmarks.pii_markers labelled [--errors]
    python -m benchmarks.pii_markers shapes [--errors]
    python -m benchmarks.pii_markers corpus debian.jsonl [--skip N] [--sample 50]

A finding counts as right where it overlaps a labelled span of its kind; `exact` counts those with
the same offsets. A value of row 45 counts whether or not it is a trace: see tests/pii/markers.
`shapes` is the second set (tests/pii/markers/shapes.toml), by family, held-out shapes apart.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.pii.markers.shapes import documents
from unrote.pii.deid import DEID_MARKER, RESERVED_VALUE, SHIFTED_DATE, SURROGATE_AGE, DeidDetector
from unrote.pii.findings import Finding

SET = Path(__file__).parents[1] / "tests" / "pii" / "markers"
KINDS = {
    "marker": DEID_MARKER,
    "shifted-date": SHIFTED_DATE,
    "surrogate-age": SURROGATE_AGE,
    "reserved-value": RESERVED_VALUE,
}


@dataclass
class Tally:
    spans: int = 0
    found: int = 0
    exact: int = 0
    right_origin: int = 0
    right_meaning: int = 0
    false: int = 0
    findings: int = 0

    @property
    def recall(self) -> float:
        return self.found / self.spans if self.spans else 1.0

    @property
    def precision(self) -> float:
        return 1 - self.false / self.findings if self.findings else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass
class Result:
    """Of one split: everything, by type, by row (recall), and false findings by where they are."""

    every: Tally = field(default_factory=Tally)
    by_type: dict[str, Tally] = field(default_factory=dict)
    by_row: dict[int, Tally] = field(default_factory=dict)
    false_at: Counter[str] = field(default_factory=Counter)
    lookalikes: int = 0
    clean: int = 0


def overlaps(finding: Finding, span: dict[str, Any]) -> bool:
    same = finding.type == KINDS[span["kind"]]
    return same and finding.start < span["end"] and span["start"] < finding.end


def count(
    result: Result, line: dict[str, Any], findings: list[Finding], is_lookalike: bool
) -> None:
    for span in line["spans"]:
        hits = [finding for finding in findings if overlaps(finding, span)]
        exact = any((hit.start, hit.end) == (span["start"], span["end"]) for hit in hits)
        for tally in tallies(result, KINDS[span["kind"]], span["row"]):
            tally.spans += 1
            tally.found += bool(hits)
            tally.exact += exact
            tally.right_origin += any(hit.origin == span["origin"] for hit in hits)
            tally.right_meaning += any(meant(hit) == span["stands_for"] for hit in hits)
    false = 0
    for finding in findings:
        wrong = not any(overlaps(finding, span) for span in line["spans"])
        for tally in tallies(result, finding.type):
            tally.findings += 1
            tally.false += wrong
        false += wrong
    if false:
        result.false_at[f"{'look-alike' if is_lookalike else 'positive'} {line['style']}"] += false
    result.lookalikes += is_lookalike
    result.clean += is_lookalike and not false


def meant(finding: Finding) -> str:
    # The labels have no type of their own for addresses of machines and names of users
    # (tests/pii/markers/README.md).
    own = {"IP_ADDRESS": "ID", "USERNAME": "ID", "": "ANY"}
    return own.get(finding.stands_for, finding.stands_for)


def tallies(result: Result, kind: str, row: int | None = None) -> list[Tally]:
    found = [result.every, result.by_type.setdefault(kind, Tally())]
    return found if row is None else [*found, result.by_row.setdefault(row, Tally())]


def labelled(positives: Path, lookalikes: Path, errors: bool) -> dict[str, Result]:
    detector, results = DeidDetector(), dict[str, Result]()
    for path, is_lookalike in ((positives, False), (lookalikes, True)):
        for line in read(path):
            findings = detector.find(line["text"])
            count(results.setdefault(line["split"], Result()), line, findings, is_lookalike)
            if errors and line["split"] == "open":
                show_errors(line, findings)
    return results


def shapes(errors: bool) -> None:
    """Print, of the second set, spans found and wrong findings by family and part."""
    detector, parts = DeidDetector(), dict[tuple[str, str], Tally]()
    for document in documents():
        markers = [f for f in detector.find(document.text) if f.type == DEID_MARKER]
        part = "held-out" if document.held_out else "open" if document.shape else "look-alikes"
        missed = [span for span in document.spans if not any(_meet(f, span) for f in markers)]
        wrong = [f for f in markers if not any(_meet(f, span) for span in document.spans)]
        for key in ((part, document.family), (part, "all")):
            tally = parts.setdefault(key, Tally())
            tally.spans += len(document.spans)
            tally.found += len(document.spans) - len(missed)
            tally.exact += sum(any(_same(f, span) for f in markers) for span in document.spans)
            tally.right_meaning += sum(_right_meaning(markers, span) for span in document.spans)
            tally.findings += len(markers)
            tally.false += len(wrong)
        if errors and part != "held-out":
            for start, end, _ in missed:
                print("MISSED", document.shape, "|", around(document.text, start, end))
            for finding in wrong:
                shown = around(document.text, finding.start, finding.end)
                print("FALSE ", document.family, document.shape, "|", finding.origin, shown)
    print("| part | family | spans | found | recall | exact | meaning | false | precision |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for (part, family), tally in parts.items():
        print(
            f"| {part} | {family} | {tally.spans} | {tally.found} | {tally.recall:.3f} | "
            f"{tally.exact} | {tally.right_meaning} | {tally.false} | {tally.precision:.3f} |"
        )


def _meet(finding: Finding, span: tuple[int, int, str]) -> bool:
    return finding.start < span[1] and span[0] < finding.end


def _same(finding: Finding, span: tuple[int, int, str]) -> bool:
    return (finding.start, finding.end) == span[:2]


def _right_meaning(findings: list[Finding], span: tuple[int, int, str]) -> bool:
    return any(_meet(finding, span) and finding.stands_for == span[2] for finding in findings)


def show_errors(line: dict[str, Any], findings: list[Finding]) -> None:
    text = line["text"]
    for finding in findings:
        if not any(overlaps(finding, span) for span in line["spans"]):
            print(
                "FALSE ",
                line["id"],
                finding.origin,
                finding.type,
                around(text, finding.start, finding.end),
            )
    for span in line["spans"]:
        if not any(overlaps(finding, span) for finding in findings):
            print(
                "MISSED",
                line["id"],
                span["row"],
                span["kind"],
                around(text, span["start"], span["end"]),
            )
        elif not any((f.start, f.end) == (span["start"], span["end"]) for f in findings):
            print(
                "BOUNDS",
                line["id"],
                span["row"],
                span["kind"],
                around(text, span["start"], span["end"]),
            )


def around(text: str, start: int, end: int, width: int = 45) -> str:
    shown = f"{text[max(0, start - width) : start]}⟦{text[start:end]}⟧{text[end : end + width]}"
    return shown.replace("\n", "⏎")


def report(results: dict[str, Result]) -> None:
    for split, result in sorted(results.items(), reverse=True):
        print(f"\n{split}: precision, recall, F1; spans, found, exact, origin, meaning; false")
        show("all", result.every)
        for kind, tally in sorted(result.by_type.items()):
            show(kind, tally)
        for row, tally in sorted(result.by_row.items()):
            print(f"  row {row:<3} recall {tally.recall:.2f} of {tally.spans}, exact {tally.exact}")
        print(f"  look-alikes without a false finding: {result.clean} of {result.lookalikes}")
        print("  false findings:", dict(result.false_at.most_common()))


def show(name: str, tally: Tally) -> None:
    print(
        f"  {name:<15} {tally.precision:.3f} {tally.recall:.3f} {tally.f1:.3f}  {tally.spans} "
        f"{tally.found} {tally.exact} {tally.right_origin} {tally.right_meaning}  {tally.false}"
    )


def corpus(path: Path, skip: int, sample: int, seed: int) -> None:
    detector = DeidDetector()
    origins: Counter[tuple[str, str]] = Counter()
    holding: Counter[tuple[str, str]] = Counter()
    found: list[tuple[str, str, Finding, str]] = []
    size, seconds = 0, 0.0
    for number, line in enumerate(read(path)):
        if number < skip:
            continue
        text = line["text"]
        began = time.perf_counter()
        findings = detector.find(text)
        seconds += time.perf_counter() - began
        size += len(text.encode())
        origins.update((finding.type, finding.origin) for finding in findings)
        holding.update({(finding.type, finding.origin) for finding in findings})
        for finding in findings:
            shown = around(text, finding.start, finding.end, 100)
            found.append((line["id"], finding.type, finding, shown))
    print(f"{size / 1e6:.0f} MB in {seconds:.1f} s, {1e9 * seconds / max(size, 1):.1f} ms per MB")
    for key, number in origins.most_common():
        print(f"  {number:6} in {holding[key]:5} documents: {key[0]} {key[1]}")
    markers = [each for each in found if each[1] != RESERVED_VALUE]
    for each in random.Random(seed).sample(markers, min(sample, len(markers))):
        print(f"\n{each[0]}\n  {each[1]} {each[2].origin} {each[2].score:.2f} {each[3]}")


def read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as lines:
        yield from map(json.loads, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("labelled")
    one.add_argument("--positives", type=Path, default=SET / "positives.jsonl")
    one.add_argument("--lookalikes", type=Path, default=SET / "lookalikes.jsonl")
    one.add_argument("--errors", action="store_true", help="list the errors of the open split")
    three = commands.add_parser("shapes")
    three.add_argument("--errors", action="store_true", help="list all errors but the held-out")
    two = commands.add_parser("corpus")
    two.add_argument("path", type=Path)
    two.add_argument(
        "--skip", type=int, default=0, help="documents seen while writing the detector"
    )
    two.add_argument("--sample", type=int, default=50)
    two.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    if given.command == "labelled":
        report(labelled(given.positives, given.lookalikes, given.errors))
    elif given.command == "shapes":
        shapes(given.errors)
    else:
        corpus(given.path, given.skip, given.sample, given.seed)


if __name__ == "__main__":
    main()
