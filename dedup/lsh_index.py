"""Near-duplicates by datasketch's MinHash and MinHashLSH, to compare with `dedup.near`.

In keep order each document is looked up in an index of those kept so far; the candidates that the
index names are compared by the exact Jaccard similarity of their shingles. The first similar one in
keep order is the twin; a document without one is kept and goes into the index. That is the greedy
selection of `dedup.near`, one document after the other.

Shared with it is what a shingle is (`dedup.shingles`) and how a signature is cut into bands
(`bands_for`), so that both miss a pair at the threshold with a probability of at most `max_miss`.
datasketch's own choice of bands weighs false positives against misses and would miss 60 % of the
pairs at 0.8. Permutations, buckets, index and comparison are others: the two ways differ in pairs
that one of them misses, and in what follows from these.

Memory: one worker holds the shingles of the kept documents, 8 bytes each, and the index.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.extras import require
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import NEAR, RECORDS, REJECTS, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.dedup.groups import Ints, column, duplicate_rows, parts
from unrote.dedup.keep import KeepPolicy
from unrote.dedup.minhash import bands_for
from unrote.dedup.shingles import is_characters, shingle_hashes
from unrote.dedup.words import table_for

_LIST = pa.list_(pa.field("item", pa.int64(), nullable=False))

RANKED_SETS = pa.schema(
    [(name, pa.int64()) for name in ("all", "rank", "doc")] + [("shingles", _LIST)]
)
"""A document with its rank in keep order and its shingles (ascending, distinct). `all` is 0."""

_BATCH_VALUES = 1 << 22  # shingles in a batch: 32 MiB
_AT_ONCE = 1 << 14  # shingles of a text that datasketch permutes at a time: 8 MiB for 128 of them


@dataclass(frozen=True)
class RankedSets(PlainStage):
    """Texts to their shingles, with their ranks in keep order. Those without words are left out."""

    unit: str = "word"
    ngram: int = 5
    keep: str = "first"
    normalization: Normalization = NFC

    version: ClassVar[int] = 4
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": RECORDS, "rejects": REJECTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": RANKED_SETS}

    def _run(self, tagged: Tagged) -> Tagged:
        policy = KeepPolicy.parse(self.keep)
        for tag, batch in tagged:
            # The rejects are rows that could not be read: an earlier phase says so.
            if tag == "text" and batch.num_rows:
                yield from self._sets(policy, batch)

    def _sets(self, policy: KeepPolicy, batch: pa.RecordBatch) -> Tagged:
        text = batch.column("text")
        doc = column(batch, "doc")
        rank = policy.ranks(batch.column("order"), np.diff(arrow_buffers(text)[1]))
        data, offsets = arrow_buffers(self.normalization.texts(text))
        characters = is_characters(self.unit, self.ngram)
        hashes, bounds, words = shingle_hashes(
            data, offsets, table_for(data), characters, self.ngram, True, True
        )
        some = np.flatnonzero(words)  # the others have no shingles, so that the bounds stay right
        bounds = np.append(bounds[:-1][some], bounds[-1])
        for part in parts(np.diff(bounds), _BATCH_VALUES) if len(some) else ():
            here = bounds[part.start : part.stop + 1]
            flat = pa.array(hashes[here[0] : here[-1]])
            ends = pa.array((here - here[0]).astype(np.int32))
            chosen = some[part]
            columns = (np.zeros(len(chosen), dtype=np.int64), rank[chosen], doc[chosen])
            arrays = [
                *(pa.array(values, pa.int64()) for values in columns),
                pa.ListArray.from_arrays(ends, flat, type=_LIST),
            ]
            yield "sets", pa.RecordBatch.from_arrays(arrays, schema=RANKED_SETS)


@dataclass(frozen=True)
class IndexSelection(PlainStage):
    """In keep order: a document is removed if the index names one that was kept before it and is
    similar to it; the first of those is its twin. Holds the kept documents' shingles and the index.
    """

    threshold: float = 0.8
    permutations: int = 128
    max_miss: float = 0.05

    key: ClassVar[tuple[str, ...]] = ("all",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": RANKED_SETS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"near": NEAR.schema}

    def __post_init__(self) -> None:
        bands_for(self.permutations, self.threshold, self.max_miss)  # raises where there are none

    def _run(self, tagged: Tagged) -> Tagged:
        kept = _KeptIndex(self.threshold, self.permutations, self.max_miss)
        for _, batch in tagged:
            found = []
            lists = batch.column("shingles")
            bounds, values = lists.offsets.to_numpy(), lists.values.to_numpy()
            for row, doc in enumerate(batch.column("doc").to_pylist()):
                twin = kept.twin_of(doc, values[bounds[row] : bounds[row + 1]])
                if twin is not None:
                    found.append((doc, *twin))
            if found:
                docs, twins, similar = zip(*found, strict=True)
                rows = duplicate_rows(
                    np.array(docs), "near", np.array(twins), np.array(similar, dtype=np.float64)
                )
                yield "near", rows


class _KeptIndex:
    """datasketch's index of the documents kept so far, in keep order, with their shingles."""

    def __init__(self, threshold: float, permutations: int, max_miss: float) -> None:
        require("datasketch", 'dedup.near.method = "datasketch"')
        import datasketch  # noqa: PLC0415 - slow to import, rarely used

        bands = bands_for(permutations, threshold, max_miss)
        self._threshold = threshold
        self._index = datasketch.MinHashLSH(num_perm=permutations, params=bands)
        # datasketch mixes a 32-bit hash, and permutes what comes of it: half of ours will do.
        self._empty = datasketch.MinHash(num_perm=permutations, hashfunc=int, scheme="affine32")
        self._kept: list[tuple[int, Ints]] = []

    def twin_of(self, doc: int, shingles: Ints) -> tuple[int, float] | None:
        """The first kept document that is similar, and how much; None, and `doc` is kept, where
        there is none.
        """
        sketch = self._sketch(shingles)
        for number in sorted(self._index.query(sketch)):  # as many as were kept before it
            twin, theirs = self._kept[number]
            similarity = _jaccard(shingles, theirs)
            if similarity >= self._threshold:
                return twin, similarity
        self._index.insert(len(self._kept), sketch)
        self._kept.append((doc, shingles.copy()))
        return None

    def _sketch(self, shingles: Ints) -> Any:
        sketch = self._empty.copy()
        halves = (shingles.view(np.uint64) >> np.uint64(32)).astype(np.uint32)
        for at in range(0, len(halves), _AT_ONCE):
            sketch.update_batch(halves[at : at + _AT_ONCE].tolist())
        return sketch


def _jaccard(left: NDArray[np.int64], right: NDArray[np.int64]) -> float:
    """The Jaccard similarity of two sets, each ascending and distinct, not both empty."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)
