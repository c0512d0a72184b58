"""Free-running greedy generation of suffixes: what a model writes after each prefix.

Needed only for graded scores: whether greedy decoding is exact is known from the teacher-forced
pass. Sequences of one shape go together, so nothing is padded; a text's end token does not stop it.
"""

from collections.abc import Callable

import numpy as np
import torch

from unrote.corpus.pretrained import in_batches
from unrote.memorization.forward import SMALLER, padded, uses_bos
from unrote.memorization.model import LanguageModel
from unrote.memorization.windows import Ints, Sequences


def greedy_suffixes(
    model: LanguageModel,
    sequences: Sequences,
    *,
    bos: bool | None = None,
    token_budget: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[Ints]:
    """For each sequence what greedy decoding gives after its prefix: int64[suffix tokens].

    An empty array where there is nothing to prompt with: no prefix, and no beginning-of-text token.
    Raises RunError where one sequence alone does not fit into memory.
    """
    first = 0 if uses_bos(model, bos) else 1
    made = [np.empty(0, dtype=np.int64)] * len(sequences)
    suffix = sequences.lengths - sequences.prefix
    able = np.flatnonzero((sequences.prefix >= first) & (suffix > 0))
    shapes = np.stack([sequences.prefix, suffix], axis=1)
    for shape in np.unique(shapes[able], axis=0):
        rows = able[(shapes[able] == shape).all(axis=1)]

        def run(batch: Ints, length: int = int(shape[1])) -> None:
            ids = padded(model, sequences, batch, first)[:, :-length]
            for row, continuation in zip(batch, continue_greedily(model, ids, length), strict=True):
                made[row] = continuation
            if progress:
                progress(batch.size)

        widths = sequences.lengths + 1 - first
        in_batches(model.device, widths, rows, token_budget, run, SMALLER)
    return made


def continue_greedily(model: LanguageModel, ids: torch.Tensor, length: int) -> Ints:
    """The greedy continuations of ids int64[b, t], t > 0: int64[b, length]."""
    whole = model.network.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=length,
        pad_token_id=0,
    )
    made: Ints = whole[:, ids.shape[1] :].cpu().numpy()
    return made
