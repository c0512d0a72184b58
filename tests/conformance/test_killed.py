"""Processes of a real cluster that end without a word, in the middle of a phase."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.command import process, unrote, written
from tests.conformance.observed import EventLog, below, jobs_of
from tests.conformance.test_spark import CLUSTER, QUICK_JAVA, spark_settings
from tests.corpora import write_corpus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

BEFORE = "near-1-pairs"
"""The phase after this one is disturbed; it has maps, groups and tables."""

FEW_PHASES = ("--set", "pii.enabled=false", "--set", "dedup.passages.enabled=false")
"""Beside it a few: each takes a cluster a second."""


class Cluster:
    """A command that runs on a cluster of its own, with small batches, so that phases last."""

    def __init__(self, corpus: Path, folder: Path) -> None:
        self.corpus, self.out = corpus, folder / "out"
        self.scratch = folder / "scratch"
        self.started = None

    def start(self, log: EventLog):
        log.folder.mkdir()
        settings = [
            *spark_settings(CLUSTER, QUICK_JAVA | log.settings),
            "engine.partitions=4",
            'engine.batch="200"',
            f"engine.scratch={self.scratch}",
        ]
        options = [word for setting in settings for word in ("--set", setting)]
        self.started = process("clean", self.corpus, "-o", self.out, "-q", *options, *FEW_PHASES)
        return self.started

    def marker(self, phase: str) -> Path:
        return self.out / ".run" / "phases" / f"{phase}.json"

    def wait_for_tasks(self, phase: str) -> None:
        """Wait until tasks run in the phase after `phase`."""
        deadline = time.monotonic() + 300
        while not (self.marker(phase).exists() and list(self.scratch.glob("unrote-*"))):
            assert self.started.poll() is None, self.started.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def executors(self) -> list[int]:
        found = []
        for pid in below(self.started.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"java") and any(b"CoarseGrainedExecutor" in w for w in words):
                found.append(pid)
        return sorted(found)

    def finish(self) -> None:
        out, err = self.started.communicate(timeout=400)
        assert (self.started.returncode, out, err) == (0, "", "")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("in"), seed=2, count=1200)


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    """What a run wrote that nothing happened to, on the local engine."""
    out = tmp_path_factory.mktemp("finished") / "out"
    assert unrote("clean", corpus, "-o", out, "-q", *FEW_PHASES).status == 0
    return written(out)


@pytest.fixture
def cluster(corpus, tmp_path):
    cluster = Cluster(corpus, tmp_path)
    yield cluster
    if cluster.started.poll() is None:
        cluster.started.kill()
        cluster.started.communicate()


def test_an_executor(cluster, finished, tmp_path):
    log = EventLog(tmp_path / "events")
    cluster.start(log)
    cluster.wait_for_tasks(BEFORE)
    victim, _ = cluster.executors()
    os.kill(victim, signal.SIGKILL)
    cluster.finish()
    assert written(cluster.out) == finished
    events = list(log.events())
    (lost,) = (n for n, e in enumerate(events) if e["Event"] == "SparkListenerExecutorRemoved")
    starts = [n for n, e in enumerate(events) if e["Event"] == "SparkListenerJobStart"]
    ends = [n for n, e in enumerate(events) if e["Event"] == "SparkListenerJobEnd"]
    assert len([n for n in starts if n < lost]) == len([n for n in ends if n < lost]) + 1


@pytest.mark.long
def test_the_driver(cluster, finished, tmp_path):
    cluster.start(EventLog(tmp_path / "first"))
    cluster.wait_for_tasks(BEFORE)
    executors = cluster.executors()
    cluster.started.kill()
    cluster.started.communicate()
    assert cluster.marker(BEFORE).exists()
    assert not (cluster.out / "manifest.json").exists()
    log = EventLog(tmp_path / "second")
    cluster.start(log)
    cluster.finish()
    assert written(cluster.out) == finished
    events = list(log.events())
    assert not jobs_of(events, BEFORE)
    assert jobs_of(events, "release")
    assert not any(Path(f"/proc/{pid}").exists() for pid in executors)
