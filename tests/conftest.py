"""Options of the test suite, and the key that all its runs have."""

import json
import os
import signal

import pytest

from tests import examples
from tests.command import unrote, written
from tests.corpora import personal, write_corpus, write_jsonl
from tests.java import brief_java
from tests.shared import made_once
from tests.wheel import build_wheel

KEY = "the key of the tests, of which no run depends"

LONGEST = (
    "tests/conformance/test_spark.py::TestSpark",
    "tests/conformance/test_beam.py::TestThreads",
    "tests/conformance/test_killed.py",
    "tests/pipelines/engines/test_spark_submit.py",
    "tests/conformance/test_spark.py::TestSparkCluster",
    "tests/pipelines/engines/test_spark_start.py::TestWhole",
    "tests/pipelines/engines/test_spark_start.py::TestExecutors",
    "tests/pipelines/engines/test_spark_start.py::TestSignals",
    "tests/programs/test_spark.py",
    "tests/pipelines/engines/test_beam_start.py",
    "tests/pii/test_identity.py",
    "tests/test_wheel.py",
    "tests/stores/test_runs.py",
    "tests/pipelines/test_run.py::TestKilled",
    "tests/pipelines/test_run.py::TestFullDisk",
    "tests/pipelines/test_clean.py",
    "tests/conformance/test_local.py::TestLocal",
    "tests/conformance/test_beam.py::TestInMemory",
    "tests/conformance/test_skew.py",
    "tests/test_golden.py",
    "tests/stores/test_walk_through.py",
    "tests/test_archive.py",
    "tests/pipelines/test_secrecy.py",
    "tests/pipelines/test_crash.py",
    "tests/programs/test_beam.py",
    "tests/stores/test_stores.py",
    "tests/test_extras.py",
)
"""Scopes of `--dist loadscope` that take longest. They come first: one that begins last has one
process at work while the others have nothing left to do."""

examples.register()


def pytest_configure():
    """A shell's background job ignores SIGINT, and so would all that tests start or interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    order = {scope: number for number, scope in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.nodeid.rpartition("::")[0], len(order)))


def pytest_addoption(parser):
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="every configuration with every number of partitions and batch size, on each engine",
    )


@pytest.fixture(autouse=True, scope="session")
def java():
    """Of Spark's Javas tests start dozens."""
    os.environ.setdefault("SPARK_SUBMIT_OPTS", brief_java())


@pytest.fixture(autouse=True, scope="session")
def key():
    """One key for all runs, those of other processes too, so that they can be compared."""
    before = os.environ.get("UNROTE_KEY")
    os.environ["UNROTE_KEY"] = KEY
    yield KEY
    if before is None:
        del os.environ["UNROTE_KEY"]
    else:
        os.environ["UNROTE_KEY"] = before


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """unrote as a wheel."""
    folder = made_once(tmp_path_factory, "wheel", build_wheel)
    return next((folder / "wheels").glob("unrote-*.whl"))


@pytest.fixture(scope="session")
def few_documents(tmp_path_factory):
    """A small corpus with personal data, for runs with all that is on by default."""

    def write(folder):
        write_corpus(folder, count=20)
        write_jsonl(folder / "web" / "personal.jsonl", personal(1, 6))

    return made_once(tmp_path_factory, "few-documents", write)


@pytest.fixture(scope="session")
def by_default(few_documents, tmp_path_factory):
    """Digests of what the local engine writes of them with all that is on by default."""

    def run(folder):
        assert unrote("clean", few_documents, "-o", folder / "out", whole=True).status == 0
        (folder / "digests.json").write_text(json.dumps(written(folder / "out")))

    folder = made_once(tmp_path_factory, "by-default", run)
    return json.loads((folder / "digests.json").read_text())
