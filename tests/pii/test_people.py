"""All forms of a person's name have one surrogate in a document."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from unrote.pii.config import actions_for
from unrote.pii.findings import Finding
from unrote.pii.keys import Key
from unrote.pii.scrubbing.actions import apply_actions
from unrote.pii.scrubbing.edits import edited_text
from unrote.pii.scrubbing.own_surrogates import drop_own_surrogates
from unrote.pii.surrogates.names import _classes, family_names, given_names
from unrote.pii.surrogates.people import People

KEY = Key.of("a key of the tests, and of nothing else")

FORMS = ("{g} {s}", "{s}", "{g}", "{i}. {s}", "{s}'s", "{S}", "{g} {S}")


def findings_in(text: str, values: list[str]) -> list[Finding]:
    found, at = [], 0
    for value in values:
        start = text.index(value, at)
        at = start + len(value)
        found.append(Finding(start, at, "PERSON", 1.0, "test"))
    return found


def scrubbed(text: str, values: list[str]) -> str:
    outcome = apply_actions(text, findings_in(text, values), actions_for(), KEY, "d")
    return edited_text(text, outcome.edits)


def filled(form: str, given_name: str, surname: str) -> str:
    return form.format(g=given_name, s=surname, i=given_name[0], S=surname.upper())


NAMES = st.tuples(st.sampled_from(given_names()), st.sampled_from(family_names())).filter(
    lambda name: len({*map(str.lower, name)}) == 2
)


@given(NAMES, st.lists(st.sampled_from(FORMS), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_forms_of_a_name_agree(name, forms):
    forms = ["{g} {s}", *forms]
    values = [filled(form, *name) for form in forms]
    text = " | ".join(values)
    new = scrubbed(text, values)
    given_name, surname = new.split(" | ")[0].split(" ")
    assume(given_name.lower() != name[0].lower())  # by chance; alone it has another then
    assert new.split(" | ") == [filled(form, given_name, surname) for form in forms]
    assert surname.lower() != name[1].lower()


@given(NAMES, st.lists(st.sampled_from(FORMS), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_forms_of_a_surrogate_are_recognised(name, forms):
    values = [filled(form, *name) for form in ["{g} {s}", *forms]]
    new = scrubbed(" | ".join(values), values).split(" | ")
    text = " | ".join(new)
    assert drop_own_surrogates(text, findings_in(text, new), KEY, actions_for()) == []


def test_a_given_name_alone_is_of_the_first_who_has_it():
    text = "Maria Hoffmann, Maria Blom, Maria"
    first, second, third = scrubbed(text, text.split(", ")).split(", ")
    assert third == first.split()[0]
    assert first.split()[1] != second.split()[1]


def test_who_shares_a_surname_keeps_sharing_it():
    text = "Maria Hoffmann, Peter Hoffmann"
    one, other = scrubbed(text, text.split(", ")).split(", ")
    assert one.split()[1] == other.split()[1]
    assert one.split()[0] != other.split()[0]


def test_titles_stay():
    text = "Dr. Maria Hoffmann, Ms Hoffmann, Prof. Hoffmann"
    new = scrubbed(text, text.split(", "))
    assert re.fullmatch(r"Dr\. (\w+) (\w+), Ms \2, Prof\. \2", new)


def test_gender_is_kept_mostly():
    same = wrong = 0
    for name in given_names()[::40]:
        gender = _classes()[name.lower()] & {"male", "female"}
        text = f"{name} Hoffmann"
        new = scrubbed(text, [text]).split()[0]
        if len(gender) == 1:
            same += bool(gender & _classes()[new.lower()])
            wrong += not gender & _classes()[new.lower()]
    assert same > 20 * wrong


@pytest.mark.parametrize("value", ["", "123", "x"])
def test_what_is_no_name_is_nobody(value):
    people = People(["Maria Hoffmann", value])
    assert people.surrogate(value, KEY) is None
    assert not people.has_given(value)
