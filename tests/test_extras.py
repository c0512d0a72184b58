"""A lean installation: what works without the extras, and what is said where one is missing."""

import tomllib
from pathlib import Path

import pytest

from tests.command import finish, process
from tests.corpora import write_corpus
from unrote.corpus.extras import EXTRAS

ROOT = Path(__file__).parents[1]

ALL = [package for packages in EXTRAS.values() for package in packages] + ["hyperscan"]
HIDE = f"""
from unrote.corpus.imports import block_imports
absent = block_imports(*{ALL})
absent.__enter__()
"""


def without(*args: object):
    """The command where no extra is installed, with its own defaults."""
    return finish(process(*args, before=HIDE, whole=True))


@pytest.fixture(scope="module")
def deduplicated(tmp_path_factory):
    corpus = write_corpus(tmp_path_factory.mktemp("lean") / "in", count=12)
    out = corpus.parent / "out"
    return out, without("dedup", corpus, "-o", out)


def test_deduplication_needs_none(deduplicated):
    out, done = deduplicated
    assert done.status == 0, done.err
    assert "12 documents in" in done.out
    assert "No text is shown" in done.out
    assert "pip install 'unrote[pii]'" in done.out
    verified = without("verify", out)
    assert "Every promise holds." in verified.out


@pytest.mark.parametrize(
    ("args", "extra", "instead"),
    [
        (["clean"], "pii", "--set pii.enabled=false"),
        (["scrub"], "pii", "--set pii.enabled=false"),
        (["clean", "--set", "pii.enabled=false"], "score", "--set memorization.enabled=false"),
        (["score"], "score", "--set memorization.enabled=false"),
        (
            ["gate", "--policy", ROOT / "pipelines/templates/policy.toml"],
            "pii",
            "pii.enabled=false",
        ),
    ],
    ids=str,
)
def test_a_job_says_in_one_line_what_to_install(tmp_path, args, extra, instead):
    corpus = write_corpus(tmp_path / "in", count=3)
    out = [] if args[0] == "gate" else ["-o", tmp_path / "out"]
    done = without(args[0], corpus, *out, *args[1:])
    assert done.status == 2
    (line,) = [line for line in done.err.splitlines() if line.startswith("unrote:")]
    assert f"pip install 'unrote[{extra}]'" in line
    assert instead in line
    assert not (tmp_path / "out").exists()


def test_show_needs_what_scrubs_text(deduplicated):
    out, _ = deduplicated
    done = without("show", out, "web/a.jsonl#0")
    assert done.status == 2
    assert "pip install 'unrote[pii]'" in done.err or "no document" in done.err


@pytest.mark.parametrize(
    ("call", "extra"),
    [
        ("unrote.scan(['a'])", "pii"),
        ("unrote.scrub(['a'])", "pii"),
        ("unrote.score(['a'])", "score"),
    ],
)
def test_functions_say_it_too(call, extra):
    asked = f"try:\n  {call}\nexcept unrote.ConfigError as error:\n  print(error)\n  sys.exit(7)"
    started = process(before=f"{HIDE}\nimport unrote\n{asked}", whole=True)
    out, _ = started.communicate(timeout=60)
    assert started.returncode == 7
    assert f"pip install 'unrote[{extra}]'" in out


def test_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for extra, packages in EXTRAS.items():
        listed = {line.partition(">")[0].replace("-", "_") for line in extras[extra]}
        for package in packages:  # a name for pip begins with the one that is imported
            assert any(name.startswith(package.replace(".", "_")) for name in listed), package
        assert not listed & {line.partition(">")[0] for line in project["dependencies"]}
    assert extras["all"] == [
        "unrote[pii,languages,datasketch,score,warc,s3,spark,beam,telemetry,lineage]"
    ]
