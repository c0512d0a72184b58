"""The part of each source that the default model has never seen."""

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from unrote.memorization.heldout import HELD_OUT_SHARE, is_held_out


def test_the_share_is_what_it_says():
    count = 20_000
    found = Counter(is_held_out(f"Document {n}.") for n in range(count))[True]
    deviation = math.sqrt(count * HELD_OUT_SHARE * (1 - HELD_OUT_SHARE))
    assert abs(found - count * HELD_OUT_SHARE) < 4 * deviation


def test_sides_never_change():
    """The shipped model was trained by these: another answer would hand out what it has read."""
    held_out = [n for n in range(60) if is_held_out(f"Document {n}.")]
    assert held_out == [3, 12, 14, 19, 41, 49, 54]


@given(st.text(), st.sampled_from([" ", "\n\n", "\t \r\n", "\u3000"]))
def test_white_space_does_not_matter(text, space):
    assert is_held_out(space.join(text.split())) == is_held_out(f" {text}\n")


def test_half_a_surrogate_pair_has_a_side():
    assert is_held_out("\ud800") in {True, False}
