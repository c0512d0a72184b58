"""The selection in blocks of the keep order, beside one walk over everything."""

import itertools
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup.flows import InFlow
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.examples import examples
from unrote.corpus.schema import INDEXED
from unrote.dedup import blocks
from unrote.dedup.keep import LAST
from unrote.dedup.selection import STEPS, GreedySelection
from unrote.pipelines import verified_pairs

Position = tuple[int, int]
"""Rank and document."""

Answer = tuple[list[tuple], list[tuple]]
"""The rows of NEAR and of KEPT."""


def walked(complete: dict[Position, bool], edges: dict[Position, dict[Position, float]]) -> Answer:
    """The selection by its definition, one candidate after another."""
    status: dict[Position, str] = {}
    near, kept = [], []
    for at in sorted(complete):
        before = [one for one in sorted(edges[at]) if one < at]
        twins = [one for one in before if status[one] == "kept"]
        if twins:
            status[at] = "removed"
            near.append((at[1], "near", twins[0][1], edges[at][twins[0]]))
        elif complete[at] and all(status[one] == "removed" for one in before):
            status[at] = "kept"
            kept.append((at[1], at[0]))
        else:
            status[at] = "undecided"
    return sorted(near), sorted(kept)


def steps_of(complete: dict[Position, bool], edges: dict[Position, dict[Position, float]]):
    rows = [(d, 0, r, 0, 0, int(complete[r, d]), 0.0, 0) for r, d in complete]
    for (r, d), similar in edges.items():
        rows += [(d, 1, r, kr, k, 0, s, 0) for (kr, k), s in similar.items() if (kr, k) < (r, d)]
    return table(STEPS.schema, rows)


def in_passes(steps: pa.Table, seed: int, block: int, sampled: int = 2) -> tuple[Answer, list[int]]:
    """The same by the phases of a job with blocks of about `block` steps, of which `sampled` say
    where they begin; and how many steps each pass began with.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_STEPS", block)
        patch.setattr(blocks, "SAMPLED", sampled)
        job = InFlow(MiniEngine(seed), {STEPS.at(1): steps})
        near, kept = verified_pairs.select_in_blocks(job, 1)
        lengths = [job.rows(STEPS.at(1))]
        lengths += [job.rows(STEPS.at(1, n + 1)) for n in range(len(near))]
    rows = ([row for one in of for row in rows_of(job.tables[one])] for of in (near, kept))
    return tuple(map(sorted, rows)), lengths


def at_once(steps: pa.Table, seed: int) -> Answer:
    found = MiniEngine(seed).group(GreedySelection(), steps=steps)
    assert not found["steps"].num_rows
    return rows_of(found["near"]), rows_of(found["kept"])


RANKS = st.sampled_from([-(1 << 63), -5, 0, 0, 0, 7, LAST])


@st.composite
def graphs(draw):
    """Chains, stars, hubs, or anything, in any keep order, with documents of an index first."""
    n = draw(st.integers(1, 40))
    numbers = draw(st.permutations(range(n)))
    indexed = draw(st.integers(0, n // 2))
    docs = [INDEXED + number if number < indexed else number for number in numbers]
    same = draw(st.booleans())
    positions = [(-(1 << 63) if d < 0 else 0 if same else draw(RANKS), d) for d in docs]
    if draw(st.booleans()):
        positions.sort()
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    links = draw(
        st.one_of(
            st.just([(i, i + 1) for i in range(n - 1)]),
            st.just([(0, i) for i in range(1, n)] + [(n - 1, i) for i in range(n - 1)]),
            st.lists(pair.filter(lambda one: one[0] != one[1]), max_size=4 * n),
        )
    )
    edges: dict[Position, dict[Position, float]] = defaultdict(dict)
    for a, b in links:
        similarity = draw(st.sampled_from([0.8, 0.9, 1.0]))
        edges[positions[a]][positions[b]] = edges[positions[b]][positions[a]] = similarity
    complete = {one: draw(st.integers(0, 4)) > 0 for one in positions}
    return complete, edges


@given(graphs(), st.integers(0, 9), st.integers(1, 12))
@examples(150)
def test_blocks_and_one_walk_agree(graph, seed, block):
    complete, edges = graph
    steps = steps_of(complete, edges)
    expected = walked(complete, edges)
    assert at_once(steps, seed) == expected
    found, lengths = in_passes(steps, seed, block)
    assert found == expected
    assert all(later < sooner for sooner, later in itertools.pairwise(lengths))


@pytest.mark.parametrize("ranked", [False, True])
def test_a_chain_that_crosses_every_block(ranked):
    """Each document is similar to the one before it: the first of each block waits for the block
    before, which is about one pass for each block.
    """
    count, block = 600, 60
    chain = [(d // 3 if ranked else 0, d) for d in range(count)]
    edges = defaultdict(dict)
    for before, after in itertools.pairwise(chain):
        edges[after][before] = 0.9
    complete = dict.fromkeys(chain, True)
    found, lengths = in_passes(steps_of(complete, edges), 1, block, sampled=20)
    assert found == walked(complete, edges)
    assert 10 < len(lengths) - 1 <= 1.5 * lengths[0] / block


@pytest.mark.parametrize("hub", ["first", "last", "undecided"])
def test_a_hub_takes_two_passes(hub):
    count = 500
    docs = [(0, d) for d in range(count)]
    edges = defaultdict(dict)
    for one in docs[1:-1]:
        if hub == "last":
            edges[docs[-1]][one] = 0.9
        else:
            edges[one][docs[0]] = 0.9
    complete = dict.fromkeys(docs, True) | {docs[0]: hub != "undecided"}
    found, lengths = in_passes(steps_of(complete, edges), 2, 50)
    assert found == walked(complete, edges)
    assert len(lengths) == 3


def test_a_twin_is_the_first_that_is_kept_even_if_a_later_one_is_known_before():
    """3 waits for 1, of another block, though it's removed by 2, of its own."""
    steps = table(
        STEPS.schema,
        [
            (1, 0, 0, 0, 0, 1, 0.0, 0),
            (2, 0, 0, 0, 0, 1, 0.0, 1),
            (3, 0, 0, 0, 0, 1, 0.0, 1),
            (3, 1, 0, 0, 1, 4, 0.8, 1),
            (3, 1, 0, 0, 2, 0, 0.9, 1),
            (4, 0, 0, 0, 0, 1, 0.0, 1),
            (4, 1, 0, 0, 3, 0, 0.9, 1),
        ],
    )
    found = MiniEngine(3).group(GreedySelection(), steps=steps)
    assert rows_of(found["near"]) == []
    assert rows_of(found["kept"]) == [(1, 0), (2, 0), (4, 0)]
    assert rows_of(found["statuses"]) == [(1, 1), (2, 1), (3, 2), (4, 1)]
    assert rows_of(found["steps"]) == [
        (3, 0, 0, 0, 0, 0, 0.0, 0),
        (3, 1, 0, 0, 1, 0, 0.8, 0),
        (3, 1, 0, 0, 2, 1, 0.9, 0),
    ]


def test_blocks_are_found_by_bisection():
    chance = np.random.default_rng(5)
    rank, doc = chance.integers(-3, 3, 300), chance.integers(-9, 9, 300)
    splits = sorted({(int(r), int(d)) for r, d in chance.integers(-3, 3, (12, 2))})
    found = blocks.blocks_of(rank, doc, np.array(splits))
    expected = [sum(split <= at for split in splits) for at in zip(rank, doc, strict=True)]
    assert found.tolist() == expected


def test_blocks_have_about_the_size_that_was_asked_for():
    steps = [(d, 0, d % 7, 0, 0, 1, 0.0, 0) for d in range(200_000)]
    job = InFlow(MiniEngine(0, most=9000), {STEPS.at(1): table(STEPS.schema, steps)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_STEPS", 10_000)
        splits = verified_pairs.splits_for(job, STEPS.at(1), "blocks")
    rank, doc = (np.array(column) for column in ([s[2] for s in steps], [s[0] for s in steps]))
    sizes = np.bincount(blocks.blocks_of(rank, doc, np.array(splits)))
    assert 18 <= len(sizes) <= 22
    assert sizes[:-1].min() > 7_000
    assert sizes.max() < 13_000
