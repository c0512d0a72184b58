"""Which sequences of a text are scored: windows of prefix + suffix tokens that cover it.

Windows start every `stride` tokens; the last one is aligned to the text's end, so that it is as
long as the others and overlaps the one before. A text shorter than a window is one window, whose
prefix has the same share of the tokens as in a full one (rounded down), so that a short text is not
easier or harder to extract by its cut alone. A text without tokens has none.

Every token owns the characters from the end of the token before it to its own end: spaces that a
tokenizer leaves out, or a character that several tokens share, belong to exactly one. So windows of
stride prefix + suffix cover every character of a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.text import arrow_buffers, bytes_view, chars_at
from unrote.memorization.pretokens import byte_sizes, encoder_of

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """The tokens of texts. Text i has ids[offsets[i]:offsets[i + 1]].

    ids int64[tokens]; offsets int64[texts + 1]; ends int64[tokens]: the code point at which what a
    token owns ends; chars int64[texts]: code points in each text.
    """

    ids: Ints
    offsets: Ints
    ends: Ints
    chars: Ints


@dataclass(frozen=True)
class Sequences:
    """Token windows. Sequence i has ids[offsets[i]:offsets[i + 1]], its prefix first.

    ids int64[tokens]; offsets int64[n + 1]; int64[n]: `prefix` tokens in the prefix; `doc` index of
    the text; `start`, `second` and `end`: the code points of the text at which the first token, the
    one after it and the one after the last begin.
    """

    ids: Ints
    offsets: Ints
    prefix: Ints
    doc: Ints
    start: Ints
    second: Ints
    end: Ints

    def __len__(self) -> int:
        return self.prefix.size

    @property
    def lengths(self) -> Ints:
        return np.diff(self.offsets)


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Tokens:
    """The tokens of texts, no special ones added, nothing truncated.

    tokenizer: a `tokenizers.Tokenizer` that neither pads nor truncates (`own_copy`).
    """
    encoder, known = encoder_of(tokenizer), list(texts)
    if encoder is None:
        return _encoded(tokenizer, known)
    data, offsets = arrow_buffers(pa.array(known, pa.large_string()))
    apart = encoder.with_added(data, offsets)
    if apart.any():
        plain, others = np.flatnonzero(~apart), np.flatnonzero(apart)
        parts = [tokenize(tokenizer, [known[i] for i in plain])] if plain.size else []
        parts.append(_encoded(tokenizer, [known[i] for i in others]))
        return _in_order(parts, np.argsort(np.concatenate([plain, others])))
    chars = np.array([len(text) for text in known], dtype=np.int64)
    ids, bounds, ends = encoder.encode(data, offsets)
    return Tokens(ids, bounds, ends, chars)


def _in_order(parts: Sequence[Tokens], order: Ints) -> Tokens:
    """The texts of all parts, of which text order[i] comes i-th."""
    ids, ends, chars = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "ends", "chars")
    )
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    first = (np.cumsum(sizes) - sizes)[order]
    offsets = offsets_of(sizes[order])
    index = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], sizes[order])
    return Tokens(ids[index], offsets, ends[index], chars[order])


def _encoded(tokenizer: Any, texts: Sequence[str]) -> Tokens:
    """The tokens of texts, by the tokenizer itself.

    Offsets of tokens that are the text's bytes are computed: asking for them takes twice the time.
    """
    sizes_of, known = byte_sizes(tokenizer), list(texts)
    encode = tokenizer.encode_batch if sizes_of is None else tokenizer.encode_batch_fast
    ids, ends, sizes = [], [], []
    for text, encoding in zip(known, encode(known, add_special_tokens=False), strict=True):
        own = np.array(encoding.ids, dtype=np.int64)
        ids.append(own)
        end = None if sizes_of is None else _computed_ends(text, own, sizes_of)
        if end is None:
            end = _reported_ends(tokenizer, text, encoding, sizes_of is None)
        ends.append(end)
        sizes.append(own.size)
    return Tokens(
        np.concatenate([np.empty(0, dtype=np.int64), *ids]),
        offsets_of(np.array(sizes, dtype=np.int64)),
        np.concatenate([np.empty(0, dtype=np.int64), *ends]),
        np.array([len(text) for text in texts], dtype=np.int64),
    )


def _computed_ends(text: str, ids: Ints, sizes: Ints) -> Ints | None:
    """Where each token ends, of tokens with known sizes; None if they are not all of the text."""
    if ids.size and int(ids.max()) >= sizes.size:
        return None
    data = text.encode("utf-8", "surrogatepass")
    ends = np.cumsum(sizes[ids])
    if (ends[-1] if ids.size else 0) != len(data) or (sizes[ids] == 0).any():
        return None
    return ends if len(data) == len(text) else chars_at(bytes_view(data), 0, ends)


def _reported_ends(tokenizer: Any, text: str, encoding: Any, has_offsets: bool) -> Ints:
    """Where each token ends, as the tokenizer says."""
    if not has_offsets:
        encoding = tokenizer.encode(text, add_special_tokens=False)
    end = np.array([stop for _, stop in encoding.offsets], dtype=np.int64)
    end = np.maximum.accumulate(end)
    end[-1:] = len(text)
    return end


def tokens_of(tokens: Tokens, doc: int, start: int, end: int) -> tuple[int, int]:
    """The indices (first, one after the last) in tokens.ids of what covers text[start:end] of a
    text.

    Tokens that share a character are taken together. first = last where nothing does.
    """
    begin, stop = int(tokens.offsets[doc]), int(tokens.offsets[doc + 1])
    ends = tokens.ends[begin:stop]
    first = int(np.searchsorted(ends, start, side="right"))
    last = int(np.searchsorted(ends, end, side="left"))
    if end <= start or first >= ends.size:
        return begin + first, begin + first
    behind = int(np.searchsorted(ends, ends[min(last, ends.size - 1)], side="right"))
    return begin + first, begin + behind


def window_starts(tokens: int, length: int, stride: int) -> Ints:
    """The first token of each window of a text of `tokens` tokens: int64[windows]."""
    if tokens == 0:
        return np.empty(0, dtype=np.int64)
    last = max(tokens - length, 0)
    return np.append(np.arange(0, last, stride, dtype=np.int64), last)


def sequences(tokens: Tokens, prefix: int, suffix: int, stride: int = 0) -> Sequences:
    """The windows of texts, by text and offset. `stride` 0 is prefix + suffix."""
    length = prefix + suffix
    docs, firsts, lasts = [], [], []
    for text, count in enumerate(np.diff(tokens.offsets).tolist()):
        starts = window_starts(count, length, stride or length)
        docs.append(np.full(starts.size, text, dtype=np.int64))
        firsts.append(starts + tokens.offsets[text])
        lasts.append(np.minimum(starts + length, count) + tokens.offsets[text])
    none = np.empty(0, dtype=np.int64)
    doc, first, last = (np.concatenate([none, *part]) for part in (docs, firsts, lasts))
    sizes = last - first
    offsets = offsets_of(sizes)
    index = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], sizes)
    return Sequences(
        tokens.ids[index],
        offsets,
        np.where(sizes == length, prefix, sizes * prefix // length),
        doc,
        _chars_before(tokens, first, tokens.offsets[doc]),
        tokens.ends[first],
        _chars_before(tokens, last, tokens.offsets[doc]),
    )


def _chars_before(tokens: Tokens, index: Ints, first: Ints) -> Ints:
    """The code points before token `index` in the text whose first token is `first`."""
    return np.where(index > first, np.append(tokens.ends, 0)[index - 1], 0)


def offsets_of(sizes: Ints) -> Ints:
    """int64[n + 1]: where parts of the given sizes begin and end in one array."""
    offsets = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets
