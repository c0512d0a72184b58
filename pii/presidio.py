"""The same findings by Presidio's AnalyzerEngine: what `Detector` is compared with.

For tests and benchmarks, and for who wants to see for himself. Secrets and models for names are
not Presidio's default and are left out.
"""

from typing import Any

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpEngine, NoOpNlpEngine

from pii.catalogue import build
from pii.config import Config
from pii.context import LowerCaseNlpEngine

Key = tuple[int, int, str, float]


def analyzer_engine(config: Config) -> AnalyzerEngine:
    """An AnalyzerEngine with the recognisers, thresholds and context of `config`."""
    nlp: NlpEngine = LowerCaseNlpEngine()
    if not config.context:
        nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
        nlp.load()
    registry = RecognizerRegistry(supported_languages=["en"])
    for entry in config.entries:
        recognizer = build(entry)
        recognizer.score_thresholds = {entry.entity: config.threshold_of(entry.entity)}
        registry.add_recognizer(recognizer)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


def analyze(engine: AnalyzerEngine, text: str, config: Config) -> list[Key]:
    """(start, end, type, score) of every finding, by place."""
    options: dict[str, Any] = {}
    if config.allow_regex:
        options = {"allow_list": list(config.allow_regex), "allow_list_match": "regex"}
    elif config.allow:
        options = {"allow_list": list(config.allow)}
    results = engine.analyze(text=text, language="en", **options)
    return sorted((r.start, r.end, r.entity_type, r.score) for r in results)
