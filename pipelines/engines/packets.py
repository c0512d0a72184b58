"""Rows as distributed engines carry them: sealed.

A packet is a record batch in Arrow's IPC form with the address it goes to. To Spark and Beam it is
a few integers and a string of bytes, which they bring to their place and do not look into. So a
shuffle moves a few large values instead of many small rows, and all engines sort rows with the same
code (docs/adr/0007).
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from unrote.corpus.shard import Corpus
from unrote.pipelines.engines.plan import Plan, Route, partitioned

RECEIPT = -1
"""The target of what tasks tell the driver."""

SEAL_BYTES = 8 << 20
"""Rows of one output are sealed when there are about so many."""

PACKET_BYTES = 4 << 20
"""A packet has about so many bytes at most."""

FULL_PART = 16 << 10
"""With many partitions more rows are waited for, so that one's share comes to about this."""


class Packet(NamedTuple):
    """Rows of input `tag` of partition `part` of a plan's target.

    unit, place: say in which order rows were made; a lower unit comes first. rows, size: their
    number, and bytes in Arrow's IPC form. payload: that form, without the schema, compressed.
    """

    target: int
    part: int
    unit: int
    place: int
    tag: int
    rows: int
    size: int
    payload: bytes


_CODEC = pa.Codec("zstd", 1)
"""Halves what is shuffled, and takes less time than that saves anywhere but within one process."""


def sealed(batch: pa.RecordBatch) -> tuple[int, bytes]:
    """`size` and `payload` of a packet with the rows of a batch."""
    message = batch.serialize()
    return message.size, _CODEC.compress(message, asbytes=True)


def opened(packet: Packet, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a packet."""
    return pa.ipc.read_record_batch(_CODEC.decompress(packet.payload, packet.size), schema)


class Sealer:
    """Collects the rows of a task's outputs and seals them as packets."""

    def __init__(self, plan: Plan, corpus: Corpus, bits: int) -> None:
        self._plan = plan
        self._corpus = corpus
        self._bits = bits
        self._held: dict[tuple[Route, int], list[pa.RecordBatch]] = {}
        self._sizes: dict[tuple[Route, int], int] = {}
        self._first: dict[tuple[Route, int], int] = {}
        self._place = 0
        self._enough = max(SEAL_BYTES, min(8 * SEAL_BYTES, FULL_PART << bits))

    def add(
        self, routes: Sequence[Route], batch: pa.RecordBatch, unit: int, here: int
    ) -> Iterator[Packet]:
        """Rows for `routes`; `here` is the slice that they come from."""
        if not batch.num_rows:
            return
        for route in routes:
            at = (route, 0 if route.key or route.doc else here)
            self._held.setdefault(at, []).append(batch)
            self._first.setdefault(at, unit)
            self._sizes[at] = self._sizes.get(at, 0) + batch.nbytes
            if self._sizes[at] >= self._enough:
                yield from self._sealed(at)

    def flush(self) -> Iterator[Packet]:
        """The packets of all rows that are held."""
        for at in list(self._held):
            yield from self._sealed(at)

    def _sealed(self, at: tuple[Route, int]) -> Iterator[Packet]:
        route, here = at
        batches, unit = self._held.pop(at), self._first.pop(at)
        del self._sizes[at]
        whole = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
        parts = len(self._corpus.slices)
        rows, offsets = partitioned(route, whole, self._corpus, self._bits, here, parts)
        width = max(1, rows.nbytes // rows.num_rows)
        step = max(1, PACKET_BYTES // width)
        for part in np.flatnonzero(np.diff(offsets)).tolist():
            start, end = int(offsets[part]), int(offsets[part + 1])
            for first in range(start, end, step):
                piece = rows.slice(first, min(step, end - first))
                self._place += 1
                to = (route.target, part, unit, self._place, route.tag)
                yield Packet(*to, piece.num_rows, *sealed(piece))


@contextmanager
def arranged(packets: Iterable[Packet], scratch: str, budget: int) -> Iterator[Iterator[Packet]]:
    """Packets that come in any order, by target, partition and order.

    At most `budget` bytes of payload are held; the rest lies in a file in `scratch` meanwhile.
    """
    held: list[tuple[Packet, int, int]] = []  # without payload: where in the file it lies
    size = written = 0
    with tempfile.TemporaryFile(dir=scratch or None) as file:
        for packet in packets:
            length = len(packet.payload)
            if size + length <= budget:
                held.append((packet, -1, length))
                size += length
                continue
            file.write(packet.payload)
            held.append((packet._replace(payload=b""), written, length))
            written += length
        held.sort(key=lambda one: one[0][:5])

        def in_order() -> Iterator[Packet]:
            for packet, at, length in held:
                if at < 0:
                    yield packet
                else:
                    file.seek(at)
                    yield packet._replace(payload=file.read(length))

        yield in_order()
