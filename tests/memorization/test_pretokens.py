"""Pieces that are encoded once give the tokens that the tokenizer gives whole texts."""

from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.examples import examples
from tests.memorization import tiny
from unrote.corpus.text import arrow_buffers
from unrote.memorization import pretokens
from unrote.memorization.pretokens import PieceEncoder, byte_sizes, encoder_of
from unrote.memorization.tokenizer import tokenizer_of
from unrote.memorization.windows import tokenize

PARTS = st.sampled_from(
    "a Zz the don ' '' 's 're 'LL é e\u0301 中文 1 23 ² . ( ) _ -- <s> </s> < > 🙂 ’s ª".split(" ")
    + " |  |\n|\t|\r\n|\x0b|\x0c|\x1c|\x85|\xa0|\u2003|\u200b|\x00|\x7f".split("|")
)
TEXTS = st.lists(st.lists(PARTS, max_size=20).map("".join) | st.text(max_size=30), max_size=6)


def whole(tokenizer, texts):
    """ids and ends of each text, as the tokenizer itself says."""
    return [(one.ids, [end for _, end in one.offsets]) for one in map(tokenizer.encode, texts)]


def pieces(tokenizer, texts):
    made = tokenize(tokenizer, texts)
    bounds = made.offsets.tolist()
    return [
        (made.ids[a:b].tolist(), np.maximum.accumulate(made.ends[a:b]).tolist())
        for a, b in pairwise(bounds)
    ]


@examples(100)
@given(TEXTS)
def test_the_tokens_of_pieces_are_those_of_their_text(texts):
    tokenizer = tokenizer_of("default")
    assert encoder_of(tokenizer) is not None
    found = pieces(tokenizer, texts)
    for (ids, ends), (own, reported) in zip(found, whole(tokenizer, texts), strict=True):
        assert ids == own
        assert len(ends) == len(reported)
    for text, (_, ends) in zip(texts, found, strict=True):
        assert not ends or ends[-1] == len(text)


LINES = [line for path in sorted(Path(pretokens.__file__).parent.glob("*.py"))[:8]
         for line in path.read_text().splitlines()]  # fmt: skip


def test_pieces_of_code_and_prose_are_merged_as_the_tokenizer_does():
    """Nearly all of them without it."""
    tokenizer = tokenizer_of("default")
    asked = []
    encoded = PieceEncoder._encoded
    with mock.patch.object(
        PieceEncoder, "_encoded", lambda *args: asked.append(args[2].size) or encoded(*args)
    ):
        encoder = PieceEncoder(tokenizer, byte_sizes(tokenizer))
        ids, bounds, _ = encoder.encode(*arrow_buffers(pa.array(LINES, pa.large_string())))
    whole = tokenizer.encode_batch(LINES, add_special_tokens=False)
    assert [ids[a:b].tolist() for a, b in pairwise(bounds)] == [one.ids for one in whole]
    assert sum(asked) < 0.1 * encoder._known


@examples(100)
@given(
    st.lists(st.tuples(st.sampled_from("ab1."), st.sampled_from("ab1.")), max_size=6, unique=True),
    st.lists(st.text("ab1. ", max_size=40), min_size=1, max_size=4),
    st.booleans(),
)
def test_any_merges(chosen, texts, whole_words):
    """Merges of pairs in any order, and of what these make before its parts."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = list(dict.fromkeys([*chosen, *((a + b, b) for a, b in chosen)]))
    vocabulary = {text: n for n, text in enumerate(dict.fromkeys(
        [*letters, *(a + b for a, b in chosen), *(a + b for a, b in merges)]))}  # fmt: skip
    made = Tokenizer(models.BPE(vocabulary, merges[::-1], ignore_merges=whole_words))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert encoder_of(made) is not None
    found = [ids for ids, _ in pieces(made, texts)]
    assert found == [made.encode(text).ids for text in texts]


@given(st.lists(st.text("ab .\n1é", max_size=40), min_size=1, max_size=5), st.integers(1, 6))
def test_a_full_table_begins_anew(texts, entries):
    tokenizer = tokenizer_of("default")
    data, offsets = arrow_buffers(pa.array(texts, pa.large_string()))
    with mock.patch.object(pretokens, "ENTRIES", entries):
        ids, bounds, _ = PieceEncoder(tokenizer, byte_sizes(tokenizer)).encode(data, offsets)
    assert [ids[a:b].tolist() for a, b in pairwise(bounds)] == [
        own for own, _ in whole(tokenizer, texts)
    ]


def test_one_piece_may_be_longer_than_the_table():
    tokenizer = tokenizer_of("default")
    text = "é" * 40 + " x" + "y" * 50
    with mock.patch.object(pretokens, "ENTRIES", 2):
        encoder = PieceEncoder(tokenizer, byte_sizes(tokenizer))
        ids, _, ends = encoder.encode(*arrow_buffers(pa.array([text], pa.large_string())))
    assert ids.tolist() == tokenizer.encode(text).ids
    assert ends[-1] == len(text)


def digits_apart():
    made = Tokenizer.from_str(tiny.tokenizer().backend_tokenizer.to_str())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    return made


def few_bytes():
    made = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


@pytest.mark.parametrize("made", [digits_apart, few_bytes])
def test_other_tokenizers_encode_whole_texts(made):
    assert encoder_of(made()) is None
