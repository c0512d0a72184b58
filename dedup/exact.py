"""Exact duplicates, and the one pass over the text that makes fingerprints and LSH buckets.

Of documents with the same normalised text (corpus.normalization, then dedup.fingerprint) the first
in keep order is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.kernel import kernel
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import (
    BANDS,
    DOCUMENTS,
    EXACT,
    FINGERPRINTS,
    RECORDS,
    REJECTS,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.dedup.fingerprint import fingerprint, normalise_level, scratch_for
from unrote.dedup.groups import batch_of, column, duplicate_rows, spread, starts
from unrote.dedup.keep import KeepPolicy
from unrote.dedup.minhash import Signatures, bands_for, bucket_keys, permutation_constants, sign
from unrote.dedup.shingles import BUFFERED, STATE, is_characters
from unrote.dedup.words import Bytes, Ints, Table, table_for


@dataclass(frozen=True)
class Fingerprint(PlainStage):
    """Text to the rows of DOCUMENTS, FINGERPRINTS and BANDS; rejects are passed through.

    A document without words has no bands: it is never compared as a near-duplicate.
    """

    normalise: str = "whitespace"
    near: bool = True
    threshold: float = 0.8
    unit: str = "word"
    ngram: int = 5
    permutations: int = 128
    max_miss: float = 0.05
    keep: str = "first"
    normalization: Normalization = NFC

    version: ClassVar[int] = 5
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": RECORDS, "rejects": REJECTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "documents": DOCUMENTS.schema,
        "fingerprints": FINGERPRINTS.schema,
        "bands": BANDS.schema,
        "rejects": REJECTS.schema,
    }

    def __post_init__(self) -> None:
        normalise_level(self.normalise)
        is_characters(self.unit, self.ngram)
        KeepPolicy.parse(self.keep)
        self.bands  # noqa: B018 (raises where there are none)

    @property
    def bands(self) -> tuple[int, int]:
        """(bands, rows); (0, 0) without near-duplicates."""
        if not self.near:
            return 0, 0
        return bands_for(self.permutations, self.threshold, self.max_miss)

    def _run(self, tagged: Tagged) -> Tagged:
        policy = KeepPolicy.parse(self.keep)
        for tag, batch in tagged:
            if tag == "rejects":
                yield tag, batch
            elif batch.num_rows:
                yield from self._rows(policy, batch)

    def _rows(self, policy: KeepPolicy, batch: pa.RecordBatch) -> Tagged:
        text = batch.column("text")
        data, offsets = arrow_buffers(self.normalization.texts(text))
        bands, rows = self.bands
        a, b = permutation_constants(self.permutations if self.near else 0)
        keys, buckets, words = _fingerprint_and_sign(
            data,
            offsets,
            table_for(data),
            normalise_level(self.normalise),
            is_characters(self.unit, self.ngram),
            self.ngram,
            a,
            b,
            bands,
            rows,
        )
        doc, sizes = column(batch, "doc"), np.diff(arrow_buffers(text)[1])
        rank = policy.ranks(batch.column("order"), sizes)
        shared = [batch.column(name) for name in ("doc", "id", "shard", "row", "source")]
        yield (
            "documents",
            pa.RecordBatch.from_arrays(
                [*shared, pa.array(sizes), pa.array(words)], schema=DOCUMENTS.schema
            ),
        )
        yield "fingerprints", batch_of(FINGERPRINTS.schema, (doc, keys[:, 0], keys[:, 1], rank))
        some = words > 0
        if bands and some.any():
            buckets = np.sort(buckets[some], axis=1)
            columns = (np.repeat(doc[some], bands), buckets.ravel(), np.repeat(rank[some], bands))
            yield "bands", batch_of(BANDS.schema, columns)


@kernel
def _fingerprint_and_sign(
    data: Bytes,
    offsets: Ints,
    table: Table,
    level: int,
    characters: bool,
    ngram: int,
    a: Signatures,
    b: Signatures,
    bands: int,
    rows: int,
) -> tuple[Ints, Ints, Ints]:
    """(fingerprints int64[n, 2], buckets int64[n, bands], words int64[n]).

    A document is read for the second purpose while it is still in the cache from the first.
    """
    n = offsets.size - 1
    scratch = scratch_for(offsets, level)
    ring, state = np.zeros(ngram, dtype=np.uint64), np.zeros(STATE, dtype=np.int64)
    buffer = np.empty(BUFFERED, dtype=np.uint64)
    minima = np.empty(a.size, dtype=np.uint32)
    keys, words = np.empty((n, 2), dtype=np.int64), np.empty(n, dtype=np.int64)
    buckets = np.empty((n, bands), dtype=np.int64)
    for d in range(n):
        start, end = offsets[d], offsets[d + 1]
        high, low = fingerprint(data, start, end, table, level, scratch)
        keys[d, 0], keys[d, 1] = np.int64(high), np.int64(low)
        words[d] = sign(data, start, end, table, characters, ring, state, buffer, a, b, minima)
        bucket_keys(minima, rows, buckets[d])
    return keys, buckets, words


@dataclass(frozen=True)
class Exact(PlainStage):
    """Of each group of equal fingerprints all but the first in keep order: rows of EXACT.

    Holds the first document of the open group.
    """

    key: ClassVar[tuple[str, ...]] = ("high", "low")
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    singles: ClassVar[bool] = False
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"fingerprints": FINGERPRINTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"exact": EXACT.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int, int] | None = None
        kept = -1  # the kept document of the open group
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            high, low, doc = (column(batch, name) for name in ("high", "low", "doc"))
            begins = starts((high, low), before)
            twin = spread(doc, begins, kept)
            copies = ~begins
            if copies.any():
                count = int(copies.sum())
                yield "exact", duplicate_rows(doc[copies], "exact", twin[copies], np.ones(count))
            before, kept = (int(high[-1]), int(low[-1])), int(twin[-1])
