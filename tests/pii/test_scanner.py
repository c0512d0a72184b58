"""All detectors together: what a marker claims is nobody's data, and nothing else is lost."""

import json
import re
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("presidio_analyzer")

from tests.examples import examples
from tests.pii import fuzz
from tests.pii.detecting import findings_of
from unrote import pii
from unrote.pii import Config
from unrote.pii.detector import Detector
from unrote.pii.findings import (
    DEID_MARKER,
    MARKER_TYPES,
    RESERVED_VALUE,
    DetectionFailed,
    Failure,
    Finding,
)
from unrote.pii.overlaps import prefer_markers
from unrote.pii.scanner import FINDINGS, Scanner, without_escapes
from unrote.pii.scanner_cache import scanner_of

LABELLED = Path(__file__).parent / "markers" / "positives.jsonl"
CONFIG = Config(threshold=0)
CLINICAL = "The patient was intubated for pneumonia and sent to the ICU. "
KEY_ENDS = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"


@pytest.fixture(scope="module")
def scanner():
    """Everything that any recogniser takes for something."""
    return Scanner(CONFIG)


@pytest.fixture(scope="module")
def usual():
    return Scanner()


def found(scanner, text):
    return [(text[f.start : f.end], f.type) for f in scanner.find(text)]


def covered(findings, text):
    """The offsets of letters and digits in findings."""
    return {at for f in findings for at in range(f.start, f.end) if text[at].isalnum()}


# What a recogniser says of these is in the second column; the third is what it is.
TAKEN_FOR = [
    ("Seen on [**2151-7-16**] again.", "DATE_TIME", "[**2151-7-16**]", DEID_MARKER),
    (CLINICAL + "CT on 2147-09-03 14:00.", "DATE_TIME", "2147-09-03 14:00", "SHIFTED_DATE"),
    (KEY_ENDS.format("<KEY>\nMIIEpAIBAAKCAQEA7bq3"), "SECRET", "<KEY>", DEID_MARKER),
    ("by PI:EMAIL:nnheo@example.comEND_PI", "URL", "PI:EMAIL:nnheo@example.comEND_PI", DEID_MARKER),
    ("Mail ychag@example.com today.", "EMAIL_ADDRESS", "ychag@example.com", DEID_MARKER),
    ("deny from 172.16.31.10", "IP_ADDRESS", "172.16.31.10", DEID_MARKER),
    ("at fc00:e968:6179::de52:7100", "IP_ADDRESS", "fc00:e968:6179::de52:7100", DEID_MARKER),
    ("Send it to email@example.com soon.", "EMAIL_ADDRESS", "email@example.com", DEID_MARKER),
    ("the server 22.214.171.124 is down", "IP_ADDRESS", "22.214.171.124", DEID_MARKER),
    ("From: no_address@enron.com", "EMAIL_ADDRESS", "no_address@enron.com", DEID_MARKER),
    ("see http://url.removed for it", "URL", "http://url.removed", DEID_MARKER),
    ("pay 4111 1111 1111 1111 now", "CREDIT_CARD", "4111 1111 1111 1111", RESERVED_VALUE),
    ("SSN: 078-05-1120 it was", "PHONE_NUMBER", "078-05-1120", RESERVED_VALUE),
    ("(078-05-1120) it was", "PHONE_NUMBER", "078-05-1120", RESERVED_VALUE),
    ("call (212) 555-0173 now", "PHONE_NUMBER", "(212) 555-0173", RESERVED_VALUE),
    ("Mail john.doe@example.com now", "URL", "john.doe@example.com", RESERVED_VALUE),
]


@pytest.mark.parametrize(("text", "taken_for", "marker", "type_"), TAKEN_FOR)
def test_what_recognisers_take_for_personal_data(scanner, text, taken_for, marker, type_):
    start, end = text.index(marker), text.index(marker) + len(marker)
    plain = findings_of(scanner._detector, text)
    assert any(f.type == taken_for and f.start < end and start < f.end for f in plain), "no trap"
    over = [f for f in scanner.find(text) if f.start < end and start < f.end]
    assert [(text[f.start : f.end], f.type) for f in over] == [(marker, type_)]


def test_no_marker_of_the_labelled_set_is_personal_data(scanner):
    trapped = 0
    for line in LABELLED.read_text().splitlines():
        text = json.loads(line)["text"]
        findings = scanner.find(text)
        traces = [f for f in findings if f.type in MARKER_TYPES]
        own = [f for f in findings if f.type not in MARKER_TYPES]
        for trace in scanner._markers.find(text):
            held = [f for f in own if f.start <= trace.start and trace.end <= f.end]
            assert trace in traces or (trace.type == RESERVED_VALUE and held)
            assert not (trace.type == DEID_MARKER and held)
        claimed = covered(traces, text)
        assert not claimed & covered(own, text)
        plain = covered(findings_of(scanner._detector, text), text)
        assert plain | claimed == covered(findings, text)
        trapped += bool(plain & claimed)
    assert trapped > 60


def test_what_lies_beyond_a_marker_is_still_found(usual):
    assert found(usual, "It was [**2151-7-16**]-2020-01-01.") == [
        ("[**2151-7-16**]", DEID_MARKER),
        ("2020-01-01", "DATE_TIME"),
    ]
    pieces = found(usual, "git clone https://PI:KEY:<KEY>END_PI@git.acme.com/x")
    assert ("PI:KEY:<KEY>END_PI", DEID_MARKER) in pieces
    assert ("git.acme.com/x", "URL") in pieces
    key = KEY_ENDS.format("<KEY>\nMIIEpAIBAAKCAQEA7bq3")
    assert [kind for _, kind in found(usual, key)] == ["SECRET", DEID_MARKER, "SECRET"]
    assert "MIIEpAIBAAKCAQEA7bq3" in found(usual, key)[2][0]


def test_reserved_values(usual):
    assert found(usual, "See 078-05-1120/536-90-4399.") == [
        ("078-05-1120", RESERVED_VALUE),
        ("536-90-4399", "US_SSN"),
    ]
    page = "https://git.acme.com/user@example.com/x"
    assert (page, "URL") in found(usual, page)
    assert RESERVED_VALUE not in {type_ for _, type_ in found(usual, page)}
    more = "Mail mail+user@example.com.au please."
    assert ("mail+user@example.com.au", "EMAIL_ADDRESS") in found(usual, more)


def test_without_markers(usual):
    plain = Scanner(Config(markers=False))
    text = "Mail ychag@example.com, or [**Known lastname 742**]."
    assert [type_ for _, type_ in found(usual, text)] == [DEID_MARKER, DEID_MARKER]
    assert {type_ for _, type_ in found(plain, text)} == {"EMAIL_ADDRESS", "URL"}


def test_the_marker_threshold():
    text = "Mail ychag@example.com today."
    assert DEID_MARKER not in {
        type_ for _, type_ in found(Scanner(Config(marker_threshold=1)), text)
    }


SPANS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 9)).filter(lambda s: sum(s) <= 20), max_size=8
)


def reference(text, own, traces):
    """Character by character: what has which trace, and what of each finding has none."""
    kept = [
        t
        for t in traces
        if t.type == DEID_MARKER
        or not any(
            f.start <= t.start
            and t.end <= f.end
            and any(text[at].isalnum() for at in range(f.start, f.end)
                    if not t.start <= at < t.end)
            for f in own
        )
    ]  # fmt: skip
    claimed = {at for t in kept for at in range(t.start, t.end)}
    pieces = set()
    for f in own:
        free = [at for at in range(f.start, f.end) if at not in claimed]
        whole = len(free) == f.end - f.start
        runs, here = [], []
        for at in free:
            if here and at != here[-1] + 1:
                runs, here = [*runs, here], []
            here.append(at)
        for run in [*runs, here]:
            while not whole and run and text[run[0]].isspace():
                run = run[1:]
            while not whole and run and text[run[-1]].isspace():
                run = run[:-1]
            if whole or any(text[at].isalnum() for at in run):
                pieces.add((run[0], run[-1] + 1, f.type))
    return kept, pieces


@examples(300)
@given(st.text("ab1 .-(", min_size=20, max_size=20), SPANS, SPANS, st.data())
def test_markers_are_preferred_like_the_reference(text, own, marked, data):
    own = [Finding(s, s + n, data.draw(st.sampled_from("AB")), 0.5, "test") for s, n in own]
    traces, here = [], 0
    for start, size in sorted(marked):
        if start >= here:
            kind = data.draw(st.sampled_from([DEID_MARKER, RESERVED_VALUE]))
            here = start + size
            traces.append(Finding(start, here, kind, 0.9, "test", "PERSON"))
    result = prefer_markers(text, [*own, *traces])
    kept, pieces = reference(text, own, traces)
    assert result == sorted(result)
    assert [f for f in result if f.type in MARKER_TYPES] == kept
    assert {f[:3] for f in result if f.type not in MARKER_TYPES} == pieces


PLANTED = {
    "EMAIL_ADDRESS": "jane.roe@acme.com",
    "US_SSN": "536-90-4399",
    "CREDIT_CARD": "4539578763621486",
    "IP_ADDRESS": "81.2.69.160",
    "IBAN_CODE": "GB56HXDO88167774656119",
    "SECRET": "AKIAZ2J4N5Q7RT3WXV6Y",
    DEID_MARKER: "[**Known lastname 742**]",
}
WORDS = st.lists(
    st.sampled_from(["шо", "語", "né\u0301e", "🎉", "and", "(b)", "___", "a\x00b", "-", "\u200b"]),
    max_size=6,
)


@examples(120)
@given(st.lists(st.tuples(WORDS, st.sampled_from(sorted(PLANTED))), min_size=1, max_size=4))
def test_offsets_slice_the_text(usual, parts):
    text, planted = "", set()
    for words, type_ in parts:
        text += " ".join([*words, ""])
        planted.add((len(text), len(text) + len(PLANTED[type_]), type_))
        text += PLANTED[type_] + " \n"
    findings = usual.find(text)
    assert planted <= {f[:3] for f in findings}
    assert findings == sorted(findings)


@examples(80)
@given(st.data())
def test_findings_are_sorted_and_in_the_text(scanner, data):
    text = data.draw(fuzz.texts(CONFIG.entries))
    text += data.draw(st.sampled_from(TAKEN_FOR))[0] + data.draw(fuzz.texts(CONFIG.entries))
    findings = scanner.find(text)
    assert findings == sorted(findings)
    assert all(0 <= f.start < f.end <= len(text) for f in findings)
    traces = [f for f in findings if f.type in MARKER_TYPES]
    assert all(one.end <= other.start for one, other in pairwise(traces))
    plain = findings_of(scanner._detector, text)
    assert covered(findings, text) == covered(plain, text) | covered(traces, text)


# Without an answer.

SECRET_TEXT = "jane.roe@acme.com [**Known lastname 742**]"


class Broken:
    def __init__(self, error):
        self.error = error

    def find(self, text):
        raise self.error


def test_a_marker_detector_that_raises(monkeypatch):
    scanner = Scanner()
    monkeypatch.setattr(scanner, "_markers", Broken(ValueError(SECRET_TEXT)))
    assert scanner.find(SECRET_TEXT, 7) == Failure(7, "DeidDetector", "raised ValueError")


def test_a_recogniser_that_raises(monkeypatch):
    scanner = Scanner()
    broken = next(r for r in scanner._detector.recognizers if r.entity == "EMAIL_ADDRESS")

    def find(text, fired):
        raise LookupError(text)

    monkeypatch.setattr(broken, "find", find)
    assert scanner.find(SECRET_TEXT, 7) == Failure(7, "EmailRecognizer", "raised LookupError")
    table, failures = scanner.table(["nothing", SECRET_TEXT, "[**Known lastname 742**]"])
    assert table["doc"].to_pylist() == [2]
    assert [failure.doc for failure in failures] == [1]


def test_texts_without_an_answer():
    scanner = Scanner(Config(max_chars=30))
    for text, origin in ((SECRET_TEXT, None), ("jane.roe@acme.com \ud800", "Scanner")):
        failure = scanner.find(text)
        assert isinstance(failure, Failure)
        assert origin in (None, failure.origin)
        assert "jane" not in failure.reason
    with pytest.raises(DetectionFailed, match="at most 30 characters") as raised:
        pii.scan(["", SECRET_TEXT], Config(max_chars=30))
    assert "jane" not in str(raised.value)
    assert raised.value.__cause__ is None
    with pytest.raises(DetectionFailed, match="lone surrogates") as raised:
        pii.scan(["\ud800 jane.roe@acme.com"])
    assert raised.value.__context__ is None


def test_a_table_says_what_find_says(usual):
    texts = ["", SECRET_TEXT, "no", "From: (b)(6)\nTo: (b)(6), jane.roe@acme.com"]
    table, failures = usual.table(texts)
    assert not failures
    assert table.schema == FINDINGS
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows == [(doc, *f) for doc, text in enumerate(texts) for f in usual.find(text)]


@examples(200)
@given(st.text("\\nx1- ", max_size=30))
def test_an_escape_is_one_whose_backslash_is_not_escaped(text):
    """As one expression says it, which takes longer."""
    whole = re.compile(r"(?<!\\)(?:\\\\)*\\[nrt](?=[+(]{0,2}[0-9A-Za-z][0-9A-Za-z ]{0,7}[0-9:.-])")
    spaced, behind = without_escapes(text)
    assert spaced == whole.sub(lambda match: match[0][:-1] + " ", text)
    assert behind == {match.end() for match in whole.finditer(text)}


ESCAPED = [
    *("SSN:\\n536-90-4399", "\\tjane.roe@acme.org", "\\n81.2.69.160", "\\r(415) 664-7665 x"),
    *("\\\\n2021-03-04 seen", "phone", " ", "\n", "words of a line " * 40, "é", "\\n2125551234, "),
    *("\\n4539 5787 6362 1486", "call me: ", "https://x.org/\\nab1.org/c", '"', "Jane Roe "),
]


@examples(30)
@given(st.lists(st.sampled_from(ESCAPED), max_size=12).map("".join))
def test_what_begins_behind_an_escape_is_found_in_its_lines(text):
    scanner = scanner_of(Config())
    found = scanner.find_all(text)
    detector = scanner._detector
    with mock.patch.object(
        detector, "find_bytes", lambda *args: Detector.find_bytes(detector, *args[:3])
    ):
        assert scanner.find_all(text) == found
