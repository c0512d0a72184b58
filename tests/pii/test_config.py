import pickle

import pytest

pytest.importorskip("presidio_analyzer")

from unrote.corpus.errors import ConfigError
from unrote.pii import Config


def test_small_and_picklable():
    config = Config(recognizers=("default", "de"), thresholds=(("US_SSN", 0.2),), ner="spacy:x")
    assert pickle.loads(pickle.dumps(config)) == config
    assert len(pickle.dumps(config)) < 1000


def test_by_entity():
    config = Config(threshold=0.5, thresholds=(("URL", 0.9),), max_chars=10, limits=(("URL", 99),))
    assert (config.threshold_of("URL"), config.threshold_of("UUID")) == (0.9, 0.5)
    assert (config.limit_of("URL"), config.limit_of("UUID")) == (10, 10)


def test_without():
    left = {entry.entity for entry in Config(without=("URL", "us")).entries}
    assert "URL" not in left
    assert not any(entity.startswith("US_") for entity in left)
    assert "PHONE_NUMBER" in left


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"recognizers": ("EMAIL",)}, "'EMAIL'.*Did you mean 'EMAIL_ADDRESS'"),
        ({"recognizers": ("xx",)}, "Countries: au, ca"),
        ({"without": ("URLS",)}, "Did you mean 'URL'"),
        ({"threshold": 1.5}, "1.5"),
        ({"thresholds": (("URl", 0.5),)}, "Did you mean 'URL'"),
        ({"limits": (("NOPE", 5),)}, "'NOPE'"),
        ({"max_chars": 0}, "at least 1"),
        ({"max_seconds": 0}, "above 0"),
        ({"max_seconds": float("nan")}, "above 0"),
        ({"ner": "en_core_web_sm"}, "spacy:en_core_web_sm"),
        ({"allow": ("",)}, "empty"),
        ({"allow_regex": ("(",)}, "not a regular expression"),
    ],
)
def test_errors_say_what_is_wrong(settings, says):
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        Config(**settings)
