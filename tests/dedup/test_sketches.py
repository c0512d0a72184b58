"""Our signatures as datasketch's sketches and back; sketches of others as candidates."""

import itertools
import pickle
from typing import get_args

import datasketch
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import reference
from tests.dedup.test_near import family
from tests.examples import examples
from unrote.corpus.normalization import Form, Normalization
from unrote.dedup.minhash import estimate, permutation_constants, signatures
from unrote.dedup.near import near_duplicates
from unrote.dedup.shingles import Unit, shingles
from unrote.dedup.sketches import buckets_of, from_datasketch, seed_of, to_datasketch

TEXTS = [*family(3), "", "one"]


def unmixed(x: int) -> int:
    """What MurmurHash3's 32-bit finalizer makes x of."""
    for shift, factor in ((16, 0xC2B2AE35), (13, 0x85EBCA6B), (16, 1)):
        y = x
        for _ in range(32 // shift + 1):
            y = x ^ y >> shift
        x = y * pow(factor, -1, 1 << 32) & 0xFFFFFFFF
    return x


@pytest.mark.parametrize("permutations", [16, 128, 130])
def test_a_sketch_of_datasketch_with_our_permutations_has_our_values(permutations):
    """The scheme is the same: only constants, and what is hashed, are ours."""
    signed = signatures(TEXTS, permutations=permutations)
    for text, row, sketch in zip(TEXTS, signed, to_datasketch(signed), strict=True):
        theirs = datasketch.MinHash(
            seed=seed_of(),
            num_perm=permutations,
            permutations=np.array(permutation_constants(permutations)),
            scheme="affine32",
            hashfunc=unmixed,
        )
        halves = shingles([text])[0].view(np.uint64) >> np.uint64(32)
        theirs.update_batch(halves.tolist())
        assert theirs.hashvalues.tolist() == row.tolist()
        assert theirs.jaccard(sketch) == 1.0
        assert sketch.is_empty() == (not reference.words(text))


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.integers(1, 64), st.booleans())
@examples(40)
def test_there_and_back(texts, ngram, characters):
    kind = {"ngram": ngram, "unit": "character" if characters else "word"}
    signed = signatures(texts, **kind)
    sketches = to_datasketch(signed, **kind)
    assert np.array_equal(from_datasketch(sketches, **kind), signed)
    for i, j in np.ndindex(len(texts), len(texts)):
        assert sketches[i].jaccard(sketches[j]) == estimate(signed[i], signed[j])
    stored = [pickle.loads(pickle.dumps(one)) for one in sketches]
    buffers = [bytearray(one.bytesize()) for one in sketches]
    for one, buffer in zip(sketches, buffers, strict=True):
        one.serialize(buffer)
    stored += [datasketch.LeanMinHash.deserialize(buffer) for buffer in buffers]
    assert np.array_equal(from_datasketch(stored, **kind), np.concatenate([signed, signed]))


def test_an_index_of_datasketch_takes_them():
    signed = signatures(TEXTS)
    index = datasketch.MinHashLSH(num_perm=128, params=(18, 7))
    for number, sketch in enumerate(to_datasketch(signed)):
        index.insert(number, sketch)
    for doc, twin, _ in near_duplicates(TEXTS):
        assert twin in index.query(to_datasketch(signed[doc : doc + 1])[0])


def test_what_differs_is_not_compared():
    signed = signatures(["a b c d e f"])
    (ours,) = to_datasketch(signed)
    (other,) = to_datasketch(signed, ngram=4)
    foreign = datasketch.MinHash(num_perm=128)
    for sketch in (other, foreign, to_datasketch(signed, unit="character")[0]):
        with pytest.raises(ValueError, match="Jaccard"):
            ours.jaccard(sketch)
        with pytest.raises(ValueError, match="sketch 0 has the seed"):
            from_datasketch([sketch])
    forms = [
        Normalization(form, one, two) for form in get_args(Form) for one, two in np.ndindex(2, 2)
    ]
    kinds = itertools.product(range(1, 65), get_args(Unit), forms)
    seeds = {seed_of(*kind) for kind in kinds}
    assert len(seeds) == 64 * len(get_args(Unit)) * 12
    assert all(1 << 52 <= seed < 1 << 53 for seed in seeds)


def test_datasketch_makes_no_sketch_of_ours_that_would_be_updated_by_other_permutations():
    (ours,) = to_datasketch(signatures(["a b c d e f"]))
    with pytest.raises(ValueError, match="Seed"):
        datasketch.MinHash(seed=ours.seed, hashvalues=ours.hashvalues, scheme=ours.scheme)


def foreign(texts, scheme, lean):
    made = []
    for text in texts:
        sketch = datasketch.MinHash(num_perm=256, seed=7, scheme=scheme)
        sketch.update_batch([" ".join(s).encode() for s in reference.shingles(text)])
        made.append(datasketch.LeanMinHash(sketch) if lean else sketch)
    return made


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("scheme", ["affine32", "affine64", "legacy"])
def test_foreign_sketches_name_candidates(scheme, lean):
    given = {"threshold": 0.7, "max_miss": 1e-8, "permutations": 256}
    expected = near_duplicates(TEXTS, **given)
    assert len(expected) > 5
    assert near_duplicates(TEXTS, **given, signatures=foreign(TEXTS, scheme, lean)) == expected


def test_own_signatures_made_before():
    expected = near_duplicates(TEXTS)
    signed = signatures(TEXTS)
    assert near_duplicates(TEXTS, signatures=signed) == expected
    assert near_duplicates(TEXTS, signatures=to_datasketch(signed)) == expected
    assert near_duplicates([], signatures=[]) == near_duplicates([], signatures=signed[:0]) == []


def test_candidates_are_verified():
    """Sketches that say that all is the same make nobody a duplicate."""
    same = np.zeros((3, 128), dtype=np.uint32)
    assert near_duplicates(["a b c", "d e f", "A B C"], signatures=same) == [(2, 0, 1.0)]


def test_signatures_that_do_not_fit():
    signed = signatures(["a", "b"])
    for wrong, message in (
        (signed[:1], "1 signatures for 2 texts"),
        (signed.astype(np.int64), "they must be uint32"),
        (signed[:, :0], "must be uint32"),
        ([datasketch.MinHash(64), datasketch.MinHash(128)], "differ in seed, scheme or length"),
        ([datasketch.MinHash(seed=1), datasketch.MinHash(seed=2)], "differ in seed"),
    ):
        with pytest.raises(ValueError, match=message):
            near_duplicates(["a", "b"], signatures=wrong)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6))
@examples(50)
def test_a_bucket_is_shared_where_a_band_is(bands, rows, seed):
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 2, (12, bands * rows + 1), dtype=np.uint32)
    found = buckets_of(values, bands, rows)
    assert found.shape == (12, bands)
    same = values[:, : bands * rows].reshape(12, bands, rows)
    for b in range(bands):
        equal = (same[:, None, b] == same[None, :, b]).all(axis=2)
        assert np.array_equal(found[:, None, b] == found[None, :, b], equal)
    assert all(len(set(column.tolist()) & set(found[:, 0].tolist())) == 0 for column in found.T[1:])
