"""Sampled substrings counted in the input and the released view, against a count of bytes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.test_substrings import substrings_of
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.dedup.views import VIEWS, View, views
from tests.examples import examples
from unrote.corpus.beside import ReleasedView
from unrote.corpus.schema import DUPLICATES, REJECTS, REPLACEMENTS, SPANS, TEXT
from unrote.dedup import groups
from unrote.dedup.repeated_substrings import (
    SAMPLED_SUBSTRINGS,
    HotSubstrings,
    RepeatedSubstrings,
    SampledSubstrings,
)


def ran(case: View, seed: int = 0):
    engine = MiniEngine(seed)
    stage = SampledSubstrings(
        ReleasedView((SPANS.name, REPLACEMENTS.name), cut=True), (DUPLICATES.name, REJECTS.name)
    )
    substrings = engine.map(
        stage,
        text=table(TEXT, list(case.texts.items())),
        duplicates=case.duplicates,
        rejects=case.rejects,
        spans=case.spans,
        replacements=case.replacements,
    )["substrings"]
    assert substrings.schema == SAMPLED_SUBSTRINGS
    found = engine.group(RepeatedSubstrings(), substrings=substrings)
    hot = engine.group(HotSubstrings(), hot=found["hot"])
    return sorted(rows_of(found["repeated"]) + rows_of(hot["repeated"]))


def counted(case: View) -> list[tuple[int, int, int, int]]:
    """Rows of REPEATED_SUBSTRINGS, by the hashes of each view's substrings."""
    before = Counter(
        substring for text in case.texts.values() for _, _, substring in substrings_of([text])
    )
    released = {doc: substrings_of([text]) for doc, text in case.released.items()}
    after = Counter(substring for substrings in released.values() for _, _, substring in substrings)
    return sorted(
        (doc, start, before[substring], after[substring])
        for doc, substrings in released.items()
        for _, start, substring in substrings
        if before[substring] > 1 or after[substring] > 1
    )


@examples(150)
@given(VIEWS, st.integers(0, 9), st.sampled_from([1, 3, 1 << 17]))
def test_like_counting(case, seed, rows_of_a_hot_key):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "HOT_KEY_ROWS", rows_of_a_hot_key)
        assert ran(case, seed) == counted(case)


def test_what_is_not_released_counts_in_the_input():
    text = "A sentence that is long enough to have a substring, whatever comes after it. " * 3
    case = views({1: text, 2: text, 3: text}, duplicates=[2], rejects=[3])
    found = ran(case)
    assert found
    assert all(row == (1, row[1], row[2], row[2] // 3) for row in found)
