"""Groups of any size pass through the stages in small batches, and none of them is held."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, islice

import numpy as np
import pyarrow as pa
import pytest

from unrote.corpus.schema import BANDS, FINGERPRINTS, PAIRS, Tagged
from unrote.dedup import candidates, groups, near, repeats
from unrote.dedup.candidates import MEMBERS, CandidateDocuments, CandidatePairs, DistinctPairs
from unrote.dedup.exact import Exact
from unrote.dedup.groups import Ints, batch_of
from unrote.dedup.repeated_substrings import SAMPLED_SUBSTRINGS, HotSubstrings, RepeatedSubstrings
from unrote.dedup.repeats import (
    AMBIGUOUS_WINDOWS,
    ANCHORS,
    HOT_KEYS,
    CompareWindows,
    HotKeys,
    Repeats,
)
from unrote.dedup.selection import STEPS, GreedySelection
from unrote.dedup.similarity import SETS, Verify
from unrote.dedup.spans import CLAIMS, Remainder
from unrote.dedup.twins import TWIN_LINKS, ResolveTwins

MANY = 1_000_000
BATCH = 1 << 12
LIMIT = 6 << 20
"""Bytes that a stage may take at most, batches and what it puts out included."""

Rows = Iterator[pa.RecordBatch]

POOLS: list[pa.MemoryPool] = []
"""Kept, because a buffer must not outlive its pool."""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(groups, "HOT_KEY_ROWS", BATCH)
    monkeypatch.setattr(repeats, "_HELD_BYTES", 1 << 18)
    monkeypatch.setattr(repeats, "_BATCH_ROWS", BATCH)
    monkeypatch.setattr(candidates, "_BATCH_PAIRS", BATCH)


def streamed(stage, rows: Callable[[], Rows]) -> tuple[Counter, int]:
    """How many rows came out under each tag, and the peak of numpy's and Arrow's memory."""
    (tag,) = stage.inputs
    with stage.open() as run:  # compile first
        list(run((tag, batch) for batch in islice(rows(), 4)))
    pool, usual = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    count: Counter[str] = Counter()
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        with stage.open() as run:
            for out, batch in run((tag, batch) for batch in rows()):
                count[out] += batch.num_rows
        return count, tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)


def many(schema: pa.Schema, columns: Callable[[Ints], tuple], count: int = MANY) -> Rows:
    """`count` rows in small batches; scalars among the columns are repeated."""
    for at in range(0, count, BATCH):
        n = np.arange(at, min(at + BATCH, count))
        yield batch_of(schema, (np.broadcast_to(c, len(n)).copy() for c in columns(n)))


def one(schema: pa.Schema, *rows: tuple) -> Rows:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)]
    yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def anchors(classes: int) -> Rows:
    return many(ANCHORS.schema, lambda n: (5, n, 0, n % classes, 0, 1, 10, 20))


def hot_key(classes: int) -> Rows:
    known = one(HOT_KEYS, (5, 1, 0, 0, 0, 0, 0, 0, MANY, 0, classes))
    return chain(known, many(HOT_KEYS, lambda n: (5, 1, 1, n, 0, 0, 10, 20, 0, 0, 0)))


def ambiguous_windows() -> Rows:
    # Two classes with the same first of two windows.
    texts = [bytes(range(100)) + bytes([200 + c]) for c in range(2)]
    first = one(
        AMBIGUOUS_WINDOWS, *((5, 0, c, 0, 0, 1, 2, MANY // 2, c, texts[c]) for c in range(2))
    )
    member = pa.schema(list(AMBIGUOUS_WINDOWS)[:-1])
    for batch in many(member, lambda n: (5, 1, n + 2, 0, 0, 1, 2, MANY // 2, n % 2)):
        none = pa.array([b""] * batch.num_rows, pa.large_binary())
        first = chain(
            first, [pa.RecordBatch.from_arrays([*batch.columns, none], schema=AMBIGUOUS_WINDOWS)]
        )
        yield from first
        first = iter(())


def sets() -> Rows:
    flat = pa.schema(list(SETS)[:-1])
    for batch in many(flat, lambda n: (5, np.minimum(n, 1), n + 5, 0, n), MANY // 4):
        bounds = np.arange(batch.num_rows + 1, dtype=np.int32) * 3
        values = np.tile([1, 2, 3], batch.num_rows)
        lists = pa.ListArray.from_arrays(bounds, values, type=SETS.field("shingles").type)
        yield pa.RecordBatch.from_arrays([*batch.columns, lists], schema=SETS)


def claims(reach: int) -> Rows:
    head = one(CLAIMS, (5, 0, 1, 0), (5, 1, 0, 60), (5, 1, 60, 110))
    return chain(head, many(CLAIMS, lambda n: (5, 2, n // 10_000, 100 + (n == MANY - 1) * reach)))


STREAMS = {
    "exact": (
        Exact(),
        lambda: many(FINGERPRINTS.schema, lambda n: (n, 5, 5, 0)),
        {"exact": MANY - 1},
    ),
    "candidate pairs": (
        CandidatePairs(2),
        lambda: many(BANDS.schema, lambda n: (n, 5, 0)),
        {"members": MANY, "overfull": 1, "pairs": 2 * MANY - 3},
    ),
    "all pairs": (
        CandidatePairs(near.width_of(near.ROUNDS)),
        lambda: many(BANDS.schema, lambda n: (n, 5, 0), 5000),
        {"members": 5000, "overfull": 1, "pairs": 5000 * 4999 // 2},
    ),
    "distinct pairs": (
        DistinctPairs(),
        lambda: many(PAIRS.schema, lambda n: (5, n // 2, 0)),
        {"pairs": MANY // 2},
    ),
    "repeated substrings": (
        RepeatedSubstrings(),
        lambda: many(SAMPLED_SUBSTRINGS, lambda n: (5, n, 0, 1, 1)),
        {"hot": MANY + 1},
    ),
    "hot substrings": (
        HotSubstrings(),
        lambda: chain(
            one(SAMPLED_SUBSTRINGS, (5, -1, -1, MANY, MANY)),
            many(SAMPLED_SUBSTRINGS, lambda n: (5, n, 0, 1, 1)),
        ),
        {"repeated": MANY},
    ),
    "candidate documents": (
        CandidateDocuments(),
        lambda: many(MEMBERS, lambda n: (n // 20, n, 0, 1, 1)),
        {"candidates": MANY // 20, "undecided": MANY},
    ),
    "verify": (Verify(), sets, {"steps": MANY // 4 - 1}),
    "greedy selection": (
        GreedySelection(),
        lambda: many(STEPS.schema, lambda n: (9, np.minimum(n, 1), 9, 0, n, n == 0, 0.9, 0)),
        {"near": 1, "statuses": 1},
    ),
    "resolve twins": (
        ResolveTwins(),
        lambda: many(TWIN_LINKS, lambda n: (5, np.minimum(n, 1), n + 5, 3, 0.9)),
        {"duplicates": MANY},
    ),
    "repeats": (Repeats(), lambda: anchors(3), {"hot": MANY + 3}),
    "hot keys, one class": (HotKeys(), lambda: hot_key(1), {"copies": MANY - 1}),
    "hot keys, three classes": (HotKeys(), lambda: hot_key(3), {"ambiguous": MANY}),
    # Both windows of each member but the two of the first, and the first of the second.
    "compare windows": (CompareWindows(), ambiguous_windows, {"copies": 2 * MANY + 1}),
    "remainder": (Remainder(), lambda: claims(0), {"remainder": 1}),
    "remainder, claimed": (Remainder(), lambda: claims(99), {}),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_million_members_in_small_batches(name):
    stage, rows, expected = STREAMS[name]
    count, peak = streamed(stage, rows)
    assert {tag: n for tag, n in count.items() if n} == expected
    assert peak < LIMIT


def test_the_classes_of_a_hot_key_are_what_is_held():
    count, peak = streamed(Repeats(), lambda: anchors(MANY // 4))
    assert count == {"hot": MANY + MANY // 4}
    assert peak < LIMIT + MANY // 4 * 250


class Holding(Exact):
    """A stage that holds its group."""

    def _run(self, tagged: Tagged) -> Tagged:
        return super()._run(iter(list(tagged)))


def test_a_stage_that_holds_its_group_is_seen():
    rows = lambda: many(FINGERPRINTS.schema, lambda n: (n, 5, 5, 0))  # noqa: E731
    assert streamed(Holding(), rows)[1] > 32 * MANY
