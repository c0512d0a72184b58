"""Types of a user's own, through the command: found, acted on, verified; wrong ones refused."""

import json
import re

import pytest

from tests.command import unrote
from tests.corpora import write_jsonl
from unrote.pipelines.verify import verify

SETTINGS = r"""
[[pii.patterns]]
name = "CASE_NUMBER"
regex = '\bCASE-\d{4}-\d{5}\b'
action = "placeholder"

[[pii.patterns]]
name = "BADGE"
regex = '\bE\d\d-\d{4}\b'
score = 0.2
context = ["badge"]
"""
ROWS = [
    {"id": "a", "text": "Our reference is CASE-2024-00123, as you know from the letter of May."},
    {"id": "b", "text": "The staff wear a badge E99-5678 at the door. Pumps, valves, pipes, bolts, "
                        "washers and gaskets came by rail, and the motors are of E88-1234 make."},
]  # fmt: skip


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "unrote.toml").write_text(SETTINGS)
    write_jsonl(tmp_path / "in" / "a.jsonl", ROWS)
    return tmp_path


def test_they_are_found_and_replaced(corpus):
    out = corpus / "out"
    done = unrote("clean", corpus / "in", "-o", out, "-c", corpus / "unrote.toml")
    assert done.status == 0, done.err
    assert "CASE_NUMBER" in done.out
    assert verify(str(out)).ok
    first, second = map(json.loads, (out / "data" / "a.jsonl").read_text().splitlines())
    assert first["text"] == ROWS[0]["text"].replace("CASE-2024-00123", "[CASE_NUMBER]")
    assert "E99-5678" not in second["text"]
    assert "E88-1234" in second["text"]  # no word that raises its score is near


def test_a_surrogate_has_its_shape(corpus):
    shape = 'context = ["badge"]\nsurrogate = "STAFF-######"'
    settings = SETTINGS.replace('context = ["badge"]', shape)
    (corpus / "unrote.toml").write_text(settings)
    run = ("-c", corpus / "unrote.toml", "--set", f"pii.key_file={corpus / 'key'}")
    (corpus / "key").write_text("0123456789abcdef" * 4)
    for source, out in (("in", "out"), ("out/data", "again")):
        done = unrote("scrub", corpus / source, "-o", corpus / out, *run)
        assert done.status == 0, done.err
        assert verify(str(corpus / out)).ok
    once, twice = ((corpus / out / "data" / "a.jsonl").read_text() for out in ("out", "again"))
    assert re.search(r"badge STAFF-\d{6} at", once)
    assert once == twice


def test_an_action_of_the_settings_outranks_theirs(corpus):
    out = corpus / "out"
    asked = ("--set", 'pii.actions={CASE_NUMBER="keep"}')
    assert (
        unrote("clean", corpus / "in", "-o", out, "-c", corpus / "unrote.toml", *asked).status == 0
    )
    assert "CASE-2024-00123" in (out / "data" / "a.jsonl").read_text()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('name = "case"\nregex = "x"', "capital letters"),
        ('name = "EMAIL_ADDRESS"\nregex = "x"', "a name of its own"),
        ('name = "CASE"\nregex = "("', "no regular expression"),
        ('name = "CASE"\nregex = "x*"', "matches where nothing is"),
        ('name = "CASE"\nregex = "x"\nscore = 2', "less than or equal to 1"),
        ('name = "CASE"\nregex = "x"\nwords = 2', "unknown setting"),
        ('name = "CASE"\nregex = "x"\n[[pii.patterns]]\nname = "CASE"\nregex = "y"', "one name"),
        ('name = "CASE"\nregex = "x"\nsurrogate = "C-###"', "only 1,000 values"),
        ('name = "CASE"\nregex = "[0-9]{6}"\nsurrogate = "C-######"', "replaced again"),
        ('name = "CASE"\nregex = "x"\nsurrogate = "É-######"', "ASCII"),
        ('name = "CASE"\nregex = "x"\n[pii.actions]\nCASES = "keep"', "CASES"),
    ],
)
def test_wrong_ones_are_refused(corpus, table, said):
    (corpus / "wrong.toml").write_text(f"[[pii.patterns]]\n{table}\n")
    done = unrote("clean", corpus / "in", "-o", corpus / "out", "-c", corpus / "wrong.toml")
    assert done.status == 2
    assert said in done.err
