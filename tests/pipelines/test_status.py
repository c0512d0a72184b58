"""`unrote status`, of a run that goes on, was interrupted, has ended, or is not there."""

import json
import time

import jsonschema
import pytest

from tests.command import ROOT, settings, unrote
from tests.corpora import documents, rows, write_jsonl
from unrote.pipelines.engines.local import LocalEngine
from unrote.pipelines.heartbeat import Heartbeat
from unrote.pipelines.job import open_job
from unrote.pipelines.progress import Silent

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "status.json").read_bytes())


@pytest.fixture
def small(tmp_path):
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(documents(1, 30), "a"))
    return tmp_path / "in"


def asked(out) -> tuple[int, dict, str]:
    """The status, as JSON and for people."""
    done = unrote("status", out, "--json")
    tree = json.loads(done.out)
    jsonschema.validate(tree, SCHEMA)
    shown = unrote("status", out)
    assert shown.status == done.status
    return done.status, tree, shown.out


def test_while_it_runs_when_it_was_interrupted_and_after(small, tmp_path, monkeypatch):
    out, seen, execute = tmp_path / "out", [], LocalEngine.execute

    def looked_at(self, name, flow, run, advance):
        advance(0.5)
        seen.append((name, asked(out)))
        if len(seen) == 4:
            raise KeyboardInterrupt
        return execute(self, name, flow, run, advance)

    monkeypatch.setattr("unrote.pipelines.heartbeat.EVERY", 0.0)
    monkeypatch.setattr(LocalEngine, "execute", looked_at)
    assert unrote("clean", small, "-o", out, "-q").status == 3
    for number, (name, (status, tree, shown)) in enumerate(seen):
        assert (status, tree["state"]) == (4, "running")
        assert (tree["phase"]["name"], tree["phase"]["done"]) == (name, 0.5)
        assert len(tree["phases"]) == number
        assert shown.startswith("running: clean, started ")
        assert "written by process" in shown
        assert f"phase {name} is 50% done" in shown
    status, tree, shown = asked(out)
    assert (status, tree["state"], tree["owner"]) == (3, "interrupted", None)
    assert f"phase {seen[-1][0]} was 50% done" in shown
    assert "same command continues" in shown

    monkeypatch.setattr(LocalEngine, "execute", execute)
    assert unrote("clean", small, "-o", out, "-q").status == 0
    status, tree, shown = asked(out)
    assert (status, tree["state"], tree["phase"]) == (0, "finished", None)
    assert tree["summary"] in shown
    assert len(tree["phases"]) > 4
    assert not (out / ".run").exists()


@pytest.mark.parametrize(("limit", "status", "state"), [(0.0, 1, "refused"), (1.0, 0, "finished")])
def test_a_verdict(small, tmp_path, limit, status, state):
    policy = tmp_path / "policy.toml"
    policy.write_text(f"[[rule]]\nmeasure = 'duplicate_share'\nlimit = {limit}\n")
    found = unrote("gate", small, "--policy", policy, "-o", tmp_path / "out", "-q")
    assert found.status == status, found.err
    assert asked(tmp_path / "out")[:2][0] == status
    assert asked(tmp_path / "out")[1]["state"] == state


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_power_cut_takes_only_what_the_run_said_last(small, tmp_path, content):
    out = tmp_path / "out"
    with open_job("clean", [str(small)], str(out), settings(), Silent()):
        (out / ".run" / "progress.json").write_bytes(content)
        assert asked(out)[1]["phase"] is None
        (out / ".run" / "run.json").write_bytes(content)
        damaged = unrote("status", out)
        assert damaged.status == 2
        assert "damaged" in damaged.err


def test_a_clock_that_was_set_back(small, tmp_path):
    out = tmp_path / "out"
    with open_job("clean", [str(small)], str(out), settings(), Silent()):
        later = time.time() + 3600
        said = {"phase": "pin", "done": 0.5, "began": later + 60, "time": later}
        (out / ".run" / "progress.json").write_text(json.dumps(said))
        phase = asked(out)[1]["phase"]
        assert (phase["seconds"], phase["seen"]) == (0, 0)


def test_where_nothing_is(tmp_path):
    for name in ("missing", "."):
        done = unrote("status", tmp_path / name)
        assert done.status == 2
        assert "holds no run" in done.err


def test_a_run_goes_on_where_its_signs_of_life_cannot_be_written(tmp_path):
    said = []
    with Heartbeat(tmp_path / "not" / "there").phase("pin") as advance:
        advance(0.5)
        said.append("done")
    assert said
    assert not (tmp_path / "not").exists()
