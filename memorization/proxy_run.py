"""A proxy run: what is extractable from a small model trained on a corpus, and how fast it trains
here.

What is extractable from a proxy model is extractable from a larger one too, almost always; what is
not says little (Biderman 2304.11158, Table 2: a 70M model predicts a 12B one with precision .96 and
recall .20). So what it memorized is named, what it did not is no clean bill, and the risk is
recalibrated to how much was extractable in all.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from unrote.corpus.errors import ConfigError
from unrote.memorization.proxy import Extraction, Shape, Trained, extraction, train, windows_in_step
from unrote.memorization.tokenizer import pretrained_tokenizer, tokenizer_of
from unrote.memorization.windows import Ints, Sequences, offsets_of, tokenize, tokens_of

EPOCHS = 2.0
"""As in the experiment that the risk is calibrated with."""

_TIMED_STEPS = 4


class ProxyRun(NamedTuple):
    """The proxy model, and what is extractable from it of the sequences it was prompted with."""

    trained: Trained
    extraction: Extraction
    parameters: int
    training_seconds: float


def speed(
    model: str, *, seconds: float = float("inf"), shape: Shape | None = None, device: str = "cpu"
) -> float:
    """Tokens a second that a proxy model trains at on this machine: a few steps on noise, within
    about `seconds`, one step at least. The first, in which memory is made, counts only if it is the
    only one.

    model: whose tokenizer it has.
    """
    shape = shape or Shape()
    words = pretrained_tokenizer(model)
    noise = np.random.default_rng(0).integers(0, len(words), 4 * shape.batch)
    tokens = windows_in_step(shape) * shape.context
    began, spent = time.monotonic(), []

    def step_done(_share: float, _loss: float) -> None:
        spent.append(time.monotonic() - began)

    train(
        [noise], words, shape, epochs=_TIMED_STEPS * tokens / noise.size, seconds=seconds,
        device=device, progress=step_done,
    )  # fmt: skip
    steps, lasted = (len(spent) - 1, spent[-1] - spent[0]) if spent[1:] else (1, spent[0])
    return steps * tokens / max(lasted, 1e-9)


def run_proxy(
    texts: Mapping[int, str],
    sequences: pa.Table,
    model: str,
    *,
    seconds: float = float("inf"),
    seed: int = 0,
    shape: Shape | None = None,
    device: str = "cpu",
    progress: Callable[[float, float], None] | None = None,
) -> ProxyRun:
    """Trains a small decoder on `texts` (by document) for `EPOCHS` or, if sooner, `seconds`, and
    prompts it with the prefixes of `sequences`: doc, start, end (code points of these texts),
    prefix_tokens.

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
    index = {doc: i for i, doc in enumerate(docs)}
    rows = sequences.select(["doc", "start", "end", "prefix_tokens"]).to_pylist()
    found = _sequences([(index[r["doc"]], r) for r in rows], tokens)
    size = sum(one.numel() for one in made.model.network.parameters())
    return ProxyRun(made, extraction(made.model, found), size, spent)


def _sequences(rows: Sequence[tuple[int, Mapping[str, int]]], tokens: Any) -> Sequences:
    """The tokens of the given ranges."""
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
