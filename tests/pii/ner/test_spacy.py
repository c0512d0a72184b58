"""Pipelines of spaCy: a blank one with rules, through the same windows as all models."""

import pytest
import spacy

from unrote.corpus.errors import ConfigError
from unrote.pii import Config
from unrote.pii.findings import Failure, Finding
from unrote.pii.ner import Model, digest_of, entities_of, load_model
from unrote.pii.scanner import Scanner

TEXT = "My name is Jane Roe and I live in Paris.\n\njane@unrote.org."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pipeline = spacy.blank("en")
    names = {"PERSON": "Jane Roe", "GPE": "Paris", "MONEY": "$5"}
    rules = [{"label": label, "pattern": name} for label, name in names.items()]
    pipeline.add_pipe("entity_ruler").add_patterns(rules)
    folder = tmp_path_factory.mktemp("model") / "rules"
    pipeline.to_disk(folder)
    return f"spacy:{folder}"


def test_names_and_places_beside_what_patterns_find(model):
    scanner = Scanner(Config(ner=model, secrets=False))
    found = {(TEXT[f.start : f.end], f.type, f.score, f.origin) for f in scanner.find(TEXT)}
    assert ("Jane Roe", "PERSON", 0.85, "spacy:rules") in found
    assert ("Paris", "LOCATION", 0.85, "spacy:rules") in found
    assert ("jane@unrote.org", "EMAIL_ADDRESS", 1.0, "EmailRecognizer") in found


def test_labels(model):
    loaded = load_model(Model(model))
    assert (loaded.entities, loaded.ignored) == (("LOCATION", "PERSON"), ("MONEY",))
    assert loaded.digest == digest_of(model)


def test_thresholds_and_allow_lists_hold_for_models(model):
    strict = Config(ner=model, thresholds=(("PERSON", 0.9),), secrets=False)
    assert {f.type for f in Scanner(strict).find(TEXT) if ":" in f.origin} == {"LOCATION"}
    allowing = Config(ner=model, allow=("Jane Roe",), allow_regex=("^par",))
    assert not [f for f in Scanner(allowing).find(TEXT) if ":" in f.origin]


def test_a_long_text_is_read_in_windows(model):
    line = "My name is Jane Roe and I live in Paris.\n"
    (found,) = entities_of([line * 2_000], Config(ner=model))
    assert [one.start for one in found[:4]] == [11, 34, 11 + len(line), 34 + len(line)]
    assert len(found) == 4_000


def test_a_text_beyond_the_limit_is_a_failure(model):
    scanner = Scanner(Config(ner=model, recognizers=(), max_chars=20, secrets=False))
    assert scanner.find(TEXT, 3) == Failure(
        3, "spacy:rules", f"reads at most 20 characters, not {len(TEXT)}"
    )


def test_entities_without_a_letter_or_digit_are_none(model):
    scanner = Scanner(Config(ner=model))
    found = [Finding(0, 2, "PERSON", 0.9, "x"), Finding(3, 4, "PERSON", 0.9, "x")]
    assert scanner.admitted("-- A", found) == found[1:]


@pytest.mark.parametrize("ner", ["spacy:no_such", "transformers:no/such", "gliner:no/such"])
def test_a_model_that_is_not_there(ner):
    with pytest.raises(ConfigError, match=r"nothing is downloaded|GLiNER is not installed"):
        load_model(Model(ner))
