"""The exact Jaccard similarity of shingle sets: of two, and of a round's candidate pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.kernel import kernel
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import PAIRS, TEXT, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.dedup.candidates import CANDIDATES
from unrote.dedup.groups import Ints, batch_of, column, counted, parts, spread
from unrote.dedup.selection import STEPS
from unrote.dedup.shingles import is_characters, shingle_hashes
from unrote.dedup.words import table_for

SETS = pa.schema(
    [(name, pa.int64()) for name in ("kept", "role", "doc", "kept_rank", "rank")]
    + [("shingles", pa.list_(pa.field("item", pa.int64(), nullable=False)))]
)
"""Shingle sets beside the document that they are compared with (`kept`, if it will be): its own
(role 0), then those of the documents that are paired with it (role 1). Ascending, distinct."""

_BATCH_VALUES = 1 << 22  # shingles in a batch of sets: 32 MiB


@dataclass(frozen=True)
class Shingles(PlainStage):
    """The shingle sets of the candidates, each beside what it is compared with; and the candidates
    as steps of the greedy selection.
    """

    unit: str = "word"
    ngram: int = 5
    normalization: Normalization = NFC

    version: ClassVar[int] = 6
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "candidates": CANDIDATES.schema,
        "pairs": PAIRS.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": SETS, "steps": STEPS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        tables: dict[str, list[list[Ints]]] = {"candidates": [], "pairs": []}
        roles: list[Ints] | None = None
        for tag, batch in tagged:
            if tag == "text":
                if roles is None:
                    roles = _roles(**tables)
                    tables = {"candidates": [], "pairs": []}
                yield from self.sets(roles, batch)
                continue
            roles = None  # tables again: another range of documents
            tables[tag].append([column(batch, name) for name in batch.schema.names])
            if tag == "candidates" and batch.num_rows:
                doc, rank, complete, _ = tables[tag][-1]
                zero = np.zeros_like(doc)
                columns = (doc, zero, rank, zero, zero, complete, zero.astype(float), zero)
                yield "steps", batch_of(STEPS.schema, columns)

    def sets(self, roles: list[Ints], batch: pa.RecordBatch) -> Tagged:
        """Rows of SETS for the documents of `batch`. roles: the other columns, sorted by `doc`."""
        doc, docs = roles[2], column(batch, "doc")
        low = np.searchsorted(doc, docs)
        count = np.searchsorted(doc, docs, side="right") - low
        needed = np.flatnonzero(count)
        if not len(needed):
            return
        texts = batch.column("text")
        if len(needed) < len(docs):
            texts = texts.take(pa.array(needed))
        data, offsets = arrow_buffers(self.normalization.texts(texts))
        characters = is_characters(self.unit, self.ngram)
        hashes, bounds, _ = shingle_hashes(
            data, offsets, table_for(data), characters, self.ngram, True, True
        )
        sets = np.repeat(np.arange(len(needed)), count[needed])
        row = low[needed][sets] + counted(count[needed])
        for part in parts(np.diff(bounds)[sets], _BATCH_VALUES):
            columns = [pa.array(values[row[part]]) for values in roles]
            lists = _gathered(hashes, bounds, sets[part])
            yield "sets", pa.RecordBatch.from_arrays([*columns, lists], schema=SETS)


def _roles(candidates: list[list[Ints]], pairs: list[list[Ints]]) -> list[Ints]:
    """(kept, role, doc, kept_rank, rank) for each set that a range's documents give, by `doc`."""
    candidate, rank, _, paired = _joined(candidates, 4)
    doc, kept, kept_rank = _joined(pairs, 3)
    own = paired == 1
    doc_rank = rank[np.searchsorted(candidate, doc)]
    rows = [
        np.append(kept, candidate[own]),
        np.repeat(np.array([1, 0]), (len(doc), int(own.sum()))),
        np.append(doc, candidate[own]),
        np.append(kept_rank, rank[own]),
        np.append(doc_rank, rank[own]),
    ]
    order = np.argsort(rows[2], kind="stable")
    return [values[order] for values in rows]


def _joined(batches: list[list[Ints]], columns: int) -> list[Ints]:
    """The columns of several batches, each in one array."""
    none = np.empty(0, dtype=np.int64)
    return [np.concatenate((none, *(batch[c] for batch in batches))) for c in range(columns)]


def _gathered(values: Ints, bounds: Ints, sets: Ints) -> pa.ListArray:
    """The lists values[bounds[s]:bounds[s + 1]] for each of `sets`, which may repeat."""
    flat = pa.ListArray.from_arrays(
        pa.array(bounds.astype(np.int32)), pa.array(values), type=SETS.field("shingles").type
    )
    return flat if np.array_equal(sets, np.arange(len(bounds) - 1)) else flat.take(pa.array(sets))


@dataclass(frozen=True)
class Verify(PlainStage):
    """Pairs whose exact Jaccard similarity is at or above the threshold: steps of the selection.

    The similarity is the float64 nearest to intersection / union; it is compared as it is. Holds
    one set, of the open group's `kept`.
    """

    threshold: float = 0.8

    version: ClassVar[int] = 3
    key: ClassVar[tuple[str, ...]] = ("kept",)
    order: ClassVar[tuple[str, ...]] = ("role", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": SETS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"steps": STEPS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        open_set = np.empty(0, dtype=np.int64)  # of the kept document whose group is open
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            kept, role, doc, kept_rank, rank = (column(batch, n) for n in SETS.names[:5])
            lists = batch.column("shingles")
            bounds = lists.offsets.to_numpy().astype(np.int64)
            values = lists.values.to_numpy()
            # Set 0 is the open one, set i + 1 that of row i.
            values = np.concatenate((open_set, values[bounds[0] : bounds[-1]]))
            bounds = np.concatenate(([0], bounds - bounds[0] + len(open_set)))
            own = spread(np.arange(1, len(kept) + 1), role == 0, 0)
            pairs = np.flatnonzero(role)
            found = similarities(values, bounds, own[pairs], pairs + 1)
            enough = found >= self.threshold
            rows = pairs[enough]
            if len(rows):
                zero = np.zeros(len(rows), dtype=np.int64)
                columns = (doc[rows], zero + 1, rank[rows], kept_rank[rows], kept[rows], zero)
                yield "steps", batch_of(STEPS.schema, (*columns, found[enough], zero))
            open_set = values[bounds[own[-1]] : bounds[own[-1] + 1]].copy()


@kernel
def similarities(values: Ints, offsets: Ints, left: Ints, right: Ints) -> NDArray[np.float64]:
    """The Jaccard similarity of pairs of sets.

    Set i is values[offsets[i]:offsets[i+1]], ascending and distinct; a pair is the sets left[p] and
    right[p]. All int64. Returns float64[pairs]: the size of the intersection by the size of the
    union, both exact, in one correctly rounded division, so that whoever counts the same shingles
    gets the same number. 0.0 where both are empty.
    """
    found = np.empty(left.size, dtype=np.float64)
    for p in range(left.size):
        i, stop = offsets[left[p]], offsets[left[p] + 1]
        j, end = offsets[right[p]], offsets[right[p] + 1]
        together = stop - i + end - j
        shared = 0
        while i < stop and j < end:
            x, y = values[i], values[j]
            shared += x == y
            i += x <= y
            j += y <= x
        found[p] = shared / max(together - shared, 1)
    return found


def jaccard(left: Sequence[int] | Ints, right: Sequence[int] | Ints) -> float:
    """The Jaccard similarity of two sets of shingle hashes, in any order."""
    sets = [np.unique(np.asarray(side, dtype=np.int64)) for side in (left, right)]
    offsets = np.array([0, len(sets[0]), len(sets[0]) + len(sets[1])], dtype=np.int64)
    pair = np.zeros(1, dtype=np.int64)
    return float(similarities(np.concatenate(sets), offsets, pair, pair + 1)[0])
