import io
import socket
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrote.corpus.errors import ConfigError
from unrote.corpus.packaged import packaged_file
from unrote.pii import Config
from unrote.pii.config import ACTIONS, actions_for, default_config
from unrote.pii.keys import Key
from unrote.pii.names import model
from unrote.pii.names.features import features, lower_words
from unrote.pii.names.nameless import nothing_remembered, without_nameless
from unrote.pii.names.recognizers import recognizers
from unrote.pii.names.tokens import case_table, joining, regions, tokenized
from unrote.pii.scanner import Scanner
from unrote.pii.scrubbing import scrub_texts

LETTER = """Dear Ms. Hoffmann,

Thank you for your letter of Monday. I met Maria Hoffmann and Peter O'Brien in Berlin last week,
when they worked for Deutsche Bank.

Kind regards,
Sujata Raisinghani
"""

KEY = Key.of("a key of the tests, and of nothing else")


def array(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8).copy()


def found(text: str) -> dict[str, str]:
    return {
        text[span.start : span.end]: reader.entity
        for reader in recognizers()
        for span in reader.find(text, ())
    }


def test_names_are_found_where_they_stand():
    names = found(LETTER)
    people = {name for name, type_ in names.items() if type_ == "PERSON"}
    assert {"Hoffmann", "Maria Hoffmann", "Peter O'Brien", "Sujata Raisinghani"} <= people
    assert names["Berlin"] == "LOCATION"


WORDS = st.sampled_from(
    ("Maria", "maria", "Hoffmann", "MARIA", "met", "The", "Dr.", "of", ",", ".\n", "\n\n", "'s")
)


def keyed_rows(text: str) -> list[tuple[bytes, bytes]]:
    """Of each region of a text the key, and all that its labels are made of."""
    data, tagger = array(text), model.tagger()
    tokens = tokenized(data)
    firsts, lasts = (np.empty(tokens.starts.size, np.int32) for _ in range(2))
    count = regions(data, tokens, joining(), firsts, lasts)
    firsts, lasts, seen = firsts[:count], lasts[:count], lower_words(tokens)
    keys = np.empty((count, 2), np.uint64)
    assert count == without_nameless(data, tokens, seen, nothing_remembered(), firsts, lasts, keys)
    rows = features(data, case_table(), tokens, tagger.lexicon, seen, firsts, lasts, tagger.bits)
    parts = np.split(rows, np.cumsum(lasts - firsts)[:-1])[:count]
    return [(key.tobytes(), part.tobytes()) for key, part in zip(keys, parts, strict=True)]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.lists(WORDS, min_size=6, max_size=9), min_size=6, max_size=6))
def test_regions_of_one_key_are_labelled_alike(texts):
    """So one of a key that is known to have no name is not read again."""
    known: dict[bytes, bytes] = {}
    for words in texts:
        for behind in ((), ("and", "so", "on", "as", "maria")):
            for key, rows in keyed_rows(" ".join([*words, *behind])):
                assert known.setdefault(key, rows) == rows


def test_what_is_read_again_has_the_same_names():
    known = model.tagger()
    names = known.find(array(LETTER))
    assert all(map(np.array_equal, names, known.find(array(LETTER))))


def test_offsets_are_code_points():
    text = "Zürich, ½ €: Her name is Zoë Müller. " + LETTER
    names = found(text)
    assert names["Zoë Müller"] == "PERSON"
    assert "Maria Hoffmann" in names


@pytest.mark.parametrize(
    "text",
    ["", "no capitals at all", "def main(argv):\n    return HTTPServer(argv)\n", "\n\n \t"],
)
def test_nothing_is_found_where_nothing_is(text):
    assert found(text) == {}


def test_the_tagger_needs_no_network(monkeypatch):
    monkeypatch.setattr(socket, "socket", partial(pytest.fail, "a socket was asked for"))
    model.tagger.cache_clear()
    assert "Maria Hoffmann" in found(LETTER)


@given(st.lists(st.sampled_from(LETTER.split("\n\n")), max_size=5), st.integers(40, 200))
@settings(max_examples=20, deadline=None)
def test_parts_of_a_long_text_are_read_one_by_one(parts, size):
    text = "\n\n".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "PART", size)
        cut = model._parts(array(text))
        names = model.tagger().find(array(text))
    assert [cut[0][0], cut[-1][1]] == [0, len(text)]
    assert all(end == start for (_, end), (start, _) in pairwise(cut))
    assert all(text[end - 1] in "\n " for _, end in cut[:-1] if "\n" in text or " " in text)
    assert (names.starts < names.ends).all()
    assert (np.diff(names.starts) > 0).all()


def stored(**changes) -> bytes:
    with np.load(io.BytesIO(packaged_file("unrote.pii.names", model.FILE))) as arrays:
        content = dict(arrays) | changes
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in content.items() if array is not None})
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        stored()[:1000],
        stored(weights=None),
        stored(weights=np.zeros((8, 3), np.int8)),
        stored(weights=np.zeros((9, 7), np.int8)),
        stored(transitions=np.zeros((7, 7), np.int32)),
        stored(keys=np.array([0, 1], np.uint32), known=np.array([0, 1], np.uint32)),
        stored(keys=np.array([1], np.uint32)),
        stored(margins=np.array(["x"], dtype=object)),
    ],
)
def test_a_damaged_file_is_named(content):
    with pytest.raises(ConfigError, match=r"names\.npz"):
        model.read(content)


def test_types_can_be_left_out():
    config = Config(without=("LOCATION", "PERSON"), secrets=False, markers=False)
    types = {finding.type for finding in Scanner(config).find(LETTER)}
    assert not types & {"LOCATION", "PERSON"}
    assert Config(names=False).name_types == ()
    assert Config(ner="spacy:some").name_types == ()


def test_people_are_replaced_and_places_counted():
    scrubbed = scrub_texts([LETTER], ["a"], default_config(), actions_for(), KEY)
    (text,) = scrubbed.texts
    assert text is not None
    assert "Hoffmann" not in text
    assert "Raisinghani" not in text
    assert "Berlin" in text
    rows = scrubbed.findings.select(["type", "action"]).to_pylist()
    assert {"type": "LOCATION", "action": "keep"} in rows


def test_hipaa_asks_for_more():
    actions = actions_for(("hipaa",))
    assert {"LOCATION", "POSSIBLE_PERSON"}.isdisjoint(actions)
    assert actions_for()["LOCATION"] == "keep"
    assert "LOCATION" not in actions_for(ner="spacy:some")


PIECES = st.sampled_from(
    [
        *("Dr. Maria Hoffmann", "Ms Hoffmann", "Maria", "J. R. Tolkien", "O'Brien", "van der Berg"),
        *("University of Portsmouth", "said", "wrote to", "in London", "of", "and", ",", ".\n"),
        *(
            "'s brother",
            "Dear",
            "Kind regards,\n",
            "the Report",
            "USA",
            "Name:",
            "\n\n",
            "ANNA BLOM",
        ),
    ]
)


ALL_ACTIONS = st.sampled_from(
    [actions_for(), actions_for(("hipaa",)), *({"*": action} for action in ACTIONS[1:-1])]
)


@given(st.lists(PIECES, max_size=12).map(" ".join), ALL_ACTIONS)
@settings(max_examples=80, deadline=None)
def test_scrubbing_again_changes_nothing(text, actions):
    config = default_config()
    once = scrub_texts([text], ["a"], config, actions, KEY).texts[0]
    assert once is not None
    assert scrub_texts([once], ["a"], config, actions, KEY).texts == [once]
