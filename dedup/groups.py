"""What the stages that group rows have in common.

Rows arrive sorted; a group may begin in one batch and go on in the next. Each stage works on whole
batches with numpy and carries over what it must know of the group that is still open.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.schema import DUPLICATES, Tagged
from corpus.text import strings_from

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Run = Callable[[Tagged], Tagged]
"""What an opened stage does: tagged batches in, tagged batches out."""


def column(batch: pa.RecordBatch, name: str) -> Ints:
    """An int64 column without nulls as a numpy array, not copied."""
    return batch.column(name).to_numpy()  # type: ignore[no-any-return]


def starts(keys: Sequence[Ints], before: Sequence[int] | None) -> Bools:
    """Which rows begin a group: those whose key is not that of the row before.

    keys: int64[n] each; before: the key of the row before the first one, None if there is none.
    """
    begins = np.zeros(len(keys[0]), dtype=np.bool_)
    for place, key in enumerate(keys):
        begins[1:] |= key[1:] != key[:-1]
        begins[0] |= before is None or before[place] != key[0]
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


def places(begins: Bools, open_place: int) -> Ints:
    """The place of each row in its group, from 0; `open_place`: of a first row that goes on."""
    rows = np.arange(len(begins))
    first = np.maximum.accumulate(np.where(begins, rows, -1))
    return np.where(first >= 0, rows - first, rows + open_place)


def parts(sizes: Ints, limit: int) -> list[slice]:
    """Consecutive rows, cut so that the sizes in a part add up to about `limit` at most."""
    number = (np.cumsum(sizes) - sizes) // limit
    cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(sizes)]
    return [slice(a, b) for a, b in pairwise(cuts)]


class PlainStage:
    """What stages share that have nothing to prepare: kernels are compiled when first called."""

    version: ClassVar[int] = 1
    key: ClassVar[tuple[str, ...]] = ()
    order: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[Mapping[str, pa.Schema]] = {}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {}

    def open(self) -> AbstractContextManager[Run]:
        return nullcontext(self._run)

    def _run(self, tagged: Tagged) -> Tagged:
        raise NotImplementedError
