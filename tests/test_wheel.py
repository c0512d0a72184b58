"""The wheel: what it installs, where, and that it works with nothing compiled on the way."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.command import written
from tests.corpora import write_corpus
from tests.wheel import bare_python

FOLDERS = ("corpus", "dedup", "memorization", "pii", "pipelines")

RUN = """
import sys
import unrote
from unrote.corpus import kernel
from unrote.pipelines.progress import Lines
run = unrote.clean(sys.argv[1], sys.argv[2], progress=Lines())
print(run.report.total.documents, kernel.misses, unrote.__file__)
"""


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment with unrote, installed, and its dependencies, borrowed."""
    python = bare_python(tmp_path_factory.mktemp("environment") / "bare")
    pip = [sys.executable, "-m", "pip", "--python", python]
    options = ["--quiet", "--no-deps", "--no-index", "--ignore-installed"]
    subprocess.run([*pip, "install", *options, wheel], check=True)
    return python.parent


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with packages of its own that have our folders' names."""
    folder = tmp_path / "elsewhere"
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    return folder


def environment(tmp_path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return kept | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}


def test_nothing_lies_where_another_package_can_take_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"unrote"}
    for name in FOLDERS:
        assert f"unrote/{name}/__init__.py" in names
    assert any(name.startswith("unrote/compiled/hyperscan/") for name in names)
    assert any(re.match("unrote/compiled/cpython-.*/complete-", name) for name in names)
    assert "unrote/memorization/default/model.safetensors" in names


@pytest.mark.parametrize("way", ["module", "command"])
def test_it_works_beside_packages_of_the_same_names(installed, elsewhere, tmp_path, way):
    """All defaults, memorization and personal data too, where that folder is on the path."""
    corpus = write_corpus(tmp_path / "in", count=20)
    module = [installed / "python", "-m", "unrote", "clean"]
    start = {"module": module, "command": [installed / "unrote", "dedup"]}[way]
    done = subprocess.run(
        [*start, corpus, "-o", tmp_path / "out"],
        cwd=elsewhere, env=environment(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 documents in" in done.stdout
    assert '"compile"' not in done.stderr


def test_nothing_is_compiled_on_the_way(installed, elsewhere, tmp_path):
    corpus = write_corpus(tmp_path / "in", count=20)
    done = subprocess.run(
        [installed / "python", "-c", RUN, corpus, tmp_path / "out"],
        cwd=elsewhere, env=environment(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    documents, misses, place = done.stdout.split(maxsplit=2)
    assert (documents, misses) == ("20", "[]")
    assert '"compile"' not in done.stderr
    assert str(installed.parent) in place
    assert not list((tmp_path / "cache" / "unrote").glob("hyperscan/*"))


@pytest.mark.long
def test_without_compiled_kernels_they_are_compiled_once_and_kept(installed, elsewhere, tmp_path):
    """As an installation for another Python or processor does it: here the package hides its own,
    and the cache has all but two, so that the test takes seconds.
    """
    (stamp,) = installed.parent.rglob("complete-*")
    kept = tmp_path / "cache" / "unrote" / f"compiled-{stamp.parent.name}"
    shutil.copytree(
        stamp.parent, kept, ignore=shutil.ignore_patterns("complete-*", "move*", "walk*")
    )
    corpus = write_corpus(tmp_path / "in", count=5)
    hide = "import unrote.corpus.compiled as c; c._packaged = c.kept"
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        done = subprocess.run(
            [installed / "python", "-c", hide + RUN, corpus, out],
            cwd=elsewhere, env=environment(tmp_path), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("5 []")
        assert ('"compile"' in done.stderr) == (out == outs[0])
        assert {path.name for path in stamp.parent.iterdir()} == {p.name for p in kept.iterdir()}
    assert written(outs[0]) == written(outs[1])
