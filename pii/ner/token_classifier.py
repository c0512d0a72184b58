"""Token classifiers of transformers: any model of its class AutoModelForTokenClassification.

Windows of similar length are read in batches, and the labels of their tokens decoded under the
constraints of their scheme (pii.ner.labels). What comes out depends on which windows share a batch
in the last bits alone; these are rounded away, and batches are the same on every engine.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError, RunError
from unrote.corpus.pretrained import (
    check_weights,
    device_for,
    first_line,
    in_batches,
    load_network,
    load_tokenizer,
    precision_for,
    silent,
)
from unrote.corpus.tokenizer import fast_tokenizer
from unrote.pii.ner.decoding import Spans, decode
from unrote.pii.ner.labels import entities_by_label, parts_of, scheme_of
from unrote.pii.ner.tokens import tokenizer_folder
from unrote.pii.ner.windows import SCORE_DIGITS, Ints, found_batch, list_values

WINDOW = 512
"""Tokens in a window, special ones included, where the model's context is not shorter."""

WANTED = "a token classifier (…ForTokenClassification)"


class TokenClassifier:
    """An EntityModel (pii.ner.windows) of the Hugging Face kind, from this machine's disk.

    name: a folder, or a name in the Hugging Face cache. device: as for `corpus.pretrained`. labels:
    types of ours by label, which outrank the usual ones (pii.ner.labels).
    Raises ConfigError where there is no such model or device, or the model cannot be used.
    """

    def __init__(self, name: str, device: str, labels: Mapping[str, str]) -> None:
        self._name = name
        where = device_for(device, "pii.ner_device")
        self._network, tokenizer = _loaded(name, where)
        self.device = where.type
        self._where = where
        self._tokenizer = fast_tokenizer(name, tokenizer)
        by_number = self._network.config.id2label
        names = [str(by_number[number]) for number in sorted(by_number)]
        self._scheme = scheme_of(names, f"model {name!r}")
        types = self._scheme.types
        mapped, self.ignored = entities_by_label(types, labels, f"model {name!r}")
        self.entities, self._entity_of = parts_of(types, mapped)
        self._before, self._behind = _special_tokens(self._tokenizer)
        special = len(self._before) + len(self._behind)
        self.width = min(WINDOW, _context(self._network, tokenizer)) - special
        self._pad = getattr(tokenizer, "pad_token_id", None) or 0
        self._check(name, len(names))

    def find(self, windows: pa.RecordBatch) -> pa.RecordBatch:
        """The entities in windows, as of an EntityModel.

        Raises RunError where the model gives no finite numbers, or one window does not fit.
        """
        found: list[list[tuple[int, int, int, str, float]]] = [[] for _ in range(windows.num_rows)]
        sizes = windows["size"].to_numpy()

        def run(rows: Ints) -> None:
            ids = [list_values(windows["ids"], int(row)) for row in rows]
            for row, log_probs in zip(rows.tolist(), self._log_probs(ids), strict=True):
                found[row] = self._entities(windows, row, log_probs)

        remedy = "choose a smaller model or another device (pii.ner_device)."
        special = len(self._before) + len(self._behind)
        in_batches(self._where, sizes + special, np.arange(windows.num_rows), 0, run, remedy)
        return found_batch([entity for of in found for entity in of])

    def _log_probs(self, ids: Sequence[NDArray[np.int32]]) -> list[NDArray[np.float32]]:
        """float32[tokens, labels] of each window's tokens."""
        lead, tail = len(self._before), len(self._behind)
        width = lead + tail + max(one.size for one in ids)
        padded = np.full((len(ids), width), self._pad, dtype=np.int64)
        mask = np.zeros((len(ids), width), dtype=np.int64)
        for row, own in enumerate(ids):
            whole = [*self._before, *own, *self._behind]
            padded[row, : len(whole)] = whole
            mask[row, : len(whole)] = 1
        logits = self._network(
            input_ids=torch.from_numpy(padded).to(self._where),
            attention_mask=torch.from_numpy(mask).to(self._where),
        ).logits
        known = logits.float().log_softmax(-1).cpu().numpy()
        parts = [known[row, lead : lead + own.size] for row, own in enumerate(ids)]
        if not all(np.isfinite(part).all() for part in parts):
            raise RunError(
                f"Model {self._name!r} gave no finite numbers for a text. Its weights are broken, "
                "or the precision of the device is too narrow: try pii.ner_device = 'cpu'."
            )
        return [np.ascontiguousarray(part) for part in parts]

    def _entities(
        self, windows: pa.RecordBatch, row: int, log_probs: NDArray[np.float32]
    ) -> list[tuple[int, int, int, str, float]]:
        """The entities of one window: (window, start, end, type, score)."""
        starts, ends = (list_values(windows[name], row) for name in ("starts", "ends"))
        names = ("own_start", "own_end", "size", "start")
        own, own_end, size, base = (windows[name][row].as_py() for name in names)
        taken = np.arange(size)
        if not self._scheme.by_token:  # the first token of each word speaks for it
            apart = np.diff(starts, prepend=-1) != 0
            taken = np.flatnonzero(apart & (ends > starts))
        spans = decode(log_probs[taken], self._scheme, opens=own == 0, closes=own_end == size)
        entities = []
        for first, last, type_, score in self._joined(spans):
            a, b = int(taken[first]), int(taken[last - 1]) + 1
            black = np.flatnonzero(starts[a:b] < ends[a:b]) + a  # a token may be white space
            if black.size and a < own_end and b > own:
                start, end = int(starts[black].min()), int(ends[black].max())
                entity = self.entities[type_]
                entities.append((row, base + start, base + end, entity, round(score, SCORE_DIGITS)))
        return entities

    def _joined(self, spans: Spans) -> list[tuple[int, int, int, float]]:
        """(first, end, type of ours, score): without those of no type of ours, and parts of one
        entity (a first and a last name) as one, where nothing stands between them.
        """
        joined: list[tuple[int, int, int, float]] = []
        before = -1
        columns = (one.tolist() for one in spans)
        for first, end, raw, score in zip(*columns, strict=True):
            ours = int(self._entity_of[raw])
            if ours < 0:
                continue
            if joined and joined[-1][1] == first and joined[-1][2] == ours and before != raw:
                start, _, _, other = joined.pop()
                score = (other * (first - start) + score * (end - first)) / (end - start)
                first = start
            joined.append((first, end, ours, score))
            before = raw
        return joined

    def _check(self, name: str, labels: int) -> None:
        """Raises ConfigError for a model that does not read a whole window, or gives another number
        of labels than it names.
        """
        ids = np.arange(self.width, dtype=np.int32) % self._tokenizer.get_vocab_size()
        try:
            with torch.inference_mode():
                (found,) = self._log_probs([ids])
        except RunError as error:
            raise ConfigError(str(error)) from None
        except Exception as error:  # any: what a network does with its own shapes has no end
            raise ConfigError(
                f"Model {name!r} cannot read {self.width} tokens: {type(error).__name__}: "
                f"{first_line(error)} Name {WANTED} with its own tokenizer and configuration."
            ) from error
        if found.shape != (self.width, labels):
            raise ConfigError(
                f"Model {name!r} names {labels} labels (id2label in config.json) and gives "
                f"{found.shape[1]}. Name {WANTED}, saved whole."
            )


def _loaded(name: str, where: torch.device) -> tuple[Any, Any]:
    """(network, tokenizer) of `transformers`, on a device."""
    from transformers import AutoModelForTokenClassification  # noqa: PLC0415 (loads slowly)

    folder = tokenizer_folder(name)
    check_weights(name, folder)
    dtype = precision_for("auto", where, "")
    try:
        with silent():
            network = load_network(AutoModelForTokenClassification, folder, dtype, WANTED)
    except ConfigError:
        raise
    except Exception as error:  # any: what a corrupt file makes a library raise has no end
        raise ConfigError(
            f"Model {str(folder)!r} cannot be loaded: {type(error).__name__}: {first_line(error)} "
            f"It must hold {WANTED} that this version of transformers knows (code of its own is "
            "not run) and safetensors."
        ) from error
    return network.to(where).eval(), load_tokenizer(folder)


def _special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that a tokenizer puts before a text and behind it."""
    whole = tokenizer.encode("a")
    marks = whole.special_tokens_mask
    inside = [number for number, mark in enumerate(marks) if not mark]
    first, end = (inside[0], inside[-1] + 1) if inside else (len(marks), len(marks))
    return whole.ids[:first], whole.ids[end:]


def _context(network: Any, tokenizer: Any) -> int:
    """The most tokens that a network reads at once, special ones included."""
    positions = getattr(network.config, "max_position_embeddings", None) or 1 << 30
    for name, module in network.named_modules():
        if (
            name.endswith("position_embeddings")
            and getattr(module, "padding_idx", None) is not None
        ):
            positions -= module.padding_idx + 1  # as RoBERTa counts them
    return int(min(positions, getattr(tokenizer, "model_max_length", None) or 1 << 30))
