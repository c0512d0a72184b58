"""One process at a time writes to OUT on a disk: who does is named, and waited for."""

import threading
from pathlib import Path

import pytest

from unrote.corpus.errors import OutputInUse, RunError
from unrote.pipelines.lock import file_holder, holder_of, lock, refuse_in_use, waited
from unrote.pipelines.owner import UNKNOWN, this_process


@pytest.fixture
def elsewhere(monkeypatch):
    """Owners are of other machines, on which nobody can look for a process."""
    monkeypatch.setattr("unrote.pipelines.owner.boot", lambda: "")


def test_who_holds_it_is_named(tmp_path):
    assert holder_of(tmp_path) is None
    held = lock(tmp_path, "OUT")
    me = this_process()
    owner = holder_of(tmp_path)
    assert owner is not None
    assert (owner.pid, owner.host, owner.is_alive) == (me.pid, me.host, True)
    with pytest.raises(
        OutputInUse, match=rf"process {me.pid} on {me.host}, since \d{{4}}-"
    ) as said:
        lock(tmp_path, "OUT")
    assert "--break-lock" not in str(said.value)
    held.require()
    held.close()
    assert holder_of(tmp_path) is None
    refuse_in_use(tmp_path, "OUT")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"host": 1}', b"\xff"])
def test_a_lock_that_does_not_say_whose_it_is(tmp_path, content):
    held = lock(tmp_path, "OUT")
    path = tmp_path / ".run" / "lock"
    path.write_bytes(content)
    assert file_holder(path) is UNKNOWN
    with pytest.raises(OutputInUse, match="not said yet who it is"):
        lock(tmp_path, "OUT")
    held.close()


def test_it_is_waited_for_and_said_once(tmp_path, monkeypatch):
    monkeypatch.setattr("unrote.pipelines.lock.AGAIN", 0.01)
    held, said = lock(tmp_path, "OUT"), []
    threading.Timer(0.2, held.close).start()
    waited(lambda: refuse_in_use(tmp_path, "OUT"), 30, said.append)
    assert len(said) == 1
    assert "waiting up to 30 seconds" in said[0]


def test_it_is_not_waited_for_longer_than_was_said(tmp_path, monkeypatch):
    monkeypatch.setattr("unrote.pipelines.lock.AGAIN", 0.01)
    held = lock(tmp_path, "OUT")
    with pytest.raises(OutputInUse):
        waited(lambda: refuse_in_use(tmp_path, "OUT"), 0.05, lambda _: None)
    held.close()


def test_it_is_taken_from_another_machine_which_notices(tmp_path, elsewhere):
    first = lock(tmp_path, "OUT")
    with pytest.raises(OutputInUse, match="--break-lock"):
        lock(tmp_path, "OUT")
    second = lock(tmp_path, "OUT", "break")
    second.require()
    with pytest.raises(RunError, match="was taken from this run"):
        first.require()
    with pytest.raises(OutputInUse):
        lock(tmp_path, "OUT")
    first.close()
    second.require()
    second.close()


def test_that_of_a_process_at_work_here_is_not_broken(tmp_path):
    held = lock(tmp_path, "OUT")
    with pytest.raises(OutputInUse, match=r"not broken.*End it first"):
        lock(tmp_path, "OUT", "break")
    held.require()
    held.close()
    lock(tmp_path, "OUT", "break").close()  # nobody has it: as without


def test_who_sees_to_it_is_let_in(tmp_path):
    held = lock(tmp_path, "OUT")
    refuse_in_use(tmp_path, "OUT", "none")
    lock(tmp_path, "OUT", "none").require()
    held.close()
    assert [path.name for path in Path(tmp_path).iterdir()] == [".run"]


def test_who_only_looks_keeps_nobody_out(tmp_path):
    """Two look all the time, as monitors do, while it is taken again and again."""
    lock(tmp_path, "OUT").close()
    ended, seen = threading.Event(), set()

    def look() -> None:
        while not ended.wait(0.001):
            seen.add(holder_of(tmp_path) is None)

    watching = [threading.Thread(target=look) for _ in range(2)]
    for each in watching:
        each.start()
    for _ in range(50):
        held = lock(tmp_path, "OUT")
        assert holder_of(tmp_path) is not None
        held.close()
    ended.set()
    for each in watching:
        each.join()
    assert True in seen
