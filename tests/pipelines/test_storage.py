"""The files of a run are reached through one module, and what that module promises."""

import ast
from contextlib import suppress
from pathlib import Path

import pytest

from unrote.corpus.errors import StorageError
from unrote.pipelines import storage

PIPELINES = Path(__file__).parents[2] / "pipelines"

OF_A_RUN = [
    *(f"{name}.py" for name in ("run", "commits", "manifest", "fingerprint", "lock", "locations")),
    "proxy.py",
    *(f"{name}.py" for name in ("finished", "publish", "records", "job", "clean", "gate", "show")),
    *(f"engines/{name}.py" for name in ("base", "driver", "parts", "local")),
]
"""Modules that read or write files of a run, and no others."""


@pytest.mark.parametrize("name", OF_A_RUN)
def test_no_other_module_knows_of_disks(name: str) -> None:
    tree = ast.parse((PIPELINES / name).read_text())
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported.isdisjoint({"pathlib", "shutil", "glob", "fcntl", "fsspec"})
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "open" not in called


def test_a_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "marker.json"
    storage.write_atomically(path, b"first")
    monkeypatch.setattr(storage.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(StorageError, match="Free space"):
        storage.write_atomically(path, b"second")
    assert path.read_bytes() == b"first"


def test_what_is_staged_replaces_what_is_there_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "part"
    with storage.staged(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    with suppress(RuntimeError), storage.staged(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    with storage.staged(path):
        pass  # nothing is written: what is there stays
    assert [file.name for file in tmp_path.iterdir()] == ["part"]
    assert path.read_bytes() == b"whole"


def test_leftovers_go_and_files_stay(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    for name in ("a.parquet", "web/b.jsonl", "web/.b.jsonl.1f.part", ".a.parquet.part"):
        (tmp_path / name).write_bytes(b"")
    storage.remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.parquet", "b.jsonl"]


def test_temporary_folders_of_killed_processes_go(tmp_path: Path) -> None:
    """Those of others stay, and so do those of which nothing says that they are ours."""
    with storage.temporary_folder("worker", str(tmp_path)) as folder:
        (folder / "spilled").write_text("of a document")
        left = tmp_path / "unrote-worker-killed"
        (left / "deeper").mkdir(parents=True)
        (left / "held").touch()
        (tmp_path / "unrote-worker-unknown").mkdir()
        (tmp_path / "unrote-worker-link").symlink_to(folder)
        storage._sweep.cache_clear()
        with storage.temporary_folder("worker", str(tmp_path)) as other:
            assert other != folder
        assert not left.exists()
        assert (folder / "spilled").exists()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"unrote-worker-unknown", "unrote-worker-link"}


def test_one_process_holds_a_lock(tmp_path: Path) -> None:
    held = storage.hold_lock(tmp_path / "state" / "lock")
    assert held is not None
    assert storage.hold_lock(tmp_path / "state" / "lock") is None
    held.close()
    again = storage.hold_lock(tmp_path / "state" / "lock")
    assert again is not None
    again.close()
