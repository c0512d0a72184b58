# ruff: noqa: E402 (what follows needs a package that may be missing)
import pytest

regex = pytest.importorskip("regex")
pytest.importorskip("presidio_analyzer")

from hypothesis import given
from hypothesis import strategies as st
from presidio_analyzer.predefined_recognizers import UrlRecognizer

from tests.examples import examples
from unrote.pii.catalogue import REGISTRY_FLAGS
from unrote.pii.recognizers import Span, without_duplicates
from unrote.pii.urls import UrlFinder

PRESIDIO = UrlRecognizer()
SCORES = [pattern.score for pattern in PRESIDIO.patterns]
EXPRESSIONS = [pattern.regex for pattern in PRESIDIO.patterns]
COMPILED = [regex.compile(expression, REGISTRY_FLAGS) for expression in EXPRESSIONS]
FINDER = UrlFinder(EXPRESSIONS, PRESIDIO.BASE_URL_REGEX, REGISTRY_FLAGS)


def by_presidio(text):
    """The matches of each expression, and what is left of them without those that others hold."""
    found = [[match.span() for match in one.finditer(text)] for one in COMPILED]
    spans = [Span(*span, s) for s, each in zip(SCORES, found, strict=True) for span in each]
    return found, without_duplicates(spans)


def ours(text):
    spans = FINDER.outermost(text)
    return spans and [Span(start, end, SCORES[not sure]) for start, end, sure in spans]


PIECES = (
    *("http://", "https://", "HTTP://", "www.", "www12.", "WWW", "acme", "a.b", ".com", ".co"),
    *(".community", ".c", ".uk", ".De", ".museum", "/", "/p?q=1", "/a b", '"', "'", "(", ")", " "),
    *("-", ".", "..", "\n", "é", "\xa0", "\u2028", "<", "x" * 120, "x.y" * 45, "\t", "\x1c", "0"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@examples(60)
@given(texts)
def test_finds_what_the_expressions_find(text):
    found, outermost = by_presidio(text)
    assert FINDER.find(text, 60) == found
    assert ours(text) == outermost


@pytest.mark.parametrize("odd", ["\u017f", "\u212a", "\u0663", "\u0130"])
def test_letters_that_equal_those_of_ascii_are_left_to_the_expressions(odd):
    assert FINDER.outermost(f"http://www{odd}.acme.com") is None


@pytest.mark.parametrize(
    "text",
    ["a." + "b" * 253 + ".com", "www123." + "b" * 253 + ".com", "b" * 300 + ".com", '"a.co"/x'],
)
def test_hosts_as_long_as_can_be(text):
    assert ours(text) == by_presidio(text)[1] != []
