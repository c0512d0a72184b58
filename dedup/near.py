"""Near-duplicates: which documents are kept, by rounds of growing width.

What is kept is the greedy maximal independent set, in keep order, of the graph of verified similar
pairs: in keep order each document is kept unless it is similar to one that was kept before it. A
round is

    A   bands → CandidatePairs → DistinctPairs → pairs
                CandidatePairs → CandidateDocuments → candidates, undecided
    B   text → Shingles → Verify → GreedySelection → near, kept

A: in each bucket the first `width` members are paired with all that come later. A document is
complete if it is paired with everybody before it, and will be with everybody after it.
B: the pairs are verified; the greedy selection decides every document that they can decide.

The next round's A reads the undecided rows of the documents that B neither removed nor kept, with a
larger width (`width_of`). The rounds end when A finds no pair.

The width starts at one, so that n copies of one text make n - 1 pairs, not n * (n - 1) / 2. It
grows, so that the rounds are few where many documents share a bucket and are not similar: in the
licence texts 83 rounds would be needed if each document waited until it comes first in all its
buckets.

After ROUNDS rounds the width has no limit: every document is complete, so that the selection
decides all remaining ones and the number of rounds has a bound. Each round is several passes over
tables and one over text. What remains by then are documents that share a bucket and are not
similar, most pairs of which have to be compared anyway.

A document that went as an exact copy of one that was then removed as a near-duplicate gets the
latter's twin (dedup.twins), so that a twin is always a kept document.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa

from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import BANDS, RECORDS, TEXT
from unrote.corpus.tables import tuples_of
from unrote.corpus.texts import Texts, text_array
from unrote.dedup.candidates import CandidateDocuments, CandidatePairs, DistinctPairs
from unrote.dedup.groups import batch_of
from unrote.dedup.in_memory import Engine, InMemory
from unrote.dedup.lsh_index import IndexSelection, RankedSets
from unrote.dedup.minhash import Signatures, bands_for, sign_texts
from unrote.dedup.selection import GreedySelection
from unrote.dedup.shingles import Unit
from unrote.dedup.similarity import Shingles, Verify
from unrote.dedup.sketches import buckets_of, length_of

if TYPE_CHECKING:
    from datasketch import MinHash

Method = Literal["rounds", "datasketch"]

ROUNDS = 6
"""After so many rounds one more decides all remaining documents."""

_EVERYBODY = 1 << 62


def width_of(number: int) -> int:
    """How many members of a bucket are paired with all later ones in round `number`, from 0."""
    return int(4**number) if number < ROUNDS else _EVERYBODY


class Round(NamedTuple):
    """The tables of a round (corpus.schema, dedup.candidates)."""

    pairs: pa.Table
    candidates: pa.Table
    near: pa.Table
    kept: pa.Table


def rounds(
    engine: Engine,
    bands: pa.Table,
    steps: Callable[[pa.Table, pa.Table], pa.Table],
    width: Callable[[int], int] = width_of,
) -> Iterator[Round]:
    """The rounds that decide the documents of BANDS, until no bucket holds two undecided ones.

    steps(candidates, pairs): the steps of a round's greedy selection (dedup.selection.STEPS).
    """
    for number in count():
        paired = engine.group(CandidatePairs(width(number)), bands=bands)
        pairs = engine.group(DistinctPairs(), pairs=paired["pairs"])["pairs"]
        if not pairs.num_rows:
            return
        documents = engine.group(CandidateDocuments(), members=paired["members"])
        candidates = documents["candidates"]
        selected = engine.group(GreedySelection(), steps=steps(candidates, pairs))
        yield Round(pairs, candidates, selected["near"], selected["kept"])
        bands = documents["undecided"]
        decided = [selected[tag]["doc"].to_numpy() for tag in ("near", "kept")]
        bands = bands.filter(pa.array(~np.isin(bands["doc"].to_numpy(), np.concatenate(decided))))


def near_duplicates(
    texts: Texts,
    *,
    threshold: float = 0.8,
    unit: Unit = "word",
    ngram: int = 5,
    permutations: int = 128,
    max_miss: float = 0.05,
    method: Method = "rounds",
    signatures: "Signatures | Sequence[MinHash] | None" = None,
    normalization: Normalization = NFC,
) -> list[tuple[int, int, float]]:
    """The near-duplicates among texts, the first of several is kept: (doc, twin, similarity).

    Runs the stages of a job in memory; a document is its index in `texts`.

    method: "rounds", or "datasketch" for its MinHashLSH (`dedup.lsh_index`); they differ in pairs
    that one of them misses.
    signatures: made before, one for each text, `permutations` is then their length: those of
    `unrote.signatures`, or datasketch's MinHash or LeanMinHash of any hash function, seed and
    scheme, as long as all have the same. Foreign ones name candidates, which are verified by our
    shingles; the similarity is exact, but how many pairs are missed depends on what they are of.

    Raises ValueError if a setting is not allowed, no bands reach `max_miss`, or signatures do not
    fit; TypeError for texts that are no strings; ConfigError where datasketch is missing.
    """
    if method not in get_args(Method):
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(get_args(Method))}")
    removed: list[tuple[int, int, float]] = []
    if method == "datasketch":
        if signatures is not None:
            raise ValueError("signatures are for the method rounds; datasketch makes its own")
        sets = RankedSets(unit, ngram, normalization=normalization)
        near = _indexed(text_array(texts), sets, IndexSelection(threshold, permutations, max_miss))
        return sorted(tuples_of(near, "doc", "twin", "similarity"))
    for one in verified_rounds(
        texts,
        threshold=threshold,
        unit=unit,
        ngram=ngram,
        permutations=permutations,
        max_miss=max_miss,
        signatures=signatures,
        normalization=normalization,
    ):
        removed += tuples_of(one.near, "doc", "twin", "similarity")
    return sorted(removed)


def verified_rounds(
    texts: Texts,
    *,
    threshold: float,
    unit: Unit,
    ngram: int,
    permutations: int,
    max_miss: float,
    normalization: Normalization,
    signatures: "Signatures | Sequence[MinHash] | None" = None,
) -> Iterator[Round]:
    """The rounds that `near_duplicates` goes through."""
    array = normalization.texts(text_array(texts).cast(pa.string()))
    if signatures is not None:
        permutations = length_of(signatures, len(array)) or permutations
    bands, rows = bands_for(permutations, threshold, max_miss)
    signed = 0 if signatures is not None else permutations
    _, buckets, words = sign_texts(array, signed, ngram, unit, bands if signed else 0, rows)
    if signatures is not None and len(array):
        buckets = buckets_of(signatures, bands, rows)
    doc = np.repeat(np.flatnonzero(words), bands)
    columns = (doc, buckets[words > 0].ravel(), np.zeros_like(doc))
    engine, text = InMemory(), pa.table([pa.array(np.arange(len(array))), array], schema=TEXT)

    # The text is normalized already.
    shingles = Shingles(unit, ngram, Normalization("none"))

    def steps(candidates: pa.Table, pairs: pa.Table) -> pa.Table:
        found = engine.map(shingles, candidates=candidates, pairs=pairs, text=text)
        verified = engine.group(Verify(threshold), sets=found["sets"])
        return pa.concat_tables([found["steps"], verified["steps"]])

    return rounds(engine, pa.Table.from_batches([batch_of(BANDS.schema, columns)]), steps)


def _indexed(array: pa.StringArray, stage: RankedSets, selection: IndexSelection) -> pa.Table:
    """The rows of NEAR by datasketch's index."""
    nothing = {name: pa.nulls(len(array), RECORDS.field(name).type) for name in RECORDS.names}
    columns = nothing | {"doc": pa.array(np.arange(len(array))), "text": array.cast(pa.string())}
    engine = InMemory()
    sets = engine.map(stage, text=pa.table(columns, schema=RECORDS))["sets"]
    return engine.group(selection, sets=sets)["near"]
