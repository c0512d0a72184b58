"""What the driver of a distributed run does alone, by the number of cuts: time and peak memory.

    python -m benchmarks.driver [--cuts 10000,100000,1200000]

The input is fabricated (shards of 64 MB in cuts of 8 MB: 1.2 million are 10 TB), and so is the
engine: a phase is planned and its plan pickled, as for Spark's broadcast, and read again as a
worker does; then it is committed with what its workers would report. No text is read. Each number
of cuts has a process of its own. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks.limits import peak
from unrote.corpus.pinning import CUT_BYTES, corpus_of
from unrote.corpus.schema import BANDS, DOCUMENTS, EXACT, FINGERPRINTS, READ_REJECTS
from unrote.corpus.shard import Corpus, Cut, Shard
from unrote.dedup.exact import Exact, Fingerprint
from unrote.pipelines.config import load
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.engines.driver import committed, loads, task_count, worker_for
from unrote.pipelines.engines.work import task_counts
from unrote.pipelines.fingerprint import run_fingerprint
from unrote.pipelines.run import RunFolder

CUTS = 8
"""Of a shard."""

CORES = 2_048
"""Of the cluster that the phase is planned for: 128 machines of 16."""


class Steps:
    """Seconds that each step took, and the peak after it."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, int]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take the time of what is done within."""
        began = time.perf_counter()
        yield
        self.found[name] = (time.perf_counter() - began, peak() >> 20)


def fabricated(cuts: int) -> Iterator[tuple[Shard, list[Cut]]]:
    """Shards as pinning gives them."""
    for number in range(cuts // CUTS):
        name = f"crawl/part-{number:07d}.jsonl"
        url = f"s3://bucket/corpus/{name}"
        size = CUTS * CUT_BYTES
        shard = Shard(number, name, url, "jsonl", "", size, f"{number:032x}", "crawl")
        yield (
            shard,
            [
                Cut(number, n * CUT_BYTES, (n + 1) * CUT_BYTES, 4_000 * n, 4_000 * n)
                for n in range(CUTS)
            ],
        )


def flow() -> Flow:
    """The phases `fingerprint` and `exact` as one."""
    made = Flow()
    first = made.map(Fingerprint(), made.read("records"))
    made.write(DOCUMENTS, first["documents"])
    made.write(FINGERPRINTS, first["fingerprints"])
    made.write(BANDS, first["bands"])
    made.write(READ_REJECTS, first["rejects"])
    made.write(EXACT, made.group(Exact(), fingerprints=first["fingerprints"])["exact"])
    return made


def reported(corpus: Corpus, phase: Flow, steps: int, units: int) -> list[dict[str, object]]:
    """What the workers of a phase report: a file for each table and slice, sent by one task, and
    before it one that read all units.
    """
    files: list[dict[str, object]] = [
        {
            "table": table.folder,
            "file": {"slice": n, "rows": 1000, "bytes": 10_000, "digest": f"{n:032x}"},
        }
        for table, _ in phase.writes
        for n in range(len(corpus.slices))
    ]
    task = {"worker": "a", "received": 0, "shuffled": 0, "spilled": 0}
    reading = task | {"step": 0, "units": units, "sent": 0}
    return [*files, reading, task | {"step": steps, "units": 1, "sent": len(files) + 2}]


def run(cuts: int) -> dict[str, object]:
    """One run's driver, with steps taken one after another."""
    steps, base, phase = Steps(), peak() >> 20, flow()
    with tempfile.TemporaryDirectory() as folder:
        with steps.step("input pinned"):
            corpus = corpus_of(list(fabricated(cuts)))
        with steps.step("fingerprint of the run"):
            fingerprint = run_fingerprint("clean", load(), corpus, "")
        workspace = RunFolder(Path(folder), "clean", load(), corpus, "now", fingerprint, "")
        with steps.step("phase planned"):
            worker = worker_for(phase, workspace, 1 << 30, 1 << 20, "")
            count = task_count(worker, CORES)
            work = loads(worker.units.sizes, count)
            counts = task_counts(worker, count)
        with steps.step("plan pickled"):
            plan = pickle.dumps((worker, work, counts), protocol=5)
        Path(folder, "plan").write_bytes(plan)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.driver", "--read", str(Path(folder, "plan"))],
            check=True,
            capture_output=True,
            text=True,
        )
        read = json.loads(done.stdout)
        results = reported(corpus, phase, worker.plan.steps, len(worker.units))
        with steps.step("phase committed"):
            commit = committed("fingerprint", phase, worker, 0.0, results)
            workspace.commit(commit)
        with steps.step("manifest written"):
            orjson.dumps(workspace.manifest())
    return {
        "cuts": cuts,
        "base": base,
        "steps": steps.found,
        "plan_bytes": len(plan),
        "read": read,
        "tasks": [len(work), *counts[:-1]],
    }


def read_plan(path: str) -> dict[str, float]:
    """What a worker does with a plan: seconds, and MiB that it holds of it."""
    before, began = peak(), time.perf_counter()
    worker, work, _ = pickle.loads(Path(path).read_bytes())
    seconds = time.perf_counter() - began
    assert worker.units[work[-1][-1]].tasks
    return {"seconds": seconds, "mib": (peak() - before) >> 20}


def table(found: list[dict[str, object]]) -> str:
    """The results in Markdown."""
    lines = [
        "| | " + " | ".join(f"{one['cuts']:,} cuts" for one in found) + " |",
        "|---|" + "--:|" * len(found),
    ]
    for name in found[0]["steps"]:  # type: ignore[attr-defined]
        cells = [
            f"{one['steps'][name][0]:.2f} s, {one['steps'][name][1] - one['base']:,} MiB"  # type: ignore[index]
            for one in found
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    cells = [f"{one['plan_bytes'] / 1e6:.1f} MB" for one in found]  # type: ignore[operator]
    lines.append("| the plan, as it travels | " + " | ".join(cells) + " |")
    cells = [f"{one['read']['seconds']:.2f} s, {one['read']['mib']:,} MiB" for one in found]  # type: ignore[index]
    lines.append("| the plan, read by a worker | " + " | ".join(cells) + " |")
    cells = [" / ".join(f"{n:,}" for n in one["tasks"]) for one in found]  # type: ignore[attr-defined]
    lines.append("| tasks of its steps | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cuts", default="10000,100000,1200000")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read_plan(given.read)))
    elif given.one:
        print(json.dumps(run(given.one)))
    else:
        found = []
        for cuts in given.cuts.split(","):
            again = [sys.executable, "-m", "benchmarks.driver", "--one", cuts]
            done = subprocess.run(again, check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout))
        print(table(found))


if __name__ == "__main__":
    main()
