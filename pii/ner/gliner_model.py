"""Models of GLiNER, in batches: they are asked for labels, and find spans of them.

The labels asked for are those of `Config.ner_labels`, else ASKED.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from unrote.corpus.errors import ConfigError
from unrote.corpus.pretrained import (
    check_weights,
    device_for,
    first_line,
    folder_of,
    is_out_of_memory,
    silent,
)
from unrote.pii.ner.labels import entities_by_label
from unrote.pii.ner.windows import entities_in_text

WIDTH = 1_000
"""Code points in a window: most models read 384 words, and cut off what is behind them."""

BATCH = {"cpu": 8, "mps": 16, "cuda": 64}
"""Windows in a batch."""

ASKED = ("person", "location", "address", "organization")
"""What a model is asked for where nobody says otherwise."""

THRESHOLD = 0.1
"""Score from which a span is told at all; `Config.threshold` decides which count."""


class GlinerModel:
    """An EntityModel (pii.ner.windows): a folder, or a name in the Hugging Face cache.

    labels: those that it is asked for, and the types that they stand for.
    Raises ConfigError where GLiNER, the model or the device is not there.
    """

    def __init__(self, name: str, device: str, labels: Mapping[str, str]) -> None:
        self.width = WIDTH
        where = device_for(device, "pii.ner_device")
        self.device = where.type
        asked = [label for label, entity in labels.items() if entity] or list(ASKED)
        model = f"the GLiNER model {name!r}"
        self._entities, self.ignored = entities_by_label(asked, labels, model)
        self.entities = tuple(sorted(set(self._entities.values())))
        self._labels = list(self._entities)
        self._model = _load(name, str(where))

    def find(self, windows: pa.RecordBatch) -> pa.RecordBatch:
        """The entities in windows, as of an EntityModel."""
        return entities_in_text(windows, self._spans)

    def _spans(self, texts: Sequence[str]) -> Iterator[list[tuple[int, int, str, float]]]:
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        found: list[list[tuple[int, int, str, float]]] = [[] for _ in texts]
        size = BATCH[self.device]
        while order:
            batch = order[:size]
            try:
                spans = self._model.inference(
                    [texts[index] for index in batch],
                    self._labels,
                    threshold=THRESHOLD,
                    batch_size=len(batch),
                )
            except (RuntimeError, MemoryError) as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                size = len(batch) // 2
                continue
            order = order[size:]
            for index, of in zip(batch, spans, strict=True):
                found[index] = [
                    (one["start"], one["end"], self._entities[one["label"]], float(one["score"]))
                    for one in of
                ]
        yield from found


def _load(name: str, device: str) -> Any:
    try:
        from gliner import GLiNER  # noqa: PLC0415 (only where it is asked for)
    except ImportError:
        raise ConfigError(
            "pii.ner names a GLiNER model, and GLiNER is not installed, or not for this version of "
            "transformers: pip install gliner."
        ) from None
    folder = folder_of(name)
    check_weights(name, folder, "gliner_config.json")
    try:
        with silent():
            model = GLiNER.from_pretrained(str(folder), local_files_only=True, map_location=device)
    except Exception as error:  # any: what a corrupt file makes a library raise has no end
        raise ConfigError(
            f"The GLiNER model in {str(folder)!r} cannot be loaded: {type(error).__name__}: "
            f"{first_line(error)} It must hold gliner_config.json, safetensors and a tokenizer."
        ) from error
    return model.to(device).eval()
