"""Street addresses: found whole, told from what looks like them, and replaced in their shape."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pii_addresses import labelled, measure
from tests.examples import examples
from unrote.pii.address_words import lists
from unrote.pii.addresses import Addresses
from unrote.pii.config import Config, actions_for, default_config
from unrote.pii.detector import Detector
from unrote.pii.keys import Key
from unrote.pii.scrubbing import scrub_texts
from unrote.pii.surrogates import is_surrogate, surrogate

KEY = Key(b"k" * 32)
TEXTS = lists()["texts"]
ONLY = Config(recognizers=("UUID",), secrets=False, names=False)
DETECTOR = Detector(ONLY)


def found(text):
    findings = DETECTOR.find_bytes(text.encode())
    return [text[f.start : f.end] for f in findings if f.type == "ADDRESS"]


def plain(text):
    return text.replace("«", "").replace("»", "")


def scrubbed(text):
    (new,) = scrub_texts([text], ["d"], default_config(), actions_for(), KEY).texts
    return new


@pytest.mark.parametrize("text", TEXTS["examples"])
def test_an_address_is_found_whole_and_replaced_once(text):
    wanted = re.findall("«(.*)»", text, re.DOTALL) or [text]
    assert found(plain(text)) == wanted
    once = scrubbed(plain(text))
    assert wanted[0] not in once
    assert scrubbed(once) == once


@pytest.mark.parametrize("text", TEXTS["counterexamples"])
def test_what_only_looks_like_an_address_is_none(text):
    assert found(text) == []


def test_precision_and_recall_on_made_sentences():
    tallies = measure(labelled(each=4))
    every, seen = tallies["all"], tallies["seen"]
    assert every["right"] >= 0.95 * every["findings"]
    assert seen["found"] >= 0.85 * seen["labels"]


def test_the_prefilter_fires_wherever_an_address_is():
    unfiltered = Addresses(ONLY)
    every = range(len(unfiltered.expressions))
    for sample in labelled(each=3):
        spans = unfiltered.whole(sample.text, unfiltered.find(sample.text, every))
        assert found(sample.text) == [sample.text[s.start : s.end] for s in spans]


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("12 Main Street", r"\d\d [A-Z][a-z]+ Street"),
        ("Hauptstraße 12, 10115 Berlin", r"[A-Z][a-z]+straße \d\d, \d{5} [A-Z][a-z]+"),
        ("350 5th Avenue", r"\d{3} [a-z]+ Avenue"),
        ("1012 PH Amsterdam", r"\d{4} [A-Z]{2} [A-Z][a-z]+"),
        ("P.O. Box 123", r"P\.O\. Box \d{7}"),
        ("Rua das Flores, nº 7", r"Rua das [A-Z][a-z]+, nº \d"),
    ],
)
def test_a_surrogate_has_the_shape_of_its_address(value, shape):
    new = surrogate(value, "ADDRESS", KEY)
    assert re.fullmatch(shape, new)
    assert is_surrogate(new, "ADDRESS", KEY)


_PIECES = st.sampled_from([
    "12", " ", "Main", "Street", ", ", "\n", "IL", "62704", "Straße", "Berlin", "rue de la",
    "P.O. Box", "Via", "nº", "SW1A 2AA", "5th", "é", "Avenue", "#", "S/N", "Apt. 4",
])  # fmt: skip


@examples(60)
@given(st.lists(_PIECES, max_size=14).map("".join))
def test_an_address_is_scrubbed_once(text):
    once = scrubbed(text)
    assert once is None or scrubbed(once) == once


def test_addresses_can_be_left_out():
    for config in (Config(addresses=False), Config(without=("ADDRESS",))):
        assert not config.finds_addresses


@pytest.mark.parametrize(
    "piece", ["12 Main ", "1 A ", "Via ", "A ", "1,", "12-", "C/ A ", "Unit 1 "]
)
def test_time_is_linear(piece):
    assert DETECTOR.find_bytes((piece * 20_000).encode()) is not None


STREETS = (
    "Haupt",
    "straße",
    "Straße",
    "weg",
    "Weg",
    "-",
    " ",
    "12",
    " 5b",
    "7-9",
    "made",
    "\n",
    "Am ",
)


@examples(200)
@given(
    st.lists(st.sampled_from((*STREETS, "engineering", "Allee", "x" * 30, "Y" * 21)), max_size=14)
)
def test_streets_are_tried_where_they_end(parts):
    text, found = "".join(parts), Addresses(Config())
    for expression, line in found._lines:
        if line.endings:
            ours = [match.span() for match in found._matches(expression, line, text)]
            assert ours == [match.span() for match in expression.finditer(text)]
