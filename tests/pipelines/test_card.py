"""The papers of a release, read by what reads them elsewhere."""

import json
import re
import shutil

import mlcroissant
import pytest
import yaml

import unrote
from tests.command import unrote as command
from unrote.pipelines.card import QUESTIONS, host, size_category

TEXTS = ["Write to jane.roe@acme.org | about it.", "the same text", "the same text", "one more"]
ANSWERS = """
name = "A corpus: of letters"
license = "cc-by-4.0"
languages = ["en"]
url = "https://acme.org/corpus"
creators = ["Acme"]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    (folder / "in" / "mail|list").mkdir(parents=True)
    urls = ["https://www.acme.org/a", "https://acme.org:80/b", "https://x.org", None]
    rows = [json.dumps({"text": t, "url": u}) for t, u in zip(TEXTS, urls, strict=True)]
    (folder / "in" / "mail|list" / "a.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "answers.toml").write_text(ANSWERS)
    unrote.clean(folder / "in", folder / "out", settings={"memorization.enabled": False})
    return folder


@pytest.fixture(scope="module")
def written(run):
    done = command("card", run / "out", "--answers", run / "answers.toml", "--urls", "url")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        str(run / "out-card" / name)
        for name in ("README.md", "croissant.json", "training-content-summary.md", "domains.csv")
    ]
    return run / "out-card", done.err


def test_the_hub_reads_the_card(written):
    _, head, body = (written[0] / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head) == {
        "pretty_name": "A corpus: of letters", "license": "cc-by-4.0", "language": ["en"],
        "size_categories": ["n<1K"], "task_categories": ["text-generation"],
        "tags": ["unrote", "deduplicated", "scrubbed"],
    }  # fmt: skip
    assert "| exact duplicates | 1 |" in body
    assert r"| EMAIL\_ADDRESS | 1 | 1 | 1 |" in body
    assert r"mail\|list" in body
    assert "jane" not in body


def test_mlcroissant_reads_the_metadata(written, run, tmp_path):
    tree = json.loads((written[0] / "croissant.json").read_text())
    read = mlcroissant.Dataset(jsonld=tree)
    assert not read.metadata.ctx.issues.errors
    assert read.metadata.name == "A corpus: of letters"
    assert "1 finding" in read.metadata.personal_sensitive_information[0]
    beside = tmp_path / "croissant.json"  # where the data are, as they are published
    beside.write_text(json.dumps(tree))
    shutil.copytree(run / "out" / "data", tmp_path / "data")
    records = list(mlcroissant.Dataset(jsonld=beside).records("documents-0"))
    assert [one["documents-0/text"] for one in records][1:] == [b"the same text", b"one more"]


def test_the_summary_has_the_templates_parts(written):
    text = (written[0] / "training-content-summary.md").read_text()
    sections = re.findall(r"(?m)^### (\d\.\d)", text)
    assert sections == ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2",
                        "3.3"]  # fmt: skip
    assert "3 documents" in text
    assert (written[0] / "domains.csv").read_text() == "domain,bytes\nacme.org,51\n,8\n"
    assert "- acme.org: 51" in text
    assert "8\N{NO-BREAK SPACE}B of text had no URL" in text


def test_gaps_are_marked_and_named(written):
    names = ("README.md", "croissant.json", "training-content-summary.md")
    papers = [(written[0] / name).read_text() for name in names]
    marked = {key for paper in papers for key in re.findall(r"\((?:`)?(\w+)(?:`)?\)\]", paper)}
    answered = {"name", "license", "languages", "url", "creators"}
    assert marked == set(QUESTIONS) - answered
    assert set(re.findall(r"to be filled in: (\w+):", written[1])) == marked


def test_verify_has_nothing_to_say_of_the_papers(written, run):
    assert unrote.verify(run / "out").ok


def test_what_cannot_be_described(run, tmp_path):
    (tmp_path / "a.toml").write_text('licence = "mit"')
    done = command("card", run / "out", "--answers", tmp_path / "a.toml")
    assert (done.status, "licence" in done.err) == (2, True)
    in_a_store = f"file://{run / 'out'}"
    assert "--to" in command("card", in_a_store).err
    assert command("card", in_a_store, "--to", tmp_path / "papers").status == 0
    assert (tmp_path / "papers" / "croissant.json").exists()
    assert "no row has a URL" in command("card", run / "out", "--urls", "link").err
    off = dict.fromkeys(("output.data", "pii.enabled", "memorization.enabled"), False)
    unrote.clean(run / "in", tmp_path / "dry", settings=off)
    assert "released no data" in command("card", tmp_path / "dry").err


@pytest.mark.parametrize(
    ("rows", "category"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**16, "n>1T")]
)
def test_size_categories(rows, category):
    assert size_category(rows) == category


@pytest.mark.parametrize(
    ("url", "name"),
    [("https://www.a.org:1/b", "a.org"), ("no url", ""), (None, ""), ("http://[", "")],
)
def test_hosts(url, name):
    assert host(url) == name
