"""The same findings by Presidio's AnalyzerEngine: the reference that `Detector` is compared with,
in tests and benchmarks. Secrets and models for names are not Presidio's default and are left out.
"""

from collections.abc import Iterable
from typing import Any

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpEngine, NoOpNlpEngine
from presidio_analyzer.recognizer_registry.recognizers_loader_utils import (
    RecognizerConfigurationLoader,
    RecognizerListLoader,
)

from unrote.pii.catalogue import Entry, without_network
from unrote.pii.config import Config
from unrote.pii.context import LowerCaseNlpEngine

Result = tuple[int, int, str, float]


def analyzer_engine(config: Config) -> AnalyzerEngine:
    """An AnalyzerEngine with the recognisers, thresholds and context of `config`."""
    nlp: NlpEngine = LowerCaseNlpEngine()
    if not config.context:
        nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
        nlp.load()
    registry = RecognizerRegistry(supported_languages=["en"])
    for entity, recognizer in load(config.entries).items():
        recognizer.score_thresholds = {entity: config.threshold_of(entity)}
        registry.add_recognizer(recognizer)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


def load(entries: Iterable[Entry]) -> dict[str, Any]:
    """By entity the recognisers as Presidio's registry loads them for English, and not as we build
    them. Those that its configuration has switched off, or has for other languages, are switched
    on; none may reach the network.
    """
    names = {entry.recognizer for entry in entries}
    settings = RecognizerConfigurationLoader.get(
        registry_configuration={"supported_languages": ["en"]}
    )
    settings["recognizers"] = [
        {**one, "enabled": True, "supported_languages": _english(one.get("supported_languages"))}
        for one in settings["recognizers"]
        if one["name"] in names
    ]
    loaded = {one.supported_entities[0]: one for one in RecognizerListLoader.get(**settings)}
    return {entity: without_network(entity, one) for entity, one in loaded.items()}


def _english(languages: list[Any] | None) -> list[Any]:
    """A recogniser's entry for English: a name, or a dictionary with its context words."""
    named = [one for one in languages or () if not isinstance(one, str)]
    return [one for one in named if one["language"] == "en"] or ["en"]


def analyze(engine: AnalyzerEngine, text: str, config: Config) -> list[Result]:
    """(start, end, type, score) of every finding, by offset."""
    options: dict[str, Any] = {}
    if config.allow_regex:
        options = {"allow_list": list(config.allow_regex), "allow_list_match": "regex"}
    elif config.allow:
        options = {"allow_list": list(config.allow)}
    results = engine.analyze(text=text, language="en", **options)
    return sorted((r.start, r.end, r.entity_type, r.score) for r in results)
