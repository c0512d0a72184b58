"""What stages share: how they are opened, and that most have nothing to prepare."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import Tagged

Run = Callable[[Tagged], Tagged]
"""What an opened stage does: tagged batches in, tagged batches out."""

Workers = Literal["thread", "process", "device"]
"""What a stage needs to use a machine's cores: threads, where its work lets go of the interpreter
lock (kernels, Arrow), or processes, where it is Python; or that it has a device, or all cores, to
itself, and takes long for few rows."""


class PlainStage:
    """A stage that has nothing to prepare: kernels are compiled when first called."""

    version: ClassVar[int] = 1
    key: ClassVar[tuple[str, ...]] = ()
    order: ClassVar[tuple[str, ...]] = ()
    singles: ClassVar[bool] = True
    workers: ClassVar[Workers] = "thread"

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        raise NotImplementedError

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        raise NotImplementedError

    def open(self) -> AbstractContextManager[Run]:
        return nullcontext(self._run)

    def _run(self, tagged: Tagged) -> Tagged:
        raise NotImplementedError


def whole_keys(batches: Iterator[pa.RecordBatch], key: str) -> Iterator[pa.RecordBatch]:
    """The rows, sorted by `key`, in batches that end where a key ends."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        keys = batch.column(key).to_numpy()
        last = int(np.searchsorted(keys, keys[-1]))
        if last or (held and int(held[0].column(key).to_numpy()[-1]) != int(keys[0])):
            if whole := [*held, batch.slice(0, last)]:
                yield pa.concat_batches(whole)
            held = []
        held.append(batch.slice(last))
    if held:
        yield pa.concat_batches(held)


def each_key(batches: Iterator[pa.RecordBatch], key: str) -> Iterator[pa.RecordBatch]:
    """The rows, sorted by `key`, a batch for each key."""
    for batch in whole_keys(batches, key):
        keys = batch.column(key).to_numpy()
        bounds = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), keys.size]
        for first, last in pairwise(bounds):
            yield batch.slice(first, last - first)
