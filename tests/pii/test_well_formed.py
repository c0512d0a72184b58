"""Scrubbed text parses where the text did, to the same structure, and escapes stay."""

import json
import re
import sysconfig
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.well_formed import FORMATS, check, installed, made, skeleton
from tests.examples import examples
from unrote.pii.config import Config, actions_for, default_config
from unrote.pii.keys import Key
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing import scrub_texts
from unrote.pii.surrogates import is_surrogate, surrogate

KEY = Key(b"k" * 32)


def scrubbed(text, actions=None):
    done = scrub_texts([text], ["document"], default_config(), actions or actions_for(), KEY)
    assert not done.rejected
    return done.texts[0]


@pytest.mark.parametrize("suffix", FORMATS)
def test_made_documents_parse_to_the_same_structure(suffix):
    """Values of every type, and secrets of every rule, where each format has its values."""
    texts = [made(suffix, Random(n)) for n in range(8)]
    count, differing = check(suffix, list(map(str, range(8))), texts)
    assert (count.texts, count.rejected, differing) == (8, 0, [])
    assert count.changed > 4


FOLDERS = [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib")]

PLAIN = (
    *(
        "jane.roe@unrote.org",
        "536-90-4399",
        "4539 5787 6362 1486",
        "+1 212-664-7665",
        "81.2.69.160",
    ),
    *("DE75 5121 0800 1245 1261 99", "a4:83:e7:2b:90:1c", "12 Main Street", "Maria Hoffmann"),
)
"""Values that no format of these has to quote."""


@cache
def sources(suffix):
    """Files of what is installed here, of a format, that parse: some 200 kB."""
    paths = installed(suffix, FOLDERS, 200_000)
    texts = [path.read_text("utf-8", "replace") for path in paths]
    return [one for one in texts if skeleton(suffix, one) and len(one) < 40_000]


@pytest.mark.parametrize("suffix", [".toml", ".csv", ".html"])
@examples(6)
@given(data=st.data())
def test_files_of_installed_packages_parse_to_the_same_structure(suffix, data):
    """As they are, and with values in the place of words that are no keys and tags."""
    text = data.draw(st.sampled_from(sources(suffix)))
    for _ in range(data.draw(st.integers(0, 6))):
        words = list(re.finditer(r"\b[A-Za-z0-9]{4,}\b", text))
        if not words:
            break
        word, value = data.draw(st.sampled_from(words)), data.draw(st.sampled_from(PLAIN))
        changed = text[: word.start()] + value + text[word.end() :]
        text = changed if skeleton(suffix, changed) == skeleton(suffix, text) else text
    count, differing = check(suffix, ["text"], [text])
    assert (count.texts, count.rejected, differing) == (1, 0, [])


def test_a_skeleton_sees_what_breaks():
    assert skeleton(".json", '{"a": 0123}') is None
    assert skeleton(".csv", "a,b\nc,d\n") != skeleton(".csv", "a,b\nc\n")
    assert skeleton(".html", "<p>a</p>") != skeleton(".html", "<p>a</f>")
    assert skeleton(".url", "https://a.org/?b=%2F") != skeleton(".url", "https://a.org/?b=%7Q")


@pytest.mark.parametrize(
    "value",
    [
        "sv=2022-11-02&sig=aZ3kQ9xW%2BfT7%2Fbn5Rm1%3D",
        r"aZ3kQ9xW\nfT7bn5Rm1cV8\u002Bpq",
        "aZ3kQ9xW&#43;fT7bn5Rm1cV8&amp;pq",
    ],
)
def test_escapes_stay_in_a_surrogate(value):
    escape = re.compile(r"%[0-9A-F]{2}|\\n|\\u002B|&[#a-z0-9]+;")
    new = surrogate(value, "SECRET", KEY)
    assert escape.findall(new) == escape.findall(value)
    assert escape.sub("", new) != escape.sub("", value)
    assert is_surrogate(new, "SECRET", KEY)


@examples(60)
@given(st.integers(0, 10**12))
def test_the_surrogate_of_a_number_is_one(number):
    new = surrogate(str(number), "ACCOUNT", KEY)
    assert str(int(new)) == new or str(number) == "0"
    assert is_surrogate(new, "ACCOUNT", KEY)
    padded = surrogate(f"00{number}", "ACCOUNT", KEY)
    assert padded[0] == "0"
    assert is_surrogate(padded, "ACCOUNT", KEY)


VALUES = {
    "CREDIT_CARD": "4539 5787 6362 1486",
    "IBAN_CODE": "DE75 5121 0800 1245 1261 99",
    "IP_ADDRESS": "81.2.69.160",
    "MAC_ADDRESS": "a4:83:e7:2b:90:1c",
    "UUID": "7d44484f-9dc0-4d1f-a245-5ffdce74fad2",
    "US_SSN": "536-90-4399",
    "PHONE_NUMBER": "+1 212-664-7665",
    "EMAIL_ADDRESS": "jane.roe@unrote.org",
}


@pytest.mark.parametrize("type_", VALUES)
@pytest.mark.parametrize("escape", ["\\n", "\\t", "\\r\\n", "\\\\\\n"])
def test_a_value_begins_behind_an_escape(type_, escape):
    r"""In the JSON string "Number:\n536-90-4399" the letter n is none of a word."""
    value = VALUES[type_]
    text = f'{{"c": "Number:{escape}{value}{escape}Thanks"}}'
    found = {(text[f.start : f.end], f.type) for f in scanner_of(Config()).find(text)}
    assert (value, type_) in found
    new = scrubbed(text)
    assert value not in new
    assert json.loads(new)["c"].startswith(json.loads(text)["c"].partition(value)[0])


def test_a_backslash_that_is_escaped_itself_is_none():
    text = r'{"path": "C:\\n536-90-4399"}'
    assert "US_SSN" not in {f.type for f in scanner_of(Config()).find(text)}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"name": "[REDACTED]", "n": 1}', '{"name": "", "n": 1}'),
        ("id\t[REDACTED]\tlast\n", "id\t\tlast\n"),
        ("id\tname\t[REDACTED]\nnext", "id\tname\t\nnext"),
        ("He saw [REDACTED] there.", "He saw there."),
    ],
)
def test_what_is_removed_leaves_quotes_and_columns(text, left):
    assert scrubbed(text) == left


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("<p>export DB_PASSWORD=Siaf7VlyWcztNOAwz8HA</p>", "</p>"),
        ('<a title="export DB_PASSWORD=Siaf7VlyWcztNOAwz8HA&quot;">', '&quot;">'),
        ("<i>DB_PASSWORD=Siaf7VlyWcztNOAwz8HA&gt;</i>", "&gt;</i>"),
    ],
)
def test_a_secret_ends_where_markup_begins(text, end):
    new = scrubbed(text)
    assert new.endswith(end)
    assert "Siaf7" not in new
