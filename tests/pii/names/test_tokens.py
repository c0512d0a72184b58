import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.pii.names import tokens
from unrote.pii.names.tokens import BLANK, CAMEL, CAPITAL, GENITIVE, LINE, UPPER


def words_of(text: str) -> list[str]:
    data = text.encode()
    found = tokens.tokenized(np.frombuffer(data, np.uint8).copy())
    return [data[a:b].decode() for a, b in zip(found.starts, found.ends, strict=True)]


def regions_of(text: str) -> list[str]:
    data = text.encode()
    array = np.frombuffer(data, np.uint8).copy()
    found = tokens.tokenized(array)
    firsts, lasts = (np.empty(found.starts.size, np.int32) for _ in range(2))
    count = tokens.regions(array, found, tokens.joining(), firsts, lasts)
    return [
        data[found.starts[a] : found.ends[b - 1]].decode()
        for a, b in zip(firsts[:count], lasts[:count], strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Zoë O'Brien's cat", ["Zoë", "O'Brien", "'s", "cat"]),
        ("Don’t ask Boris’s", ["Don’t", "ask", "Boris", "’s"]),
        ("J. R. Smith-Jones, 2nd", ["J", ".", "R", ".", "Smith", "-", "Jones", ",", "2nd"]),
        ("foo_bar ŁÓDŹ 东京", ["foo_bar", "ŁÓDŹ", "东", "京"]),
        ("a's", ["a", "'s"]),
        ("'s' 'quoted'", ["'", "s", "'", "'", "quoted", "'"]),
        ("", []),
    ],
)
def test_tokens(text, words):
    assert words_of(text) == words


VISIBLE = st.characters(exclude_categories=["Z", "C"]) | st.sampled_from(" \n'")


@given(st.text(VISIBLE, max_size=80))
def test_tokens_are_all_but_white_space(text):
    assert "".join(words_of(text)) == "".join(text.split())


def test_flags():
    text = "Anna DNA eBay McKay\nLine\n\nBlank's"
    found = tokens.tokenized(np.frombuffer(text.encode(), np.uint8).copy())
    flags = dict(zip(words_of(text), found.flags.tolist(), strict=True))
    assert flags["Anna"] & CAPITAL
    assert not flags["Anna"] & (UPPER | CAMEL)
    assert flags["DNA"] & UPPER
    assert flags["eBay"] & CAMEL
    assert not flags["eBay"] & CAPITAL
    assert flags["McKay"] & CAMEL
    assert flags["Line"] & LINE
    assert not flags["Line"] & BLANK
    assert flags["Blank"] & BLANK
    assert flags["'s"] & GENITIVE


def test_hashes_are_of_lower_case():
    found = tokens.tokenized(np.frombuffer("ŁÓDŹ Anna O’Neil".encode(), np.uint8).copy())
    assert found.hashes.tolist() == [tokens.word_hash(w) for w in ("łódź", "anna", "o'neil")]


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("he met Anna of the van Dyk's there", ["Anna of the van Dyk"]),
        ("at Foo. Bar went", ["Foo. Bar"]),
        ("at Portsmouth. Then Bar", ["Portsmouth", "Then Bar"]),
        ("see HTTP_PORT and x", []),
        ("Anna\nBlom", ["Anna\nBlom"]),
        ("Anna\n\nBlom", ["Anna", "Blom"]),
        ("Smith & Sons, Inc", ["Smith & Sons", "Inc"]),
        ("nothing here", []),
    ],
)
def test_regions(text, regions):
    assert regions_of(text) == regions
