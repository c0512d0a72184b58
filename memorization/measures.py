"""The measures of memorization, as functions of what one forward pass says of each token.

Flat float64 arrays hold one value per token of all sequences; `starts` and `ends` (int64[n],
ascending, disjoint) say which tokens a sequence, or its suffix, has. Results are float64[n]. Where
there is no token the value is NaN, which the table (memorization.scorer) gives as null.

Logarithms are natural unless a name says bits. Sources are named by arXiv number.
"""

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import kernel

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_LN2 = float(np.log(2))


def sums(values: Floats, starts: Ints, ends: Ints) -> Floats:
    """The sum over each range; 0 over an empty one."""
    return _reduce(np.add, values, starts, ends, 0.0)


def _reduce(ufunc: np.ufunc, values: Floats, starts: Ints, ends: Ints, empty: float) -> Floats:
    if starts.size == 0:
        return np.empty(0)
    padded = np.append(values, 0.0)  # so that the last end is an index
    pairs = np.stack([starts, ends], axis=1).ravel()
    reduced: Floats = ufunc.reduceat(padded, pairs)[::2]
    return np.where(ends > starts, reduced, empty)


def _mean(totals: Floats, counts: Ints) -> Floats:
    out = np.full(totals.shape, np.nan)
    means: Floats = np.divide(totals, counts, out=out, where=counts > 0)
    return means


def loss(logprob: Floats, starts: Ints, ends: Ints) -> Floats:
    """Mean negative log-likelihood in nats per token."""
    return -_mean(sums(logprob, starts, ends), ends - starts)


def perplexity(losses: Floats) -> Floats:
    """exp(loss); the largest double where that overflows."""
    return np.exp(np.minimum(losses, np.log(np.finfo(np.float64).max)))


def total_bits(logprob: Floats, starts: Ints, ends: Ints) -> Floats:
    """Bits that the model needs for the tokens: -sum log2 p."""
    bits = -sums(logprob, starts, ends) / _LN2
    return np.where(ends > starts, bits, np.nan)


def zlib_ratio(bits: Floats, texts: Sequence[str]) -> Floats:
    """The model's bits over zlib's (level 6) for the same text (Carlini 2012.07805, §5.2).

    Total over total: mean loss over the total size, as often published, falls with length alone.
    """
    compressed = [8 * len(zlib.compress(text.encode("utf-8", "surrogatepass"))) for text in texts]
    return bits / np.array(compressed, dtype=np.float64)


def relative_loss(losses: Floats, reference: Floats) -> Floats:
    """Loss less that of a reference model on the same tokens (Mireshghallah 2203.03929)."""
    return losses - reference


def extractable(hits: Bools, starts: Ints, ends: Ints) -> Floats:
    """1 where greedy decoding gives the range (extractable), else 0 (Carlini 2202.07646, Def. 3.1).

    hits: whether a token is the most probable one given the true tokens before it. Greedy decoding
    gives the suffix exactly if it is at every one: until the first miss it sees the true tokens.
    """
    missed = sums((~hits).astype(np.float64), starts, ends)
    return np.where(ends > starts, missed == 0, np.nan)


def hits_before_miss(hits: Bools, starts: Ints, ends: Ints) -> Floats:
    """Tokens of each range that greedy decoding gives before its first wrong one."""
    index = np.arange(hits.size, dtype=np.float64)
    first = _reduce(np.minimum, np.where(hits, np.inf, index), starts, ends, np.inf)
    return np.where(ends > starts, np.minimum(first, ends) - starts, np.nan)


def extraction_strength(hits: Bools, starts: Ints, ends: Ints) -> Floats:
    """1 - k/length, k the least number of given tokens from which greedy decoding gets the rest
    (Carlini 2202.07646 after open-unlearning). 0 where even the last token is missed.
    """
    behind = np.arange(hits.size, dtype=np.float64) + 1
    given = _reduce(np.maximum, np.where(hits, 0.0, behind), starts, ends, 0.0)
    given = np.where(given > 0, given - starts, 0.0)
    return 1 - _mean(given, ends - starts)


def log_pz(log_q: Floats, starts: Ints, ends: Ints) -> Floats:
    """Log of p_z, the probability that one sample is the range (Hayes 2410.19482, Eq. 2).

    log_q: ln of a token's probability under the sampling scheme given the true tokens before it;
    -inf where the scheme never draws it, and then p_z = 0 and this is -inf.
    """
    return np.where(ends > starts, sums(log_q, starts, ends), np.nan)


def _log_rate(log_pz: Floats) -> Floats:
    """ln(-ln(1 - p_z)): what a sample adds to the exponent, exact where 1 - p_z rounds to 1."""
    with np.errstate(divide="ignore", under="ignore"):
        return np.where(log_pz < -36, log_pz, np.log(-np.log1p(-np.exp(np.minimum(log_pz, 0)))))


def probability_within(log_pz: Floats, queries: float) -> Floats:
    """That at least one of n samples is the suffix: 1 - (1 - p_z)^n (Hayes 2410.19482, Def. 2)."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(-np.expm1(-np.exp(np.log(queries) + _log_rate(log_pz))))


def log_queries(log_pz: Floats, probability: float) -> Floats:
    """Log of the least real n >= 1 for which n samples hold the suffix with probability p.

    ln(ln(1 - p) / ln(1 - p_z)); inf where p_z = 0.
    """
    needed = np.log(-np.log1p(-probability)) - _log_rate(log_pz)
    return np.where(np.isnan(log_pz), np.nan, np.maximum(needed, 0.0))


def lowest_mean(values: Floats, starts: Ints, ends: Ints, share: float) -> Floats:
    """Mean of the lowest `share` of each range, of at least one token.

    Of log-probabilities it is Min-K% (Shi 2310.16789), of `standardized` ones Min-K%++
    (Zhang 2404.02936). Published code takes int(share * length) tokens, none of a short text.
    """
    counts = ends - starts
    taken = np.where(counts > 0, np.maximum(1, (counts * share).astype(np.int64)), 0)
    owner = np.repeat(np.arange(starts.size), counts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    index = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    own = values[index]
    ranked = own[np.lexsort((own, owner))]
    return _mean(sums(ranked, offsets[:-1], offsets[:-1] + taken), taken)


def standardized(logprob: Floats, mean: Floats, variance: Floats) -> Floats:
    """(log p - mean) / sd, of log p under the model's own distribution (Zhang 2404.02936, Eq. 3).

    0 where there is no spread: then every possible token has the same probability.
    """
    spread = np.sqrt(variance)
    away = logprob - mean
    return np.divide(away, spread, out=np.zeros_like(away), where=spread > 0)


def biderman_score(generated: Ints, suffix: Ints) -> Floats:
    """Share of positions at which free-running greedy decoding has the true token: the Biderman
    score (2304.11158, Eq. 1). int64[n, length] each; memorized if 1.
    """
    if suffix.shape[1] == 0:
        return np.full(suffix.shape[0], np.nan)
    return np.asarray((generated == suffix).mean(axis=1), dtype=np.float64)


@kernel
def edit_distance(left: Ints, right: Ints) -> int:
    """Levenshtein distance of two token sequences."""
    above = np.arange(right.size + 1)
    for i in range(left.size):
        diagonal = above[0]
        above[0] = i + 1
        for j in range(right.size):
            changed = diagonal + (left[i] != right[j])
            diagonal = above[j + 1]
            above[j + 1] = min(changed, above[j] + 1, diagonal + 1)
    return above[right.size]  # type: ignore[no-any-return]


def bleu(generated: Sequence[int], suffix: Sequence[int]) -> float:
    """Sentence BLEU of tokens: n-grams up to 4 (or the shorter length), equal weights, brevity
    penalty, no smoothing (Papineni 2002). Ippolito (2210.17546) calls >= 0.75 memorized.

    NaN if either is empty.
    """
    longest = min(4, len(generated), len(suffix))
    if longest == 0:
        return float("nan")
    logs = 0.0
    for n in range(1, longest + 1):
        ours, theirs = (
            Counter(tuple(side[i : i + n]) for i in range(len(side) - n + 1))
            for side in (generated, suffix)
        )
        matched = (ours & theirs).total()
        if matched == 0:
            return 0.0
        logs += np.log(matched / ours.total())
    brevity = min(0.0, 1 - len(suffix) / len(generated))
    return float(np.exp(brevity + logs / longest))


def exposure(losses: Floats, references: Floats) -> Floats:
    """log2 |R| - log2 rank: float64[n], 0 or less to log2 |R| (Carlini 1802.08232).

    A canary's rank is 1 + the number of references with a lower loss or the same; a canary no
    better than the worst reference has rank |R| + 1, hence slightly less than 0. NaN for a canary
    without a loss, or without references.
    """
    known = np.sort(references[~np.isnan(references)])
    if known.size == 0:
        return np.full(losses.shape, np.nan)
    rank = np.searchsorted(known, losses, side="right") + 1
    return np.where(np.isnan(losses), np.nan, np.log2(known.size) - np.log2(rank))


def log_mean_exp(values: Floats) -> float:
    """Log of the mean of exp(values), where exp would underflow; NaN of no values."""
    if values.size == 0:
        return float("nan")
    top = values.max()
    if np.isneginf(top):
        return float("-inf")
    return float(top + np.log(np.exp(values - top).mean()))
