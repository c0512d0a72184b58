"""What a user meets who asks for Beam: messages, statuses, and quiet."""

import json
import signal
import subprocess
import time

import pytest

from tests.command import finish, process, unrote, written
from tests.corpora import write_corpus

MULTI = 'engine.beam.options=["--direct_running_mode=multi_processing", "--direct_num_workers=2"]'


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("in"), count=30)


FEW_PHASES = ["--set", "pii.enabled=false", "--set", "dedup.passages.enabled=false"]
"""For what is about processes and not about phases."""


def options(*given):
    return ["--set", f"engine.beam.options={json.dumps(given)}"]


def runner(name):
    return ["--set", f"engine.beam.runner={name}"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (runner("Fancy"), "'Fancy': Beam has no such runner. Name a runner"),
        (runner("os.path"), "Name a runner that Beam knows, for example FnApiRunner"),
        (runner("os.getcwd"), "that is no runner"),
        (options("--direct_num_worker=3"), "Did you mean --direct_num_workers?"),
        (options("--direct_num_workers=x"), "invalid int value: 'x'"),
        (options("--direct_running_mode=fast"), "invalid choice: 'fast'"),
        (options("region=x"), "begins with --"),
        (options("--help"), "--help"),
        (options("--runner=FlinkRunner"), "engine.beam.runner"),
        (runner("DataflowRunner"), "Missing required option: project"),
        ([*runner("PortableRunner"), *options("--job_endpoint=localhost:1")], "does not answer"),
        ([*runner("PortableRunner"), *options("--job_endpoint=nowhere")], "HOST:PORT"),
    ],
)
def test_what_beam_cannot_do_is_refused(corpus, tmp_path, args, said):
    done = unrote("clean", corpus, "-o", tmp_path / "out", "--engine", "beam", *args)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_beam_the_message_says_how_to_install_it(corpus, tmp_path):
    before = "sys.modules['apache_beam'] = None"
    done = finish(process("clean", corpus, "-o", tmp_path, "--engine", "beam", before=before))
    assert done.status == 2
    assert done.err == (
        "unrote: the engine beam needs apache-beam, which is not installed. Install it with "
        "pip install 'unrote[beam]', or use --engine local.\n"
    )


@pytest.mark.parametrize(
    "setting", ["engine.workers=2", pytest.param(MULTI, marks=pytest.mark.long)]
)
def test_a_run_says_what_we_say(few_documents, by_default, tmp_path, setting):
    """With all that is on by default, on little text: in one mode each phase starts processes."""
    args = ["clean", few_documents, "-o", tmp_path / "out", "--engine", "beam", "--set", setting]
    done = finish(process(*args, whole=True), 500)
    assert done.status == 0
    assert all({"phase", "doing"} & {*json.loads(line)} for line in done.err.splitlines())
    assert done.out.startswith("26 documents in")
    assert written(tmp_path / "out") == by_default


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM]
)
def test_a_signal_ends_it_and_its_workers(corpus, tmp_path, number):
    args = ["clean", corpus, "-o", tmp_path / "out", "--engine", "beam", *FEW_PHASES]
    started = process(*args, "--set", MULTI, start_new_session=True)
    for line in started.stderr:
        if '"fingerprint","done":1.0' in line:
            break
    time.sleep(1)
    started.send_signal(number)
    done = finish(started)
    assert done.status == 3
    assert done.err.endswith(
        "unrote: interrupted. The same command continues after the last finished phase.\n"
    )
    assert nothing_left(started.pid)
    assert unrote(*args).status == 0


def nothing_left(session):
    """No process of that session runs, ten seconds from now at the latest."""
    for _ in range(50):
        listed = subprocess.check_output(["ps", "-A", "-o", "sid=,stat=,comm="], text=True)
        lines = [line.split(None, 2) for line in listed.splitlines()]
        if not [line for line in lines if line[0] == str(session) and "Z" not in line[1]]:
            return True
        time.sleep(0.2)
    return False
