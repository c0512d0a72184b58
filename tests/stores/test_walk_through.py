"""The commands of docs/object-stores.md, one after another, against a server on loopback."""

import re
import shlex

from tests.command import ROOT, unrote
from tests.corpora import write_corpus
from tests.stores.server import BUCKET, downloaded, environment, upload

PAGE = ROOT / "docs" / "object-stores.md"


def session() -> list[list[str]]:
    """The arguments of each command of the walk-through."""
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index("## My data is on S3") : text.index("## Options")]
    blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for line in "".join(blocks).splitlines()]


def test_the_page_is_a_session(proxy, files, tmp_path, monkeypatch):
    for name, value in environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    upload(files, write_corpus(tmp_path / "corpus", count=24), "corpus")
    assert BUCKET == "lake"
    done = {}
    for args in session():
        done[args[0]] = unrote(*args, whole=True)
        assert done[args[0]].status == (1 if args[0] == "gate" else 0), done[args[0]].err
    assert list(done) == ["clean", "verify", "show", "report", "init", "gate"]
    assert done["clean"].out.splitlines()[-1] == "Report: s3://lake/cleaned/report.html"
    assert done["verify"].out.splitlines()[-1] == "Every promise holds."
    assert "web/a.jsonl#0" in done["show"].out
    assert "refused" in done["gate"].out.lower()
    for out in ("cleaned", "gate"):
        assert {"manifest.json", "report.html"} <= set(downloaded(files, out))
    assert not [name for name in downloaded(files, "cleaned") if name.startswith(".run")]
