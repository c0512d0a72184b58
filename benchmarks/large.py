"""The whole command on made-up corpora that are larger than its memory.

    python -m benchmarks.large WORK [--jobs dedup,clean] [--sizes 1GB,2GB] [--memory 1GiB]
                               [--workers 2] [--words 400] [--keep] [--phases]

Prints a row for each job and size: wall and processor time, the highest memory of all its processes
together, the most that lay in its scratch folder, what went through the exchange; and of what was
planted, which share was removed: exact copies, and near-copies of a similarity of 0.8 or more (a
copy of a copy that went may rightly stay). The
corpora are made by benchmarks/synthetic.py in the folder WORK, once. `clean` is without
memorization, whose time goes with its tokens. With --words below 100 documents are plain: no
boilerplate, passages and values. --keep: leave the results. --phases: a column more, the highest
memory in each phase.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any, Self

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.measure import Measured, measure
from benchmarks.synthetic import Spec, bytes_of, write

COMMANDS = {"dedup": ["dedup"], "clean": ["clean", "--set", "memorization.enabled=false"]}
COLUMNS = (
    "job", "text", "documents", "wall s", "user + sys s", "MB/s", "peak MiB", "scratch GB",
    "exchanged GB", "exact found", "near found", "dearest phases",
)  # fmt: skip
EVERY = 0.5


class Scratch:
    """The most bytes that were in a folder while this ran, by looking every half second."""

    def __init__(self, folder: Path) -> None:
        self.peak, self._folder, self._ended = 0, folder, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            self.peak = max(self.peak, _disk(self._folder))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


class Phases:
    """The highest memory in each phase of a run, by the markers that it leaves."""

    def __init__(self, state: Path) -> None:
        self.peaks: dict[str, float] = {}
        self._folder, self._peak = state / "phases", 0.0

    def look(self, mib: float) -> None:
        """Take down what is in use now."""
        self._peak = max(self._peak, mib)
        if self._folder.exists():
            names = {path.stem for path in self._folder.iterdir() if path.name[0] != "."}
            for name in sorted(names - set(self.peaks)):
                self.peaks[name], self._peak = self._peak, mib

    def __str__(self) -> str:
        return ", ".join(f"{name} {peak:,.0f}" for name, peak in self.peaks.items())


def _disk(folder: Path) -> int:
    """Bytes that the files below a folder take on disk; those that go meanwhile are left out."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def made(work: Path, size: str, words: float) -> tuple[Path, int]:
    """The corpus of a size, made if it is not there, and its documents."""
    folder = work / f"{size}-{words:g}"
    if not (folder / "made.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        spec = Spec(bytes_of(size), words=words, plain=words < 100)
        (folder / "made.json").write_text(json.dumps(write(spec, folder)))
    return folder, int(json.loads((folder / "made.json").read_text())["documents"])


def found(folder: Path, out: Path) -> tuple[float, float]:
    """Of the planted exact copies, and of the near ones at 0.8 or more: the share that went."""
    truth = pq.read_table(folder / "truth.parquet", columns=["kind", "doc", "similarity"])
    documents = ds.dataset(out / "tables" / "documents").to_table(columns=["doc", "id"])
    duplicates = ds.dataset(out / "tables" / "duplicates").to_table(columns=["doc"])
    gone = documents.filter(pc.is_in(documents["doc"], duplicates["doc"].combine_chunks()))
    numbers = gone["id"].cast("int64").combine_chunks()
    shares = []
    for kind in ("exact", "near"):
        planted = truth.filter(pc.equal(truth["kind"], kind))
        planted = planted.filter(pc.greater_equal(planted["similarity"], 0.8))["doc"]
        shares.append(float(pc.mean(pc.is_in(planted, numbers).cast("int8")).as_py()))
    return shares[0], shares[1]


def row(
    job: str,
    size: str,
    folder: Path,
    documents: int,
    out: Path,
    run: Measured,
    scratch: int,
    *more: str,
) -> str:
    phases = json.loads((out / "manifest.json").read_text())["phases"]
    exchanged = sum(phase["shuffled_bytes"] for phase in phases) / 1e9
    dearest = sorted(phases, key=lambda phase: -phase["seconds"])[:3]
    exact, near = found(folder, out)
    values: tuple[Any, ...] = (
        f"`{job}`", size, f"{documents:,}", f"{run.wall:,.0f}", f"{run.cpu:,.0f}",
        f"{bytes_of(size) / 1e6 / run.wall:.1f}", f"{run.peak:,.0f}", f"{scratch / 1e9:.2f}",
        f"{exchanged:.2f}", f"{exact:.2%}", f"{near:.2%}",
        ", ".join(f"{phase['name']} {phase['seconds']:.0f} s" for phase in dearest),
        *more,
    )  # fmt: skip
    return "| " + " | ".join(values) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--jobs", default="dedup")
    parser.add_argument("--sizes", default="1GB,2GB")
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--words", type=float, default=400.0)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--phases", action="store_true", help="the highest memory in each phase")
    given = parser.parse_args()
    columns = (*COLUMNS, *(["MiB by phase"] * given.phases))
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)
    for size in given.sizes.split(","):
        folder, documents = made(given.work, size, given.words)
        for job in given.jobs.split(","):
            out = given.work / f"out-{job}-{size}"
            shutil.rmtree(out, ignore_errors=True)
            engine = (f"engine.memory={given.memory}", f"engine.workers={given.workers}")
            command = [sys.executable, "-m", "unrote", *COMMANDS[job], str(folder / "corpus")]
            command += ["-o", str(out), "-q"]
            for setting in (*engine, "input.source=source"):
                command += ["--set", setting]
            with Scratch(out / ".run") as scratch:
                phases = Phases(out / ".run")
                run = measure(command, given.work / "log", timeout=7200, told=phases.look)
            more = [str(phases)] * given.phases
            print(row(job, size, folder, documents, out, run, scratch.peak, *more), flush=True)
            if not given.keep:
                shutil.rmtree(out)


if __name__ == "__main__":
    main()
