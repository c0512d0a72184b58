"""Models for entities: names, places and what else a language model finds.

`Config.ner` names one: "transformers:NAME", "spacy:NAME" or "gliner:NAME", where NAME is an
installed model (of the Hugging Face cache, but for spaCy) or a folder. Nothing is ever downloaded.

Texts are cut into windows (pii.ner.windows) and the windows read in batches; where each batch group
is read is the engine's affair (pii.ner.stages). What is found goes, with the text, to the detectors
(pii.scanner), which treat it as findings of their own.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from unrote.corpus import openmp  # noqa: F401 - before torch
from unrote.corpus.extras import require
from unrote.corpus.tables import tuples_of
from unrote.pii.config import Config
from unrote.pii.findings import Finding

if TYPE_CHECKING:
    from unrote.pii.ner.windows import Cutter, EntityModel

Entities = list[Finding]
"""Of one text, by offset, in code points of the text as it was given."""


@dataclass(frozen=True)
class Model:
    """Which model, where it runs, and what its labels stand for. Small: it travels to workers.

    name: as `Config.ner`. device: auto, cuda, cuda:N, mps or cpu. labels: of `Config.ner_labels`.
    """

    name: str
    device: str = "auto"
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, config: Config) -> "Model":
        """The one that a configuration names."""
        return cls(config.ner, config.ner_device, config.ner_labels)


@dataclass(frozen=True)
class LoadedModel:
    """What a manifest holds of a model, and stages need to know.

    device: "cpu", "cuda" or "mps"; digest: of its files; width: of its windows; entities: the types
    that it can find; ignored: its labels that stand for none.
    """

    device: str = "cpu"
    digest: str = ""
    width: int = 0
    entities: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def load_model(model: Model) -> LoadedModel:
    """Loads and checks a model, so that a run fails before it starts.

    Raises ConfigError where it is not on this machine, or what reads it is not installed.
    """
    loaded = _loaded(model)
    return LoadedModel(
        loaded.device, digest_of(model.name), loaded.width, loaded.entities, loaded.ignored
    )


_DEVICE = threading.Lock()


@contextmanager
def only_model(model: Model) -> Iterator["EntityModel"]:
    """A model, loaded once for a process, for one thread at a time and with all cores: neither a
    device nor torch on all cores has a use for two. Raises ConfigError as `load_model`.
    """
    with _DEVICE:
        loaded = _loaded(model)
        if not model.name.startswith("spacy:"):
            import torch  # noqa: PLC0415 (loads slowly)

            torch.set_num_threads(os.cpu_count() or 1)  # Spark allows its workers one otherwise
        yield loaded


@lru_cache(maxsize=2)
def _loaded(model: Model) -> "EntityModel":
    engine, _, name = model.name.partition(":")
    labels = dict(model.labels)
    if engine == "spacy":
        from unrote.pii.ner.spacy_model import SpacyModel  # noqa: PLC0415 (loads what it is for)

        return SpacyModel(name, model.device, labels)
    require("score", f"Finding names with {model.name} (pii.ner)", "leave pii.ner empty")
    if engine == "gliner":
        from unrote.pii.ner.gliner_model import GlinerModel  # noqa: PLC0415

        return GlinerModel(name, model.device, labels)
    from unrote.pii.ner.token_classifier import TokenClassifier  # noqa: PLC0415

    return TokenClassifier(name, model.device, labels)


@lru_cache(maxsize=2)
def cutter_of(name: str, width: int) -> "Cutter":
    """What cuts texts into windows of `width` for the model `name`. Raises ConfigError as
    `load_model`.
    """
    engine, _, model = name.partition(":")
    if engine == "transformers":
        from unrote.pii.ner.tokens import TokenCutter  # noqa: PLC0415 (loads torch)

        return TokenCutter(model, width)
    from unrote.pii.ner.windows import TextCutter  # noqa: PLC0415

    return TextCutter(width)


def digest_of(name: str) -> str:
    """Of the files of the model `name`: what its answers depend on, besides the device."""
    engine, _, model = name.partition(":")
    if engine == "spacy":
        from unrote.pii.ner.spacy_model import digest  # noqa: PLC0415

        return digest(model)
    from unrote.corpus.pretrained import digest as digest_of_folder  # noqa: PLC0415
    from unrote.corpus.pretrained import folder_of  # noqa: PLC0415

    return digest_of_folder(folder_of(model))


def origin_of(name: str) -> str:
    """What findings of the model `name` have as origin: no path of this machine."""
    engine, _, model = name.partition(":")
    return f"{engine}:{os.path.basename(model.rstrip('/'))}"


def entities_of(texts: Sequence[str], config: Config) -> list[Entities]:
    """What the model of `config` finds in each text; without a model nothing.

    Raises ConfigError as `load_model`, and RunError where the model cannot read a text.
    """
    found: list[Entities] = [[] for _ in texts]
    if not config.ner or not texts:
        return found
    with only_model(Model.of(config)) as model:
        cutter = cutter_of(config.ner, model.width)
        readable = [text if len(text) <= config.max_chars else "" for text in texts]
        windows = cutter.cut(readable, config.normalization)
        rows = model.find(windows)
    origin = origin_of(config.ner)
    of_text = windows["text_index"].to_pylist()
    for window, start, end, type_, score in tuples_of(
        rows, "window", "start", "end", "type", "score"
    ):
        found[of_text[window]].append(Finding(start, end, type_, score, origin))
    return [merged(of) for of in found]


def merged(entities: Sequence[Finding]) -> Entities:
    """Entities by offset, where those of a type that overlap are one, with the higher score."""
    joined: list[Finding] = []
    for one in sorted(entities, key=lambda entity: (entity.type, entity.start, entity.end)):
        last = joined[-1] if joined else None
        if last is not None and last.type == one.type and one.start < last.end:
            score = max(last.score, one.score)
            joined[-1] = last._replace(end=max(last.end, one.end), score=score)
        else:
            joined.append(one)
    return sorted(joined)
