"""Named entities: names, locations and what else a language model finds, by Presidio's engines.

Models are named "spacy:NAME", "transformers:NAME" or "gliner:NAME", where NAME is an installed
model (of the Hugging Face cache, for the latter two) or a folder. Nothing is ever downloaded:
Presidio's spaCy engine would fetch a model that is missing, so it is looked for first.

What a spaCy pipeline's labels are called follows Presidio's mapping (GPE becomes LOCATION, ORG
becomes ORGANIZATION); labels that it does not know, or is configured to ignore, are no findings.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"

from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import GLiNERRecognizer, SpacyRecognizer

from unrote.corpus.errors import ConfigError
from unrote.pii.recognizers import Expression, Span


class Ner:
    """One model as a recogniser of one entity (pii.recognizers); a model is run once a text."""

    within_lines = False
    expressions: tuple[Expression, ...] = ()
    weak: frozenset[int] = frozenset()

    def __init__(self, entity: str, model: "Model") -> None:
        self.entity = entity
        self.origin = model.origin
        self.context: list[str] = []
        self._model = model

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:  # noqa: ARG002
        return self._model.find(text).get(self.entity, [])


class Model:
    """A loaded model; remembers what it found in the last text, for the next entity."""

    def __init__(self, origin: str, entities: Sequence[str], analyze: Any) -> None:
        self.origin = origin
        self.entities = tuple(sorted(entities))
        self._analyze = analyze
        self._last: tuple[str, dict[str, list[Span]]] | None = None

    def find(self, text: str) -> dict[str, list[Span]]:
        if self._last is not None and self._last[0] is text:
            return self._last[1]
        found: dict[str, list[Span]] = {}
        for result in self._analyze(text):
            span = Span(result.start, result.end, float(result.score))
            found.setdefault(result.entity_type, []).append(span)
        self._last = (text, found)
        return found


def load(ner: str) -> Model:
    """The model that `Config.ner` names. Raises ConfigError where it is not on this machine."""
    engine, _, name = ner.partition(":")
    loaders = {"spacy": _spacy, "transformers": _transformers, "gliner": _gliner}
    return loaders[engine](name)


def recognizers(model: Model) -> list[Ner]:
    return [Ner(entity, model) for entity in model.entities]


def _spacy(name: str) -> Model:
    import spacy  # noqa: PLC0415 (only where it is asked for)

    if not Path(name).is_dir() and not spacy.util.is_package(name):
        raise ConfigError(
            f"ner: there is no folder and no installed spaCy model {name!r}. Install it "
            f"(python -m spacy download {name}) or name a folder; nothing is downloaded by itself."
        )
    engine: Any = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": name}])
    engine.nlp = {"en": spacy.load(name)}
    return _through(engine, f"spacy:{Path(name).name}")


def _through(engine: Any, origin: str) -> Model:
    """A model whose entities come with an NLP engine's artefacts."""
    entities = engine.get_supported_entities()
    recognizer = SpacyRecognizer(supported_entities=entities, supported_language="en")

    def analyze(text: str) -> Any:
        return recognizer.analyze(text, entities, engine.process_text(text, "en"))

    return Model(origin, entities, analyze)


def _transformers(name: str) -> Model:
    _stay_offline()
    try:
        import spacy  # noqa: PLC0415
        from presidio_analyzer.nlp_engine import TransformersNlpEngine  # noqa: PLC0415

        with TemporaryDirectory() as blank:
            spacy.blank("en").to_disk(blank)  # Presidio wants a spaCy pipeline beside the model
            names = {"spacy": blank, "transformers": name}
            engine = TransformersNlpEngine(models=[{"lang_code": "en", "model_name": names}])
            engine.load()
    except (ImportError, OSError, ValueError) as error:
        packages = "spacy-huggingface-pipelines transformers torch"
        raise ConfigError(_unavailable("transformers", name, packages, error)) from None
    return _through(engine, f"transformers:{Path(name).name}")


def _gliner(name: str) -> Model:
    _stay_offline()
    try:
        recognizer = GLiNERRecognizer(model_name=name, supported_language="en")
    except (ImportError, OSError, ValueError) as error:
        raise ConfigError(_unavailable("gliner", name, "gliner", error)) from None
    entities = recognizer.supported_entities
    return Model(
        f"gliner:{Path(name).name}", entities, lambda text: recognizer.analyze(text, entities, None)
    )


def _stay_offline() -> None:
    """As above, where somebody imported these packages before."""
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


def _unavailable(engine: str, name: str, packages: str, error: Exception) -> str:
    return (
        f"ner: the {engine} model {name!r} cannot be loaded ({type(error).__name__}). Install "
        f"{packages}, and put the model into the Hugging Face cache or name a folder; nothing is "
        "downloaded by itself."
    )
