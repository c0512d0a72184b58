import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unrote.dedup.similarity import jaccard, similarities

SETS = st.lists(st.sets(st.integers(-20, 20) | st.integers(-(2**63), 2**63 - 1)), min_size=1)


@given(SETS, st.randoms())
def test_similarities(sets, random):
    values = np.array([v for s in sets for v in sorted(s)], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, sets)])
    left, right = (np.array(random.choices(range(len(sets)), k=20)) for _ in range(2))
    found = similarities(values, offsets, left, right)
    for a, b, similarity in zip(left, right, found, strict=True):
        both, either = len(sets[a] & sets[b]), len(sets[a] | sets[b])
        assert similarity == (both / either if either else 0.0)


def test_the_boundary_belongs_to_the_duplicates():
    assert jaccard([1, 2, 3, 4, 5], [5, 1, 2, 3]) >= 0.8
    for union in range(1, 200):
        for shared in range(union + 1):
            assert jaccard(range(union), range(shared)) == shared / union
