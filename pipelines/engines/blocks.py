"""Rows as distributed engines carry them: encoded in shuffle blocks.

A shuffle block is a record batch in Arrow's IPC form with the address it goes to. To Spark and
Beam it is a few integers and a string of bytes, which they bring to their task and do not look
into. So a shuffle moves a few large values instead of many small rows, and all engines sort rows
with the same code (docs/adr/0007).
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from unrote.corpus.shard import Corpus
from unrote.pipelines.engines.plan import Plan, Route, partitioned

TASK_RESULT = -1
"""The target of what tasks report to the driver."""

ENCODE_BYTES = 8 << 20
"""Rows of one output are encoded when there are about so many."""

SHUFFLE_BLOCK_BYTES = 4 << 20
"""A shuffle block has about so many bytes at most."""

FULL_PART = 16 << 10
"""With many partitions more rows are waited for, so that one's share comes to about this."""


class ShuffleBlock(NamedTuple):
    """Rows of input `tag` of partition `part` of a plan's target.

    unit, position: say in which order rows were made; a lower unit comes first. rows, size: their
    number, and bytes in Arrow's IPC form. payload: that form, without the schema, compressed.
    """

    target: int
    part: int
    unit: int
    position: int
    tag: int
    rows: int
    size: int
    payload: bytes


_CODEC = pa.Codec("zstd", 1)
"""Halves what is shuffled, and takes less time than that saves anywhere but within one process."""


def encode(batch: pa.RecordBatch) -> tuple[int, bytes]:
    """`size` and `payload` of a shuffle block with the rows of a batch."""
    message = batch.serialize()
    return message.size, _CODEC.compress(message, asbytes=True)


def decode(block: ShuffleBlock, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a shuffle block."""
    return pa.ipc.read_record_batch(_CODEC.decompress(block.payload, block.size), schema)


class BlockEncoder:
    """Collects the rows of a task's outputs and encodes them as shuffle blocks."""

    def __init__(self, plan: Plan, corpus: Corpus, bits: int) -> None:
        self._plan = plan
        self._corpus = corpus
        self._bits = bits
        self._held: dict[tuple[Route, int], list[pa.RecordBatch]] = {}
        self._sizes: dict[tuple[Route, int], int] = {}
        self._first: dict[tuple[Route, int], int] = {}
        self._position = 0
        self._enough = max(ENCODE_BYTES, min(8 * ENCODE_BYTES, FULL_PART << bits))

    def add(
        self, routes: Sequence[Route], batch: pa.RecordBatch, unit: int, here: int
    ) -> Iterator[ShuffleBlock]:
        """Rows for `routes`; `here` is the slice that they come from."""
        if not batch.num_rows:
            return
        for route in routes:
            at = (route, 0 if route.key or route.doc else here)
            self._held.setdefault(at, []).append(batch)
            self._first.setdefault(at, unit)
            self._sizes[at] = self._sizes.get(at, 0) + batch.nbytes
            if self._sizes[at] >= self._enough:
                yield from self._encoded(at)

    def flush(self) -> Iterator[ShuffleBlock]:
        """The blocks of all rows that are held."""
        for at in list(self._held):
            yield from self._encoded(at)

    def _encoded(self, at: tuple[Route, int]) -> Iterator[ShuffleBlock]:
        route, here = at
        batches, unit = self._held.pop(at), self._first.pop(at)
        del self._sizes[at]
        whole = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
        parts = len(self._corpus.slices)
        rows, offsets = partitioned(route, whole, self._corpus, self._bits, here, parts)
        width = max(1, rows.nbytes // rows.num_rows)
        step = max(1, SHUFFLE_BLOCK_BYTES // width)
        for part in np.flatnonzero(np.diff(offsets)).tolist():
            start, end = int(offsets[part]), int(offsets[part + 1])
            for first in range(start, end, step):
                piece = rows.slice(first, min(step, end - first))
                self._position += 1
                to = (route.target, part, unit, self._position, route.tag)
                yield ShuffleBlock(*to, piece.num_rows, *encode(piece))


@contextmanager
def arranged(
    blocks: Iterable[ShuffleBlock], scratch: str, budget: int
) -> Iterator[Iterator[ShuffleBlock]]:
    """Shuffle blocks that come in any order, by target, partition and order.

    At most `budget` bytes of payload are held; the rest lies in a file in `scratch` meanwhile.
    """
    held: list[tuple[ShuffleBlock, int, int]] = []  # without payload: where in the file it lies
    size = written = 0
    with tempfile.TemporaryFile(dir=scratch or None) as file:
        for block in blocks:
            length = len(block.payload)
            if size + length <= budget:
                held.append((block, -1, length))
                size += length
                continue
            file.write(block.payload)
            held.append((block._replace(payload=b""), written, length))
            written += length
        held.sort(key=lambda one: one[0][:5])

        def in_order() -> Iterator[ShuffleBlock]:
            for block, at, length in held:
                if at < 0:
                    yield block
                else:
                    file.seek(at)
                    yield block._replace(payload=file.read(length))

        yield in_order()
