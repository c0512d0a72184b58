"""What a user meets who asks for Spark: messages, statuses, and quiet."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.command import ROOT, finish, process, unrote, written
from tests.corpora import personal, write_corpus, write_jsonl
from tests.pipelines.engines.test_beam_start import FEW_PHASES, nothing_left
from tests.wheel import bare_python


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("in"), count=30)


def conf(name, value):
    return ["--set", f"engine.spark.conf.{name}={value}"]


def master(url):
    return ["--set", f"engine.spark.master={url}"]


def spark(corpus, out, *args, **options):
    """A run on Spark, whose workers learn nothing from what earlier tests left in this process."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and "PYSPARK" not in k}
    options = {"env": kept} | options
    return finish(process("clean", corpus, "-o", out, "--engine", "spark", *args, **options))


def refused(done, said):
    """One message of one line, after our progress, that says what to do."""
    *progress, message = done.err.splitlines()
    assert all({"phase", "doing"} & {*json.loads(line)} for line in progress)
    assert message.startswith("unrote: ")
    assert said in message
    assert (done.status, done.out) == (2, "")


def program(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


class TestJava:
    def test_none(self, corpus, tmp_path):
        for name in ("bash", "sh", "env"):
            (tmp_path / name).symlink_to(shutil.which(name))
        env = {k: v for k, v in os.environ.items() if k != "JAVA_HOME"} | {"PATH": str(tmp_path)}
        done = spark(corpus, tmp_path / "out", env=env)
        refused(done, "there is no Java on this machine. Spark 4 needs Java 17 or newer: install")

    def test_a_home_without_one(self, corpus, tmp_path):
        env = os.environ | {"JAVA_HOME": str(tmp_path)}
        refused(spark(corpus, tmp_path / "out", env=env), f"JAVA_HOME is {tmp_path}, and")

    @pytest.mark.parametrize(("version", "named"), [("1.8.0_292", "Java 8"), ("11.0.2", "Java 11")])
    def test_an_old_one(self, corpus, tmp_path, version, named):
        program(tmp_path / "bin" / "java", f"echo 'openjdk version \"{version}\"' >&2")
        env = os.environ | {"JAVA_HOME": str(tmp_path)}
        refused(spark(corpus, tmp_path / "out", env=env), f"is {named}. Spark 4 needs Java 17")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (master("spark://localhost:1"), "spark://localhost:1 does not answer: Connection refused."),
        (master("spark://localhost"), "HOST:PORT"),
        (master("foo://x"), "Master must either be yarn or start with spark, k8s, or local"),
        (master("local[x]"), "Could not parse Master URL"),
        (conf("spark.driver.memory", "lots"), "Invalid maximum heap size: -Xmxlots"),
        (conf("executor.memory", "4g"), "begin with spark."),
        (["--set", "engine.spark.conf=4"], "engine.spark.conf = 4"),
        (conf("spark.pyspark.python", "/nowhere/python"), "no /nowhere/python. Name their Python"),
    ],
)
def test_a_spark_that_cannot_be_had(corpus, tmp_path, args, said):
    refused(spark(corpus, tmp_path / "out", *args), said)
    assert not (tmp_path / "out").exists()


def test_without_pyspark_the_message_says_how_to_install_it(corpus, tmp_path):
    done = spark(corpus, tmp_path / "out", before="sys.modules['pyspark'] = None")
    refused(done, "needs pyspark, which is not installed. Install it with pip install 'unrote[spa")


class TestExecutors:
    """Executors whose Python is started by a program of the test's."""

    @pytest.fixture
    def bare(self, tmp_path):
        """A Python with all that unrote needs and without unrote."""
        return bare_python(tmp_path / "bare")

    def test_without_unrote(self, corpus, tmp_path, bare):
        away = "import os; os.chdir('/')"  # or they would find it in the folder they start in
        done = spark(corpus, tmp_path / "out", *conf("spark.pyspark.python", bare), before=away)
        refused(done, "the workers have no unrote")

    def test_with_another_version(self, corpus, tmp_path, bare):
        old = shutil.copytree(ROOT / "unrote", tmp_path / "old" / "unrote")  # follows its links
        (old / "corpus" / "version.py").write_text('VERSION = "0.0.1"\n')
        wrapper = program(
            tmp_path / "python",
            f'export PYTHONPATH="{tmp_path}/old:$PYTHONPATH"',
            f'exec "{bare}" "$@"',
        )
        away = "import os; os.chdir('/')"
        done = spark(corpus, tmp_path / "out", *conf("spark.pyspark.python", wrapper), before=away)
        refused(done, "has unrote 0.0.1, this is")

    @pytest.mark.parametrize("what", [pytest.param("the input", marks=pytest.mark.long), "OUT"])
    def test_that_do_not_see_a_path(self, corpus, tmp_path, what):
        out = tmp_path / "outs" / "out"
        out.parent.mkdir()
        wrapper = hiding(tmp_path / "python", corpus if what == "the input" else out.parent)
        done = spark(corpus, out, *conf("spark.pyspark.python", wrapper))
        refused(done, f"{what} cannot be reached from {socket.gethostname()}: ")
        assert "name a folder on storage that all machines share" in done.err


def hiding(path, folder):
    """A Python that finds an empty folder there: in a mount namespace where the system lets us, or
    else by functions that pretend.
    """
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode == 0:
        mount = f'mount -t tmpfs none "{folder}" && exec "{sys.executable}" "$@"'
        return program(path, f"exec unshare -rm sh -c '{mount}' sh \"$@\"")
    site = path.parent / "site" / "sitecustomize.py"
    site.parent.mkdir()
    site.write_text(
        "import os\nexists = os.path.exists\n"
        f"os.path.exists = lambda p: not str(p).startswith('{folder}') and exists(p)\n"
    )
    return program(
        path, f'export PYTHONPATH="{site.parent}:$PYTHONPATH"', f'exec "{sys.executable}" "$@"'
    )


OTHER = [*master("local[2]"), *conf("spark.driver.memory", "2g")]


class TestWhole:  # a class is what pytest-xdist gives to one process
    @pytest.mark.parametrize("args", [[], pytest.param(OTHER, marks=pytest.mark.long)])
    def test_a_run_says_what_we_say(self, tmp_path, args):
        """With all that is on by default, memorization and personal data among it."""
        corpus = write_corpus(tmp_path / "in", count=20)
        write_jsonl(corpus / "web" / "personal.jsonl", personal(1, 6))
        given = ["clean", corpus, "-o", tmp_path / "out", "--engine", "spark", *args]
        done = finish(process(*given, whole=True), 500)
        assert done.status == 0
        assert all({"phase", "doing"} & {*json.loads(line)} for line in done.err.splitlines())
        assert done.out.startswith("26 documents in")
        unrote("clean", corpus, "-o", tmp_path / "local", whole=True)
        assert written(tmp_path / "out") == written(tmp_path / "local")


class TestSignals:
    @pytest.mark.parametrize(
        "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
    )
    def test_a_signal_ends_it_and_its_java(self, corpus, tmp_path, number):
        args = ["clean", corpus, "-o", tmp_path / "out", "--engine", "spark", *FEW_PHASES]
        started = process(*args, start_new_session=True)
        for line in started.stderr:
            if '"fingerprint","done":1.0' in line:
                break
        os.killpg(started.pid, number) if number == signal.SIGINT else started.send_signal(number)
        begin = time.monotonic()
        done = finish(started)
        assert done.status == 3
        assert done.err.endswith(
            "interrupted. The same command continues after the last finished phase.\n"
        )
        assert time.monotonic() - begin < 30
        assert nothing_left(started.pid)
        again = finish(process(*args))
        assert again.status == 0
        assert '"fingerprint"' not in again.err
