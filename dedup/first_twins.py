"""The first twin of each document that rounds removed, of all documents that are kept.

Which documents go does not depend on the rounds, but which twin a document has does: the first of
those that its round keeps. Where runs of any number must agree (docs/adr/0043), the kept documents
before it that share a bucket with it are compared with it once more:

    undecided → Outcomes → EarlierKept → PairedDocuments, DistinctPairs → candidates, pairs
    text → Shingles → Verify → FirstTwins → near
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import NEAR, PAIRS, UNDECIDED, Tagged
from unrote.corpus.stages import PlainStage, whole_keys
from unrote.dedup.candidates import CANDIDATES
from unrote.dedup.groups import Ints, batch_of, column, counted, duplicate_rows, parts, starts
from unrote.dedup.selection import STEPS

OUTCOMES = pa.schema([(name, pa.int64()) for name in ("bucket", "rank", "doc", "removed")])
"""The members of buckets, 1 in `removed` for those that were."""

_BATCH_PAIRS = 1 << 19  # pairs in a batch, about: 12 MiB


@dataclass(frozen=True)
class Outcomes(PlainStage):
    """Rows of UNDECIDED with what became of their documents, which is the same for all it reads."""

    removed: bool = False

    inputs: ClassVar[Mapping[str, pa.Schema]] = {UNDECIDED.name: UNDECIDED.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"members": OUTCOMES}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            bucket, rank, doc = (column(batch, name) for name in ("bucket", "rank", "doc"))
            columns = (bucket, rank, doc, np.full_like(doc, int(self.removed)))
            yield "members", batch_of(OUTCOMES, columns)


@dataclass(frozen=True)
class EarlierKept(PlainStage):
    """In each bucket, each removed document with all that are kept before it; and the documents of
    these pairs, once for each bucket (CANDIDATES: 1 in `paired` for those that are kept).

    Holds the rows of the open bucket: 32 bytes each.
    """

    key: ClassVar[tuple[str, ...]] = ("bucket",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    singles: ClassVar[bool] = False
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"members": OUTCOMES}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"pairs": PAIRS.schema, "ends": CANDIDATES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for rows in whole_keys((batch for _, batch in tagged), "bucket"):
            _, rank, doc, removed = (column(rows, name) for name in OUTCOMES.names)
            first, before, after = _in_bucket(rows)
            kept = np.flatnonzero(removed == 0)
            count = np.where(removed == 1, before, 0)
            for part in parts(count, _BATCH_PAIRS):
                times = count[part]
                if times.any():
                    partner = kept[np.repeat(first[part], times) + counted(times)]
                    columns = (np.repeat(doc[part], times), doc[partner], rank[partner])
                    yield "pairs", batch_of(PAIRS.schema, columns)
            some = np.where(removed == 1, before, after) > 0
            if some.any():
                doc, rank, paired = doc[some], rank[some], 1 - removed[some]
                yield "ends", batch_of(CANDIDATES.schema, (doc, rank, np.zeros_like(doc), paired))


def _in_bucket(rows: pa.RecordBatch) -> tuple[Ints, Ints, Ints]:
    """For each row of whole buckets: how many rows are kept before its bucket, how many are in it
    before the row, and how many are removed in it behind the row.
    """
    bucket, removed = column(rows, "bucket"), column(rows, "removed")
    begins = np.flatnonzero(starts((bucket,), None))
    sizes = np.diff(np.append(begins, len(bucket)))
    kept_so_far = np.cumsum(1 - removed) - (1 - removed)
    removed_so_far = np.cumsum(removed)
    first = np.repeat(kept_so_far[begins], sizes)
    last = np.repeat(removed_so_far[begins + sizes - 1], sizes)
    return first, kept_so_far - first, last - removed_so_far


@dataclass(frozen=True)
class PairedDocuments(PlainStage):
    """The documents of pairs, once. Holds the last one's number."""

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("rank",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"ends": CANDIDATES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"candidates": CANDIDATES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int] | None = None
        for _, batch in tagged:
            if batch.num_rows:
                doc = column(batch, "doc")
                new = starts((doc,), before)
                before = (int(doc[-1]),)
                yield "candidates", batch.filter(pa.array(new))


@dataclass(frozen=True)
class FirstTwins(PlainStage):
    """Of the documents that one is similar to, the first in keep order. Holds the last one's
    number.
    """

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("kept_rank", "kept")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"steps": STEPS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"near": NEAR.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            doc, twin = column(batch, "doc"), column(batch, "kept")
            new = starts((doc,), before)
            before = (int(doc[-1]),)
            if new.any():
                similarity = batch["similarity"].to_numpy()
                yield "near", duplicate_rows(doc[new], "near", twin[new], similarity[new])
