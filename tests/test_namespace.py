"""`import unrote`: what it offers, what it costs, and what it says to texts that are none."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import unrote
from tests.command import unrote as command
from tests.conftest import KEY
from tests.corpora import write_corpus
from unrote.corpus import errors

ROOT = Path(__file__).parents[1]

FUNCTIONS = {
    "near_duplicates", "duplicate_spans", "signatures", "to_datasketch", "from_datasketch",
    "scan", "scrub", "score",
    "clean", "gate", "verify", "open_run",
}  # fmt: skip
ERRORS = {
    "UnroteError", "UsageError", "ConfigError", "InputError", "OutputError",
    "OutputInUse", "RunError", "TooManyRejects", "InputChanged", "StorageError", "DetectionFailed",
}  # fmt: skip
FOLDERS = ("corpus", "dedup", "memorization", "pii", "pipelines")

ON_TEXTS = [
    unrote.near_duplicates, unrote.duplicate_spans, unrote.signatures,
    unrote.scan, unrote.scrub, unrote.score,
]  # fmt: skip


def test_exported_members():
    assert set(unrote.__all__) == FUNCTIONS | ERRORS | {"__version__"}
    assert unrote.__all__ == sorted(unrote.__all__)
    assert all(getattr(unrote, name) is not None for name in unrote.__all__)
    assert set(unrote.__all__) <= set(dir(unrote))
    with pytest.raises(AttributeError, match="no attribute 'dedupe'"):
        _ = unrote.dedupe


def test_every_error_is_exported():
    named = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert named | {"DetectionFailed"} == ERRORS


def test_importing_it_is_quick_and_loads_nothing():
    code = (
        "import sys, time; began = time.process_time(); import unrote;"
        "heavy = {'numpy', 'pyarrow', 'pyspark', 'apache_beam'} & set(sys.modules);"
        "print(time.process_time() - began, *heavy)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    seconds = [float(run.stdout.split()[0]) for run in runs]
    assert min(seconds) < 0.1
    assert runs[0].stdout.split()[1:] == []


@pytest.mark.parametrize(("module", "extra"), [("spark", "pyspark"), ("beam", "apache_beam")])
def test_programs_are_told_what_to_install(module, extra):
    code = (
        f"import sys; sys.modules['{extra}'] = None; import unrote\n"
        f"try:\n  unrote.{module}\nexcept unrote.UsageError as error:\n  print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert f"pip install 'unrote[{module}]'" in line


@pytest.mark.parametrize("function", ON_TEXTS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    "texts",
    ["mail bob@acme.org", b"bytes", [None], ["a", None], [b"a"], ["a", b"b"], ["a", 1],
     pa.array(["a", None]), pa.array([1, 2]), pa.array([b"a"])],
    ids=lambda texts: type(texts).__name__ + "".join(map(str, texts))[:20],
)  # fmt: skip
def test_what_is_no_list_of_texts_is_refused(function, texts):
    with pytest.raises(TypeError):
        function(texts)


@pytest.mark.parametrize("function", ON_TEXTS, ids=lambda function: function.__name__)
def test_lists_iterators_and_arrow_give_the_same(function):
    texts = ["one text of a few words, and a second", "one text of a few words, and a second"]
    kwargs = {"key": KEY} if function is unrote.scrub else {}
    first = function(texts, **kwargs)
    chunked = pa.chunked_array([texts[:1], texts[1:]])
    for other in (iter(texts), pa.array(texts), pa.array(texts, pa.large_string()), chunked):
        again = function(other, **kwargs)
        same = again.tolist() == first.tolist() if hasattr(first, "tolist") else again == first
        assert same


def test_no_texts_give_nothing():
    assert unrote.near_duplicates([]) == []
    assert unrote.duplicate_spans([]).num_rows == 0
    assert unrote.signatures([]).shape == (0, 128)
    assert unrote.scan([]).num_rows == unrote.score([]).num_rows == 0
    assert unrote.scrub([], key=KEY).texts == []


def test_scrub_does_what_the_command_does(tmp_path):
    texts = ["Mail jane.roe@acme.org or call +1 415 203 4478.", "Nothing here.", "At 127.0.0.1."]
    found = unrote.scrub(texts, key=KEY)
    corpus = tmp_path / "in.jsonl"
    with pa.OSFile(str(corpus), "wb") as file:
        for number, text in enumerate(texts):
            file.write(f'{{"id": "{number}", "text": "{text}"}}\n'.encode())
    assert command("scrub", corpus, "-o", tmp_path / "out").status == 0
    lines = (tmp_path / "out" / "data" / "in.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == found.texts
    table = unrote.open_run(tmp_path / "out").table("findings")
    assert table.drop_columns("doc").equals(found.findings.drop_columns("doc"))
    assert found.texts[0] != texts[0]
    assert found.texts[1:] == texts[1:]


def test_what_scrub_does_not_release_it_says():
    found = unrote.scrub(
        ["SSN 536-90-4399 of the applicant", "fine"], key=KEY, actions={"US_SSN": "reject-document"}
    )
    assert found.texts == [None, "fine"]
    assert list(found.rejected) == [0]
    assert "US_SSN" in found.rejected[0]
    with pytest.raises(unrote.ConfigError, match="at least 32"):
        unrote.scrub(["a"], key="short")
    with pytest.raises(ValueError, match="2 ids for 1 texts"):
        unrote.scrub(["a"], ids=["a", "b"])


def test_the_jobs_from_a_program(tmp_path):
    corpus, plain = write_corpus(tmp_path / "in", count=20), {"memorization.enabled": False}
    run = unrote.clean(corpus, tmp_path / "out", settings=plain)
    assert run.report.total.documents == run.table("documents").num_rows == 20
    assert run.settings.memorization.enabled is False
    assert "duplicates" in run.tables
    assert run.table("rejects").num_rows == 0  # there are none, and that is known
    for name in ("nothing", "scores", "bands"):
        with pytest.raises(unrote.InputError, match=f"has no table '{name}'"):
            run.table(name)
    assert unrote.verify(tmp_path / "out").ok
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rule]]\nmeasure = "rejects_share"\nlimit = 1\n')
    assert unrote.gate([corpus], policy, settings=plain).passed
    with pytest.raises(unrote.InputError):
        unrote.open_run(tmp_path / "nowhere")
    with pytest.raises(unrote.ConfigError, match="Did you mean 'threshold'"):
        unrote.clean(corpus, tmp_path / "other", settings={"dedup.near.treshold": 0.5})


def test_the_folders_are_no_packages_of_their_own():
    """In a checkout they can be imported by accident, and would then be there twice."""
    packages = "|".join(FOLDERS)
    wrong = re.compile(rf"^\s*(?:from|import) (?:{packages})\b(?!\.\w+ =)", re.M)
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split() or [
        str(p.relative_to(ROOT)) for f in FOLDERS for p in (ROOT / f).rglob("*.py")
    ]
    assert [name for name in listed if wrong.search((ROOT / name).read_text())] == []


def test_every_folder_is_linked():
    assert {path.name for path in (ROOT / "unrote").iterdir() if path.is_symlink()} == set(FOLDERS)
