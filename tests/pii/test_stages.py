"""The stage that scans documents, through an engine that cuts batches at random."""

import re
import threading
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

pytest.importorskip("presidio_analyzer")

from tests.dedup.mini_engine import MiniEngine, rows_of, table
from unrote.corpus.schema import RECORDS, REJECTS, SPANS
from unrote.pii import Config
from unrote.pii.config import ACTIONS, ACTIONS_BY_DEFAULT
from unrote.pii.findings import CUT, DEID_MARKER, RESERVED_VALUE
from unrote.pii.keys import Key
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.stages import Scan
from unrote.pii.surrogates import is_surrogate

KEY = Key(b"the key of the tests, of 32 or so")
OTHER = Key(b"another key of the tests, as long")
CONFIG = Config(names=False)  # these words in a row are no text, and any may seem a name
EVERYTHING = (("*", "surrogate"),)

PERSONAL = [
    "jane.roe@acme.com", "bob@kelvin-hardware.org", "536-90-4399", "4539-5787-6362-1486",
    "4539578763621486", "81.2.69.160", "(415) 664-7665", "GB56HXDO88167774656119",
    "AKIAZ2J4N5Q7RT3WXV6Y", "a4:83:e7:2b:90:1c", "7d44484f-9dc0-4d1f-a245-5ffdce74fad2",
    "https://www.acme.com/users/jane", "1979-03-14", "2009-11-02", "2a00:1450:4001:81b::200e",
]  # fmt: skip
MARKERS = ["[**Known lastname 742**]", "[**2151-7-16**]", "<EMAIL>", "PI:EMAIL", "██████"]
NOBODYS = ["john.doe@example.com", "(212) 555-0173"]
WORDS = "Mail it and pay, or call; né\u0301e 語 🎉 the server (said “so”) is down today".split()
SEEDS = range(8)


def document(random, pieces=6):
    """A text, and the personal values that are planted in it."""
    planted, text = [], ""
    for _ in range(random.randint(0, pieces)):
        value = random.choice(random.choice([PERSONAL, PERSONAL, MARKERS, NOBODYS]))
        text += " ".join(random.choices(WORDS, k=random.randint(1, 6)))
        text += f": {value} said" + random.choice([". ", ", ", "\n", " | "])
        planted += [value] if value in PERSONAL else []
    return text + random.choice(WORDS), planted


def records(texts, columns=None):
    return [
        (n << 3, "a.jsonl", n, f"id-{n}", "web", None, text, (columns or {}).get(n, []))
        for n, text in enumerate(texts)
    ]


def scan(texts, stage=None, seed=0, spans=(), columns=None, rejects=()):
    """Findings, replacements and rejects, by column names."""
    stage = stage or Scan(CONFIG, KEY, EVERYTHING)
    tables = {
        "text": table(RECORDS, records(texts, columns)),
        "rejects": table(REJECTS.schema, list(rejects)),
    }
    if stage.cut:
        tables["spans"] = table(SPANS.schema, [(d << 3, s, e, 0, 0, 0, 2) for d, s, e in spans])
    return MiniEngine(seed).map(stage, **tables)


def edited(text, result, doc=0, field=0):
    """The text with its replacements, last one first."""
    rows = [r for r in result["replacements"].to_pylist() if (r["doc"], r["field"]) == (doc, field)]
    for row in sorted(rows, key=lambda row: -row["start"]):
        text = text[: row["start"]] + row["text"] + text[row["end"] :]
    return text


def values(text, result, doc=0, field=0):
    """What was found in a text, with its row."""
    return [
        (text[row["start"] : row["end"]], row)
        for row in result["findings"].to_pylist()
        if (row["doc"], row["field"]) == (doc, field)
    ]


@pytest.fixture(scope="module")
def texts():
    random = Random(5)
    return [document(random)[0] for _ in range(20)]


# What the rows are.


def test_rows_do_not_depend_on_how_batches_are_cut(texts):
    spans = [(n, n % 7, n % 7 + 30) for n in range(0, 20, 2)]
    columns = {n: [texts[-n], None] for n in range(20)}
    stage = Scan(CONFIG, KEY, EVERYTHING, columns=("title", "note"), cut=True)
    rejects = [(5, "a.jsonl", 5, "not a row")]
    results = [
        {
            tag: rows_of(rows)
            for tag, rows in scan(texts, stage, seed, spans, columns, rejects).items()
        }
        for seed in SEEDS
    ]
    assert all(result == results[0] for result in results)
    assert results[0]["rejects"] == []
    assert len(results[0]["findings"]) > 40
    assert {row[6] for row in results[0]["findings"]} >= {"surrogate", CUT}


def test_findings_and_replacements_are_apart_and_in_order(texts):
    result = scan(texts, replace(Scan(CONFIG, KEY), actions=tuple(ACTIONS_BY_DEFAULT.items())))
    for name in ("findings", "replacements"):
        rows = [(r["doc"], r["field"], r["start"], r["end"]) for r in result[name].to_pylist()]
        assert rows == sorted(rows)
        for one, other in pairwise(rows):
            assert one[:2] != other[:2] or one[3] <= other[2]
        for doc, _, start, end in rows:
            assert 0 <= start < end <= len(texts[doc >> 3])


def test_a_row_says_what_was_found_and_done():
    text = "Mail jane.roe@acme.com, not john.doe@example.com or [**Known lastname 742**]."
    result = scan([text], Scan(CONFIG, KEY, tuple(ACTIONS_BY_DEFAULT.items())))
    (mail, nobody, marker) = values(text, result)
    assert mail[0] == "jane.roe@acme.com"
    assert (mail[1]["type"], mail[1]["action"]) == ("EMAIL_ADDRESS", "surrogate")
    assert (mail[1]["origin"], mail[1]["stands_for"]) == ("EmailRecognizer", "")
    assert (nobody[1]["type"], nobody[1]["action"]) == (RESERVED_VALUE, "keep")
    assert nobody[1]["surrogate_fingerprint"] is None
    assert marker[0] == "[**Known lastname 742**]"
    assert (marker[1]["type"], marker[1]["stands_for"]) == (DEID_MARKER, "PERSON")
    first, second = result["replacements"].to_pylist()
    assert mail[1]["surrogate_fingerprint"] == KEY.value_fingerprint(first["text"], "EMAIL_ADDRESS")
    assert marker[1]["surrogate_fingerprint"] == KEY.value_fingerprint(second["text"], "PERSON")
    assert is_surrogate(first["text"], "EMAIL_ADDRESS", KEY)


def test_no_row_holds_a_value(texts):
    result = scan(texts)
    for name in ("findings", "replacements", "rejects"):
        written = repr(result[name].to_pylist())
        assert not [value for value in PERSONAL if value in written]


# What becomes of the text.

SETTINGS = [(("*", action),) for action in ACTIONS if action != "reject-document"]
SETTINGS += [
    tuple({**ACTIONS_BY_DEFAULT, "*": action}.items())
    for action in ACTIONS
    if action != "reject-document"
]
SETTINGS += [
    (("*", "keep"), ("EMAIL_ADDRESS", "placeholder"), ("US_SSN", "mask"), ("IP_ADDRESS", "hash")),
    (("*", "placeholder"), (DEID_MARKER, "remove"), ("URL", "keep")),
    (("*", "surrogate"), (DEID_MARKER, "placeholder")),
]


@pytest.mark.parametrize("actions", SETTINGS, ids=lambda a: "-".join(dict(a).values()))
def test_scrubbing_removes_what_was_found_and_is_idempotent(actions, texts):
    stage = Scan(CONFIG, KEY, actions)
    result = scan(texts, stage)
    once = [edited(text, result, n << 3) for n, text in enumerate(texts)]
    for n, text in enumerate(texts):
        for value, row in values(text, result, n << 3):
            nothing = row["action"] == "mask" and not any(map(str.isalnum, value))
            assert row["action"] == "keep" or nothing or value not in once[n]
    again = scan(once, stage)
    assert [edited(text, again, n << 3) for n, text in enumerate(once)] == once
    assert {row["text"] for row in again["replacements"].to_pylist()} <= {"██████"}  # its own mask
    assert again["rejects"].num_rows == 0
    assert dict(actions)["*"] == "keep" or once != texts


@pytest.mark.parametrize("action", ["remove", "mask", "placeholder", "hash", "surrogate"])
def test_no_planted_value_is_left(action):
    random = Random(action)
    made = [document(random) for _ in range(40)]
    result = scan([text for text, _ in made], Scan(CONFIG, KEY, (("*", action),)))
    for n, (text, planted) in enumerate(made):
        out = edited(text, result, n << 3)
        assert not [value for value in planted if value in out]
        kept = [word for word in re.split(r"\W+", text) if word in WORDS]
        assert [word for word in re.split(r"\W+", out) if word in WORDS] == kept


def test_another_key_scrubs_again(texts):
    result = scan(texts)
    once = [edited(text, result, n << 3) for n, text in enumerate(texts)]
    assert scan(once, Scan(CONFIG, OTHER, EVERYTHING))["replacements"].num_rows > 20


# Fingerprints and surrogates.


def test_a_surrogate_of_a_reserved_value_is_of_what_it_stands_for():
    text = "Mail john.doe@example.com now"
    new = edited(text, scan([text]))
    assert new.startswith("Mail ")
    assert is_surrogate(new[5:-4], "EMAIL_ADDRESS", KEY)


def test_equal_values_have_equal_fingerprints_and_surrogates(texts):
    result = scan(texts)
    fingerprints, drawn = defaultdict(set), defaultdict(set)
    for n, text in enumerate(texts):
        for value, row in values(text, result, n << 3):
            fingerprints[row["type"], value].add(row["fingerprint"])
            if row["type"] not in {"DATE_TIME", DEID_MARKER}:
                drawn[row["type"], value].add(row["surrogate_fingerprint"])
    assert all(len(each) == 1 for each in (*fingerprints.values(), *drawn.values()))
    assert len({fingerprint for (fingerprint,) in fingerprints.values()}) == len(fingerprints)
    others = scan(texts, Scan(CONFIG, OTHER, EVERYTHING))["findings"]
    for column in ("fingerprint", "surrogate_fingerprint"):
        own = set(result["findings"][column].to_pylist()) - {None}
        assert own.isdisjoint(others[column].to_pylist())


def test_equal_values_in_two_documents_get_equal_surrogates():
    ends = [" is her address.", " is it, on 2009-11-02."]
    made = [f"Mail jane.roe@acme.com{end}" for end in ends]
    result = scan(made)
    first, second = (edited(text, result, n << 3) for n, text in enumerate(made))
    assert first.split()[1] == second.split()[1]
    assert is_surrogate(first.split()[1], "EMAIL_ADDRESS", KEY)


def test_dates_of_a_document_move_together():
    from datetime import date  # noqa: PLC0415

    made = ["Born 1979-03-14, seen 2009-11-02 and 2009-11-12."] * 6
    result = scan(made)
    shifts = []
    for n, text in enumerate(made):
        before, after = (
            [date.fromisoformat(one) for one in re.findall(r"\d{4}-\d\d-\d\d", each)]
            for each in (text, edited(text, result, n << 3))
        )
        days = {new - old for old, new in zip(before, after, strict=True)}
        assert len(days) == 1
        shifts += days
    assert len(set(shifts)) > 1
    assert all(shift.days for shift in shifts)


# Rejects.


def test_reject_document(texts):
    made = [*texts, "Mail jane.roe@acme.com.", "SSN 536-90-4399."]
    actions = (("*", "surrogate"), ("EMAIL_ADDRESS", "reject-document"))
    result = scan(made, Scan(CONFIG, KEY, actions))
    mails = [n << 3 for n, text in enumerate(made) if re.search("jane.roe@|bob@|PI:EMAIL", text)]
    mails += [n << 3 for n, text in enumerate(made) if "<EMAIL>" in text and n << 3 not in mails]
    rejects = result["rejects"].to_pylist()
    assert {row["doc"] for row in rejects} <= set(mails)
    assert {n << 3 for n, text in enumerate(made) if "@acme.com" in text} <= {
        row["doc"] for row in rejects
    }
    last = rejects[-1]
    assert (last["doc"], last["shard"], last["row"]) == (20 << 3, "a.jsonl", 20)
    assert last["reason"] == "holds EMAIL_ADDRESS, whose action is reject-document"
    gone = {row["doc"] for row in rejects}
    assert gone.isdisjoint(result["findings"]["doc"].to_pylist())
    assert gone.isdisjoint(result["replacements"]["doc"].to_pylist())
    assert 21 << 3 in result["findings"]["doc"].to_pylist()


def test_a_recogniser_that_raises(monkeypatch):
    class Named(Exception):
        pass

    scanner = scanner_of(CONFIG)
    mail = next(r for r in scanner._detector.recognizers if r.entity == "EMAIL_ADDRESS")

    def find(text, fired):
        raise Named(text)

    monkeypatch.setattr(mail, "find", find)
    made = ["SSN 536-90-4399.", "SSN 536-90-4399, jane.roe@acme.com", "pay 4539-5787-6362-1486"]
    result = scan(made)
    assert rows_of(result["rejects"]) == [(8, "a.jsonl", 1, "EmailRecognizer raised Named")]
    assert set(result["findings"]["doc"].to_pylist()) == {0, 16}
    assert set(result["replacements"]["doc"].to_pylist()) == {0, 16}


def test_a_document_beyond_the_limit():
    made = ["SSN 536-90-4399.", "jane.roe@acme.com " * 3, "語" * 20]
    result = scan(made, Scan(Config(max_chars=20), KEY, EVERYTHING))
    (reject,) = result["rejects"].to_pylist()
    assert (reject["doc"], reject["row"]) == (8, 1)
    assert re.fullmatch(r"\w+ reads at most 20 characters, not 54", reject["reason"])
    assert set(result["findings"]["doc"].to_pylist()) == {0}


def test_rows_that_could_not_be_read_are_not_rejected_again():
    rejects = [(3, "a.jsonl", 3, "no text"), (9, "b.jsonl", 1, "not JSON")]
    result = scan(["jane.roe@acme.com"], rejects=rejects)
    assert rows_of(result["rejects"]) == []


# Cut passages.


def cut_at(text, *passages, actions=EVERYTHING):
    """Findings as (value, action), and the replaced stretches."""
    spans = [(0, text.index(p), text.index(p) + len(p)) for p in passages]
    result = scan([text], Scan(CONFIG, KEY, actions, cut=True), spans=sorted(spans))
    stretches = [text[row["start"] : row["end"]] for row in result["replacements"].to_pylist()]
    return [(value, row["action"]) for value, row in values(text, result)], stretches


MAIL = "jane.roe@acme.com"
TEXT = f"Mail {MAIL} or pay 4539-5787-6362-1486, she said."


def test_findings_in_cut_passages():
    assert cut_at(TEXT, f"Mail {MAIL} or") == (
        [(MAIL, CUT), ("4539-5787-6362-1486", "surrogate")],
        ["4539-5787-6362-1486"],
    )
    assert cut_at(TEXT, MAIL)[0][0] == (MAIL, CUT)
    assert cut_at(TEXT, MAIL[:-1])[0][0] == (MAIL, "surrogate")
    assert cut_at(TEXT, MAIL[:8], MAIL[8:])[0][0] == (MAIL, CUT)  # they touch
    assert cut_at(TEXT, MAIL[:8], MAIL[9:])[0][0] == (MAIL, "surrogate")


def test_a_finding_that_reaches_out_of_a_cut_is_replaced_whole():
    findings, stretches = cut_at(TEXT, "Mail jane.roe@ac")
    assert findings[0] == (MAIL, "surrogate")
    assert stretches[0] == MAIL
    page = "see https://www.acme.com/jane.roe@acme.com/x now"
    findings, stretches = cut_at(page, "www.acme.com/jane.roe@acme.com")
    assert [value for value, action in findings if action == CUT] == []
    assert findings == [("https://www.acme.com/jane.roe@acme.com/x", "surrogate")]
    assert stretches == ["https://www.acme.com/jane.roe@acme.com/x"]


def test_a_cut_finding_rejects_no_document():
    actions = (("*", "surrogate"), ("EMAIL_ADDRESS", "reject-document"))
    findings, _ = cut_at(TEXT, f"Mail {MAIL}", actions=actions)
    assert findings == [(MAIL, CUT), ("4539-5787-6362-1486", "surrogate")]
    assert cut_at(TEXT, "Mail jane", actions=actions) == ([], [])


def random_cuts(random, text):
    starts = sorted(random.randint(0, len(text)) for _ in range(random.randint(0, 4)))
    return [(s, min(len(text), s + random.randint(1, 40))) for s in starts]


def test_random_cuts():
    for seed in range(20):
        random = Random(seed)
        made = [document(random)[0] for _ in range(4)]
        cuts = [random_cuts(random, text) for text in made]
        spans = [(n, *cut) for n, own in enumerate(cuts) for cut in own]
        result = scan(made, Scan(CONFIG, KEY, EVERYTHING, cut=True), seed, spans)
        replaced = defaultdict(set)
        for row in result["replacements"].to_pylist():
            replaced[row["doc"]].update(range(row["start"], row["end"]))
        for n, text in enumerate(made):
            gone = {at for start, end in cuts[n] for at in range(start, end)}
            rows = values(text, result, n << 3)
            for value, row in rows:
                offsets = set(range(row["start"], row["end"]))
                assert (offsets <= gone) == (row["action"] == CUT), (value, row["action"])
                if row["action"] == CUT:
                    assert not offsets & replaced[n << 3]
                else:
                    assert offsets <= replaced[n << 3]
            assert all(one["end"] <= two["start"] for (_, one), (_, two) in pairwise(rows))


# Other columns.


def test_other_columns_have_numbers():
    columns = {0: [None, "to jane.roe@acme.com"], 1: ["SSN 536-90-4399", ""]}
    stage = Scan(CONFIG, KEY, EVERYTHING, columns=("title", "note"), cut=True)
    made = ["Mail jane.roe@acme.com.", "nothing"]
    result = scan(made, stage, columns=columns, spans=[(0, 0, 23), (1, 0, 7)])
    found = [(r["doc"], r["field"], r["action"]) for r in result["findings"].to_pylist()]
    assert found == [(0, 0, CUT), (0, 2, "surrogate"), (8, 1, "surrogate")]
    assert result["replacements"]["field"].to_pylist() == [2, 1]
    new = edited(columns[0][1], result, 0, 2)
    assert new.startswith("to ")
    assert is_surrogate(new[3:], "EMAIL_ADDRESS", KEY)


def test_a_column_that_cannot_be_read_rejects_the_row():
    stage = Scan(Config(max_chars=40), KEY, EVERYTHING, columns=("title", "note"))
    long = "jane.roe@acme.com " * 3
    columns = {0: ["", long], 1: [long, ""], 2: ["", "jane.roe@acme.com"]}
    result = scan(["Mail jane.roe@acme.com."] * 3, stage, columns=columns)
    reasons = {row["doc"]: row["reason"] for row in result["rejects"].to_pylist()}
    assert set(reasons) == {0, 8}
    assert reasons[0].endswith("not 54 (column note)")
    assert reasons[8].endswith("not 54 (column title)")
    assert {row["doc"] for row in result["findings"].to_pylist()} == {16}
    actions = (("*", "keep"), ("US_SSN", "reject-document"))
    stage = Scan(CONFIG, KEY, actions, columns=("title",))
    result = scan(["x"], stage, columns={0: ["SSN 536-90-4399"]})
    (reject,) = result["rejects"].to_pylist()
    assert reject["reason"] == "holds US_SSN, whose action is reject-document (column title)"


def test_scanners_are_opened_once(monkeypatch):
    opened = []
    monkeypatch.setattr("unrote.pii.scanner_cache._thread", threading.local())
    monkeypatch.setattr(
        "unrote.pii.scanner.Scanner", lambda config: opened.append(config) or object()
    )
    one, two = Config(threshold=0.3), Config(threshold=0.2)
    assert scanner_of(one) is scanner_of(Config(threshold=0.3))
    assert scanner_of(two) is not scanner_of(one)
    assert opened == [one, two]
