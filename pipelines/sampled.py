"""The documents of a sample: drawn by a hash of their ids (pipelines.sampling says what for)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from unrote.corpus.schema import DOCUMENTS, UNSAMPLED, Tagged
from unrote.corpus.stages import PlainStage


def is_sampled(ids: Sequence[str], share: float) -> NDArray[np.bool_]:
    """Which documents are in a sample of this share, by their ids."""
    hashes = np.fromiter(
        (xxhash.xxh3_64_intdigest(f"sample {one}".encode()) for one in ids), np.uint64, len(ids)
    )
    return hashes < np.uint64(min(share, 1.0) * (1 << 64) - 1)


@dataclass(frozen=True)
class Unsampled(PlainStage):
    """DOCUMENTS to UNSAMPLED: those that are not in the sample. share: of the documents."""

    share: float

    inputs: ClassVar[Mapping[str, pa.Schema]] = {DOCUMENTS.name: DOCUMENTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"unsampled": UNSAMPLED.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            out = ~is_sampled(batch["id"].to_pylist(), self.share)
            docs = batch["doc"].filter(pa.array(out))
            yield "unsampled", pa.RecordBatch.from_arrays([docs], schema=UNSAMPLED.schema)
