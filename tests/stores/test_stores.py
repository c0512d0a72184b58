"""What is asked of a store, and what is said when it fails."""

import io
import json
import os
import re
import time
from dataclasses import replace

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import finish, process
from tests.command import unrote as command
from tests.stores.conftest import options_for, set_options
from tests.stores.server import BUCKET, KEYS, downloaded, environment
from unrote.corpus.columns import text_columns
from unrote.corpus.errors import OutputError, OutputInUse, RunError, StorageError
from unrote.corpus.finding import look
from unrote.corpus.pinning import pin
from unrote.corpus.read import Fields, read_cut
from unrote.corpus.storage import is_remote, open_stored, use_options
from unrote.corpus.stores import WHOLE, NoConditionalPut, Store, StoredFile
from unrote.pipelines.lease import GRACE, SECONDS, Lease, holder, refuse_held
from unrote.pipelines.remote import RemotePath

SIZE = 18 << 20


def shard(kind: str) -> bytes:
    """A shard of SIZE bytes or so that no codec makes smaller."""
    letters = np.frombuffer(
        b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,", "u1"
    )
    rng = np.random.default_rng(0)
    rows = letters[rng.integers(0, len(letters), (SIZE // 10_000, 10_000))]
    texts = [row.tobytes().decode() for row in rows]
    if kind == "jsonl":
        return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), sink, row_group_size=200, compression="none")
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_pass_fetches_each_byte_once(proxy, files, kind):
    content = shard(kind)
    files.pipe_file(f"{BUCKET}/exact/{kind}/a.{kind}", content)
    passes = []
    corpus = pin([f"s3://{BUCKET}/exact/{kind}"], workers=2)
    passes.append(proxy.fetched("exact"))
    (cuts,) = [part.cuts for part in corpus.slices]
    assert len(cuts) > 1
    rows = sum(b.num_rows for cut in cuts for _, b in read_cut(corpus, cut, Fields(), "text"))
    passes.append(proxy.fetched("exact") - passes[0])
    assert rows == SIZE // 10_000
    assert [round(each / len(content), 2) for each in passes] <= [1.1, 1.1]
    assert min(passes) >= len(content)
    assert text_columns(corpus) == ["text"]
    assert proxy.fetched("exact") - sum(passes) < 5 << 20


class Counting:
    """Bytes that count what is asked for."""

    def __init__(self, content: bytes) -> None:
        self.content, self.ranges = content, []

    def read(self, path: str, start: int, end: int) -> bytes:
        self.ranges.append((start, end))
        return self.content[start:end]


@pytest.mark.parametrize("size", [0, 10, WHOLE, WHOLE + 1])
def test_a_stored_file_reads_as_any_file(size):
    content = np.random.default_rng(1).bytes(size)
    counting = Counting(content)
    ours, other = StoredFile(counting, "x", size), io.BytesIO(content)
    for offset, whence, count in [
        (0, 0, 3), (-2, 2, 9), (4, 0, 0), (1, 1, 2), (size + 5, 0, 2), (2, 0, -1), (0, 0, None)
    ]:  # fmt: skip
        if whence == 2 and size < 2:
            continue
        assert ours.seek(offset, whence) == other.seek(offset, whence)
        assert ours.read(count) == other.read(count)
    assert ours.seek(0) == 0
    assert io.BufferedReader(ours).read() == content
    if 0 < size <= WHOLE:
        assert counting.ranges == [(0, size)]


def test_a_path_in_a_store_is_taken_apart_as_on_a_disk():
    path = RemotePath("s3a://bucket//web/a.jsonl/")
    assert str(path) == "s3://bucket/web/a.jsonl"
    assert path == RemotePath("s3://bucket") / "web" / "a.jsonl"
    assert path.name == "a.jsonl"
    assert [str(each) for each in path.parents] == ["s3://bucket/web", "s3://bucket", "s3://"]
    assert RemotePath("s3://bucket/w") not in path.parents
    assert is_remote(path)


class TestLease:
    @pytest.fixture
    def folder(self):
        yield RemotePath("memory://lease/out/.run/lease")
        fsspec.filesystem("memory").store.clear()

    @pytest.fixture
    def elsewhere(self, monkeypatch):
        """Leases are of other machines, on which nobody can look for a process."""
        monkeypatch.setattr("unrote.pipelines.owner.boot", lambda: "")

    def test_it_is_taken_over_when_it_is_up_and_its_holder_notices(self, folder, elsewhere):
        now = [1000.0]
        first, second = (Lease(folder, "OUT", lambda: now[0]) for _ in range(2))
        first.take()
        with pytest.raises(OutputError, match=r"another run is writing to OUT.*in 150 seconds"):
            second.take()
        now[0] += SECONDS + 1
        with pytest.raises(RunError, match="could not be kept"):
            first.require()
        with pytest.raises(OutputError, match="another run"):
            second.take()
        now[0] += GRACE
        second.take()
        second.require()
        with pytest.raises(RunError, match="could not be kept"):
            first.require()
        assert not first._write(2)
        first.close()
        second.require()
        assert len(list(folder.iterdir())) == 1
        second.close()
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("jump", [-3600.0, 3600.0])
    def test_a_clock_that_is_set(self, folder, elsewhere, monkeypatch, jump):
        """What is written goes on as time does, whatever the machine's clock is set to."""
        lease, real = Lease(folder, "OUT"), time.time
        lease.take()
        before = holder(folder).until
        monkeypatch.setattr("unrote.pipelines.lease.time.time", lambda: real() + jump)
        lease.require()
        assert lease._write(2)
        assert 0 <= holder(folder).until - before < 60
        lease.close()

    def test_it_can_be_broken_and_its_holder_notices(self, folder, elsewhere):
        first, second = (Lease(folder, "OUT", lambda: 1000.0) for _ in range(2))
        first.take()
        second.take(breaking=True)
        second.require()
        assert not first._write(2)
        first.close()
        second.require()
        second.close()
        assert list(folder.iterdir()) == []

    def test_that_of_a_process_at_work_here_is_not_broken(self, folder):
        first, second = (Lease(folder, "OUT") for _ in range(2))
        first.take()
        with pytest.raises(OutputInUse, match=rf"not broken.*kill {os.getpid()}"):
            second.take(breaking=True)
        first.require()
        first.close()

    def test_it_is_renewed_and_only_the_last_link_is_left(self, folder, elsewhere, monkeypatch):
        monkeypatch.setattr("unrote.pipelines.lease.RENEWED_AFTER", 0.01)
        lease = Lease(folder, "OUT")
        lease.take()
        deadline = time.monotonic() + 20
        while [path.name for path in folder.iterdir()][-1:] < ["00000004.json"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        lease.require()
        with pytest.raises(OutputError, match="another run"):
            refuse_held(folder, "OUT")
        lease.close()
        assert list(folder.iterdir()) == []

    def test_who_comes_late_with_an_old_number_has_nothing(self, folder, elsewhere):
        holder, late = Lease(folder, "OUT"), Lease(folder, "OUT")
        assert holder._write(5)
        assert not late._write(4)
        assert [path.name for path in folder.iterdir()] == ["00000005.json"]

    def test_that_of_a_dead_process_here_is_free(self, folder):
        dead = finish(process("--version"))
        assert dead.status == 0
        lease = Lease(folder, "OUT")
        lease._owner = replace(lease._owner, pid=1 << 22)  # more than Linux gives
        assert lease._write(1)
        refuse_held(folder, "OUT")


def test_a_store_says_that_it_has_no_conditional_writes():
    class Plain(fsspec.AbstractFileSystem):
        protocol = "memory"

        def _open(self, path, mode="rb", **_):
            raise ValueError(f"unsupported mode {mode}")

        def info(self, path, **_):
            raise FileNotFoundError(path)

    with pytest.raises(NoConditionalPut):
        Store(Plain()).put_new("a", b"")


def test_a_call_that_fails_for_good_is_made_once(proxy):
    with pytest.raises(FileNotFoundError):
        open_stored(f"s3://{BUCKET}/none.jsonl")
    assert len(proxy.made("HEAD", "none.jsonl")) == 1
    proxy.fault = lambda _: 403
    with pytest.raises(PermissionError):
        open_stored(f"s3://{BUCKET}/mine.jsonl")
    assert len(proxy.made("HEAD", "mine.jsonl")) == 1


def test_a_server_that_is_not_there_is_said_so_soon(tmp_path):
    use_options(options_for(1))
    begun = time.monotonic()
    with pytest.raises(StorageError, match=r"cannot list s3://lake/in: Could not connect"):
        look(["s3://lake/in"])
    assert time.monotonic() - begun < 30
    use_options({})


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (["clean", "gs://bucket/in", "-o", "OUT"], 2, "gcsfs"),
        (["clean", "CORPUS", "-o", "gs://bucket/out"], 2, "gcsfs"),
        (["clean", "nonsense://bucket/in", "-o", "OUT"], 2, "Protocol not known: nonsense"),
        (["clean", "CORPUS", "-o", "nonsense://bucket/out"], 2, "Protocol not known: nonsense"),
        (["clean", "hdfs://head/in", "-o", "OUT"], 2, "hadoop classpath --glob"),
        (["clean", "CORPUS", "-o", "hdfs://head/out"], 2, "hadoop classpath --glob"),
        (["clean", "dbfs:/mnt/in", "-o", "OUT"], 2, "name /dbfs/mnt/in"),
        (["clean", "CORPUS", "-o", "dbfs:/mnt/out"], 2, "name /dbfs/mnt/out"),
        (["clean", "dbfs://mnt/in", "-o", "OUT"], 2, "as storage.options.dbfs"),
        (["clean", "s3:/lake/in", "-o", "OUT"], 2, "Write s3://lake/in"),
        (["clean", "abfs://c@a.dfs.core.windows.net/in", "-o", "OUT"], 2, "adlfs"),
        (["clean", "CORPUS", "-o", "abfs://c@a.dfs.core.windows.net/out"], 2, "adlfs"),
        (["clean", "CORPUS", "-o", "s3://no-such-bucket/out"], 2, "bucket does not exist"),
        (["clean", "s3://no-such-bucket/in", "-o", "OUT"], 2, "does not exist"),
        (["verify", "gs://bucket/out"], 2, "gcsfs"),
        (["show", "gs://bucket/out", "x"], 2, "gcsfs"),
    ],
    ids=str,
)
def test_each_failure_is_said_in_a_line(proxy, corpus, tmp_path, given, status, said):
    names = {"OUT": tmp_path / "out", "CORPUS": corpus}
    options = [word for one in set_options(proxy.port) for word in ("--set", one)]
    more = options if given[0] == "clean" else []
    done = command(
        *(names.get(word, word) for word in given), *more, "-q"[: 2 * bool(more)] or "--"
    )
    lines = [line for line in done.err.splitlines() if line.startswith("unrote:")]
    assert done.status == status, done.err
    (line,) = lines
    assert said in line


@pytest.mark.parametrize("given", ["input", "OUT"])
def test_wrong_credentials_are_said_in_a_line(proxy, corpus, tmp_path, given):
    proxy.fault = lambda _: 403
    url = f"s3://{BUCKET}/mine"
    named = (url, tmp_path / "out") if given == "input" else (corpus, url)
    options = [word for one in set_options(proxy.port) for word in ("--set", one)]
    done = command("clean", named[0], "-o", named[1], "-q", *options)
    (line,) = [line for line in done.err.splitlines() if line.startswith("unrote:")]
    assert done.status in (2, 3)
    assert url in line
    assert re.search("Access Denied|Forbidden", line)


def test_credentials_that_a_program_gives_later_are_used(proxy, files, corpus, monkeypatch):
    """After it was told that there are none, in the same process."""
    for name, value in environment(proxy.port).items():
        monkeypatch.delenv(name, raising=False) if name in KEYS else monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    args = ("dedup", corpus, "-o", f"s3://{BUCKET}/later", "-q")
    done = command(*args)
    assert done.status == 2
    assert "give credentials as the store's own tools take them" in done.err
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    done = command(*args)
    assert done.status == 0, done.err
    assert "manifest.json" in downloaded(files, "later")


def test_a_hub_that_is_not_reached_is_said_in_a_line(tmp_path):
    """hf:// without a network, or kept from it."""
    for before in (
        "import os; os.environ['HF_HUB_OFFLINE'] = '1'",
        "import os; os.environ['HF_ENDPOINT'] = 'http://127.0.0.1:9'",
    ):
        started = process("dedup", "hf://datasets/no/such", "-o", tmp_path / "out", before=before)
        done = finish(started)
        (line,) = [line for line in done.err.splitlines() if line.startswith("unrote:")]
        assert "cannot list hf://datasets/no/such: " in line
        assert re.search("offline mode is enabled|Connection refused", line)
