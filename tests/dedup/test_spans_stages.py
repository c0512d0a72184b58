import random
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.dedup.test_spans import chunks, corpora, licences, sizes, small_chunks  # noqa: F401
from tests.examples import examples
from unrote.corpus.schema import COPIES, TEXT
from unrote.dedup import groups, repeats
from unrote.dedup.repeats import (
    AMBIGUOUS_COPIES,
    ANCHORS,
    Anchors,
    CompareWindows,
    HotKeys,
    Repeats,
    Windows,
)
from unrote.dedup.spans import (
    CLAIMS,
    Everything,
    Remainder,
    Spans,
    SuffixArray,
    WitnessRanges,
    duplicate_spans,
)


def only(text: pa.Table, *tables: pa.Table) -> pa.Table:
    docs = pa.chunked_array([c for t in tables for c in t.column("doc").chunks], pa.int64())
    return text.filter(pa.compute.is_in(text.column("doc"), value_set=docs))


def staged(texts, size, seed, method="anchors", most=7, **options) -> dict[str, pa.Table]:
    engine = MiniEngine(seed, most)
    # Keys with gaps: the stages must not take them for indices.
    docs = [(5 + 3 * i) << 33 for i in range(len(texts))]
    text = table(TEXT, list(zip(docs, texts, strict=True)))
    nothing = table(COPIES.schema, [])
    if method == "anchors":
        found = engine.map(Anchors(size), text=text)
        altered = found["witnesses"]
        plain = engine.group(Repeats(size), anchors=found["anchors"])
        hot = engine.group(HotKeys(size), hot=plain["hot"])
        ambiguous = pa.concat_tables([plain["ambiguous"], hot["ambiguous"]])
        hashed = nothing_or(engine, size, ambiguous, only(text, ambiguous))
        copies = pa.concat_tables([plain["copies"], hot["copies"]])
        more = engine.group(CompareWindows(size), windows=hashed)["copies"]
    else:
        found = engine.map(Everything(), text=text)
        altered = found["witnesses"]
        copies = engine.group(SuffixArray(size), everything=found["everything"])["copies"]
        more = nothing
    beside = {COPIES.name: copies, AMBIGUOUS_COPIES.name: more}
    text = only(text, copies, more)
    if not text.num_rows:
        return {}
    stage = Spans(size, aligned=altered.num_rows > 0, **options)
    spans = engine.map(stage, text=text, **beside)
    if altered.num_rows:
        witnesses = pa.concat_tables([altered, spans["witnesses"]])
        found = engine.group(WitnessRanges(stage.claims_witnesses), witnesses=witnesses)
        claims = pa.concat_tables([spans["claims"], found["claims"]])
        spans = found | {"claims": claims}
    remainder = engine.group(Remainder(), claims=spans["claims"])["remainder"]
    return spans | {"remainder": remainder}


def nothing_or(engine, size, ambiguous, text):
    stage = Windows(size)
    if not text.num_rows:
        return table(stage.outputs["windows"], [])
    return engine.map(stage, ambiguous=ambiguous, text=text)["windows"]


def numbered(rows: pa.Table | None) -> list[tuple]:
    """Rows of SPANS with documents by index again."""
    found = rows_of(rows) if rows is not None else []
    return sorted(
        tuple(((v >> 33) - 5) // 3 if i in (0, 3) else v for i, v in enumerate(row))
        for row in found
    )


@contextmanager
def small_groups(hot_rows: int) -> Iterator[None]:
    """Groups that are hot, cut up, and compared by hashes in tests as those of millions of rows and
    of many classes are in earnest.
    """
    with (
        patch.object(groups, "HOT_KEY_ROWS", hot_rows),
        patch.object(repeats, "_HELD_BYTES", 40 * hot_rows),
        patch.object(repeats, "PAIRED_CLASSES", hot_rows),
        patch.object(repeats, "_BATCH_ROWS", hot_rows),
    ):
        yield


@examples(150)
@given(
    corpora(),
    sizes,
    st.integers(0, 99),
    st.sampled_from(["anchors", "suffix-array"]),
    chunks,
    st.sampled_from([1, 3, 20, 1 << 17]),
)
def test_stages_give_what_memory_gives(texts, size, seed, method, chunk, hot_rows):
    expected = rows_of(duplicate_spans(texts, min_bytes=size, workers=1))
    with small_chunks(chunk), small_groups(hot_rows):
        got = staged(texts, size, seed, method, most=seed % 50 + 1)
    assert numbered(got.get("spans")) == expected


@examples(40)
@given(corpora(), sizes, st.integers(0, 99))
def test_stages_cut_at_structure_as_memory_does(texts, size, seed):
    texts = ["\n(".join(text.split("a")) for text in texts]
    expected = rows_of(duplicate_spans(texts, min_bytes=size, boundary="structure", workers=1))
    got = staged(texts, size, seed, most=seed % 50 + 1, boundary="structure")
    assert numbered(got.get("spans")) == expected


@examples(40)
@given(corpora(), sizes, st.sampled_from(["structure", "line", "word"]), st.sampled_from([0, 2]))
def test_what_is_found_is_cut_or_in_uncut(texts, size, boundary, min_words):
    texts = ["\n(".join(text.split("a")) for text in texts]
    found = duplicate_spans(texts, min_bytes=size, boundary="character", workers=1)
    got = staged(texts, size, 3, boundary=boundary, min_words=min_words)
    cut, uncut = (covered(numbered(got.get(name))) for name in ("spans", "uncut"))
    every = covered(rows_of(found))
    assert cut.keys() | uncut.keys() == every.keys()
    for doc, places in every.items():
        own, stay = cut.get(doc, set()), uncut.get(doc, set())
        assert own | stay <= places
        assert not own & stay
        for passage in runs(places):
            assert passage <= stay or (passage & own and not passage & stay)
    added = sum(row[-1] for row in numbered(got.get("uncut")))
    assert added == sum(len(texts[d][i].encode()) for d, own in uncut.items() for i in own)


def covered(rows: list[tuple]) -> dict[int, set[int]]:
    """The characters of each document that rows cover."""
    found: dict[int, set[int]] = {}
    for doc, start, end, *_ in rows:
        found.setdefault(doc, set()).update(range(start, end))
    return found


def runs(places: set[int]) -> list[set[int]]:
    """Neighbouring numbers together."""
    found: list[set[int]] = []
    for place in sorted(places):
        if not found or place - 1 not in found[-1]:
            found.append(set())
        found[-1].add(place)
    return found


def answers(rows: pa.Table, seed: int, hot_rows: int) -> dict[str, list[tuple]]:
    """Copies and ambiguous anchors by both ways, and which groups were hot."""
    engine = MiniEngine(seed, seed % 9 + 1)
    with small_groups(hot_rows):
        plain = engine.group(Repeats(16), anchors=rows)
        hot = engine.group(HotKeys(16), hot=plain["hot"])
    both = {t: sorted(rows_of(plain[t]) + rows_of(hot[t])) for t in hot}
    return both | {"hot": rows_of(plain["hot"])}


anchor_rows = st.lists(  # hash, doc, at, print, weight
    st.tuples(*(st.integers(0, n) for n in (2, 4, 60)), st.sampled_from([0, 7, -9]), st.just(3)),
    unique_by=lambda row: row[1:3],
    max_size=40,
).map(
    lambda rows: table(
        ANCHORS.schema, [(h, d, at, p, at // 2, w, p % 5, 1 + p % 3) for h, d, at, p, w in rows]
    )
)


@examples(200)
@given(anchor_rows, st.integers(0, 99), st.sampled_from([1, 2, 5]))
def test_hot_keys_are_answered_as_others_are(rows, seed, hot_rows):
    expected, got = answers(rows, seed, 1 << 17), answers(rows, seed, hot_rows)
    assert expected["hot"] == []
    assert (got["copies"], got["ambiguous"]) == (expected["copies"], expected["ambiguous"])
    of_group = Counter(rows.column("hash").to_pylist())
    assert {row[0] for row in got["hot"]} == {h for h, n in of_group.items() if n > hot_rows}
    assert got == answers(rows, seed + 1, hot_rows)  # however batches are cut


def test_the_members_of_a_class_are_counted_once():
    rows = [(7, d, 0, p, 0, 2, 0, 4) for d, p in enumerate([1, 1, 2, 1, 2])]
    for hot_rows in (2, 100):
        found = answers(table(ANCHORS.schema, rows), 1, hot_rows)["ambiguous"]
        # doc; size, kind, first
        assert [(row[0], *row[6:]) for row in found] == [
            (0, 6, 0, 1), (1, 6, 0, 0), (2, 4, 1, 1), (3, 6, 0, 0), (4, 4, 1, 0),
        ]  # fmt: skip


@pytest.mark.parametrize("method", ["anchors", "suffix-array"])
def test_stages_on_licences(licences, method):  # noqa: F811
    texts = licences[:60]
    expected = duplicate_spans(texts, min_bytes=100, boundary="line", min_words=3)
    got = staged(texts, 100, 1, method, most=500, boundary="line", min_words=3)
    assert numbered(got["spans"]) == rows_of(expected)


def test_witnesses_of_many_copies_are_claimed_once():
    got = staged([prose(1)] * 50, 40, 1, most=500)
    witnesses = [row for row in rows_of(got["claims"]) if row[1] == 2]
    assert len(witnesses) == len(set(witnesses)) == 1


def prose(seed: int, words: int = 40) -> str:
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefgh", k=6)) for _ in range(words))


def removed(texts, **options) -> list[int]:
    rows = rows_of(staged(texts, 40, 3, **options)["remainder"])
    assert all(row[1:] == ("remainder", None, None) for row in rows)
    return [((row[0] >> 33) - 5) // 3 for row in rows]


def test_a_document_with_nothing_left_is_removed():
    one, two = prose(1), prose(2)
    assert removed([one, two, one + "\n" + two, two + "  \n", one + " more"]) == [2, 3]


def test_few_characters_left():
    one = prose(1)
    texts = [one, f"{one} \u00e4\u00f6 \u00fc", f"{one}, abcd"]
    assert removed(texts) == []
    assert removed(texts, min_remaining=3) == []
    assert removed(texts, min_remaining=4) == [1]
    assert removed(texts, min_remaining=5) == [1]
    assert removed(texts, min_remaining=6) == [1, 2]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_what_is_left_is_counted_in_the_text_of_the_input(form):
    """Where the batch has a text that is compared in another form, and where the document is."""
    one, two = prose(1), unicodedata.normalize(form, prose(2).replace("a", "á"))
    other = unicodedata.normalize("NFD", prose(2).replace("a", "á"))
    texts = ["e\u0301" * 30, one, other, f"{one}\n{two}", f"{one} more", f"{two} é"]
    assert removed(texts) == [3]
    assert removed(texts, min_remaining=2) == [3, 5]
    assert removed(texts, min_remaining=5) == [3, 4, 5]


def test_what_is_left_may_be_a_witness():
    one, two = prose(1), prose(2)
    long = "w" * 50
    # Document 2 has only `long` left, which document 3 needs.
    assert removed([one, two, f"{one} {long} {two}", f"{long} {prose(3)}"], min_remaining=60) == []
    assert removed([one, two, f"{one} {long} {two}", prose(3)], min_remaining=60) == [2]


def test_a_report_removes_nothing():
    got = staged([prose(1)] * 3, 40, 1, action="report")
    assert got["spans"].num_rows == 2
    assert got["claims"].num_rows == got["remainder"].num_rows == 0


@pytest.mark.parametrize(
    ("cuts", "witness", "goes"),
    [
        ([(0, 10), (10, 20)], (5, 15), True),
        ([(0, 10), (11, 20)], (5, 15), False),
        ([(0, 10), (2, 5), (6, 8)], (0, 10), True),
        ([(0, 10)], (0, 11), False),
        ([(5, 10)], (4, 6), False),
        ([(0, 3), (5, 30), (6, 7)], (20, 30), True),
        ([(0, 3)], (3, 4), False),
    ],
)
def test_witness_ranges_within_cuts(cuts, witness, goes):
    claims = [(7, 0, 1, 0), *((7, 1, *c) for c in cuts), (7, 2, *witness), (8, 2, 0, 5)]
    got = MiniEngine(2).group(Remainder(), claims=table(CLAIMS, claims))
    assert [row[0] for row in rows_of(got["remainder"])] == ([7] if goes else [])


ranges = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), max_size=6)


@examples(200)
@given(st.lists(st.tuples(st.booleans(), ranges, ranges), max_size=5), st.integers(0, 99))
def test_candidates_go_unless_a_witness_range_reaches_out_of_their_cuts(documents, seed):
    claims, expected = [], []
    for doc, (candidate, cuts, witnesses) in enumerate(documents):
        if candidate:
            claims += [(doc, 0, 3, 0), *((doc, 1, a, a + n) for a, n in cuts)]
        claims += [(doc, 2, a, a + n) for a, n in witnesses]
        cut_out = {at for a, n in cuts for at in range(a, a + n)}
        if candidate and all(at in cut_out for a, n in witnesses for at in range(a, a + n)):
            expected.append(doc)
    got = MiniEngine(seed, 3).group(Remainder(), claims=table(CLAIMS, claims))
    assert [row[0] for row in rows_of(got["remainder"])] == expected


def test_each_document_is_walked_from_its_first_cut():
    one = [(0, 1, 0), (1, 0, 5), (1, 10, 15), (2, 11, 14)]
    claims = [(doc, *row) for doc in (7, 8) for row in one] + [(8, 2, 1, 4)]
    claims += [(9, 0, 1, 0), (9, 1, 0, 5), (9, 2, 1, 4)]
    got = MiniEngine(2).group(Remainder(), claims=table(CLAIMS, claims))
    assert [row[0] for row in rows_of(got["remainder"])] == [7, 8, 9]
