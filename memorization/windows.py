"""Which sequences of a text are scored: windows of prefix + suffix tokens that cover it.

Windows start every `stride` tokens; the last one is aligned to the text's end, so that it is as
long as the others and overlaps the one before. A text shorter than a window is one window, whose
prefix has the same share of the tokens as in a full one (rounded down), so that a short text is not
easier or harder to recite by its cut alone. A text without tokens has none.

Every token owns the characters from the end of the token before it to its own end: spaces that a
tokenizer leaves out, or a character that several tokens share, belong to exactly one. So windows of
stride prefix + suffix cover every character of a text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Tokenizer(Protocol):
    """What is used of `tokenizers.Tokenizer`."""

    def encode_batch(self, texts: list[str], *, add_special_tokens: bool) -> Iterable[Any]: ...


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


def own_copy(tokenizer: Any) -> Any:
    """A `tokenizers.Tokenizer` like the given one, that neither pads nor truncates.

    A copy, because Hugging Face tokenizers set and unset both on theirs with every call.
    """
    copied = type(tokenizer).from_str(tokenizer.to_str())
    copied.no_padding()
    copied.no_truncation()
    return copied


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    """The tokens of texts, no special ones added, nothing truncated."""
    ids, ends, sizes = [], [], []
    for text, encoding in zip(
        texts, tokenizer.encode_batch(list(texts), add_special_tokens=False), strict=True
    ):
        ids.append(np.array(encoding.ids, dtype=np.int64))
        end = np.array([stop for _, stop in encoding.offsets], dtype=np.int64)
        end = np.maximum.accumulate(end)
        end[-1:] = len(text)
        ends.append(end)
        sizes.append(len(encoding.ids))
    return Tokens(
        np.concatenate([np.empty(0, dtype=np.int64), *ids]),
        offsets_of(np.array(sizes, dtype=np.int64)),
        np.concatenate([np.empty(0, dtype=np.int64), *ends]),
        np.array([len(text) for text in texts], dtype=np.int64),
    )


def tokens_of(tokens: Tokens, doc: int, start: int, end: int) -> tuple[int, int]:
    """The places (first, behind the last) in tokens.ids of what covers text[start:end] of a text.

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
    """The windows of texts, by text and place. `stride` 0 is prefix + suffix."""
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
    place = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], sizes)
    return Sequences(
        tokens.ids[place],
        offsets,
        np.where(sizes == length, prefix, sizes * prefix // length),
        doc,
        _chars_before(tokens, first, tokens.offsets[doc]),
        tokens.ends[first],
        _chars_before(tokens, last, tokens.offsets[doc]),
    )


def _chars_before(tokens: Tokens, place: Ints, text: Ints) -> Ints:
    """The code points before token `place` in the text that begins at token `text`."""
    return np.where(place > text, np.append(tokens.ends, 0)[place - 1], 0)


def offsets_of(sizes: Ints) -> Ints:
    """int64[n + 1]: where parts of the given sizes begin and end in one array."""
    offsets = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets
