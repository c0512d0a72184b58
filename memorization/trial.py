"""A trial run: what a small model recites after training on a corpus, and how fast it trains here.

What a trial model recites a larger one recites too, almost always; what it doesn't recite says
little (Biderman 2304.11158, Table 2: a 70M model foretells a 12B one with precision .96 and recall
.20). So its findings are named, its silence is no clean bill, and the probabilities are refitted to
how much it recites in all.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from unrote.corpus.errors import ConfigError
from unrote.memorization.model import pretrained_tokenizer, tokenizer_of
from unrote.memorization.proxy import Emitted, Shape, Trained, emitted, rows_in_step, train
from unrote.memorization.windows import Ints, Sequences, offsets_of, tokenize, tokens_of

EPOCHS = 2.0
"""As in the experiment that the risk is calibrated with."""

_TIMED_STEPS = 3


class Asked(NamedTuple):
    """The trial model, and what it recites of the sequences it was asked for."""

    trained: Trained
    emitted: Emitted
    parameters: int
    training_seconds: float


def speed(model: str, shape: Shape | None = None, device: str = "cpu") -> float:
    """Tokens a second that a trial model trains at on this machine: a few steps on noise.

    model: whose tokenizer it has.
    """
    shape = shape or Shape()
    words = pretrained_tokenizer(model)
    noise = np.random.default_rng(0).integers(0, len(words), 4 * shape.batch)
    tokens = rows_in_step(shape) * shape.context
    began, spent = time.monotonic(), []

    def tell(_share: float, _loss: float) -> None:
        spent.append(time.monotonic() - began)

    steps = _TIMED_STEPS + 1
    train([noise], words, shape, epochs=steps * tokens / noise.size, device=device, progress=tell)
    return _TIMED_STEPS * tokens / max(spent[-1] - spent[0], 1e-9)


def try_out(
    texts: Mapping[int, str],
    sequences: pa.Table,
    model: str,
    *,
    seconds: float = float("inf"),
    seed: int = 0,
    shape: Shape | None = None,
    device: str = "cpu",
    progress: Callable[[float, float], None] | None = None,
) -> Asked:
    """Trains a small decoder on `texts` (by document) for `EPOCHS` or, if sooner, `seconds`, and
    asks for `sequences`: doc, start, end (code points of these texts), prefix_tokens.

    Raises ConfigError where there is nothing to train on.
    """
    docs = list(texts)
    tokens = tokenize(tokenizer_of(model), list(texts.values()))
    if tokens.ids.size < 2:
        raise ConfigError(f"{len(docs)} documents without text: there is nothing to train on.")
    parts = [tokens.ids[a:b] for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]
    words = pretrained_tokenizer(model)
    began = time.monotonic()
    made = train(
        parts, words, shape, epochs=EPOCHS, seconds=seconds, seed=seed, device=device,
        progress=progress,
    )  # fmt: skip
    spent = time.monotonic() - began
    place = {doc: i for i, doc in enumerate(docs)}
    rows = sequences.select(["doc", "start", "end", "prefix_tokens"]).to_pylist()
    found = _sequences([(place[r["doc"]], r) for r in rows], tokens)
    size = sum(one.numel() for one in made.model.network.parameters())
    return Asked(made, emitted(made.model, found), size, spent)


def _sequences(rows: Sequence[tuple[int, Mapping[str, int]]], tokens: Any) -> Sequences:
    """The tokens of the asked ranges."""
    bounds = [tokens_of(tokens, doc, row["start"], row["end"]) for doc, row in rows]
    ids = [tokens.ids[first:last] for first, last in bounds]
    sizes: Ints = np.array([one.size for one in ids], dtype=np.int64)
    starts, ends = (np.array([row[n] for _, row in rows], np.int64) for n in ("start", "end"))
    return Sequences(
        np.concatenate([np.empty(0, dtype=np.int64), *ids]),
        offsets_of(sizes),
        np.array([row["prefix_tokens"] for _, row in rows], dtype=np.int64),
        np.array([doc for doc, _ in rows], dtype=np.int64),
        starts,
        starts,
        ends,
    )
