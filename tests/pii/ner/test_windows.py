"""Windows: what belongs to which, and where words and their characters lie."""

import itertools
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrote.corpus.normalization import NFC, Normalization
from unrote.pii.ner.windows import (
    TextCutter,
    entities_in_text,
    list_values,
    pieces,
    snapped,
    window_bounds,
)


@given(st.integers(1, 300), st.integers(2, 60), st.data())
def test_windows_cover_a_text_and_own_parts_are_disjoint(size, width, data):
    overlap = data.draw(st.integers(0, width // 2))
    windows = list(window_bounds(size, width, overlap))
    assert windows[0][0] == windows[0][2] == 0
    assert windows[-1][1] == windows[-1][3] == size
    for (a, b, _, own_end), (c, d, own_start, _) in itertools.pairwise(windows):
        assert own_end == own_start
        assert b - a == d - c == width
        assert b - c >= overlap
        assert c <= own_start <= b
        assert min(own_start - c, b - own_start) >= overlap // 2


@given(st.text(alphabet="ab \n", max_size=60), st.integers(2, 20))
def test_pieces_are_the_text(text, limit):
    found = list(pieces(text, limit))
    assert "".join(text[a:b] for a, b in found) == text
    assert all(0 < b - a <= limit for a, b in found)


def snap(text: str, value: str) -> str:
    at = text.index(value)
    start, end = snapped(text, np.array([at]), np.array([at + len(value)]))
    return text[start[0] : end[0]]


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("met Hoffmann, then", "Hoff", "Hoffmann"),
        ("met Hoffmann, then", " Hoffm", "Hoffmann"),
        ("met O'Neill and", "Neill ", "Neill"),
        ("(Zoe\u0301)", "oe", "Zoe\u0301"),
        ("我叫王小明。", "王小明", "王小明"),
        ("ask 山田Taro now", "Ta", "Taro"),
        ("Jane\u00a0\n Roe", "\u00a0\n R", "Roe"),
        ("a , b", " , ", ","),
    ],
)
def test_spans_snap_to_words(text, value, expected):
    assert snap(text, value) == expected


def test_a_span_of_white_space_is_empty():
    assert snap("a  b", "  ") == ""
    assert snap("  ", "  ") == ""


ALPHABET = st.sampled_from(["Zoe\u0301", "ab", " ", "\n", "王", "é", ".", "\u1100\u1161"])


@settings(max_examples=60)
@given(st.lists(ALPHABET, max_size=60).map("".join), st.integers(4, 30))
def test_windows_of_text_say_where_they_are(text, width):
    """Every entity that windows hold is found in the source, at its offsets there."""
    windows = TextCutter(width).cut([text], NFC)
    covered = 0
    for row in range(windows.num_rows):
        window = windows["text"][row].as_py()
        own, end, size, start = (
            windows[name][row].as_py() for name in ("own_start", "own_end", "size", "start")
        )
        assert 0 <= own <= end <= size == len(window)
        covered += end - own
        first, last = (list_values(windows[name], row) for name in ("starts", "ends"))
        if first.size:
            source = text[start + int(first[0]) : start + int(last[-1])]
        else:
            source = text[start : start + size]
        assert NFC.text(source) == window
    assert covered == (len(NFC.text(text)) if text.strip() else 0)


def test_entities_are_found_at_their_offsets_in_the_source():
    text = unicodedata.normalize("NFD", "Zoë met Mário. ") * 30
    windows = TextCutter(64).cut(["", text], Normalization("nfc"))

    def spans(texts):
        for one in texts:
            at = [n for n in range(len(one)) if one.startswith("Mári", n)]
            yield [(n, n + 4, "PERSON", 0.12345678) for n in at]

    found = entities_in_text(windows, spans).to_pylist()
    places = {(row["start"], row["end"]) for row in found}
    name = unicodedata.normalize("NFD", "Mário")
    assert {text[a:b] for a, b in places} == {name}
    assert len(places) == 30
    assert {row["score"] for row in found} == {0.1235}


def test_no_text_has_no_windows():
    found = TextCutter(10).cut(["", " \n", "\ud800"], NFC)
    assert found.num_rows == 0
    assert entities_in_text(found, lambda texts: [[] for _ in texts]).num_rows == 0
    assert isinstance(found, pa.RecordBatch)
