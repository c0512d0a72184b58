"""Findings in a megabyte by type: Presidio's (`pii.compatible`) and ours; and samples to be read.

    python -m benchmarks.pii_plausibility [--corpus FILE.jsonl[.zst]] [--kind code|docs|csv]
        [--folder DIR] [--megabytes 20] [--half tune|held-out] [--everything]
        [--sample 50] [--of found|refused]

--corpus: texts of JSON lines. --kind: files that are installed here, Python's standard library and
packages, the documentation of packages, or CSV, in an order that a hash of their names draws;
--folder: those in another folder. --half: documents of one half, by their hash: rules are made with
the first and counted on the other. --everything: names, addresses and secrets too, which both find.
--sample prints so many findings of each type, drawn by hash, with their line, to be read and
judged: they come from the corpus, and may be somebody's. Equal lines count once.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import xxhash
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from unrote.pii.config import default_config
from unrote.pii.detector import Detector
from unrote.pii.findings import Failure

SUFFIXES = {"code": (".py",), "docs": (".md", ".rst", ".txt"), "csv": (".csv",)}
LONGEST = 200_000
"""Characters of a text that are read: a few large files would be all there is."""
MOST_SHOWN = 30
"""Characters of a finding that are shown."""


def installed() -> list[Path]:
    """Where the standard library and installed packages are."""
    return [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib")]


def files(folders: Iterable[Path], suffixes: Iterable[str]) -> Iterator[str]:
    """Files in folders, in an order drawn by their names."""
    paths = {
        str(path.relative_to(folder)): path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in suffixes and path.is_file()
    }
    for name in sorted(paths, key=lambda name: xxhash.xxh3_64_intdigest(name.encode())):
        yield paths[name].read_text("utf-8", "replace")


def rows(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    for line in content.splitlines():
        yield json.loads(line)["text"]


def part(texts: Iterable[str], size: int, half: str) -> Iterator[str]:
    """Texts of one half, or of both, of so many characters."""
    held = 0
    for text in texts:
        second = xxhash.xxh3_64_intdigest(text.encode("utf-8", "replace")) & 1
        if half and second != (half == "held-out"):
            continue
        held += len(text[:LONGEST])
        if held > size:
            return
        yield text[:LONGEST]


@dataclass
class Counts:
    """Findings by type: of Presidio, of ours, and for reading those of ours or those refused."""

    size: int = 0
    presidio: Counter[str] = field(default_factory=Counter)
    ours: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    shown: defaultdict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    """By type, lines with a finding by their hash."""


def compare(texts: Iterable[str], of: str, everything: bool) -> Counts:
    config = default_config()
    if not everything:
        config = replace(config, secrets=False, names=False, addresses=False)
    ours, presidio = Detector(config), Detector(replace(config, compatible=True))
    counts = Counts()
    for text in texts:
        data = text.encode("utf-8", "replace")
        both = ours.find_bytes(data), presidio.find_bytes(data)
        if any(isinstance(found, Failure) for found in both):
            continue
        counts.size += len(data)
        own, theirs = ({(f.type, f.start, f.end) for f in found} for found in both)
        counts.ours.update(type_ for type_, _, _ in own)
        counts.presidio.update(type_ for type_, _, _ in theirs)
        counts.refused.update(type_ for type_, _, _ in theirs - own)
        for type_, start, end in own if of == "found" else theirs - own:
            line = _line(text, start, end)
            draw = xxhash.xxh3_64_intdigest(f"{type_} {line}".encode("utf-8", "replace"))
            counts.shown[type_][draw] = line
    return counts


def _line(text: str, start: int, end: int) -> str:
    before = text[max(text.rfind("\n", 0, start) + 1, start - 60) : start]
    behind = text[end : end + 40].partition("\n")[0]
    return f"{before}[{text[start:end][:MOST_SHOWN]}]{behind}"


def show(counts: Counts, sample: int) -> None:
    size = counts.size / 1e6
    print(f"{size:.1f} MB\n\n| type | Presidio's | ours | refused |\n|---|--:|--:|--:|")
    for type_ in sorted(counts.presidio | counts.ours):
        found = (counts.presidio[type_], counts.ours[type_], counts.refused[type_])
        print(f"| {type_} | " + " | ".join(f"{one / size:.2f}" for one in found) + " |")
    for type_, drawn in sorted(counts.shown.items()) if sample else ():
        print(f"\n{type_}: {len(drawn)} different lines")
        for _, line in sorted(drawn.items())[:sample]:
            print("   ", line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--kind", choices=SUFFIXES, default="code")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--half", choices=("tune", "held-out"), default="")
    parser.add_argument("--everything", action="store_true")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--of", choices=("found", "refused"), default="found")
    given = parser.parse_args()
    folders = [given.folder] if given.folder else installed()
    texts = rows(given.corpus) if given.corpus else files(folders, SUFFIXES[given.kind])
    texts = part(texts, int(given.megabytes * 1e6), given.half)
    show(compare(texts, given.of, given.everything), given.sample)


if __name__ == "__main__":
    main()
