"""Names that attack whoever reads them, through every field that is shown, by the real commands."""

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import ROOT, finish, process, unrote
from tests.corpora import Writer, personal, write_jsonl, write_parquet
from tests.pipelines.test_report import browser_reads
from unrote.pipelines.report.proxy import ProxyReport, print_proxy

STEERING = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")

ATTACKS = {
    "colour": "\x1b[38;5;201mPINK",
    "title": "\x1b]0;OWNED\x07",
    "c1": "\x9b2Jgone",
    "bidi": "\u202egnp.exe\u2066x",
    "hidden": "a\u200b\u2060\ufeff\u00ad\u200db",
    "lines": "a\r\nunrote: all is well",
    "separators": "a\u2028b\u2029c\x85d",
    "private": "\ue000\U000f0000\U000e0041",
    "delete": "x\x7f\x08y",
    "markup": "[bold]b[/bold] [link=https://evil.example]l[/link] :boom:",
    "html": "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "long": "L" * 5000,
}

RICH = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[\d*[AK]|\r")
"""What our own progress and colours send to a terminal."""


def raw(text: str, allowed: str = "\n") -> list[str]:
    found = [c for c in text if unicodedata.category(c) in STEERING and c not in allowed]
    return found or re.findall(r"L{500}", text)


def safe(done, status: int | None = 0):
    assert status is None or done.status == status, done.err
    assert raw(done.out) == []
    assert raw(done.err) == []
    return done


@dataclass
class Seen:
    status: int
    out: str
    err: str = ""


def on_a_terminal(*args: object) -> Seen:
    """The command, whose every stream is a terminal; less what our own progress sends there."""
    ours, theirs = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    command = [sys.executable, "-m", "unrote", *map(str, args)]
    started = subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    got = b""
    while True:
        try:
            got += (piece := os.read(ours, 1 << 16))
        except OSError:  # as Linux ends it
            break
        if not piece:
            break
    os.close(ours)
    text = got.decode()
    assert "\x1b[38;5;201m" not in text
    return Seen(started.wait(), RICH.sub("", text))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Attacks as ids, sources, keys, columns, file names and folders, with copies to be listed."""
    folder, writer = tmp_path_factory.mktemp("in"), Writer(5)
    rows = []
    for n, (kind, attack) in enumerate(ATTACKS.items()):
        text = f"{writer.text(6)} {attack[:100]}".replace("\u200d", "")  # which texts may show
        row = {"id": f"{kind} {attack}", "source": attack, attack: attack, "text": text}
        again = {"id": f"again {attack}", "text": text.upper() if n % 2 else text}
        rows += [row, row | again]
    shared = writer.text(8)
    for n, attack in enumerate(ATTACKS.values()):
        text = f"{writer.text(2)}\n{shared}\n{writer.text(2)}"
        rows.append({"id": f"shared {n}{attack}", "source": attack, "text": text})
    for row, attack in zip(personal(3, 14), ATTACKS.values(), strict=False):
        rows.append(row | {"source": attack, "id": f"{row['id']}{attack}"})
    for kind, attack in ATTACKS.items():
        name = f"{kind} {attack}".replace("/", "")[:80]
        mine = [row for row in rows if row.get("source") == attack]
        write_jsonl(folder / f"dir {name}" / f"{name}.jsonl", mine, ascii_only=True)
    bad = b"".join(b'{"id": "%d", "text": \n' % n for n in range(3))
    (folder / "bad \x1b[31m\u202e.jsonl").write_bytes(bad)
    tables = [{key[:60]: key for key in ATTACKS.values()} | {"text": writer.text(3), "id": "\x1bq"}]
    write_parquet(folder / "col\x1b[2Jumns.parquet", tables)
    return folder


JOB = ["--set", "input.max_rejects=1", "--set", "input.source=source"]


@pytest.fixture(scope="module")
def cleaned(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("outs") / "out"
    done = unrote("clean", corpus, "-o", out, *JOB, whole=True)
    safe(done)
    return done, out


def page(out: Path) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


def no_attack_in(html: str) -> None:
    assert raw(html) == []
    assert "<img" not in html
    assert html.count("<script") == 1  # the page's own, allowed by its digest
    assert "{{ 7 * 7 }}" in html


class TestClean:
    def test_what_is_printed_shows_names_as_they_are_spelt(self, cleaned):
        done, _ = cleaned
        assert r"\x1b[38;5;201mPINK" in done.out
        assert r"\u202egnp.exe\u2066x" in done.out
        assert "not scanned" in done.out

    def test_markup_is_not_interpreted(self, corpus, tmp_path):
        marked = tmp_path / "in"
        for attack in (ATTACKS["markup"], "other"):
            rows = [{"source": attack, "text": "some words of a text"}]
            write_jsonl(marked / f"{len(attack)}.jsonl", rows)
        done = safe(unrote("clean", marked, "-o", tmp_path / "out", *JOB))
        assert "[bold]b[/bold]" in done.out.replace("\n", "")
        assert "[link=https://evil.example]" in done.out.replace("\n", "")
        assert ":boom:" in done.out.replace("\n", "")

    def test_the_page(self, cleaned):
        no_attack_in(page(cleaned[1]))

    def test_the_page_in_a_browser(self, cleaned, tmp_path):
        read = browser_reads(page(cleaned[1]), tmp_path)
        assert raw(read) == []
        assert "<img" not in read
        assert r"\u202egnp.exe\u2066x" in read

    def test_the_report_for_programs_has_the_names_themselves(self, cleaned):
        stored = (cleaned[1] / "report.json").read_text(encoding="utf-8")
        assert raw(stored.replace("L" * 500, "")) == []
        sources = {row["source"] for row in json.loads(stored)["by_source"]}
        assert set(ATTACKS.values()) <= sources

    def test_the_log(self, corpus, tmp_path):
        done = safe(finish(process("clean", corpus, "-o", tmp_path / "o\x1b[1m\u202e", *JOB)))
        assert [json.loads(line) for line in done.err.splitlines()]

    def test_a_terminal(self, corpus, tmp_path):
        args = ["clean", corpus, "-o", tmp_path / "o\x1b]0;x\x07", *JOB]
        seen = safe(on_a_terminal(*args, "--set", "memorization.enabled=false"))
        assert r"\x1b[38;5;201mPINK" in seen.out


class TestOthers:
    def test_gate(self, corpus, tmp_path):
        policy = tmp_path / "p\u202e.toml"
        policy.write_text(
            '[[rule]]\nmeasure = "near_share"\nlimit = 0.01\neach_source = true\n'
            '[[rule]]\nmeasure = "findings_per_million_words"\nlimit = 0\n'
        )
        out = tmp_path / "out"
        done = safe(unrote("gate", corpus, "--policy", policy, "-o", out, *JOB), 1)
        assert r"\u202egnp.exe\u2066x" in done.out
        no_attack_in(page(out))

    def test_gate_on_a_terminal(self, corpus, tmp_path):
        policy = tmp_path / "policy.toml"
        policy.write_text('[[rule]]\nmeasure = "near_share"\nlimit = 0.01\neach_source = true\n')
        plain = ["--set", "memorization.enabled=false"]
        safe(on_a_terminal("gate", corpus, "--policy", policy, *JOB, *plain), 1)

    def test_a_rule_about_a_source_that_is_not_there(self, corpus, tmp_path):
        policy = tmp_path / "policy.toml"
        policy.write_text(
            '[[rule]]\nmeasure = "near_share"\nlimit = 0.01\nsource = "\\u001b[31m\\u202e\\nx"\n'
        )
        done = safe(unrote("gate", corpus, "--policy", policy, *JOB), 2)
        assert len([line for line in done.err.splitlines() if line[:1] != "{"]) == 1

    def test_scrub_dry_run(self, corpus, tmp_path):
        safe(unrote("scrub", corpus, "-o", tmp_path / "out", "--dry-run", *JOB))
        no_attack_in(page(tmp_path / "out"))

    def test_report(self, cleaned):
        safe(unrote("report", cleaned[1]))
        no_attack_in(page(cleaned[1]))

    def test_report_in_a_folder_that_attacks(self, cleaned, tmp_path):
        link = tmp_path / "r\x1b[31m\nx\u202e"
        link.symlink_to(cleaned[1])
        done = safe(unrote("report", link))
        assert done.out.count("\n") == 1

    @pytest.mark.parametrize("kind", ATTACKS)
    def test_show(self, cleaned, kind):
        out, attack = cleaned[1], ATTACKS[kind]
        for name in (f"{kind} {attack}", f"again {attack}"):
            done = safe(unrote("show", out, name))
            assert "source" in done.out

    def test_show_a_shared_passage(self, cleaned):
        for n, attack in enumerate(ATTACKS.values()):
            safe(unrote("show", cleaned[1], f"shared {n}{attack}"))

    def test_show_a_reject(self, cleaned):
        done = safe(unrote("show", cleaned[1], "bad \x1b[31m\u202e.jsonl#1"))
        assert "Rejected" in done.out

    def test_show_on_a_terminal(self, cleaned):
        safe(on_a_terminal("show", cleaned[1], f"colour {ATTACKS['colour']}"))

    def test_show_of_what_is_not_there(self, cleaned):
        safe(unrote("show", cleaned[1], "x\x1b]0;y\x07\n" + "L" * 5000), 2)

    def test_verify(self, cleaned):
        safe(unrote("verify", cleaned[1]))

    def test_verify_where_a_promise_is_broken(self, corpus, tmp_path):
        out = tmp_path / "out"
        safe(unrote("clean", corpus, "-o", out, *JOB))
        for path in (out / "data").rglob("*.jsonl"):
            path.write_bytes(path.read_bytes() + b'{"id": "\\u001b", "text": "more"}\n')
        safe(unrote("verify", out), 1)

    def test_explain(self):
        safe(unrote("explain", "--set", 'pii.columns=["\x1b[31m\u202e"]'), 2)
        safe(unrote("explain", "--set", r'pii.columns=["\u001b[31m\u202e"]'))

    def test_what_a_proxy_run_says(self, tmp_path, capsys):
        print_proxy(
            ProxyReport(0, 10, 5, 5, 9, 1.0, 2.0, 3, 0, 1.0, 1.0, 1.0, 1.0), "t\x1b[31m\u202e\n"
        )
        said = capsys.readouterr().out
        assert raw(said) == []
        assert r"t\x1b[31m\u202e\n/proxy" in said.replace("\n", "")


NAME = "n\x1b[31m\u202e\nunrote: passed\r\x9b" + "L" * 200


@pytest.mark.parametrize(
    "args",
    [
        ["clean", NAME, "-o", "o"],
        ["clean", f"{NAME}/*.jsonl", "-o", "o"],
        ["clean", f"memory://{NAME}.jsonl", "-o", "o"],
        ["clean", f"{NAME}://x.jsonl", "-o", "o"],
        ["clean", "README.md", "-o", f"o{NAME}"],
        ["clean", "corpus", "-o", f"s3://{NAME}"],
        ["clean", "corpus", "-o", "o", "--engine", NAME],
        ["clean", "corpus", "-o", "o", "-c", NAME],
        ["clean", "corpus", "-o", "o", "--set", NAME],
        ["clean", "corpus", "-o", "o", "--set", f"{NAME}=1"],
        ["clean", "corpus", "-o", "o", "--set", f"dedup.near.threshold={NAME}"],
        ["clean", "corpus", "-o", "o", "--set", f"pii.key_file={NAME}"],
        ["clean", "corpus", "-o", "o", "--set", f"pii.actions.{NAME}=cut"],
        ["clean", "corpus", "-o", "o", "--set", f"memorization.model={NAME}"],
        ["clean", "corpus", "-o", "o", "--set", f"memorization.calibration={NAME}"],
        ["clean", "corpus", "-o", "o", f"--{NAME}"],
        ["proxy", "corpus", "-o", "o", "--minutes", NAME],
        [NAME],
        ["show", NAME, "x"],
        ["verify", NAME],
        ["report", NAME],
        ["init", f"{NAME}/x"],
        ["gate", "corpus", "--policy", NAME],
        ["explain", "-c", NAME],
    ],
    ids=lambda args: " ".join(args).encode("unicode_escape").decode()[:50],
)  # fmt: skip
def test_what_is_refused(args, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNROTE_KEY")
    write_jsonl(tmp_path / "corpus" / "a.jsonl", [{"text": "some words"}])
    done = unrote(*args, whole=True)
    assert done.status in (2, 3)
    assert raw(done.out) == []
    assert raw(done.err) == []
    assert not [line for line in done.err.splitlines() if line.startswith("unrote: passed")]


def test_a_file_name_that_is_not_utf8(tmp_path):
    os.makedirs(tmp_path / "in")
    Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/x\xff.jsonl")).write_text(
        '{"text": "a b"}\n'
    )
    done = finish(process("clean", tmp_path / "in", "-o", tmp_path / "out"))
    safe(done, None)
    assert "bug" not in done.err
