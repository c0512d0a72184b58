"""Languages and scripts: the table is Unicode's, and the kernel says what the library says."""

import unicodedata
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from unrote.corpus.languages import (
    CHUNK,
    CHUNKS,
    KNOWN_LANGUAGES,
    NO_LANGUAGE,
    TellLanguages,
    languages_of,
    model,
    most_probable,
    samples,
)
from unrote.corpus.schema import TEXT
from unrote.corpus.scripts import letters_by_script, script_codes
from unrote.corpus.text import arrow_buffers, strings_from

TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with "
    "reason and conscience and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft "
    "und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены "
    "разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "vi": "Mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "ar": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق وقد وهبوا عقلاً وضميراً.",
}


@given(st.text(max_size=60))
def test_letters_are_counted_by_their_script(text):
    (found,) = letters_by_script(*arrow_buffers(pa.array([text])))
    expected = {}
    for letter in regex.findall(r"\p{L}", text):
        for code in script_codes()[1:]:
            if regex.match(rf"\p{{Script={code}}}", letter):
                expected[code] = expected.get(code, 0) + 1
    assert {script_codes()[at]: found[at] for at in np.flatnonzero(found)} == expected


def test_blocks_of_eight_bytes_and_what_lies_between():
    text = "abcdefgh, ABCDEFGHIJ 12345678 [`{@] äöü жжж xyz 漢字かなカナ"
    found = dict(zip(script_codes(), *letters_by_script(*arrow_buffers(pa.array([text]))),
                     strict=True))  # fmt: skip
    assert {code: n for code, n in found.items() if n} == {
        "Latn": 24, "Cyrl": 3, "Hani": 2, "Hira": 2, "Kana": 2
    }  # fmt: skip


def test_the_kernel_says_what_the_library_says():
    library = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    texts = [*TEXTS.values(), *(text[:25] for text in TEXTS.values()), "", "1 2 3", "x = f(y)"]
    found, probability = most_probable(pa.array(texts), model())
    for text, best, sure in zip(texts, found, probability, strict=True):
        label, confidence = library.classify(text)
        if text and confidence > 1 / len(model().labels):
            assert (model().labels[best], sure) == (label, pytest.approx(confidence, abs=0.02))


def test_languages():
    assert languages_of(pa.array([*TEXTS.values(), *(t.upper() for t in TEXTS.values())])) == [
        *TEXTS, *TEXTS
    ]  # fmt: skip
    assert languages_of(pa.array([unicodedata.normalize("NFD", TEXTS["vi"])])) == ["vi"]
    for text in ("", "ok", "42", "x = f(y)", "3.14 + 2.71", "----", "<div></div>"):
        assert languages_of(pa.array([text])) == ["unknown"], text


def test_what_is_known_is_what_the_model_knows():
    assert {*KNOWN_LANGUAGES} == {*model().labels} - {NO_LANGUAGE}


@given(st.lists(st.text(max_size=40), max_size=4), st.integers(0, 100))
def test_samples_are_whole_characters(parts, times):
    texts = pa.array([part * times for part in parts], pa.string())
    found = strings_from(*samples(*arrow_buffers(texts)))
    for text, sample in zip(texts.to_pylist(), found.to_pylist(), strict=True):
        if len(text.encode()) <= CHUNKS * CHUNK:
            assert sample == text
        else:
            assert len(sample.encode()) <= CHUNKS * (CHUNK + 1)
            assert text.startswith(sample[:50])
            assert text.endswith(sample[-50:])


def test_rows_of_documents():
    texts = [TEXTS["ru"] + " Latin", "", "42"]
    batch = pa.record_batch([pa.array([5, 6, 9]), pa.array(texts)], schema=TEXT)
    with TellLanguages().open() as run:
        (_, languages), (_, scripts) = run(iter([("text", batch)]))
    own = languages.to_pylist()
    assert [(row["doc"], row["language"]) for row in own] == [
        (5, "ru"), (6, "unknown"), (9, "unknown")
    ]  # fmt: skip
    assert [tuple(row.values()) for row in scripts.to_pylist()] == [
        (5, 0, "Cyrl", own[0]["letters"] - 5), (5, 1, "Latn", 5)
    ]  # fmt: skip


def test_ranges_of_scripts_do_not_overlap():
    lines = files("unrote.corpus").joinpath("scripts.csv").read_text("ascii").splitlines()[1:]
    ranges = [tuple(int(one, 16) for one in line.split(",")[:2]) for line in lines]
    assert all(first <= last for first, last in ranges)
    assert all(a[1] < b[0] for a, b in pairwise(ranges))
