"""Sequences of released texts, and which of them the reference model reads."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.test_substrings import substrings_of
from tests.dedup.mini_engine import MiniEngine, table
from tests.dedup.views import VIEWS, views
from tests.examples import examples
from tests.memorization import tiny
from unrote.corpus.beside import ReleasedView
from unrote.corpus.hashing import random_numbers
from unrote.corpus.schema import REPEATED_SUBSTRINGS, REPLACEMENTS, SEQUENCES, SPANS, TEXT
from unrote.corpus.views import apply_edits
from unrote.memorization.config import Config
from unrote.memorization.selection import (
    GROUP_SIZE,
    REPEATED,
    SAMPLE,
    Select,
    Selection,
    select,
)
from unrote.memorization.sequences import RANKS, SIZES, CutSequences
from unrote.memorization.tokenizer import tokenizer_of
from unrote.memorization.windows import sequences, tokenize

CONFIG = Config(prefix=4, suffix=4)
EDITS = (SPANS.name, REPLACEMENTS.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny.save(tmp_path_factory.mktemp("tiny")))


def sequences_of(folder, case, seed=0, repeated=(), config=CONFIG):
    """(rows of SEQUENCES, of SIZES added up by rank) of what is released of a corpus."""
    released = {doc: text for doc, text in case.texts.items() if doc in case.released}
    found = MiniEngine(seed).map(
        CutSequences(model=folder, config=config, view=ReleasedView(EDITS, cut=True)),
        text=table(TEXT, list(released.items())),
        **{REPEATED_SUBSTRINGS.name: table(REPEATED_SUBSTRINGS.schema, list(repeated))},
        spans=of(case.spans, released),
        replacements=of(case.replacements, released),
    )
    sizes = {}
    for row in found["sizes"].to_pylist():
        known = sizes.setdefault(row["rank"], dict.fromkeys(SIZES.names[2:], 0))
        for name in known:
            known[name] += row[name]
    rows = sorted(found["sequences"].to_pylist(), key=lambda row: (row["doc"], row["number"]))
    return rows, sizes


def of(rows: pa.Table, docs) -> pa.Table:
    return rows.filter(pa.array([doc in docs for doc in rows["doc"].to_pylist()], pa.bool_()))


def selected(folder, case, rows, read=None, counted=None, seed=0):
    released = {doc: text for doc, text in case.texts.items() if doc in case.released}
    stage = Select(read or Selection(), counted or Selection(), ReleasedView(EDITS, cut=True))
    found = MiniEngine(seed).map(
        stage,
        text=table(TEXT, list(released.items())),
        sequences=pa.Table.from_pylist(rows, SEQUENCES.schema),
        spans=of(case.spans, released),
        replacements=of(case.replacements, released),
    )
    return {tag: found[tag].to_pylist() for tag in stage.outputs}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_batches_cut_anywhere_give_the_same(folder, seed):
    texts = {n: " ".join(tiny.SENTENCES[: n % 6]) for n in range(12)}
    case = views(texts, cuts={3: [(5, 30)]}, changes={4: [(0, 3, "A"), (50, 70, "no one")]})
    assert sequences_of(folder, case, seed) == sequences_of(folder, case)


@examples(60)
@given(VIEWS)
def test_sequences_are_those_of_the_released_text(folder, case):
    rows, sizes = sequences_of(folder, case)
    words = tokenize(tokenizer_of(folder), list(case.released.values()))
    found = sequences(words, CONFIG.prefix, CONFIG.suffix)
    scored = [row for row in rows if row["rank"] >= 0]
    docs = list(case.released)
    assert [(row["doc"], row["released_start"], row["released_end"]) for row in scored] == [
        (docs[doc], a, b) for doc, a, b in zip(found.doc, found.start, found.end, strict=True)
    ]
    assert [row["ids"] for row in scored] == [
        found.ids[a:b].tolist() for a, b in pairwise(found.offsets)
    ]
    assert sum(size["sequences"] for size in sizes.values()) == len(found)
    assert sum(size["tokens"] for size in sizes.values()) == found.lengths.sum()
    assert sum(size["new_tokens"] for size in sizes.values()) == words.ids.size
    empty = {row["doc"] for row in rows if row["rank"] < 0}
    assert empty == {doc for doc, text in case.released.items() if not text}


@examples(100)
@given(VIEWS)
def test_offsets_are_those_of_the_input(folder, case):
    """What stands there, with the edits that are in it, is what the sequence has."""
    for row in sequences_of(folder, case)[0]:
        text, released = case.texts[row["doc"]], case.released[row["doc"]]
        start, end = row["start"], row["end"]
        assert 0 <= start <= end <= len(text)
        cuts, changes = edits_of(case, row["doc"])
        assert all(b <= start or a >= end or start <= a <= b <= end for a, b, _ in changes)
        own = released[row["released_start"] : row["released_end"]]
        here = [(max(a, start) - start, min(b, end) - start) for a, b in cuts]
        here = [(a, b) for a, b in here if a < b]
        inside = [(a - start, b - start, new) for a, b, new in changes if start <= a and b <= end]
        there = apply_edits(text[start:end], here, inside)
        if inside and row["rank"] >= 0:  # part of a new value may be a sequence's, all of it counts
            assert own.strip("\n") in there
        else:
            assert there == own.strip("\n")


def edits_of(case, doc):
    cuts = [(r["start"], r["end"]) for r in case.spans.to_pylist() if r["doc"] == doc]
    changes = [
        (r["start"], r["end"], r["text"]) for r in case.replacements.to_pylist() if r["doc"] == doc
    ]
    return cuts, changes


def test_copies_are_those_of_the_rarest_substring(folder):
    text = "".join(tiny.SENTENCES[:4])
    substrings = substrings_of([text])
    repeated = [(7, s, 9, 5) for _, s, _ in substrings]
    rows, _ = sequences_of(folder, views({7: text}), 0, repeated, Config(prefix=40, suffix=40))
    with_substring = [row for row in rows if (row["copies_input"], row["copies"]) != (1, 1)]
    assert with_substring
    assert all((row["copies_input"], row["copies"]) == (9, 5) for row in with_substring)
    for row in with_substring:
        assert any(
            row["released_start"] <= s and s + 32 <= row["released_end"] for _, s, _ in substrings
        )


def test_the_head_of_a_table_is_told(folder):
    rows = ["name,town,born", *(f"Ann Roe,Ulm,{year}" for year in range(1900, 1950))]
    texts = {5: "\n".join(rows), 7: tiny.SENTENCES[0]}
    found, _ = sequences_of(folder, views(texts))
    head = len("\n".join(rows[:11])) + 1
    for row in found:
        in_head = 1 if row["released_start"] < head else 2
        assert row["tabular"] == (in_head if row["doc"] == 5 else 0)
    assert {row["tabular"] for row in found} == {0, 1, 2}


class TestSelect:
    def test_takes_the_selected_with_their_texts(self, folder):
        case = views(
            {n: " ".join(tiny.SENTENCES) for n in range(4)},
            cuts={1: [(10, 60)]},
            changes={2: [(0, 3, "One")], 3: [(44, 52, "My name is")]},
        )
        rows, _ = sequences_of(folder, case)
        read, counted = Selection(RANKS, 0.0, 0.3, 3), Selection(RANKS, 0.0, 0.6)
        columns = [np.array([row[name] for row in rows]) for name in ("rank", "random")]
        to_read, to_count = (one.of(*columns)[0] for one in (read, counted))
        found = selected(folder, case, rows, read, counted)
        assert 0 < len(found["read"]) < len(found["selected"]) < len(rows)
        assert found == selected(folder, case, rows, read, counted, seed=5)
        for tag, chosen in (("read", to_read), ("selected", to_read | to_count)):
            expected = [row for row, one in zip(rows, chosen, strict=True) if one]
            for row, one in zip(expected, found[tag], strict=True):
                released = case.released[row["doc"]]
                assert (one["doc"], one["number"]) == (row["doc"], row["number"])
                assert one["text"] == released[row["released_start"] : row["released_end"]]
                if tag == "read":
                    assert one["batch_group"] == row["random"] % 3
                    assert one["ids"] == row["ids"]

    def test_gives_the_source_of_what_was_changed(self, folder):
        text = tiny.SENTENCES[1]
        at = text.index("Ishmael")
        case = views({0: text}, changes={0: [(at, at + 7, "Jonathan")]})
        rows, _ = sequences_of(folder, case)
        found = selected(folder, case, rows)["selected"]
        sources = [(one["text"], one["source"]) for one in found if one["source"] is not None]
        assert sources
        assert all("Ishmael" in source for _, source in sources)
        others = [one for one in found if one["source"] is None]
        assert all(one["text"] in text for one in others)

    def test_of_a_cut_alone_there_is_no_source(self, folder):
        text = " ".join(tiny.SENTENCES)
        case = views({0: text}, cuts={0: [(30, 90)]}, changes={0: [(0, 3, "A")]})
        rows, _ = sequences_of(folder, case)
        found = selected(folder, case, rows)["selected"]
        for one, row in zip(found, rows, strict=True):
            assert (one["source"] is None) == (row["start"] >= 3)


@st.composite
def sizes(draw):
    ranks = draw(st.sets(st.integers(0, RANKS - 1), min_size=1, max_size=20))
    return [
        {"rank": rank, "sequences": n, "tokens": n * 100}
        for rank, n in ((rank, draw(st.integers(1, 400))) for rank in sorted(ranks))
    ]


@examples(200)
@given(sizes(), st.integers(1, 300_000), st.sampled_from([0.0, SAMPLE]))
def test_the_budget_is_spent(rows, most, share):
    ranks = np.repeat([row["rank"] for row in rows], [row["sequences"] for row in rows])
    number = np.arange(ranks.size)
    random = random_numbers(np.zeros_like(number), number)
    selection = select(rows, most, share)
    read, sampled = selection.of(ranks, random)
    if ranks.size * 100 <= most:
        assert read.all()
        assert sampled.all()
        return
    # Each is a coin: six standard deviations of the count, at most a quarter each.
    slack = 6 * np.sqrt(ranks.size) / 2 + 1
    assert read.sum() <= most / 100 + slack
    chosen = min((ranks >= REPEATED).sum(), (1 - share) * most / 100)
    assert abs(sampled.sum() - (most / 100 - chosen)) <= slack
    assert read[ranks > selection.rank].all()
    below = ranks < max(selection.rank, REPEATED)
    assert (read[below] == sampled[below]).all()
    assert (
        0 <= selection.group_of(random).min() <= selection.group_of(random).max() < selection.groups
    )


def test_everything_is_read_if_it_fits_or_nothing_is_said():
    rows = [{"rank": 5, "sequences": 9000, "tokens": 900_000}]
    assert select(rows, 0) == select(rows, 900_000) == Selection(groups=-(-9000 // GROUP_SIZE))
    assert select([], 0) == select([], 10) == Selection(groups=1)


def test_what_has_no_tokens_is_never_selected():
    selected, sampled = Selection().of(np.array([-1, 0]), np.array([0, 0]))
    assert selected.tolist() == sampled.tolist() == [False, True]


def test_random_numbers_look_random():
    doc = np.repeat(np.arange(300, dtype=np.int64) << 36, 300)
    found = random_numbers(doc, np.tile(np.arange(300), 300))
    assert np.unique(found).size > 0.999 * found.size
    assert found.min() >= 0
    assert found.max() < 2**32
    counts = np.bincount(found >> 24, minlength=256)
    assert abs(counts - found.size / 256).max() < 6 * np.sqrt(found.size / 256)
