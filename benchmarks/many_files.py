"""What many small files cost: the same documents as so many files of 1 kB, and in one file.

    python -m benchmarks.many_files [--files 5000] [--runs 3] [--job dedup]

Prints a row for each: wall time and processor time (user and system) of the whole command, medians,
beside `cp -r` of the files. The documents are made up and all different, so that nothing but
reading and writing takes time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import orjson

from benchmarks.large import COMMANDS
from benchmarks.measure import Measured, measure

WORDS = 180
"""In a document, which makes about 1 kB."""


def make(folder: Path, files: int) -> None:
    """Write FOLDER/files/NUMBER.jsonl, a row each, and FOLDER/one/all.jsonl."""
    draw = np.random.default_rng(0)
    for name in ("files", "one"):
        (folder / name).mkdir()
    with (folder / "one" / "all.jsonl").open("wb") as one:
        for number in range(files):
            text = " ".join(f"w{word}" for word in draw.integers(5000, size=WORDS))
            row = orjson.dumps({"id": str(number), "text": text}) + b"\n"
            one.write(row)
            (folder / "files" / f"{number:06d}.jsonl").write_bytes(row)


def row(name: str, runs: list[Measured]) -> str:
    wall, cpu = (statistics.median(getattr(run, of) for run in runs) for of in ("wall", "cpu"))
    return f"| {name} | {wall:.2f} | {cpu:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--job", choices=sorted(COMMANDS), default="dedup")
    given = parser.parse_args()
    print("| 1 kB documents | wall s | user + sys s |\n|---|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, given.files)
        ours = [sys.executable, "-m", "unrote", *COMMANDS[given.job]]
        commands = {
            f"in one file, `{given.job}`": [*ours, str(folder / "one"), "-q", "-o"],
            f"in {given.files:,} files": [*ours, str(folder / "files"), "-q", "-o"],
            "`cp -r` of these": ["cp", "-r", str(folder / "files")],
        }
        for number, (told, command) in enumerate(commands.items()):
            # Nothing is removed in between: ext4 takes long to find a place for a file among those
            # of files that have just gone.
            outs = [folder / f"out-{number}-{run}" for run in range(given.runs)]
            runs = [measure([*command, str(out)], folder / "log") for out in outs]
            print(row(told, runs), flush=True)


if __name__ == "__main__":
    main()
