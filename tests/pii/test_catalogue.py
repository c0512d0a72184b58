import inspect

import pytest

pytest.importorskip("presidio_analyzer")

from presidio_analyzer import PatternRecognizer, RecognizerRegistry, predefined_recognizers
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from corpus.errors import ConfigError
from pii.catalogue import COUNTRIES, ENTRIES, PRESETS, Entry, build, resolve


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


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.default], ids=lambda e: e.entity)
def test_default_recognisers_are_built_as_presidio_builds_them(entry):
    ours, theirs = build(entry), default_registry()[entry.entity]
    assert (type(ours), ours.context, ours.name) == (type(theirs), theirs.context, theirs.name)
    assert [p.regex for p in getattr(ours, "patterns", [])] == [
        p.regex for p in getattr(theirs, "patterns", [])
    ]


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
