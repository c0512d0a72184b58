"""Sampled runs: copies have the same ones, so that a part's rarest run tells of its copies."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpora import Writer
from unrote.corpus.runs import RUN, SHORT, rarest, sampled
from unrote.corpus.text import arrow_buffers


def runs_of(texts):
    """(text, start byte, hash) of each sampled run."""
    found = sampled(*arrow_buffers(pa.array(texts, pa.large_string())))
    return list(zip(*(column.tolist() for column in found), strict=True))


def recurring(texts):
    """What dedup.recurring makes of runs: their counts, where these are not 1."""
    runs = runs_of(texts)
    times = Counter(run for _, _, run in runs)
    rows = [(text, start, times[run], times[run] + 5) for text, start, run in runs]
    return np.array([row for row in rows if row[2] > 1], dtype=np.int64).reshape(-1, 4)


def estimates(texts, parts):
    """The first of the counts for parts (text, first, last) in code points."""
    columns = np.array(parts, dtype=np.int64).reshape(-1, 3).T
    return [counts.tolist() for counts in rarest(texts, recurring(texts), *columns)]


def slowly(texts, parts):
    """By looking at each run, and at each byte of its text."""
    runs = runs_of(texts)
    times = Counter(run for _, _, run in runs)
    found = []
    for text, first, last in parts:
        low = len(texts[text][:first].encode())
        high = len(texts[text][:last].encode())
        size = min(RUN, len(texts[text].encode()))
        inside = [
            times[run]
            for one, start, run in runs
            if one == text and low <= start and start + size <= high
        ]
        found.append(min(inside, default=1))
    return found


class TestSampled:
    def test_about_one_in_thirty_two(self):
        text = Writer(1).text(4000)
        assert len(runs_of([text])) == pytest.approx(len(text.encode()) / 32, rel=0.1)

    def test_equal_runs_are_sampled_alike(self):
        writer = Writer(2)
        shared = writer.text(60)
        before, after = (writer.text(n) for n in (7, 12))
        one, two = before + shared, shared + after
        size, shift = len(shared.encode()), len(before.encode())
        inside = {(start - shift, run) for _, start, run in runs_of([one]) if start >= shift}
        assert len(inside) > 50
        assert inside == {(s, run) for _, s, run in runs_of([two]) if s + RUN <= size}

    def test_do_not_depend_on_the_texts_beside_them(self):
        texts = [Writer(n).text(n) for n in range(40)]
        alone = [(n, s, run) for n, text in enumerate(texts) for _, s, run in runs_of([text])]
        assert runs_of(texts) == alone

    @pytest.mark.parametrize("text", ["a", "short", "x" * 31, "word " * 8])
    def test_a_short_text_has_a_run(self, text):
        assert len(runs_of([text])) >= 1
        assert runs_of(["", text, ""]) == [(1, s, run) for _, s, run in runs_of([text])]

    def test_the_least_is_taken_only_where_there_is_none(self):
        """Else a short text that is part of a long one would look rarer than it is."""
        writer = Writer(3)
        for _ in range(60):
            text = writer.text(12)[:SHORT]
            if len(text.encode()) > SHORT:
                continue
            within = {run for _, _, run in runs_of([text + " " + writer.text(60)])}
            own = {run for _, _, run in runs_of([text])}
            assert own <= within or len(own) == 1

    def test_a_repetition_counts_once(self):
        assert len(runs_of(["a" * 100_000])) <= 1

    def test_nothing(self):
        assert runs_of([]) == runs_of(["", ""]) == []


WORDS = st.sampled_from(["the cat ", "sat\n", "on ", "é", "中文 ", "😀", "a", "mat. "])
PARTS = st.lists(WORDS, min_size=1, max_size=80).map("".join)


@st.composite
def corpora(draw):
    """Texts put together from few parts, and places in them by text and then by start."""
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
        places = draw(st.lists(st.integers(0, len(text)), max_size=8))
        starts = sorted(places)
        ends = sorted(min(len(text), p + draw(st.integers(0, 200))) for p in places)
        parts += [(number, a, max(a, b)) for a, b in zip(starts, ends, strict=True)]
    return texts, parts


@settings(max_examples=200, deadline=None)
@given(corpora())
def test_the_rarest_is_what_a_slow_look_finds(corpus):
    texts, parts = corpus
    first, second = estimates(texts, parts)
    expected = slowly(texts, parts)
    assert first == expected
    assert second == [n + 5 if n > 1 else 1 for n in expected]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(20, 60))
def test_never_less_than_the_copies(seed, copies, sentences):
    """Of a part of long texts that holds a sampled run."""
    writer = Writer(seed)
    part = writer.text(sentences)
    texts = [writer.text(30) + part + writer.text(30) for _ in range(copies)]
    texts.append(writer.text(5) + part[len(part) // 2 :] + writer.text(40))
    at = [text.index(part) for text in texts[:copies]]
    places = [(n, start, start + len(part)) for n, start in enumerate(at)]
    first, _ = estimates(texts, places)
    assert first == [copies] * copies if copies > 1 else first == [1]


def test_without_parts():
    assert estimates(["a text"], []) == [[], []]
    assert estimates([], []) == [[], []]
