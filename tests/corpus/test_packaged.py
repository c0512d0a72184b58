"""Files that come with a package, out of a folder and out of an archive."""

import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from unrote.corpus import packaged
from unrote.corpus.errors import StorageError

FILES = {"config.json": b"{}", "weights.bin": bytes(range(256)) * 1000}


@pytest.fixture
def zipped(tmp_path, monkeypatch):
    """A package of a name of its own, in an archive on the path."""
    name = f"zipped_{tmp_path.name.replace('-', '_')}"
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        for file, data in FILES.items():
            archive.writestr(f"{name}/model/{file}", data)
    monkeypatch.syspath_prepend(str(tmp_path / "it.zip"))
    monkeypatch.setenv("UNROTE_CACHE", str(tmp_path / "cache"))
    yield name
    sys.modules.pop(name, None)


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_installed_folder_is_taken_as_it_is():
    folder = packaged.packaged_folder("unrote.memorization", "default")
    assert (folder / "config.json").is_file()
    assert folder.parent.name == "memorization"


def test_a_folder_in_an_archive_is_copied_once(zipped, tmp_path):
    first = packaged.packaged_folder(zipped, "model")
    assert first.parent == tmp_path / "cache"
    assert held(first) == FILES
    before = {path: path.stat().st_ino for path in first.iterdir()}
    assert packaged.packaged_folder(zipped, "model") == first
    assert {path: path.stat().st_ino for path in first.iterdir()} == before
    assert packaged.packaged_file(zipped, "model/config.json") == b"{}"


@pytest.mark.parametrize("data", [b"", b"{]", None])
def test_a_damaged_copy_is_mended(zipped, data):
    path = packaged.packaged_folder(zipped, "model") / "config.json"
    path.unlink() if data is None else path.write_bytes(data)
    assert held(packaged.packaged_folder(zipped, "model")) == FILES


def test_many_at_once_leave_one_copy(zipped, tmp_path):
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: packaged.packaged_folder(zipped, "model"), range(64)))
    assert len(found) == 1
    assert held(found.pop()) == FILES
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_folder_that_others_may_write_to_is_not_used(zipped, tmp_path, monkeypatch):
    monkeypatch.setattr(packaged.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    folder = packaged.packaged_folder(zipped, "model")
    assert folder.parent == tmp_path / "temporary" / f"unrote-{os.getuid()}"
    folder.parent.chmod(0o777)
    with pytest.raises(StorageError, match="others may write there"):
        packaged.packaged_folder(zipped, "model")


def test_a_package_without_the_folder(zipped):
    with pytest.raises(FileNotFoundError):
        packaged.packaged_folder(zipped, "nothing")


def test_a_user_without_a_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("UNROTE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(packaged.Path, "home", no_home)
    assert packaged.cache_folder().name == f"unrote-{os.getuid()}"


def test_what_could_not_be_stored_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        packaged.store(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
