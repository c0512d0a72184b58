"""What an engine did in each phase: by its own metrics, and by what its workers tell."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from unrote.pipelines.engines.beam import BeamEngine

CROWDED = ("exact", "anchors")
"""Phases whose first group has rows in most partitions of the test corpus."""


@dataclass
class Phase:
    """A phase that ran.

    units: how many things its first step had to do. tables: the slices that were written, by table.
    task_results: what its tasks reported. own: workers that did something, as the engine counts
    them, for each of its stages; None if it does not. tasks: by the engine's count.
    collected: bytes that came to the driver.
    """

    name: str
    units: int
    tables: dict[str, set[int]]
    task_results: list[dict[str, Any]]
    tasks: int = 0
    collected: int = 0
    own: list[set[str]] | None = None

    @property
    def reported(self) -> list[dict[str, Any]]:
        return [task_result for task_result in self.task_results if "worker" in task_result]

    @property
    def shuffled(self) -> int:
        return sum(task_result["shuffled"] for task_result in self.reported)

    def workers(self, step: int | None = None) -> set[str]:
        """Workers that did something, in one step or at all."""
        busy = (r for r in self.reported if r["units"] and step in (None, r["step"]))
        return {task_result["worker"] for task_result in busy}

    def busy(self, step: int) -> int:
        """Tasks of a step that did something."""
        return sum(1 for r in self.reported if r["step"] == step and r["units"])

    def require_reports(self) -> None:
        """The engine counts the tasks that reported: none was run beside it."""
        assert self.tasks, f"the engine knows of no task of {self.name}"
        assert self.tasks == len(self.reported), self.name

    def require_spread(self, partitions: int) -> None:
        """Steps with work for two were done by two tasks, and the phase by two workers."""
        steps = max(task_result["step"] for task_result in self.reported)
        assert self.units > 1, self.name
        assert self.busy(0) > 1, f"one task read all of {self.name}"
        if self.name in CROWDED:
            assert self.busy(1) > 1, f"one task had all groups of {self.name}"
        spread = [len({number % partitions for number in t}) > 1 for t in self.tables.values()]
        if any(spread):
            # A table that is of one slice may be written after the others.
            writing = (steps,) if all(spread) else range(min(1, steps), steps + 1)
            assert any(self.busy(n) > 1 for n in writing), f"one task wrote all of {self.name}"
        assert len(self.workers()) > 1, f"one worker did all of {self.name}"
        if self.own is not None:
            assert len(set().union(*self.own)) > 1, f"one executor did all of {self.name}"
            for stage in self.own:
                assert len(stage) != 1, f"one executor did a whole stage of {self.name}"


@contextmanager
def task_results_of(module: str) -> Iterator[dict[str, Phase]]:
    """The phases that an engine finishes meanwhile, with what their workers reported."""
    phases: dict[str, Phase] = {}
    with pytest.MonkeyPatch.context() as patch:
        whole = __import__(module, fromlist=["committed"]).committed

        def committed(name, flow, worker, started, task_results):
            reported = list(task_results)
            commit = whole(name, flow, worker, started, reported)
            tables = {table: {f.slice for f in files} for table, files in commit.tables.items()}
            phases[name] = Phase(name, len(worker.units), tables, reported)
            return commit

        patch.setattr(f"{module}.committed", committed)
        yield phases


@contextmanager
def beam_phases() -> Iterator[dict[str, Phase]]:
    """Phases that Beam runs meanwhile: its counters, and all that comes back from its pipelines."""
    collected: list[int] = []
    tasks: dict[str, int] = {}
    returned: dict[str, int] = {}
    with (
        task_results_of("unrote.pipelines.engines.beam") as phases,
        pytest.MonkeyPatch.context() as patch,
    ):
        reported, execute = BeamEngine._reported, BeamEngine.execute

        def counted(self, *args):
            found = reported(self, *args)
            collected.append(sum(map(len, found)))
            return found

        def noted(self, name, *args):
            collected.clear()
            self.result = None
            commit = execute(self, name, *args)
            returned[name] = sum(collected)
            if self.result is not None:
                counters = self.result.metrics().query()["counters"]
                tasks[name] = sum(c.result for c in counters if c.key.metric.name == "tasks")
            return commit

        patch.setattr(BeamEngine, "_reported", counted)
        patch.setattr(BeamEngine, "execute", noted)
        yield phases
    for name, size in returned.items():
        phase = phases.setdefault(name, Phase(name, 0, {}, []))
        phase.tasks, phase.collected = tasks.get(name, 0), size


@dataclass
class EventLog:
    """Spark's event logs in a folder: one event in a line, written as the session goes."""

    folder: Path
    read: dict[Path, int] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self.folder.as_uri(),
            "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.compress": "false",
        }

    def events(self) -> Iterator[dict[str, Any]]:
        """Whole events that were not given yet."""
        for path in sorted(self.folder.iterdir()):
            with path.open("rb") as file:
                file.seek(self.read.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self.read[path] = self.read.get(path, 0) + len(line)
                    yield json.loads(line)

    @contextmanager
    def phases(self) -> Iterator[dict[str, Phase]]:
        """Phases that Spark runs meanwhile: its tasks, where they ran, and what they returned."""
        list(self.events())
        with task_results_of("unrote.pipelines.engines.spark") as phases:
            yield phases
        events: list[dict[str, Any]] = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:  # listeners of Spark's are behind the job
            events.extend(self.events())
            counts = Counter(event["Event"] for event in events)
            if counts["SparkListenerJobStart"] == counts["SparkListenerJobEnd"]:
                break
            time.sleep(0.05)
        for phase in phases.values():
            _from_events(phase, events)


def jobs_of(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The starts of the jobs of a phase."""
    starts = (e for e in events if e["Event"] == "SparkListenerJobStart")
    return [e for e in starts if e["Properties"].get("spark.jobGroup.id") == name]


def _from_events(phase: Phase, events: list[dict[str, Any]]) -> None:
    """What Spark tells of a phase.

    Of a stage the executors count that got a twentieth of what it read, if that was enough for two:
    a first stage reads a number for each task, a later one blocks, and its first task all
    results so far too. Without a cluster one executor does it all, the driver; then tasks count.
    """
    stages = sorted({s for job in jobs_of(events, phase.name) for s in job["Stage IDs"]})
    ended = [e for e in events if e["Event"] == "SparkListenerTaskEnd" and e["Stage ID"] in stages]
    phase.tasks = len(ended)
    phase.collected = sum(e["Task Metrics"]["Result Size"] for e in ended)
    phase.own = []
    files = len(phase.task_results) - len(phase.reported)
    for step, stage in enumerate(stages):
        read: Counter[str] = Counter()
        task_results = sum(1 for task_result in phase.reported if task_result["step"] < step)
        for event in ended:
            if event["Stage ID"] == stage:
                task, blocks = event["Task Info"], event["Task Metrics"]["Shuffle Read Metrics"]
                name = task["Executor ID"]
                name = f"task {task['Index']}" if name == "driver" else name
                read[name] += blocks["Total Records Read"] if step else 1
                if not task["Index"]:
                    read[name] -= task_results
        total = sum(read.values())
        if total > (20 + files if step else 1):
            phase.own.append({name for name, count in read.items() if 20 * count >= total})


def below(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path("/proc", name, "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found.extend(children)
        queue.extend(children)
    return found
