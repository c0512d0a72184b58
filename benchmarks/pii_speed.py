"""Speed of the detector beside Presidio's AnalyzerEngine, on the same documents, one core.

    python benchmarks/pii_speed.py [--corpus FILE.jsonl] [--dense FILE.json] [--prose FILE.jsonl]
        [--megabytes 3] [--kinds] [--lines 5] [--clean FILE.jsonl] [--without-presidio]

Processor time, not wall clock, so that a busy machine disturbs less; a slice of documents goes
through each system in turn, so that what disturbs, disturbs all. Six systems:

  unrote          the detector in the default configuration, secrets and names included
  without names   the same without the tagger: what that costs
  scrubbed        found, markers too, and replaced until nothing new is found: what a run does
  Hyperscan       the passes of its expressions over each document alone: no detector is faster
  same findings   AnalyzerEngine with the same recognisers, context words and thresholds
  no context      AnalyzerEngine with NoOpNlpEngine: Presidio's fastest; it finds less, since
                  without words context raises no score

--lines takes one line of so many megabytes through the last step, of digits and other things that
make expressions slow. --clean cleans a corpus with one worker and no scores, and deduplicates it
alone, and prints the ratio of their wall clocks. --without-presidio leaves the last two out.

Without --corpus the text is the documentation of installed packages: *.md, *.rst, *.txt. --kinds
adds code (the standard library's), CSV and chat; these two are made, with a number, a date, an
address or a URL in most lines. Core-hours are those of a terabyte.
"""

from __future__ import annotations

import argparse
import base64
import site
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.pii_identity import texts
from unrote.pii.config import Config, actions_for, default_config
from unrote.pii.detector import Detector
from unrote.pii.keys import fresh_key
from unrote.pii.presidio import analyze, analyzer_engine
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing import scrub_text

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


def measure(name: str, documents: list[str], config: Config, presidio: bool) -> None:
    detector, scanner = Detector(config), scanner_of(config)
    nameless = Detector(replace(config, names=False))
    actions, key = actions_for(), fresh_key()
    systems: dict[str, Callable[[str], object]] = {
        "unrote": lambda text: detector.find_bytes(text.encode()),
        "without names": lambda text: nameless.find_bytes(text.encode()),
        "scrubbed": lambda text: scrub_text(text, scanner, actions, key, "document"),
        "Hyperscan": lambda text: [one.block(0, text.encode()) for one in detector.prefilters],
    }
    if presidio:
        systems |= of_presidio(config)
    run_all(name, documents, systems, detector)


def of_presidio(config: Config) -> dict[str, Callable[[str], object]]:
    plain = replace(config, secrets=False, names=False, addresses=False)
    engine = analyzer_engine(plain)
    without = replace(plain, context=False)
    fastest = analyzer_engine(without)
    return {
        "same findings": lambda text: analyze(engine, text, plain),
        "no context": lambda text: analyze(fastest, text, without),
    }


def run_all(
    name: str,
    documents: list[str],
    systems: Mapping[str, Callable[[str], object]],
    detector: Detector,
) -> None:
    """Print the speed of each system, and how the detector's time is spent."""
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
        print(f"  {origin:28} {seconds:.3f} s  {seconds / spent['unrote']:4.0%}")


def lines(megabytes: float) -> None:
    """Print the seconds that one line of each kind takes."""
    scanner, actions, key = scanner_of(default_config()), actions_for(), fresh_key()
    for text in WARM:
        scrub_text(text, scanner, actions, key, "warm")
    for kind, piece in LINES.items():
        random, pieces, size = Random(7), [], 0
        while size < megabytes * 1e6:
            pieces.append(piece(random))
            size += len(pieces[-1])
        text = "".join(pieces)
        began = time.process_time()
        scrubbed = scrub_text(text, scanner, actions, key, "line")
        took = time.process_time() - began
        print(f"  {kind:16} {took:8.2f} s {scrubbed.rejected}")


CODE = ("function a(b,c){return b.d(c)};", "var x=3;", 'e.push({k:"v",u:1.5});', "t.in&&r.me();")
LINES: Mapping[str, Callable[[Random], str]] = {
    "digits": lambda random: f"{random.randrange(10**30):030}",
    "groups of three": lambda random: f"{random.randrange(1000):03} ",
    "groups of ten": lambda random: f"{random.randrange(10**10):010} ",
    "base64": lambda random: base64.b64encode(random.randbytes(30)).decode(),
    "minified code": lambda random: random.choice(CODE),
    "hex": lambda random: f"{random.getrandbits(32):08x}",
}


def clean(corpus: Path) -> None:
    """Print the wall clock of a clean without scores, and of deduplication alone."""
    spent = {}
    with tempfile.TemporaryDirectory() as folder:
        for command, more in (("dedup", ()), ("clean", ("--set", "memorization.enabled=false"))):
            out = Path(folder) / command
            began = time.perf_counter()
            subprocess.run(
                [
                    *(sys.executable, "-m", "unrote", command, str(corpus), "-o", str(out)),
                    *("--quiet", "--set", "engine.workers=1", *more),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            spent[command] = time.perf_counter() - began
            print(f"  {command:6} {spent[command]:7.1f} s")
    print(f"  clean takes {spent['clean'] / spent['dedup']:.1f} times as long as dedup")


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
    parser.add_argument("--lines", type=float, default=0.0, metavar="MEGABYTES")
    parser.add_argument("--clean", type=Path, help="JSON Lines")
    parser.add_argument("--without-presidio", action="store_true")
    parser.add_argument("--recognizers", nargs="+", default=["default"])
    options = parser.parse_args()
    presidio = not options.without_presidio
    config = default_config()
    if options.recognizers != ["default"]:
        config = replace(config, recognizers=tuple(options.recognizers))
    source = texts(options.corpus) if options.corpus else documentation()
    measure("documentation", spread(source, options.megabytes), config, presidio)
    if options.prose:
        measure("prose", spread(texts(options.prose), options.megabytes), config, presidio)
    if options.kinds:
        for name, made in (("code", code()), ("CSV", tables()), ("chat", chats())):
            measure(name, spread(made, options.megabytes), config, presidio)
    if options.dense:
        measure("dense", spread(texts(options.dense), options.megabytes), config, presidio)
    if options.lines:
        print(f"one line of {options.lines:g} MB")
        lines(options.lines)
    if options.clean:
        print(f"{options.clean.name}, {options.clean.stat().st_size / 1e6:.1f} MB")
        clean(options.clean)


if __name__ == "__main__":
    main()
