"""Adding up rows of tables in batches: what the stages of a summary share.

A row of a summary belongs to no document. It goes to the slice of document 0, and its `doc` of 0 is
at the same time the constant key that brings all rows of a summary together. What has to come first
has a negated column in front, because engines sort upwards.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from unrote.corpus.schema import Table, Tagged
from unrote.corpus.stages import PlainStage

Ints = NDArray[np.int64]

NEGATIVE = "negative_"
"""What the name of a negated column begins with; the name of the other one follows."""


def summary_table(
    name: str, sort: tuple[str, ...], text: tuple[str, ...], numbers: tuple[str, ...]
) -> Table:
    columns = [("doc", pa.int64()), *((c, pa.int64()) for c in sort)]
    columns += [(c, pa.string()) for c in text] + [(c, pa.int64()) for c in numbers]
    return Table(name, pa.schema(columns), sort=("doc", *sort))


def text_key(text: str) -> int:
    """64 bits of a string as int64, because engines group by int64 only."""
    return int(np.uint64(xxhash.xxh3_64_intdigest(text.encode())).astype(np.int64))


@dataclass(frozen=True)
class SumByKey(PlainStage):
    """Rows with parts of sums to one row for each value of a column.

    table: what the rows are like. by: the column, int64. sums: the columns that are added up; its
    negated columns follow from these, and of all others a row has what the first of the parts has.
    """

    table: Table
    by: str
    sums: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.by,)

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        return {"parts": self.table.schema}

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        return {"rows": self.table.schema}

    def _run(self, batches: Tagged) -> Tagged:
        negated = [name for name in self.table.schema.names if name.startswith(NEGATIVE)]
        for batch in sums_by_key(batches, self.by, self.sums):
            values = {n: -numbers_of(batch, n.removeprefix(NEGATIVE)) for n in negated}
            yield "rows", with_columns(batch, **values)


@dataclass(frozen=True)
class TopN(PlainStage):
    """The first rows of a summary, in its order; if `sums` are named, the others as one more row.

    table: the summary. limit: how many rows. sums: the columns that are added up in the last.
    """

    table: Table
    limit: int
    sums: tuple[str, ...] = ()

    key: ClassVar[tuple[str, ...]] = ("doc",)

    @property
    def order(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.table.sort[1:]

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        return {"rows": self.table.schema}

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        return {"rows": self.table.schema}

    def _run(self, batches: Tagged) -> Tagged:
        return first_rows(batches, self.limit, self.sums)


def sums_by_key(batches: Tagged, key: str, sums: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Rows sorted by `key` to one row for each: the columns `sums` added up, the first of others.

    A key may straddle batches, so the last row of each is held back and put before the next.
    """
    held: pa.RecordBatch | None = None
    for _, batch in batches:
        if held is not None:
            batch = pa.concat_batches([held, batch])
        if not batch.num_rows:
            continue
        keys = numbers_of(batch, key)
        starts = np.flatnonzero(np.diff(keys, prepend=~keys[0]))
        added = {c: np.add.reduceat(numbers_of(batch, c), starts) for c in sums}
        batch = with_columns(batch.take(pa.array(starts)), **added)
        held = batch.slice(len(starts) - 1)
        yield batch.slice(0, len(starts) - 1)
    if held is not None:
        yield held


def first_rows(batches: Tagged, limit: int, sums: tuple[str, ...] = ()) -> Tagged:
    """The first `limit` rows.

    If `sums` are named, then one row more, which sorts behind: the others, these columns added up.
    """
    left, rest = limit, None
    for _, batch in batches:
        yield "rows", batch.slice(0, left)
        others = batch.slice(left)
        left -= min(left, batch.num_rows)
        if sums and others.num_rows:
            rest = others if rest is None else pa.concat_batches([rest, others])
            rest = with_columns(rest.slice(0, 1), **{c: [pc.sum(rest[c]).as_py()] for c in sums})
    if rest is not None:
        names = [c for c in rest.schema.names if rest.schema.field(c).type == pa.string()]
        order = [c for c in rest.schema.names if c not in (*sums, *names, "doc")]
        last = {c: [np.iinfo(np.int64).max] for c in order}
        yield "rows", with_columns(rest, **last, **{c: [None] for c in names})


def sorted_rows(rows: pa.Table, by: str, limit: int, then: str = "doc") -> pa.Table:
    order = pc.sort_indices(rows, [(by, "ascending"), (then, "ascending")])
    return rows.take(order[:limit]).combine_chunks()


def numbers_of(batch: pa.RecordBatch, column: str) -> Ints:
    return batch[column].to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def flags_of(values: pa.Array) -> NDArray[np.bool_]:
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def batch_of(schema: pa.Schema, *columns: Iterable[Any]) -> pa.RecordBatch:
    fields = zip(schema, columns, strict=True)
    return pa.record_batch([pa.array(c, f.type) for f, c in fields], schema=schema)


def with_columns(batch: pa.RecordBatch, **columns: Any) -> pa.RecordBatch:
    """The batch with some columns replaced."""
    arrays = [pa.array(columns[n]) if n in columns else batch[n] for n in batch.schema.names]
    arrays = [a.cast(f.type) for a, f in zip(arrays, batch.schema, strict=True)]
    return pa.record_batch(arrays, schema=batch.schema)
