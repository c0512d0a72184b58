import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.memorization import tiny
from unrote.corpus.errors import ConfigError
from unrote.corpus.tokenizer import own_copy
from unrote.memorization.config import Config
from unrote.memorization.windows import sequences, tokenize, tokens_of, window_starts

TEXTS = st.lists(st.text(max_size=60), max_size=5)


def tokens(texts):
    return tokenize(own_copy(tiny.tokenizer().backend_tokenizer), texts)


@given(st.integers(0, 300), st.integers(1, 40), st.data())
def test_windows_cover_a_text_and_end_with_it(count, length, data):
    stride = data.draw(st.integers(1, length))
    starts = window_starts(count, length, stride).tolist()
    covered = {at for start in starts for at in range(start, min(start + length, count))}
    assert covered == set(range(count))
    if count >= length:
        assert starts[-1] == count - length
        assert all(a % stride == 0 for a in starts[:-1])
    else:
        assert starts == ([0] if count else [])
    assert starts == sorted(set(starts))


@given(TEXTS, st.integers(0, 6), st.integers(1, 6))
def test_windows_hold_the_tokens_of_their_text(texts, prefix, suffix):
    cut = tokens(texts)
    made = sequences(cut, prefix, suffix)
    for doc, text in enumerate(texts):
        ids = cut.ids[cut.offsets[doc] : cut.offsets[doc + 1]].tolist()
        rows = np.flatnonzero(made.doc == doc)
        starts = window_starts(len(ids), prefix + suffix, prefix + suffix)
        assert rows.size == starts.size
        covered = np.zeros(len(text), dtype=bool)
        for row, first in zip(rows, starts.tolist(), strict=True):
            window = made.ids[made.offsets[row] : made.offsets[row + 1]].tolist()
            assert window == ids[first : first + prefix + suffix]
            covered[made.start[row] : made.end[row]] = True
            assert made.start[row] <= made.second[row] <= made.end[row]
        assert covered.all()
        if rows.size:
            assert made.start[rows[0]] == 0
            assert made.end[rows[-1]] == len(text)


@given(TEXTS.filter(bool))
def test_windows_apart_own_characters_apart(texts):
    cut = tokens(texts)
    made = sequences(cut, 0, 1)
    for doc in range(len(texts)):
        rows = made.doc == doc
        assert (made.end[rows][:-1] == made.start[rows][1:]).all()


def test_characters_of_a_window_decode_to_it():
    text = " ".join(tiny.SENTENCES[:4])
    made = sequences(tokens([text]), 10, 10)
    decode = tiny.tokenizer().backend_tokenizer.decode
    for row in range(len(made)):
        window = made.ids[made.offsets[row] : made.offsets[row + 1]].tolist()
        assert text[made.start[row] : made.end[row]] == decode(window)


@pytest.mark.parametrize(("count", "prefix"), [(1, 0), (2, 1), (3, 1), (19, 9), (20, 10), (25, 10)])
def test_short_texts_keep_the_share_of_the_prefix(count, prefix):
    cut = tokens(["x" * count])
    assert cut.ids.size == count
    made = sequences(cut, 10, 10)
    assert (made.prefix == prefix).all()
    assert made.lengths.tolist() == [min(count, 20)] * (1 + (count > 20))


def test_split_characters_belong_to_one_token():
    cut = tokens(["🙂é"])
    assert cut.ids.size > 2
    assert set(cut.ends.tolist()) == {1, 2}
    made = sequences(cut, 0, 1)
    texts = ["🙂é"[a:b] for a, b in zip(made.start, made.end, strict=True)]
    assert sorted(texts) == [""] * (cut.ids.size - 2) + ["é", "🙂"]


@given(st.text(min_size=1, max_size=30), st.data())
def test_tokens_of_a_span_cover_it_and_no_more_than_needed(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    cut = tokens(["before", text])
    first, last = tokens_of(cut, 1, start, end)
    base = int(cut.offsets[1])
    begins = np.concatenate([[0], cut.ends[base:-1]])
    owned = [set(range(a, b)) for a, b in zip(begins, cut.ends[base:], strict=True)]
    assert set(range(start, end)) <= set().union(*owned[first - base : last - base])
    assert owned[first - base] & set(range(start, end))
    assert end <= cut.ends[last - 1]
    assert last - 1 == first or cut.ends[first] < end or cut.ends[last - 1] == cut.ends[first]


def test_spans_of_nothing_have_no_tokens():
    cut = tokens(["abc", ""])
    for doc, start, end in ((0, 1, 1), (0, 3, 9), (1, 0, 1)):
        first, last = tokens_of(cut, doc, start, end)
        assert first == last


@pytest.mark.parametrize(
    "wrong",
    [
        {"prefix": -1},
        {"suffix": 0},
        {"stride": 101},
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"probability": 1.0},
        {"min_k": 0.0},
        {"queries": 0},
        {"top_k": -1},
        {"token_budget": -5},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"memorization.{name} = "):
        Config(**wrong)
