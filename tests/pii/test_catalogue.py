import inspect
from functools import cache

import pytest

pytest.importorskip("presidio_analyzer")

from presidio_analyzer import PatternRecognizer, RecognizerRegistry, predefined_recognizers
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from unrote.corpus.errors import ConfigError
from unrote.pii.catalogue import COUNTRIES, ENTRIES, PRESETS, Entry, build, resolve
from unrote.pii.presidio import load


def installed():
    for name, made in vars(predefined_recognizers).items():
        if inspect.isclass(made) and issubclass(made, (PatternRecognizer, PhoneRecognizer)):
            yield name, made()


def default_registry():
    nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    nlp.load()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=nlp)
    return {recognizer.supported_entities[0]: recognizer for recognizer in registry.recognizers}


def test_the_table_is_what_presidio_has():
    theirs = {
        (made.supported_entities[0], name, made.country_code() or "") for name, made in installed()
    }
    assert {(e.entity, e.recognizer, e.country) for e in ENTRIES} == theirs


def test_every_entity_has_one_recogniser():
    assert len({entry.entity for entry in ENTRIES}) == len(ENTRIES)


def test_default_is_presidios_default_for_english():
    assert set(PRESETS["default"]) == set(default_registry())


@cache
def registered():
    """As Presidio's registry loads them."""
    return default_registry() | {e: r for e, r in load(ENTRIES).items() if e not in by_default()}


def by_default():
    return {entry.entity for entry in ENTRIES if entry.default}


def described(recognizer):
    """All that decides what a recogniser finds: its class, and the state it was given."""
    state = {name: value for name, value in vars(recognizer).items() if name not in UNLIKE}
    state["patterns"] = [pattern.to_dict() for pattern in getattr(recognizer, "patterns", [])]
    return type(recognizer), state


UNLIKE = ("_id", "validate_result")
"""Made anew for each; and what is made to stay off the network, or to log no text."""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.entity)
def test_recognisers_are_built_as_presidios_registry_builds_them(entry):
    """Class, flags, patterns and scores, context, entity, language, and all else they hold."""
    ours, theirs = build(entry), registered()[entry.entity]
    kind, state = described(ours)
    their_kind, their_state = described(theirs)
    assert kind is their_kind
    assert state.keys() == their_state.keys()
    for name, value in state.items():
        assert comparable(value) == comparable(their_state[name]), name
    if isinstance(theirs, PatternRecognizer):
        assert ours.global_regex_flags == RecognizerRegistry().global_regex_flags


def comparable(value):
    """What a value says, where two of a kind are not equal."""
    if isinstance(value, list | tuple):
        return [comparable(one) for one in value]
    if isinstance(value, int | str | float | dict | set | frozenset | type(None)):
        return value
    return type(value)


def test_the_kelvin_sign_is_not_logged(caplog):
    """Presidio logs an IBAN that is no number."""
    iban = next(entry for entry in ENTRIES if entry.entity == "IBAN_CODE")
    text = "DE63\u212a00105175407364262"
    assert not build(iban).analyze(text, ["IBAN_CODE"])
    assert not caplog.records
    assert not registered()["IBAN_CODE"].analyze(text, ["IBAN_CODE"])
    assert text in caplog.text


def test_names_are_entities_countries_and_presets():
    assert [e.entity for e in resolve(("US_SSN", "EMAIL_ADDRESS"))] == ["EMAIL_ADDRESS", "US_SSN"]
    assert {e.country for e in resolve(("de", "ZA"))} == {"de", "za"}
    assert resolve(("all",)) == ENTRIES
    assert len(COUNTRIES) == 18
    assert set(PRESETS["hipaa"]) <= set(PRESETS["all"])


@pytest.mark.parametrize(
    ("name", "hint"), [("US_SNN", "US_SSN"), ("defualt", "default"), ("hippa", "hipaa")]
)
def test_an_unknown_name_lists_what_exists(name, hint):
    with pytest.raises(ConfigError, match=f"(?s)Did you mean '{hint}'.*default.*za.*EMAIL_ADDRESS"):
        resolve((name,))


def test_a_recogniser_that_is_not_installed():
    with pytest.raises(ConfigError, match="presidio-analyzer has no Gone"):
        build(Entry("X", "Gone", ""))
