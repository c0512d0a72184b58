"""An engine for tables in memory: stages one at a time, for a few texts at once."""

from typing import Protocol

import pyarrow as pa

from unrote.corpus.schema import Tagged
from unrote.corpus.stages import PlainStage


class Engine(Protocol):
    """What runs a stage on whole tables, one for each of its inputs."""

    def map(self, stage: PlainStage, **inputs: pa.Table) -> dict[str, pa.Table]: ...
    def group(self, stage: PlainStage, **inputs: pa.Table) -> dict[str, pa.Table]: ...


class InMemory:
    """Each table is one batch. A group has one input."""

    def map(self, stage: PlainStage, **inputs: pa.Table) -> dict[str, pa.Table]:
        """The stage's outputs; inputs come in the order of the arguments, the text last."""
        return _run(stage, ((tag, _batch(rows)) for tag, rows in inputs.items()))

    def group(self, stage: PlainStage, **inputs: pa.Table) -> dict[str, pa.Table]:
        """The stage's outputs for the rows of its input, sorted as it asks."""
        ((tag, rows),) = inputs.items()
        by = [(name, "ascending") for name in (*stage.key, *stage.order)]
        return _run(stage, iter([(tag, _batch(rows.sort_by(by)))]))


def _run(stage: PlainStage, tagged: Tagged) -> dict[str, pa.Table]:
    produced: dict[str, list[pa.RecordBatch]] = {tag: [] for tag in stage.outputs}
    with stage.open() as run:
        for tag, batch in run(tagged):
            produced[tag].append(batch)
    return {
        tag: pa.Table.from_batches(batches, stage.outputs[tag]) for tag, batches in produced.items()
    }


def _batch(rows: pa.Table) -> pa.RecordBatch:
    """All rows as one batch."""
    whole = rows.combine_chunks().to_batches()
    return whole[0] if whole else pa.RecordBatch.from_pylist([], rows.schema)
