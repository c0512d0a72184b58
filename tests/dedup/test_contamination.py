"""Common passages of documents and evaluation sets, beside a plain reading of the rules."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.examples import examples
from unrote.corpus.schema import TEXT
from unrote.dedup.contamination import (
    FindContamination,
    ItemOverlaps,
    covered,
    list_items,
    ngram_of,
)
from unrote.dedup.item_grams import BLOCK, GRAM, SHARED

ALPHABET = [f"w{n}" for n in range(12)]
words = st.lists(st.sampled_from(ALPHABET), max_size=30)
copied = st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(6, 30))


@st.composite
def corpora(draw):
    """Items, and documents made of parts of them and of other words."""
    items = draw(st.lists(words, min_size=1, max_size=4))
    documents = []
    for _ in range(draw(st.integers(1, 3))):
        text = []
        for number, start, length in draw(st.lists(copied, max_size=4)):
            text += items[number % len(items)][start : start + length]
            text += draw(st.lists(st.sampled_from(ALPHABET), max_size=3))
        documents.append(text)
    return items, documents


def spelled(text, draw):
    """Words with marks, spaces and letter cases that make no difference."""
    parts = [word.upper() if draw.draw(st.booleans()) else word for word in text]
    return "".join(p + draw.draw(st.sampled_from([" ", ", ", ".\n", " — "])) for p in parts)


def expected(items, documents):
    """(item, document, first word there, words, first word of the item) of all maximal runs."""
    found = set()
    for n, item in enumerate(items):
        for d, text in enumerate(documents):
            for i in range(len(text)):
                for j in range(len(item)):
                    if text[i] != item[j] or (i and j and text[i - 1] == item[j - 1]):
                        continue
                    k = 0
                    while i + k < len(text) and j + k < len(item) and text[i + k] == item[j + k]:
                        k += 1
                    if k >= GRAM:
                        found.add((n, d, i, k, j))
    return found


def run(items, documents, rule="gpt3", seed=0, action="report"):
    names = pa.chunked_array([[str(n) for n in range(len(items))]], pa.string())
    index = list_items([("s", names, pa.chunked_array([items], pa.string()))])
    engine = MiniEngine(seed)
    found = engine.map(
        FindContamination(rule, action),
        listed_items=index.items,
        item_texts=index.texts,
        text=table(TEXT, list(enumerate(documents))),
    )
    listed = engine.group(ItemOverlaps(rule), items=index.items, overlaps=found["overlaps"])
    return found, sorted(listed["items"].to_pylist(), key=lambda row: row["number"])


@examples(20)
@given(corpora(), st.data(), st.integers(0, 9))
def test_all_longest_runs_are_found(corpus, draw, seed):
    items, documents = corpus
    texts = [spelled(text, draw) for text in documents]
    found, listed = run([spelled(item, draw) for item in items], texts, seed=seed)
    rows = found["contamination"].to_pylist()
    runs = expected(items, documents)
    where = [[one.start() for one in re.finditer(r"\w+", text)] for text in texts]
    assert {
        (row["number"], row["doc"], where[row["doc"]].index(row["start"]), row["words"],
         row["item_start"])
        for row in rows
    } == runs  # fmt: skip
    assert len(rows) == len(runs)
    for row in rows:
        passage = re.findall(r"\w+", texts[row["doc"]][row["start"] : row["end"]].lower())
        own = items[row["number"]]
        assert passage == own[row["item_start"] : row["item_start"] + row["words"]]
        assert texts[row["doc"]][row["end"] - 1].isalnum()
    for number, (item, row) in enumerate(zip(items, listed, strict=True)):
        own = [one for one in runs if one[0] == number]
        positions = {j + k for _, _, _, length, j in own for k in range(length)}
        assert row["overlap"] == pytest.approx(len(positions) / max(1, len(item)))
        assert row["longest"] == max((length for _, _, _, length, _ in own), default=0)
        assert row["documents"] == len({doc for _, doc, *_ in own})


def sentence(count, prefix="a"):
    return [f"{prefix}{n}" for n in range(count)]


@pytest.mark.parametrize(
    ("rule", "shares", "counts"),
    [
        # What of an item of 40 words is in a document, and whether it counts.
        ("gpt3", [12], False),
        ("gpt3", [13], True),
        ("gpt3", [12, 12], False),
        ("llama2", [31], False),
        ("llama2", [32], True),
        ("llama2", [22, 10], False),  # ten words are not longer than ten
        ("llama2", [21, 11], True),
        ("olmo", [20], False),
        ("olmo", [21], True),
        ("olmo", [13, 8], True),
    ],
)
def test_the_published_rules(rule, shares, counts):
    item, text, at = sentence(40), [], 0
    for number, share in enumerate(shares):
        text += [*item[at : at + share], f"other{number}"]
        at += share
    found, (listed,) = run([" ".join(item)], [" ".join(text)], rule, action="cut")
    assert listed["contaminated"] is counts
    assert {row["action"] for row in found["contamination"].to_pylist()} == {
        "cut" if counts else "keep"
    }
    assert bool(len(found["contaminated"])) is counts


def test_llama_counts_the_corpus_and_olmo_a_document():
    item = sentence(40)
    halves = [" ".join(item[:20]), " ".join(item[20:])]
    for rule, counts in (("llama2", True), ("olmo", False)):
        _, (listed,) = run([" ".join(item)], halves, rule)
        assert (listed["contaminated"], listed["documents"]) == (counts, 2)


@pytest.mark.parametrize(("lengths", "ngram"), [([3], 8), ([10] * 9, 10), ([50] * 40, 13)])
def test_the_n_of_gpt3(lengths, ngram):
    assert ngram_of(np.array(lengths)) == ngram


def test_what_many_items_share_is_no_item():
    template = " ".join(sentence(12, "template"))
    items = [
        f"{template} question{n} " + " ".join(sentence(9, f"q{n}x")) for n in range(SHARED + 1)
    ]
    _, listed = run(items, [template, items[7]])
    assert [row["item"] for row in listed if row["longest"]] == ["7"]
    assert {row["template"] for row in listed} == {5}
    few, _ = run(items[:-1], [template])
    assert len(few["contamination"]) == SHARED


def test_normalization_makes_no_difference_and_offsets_are_those_of_the_text():
    item = " ".join(sentence(12, "caf\u00e9"))
    text = "x " + item.replace("\u00e9", "e\u0301") + " y"
    found, _ = run([item], [text])
    (row,) = found["contamination"].to_pylist()
    assert text[row["start"] : row["end"]] == text[2:-2]


def test_a_passage_may_begin_in_one_block_of_words_and_end_in_the_next():
    item = " ".join(sentence(GRAM))
    texts = [" ".join([*sentence(BLOCK - GRAM + n, "x"), item, "end"]) for n in range(GRAM + 1)]
    found, _ = run([item], texts)
    rows = found["contamination"].to_pylist()
    assert [(row["doc"], row["words"]) for row in rows] == [(n, GRAM) for n in range(len(texts))]
    assert all(texts[row["doc"]][row["start"] : row["end"]] == item for row in rows)


def test_many_items_are_told_apart():
    items = [" ".join(sentence(GRAM + n % 5, f"i{n}w")) for n in range(6000)]
    found, _ = run(items, [f"some {item} more" for item in items[::100]])
    rows = found["contamination"].to_pylist()
    assert [row["number"] for row in rows] == list(range(0, len(items), 100))
    assert [row["words"] for row in rows] == [len(item.split()) for item in items[::100]]


def test_scripts_without_spaces():
    item = "這是一個用來測試的句子沒有空格"
    found, _ = run([item], ["前面" + item + "後面"])
    (row,) = found["contamination"].to_pylist()
    assert (row["start"], row["end"], row["words"]) == (2, 2 + len(item), len(item))


@examples(60)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(1, 9)), max_size=9))
def test_covered(passages):
    group, first, words = np.array(passages, dtype=np.int64).reshape(-1, 3).T
    expected = [
        len({a + n for own, a, length in passages if own == one for n in range(length)})
        for one in range(3)
    ]
    assert covered(group, first, words, 3).tolist() == expected


def test_short_items_are_not_looked_for_and_are_listed():
    found, listed = run(["too short", " ".join(sentence(9))], ["too short", "nothing of it"])
    assert not len(found["contamination"])
    assert [row["words"] for row in listed] == [2, 9]
    assert isinstance(rows_of(found["contaminated"]), list)
    assert pa.types.is_boolean(found["contamination"].schema.field("contaminated").type)
