"""Each way to start a run that the documents name is tried by a test, with the default settings.

What is only tested with parts switched off is not tested: the list below is held against the
documents on one side and against the tests' own source on the other.
"""

import ast
import re
from pathlib import Path

import pytest

from tests.command import ROOT

ENGINES = "tests/pipelines/engines"
SPARK = f"{ENGINES}/test_spark_start.py::TestWhole::test_a_run_says_what_we_say"
SUBMIT = f"{ENGINES}/test_spark_submit.py::test_the_wheel_is_enough"
BEAM = f"{ENGINES}/test_beam_start.py::test_a_run_says_what_we_say"
HERE = "tests/pipelines/test_hostile_names.py::cleaned"
ARCHIVE = "tests/test_archive.py::test_a_run_out_of_an_archive"
STORE = "tests/stores/test_walk_through.py::test_the_page_is_a_session"
CLUSTER = "not run by us: it takes a cluster, which the page says"

WAYS = {
    "unrote clean corpus/ -o out --engine spark": SPARK,
    "unrote clean corpus/ -o out --engine spark --set engine.spark.conf.": SPARK,
    "unrote clean /shared/corpus -o /shared/out --engine spark --set engine.spark.master": SPARK,
    "spark-submit --master yarn --py-files unrote-0.1.0-cp311-cp311-linux_x86_64.whl": SUBMIT,
    "PYSPARK_DRIVER_PYTHON=env/bin/python PYSPARK_PYTHON=./env/bin/python spark-submit": CLUSTER,
    "unrote clean corpus/ -o out --engine beam": BEAM,
    "unrote clean corpus/ -o out --engine beam --set 'engine.beam.options=[\"--direct": BEAM,
    "unrote clean /shared/corpus -o /shared/out --engine beam --set engine.beam.runner=F": CLUSTER,
    "unrote clean /shared/corpus -o /shared/out --engine beam --set engine.beam.runner=S": CLUSTER,
    "unrote clean gs://bucket/corpus -o /shared/out --engine beam": CLUSTER,
    "unrote clean s3://lake/corpus -o s3://lake/cleaned": STORE,
    "unrote clean corpus/ -o cleaned/": HERE,
    "unrote clean corpus/ -o cleaned/ --set pii.key_file=unrote.key": HERE,
    "unrote clean corpus/ -o cleaned/ -c unrote.toml": HERE,
    'docker run --rm -v "$PWD:/data" unrote clean /data/in -o /data/out': (
        "not run by us: the tests have no Docker; the image installs the wheel, as ARCHIVE tries"
    ),
}
"""Beginning of a command, the longest that fits, and the test of it or why there is none."""

PAGES = ("README.md", "docs/engines.md", "docs/object-stores.md", "Dockerfile")


def commands(path: Path) -> list[str]:
    """The commands of a page that start a clean, each on one line."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    if path.name == "Dockerfile":
        blocks = ["\n".join(re.findall(r"^#.*?: (docker run .*)$", text, re.MULTILINE))]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    joined = "\n".join(lines)
    joined = re.sub(r"^(PYSPARK_\S+ .*?)\s*\n(spark-submit)", r"\1 \2", joined, flags=re.MULTILINE)
    found = (re.sub(r"\s+", " ", line.partition("   #")[0]).strip() for line in joined.splitlines())
    return [
        line
        for line in found
        if re.match(r"(unrote clean|\S*spark-submit|PYSPARK|docker run)", line)
    ]


def way_of(command: str) -> str | None:
    return max((way for way in WAYS if command.startswith(way)), key=len, default=None)


@pytest.mark.parametrize("page", PAGES)
def test_each_way_is_listed(page):
    found = commands(ROOT / page)
    assert found
    assert [command for command in found if way_of(command) is None] == []


def test_nothing_is_listed_that_no_page_names():
    named = {way_of(c) for page in PAGES for c in commands(ROOT / page)}
    assert set(WAYS) - named == set()


@pytest.mark.parametrize("test", sorted({t for t in WAYS.values() if "::" in t} | {ARCHIVE}))
def test_the_test_of_a_way_has_the_default_settings(test):
    path, *_, name = test.split("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    (body,) = [
        ast.get_source_segment(source, node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    assert "whole=True" in body or "== by_default" in body  # which is a run with whole=True
    assert not re.search(r"enabled=false|PLAIN|FEW|plain\(", body)
