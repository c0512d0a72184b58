"""SIGKILL in each phase of a run, again and again: the same bytes in the end, and nothing left.

    python -m tests.pipelines.test_crash [ENGINE ...]

prints the table of docs/reliability.md.

`make crash` kills in every phase of each engine, at two moments drawn by chance; `make test` in a
few of the local engine's.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import pytest

from tests.command import files_below, finish, process, unrote, written
from tests.corpora import write_corpus

SETTINGS = ("engine.workers=2", 'engine.batch="2000"', "dedup.passages.min_bytes=50")
ENGINES = {
    "local": (),
    "spark": ("engine.name=spark", "engine.spark.conf.spark.ui.enabled=false"),
    "beam": ("engine.name=beam",),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("in"), seed=5, count=200)


class Night:
    """A dedup of the corpus into a folder of its own, with an index, as a process."""

    def __init__(self, corpus: Path, folder: Path, engine: str) -> None:
        self.folder, self.out, self.index = folder, folder / "out", folder / "index"
        self.engine = engine
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        given = [word for each in (*SETTINGS, *ENGINES[engine]) for word in ("--set", each)]
        self.command = ["dedup", corpus, "-o", self.out, "-q", "--index", self.index, *given]

    def start(self):
        environment = os.environ | {"TMPDIR": str(self.temporary)}
        return process(*self.command, start_new_session=True, env=environment)

    def killed_in(self, phase: str, after: float) -> bool:
        """Run until `after` seconds into a phase and kill it there; False where it ended before."""
        started = self.start()
        progress = self.out / ".run" / "progress.json"
        while started.poll() is None:
            try:
                current = json.loads(progress.read_bytes())["phase"]
            except (FileNotFoundError, json.JSONDecodeError):
                current = ""
            if current == phase and not (self.out / ".run" / "phases" / f"{phase}.json").exists():
                break
            time.sleep(0.002)
        time.sleep(after)
        was_there = started.poll() is None
        started.send_signal(signal.SIGKILL)
        started.communicate(timeout=60)
        _wait_for_nobody(started.pid)
        return was_there

    def finished(self) -> None:
        done = finish(self.start())
        assert done.status == 0, done.err
        assert done.err == ""

    def files(self) -> dict[str, bytes]:
        """All that a night leaves but manifest and reports, which have times; by their paths."""
        index = {
            f"index/{path.relative_to(self.index)}": path.read_bytes()
            for path in files_below(self.index)
            if path.parent.name == "files"
        }
        return written(self.out) | index

    def left_behind(self) -> list[str]:
        """What neither a result nor an index has."""
        parts = [str(path) for path in self.folder.rglob("*.part")]
        temporary = [path.name for path in self.temporary.iterdir()]
        return [*parts, *temporary, *([".run"] if (self.out / ".run").exists() else [])]


def _wait_for_nobody(session: int) -> None:
    """Workers end by themselves when who started them is gone."""
    deadline = time.monotonic() + 30
    while any(_session_of(pid) == session for pid in os.listdir("/proc") if pid.isdigit()):
        assert time.monotonic() < deadline, "workers outlive the run"
        time.sleep(0.02)


def _session_of(pid: str) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    state, _, _, session = stat.rpartition(")")[2].split()[:4]
    return -1 if state == "Z" else int(session)


def phases_of(night: Night) -> dict[str, float]:
    """Seconds by phase."""
    manifest = json.loads((night.out / "manifest.json").read_bytes())
    return {phase["name"]: phase["seconds"] for phase in manifest["phases"]}


def chain(corpus: Path, folder: Path, engine: str, kills: int, seed: int) -> dict[str, bool]:
    """Kill one run in phase after phase; of each whether it was at work when the kill came."""
    whole = Night(corpus, folder / "whole", engine)
    whole.finished()
    draw = random.Random(seed)
    phases = phases_of(whole)
    drawn = draw.sample(sorted(phases), min(kills, len(phases)))
    chosen = [name for name in phases if name in drawn]
    night = Night(corpus, folder / "killed", engine)
    hit = {name: night.killed_in(name, draw.random() * phases[name]) for name in chosen}
    night.finished()
    assert night.files() == whole.files()
    assert (left := night.left_behind()) == [], left
    night.finished()  # once more: nothing to do
    assert night.files() == whole.files()
    return hit


def test_a_killed_run_goes_on(corpus, tmp_path):
    hit = chain(corpus, tmp_path, "local", kills=3, seed=7)
    assert len(hit) == 3
    assert any(hit.values())


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_in_every_phase(corpus, tmp_path, engine, seed):
    assert sum(chain(corpus, tmp_path, engine, kills=100, seed=seed).values()) > 5


@pytest.mark.parametrize("change", ["written", "added", "removed"])
def test_an_input_that_changed_since_is_refused_and_named(corpus, tmp_path, change):
    folder, out = Path(shutil.copytree(corpus, tmp_path / "in")), tmp_path / "out"
    (folder / "more.jsonl").write_text('{"text": "some more words"}\n')
    given = ["dedup", folder, "-o", out, "-q", "--set", "engine.workers=1"]
    with mock.patch("unrote.pipelines.clean.write_report", side_effect=KeyboardInterrupt):
        assert unrote(*given).status == 3
    before = (folder / "more.jsonl").read_bytes()
    if change == "written":
        (folder / "more.jsonl").write_text('{"text": "some MORE words"}\n')
    elif change == "added":
        (folder / "new.jsonl").write_text('{"text": "and new ones"}\n')
    else:
        (folder / "more.jsonl").unlink()
    done = unrote(*given)
    assert done.status == 2
    said = {"written": "more.jsonl was changed", "added": "new.jsonl is new"}
    named = said.get(change, "more.jsonl is missing")
    assert f"unfinished run of other input or settings (the input is not the same: {named})" in (
        done.err
    )
    (folder / "new.jsonl").unlink(missing_ok=True)
    (folder / "more.jsonl").write_bytes(before)
    assert unrote(*given).status == 0
    assert unrote("verify", out).status == 0


def main(engines: list[str]) -> None:
    print("| engine | phases | killed in | came while it was at work | other bytes | left behind |")
    print("|---|--:|--:|--:|--:|--:|")
    for engine in engines or ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            made = write_corpus(Path(folder) / "in", seed=5, count=200)
            # Another byte, or a file that is left, ends this with an error.
            hit = chain(made, Path(folder), engine, kills=100, seed=random.randrange(10**6))
        print(f"| {engine} | {len(hit)} | {len(hit)} | {sum(hit.values())} | 0 | 0 |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
