"""Spark's workers on machines that share no folder with the driver: from store to store."""

import os
import signal
import sys
import time

import pytest

from tests.command import process, unrote, written
from tests.corpora import write_corpus
from tests.stores.cluster import Cluster, cluster
from tests.stores.server import BUCKET, downloaded, environment, upload
from tests.stores.test_runs import digests

pytestmark = [
    pytest.mark.long,  # test_killed.py has a killed executor, test_runs.py the store
    pytest.mark.timeout(1800),  # ten minutes on a busy machine
    pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's"),
]

BEFORE = "anchors"
"""When the phase after this one has tasks, an executor is killed."""


@pytest.fixture
def hidden(tmp_path_factory):
    """What the workers see an empty folder in the place of: all that tests write."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def log(tmp_path):
    """Logs of the cluster, which begin before its folders are hidden."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def driver(server, tmp_path, monkeypatch):
    """The environment of the driver: its keys of the store, and scratch that no worker sees."""
    scratch = tmp_path / "driver"
    scratch.mkdir()
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    return os.environ | {"TMPDIR": str(scratch), "SPARK_LOCAL_DIRS": str(scratch)}


def started(here: Cluster, driver: dict[str, str], given, out: str):
    spark = ("--engine", "spark", "--set", f"engine.spark.master={here.master}")
    return process("clean", given, "-o", out, "-q", *spark, whole=True, env=driver)


def wait_for_tasks(here: Cluster, files, out: str, clean) -> None:
    deadline = time.monotonic() + 900
    marker = f"{BUCKET}/{out}/.run/phases/{BEFORE}."
    while True:
        files.invalidate_cache()
        marked = any(name.startswith(marker) for name in files.find(f"{BUCKET}/{out}/.run/phases"))
        if marked and any(worker.is_working for worker in here.workers):
            return
        assert clean.poll() is None, clean.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_default_clean_goes_from_store_to_store_and_loses_an_executor(
    server, files, hidden, log, driver, tmp_path
):
    corpus = write_corpus(tmp_path / "in", seed=4, count=150)
    upload(files, corpus, "apart-in")
    assert unrote("clean", corpus, "-o", tmp_path / "local", "-q", whole=True).status == 0
    with cluster(hidden, log, environment(server)) as here:
        for worker in here.workers:
            assert worker.seen(worker.own).is_dir()
            assert not worker.seen(corpus).exists()
            assert not worker.own.exists()
        clean = started(here, driver, f"s3://{BUCKET}/apart-in", f"s3://{BUCKET}/apart-out")
        wait_for_tasks(here, files, "apart-out", clean)
        victim = next(w for w in here.workers if w.executors())
        os.kill(victim.executors()[0], signal.SIGKILL)
        out, err = clean.communicate(timeout=900)
        assert (clean.returncode, out, err) == (0, "", "")
        refused = started(here, driver, corpus, f"s3://{BUCKET}/apart-refused")
        _, err = refused.communicate(timeout=300)
    assert digests(files, "apart-out") == written(tmp_path / "local")
    assert any(name.startswith("tables/scores/") for name in digests(files, "apart-out"))
    assert not [name for name in downloaded(files, "apart-out") if name.startswith(".run")]
    assert refused.returncode == 2
    assert "cannot be reached from" in err
