"""The first command of an installation beside the second: wall and processor seconds.

python -m benchmarks.cold_start --data prose.jsonl.zst [--megabytes 5]

Each pair has a cache folder of its own that is empty at first. "as installed": with the kernels
and prefilters that `make` or the wheel brought. "without": as where no kernel fits the machine
(UNROTE_KERNELS=host), so that each is compiled when it is first used, as all were before.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from benchmarks.kernels_minhash import load

COMMANDS = ("dedup", "scrub", "clean")
TOKENS = "memorization.max_tokens=20000"
"""The model's time is the same in both runs and not what is measured."""


def timed(command: str, corpus: Path, folder: Path, environment: dict[str, str]) -> list[float]:
    """Wall and processor seconds of a run, its children's with it."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    out = tempfile.mkdtemp(dir=folder)
    line = [sys.executable, "-m", "unrote", command, corpus, "-o", f"{out}/out", "-q"]
    subprocess.run(
        [*line, "--set", TOKENS], env=os.environ | environment, check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [time.perf_counter() - began, spent]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        corpus = folder / "in.jsonl"
        with corpus.open("wb") as file:
            for text in load(options.data, options.megabytes).to_pylist():
                file.write(orjson.dumps({"text": text}) + b"\n")
        print("| kernels | command | first, s | second, s | ratio | processor, first | second |")
        print("|---|---|--:|--:|--:|--:|--:|")
        for kind, kernels in (("as installed", {}), ("without", {"UNROTE_KERNELS": "host"})):
            for command in COMMANDS:
                cache = tempfile.mkdtemp(dir=folder)
                environment = kernels | {"UNROTE_CACHE": cache}
                first, second = (timed(command, corpus, folder, environment) for _ in range(2))
                print(
                    f"| {kind} | `{command}` | {first[0]:.1f} | {second[0]:.1f} "
                    f"| {first[0] / second[0]:.1f} | {first[1]:.1f} | {second[1]:.1f} |"
                )


if __name__ == "__main__":
    main()
