"""Columns of integers on their way to workers: as differences, which hardly differ, compressed.

What a worker reads of a plan is held twice for a moment, packed and unpacked; of a million cuts
the numbers are most of it.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def packed(values: Ints) -> tuple[int, bytes]:
    """int64[n] as n and the bytes that `unpacked` makes it of."""
    steps = np.diff(values, prepend=np.int64(0))
    return len(values), pa.compress(steps.tobytes(), codec="zstd", asbytes=True)


def unpacked(held: tuple[int, bytes]) -> Ints:
    """What was packed: int64[n]."""
    count, content = held
    steps = pa.decompress(content, 8 * count, codec="zstd")
    return np.cumsum(np.frombuffer(steps, dtype=np.int64), dtype=np.int64)
