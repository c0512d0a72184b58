"""The beginnings in examples/clusters: their form, and that unrote knows what they ask of it."""

import ast
import inspect
import json
import re
import shlex
import subprocess
from itertools import pairwise

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

import unrote.spark
from tests.command import ROOT
from unrote.pipelines.config import load

FOLDER = ROOT / "examples" / "clusters"
FILES = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")


def arguments(path) -> list[str]:
    """What unrote is given in a file."""
    text = path.read_text()
    if path.suffix == ".yaml":
        return yaml.safe_load(text)["spec"]["arguments"]
    if path.name == "emr.sh":
        args = json.loads(re.search(r"<<STEP\n(.*?)\nSTEP", text, re.DOTALL)[1])[0]["Args"]
        return args[args.index("clean") :]
    plain = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    words = shlex.split(plain.replace("\\\n", " "))
    return words[words.index("clean") :]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_says_whether_it_was_tried(path):
    (row,) = re.findall(
        rf"^\| \[{path.name}\].* \| (.+?) \|$", (FOLDER / "README.md").read_text(), re.M
    )
    head = path.read_text()[:400]
    assert ("Not tried by us" in head) == (row == "no")
    assert row == "no" or "were tried" in head
    if path.suffix == ".sh":
        subprocess.run(["sh", "-n", path], check=True)


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix != ".py"], ids=lambda p: p.name)
def test_unrote_knows_its_settings(path):
    given = arguments(path)
    named = [value for flag, value in pairwise(given) if flag == "--set"]
    assert len(named) == given.count("--set")
    settings = load(None, (f"engine.name={given[given.index('--engine') + 1]}", *named))
    assert {word for word in given if word.startswith("-")} <= {"-o", "--engine", "--set"}
    options = settings.engine.beam.options
    known = PipelineOptions(options).get_all_options()
    assert {option[2:].partition("=")[0] for option in options} <= set(known)


def test_the_notebook_calls_what_there_is():
    tree = ast.parse((FOLDER / "databricks.py").read_text())
    (call,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "unrote.spark.clean"
    ]
    inspect.signature(unrote.spark.clean).bind(
        *call.args, **{word.arg: word.value for word in call.keywords}
    )
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} & {"kept", "report"}
    assert used == {"kept", "report"}
