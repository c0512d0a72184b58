import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.packing import packed, unpacked

NUMBERS = st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 100))


@given(NUMBERS)
def test_what_is_unpacked_is_what_was_packed(numbers):
    values = np.array(numbers, dtype=np.int64)
    found = unpacked(pickle.loads(pickle.dumps(packed(values))))
    assert found.dtype == np.int64
    assert found.tolist() == numbers


def test_a_count_up_takes_little_room():
    assert len(packed(np.arange(10**6))[1]) < 8 * 10**6 / 20
