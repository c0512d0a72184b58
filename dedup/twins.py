"""Twins that are kept: an exact copy of a near-duplicate gets the latter's twin."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import DUPLICATES, EXACT, INDEXED_NEAR, NEAR, Tagged
from unrote.corpus.stages import PlainStage
from unrote.dedup.groups import column, duplicate_rows, spread, starts

TWIN_LINKS = pa.schema(
    [(name, pa.int64()) for name in ("key", "role", "doc", "twin")] + [("similarity", pa.float64())]
)
"""Removed documents by the document that they depend on: a near-duplicate by itself (role 0), an
exact copy by its twin (role 1)."""


@dataclass(frozen=True)
class TwinLinks(PlainStage):
    """Removed documents by the document that they depend on: see TWIN_LINKS."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "near": NEAR.schema,
        "exact": EXACT.schema,
        "indexed_near": INDEXED_NEAR.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"links": TWIN_LINKS}

    def _run(self, tagged: Tagged) -> Tagged:
        for tag, batch in tagged:
            key = batch.column("twin" if tag == "exact" else "doc")
            role = pa.array(np.full(batch.num_rows, int(tag == "exact")))
            rest = [batch.column(name) for name in ("doc", "twin", "similarity")]
            yield "links", pa.RecordBatch.from_arrays([key, role, *rest], schema=TWIN_LINKS)


@dataclass(frozen=True)
class ResolveTwins(PlainStage):
    """Rows of DUPLICATES in which every twin is kept.

    An exact copy of a near-duplicate has the near-duplicate's shingles, so it has its similarity
    with its twin too. Documents of an index (corpus.schema.INDEXED) are nobody's to remove. Holds
    the open group's first row.
    """

    key: ClassVar[tuple[str, ...]] = ("key",)
    order: ClassVar[tuple[str, ...]] = ("role", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"links": TWIN_LINKS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"duplicates": DUPLICATES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int, ...] | None = None
        removed, open_twin, open_similarity = 0, 0, np.zeros(1)  # removed: the key is near
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            key, role, doc, twin = (column(batch, name) for name in TWIN_LINKS.names[:4])
            similarity = np.concatenate((open_similarity, batch.column("similarity").to_numpy()))
            begins = starts((key,), before)
            first = spread(np.arange(1, len(key) + 1), begins, 0)
            near = spread((role == 0).astype(np.int64), begins, removed) == 1
            twin = np.where(near, spread(twin, begins, open_twin), twin)
            similarity = similarity[np.where(near, first, np.arange(1, len(key) + 1))]
            for some, reason in ((near & (doc >= 0), "near"), (~near, "exact")):
                if some.any():
                    rows = duplicate_rows(doc[some], reason, twin[some], similarity[some])
                    yield "duplicates", rows
            before = (int(key[-1]),)
            removed, open_twin, open_similarity = int(near[-1]), int(twin[-1]), similarity[-1:]
