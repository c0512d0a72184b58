"""An engine in a hundred lines: whole tables in memory, fed to stages in batches cut at random.

It keeps the stage protocol to the letter (rows merged and sorted, batches of one tag, any cuts), so
that a stage that passes here cannot depend on how an engine cuts.
"""

import itertools
from collections.abc import Iterator
from random import Random

import pyarrow as pa


class MiniEngine:
    """Runs stages one at a time. `seed` decides where batches are cut."""

    def __init__(self, seed: int = 0, most: int = 7) -> None:
        self.random = Random(seed)
        self.most = most  # rows in a batch at most

    def group(self, stage, **inputs: pa.Table) -> dict[str, pa.Table]:
        assert set(inputs) == set(stage.inputs)
        for tag, schema in stage.inputs.items():
            assert inputs[tag].schema == schema, tag
        return self._run(stage, self._cut(self._merged(stage, inputs)))

    def map(self, stage, **inputs: pa.Table) -> dict[str, pa.Table]:
        """Ranges of documents: first the rows of the tables beside them, then their text."""
        return self._run(stage, self._ranges(stage, inputs))

    def beside(self, stage, **inputs: pa.Table) -> dict[str, pa.Table]:
        """Ranges of the documents of tables, sorted by `doc`."""
        return self._run(stage, self._ranges(stage, inputs))

    def _ranges(self, stage, inputs) -> Iterator[tuple[str, pa.RecordBatch]]:
        lead = inputs.get("text", next(iter(inputs.values())))
        docs = sorted(set(lead.column("doc").to_pylist()))
        cuts = sorted(self.random.sample(docs[1:], min(self.random.randint(0, 2), len(docs[1:]))))
        for low, high in zip([-(1 << 63), *cuts], [*cuts, 1 << 62], strict=True):
            for tag in sorted(stage.inputs, key=lambda t: t == "text"):
                rows = inputs[tag]
                if "doc" in rows.schema.names:
                    doc = rows.column("doc").to_numpy()
                    rows = rows.filter(pa.array((doc >= low) & (doc < high))).sort_by("doc")
                elif low > -(1 << 63):
                    continue
                yield from self._cut((tag, b) for b in rows.to_batches())

    def _merged(self, stage, inputs) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Sorted as the stage asks; ties beyond that fall at random."""
        by = (*stage.key, *stage.order)
        rows = []
        for number, tag in enumerate(stage.inputs):
            table = inputs[tag]
            assert all(table.schema.field(n).type == pa.int64() for n in by if n != "tag")
            numbers = [number] * table.num_rows
            keys = (numbers if n == "tag" else table.column(n).to_pylist() for n in by)
            rows += zip(zip(*keys, strict=True), itertools.repeat(tag), range(table.num_rows))
        self.random.shuffle(rows)
        rows.sort(key=lambda row: row[0])
        for tag, group in itertools.groupby(rows, key=lambda row: row[1]):
            taken = inputs[tag].take([row[2] for row in group]).combine_chunks()
            for batch in taken.to_batches():
                yield tag, batch

    def _cut(self, tagged) -> Iterator[tuple[str, pa.RecordBatch]]:
        for tag, batch in tagged:
            at = 0
            while at < batch.num_rows:
                size = self.random.randint(0, self.most)  # an empty batch now and then
                yield tag, batch.slice(at, size)
                at += size

    def _run(self, stage, tagged) -> dict[str, pa.Table]:
        produced: dict[str, list[pa.RecordBatch]] = {tag: [] for tag in stage.outputs}
        with stage.open() as run:
            for tag, batch in run(tagged):
                assert batch.schema == stage.outputs[tag], tag
                batch.validate(full=True)
                produced[tag].append(batch)
        return {
            tag: pa.Table.from_batches(batches, stage.outputs[tag])
            for tag, batches in produced.items()
        }


def table(schema: pa.Schema, rows: list[tuple]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in schema]
    return pa.table([pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)], schema)


def rows_of(result: pa.Table) -> list[tuple]:
    """All rows as tuples, sorted."""
    return sorted(tuple(row.values()) for row in result.to_pylist())
