# ruff: noqa: E402 (what follows needs a package that may be missing)
import pytest

phonenumbers = pytest.importorskip("phonenumbers")

from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata

from tests.examples import examples
from tests.pii.fuzz import ASCII, BEYOND, PHONES
from unrote.pii import phones
from unrote.pii.phone_candidates import Likely
from unrote.pii.phones import MIN_CHARS, PREFILTER_EXPRESSIONS, PhoneFinder, few_failures
from unrote.pii.plausibility import is_phone_like
from unrote.pii.prefilter import Prefilter, Probe

REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR", "ZA")
BRIEF = examples(200, derandomize=True)


def by_phonenumbers(text, regions=REGIONS):
    return {
        (region, match.start, match.end, str(match.number))
        for region in regions
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=1)
    }


def ours(found):
    return {(phone.region, phone.start, phone.end, str(phone.number)) for phone in found}


digits = st.text("0123456789", min_size=3, max_size=14)
prefixes = st.lists(st.sampled_from("49 44 33 972 91 55 1 27 0 00 011 90".split()), max_size=3)
prefixed = st.builds(lambda before, after: "".join(before) + after, prefixes, digits)
codes = st.sampled_from("1 7 44 49 33 972 91 55 27 39 800 881 00 0 999".split())
signed = st.builds(
    lambda sign, code, gap, number: sign + code + gap + number,
    st.sampled_from(["+", "(+", "+(", "+ ", "++", "\uff0b"]),
    codes,
    st.sampled_from(["", " ", "  ", "-", ") ", " (0) ", "x"]),
    st.text("0123456789 -.x", min_size=3, max_size=14),
)
numbers = st.one_of(
    st.sampled_from(PHONES),
    digits,
    prefixed,
    signed,
    st.text("0123456789 -./()+x", min_size=3, max_size=22),
)


@st.composite
def phone_texts(draw):
    text = ""
    for _ in range(draw(st.integers(1, 4))):
        piece = draw(numbers)
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(piece)))
            piece = (
                piece[:at] + draw(st.sampled_from("0123456789" + ASCII + BEYOND)) + piece[at + 1 :]
            )
        text += piece + draw(st.sampled_from([" ", "", "\n", ", ", "/", " - ", ":00", "a", "%"]))
    return text


@BRIEF
@given(phone_texts())
def test_finds_what_phonenumbers_finds(text):
    finder = PhoneFinder(REGIONS, 1)
    assert ours(finder.part(text)) == by_phonenumbers(text)
    assert ours(finder.whole(text)) == by_phonenumbers(text)


@pytest.mark.parametrize(
    "text",
    [
        "card # 4900948022576220 for",  # a national prefix stripped twice behind a country code
        "x (  212) 555-5555 y",
        "x + 44 20 7946 0958 y",
        "x +( 44) 20 7946 0958 y",
        "0049 30 1234567, 00 30 1234567",
        "1 int 3456789 and 12 ext 345678",
        "2012-01-02 08:00 and 2012-01-02 08",
        "a2125555555 2125555555a 2125555555%",
        "1.1781739e+00   8.4573383e-01   1.1040164e+00",
        "a+1 212-555-5555 a+12125555555b %(+1) 212-555-5555",
        "+00 44 20 7946 0958, +0 1 212 555 5555, +999 212 555 5555",
    ],
)
def test_cases_that_went_wrong_or_might(text):
    assert ours(PhoneFinder(REGIONS, 1).part(text)) == by_phonenumbers(text)


def of_every_country():
    """A number of each country and kind with its calling code, and the same with a digit less or
    another one.
    """
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        known = PhoneMetadata.metadata_for_region(region)
        for kind in phones.KINDS:
            number = getattr(getattr(known, kind), "example_number", None)
            if number:
                yield f"+{known.country_code} {number}"
                yield f"+{known.country_code} {number[:-1]}"
                yield f"+{known.country_code}{number[:3]}5{number[4:]}"


def test_numbers_of_every_country_behind_a_plus_sign():
    text = "\n".join(of_every_country())
    assert ours(PhoneFinder(("US",), 1).part(text)) == by_phonenumbers(text, ("US",))


LIKELY = PhoneFinder(("US", "DE"), 1, is_phone_like)


@examples(100)
@given(
    st.lists(
        st.one_of(
            phone_texts(),
            st.text("0123456789 -./()[]+xX*eE\n", min_size=1, max_size=24),
            st.sampled_from(
                (
                    "tel ",
                    "Call me: ",
                    "é",
                    " ü",
                    "—",
                    "1.2.3.4",
                    "tel 10.200.30.40/5",
                    "(12.5)",
                    "a**",
                    "/x",
                    " x",
                    "#",
                    "int 5",
                    "ext. 7",
                    "12 345 678",
                    "12.34.56.78.90",
                    "text",
                    "pho",
                    "٣",
                    "\xa0",
                )
            ),
        ),
        max_size=8,
    ).map("".join)
)
def test_what_is_passed_over_is_no_number(text):
    """By digits that are refused anyway the search need not begin, nor go on."""
    assert LIKELY.part(text, Likely(text)) == LIKELY.part(text)


def test_a_table_of_numbers_is_passed_over():
    rows = "\n".join(f"{n};{n * 7919 % 10007}.5;{n:08};10.0.{n % 250}.1" for n in range(300))
    assert Likely(rows).from_(0) == -1
    assert Likely(rows + "\ntel: 2125555555").from_(0) > 0


PREFILTER = Prefilter([Probe(0, expression, 2) for expression in PREFILTER_EXPRESSIONS])


@BRIEF
@given(phone_texts())
def test_the_prefilter_fires_for_every_candidate(text):
    index, long = 0, False
    while (candidate := phones._candidate(text, index)) is not None:
        start, found = candidate
        long |= phones._alphanumerics(found) >= MIN_CHARS
        index = start + len(found)
    assert not long or PREFILTER.block(0, text.encode()).fired


def test_of_what_cannot_be_a_number_nothing_is_asked(monkeypatch):
    """A table of numbers, each of which libphonenumber would be asked for region by region."""
    asked = []
    monkeypatch.setattr(PhoneFinder, "_answer", lambda *given: asked.append(given))
    assert PhoneFinder(REGIONS, 1).part("1.1781739e+00   8.4573383e-01   1.1040164e+00") == []
    assert not asked


def test_all_regions_agree_on_a_number_with_its_calling_code(monkeypatch):
    asked = []
    one = PhoneFinder._answer
    monkeypatch.setattr(PhoneFinder, "_answer", lambda *given: asked.append(given) or one(*given))
    text = "call +1 212-555-5555 now"
    assert ours(PhoneFinder(REGIONS, 1).part(text)) == by_phonenumbers(text)
    assert len(asked) == 1


def test_shortest_numbers():
    """No number of any country is shorter than the constants say."""
    lengths = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            data = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            lengths[code] = min(*data.general_desc.possible_length, lengths.get(code, 99))
    assert min(lengths.values()) >= MIN_CHARS
    abroad = min(length + len(str(code)) for code, length in lengths.items())
    prefixes = [PhoneMetadata.metadata_for_region(r).international_prefix for r in REGIONS]
    assert all(prefix.startswith(("0", "1")) for prefix in prefixes)
    assert abroad + 2 >= phones.SHORTEST_ABROAD
    assert all(phones._region(region).shortest >= MIN_CHARS for region in REGIONS)


def test_giving_up_is_copied():
    """PhoneNumberMatcher stops after 65,535 failures; so do we, and not before."""
    text = "12 34. " * 33_000 + "(212) 555-5555"
    assert not few_failures(len(text), 4 * 33_000)
    finder = PhoneFinder(("US",), 1)
    assert ours(finder.whole(text)) == by_phonenumbers(text, ("US",))
    assert few_failures(20_000, 200)


def test_the_memo_is_bounded(monkeypatch):
    monkeypatch.setattr(phones, "MEMO", 3)
    finder = PhoneFinder(("US",), 1)
    text = "\n".join(f"(212) 555-{n:04}" for n in range(5000, 5050))
    assert ours(finder.part(text)) == by_phonenumbers(text, ("US",))
    assert len(finder._memo) <= 3
