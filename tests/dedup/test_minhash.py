import datasketch
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import reference
from unrote.dedup.minhash import EMPTY, bands_for, estimate, permutation_constants, signatures
from unrote.dedup.shingles import shingles

WORDS = [f"word{i}" for i in range(5000)]


def text_pairs(count: int = 150, length: int = 300) -> list[tuple[str, str]]:
    """Pairs of all similarities, by replacing the words of a text."""
    generator = np.random.default_rng(1)
    pairs = []
    for n in range(count):
        left = generator.choice(WORDS, length)
        right = left.copy()
        for _ in range(int(n * 60 / count)):
            right[generator.integers(length)] = generator.choice(WORDS)
        pairs.append((" ".join(left), " ".join(right)))
    return pairs


def test_estimates_agree_with_jaccard_and_datasketch_within_the_error():
    pairs = text_pairs()
    left, right = (signatures([p[side] for p in pairs]) for side in (0, 1))
    ours = estimate(left, right)
    truth = np.array([reference.jaccard(*pair) for pair in pairs])
    peer = []
    for pair in pairs:
        sketches = []
        for text in pair:
            sketch = datasketch.MinHash(num_perm=128)
            sketch.update_batch([" ".join(s).encode() for s in reference.shingles(text)])
            sketches.append(sketch)
        peer.append(sketches[0].jaccard(sketches[1]))
    error = np.sqrt(truth * (1 - truth) / 128) + 1e-9
    # Standard scores: mean 0, variance 1, by theory; 4.5 sigma for one of 150.
    peer = np.array(peer)
    for other, spread in ((truth, error), (peer, np.sqrt(2) * error)):
        score = ((ours - other) / spread)[truth < 1]
        assert abs(score).max() < 4.5
        assert abs(score.mean()) < 0.35
        assert 0.7 < score.std() < 1.3
    assert (ours[truth == 1] == 1).all()


@pytest.mark.parametrize("permutations", [16, 100, 128, 130])
def test_minima_are_those_of_the_permutations(permutations):
    texts = ["", "one", "a b c d e", "a b c d e f", "a b c d e f g h i j k l m n o p", "x " * 2000]
    texts.append(" ".join(WORDS[:1400]))
    a, b = (values.astype(np.uint64) for values in permutation_constants(permutations))
    for text, signature in zip(texts, signatures(texts, permutations=permutations), strict=True):
        x = shingles([text])[0].view(np.uint64) >> np.uint64(32)
        values = (x[:, None] * a + b) & np.uint64(0xFFFFFFFF)
        expected = values.min(axis=0, initial=EMPTY)
        assert signature.tolist() == expected.tolist()


def test_bands():
    assert bands_for(128, 0.8, 0.05) == (18, 7)
    assert bands_for(128, 1.0, 0.05) == (1, 128)


@given(st.integers(16, 300), st.floats(0.05, 1), st.floats(0.001, 0.5))
def test_bands_are_the_longest_that_miss_little(permutations, threshold, max_miss):
    def miss(rows: int) -> float:
        return (1 - threshold**rows) ** (permutations // rows)

    if min(miss(r) for r in range(1, permutations + 1)) > max_miss:
        with pytest.raises(ValueError, match="permutations"):
            bands_for(permutations, threshold, max_miss)
        return
    bands, rows = bands_for(permutations, threshold, max_miss)
    assert bands == permutations // rows
    assert miss(rows) <= max_miss
    assert all(miss(r) > max_miss for r in range(rows + 1, permutations + 1))


def test_the_error_names_a_number_that_is_enough():
    with pytest.raises(ValueError, match="at least 299 permutations"):
        bands_for(16, 0.01, 0.05)
    assert bands_for(299, 0.01, 0.05)


def test_texts_without_words():
    assert (signatures(["", "...", "a"]) == EMPTY).all(axis=1).tolist() == [True, True, False]
    assert signatures([]).shape == (0, 128)
