import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import reference
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.dedup.test_near import band_rows, family, greedy
from tests.examples import examples
from unrote.corpus.schema import TEXT
from unrote.dedup.selection import FinalSelection, UndecidedSets


def selected(texts: list[str], bands: pa.Table, threshold: float, seed: int) -> list[tuple]:
    engine = MiniEngine(seed)
    sharing = {doc for doc, _, _ in rows_of(bands)}
    text = table(TEXT, [(d, t) for d, t in enumerate(texts) if d in sharing])
    sets = engine.map(UndecidedSets(), undecided=bands, text=text)["sets"]
    return sorted(rows_of(engine.group(FinalSelection(threshold), sets=sets)["near"]))


@examples(60)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([0.5, 0.8, 1.0]))
def test_removes_what_greedy_selection_removes(seed, ranked, threshold):
    texts = family(seed, 40)
    rank = [random.Random(seed + d).randint(0, 5) if ranked else 0 for d in range(len(texts))]
    bands = band_rows(texts, rank)

    def similarity(a: int, b: int) -> float:
        return reference.jaccard(texts[a], texts[b])

    found = selected(texts, bands, threshold, seed)
    assert {doc for doc, *_ in found} == greedy(bands, similarity, threshold)
    removed = {doc for doc, *_ in found}
    for doc, reason, twin, measured in found:
        assert reason == "near"
        assert twin not in removed
        assert (rank[twin], twin) < (rank[doc], doc)
        assert measured == similarity(doc, twin) >= threshold


def test_bucket_zero_is_a_bucket():
    texts = ["one two three four five six seven"] * 2
    bands = table(
        pa.schema([(n, pa.int64()) for n in ("doc", "bucket", "rank")]), [(0, 0, 0), (1, 0, 0)]
    )
    assert selected(texts, bands, 0.8, 0) == [(1, "near", 0, 1.0)]


@pytest.mark.parametrize("words", [1, 4, 5])
def test_short_documents(words):
    texts = [" ".join("abcdefg"[:words])] * 3
    found = selected(texts, band_rows(texts, [0, 0, 0]), 0.8, 1)
    assert [row[0] for row in found] == [1, 2]
