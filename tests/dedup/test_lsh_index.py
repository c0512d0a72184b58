"""Near-duplicates by datasketch's index, beside the rounds and beside plain Python."""

import numpy as np
import pyarrow as pa
import pytest

from tests.dedup import reference
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.dedup.test_near import family
from unrote.corpus.imports import block_imports
from unrote.corpus.schema import RECORDS, REJECTS
from unrote.dedup.lsh_index import RANKED_SETS, IndexSelection, RankedSets
from unrote.dedup.minhash import bands_for
from unrote.dedup.near import near_duplicates

CERTAIN = {"threshold": 0.7, "max_miss": 1e-8}
"""So many bands that no pair of the tests is missed."""


def records(texts: list[str]) -> pa.Table:
    nothing = {name: pa.nulls(len(texts), RECORDS.field(name).type) for name in RECORDS.names}
    given = {"doc": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())}
    return pa.table(nothing | given, schema=RECORDS)


def greedy(texts: list[str], order: list[int], threshold: float) -> list[tuple]:
    """Who is removed, with the first kept one that is similar: all pairs, in plain Python."""
    kept, removed = [], []
    for doc in order:
        for twin in kept:
            similarity = reference.jaccard(texts[doc], texts[twin])
            if similarity >= threshold:
                removed.append((doc, "near", twin, similarity))
                break
        else:
            if reference.words(texts[doc]):
                kept.append(doc)
    return sorted(removed)


@pytest.mark.parametrize("seed", range(4))
def test_the_index_removes_what_all_pairs_remove(seed):
    texts = [*family(seed), "", "..."]
    sizes = [-len(text.encode()) for text in texts]
    order = sorted(range(len(texts)), key=lambda doc: (sizes[doc], doc))
    expected = greedy(texts, order, 0.7)
    assert len(expected) > 5
    for cut in range(3):  # however batches are cut
        engine = MiniEngine(cut)
        rejects = table(REJECTS.schema, [])
        sets = engine.map(RankedSets(keep="longest"), text=records(texts), rejects=rejects)["sets"]
        found = engine.group(IndexSelection(0.7, max_miss=1e-8), sets=sets)["near"]
        assert rows_of(found) == expected


@pytest.mark.parametrize(("unit", "ngram"), [("word", 5), ("word", 2), ("character", 6)])
def test_both_methods_find_the_same(unit, ngram):
    texts = family(11, 80)
    given = CERTAIN | {"unit": unit, "ngram": ngram}
    ours = near_duplicates(texts, **given)
    assert near_duplicates(texts, **given, method="datasketch") == ours
    assert len(ours) > 5


def test_a_pair_at_the_threshold_is_missed_as_seldom_as_promised():
    """datasketch's own bands would miss 60 % of them."""
    generator = np.random.default_rng(5)
    vocabulary = [f"w{i}" for i in range(100_000)]
    texts = []
    for _ in range(200):  # 2-grams: 17 of 19 words in a row are shared, similarity 16 / 20
        words = generator.choice(vocabulary, 21, replace=False).tolist()
        texts += [" ".join(words[:19]), " ".join(words[2:])]
    assert reference.jaccard(*texts[:2], 2) == 0.8
    found = near_duplicates(texts, ngram=2, method="datasketch")
    bands, rows = bands_for(128, 0.8, 0.05)
    miss = (1 - 0.8**rows) ** bands
    assert 200 - len(found) <= 200 * miss + 4 * np.sqrt(200 * miss)
    assert all(twin + 1 == doc and similarity == 0.8 for doc, twin, similarity in found)


def test_long_texts_are_permuted_in_parts(monkeypatch):
    texts = family(2)
    whole = near_duplicates(texts, method="datasketch")
    monkeypatch.setattr("unrote.dedup.lsh_index._AT_ONCE", 7)
    monkeypatch.setattr("unrote.dedup.lsh_index._BATCH_VALUES", 100)
    assert near_duplicates(texts, method="datasketch") == whole


def test_nothing_to_compare():
    for texts in ([], ["", "..."], ["a", "b"]):
        assert near_duplicates(texts, method="datasketch") == []
    assert near_duplicates(["a b", "a  B!", "b a"], method="datasketch") == [(1, 0, 1.0)]
    sets = table(RANKED_SETS, [])
    assert MiniEngine().group(IndexSelection(), sets=sets)["near"].num_rows == 0


def test_what_is_not_allowed():
    with pytest.raises(ValueError, match="must be one of rounds, datasketch"):
        near_duplicates(["a"], method="lsh")
    with pytest.raises(ValueError, match="permutations"):
        near_duplicates(["a"], method="datasketch", threshold=0.01)
    with pytest.raises(ValueError, match="makes its own"):
        near_duplicates(["a"], method="datasketch", signatures=np.zeros((1, 128), np.uint32))


def test_without_datasketch(monkeypatch):
    monkeypatch.delitem(__import__("sys").modules, "datasketch", raising=False)
    with block_imports("datasketch"), pytest.raises(Exception, match="unrote\\[datasketch\\]"):
        near_duplicates(["a b", "a b"], method="datasketch")
