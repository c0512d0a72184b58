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

from tests.command import ROOT, Done, finish, plain, process, unrote, written
from tests.corpora import write_corpus
from tests.pipelines.engines.test_beam_start import FEW_PHASES, nothing_left
from tests.wheel import bare_python


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("in"), count=30)


def conf(name, value):
    return ["--set", f"engine.spark.conf.{name}={value}"]


def master(url):
    return ["--set", f"engine.spark.master={url}"]


def spark(corpus, out, *args):
    """What is refused before there is a Java, here."""
    return unrote("clean", corpus, "-o", out, "--engine", "spark", *args)


def without_ours():
    """An environment in which workers learn nothing from what earlier tests left in this one."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and "PYSPARK" not in k}


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
    def test_none(self, corpus, tmp_path, monkeypatch):
        for name in ("bash", "sh", "env"):
            (tmp_path / name).symlink_to(shutil.which(name))
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        done = spark(corpus, tmp_path / "out")
        refused(done, "there is no Java on this machine. Spark 4 needs Java 17 or newer: install")

    def test_a_home_without_one(self, corpus, tmp_path, monkeypatch):
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        refused(spark(corpus, tmp_path / "out"), f"JAVA_HOME is {tmp_path}, and")

    @pytest.mark.parametrize(("version", "named"), [("1.8.0_292", "Java 8"), ("11.0.2", "Java 11")])
    def test_an_old_one(self, corpus, tmp_path, monkeypatch, version, named):
        program(tmp_path / "bin" / "java", f"echo 'openjdk version \"{version}\"' >&2")
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        refused(spark(corpus, tmp_path / "out"), f"is {named}. Spark 4 needs Java 17")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (master("spark://localhost:1"), "spark://localhost:1 does not answer: Connection refused."),
        (master("spark://localhost"), "HOST:PORT"),
        (conf("executor.memory", "4g"), "begin with spark."),
        (["--set", "engine.spark.conf=4"], "engine.spark.conf = 4"),
    ],
)
def test_a_spark_that_cannot_be_had(corpus, tmp_path, monkeypatch, args, said):
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    refused(spark(corpus, tmp_path / "out", *args), said)
    assert not (tmp_path / "out").exists()


def test_a_java_that_ends_at_once(corpus, tmp_path):
    args = ["--engine", "spark", *conf("spark.driver.memory", "lots")]
    done = finish(process("clean", corpus, "-o", tmp_path / "out", *args, env=without_ours()))
    refused(done, "Invalid maximum heap size: -Xmxlots")
    assert not (tmp_path / "out").exists()


def test_without_pyspark_the_message_says_how_to_install_it(corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    done = spark(corpus, tmp_path / "out")
    refused(done, "needs pyspark, which is not installed. Install it with pip install 'unrote[spa")


EACH = """
import json, os, sys
os.chdir("/")  # or workers would find unrote in the folder that they start in
from unrote.pipelines.cli import main
for args in json.loads(os.environ["GIVEN"]):
    sys.argv[1:] = args
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code
    print(json.dumps({"status": status}), file=sys.stderr)
os._exit(0)
"""
"""Commands one after another in one process, and so with one Java: to start one takes seconds."""


class TestExecutors:
    """What is said once Java runs, and by executors whose Python is a program of the test's."""

    @pytest.fixture(scope="class")
    def answers(self, corpus, tmp_path_factory):
        """What each of these commands said."""
        folder = tmp_path_factory.mktemp("executors")
        bare = bare_python(folder / "bare")  # all that unrote needs and no unrote
        old = shutil.copytree(ROOT / "unrote", folder / "old" / "unrote")  # follows its links
        (old / "corpus" / "version.py").write_text('VERSION = "0.0.1"\n')
        other = program(
            folder / "other" / "python",
            f'export PYTHONPATH="{folder}/old:$PYTHONPATH"',
            f'exec "{bare}" "$@"',
        )
        hidden = folder / "hidden"
        hidden.mkdir()
        given = {
            "a master of no kind": (folder / "1", master("foo://x")),
            "a local master": (folder / "2", master("local[x]")),
            "no Python": (folder / "3", conf("spark.pyspark.python", "/nowhere/python")),
            "no unrote": (folder / "4", conf("spark.pyspark.python", bare)),
            "another version": (folder / "5", conf("spark.pyspark.python", other)),
            "no OUT": (
                hidden / "out",
                conf("spark.pyspark.python", hiding(folder / "blind" / "python", hidden)),
            ),
            "no input": (
                folder / "7",
                conf("spark.pyspark.python", hiding(folder / "unread" / "python", corpus)),
            ),
        }
        commands = [
            list(map(str, plain("clean", corpus, "-o", out, "--engine", "spark", *args)))
            for out, args in given.values()
        ]
        env = without_ours() | {"GIVEN": json.dumps(commands)}
        done = finish(process(before=EACH, env=env), 500)
        assert (done.status, done.out) == (0, "")
        found, lines = [], []
        for line in done.err.splitlines(keepends=True):
            if line.startswith('{"status":'):
                found.append(Done(json.loads(line)["status"], "", "".join(lines)))
                lines = []
            else:
                lines.append(line)
        return dict(zip(given, found, strict=True))

    @pytest.mark.parametrize(
        ("what", "said"),
        [
            ("a master of no kind", "Master must either be yarn or start with spark, k8s, or loca"),
            ("a local master", "Could not parse Master URL"),
            ("no Python", "the executors have no /nowhere/python. Name their Python"),
            ("no unrote", "the workers have no unrote"),
            ("another version", "has unrote 0.0.1, this is"),
            ("no OUT", f"OUT cannot be reached from {socket.gethostname()}: "),
            ("no input", f"the input cannot be reached from {socket.gethostname()}: "),
        ],
    )
    def test_that_cannot_work(self, answers, what, said):
        refused(answers[what], said)
        if " reached" in said:
            assert "name a folder on storage that all machines share" in answers[what].err


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
    def test_a_run_says_what_we_say(self, few_documents, by_default, tmp_path, args):
        """With all that is on by default, memorization and personal data among it."""
        given = ["clean", few_documents, "-o", tmp_path / "out", "--engine", "spark", *args]
        done = finish(process(*given, whole=True), 500)
        assert done.status == 0
        assert all({"phase", "doing"} & {*json.loads(line)} for line in done.err.splitlines())
        assert done.out.startswith("26 documents in")
        assert written(tmp_path / "out") == by_default


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
