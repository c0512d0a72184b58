"""Which value of a row each range of a document's text is, where texts may have several."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import RECORDS, REJECTS, VALUES, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.views import value_ranges


@dataclass(frozen=True)
class ListValues(PlainStage):
    """Rows to VALUES. several: which fields may have several values; the others are left out."""

    several: tuple[bool, ...]

    version: ClassVar[int] = 1
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": RECORDS, "rejects": REJECTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {VALUES.name: VALUES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for tag, batch in tagged:
            rows = list(self._rows(batch)) if tag == "text" else []
            columns = np.array(rows, dtype=np.int64).reshape(-1, len(VALUES.schema)).T
            arrays = [pa.array(np.ascontiguousarray(column)) for column in columns]
            yield VALUES.name, pa.RecordBatch.from_arrays(arrays, schema=VALUES.schema)

    def _rows(self, batch: pa.RecordBatch) -> Iterator[tuple[int, ...]]:
        texts, others = batch["text"], batch["columns"]
        for row, doc in enumerate(batch["doc"].to_pylist()):
            for field in np.flatnonzero(self.several).tolist():
                text = (others[row][field - 1] if field else texts[row]).as_py()
                ranges = value_ranges(text) if text is not None else ()
                for number, (start, end) in enumerate(ranges):
                    yield doc, field, number, start, end
