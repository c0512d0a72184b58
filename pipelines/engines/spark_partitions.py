"""Which partition Spark sends a row to: how a task gets the rows that are addressed to it.

Spark 4.1 has `repartitionById`, for which a column holds the partition's number. Before that a row
goes by the hash of a column: then the column holds, for each partition, an integer whose hash leads
there.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SEED = np.uint32(42)
"""Of HashPartitioning (org.apache.spark.sql.catalyst.expressions.Murmur3Hash)."""


def repartitioned(frame: Any, count: int, column: str) -> Any:
    """`frame` in `count` partitions, by a column that holds one of `addresses`."""
    return (frame.repartitionById if has_ids(frame) else frame.repartition)(count, column)


def addresses(frame: Any, count: int) -> Sequence[int]:
    """What a column holds for each of `count` partitions of `frame`, so that a row goes there."""
    return range(count) if has_ids(frame) else hashed_addresses(count)


def has_ids(frame: Any) -> bool:
    """Whether a row can be sent to a partition by its number: Spark 4.1."""
    return hasattr(frame, "repartitionById")


@lru_cache(maxsize=8)
def hashed_addresses(count: int) -> tuple[int, ...]:
    """For each of `count` partitions the smallest integer that Spark's hash sends there."""
    size = 16 * count
    while True:
        partitions = murmur3(np.arange(size, dtype=np.int32)).astype(np.int64) % count
        found, first = np.unique(partitions, return_index=True)
        if found.size == count:
            return tuple(first.tolist())
        size *= 2


def murmur3(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Spark's hash of integers: MurmurHash3 (x86, 32 bits) of their four bytes, with seed 42."""
    with np.errstate(over="ignore"):
        mixed = _rotated(values.view(np.uint32) * np.uint32(0xCC9E2D51), 15)
        state = _SEED ^ (mixed * np.uint32(0x1B873593))
        state = _rotated(state, 13) * np.uint32(5) + np.uint32(0xE6546B64)
        state ^= np.uint32(4)  # the length
        state = (state ^ state >> np.uint32(16)) * np.uint32(0x85EBCA6B)
        state = (state ^ state >> np.uint32(13)) * np.uint32(0xC2B2AE35)
        state ^= state >> np.uint32(16)
    return state.view(np.int32)


def _rotated(values: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return values << np.uint32(bits) | values >> np.uint32(32 - bits)
