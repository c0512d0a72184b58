"""Rows come back sorted and whole, whether they stayed in memory or were spilled."""

from collections import Counter
from dataclasses import replace
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.errors import StorageError
from unrote.corpus.order import partition_order, stack
from unrote.pipelines.engines.exchange import CHUNK_BYTES, SpillFile, Spool, in_order
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


@given(
    added=batches,
    budget=st.sampled_from([0, 500, 1 << 30]),
    run_bytes=st.sampled_from([1, 1 << 30]),
)
def test_rows_alone_with_their_key_may_be_left_out_and_no_others(
    tmp_path_factory, added, budget, run_bytes
):
    spool, exchange = filled(tmp_path_factory.mktemp("spool"), budget, added, run_bytes)
    paired = replace(ORDERING, singles=False)
    everything = filled(tmp_path_factory.mktemp("spool"), 1 << 30, added)
    found, whole = (
        [
            (tag, row)
            for tag, batch in sorted_rows(of.between(0, 1 << BITS), how, by, 1 << 20)
            for row in batch.to_pylist()
        ]
        for (by, of), how in (((spool, exchange), paired), (everything, ORDERING))
    )
    times = Counter(row["key"] for _, row in whole)
    for side in ("left", "right"):
        of_side = [row for tag, row in found if tag == side]
        assert [row for row in of_side if times[row["key"]] > 1] == [
            row for tag, row in whole if tag == side and times[row["key"]] > 1
        ]
    assert all(one in whole for one in found)
    exchange.close()


@pytest.mark.parametrize("stored", [1, 4 << 20])
def test_partitions_that_were_spilled_in_turns_come_back_in_order(tmp_path, stored):
    """Several tasks in a file, and others of the same partition in other files and in memory."""
    with mock.patch("unrote.pipelines.engines.exchange.STORED_BYTES", stored):
        spool = Spool(tmp_path, 20_000, 1 << 30)
        exchange = spool.open([RIGHT], 4)
        for task in (0, 2, 1, 5, 3, 4, 7, 6, 9, 8):
            rows = [{"key": part, "name": f"{part}:{task}"} for part in range(4)]
            batch = pa.RecordBatch.from_pylist(rows, RIGHT)
            exchange.add((task, 0), 0, batch, np.arange(5))
    assert exchange.blocks
    assert exchange.chunks
    for start, end in ((0, 4), (1, 2), (2, 4)):
        names = [n for b in in_order(exchange.between(start, end)) for n in b["name"].to_pylist()]
        assert names == [f"{part}:{task}" for part in range(start, end) for task in range(10)]
    assert exchange.part_bytes().sum() == sum(c.nbytes for c in exchange.between(0, 4))
    exchange.close()
    assert not list(tmp_path.iterdir())


def test_many_partitions_of_few_rows_are_not_more_than_the_budget(tmp_path):
    """What Python and Arrow need for a chunk counts, and rows are read from a file once."""
    spool = Spool(tmp_path, 4 << 20, 1 << 30)
    exchange = spool.open([RIGHT], 512)
    batch = pa.RecordBatch.from_pydict({"key": list(range(512)), "name": ["n"] * 512}, schema=RIGHT)
    for task in range(40):
        exchange.add((task, 0), 0, batch, np.arange(513))
        assert len(exchange.chunks) * CHUNK_BYTES <= spool.budget
    assert len(exchange.blocks) >= 512
    with mock.patch.object(SpillFile, "read", autospec=True, side_effect=SpillFile.read) as read:
        rows = [b.num_rows for b in in_order(exchange.between(0, 512))]
    assert sum(rows) == 40 * 512
    assert read.call_count == len(exchange.blocks)
    exchange.close()


def test_rows_that_are_spilled_after_they_were_listed(tmp_path):
    spool = Spool(tmp_path, 1 << 30, 1 << 30)
    exchange = spool.open([RIGHT], 2)
    for task in range(3):
        rows = [{"key": part, "name": f"{part}:{task}"} for part in range(2)]
        exchange.add((task, 0), 0, pa.RecordBatch.from_pylist(rows, RIGHT), np.arange(3))
    listed = exchange.between(0, 2)
    spool.budget = 0
    spool.append(exchange, [])
    assert all(chunk.batch is None for chunk in listed)
    names = [chunk.load()["name"][0].as_py() for chunk in listed]
    assert names == ["0:0", "0:1", "0:2", "1:0", "1:1", "1:2"]
    exchange.close()


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"engine\.scratch"):
        filled(tmp_path / "file", 0, [(0, [(1, 1)])])
