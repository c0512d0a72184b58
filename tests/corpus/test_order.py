import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.order import (
    gather_order,
    is_sorted,
    partition_order,
    rows_in_company,
    sort_order,
    stack,
)

columns = (
    st.integers(1, 3)
    .flatmap(
        lambda width: st.lists(
            st.tuples(*[st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)] * width),
            max_size=300,
        )
    )
    .map(lambda rows: np.array(rows, dtype=np.int64).T.reshape(len(rows[0]) if rows else 1, -1))
)


@given(columns)
def test_sorts_as_lexsort_does(rows):
    order = sort_order(stack(list(rows)))
    expected = np.lexsort(rows[::-1])
    assert np.array_equal(np.arange(rows.shape[1]) if order is None else order, expected)


@given(columns)
def test_knows_what_is_sorted(rows):
    listed = [tuple(row) for row in rows.T.tolist()]
    assert is_sorted(stack(list(rows))) == (listed == sorted(listed))


@given(columns, st.integers(0, 6))
def test_partitions_hold_equal_rows_together_in_their_order(rows, bits):
    order, offsets = partition_order(stack(list(rows)), bits)
    assert sorted(order.tolist()) == list(range(rows.shape[1]))
    seen = {}
    for part in range(1 << bits):
        rows_of_part = order[offsets[part] : offsets[part + 1]].tolist()
        assert rows_of_part == sorted(rows_of_part)
        for row in rows_of_part:
            assert seen.setdefault(tuple(rows[:, row]), part) == part


@given(st.lists(st.integers(0, 4), max_size=50))
def test_gathers_known_parts(parts):
    order, offsets = gather_order(np.array(parts, dtype=np.int64), 5)
    assert [parts[i] for i in order] == sorted(parts)
    assert np.diff(offsets).tolist() == [parts.count(p) for p in range(5)]


def test_spreads_hashed_and_clustered_keys():
    rng = np.random.default_rng(0)
    for keys in (
        rng.integers(-(2**63), 2**63 - 1, 50_000),
        np.repeat(rng.integers(0, 9, 500), 100),
        np.where(rng.random(50_000) < 0.5, rng.integers(0, 2**40, 50_000), 7),
    ):
        rows = stack([keys, rng.integers(0, 100, keys.size)])
        order = sort_order(rows)
        assert np.array_equal(order, np.lexsort(rows[::-1]))


def test_few_rows_over_the_whole_range():
    rows = stack([np.array([2**63 - 1, -(2**63), 0, -1])])
    assert sort_order(rows).tolist() == [1, 3, 2, 0]


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-3, 3)), min_size=1, max_size=60))
def test_no_row_with_company_is_left_out(rows):
    columns = np.array(rows, dtype=np.int64).T.copy()
    found = rows_in_company(columns).tolist()
    assert found == sorted(set(found))
    assert {i for i, row in enumerate(rows) if rows.count(row) > 1} <= set(found)


def test_most_rows_that_are_alone_are_left_out():
    columns = np.arange(200_000, dtype=np.int64)[np.newaxis] * 7
    assert len(rows_in_company(columns)) < 60_000
