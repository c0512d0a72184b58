"""What the documents say of the code: generated pages, examples, links, figures."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    told = report.gist(results(tools)).splitlines()
    assert told == [
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
