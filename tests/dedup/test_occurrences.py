import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import reference
from tests.examples import examples
from unrote.corpus.text import arrow_buffers
from unrote.dedup import occurrences
from unrote.dedup.occurrences import Passages

SIZES = (1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50, 100)
PIECES = st.sampled_from(
    ["a", "aa", "ab ", "b", " ", "the cat ", "sat\n", "é", "中", "É ", "😀", "."]
)
DOCUMENTS = st.lists(
    st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=20), min_size=1, max_size=6
)
LEAST = st.sampled_from([0.05, 0.125, 0.5, 1.0])


def buffers(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    return arrow_buffers(pa.array(texts, pa.large_string()))


def exactly(passages: list[str], documents: list[str]) -> list[int]:
    return [sum(d.count(p) for d in documents) if p else 0 for p in passages]


def nearly(passages: list[str], documents: list[str], ngram: int, least: float) -> list[int]:
    held = [set(reference.shingles(d, ngram, symbols=False)) for d in documents]
    found = []
    for passage in passages:
        needed = set(reference.shingles(passage, ngram, symbols=False))
        shared = [
            len(needed & shingles)
            for document, shingles in zip(documents, held, strict=True)
            if passage not in document
        ]
        found.append(sum(n for n in shared if n >= least * len(needed)))
    return found


@st.composite
def cases(draw):
    """Documents, and passages most of which are cut out of them, with others spliced in."""
    documents = draw(DOCUMENTS)
    passages = draw(st.lists(st.text(max_size=40), max_size=3))
    for _ in range(draw(st.integers(0, 12))):
        document = draw(st.sampled_from(documents))
        start = draw(st.integers(0, len(document)))
        passage = document[start : start + draw(st.sampled_from(SIZES))]
        if draw(st.booleans()):
            passage += draw(st.sampled_from(["", "x", " new words", *passages]))
        passages.append(passage)
    return documents, passages + passages[:2]


@given(cases(), st.integers(1, 5), LEAST)
@examples(300)
def test_counts_are_those_of_str_count_and_of_sets_of_shingles(case, ngram, least):
    documents, passages = case
    index = Passages(passages, ngram=ngram, least=least)
    exact, near = index.count(*buffers(documents))
    assert exact.tolist() == exactly(passages, documents)
    assert near.tolist() == nearly(passages, documents, ngram, least)
    own = [set(reference.shingles(p, ngram, symbols=False)) for p in passages]
    assert index.shingles.tolist() == [len(shingles) for shingles in own]
    assert index.count_exact(*buffers(documents)).tolist() == exact.tolist()
    assert exact.dtype == near.dtype == index.shingles.dtype == np.int64


@given(cases(), st.sets(st.integers(0, 6)))
def test_batches_add_up(case, cuts):
    documents, passages = case
    index = Passages(passages, ngram=2)
    whole = np.array(index.count(*buffers(documents)))
    data, offsets = buffers(documents)
    bounds = sorted({0, len(documents), *(c for c in cuts if c < len(documents))})
    parts = [index.count(data, offsets[a : b + 1]) for a, b in pairwise(bounds)]
    assert (np.array(parts).sum(axis=0) == whole).all()
    alone = [index.count(*buffers([d])) for d in documents]
    assert (np.array(alone).sum(axis=0) == whole).all()


@pytest.mark.parametrize("size", range(1, 70))
def test_a_passage_of_every_length_is_found_at_every_place(size):
    text = "".join(chr(0x21 + i * i % 90) for i in range(size + 40))
    passages = [text[i : i + size] for i in range(40)]
    documents = [text, text[1:], "x" + text + text[:-1], "\n".join(passages), text[: size - 1]]
    exact = Passages(passages).count_exact(*buffers(documents))
    assert exact.tolist() == exactly(passages, documents)


def test_a_passage_longer_than_any_document_or_across_two_is_not_found():
    index = Passages(["abc def", "x" * 5000])
    exact, near = index.count(*buffers(["abc ", "def", "x" * 4999, ""]))
    assert exact.tolist() == near.tolist() == [0, 0]


def test_near_copies_weigh_what_they_share():
    words = [f"word{i}" for i in range(104)]
    passage = " ".join(words)
    half = " ".join(words[:54])
    few = " ".join(words[:14])
    index = Passages([passage])
    assert index.shingles.tolist() == [100]
    # 50 + 50 shingles of one hundred; 10 are fewer than an eighth; a copy is no near copy.
    documents = [half, half.upper() + " other " + half, few, passage, passage + half]
    exact, near = index.count(*buffers(documents))
    assert (exact.tolist(), near.tolist()) == ([2], [100])
    assert Passages([passage], least=0.1).count(*buffers(documents))[1].tolist() == [110]
    assert Passages([passage], least=0.101).count(*buffers(documents))[1].tolist() == [100]


def test_a_passage_of_few_words_has_the_shingle_of_all_of_them():
    index = Passages(["Two words", "...", ""])
    assert index.shingles.tolist() == [1, 0, 0]
    exact, near = index.count(*buffers(["two words", "some two words", "Two words", "..."]))
    assert (exact.tolist(), near.tolist()) == ([1, 1, 0], [1, 0, 0])


@pytest.mark.parametrize("passages", [[], [""], ["", ""], ["a", ""], ["."]])
@pytest.mark.parametrize("documents", [[], [""], ["", "a.a"]])
def test_nothing_to_count(passages, documents):
    exact, near = Passages(passages).count(*buffers(documents))
    assert exact.tolist() == exactly(passages, documents)
    assert near.tolist() == [0] * len(passages)


def test_hashes_that_collide_do_not_make_occurrences(monkeypatch):
    random = np.random.default_rng(1)
    words = ["".join(random.choice(list("abc"), size=n)) for n in SIZES for _ in range(30)]
    documents = [" ".join(random.choice(words, size=60)) for _ in range(20)]
    monkeypatch.setattr(occurrences, "_GEAR", np.zeros(256, dtype=np.uint64))
    exact = Passages(words).count_exact(*buffers(documents))
    assert exact.tolist() == exactly(words, documents)


def test_passages_that_overlap_share_a_header_or_are_runs():
    random = np.random.default_rng(2)
    licence = " ".join(random.choice([f"w{i}" for i in range(90)], size=400))
    passages = [licence[i : i + 120] for i in range(0, len(licence), 3)]
    passages += [licence[:150] + f" number {i}" for i in range(50)]
    passages += [c * n for c in " a" for n in (*SIZES, 399, 400)]
    changed = licence[:500] + "CHANGED" + licence[510:]
    documents = [licence, changed, licence * 2, " " * 1000 + "a" * 799, "a" * 399 + "b" + licence]
    index = Passages(passages)
    exact, near = index.count(*buffers(documents))
    assert exact.tolist() == exactly(passages, documents)
    assert near.tolist() == nearly(passages, documents, 5, 0.125)


def test_probes_keep_away_from_what_many_passages_share():
    header = "Permission is hereby granted, free of charge, to any person obtaining a copy "
    random = np.random.default_rng(3)
    own = ["".join(random.choice(list("abcdefgh "), size=60)) for _ in range(300)]
    entries = Passages([header + o for o in own] + [" " * 200 + o[:40] for o in own])._exact.lookup
    assert len(entries.entries) - 1 == 600  # no two have a probe in common


def test_equal_passages_are_one():
    passages = ["the same passage, again and again, in a row", "another"] * 50_000
    index = Passages(passages)
    assert len(index._exact.ends) == 2
    exact, _ = index.count(*buffers([passages[0] * 3, "another"]))
    assert exact.tolist() == [3, 1] * 50_000


def test_arrow_slices_nulls_threads_and_pickles():
    array = pa.array(["skipped", "b a", None, "a"], pa.string()).slice(1)
    index = Passages(array)
    data, offsets = buffers(["a b a", "b a b a", "é"])
    expected = [[3, 0, 4], [0, 0, 0]]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: index.count(data, offsets), range(8)):
            assert np.array(found).tolist() == expected
    copy = pickle.loads(pickle.dumps(index))
    assert np.array(copy.count(data, offsets)).tolist() == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"least": 0.0}, "least is 0.0"),
        ({"least": 1.5}, "least is 1.5"),
        ({"least": float("nan")}, "least is nan"),
        ({"ngram": 0}, "ngram is 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Passages(["a"], **settings)


@pytest.mark.parametrize(
    ("left", "right"), [([], []), ([], [1]), ([1, 2], [1, 2]), ([1, 2], [1, 3]), ([1], [1, 2])]
)
def test_lists_of_holders_are_the_same_only_if_they_are_equal(left, right):
    a, b = np.array([9, *left], dtype=np.int32), np.array([*right, 8], dtype=np.int32)
    same = occurrences._same(a, np.int64(1), np.int64(len(a)), b, np.int64(0), np.int64(len(b) - 1))
    assert same == (left == right)
