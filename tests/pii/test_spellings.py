"""A value is found in each of its canonically equal spellings, at the offsets of the text's own."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("presidio_analyzer")

from tests.examples import examples
from unrote.corpus.normalization import Normalization
from unrote.pii.config import ACTIONS_BY_DEFAULT, Config
from unrote.pii.keys import Key
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing import edited_text, scrub_text
from unrote.pii.scrubbing.texts import scrub_texts

KEY = Key(b"the key of the tests, of 32 or so")

PARTS = [
    "Écrivez à rené.dupré@acmé.fr", "renée@example.fr", "http://renée:pässwörd77ü@host.com/",
    "Übung [**Näme**]", "SSN 536-90-4399 für Zoë", "naïve", "오늘 jane.roe@acme.com", "ấ",
    'clé = "é9Zq4Lm2Xv7Tn5Rb8Wc3"', "[**Nom de l’hôpital**]",
]  # fmt: skip


def found_in(text):
    return [
        (text[f.start : f.end], f.type, f.score, f.origin) for f in scanner_of(Config()).find(text)
    ]


@examples(40)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5))
def test_findings_in_both_spellings(parts):
    text = unicodedata.normalize("NFC", ", ".join(parts))
    other = unicodedata.normalize("NFD", text)
    ours, theirs = found_in(text), found_in(other)
    assert ours == [(unicodedata.normalize("NFC", value), *rest) for value, *rest in theirs]


@examples(40)
@given(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=5),
    st.sampled_from([ACTIONS_BY_DEFAULT, {"*": "remove"}, {"*": "mask"}, {"*": "hash"}]),
)
def test_scrubbed_in_both_spellings(parts, actions):
    """The results are canonically equal, and what is not edited stays as it was."""
    text = unicodedata.normalize("NFC", ", ".join(parts))
    other = unicodedata.normalize("NFD", text)
    texts, findings = [], []
    for one in (text, other):
        done = scrub_texts([one], ["x"], Config(), actions, KEY)
        assert not done.rejected
        texts.append(done.texts[0])
        findings.append(done.findings.select(["type", "action", "fingerprint"]).to_pylist())
    assert unicodedata.normalize("NFC", texts[1]) == texts[0]
    assert findings[0] == findings[1]
    scrubbed = scrub_text(other, scanner_of(Config()), actions, KEY, "x")
    assert edited_text(other, scrubbed.edits) == texts[1]
    if actions is ACTIONS_BY_DEFAULT:
        again = scrub_texts([texts[1]], ["x"], Config(), actions, KEY)
        assert again.texts == [texts[1]]


def test_the_allow_list_is_read_in_the_form():
    text = unicodedata.normalize("NFD", "Mail rené@acme.com")
    (finding,) = scanner_of(Config(recognizers=("EMAIL_ADDRESS",))).find(text)
    value = unicodedata.normalize("NFC", text[finding.start : finding.end])
    for spelled in (value, unicodedata.normalize("NFD", value)):
        allowed = Config(recognizers=("EMAIL_ADDRESS",), allow=(spelled,))
        assert not scanner_of(allowed).find(text)


def test_full_width_by_a_setting():
    text = "Mail jane．roe＠acme．com now"
    config = Config(normalization=Normalization("nfkc"))
    spans = {(f.start, f.end) for f in scanner_of(config).find(text) if f.type == "EMAIL_ADDRESS"}
    assert spans == {(5, 22)}
    scrubbed = scrub_text(text, scanner_of(config), {"*": "remove"}, KEY, "x")
    assert edited_text(text, scrubbed.edits) == "Mail now"


def test_soft_hyphens_and_references_by_a_setting():
    text = "Mail jane.r\u00adoe&#64;acme.com now"
    config = Config(normalization=Normalization(drop_ignorable=True, unescape_html=True))
    scrubbed = scrub_text(text, scanner_of(config), {"*": "remove"}, KEY, "x")
    assert edited_text(text, scrubbed.edits) == "Mail now"
