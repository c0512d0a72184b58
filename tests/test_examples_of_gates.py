"""The pre-commit hook and the GitHub Action of examples/, run here as they run there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sarif_pydantic import Sarif

from tests.command import ROOT

HOOK = ROOT / "examples" / "pre-commit"
ACTION = ROOT / "examples" / "github-action" / "action.yml"


@pytest.fixture
def repository(tmp_path):
    """A repository with a corpus, a policy and a key; `unrote` is on its PATH."""
    shutil.copytree(HOOK, tmp_path, dirs_exist_ok=True)
    (tmp_path / "corpus").mkdir()
    rows = [{"text": f"text number {n} of some words"} for n in range(4)]
    (tmp_path / "corpus" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (tmp_path / "unrote.key").write_text("a key of the tests, which nobody else has")
    (tmp_path / "unrote.key").chmod(0o600)
    command = tmp_path / "bin" / "unrote"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m unrote "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(folder: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)} | more
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def add_a_copy(folder):
    with (folder / "corpus" / "a.jsonl").open("a") as file:
        file.write(json.dumps({"text": "text number 0 of some words"}) + "\n")


def test_the_hook(repository):
    """What pre-commit runs: the entry of the hook with the arguments of the configuration."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (repo,) = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())["repos"]
    (used,) = repo["hooks"]
    assert used["id"] == hook["id"]
    for path in ("corpus/a.jsonl", "policy.toml", "baseline.json"):
        assert re.search(used["files"], path)
    entry = [*shlex.split(hook["entry"]), *used["args"]]
    write = [part.replace("--baseline=", "--write-baseline=") for part in entry]
    assert run(repository, *write).returncode == 0
    assert run(repository, *entry).returncode == 0
    add_a_copy(repository)
    refused = run(repository, *entry)
    assert refused.returncode == 1
    assert "exact_share" in refused.stdout
    assert "corpus/a.jsonl#4" in refused.stdout or "a.jsonl#4" in refused.stdout


def test_the_action(repository):
    """Its steps, with the environment and the files that GitHub gives them."""
    action = yaml.safe_load(ACTION.read_text())
    inputs = {name: one.get("default", "") for name, one in action["inputs"].items()}
    inputs |= {"corpus": "corpus/", "policy": "policy.toml"}
    inputs["arguments"] = "--set memorization.enabled=false"

    def filled(text):
        return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)

    def steps():
        for step in action["runs"]["steps"]:
            more = {name: filled(value) for name, value in step.get("env", {}).items()}
            summary = {"GITHUB_STEP_SUMMARY": str(repository / "summary.md")}
            done = run(repository, "bash", "-eo", "pipefail", "-c", filled(step["run"]),
                       **more, **summary)  # fmt: skip
            yield done

    passed = list(steps())
    assert [done.returncode for done in passed] == [0, 0], passed[-1].stderr
    assert "::notice title=unrote gate::Passed" in passed[-1].stdout
    add_a_copy(repository)
    *_, refused = steps()
    assert refused.returncode == 1
    assert "::error file=policy.toml,line=1," in refused.stdout
    assert "Refused: 1 of 3" in (repository / "summary.md").read_text()
    sarif = (repository / action["outputs"]["sarif"]["value"]).read_bytes()
    assert len(Sarif.model_validate_json(sarif).runs[0].results) == 1
