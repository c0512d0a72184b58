"""The first twin of documents that rounds removed, beside a look at every pair."""

from hypothesis import given
from hypothesis import strategies as st

from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.examples import examples
from unrote.corpus.schema import INDEXED, UNDECIDED
from unrote.dedup.candidates import DistinctPairs
from unrote.dedup.first_twins import EarlierKept, FirstTwins, Outcomes, PairedDocuments
from unrote.dedup.selection import STEPS


@st.composite
def members(draw):
    """Documents with a rank, some buckets, and whether they were removed."""
    count = draw(st.integers(1, 25))
    docs = [INDEXED + n if n < count // 4 else n for n in range(count)]
    few = st.sets(st.integers(-2, 5), max_size=4)
    return {
        d: (-9 if d < 0 else draw(st.integers(0, 3)), draw(few), d >= 0 and draw(st.booleans()))
        for d in docs
    }


@given(members(), st.integers(0, 9), st.integers(2, 5))
@examples(100)
def test_every_earlier_kept_one_of_a_bucket_is_looked_at(documents, seed, modulus):
    engine = MiniEngine(seed)
    rows = [(d, b, rank) for d, (rank, buckets, _) in documents.items() for b in buckets]
    found = []
    for of in (False, True):
        own = table(UNDECIDED.schema, [row for row in rows if documents[row[0]][2] is of])
        found.append(engine.beside(Outcomes(of), undecided=own))
    rows = rows_of(found[0]["members"]) + rows_of(found[1]["members"])
    paired = engine.group(EarlierKept(), members=table(Outcomes.outputs["members"], rows))
    pairs = rows_of(engine.group(DistinctPairs(), pairs=paired["pairs"])["pairs"])
    at = {d: (rank, d) for d, (rank, _, _) in documents.items()}
    assert pairs == sorted(
        (d, k, at[k][0])
        for d, (_, buckets, removed) in documents.items()
        for k, (_, others, other_removed) in documents.items()
        if removed and not other_removed and buckets & others and at[k] < at[d]
    )
    ends = rows_of(engine.group(PairedDocuments(), ends=paired["ends"])["candidates"])
    assert ends == sorted(
        {(d, at[d][0], 0, 0) for d, _, _ in pairs} | {(k, r, 0, 1) for _, k, r in pairs}
    )
    similar = [one for one in pairs if (one[0] + one[1]) % modulus]
    steps = [(d, 1, at[d][0], r, k, 0, 0.9, 0) for d, k, r in similar]
    near = rows_of(engine.group(FirstTwins(), steps=table(STEPS.schema, steps))["near"])
    first = {d: min((r, k) for one, k, r in similar if one == d)[1] for d, _, _ in similar}
    assert near == sorted((d, "near", k, 0.9) for d, k in first.items())
