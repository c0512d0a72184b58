"""Recognisers of Presidio's kind from a user's module, named by import path.

`pii.recognizers = ["default", "my_package.module:MyRecognizer"]` names a subclass of Presidio's
EntityRecognizer that is made without arguments, or an instance of one. It is imported where the
detector is opened: in every worker, which has to have the module. A PatternRecognizer runs where
its expressions can match, as Presidio's own do; any other gets each document whole, its `analyze`
no NLP artifacts (None).

Fail closed: what `analyze` raises, and results that name another entity or lie outside the text,
make a Failure of the document.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from presidio_analyzer import EntityRecognizer, PatternRecognizer

from unrote.corpus.errors import ConfigError
from unrote.pii.config import ENTITY_NAME, Config
from unrote.pii.prefilter import unreadable
from unrote.pii.recognizers import Expression, Recognizer, Span, wrap


def load(path: str, config: Config) -> list[Recognizer]:
    """The recogniser that `path` ("module:NAME") names, once for each of its entities.

    Raises ConfigError where it cannot be imported, is no EntityRecognizer, or names no entity.
    """
    made = _made(path, _imported(path))
    entities = list(made.supported_entities or ())
    wrong = [entity for entity in entities if not re.fullmatch(ENTITY_NAME, str(entity))]
    if not entities or wrong:
        what = f"names the entity {wrong[0]!r}" if wrong else "names no entity"
        raise ConfigError(
            f"pii.recognizers: {path} {what}. Its supported_entities are a list of names of "
            "capital letters, digits and underscores, such as CASE_NUMBER."
        )
    if _is_plain(made):
        wrapped = wrap(made, config)
        return [] if wrapped is None else [wrapped]
    shared = _Analysis(made, entities)
    return [_Own(entity, made, shared) for entity in entities]


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found = import_module(module)
    except Exception as error:  # noqa: BLE001 (a user's module may raise anything)
        raise ConfigError(
            f"pii.recognizers: {path}: importing {module} raised {type(error).__name__}: {error}. "
            "Install it for the Python that runs this and its workers, or put its folder on "
            "PYTHONPATH."
        ) from None
    if not hasattr(found, name):
        here = ", ".join(
            sorted(key for key, value in vars(found).items() if _is_recognizer(value)) or ["none"]
        )
        raise ConfigError(
            f"pii.recognizers: {path}: the module {module} has no {name}. Recognisers in it: "
            f"{here}."
        )
    return getattr(found, name)


def _is_recognizer(value: Any) -> bool:
    return isinstance(value, EntityRecognizer) or (
        isinstance(value, type)
        and issubclass(value, EntityRecognizer)
        and value not in {EntityRecognizer, PatternRecognizer}
    )


def _made(path: str, found: Any) -> Any:
    if not _is_recognizer(found):
        raise ConfigError(
            f"pii.recognizers: {path} is of type {type(found).__name__}, no EntityRecognizer of "
            "presidio_analyzer. Name a subclass of it or an instance."
        )
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:  # noqa: BLE001 (as above)
        raise ConfigError(
            f"pii.recognizers: {path}() raised {type(error).__name__}: {error}. It is made without "
            "arguments; name an instance in the module if it needs some."
        ) from None


def _is_plain(made: Any) -> bool:
    """Whether it is a PatternRecognizer of one entity whose expressions Hyperscan can read."""
    return (
        isinstance(made, PatternRecognizer)
        and type(made).analyze is PatternRecognizer.analyze
        and len(made.supported_entities) == 1
        and not made.deny_list
        and not any(unreadable(one.regex, made.global_regex_flags) for one in made.patterns)
    )


class _Analysis:
    """What the recogniser finds in a text; remembered for the next entity."""

    def __init__(self, made: Any, entities: list[str]) -> None:
        self._made = made
        self._entities = entities
        self._last: tuple[str, dict[str, list[Span]]] | None = None

    def of(self, text: str) -> dict[str, list[Span]]:
        if self._last is not None and self._last[0] is text:
            return self._last[1]
        found: dict[str, list[Span]] = {entity: [] for entity in self._entities}
        for result in self._made.analyze(text, self._entities, None) or ():
            if result.entity_type not in found or not 0 <= result.start < result.end <= len(text):
                raise ValueError("a result of another entity, or outside the text")
            found[result.entity_type].append(Span(result.start, result.end, float(result.score)))
        self._last = (text, found)
        return found


class _Own:
    """One entity of a recogniser that reads whole documents (pii.recognizers.Recognizer)."""

    within_lines = False
    expressions: tuple[Expression, ...] = ()
    weak: frozenset[int] = frozenset()

    def __init__(self, entity: str, made: Any, analysis: _Analysis) -> None:
        self.entity = entity
        self.origin = str(made.name)
        self.context = [word.lower() for word in made.context or ()]
        self._analysis = analysis

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:  # noqa: ARG002
        return self._analysis.of(text)[self.entity]
