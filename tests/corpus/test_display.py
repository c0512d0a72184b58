"""What is shown of names and texts that strangers made."""

import json
import sys
import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus import display
from unrote.corpus.errors import ConfigError, UnroteError

ANY = st.text(st.characters(), max_size=300)  # lone surrogates, controls and all
STEERING = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def steers(text, allowed=""):
    return [c for c in text if unicodedata.category(c) in STEERING and c not in allowed]


@given(ANY, st.integers(40, 200))
def test_nothing_steers_whatever_is_shown(text, limit):
    assert steers(display.line(text, limit)) == []
    assert len(display.line(text, limit)) <= limit
    assert steers(display.name(text)) == []
    assert steers(display.body(text), "\n\t\u200c\u200d") == []
    assert steers(display.flat(text), "\u200c\u200d") == []
    assert steers(display.excerpt(text, limit), "\u200c\u200d") == []
    assert len(display.excerpt(text, limit)) <= limit


@given(ANY, st.integers(40, 200))
def test_what_is_safe_stays_as_it_is(text, limit):
    shown = display.line(text, limit)
    assert display.line(shown, limit) == shown
    assert display.body(display.body(text)) == display.body(text)


def test_every_character():
    """Each character but those that steer, hide or are none is shown as itself."""
    for code in range(sys.maxunicode + 1):
        shown = display.line(char := chr(code))
        if unicodedata.category(char) in STEERING:
            assert shown.isascii(), hex(code)
            assert shown.startswith("\\"), hex(code)
        elif shown != char:
            blank = unicodedata.name(char, "")
            none = unicodedata.category(char) == "Cn" and code & 0xFFFE == 0xFFFE
            none |= 0xFDD0 <= code <= 0xFDEF
            assert none or "FILLER" in blank or "JOINER" in blank or "BLANK" in blank or (
                "INHERENT" in blank
            ), hex(code)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web/a.jsonl", "web/a.jsonl"),
        ("\x1b]0;x\x07y\x9bz", r"\x1b]0;x\x07y\x9bz"),
        ("a\nb\r\x00\x7f", r"a\nb\r\x00\x7f"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("a\u200bb\u2060c\ufeffd\u00ade", r"a\u200bb\u2060c\ufeffd\xade"),
        ("\ue000\ud800\u2028\U000e0041", r"\ue000\ud800\u2028\U000e0041"),
        ("Ünïcode 語 שלום 🎉", "Ünïcode 語 שלום 🎉"),
        ("[bold]x[/bold] <b>", "[bold]x[/bold] <b>"),
        ("a\u3164b", r"a\u3164b"),
    ],
)
def test_a_line(text, shown):
    assert display.line(text) == shown


def test_a_long_name_keeps_its_ends():
    assert display.name("a" * 500 + "z" * 500).startswith("a" * 50)
    assert display.name("a" * 500 + "z" * 500).endswith("z" * 50)
    assert " characters … " in display.name("a" * 1000)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\r\n\t b", "a b"), ("می\u200cخواهم", "می\u200cخواهم"), ("abcdef", "abcd…")],
)
def test_an_excerpt(text, shown):
    assert display.excerpt(text, 5 if text == "abcdef" else 200) == shown


@given(st.dictionaries(ANY, ANY))
def test_json_says_the_same(value):
    stored = json.dumps(value, ensure_ascii=False, indent=1)
    safe = display.json_text(stored)
    assert json.loads(safe) == value
    assert steers(safe, "\n") == []


def test_what_orjson_writes_says_the_same():
    value = {"\x7f\u202e": "\x1b\u2028\ue000\U000e0041 ü 語"}
    safe = display.json_text(orjson.dumps(value).decode())
    assert steers(safe) == []
    assert orjson.loads(safe) == value


def test_an_error_is_as_many_lines_as_it_was_given():
    error = ConfigError("cannot read a\nb\x1b[31m.toml", "second\u202e")
    assert str(error) == "cannot read a\\nb\\x1b[31m.toml\nsecond\\u202e"
    again = type(error)(*error.args)
    assert str(again) == str(error)
    assert isinstance(error, UnroteError)
