"""What memorization scoring adds to a clean: wall and processor seconds with it and without.

    python -m benchmarks.scoring_cost FILE... [--rounds 2] [--demo]

--demo: the corpus of `make demo` as well. Default settings, a process each, the fastest of so many
rounds that take turns; then the phases of scoring that take longest. Kernels are compiled and pages
read by a first run that does not count.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from unrote.pipelines.demo import make_corpus

WITHOUT = ("--set", "memorization.enabled=false")
KEY = {"UNROTE_KEY": "the key of a benchmark, of which no run depends"}
SHOWN = 5


def timed(corpus: Path, *options: str) -> tuple[float, float, dict[str, float]]:
    """Wall and processor seconds of a clean, its children's with it; seconds by phase."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "unrote", "clean", corpus, "-o", f"{folder}/out", "-q"]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([*line, *options], env=os.environ | KEY, check=True, capture_output=True)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        manifest = orjson.loads(Path(folder, "out", "manifest.json").read_bytes())
    phases = {phase["name"]: phase["seconds"] for phase in manifest["phases"]}
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, spent, phases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpora = [*options.files, *([make_corpus(Path(folder, "demo"))] if options.demo else [])]
        if not corpora:
            parser.error("name a file, or give --demo")
        compared(corpora, options.rounds)


def compared(corpora: Sequence[Path], rounds: int) -> None:
    """Prints the table, and below it the slowest phases of scoring."""
    timed(corpora[0])
    print("| MB | wall s: without | with | ratio | processor s: without | with | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    slowest = []
    for file in corpora:
        runs = [(timed(file, *WITHOUT), timed(file)) for _ in range(rounds)]
        numbers = []
        for measure in (0, 1):
            without, scored = (min(run[side][measure] for run in runs) for side in (0, 1))
            numbers += [without, scored, scored / without]
        parts = file.rglob("*") if file.is_dir() else [file]
        size = sum(part.stat().st_size for part in parts) / 1e6
        print(f"| {size:.0f} | " + " | ".join(f"{number:.2f}" for number in numbers) + " |")
        without, scored = (runs[-1][side][2] for side in (0, 1))
        own = {name: seconds for name, seconds in scored.items() if name not in without}
        longest = sorted(own, key=own.__getitem__, reverse=True)[:SHOWN]
        slowest.append(f"{size:.0f} MB: " + ", ".join(f"{n} {own[n]:.1f} s" for n in longest))
    print("\n".join(slowest))


if __name__ == "__main__":
    main()
