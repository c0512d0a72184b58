"""A finished run's reports and manifest are sealed: what was changed since is not passed on."""

import json
import shutil
from pathlib import Path

import pytest

from tests.pipelines.test_cli import unrote
from unrote.pipelines import publish
from unrote.pipelines.verify import verify

QUICK = ("--set", "memorization.enabled=false")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rows = [{"text": f"This is the text of document {n // 2}, with words."} for n in range(6)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.write_text('[[rule]]\nmeasure = "exact_share"\nlimit = 0.1\n')
    return path


@pytest.fixture(scope="module")
def gated(corpus: Path, policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gated") / "out"
    assert unrote("gate", corpus, "--policy", policy, "-o", out, *QUICK).status == 1
    assert verify(str(out)).ok
    return out


@pytest.fixture
def out(gated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gated, tmp_path / "out"))


def broken(out: Path) -> set[str]:
    return {check.name for check in verify(str(out)).checks if check.failed}


def edit_verdict(out: Path) -> None:
    report = json.loads((out / "report.json").read_bytes())
    report["verdict"]["passed"] = True
    (out / "report.json").write_text(json.dumps(report))


def test_an_edited_verdict_is_noticed_and_not_kept(out: Path, corpus: Path, policy: Path) -> None:
    edit_verdict(out)
    assert broken(out) == {"reports"}
    done = unrote("report", out)
    assert done.status == 2
    assert "verdict" in done.err
    assert broken(out) == {"reports"}
    assert unrote("gate", corpus, "--policy", policy, "-o", out, *QUICK).status == 1
    assert broken(out) == set()


def test_an_edited_figure_is_not_judged(out: Path, corpus: Path, policy: Path) -> None:
    report = json.loads((out / "report.json").read_bytes())
    report["total"]["exact"]["bytes"] = report["total"]["exact"]["documents"] = 0
    (out / "report.json").write_text(json.dumps(report))
    assert unrote("gate", corpus, "--policy", policy, "-o", out, *QUICK).status == 1
    assert broken(out) == set()


def test_edited_settings_are_not_passed_on(out: Path, corpus: Path, policy: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_bytes())
    manifest["settings"]["dedup"]["near"]["threshold"] = 0.9
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert "manifest" in broken(out)
    done = unrote("report", out)
    assert done.status == 2
    assert "changed" in done.err
    assert unrote("gate", corpus, "--policy", policy, "-o", out, *QUICK).status == 2
    assert "manifest" in broken(out)


@pytest.mark.parametrize("command", ["report", "gate"])
def test_a_crash_before_the_manifest_is_noticed_and_mended(
    out: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    lax = tmp_path / "lax.toml"
    lax.write_text('[[rule]]\nmeasure = "exact_share"\nlimit = 1\n')
    again = ("gate", corpus, "--policy", lax, "-o", out, *QUICK)
    args = ("report", out) if command == "report" else again

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    (out / "report.html").write_text("of an earlier version")
    with monkeypatch.context() as patched:
        patched.setattr(publish, "write_manifest", killed)
        unrote(*args)
    if command == "gate":
        assert broken(out) == {"reports"}
    assert unrote(*args).status == 0
    assert broken(out) == set()


def test_a_cleaned_corpus(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert unrote("clean", corpus, "-o", out, *QUICK).status == 0
    assert verify(str(out)).ok
    content = (out / "report.json").read_bytes()
    (out / "report.json").write_bytes(content + b" ")
    assert broken(out) == {"reports"}
    done = unrote("clean", corpus, "-o", out, *QUICK)
    assert done.status == 2
    assert "unrote report" in done.err
    assert unrote("report", out).status == 0
    assert broken(out) == set()
    assert json.loads((out / "report.json").read_bytes())["copies_of_rejected"] == 0
