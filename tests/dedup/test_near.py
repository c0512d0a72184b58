import itertools
import random
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import near_recall
from tests.dedup import reference
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.examples import examples
from unrote.corpus.schema import BANDS, DUPLICATES, PAIRS, TEXT
from unrote.dedup import candidates, near
from unrote.dedup.candidates import CANDIDATES, CandidateDocuments, CandidatePairs, DistinctPairs
from unrote.dedup.minhash import sign_texts
from unrote.dedup.near import near_duplicates, width_of
from unrote.dedup.selection import STEPS, GreedySelection
from unrote.dedup.shingles import shingles
from unrote.dedup.similarity import SETS, Shingles, Verify
from unrote.dedup.twins import ResolveTwins, TwinLinks


def family(seed: int, count: int = 60) -> list[str]:
    """Texts that were copied from one another with changes: chains, stars, and strangers."""
    chance = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(40)]
    texts = [[chance.choice(vocabulary) for _ in range(chance.randint(0, 60))]]
    while len(texts) < count:
        words = list(chance.choice(texts))
        for _ in range(chance.choice([0, 0, 1, 1, 2, 5, 40])):
            if words:
                words[chance.randrange(len(words))] = chance.choice(vocabulary)
        texts.append(words or [chance.choice(vocabulary) for _ in range(chance.randint(0, 60))])
    chance.shuffle(texts)
    return [" ".join(words) for words in texts]


def band_rows(texts: list[str], rank: list[int]) -> pa.Table:
    _, buckets, words = sign_texts(pa.array(texts, pa.string()), 128, 5, "word", 18, 7)
    rows = [(d, b, rank[d]) for d in range(len(texts)) if words[d] for b in buckets[d].tolist()]
    return table(BANDS.schema, rows)


def greedy(bands: pa.Table, similarity, threshold: float = 0.8) -> set[int]:
    """Who is removed by the greedy selection, one document after the other in keep order."""
    buckets = defaultdict(set)
    for doc, bucket, _ in rows_of(bands):
        buckets[doc].add(bucket)
    members, removed = defaultdict(list), set()
    for _, doc in sorted({(rank, doc) for doc, _, rank in rows_of(bands)}):
        earlier = {k for b in buckets[doc] for k in members[b]}
        if any(similarity(doc, k) >= threshold for k in earlier):
            removed.add(doc)
            continue
        for b in buckets[doc]:
            members[b].append(doc)
    return removed


def staged(
    texts: list[str], bands: pa.Table, seed: int, widths: Callable[[int], int] = width_of
) -> list[tuple[int, str, int, float]]:
    """The rows of NEAR by the stages, round after round."""
    engine = MiniEngine(seed)

    def steps(candidates: pa.Table, pairs: pa.Table) -> pa.Table:
        needed = {row[0] for row in rows_of(candidates)}
        text = table(TEXT, [(d, t) for d, t in enumerate(texts) if d in needed])
        found = engine.map(Shingles(), text=text, pairs=pairs, candidates=candidates)
        verified = engine.group(Verify(0.8), sets=found["sets"])["steps"]
        return pa.concat_tables([verified, found["steps"]])

    removed = []
    for number, one in enumerate(near.rounds(engine, bands, steps, widths)):
        assert number <= near.ROUNDS or widths is not width_of
        assert one.near.num_rows or one.kept.num_rows
        removed += rows_of(one.near)
    return sorted(removed)


@pytest.mark.parametrize("seed", range(8))
def test_rounds_remove_what_greedy_selection_removes(seed):
    texts = family(seed)
    rank = random.Random(seed).choices(range(20), k=len(texts)) if seed % 2 else [0] * len(texts)
    bands = band_rows(texts, rank)
    found = staged(texts, bands, seed)
    removed = {row[0] for row in found}
    assert removed == greedy(bands, lambda a, b: reference.jaccard(texts[a], texts[b]))
    assert len(removed) == len(found) > 5
    for doc, reason, twin, similarity in found:
        assert reason == "near"
        assert twin not in removed
        assert (rank[twin], twin) < (rank[doc], doc)
        assert similarity == reference.jaccard(texts[doc], texts[twin]) >= 0.8
    assert found == staged(texts, bands, seed + 1000)  # however batches are cut
    narrow = staged(texts, bands, seed, lambda number: 1 + number)
    assert {row[0] for row in narrow} == removed
    if not seed % 2:
        assert near_duplicates(texts) == [(d, t, s) for d, _, t, s in found]


GRAPHS = st.integers(2, 14).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 3), min_size=n, max_size=n),  # ranks
        st.lists(st.sets(st.integers(0, 9), max_size=5), min_size=n, max_size=n),  # buckets
        st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))),  # similar pairs
    )
)


@given(GRAPHS, st.integers(0, 9), st.integers(1, 3))
@examples(200)
def test_rounds_and_greedy_selection_agree_on_any_graph(graph, seed, width):
    rank, buckets, edges = graph
    edges |= {(b, a) for a, b in edges}
    bands = table(
        BANDS.schema, [(d, b, rank[d]) for d in range(len(rank)) for b in sorted(buckets[d])]
    )
    expected = greedy(bands, lambda a, b: float((a, b) in edges))
    removed, kept = set(), set()

    def steps(candidates: pa.Table, pairs: pa.Table) -> pa.Table:
        similar = [row for row in rows_of(pairs) if row[:2] in edges]
        rows = [(d, 0, r, 0, 0, complete, 0.0, 0) for d, r, complete, _ in rows_of(candidates)]
        rows += [(d, 1, rank[d], r, k, 0, 0.9, 0) for d, k, r in similar]
        return table(STEPS.schema, rows)

    for one in near.rounds(MiniEngine(seed), bands, steps, lambda _: width):
        pairs = [row[:2] for row in rows_of(one.pairs)]
        assert len(pairs) == len(set(pairs))
        firsts = {row[0] for row in rows_of(one.candidates) if row[3]}
        assert firsts == {row[1] for row in pairs}
        assert {row[0] for row in rows_of(one.candidates)} == firsts | {row[0] for row in pairs}
        assert one.near.num_rows or one.kept.num_rows
        kept |= {row[0] for row in rows_of(one.kept)}
        removed |= {row[0] for row in rows_of(one.near)}
        assert all((doc, twin) in edges and twin in kept for doc, _, twin, _ in rows_of(one.near))
    assert removed == expected
    assert not kept & removed


Edges = set[tuple[int, int]]


def sharing(edges: Edges) -> dict[int, list[int]]:
    """A shingle set for each document: two share a shingle iff there is an edge between them."""
    sets: dict[int, list[int]] = defaultdict(list)
    for shingle, (a, b) in enumerate(sorted(edges)):
        sets[a].append(shingle)
        sets[b].append(shingle)
    return sets


def by_rounds(bands: pa.Table, edges: Edges, seed: int, most: int) -> tuple[set[int], int]:
    """Who is removed by the stages of the rounds, and how many rounds that took."""
    rank = {doc: r for doc, _, r in rows_of(bands)}
    sets = sharing(edges)
    engine, removed, number = MiniEngine(seed, most), set(), 0

    def steps(candidates: pa.Table, pairs: pa.Table) -> pa.Table:
        rows = [(k, 1, d, r, rank[d], sets[d]) for d, k, r in rows_of(pairs)]
        rows += [(d, 0, d, r, r, sets[d]) for d, r, _, paired in rows_of(candidates) if paired]
        verified = engine.group(Verify(1e-9), sets=table(SETS, rows))["steps"]
        rows = [(d, 0, r, 0, 0, complete, 0.0, 0) for d, r, complete, _ in rows_of(candidates)]
        return pa.concat_tables([verified, table(STEPS.schema, rows)])

    for one in near.rounds(engine, bands, steps):
        number += 1
        removed |= {row[0] for row in rows_of(one.near)}
    return removed, number


@st.composite
def graphs(draw, most: int = 40) -> tuple[pa.Table, Edges]:
    """Buckets in any keep order, and edges: chains, stars, cliques, or anything."""
    n = draw(st.integers(2, most))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    edges = draw(
        st.one_of(
            st.just({(i, i + 1) for i in range(n - 1)}),
            st.just({(0, i) for i in range(1, n)}),
            st.just(set(itertools.combinations(range(n), 2))),
            st.sets(pair.filter(lambda p: p[0] < p[1]), max_size=3 * n),
        )
    )
    order = draw(st.permutations(range(n)))
    rank = [0] * n if draw(st.booleans()) else [order.index(d) // 2 for d in range(n)]
    few = st.sets(st.integers(0, 5), max_size=3)
    buckets = draw(st.one_of(st.just([{0}] * n), st.lists(few, min_size=n, max_size=n)))
    rows = [(d, b, rank[d]) for d in range(n) for b in sorted(buckets[d])]
    return table(BANDS.schema, rows), edges


def agree(bands: pa.Table, edges: Edges, seed: int, most: int = 7) -> int:
    """Compare with the greedy selection; how many rounds there were."""
    both = edges | {(b, a) for a, b in edges}
    removed, rounds = by_rounds(bands, edges, seed, most)
    assert removed == greedy(bands, lambda a, b: float((a, b) in both))
    assert rounds <= near.ROUNDS + 1
    return rounds


@given(graphs(), st.integers(0, 99), st.sampled_from([0, 1, 2, 6]))
@examples(200)
def test_the_stages_remove_what_greedy_selection_removes(graph, seed, rounds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "ROUNDS", rounds)
        agree(*graph, seed)


def one_bucket(order: list[int]) -> pa.Table:
    return table(BANDS.schema, [(d, 7, position) for position, d in enumerate(order)])


@pytest.mark.parametrize("rounds", [2, 6])
@pytest.mark.parametrize("shuffled", [False, True])
def test_long_chains_stars_and_cliques_end(rounds, shuffled, monkeypatch):
    monkeypatch.setattr(near, "ROUNDS", rounds)
    n, order = 200, list(range(200))
    if shuffled:
        random.Random(1).shuffle(order)
    clique = set(itertools.combinations(range(30), 2))
    chain, star = {(i, i + 1) for i in range(n - 1)}, {(0, i) for i in range(1, n)}
    found = [agree(one_bucket(order), e, 3, 64) for e in (chain, star, clique, set())]
    assert found[3] == (3 if rounds == 2 else 5)  # what two rounds leave, the third decides


def test_buckets_of_two_are_decided_in_one_round():
    n = 60
    bands = table(BANDS.schema, [(d, b, 0) for d in range(n) for b in {d, max(0, d - 1)}])
    assert agree(bands, {(i, i + 1) for i in range(n - 1)}, 1) == 1
    assert agree(bands, {(i, i + 1) for i in range(0, n - 1, 3)}, 1) == 1


def test_copies_of_one_text_make_few_pairs():
    count = 300
    bands = band_rows(["some text that everybody copies from everybody"] * count, [0] * count)
    engine = MiniEngine(most=64)
    paired = engine.group(CandidatePairs(1), bands=bands)
    found = engine.group(CandidateDocuments(), members=paired["members"])
    candidates, undecided = found["candidates"], found["undecided"]
    pairs = engine.group(DistinctPairs(), pairs=paired["pairs"])["pairs"]
    assert rows_of(pairs) == [(d, 0, 0) for d in range(1, count)]
    assert rows_of(candidates) == [(d, 0, int(d == 0), int(d == 0)) for d in range(count)]
    assert sorted(undecided.to_pylist(), key=str) == sorted(bands.to_pylist(), key=str)


def test_many_pairs_come_in_several_batches(monkeypatch):
    monkeypatch.setattr(candidates, "_BATCH_PAIRS", 10)
    bands = table(BANDS.schema, [(d, 5, 0) for d in range(40)])
    found = MiniEngine(most=50).group(CandidatePairs(1000), bands=bands)["pairs"]
    assert rows_of(found) == [(d, k, 0) for d in range(40) for k in range(d)]
    assert max(len(chunk) for chunk in found.column("doc").chunks) == 10


def test_a_selection_remembers_more_than_fits_its_first_table():
    count = 5000
    rows = [(d, 0, 0, 0, 0, 0, 0.0, 0) for d in range(count)]
    rows += [(d, 1, 0, 0, d - 1, 0, 0.8, 0) for d in range(1, count)]
    rows += [(count + d, 0, 1, 0, 0, 1, 0.0, 0) for d in range(count + 1)]
    rows += [(count + d, 1, 1, 0, d, 0, 0.8, 0) for d in range(count)]
    found = MiniEngine(most=900).group(GreedySelection(), steps=table(STEPS.schema, rows))
    assert found["near"].num_rows == 0
    assert rows_of(found["kept"]) == [(2 * count, 1)]


def test_shingles_in_document_ranges_and_small_batches(monkeypatch):
    monkeypatch.setattr("unrote.dedup.similarity._BATCH_VALUES", 20)
    texts = family(3, 30)
    pairs = [(d, k, 100 + k) for d in range(2, 30, 3) for k in (1, 4)]
    candidates = [(d, 100 + d, d % 2, int(d in (1, 4))) for d in {1, 4, *range(2, 30, 3)}]
    inputs = {
        "pairs": table(PAIRS.schema, pairs),
        "candidates": table(CANDIDATES.schema, candidates),
    }
    sets = shingles(texts)
    expected = sorted(
        [(k, 1, d, r, 100 + d, sets[d].tolist()) for d, k, r in pairs]
        + [(k, 0, k, 100 + k, 100 + k, sets[k].tolist()) for k in (1, 4)]
    )
    steps = sorted((d, 0, r, 0, 0, complete, 0.0, 0) for d, r, complete, _ in candidates)
    for seed in range(10):
        text = table(TEXT, list(enumerate(texts)))
        found = MiniEngine(seed).map(Shingles(), text=text, **inputs)
        assert rows_of(found["sets"]) == expected
        assert rows_of(found["steps"]) == steps


@pytest.mark.parametrize("seed", range(10))
def test_resolve_twins(seed):
    near_rows = [(3, "near", 1, 0.9), (8, "near", 2, 0.85)]
    exact_rows = [
        (d, "exact", t, 1.0) for d, t in [(4, 3), (5, 3), (6, 1), (9, 8), (7, 2), (0, 10)]
    ]
    engine = MiniEngine(seed, most=3)
    with TwinLinks().open() as run:
        batches = [
            ("near", table(DUPLICATES.schema, near_rows[:1]).to_batches()[0]),
            ("exact", table(DUPLICATES.schema, exact_rows).to_batches()[0]),
            ("near", table(DUPLICATES.schema, near_rows[1:]).to_batches()[0]),
        ]
        links = pa.Table.from_batches([batch for _, batch in run(iter(batches))])
    found = engine.group(ResolveTwins(), links=links)["duplicates"]
    assert rows_of(found) == [
        (0, "exact", 10, 1.0),
        (3, "near", 1, 0.9),
        (4, "near", 1, 0.9),
        (5, "near", 1, 0.9),
        (6, "exact", 1, 1.0),
        (7, "exact", 2, 1.0),
        (8, "near", 2, 0.85),
        (9, "near", 2, 0.85),
    ]


GROUPS = (
    CandidatePairs(),
    CandidateDocuments(),
    DistinctPairs(),
    Verify(),
    GreedySelection(),
    ResolveTwins(),
)


@pytest.mark.parametrize("stage", GROUPS, ids=lambda stage: type(stage).__name__)
def test_no_rows(stage):
    found = MiniEngine().group(stage, **{t: table(s, []) for t, s in stage.inputs.items()})
    assert all(result.num_rows == 0 for result in found.values())


def test_similar_pairs_are_all_candidates_that_verify():
    texts = family(5)
    found, candidates = near_recall.similar_pairs(texts)
    truth = {
        (a, b): reference.jaccard(texts[a], texts[b])
        for b in range(len(texts))
        for a in range(b)
        if reference.words(texts[a])
    }
    assert all(truth[a, b] == s >= 0.8 for a, b, s in found)
    similar = sum(s >= 0.8 for s in truth.values())
    assert 0.9 * similar <= len(found) <= candidates
    assert found == sorted(found)


def test_nothing_to_compare():
    assert near_duplicates([]) == []
    assert near_duplicates(["", "", "..."]) == []
    assert near_duplicates(["a", "b"]) == []
    assert near_recall.similar_pairs(["", ""]) == ([], 0)
    assert near_duplicates(["a b", "a  B!", "b a"]) == [(1, 0, 1.0)]
    assert near_duplicates(["今天天气很好", "今天天气很好。"], unit="character") == [(1, 0, 1.0)]


def test_a_threshold_that_no_bands_reach():
    with pytest.raises(ValueError, match="permutations"):
        near_duplicates(["a"], threshold=0.01)


def test_candidates_are_all_pairs_of_a_bucket():
    generator = np.random.default_rng(0)
    bucket, doc = generator.integers(0, 20, 100), generator.integers(0, 30, 100)
    bucket, doc = np.unique(np.stack([bucket, doc]), axis=1)
    expected = sorted(
        {
            (a, b)
            for k, a in zip(bucket, doc, strict=True)
            for j, b in zip(bucket, doc, strict=True)
            if k == j and a < b
        }
    )
    left, right = near_recall._candidates(bucket, doc)
    assert list(zip(left, right, strict=True)) == expected
