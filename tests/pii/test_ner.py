# ruff: noqa: E402 (what follows needs a package that may be missing)
"""Models for names: a tiny spaCy pipeline, trained here, through Presidio's engine."""

import pytest

spacy = pytest.importorskip("spacy")
pytest.importorskip("presidio_analyzer")

import random

from spacy.training import Example

from tests.pii.detecting import findings_of
from unrote.corpus.errors import ConfigError
from unrote.pii import Config
from unrote.pii.detector import Detector
from unrote.pii.findings import Failure

NAMES = ["Jane Roe", "Ada Byron", "Max Mustermann", "Grace Murray", "Alan Tury", "Ida Rhodes"]
PLACES = ["Berlin", "Paris", "London", "Oslo", "Madrid", "Vienna"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pipeline = spacy.blank("en")
    pipeline.add_pipe("ner")
    examples = []
    for name in NAMES:
        for place in PLACES:
            text = f"My name is {name} and I live in {place}."
            start, at = text.index(name), text.index(place)
            spans = [(start, start + len(name), "PERSON"), (at, at + len(place), "GPE")]
            doc = pipeline.make_doc(text)
            examples.append(Example.from_dict(doc, {"entities": spans}))
    random.seed(0)
    spacy.util.fix_random_seed(0)
    pipeline.initialize(lambda: examples)
    for _ in range(30):
        pipeline.update(examples)
    folder = tmp_path_factory.mktemp("model")
    pipeline.to_disk(folder)
    return folder


def test_names_and_places(model):
    detector = Detector(Config(ner=f"spacy:{model}", secrets=False))
    text = "My name is Jane Roe and I live in Paris.\n\njane@unrote.org."
    found = {(text[f.start : f.end], f.type, f.origin) for f in findings_of(detector, text)}
    assert ("Jane Roe", "PERSON", f"spacy:{model.name}") in found
    assert ("Paris", "LOCATION", f"spacy:{model.name}") in found
    assert ("jane@unrote.org", "EMAIL_ADDRESS", "EmailRecognizer") in found


def test_thresholds_and_limits_hold_for_models(model):
    text = "My name is Jane Roe and I live in Paris."
    strict = Config(ner=f"spacy:{model}", thresholds=(("PERSON", 0.9),), secrets=False)
    assert {f.type for f in findings_of(Detector(strict), text)} == {"LOCATION"}


def test_a_document_that_the_model_refuses_is_a_failure(model):
    detector = Detector(Config(ner=f"spacy:{model}", secrets=False))
    found = detector.find_bytes(b"word " * 200_001)  # spaCy: at most 1,000,000 characters
    assert isinstance(found, Failure)
    assert found.reason == "raised ValueError"


@pytest.mark.parametrize(
    "ner", ["spacy:en_no_such_model", "transformers:/no/such", "gliner:no/such"]
)
def test_a_model_that_is_not_there(ner):
    with pytest.raises(ConfigError, match="nothing is downloaded"):
        Detector(Config(ner=ner))
