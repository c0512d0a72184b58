"""What a report or a terminal shows of a text: shapes, and never a value."""

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("presidio_analyzer")

from tests.examples import examples
from unrote.pii import Config
from unrote.pii.config import ACTIONS_BY_DEFAULT
from unrote.pii.findings import DEID_MARKER, RESERVED_VALUE
from unrote.pii.mask import MASK, UNREADABLE, MaskedText, masked
from unrote.pii.scanner import Scanner


@pytest.fixture(scope="module")
def scanner():
    return Scanner()


def test_masked_values():
    assert masked("jane@example.org", "EMAIL_ADDRESS") == "j***@e***"
    assert masked("+1 (415) 555-2671", "PHONE_NUMBER") == "+*** (***) ***-***"
    assert masked("Jane Roe", "PERSON") == "J*** R***"
    assert masked("GB56 HXDO 8816", "IBAN_CODE") == "G*** H*** ***"
    assert masked("Šárka", "PERSON") == "Š***"
    assert masked("٣٤-½Ⅷ", "US_SSN") == "***-***"
    assert masked("é", "PERSON") == "***"
    assert set(masked("a4:83:e7:2b:90:1c", "MAC_ADDRESS")) == {"*", ":"}


def test_of_a_secret_nothing_is_shown():
    assert masked("AKIAZ2J4N5Q7RT3WXV6Y", "SECRET") == MASK
    assert masked("a b\nc", "SECRET") == MASK


def test_what_is_nobodys_stays():
    for marker in ("<EMAIL_ADDRESS>", "[EMAIL_1]", "|||PHONE|||", "___", "[REDACTED]"):
        assert masked(marker, DEID_MARKER) == marker
    assert masked("user@example.com", RESERVED_VALUE) == "user@example.com"


def test_a_marker_may_hold_what_it_should_hide():
    assert masked("[**2151-7-16**]", DEID_MARKER) == "[*****-***-*****]"
    assert masked("[**Name Jane Roe**]", DEID_MARKER) == "[**N*** J*** R*****]"


TYPES = st.sampled_from(["EMAIL_ADDRESS", "PERSON", "SHIFTED_DATE", "SURROGATE_AGE", "SECRET"])


@examples(200)
@given(st.text().map(lambda text: text.replace("*", "")) | st.from_regex(r"[\w@. -]*"), TYPES)
def test_at_most_one_letter_of_each_part(value, type_):
    shown = masked(value.replace("*", ""), type_)
    assert not any(category(sign).startswith("N") for sign in shown)
    *parts, rest = shown.split(MASK)
    assert not any(map(str.isalnum, rest))
    given = iter(value)
    for part in parts:
        assert not any(map(str.isalnum, part[:-1]))
        assert not part or not part[-1].isalpha() or part[-1] in given  # in their order


PLANTED = {
    "EMAIL_ADDRESS": "jane.roe@kelvin-hardware.org",
    "US_SSN": "536-90-4399",
    "CREDIT_CARD": "4539 5787 6362 1486",
    "IP_ADDRESS": "81.2.69.160",
    "IBAN_CODE": "GB56HXDO88167774656119",
    "PHONE_NUMBER": "(415) 664-7665",
    "SECRET": "AKIAZ2J4N5Q7RT3WXV6Y",
}
KEPT = (
    "<PERSON>",
    "user@example.com",
    "on 2020-01-31 they",
    "https://www.acme.com/x",
)
FILLER = st.sampled_from([*KEPT, "语 né\u0301e", "🎉", "and so", "a\x00b", "", "\n\n", "(", "“"])


@st.composite
def planted_texts(draw):
    """A text, what is planted in it, and what it is to look like."""
    text, shown, types = "", "", []
    for _ in range(draw(st.integers(1, 4))):
        filler = draw(FILLER)
        type_ = draw(st.sampled_from(sorted(PLANTED)))
        text += f"{filler} {PLANTED[type_]}\n"
        shown += f"{filler} {masked(PLANTED[type_], type_)}\n"
        types.append(type_)
    end = draw(FILLER)
    return text + end, shown + end, types


@examples(60)
@given(planted_texts(), st.data())
def test_no_piece_of_a_planted_value_is_shown(scanner, planted, data):
    text, shown, types = planted
    masked_text = MaskedText(text, [scanner], ACTIONS_BY_DEFAULT)
    assert masked_text.text == shown
    pieces = {PLANTED[t][at : at + 5] for t in types for at in range(len(PLANTED[t]) - 4)}
    for _ in range(20):
        start = data.draw(st.integers(0, len(text)))
        part = masked_text.excerpt(start, data.draw(st.integers(start, len(text))))
        assert part in shown or not part
        assert not any(piece in part for piece in pieces)


def test_every_range_of_a_text(scanner):
    text = f"Mail {PLANTED['EMAIL_ADDRESS']} or {PLANTED['PHONE_NUMBER']}!"
    masked_text = MaskedText(text, [scanner], {})
    mail, phone = text.index("jane"), text.index("(")
    ends = mail + len(PLANTED["EMAIL_ADDRESS"]), phone + len(PLANTED["PHONE_NUMBER"])
    for start in range(len(text) + 1):
        for end in range(start, len(text) + 1):
            part = masked_text.excerpt(start, end)
            assert ("j***@k***" in part) == (start < ends[0] and end > mail)
            assert ("(***) ***" in part) == (start < ends[1] and end > phone)
            assert part.startswith("M") == (start == 0 < end)
            assert part.endswith("!") == (end == len(text) > start)


@given(st.text("abc \n語", max_size=60), st.integers(0, 60), st.integers(0, 60))
@examples(60)
def test_other_text_is_shown_as_it_is(scanner, text, start, size):
    start = min(start, len(text))
    end = min(start + size, len(text))
    assert MaskedText(text, [scanner], {}).excerpt(start, end) == text[start:end]


def test_what_a_release_keeps_is_hidden_if_it_would_go_by_default(scanner):
    text = f"Mail {PLANTED['EMAIL_ADDRESS']} on 2020-01-31."
    everything = MaskedText(text, [scanner], {"*": "keep"})
    assert everything.text == "Mail j***@k*** on 2020-01-31."
    dates = MaskedText(text, [scanner], {"DATE_TIME": "remove"})
    assert dates.text == "Mail j***@k*** on ***-***-***."


def test_a_page_with_an_address_in_it(scanner):
    text = "see https://www.acme.com/?to=jane.roe@kelvin-hardware.org&x=1 for it"
    for actions in ({}, {"URL": "keep"}, {"URL": "surrogate"}):
        shown = MaskedText(text, [scanner], actions).text
        assert "jane" not in shown
        assert "hardware" not in shown
        assert shown.startswith("see h")
        assert shown.endswith(" for it")


def test_a_text_without_an_answer_is_not_shown():
    scanner = Scanner(Config(max_chars=20))
    text = f"Mail {PLANTED['EMAIL_ADDRESS']}!"
    masked_text = MaskedText(text, [scanner], {})
    assert {masked_text.text, masked_text.excerpt(0, 3), masked_text.excerpt(8, 20)} == {UNREADABLE}
    assert MaskedText("\ud800 jane", [scanner], {}).text == UNREADABLE
