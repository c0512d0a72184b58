"""Inputs that hold nothing: whatever is said of them, it is not that all is well."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import settings, unrote
from unrote.pipelines.finished import open_run
from unrote.pipelines.gate import gate
from unrote.pipelines.policy import MEASURES
from unrote.pipelines.progress import Silent
from unrote.pipelines.template import policy_template

ROW = json.dumps({"text": "A line of an old song that nobody sings."}).encode() + b"\n"


def without(folder, name):
    """A file without a document."""
    folder.mkdir()
    if name == "parquet":
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), folder / "a.parquet")
    elif name == "gz":
        (folder / "a.jsonl.gz").write_bytes(gzip.compress(b"") + b"\0" * 100)
    elif name == "empty gz":
        (folder / "a.jsonl.gz").write_bytes(b"")
    else:
        content = {"empty": b"", "blank": b" \r\n\t\n", "zeros": b"\0" * 4, "mark": b"\xef\xbb\xbf"}
        (folder / "a.jsonl").write_bytes(content[name])
    return folder


NOTHING = ["empty", "blank", "zeros", "mark", "parquet", "gz", "empty gz"]


def policy(folder, text):
    path = folder / "policy.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", NOTHING)
def test_the_gate_refuses_a_corpus_without_documents(tmp_path, name):
    corpus = without(tmp_path / "in", name)
    rules = policy(tmp_path, policy_template())
    out = tmp_path / "out"
    done = unrote(
        "gate", corpus, "--policy", rules, "-o", out, "--set", "memorization.enabled=true"
    )
    assert done.status == 1, done.err
    assert "Refused: " in done.out
    why = (
        "none could be read: it was rejected; the first: not JSON" if name == "zeros" else "no row"
    )
    assert "minimum_documents: " in done.out
    assert why in done.out
    report = open_run(out).report
    assert not report.passed
    assert [rule.measure for rule in report.verdict.rules if rule.passed] == []
    assert all(rule.reason for rule in report.verdict.rules if rule.measured is None)
    assert why in (out / "report.html").read_text()
    again = unrote(
        "gate", corpus, "--policy", rules, "-o", out, "--set", "memorization.enabled=true"
    )
    assert (again.status, again.out) == (done.status, done.out)


@pytest.mark.parametrize("name", NOTHING)
def test_whatever_the_rule(tmp_path, name):
    corpus = without(tmp_path / "in", name)
    (tmp_path / "evaluation.jsonl").write_bytes(ROW)
    sets = f"contamination.sets=[{{path = '{tmp_path / 'evaluation.jsonl'}'}}]"
    given = settings(sets, "languages.enabled=true")
    for measure in sorted(MEASURES):
        if not MEASURES[measure].needs or "memorization.enabled" not in MEASURES[measure].needs:
            named = {"languages": 'languages = ["en"]\n', "scripts": 'scripts = ["Latn"]\n'}
            own = named.get(MEASURES[measure].takes_names or "", "")
            for more in {own, own + "each_source = true\n" * (not MEASURES[measure].overall_only)}:
                rules = policy(tmp_path, f'[[rule]]\nmeasure = "{measure}"\nlimit = 1\n{more}')
                report = gate([str(corpus)], rules, str(tmp_path / "out"), given, Silent())
                assert not report.passed, measure


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("command", ["clean", "dedup", "scrub"])
def test_there_is_nothing_to_clean(tmp_path, command, name):
    corpus = without(tmp_path / "in", name)
    done = unrote(command, corpus, "-o", tmp_path / "out", "--set", "input.max_rejects=1")
    assert done.status == 2
    assert "the input has no document: " in done.err
    assert ("all 1 rows were rejected" in done.err) == (name == "zeros")
    assert not (tmp_path / "out" / "manifest.json").exists()
    again = unrote(command, corpus, "-o", tmp_path / "out", "--set", "input.max_rejects=1")
    assert (again.status, again.err.splitlines()[-1]) == (2, done.err.splitlines()[-1])


def test_a_tail_of_zeros_is_accounted_for(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(ROW * 3 + b"\0" * 10_000)
    out = tmp_path / "out"
    refused = unrote("clean", tmp_path / "a.jsonl", "-o", out)
    assert refused.status == 3
    assert "1 of 4 rows were rejected" in refused.err
    allowed = ("--fresh", "--set", "input.max_rejects=1")
    done = unrote("clean", tmp_path / "a.jsonl", "-o", out, *allowed)
    assert done.status == 0, done.err
    assert open_run(out).report.rejects.rows == 1
    assert b"\0" not in (out / "data" / "a.jsonl").read_bytes()
    assert unrote("verify", out).status == 0


def test_verify_misses_the_reject_of_a_line_of_zeros(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(ROW * 3 + b"\0" * 10_000)
    out = tmp_path / "out"
    given = ("--set", "input.max_rejects=1")
    assert unrote("clean", tmp_path / "a.jsonl", "-o", out, *given).status == 0
    for path in (out / "tables" / "rejects").iterdir():
        path.unlink()
    done = unrote("verify", out)
    assert done.status == 1


@pytest.mark.parametrize(
    ("minimum", "status"),
    [
        ("minimum_documents = 3", 0),
        ("minimum_documents = 4", 1),
        ("minimum_bytes = 120", 0),
        ("minimum_bytes = 121", 1),
    ],
)
def test_minima(tmp_path, minimum, status):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(ROW * 3)
    rules = policy(tmp_path, minimum + "\n")
    done = unrote("gate", tmp_path / "in", "--policy", rules)
    assert done.status == status, done.err
    name, number = minimum.split(" = ")
    assert name in done.out
    assert f"≥\N{NO-BREAK SPACE}{number}" in done.out


@pytest.mark.parametrize("bad", ["minimum_documents = 0", "minimum_bytes = -1", "minimum_doc = 5"])
def test_what_a_minimum_must_not_be(tmp_path, bad):
    done = unrote("gate", tmp_path, "--policy", policy(tmp_path, bad + "\n"))
    assert done.status == 2
    assert bad.split(" = ")[0] in done.err


def test_text_without_a_word_has_no_rate(tmp_path):
    """Nothing is found where nothing can be: that is no rate of zero."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(b'{"text": "  "}\n{"text": "\\u00a0"}\n')
    rules = policy(tmp_path, '[[rule]]\nmeasure = "secrets_per_million_words"\nlimit = 0\n')
    done = unrote("gate", tmp_path / "in", "--policy", rules)
    assert done.status == 1, done.out
    assert "secrets_per_million_words: Deduplication and rejects leave no word" in done.out
