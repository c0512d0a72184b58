"""Pipelines of spaCy, in batches: any with entities (`doc.ents`), trained or by rules."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from unrote.corpus.errors import ConfigError
from unrote.pii.ner.labels import entities_by_label
from unrote.pii.ner.windows import entities_in_text

WIDTH = 10_000
"""Code points in a window: far fewer than spaCy's limit of a million, and many sentences."""

BATCH = 32
"""Windows in a batch."""

SCORE = 0.85
"""Of every entity, as in Presidio: spaCy gives none."""


class SpacyModel:
    """An EntityModel (pii.ner.windows): an installed pipeline, or one in a folder.

    Raises ConfigError where spaCy, the pipeline or the device is not there.
    """

    def __init__(self, name: str, device: str, labels: Mapping[str, str]) -> None:
        self.width = WIDTH
        self.device = _use(device)
        self._pipeline = _load(name)
        names = {
            label for names in self._pipeline.pipe_labels.values() for label in map(str, names)
        }
        entities = {
            str(label)
            for pipe, names in self._pipeline.pipe_labels.items()
            if hasattr(self._pipeline.get_pipe(pipe), "labels")
            and _gives_entities(self._pipeline, pipe)
            for label in names
        }
        self._entities, self.ignored = entities_by_label(
            sorted(entities or names), labels, f"the spaCy pipeline {name!r}"
        )
        self.entities = tuple(sorted(set(self._entities.values())))

    def find(self, windows: pa.RecordBatch) -> pa.RecordBatch:
        """The entities in windows, as of an EntityModel."""
        return entities_in_text(windows, self._spans)

    def _spans(self, texts: Sequence[str]) -> Iterator[list[tuple[int, int, str, float]]]:
        for doc in self._pipeline.pipe(texts, batch_size=BATCH):
            yield [
                (entity.start_char, entity.end_char, self._entities[entity.label_], SCORE)
                for entity in doc.ents
                if entity.label_ in self._entities
            ]


def _gives_entities(pipeline: Any, pipe: str) -> bool:
    return "doc.ents" in pipeline.get_pipe_meta(pipe).assigns


def _spacy() -> Any:
    try:
        import spacy  # noqa: PLC0415 (only where it is asked for)
    except ImportError:
        raise ConfigError(
            "pii.ner names a spaCy pipeline, and spaCy is not installed: pip install spacy."
        ) from None
    return spacy


def _folder(name: str) -> Path:
    """Where a pipeline's files are. Raises ConfigError where it is not there."""
    spacy = _spacy()
    if Path(name).is_dir():
        return Path(name)
    if not spacy.util.is_package(name):
        raise ConfigError(
            f"pii.ner: there is no folder and no installed spaCy pipeline {name!r}. Install it "
            f"(python -m spacy download {name}) or name a folder; nothing is downloaded by itself."
        )
    return Path(spacy.util.get_package_path(name))


def _load(name: str) -> Any:
    folder = _folder(name)
    try:
        return _spacy().load(name)
    except Exception as error:  # any: what a broken pipeline makes a library raise has no end
        raise ConfigError(
            f"The spaCy pipeline in {str(folder)!r} cannot be loaded ({type(error).__name__}). It "
            "must be one of this version of spaCy, with what it needs installed."
        ) from error


def _use(device: str) -> str:
    """Readies a device for pipelines; what it is. Raises ConfigError where it is not there."""
    spacy = _spacy()
    kind, _, number = device.partition(":")
    if kind == "cuda":
        try:
            spacy.require_gpu(int(number or 0))
        except ValueError:
            raise ConfigError(
                f"pii.ner_device = {device!r}: spaCy has no such GPU (it needs cupy). Give cpu."
            ) from None
        return "cuda"
    if kind == "auto" and spacy.prefer_gpu():
        return "cuda"
    return "cpu"


def digest(name: str) -> str:
    """BLAKE2b (hex) of a pipeline's files."""
    folder, state = _folder(name), hashlib.blake2b(digest_size=16)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if "__pycache__" not in path.parts:
            state.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                state.update(hashlib.file_digest(file, "blake2b").digest())
    return state.hexdigest()
