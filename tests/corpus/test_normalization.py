import html
import unicodedata
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.examples import examples
from unrote.corpus.normalization import Normalization
from unrote.dedup.fingerprint import fingerprints
from unrote.dedup.minhash import signatures
from unrote.dedup.near import near_duplicates
from unrote.dedup.shingles import shingles

ODD = [
    chr(code)
    for code in range(0x80, 0x30000)
    if not 0xAC00 <= code < 0xE000
    and (unicodedata.combining(chr(code)) or unicodedata.decomposition(chr(code)))
]
"""Code points that normalization moves, splits or composes."""

HANGUL = [chr(c) for c in (0x1100, 0x1112, 0x1161, 0x1175, 0x11A7, 0x11A8, 0x11C2, 0xAC00, 0xAC01)]
MARKS = [chr(c) for c in range(0x300, 0x346)]

JOINING = {chr(c) for c in range(0x30000) if unicodedata.combining(chr(c))} | {
    unicodedata.normalize("NFD", c)[1] for c in ODD if len(unicodedata.normalize("NFD", c)) > 1
}
JOINING |= {chr(c) for c in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
"""Code points that go together with what is before them."""

CHARACTERS = st.one_of(
    st.sampled_from("aeiouAEIOUySsk .\n'"),
    st.sampled_from(MARKS),
    st.sampled_from(HANGUL),
    st.sampled_from(ODD),
    st.characters(codec="utf-8"),
)
TEXTS = st.text(CHARACTERS, max_size=40)


def spelled(text: str, forms: list[str]) -> str:
    """The text with one word after the other in one of the forms."""
    words = text.split(" ")
    return " ".join(
        unicodedata.normalize(forms[n % len(forms)], word) for n, word in enumerate(words)
    )


SPELLINGS = st.lists(st.sampled_from(["NFC", "NFD"]), min_size=1, max_size=5)


@examples(300)
@given(st.lists(TEXTS, max_size=8), st.sampled_from(["nfc", "nfkc"]))
@example(["y\u0301\u0323", "\u00fd\u0323", "\u0f73", "\u0344", "\u212b", "\u0958"], "nfc")
@example(["\u09c7\u09be", "\u0995\u09be", "\uac00\u11a8", "\u1100\u1161\u11a8"], "nfc")
@example(["", "a", "\u0301a", "\uff21", "\ufb01", "\ufdfa"], "nfkc")
def test_texts_are_in_the_form(texts, form):
    array = pa.array(texts, pa.string())
    found = Normalization(form).texts(array)
    assert found.to_pylist() == [unicodedata.normalize(form.upper(), text) for text in texts]
    may = Normalization(form).may_change(array)
    for text, changes in zip(texts, may.tolist(), strict=True):
        assert changes or unicodedata.is_normalized(form.upper(), text)


@examples(100)
@given(st.lists(TEXTS, max_size=5))
def test_what_is_in_the_form_is_not_copied(texts):
    array = pa.array([unicodedata.normalize("NFC", text) for text in ["plain", *texts]])
    found = Normalization().texts(array)
    assert found is array or found.equals(array)
    assert Normalization().texts(array.slice(1)).equals(array.slice(1))


@pytest.mark.parametrize(
    "text",
    [
        "It’s a “text” — naïve café, Größe, Übermaß, œuvre…",
        "Hôm nay thời tiết rất đẹp nên chúng tôi quyết định đi dạo",
        "오늘은 날씨가 매우 좋아서",
        "今日はとても天気が良かったので、公園まで",
        "আমাদের বাংলাদেশ তামিল",
        "தமிழ் மொழி பழமையானது",
        "हिन्दी में लिखा हुआ",
        "اللغة العربية مُحَمَّد",
        "ภาษาไทยเขียนติดกัน",
    ],
)
def test_typical_text_is_seen_to_be_composed(text):
    assert not Normalization().may_change(pa.array([unicodedata.normalize("NFC", text)])).any()


@examples(100)
@given(TEXTS, SPELLINGS, SPELLINGS)
def test_spellings_are_one_text(text, one, other):
    texts = [spelled(text, one), spelled(text, other), unicodedata.normalize("NFC", text)]
    for normalise in ("none", "whitespace", "case"):
        assert len(set(map(tuple, fingerprints(texts, normalise=normalise).tolist()))) == 1
    for unit, ngram in (("word", 2), ("character", 3)):
        sets = [found.tolist() for found in shingles(texts, unit=unit, ngram=ngram)]
        assert sets[0] == sets[1] == sets[2]
    signed = signatures(texts, permutations=16)
    assert (signed == signed[0]).all()


def test_near_duplicates_across_forms():
    text = "L’été dernier, à la fête du village, nous avons mangé des crêpes très sucrées"
    texts = [text, unicodedata.normalize("NFD", text) + " hier"]
    ((doc, twin, similarity),) = near_duplicates(texts, ngram=2)
    assert (doc, twin) == (1, 0)
    assert similarity > 0.9
    assert near_duplicates(texts, ngram=2, normalization=Normalization("none")) == []


@examples(100)
@given(TEXTS)
def test_by_a_setting(text):
    everything = Normalization("nfkc", drop_ignorable=True, unescape_html=True)
    ours = everything.texts(pa.array([text, html.escape(text)])).to_pylist()
    hyphenated = "\u00ad".join(text)
    if not any(c in text for c in "&;"):
        assert ours[0] == ours[1]
        assert everything.text(hyphenated) == ours[0]


ALL = st.builds(
    Normalization, st.sampled_from(["nfc", "nfkc", "none"]), st.booleans(), st.booleans()
)


@examples(300)
@given(TEXTS, SPELLINGS, ALL)
@example("a\u0301\u0323b", ["NFD"], Normalization())
@example("e&#x301;&amp;\u00ad\u0301 \ufb01", ["NFC"], Normalization("nfkc", True, True))
def test_the_way_back(text, forms, normalization):
    """Offsets ascend, and the source of whole segments is normalized to these."""
    text = spelled(text, forms)
    normal, starts, ends = normalization.aligned(text)
    assert normal == normalization.text(text)
    assert len(starts) == len(ends) == len(normal)
    assert starts == sorted(starts)
    assert ends == sorted(ends)
    assert all(0 <= a < b <= len(text) for a, b in zip(starts, ends, strict=True))
    decomposed = "NFD" if normalization.form == "nfc" else "NFKD"
    joins = {c for c in normal if unicodedata.normalize(decomposed, c)[0] in JOINING}
    bounds = [i for i in range(1, len(normal)) if ends[i - 1] <= starts[i]]
    bounds = [i for i in bounds if normal[i] not in joins]
    for a, b in pairwise([0, *bounds, len(normal)] if normal else []):
        assert normalization.text(text[starts[a] : ends[b - 1]]) == normal[a:b]


def test_none_leaves_everything():
    texts = pa.array(["e\u0301", "\uff21", "a\u00adb", "&amp;"])
    assert Normalization("none").texts(texts) is texts


def test_references_need_their_semicolon():
    resolved = Normalization(unescape_html=True)
    assert resolved.text("?a=1&copy=2 &eacute;&#x27;&nosuch;") == "?a=1&copy=2 é'&nosuch;"


def test_form_out_of_range():
    with pytest.raises(ValueError, match="one of nfc, nfkc, none"):
        Normalization("nfd")


@examples(300)
@given(TEXTS, st.sampled_from(["nfc", "nfkc"]), st.booleans(), st.data())
def test_whole_segments_are_normalized_by_themselves(text, form, drop, data):
    normalization = Normalization(form, drop)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    first, last = normalization.whole(text, start, end)
    assert first <= start <= end <= last
    parts = (text[:first], text[first:last], text[last:])
    assert "".join(map(normalization.text, parts)) == normalization.text(text)


def test_references_are_whole():
    text = "a &amp; b"
    assert Normalization(unescape_html=True).whole(text, 4, 6) == (2, 7)
    assert Normalization().whole(text, 4, 6) == (4, 6)
    assert Normalization("none").whole("e\u0301", 0, 1) == (0, 1)
