"""The examples of a scheduled run: the script is run, the others start it or the command."""

import ast
import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import typer.main
import yaml

from tests.command import ROOT, unrote
from tests.corpora import documents, rows, write_jsonl
from unrote.pipelines import cli

FOLDER = ROOT / "examples" / "nightly"


def parses(args: list[str]) -> None:
    """Fails where the command line would not take these arguments."""
    command = typer.main.get_command(cli.app).commands[args[0]]
    command.make_context(args[0], list(args[1:]))


def test_a_night(tmp_path):
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(documents(1, 30), "a"))
    assert unrote("init", tmp_path / "unrote.toml").status == 0
    settings = (tmp_path / "unrote.toml").read_text()
    section = settings.index("[memorization]")
    off = settings[section:].replace("# enabled = true", "enabled = false", 1)
    (tmp_path / "unrote.toml").write_text(settings[:section] + off)
    rule = "[[rule]]\nmeasure = 'duplicate_share'\nlimit = {}\n"

    def night(limit: float) -> int:
        (tmp_path / "policy.toml").write_text(rule.format(limit))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [FOLDER / "nightly.sh", "in", "out"],
            cwd=tmp_path,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "enabled" not in done.stderr, done.stderr
        return done.returncode

    assert night(0.0) == 0
    assert (tmp_path / "out-gate.md").read_text()
    assert unrote("status", tmp_path / "out-gate").status == 0
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(documents(2, 30), "a"))
    assert night(0.0) == 2  # OUT is of another input


def test_cron_and_systemd_start_the_script():
    (line,) = [
        line for line in (FOLDER / "crontab").read_text().splitlines() if re.match(r"[\d*]", line)
    ]
    assert line.split(" ", 5)[:5] == ["30", "2", "*", "*", "*"]
    assert "./nightly.sh /data/in/$day /data/out/$day" in line
    assert not re.search(r"(?<!\\)%", line)  # which cron takes as the end of the line
    service = configparser.ConfigParser(strict=False, interpolation=None)
    service.optionxform = str
    service.read(FOLDER / "unrote.service")
    shell = shlex.split(service["Service"]["ExecStart"])
    assert shell[:2] == ["/bin/sh", "-c"]
    assert "exec ./nightly.sh /data/in/$$day /data/out/$$day" in shell[2]
    assert service["Service"]["RestartPreventExitStatus"] == "1 2"


def test_the_cronjob_is_one_and_its_arguments_parse():
    job = yaml.safe_load((FOLDER / "cronjob.yaml").read_text())
    kubernetes_validate.validate(job, "1.31", strict=True)
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    parses(container["args"])
    assert 'engine.scratch="/scratch"' in container["args"][4]


def test_the_dag_gives_arguments_that_parse():
    tree = ast.parse((FOLDER / "airflow_dag.py").read_text())
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "unrote"
    ]
    assert len(calls) == 2
    for call in calls:
        words = [arg.value if isinstance(arg, ast.Constant) else "word" for arg in call.args]
        parses([str(word) for word in words])
