"""Texts in windows of the tokens of a Hugging Face tokenizer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from unrote.corpus.normalization import Normalization
from unrote.corpus.pretrained import (
    check_tokenizer,
    folder_of,
    load_tokenizer,
    tokenizer_remedy,
)
from unrote.corpus.tokenizer import fast_tokenizer
from unrote.pii.ner.windows import (
    Ints,
    WindowRows,
    aligned,
    encodable,
    in_source,
    pieces,
    snapped,
    window_bounds,
)

OVERLAP = 0.25
"""Of a window, with the next one."""


class TokenCutter:
    """A Cutter (pii.ner.windows) by the tokenizer of the model `name`: a folder, or a name in the
    Hugging Face cache.

    width: tokens in a window, without special ones. Raises ConfigError where there is no such model
    or it has no fast tokenizer.
    """

    def __init__(self, name: str, width: int) -> None:
        self._tokenizer = fast_tokenizer(name, load_tokenizer(tokenizer_folder(name)))
        self._width = width

    def cut(self, texts: Sequence[str], normalization: Normalization) -> pa.RecordBatch:
        """The windows of texts, as of an EntityModel."""
        rows = WindowRows()
        for index, text in enumerate(texts):
            if not text.strip() or not encodable(text):
                continue
            normal, *back = aligned(text, normalization)
            ids, starts, ends = self._tokens(normal)
            size = ids.size
            starts, ends = in_source(*snapped(normal, starts, ends), (back[0], back[1]))
            bounds = window_bounds(size, self._width, int(self._width * OVERLAP)) if size else ()
            for first, last, own, own_end in bounds:
                base = int(starts[first:last].min())
                tokens = (ids[first:last], starts[first:last] - base, ends[first:last] - base)
                rows.add(index, (own - first, own_end - first), last - first, base, tokens)
        return rows.batch()

    def _tokens(self, text: str) -> tuple[Ints, Ints, Ints]:
        """ids, starts and ends (code points) of a text's tokens: int64[tokens] each."""
        ranges = list(pieces(text))
        parts = self._tokenizer.encode_batch(
            [text[a:b] for a, b in ranges], add_special_tokens=False
        )
        ids = [np.array(part.ids, dtype=np.int64) for part in parts]
        spans = [
            np.array(part.offsets, dtype=np.int64).reshape(-1, 2) + start
            for part, (start, _) in zip(parts, ranges, strict=True)
        ]
        both = np.concatenate([np.empty((0, 2), dtype=np.int64), *spans])
        return np.concatenate([np.empty(0, dtype=np.int64), *ids]), both[:, 0], both[:, 1]


def tokenizer_folder(name: str) -> Path:
    """The folder of the model `name`. Raises ConfigError where it has no tokenizer's files."""
    folder = folder_of(name)
    check_tokenizer(name, folder, tokenizer_remedy(name))
    return folder
