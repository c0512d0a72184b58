"""Speed of the detector beside Presidio's AnalyzerEngine, on the same documents, one core.

    python benchmarks/pii_speed.py [--corpus FILE.jsonl] [--dense FILE.json] [--megabytes 3]

Processor time, not wall clock, so that a busy machine disturbs less; a slice of documents goes
through each system in turn, so that what disturbs, disturbs all. Three systems:

  unrote          the default configuration, secrets included
  same findings   AnalyzerEngine with the same recognisers, context words and thresholds
  no context      AnalyzerEngine with NoOpNlpEngine: Presidio's fastest; it finds less, since
                  without words context raises no score

Without --corpus the text is the documentation of installed packages: *.md, *.rst, *.txt.
"""

from __future__ import annotations

import argparse
import site
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.pii_identity import texts
from unrote.pii.config import Config
from unrote.pii.detector import Detector
from unrote.pii.presidio import analyze, analyzer_engine

SLICE = 200_000  # characters
WARM = (
    "jane.roe@unrote.org, 212-555-5555, http://unrote.org",
    "é jane.roe@unrote.org 212-555-5555",
)


def documentation() -> Iterable[str]:
    for folder in site.getsitepackages():
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix in {".md", ".rst", ".txt"} and path.is_file():
                yield path.read_text("utf-8", "replace")


def measure(name: str, documents: list[str], config: Config) -> None:
    detector = Detector(config)
    plain = replace(config, secrets=False)
    engine = analyzer_engine(plain)
    without = replace(plain, context=False)
    fastest = analyzer_engine(without)
    systems: dict[str, Callable[[str], object]] = {
        "unrote": lambda text: detector.find_bytes(text.encode()),
        "same findings": lambda text: analyze(engine, text, plain),
        "no context": lambda text: analyze(fastest, text, without),
    }
    for run in systems.values():  # compiles
        for text in (*documents[:20], *WARM):
            run(text)
    detector.seconds = dict.fromkeys(detector.seconds, 0.0)
    spent = dict.fromkeys(systems, 0.0)
    size = sum(len(text.encode()) for text in documents)
    for part in slices(documents):
        for system, run in systems.items():
            began = time.process_time()
            for text in part:
                run(text)
            spent[system] += time.process_time() - began
    print(f"{name}: {len(documents)} documents, {size / 1e6:.2f} MB")
    for system, seconds in spent.items():
        ratio = seconds / spent["unrote"]
        print(f"  {system:14} {size / seconds / 1e6:8.3f} MB/s   unrote is {ratio:.1f} x")
    profile = sorted(detector.seconds.items(), key=lambda item: -item[1])
    rest = spent["unrote"] - sum(detector.seconds.values())
    print(f"  gate, decoding and the rest: {rest:.3f} s; recognisers:")
    for origin, seconds in profile[:8]:
        print(f"  {origin:28} {seconds:.3f} s")


def slices(documents: list[str]) -> Iterable[list[str]]:
    part: list[str] = []
    size = 0
    for text in documents:
        part.append(text)
        size += len(text)
        if size >= SLICE:
            yield part
            part, size = [], 0
    if part:
        yield part


def spread(documents: Iterable[str], megabytes: float) -> list[str]:
    """About so many megabytes of the documents, taken at equal distances."""
    every = list(documents)
    step = max(1, round(sum(map(len, every)) / (megabytes * 1e6)))
    return every[::step]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--dense", type=Path, help="Presidio's synthetic data, or JSON Lines")
    parser.add_argument("--megabytes", type=float, default=3.0)
    parser.add_argument("--recognizers", nargs="+", default=["default"])
    options = parser.parse_args()
    config = Config(recognizers=tuple(options.recognizers))
    source = texts(options.corpus) if options.corpus else documentation()
    measure("documentation", spread(source, options.megabytes), config)
    if options.dense:
        measure("dense", spread(texts(options.dense), options.megabytes), config)


if __name__ == "__main__":
    main()
