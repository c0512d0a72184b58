"""The command as a user meets it: messages, exit statuses, and what is loaded for them."""

import json
import os
import resource
import socket
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path

import fsspec
import pytest

from tests.command import PLAIN, ROOT, files_below, finish, plain, process, unrote
from tests.corpora import documents, rows, write_corpus, write_jsonl
from unrote.corpus.version import VERSION
from unrote.pipelines import demo
from unrote.pipelines.config import Settings, load
from unrote.pipelines.policy import Policy, load_policy
from unrote.pipelines.template import POLICIES, PRESETS, policy_template, settings_template

SECRET = "The eagle lands at seven, said the admiral to his parrot."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("in"), count=60)


@pytest.fixture(scope="module")
def cleaned(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "out"
    done = unrote("clean", corpus, "-o", out)
    assert done.status == 0, done.err
    return out


@pytest.fixture
def small(tmp_path):
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(documents(1, 12), "a"))
    return tmp_path / "in"


def seconds_of_children() -> float:
    """Of processor time, which other processes take none of; of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class TestHelp:
    def test_is_quick_and_loads_nothing_heavy(self):
        code = (
            "import sys; sys.argv = ['unrote', '--help']\n"
            "from unrote.pipelines.cli import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "heavy = {'numba', 'pyarrow', 'numpy', 'pydantic', 'rich'} & set(sys.modules)\n"
            "sys.exit(' '.join(heavy) or 0)"
        )
        best = 10.0
        for _ in range(3):
            start = seconds_of_children()
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
            )
            best = min(best, seconds_of_children() - start)
            assert done.returncode == 0, done.stderr
            assert "clean" in done.stdout
        assert best < 0.5

    @pytest.mark.parametrize(
        "command",
        ["clean", "dedup", "gate", "show", "verify", "report", "init", "explain", "demo"],
    )
    def test_of_each_command(self, command):
        done = unrote(command, "-h")
        assert done.status == 0
        assert "Usage" in done.out

    def test_version(self):
        assert unrote("--version").out == f"unrote {VERSION}\n"

    def test_as_a_module(self):
        command = [sys.executable, "-m", "unrote", "--version"]
        assert subprocess.check_output(command, cwd=ROOT, text=True) == f"unrote {VERSION}\n"


class TestUsage:
    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["clean", "IN"], "--out"),
            (["clean", "-o", "OUT"], "INPUT"),
            (["clean", "IN", "-o", "OUT", "--nope"], "--nope"),
            (["cleen"], "cleen"),
            (["clean", "IN/nowhere", "-o", "OUT"], "does not exist"),
            (["clean", "foo://x", "-o", "OUT"], "foo"),
            (["clean", "IN", "-o", ""], "OUT is empty"),
            (["clean", "IN", "-o", "s3://bucket"], "s3://bucket is no folder in a store"),
            (["clean", "IN", "-o", "IN/a.jsonl"], "lies inside the input"),
            (["clean", "IN/a.jsonl", "-o", "IN/a.jsonl"], "is the input"),
            (["clean", "IN", "-o", "OUT", "-c", "OUT/no.toml"], "unrote init"),
            (["clean", "IN", "-o", "OUT", "--set", "x"], "KEY=VALUE"),
            (["clean", "IN", "-o", "OUT", "--set", "=5"], "KEY=VALUE"),
            (["clean", "IN", "-o", "OUT", "--set", "dedup=5"], "is a section"),
            (["clean", "IN", "-o", "OUT", "--set", "dedup.neer.threshold=0.7"], "mean 'near'"),
            (["clean", "IN", "-o", "OUT", "--set", "dedup.near.treshold=0.7"], "mean 'threshold'"),
            (["clean", "IN", "-o", "OUT", "--set", "dedup.near.threshold=7"], "threshold = 7"),
            (["clean", "IN", "-o", "OUT", "--set", "engine.memory=lots"], "for example 512MiB"),
            (["clean", "IN", "-o", "OUT", "--set", "engine.memory=1MiB"], "256MiB"),
            (["clean", "IN", "-o", "OUT", "--engine", "sparkk"], "sparkk"),
            (["gate", "IN"], "--policy"),
            (["gate", "IN", "--policy", "IN/no.toml"], "cannot read"),
            (["report", "OUT"], "manifest.json"),
            (["show", "OUT", "0"], "manifest.json"),
            (["verify", "OUT"], "not a folder"),
            (["init", "IN/a.jsonl"], "exists"),
            (["init", "OUT/deep/er.toml"], "No such file"),
            (["demo", "IN/a.jsonl"], "Not a directory"),
        ],
    )
    def test_is_refused_with_status_2(self, small, tmp_path, args, said):
        places = {"IN": str(small), "OUT": str(tmp_path / "out")}
        for name, place in places.items():
            args = [place + a[len(name) :] if a.split("/")[0] == name else a for a in args]
        done = unrote(*args)
        assert done.status == 2
        assert said in done.err
        assert not (tmp_path / "out").exists()

    def test_a_malformed_file_of_settings(self, small, tmp_path):
        for content, said in (
            ("= 3", "not TOML"),
            ("\xff", "UTF-8"),
            ("[dedup.near]\nn = 1", "dedup.near.n"),
        ):
            (tmp_path / "c.toml").write_bytes(content.encode("latin-1"))
            done = unrote("clean", small, "-o", tmp_path / "out", "-c", tmp_path / "c.toml")
            assert (done.status, said in done.err, "c.toml" in done.err) == (2, True, True)

    def test_a_folder_is_named_as_it_is_written(self, small, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert unrote("clean", small, "-o", "out", "--keep-removed", "2024").status == 0
        assert (tmp_path / "2024").is_dir()


class TestUnexpected:
    """A bug ends with status 3 and says where it is, without the text of a document."""

    @pytest.fixture
    def broken(self, monkeypatch):
        def fail(text, cuts, changes, *, several):
            raise ValueError(text)

        monkeypatch.setattr("unrote.pipelines.release.apply_edits", fail)

    @pytest.fixture
    def copied(self, tmp_path):
        texts = [f"{n} {SECRET * 3} and {n}." for n in range(2)]
        write_jsonl(tmp_path / "in" / "a.jsonl", rows(texts, "a"))
        return tmp_path / "in"

    def run(self, copied, tmp_path):
        done = unrote("clean", copied, "-o", tmp_path / "out")
        assert done.status == 3
        assert "this is a bug in unrote" in done.err
        assert "pipelines/release.py" in done.err
        return done.err

    def test_says_where_but_not_what(self, broken, copied, tmp_path):
        assert "admiral" not in self.run(copied, tmp_path)

    def test_says_all_if_asked(self, broken, copied, tmp_path, monkeypatch):
        monkeypatch.setenv("UNROTE_DEBUG", "1")
        assert "admiral" in self.run(copied, tmp_path)

    def test_can_be_continued(self, copied, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr("unrote.pipelines.release.apply_edits", None)
            self.run(copied, tmp_path)
        assert unrote("clean", copied, "-o", tmp_path / "out").status == 0

    def test_memory(self, copied, tmp_path, monkeypatch):
        def fail(text, cuts, changes, *, several):
            raise MemoryError

        monkeypatch.setattr("unrote.pipelines.release.apply_edits", fail)
        done = unrote("clean", copied, "-o", tmp_path / "out")
        assert done.status == 3
        assert "out of memory" in done.err


class TestClean:
    def test_shows_a_summary_and_says_where_the_rest_is(self, cleaned, corpus):
        again = unrote("clean", corpus, "-o", cleaned)
        assert again.status == 0
        assert again.out.splitlines()[-1] == f"Report: {cleaned / 'report.html'}"
        assert "kept" in again.out

    def test_quiet(self, small, tmp_path):
        done = unrote("clean", small, "-o", tmp_path / "out", "-q")
        assert (done.status, done.out, done.err) == (0, "", "")

    def test_progress_is_json_on_stderr(self, small, tmp_path):
        done = unrote("clean", small, "-o", tmp_path / "out")
        lines = [json.loads(line) for line in done.err.splitlines()]
        assert [line["phase"] for line in lines][:2] == ["pin", "fingerprint"]
        times = [datetime.fromisoformat(line["time"]) for line in lines]
        assert times == sorted(times)
        assert {line["level"] for line in lines} == {"info"}
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
        assert {line.get("run") for line in lines[1:]} == {manifest["fingerprint"][:16]}

    def test_dedup_does_the_same(self, corpus, cleaned, tmp_path):
        assert unrote("dedup", corpus, "-o", tmp_path / "out", "-q").status == 0
        ours, theirs = (list(files_below(f / "data")) for f in (tmp_path / "out", cleaned))
        assert [p.read_bytes() for p in ours] == [p.read_bytes() for p in theirs]

    def test_globs_and_folders_and_a_file_url(self, corpus, tmp_path):
        inputs = [corpus / "web" / "*.jsonl*", corpus / "books", f"file://{corpus}/notes/0.txt"]
        assert unrote("clean", *inputs, "-o", tmp_path / "out", "-q").status == 0
        found = {
            str(p.relative_to(tmp_path / "out/data")) for p in files_below(tmp_path / "out/data")
        }
        assert {"a.jsonl", "b.jsonl.gz", "c.jsonl.zst", "d.parquet", "e.jsonl"} <= found
        assert unrote("verify", tmp_path / "out").status == 0

    def test_memory_urls(self, tmp_path):
        memory = fsspec.filesystem("memory")
        lines = "".join(json.dumps(row) + "\n" for row in rows(documents(5, 20), "m"))
        memory.pipe("/unrote-test/a.jsonl", lines.encode())
        try:
            assert unrote("clean", "memory://unrote-test", "-o", tmp_path / "o", "-q").status == 0
            assert unrote("verify", tmp_path / "o").status == 0
        finally:
            memory.rm("/unrote-test", recursive=True)


class TestGate:
    def policy(self, tmp_path, *rules):
        path = tmp_path / "policy.toml"
        path.write_text("".join(f"[[rule]]\n{rule}\n" for rule in rules))
        return path

    def test_passes_and_refuses(self, corpus, tmp_path):
        out = tmp_path / "out"
        lax = self.policy(tmp_path, 'measure = "near_share"\nlimit = 0.99')
        done = unrote("gate", corpus, "--policy", lax, "-o", out)
        assert (done.status, "Passed" in done.out) == (0, True)
        strict = self.policy(tmp_path, 'measure = "near_share"\nlimit = 0.0')
        done = unrote("gate", corpus, "--policy", strict, "-o", out)
        assert (done.status, "Refused" in done.out) == (1, True)
        verdict = json.loads((out / "report.json").read_bytes())["verdict"]
        assert verdict["passed"] is False
        assert (
            "Refused" in (out / "report.html").read_text()
            or "refused" in (out / "report.html").read_text()
        )
        assert not (out / "data").exists()
        assert unrote("verify", out).status == 0
        assert unrote("report", out).status == 0
        assert json.loads((out / "report.json").read_bytes())["verdict"] == verdict

    def test_keeps_nothing_without_out(self, corpus, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        (tmp_path / "tmp").mkdir()
        lax = self.policy(tmp_path, 'measure = "near_share"\nlimit = 0.99')
        assert unrote("gate", corpus, "--policy", lax, "-q").status == 0
        assert list((tmp_path / "tmp").iterdir()) == []

    @pytest.mark.parametrize(
        ("rule", "said"),
        [
            ('measure = "neer_share"\nlimit = 0.1', "near_share"),
            ('measure = "near_share"\nlimit = 5', "0.05"),
            ('measure = "near_share"\nlimit = 0.1\nlimt = 1', "'limit'"),
            ('measure = "near_share"\nlimit = 0.1\nsource = "wob"', "'web'"),
        ],
    )
    def test_errors_in_a_policy(self, corpus, tmp_path, rule, said):
        done = unrote("gate", corpus, "--policy", self.policy(tmp_path, rule), "-q")
        assert (done.status, said in done.err) == (2, True)

    def test_an_empty_policy_passes_nothing(self, small, tmp_path):
        done = unrote("gate", small, "--policy", self.policy(tmp_path))
        assert (done.status, "no rule" in done.err) == (2, True)

    def test_keeps_nothing_of_what_clean_would_remove(self, corpus, tmp_path):
        lax = self.policy(tmp_path, 'measure = "near_share"\nlimit = 0.99')
        kept = f"output.keep_removed={tmp_path / 'removed'}"
        assert unrote("gate", corpus, "--policy", lax, "--set", kept, "-q").status == 0
        assert not (tmp_path / "removed").exists()


class TestOthers:
    def test_report_comes_out_the_same(self, cleaned):
        before = (cleaned / "report.json").read_bytes()
        done = unrote("report", cleaned)
        assert (done.status, done.out.strip()) == (0, str(cleaned / "report.html"))
        assert (cleaned / "report.json").read_bytes() == before
        assert unrote("verify", cleaned).status == 0

    def test_show(self, cleaned):
        done = unrote("show", cleaned, "web/a.jsonl#0")
        assert (done.status, done.out.strip() != "") == (0, True)
        for doc in ("999999999", "web/a.jsonl#9999", "nobody"):
            done = unrote("show", cleaned, doc)
            assert (done.status, doc in done.err) == (2, True)

    def test_verify_finds_a_flipped_byte(self, corpus, tmp_path):
        unrote("clean", corpus, "-o", tmp_path / "out", "-q")
        path = tmp_path / "out" / "data" / "web" / "a.jsonl"
        data = bytearray(path.read_bytes())
        data[20] ^= 1
        path.write_bytes(data)
        done = unrote("verify", tmp_path / "out")
        assert done.status == 1
        assert "broken" in done.out

    def test_verify_of_an_unfinished_run(self, corpus, tmp_path):
        (tmp_path / "out" / ".run").mkdir(parents=True)
        done = unrote("verify", tmp_path / "out")
        assert (done.status, "unfinished" in done.err) == (3, True)

    def test_init_writes_the_defaults(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert unrote("init").status == 0
        assert load(tmp_path / "unrote.toml") == Settings()
        lines = settings_template().splitlines()
        given = [line[2:] if is_setting(line) else line for line in lines]
        shown = Settings().model_dump() | {"storage": {"options": {}}}  # which may hold secrets
        assert tomllib.loads("\n".join(given)) == shown
        assert unrote("init").status == 2

    @pytest.mark.parametrize("preset", PRESETS)
    def test_init_writes_presets(self, tmp_path, preset):
        path = tmp_path / "unrote.toml"
        assert unrote("init", path, "--preset", preset).status == 0
        expected = load(None, named=PRESETS[preset].given)
        assert load(path) == expected
        assert (expected == Settings()) == (preset == "default")
        assert preset == "default" or preset in unrote("init", "--help").out

    def test_init_refuses_what_is_no_preset(self, tmp_path):
        done = unrote("init", tmp_path / "a.toml", "--preset", "books")
        assert (done.status, "web, chat" in done.err) == (2, True)
        done = unrote("init", tmp_path / "a.toml", "--preset", "books", "--policy")
        assert (done.status, "strict, web" in done.err) == (2, True)

    @pytest.mark.parametrize("preset", POLICIES)
    def test_init_writes_policies(self, tmp_path, preset):
        """Each has the rules of the default one, with limits of its own."""
        path = tmp_path / "policy.toml"
        assert unrote("init", "--policy", path, "--preset", preset).status == 0
        assert preset == "default" or preset in unrote("init", "--help").out
        written, chosen = load_policy(path).rule, POLICIES[preset]
        default = Policy.model_validate(tomllib.loads(policy_template())).rule
        assert [one.model_copy(update={"limit": 0}) for one in written[: len(default)]] == [
            one.model_copy(update={"limit": 0}) for one in default
        ]
        for one, before in zip(written, default, strict=False):
            assert one.limit == chosen.limits.get(one.measure, before.limit)
        assert {one.type: one.limit for one in written[len(default) :]} == chosen.types
        assert {one.measure for one in default} >= {*chosen.limits}

    def test_explain_names_every_phase(self, cleaned):
        printed = unrote("explain", "--set", PLAIN).out
        manifest = json.loads((cleaned / "manifest.json").read_bytes())
        names = {phase["name"] for phase in manifest["phases"]} - {"summary"}
        assert all(f"\n{name}\n" in printed for name in names if not name.startswith("near-"))
        assert "near-1-pairs" in printed

    def test_demo_needs_no_network(self, tmp_path, monkeypatch):
        def refuse(*args, **options):
            raise AssertionError("the network was used")

        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr("unrote.pipelines.demo.MAX_FILES", 40)
        installed = demo._distributions()
        monkeypatch.setattr(demo, "_distributions", lambda: installed[:40])
        done = unrote("demo", tmp_path / "demo")
        assert done.status == 0, done.err
        assert unrote("verify", tmp_path / "demo" / "cleaned").status == 0


def is_setting(line: str) -> bool:
    """Whether a line of the template is a setting that is commented out, not prose."""
    if not line.startswith("# "):
        return False
    try:
        return len(tomllib.loads(line[2:])) == 1
    except tomllib.TOMLDecodeError:
        return False


class TestPipes:
    @pytest.mark.parametrize("args", [["explain"], ["--help"]])
    def test_a_reader_that_goes_away(self, args):
        started = process(*args, stdout=subprocess.PIPE)
        started.stdout.close()
        started.stdout = None
        done = finish(started)
        assert done.err == ""

    @pytest.mark.parametrize("command", ["verify", "clean", "show"])
    def test_of_a_result_is_neither_a_pass_nor_a_refusal(self, corpus, cleaned, command):
        args = {"verify": [cleaned], "clean": [corpus, "-o", cleaned], "show": [cleaned, "0"]}
        read, write = os.pipe()
        os.close(read)
        done = finish(process(command, *args[command], stdout=write))
        os.close(write)
        assert done.status == 3
        assert "unrote" not in done.err

    def test_of_progress_does_not_end_the_run(self, small, tmp_path):
        read, write = os.pipe()
        os.close(read)
        done = finish(process("clean", small, "-o", tmp_path / "out", stderr=write))
        os.close(write)
        assert done.status == 0

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
    @pytest.mark.parametrize("command", ["explain", "verify", "show"])
    def test_that_are_full(self, cleaned, command):
        args = {"explain": [], "verify": [cleaned], "show": [cleaned, "0"]}
        with open("/dev/full", "w") as full:
            done = finish(process(command, *args[command], stdout=full))
        assert done.status == 3
        assert done.err == (
            "unrote: cannot read or write standard output: No space left on device.\n"
        )

    def test_that_are_closed(self, small, tmp_path):
        shut = "import os; os.close(1); os.close(2); sys.stdout = sys.stderr = None"
        assert finish(process("clean", small, "-o", tmp_path / "out", before=shut)).status == 0
        assert finish(process("clean", small, "-o", small, before=shut)).status == 2


def test_a_folder_that_may_not_be_listed(tmp_path):
    """Rows must not be lost because a folder is somebody else's."""
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(["one"], "a"))
    write_jsonl(tmp_path / "in" / "deep" / "shut" / "b.jsonl", rows(["two"], "b"))
    (tmp_path / "in" / "deep" / "shut").chmod(0)
    done = as_nobody("clean", tmp_path / "in", "-o", tmp_path / "out")
    (tmp_path / "in" / "deep" / "shut").chmod(0o700)
    assert done.returncode == 3
    assert "deep/shut" in done.stderr


def test_an_out_that_may_not_be_written(tmp_path):
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(["one"], "a"))
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o500)
    for out in (shut, shut / "out"):
        done = as_nobody("clean", tmp_path / "in", "-o", out)
        assert done.returncode == 2
        assert "Permission denied" in done.stderr
        assert "Traceback" not in done.stderr


def as_nobody(*args: object) -> "subprocess.CompletedProcess[str]":
    """Run the command as somebody whom file permissions hold."""
    command = [sys.executable, "-m", "unrote", *map(str, plain(*args))]
    if os.geteuid() == 0:
        powers = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}", *command]
        if not any(Path(folder, "setpriv").exists() for folder in os.get_exec_path()):
            pytest.skip("root may do everything, and there is no setpriv to take that away")
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
