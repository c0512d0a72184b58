"""Stages that say so give the same without rows that are alone with their key."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from unrote.dedup.candidates import CandidatePairs
from unrote.dedup.exact import Exact
from unrote.dedup.prefixes import FrequentShingles
from unrote.dedup.repeats import Repeats

STAGES = (Exact(), CandidatePairs(limit=4), FrequentShingles(limit=4), Repeats())


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: type(stage).__name__)
@pytest.mark.parametrize("seed", range(5))
def test_singles_say_nothing(stage, seed):
    assert not stage.singles
    ((tag, schema),) = stage.inputs.items()
    drawn = np.random.default_rng(seed)
    values = {name: drawn.integers(1, 1000, 60) for name in schema.names}
    values |= {name: drawn.integers(0, 40 if len(stage.key) == 1 else 6, 60) for name in stage.key}
    values["doc"] = np.arange(60)
    sequence = np.lexsort([values[name] for name in (*stage.key, *stage.order)[::-1]])
    rows = pa.RecordBatch.from_arrays(
        [pa.array(values[field.name][sequence]).cast(field.type) for field in schema], schema=schema
    )
    keys = list(zip(*(rows[name].to_pylist() for name in stage.key), strict=True))
    times = Counter(keys)
    shared = rows.filter(pa.array([times[key] > 1 for key in keys]))
    assert 0 < shared.num_rows < rows.num_rows

    def made(batch: pa.RecordBatch) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = {}
        with stage.open() as run:
            for name, one in run([(tag, batch)]):
                found.setdefault(name, []).extend(one.to_pylist())
        return found

    assert made(rows) == made(shared)
    assert any(made(rows).values())
