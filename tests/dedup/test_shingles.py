import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import reference
from tests.examples import examples
from unrote.corpus.kernel import kernel
from unrote.corpus.normalization import Normalization
from unrote.corpus.text import arrow_buffers
from unrote.dedup.shingles import shingle_hashes, shingles
from unrote.dedup.words import (
    ALONE,
    DOTTED,
    MARK,
    MARKED,
    SPACE,
    SYMBOL,
    WORD,
    is_dot,
    marks_ahead,
    table_for,
    unicode_table,
    words_ahead,
)

CHARACTERS = st.one_of(
    st.sampled_from(
        " \t\n.,-_aAbBzZ019@[`{/:éÉßÄ́ÿİıΣσςЖж中文ﬁⅨⓐⒶǅ𐐀𐐨😀 \u3000\u0085\x1c\x7f\0"
        "+-*/%#$€<=>!:;()|\\&~^–−°☺■7aa"
        "かがゞーｶﾞ々〇𠀀ไม่ກ່ខ្មែរမြန်한\u3099"
    ),
    st.characters(codec="utf-8"),
)
TEXTS = st.lists(st.text(CHARACTERS, max_size=80), min_size=1, max_size=6)
RAW = Normalization("none")


def same_structure(hashes: list[list[int]], expected: list[list[tuple]]) -> None:
    """Hashes correspond one to one with shingles, over all texts together."""
    assert [len(h) for h in hashes] == [len(e) for e in expected]
    flat = [int(h) for part in hashes for h in part]
    listed = [e for part in expected for e in part]
    forward, back = {}, {}
    for h, e in zip(flat, listed, strict=True):
        assert forward.setdefault(e, h) == h
        assert back.setdefault(h, e) == e


@given(TEXTS, st.sampled_from(["word", "character"]), st.integers(1, 7), st.booleans())
@examples(300)
def test_hashes_are_those_of_the_reference_shingles(texts, unit, ngram, symbols):
    expected = [reference.shingles(text, ngram, unit, symbols) for text in texts]
    settings = {"ngram": ngram, "unit": unit, "symbols": symbols, "normalization": RAW}
    same_structure(shingles(texts, distinct=False, **settings), expected)
    sets = shingles(texts, **settings)
    assert [len(s) for s in sets] == [len(set(e)) for e in expected]
    assert all((s[1:] > s[:-1]).all() for s in sets)


ASCII_WORDS = st.text("aZ_5", min_size=1, max_size=3) | st.text(
    "abcDEF_09", min_size=7, max_size=80
)
ASCII_GAPS = st.sampled_from([" ", " ", "\n", ".", ",", "-", ":", ": ", ". ", ";", "/", " - "])
LINES = st.lists(
    st.tuples(ASCII_WORDS, ASCII_GAPS | st.text(CHARACTERS, min_size=1, max_size=6)), max_size=40
).map(lambda pairs: "".join(word + gap for word, gap in pairs))


@given(LINES, st.integers(1, 5), st.booleans())
@examples(100)
def test_words_that_are_looked_at_many_at_a_time(text, ngram, symbols):
    expected = [reference.shingles(text, ngram, "word", symbols)]
    settings = {"ngram": ngram, "symbols": symbols, "normalization": RAW, "distinct": False}
    # Bytes behind a text, of another one, let more of its words be looked at together.
    for behind in ([], ["x" * 80], ["é" * 40]):
        found = shingles([text, *behind], **settings)
        same_structure(found[:1], expected)
        assert found[0].tolist() == shingles([text], **settings)[0].tolist()


@kernel
def looked_at(data, at):
    return words_ahead(data, at, data.size), marks_ahead(data, at)


def test_what_is_looked_at_together_is_what_the_table_says():
    table = unicode_table()
    for code in range(128):
        data = np.full(200, ord("a"), np.uint8)
        data[5] = code
        words, marks = looked_at(data, 0)
        assert bool(int(words) >> 5 & 1) == bool(table[code] & WORD), chr(code)
        assert bool(int(marks) >> 5 & 1) == bool(table[code] & (SYMBOL | MARKED)), chr(code)
        assert is_dot(code) == bool(table[code] & DOTTED), chr(code)


@given(TEXTS, st.sampled_from(["word", "character"]))
def test_words_are_counted_and_neighbours_do_not_matter(texts, unit):
    array = pa.array(texts, pa.string())
    data, offsets = arrow_buffers(array)
    arguments = (unit == "character", 3, False, True)
    hashes, bounds, words = shingle_hashes(data, offsets, table_for(data), *arguments)
    assert words.tolist() == [len(reference.words(text)) for text in texts]
    alone = shingles(texts[:1], ngram=3, unit=unit, distinct=False, normalization=RAW)[0]
    assert hashes[: bounds[1]].tolist() == alone.tolist()
    sliced = array.slice(len(texts) - 1)
    data, offsets = arrow_buffers(sliced)
    last = shingle_hashes(data, offsets, table_for(data), *arguments)[0]
    assert last.tolist() == hashes[bounds[-2] :].tolist()


def test_the_table_says_what_unicodedata_says():
    table = unicode_table()
    for code in range(0x110000):
        character, entry = chr(code), int(table[code])
        if 0xD800 <= code < 0xE000:
            continue
        assert bool(entry & WORD) == reference.is_word(character), hex(code)
        assert bool(entry & SPACE) == character.isspace(), hex(code)
        mark = unicodedata.category(character)[0] == "M"
        assert bool(entry & MARK) == mark, hex(code)
        alone = reference.without_spaces(character) and reference.is_word(character)
        assert bool(entry & ALONE) == (alone and not mark), hex(code)
        assert entry & 0x1FFFFF == ord(reference.lower(character)), hex(code)


def test_ascii_and_other_paths_hash_a_word_alike():
    # "é" has the same letters as "É"; the plain word around it is hashed by the other path.
    plain, mixed = shingles(["straße KELVIN", "STRAßE \u212aELVIN"], ngram=1)
    assert plain.tolist() == mixed.tolist()


@pytest.mark.parametrize("length", [*range(20), 511, 512, 513, 1024, 1025, 3000])
def test_texts_of_any_length(length):
    text = " ".join(f"w{i}" for i in range(length))
    expected = [reference.shingles(text)]
    same_structure(shingles([text], distinct=False), expected)


def test_bytes_that_are_not_utf8_break_nothing():
    generator = np.random.default_rng(0)
    for _ in range(200):
        data = generator.integers(0, 256, 61, dtype=np.uint8)
        data[generator.integers(0, 61, 20)] = ord("a")
        offsets = np.sort(generator.integers(0, 62, 8)).astype(np.int64)
        for characters in (False, True):
            _, bounds, words = shingle_hashes(
                data, offsets, unicode_table(), characters, 2, False, True
            )
            assert len(bounds) == 8
            assert all(w >= 0 for w in words)
            assert all(b >= a for a, b in pairwise(bounds))


@pytest.mark.parametrize(("ngram", "unit"), [(0, "word"), (5, "sentence")])
def test_settings_out_of_range(ngram, unit):
    with pytest.raises(ValueError, match=f"{unit if unit != 'word' else ngram}"):
        shingles(["a"], ngram=ngram, unit=unit)


@given(
    st.lists(
        st.sampled_from(["a", "b", "ab", "世", "界", "か", "5", "€"]), min_size=1, max_size=12
    ),
    st.integers(1, 7),
    st.data(),
)
def test_every_token_is_in_a_shingle(tokens, ngram, data):
    changed = list(tokens)
    changed[data.draw(st.integers(0, len(tokens) - 1))] = data.draw(st.sampled_from(["new", "新"]))
    before, after = shingles([" ".join(tokens), " ".join(changed)], ngram=ngram, distinct=False)
    if any(t != "€" for t in tokens):
        assert before.tolist() != after.tolist()


def test_a_shingle_that_ends_in_a_script_without_spaces_is_half_as_long():
    assert reference.shingles("a b 世界人民 c d") == [
        ("a", "b", "世"),
        ("b", "世", "界"),
        ("世", "界", "人"),
        ("界", "人", "民"),
        ("世", "界", "人", "民", "c"),
        ("界", "人", "民", "c", "d"),
    ]
    assert reference.shingles("世界人 c") == [("世", "界", "人"), ("世", "界", "人", "c")]
    assert reference.shingles("a b c d 世") == [("a", "b", "c", "d", "世")]


def test_no_texts():
    assert shingles([]) == []
    assert [len(s) for s in shingles(["", " ... "])] == [0, 0]


def test_marks_belong_to_words():
    assert unicodedata.category("\u0301") == "Mn"
    assert len(shingles(["cafe\u0301s"], ngram=1)[0]) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("今天很好", ["今", "天", "很", "好"]),
        ("お弁当、ですね", ["お", "弁", "当", "で", "す", "ね"]),
        ("か\u3099く", ["か\u3099", "く"]),
        ("ไม่ใช่", ["ไ", "ม่", "ใ", "ช่"]),
        ("ບໍ່ດີ", ["ບໍ່", "ດີ"]),
        ("ខ្មែរ", ["ខ្", "មែ", "រ"]),
        ("မြန်မာ", ["မြ", "န်", "မာ"]),
        ("用Python3写的 GPU程序", ["用", "python3", "写", "的", "gpu", "程", "序"]),
        ("한국어 문장 جملة", ["한국어", "문장", "جملة"]),
    ],
)
def test_in_scripts_without_spaces_a_character_is_a_word(text, words):
    assert reference.words(text) == words
    data, offsets = arrow_buffers(pa.array([text], pa.string()))
    hashes, _, count = shingle_hashes(data, offsets, table_for(data), False, 1, False, True)
    assert count.tolist() == [len(words)]
    # A character has the hash that it has when it stands by itself.
    assert hashes.tolist() == [int(shingles([w], ngram=1, normalization=RAW)[0][0]) for w in words]
