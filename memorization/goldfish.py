"""Goldfish masks: tokens to leave out of the training loss, so that no passage is learned whole
(Hans et al. 2406.10209).

Target i is dropped if a keyed hash of the h tokens *before* it is 0 modulo k: one in k, the same
ones wherever the passage is copied. (The published code hashes the target too, by a product of
numbers, in which order is lost and a token 0 hides all others.) A text's first h targets are kept,
since copies cannot be recognised by less.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError
from unrote.corpus.hashing import hash128
from unrote.corpus.kernel import kernel
from unrote.corpus.tables import tuples_of
from unrote.corpus.tokenizer import own_copy
from unrote.memorization.windows import Ints, Tokens, tokenize, tokens_of

if TYPE_CHECKING:
    import torch

Bools = NDArray[np.bool_]

IGNORED = -100
"""The label that torch's cross entropy leaves out."""

MASKS = pa.schema(
    [
        pa.field("doc", pa.int64(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("positions", pa.list_(pa.int32()), nullable=False),
    ]
)
"""One row per text: its tokens, and the positions of those to leave out of the loss, ascending.

Positions count the text's own tokens; a beginning-of-text token before them is not one.
"""


def dropped(ids: Ints, k: int = 4, h: int = 13, key: int = 0) -> Bools:
    """Which tokens of a text (int64[n]) are to be left out of the loss as targets: bool[n].

    Raises ConfigError if k or h can't be.
    """
    _check(k, h)
    data = np.ascontiguousarray(ids, dtype="<i8").view(np.uint8)
    return _dropped(data, k, h, np.uint64(key % (1 << 64)))


@kernel
def _dropped(data: NDArray[np.uint8], k: int, h: int, key: np.uint64) -> Bools:
    out = np.zeros(data.size // 8, dtype=np.bool_)
    for i in range(h, out.size):
        high, _ = hash128(data, (i - h) * 8, i * 8, key)
        out[i] = high % np.uint64(k) == np.uint64(0)
    return out


def masks(
    texts: Sequence[str],
    tokenizer: Any,
    *,
    k: int = 4,
    h: int = 13,
    key: int = 0,
    within: pa.Table | None = None,
) -> pa.Table:
    """The tokens of each text to leave out of the loss, schema MASKS.

    tokenizer: a `tokenizers.Tokenizer` (of a Hugging Face one: `.backend_tokenizer`). within: a
    table with doc, start and end (code points), such as the extractable rows of memorization.score;
    only tokens with characters in one of its rows are dropped.
    """
    tokens = tokenize(own_copy(tokenizer), texts)
    ranges = None
    if within is not None:
        ranges = tuples_of(within, "doc", "start", "end")
    positions = positions_of(tokens, k, h, key, ranges)
    arrays = [np.arange(len(texts)), np.diff(tokens.offsets), positions]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(arrays, MASKS, strict=True)],
        schema=MASKS,
    )


def positions_of(
    tokens: Tokens, k: int, h: int, key: int, within: Iterable[tuple[int, int, int]] | None
) -> list[Ints]:
    """For each text the positions of its tokens to leave out of the loss; see `masks`.

    within: index of a text, start, end (code points).
    """
    allowed = np.full(tokens.ids.size, within is None)
    for doc, start, end in within or ():
        first, last = tokens_of(tokens, doc, start, end)
        allowed[first:last] = True
    positions = []
    for first, last in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True):
        drop = dropped(tokens.ids[first:last], k, h, key) & allowed[first:last]
        positions.append(np.flatnonzero(drop))
    return positions


class LabelMasker:
    """Masks labels of a batch; wraps a data collator of the Hugging Face kind.

    >>> masker = LabelMasker(collator, separators=[tokenizer.eos_token_id])  # doctest: +SKIP
    >>> DataLoader(dataset, collate_fn=masker)  # doctest: +SKIP

    separators  tokens that belong to no text (BOS, EOS): hashes start anew behind them, so a text
                has the same mask alone, packed with others, and in `masks`
    column      where masks come from a table: the feature that holds a row's positions, counted
                among its tokens that are no separators. "" hashes instead

    Labels are compared with the ids in place (models of this kind shift them by themselves); what
    is padding (attention_mask 0) is no token. Raises ConfigError if k or h can't be.
    """

    def __init__(
        self,
        collator: Callable[[Sequence[Mapping[str, Any]]], Any] | None = None,
        *,
        k: int = 4,
        h: int = 13,
        key: int = 0,
        separators: Collection[int] = (),
        column: str = "",
    ) -> None:
        _check(k, h)
        self.collator = collator
        self.k, self.h, self.key = k, h, key
        self.separators = np.array(sorted(separators), dtype=np.int64)
        self.column = column

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> Any:
        """The collator's batch with masked labels. Raises ConfigError if there is no collator."""
        if self.collator is None:
            raise ConfigError("LabelMasker has no collator: give one, or call mask(...).")
        positions = None
        if self.column:
            positions = [np.asarray(row[self.column], dtype=np.int64) for row in features]
            features = [{k: v for k, v in row.items() if k != self.column} for row in features]
        batch = self.collator(features)
        batch["labels"] = self.mask(
            batch["input_ids"], batch["labels"], batch.get("attention_mask"), positions
        )
        return batch

    def mask(
        self,
        input_ids: "torch.Tensor",
        labels: "torch.Tensor",
        attention_mask: "torch.Tensor | None" = None,
        positions: Sequence[Ints] | None = None,
    ) -> "torch.Tensor":
        """Labels (int64[b, t]) with -100 where a target is dropped; those given are not changed.

        positions: for each row what to drop, instead of hashing.
        """
        import torch  # noqa: PLC0415 (whoever calls this has loaded it)

        ids = input_ids.cpu().numpy()
        real = np.ones(ids.shape, dtype=np.bool_)
        if attention_mask is not None:
            real = attention_mask.cpu().numpy() > 0
        own = real & ~np.isin(ids, self.separators)
        drop = np.zeros(ids.shape, dtype=np.bool_)
        for row in range(ids.shape[0]):
            indices = np.flatnonzero(own[row])
            if positions is not None:
                drop[row, indices[positions[row]]] = True
                continue
            for text in np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1):
                drop[row, text] = dropped(ids[row, text], self.k, self.h, self.key)
        return labels.masked_fill(torch.from_numpy(drop).to(labels.device), IGNORED)


def _check(k: int, h: int) -> None:
    if k < 2 or h < 1:
        raise ConfigError(
            f"Goldfish masks with k = {k}, h = {h}: drop one token in k >= 2 by h >= 1 before it."
        )
