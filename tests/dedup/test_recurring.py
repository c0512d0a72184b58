"""Runs counted in the input and in the released view, against a count of their bytes."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.test_runs import runs_of
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.dedup.views import VIEWS, View, views
from unrote.corpus.schema import DUPLICATES, REJECTS, REPLACEMENTS, SPANS, TEXT
from unrote.dedup import groups
from unrote.dedup.recurring import RUNS, Common, Recurring, Runs


def ran(case: View, seed: int = 0):
    engine = MiniEngine(seed)
    stage = Runs(
        edits=(SPANS.name, REPLACEMENTS.name), removed=(DUPLICATES.name, REJECTS.name), cut=True
    )
    runs = engine.map(
        stage,
        text=table(TEXT, list(case.texts.items())),
        duplicates=case.duplicates,
        rejects=case.rejects,
        spans=case.spans,
        replacements=case.replacements,
    )["runs"]
    assert runs.schema == RUNS
    found = engine.group(Recurring(), runs=runs)
    common = engine.group(Common(), crowd=found["crowd"])
    return sorted(rows_of(found["recurring"]) + rows_of(common["recurring"]))


def counted(case: View) -> list[tuple[int, int, int, int]]:
    """Rows of RECURRING, by the hashes of each view's runs."""
    before = Counter(run for text in case.texts.values() for _, _, run in runs_of([text]))
    released = {doc: runs_of([text]) for doc, text in case.released.items()}
    after = Counter(run for runs in released.values() for _, _, run in runs)
    return sorted(
        (doc, start, before[run], after[run])
        for doc, runs in released.items()
        for _, start, run in runs
        if before[run] > 1 or after[run] > 1
    )


@settings(max_examples=150, deadline=None)
@given(VIEWS, st.integers(0, 9), st.sampled_from([1, 3, 1 << 17]))
def test_like_counting(case, seed, rows_of_a_crowd):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "CROWD_ROWS", rows_of_a_crowd)
        assert ran(case, seed) == counted(case)


def test_what_is_not_released_counts_in_the_input():
    text = "A sentence that is long enough to have a run, whatever comes after it. " * 3
    case = views({1: text, 2: text, 3: text}, duplicates=[2], rejects=[3])
    found = ran(case)
    assert found
    assert all(row == (1, row[1], row[2], row[2] // 3) for row in found)
