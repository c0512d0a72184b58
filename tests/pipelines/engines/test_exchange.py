"""Rows come back sorted and whole, whether they stayed in memory or were spilled."""

from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.errors import StorageError
from unrote.corpus.order import partition_order, stack
from unrote.pipelines.engines.exchange import Spool, in_order
from unrote.pipelines.engines.sorting import Ordering, sorted_rows

LEFT = pa.schema({"key": pa.int64(), "position": pa.int64(), "payload": pa.list_(pa.int64())})
RIGHT = pa.schema({"key": pa.int64(), "name": pa.string()})
BITS = 3

batches = st.lists(
    st.tuples(st.integers(0, 1), st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 99)))),
    max_size=12,
)


def batch_of(tag, rows):
    if tag == 0:
        rows = [{"key": k, "position": p, "payload": [p] * 3} for k, p in rows]
        return pa.RecordBatch.from_pylist(rows, LEFT)
    return pa.RecordBatch.from_pylist([{"key": k, "name": f"n{p}"} for k, p in rows], RIGHT)


ORDERING = Ordering(("left", "right"), (LEFT, RIGHT), ("key",), ("position",))


def filled(folder, budget, added, run_bytes=1 << 30):
    spool = Spool(folder, budget, run_bytes)
    exchange = spool.open([LEFT, RIGHT], 1 << BITS)
    for task, (tag, rows) in enumerate(added):
        if rows:
            batch = batch_of(tag, rows)
            order, offsets = partition_order(stack([batch["key"].to_numpy()]), BITS)
            exchange.add((task, 0), tag, batch.take(pa.array(order)), offsets)
    return spool, exchange


@given(
    added=batches,
    budget=st.sampled_from([0, 500, 1 << 30]),
    chunk=st.sampled_from([1, 200, 1 << 20]),
    run_bytes=st.sampled_from([1, 300, 1 << 30]),
    block=st.sampled_from([1, 100, 1 << 20]),
)
def test_groups_come_sorted_with_the_first_input_ahead(
    tmp_path_factory, added, budget, chunk, run_bytes, block
):
    folder = tmp_path_factory.mktemp("spool")
    spool, exchange = filled(folder, budget, added, run_bytes)
    got = {0: [], 1: []}
    last_right: dict[int, bool] = {}
    with mock.patch("unrote.pipelines.engines.sorting.BLOCK_BYTES", block):
        found = list(sorted_rows(exchange.between(0, 1 << BITS), ORDERING, spool, chunk))
    for tag, batch in found:
        rows = batch.to_pylist()
        keys = [row["key"] for row in rows]
        assert keys == sorted(keys)
        if tag == "right":
            last_right |= dict.fromkeys(keys, True)
        else:
            assert not any(last_right.get(key) for key in keys)
            assert all(row["payload"] == [row["position"]] * 3 for row in rows)
        got[tag == "right"].extend(rows)
    assert [(r["key"], r["position"]) for r in got[0]] == sorted(
        (k, p) for tag, rows in added if tag == 0 for k, p in rows
    )
    # Rows that are equal in all that they are sorted by stay as they were added.
    right = [(k, f"n{p}") for tag, rows in added if tag == 1 for k, p in rows]
    assert [(r["key"], r["name"]) for r in got[1]] == sorted(right, key=lambda row: row[0])
    exchange.close()
    assert not list(folder.iterdir())


def test_rows_come_back_in_the_order_of_their_tasks(tmp_path):
    spool = Spool(tmp_path, 0, 1 << 30)
    exchange = spool.open([RIGHT], 1)
    for task in (2, 0, 1):
        batch = pa.RecordBatch.from_pylist([{"key": 0, "name": str(task)}], RIGHT)
        exchange.add((task, 0), 0, batch, np.array([0, 1]))
    names = [b["name"][0].as_py() for b in in_order(exchange.between(0, 1))]
    assert names == ["0", "1", "2"]
    assert spool.spilled_bytes > 0
    exchange.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"engine\.scratch"):
        filled(tmp_path / "file", 0, [(0, [(1, 1)])])
