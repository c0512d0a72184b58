"""Compares findings with those of Presidio's AnalyzerEngine over whole corpora.

    python benchmarks/pii_identity.py --corpus FILE.jsonl [...] [--recognizers default|all|...]

Ours is compared at two thresholds: 0 (everything) and the default. Exit status 1 if any finding of
any document differs in offsets, type or score. Prints numbers and offsets, never text.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pii.config import Config
from pii.detector import Detector, Failure
from pii.presidio import analyze, analyzer_engine


def texts(path: Path) -> Iterator[str]:
    """The documents of a JSON Lines file (.zst too) or of Presidio's synthetic data (.json)."""
    if path.suffix == ".json":
        yield from (item["full_text"] for item in orjson.loads(path.read_bytes()))
        return
    with path.open("rb") as file:
        lines = zstandard.open(file, "rt", encoding="utf-8") if path.suffix == ".zst" else file
        for line in lines:
            yield orjson.loads(line)["text"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--recognizers", nargs="+", default=["default"])
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.0, 0.4])
    parser.add_argument("--max-mb", type=float, default=1e9, help="of each corpus, at most")
    options = parser.parse_args()
    differing = 0
    for threshold in options.thresholds:
        config = Config(
            recognizers=tuple(options.recognizers),
            without=tuple(options.without),
            threshold=threshold,
            secrets=False,
        )
        detector, engine = Detector(config), analyzer_engine(config)
        for path in options.corpus:
            began, documents, size, found, before = time.monotonic(), 0, 0, 0, differing
            for text in texts(path):
                ours = detector.find_bytes(text.encode())
                theirs = analyze(engine, text, config)
                documents, size, found = documents + 1, size + len(text), found + len(theirs)
                if isinstance(ours, Failure) or [tuple(f[:4]) for f in ours] != theirs:
                    differing += 1
                    report(documents - 1, ours, theirs)
                if size > options.max_mb * 1e6:
                    break
            print(
                f"{path.name} at {threshold}: {documents} documents, {size / 1e6:.1f} M characters,"
                f" {found} findings, {differing - before} documents differ"
                f" ({time.monotonic() - began:.0f} s)",
                flush=True,
            )
    return 1 if differing else 0


def report(document: int, ours: list | Failure, theirs: list) -> None:
    if isinstance(ours, Failure):
        print(f"document {document}: {ours.origin} {ours.reason}")
        return
    mine = {tuple(finding[:4]) for finding in ours}
    print(f"document {document}: only ours {sorted(mine - set(theirs))[:5]}")
    print(f"document {document}: only Presidio's {sorted(set(theirs) - mine)[:5]}")


if __name__ == "__main__":
    sys.exit(main())
