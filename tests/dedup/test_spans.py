import random
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import passages_reference
from tests.examples import examples
from unrote.corpus.normalization import Normalization
from unrote.corpus.schema import COPIES, SPANS
from unrote.corpus.text import arrow_buffers
from unrote.corpus.texts import text_array
from unrote.dedup import anchors, search
from unrote.dedup.linking import hash_ranges
from unrote.dedup.spans import duplicate_spans, duplicate_windows

LETTERS = ["ab", "a", "abc", "aé", "ab日", "a \n", "กิa ", "a\u0301日 ", "\r\na😀"]

FORMS = [
    "aáa\u0301 ",
    "a\u0301\u0323á",
    "한ᄒ\u1161\u11ab가ᄀ",
    "q\u0307\u0323a",
    "\u0344i",
    "Å\u212b ",
]
"""Letters that canonically equal texts spell in several ways."""


@st.composite
def corpora(draw) -> list[str]:
    """Few letters, blocks that recur, also many times on end, and documents cut at random."""
    letters = draw(st.sampled_from(LETTERS + FORMS))
    blocks = draw(st.lists(st.text(letters, min_size=1, max_size=60), min_size=1, max_size=4))
    part = st.one_of(
        st.sampled_from(blocks),
        st.builds(lambda b, n: b * n, st.sampled_from(blocks), st.integers(2, 9)),
        st.text(letters, max_size=8),
    )
    text = "".join(draw(st.lists(part, max_size=20)))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


sizes = st.sampled_from([16, 17, 18, 20, 21, 24, 32, 37])


def rows_of(columns: dict[str, np.ndarray]) -> list[tuple[int, ...]]:
    assert list(columns) == COPIES.schema.names
    return [tuple(row) for row in np.stack(list(columns.values()), axis=1).tolist()]


def spans_of(table: pa.Table) -> list[tuple[int, ...]]:
    assert table.schema == SPANS.schema
    return [tuple(row.values()) for row in table.to_pylist()]


chunks = st.sampled_from([40, 300, 4096])


@contextmanager
def small_chunks(size: int) -> Iterator[None]:
    """Chunks of texts that are cut up in tests as gigabytes are in earnest."""
    with patch.object(anchors, "_CHUNK", size), patch.object(search, "_CHUNK", 1024):
        yield


@examples(200)
@given(corpora(), sizes, st.sampled_from([None, 300]), chunks)
def test_copies_are_as_defined_whichever_the_method(texts, size, memory, chunk):
    data, offsets = arrow_buffers(text_array(texts))
    expected = passages_reference.copies(texts, size)
    array = duplicate_windows(data, offsets, size, "suffix-array", workers=1)
    assert rows_of(array) == expected
    with small_chunks(chunk):
        got = duplicate_windows(data, offsets, size, "anchors", workers=1, memory=memory)
    assert rows_of(got) == expected


@examples(300)
@given(
    corpora(),
    sizes,
    st.sampled_from(["anchors", "suffix-array"]),
    st.sampled_from(["word", "character", "line"]),
    st.sampled_from([0, 1, 3, 6]),
)
def test_spans_are_as_defined(texts, size, method, boundary, min_words):
    got = duplicate_spans(
        texts, min_bytes=size, method=method, boundary=boundary, min_words=min_words, workers=1
    )
    assert spans_of(got) == passages_reference.spans(texts, size, boundary, min_words)


@examples(100)
@given(corpora(), sizes, st.sampled_from(["word", "character", "line"]))
def test_spans_of_texts_as_they_are_spelled(texts, size, boundary):
    spelled = Normalization("none")
    got = duplicate_spans(
        texts, min_bytes=size, boundary=boundary, workers=1, normalization=spelled
    )
    assert spans_of(got) == passages_reference.spans(texts, size, boundary, form="none")


SPELLINGS = [*"a b é e\u0301 \ufb01 fi &amp; & ½ 1\u20442 \u00ad".split(), " ", "\n"]


@examples(200)
@given(
    st.lists(st.lists(st.sampled_from(SPELLINGS), max_size=40).map("".join), max_size=4),
    st.sampled_from(["structure", "word", "character"]),
    st.sampled_from(["anchors", "suffix-array"]),
)
def test_every_setting_of_what_is_equal(texts, boundary, method):
    """Passages are equal as they are compared, whole segments, and nothing that occurs but once."""
    texts = [text * 2 for text in texts] + texts
    form = Normalization("nfkc", drop_ignorable=True, unescape_html=True)
    options = {"min_bytes": 16, "method": method, "boundary": boundary, "workers": 1}
    found = spans_of(duplicate_spans(texts, **options, normalization=form))
    for doc, start, end, witness, from_, until, _ in found:
        assert form.whole(texts[doc], start, end) == (start, end)
        here, there = form.text(texts[doc][start:end]), form.text(texts[witness][from_:until])
        assert here in there
        assert len(there) - len(here) <= 4
        assert (witness, from_) < (doc, start)
    compared = [form.text(text) for text in texts]
    if boundary == "character":
        plain = spans_of(duplicate_spans(compared, **options, normalization=Normalization("none")))
        assert {row[0] for row in found} <= {row[0] for row in plain}
        if not any(mark in text for text in texts for mark in ("\ufb01", "½")):
            assert [row[:1] + row[3:4] + row[-1:] for row in found] == [
                row[:1] + row[3:4] + row[-1:] for row in plain
            ]


def test_a_passage_is_found_in_each_spelling():
    """With a fixed text, so that what is cut of which is seen."""
    passage = "Thé à la crème brûlée coûte très cher, répète-t-il à l'été"
    composed = unicodedata.normalize("NFC", passage)
    decomposed = unicodedata.normalize("NFD", passage)
    for one, other in ((composed, decomposed), (decomposed, composed)):
        texts = [f"{one}. First.", f"Second: {other}; end"]
        for method in ("anchors", "suffix-array"):
            found = duplicate_spans(texts, min_bytes=20, boundary="word", method=method)
            assert spans_of(found) == [(1, 8, 8 + len(other), 0, 0, len(one), 2)]


def check_witnesses(texts: list[str], found: pa.Table) -> None:
    """Each row's text is its witness's; witnesses end at a character that is kept."""
    towards: dict[tuple[int, int], tuple[int, int]] = {}
    rows = spans_of(found)
    assert rows == sorted(set(rows))
    for doc, start, end, witness, from_, until, count in rows:
        assert start < end
        assert count >= 2
        assert texts[doc][start:end] == texts[witness][from_:until]
        assert (
            witness < doc
            or (witness == doc and from_ + end - start <= start)
            or (witness == doc and from_ < start)
        )
        for i in range(end - start):
            towards.setdefault((doc, start + i), (witness, from_ + i))
    for point in towards:
        at = point
        while at in towards:
            assert towards[at] < at
            at = towards[at]


@examples(200)
@given(corpora(), sizes)
def test_witnesses_lead_to_kept_text(texts, size):
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    check_witnesses(texts, duplicate_spans(texts, min_bytes=size, workers=1))


@pytest.mark.parametrize("period", [1, 2, 7, 20, 24, 25, 49, 50])
def test_a_repetition_is_one_row(period):
    chance = random.Random(period)
    unit = "".join(chance.choices("abcdefghij", k=period))
    text = unit * (1000 // period)
    for method in ("anchors", "suffix-array"):
        found = spans_of(
            duplicate_spans([text], min_bytes=100, method=method, boundary="character", workers=1)
        )
        shift = -(-100 // period) * period
        assert [row[:5] for row in found] == [(0, shift, len(text), 0, 0)]


@examples(100)
@given(st.integers(0, 10**9), st.sampled_from([16, 20, 33]), st.sampled_from([300, 1000, 1 << 20]))
def test_long_repetitions_whichever_the_method(seed, size, chunk):
    chance = random.Random(seed)
    units = ["".join(chance.choices("ab", k=chance.randint(1, 12))) for _ in range(2)]
    parts = [*(unit * chance.randint(1, 400) for unit in units), "xyz", "b", "aab"]
    texts = ["".join(chance.choices(parts, k=chance.randint(1, 5)))[: 1 << 14] for _ in range(3)]
    data, offsets = arrow_buffers(text_array(texts))
    expected = duplicate_windows(data, offsets, size, "suffix-array", workers=1)
    with small_chunks(chunk):
        assert rows_of(duplicate_windows(data, offsets, size, workers=1)) == rows_of(expected)


def test_repetitions_in_several_documents_and_between_text():
    dash, bars = "-" * 300, "|  " * 120
    texts = [f"head {dash} middle {bars}", f"other {bars}x{dash}", dash, bars[1:] + dash * 3]
    expected = passages_reference.spans(texts, 40)
    for method in ("anchors", "suffix-array"):
        found = duplicate_spans(texts, min_bytes=40, method=method, boundary="word")
        assert spans_of(found) == expected


def test_megabytes_of_one_byte_take_no_longer_than_others():
    text = "a" * 20_000_000
    duplicate_spans(["a" * 1000], min_bytes=100)
    start = time.process_time()
    texts = [text, "b" + text[:5000]]
    found = spans_of(duplicate_spans(texts, min_bytes=100, boundary="character"))
    assert time.process_time() - start < 5
    assert found[0] == (0, 100, len(text), 0, 0, len(text) - 100, len(text) - 99 + 4901)
    assert found[1:] == passages_reference_of_second(len(text))


def passages_reference_of_second(length: int) -> list[tuple[int, ...]]:
    """100 windows whose witness is the first document's, the others lie in their own repetition."""
    count = length - 99 + 4901
    rows = [(1, 1 + i, 101 + i, 0, 0, 100, count) for i in range(100)]
    return [*rows, (1, 101, 5001, 1, 1, 4901, count)]


@pytest.fixture(scope="module")
def licences() -> list[str]:
    """The licence files of the packages installed here, which share much."""
    packages = Path(np.__file__).parents[1]
    files = sorted(p for p in packages.glob("*dist-info/**/*") if "LICENSE" in p.name.upper())
    texts = [p.read_text(encoding="utf-8", errors="replace") for p in files if p.is_file()]
    assert len(texts) > 20
    return texts[:150]


@pytest.mark.parametrize("boundary", ["word", "line", "character"])
def test_on_licences(licences, boundary):
    found = {
        (method, workers): duplicate_spans(
            licences, min_bytes=100, method=method, boundary=boundary, workers=workers,
            memory=memory,
        )
        for method, workers, memory in (
            ("anchors", 1, None), ("anchors", 3, None), ("anchors", 2, 200_000),
            ("suffix-array", 2, None),
        )
    }  # fmt: skip
    one = found["anchors", 1]
    assert one.num_rows > 100
    assert all(other.equals(one) for other in found.values())
    check_witnesses(licences, one)
    cut = {(doc, i) for doc, start, end, *_ in spans_of(one) for i in range(start, end)}
    for doc, text in enumerate(licences):
        for i in range(1, len(text)):
            if ((doc, i - 1) in cut) != ((doc, i) in cut):
                assert passages_reference.may_cut(text, [*range(len(text) + 1)], i, boundary)


def test_a_first_occurrence_is_never_a_copy():
    text = "The quick brown fox jumps over the lazy dog, twice and again."
    assert spans_of(duplicate_spans([text], min_bytes=20)) == []
    assert spans_of(duplicate_spans([text, text], min_bytes=20)) == [
        (1, 0, len(text), 0, 0, len(text), 2)
    ]
    assert spans_of(duplicate_spans([text + " " + text], min_bytes=20)) == [
        (0, len(text) + 1, 2 * len(text) + 1, 0, 0, len(text), 2)
    ]


def test_cuts_leave_words_alone():
    passage = "a passage that is long enough to be found again"
    texts = [f"x{passage}y", f"un{passage}less"]
    assert spans_of(duplicate_spans(texts, min_bytes=20)) == [
        (1, 3, 2 + len(passage) - len("again"), 0, 2, 1 + len(passage) - len("again"), 2)
    ]


def test_arrow_input_is_as_good_as_a_list():
    texts = ["", "äöü " * 30, "xyz", "äöü " * 30 + "end"]
    expected = duplicate_spans(texts, min_bytes=30)
    assert expected.num_rows
    array = pa.array(texts)
    assert duplicate_spans(array, min_bytes=30).equals(expected)
    assert duplicate_spans(pa.array(["skip", *texts])[1:], min_bytes=30).equals(expected)
    for chunks in ([array], [array[:2], array[2:]], []):
        chunked = pa.chunked_array(chunks, pa.string())
        got = duplicate_spans(chunked, min_bytes=30)
        assert got.equals(expected if chunks else expected[:0])


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["short"], ["short"] * 5])
def test_little_or_nothing(texts):
    for method in ("anchors", "suffix-array"):
        assert duplicate_spans(texts, method=method).num_rows == 0


@pytest.mark.parametrize("size", [16, 31, 1000, 16384])
def test_all_sizes(size):
    chance = random.Random(size)
    block = "".join(chance.choices("abcdefgh ", k=2 * size))
    texts = [block + "x", "y" + block + "z", "w" + block[size:] + block[:size]]
    for method in ("anchors", "suffix-array"):
        found = duplicate_spans(texts, min_bytes=size, method=method, boundary="character")
        assert spans_of(found) == [
            (1, 1, 1 + 2 * size, 0, 0, 2 * size, 2),
            (2, 1, 1 + size, 0, size, 2 * size, 3),
            (2, 1 + size, 1 + 2 * size, 0, 0, size, 3),
        ]


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("min_bytes", 15, "15"),
        ("min_bytes", 20000, "20000"),
        ("method", "magic", "magic"),
        ("boundary", "page", "page"),
        ("workers", 0, "workers is 0"),
    ],
)
def test_settings_that_are_not_allowed(setting, value, message):
    with pytest.raises(ValueError, match=message):
        duplicate_spans(["some text that is long enough to look at"] * 5, **{setting: value})


def test_hash_ranges_cover_all_hashes():
    for memory in (None, 1, 10_000, 10**9):
        ranges = hash_ranges(10_000_000, 100, memory)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == 1 << 16
        assert all(a[1] == b[0] for a, b in pairwise(ranges))
