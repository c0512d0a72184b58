"""An interruption ends what runs, however long a task takes; progress moves within a task."""

import _thread
import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from tests.command import ROOT, finish, process, unrote
from tests.corpora import documents, rows, write_jsonl
from unrote.corpus.errors import InputError
from unrote.corpus.finding import find
from unrote.corpus.pinning import pin_shards
from unrote.corpus.pulse import Stopped, heard_by, pulse
from unrote.corpus.schema import REJECTS, TEXT, Tagged
from unrote.corpus.shard import Shard
from unrote.corpus.stages import PlainStage, Workers
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.engines.local import LocalEngine
from unrote.pipelines.engines.watch import Meter, Watch
from unrote.pipelines.progress import Lines, Silent
from unrote.pipelines.run import open_run

LIMIT = 10
"""Seconds in which a signal ends any phase."""


def test_a_pulse_that_nobody_listens_to_is_nothing():
    pulse()
    pulse(0.5)


def test_only_the_thread_that_is_listened_to_is_heard():
    heard = []
    with heard_by(heard.append):
        pulse(0.5)
        other = threading.Thread(target=pulse)
        other.start()
        other.join()
    pulse(0.7)
    assert heard == [0.5]


def batches(*sizes: int) -> Tagged:
    for size in sizes:
        yield "text", pa.RecordBatch.from_arrays([pa.array(range(size), pa.int64())], ["doc"])


def test_a_meter_adds_up_what_is_read_and_what_is_done_of_it():
    shares = []
    meter = Meter(shares.append)
    with heard_by(meter.listen):
        for _ in meter.reading(batches(10, 30), 8 * 40):
            pulse(0.5)
    assert shares == [0.0, 0.125, 0.25, 0.25 + 0.375]


def test_a_meter_never_tells_more_than_all():
    shares = []
    meter = Meter(shares.append)
    with heard_by(meter.listen):
        for _ in meter.reading(batches(10, 30, 5), 1):
            pulse(7)
    assert max(shares) == 1.0


def test_a_watch_ends_its_tasks():
    watch = Watch()
    with watch.over(3):
        pulse(0.5)
        pulse(0.25)
        assert (watch.share(3), watch.share(4)) == (0.5, 0.0)
        watch.stop()
        with pytest.raises(Stopped):
            pulse()
    with pytest.raises(Stopped), watch.over(4):
        pytest.fail("a task began")


@dataclass(frozen=True)
class Slow(PlainStage):
    """Works a minute on each batch, in parts of which each is short."""

    kind: Workers = "thread"
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rejects": REJECTS.schema}

    @property
    def workers(self) -> Workers:
        return self.kind

    def _run(self, tagged: Tagged) -> Tagged:
        for _, _batch in tagged:
            for part in range(600):
                pulse(part / 600)
                time.sleep(0.1)
        yield "rejects", REJECTS.schema.empty_table().combine_chunks().to_batches()[0]


@pytest.fixture
def many_cuts(tmp_path, monkeypatch):
    monkeypatch.setattr("unrote.corpus.pinning.CUT_BYTES", 6000)
    monkeypatch.setattr("unrote.pipelines.engines.slices.CUT_BYTES", 6000)
    monkeypatch.setattr("unrote.pipelines.engines.local.PROCESS_BYTES", 0)
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(documents(1, 60), "a"))
    return tmp_path / "in"


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_long_task_moves_and_ends(many_cuts, tmp_path, kind):
    """The main thread is interrupted while tasks of a minute run: each ends, none is waited for."""
    settings = Settings.model_validate({"engine": {"workers": 2}})
    engine = LocalEngine(settings.engine)
    shards = find([str(many_cuts)])
    run = open_run(
        str(tmp_path / "out"), "clean", [str(many_cuts)], settings,
        lambda: engine.pin(shards, lambda _: None),
    )  # fmt: skip
    flow = Flow()
    flow.write(REJECTS, flow.map(Slow(kind), flow.read("text"))["rejects"])
    seen: list[tuple[float, float]] = []
    begun = time.monotonic()

    def advance(share: float) -> None:
        seen.append((time.monotonic() - begun, share))
        if share > 0 and sum(one > 0 for _, one in seen) == 3:
            seen.append((time.monotonic() - begun, -1.0))
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        engine.execute("slow", flow, run, advance)
    ended = time.monotonic() - begun
    run.close()
    engine.close()
    interrupted = next(at for at, share in seen if share == -1.0)
    assert ended - interrupted < LIMIT
    shares = [share for _, share in seen if share >= 0]
    assert shares == sorted(shares)
    assert 0 < max(shares) < 0.5
    assert not [t for t in threading.enumerate() if t.name.startswith("unrote")]
    assert not run.scratch().exists()


def test_pinning_ends_within_a_shard(tmp_path):
    """Of ten thousand pieces of a shard one is read when the other shard turns out to be none."""
    (tmp_path / "a.parquet").write_bytes(b"none")
    (tmp_path / "b.jsonl").write_bytes(b'{"text": ""}\n' * (1 << 22))
    read = []

    def slow(count: int) -> None:
        read.append(count)
        time.sleep(0.2)

    shards: list[Shard] = find([str(tmp_path)])
    with pytest.raises(InputError):
        pin_shards(shards, 2, slow)
    assert sum(read) < shards[1].size


def test_lines_are_written_whatever_a_phase_does(monkeypatch, capsys):
    monkeypatch.setattr(Lines, "EVERY", 0.1)
    lines = Lines()
    with lines.phase("near") as advance:
        advance(0.25)
        time.sleep(0.6)
    with lines.aside("looking"):
        time.sleep(0.35)
    with lines.aside("quick"):
        pass
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    near = [one for one in said if one.get("phase") == "near"]
    assert [one["done"] for one in near] == [0.25] * (len(near) - 1) + [1.0]
    assert len(near) >= 4
    assert [one["doing"] for one in said if "doing" in one][:1] == ["looking"]
    assert "quick" not in str(said)
    with Silent().aside("nothing"):
        pass


DEAF = """
import time, unrote.pipelines.exits, unrote.dedup.exact
unrote.pipelines.exits.PATIENCE = 2.0
def deaf(self, tagged):
    for tag, batch in tagged:
        open(sys.argv[-1] + ".begun", "w").close()
        while True:  # as a kernel, or a library, from which nothing comes back
            try:
                time.sleep(60)
            except BaseException:
                pass
        yield tag, batch
unrote.dedup.exact.Fingerprint._run = deaf
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_does_not_end_by_itself_is_left(tmp_path, number):
    write_jsonl(tmp_path / "a.jsonl", rows(documents(1, 12), "a"))
    out = tmp_path / "out"
    command = ("clean", tmp_path / "a.jsonl", "-q", "-o", out)
    started = process(*command, before=DEAF, cwd=ROOT)
    begun = Path(f"{out}.begun")
    deadline = time.monotonic() + 60
    while not begun.exists():
        assert started.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started.send_signal(number)
    sent = time.monotonic()
    done = finish(started)
    assert time.monotonic() - sent < LIMIT
    assert done.status == 3
    assert done.err.startswith("unrote: interrupted. The same command continues")
    again = unrote(*command)
    assert again.status == 0, again.err
