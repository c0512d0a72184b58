"""Cuts and changes in one text, against a slow reference that goes from character to character."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from unrote.corpus.intervals import union
from unrote.corpus.views import apply_edits, changes_outside, view
from unrote.pipelines.verify.records import Finding
from unrote.pipelines.verify.released import Left

NEW = st.sampled_from(["", "X", "Y Y", "\n", "长"])


@st.composite
def works(draw):
    """A text without line breaks, cuts (sorted, may overlap) and changes (apart; may touch)."""
    text = draw(st.text("abcdé 語", max_size=24))
    offsets = st.integers(0, len(text))
    cuts = draw(st.lists(st.tuples(offsets, offsets).map(sorted).map(tuple), max_size=5))
    bounds = sorted(draw(st.sets(offsets, max_size=8)))
    pairs = list(zip(bounds[::2], bounds[1::2], strict=False))
    if draw(st.booleans()):
        pairs = list(pairwise(bounds))
    changes = [(start, end, draw(NEW)) for start, end in pairs if draw(st.booleans())]
    return text, sorted(cut for cut in cuts if cut[0] < cut[1]), changes


def reference(text, cuts, changes):
    """Character by character: a change, a letter that stays, or a cut, which ends a line."""
    lines = [""]
    starts = {start: (end, new) for start, end, new in changes}
    at = 0
    while at < len(text):
        if at in starts:
            at, new = starts[at]
            lines[-1] += new
            continue
        if any(start <= at < end for start, end in cuts):
            lines.append("")
        else:
            lines[-1] += text[at]
        at += 1
    return "\n".join(line for line in lines if line)


@examples(200)
@given(works())
def test_like_the_reference(work):
    text, cuts, changes = work
    assert apply_edits(text, cuts, changes) == reference(text, cuts, changes)


@examples(300)
@given(works())
def test_what_is_kept_stays_in_order(work):
    text, cuts, changes = work
    marked = [(start, end, f"<{n}>") for n, (start, end, _) in enumerate(changes)]
    out = apply_edits(text, cuts, marked)
    cut = {at for start, end in cuts for at in range(start, end)}
    changed = {at for start, end, _ in changes for at in range(start, end)}
    begins = {start: new for start, _, new in marked}
    kept = [
        begins.get(at, "") + ("" if at in cut | changed else text[at]) for at in range(len(text))
    ]
    assert out.replace("\n", "") == "".join(kept)
    assert not out.startswith("\n")
    assert not out.endswith("\n")
    assert "\n\n" not in out
    assert out.count("\n") <= len(cuts) + len(changes)
    if not cuts:
        assert "\n" not in out


def test_cuts():
    assert apply_edits("abcdef", [], []) == "abcdef"
    assert apply_edits("abcdef", [(2, 4)], []) == "ab\nef"
    assert apply_edits("abcdef", [(0, 2)], []) == "cdef"
    assert apply_edits("abcdef", [(4, 6)], []) == "abcd"
    assert apply_edits("abcdef", [(0, 6)], []) == ""
    assert apply_edits("abcdef", [(1, 3), (2, 4)], []) == "a\nef"
    assert apply_edits("abcdef", [(1, 3), (3, 4)], []) == "a\nef"
    assert apply_edits("", [], []) == ""


def test_changes():
    assert apply_edits("abcdef", [], [(2, 4, "X")]) == "abXef"
    assert apply_edits("abcdef", [], [(0, 2, "X"), (2, 6, "Y")]) == "XY"
    assert apply_edits("abcdef", [], [(0, 6, "")]) == ""


def test_a_change_that_reaches_into_a_cut_stands_whole():
    assert apply_edits("abcdef", [(2, 4)], [(1, 3, "X")]) == "aX\nef"
    assert apply_edits("abcdef", [(2, 4)], [(3, 5, "X")]) == "ab\nXf"
    assert apply_edits("abcdef", [(2, 4)], [(1, 5, "X")]) == "aXf"
    assert apply_edits("abcdef", [(1, 5)], [(2, 4, "X")]) == "a\nX\nf"
    assert apply_edits("abcdef", [(1, 3), (4, 5)], [(2, 4, "X")]) == "a\nX\nf"
    assert apply_edits("abcdef", [(0, 3)], [(2, 4, "X")]) == "Xef"
    assert apply_edits("abcdef", [(2, 4)], [(2, 4, "X")]) == "abXef"


def test_nothing_left_between_two_cuts_is_no_line():
    assert apply_edits("abcdef", [(1, 2), (3, 4)], [(2, 3, "")]) == "a\nef"
    assert apply_edits("abcdef", [(0, 1), (2, 3)], [(1, 2, "")]) == "def"
    assert apply_edits("abcdef", [(1, 3)], [(0, 1, "")]) == "def"
    assert apply_edits("abcdef", [(3, 5)], [(5, 6, "")]) == "abc"


@examples(300)
@given(works())
def test_verify_agrees(work):
    """It foretells the remaining text, for `verify` of a released corpus."""
    text, cuts, changes = work
    changed = [
        Finding(0, 0, start, end, "PERSON", "surrogate" if new else "remove", "", None)
        for start, end, new in changes
    ]
    assert Left(text, list(union(cuts)), changed).fits(apply_edits(text, cuts, changes))


@examples(200)
@given(works())
def test_a_view_is_what_is_applied(work):
    text, cuts, changes = work
    made = view(text, cuts, changes)
    assert made.text == apply_edits(text, cuts, changes)
    bounds = [*made.offsets.tolist(), len(made.text)]
    for (first, last), start, end, copied in zip(
        pairwise(bounds), made.starts, made.ends, made.copied, strict=True
    ):
        assert not copied or made.text[first:last] == text[start:end]


@examples(200)
@given(works(), st.data())
def test_what_a_range_stands_for_is_its_letters(work, data):
    text, cuts, changes = work
    made = view(text, cuts, changes)
    if not made.text:
        return
    first = data.draw(st.integers(0, len(made.text) - 1))
    last = data.draw(st.integers(first + 1, len(made.text)))
    ((start,), (end,)) = made.inside(np.array([first]), np.array([last]))
    each = [made.inside(np.array([at]), np.array([at + 1])) for at in range(first, last)]
    assert (start, end) == (each[0][0][0], each[-1][1][0])
    segments = np.searchsorted(made.offsets, np.arange(first, last), side="right") - 1
    for at, ((begin,), (stop,)), segment in zip(range(first, last), each, segments, strict=True):
        if made.copied[segment]:
            assert text[begin:stop] == made.text[at]


@examples(200)
@given(works(), st.data())
def test_the_way_back_finds_the_range(work, data):
    """What is copied is found where it stands; changes and cuts count whole."""
    text, cuts, changes = work
    made = view(text, cuts, changes)
    if not made.text:
        return
    first = data.draw(st.integers(0, len(made.text) - 1))
    last = data.draw(st.integers(first + 1, len(made.text)))
    ((begin,), (stop,)) = made.where(*made.inside(np.array([first]), np.array([last])))
    segment = np.searchsorted(made.offsets, [first, last - 1], side="right") - 1
    bounds = np.append(made.offsets, len(made.text))
    whole = ~made.copied[segment]
    assert begin == (bounds[segment[0]] if whole[0] else first)
    assert stop == (bounds[segment[1] + 1] if whole[1] else last)


@examples(200)
@given(works(), st.data())
def test_what_stands_for_a_range_of_the_input(work, data):
    text, cuts, changes = work
    if not text:
        return
    made = view(text, cuts, changes)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    ((first,), (last,)) = made.where(np.array([start]), np.array([end]))
    each = [made.inside(np.array([at]), np.array([at + 1])) for at in range(len(made.text))]
    touching = [at for at, ((a,), (b,)) in enumerate(each) if a < end and b > start]
    assert list(range(first, last)) == touching


@given(works(), st.data())
def test_what_goes_whole_takes_changes_with_it(work, data):
    text, _, changes = work
    offsets = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    removed = sorted(tuple(sorted(one)) for one in data.draw(st.lists(offsets, max_size=3)))
    removed = list(union(one for one in removed if one[0] < one[1]))
    left = [c for c in changes if all(c[1] <= start or c[0] >= end for start, end in removed)]
    assert changes_outside(changes, removed) == left
