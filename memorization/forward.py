"""One teacher-forced pass of a model over sequences: what every measure needs of every token.

Sequences go in batches of similar length, longest first (so memory runs out at once or not at all),
under a budget of tokens. Batches depend on the sequences alone, so one device and thread count give
the same bytes again. The vocabulary projection is done in parts of bounded size and reduced to a
few numbers per token at once: memory does not grow with batch * length * vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError
from unrote.corpus.pretrained import in_batches
from unrote.memorization.model import LanguageModel
from unrote.memorization.windows import Ints, Sequences, offsets_of

Floats = NDArray[np.float64]

SMALLER = (
    "choose a smaller model, shorter sequences (memorization.prefix, suffix) or another device."
)
"""What to do where one sequence takes more memory than there is."""

LOGITS = {"cpu": 1 << 19, "mps": 1 << 25, "cuda": 1 << 28}
"""Logits computed at once: a processor's cache, or a share of a GPU's memory."""

_FLOOR = -1e4
"""Logits further than that below the largest count as there: their share of the mass is 0 in every
precision, and 0 * inf would make NaN."""


@dataclass(frozen=True)
class Statistics:
    """What the model says of the tokens that have a probability. Sequence i's are
    [offsets[i], offsets[i + 1]); its suffix's begin at suffix[i].

    float64[tokens]: logprob; mean and variance of log p under the model's own distribution; log_q,
    of which the sum over a suffix is ln of the probability that top-k sampling with a temperature
    draws it: -inf if it can't draw some token (others' are not computed then, nor those outside
    suffixes). hit bool[tokens]: whether the token is the most
    probable one, of equals the one with the lowest number.
    """

    offsets: Ints
    suffix: Ints
    logprob: Floats
    hit: NDArray[np.bool_]
    log_q: Floats
    mean: Floats
    variance: Floats


def uses_bos(model: LanguageModel, bos: bool | None) -> bool:
    """Whether sequences start with the beginning-of-text token; None: as the tokenizer does."""
    if bos is None:
        return model.adds_bos
    return bos and model.bos is not None


def statistics(
    model: LanguageModel,
    sequences: Sequences,
    *,
    top_k: int = 40,
    temperature: float = 1.0,
    bos: bool | None = None,
    token_budget: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Statistics:
    """One pass over the sequences. `progress` gets the number of sequences after each batch.

    Without a beginning-of-text token a sequence's first token has no probability. On out-of-memory
    a batch is halved, and so are those after it. Raises RunError where one sequence alone does not
    fit, ConfigError for one longer than the model's context.
    """
    first = 0 if uses_bos(model, bos) else 1
    lengths = sequences.lengths
    check_context(model, int(lengths.max(initial=0)) - first)
    offsets = offsets_of(np.maximum(lengths - first, 0))
    suffix = np.minimum(offsets[:-1] + np.maximum(sequences.prefix - first, 0), offsets[1:])
    values = np.zeros((5, int(offsets[-1])))

    def run(rows: Ints) -> None:
        found = _batch(model, sequences, rows, first, top_k or model.vocabulary, temperature)
        values[:, _indices(offsets[rows], offsets[rows + 1])] = found
        if progress:
            progress(rows.size)

    rows = np.flatnonzero(lengths > first)
    in_batches(model.device, lengths + 1 - first, rows, token_budget, run, SMALLER)
    logprob, hit, log_q, mean, variance = values
    return Statistics(offsets, suffix, logprob, hit > 0, log_q, mean, variance)


def check_context(model: LanguageModel, tokens: int) -> None:
    """Raises ConfigError if the model can't read so many tokens (a sequence's but for its last)."""
    if tokens > model.context:
        raise ConfigError(
            f"A sequence takes {tokens} tokens, and model {model.name!r} reads {model.context}: "
            "lower memorization.prefix or memorization.suffix, or take another model."
        )


def _indices(starts: Ints, ends: Ints) -> Ints:
    """The indices in ranges, one range after the other."""
    sizes = ends - starts
    offsets = offsets_of(sizes)
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)


def padded(model: LanguageModel, sequences: Sequences, rows: Ints, first: int) -> torch.Tensor:
    """The sequences' tokens with BOS before them if `first` is 0: int64[rows, width] on the device,
    0 behind them.
    """
    lengths = sequences.lengths[rows]
    lead = 1 - first
    ids = np.zeros((rows.size, int(lengths.max()) + lead), dtype=np.int64)
    if lead and model.bos is not None:
        ids[:, 0] = model.bos
    inside = np.arange(ids.shape[1] - lead) < lengths[:, None]
    ids[:, lead:][inside] = sequences.ids[
        _indices(sequences.offsets[rows], sequences.offsets[rows + 1])
    ]
    return torch.from_numpy(ids).to(model.device)


def _batch(
    model: LanguageModel,
    sequences: Sequences,
    rows: Ints,
    first: int,
    top_k: int,
    temperature: float,
) -> Floats:
    """float64[5, tokens]: logprob, hit, log_q, mean, variance of the rows' tokens, in order."""
    whole = padded(model, sequences, rows, first)
    inputs, targets = whole[:, :-1].contiguous(), whole[:, 1:]
    # Column j predicts token j + first of a sequence.
    column = torch.arange(inputs.shape[1], device=model.device) + first
    lengths, prefix = (
        torch.from_numpy(sizes[rows]).to(model.device)[:, None]
        for sizes in (sequences.lengths, sequences.prefix)
    )
    positions = (column < lengths).flatten().nonzero().flatten()
    sequence = torch.arange(rows.size, device=model.device)[:, None]
    suffix_of = torch.where(column >= prefix, sequence, -1).flatten()[positions]
    target = targets.flatten()[positions]
    size = max(1, LOGITS[model.device.type] // model.vocabulary)
    parts, at = [], 0
    for logits in model.logits(inputs, positions, size):
        inside = slice(at, at + logits.shape[0])
        parts.append(reduce(logits, target[inside], suffix_of[inside], top_k, temperature))
        at += logits.shape[0]
    found: Floats = torch.cat(parts, dim=1).cpu().numpy().astype(np.float64)
    return found


def reduce(
    logits: torch.Tensor,
    target: torch.Tensor,
    suffix_of: torch.Tensor,
    top_k: int,
    temperature: float,
) -> torch.Tensor:
    """float32[5, m] (logprob, hit, log_q, mean, variance) of logits float32[m, vocabulary], which
    are overwritten: every pass over them that needs new memory costs as much as the model.

    target int64[m]; suffix_of int64[m]: the sequence whose suffix the token is in, -1 for none.
    The variance is that of centred values: the mean of squares less the squared mean loses all
    digits on flat distributions.
    """
    own = logits.gather(1, target[:, None])[:, 0]
    top = logits.amax(-1)
    hit = own == top
    best = hit.nonzero()[:, 0]
    hit[best] = logits[best].argmax(-1) == target[best]
    own -= top
    logits -= top[:, None]
    logits.clamp_(min=_FLOOR)
    weight = logits.exp()
    total = weight.sum(-1)
    logprob = own - total.log()
    log_q = _log_sampled(logits, own, logprob, suffix_of, top_k, temperature)
    mean = (weight * logits).sum(-1) / total
    logits -= mean[:, None]
    weight *= logits
    weight *= logits
    variance = weight.sum(-1) / total
    return torch.stack([logprob, hit.float(), log_q, mean - total.log(), variance])


def _log_sampled(
    logits: torch.Tensor,
    own: torch.Tensor,
    logprob: torch.Tensor,
    suffix_of: torch.Tensor,
    top_k: int,
    temperature: float,
) -> torch.Tensor:
    """Log-probability of targets under top-k sampling with a temperature: float32[m].

    What equals the k-th logit belongs to the k, as in the usual samplers; the mass, where there are
    such equals, is that of k. Almost every suffix has a token outside the k, and then nothing else
    of it matters. So the least probable one here is looked at first, which takes a comparison; the
    k largest are only sought for the rest.
    """
    log_q = torch.zeros_like(own)
    rows = (suffix_of >= 0).nonzero()[:, 0]
    if top_k >= logits.shape[1]:
        log_q[rows] = own[rows] / temperature - (logits[rows] / temperature).logsumexp(-1)
        return log_q
    if rows.numel() == 0:
        return log_q
    part = torch.diff(suffix_of[rows], prepend=suffix_of[rows[:1]]).ne(0).cumsum(0)
    least = own.new_full(rows.shape, torch.inf)
    least.scatter_reduce_(0, part, logprob[rows], "amin")
    first = rows[logprob[rows] == least[part]]
    out = (logits[first] > own[first, None]).sum(-1) >= top_k
    log_q[first[out]] = -torch.inf
    rows = rows[~torch.isin(suffix_of[rows], suffix_of[first[out]])]
    largest = logits[rows].topk(top_k, dim=-1, sorted=False).values
    drawn = own[rows] / temperature - (largest / temperature).logsumexp(-1)
    log_q[rows] = drawn.clamp(max=0).masked_fill(own[rows] < largest.amin(-1), -torch.inf)
    return log_q
