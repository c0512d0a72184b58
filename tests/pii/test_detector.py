import socket
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("presidio_analyzer")

from presidio_analyzer.predefined_recognizers.generic import iban_recognizer

from tests.examples import examples
from tests.pii.detecting import findings_of
from unrote.pii import Config, scan
from unrote.pii.detector import Detector
from unrote.pii.findings import DetectionFailed, Failure
from unrote.pii.scanner import FINDINGS, Scanner

TEXT = (
    "Mail jane.roe@unrote.org or call (415) 555-2671.\n"
    "Her SSN is 536-90-4399; see https://www.unrote.org/x.\n"
)


def short(findings):
    return {(f.type, f.start, f.end) for f in findings}


@pytest.fixture(scope="module")
def detector():
    return Detector(Config())


def test_scan_gives_a_table():
    table = scan(["nothing here", TEXT, "", "é " + TEXT])
    assert table.schema == FINDINGS
    rows = table.to_pylist()
    assert {row["doc"] for row in rows} == {1, 3}
    mails = [row for row in rows if row["type"] == "EMAIL_ADDRESS"]
    assert [(r["doc"], r["start"], r["end"], r["score"]) for r in mails] == [
        (1, 5, 24, 1.0),
        (3, 7, 26, 1.0),
    ]
    assert {row["origin"] for row in mails} == {"EmailRecognizer"}


def test_scan_of_nothing():
    assert scan([]).num_rows == 0


def test_scan_reads_slices_of_any_string_array():
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["x", TEXT, "y"], kind).slice(1)
        assert set(scan(array).column("doc").to_pylist()) == {0}


def test_context_raises_a_score():
    text = "My social security number is 536904399."
    config = Config(recognizers=("US_SSN",), secrets=False, names=False, addresses=False)
    assert [f.score for f in findings_of(Detector(config), text)] == [0.4]
    assert not findings_of(Detector(replace(config, context=False)), text)
    assert [
        f.score for f in findings_of(Detector(replace(config, context=False, threshold=0)), text)
    ] == [0.05]


def test_thresholds_by_entity():
    config = Config(thresholds=(("URL", 0.9),), secrets=False, names=False, addresses=False)
    assert "URL" not in {f.type for f in findings_of(Detector(config), TEXT)}


def test_allow_lists(detector):
    assert "jane.roe@unrote.org" in {TEXT[f.start : f.end] for f in findings_of(detector, TEXT)}
    exact = Detector(Config(allow=("jane.roe@unrote.org",)))
    assert "EMAIL_ADDRESS" not in {f.type for f in findings_of(exact, TEXT)}
    regex = Detector(Config(allow_regex=(r"unrote\.ORG",)))
    left = [TEXT[f.start : f.end] for f in findings_of(regex, TEXT)]
    assert left
    assert not any("unrote.org" in text for text in left)


def test_a_document_beyond_a_limit_is_a_failure(detector):
    small = Detector(Config(limits=(("US_SSN", 20),)))
    assert findings_of(small, "x" * 20) == []
    long = small.find_bytes(b"x" * 21, 7)
    assert long == Failure(7, "UsSsnRecognizer", "reads at most 20 characters, not 21")
    assert findings_of(small, "é" * 20) == []  # characters, not bytes


def test_a_failure_does_not_touch_other_documents():
    small = Scanner(Config(limits=(("US_SSN", 200),)))
    table, failures = small.table([TEXT, "x" * 201, TEXT])
    assert [failure.doc for failure in failures] == [1]
    assert set(table.column("doc").to_pylist()) == {0, 2}


def test_scan_raises_for_a_failure():
    with pytest.raises(DetectionFailed, match=r"Text 1: .*Scanner\.table"):
        scan(["a", "b" * 100], Config(max_chars=50))


@pytest.mark.parametrize("prefilter", [True, False])
def test_a_recogniser_that_raises_is_a_failure_without_text(prefilter):
    broken = Detector(Config(prefilter=prefilter))
    (ssn,) = [r for r in broken.recognizers if r.entity == "US_SSN"]

    def raises(text):
        raise ValueError(text)

    ssn.presidio.invalidate_result = raises
    assert findings_of(broken, "no number") == []
    failure = broken.find_bytes(TEXT.encode())
    assert failure == Failure(0, "UsSsnRecognizer", "raised ValueError")


def test_an_expression_that_runs_out_of_time_is_a_failure():
    slow = Detector(
        Config(
            recognizers=("EMAIL_ADDRESS",),
            max_seconds=1e-9,
            secrets=False,
            names=False,
            addresses=False,
        )
    )
    failure = slow.find_bytes(("a-" * 20_000 + "@b.example.com").encode())
    assert isinstance(failure, Failure)
    assert "took more than" in failure.reason


def test_presidios_own_time_limit_cannot_let_text_pass(monkeypatch):
    monkeypatch.setattr("presidio_analyzer.pattern_recognizer.REGEX_TIMEOUT_SECONDS", 1e-9)
    monkeypatch.setattr(iban_recognizer, "REGEX_TIMEOUT_SECONDS", 1e-9)
    hurried = Detector(
        Config(recognizers=("IBAN_CODE",), secrets=False, names=False, addresses=False)
    )
    assert isinstance(hurried.find_bytes(b"DE89370400440532013000 " * 50), Failure)


def test_lone_surrogates_are_refused():
    with pytest.raises(DetectionFailed, match="surrogates"):
        scan(["a\ud800b"])


def test_no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    # Compiling a prefilter for so many takes most of a minute, and asks nobody either.
    fresh = Detector(Config(recognizers=("all",), threshold=0, prefilter=False))
    key = "xoxb-" + "590217384461-847261905532-aQm7ZrXkTbVwLhNcYdPfSgJt"
    types = {f.type for f in findings_of(fresh, f"{TEXT} {key} é a.b@c.co.uk")}
    assert {"EMAIL_ADDRESS", "SECRET", "URL"} <= types


def test_without_hyperscan_the_findings_are_the_same(monkeypatch, caplog, detector):
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    plain = Detector(Config())
    assert "hyperscan cannot be imported" in caplog.text
    for text in (TEXT, "é " + TEXT, "", "\n\n"):
        assert findings_of(plain, text) == findings_of(detector, text)


def test_configuring_loads_no_presidio():
    code = "import pii, sys; pii.Config(); sys.exit('presidio_analyzer' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


EMAIL = next(one for one in Detector().recognizers if one.entity == "EMAIL_ADDRESS")


@examples(200)
@given(
    st.text("a1._%+-/?#&:[é", min_size=1, max_size=6),
    st.lists(
        st.sampled_from(["a", "co", "uk", "com", "pl", "xn--p1ai", "q", "1", "127"]), min_size=1
    ).map(".".join),
)
def test_an_address_is_checked_by_its_host(name, host):
    address = f"{name}@{host}"
    assert EMAIL._score(address, 0.5) == bool(EMAIL.presidio.validate_result(address))


@examples(300)
@given(
    st.lists(
        st.sampled_from(
            ["jane", "roe", "acme.com", "xn--p1ai", "Ж", "é", "ſ", "中", "ab.org", "1", "\u0301"]
        )
        | st.sampled_from([*"@@@@..-_+/=?'`{ \n(<:,\\%"]),
        max_size=25,
    ).map("".join)
)
def test_addresses_are_those_that_finditer_finds(text):
    for expression, _ in EMAIL._patterns:
        found = [match.span() for match in EMAIL._from_signs(expression, text)]
        assert found == [match.span() for match in expression.finditer(text)]


def test_presidio_s_expression_of_addresses_is_the_known_one():
    assert EMAIL._is_known
