"""What the documents say of the code: generated pages, examples, links, figures."""

import importlib.util
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import datasets
import pytest
import yaml

import unrote
from tests.conftest import KEY, LONGEST
from tests.corpora import write_corpus
from unrote.corpus.extras import EXTRAS
from unrote.pipelines.config import load

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])


def module(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


generate = module(ROOT / "docs" / "generate.py")
report = module(ROOT / "benchmarks" / "report.py")


@pytest.mark.parametrize("name", generate.FILES)
def test_generated_files_are_in_step(name):
    assert (ROOT / name).read_text() == generate.FILES[name](), "run `make docs`"


def test_the_example_configuration_is_the_defaults():
    assert load(ROOT / "examples" / "unrote.toml") == load()


def test_the_example_in_memory():
    done = subprocess.run(
        [sys.executable, "examples/in_memory.py"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "text 1 is a near-duplicate of text 0" in done.stdout
    assert "Permission to use, copy, modify" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


CONTRIBUTING, README = ((ROOT / name).read_text() for name in ("CONTRIBUTING.md", "README.md"))
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|txt|json))`")
"""A file or folder in backticks, by its path from the root (one without a folder lies there)."""

MADE_BY_RUNS = ("OUT/", "data/", "tables/", "internal/", "report.json", "manifest.json", ".run/")


def missing(page: str, folder: str = "") -> list[str]:
    """Paths in backticks on a page that are neither in the root nor in `folder`."""
    names = [name for name in NAMED.findall(page) if not name.startswith(MADE_BY_RUNS)]
    return [n for n in names if not (ROOT / n).exists() and not (ROOT / folder / n).exists()]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_every_file_that_is_named_exists(page):
    text = (ROOT / page).read_text()
    assert len(NAMED.findall(text)) > 2
    assert missing(text) == []


def test_every_file_that_the_architecture_names_exists():
    """A row about a package names files in it, and so does the section on engines."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    engines = page[page.index("## Engines") : page.index("## The phases")]
    assert len(NAMED.findall(engines)) > 10
    assert missing(engines, "pipelines/engines") == []
    for line in page.replace(engines, "").splitlines():
        package = re.match(r"\| `(\w+)` \|", line)
        assert missing(line, package[1] if package else "") == [], line


def test_a_file_that_is_gone_is_noticed():
    assert missing("`corpus/text.py`, `Makefile`, `corpus/gone.py` and `text.py`") == [
        "corpus/gone.py",
        "text.py",
    ]
    assert missing("`text.py`", "corpus") == []


def test_fourteen_questions_have_a_file_each():
    rows = re.findall(r"^\| (\d+) \| (.+\?) \| `(\S+)` \|$", CONTRIBUTING, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 15))
    assert len({question for _, question, _ in rows}) == 14
    assert [name for _, _, name in rows if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("scope", LONGEST)
def test_scopes_of_tests_that_come_first_exist(scope):
    path, _, name = scope.partition("::")
    assert not name or f"\nclass {name}" in (ROOT / path).read_text(encoding="utf-8")
    assert (ROOT / path).is_file()


def test_make_has_every_target_that_is_named():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^|`)make ([a-z-]+)(?=`|\s+#)", page.read_text(), re.MULTILINE)
        assert set(named) <= targets, page


def test_the_api_page_has_all_that_is_exported():
    page = (ROOT / "docs" / "api.md").read_text()
    for name in unrote.__all__:
        assert re.search(rf"^(### `{name}`|\| `{name}` \|)|`unrote\.{name}`", page, re.M), name
        made = getattr(unrote, name)
        if inspect.isfunction(made):
            shown = page.partition(f"\nunrote.{name}(")[2].partition("```")[0]
            assert shown, name
            for parameter in inspect.signature(made).parameters:
                assert re.search(rf"\b{parameter}: ", shown), (name, parameter)


def python_examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.+?)^```$", page, re.MULTILINE | re.DOTALL)


def test_from_python_runs_as_it_stands(tmp_path, monkeypatch):
    section = README[README.index("**From Python**") : README.index("## What goes in")]
    on_texts, on_corpus = python_examples(section)
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "corpus", count=20)
    (tmp_path / "policy.toml").write_text('[[rule]]\nmeasure = "rejects_share"\nlimit = 1\n')
    texts = ["Mail jane.roe@acme.org, please.", "The same words, and a few more words, twice."] * 2
    known: dict[str, object] = {"texts": texts, "key": KEY}
    exec(on_texts, dict(known))
    lines = [line for line in on_texts.splitlines() if line.startswith("unrote.")]
    assert len(lines) == 7
    known["unrote"] = unrote
    signed, sketches, pairs, spans, found, scrubbed, scores = (eval(line, known) for line in lines)
    assert (signed.dtype, signed.shape) == ("uint32", (4, 128))
    assert sketches[3].jaccard(sketches[1]) == 1.0
    assert (3, 1, 1.0) in pairs
    assert spans.column_names[:5] == ["doc", "start", "end", "witness", "witness_start"]
    assert found.column_names == ["doc", "start", "end", "type", "score", "origin", "stands_for"]
    assert "EMAIL_ADDRESS" in found["type"].to_pylist()
    assert scrubbed[0] != texts[0]
    assert {"doc", "start", "end", "loss", "extractable", "pz_log", "min_k"} <= {
        *scores.column_names
    }
    known["dataset"] = datasets.Dataset.from_dict({"text": texts})
    exec(on_corpus, known)
    assert json.loads((tmp_path / "cleaned" / "report.json").read_text())


def test_the_readme_lists_the_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    section = README[README.index("| extra | for |") :].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(extras)
    assert set(EXTRAS) <= set(extras)
    assert "torch" not in " ".join(project["dependencies"])
    assert "presidio" not in " ".join(project["dependencies"])


def test_changes_are_by_kinds():
    text = (ROOT / "CHANGELOG.md").read_text()
    unreleased = text[text.index("## Unreleased") : text.index("## 0.1.0")]
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    assert re.findall(r"^### (.+)$", unreleased, re.MULTILINE) == kinds


def test_public_ci_runs_what_ci_runs():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert {"push", "pull_request"} == set(workflow[True])  # YAML 1.1 reads "on" as a truth
    (job,) = workflow["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert "permissions" not in job
    uses = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", one) for one in uses), uses
    assert [step["run"] for step in job["steps"] if "run" in step][-1] == ".ci/run"
    java = next(step for step in job["steps"] if "setup-java" in step.get("uses", ""))
    assert java["with"]["java-version"] == "17"
    assert (ROOT / ".ci" / "run").exists()


def test_style_has_ten_pairs():
    page = (ROOT / "docs" / "style.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    assert {kind for _, kind in rows} == {"prose", "names", "docstrings", "errors"}


def measured(**walls: float) -> dict:
    return {name.replace("_", " "): {"wall": wall, "peak": 512.4} for name, wall in walls.items()}


def results(near: dict) -> dict:
    context = {"date": "2026-01-02", "machine": {"processor": "A processor", "cores": 2}}
    sizes = {"50": {"text_bytes": 50_000_000, "documents": 9, "tools": near}}
    return {"near": context | {"sizes": sizes}}


def test_the_gist_compares_with_the_peers_at_their_fastest():
    tools = measured(unrote=2.0, rensa=1.5) | {
        "datasketch": {"wall": 9.0},
        "datasketch, 2 processes": {"wall": 5.0},
        "unrote, 1 worker": {"wall": 1.0},
    }
    lines = report.gist(results(tools)).splitlines()
    assert lines == [
        "- Near-duplicates, 50 MB: 2.0 s; as multiples of that, rensa 0.8, datasketch 2.5.",
        "- Measured on A processor, 2 cores; 2026-01-02.",
    ]


def test_the_gist_leaves_out_what_failed_and_what_was_not_run():
    tools = measured(unrote=2.0) | {"rensa": {"failed": "no"}}
    assert report.gist(results(tools)).splitlines()[0].endswith("no peer was measured.")
    assert report.gist(results({"unrote": {"failed": "no"}})) == "Nothing has been measured yet."
    assert report.gist({}) == "Nothing has been measured yet."


def test_the_readme_has_room_for_figures():
    text = report.between(report.FRONT.read_text(), report.FRONT_BEGIN, report.FRONT_END, "here")
    assert f"{report.FRONT_BEGIN}\n\nhere\n\n{report.FRONT_END}" in text
    with pytest.raises(ValueError, match="missing"):
        report.between("no markers", report.FRONT_BEGIN, report.FRONT_END, "")
