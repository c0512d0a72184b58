"""Proxy models: small decoders trained from scratch, from which memorized sequences are extracted.

A proxy stands in for the model that will be trained on a corpus: it reads the same text, and costs
minutes. `train` makes one, `extraction` says which suffixes are extractable from it. What is
extractable from a proxy is extractable from a larger model too, almost always (precision .96 for a
70M model's verdict on a 12B one); what is not says little (recall .20; Biderman 2304.11158, Table
2): no clean bill.

The seed fixes initial weights and order. Another processor or thread count rounds otherwise, and a
time budget ends training where the clock says: then a second run is as good, not the same.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError
from unrote.memorization import measures
from unrote.memorization.forward import Floats, statistics
from unrote.memorization.model import LanguageModel, prepare
from unrote.memorization.windows import Ints, Sequences

WARM_UP_STEPS = 50
FALL = 0.4
"""The share of training over which the learning rate falls to zero."""


@dataclass(frozen=True)
class Shape:
    """A decoder of the Llama kind and how it is trained. The defaults make 2.6 million parameters
    with a vocabulary of 4,096.

    context     tokens in a training window; twice as many can be read
    batch       tokens in a step; `part` of them go through the network at once
    """

    layers: int = 4
    width: int = 192
    inner: int = 512
    heads: int = 3
    context: int = 128
    batch: int = 4096
    part: int = 2048
    learning_rate: float = 4e-3

    def __post_init__(self) -> None:
        for name in ("layers", "width", "inner", "heads", "context", "batch", "part"):
            if getattr(self, name) < 1:
                raise ConfigError(f"proxy.{name} = {getattr(self, name)}: give at least 1.")
        if self.width % (2 * self.heads):
            raise ConfigError(
                f"proxy.width = {self.width}: give a multiple of twice the heads ({self.heads})."
            )


class Trained(NamedTuple):
    """The model, and what it took: tokens seen, optimiser steps, mean loss (nats per token) of the
    last twentieth of the steps.
    """

    model: LanguageModel
    tokens: int
    steps: int
    loss: float


def pack(documents: Sequence[Ints], context: int, end: int | None, seed: int) -> Ints:
    """One epoch: the documents in an order of their own, one after the other, each with `end`
    behind it, cut into windows: int64[windows, context + 1].

    A window's last token is the next one's first, so that each token is predicted once; what does
    not fill a window at the end is left out (there is one window at least, of text repeated).
    """
    order = np.random.default_rng(seed).permutation(len(documents))
    tail = [] if end is None else [np.array([end], dtype=np.int64)]
    chunks = [chunk for row in order for chunk in (documents[row], *tail)]
    flat = np.concatenate([np.empty(0, dtype=np.int64), *chunks])
    if flat.size < 2:
        raise ConfigError(f"{flat.size} tokens are too few to train on: give at least 2.")
    if flat.size <= context:
        flat = np.resize(flat, context + 1)
    windows = (flat.size - 1) // context
    cut: Ints = flat[np.arange(windows)[:, None] * context + np.arange(context + 1)]
    return cut


def learning_rate_share(done: float, step: int) -> float:
    """Share of the full learning rate after a share `done` of training: a rise, a plateau, and a
    straight fall to zero.

    Not a cosine: on the plateau nothing depends on how long training will last, so that a run which
    turns out slower than planned ends sooner and has lost nothing.
    """
    return max(0.0, min(1.0, (step + 1) / WARM_UP_STEPS, (1 - done) / FALL))


def optimizers(network: Any, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between the layers, AdamW for the embedding and the norms.

    With both scaled alike (`match_rms_adamw`) one learning rate serves them; Muon learns more from
    each token, and tokens are what a CPU is short of.
    """
    named = list(network.named_parameters())
    matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in named if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(
            matrices, lr=learning_rate, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def multiplies_bfloat16(device: str) -> bool:
    """Whether a device has instructions for bfloat16. A processor without them takes three times as
    long for a step as in float32.
    """
    if torch.device(device).type != "cpu":
        return True
    able = torch.cpu.get_capabilities()
    return any(has for name, has in able.items() if name.endswith("bf16"))


def window_loss(network: Any, windows: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    """Mean cross-entropy of int64[n, context + 1] windows, in bfloat16 where that is asked for and
    safe.
    """
    with torch.autocast(windows.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        logits = network(input_ids=windows[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


def train(
    documents: Sequence[Ints],
    tokenizer: Any,
    shape: Shape | None = None,
    *,
    epochs: float = 2.0,
    seconds: float = float("inf"),
    seed: int = 0,
    device: str = "cpu",
    compiled: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> Trained:
    """A decoder trained from scratch on documents (int64[n] each, tokens of `tokenizer`).

    Training ends after `epochs` passes or, if that is sooner, `seconds`; the learning rate falls
    over the last part of either. `progress` gets the share done and the loss after each step.
    compiled: through torch.compile, which takes a C++ compiler and a minute, and then 0.7 of the
    time.
    Raises ConfigError where there is nothing to train on.
    """
    shape = shape or Shape()
    network = _network(shape, tokenizer, seed).to(device)
    algorithms = optimizers(network, shape.learning_rate)
    loss_of = torch.compile(window_loss) if compiled else window_loss
    bfloat16 = multiplies_bfloat16(device)
    began, done, step = time.monotonic(), 0.0, 0
    losses = []
    total = max(1, round(epochs * _steps(documents, tokenizer, shape)))
    for windows in _batches(documents, tokenizer.eos_token_id, shape, seed):
        if done >= 1:
            break
        for algorithm in algorithms:
            for group in algorithm.param_groups:
                group["lr"] = shape.learning_rate * learning_rate_share(done, step)
        batch = torch.from_numpy(windows).to(device)
        losses.append(_step(network, algorithms, batch, shape, partial(loss_of, bfloat16=bfloat16)))
        step += 1
        done = max(step / total, (time.monotonic() - began) / seconds)
        if progress:
            progress(min(done, 1.0), losses[-1])
    tail = losses[-max(1, step // 20) :]
    model = prepare("proxy", network, tokenizer)
    return Trained(model, step * windows_in_step(shape) * shape.context, step, float(np.mean(tail)))


def windows_in_step(shape: Shape) -> int:
    """Windows in a step."""
    return max(1, shape.batch // shape.context)


def _steps(documents: Sequence[Ints], tokenizer: Any, shape: Shape) -> float:
    """Steps in an epoch."""
    ends = tokenizer.eos_token_id is not None
    tokens = sum(document.size + ends for document in documents)
    return tokens / shape.context / windows_in_step(shape)


def _batches(
    documents: Sequence[Ints], end: int | None, shape: Shape, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Steps without end: epoch after epoch, windows of an epoch in an order of their own."""
    left = np.empty((0, shape.context + 1), dtype=np.int64)
    epoch = 0
    rows = windows_in_step(shape)
    while True:
        windows = pack(documents, shape.context, end, seed * 1000 + epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(windows))
        left = np.concatenate([left, windows[order]])
        while len(left) >= rows:
            yield left[:rows]
            left = left[rows:]
        epoch += 1


def _step(
    network: Any,
    algorithms: list[torch.optim.Optimizer],
    windows: torch.Tensor,
    shape: Shape,
    loss_of: Callable[[Any, torch.Tensor], torch.Tensor],
) -> float:
    """One step of the optimisers; the mean loss before it."""
    total = 0.0
    for part in torch.split(windows, max(1, shape.part // shape.context)):
        loss = loss_of(network, part) * (len(part) / len(windows))
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for algorithm in algorithms:
        algorithm.step()
        algorithm.zero_grad()
    return total


def _network(shape: Shape, tokenizer: Any, seed: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415 (loads slowly)

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=2 * shape.context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config)


class Extraction(NamedTuple):
    """What is extractable of each sequence from a model, float64[n] each.

    extractable  1 where greedy decoding gives the suffix token for token, else 0
    extracted_tokens  tokens of the suffix that it gives before the first wrong one
    accuracy     next-token accuracy over the suffix: the share of its tokens that are the most
                 probable given the true ones before them
    log_pz       ln of the probability that one sample (temperature 1, all tokens) is the suffix
    NaN for a sequence that has nothing to prompt with.
    """

    extractable: Floats
    extracted_tokens: Floats
    accuracy: Floats
    log_pz: Floats


def extraction(
    model: LanguageModel, sequences: Sequences, progress: Callable[[int], None] | None = None
) -> Extraction:
    """Whether and how far the suffixes are extractable from `model`: one teacher-forced pass
    (memorization.measures.extractable says why that suffices for greedy decoding).
    """
    stats = statistics(model, sequences, top_k=1, progress=progress)
    suffix, ends = stats.suffix, stats.offsets[1:]
    prompted = ends - suffix == sequences.lengths - sequences.prefix
    columns = (
        measures.extractable(stats.hit, suffix, ends),
        measures.hits_before_miss(stats.hit, suffix, ends),
        -measures.loss(stats.hit.astype(np.float64), suffix, ends),
        measures.sums(stats.logprob, suffix, ends),
    )
    return Extraction(*(np.where(prompted, column, np.nan) for column in columns))
