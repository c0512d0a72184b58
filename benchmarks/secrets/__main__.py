"""Secrets: precision and recall on the labelled set, by provider.

    python -m benchmarks.secrets [--each 24] [--errors 20] [--providers] [--without-held-out]
    python -m benchmarks.secrets --detect-secrets   beside detect-secrets (pip install it)
    python -m benchmarks.secrets --texts FOLDER     what is found in the files below a folder

A secret counts as found where findings cover all of it. A finding is false where it overlaps no
secret. Held-out providers are those whose samples were not looked at while the rules were written.
detect-secrets reads each text as a file; its findings are all places in the line of what it says
is a secret.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from benchmarks.secrets.labelled import Sample, labelled
from unrote.pii.config import SECRET, Config
from unrote.pii.detector import Detector

ONLY_SECRETS = Config(recognizers=("US_SSN",), markers=False)

SUFFIXES = (
    *(".c", ".cfg", ".css", ".go", ".h", ".html", ".ini", ".java", ".js", ".json", ".md", ".pem"),
    *(".py", ".rst", ".sh", ".toml", ".ts", ".txt", ".xml", ".yaml", ".yml"),
)
"""Of files that `--texts` reads."""

Spans = list[tuple[int, int, str]]
Finder = Callable[[str], Spans]


@dataclass
class Tally:
    secrets: int = 0
    found: int = 0
    findings: int = 0
    false: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.found / self.secrets if self.secrets else 1.0

    @property
    def precision(self) -> float:
        return 1 - self.false / self.findings if self.findings else 1.0

    def __str__(self) -> str:
        counts = f"{self.secrets:6,} {self.found:6,} {self.findings:8,} {self.false:6,}"
        return f"{counts} {self.precision:10.3f} {self.recall:7.3f}"


def finder() -> Finder:
    detector = Detector(ONLY_SECRETS)

    def find(text: str) -> Spans:
        found = detector.find_bytes(text.encode())
        assert isinstance(found, list), found
        return [(one.start, one.end, one.origin) for one in found if one.type == SECRET]

    return find


def detect_secrets() -> Finder:
    """Its scan of a file, with its settings by default: keywords and entropy among the detectors,
    and its filters.
    """
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "sample.txt"

    def find(text: str) -> Spans:
        path.write_text(text, encoding="utf-8", newline="")
        found = SecretsCollection()
        with default_settings():
            found.scan_file(str(path))
        lines = text.splitlines(keepends=True)
        starts = [0, *accumulate(map(len, lines))]
        spans = set()
        for _, one in found:
            line, start = lines[one.line_number - 1], starts[one.line_number - 1]
            at = line.find(one.secret_value) if one.secret_value else -1
            while at >= 0:
                end = at + len(one.secret_value)
                spans.add((start + at, start + end, one.type))
                at = line.find(one.secret_value, end)
        return sorted(spans)

    find.folder = folder  # type: ignore[attr-defined]  # lives as long
    return find


def both(one: Finder, other: Finder) -> Finder:
    return lambda text: sorted({*one(text), *other(text)})


def count(tally: Tally, sample: Sample, spans: Spans) -> None:
    covered = {at for start, end, _ in spans for at in range(start, end)}
    tally.findings += len(spans)
    for start, end, origin in spans:
        if sample.start < 0 or end <= sample.start or start >= sample.end:
            tally.false += 1
            tally.errors.append(f"false  {origin}: {sample.text[start:end]!r} in {sample.text!r}")
    if sample.start >= 0:
        tally.secrets += 1
        if covered.issuperset(range(sample.start, sample.end)):
            tally.found += 1
        else:
            tally.errors.append(f"missed {sample.group}: {sample.text!r} {spans}")


def table(samples: Sequence[Sample], find: Finder, of: Callable[[Sample], str]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for sample in samples:
        count(tallies.setdefault(of(sample), Tally()), sample, find(sample.text))
    return tallies


def summed(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for one in tallies:
        total.secrets += one.secrets
        total.found += one.found
        total.findings += one.findings
        total.false += one.false
    return total


def kind_of(sample: Sample) -> str:
    if sample.kind == "provider":
        return "providers, held out" if sample.held_out else "providers"
    return f"look-alikes: {sample.group}" if sample.kind == "look-alike" else sample.kind


def on_texts(folder: Path, find: Finder, shown: int) -> None:
    size, began = 0, time.perf_counter()
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        text = path.read_text("utf-8", "replace")
        size += len(text)
        for start, end, origin in find(text):
            found.append(f"{path.relative_to(folder)}: {origin}: {text[start:end][:100]!r}")
    took = time.perf_counter() - began
    print(f"{size / 1e6:.1f} MB, {len(found)} findings, {size / took / 1e6:.1f} MB/s")
    print("\n".join(found[:shown]))


def show(title: str, tallies: dict[str, Tally], errors: int) -> None:
    print(f"{title:34} secrets  found findings  false  precision  recall")
    for name, tally in tallies.items():
        print(f"{name:34} {tally}")
        for error in tally.errors[:errors]:
            print("   ", error)
    print(f"{'all':34} {summed(tallies.values())}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=24)
    parser.add_argument("--errors", type=int, default=0, help="errors shown of each row")
    parser.add_argument("--providers", action="store_true", help="a row for each provider")
    parser.add_argument("--without-held-out", action="store_true")
    parser.add_argument("--detect-secrets", action="store_true")
    parser.add_argument("--texts", type=Path, help="a folder of files, instead of the set")
    options = parser.parse_args()
    find = finder()
    if options.texts:
        on_texts(options.texts, find, options.errors)
        return
    samples = [
        s for s in labelled(each=options.each) if not options.without_held_out or not s.held_out
    ]
    of = (lambda sample: sample.group) if options.providers else kind_of
    show("unrote", table(samples, find, of), options.errors)
    if options.detect_secrets:
        other = detect_secrets()
        show("detect-secrets", table(samples, other, of), options.errors)
        show("both", table(samples, both(find, other), of), 0)


if __name__ == "__main__":
    main()
