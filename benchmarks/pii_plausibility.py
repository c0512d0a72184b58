"""What pii.plausibility refuses of Presidio's findings, by type: findings in a megabyte.

    python benchmarks/pii_plausibility.py [--corpus FILE.jsonl[.zst]] [--sample 20] [--megabytes 20]

Without --corpus: Python's standard library (code), and the documentation of installed packages.
--sample prints as many of each type's refused findings with their line, to be read: they come from
the corpus, and may be somebody's.
"""

from __future__ import annotations

import argparse
import json
import random
import site
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from unrote.pii.config import Config
from unrote.pii.detector import Detector


def files(folder: Path, *suffixes: str) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in suffixes and path.is_file() and "site-packages" not in path.parts[:-3]:
            yield path.read_text("utf-8", "replace")


def rows(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    for line in content.splitlines():
        yield json.loads(line)["text"]


def part(texts: Iterable[str], size: int) -> list[str]:
    chosen, held = [], 0
    for text in texts:
        if held + len(text) > size:
            break
        chosen.append(text)
        held += len(text)
    return chosen


def compare(name: str, texts: list[str], sample: int) -> None:
    ours = Detector(Config(secrets=False))
    presidio = Detector(Config(secrets=False, compatible=True))
    kept: Counter[str] = Counter()
    found: Counter[str] = Counter()
    refused: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        own = {(f.type, f.start, f.end) for f in ours.find_bytes(text.encode())}
        theirs = {(f.type, f.start, f.end) for f in presidio.find_bytes(text.encode())}
        kept.update(type_ for type_, _, _ in own)
        found.update(type_ for type_, _, _ in theirs)
        for type_, start, end in theirs - own:
            line = text[max(text.rfind("\n", 0, start) + 1, start - 60) : start]
            behind = text[end : end + 30].partition("\n")[0]
            refused[type_].append(f"{line}[{text[start:end]}]{behind}")
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"\n{name}: {size:.1f} MB\n\n| type | Presidio's | ours | refused |\n|---|---|---|---|")
    for type_ in sorted(found | kept):
        per_mb = (found[type_] / size, kept[type_] / size, len(refused[type_]) / size)
        print(f"| {type_} | " + " | ".join(f"{one:.1f}" for one in per_mb) + " |")
    for type_, all_ in sorted(refused.items()) if sample else ():
        print(f"\n{type_}:")
        for one in random.Random(0).sample(all_, min(sample, len(all_))):
            print("   ", one)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--megabytes", type=float, default=20)
    given = parser.parse_args()
    size = int(given.megabytes * 1e6)
    if given.corpus:
        compare(given.corpus.name, part(rows(given.corpus), size), given.sample)
        return
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    compare("Python's standard library", part(files(stdlib, ".py"), size), given.sample)
    docs = (
        text
        for folder in site.getsitepackages()
        for text in files(Path(folder), ".md", ".rst", ".txt")
    )
    compare("documentation of installed packages", part(docs, size), given.sample)


if __name__ == "__main__":
    main()
