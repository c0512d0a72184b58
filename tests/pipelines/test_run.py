"""A run that is interrupted, repeated, disturbed or refused: nothing is lost or mixed up."""

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading

import fsspec
import pyarrow.parquet as pq
import pytest

from tests.command import files_below, finish, plain, process, unrote, written
from tests.command import settings as plain_settings
from tests.corpora import documents, rows, write_corpus, write_jsonl
from unrote.corpus.errors import (
    InputChanged,
    OutputError,
    OutputInUse,
    RunError,
    StorageError,
    TooManyRejects,
)
from unrote.pipelines import cli
from unrote.pipelines.clean import clean
from unrote.pipelines.engines.local import LocalEngine
from unrote.pipelines.job import open_job
from unrote.pipelines.progress import Silent
from unrote.pipelines.run import RunFolder
from unrote.pipelines.verify import verify


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("in"), count=120)


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    """A run that nothing happened to."""
    out = tmp_path_factory.mktemp("finished") / "out"
    run(corpus, out)
    return out


@pytest.fixture
def small(tmp_path):
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(documents(1, 30), "a"))
    return tmp_path / "in"


def run(corpus, out, *settings, **options):
    return clean([str(corpus)], str(out), plain_settings(*settings), Silent(), **options)


def phases(out):
    return [phase["name"] for phase in json.loads((out / "manifest.json").read_bytes())["phases"]]


def same(out, finished):
    assert written(out) == written(finished)
    assert {path.name for path in out.iterdir()} == {path.name for path in finished.iterdir()}
    assert verify(str(out)).ok


class TestKilled:
    """As by a power cut, after every phase in turn: before its marker is there, and after, when
    nothing of the next phase is there either.
    """

    @pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.long)])
    def test_is_continued_where_it_stood(self, corpus, finished, tmp_path, when):
        expected = phases(finished)
        for _ in range(len(expected) + 1):
            args = ("clean", corpus, "-o", tmp_path / "out", "-q")
            status = forked(killed_at_a_commit, tmp_path / "seen", when, *plain(*args))
            if status == 0:
                break
            assert status == -signal.SIGKILL
        assert status == 0
        same(tmp_path / "out", finished)
        attempts = (tmp_path / "seen").read_text().split()
        times = 1 if when == "after" else 2
        assert sorted(attempts) == sorted(expected * times)


def killed_at_a_commit(seen, when, *args):
    """The command, which kills itself at the first phase that `seen` does not name ("before" its
    commit, so that what it wrote is written again), or after the next commit.
    """
    commit = RunFolder.commit

    def killed(folder, done):
        known = seen.read_text().split() if seen.exists() else []
        seen.write_text(" ".join([*known, done.name]))
        if when == "before" and done.name not in known:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(folder, done)
        if when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    RunFolder.commit = killed
    sys.argv = ["unrote", *map(str, args)]
    cli.command()


def forked(work, *args):
    """The status of work(*args), in a process that is forked from one in which all is imported: a
    kill after each of some thirty phases would wait for imports most of its time.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "unrote.pipelines.clean", "unrote.pii.scanner"])
    started = context.Process(target=work, args=args)
    started.start()
    started.join(120)
    return started.exitcode


class TestDamage:
    @pytest.mark.parametrize("name", [".run/tables/copies/00000.parquet", "data/web/a.jsonl"])
    def test_of_a_committed_file_is_seen(self, corpus, finished, tmp_path, monkeypatch, name):
        with monkeypatch.context() as patch:
            patch.setattr("unrote.pipelines.clean.summarised", None)
            with pytest.raises(TypeError):
                run(corpus, tmp_path / "out")
        path = tmp_path / "out" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        run(corpus, tmp_path / "out")
        same(tmp_path / "out", finished)


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_end_the_run_with_status_3(self, corpus, finished, tmp_path, number):
        started = self.start(corpus, tmp_path)
        started.send_signal(number)
        done = finish(started)
        assert done.status == 3
        assert done.err == (
            "unrote: interrupted. The same command continues after the last finished phase.\n"
        )
        assert unrote("clean", corpus, "-o", tmp_path / "out").status == 0
        same(tmp_path / "out", finished)

    def test_a_second_one_does_not_wait(self, corpus, finished, tmp_path):
        started = self.start(corpus, tmp_path, rest="time.sleep(0.1)")
        started.send_signal(signal.SIGINT)
        with pytest.raises(Exception, match="timed out"):
            started.wait(timeout=1)
        started.send_signal(signal.SIGINT)
        assert finish(started).status == 3
        assert unrote("clean", corpus, "-o", tmp_path / "out").status == 0
        same(tmp_path / "out", finished)

    def start(self, corpus, tmp_path, rest="pulse(); time.sleep(0.1)"):
        """A process whose threads are at work for a minute on the last phase that finds something,
        in parts of which each is short, or as `rest` says.
        """
        before = f"""
import time, unrote.dedup.spans
from unrote.corpus.pulse import pulse
cuts = unrote.dedup.spans.Spans._found
def slow(*args):
    print("here", flush=True)
    for _ in range(600):
        {rest}
    return cuts(*args)
unrote.dedup.spans.Spans._found = slow
"""
        started = process("clean", corpus, "-o", tmp_path / "out", "-q", before=before)
        assert started.stdout.readline() == "here\n"
        return started


class TestFullDisk:
    """The same command finishes the run when there is room again."""

    @pytest.mark.parametrize("limit", [2_000, 9_000, 30_000])
    def test_for_any_file(self, corpus, finished, tmp_path, limit):
        """No file may grow beyond `limit` bytes; everything is spilled."""
        settings = ("-q", "--set", f"engine.scratch={tmp_path / 'scratch'}")
        spill = "import unrote.pipelines.engines.local as l; l.spool_budget = lambda memory: 0\n"
        narrow = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit},) * 2)\n"
        out = tmp_path / "out"
        done = finish(process("clean", corpus, "-o", out, *settings, before=spill + narrow))
        assert done.status == 3
        assert str(tmp_path) in done.err
        assert re.search("too large", done.err)
        again = finish(process("clean", corpus, "-o", out, *settings, before=spill))
        assert again.status == 0
        assert written(out) == written(finished)
        assert not (tmp_path / "scratch").exists() or not list(files_below(tmp_path / "scratch"))

    def test_at_every_marker_report_and_manifest(self, corpus, finished, tmp_path, monkeypatch):
        """Each small file fails once; the next attempt comes as far as the next one."""
        failed = []
        whole = os.fsync

        def full(handle):
            name = os.readlink(f"/proc/self/fd/{handle}") if os.path.isdir("/proc") else handle
            if name not in failed:
                failed.append(name)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            whole(handle)

        monkeypatch.setattr(os, "fsync", full)
        for _ in range(40):
            done = unrote("clean", corpus, "-o", tmp_path / "out", "-q")
            if done.status == 0:
                break
            assert done.status == 3
            assert "No space left on device" in done.err
            assert str(tmp_path / "out") in done.err
        assert len(failed) == len(phases(finished)) + 5  # run.json, three reports, the manifest
        same(tmp_path / "out", finished)

    @pytest.mark.parametrize("place", ["tables", "parts", "data", "spill"])
    def test_for_one_kind_of_file(self, corpus, finished, tmp_path, monkeypatch, place):
        def full(*args, **options):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "out" / place))

        with monkeypatch.context() as patch:
            if place == "spill":
                patch.setattr("unrote.pipelines.engines.local.spool_budget", lambda memory: 0)
            target = {
                "tables": "unrote.corpus.tables.open_output",
                "parts": "pathlib.Path.write_bytes",
                "data": "unrote.pipelines.engines.parts.move",
                "spill": "unrote.pipelines.engines.exchange.pa.OSFile",
            }[place]
            patch.setattr(target, full)
            done = unrote("clean", corpus, "-o", tmp_path / "out", "-q")
        assert done.status == 3
        assert "No space left on device" in done.err
        assert str(tmp_path / "out") in done.err
        assert unrote("clean", corpus, "-o", tmp_path / "out", "-q").status == 0
        same(tmp_path / "out", finished)


class TestOut:
    def test_what_is_no_run_is_left_alone(self, small, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("precious")
        for fresh in (False, True):
            with pytest.raises(OutputError, match="not empty"):
                run(small, tmp_path / "out", fresh=fresh)
        assert (tmp_path / "out" / "thesis.txt").read_text() == "precious"

    def test_a_file(self, small, tmp_path):
        (tmp_path / "out").write_text("precious")
        with pytest.raises(OutputError, match="is a file"):
            run(small, tmp_path / "out")

    @pytest.mark.parametrize("pattern", ["**/*.jsonl", "*", "*/*", "*/*/*.jsonl"])
    def test_is_not_found_by_a_glob(self, small, pattern):
        with pytest.raises(OutputError, match="lies inside the input"):
            run(small / pattern, small / "out")

    def test_beside_what_a_glob_finds(self, small):
        for _ in range(2):
            run(small / "*.jsonl", small / "out")
        assert verify(str(small / "out")).ok

    def test_inside_and_around_the_input(self, small, tmp_path):
        with pytest.raises(OutputError, match="lies inside the input"):
            run(small, small / "out")
        with pytest.raises(OutputError, match="lies inside OUT"):
            run(small, tmp_path)

    def test_around_the_input_through_a_link(self, small, tmp_path):
        (tmp_path / "elsewhere").symlink_to(tmp_path / "in")
        with pytest.raises(OutputError, match="lies inside the input"):
            run(tmp_path / "elsewhere", small / "out")
        (tmp_path / "links").mkdir()
        (small / ".run").mkdir()
        (tmp_path / "links" / "a.jsonl").symlink_to(small / "a.jsonl")
        with pytest.raises(OutputError, match="lies inside OUT"):
            run(tmp_path / "links", small)

    def test_of_other_settings_or_input(self, small, tmp_path):
        out = tmp_path / "out"
        run(small, out)
        with pytest.raises(OutputError, match=r"threshold was 0\.8 and is 0\.7"):
            run(small, out, "dedup.near.threshold=0.7")
        with (small / "a.jsonl").open("a") as file:
            file.write('{"text": "more"}\n')
        with pytest.raises(OutputError, match="the input is not the same"):
            run(small, out)
        run(small, out, fresh=True)
        assert verify(str(out)).ok

    def test_is_not_lost_to_a_typing_error(self, small, tmp_path):
        run(small, tmp_path / "out")
        before = written(tmp_path / "out")
        assert unrote("clean", tmp_path / "inn", "-o", tmp_path / "out", "--fresh").status == 2
        assert written(tmp_path / "out") == before

    def test_fresh_gives_the_same_again(self, corpus, finished, tmp_path):
        out = tmp_path / "out"
        shutil.copytree(finished, out)
        written = (out / "manifest.json").stat().st_mtime_ns
        run(corpus, out, fresh=True)
        same(out, finished)
        assert (out / "manifest.json").stat().st_mtime_ns > written

    def test_again_does_nothing(self, corpus, finished):
        times = {path: path.stat().st_mtime_ns for path in files_below(finished)}
        run(corpus, finished)
        assert {path: path.stat().st_mtime_ns for path in files_below(finished)} == times

    def test_a_damaged_manifest(self, small, tmp_path):
        run(small, tmp_path / "out")
        for content in (b"{", b"[]", b"{}"):
            (tmp_path / "out" / "manifest.json").write_bytes(content)
            for command in ("report", "show"):
                args = [tmp_path / "out"] + ["0"] * (command == "show")
                assert unrote(command, *args).status == 2
            assert unrote("clean", small, "-o", tmp_path / "out").status == 2
        assert unrote("clean", small, "-o", tmp_path / "out", "--fresh").status == 0

    def test_internal_tables_can_be_kept(self, corpus, finished, tmp_path):
        out = tmp_path / "out"
        run(corpus, out, "output.internal_tables=true")
        kept = {path: path.read_bytes() for path in files_below(out / "internal")}
        assert "fingerprints" in {path.parent.name for path in kept}
        assert verify(str(out)).ok
        assert unrote("report", out).status == 0
        assert {path: path.read_bytes() for path in files_below(out / "internal")} == kept


class TestTwoAtOnce:
    @pytest.mark.parametrize("fresh", [False, True])
    def test_the_second_is_refused(self, small, tmp_path, fresh):
        out = tmp_path / "out"
        with open_job("clean", [str(small)], str(out), plain_settings(), Silent()):
            with pytest.raises(OutputError, match="another run is writing"):
                run(small, out, fresh=fresh)
            assert (out / ".run" / "run.json").exists()
        run(small, out)

    def test_another_process(self, small, tmp_path):
        out = tmp_path / "out"
        with open_job("clean", [str(small)], str(out), plain_settings(), Silent()):
            assert finish(process("clean", small, "-o", out)).status == OutputInUse.exit_status
        assert finish(process("clean", small, "-o", out, "-q")).status == 0


class TestInput:
    @pytest.mark.parametrize("change", ["grow", "same-size", "shrink", "remove"])
    def test_changed_while_it_is_read(self, small, tmp_path, monkeypatch, change):
        path, execute = small / "a.jsonl", LocalEngine.execute
        before = path.read_bytes()

        def meddle(self, name, *args):
            if name == "conclude":
                if change == "remove":
                    path.unlink()
                else:
                    other = {"grow": before * 2, "same-size": before[::-1], "shrink": before[:500]}
                    path.write_bytes(other[change])
            return execute(self, name, *args)

        with monkeypatch.context() as patch:
            patch.setattr(LocalEngine, "execute", meddle)
            with pytest.raises(InputChanged, match=r"a\.jsonl"):
                run(small, tmp_path / "out")
        path.write_bytes(before)
        run(small, tmp_path / "out")
        assert verify(str(tmp_path / "out")).ok

    def test_changed_between_attempts(self, small, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr("unrote.pipelines.clean.release", None)
            assert unrote("clean", small, "-o", tmp_path / "out", "-q").status == 3
        with (small / "a.jsonl").open("a") as file:
            file.write('{"text": "more"}\n')
        with pytest.raises(OutputError, match=r"unfinished run .*the input is not the same"):
            run(small, tmp_path / "out")

    def test_settings_may_change_while_nothing_is_committed(self, small, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr("unrote.pipelines.clean.analyse", None)
            assert unrote("clean", small, "-o", tmp_path / "out", "-q").status == 3
        run(small, tmp_path / "out", "dedup.near.threshold=0.7")

    def test_too_many_rejects(self, tmp_path):
        write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": "good"}] * 9 + [{"text": None}])
        out = tmp_path / "out"
        with pytest.raises(
            TooManyRejects, match=r"1 of 10 rows .*\n.*a\.jsonl, row 9: text is null"
        ):
            run(tmp_path / "in", out)
        assert not (out / "manifest.json").exists()
        done = unrote("clean", tmp_path / "in", "-o", out)
        assert (done.status, "--fresh" in done.err) == (3, True)
        run(tmp_path / "in", out, "input.max_rejects=0.1", fresh=True)
        assert verify(str(out)).ok


class TestRemoved:
    def test_is_kept_outside_for_the_owner_alone(self, corpus, finished, tmp_path):
        kept, out = tmp_path / "kept", tmp_path / "out"
        run(corpus, out, f"output.keep_removed={kept}")
        assert kept.stat().st_mode & 0o777 == 0o700
        same(out, finished)
        table = pq.read_table(kept / "00000.parquet").to_pylist()
        assert {row["reason"] for row in table} >= {"exact", "near", "passage"}
        whole = {row["doc"] for row in table if row["reason"] != "passage"}
        spans = pq.read_table(out / "tables" / "spans" / "00000.parquet").to_pylist()
        expected = [(s["doc"], s["start"], s["end"]) for s in spans if s["doc"] not in whole]
        passages = [row for row in table if row["reason"] == "passage"]
        assert [(row["doc"], row["start"], row["end"]) for row in passages] == expected
        texts = read_all(corpus)
        assert all(row["text"] in texts for row in table)

    def test_a_finished_phase_is_not_repeated(self, corpus, tmp_path, monkeypatch):
        setting = f"output.keep_removed={tmp_path / 'kept'}"
        with monkeypatch.context() as patch:
            patch.setattr("unrote.pipelines.clean.summarised", None)
            with pytest.raises(TypeError):
                run(corpus, tmp_path / "out", setting)
        marker = tmp_path / "out" / ".run" / "phases" / "release.json"
        assert marker.exists()
        execute, ran = LocalEngine.execute, []
        monkeypatch.setattr(
            LocalEngine, "execute", lambda *args: ran.append(args[1]) or execute(*args)
        )
        run(corpus, tmp_path / "out", setting)
        assert ran == ["summary"]

    @pytest.mark.parametrize("place", ["out", "out/removed", ".", "in", "in/deep", "full"])
    def test_places_that_are_refused(self, small, tmp_path, place):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "00000.parquet").write_bytes(b"another run's")
        done = unrote(
            "clean", small, "-o", tmp_path / "out", "--keep-removed", tmp_path / place, "-q"
        )
        assert done.status == 2
        assert "what is removed" in done.err
        assert (tmp_path / "full" / "00000.parquet").read_bytes() == b"another run's"

    def test_fresh_replaces_only_its_own(self, small, tmp_path):
        setting = f"output.keep_removed={tmp_path / 'kept'}"
        run(small, tmp_path / "out", setting)
        run(small, tmp_path / "out", setting, fresh=True)
        with pytest.raises(OutputError, match="not empty"):
            run(small, tmp_path / "another", setting)
        with pytest.raises(OutputError, match="not empty"):
            run(small, tmp_path / "another", setting, fresh=True)

    def test_report_does_not_bring_it_back(self, small, tmp_path):
        run(small, tmp_path / "out", f"output.keep_removed={tmp_path / 'kept'}")
        shutil.rmtree(tmp_path / "kept")
        assert unrote("report", tmp_path / "out").status == 0
        assert not (tmp_path / "kept").exists()


def read_all(corpus):
    """Every text of a corpus, one after another."""
    found = []
    for path in files_below(corpus):
        if path.suffix == ".txt":
            found.append(path.read_text())
        elif path.suffix == ".parquet":
            found.extend(pq.read_table(path, columns=["text"])["text"].to_pylist())
        else:
            with fsspec.open(path, "rt", compression="infer", encoding="utf-8") as lines:
                found.extend(json.loads(line)["text"] for line in lines)
    return "\x1e".join(found)


class TestThreads:
    @pytest.mark.parametrize("workers", [1, 2, 4])
    def test_an_error_in_one_ends_the_run(self, corpus, tmp_path, monkeypatch, workers):
        def fail(*args):
            raise RunError(threading.current_thread().name)

        monkeypatch.setattr("unrote.dedup.spans.Spans._found", fail)
        with pytest.raises(RunError, match="unrote"):
            run(corpus, tmp_path / "out", f"engine.workers={workers}")
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("unrote")]

    def test_many_errors_at_once(self, corpus, tmp_path, monkeypatch):
        monkeypatch.setattr("unrote.corpus.pinning.CUT_BYTES", 500)
        monkeypatch.setattr("unrote.pipelines.engines.slices.CUT_BYTES", 500)

        def fail(*args, **options):
            raise StorageError("no")

        monkeypatch.setattr("unrote.pipelines.engines.slices.read_cuts", fail)
        with pytest.raises(StorageError):
            run(corpus, tmp_path / "out", "engine.workers=3")
