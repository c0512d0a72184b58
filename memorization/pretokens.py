"""Byte-level BPE with every distinct piece of text tokenized once.

GPT-2's pattern cuts a text into pre-tokens (words with the space before them, numbers, punctuation,
white space), and BPE merges within one alone. Most are among a few ten thousand that come again and
again. `PieceEncoder` cuts texts where such a pre-token certainly ends, looks every piece up in a
table, and merges those that are new: short ones of ASCII letters, digits or signs itself, since
the tokenizer takes ten times as long for them, the others by the tokenizer, all at once.

A cut is certain between two ASCII characters, whatever stands around them: between a letter, a
digit and other signs, but not after an apostrophe ("'s" is one pre-token); before white space that
follows one of these; before the last white space character of a run; and after one that is no
space. Where other characters stand nothing is cut, and what is in one piece may be several
pre-tokens.
"""

import json
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.hashing import mix64
from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.text import arrow_buffers, strings_from

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]
Int = Any

ENTRIES = 1 << 17
"""Distinct pieces that are remembered; then the table starts anew."""

_BATCH = 512  # pieces that the tokenizer gets as one text
_SHORT = 32  # bytes of a piece that is merged here; time grows with their square
_UNMERGED = (1 << 31) - 1  # rank of a pair that is not merged
_PRIME, _NONE = np.uint64(0x100000001B3), np.uint64(0)
_NUMBER, _UPPER = np.uint64((1 << 24) - 1), np.uint64(40)  # of a slot: its entry; of a hash
_LETTER, _DIGIT, _SIGN, _SPACE, _LINE, _OTHER = 0, 1, 2, 3, 4, 5


class Merges(NamedTuple):
    """The merges of a byte-level BPE: `letters` int32[256], the token of each byte, and a table of
    open addressing by pairs of tokens: `pairs` uint64[2**b] (`_pair`, 0 for none), the `ranks` of
    their merges and the `tokens` that these make, int32[2**b].
    """

    letters: Numbers
    pairs: Hashes
    ranks: Numbers
    tokens: Numbers


class PieceEncoder:
    """Tokenizes with a `tokenizers.Tokenizer` that `encoder_of` found to be fit. For one thread."""

    def __init__(self, tokenizer: Any, sizes: Ints) -> None:
        self._tokenizer = tokenizer
        self._sizes = sizes
        self._added = _joined([t.content for t in tokenizer.get_added_tokens_decoder().values()])
        self._merges = merges_of(tokenizer)
        self._forget()

    def _forget(self) -> None:
        self._slots = np.zeros(1 << (4 * ENTRIES - 1).bit_length(), dtype=np.uint64)
        self._pieces = np.empty(ENTRIES * 8, dtype=np.uint8)
        self._ends = np.zeros(ENTRIES + 1, dtype=np.int64)
        self._known = 0
        self._ids = np.empty(0, dtype=np.int32)
        self._id_ends = np.zeros(1, dtype=np.int64)

    def encode(self, data: Bytes, offsets: Ints) -> tuple[Ints, Ints, Ints]:
        """The tokens of texts: (ids int64[tokens]; int64[texts + 1] where a text's begin; int64
        [tokens], the code points of its text that begin before a token's end).

        data, offsets: the texts in UTF-8, as corpus.text.arrow_buffers gives them; none may have an
        added token in it (`with_added`).
        """
        starts, text_bounds = _cut(data, offsets)
        ids, counts = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        first, pieces = 0, starts.size - 1
        while first < pieces:
            entries = np.empty(pieces - first, dtype=np.int32)
            self._make_room(int(starts[first + 1] - starts[first]))
            done, known = _look_up(
                data, starts, first, self._slots, self._pieces, self._ends, self._known, entries
            )
            self._learn(known)
            found, own = _gather(entries[: done - first], self._ids, self._id_ends)
            ids.append(found)
            counts.append(own)
            first = done
        every = np.concatenate(ids)
        before = np.zeros(starts.size, dtype=np.int64)
        np.cumsum(np.concatenate(counts), out=before[1:])
        bounds = before[text_bounds]
        return every, bounds, _code_points(data, offsets, every, bounds, self._sizes)

    def with_added(self, data: Bytes, offsets: Ints) -> NDArray[np.bool_]:
        """Which texts have an added token in them: bool[texts]."""
        return _with_any(data, offsets, *self._added)

    def _make_room(self, size: int) -> None:
        """So that the table takes one piece of `size` bytes at least."""
        if self._known == ENTRIES or self._ends[self._known] + size > self._pieces.size:
            self._forget()
            if size > self._pieces.size:
                self._pieces = np.empty(size, dtype=np.uint8)

    def _learn(self, known: int) -> None:
        """The tokens of the entries from the first unknown one up to `known`."""
        ends = self._ends[self._known : known + 1]
        self._known = known
        if ends.size == 1:
            return
        merged, counts = _merge(self._pieces, ends, *self._merges)
        others = np.flatnonzero(counts == 0)
        found, counts[others] = self._encoded(ends, others)
        ids = np.empty(merged.size + found.size, dtype=np.int32)
        is_other = np.zeros(counts.size, dtype=np.bool_)
        is_other[others] = True
        is_other = np.repeat(is_other, counts)
        ids[is_other], ids[~is_other] = found, merged
        self._id_ends = np.append(self._id_ends, np.cumsum(counts) + self._ids.size)
        self._ids = np.append(self._ids, ids)

    def _encoded(self, ends: Ints, which: Ints) -> tuple[Numbers, Ints]:
        """The tokens of some of the pieces that end at ends[1:], by the tokenizer, and how many
        each has.
        """
        if not which.size:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
        words = strings_from(self._pieces, ends).take(pa.array(which)).to_pylist()
        texts = [words[at : at + _BATCH] for at in range(0, len(words), _BATCH)]
        encodings = self._tokenizer.encode_batch_fast(
            texts, is_pretokenized=True, add_special_tokens=False
        )
        ids = np.concatenate([np.array(one.ids, dtype=np.int32) for one in encodings])
        reached, own_ends = np.cumsum(self._sizes[ids]), np.cumsum(np.diff(ends)[which])
        id_ends = np.searchsorted(reached, own_ends) + 1
        if not np.array_equal(reached[id_ends - 1], own_ends):
            raise RuntimeError("a byte-level tokenizer gave tokens that are not the text's bytes")
        return ids, np.diff(id_ends, prepend=0)


@lru_cache(maxsize=8)
def byte_sizes(tokenizer: Any) -> Ints | None:
    """The UTF-8 bytes that each token stands for, where tokens are the text's bytes in order:
    int64[tokens], 0 for added tokens. None where a tokenizer changes text or is of another kind.
    """
    parts = json.loads(tokenizer.to_str())
    splits = parts["pre_tokenizer"] or {}
    last = (splits.get("pretokenizers") or [splits])[-1]
    if parts["normalizer"] or last.get("type") != "ByteLevel" or last["add_prefix_space"]:
        return None
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    sizes = np.zeros(max(vocabulary.values(), default=-1) + 1, dtype=np.int64)
    for token, number in vocabulary.items():  # each byte is written as a letter of its own
        sizes[number] = len(token)
    added = [number for number in tokenizer.get_added_tokens_decoder() if number < sizes.size]
    sizes[added] = 0
    return sizes


def merges_of(tokenizer: Any) -> Merges:
    """Those of a byte-level BPE that every byte has a token of. No pairs where it takes pieces that
    are tokens whole, whatever its merges say.
    """
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = model["vocab"]
    letters = np.full(256, -1, dtype=np.int32)
    for byte in range(33, 127):
        letters[byte] = vocabulary[chr(byte)]
    letters[32] = vocabulary["\u0120"]  # as byte-level BPE writes it
    if model.get("ignore_merges"):
        letters[:] = -1
    merges = [one.split(" ") if isinstance(one, str) else one for one in model["merges"]]
    numbers = [(vocabulary[a], vocabulary[b], vocabulary[a + b]) for a, b in merges]
    table = np.array(numbers, dtype=np.int32).reshape(-1, 3)
    size = 1 << max(4, (2 * len(table)).bit_length())
    found = Merges(
        letters,
        np.zeros(size, dtype=np.uint64),
        np.zeros(size, dtype=np.int32),
        np.zeros(size, dtype=np.int32),
    )
    _enter_merges(table, found.pairs, found.ranks, found.tokens)
    return found


def encoder_of(tokenizer: Any) -> PieceEncoder | None:
    """The encoder of this thread for a tokenizer; None where its pre-tokens are not GPT-2's, or it
    is not a BPE of all bytes.
    """
    return _encoder(tokenizer, threading.get_ident())


@lru_cache(maxsize=8)
def _encoder(tokenizer: Any, thread: int) -> PieceEncoder | None:
    del thread  # a table of its own for each
    sizes = byte_sizes(tokenizer)
    return PieceEncoder(tokenizer, sizes) if sizes is not None and _is_fit(tokenizer) else None


def _is_fit(tokenizer: Any) -> bool:
    """Whether pre-tokens are GPT-2's, and every byte has a token."""
    from tokenizers.pre_tokenizers import ByteLevel  # noqa: PLC0415 (of the extra `score`)

    parts = json.loads(tokenizer.to_str())
    splits, model = parts["pre_tokenizer"], parts["model"]
    plain = splits["type"] == "ByteLevel" and splits["use_regex"] and model["type"] == "BPE"
    changing = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    if not plain or any(model.get(name) for name in changing):
        return False
    return all(letter in model["vocab"] for letter in ByteLevel.alphabet())


def _joined(texts: Sequence[str]) -> tuple[Bytes, Ints]:
    return arrow_buffers(pa.array(texts, pa.large_string()))


@inlined
def _class(byte: int) -> int:
    if byte == 32:
        return _SPACE
    if byte in (9, 10, 13):
        return _LINE
    if byte < 33 or byte > 126:
        return _OTHER
    if 97 <= (byte | 32) <= 122:
        return _LETTER
    return _DIGIT if 48 <= byte <= 57 else _SIGN


@kernel
def _cut(data: Bytes, offsets: Ints) -> tuple[Ints, Ints]:
    """(where each piece begins in `data`, and where the last one ends; the number of the first
    piece of each text, and how many pieces there are).
    """
    texts = offsets.size - 1
    bounds = np.zeros(texts + 1, dtype=np.int64)
    starts = np.empty((offsets[-1] - offsets[0]) + 1, dtype=np.int64)
    found = 0
    for text in range(texts):
        begin, end = offsets[text], offsets[text + 1]
        bounds[text] = found
        if begin == end:
            continue
        starts[found] = begin
        found += 1
        before, own = _OTHER, _class(data[begin])
        for at in range(begin + 1, end):
            before, own = own, _class(data[at])
            if own == before and own not in (_SPACE, _LINE):
                continue
            if own in (_SPACE, _LINE):
                # Before white space that follows a sign, or that is the last before one.
                last = at + 1 < end and _class(data[at + 1]) < _SPACE
                cut = before < _SPACE or last
            elif own < _SPACE:
                cut = before == _LINE or (
                    before < _SPACE and not (own == _LETTER and data[at - 1] == 39)
                )
            else:
                cut = False
            if cut:
                starts[found] = at
                found += 1
    bounds[texts] = found
    starts[found] = offsets[-1]
    return starts[: found + 1].copy(), bounds


@kernel
def _with_any(data: Bytes, offsets: Ints, wanted: Bytes, bounds: Ints) -> NDArray[np.bool_]:
    """Which texts have one of the strings wanted[bounds[i]:bounds[i + 1]] in them."""
    found = np.zeros(offsets.size - 1, dtype=np.bool_)
    begins = np.zeros(256, dtype=np.bool_)
    for i in range(bounds.size - 1):
        if bounds[i] < bounds[i + 1]:
            begins[wanted[bounds[i]]] = True
    for text in range(found.size):
        end = offsets[text + 1]
        for at in range(offsets[text], end):
            if not begins[data[at]]:
                continue
            for i in range(bounds.size - 1):
                size, k = bounds[i + 1] - bounds[i], np.int64(0)
                while k < size and at + k < end and data[at + k] == wanted[bounds[i] + k]:
                    k += 1
                if k == size and size > 0:
                    found[text] = True
            if found[text]:
                break
    return found


@kernel
def _look_up(
    data: Bytes,
    starts: Ints,
    first: Int,
    slots: Hashes,
    pieces: Bytes,
    ends: Ints,
    known: Int,
    entries: Numbers,
) -> tuple[int, int]:
    """Writes the entry of each piece from `first` on, and makes those that are new, until the table
    is full: (the first piece without an entry, how many entries there are now).

    slots: uint64[2**b], 0, or the upper bits of a hash and the number of its entry + 1; pieces: the
    bytes of the entries, ends[e] to ends[e + 1] of entry e.
    """
    mask = np.int64(slots.size - 1)
    for i in range(first, starts.size - 1):
        begin, size = starts[i], starts[i + 1] - starts[i]
        key = np.uint64(size)
        for at in range(begin, begin + size):
            key = (key ^ np.uint64(data[at])) * _PRIME
        key = mix64(key)
        slot = np.int64(key >> _UPPER) & mask
        upper = key & ~_NUMBER
        entry = np.int64(-1)
        while slots[slot] != _NONE:
            if slots[slot] & ~_NUMBER == upper:
                candidate = np.int64(slots[slot] & _NUMBER) - 1
                start = ends[candidate]
                if ends[candidate + 1] - start == size:
                    k = np.int64(0)
                    while k < size and pieces[start + k] == data[begin + k]:
                        k += 1
                    if k == size:
                        entry = candidate
                        break
            slot = (slot + 1) & mask
        if entry < 0:
            if known + 1 >= ends.size or ends[known] + size > pieces.size:
                return i, known
            pieces[ends[known] : ends[known] + size] = data[begin : begin + size]
            ends[known + 1] = ends[known] + size
            slots[slot] = upper | np.uint64(known + 1)
            entry = known
            known += 1
        entries[i - first] = entry
    return starts.size - 1, known


@inlined
def _pair(left: Int, right: Int) -> np.uint64:
    """Two tokens as one number, which is not 0."""
    return np.uint64(left + 1) << np.uint64(32) | np.uint64(right + 1)


@kernel
def _enter_merges(merges: Numbers, pairs: Hashes, ranks: Numbers, tokens: Numbers) -> None:
    mask = np.int64(pairs.size - 1)
    for rank in range(merges.shape[0]):
        key = _pair(merges[rank, 0], merges[rank, 1])
        slot = np.int64(mix64(key) >> _UPPER) & mask
        while pairs[slot] != _NONE:
            slot = (slot + 1) & mask
        pairs[slot], ranks[slot], tokens[slot] = key, rank, merges[rank, 2]


@inlined
def _slot_of(left: Int, right: Int, pairs: Hashes) -> Int:
    """Where a pair stands in the table; -1 if it is not merged."""
    mask, key = np.int64(pairs.size - 1), _pair(left, right)
    slot = np.int64(mix64(key) >> _UPPER) & mask
    while pairs[slot] != _NONE:
        if pairs[slot] == key:
            return slot
        slot = (slot + 1) & mask
    return np.int64(-1)


@inlined
def _is_one(piece: Bytes) -> bool:
    """Whether a piece is one pre-token of GPT-2's: a space or none, then ASCII letters, digits or
    signs alone.
    """
    first = 1 if piece[0] == 32 and piece.size > 1 else 0
    kind = _class(piece[first])
    if kind >= _SPACE:
        return False
    same = True
    for at in range(first + 1, piece.size):
        same &= _class(piece[at]) == kind
    return same


@inlined
def _lowest(slots: Ints, count: Int, ranks: Numbers) -> Int:
    """The first of the pairs whose merge has the lowest rank; -1 if none is merged."""
    best, at = np.int64(_UNMERGED), np.int64(-1)
    for k in range(count):
        if slots[k] >= 0 and ranks[slots[k]] < best:
            best, at = np.int64(ranks[slots[k]]), np.int64(k)
    return at


@inlined
def _merge_one(
    own: Numbers, slots: Ints, count: Int, pairs: Hashes, ranks: Numbers, tokens: Numbers
) -> Int:
    """Merge own[:count] in place, one pair at a time; how many tokens are left.

    slots: room for where each pair stands in the table.
    """
    for k in range(count - 1):
        slots[k] = _slot_of(own[k], own[k + 1], pairs)
    at = _lowest(slots, count - 1, ranks)
    while at >= 0:
        own[at] = tokens[slots[at]]
        count -= 1
        for k in range(at + 1, count):
            own[k] = own[k + 1]
            slots[k] = slots[k + 1]
        if at > 0:
            slots[at - 1] = _slot_of(own[at - 1], own[at], pairs)
        if at < count - 1:
            slots[at] = _slot_of(own[at], own[at + 1], pairs)
        at = _lowest(slots, count - 1, ranks)
    return count


@kernel
def _merge(
    pieces: Bytes, ends: Ints, letters: Numbers, pairs: Hashes, ranks: Numbers, tokens: Numbers
) -> tuple[Numbers, Ints]:
    """The tokens of the pieces between two of `ends`, and how many each has: 0 for a piece that is
    longer than _SHORT, or may be several pre-tokens.
    """
    count = ends.size - 1
    sizes = np.zeros(count, dtype=np.int64)
    ids = np.empty(ends[count] - ends[0], dtype=np.int32)
    own, slots = np.empty(_SHORT + 1, dtype=np.int32), np.empty(_SHORT + 1, dtype=np.int64)
    total = 0
    for i in range(count):
        piece = pieces[ends[i] : ends[i + 1]]
        if piece.size > _SHORT or letters[33] < 0 or not _is_one(piece):
            continue
        for k in range(piece.size):
            own[k] = letters[piece[k]]
        left = _merge_one(own, slots, np.int64(piece.size), pairs, ranks, tokens)
        ids[total : total + left] = own[:left]
        sizes[i] = left
        total += left
    return ids[:total].copy(), sizes


@kernel
def _gather(entries: Numbers, ids: Numbers, id_ends: Ints) -> tuple[Ints, Ints]:
    """The tokens of the entries, and how many each has: entry e's are ids[id_ends[e]:id_ends[e +
    1]].
    """
    counts = np.empty(entries.size, dtype=np.int64)
    total = 0
    for i in range(entries.size):
        counts[i] = id_ends[entries[i] + 1] - id_ends[entries[i]]
        total += counts[i]
    found = np.empty(total, dtype=np.int64)
    at = 0
    for i in range(entries.size):
        for k in range(id_ends[entries[i]], id_ends[entries[i] + 1]):
            found[at] = ids[k]
            at += 1
    return found, counts


@kernel
def _code_points(data: Bytes, offsets: Ints, ids: Ints, bounds: Ints, sizes: Ints) -> Ints:
    """For each token the code points of its text that begin before it ends. Token k of a text is
    ids[bounds[text] + k], and of sizes[id] bytes.
    """
    ends = np.empty(ids.size, dtype=np.int64)
    for text in range(offsets.size - 1):
        at, points = offsets[text], 0
        for token in range(bounds[text], bounds[text + 1]):
            for _ in range(sizes[ids[token]]):
                points += data[at] & 0xC0 != 0x80
                at += 1
            ends[token] = points
    return ends
