import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import reference
from tests.dedup.test_shingles import CHARACTERS
from tests.examples import examples
from unrote.dedup.fingerprint import fingerprints
from unrote.dedup.shingles import shingles

WAYS = ("none", "whitespace", "case")
# Few different words, so that normalised texts are often the same.
PIECES = st.lists(
    st.sampled_from(["a", "A", " ", "  ", "\n", "\u2003", "é", "É", "Ⱥ", "x" * 9, "*", "%", "\r"])
)
TEXTS = st.lists(st.text(CHARACTERS, max_size=60) | PIECES.map("".join), min_size=2, max_size=12)


@given(TEXTS, st.sampled_from(WAYS))
@examples(200)
def test_equal_exactly_where_the_normalised_texts_are(texts, normalise):
    plain = [reference.normalised(text, normalise) for text in texts]
    keys = [tuple(key) for key in fingerprints(texts, normalise=normalise).tolist()]
    for i in range(len(texts)):
        for j in range(i):
            assert (keys[i] == keys[j]) == (plain[i] == plain[j])
    # Normalised text is its own normal form, wherever in a buffer it lies.
    again = [tuple(key) for key in fingerprints(plain[::-1], normalise=normalise).tolist()][::-1]
    assert again == keys


@given(TEXTS, st.sampled_from(WAYS), st.sampled_from(["word", "character"]))
@examples(200)
def test_equal_texts_have_equal_shingles(texts, normalise, unit):
    keys = fingerprints(texts, normalise=normalise).tolist()
    sets = shingles(texts, unit=unit, ngram=2)
    for i in range(len(texts)):
        for j in range(i):
            if keys[i] == keys[j]:
                assert sets[i].tolist() == sets[j].tolist()


def test_letters_that_grow_fit_the_scratch_buffer():
    text = "\u023a\u023e" * 5000  # two bytes each, three in lower case
    lower = "\u2c65\u2c66" * 5000
    one, two = fingerprints([text, lower], normalise="case").tolist()
    assert one == two


def test_unknown_way():
    with pytest.raises(ValueError, match=r"'lower'.*none, whitespace, case"):
        fingerprints(["a"], normalise="lower")
