"""What a gate accepts: baselines and waivers, through the command and in each format."""

import json
from datetime import date, timedelta

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sarif_pydantic import Sarif

from tests.command import ROOT, unrote
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.examples import examples
from unrote.corpus.schema import DUPLICATES, SCORES, SPANS, TEXT
from unrote.pii.keys import KEY_VARIABLE, Key
from unrote.pipelines.accepting import ItemFingerprints
from unrote.pipelines.baselines import load_waivers

SECRET = "a key of these tests, which nobody else has"
POLICY = """
[[rule]]
measure = "exact_share"
limit = 0.1

[[rule]]
measure = "passage_share"
limit = 0.01

[[rule]]
measure = "findings_per_million_words"
limit = 0
"""

PASSAGE = (
    "The passage that both of these documents have in common is as long as this sentence is, and "
    "no less than that. "
)
HAVE_IT = [
    PASSAGE + "What follows here is only in the first of the two, and it is long enough to differ.",
    "Something else begins the second one, with words that the first has nowhere at all. "
    + PASSAGE,
]


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "policy.toml").write_text(POLICY)
    write(tmp_path, "a", ["the same words again"] * 3, *HAVE_IT)
    write(tmp_path, "b", ["Write to jane.roe@acme.org about it."])
    return tmp_path


def write(folder, name, texts, *more):
    rows = [json.dumps({"text": text}) for text in [*texts, *more]]
    (folder / "in" / f"{name}.jsonl").write_text("\n".join(rows) + "\n")


def gate(*args, status=None):
    done = unrote("gate", "in", "--policy", "policy.toml", "-q", "--format=json", *args)
    assert status in (None, done.status), done.err + done.out
    return json.loads(done.out) if done.out else done


def rules(told):
    return [
        (rule["measure"], rule["passed"], rule["known"], rule["waived"]) for rule in told["rules"]
    ]


SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "docs" / "schemas" / "gate.json").read_bytes())
)


def test_a_baseline_leaves_what_is_new(corpus):
    before = gate("-o", "out", status=1)
    assert [rule["passed"] for rule in before["rules"]] == [False] * 3
    assert all(rule["fingerprints"] for rule in before["rules"])  # there is a key
    for out in (("-o", "out"), ()):  # by the tables of a finished run, and by those of this one
        told = gate("--write-baseline", "known.json", *out, status=0)
        assert rules(told)[0] == ("exact_share", True, 2, 0)
        assert [rule["measured"] for rule in told["rules"]] == [0, 0, 0]
        assert [rule["with_accepted"] for rule in told["rules"]] == [
            rule["measured"] for rule in before["rules"]
        ]
        assert told["baseline"]["file"] == "known.json"
    SCHEMA.validate(told)
    known = (corpus / "known.json").read_text()
    assert "jane.roe" not in known
    assert len(known.splitlines()) > 8  # a fingerprint a line
    # One copy more of what is known, and an address that is not.
    write(corpus, "c", ["the same words again", "Write to john.doe@acme.org instead."])
    told = gate("--baseline", "known.json", status=1)
    assert rules(told) == [
        ("exact_share", False, 2, 0),
        ("passage_share", True, rules(told)[1][2], 0),
        ("findings_per_million_words", False, 1, 0),
    ]
    exact, _, findings = told["rules"]
    assert exact["measured"] == pytest.approx(exact["with_accepted"] / 3)
    assert exact["documents"] == ["c.jsonl#0"]
    assert findings["documents"] == ["c.jsonl#1"]
    # All of it goes with another baseline, and with waivers that name what is new.
    waived = [rule["fingerprints"][0] for rule in (exact, findings)]
    wave(waived)
    told = gate("--baseline", "known.json", "--waivers", "waivers.toml", status=0)
    assert [rule["waived"] for rule in told["rules"]] == [3, 0, 1]
    assert told["waivers"][0]["unused"] == 0


def wave(fingerprints, days=0, more=""):
    text = (
        f"[[waiver]]\nfingerprints = {json.dumps(fingerprints)}\nreason = 'a test'\nowner = 'Jo'\n"
        f"expires = {date.today() + timedelta(days=days + 2)}\n{more}"
    )
    with open("waivers.toml", "w") as file:
        file.write(text)


def test_an_expired_waiver_refuses(corpus):
    (corpus / "policy.toml").write_text('[[rule]]\nmeasure = "exact_share"\nlimit = 0.1\n')
    before = gate("-o", "out", status=1)
    (fingerprint,) = before["rules"][0]["fingerprints"]
    wave([fingerprint, "0" * 32])
    told = gate("-o", "out", "--waivers", "waivers.toml", "--format=sarif=v.sarif",
                "--format=markdown=v.md", "--format=junit=v.xml", "--format=github=v.txt",
                "--format=text=v.log", status=0)  # fmt: skip
    assert told["waivers"] == [
        {"number": 1, "reason": "a test", "owner": "Jo", "expired": False, "fingerprints": 2,
         "unused": 1, "expires": str(date.today() + timedelta(days=2))}
    ]  # fmt: skip
    for name in ("v.md", "v.xml", "v.txt", "v.log", "v.sarif", "out/report.html"):
        content = (corpus / name).read_text()
        assert "2 waived" in content, name
        assert "a test" in content, name
    (result,) = Sarif.model_validate_json((corpus / "v.sarif").read_bytes()).runs[0].results
    assert result.suppressions[0]["status"] == "accepted"
    wave([fingerprint], days=-7)
    told = gate("-o", "out", "--waivers", "waivers.toml", status=1)
    assert [(rule["measure"], rule["passed"]) for rule in told["rules"]] == [
        ("exact_share", False), ("waiver 1", False)
    ]  # fmt: skip
    assert told["rules"][1]["measured"] in {4, 5, 6}
    assert "a test" in told["rules"][1]["reason"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no waiver"),
        ("[[waiver]]\nfingerprints = ['abc']\nreason='r'\nowner='o'\nexpires=2027-01-01", "32 hex"),
        (
            "[[waiver]]\nfingerprints = []\nreason='r'\nowner='o'\nexpires=2027-01-01",
            "fingerprints",
        ),
        ("[[waiver]]\nreason='r'\nowner='o'\nexpires=2027-01-01", "fingerprints"),
        (f"[[waiver]]\nfingerprints=['{'0' * 32}']\nowner='o'\nexpires=2027-01-01", "reason"),
        (f"[[waiver]]\nfingerprints=['{'0' * 32}']\nreason='r'\nowner='o'", "expires"),
        (f"[[waiver]]\nfingerprints=['{'0' * 32}']\nreason='r'\nexpires=2027-01-01", "owner"),
    ],
)
def test_a_waiver_says_why_who_and_until_when(text, said, tmp_path):
    (tmp_path / "w.toml").write_text(text)
    with pytest.raises(Exception, match=said) as failed:
        load_waivers(tmp_path / "w.toml")
    assert failed.value.exit_status == 2


def test_what_cannot_be_held_against_is_refused_before_the_run(corpus, monkeypatch):
    gate("--write-baseline", "known.json", status=0)
    both = gate("--baseline", "known.json", "--write-baseline", "b.json", status=2)
    assert "Give one" in both.err
    assert "cannot read the baseline" in gate("--baseline", "none.json", status=2).err
    assert "no baseline" in gate("--baseline", "policy.toml", status=2).err
    monkeypatch.setenv(KEY_VARIABLE, SECRET[::-1])
    assert "no fingerprint would match" in gate("--baseline", "known.json", status=2).err
    monkeypatch.delenv(KEY_VARIABLE)
    assert "no key was given" in gate("--baseline", "known.json", status=2).err


texts = st.text(st.sampled_from("ab é"), min_size=1, max_size=12)


@examples(40)
@given(st.lists(texts, min_size=2, max_size=5), st.data(), st.integers(0, 9))
def test_items_do_not_depend_on_batches(documents, data, seed):
    """Equal texts have equal fingerprints; weights of passages are the bytes of their union."""
    gone = data.draw(st.sets(st.integers(0, len(documents) - 1)))
    ranges = []
    for doc, text in enumerate(documents):
        for _ in range(data.draw(st.integers(0, 3))):
            start = data.draw(st.integers(0, len(text) - 1))
            ranges.append((doc, start, data.draw(st.integers(start + 1, len(text)))))
    risky = {name: 0.0 if "risk" in name else None for name in SCORES.schema.names}
    scores = [
        risky | {"doc": doc, "start": start, "end": end, "risk_high": 0.7 * (number % 2)}
        for number, (doc, start, end) in enumerate(sorted(ranges))
    ]
    stage = ItemFingerprints(Key.of(SECRET), ("duplicates", "spans", "scores"), threshold=0.5)
    found = MiniEngine(seed).map(
        stage,
        duplicates=table(DUPLICATES.schema, [(doc, "exact", 0, None) for doc in sorted(gone)]),
        spans=table(SPANS.schema, [(*one, 0, 0, 0, 1) for one in sorted(ranges)]),
        scores=table(SCORES.schema, [tuple(row.values()) for row in scores]),
        text=table(TEXT, list(enumerate(documents))),
    )
    rows = rows_of(found["items"])
    assert {row[0] for row in rows if row[1] == 0} == gone
    for doc, text in enumerate(documents):
        covered = {at for one, start, end in ranges if one == doc for at in range(start, end)}
        weight = sum(row[4] for row in rows if row[0] == doc and row[1] == 1)
        assert weight == sum(len(text[at].encode()) for at in covered)
    at_risk = {tuple(row[n] for n in ("doc", "start", "end")) for row in scores if row["risk_high"]}
    assert {(row[0], *row[2:4]) for row in rows if row[1] == 2} == at_risk
    named = {}
    for doc, of, start, end, _, print_ in rows:
        text = (of, documents[doc][start:end] if of else documents[doc])
        assert named.setdefault(text, print_) == print_
    assert len(set(named.values())) == len(named)
