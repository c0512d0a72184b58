"""Sampled substrings: copies have the same ones, so that the rarest one estimates them."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora import Writer
from tests.examples import examples
from unrote.corpus.substrings import LENGTH, SHORT, rarest, sampled_substrings
from unrote.corpus.text import arrow_buffers


def substrings_of(texts):
    """(text, start byte, hash) of each sampled substring."""
    found = sampled_substrings(*arrow_buffers(pa.array(texts, pa.large_string())))
    return list(zip(*(column.tolist() for column in found), strict=True))


def repeated(texts):
    """What dedup.repeated_substrings makes of substrings: their counts, where these are not 1."""
    substrings = substrings_of(texts)
    times = Counter(substring for _, _, substring in substrings)
    rows = [
        (text, start, times[substring], times[substring] + 5)
        for text, start, substring in substrings
    ]
    return np.array([row for row in rows if row[2] > 1], dtype=np.int64).reshape(-1, 4)


def estimates(texts, parts):
    """The first of the counts for parts (text, first, last) in code points."""
    columns = np.array(parts, dtype=np.int64).reshape(-1, 3).T
    return [counts.tolist() for counts in rarest(texts, repeated(texts), *columns)]


def slowly(texts, parts):
    """By looking at each substring, and at each byte of its text."""
    substrings = substrings_of(texts)
    times = Counter(substring for _, _, substring in substrings)
    found = []
    for text, first, last in parts:
        low = len(texts[text][:first].encode())
        high = len(texts[text][:last].encode())
        size = min(LENGTH, len(texts[text].encode()))
        within_one = [
            times[substring]
            for one, start, substring in substrings
            if one == text and low <= start and start + size <= high
        ]
        found.append(min(within_one, default=1))
    return found


class TestSampledSubstrings:
    def test_about_one_in_thirty_two(self):
        text = Writer(1).text(4000)
        assert len(substrings_of([text])) == pytest.approx(len(text.encode()) / 32, rel=0.1)

    def test_equal_runs_are_sampled_alike(self):
        writer = Writer(2)
        shared = writer.text(60)
        before, after = (writer.text(n) for n in (7, 12))
        one, two = before + shared, shared + after
        size, shift = len(shared.encode()), len(before.encode())
        within_one = {
            (start - shift, substring)
            for _, start, substring in substrings_of([one])
            if start >= shift
        }
        assert len(within_one) > 50
        assert within_one == {
            (s, substring) for _, s, substring in substrings_of([two]) if s + LENGTH <= size
        }

    def test_do_not_depend_on_the_texts_beside_them(self):
        texts = [Writer(n).text(n) for n in range(40)]
        alone = [
            (n, s, substring)
            for n, text in enumerate(texts)
            for _, s, substring in substrings_of([text])
        ]
        assert substrings_of(texts) == alone

    @pytest.mark.parametrize("text", ["a", "short", "x" * 31, "word " * 8])
    def test_a_short_text_has_a_substring(self, text):
        assert len(substrings_of([text])) >= 1
        assert substrings_of(["", text, ""]) == [
            (1, s, substring) for _, s, substring in substrings_of([text])
        ]

    def test_the_least_is_taken_only_where_there_is_none(self):
        """Else a short text that is part of a long one would look rarer than it is."""
        writer = Writer(3)
        for _ in range(60):
            text = writer.text(12)[:SHORT]
            if len(text.encode()) > SHORT:
                continue
            within = {
                substring for _, _, substring in substrings_of([text + " " + writer.text(60)])
            }
            own = {substring for _, _, substring in substrings_of([text])}
            assert own <= within or len(own) == 1

    def test_a_repetition_counts_once(self):
        assert len(substrings_of(["a" * 100_000])) <= 1

    def test_nothing(self):
        assert substrings_of([]) == substrings_of(["", ""]) == []


WORDS = st.sampled_from(["the cat ", "sat\n", "on ", "é", "中文 ", "😀", "a", "mat. "])
PARTS = st.lists(WORDS, min_size=1, max_size=80).map("".join)


@st.composite
def corpora(draw):
    """Texts put together from few parts, and ranges of them by text and then by start."""
    blocks = draw(st.lists(PARTS, min_size=1, max_size=4))
    texts = draw(
        st.lists(
            st.lists(st.sampled_from(blocks) | PARTS, max_size=5).map("".join),
            min_size=1,
            max_size=5,
        )
    )
    parts = []
    for number, text in enumerate(texts):
        ranges = draw(st.lists(st.integers(0, len(text)), max_size=8))
        starts = sorted(ranges)
        ends = sorted(min(len(text), p + draw(st.integers(0, 200))) for p in ranges)
        parts += [(number, a, max(a, b)) for a, b in zip(starts, ends, strict=True)]
    return texts, parts


@examples(200)
@given(corpora())
def test_the_rarest_is_what_a_slow_look_finds(corpus):
    texts, parts = corpus
    first, second = estimates(texts, parts)
    expected = slowly(texts, parts)
    assert first == expected
    assert second == [n + 5 if n > 1 else 1 for n in expected]


@examples(60)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(20, 60))
def test_never_less_than_the_copies(seed, copies, sentences):
    """Of a part of long texts that holds a sampled substring."""
    writer = Writer(seed)
    part = writer.text(sentences)
    texts = [writer.text(30) + part + writer.text(30) for _ in range(copies)]
    texts.append(writer.text(5) + part[len(part) // 2 :] + writer.text(40))
    at = [text.index(part) for text in texts[:copies]]
    ranges = [(n, start, start + len(part)) for n, start in enumerate(at)]
    first, _ = estimates(texts, ranges)
    assert first == [copies] * copies if copies > 1 else first == [1]


def test_without_parts():
    assert estimates(["a text"], []) == [[], []]
    assert estimates([], []) == [[], []]
