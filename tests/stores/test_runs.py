"""Runs whose input and OUT are in an object store."""

import hashlib
import json
import os
import signal
from dataclasses import replace

import pytest

import unrote
from tests.command import process, settings
from tests.command import unrote as command
from tests.stores.conftest import options_for, set_options
from tests.stores.server import BUCKET, downloaded, environment
from unrote.corpus.errors import InputChanged, OutputError
from unrote.corpus.pinning import pin
from unrote.corpus.storage import options_in_use, use_options
from unrote.pipelines.clean import clean
from unrote.pipelines.engines.work import Worker
from unrote.pipelines.lease import Lease
from unrote.pipelines.manifest import REPORTS
from unrote.pipelines.progress import Silent
from unrote.pipelines.storage import location

FEW = ("dedup.near.enabled=false", "dedup.passages.enabled=false", "pii.enabled=false")
"""Settings with which a run has three phases."""


def run(given, out: str, port: int, *more: str):
    return clean([str(given)], out, settings(*set_options(port), *more), Silent())


def digests(files, prefix: str) -> dict[str, str]:
    """SHA-256 of every table and every cleaned shard below a prefix."""
    return {
        name: hashlib.sha256(content).hexdigest()
        for name, content in downloaded(files, prefix).items()
        if name.partition("/")[0] in ("tables", "data")
    }


@pytest.fixture(scope="module")
def cleaned(stored, server):
    """OUT of a run from the store to the store, and nothing is to be done there any more."""
    out = f"s3://{BUCKET}/finished"
    run(stored, out, server)
    return out


def test_it_writes_what_it_writes_to_a_disk_and_nothing_else(cleaned, files, on_disk):
    assert digests(files, "finished") == on_disk
    others = {name for name in downloaded(files, "finished") if name not in on_disk}
    assert others == {"manifest.json", *REPORTS}


def test_no_secret_and_no_address_is_kept(cleaned, files, server):
    for name in ("manifest.json", *REPORTS):
        content = downloaded(files, "finished")[name].decode()
        assert "endpoint_url" not in content
        assert str(server) not in content


def test_its_promises_are_checked_and_each_command_reads_it(cleaned, proxy, files, monkeypatch):
    for name, value in environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    assert unrote.verify(cleaned).ok
    opened = unrote.open_run(cleaned)
    assert opened.report.total.documents == opened.table("documents").num_rows
    shown = command("show", cleaned, "web/a.jsonl#0")
    assert shown.status == 0, shown.err
    before = downloaded(files, "finished")["report.json"]
    again = command("report", cleaned)
    assert again.out.splitlines()[-1] == f"{cleaned}/report.html"
    assert downloaded(files, "finished")["report.json"] == before


def test_a_program_says_how_the_store_is_reached(cleaned, stored, server, monkeypatch):
    use_options({})
    options = options_for(server)
    with pytest.raises((unrote.InputError, unrote.OutputError)):
        unrote.open_run(cleaned)
    opened = unrote.open_run(cleaned, storage_options=options)
    assert unrote.verify(cleaned, storage_options=options).ok
    assert options_in_use() == {}
    assert opened.table("documents").num_rows == opened.report.total.documents
    assert opened.records([0])[0]["id"]
    again = unrote.clean(stored, cleaned, settings=settings(), storage_options=options)
    assert again.report == opened.report
    use_options({})


def test_a_finished_run_is_not_run_again(cleaned, stored, proxy):
    run(stored, cleaned, proxy.port)
    assert [one.key for one in proxy.requests if one.method in ("PUT", "POST", "DELETE")] == []


def test_it_starts_over_and_takes_a_folder_for_what_is_removed(stored, proxy, files):
    out, removed = f"s3://{BUCKET}/fresh", f"s3://{BUCKET}/fresh-removed"
    run(stored, out, proxy.port, *FEW)
    files.pipe_file(f"{BUCKET}/fresh/data/left.jsonl", b"of another run")
    kept = (*FEW, "dedup.exact.normalise=case", f"output.keep_removed={removed}")
    with pytest.raises(OutputError, match=r"other input or settings.*dedup.exact.normalise"):
        run(stored, out, proxy.port, *kept)
    clean([stored], out, settings(*set_options(proxy.port), *kept), Silent(), fresh=True)
    assert "data/left.jsonl" not in downloaded(files, "fresh")
    assert set(downloaded(files, "fresh-removed")) == {".unrote", "00000.parquet"}


@pytest.mark.parametrize(
    ("given", "out", "said"),
    [
        ("in", "in", "is the input"),
        ("in", "in/out", "lies inside the input"),
        ("in/web", "in", "lies inside OUT"),
        ("in/**/*.jsonl", "in/x/out", "lies inside the input"),
        ("in", "", "is no folder in a store"),
    ],
)
def test_out_and_input_lie_apart(proxy, given, out, said):
    with pytest.raises(OutputError, match=said):
        run(f"s3://{BUCKET}/{given}", f"s3://{BUCKET}/{out}", proxy.port)


def test_another_folders_files_are_left_alone(stored, proxy, files):
    files.pipe_file(f"{BUCKET}/mine/notes.txt", b"mine")
    with pytest.raises(OutputError, match="is not empty and holds no run"):
        run(stored, f"s3://{BUCKET}/mine", proxy.port)


def test_one_of_two_drivers_is_refused(stored, proxy, files):
    out = f"s3://{BUCKET}/two"
    lease = Lease(location(out) / ".run" / "lease", out)
    lease.take()
    with pytest.raises(
        OutputError, match=f"another run is writing to {out}: process {os.getpid()}"
    ):
        run(stored, out, proxy.port)
    lease.close()
    assert downloaded(files, "two") == {}


def test_a_store_without_conditional_writes_is_refused(stored, proxy, files):
    def forget(request):
        request.headers.pop("If-None-Match", None)

    proxy.fault = forget
    out = f"s3://{BUCKET}/unconditional"
    with pytest.raises(OutputError, match=r"without conditional writes.*output\.lock=none"):
        run(stored, out, proxy.port)
    run(stored, out, proxy.port, "output.lock=none", *FEW)
    assert "manifest.json" in downloaded(files, "unconditional")


def test_it_goes_on_after_a_kill_between_upload_and_marker(stored, proxy, files, on_disk):
    def kill(request):
        if request.method == "PUT" and request.key.endswith("phases/conclude.json"):
            os.kill(started.pid, signal.SIGKILL)
            started.wait()
            return 500
        return None

    proxy.fault = kill
    out = f"s3://{BUCKET}/killed"
    environ = os.environ | environment(proxy.port)
    started = process("clean", stored, "-o", out, "-q", env=environ)
    started.communicate(timeout=300)
    assert started.returncode == -signal.SIGKILL
    left = downloaded(files, "killed")
    assert "tables/spans/00000.parquet" in left
    assert ".run/phases/conclude.json" not in left
    proxy.fault = lambda _: None
    proxy.requests.clear()
    run(stored, out, proxy.port)
    assert digests(files, "killed") == on_disk
    assert [r.key for r in proxy.made("PUT", r"phases/(fingerprint|exact)\.json")] == []
    assert proxy.made("PUT", r"phases/conclude\.json")


def test_what_stores_do_on_bad_days(stored, proxy, files, on_disk):
    """Errors that pass, answers that are lost, slow listings: the same bytes, and no message."""
    seen: dict[str, int] = {}

    def fault(request):
        count = seen[request.method] = seen.get(request.method, 0) + 1
        if "If-None-Match" in request.headers:
            seen["conditional"] = seen.get("conditional", 0) + 1
            return {1: 409, 2: "lost"}.get(seen["conditional"])
        if (request.method, count) in (("PUT", 9), ("DELETE", 1)):
            return "lost"
        if (request.method, count) in (("GET", 20), ("HEAD", 30)):
            return 2.5  # longer than the client waits
        if request.is_listing:
            return 0.05
        return {5: 500, 30: 503}.get(count % 60)

    proxy.fault = fault
    run(stored, f"s3://{BUCKET}/faults", proxy.port)
    assert digests(files, "faults") == on_disk
    assert seen["conditional"] > 2
    assert min(seen[method] for method in ("GET", "PUT", "HEAD")) > 30


def test_a_lease_that_was_written_without_an_answer_is_ours(proxy):
    lost = []

    def fault(request):
        if "If-None-Match" in request.headers and not lost:
            lost.append(request)
            return "lost"
        return None

    proxy.fault = fault
    lease = Lease(location(f"s3://{BUCKET}/lost/.run/lease"), "lost")
    lease.take()
    lease.require()
    lease.close()
    assert lost


def test_each_task_of_beam_may_be_run_twice(stored, proxy, files, on_disk, monkeypatch):
    """As a runner does whose worker went away, or was slow: every attempt writes the same bytes."""
    for name in ("start", "run_step"):
        once = getattr(Worker, name)

        def twice(self, *args, once=once):
            args = [list(each) if not isinstance(each, int) else each for each in args]
            list(once(self, *args))
            return once(self, *args)

        monkeypatch.setattr(Worker, name, twice)
    out = f"s3://{BUCKET}/twice"
    beam = ("engine.name=beam", 'engine.beam.options=["--direct_running_mode=in_memory"]')
    run(stored, out, proxy.port, *beam, "engine.workers=1")
    assert digests(files, "twice") == on_disk
    assert len(proxy.made("PUT", "tables/documents/00000.parquet")) == 2


class TestAnInputThatChanges:
    """Other content under the name of a shard, of the same size, when a phase is committed."""

    @pytest.fixture
    def shard(self, files):
        url = f"{BUCKET}/changing/a.jsonl"
        lines = [json.dumps({"text": f"a text of its own, number {n:03}"}) for n in range(60)]
        files.pipe_file(url, "\n".join(lines).encode())
        return url

    @pytest.fixture
    def change(self, shard, proxy, files):
        """What changes it, once."""
        done = []

        def fault(request) -> None:
            if not done and request.method == "PUT" and ".run/phases/" in request.key:
                done.append(request.key)
                files.pipe_file(shard, files.cat_file(shard).replace(b"own", b"new"))

        proxy.fault = fault
        return done

    @pytest.mark.parametrize("engine", ["local", pytest.param("beam", marks=pytest.mark.long)])
    def test_it_is_named(self, shard, change, proxy, engine):
        out = f"s3://{BUCKET}/changed-{engine}"
        few = (*FEW, f"engine.name={engine}")
        with pytest.raises(InputChanged, match=rf"^s3://{shard} was changed .* its ETag is"):
            run(f"s3://{BUCKET}/changing", out, proxy.port, *few)
        assert change
        with pytest.raises(OutputError, match="the input is not the same"):
            run(f"s3://{BUCKET}/changing", out, proxy.port, *few)

    def test_an_etag_is_no_part_of_what_was_pinned(self, shard, proxy):
        """That of another upload of the same bytes may differ."""
        corpus = pin([f"s3://{BUCKET}/changing"])
        (pinned,) = corpus.shards
        assert len(pinned.etag) > 30
        other = replace(corpus, shards=(replace(pinned, etag="another"),))
        assert other == corpus
        assert "etag" not in json.dumps(other.to_json())
