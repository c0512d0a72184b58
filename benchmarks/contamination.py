"""What evaluation sets cost: `unrote dedup` with and without 100,000 items.

    python benchmarks/contamination.py ~/.cache/unrote-bench/debian-50.jsonl [--items 100000]
        [--bytes 576] [--rounds 2] [--clean]

Items are words of the corpus in a random order, one in a hundred of them in the corpus's, so that
their 8-grams are found as rarely as those of a real set. Rounds alternate, in new processes; the
fastest counts. --clean: the default job in the place of deduplication alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write_items(corpus: Path, path: Path, count: int, size: int) -> None:
    drawn = random.Random(0)
    words = " ".join(json.loads(line)["text"] for line in corpus.open()).split()
    with path.open("w") as file:
        for number in range(count):
            start = drawn.randrange(len(words) - size)
            item = words[start : start + size // 4]
            if number % 100:
                drawn.shuffle(item)
            file.write(json.dumps({"text": " ".join(item)[:size]}) + "\n")


def timed(command: str, corpus: Path, *more: str) -> tuple[float, float]:
    """Seconds of processor time, and of the wall."""
    with tempfile.TemporaryDirectory() as folder:
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        args = (command, str(corpus), "-o", str(Path(folder) / "out"), "--quiet", *more)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-m", "unrote", *args], check=True, env=environment)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.monotonic() - begun
    return used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=576)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clean", action="store_true")
    asked = parser.parse_args()
    command = "clean" if asked.clean else "dedup"
    with tempfile.TemporaryDirectory() as folder:
        items = Path(folder) / "items.jsonl"
        write_items(asked.corpus, items, asked.items, asked.bytes)
        against = ("--set", f'contamination.sets=[{{path="{items}"}}]')
        found = [
            (timed(command, asked.corpus), timed(command, asked.corpus, *against))
            for _ in range(asked.rounds)
        ]
    for what, at in (("processor", 0), ("wall", 1)):
        without, beside = (min(pair[which][at] for pair in found) for which in (0, 1))
        print(f"{command}, {asked.items:,} items, {what}: {without:.1f} s without, "
              f"{beside:.1f} s with, {beside / without:.2f} times")  # fmt: skip


if __name__ == "__main__":
    main()
