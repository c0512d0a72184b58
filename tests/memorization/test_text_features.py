"""What is measured of a sequence's characters, beside obvious versions in Python."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote import memorization
from unrote.corpus.errors import ConfigError
from unrote.memorization.text_features import GRAM, PERIODS, RARE, WordFrequencies, text_features

KEYS = {"template", "repetition", "rare_words", "word_duplication"}
SYMBOLS = "\u0080-\u00bf\u2000-\u2bff\u3000-\u303f\U0001f000-\U0001ffff"
WORDS = rf"(?:[A-Za-z]|(?![{SYMBOLS}])[^\x00-\x7f])+"
UNITS = re.compile(rf"{WORDS}|[0-9]+|[^\x00-\x20]")
COUNTS = {"the": 60_000, "of": 30_000, "fox": 7, "quick": 2, "Überfluß": 1}
TABLE = WordFrequencies.of_counts(COUNTS)


def template(text):
    units = [u.encode("utf-8", "surrogatepass").lower() for u in UNITS.findall(text)]
    numbers = [int(u) if u.isdigit() and len(u) <= 15 else math.nan for u in units]
    best = 0.0
    for p in range(1, min(PERIODS, len(units) // 2) + 1):
        followed = [
            units[i] == units[i - p]
            or (i >= 2 * p and numbers[i] - numbers[i - p] == numbers[i - p] - numbers[i - 2 * p])
            for i in range(p, len(units))
        ]
        best = max(best, sum(followed) / len(followed))
    return best


def repetition(text):
    data = text.encode("utf-8", "surrogatepass")
    grams = [data[i : i + GRAM] for i in range(len(data) - GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def frequencies(text):
    total = sum(COUNTS.values())
    known = {word.encode().lower(): count * 1e6 / total for word, count in COUNTS.items()}
    words = [word.encode("utf-8", "surrogatepass") for word in re.findall(WORDS, text)]
    return [(word.lower(), known.get(word.lower(), 0.0)) for word in words]


words = st.sampled_from(
    [
        "the",
        "The",
        "of",
        "fox",
        "Überfluß",
        "naïve",
        "12",
        "13",
        "14",
        ",",
        "\n",
        "x1",
        "—",
        "═══",
        "…fox",
        "語",
    ]
)


@given(st.lists(words, max_size=60).map(" ".join) | st.text(max_size=80))
def test_as_in_plain_python(text):
    found = {
        name: column[0]
        for name, column in text_features([text.replace("\ud800", "")], TABLE).items()
    }
    said = frequencies(text)
    assert found["template"] == pytest.approx(template(text))
    assert found["repetition"] == pytest.approx(repetition(text))
    rare = [f < RARE for _, f in said]
    assert found["rare_words"] == pytest.approx(sum(rare) / max(1, len(rare)))
    logs = [math.log1p(f) for f in dict(said).values()]
    assert found["word_duplication"] == pytest.approx(sum(logs) / max(1, len(logs)))


@pytest.mark.parametrize(
    "text",
    [
        "Item 1, Item 2, Item 3, Item 4, Item 5, Item 6",
        "16 13 10 7 4 1",  # falls: a step may be negative
        "a = 5\nb = 10\na = 15\nb = 20\na = 25\nb = 30\n",
        "no no no no no no",
    ],
)
def test_what_follows_from_its_beginning_is_a_template(text):
    assert text_features([text])["template"][0] > 0.5


def test_prose_is_no_template():
    text = "Call me Ishmael. Some years ago, never mind how long precisely, I went to sea."
    found = text_features([text])
    assert found["template"][0] < 0.25
    assert found["rare_words"][0] < 0.3


def test_a_ruler_is_no_rare_word():
    found = text_features(
        ["═" * 70, "┌──────┐│ the ││ of │└──────┘", "🎉🎉 the of …", "naïve Überfluß"]
    )
    assert found["rare_words"].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert found["template"][0] == 1.0


def test_words_of_three_pieces_or_more_are_rare():
    found = text_features(["the house and the water", "flibbertigibbets quasiperiodically"])
    assert found["rare_words"].tolist() == [0.0, 1.0]
    assert found["word_duplication"][0] > 4 > found["word_duplication"][1] == 0


def test_the_default_table_is_that_of_the_embedded_tokenizer():
    path = Path(memorization.__file__).parent / "default" / "tokenizer.json"
    texts = ["a rather unusual sentence, with Constantinople in it"]
    made = text_features(texts, WordFrequencies.of_tokenizer(path.read_bytes()))
    assert made == text_features(texts)


def test_a_text_s_measures_do_not_depend_on_its_neighbours():
    texts = ["one two three", "", "0", "one two one two one two", "\ud800 half", "   "]
    whole = text_features(texts)
    assert set(whole) == KEYS
    for name, column in whole.items():
        assert column.dtype == np.float64
        assert not np.isnan(column).any()
        assert column.tolist() == [text_features([text])[name][0] for text in texts]


def test_no_texts_have_no_measures():
    assert all(column.shape == (0,) for column in text_features([]).values())


def test_counts_must_count():
    for counts in ({}, {"word": 0}):
        with pytest.raises(ConfigError, match="a count of 1 or more"):
            WordFrequencies.of_counts(counts)
