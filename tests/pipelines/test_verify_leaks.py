"""Values are put into a small run of one shard, and verify looks for what is left of them."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipelines.test_verify import PASSAGE, TEXTS, A, B, D, E, Run
from unrote.pipelines.verify import Verdict, verify
from unrote.pipelines.verify.shapes import values_in
from unrote.pipelines.verify.spellings import Spelled

GITHUB = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
JWT = f"{HEADER}.eyJzdWIiOiIxMjM0NTY3ODkwIn0.L1mHoOsFaQfDPrAJ71fTquWoGs"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA7bq\n" * 5 + "-----END"
CARD = "4539 5794 5807 3025"
IBAN = "DE63500105175407364262"
MAIL = "mara.voss@voss.org"

VALUES = {
    GITHUB: "SECRET",
    "gho_" + GITHUB[4:]: "SECRET",
    "ghs_" + GITHUB[4:]: "SECRET",
    "glpat-aB3dE6gH9jK2mN5pQ8sT": "SECRET",
    "AKIAQWERTZUIOPASDFGH": "SECRET",
    "xoxb-123456789012-aB3dE6gH9jK2mN5p": "SECRET",
    "sk_live_aB3dE6gH9jK2mN5pQ8sT1vW4": "SECRET",
    "AIza" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ": "SECRET",
    "npm_" + GITHUB[4:]: "SECRET",
    JWT: "SECRET",
    "https://bot:hunter22@host/": "SECRET",
    KEY: "SECRET",
    MAIL: "EMAIL_ADDRESS",
    CARD: "CREDIT_CARD",
    CARD.replace(" ", ""): "CREDIT_CARD",
    IBAN: "IBAN_CODE",
    "GB33 BUKB 2020 1555 5555 55": "IBAN_CODE",
}


@pytest.mark.parametrize(("value", "type_"), VALUES.items())
def test_shapes(value: str, type_: str) -> None:
    text = f"Then: {value} and so on."
    assert [found.type for found in values_in(text)] == [type_]
    found = next(values_in(text))
    assert text[found.start : found.end] in value


@pytest.mark.parametrize(
    "text",
    [
        "someone@example.com, a@b.example.org, icon@2x.png, git@host:path, user@host",
        "4539 5794 5807 3026 and 45395794580730251234 and 4111 1111 1111 1111",
        "DE63500105175407364263 and XX63500105175407364262",
        "AKIAIOSFODNN7EXAMPLE, ghp_short, sk_live_, https://user:$PASSWORD@host/",
        "https://host:8080/@name and eyJhbGciOi.eyJ.x",
        "ftp://anonymous:e@ftp.kestrel.org and https://token@git.kestrel.org/x",
        "",
    ],
)
def test_no_shapes(text: str) -> None:
    assert list(values_in(text)) == []


@pytest.mark.parametrize(
    "part",
    [
        "eyJ-",
        "a.",
        "a@a.",
        "4539 ",
        "DE63 5001 ",
        "://a:",
        "-----BEGIN PRIVATE KEY-----\n",
        "+-%40",
    ],
)
def test_long_texts_of_beginnings_take_no_longer_than_their_length(part: str) -> None:
    started = time.process_time()
    list(values_in(part * 100_000))
    Spelled(part * 100_000).holds(["453945", "a@a@a@"])
    assert time.process_time() - started < 20  # seconds; each again for each would take hours


SPELLINGS = {
    MAIL: ["MARA.VOSS@VOSS.ORG", "mara.voss%40voss.org", "mara.voss&#64;voss.org",
           "mara.voss&#x40;voss.org", "mara.voss&commat;voss.org", "mara.voss\\u0040voss.org",
           "mara-voss@voss.org", "mara.voss @ voss.org"],
    CARD: ["4539579458073025", "4539-5794-5807-3025", "4539\u20135794\u20135807\u20133025",
           "4539\u00a05794\u202f5807\u20093025", "4539.5794.5807.3025",
           "4539%205794%205807%203025"],
    IBAN: [IBAN.lower(), "DE63 5001 0517 5407 3642 62", "DE63-5001-0517-5407-3642-62"],
}  # fmt: skip


@pytest.mark.parametrize(("value", "other"), [(v, o) for v, os in SPELLINGS.items() for o in os])
def test_spellings(value: str, other: str) -> None:
    core = Spelled(value).core
    for text in (other, f"Then {other}, and so on.", f"({other})"):
        assert Spelled(text).holds([core]) == {core}, text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (CARD, "99945395794580730251"),
        (CARD, "1 4539 5794 5807 3025"),
        (CARD, "4539 5794\n5807 3025"),
        ("0.333333333", "0.333333333333"),
        ("+35236450.6", "quantize(35236450.6)"),
        (MAIL, "tamara.voss@voss.org"),
        (MAIL, "mara.voss@voss.organic"),
        (MAIL, "mara voss, voss.org"),
    ],
)
def test_no_spellings(value: str, text: str) -> None:
    assert Spelled(text).holds([Spelled(value).core]) == set()


@given(st.text("ab1 .-\u2013@%4&#;6\n", max_size=40))
def test_a_text_is_found_in_itself_alone_or_among_words(text: str) -> None:
    core = Spelled(text).core
    if len(core) >= 6 and "\n" not in core:
        assert Spelled(f"so: {text} :so").holds([core]) == {core}


def finding(text: str, value: str, type_: str) -> dict[str, Any]:
    start = text.index(value)
    return {
        "doc": D, "field": 0, "start": start, "end": start + len(value), "type": type_,
        "score": 1.0, "action": "surrogate", "origin": "o", "stands_for": "",
        "fingerprint": value, "surrogate_fingerprint": "s",
    }  # fmt: skip


PII = {
    "enabled": True, "columns": [], "recognizers": ["default"], "without": [], "secrets": True,
    "everywhere": False,
    "actions": {}, "allow": [], "allow_regex": [],
}  # fmt: skip


Made = Callable[[str, str, list[tuple[str, str]]], Run]


@pytest.fixture
def of_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """The run of test_verify with another text in d.txt, what is released of that, and findings."""

    def made(text: str, released: str, found: list[tuple[str, str]]) -> Run:
        monkeypatch.setitem(TEXTS, D, text)
        run = Run(tmp_path)
        run.table("spans", [row for row in run.rows("spans") if row["doc"] != D])
        run.settings["pii"] |= PII
        run.data(3, "d.txt", released.encode())
        run.table("findings", [finding(text, value, type_) for value, type_ in found])
        return run

    return made


def failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if check.failed}


def test_a_secret_that_no_table_knows(of_text: Made) -> None:
    run = of_text(f"token: {GITHUB}", f"token: {GITHUB}", [])
    verdict = run.verify()
    assert failed(verdict) == {"secrets"}
    assert not any(GITHUB[4:] in failure for c in verdict.checks for failure in c.failures)


def test_a_secret_that_was_half_replaced(of_text: Made) -> None:
    run = of_text(f"token: {GITHUB}", f"token: xyz{GITHUB[3:]}", [("ghp", "SECRET")])
    assert failed(run.verify()) == {"secrets"}


def test_a_secret_that_was_replaced(of_text: Made) -> None:
    other = GITHUB.swapcase().replace("GHP_", "ghp_")
    run = of_text(f"token: {GITHUB}", f"token: {other}", [(GITHUB, "SECRET")])
    assert failed(run.verify()) == set()


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (GITHUB, {"enabled": False}),
        (GITHUB, {"secrets": False}),
        (GITHUB, {"actions": {"SECRET": "keep"}}),
        (GITHUB, {"actions": {"*": "keep"}}),
        (GITHUB, {"allow": [GITHUB]}),
        (MAIL, {"allow_regex": ["voss"]}),
        (MAIL, {"recognizers": ["US_SSN"]}),
        (MAIL, {"without": ["EMAIL_ADDRESS"]}),
    ],
)
def test_what_the_settings_leave_alone(
    of_text: Made, value: str, change: dict[str, object]
) -> None:
    run = of_text(f"Mail {value}", f"Mail {value}", [])
    assert failed(run.verify()) == {"secrets"}
    run.settings["pii"] |= change
    assert failed(run.verify()) == set()


@pytest.mark.parametrize("other", SPELLINGS[CARD])
def test_a_value_in_another_spelling(of_text: Made, other: str) -> None:
    text = f"Her card is {CARD} here, and as {other} there"
    released = text.replace(CARD, "4598 7439 8919 7244", 1)
    run = of_text(text, released, [(CARD, "CREDIT_CARD")])
    assert "spellings" in failed(run.verify())
    again = released.replace(other, "4598743989197244")
    run.table("findings", [*run.rows("findings"), finding(text, other, "CREDIT_CARD")])
    run.data(3, "d.txt", again.encode())
    assert failed(run.verify()) == set()


def test_edited_manifest(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.commit()
    path = run.out / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["settings"]["dedup"]["near"]["threshold"] = 0.7
    path.write_text(json.dumps(manifest))
    assert names(run) == {"manifest"}
    del manifest["digest"]
    path.write_text(json.dumps(manifest))
    assert names(run) == {"manifest"}


@pytest.mark.parametrize("name", ["metrics.prom", "report.html", "report.json"])
def test_edited_report(tmp_path: Path, name: str) -> None:
    run = Run(tmp_path)
    content = (run.out / name).read_bytes()
    (run.out / name).write_bytes(content + b" ")
    assert names(run) == {"reports"}
    (run.out / name).unlink()
    assert "reports" in names(run)


def names(run: Run) -> set[str]:
    return failed(verify(str(run.out)))


def test_a_twin_may_be_a_remainder_whose_text_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B + 2 is nothing but passages of A, and went. E is the same text and names it as its twin."""
    monkeypatch.setitem(TEXTS, E, PASSAGE)
    run = Run(tmp_path)
    run.change("duplicates", E, twin=B + 2)
    assert failed(run.verify()) == set()
    row = {"doc": A, "reason": "remainder", "twin": None, "similarity": None}
    run.table("duplicates", [row, *run.rows("duplicates")])
    assert "kept twins" in failed(run.verify())


def test_a_twin_whose_way_leads_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS, E, PASSAGE)
    run = Run(tmp_path)
    run.change("duplicates", E, twin=B + 2)
    rows = run.rows("spans")
    loop = [row | {"witness": B + 2} if row["doc"] == B + 2 else row for row in rows]
    run.table("spans", loop)
    assert "kept twins" in failed(run.verify())
