"""Near-duplicates: which documents stay, by rounds.

The documents that stay are the lexicographically first maximal independent set, in keep order, of
the graph of verified similar pairs: what a walk in keep order keeps that removes each document
similar to one it has kept. A round is

    A   bands → CandidatePairs → DistinctPairs → pairs       in each bucket the first `width` members meet all
                CandidatePairs → CandidateDocuments → candidates    that come later; who has met everybody before it, and
                              → undecided     will be met by everybody after it, is complete
    B   text → Shingles → Verify → GreedySelection       the pairs are verified; the walk in keep order
                        → near, kept          settles each document whose status they decide

and the next round's A reads the undecided rows of the documents that B neither removed nor kept,
with a larger width (`width_of`). The rounds end when A finds no pair.

The width starts at one, so that n copies of one text make n - 1 pairs, not n * (n - 1) / 2. It
grows, so that the rounds are few where many documents share a bucket and are not similar: in the
licence texts 83 rounds would be needed if each document waited until it comes first in all its
buckets.

After ROUNDS rounds the width has no limit: everybody is complete, so that the walk decides all that
is left and the number of rounds has a bound. Each round is several passes over tables and one over
text. What is left by then are documents that share a bucket and are not similar, most pairs of
which have to be compared anyway.

A document that went as an exact copy of one that then went as near-duplicate gets the latter's twin
(dedup.twins), so that a twin is always a document that stayed.
"""

import numpy as np
import pyarrow as pa

from unrote.corpus.schema import BANDS, TEXT, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.texts import Texts, text_array
from unrote.dedup.candidates import CandidateDocuments, CandidatePairs, DistinctPairs
from unrote.dedup.groups import batch_of, column
from unrote.dedup.minhash import bands_for, sign_texts
from unrote.dedup.selection import GreedySelection
from unrote.dedup.shingles import Unit
from unrote.dedup.similarity import Shingles, Verify

ROUNDS = 6
"""After so many rounds one more decides all that is left."""

_EVERYBODY = 1 << 62


def width_of(number: int) -> int:
    """How many members of a bucket all later ones meet in round `number`, counted from 0."""
    return int(4**number) if number < ROUNDS else _EVERYBODY


def near_duplicates(
    texts: Texts,
    *,
    threshold: float = 0.8,
    unit: Unit = "word",
    ngram: int = 5,
    permutations: int = 128,
    max_miss: float = 0.05,
) -> list[tuple[int, int, float]]:
    """The near-duplicates among texts, the first of several stays: (doc, twin, similarity), by doc.

    Runs the stages of a job in memory, with places in `texts` as documents. Raises ValueError if a
    setting is not allowed or no bands reach `max_miss`, TypeError for texts that are no strings.
    """
    array = text_array(texts).cast(pa.string())
    bands, rows = bands_for(permutations, threshold, max_miss)
    _, buckets, words = sign_texts(array, permutations, ngram, unit, bands, rows)
    doc = np.repeat(np.flatnonzero(words), bands)
    left = batch_of(BANDS.schema, (doc, buckets[words > 0].ravel(), np.zeros_like(doc)))
    removed: list[tuple[int, int, float]] = []
    for number in range(ROUNDS + 1):
        met = in_memory(CandidatePairs(width_of(number)), bands=left)
        pairs = in_memory(DistinctPairs(), pairs=met["pairs"])["pairs"]
        if not pairs.num_rows:
            break
        decided = in_memory(CandidateDocuments(), members=met["members"])
        beside = {"candidates": decided["candidates"], "pairs": pairs}
        found = in_memory(Shingles(unit, ngram), **beside, text=batch_of_texts(array))
        verified = in_memory(Verify(threshold), sets=found["sets"])
        steps = pa.concat_batches([found["steps"], verified["steps"]])
        settled = in_memory(GreedySelection(), steps=steps)
        columns = (settled["near"].column(n).to_pylist() for n in ("doc", "twin", "similarity"))
        removed += zip(*columns, strict=True)
        done = np.append(column(settled["near"], "doc"), column(settled["kept"], "doc"))
        left = decided["undecided"]
        left = left.filter(pa.array(~np.isin(column(left, "doc"), done)))
    return sorted(removed)


def batch_of_texts(texts: pa.StringArray) -> pa.RecordBatch:
    """Rows of TEXT, numbered from 0."""
    return pa.RecordBatch.from_arrays([pa.array(np.arange(len(texts))), texts], schema=TEXT)


def in_memory(stage: PlainStage, **inputs: pa.RecordBatch) -> dict[str, pa.RecordBatch]:
    """Run a stage with one input (a map: any number) on whole tables, sorted as it asks."""

    def rows() -> Tagged:
        for tag, batch in inputs.items():
            by = [(name, "ascending") for name in (*stage.key, *stage.order)]
            yield tag, batch.sort_by(by) if stage.key else batch

    with stage.open() as run:
        produced = list(run(rows()))
    return {
        tag: pa.Table.from_batches([b for t, b in produced if t == tag], schema)
        .combine_chunks()
        .to_batches()[0]
        if any(t == tag and b.num_rows for t, b in produced)
        else pa.RecordBatch.from_pylist([], schema)
        for tag, schema in stage.outputs.items()
    }
