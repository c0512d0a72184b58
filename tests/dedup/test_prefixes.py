import itertools
import random
import unicodedata
from collections import Counter, defaultdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import near_recall
from tests.dedup import reference
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.examples import examples
from unrote.corpus.schema import BANDS, TEXT
from unrote.dedup import near
from unrote.dedup.near import near_duplicates
from unrote.dedup.prefixes import (
    HOT_DOCUMENTS,
    DocumentShingles,
    FrequentShingles,
    HotBuckets,
    HotDocuments,
    PrefixBuckets,
)

LINE = "this website uses cookies so that we can give you the best possible experience read more"


def corpus(seed: int, count: int, own: int, line: str, similar: float = 0.2) -> list[str]:
    """Texts with one shared line; some are near-copies of earlier ones."""
    chance = random.Random(seed)
    texts: list[list[str]] = []
    for _ in range(count):
        if texts and chance.random() < similar:
            words = list(chance.choice(texts))
            for _ in range(chance.randint(0, 2)):
                words[chance.choice([0, -1])] = f"w{chance.randrange(3000)}"
        else:
            words = [f"w{chance.randrange(3000)}" for _ in range(own)]
        texts.append(words)
    return [" ".join(words) + "\n" + line for words in texts]


def prefix_pairs(texts: list[str], threshold: float, limit: int, seed: int) -> set[tuple[int, int]]:
    """The pairs of texts that share a bucket of PREFIXES."""
    engine = MiniEngine(seed, most=17)
    hot = table(HOT_DOCUMENTS.schema, [(d, 0) for d in range(len(texts))])
    text = table(TEXT, list(enumerate(texts)))
    rows = engine.map(DocumentShingles(), hot_documents=hot, text=text)["shingles"]
    shared = engine.group(FrequentShingles(limit), shingles=rows)["shared"]
    prefixes = engine.group(PrefixBuckets(threshold), shared=shared)["prefixes"]
    members = defaultdict(list)
    for doc, bucket, _ in rows_of(prefixes):
        members[bucket].append(doc)
    return {pair for docs in members.values() for pair in itertools.combinations(sorted(docs), 2)}


@given(
    st.integers(0, 999),
    st.sampled_from([4, 12, 25]),
    st.sampled_from([0.3, 0.5, 0.8, 0.9, 1.0]),
    st.integers(1, 50),
)
@examples(30)
def test_prefixes_lose_no_similar_pair(seed, own, threshold, limit):
    texts = corpus(seed, 40, own, LINE, similar=0.6)
    expected = {
        (a, b)
        for a, b in itertools.combinations(range(40), 2)
        if reference.jaccard(texts[a], texts[b]) >= threshold
    }
    found = prefix_pairs(texts, threshold, limit, seed)
    assert expected <= found
    assert found == prefix_pairs(texts, threshold, limit, seed + 1)  # however batches are cut


def test_canonically_equal_texts_share_their_shingles():
    text = "d\u00e9j\u00e0 vu na\u00efve caf\u00e9 fa\u00e7ade r\u00f4le \u00e9lan"
    assert prefix_pairs([text, unicodedata.normalize("NFD", text)], 0.8, 9, 1) == {(0, 1)}


def test_a_shared_line_makes_no_pairs():
    assert len(prefix_pairs(corpus(1, 400, 12, LINE, similar=0.0), 0.8, 30, 1)) < 40


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=60), st.integers(0, 99))
@examples(100)
def test_hot_buckets_are_those_with_more_documents(rows, seed):
    bands = [(d, b, d % 3) for d, (b, _) in enumerate(rows)]
    bands += [(d, 10 + b, d % 3) for d, (_, b) in enumerate(rows)]
    engine = MiniEngine(seed, most=5)
    found = engine.group(HotBuckets(4), bands=table(BANDS.schema, bands))
    sizes = Counter(b for _, b, _ in bands)
    hot = {b for b, n in sizes.items() if n > 4}
    assert sorted(rows_of(found["others"])) == sorted(r for r in bands if r[1] not in hot)
    assert sorted(rows_of(found["members"])) == sorted(r for r in bands if r[1] in hot)
    firsts = {b: min((r, d) for d, x, r in bands if x == b)[1] for b in hot}
    assert sorted(rows_of(found["buckets"])) == sorted((firsts[b], b, sizes[b]) for b in hot)
    documents = engine.group(HotDocuments(), members=found["members"])["documents"]
    assert sorted(rows_of(documents)) == sorted({(d, r) for d, b, r in bands if b in hot})


@pytest.mark.parametrize("own", [12, 16])
def test_near_copies_among_documents_with_one_line_are_found(own, monkeypatch):
    texts = corpus(own, 3000, own, LINE)
    verified = []
    rounds = near.verified_rounds

    def watched(*arguments, **settings):
        for one in rounds(*arguments, **settings):
            verified.append(one.pairs.num_rows)
            yield one

    monkeypatch.setattr(near, "verified_rounds", watched)
    found = near_duplicates(texts)
    assert sum(verified) < 15 * len(texts)
    removed = {doc for doc, _, _ in found}
    for doc, twin, similarity in found:
        assert twin not in removed
        assert similarity == reference.jaccard(texts[doc], texts[twin]) >= 0.8
    pairs = near_recall.brute_force(texts, 0.8, "word", 5)
    left = [pair for pair in pairs if not removed & set(pair)]
    assert len(pairs) > 300
    assert len(left) <= 0.03 * len(pairs)


STAGES = (HotBuckets(), HotDocuments(), FrequentShingles(), PrefixBuckets())


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: type(stage).__name__)
def test_no_rows(stage):
    ((tag, schema),) = stage.inputs.items()
    found = MiniEngine().group(stage, **{tag: pa.Table.from_pylist([], schema)})
    assert all(rows.num_rows == 0 for rows in found.values())
