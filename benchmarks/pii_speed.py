"""Speed of the detector beside Presidio's AnalyzerEngine, on the same documents, one core.

    python benchmarks/pii_speed.py [--corpus FILE.jsonl] [--dense FILE.json] [--prose FILE.jsonl]
        [--megabytes 3] [--kinds]

Processor time, not wall clock, so that a busy machine disturbs less; a slice of documents goes
through each system in turn, so that what disturbs, disturbs all. Four systems:

  unrote          the default configuration, secrets included
  Hyperscan       its pass over each document alone: no detector behind it is faster
  same findings   AnalyzerEngine with the same recognisers, context words and thresholds
  no context      AnalyzerEngine with NoOpNlpEngine: Presidio's fastest; it finds less, since
                  without words context raises no score

Without --corpus the text is the documentation of installed packages: *.md, *.rst, *.txt. --kinds
adds code (the standard library's), CSV and chat; these two are made, with a number, a date, an
address or a URL in most lines. Core-hours are those of a terabyte.
"""

from __future__ import annotations

import argparse
import site
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random

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
    plain = replace(config, secrets=False, names=False, addresses=False)
    engine = analyzer_engine(plain)
    without = replace(plain, context=False)
    fastest = analyzer_engine(without)
    systems: dict[str, Callable[[str], object]] = {
        "unrote": lambda text: detector.find_bytes(text.encode()),
        "Hyperscan": lambda text: [one.block(0, text.encode()) for one in detector.prefilters],
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
        speed, hours = size / seconds / 1e6, seconds / size * 1e12 / 3600
        print(f"  {system:14} {speed:8.3f} MB/s {hours:8,.0f} core-hours   unrote is {ratio:.2f} x")
    profile = sorted(detector.seconds.items(), key=lambda item: -item[1])
    rest = spent["unrote"] - sum(detector.seconds.values())
    print(f"  gate, decoding and the rest: {rest:.3f} s; recognisers:")
    for origin, seconds in profile[:8]:
        print(f"  {origin:28} {seconds:.3f} s")


def code() -> Iterable[str]:
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        yield path.read_text("utf-8", "replace")


def tables(count: int = 400) -> Iterable[str]:
    random = Random(14)
    for _ in range(count):
        rows = ["id,name,price,latitude,date,mail"]
        for _ in range(150):
            number, day = random.randrange(10**9), random.randrange(1, 29)
            place = f"{random.uniform(-90, 90):.6f}"
            price = f"{random.random() * 1000:.2f}"
            mail = f"u{number % 9973}@mail{day}.com"
            rows.append(f"{number},item {day},{price},{place},2024-05-{day:02},{mail}")
        yield "\n".join(rows)


def chats(count: int = 400) -> Iterable[str]:
    random = Random(14)
    said = (
        "did you see the notes from yesterday? I am not sure about the second part",
        "ok, call me on 212-555-0187 when you are there",
        "it is all on https://forum.unrote.org/t/{} I think",
        "lol no, that was in 2019, the build has been green since then",
        "thanks! mail it to team{}@unrote.org please, or put it where we can read it",
        "I would rather wait until the others have answered, there is no hurry",
    )
    for _ in range(count):
        yield "\n".join(
            f"[{random.randrange(24):02}:{random.randrange(60):02}] <user{random.randrange(9)}> "
            + random.choice(said).format(random.randrange(1000))
            for _ in range(80)
        )


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
    parser.add_argument("--prose", type=Path, help="JSON Lines")
    parser.add_argument("--kinds", action="store_true", help="code, CSV and chat as well")
    parser.add_argument("--megabytes", type=float, default=3.0)
    parser.add_argument("--recognizers", nargs="+", default=["default"])
    options = parser.parse_args()
    config = Config(recognizers=tuple(options.recognizers))
    source = texts(options.corpus) if options.corpus else documentation()
    measure("documentation", spread(source, options.megabytes), config)
    if options.prose:
        measure("prose", spread(texts(options.prose), options.megabytes), config)
    if options.kinds:
        for name, made in (("code", code()), ("CSV", tables()), ("chat", chats())):
            measure(name, spread(made, options.megabytes), config)
    if options.dense:
        measure("dense", spread(texts(options.dense), options.megabytes), config)


if __name__ == "__main__":
    main()
