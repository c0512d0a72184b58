"""Exposure of canaries: how far a model's preference for a planted text is beyond chance."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from unrote.corpus.errors import ConfigError
from unrote.memorization import measures
from unrote.memorization.forward import Floats, statistics
from unrote.memorization.model import LanguageModel
from unrote.memorization.windows import sequences, tokenize

EXPOSURES = pa.schema(
    [
        pa.field("canary", pa.int64(), nullable=False),
        pa.field("bits", pa.float64()),
        pa.field("exposure", pa.float64()),
        pa.field("reason", pa.string()),
    ]
)
"""One row per canary: its index; its log-perplexity, -log2 of its probability; its exposure, from
slightly below 0 to log2 of the number of references; why they are null: "no probability" (no token
has one), or "no references" (none of them has one)."""


def exposure(
    model: LanguageModel,
    canaries: Sequence[str],
    references: Sequence[str],
    *,
    bos: bool | None = None,
    token_budget: int = 0,
) -> pa.Table:
    """How canaries rank among references by log-perplexity (Carlini 1802.08232): schema EXPOSURES.

    references: texts of the same making that were not planted, the more the finer. Ranks are by the
    whole text's log-perplexity, as in the paper, not by that of a mean token.
    Raises ConfigError where there are no references, or for a text longer than the context.
    """
    if not references:
        raise ConfigError("Exposure needs references: texts made as the canaries, not planted.")
    bits = _log_perplexities(model, [*canaries, *references], bos, token_budget)
    own, others = bits[: len(canaries)], bits[len(canaries) :]
    ranks = measures.exposure(own, others)
    why = "no references" if bool(np.isnan(others).all()) else "no probability"
    return pa.table(
        {
            "canary": pa.array(np.arange(len(canaries)), pa.int64()),
            "bits": pa.array(own, from_pandas=True),
            "exposure": pa.array(ranks, from_pandas=True),
            "reason": pa.array([why if np.isnan(rank) else None for rank in ranks], pa.string()),
        },
        schema=EXPOSURES,
    )


def _log_perplexities(
    model: LanguageModel, texts: Sequence[str], bos: bool | None, token_budget: int
) -> Floats:
    """-log2 of each text's probability, NaN where no token has one: float64[n]."""
    tokens = tokenize(model.tokenizer, texts)
    longest = int(np.diff(tokens.offsets).max(initial=1))
    found = sequences(tokens, 0, max(longest, 1))
    stats = statistics(model, found, top_k=1, bos=bos, token_budget=token_budget)
    bits = np.full(len(texts), np.nan)
    bits[found.doc] = measures.total_bits(stats.logprob, stats.offsets[:-1], stats.offsets[1:])
    return bits
