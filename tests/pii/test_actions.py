import re
from itertools import pairwise
from types import SimpleNamespace

import pytest
from faker import Faker
from hypothesis import given
from hypothesis import strategies as st
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from tests.examples import examples
from unrote.pii.config import ACTIONS, action_of
from unrote.pii.findings import RESERVED_VALUE, Finding
from unrote.pii.keys import Key
from unrote.pii.overlaps import Spans, prefer_markers, resolve_overlaps
from unrote.pii.scrubbing import Edit, edited_text
from unrote.pii.scrubbing.actions import apply_actions
from unrote.pii.scrubbing.own_surrogates import drop_own_surrogates
from unrote.pii.surrogates import SAMPLE_VALUES, dates, is_surrogate, surrogate

KEY = Key(b"the key of the tests, of 32 or so")
OTHER = Key(b"another key of the tests, as long")

FORMS = {
    "EMAIL_ADDRESS": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "URL": r"(?:https?://)?(?:[\w-]+\.)+[a-z]{2,}(?:/\S*)?",
    "IP_ADDRESS": r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"
    r"|(?<!\w)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7}",
    "US_SSN": r"\b\d{3}-\d\d-\d{4}\b",
    "CREDIT_CARD": r"\b\d{4}(?:[- ]\d{4}){3}\b",
    "PHONE_NUMBER": r"(?<![\w+])(?:\+\d[\d ]{7,16}\d|\(\d{3}\) \d{3}-\d{4})",
    "DATE_TIME": r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2} (?:[A-Z][a-z]+) \d{4}\b",
    "PERSON": r"(?<=Name: )[A-Z][a-z]+ [A-Z][a-z]+",
    "US_BANK_NUMBER": r"\b\d{8,17}\b",
    "DEID_MARKER": r"\[\*\*[^*]*\*\*\]|_{3,}",
}


def find(text):
    """A scanner that sees what real ones see: overlaps, and types within types."""
    return [
        Finding(m.start(), m.end(), type_, 0.5, "test", _stands_for(m[0]))
        for type_, form in FORMS.items()
        for m in re.finditer(form, text)
    ]


def _stands_for(value):
    if not value.startswith("[**"):
        return ""
    return "DATE_TIME" if value[3:4].isdigit() else "PERSON"


def apply(text, findings, actions, key, document):
    """What actions did to a text, and the text after it (None where it is rejected)."""
    outcome = apply_actions(text, findings, actions, key, document)
    edited = None if outcome.rejected_for else edited_text(text, outcome.edits)
    return SimpleNamespace(
        text=edited,
        applied=outcome.applied,
        edits=outcome.edits,
        rejected_for=outcome.rejected_for,
    )


def scrub(text, key=KEY, document="d", actions=None):
    return apply(
        text,
        resolve_overlaps(text, drop_own_surrogates(text, find(text), key)),
        actions or {},
        key,
        document,
    )


def finding(start, end, type_="A", score=0.5, stands_for=""):
    return Finding(start, end, type_, score, "test", stands_for)


# Overlaps.

SPAN = st.tuples(
    st.integers(0, 40), st.integers(0, 12), st.sampled_from("ABC"), st.sampled_from([0.3, 1.0])
)
FINDINGS = st.lists(SPAN.map(lambda s: finding(s[0], s[0] + s[1], s[2], s[3])), max_size=20)


LETTERS = "abcdefghijklmnopqrstuvwxyz" * 3


def test_the_longest_wins_then_score_then_type():
    def spans(*findings):
        return [(f.start, f.end, f.type) for f in resolve_overlaps(LETTERS, findings)]

    assert spans(finding(3, 9), finding(4, 6)) == [(3, 9, "A")]
    assert spans(finding(0, 5), finding(3, 9, "B")) == [(0, 3, "A"), (3, 9, "B")]
    assert spans(finding(3, 8), finding(3, 8, "B", 0.9)) == [(3, 8, "B")]
    assert spans(finding(3, 8, "B"), finding(3, 8, "A")) == [(3, 8, "A")]
    assert spans(finding(3, 8), finding(0, 5)) == [(0, 5, "A"), (5, 8, "A")]
    assert spans(finding(0, 5), finding(5, 8)) == [(0, 5, "A"), (5, 8, "A")]
    assert spans(finding(2, 2)) == []


def test_what_reaches_beyond_the_winner_is_not_released():
    text = "Jane Roe jane@acme.com"
    left = resolve_overlaps(text, [finding(0, 13, "PERSON"), finding(9, 22, "EMAIL_ADDRESS", 1.0)])
    assert [(text[f.start : f.end], f.type) for f in left] == [
        ("Jane Roe", "PERSON"),
        ("jane@acme.com", "EMAIL_ADDRESS"),
    ]
    assert len(resolve_overlaps("abc, def", [finding(0, 4), finding(4, 8), finding(0, 5)])) == 2


@given(st.text("a. ", min_size=60, max_size=60), FINDINGS, st.randoms())
def test_resolved_findings_are_apart_and_cover_all(text, findings, random):
    kept = resolve_overlaps(text, findings)
    assert all(a.end <= b.start for a, b in pairwise(kept))
    covered = {at for f in kept for at in range(f.start, f.end)}
    for f in findings:
        assert all(at in covered for at in range(f.start, f.end) if text[at] == "a")
        same = [k for k in kept if k.start <= f.start and f.end <= k.end]
        assert f in kept or not same or any(k.end - k.start >= f.end - f.start for k in same)
    shuffled = findings[:]
    random.shuffle(shuffled)
    assert resolve_overlaps(text, shuffled) == kept
    assert resolve_overlaps(text, kept) == kept


def in_order_of_rank(text, findings, actions):
    """`resolve_overlaps`, finding by finding, each against all that were ranked before it."""

    def rank(f):
        kept = action_of(f, actions) == "keep"
        return (kept, f.start - f.end, -f.score, f.type, f.start, f.origin, f.stands_for)

    claimed, resolved = Spans(), []
    for f in sorted(findings, key=rank):
        resolved += [f._replace(start=a, end=b) for a, b in claimed.uncovered(text, f.start, f.end)]
        claimed.add(f.start, f.end)
    return sorted(resolved, key=lambda f: f.start)


@given(st.text("a. ", min_size=60, max_size=60), FINDINGS)
def test_findings_that_meet_are_resolved_as_all_together_would_be(text, findings):
    actions = {"A": "keep", "B": "surrogate"}
    assert resolve_overlaps(text, findings, actions) == in_order_of_rank(text, findings, actions)


@given(st.text("a. ", min_size=60, max_size=60), FINDINGS, FINDINGS)
def test_a_reserved_value_in_more_than_itself_is_dropped(text, findings, reserved):
    reserved = [f._replace(type=RESERVED_VALUE) for f in reserved if f.start < f.end]
    left = {f for f in prefer_markers(text, [*findings, *reserved]) if f.type == RESERVED_VALUE}

    def more(f, marker):
        within = f.start <= marker.start and marker.end <= f.end
        return within and "a" in text[f.start : marker.start] + text[marker.end : f.end]

    assert left == {one for one in reserved if not any(more(f, one) for f in findings)}


# Replacing.


@given(st.text(max_size=40), FINDINGS, st.text(max_size=3))
def test_replacing_slices_the_right_text(text, findings, new):
    kept = resolve_overlaps(text, [f for f in findings if f.end <= len(text)])
    out = edited_text(text, [Edit(f.start, f.end, new) for f in kept])
    assert len(out) == len(text) + sum(len(new) - (f.end - f.start) for f in kept)
    there = 0
    here = 0
    for f in kept:
        assert out[there : there + f.start - here] == text[here : f.start]
        there += f.start - here
        assert out[there : there + len(new)] == new
        there, here = there + len(new), f.end
    assert out[there:] == text[here:]


@pytest.mark.parametrize(
    "edits", [[Edit(2, 4, ""), Edit(3, 5, "")], [Edit(4, 3, "")], [Edit(0, 9, "")]]
)
def test_edits_that_overlap_or_leave_the_text(edits):
    with pytest.raises(ValueError, match="in order, disjoint and within"):
        edited_text("abcde", edits)


def test_findings_that_overlap_or_leave_the_text():
    for findings in ([finding(0, 3), finding(2, 4)], [finding(0, 9)], [finding(1, 1)]):
        with pytest.raises(ValueError, match="as resolve"):
            apply("abcde", findings, {}, KEY, 1)


# Actions.

TEXT = "Mail jane@acme.com or call."
MAIL = finding(5, 18, "EMAIL_ADDRESS")


def one(action):
    return apply(TEXT, [MAIL], {"EMAIL_ADDRESS": action}, KEY, 1)


def test_each_action():
    assert one("keep").text == TEXT
    assert one("remove").text == "Mail or call."
    assert one("mask").text == "Mail ****@****.*** or call."
    assert one("placeholder").text == "Mail [EMAIL_ADDRESS] or call."
    assert re.fullmatch(r"Mail \[EMAIL_ADDRESS:[0-9a-f]{16}\] or call\.", one("hash").text)
    mail = surrogate("jane@acme.com", "EMAIL_ADDRESS", KEY)
    assert one("surrogate").text == f"Mail {mail} or call."
    rejected = one("reject-document")
    assert rejected.rejected_for == ("EMAIL_ADDRESS",)
    assert (rejected.applied, rejected.edits) == ((), ())
    for action in set(ACTIONS) - {"reject-document"}:
        (applied,) = one(action).applied
        assert (applied.finding, applied.action) == (MAIL, action)


def test_replacements_are_at_hand_for_counting():
    (applied,) = one("surrogate").applied
    assert applied.replacement == surrogate("jane@acme.com", "EMAIL_ADDRESS", KEY)
    assert one("keep").applied[0].replacement == one("remove").applied[0].replacement == ""


def test_dates_and_ages_that_an_earlier_scrubbing_moved():
    text = "seen 2151-07-16, aged 300"
    findings = [finding(5, 15, "SHIFTED_DATE"), finding(22, 25, "SURROGATE_AGE")]
    out = apply(text, findings, {}, KEY, 1).text
    assert re.fullmatch(r"seen 21\d\d-\d\d-\d\d, aged 8[6-9]", out)
    assert (
        drop_own_surrogates(
            out, [finding(5, 15, "SHIFTED_DATE"), finding(22, 24, "SURROGATE_AGE")], KEY
        )
        == []
    )


def test_white_space_at_the_ends_of_a_finding_stays():
    edited = apply("a jane@acme.com b", [finding(1, 16, "EMAIL_ADDRESS")], {}, KEY, 1)
    assert re.fullmatch(r"a \S+@\S+ b", edited.text)


def test_the_default_is_surrogate_and_can_be_set():
    assert apply(TEXT, [MAIL], {}, KEY, 1).applied[0].action == "surrogate"
    assert apply(TEXT, [MAIL], {"*": "mask"}, KEY, 1).applied[0].action == "mask"
    assert apply(TEXT, [MAIL], {"*": "mask", "EMAIL_ADDRESS": "keep"}, KEY, 1).text == TEXT


def test_an_unknown_action():
    with pytest.raises(ValueError, match="is 'delete'; it must be one of keep, remove"):
        apply(TEXT, [MAIL], {"URL": "delete"}, KEY, 1)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a X b", "a b"), ("a X, b", "a, b"), ("a X.", "a."), ("X b", "b"), ("a X", "a"),
        ("a (X) b", "a b"), ("a (X).", "a."), ('said "X" twice', 'said "" twice'),
        ("a (X, b)", "a (, b)"), ("a ( X b)", "a (b)"), ("a\nX\nb", "a\nb"),
        ("a\n\nX\n\nb", "a\n\nb"), ("X\nb", "b"), ("a\nX", "a"), ("a\n  X  \nb", "a\nb"),
        ("a X\nb", "a\nb"), ("a\nX b", "a\nb"), ("a X X b", "a b"), ("a X X.", "a."),
        ("a\nX X\nb", "a\nb"), ("aXb", "ab"), ("X", ""), ("a\n  X b", "a\n  b"),
        ("a: X; b", "a:; b"), ("a  X  b", "a  b"), ("(X) (X)", ""), ("a\tX\tb", "a\t\tb"),
        ("a X X", "a"),
    ],
)  # fmt: skip
def test_removing_repairs_the_white_space(text, left):
    findings = [finding(m.start(), m.end()) for m in re.finditer("X", text)]
    assert apply(text, findings, {"A": "remove"}, KEY, 1).text == left


@given(st.text("aX .,()\n", max_size=30))
def test_removing_leaves_everything_else(text):
    findings = [finding(m.start(), m.end()) for m in re.finditer("X", text)]
    out = apply(text, findings, {"A": "remove"}, KEY, 1)
    kept = [sign for sign in text if sign in "a.,"]
    assert [sign for sign in out.text if sign in "a.,"] == kept
    assert edited_text(text, out.edits) == out.text
    if not findings:
        assert out.text == text


# Markers.


def marked(text):
    return [f for f in find(text) if f.type == "DEID_MARKER"]


def test_markers_get_a_surrogate_of_what_they_stand_for():
    text = "[**Name 1**] saw [**Name 2**] and [**Name 1**] on [**2151-7-16**]. ___ too."
    edited = apply(text, marked(text), {}, KEY, "d")
    name = r"([A-Z]\w+ [A-Z]\w+)"
    shape = rf"{name} saw {name} and {name} on \d{{4}}-\d\d-\d\d\. too\."
    names = re.fullmatch(shape, edited.text)
    assert names[1] == names[3] != names[2]
    assert is_surrogate(names[1], "PERSON", KEY)
    assert [a.action for a in edited.applied] == ["surrogate"] * 4 + ["remove"]
    assert apply(text, marked(text), {}, KEY, "e").text != edited.text


def test_actions_for_markers():
    text = "by [**Name 1**]."
    assert apply(text, marked(text), {"DEID_MARKER": "keep"}, KEY, 1).text == text
    assert apply(text, marked(text), {"DEID_MARKER": "remove"}, KEY, 1).text == "by."
    assert apply(text, marked(text), {"PERSON": "placeholder"}, KEY, 1).text == "by [PERSON]."


# Scrubbing twice.

PIECES = st.one_of(
    st.sampled_from(
        [SAMPLE_VALUES[t] for t in ("EMAIL_ADDRESS", "CREDIT_CARD", "US_SSN", "IP_ADDRESS")]
    ),
    st.sampled_from(["jane.roe@acme.com", "bob@x.co.uk", "https://acme.com/users/bob?id=12345"]),
    st.sampled_from(["+44 20 7123 4567", "(415) 736-5000", "536-90-4399", "81.2.69.160"]),
    st.sampled_from(["2a00:1450:4001::68", "12345678", "340020013", "Name: Jane Roe"]),
    st.sampled_from(["[**Name 1**]", "[**2151-7-16**]", "___", "hello", "(", ")", ".", "\n", "é"]),
    st.dates(dates.date(1950, 1, 1), dates.date(2030, 1, 1)).map(str),
    st.dates(dates.date(1950, 1, 1), dates.date(2030, 1, 1)).map(lambda d: f"{d.day} {d:%B %Y}"),
    st.emails(),
)
TEXTS = st.lists(PIECES, max_size=12).map("; ".join)


@given(TEXTS)
@examples(300)
def test_scrubbing_twice_changes_nothing(text):
    once = scrub(text)
    again = scrub(once.text, document="d")
    assert again.text == once.text
    assert again.applied == ()
    assert scrub(text).text == once.text


@given(TEXTS)
@examples(200)
def test_nothing_that_was_found_is_left(text):
    once = scrub(text)
    for one_ in once.applied:
        value = text[one_.finding.start : one_.finding.end]
        if len(value) > 3 and value not in SAMPLE_VALUES.values():
            assert value not in once.text


def test_another_key_scrubs_again():
    text = "Mail jane@acme.com and pay 4539-5787-6362-1486."
    once = scrub(text)
    assert scrub(once.text, OTHER).text != once.text
    assert scrub(text, OTHER).text != once.text


def test_what_lies_within_a_surrogate_is_no_finding():
    mail = surrogate("jane.roe@acme.com", "EMAIL_ADDRESS", KEY)
    text = f"x {mail}, y"
    all_ = [
        finding(2, 2 + len(mail), "EMAIL_ADDRESS"), finding(2, 9, "URL"), finding(4, 8, "PERSON"),
        finding(2, 3 + len(mail), "URL"), finding(0, 2 + len(mail), "PERSON"),
        finding(len(text) - 1, len(text), "PERSON"),
    ]  # fmt: skip
    assert drop_own_surrogates(text, all_, KEY) == all_[4:]
    assert drop_own_surrogates(text, all_[1:], OTHER) == all_[1:]


def test_dates_are_told_together():
    text = "Born 1980-05-06, seen 14 March 2009 and 2010."
    once = scrub(text)
    assert once.text != text
    assert re.fullmatch(r"Born \d{4}-\d\d-\d\d, seen \d+ [A-Z]\w+ \d{4} and 2010\.", once.text)
    assert drop_own_surrogates(once.text, find(once.text), KEY) == []
    assert len(drop_own_surrogates(once.text.replace("14", "13"), find(text), KEY)) in {0, 2}
    kept = apply(text, resolve_overlaps(text, find(text)), {"DATE_TIME": "keep"}, KEY, 1)
    assert kept.text == text


@pytest.fixture(scope="module")
def presidio():
    nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "no_op"}])
    nlp.load()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=nlp)
    engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])

    def find(text):
        found = engine.analyze(text, language="en")
        return [Finding(r.start, r.end, r.entity_type, r.score, "presidio") for r in found]

    return find


def test_scrubbing_twice_with_presidio(presidio):
    """All that its default recognizers say, at any score."""
    fake = Faker()
    fake.seed_instance(8)
    makers = (
        fake.email, fake.phone_number, fake.credit_card_number, fake.iban, fake.ipv4, fake.ipv6,
        fake.mac_address, fake.uuid4, fake.ssn, fake.url, fake.date, fake.bban, fake.aba,
        lambda: fake.date_time().strftime("%m/%d/%Y"), lambda: fake.bothify("?########").upper(),
        lambda: f"{fake.date_time().isoformat()}Z", fake.name, fake.address,
    )  # fmt: skip
    for document in range(40):
        maker = fake.random_element
        text = ". ".join(f"{fake.sentence()} {maker(makers)()}" for _ in range(6))
        findings = resolve_overlaps(text, drop_own_surrogates(text, presidio(text), KEY))
        once = apply(text, findings, {}, KEY, document).text
        assert drop_own_surrogates(once, presidio(once), KEY) == []
        assert not [f for f in findings if text[f.start : f.end] in once]
