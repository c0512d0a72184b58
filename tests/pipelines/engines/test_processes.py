"""Worker processes of the local engine: the same bytes, and none is left behind."""

import os
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from tests.command import process, written
from tests.command import settings as plain_settings
from tests.conformance.observed import below
from tests.corpora import documents, rows, write_jsonl, write_parquet
from unrote.corpus.errors import ConfigError, RunError, UnroteError
from unrote.corpus.schema import REJECTS, TEXT, Tagged
from unrote.corpus.stages import PlainStage
from unrote.pipelines.clean import clean
from unrote.pipelines.engines.processes import Processes
from unrote.pipelines.progress import Silent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

PERSONAL = "Mail jane.roe@acme.com or pay 4539-5787-6362-1486; SSN 536-90-4399, on 2009-11-02. "
SECONDS = 20

start = Processes.open


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two shards with personal data in every third document."""
    folder = tmp_path_factory.mktemp("corpus")
    texts = [
        text + (f"\n{n} " + PERSONAL) * (n % 3 == 0) for n, text in enumerate(documents(4, 60))
    ]
    write_jsonl(folder / "a.jsonl", rows(texts[:35], "a"))
    write_parquet(folder / "b.parquet", rows(texts[35:], "b"), row_group=5)
    return folder


@pytest.fixture
def small_cuts(monkeypatch):
    """The parent makes the tasks, so its constants decide."""
    monkeypatch.setattr("unrote.corpus.pinning.CUT_BYTES", 6000)
    monkeypatch.setattr("unrote.pipelines.engines.slices.CUT_BYTES", 6000)
    monkeypatch.setattr("unrote.pipelines.engines.local.PROCESS_BYTES", 0)


def run(corpus: Path, out: Path, *settings: str) -> dict[str, str]:
    clean([str(corpus)], str(out), plain_settings(*settings), Silent())
    return written(out)


@pytest.mark.parametrize("quick", [True, False])
def test_processes_start_as_their_program_does(monkeypatch, quick):
    made: list[tuple[object, ...]] = []
    monkeypatch.setattr("unrote.pipelines.start._is_quick", quick)
    monkeypatch.setattr(
        "unrote.pipelines.engines.processes.ProcessPoolExecutor",
        lambda *_, initargs, **__: made.append(initargs),
    )
    Processes(1).open()
    assert made[0][-1] is quick


def children() -> list[int]:
    """Worker processes of this one; the tracker of multiprocessing stays with it."""
    return [pid for pid in below(os.getpid()) if "spawn_main" in command_of(pid)]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


def eventually(check, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "too long"
        time.sleep(0.02)
    return found


@dataclass
class Ran:
    """A run with two workers: its folder, their pids, what Processes.map was called with."""

    out: Path
    digests: dict[str, str]
    workers: set[int]
    calls: list[tuple]


@pytest.fixture(scope="module")
def ran(corpus, tmp_path_factory):
    workers: set[int] = set()
    calls: list[tuple] = []
    plain = Processes.map

    def map_(self, stage, *rest):
        calls.append(rest)
        yield from plain(self, stage, *rest)
        workers.update(children())

    out = tmp_path_factory.mktemp("ran") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unrote.corpus.pinning.CUT_BYTES", 6000)
        patch.setattr("unrote.pipelines.engines.slices.CUT_BYTES", 6000)
        patch.setattr("unrote.pipelines.engines.local.PROCESS_BYTES", 0)
        patch.setattr(Processes, "map", map_)
        return Ran(out, run(corpus, out, "engine.workers=2"), workers, calls)


@pytest.fixture(scope="module")
def expected(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unrote.corpus.pinning.CUT_BYTES", 6000)
        patch.setattr("unrote.pipelines.engines.slices.CUT_BYTES", 6000)
        patch.setattr("unrote.pipelines.engines.local.PROCESS_BYTES", 0)
        patch.setattr(Processes, "map", None)  # one worker needs none
        return run(corpus, out, "engine.workers=1")


def test_the_same_bytes_as_one_worker(ran, expected):
    assert ran.digests == expected
    assert len(ran.calls) > 3
    assert 1 <= len(ran.workers) <= 2
    assert os.getpid() not in ran.workers
    assert not children()
    assert any(name.startswith("tables/findings") for name in expected)


def test_no_value_is_in_any_file(ran):
    for path in ran.out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"jane.roe" not in content, path
            assert b"536-90-4399" not in content, path


def test_one_task_needs_no_process(tmp_path, monkeypatch):
    write_jsonl(tmp_path / "in" / "a.jsonl", rows([PERSONAL], "a"))
    monkeypatch.setattr("unrote.pipelines.engines.local.PROCESS_BYTES", 0)
    monkeypatch.setattr(Processes, "map", None)
    assert run(tmp_path / "in", tmp_path / "out", "engine.workers=2")


class Watching(Silent):
    """Notes which worker processes there are when a phase begins."""

    def __init__(self):
        self.running = {}

    @contextmanager
    def phase(self, name):
        self.running[name] = children()
        with super().phase(name) as advance:
            yield advance
            self.running[f"{name}, at its end"] = children()


def test_no_process_outlives_its_phase(corpus, tmp_path, small_cuts, monkeypatch):
    """Each holds its detectors."""
    opened = []
    monkeypatch.setattr(Processes, "open", lambda pool: (opened.append(pool), start(pool)))
    watching = Watching()
    settings = plain_settings("engine.workers=2")
    clean([str(corpus)], str(tmp_path / "out"), settings, watching)
    assert opened
    assert {"findings, at its end", "release", "summary"} <= set(watching.running)
    assert not any(watching.running.values())


def test_little_text_needs_no_process(corpus, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("unrote.corpus.pinning.CUT_BYTES", 6000)
    monkeypatch.setattr("unrote.pipelines.engines.slices.CUT_BYTES", 6000)
    monkeypatch.setattr(Processes, "map", None)
    assert run(corpus, tmp_path / "out", "engine.workers=2") == expected


def test_a_worker_that_is_killed(corpus, expected, tmp_path, small_cuts):
    """The run ends with one clear error, and the next one continues it."""

    def kill():
        os.kill(eventually(children)[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(RunError, match="a worker process died") as raised:
        run(corpus, tmp_path / "out", "engine.workers=2")
    killer.join()
    assert "engine.workers=1" in str(raised.value)
    assert raised.value.__cause__ is None
    assert not children()
    assert run(corpus, tmp_path / "out", "engine.workers=1") == expected


@dataclass(frozen=True)
class Failing(PlainStage):
    """Raises where there is text; spawned processes import this module, so they know it."""

    error: type[Exception]
    words: str

    inputs: ClassVar = {"text": TEXT}
    outputs: ClassVar = {"rejects": REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        yield from ()
        raise self.error(self.words)


@pytest.fixture
def processes():
    opened = Processes(1)
    opened.open()
    yield opened
    opened.close()
    assert not children()


def test_an_error_in_a_worker_is_the_same_error(processes, ran):
    with pytest.raises(ConfigError, match=r"^model X is not there$") as raised:
        list(processes.map(Failing(ConfigError, "model X is not there"), *ran.calls[0]))
    assert type(raised.value) is ConfigError
    with pytest.raises(UnroteError, match="a bug in unrote") as raised:
        list(processes.map(Failing(ValueError, "jane.roe@acme.com"), *ran.calls[0]))
    assert "jane" not in str(raised.value)
    assert "ValueError" in str(raised.value)
    assert raised.value.__cause__ is None
    assert len(children()) == 1  # and it works on


def test_it_has_to_be_opened():
    with pytest.raises(RuntimeError, match="open"):
        list(Processes(1).map(None, None, None, 1, None))
    Processes(1).close()  # nothing to end


def test_closing_ends_what_runs(processes):
    pool = processes._pool
    future = pool.submit(time.sleep, 60)
    (pid,) = eventually(children)
    eventually(future.running)
    processes.close()
    assert not Path(f"/proc/{pid}").exists()
    processes.close()


def test_closing_ends_what_is_being_started(processes, ran, monkeypatch):
    """Another thread's first task was on its way as this one's failed."""
    starting, go_on = threading.Event(), threading.Event()
    plain = ProcessPoolExecutor._spawn_process

    def slowly(pool):
        starting.set()
        go_on.wait(SECONDS)
        plain(pool)

    monkeypatch.setattr(ProcessPoolExecutor, "_spawn_process", slowly)
    ended: list[bool] = []

    def task():
        with pytest.raises((CancelledError, RunError)):
            list(processes.map(Failing(ValueError, ""), *ran.calls[0]))
        ended.append(True)

    other = threading.Thread(target=task)
    other.start()
    assert starting.wait(SECONDS)
    threading.Timer(0.2, go_on.set).start()
    processes.close()
    other.join()
    assert ended
    assert not children()
    with pytest.raises(RuntimeError, match="open"):
        list(processes.map(Failing(ValueError, ""), *ran.calls[0]))


def disturbed(corpus: Path, out: Path, sent: signal.Signals):
    """A command of its own to which a signal is sent while its workers work; and their pids."""
    settings = ("engine.workers=2", "dedup.passages.enabled=false")
    options = [word for setting in settings for word in ("--set", setting)]
    before = (
        "from unrote.corpus import pinning\n"
        "from unrote.pipelines.engines import local, slices\n"
        "pinning.CUT_BYTES = slices.CUT_BYTES = 6000\n"
        "local.PROCESS_BYTES = 0"
    )
    started = process("clean", corpus, "-o", out, "-q", *options, before=before)

    def workers():
        assert started.poll() is None, started.communicate()
        found = [pid for pid in below(started.pid) if "spawn_main" in command_of(pid)]
        return found if len(found) == 2 else []

    try:
        found = eventually(workers)
        started.send_signal(sent)
        started.communicate(timeout=60)
    finally:
        started.kill()
        started.communicate()
    return started, found


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_parent_that_is_ended_leaves_no_worker(corpus, tmp_path, sent):
    started, workers = disturbed(corpus, tmp_path / "out", sent)
    assert started.returncode != 0
    eventually(lambda: not any("spawn_main" in command_of(pid) for pid in workers), 10)
    assert not (tmp_path / "out" / "manifest.json").exists()
