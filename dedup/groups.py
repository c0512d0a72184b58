"""Groups of sorted rows, in batches: what the stages that group have in common.

Rows arrive sorted; a group may begin in one batch and go on in the next. Each stage works on whole
batches with numpy and carries over what it must know of the group that is still open: its docstring
says what that is, and it is never all of the group's rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.schema import DUPLICATES, Tagged
from unrote.corpus.text import strings_from

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HOT_KEY_ROWS = 1 << 17
"""A key with more rows than this is *hot*: its group is not held, but streamed (docs/adr/0006)."""


def column(batch: pa.RecordBatch, name: str) -> Ints:
    """An int64 column without nulls as a numpy array, not copied."""
    return batch.column(name).to_numpy()  # type: ignore[no-any-return]


def starts(keys: Sequence[Ints], before: Sequence[int] | None) -> Bools:
    """Which rows begin a group: those whose key is not that of the row before.

    keys: int64[n] each; before: the key of the row before the first one, None if there is none.
    """
    begins = np.zeros(len(keys[0]), dtype=np.bool_)
    for number, key in enumerate(keys):
        begins[1:] |= key[1:] != key[:-1]
        begins[0] |= before is None or before[number] != key[0]
    return begins


def batch_of(schema: pa.Schema, columns: Iterable[NDArray[Any]]) -> pa.RecordBatch:
    """A batch of `schema` from one array for each column."""
    arrays = [
        pa.array(values, type=kind) for values, kind in zip(columns, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def duplicate_rows(
    doc: Ints, reason: str, twin: Ints, similarity: NDArray[np.float64]
) -> pa.RecordBatch:
    """Rows of DUPLICATES with one reason."""
    letters = np.tile(np.frombuffer(reason.encode(), dtype=np.uint8), len(doc))
    reasons = strings_from(letters, np.arange(len(doc) + 1) * len(reason))
    arrays = [pa.array(doc, pa.int64()), reasons, pa.array(twin, pa.int64()), pa.array(similarity)]
    return pa.RecordBatch.from_arrays(arrays, schema=DUPLICATES.schema)


def spread(values: Ints, begins: Bools, open_value: int) -> Ints:
    """For each row the value in the first row of its group; `open_value` before the first."""
    first = np.maximum.accumulate(np.where(begins, np.arange(len(values)), -1))
    return np.where(first >= 0, values[first], open_value)


def positions(begins: Bools, open_position: int) -> Ints:
    """The position of each row in its group, from 0; `open_position`: of a first row that is not
    the first of its group.
    """
    rows = np.arange(len(begins))
    first = np.maximum.accumulate(np.where(begins, rows, -1))
    return np.where(first >= 0, rows - first, rows + open_position)


def counted(times: Ints) -> Ints:
    """0, 1, … times[0] - 1, 0, 1, … times[1] - 1, …"""
    return np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)


def parts(sizes: Ints, limit: int) -> list[slice]:
    """Consecutive rows, cut so that the sizes in a part add up to about `limit` at most."""
    number = (np.cumsum(sizes) - sizes) // limit
    cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(sizes)]
    return [slice(a, b) for a, b in pairwise(cuts)]


def grown(values: Ints, size: int) -> Ints:
    """`values` with room for `size` rows at least, by doubling; new rows are not initialised."""
    if size <= len(values):
        return values
    larger = np.empty((max(size, 2 * len(values)), *values.shape[1:]), dtype=values.dtype)
    larger[: len(values)] = values
    return larger


def one_batch(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one schema, at least one, with some rows, as one."""
    table = pa.Table.from_batches(batches).combine_chunks()
    return table.to_batches()[0]


def with_hot_keys(tagged: Tagged, key: str) -> Iterator[tuple[int | None, pa.RecordBatch]]:
    """The rows of a stage with one input, in their order: (None, whole groups) many at a time,
    or (key, some rows of a hot key).

    Which keys are hot does not depend on where batches end. Holds HOT_KEY_ROWS rows beside the
    batch.
    """
    held: list[pa.RecordBatch] = []
    count = 0
    hot_key: int | None = None  # the key of the open group, if it is hot
    for _, batch in tagged:
        held.append(batch)
        count += batch.num_rows
        if count <= HOT_KEY_ROWS:
            continue
        rows = one_batch(held)
        keys = column(rows, key)
        last = int(np.argmax(keys == keys[-1]))  # where the open group begins
        hot = count - last > HOT_KEY_ROWS
        known = count if hot else last
        yield from _split_hot_keys(rows.slice(0, known), keys[:known], hot_key)
        hot_key = int(keys[-1]) if hot else None
        held, count = [rows.slice(known)], count - known
    if count:
        rows = one_batch(held)
        yield from _split_hot_keys(rows, column(rows, key), hot_key)


def _split_hot_keys(
    rows: pa.RecordBatch, keys: Ints, hot_key: int | None
) -> Iterator[tuple[int | None, pa.RecordBatch]]:
    """As `with_hot_keys`. The first group may be the rest of that of `hot_key`."""
    if not len(keys):
        return
    bounds = np.append(np.flatnonzero(starts((keys,), None)), len(keys))
    sizes = np.diff(bounds)
    hot = sizes > HOT_KEY_ROWS
    hot[0] |= hot_key is not None and keys[0] == hot_key
    at = 0
    for group in np.flatnonzero(hot).tolist():
        begin, size = int(bounds[group]), int(sizes[group])
        if at < begin:
            yield None, rows.slice(at, begin - at)
        yield int(keys[begin]), rows.slice(begin, size)
        at = begin + size
    if at < len(keys):
        yield None, rows.slice(at)
