"""Text features: what the characters of a sequence alone say about how easily it is memorized.

Four numbers, from no model and no pass over the corpus: a sequence that follows from its beginning
(`template`), that repeats itself (`repetition`), that has unusual words (`rare_words`; they lower
the odds of memorization as recollection, Prashanth 2406.17746), and, for short records such as
captions, of words that are everywhere (`word_duplication`, after "Memory Triggers", 2312.03692).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError
from unrote.corpus.kernel import inlined, kernel
from unrote.corpus.packaged import packaged_file

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

GRAM = 6
"""Bytes in the n-grams of `repetition`."""

PERIODS = 24
"""The longest period, in words and punctuation, at which `template` looks for repeats."""

RARE = 1.0
"""A word that occurs less often in a million words is rare."""

_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_GRAM_BITS, _MULTIPLIER = np.uint64((1 << 8 * GRAM) - 1), np.uint64(0x9E3779B97F4A7C15)
_MARKS = (1 << 64 - 8 * GRAM) - 1
"""Texts that a table of grams tells apart: by the bits that a gram leaves."""

_MET_BITS = 15
"""Log2 of the slots for words that were met, with their frequencies."""

_LETTER, _DIGIT, _SPACE, _PUNCTUATION = 0, 1, 2, 3


@dataclass(frozen=True)
class WordFrequencies:
    """How often words occur in a million. Build one with `of_counts` or `of_tokenizer`.

    A table of open addressing: keys uint64[2**b], FNV-1a hashes of lower-case UTF-8, 0 where there
    is none; values float64[2**b]. entries: of how many vocabulary entries a word may be made, the
    longest first; its frequency is that of the rarest.
    """

    keys: Hashes
    values: Floats
    entries: int

    @classmethod
    def of_counts(cls, counts: Mapping[str, int]) -> "WordFrequencies":
        """From the words of a corpus and how often each occurs there. Case does not matter.

        Raises ConfigError if there is no word, or a count below 1.
        """
        if not counts or min(counts.values()) < 1:
            raise ConfigError(
                "Word counts: give at least one word, each with a count of 1 or more."
            )
        merged: dict[bytes, float] = {}
        for word, count in counts.items():
            data = _lower(word.encode("utf-8", "surrogatepass"))
            merged[data] = merged.get(data, 0.0) + count
        scale = 1e6 / sum(merged.values())
        return cls(*_table({word: count * scale for word, count in merged.items()}), 1)

    @classmethod
    def of_tokenizer(cls, stored: bytes) -> "WordFrequencies":
        """An estimate from a byte-level BPE (tokenizer.json) where there is no corpus.

        Merges are learnt in the order of their frequency, so an entry's rank stands for its own
        (Zipf's law: 1 / rank). A word that takes three entries or more counts as never seen.
        """
        vocabulary: dict[str, int] = json.loads(stored)["model"]["vocab"]
        ranked = sorted(vocabulary, key=vocabulary.__getitem__)
        harmonic = float(np.sum(1 / np.arange(1, len(ranked) + 1)))
        found: dict[bytes, float] = {}
        for rank, entry in enumerate(ranked, 1):
            word = _lower(entry.removeprefix("Ġ").encode())
            if word.isalpha():  # ASCII letters; other entries are bytes or punctuation
                found.setdefault(word, 1e6 / (rank * harmonic))
        return cls(*_table(found), 2)


@cache
def default_frequencies() -> WordFrequencies:
    """Those of the embedded model's tokenizer."""
    return WordFrequencies.of_tokenizer(
        packaged_file("unrote.memorization", "default/tokenizer.json")
    )


def text_features(
    texts: Sequence[str], frequencies: WordFrequencies | None = None
) -> dict[str, Floats]:
    """Four features of each text, float64[n], never NaN.

    template          the largest share, over periods of 1 to 24 words and signs, of those that
                      follow from what stands one period before: the same, or a number that goes on
                      as the two before it did (x, x + d, x + 2d; any sign of d). 0 to 1
    repetition        1 - distinct / all runs of 6 bytes. 0 to below 1
    rare_words        share of words (runs of letters) that occur less than once in a million words
    word_duplication  mean of ln(1 + occurrences in a million words) over the words, each counted
                      once
    Numbers are read without a sign, up to 15 digits. A text without words has 0 of the last two.
    frequencies: by default an estimate from the embedded model's tokenizer.
    """
    table = frequencies or default_frequencies()
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(data) for data in encoded], out=offsets[1:])
    data = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    columns = _measure(data, offsets, table.keys, table.values, table.entries)
    names = ("template", "repetition", "rare_words", "word_duplication")
    return dict(zip(names, columns, strict=True))


def _lower(data: bytes) -> bytes:
    """ASCII letters in lower case, as in the kernel."""
    return data.lower()


def _table(frequencies: Mapping[bytes, float]) -> tuple[Hashes, Floats]:
    """Keys and values of an open-addressing table at most half full."""
    size = 1 << max(4, (2 * len(frequencies)).bit_length())
    keys, values = np.zeros(size, dtype=np.uint64), np.zeros(size)
    words = np.frombuffer(b"".join(frequencies), dtype=np.uint8)
    ends = np.cumsum([len(word) for word in frequencies], dtype=np.int64)
    _enter(words, ends, np.array(list(frequencies.values())), keys, values)
    return keys, values


@kernel
def _enter(words: Bytes, ends: Ints, frequencies: Floats, keys: Hashes, values: Floats) -> None:
    start = 0
    for i in range(ends.size):
        key = _FNV_OFFSET
        for at in range(start, ends[i]):
            key = (key ^ np.uint64(words[at])) * _FNV_PRIME
        start = ends[i]
        slot = key & np.uint64(keys.size - 1)
        while keys[slot] != np.uint64(0) and keys[slot] != key:
            slot = (slot + np.uint64(1)) & np.uint64(keys.size - 1)
        keys[slot], values[slot] = key, frequencies[i]


@inlined
def _find(key: np.uint64, keys: Hashes, values: Floats) -> float:
    """The frequency of a hash; -1 if there is none."""
    slot = key & np.uint64(keys.size - 1)
    while keys[slot] != np.uint64(0):
        if keys[slot] == key:
            return values[slot]  # type: ignore[no-any-return]
        slot = (slot + np.uint64(1)) & np.uint64(keys.size - 1)
    return -1.0


@inlined
def _is_symbol(text: Bytes, at: int) -> bool:
    """Whether a character outside of ASCII that begins here is a symbol or punctuation: of the
    blocks U+0080 to U+00BF, U+2000 to U+2BFF, U+3000 to U+303F, U+1F000 to U+1FFFF. What other
    blocks have of them counts as letters.
    """
    lead, second = text[at], text[at + 1] if at + 1 < text.size else 0
    return bool(
        lead == 0xC2
        or (lead == 0xE2 and second < 0xB0)
        or (lead == 0xE3 and second == 0x80)
        or (lead == 0xF0 and second == 0x9F)
    )


@inlined
def _kind(text: Bytes, at: int) -> int:
    byte = text[at]
    folded = byte | 32
    if 97 <= folded <= 122 or (byte >= 128 and not _is_symbol(text, at)):
        return _LETTER
    if 48 <= byte <= 57:
        return _DIGIT
    return _SPACE if byte <= 32 else _PUNCTUATION


@inlined
def _folded(byte: int) -> int:
    return byte | 32 if 65 <= byte <= 90 else byte


@kernel
def _measure(
    data: Bytes, offsets: Ints, keys: Hashes, values: Floats, entries: int
) -> tuple[Floats, Floats, Floats, Floats]:
    n = offsets.size - 1
    template, repetition, rare, duplication = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    grams = np.zeros(_slots(offsets), dtype=np.uint64)
    met, known = np.zeros(1 << _MET_BITS, dtype=np.uint64), np.zeros(1 << _MET_BITS)
    for i in range(n):
        text = data[offsets[i] : offsets[i + 1]]
        units, numbers, words, frequencies = _units(text, keys, values, entries, met, known)
        template[i] = _template(units, numbers)
        if i % _MARKS == 0:
            grams[:] = 0
        repetition[i] = _repetition(text, grams, np.uint64(i % _MARKS + 1))
        if words.size:
            rare[i] = (frequencies < RARE).sum() / words.size
            order = np.argsort(words, kind="mergesort")
            total, distinct = 0.0, 0
            for k in range(order.size):
                if k == 0 or words[order[k]] != words[order[k - 1]]:
                    total += np.log1p(frequencies[order[k]])
                    distinct += 1
            duplication[i] = total / distinct
    return template, repetition, rare, duplication


@kernel
def _units(
    text: Bytes, keys: Hashes, values: Floats, entries: int, met: Hashes, known: Floats
) -> tuple[Hashes, Floats, Hashes, Floats]:
    """The words, numbers and punctuation of a text: a hash of each, and its value if it is a number
    (else NaN); then of the words alone the hashes and frequencies.

    met, known: words that were met before, by slots of their hash, and their frequencies.
    """
    units, numbers = np.empty(text.size, dtype=np.uint64), np.full(text.size, np.nan)
    words, frequencies = np.empty(text.size, dtype=np.uint64), np.empty(text.size)
    found = word = at = 0
    while at < text.size:
        kind, start = _kind(text, at), at
        key, value = _FNV_OFFSET, 0.0
        while at < text.size and (at == start or kind < _SPACE) and _kind(text, at) == kind:
            key = (key ^ np.uint64(_folded(text[at]))) * _FNV_PRIME
            value = value * 10 + (text[at] - 48)
            at += 1
        while kind == _PUNCTUATION and at < text.size and text[at] & 0xC0 == 0x80:
            key = (key ^ np.uint64(text[at])) * _FNV_PRIME
            at += 1
        if kind == _SPACE:
            continue
        units[found] = key
        if kind == _DIGIT and at - start <= 15:  # exact in a double
            numbers[found] = value
        if kind == _LETTER:
            slot = (key * _MULTIPLIER) >> np.uint64(64 - _MET_BITS)
            if met[slot] != key:
                met[slot] = key
                known[slot] = _frequency(text[start:at], keys, values, entries)
            words[word], frequencies[word] = key, known[slot]
            word += 1
        found += 1
    return units[:found], numbers[:found], words[:word], frequencies[:word]


@kernel
def _frequency(word: Bytes, keys: Hashes, values: Floats, entries: int) -> float:
    """Of the rarest of the vocabulary entries that make up a word; 0 if it takes more."""
    at, rarest = 0, np.inf
    for _ in range(entries):
        key, longest, best = _FNV_OFFSET, 0, 0.0
        for k in range(at, word.size):
            key = (key ^ np.uint64(_folded(word[k]))) * _FNV_PRIME
            frequency = _find(key, keys, values)
            if frequency >= 0:
                longest, best = k + 1 - at, frequency
        if longest == 0:
            return 0.0
        at, rarest = at + longest, min(rarest, best)
        if at == word.size:
            return rarest
    return 0.0


@kernel
def _template(units: Hashes, numbers: Floats) -> float:
    """The largest share, over the periods p that fit twice, of units that follow from the unit at p
    before (and, of numbers, at 2p before).
    """
    best = 0.0
    numbered = np.flatnonzero(~np.isnan(numbers))
    for p in range(1, min(PERIODS, units.size // 2) + 1):
        followed = 0
        for i in range(p, units.size):  # apart from numbers, so that it becomes vector instructions
            followed += units[i] == units[i - p]
        for at in numbered:
            if at >= 2 * p and units[at] != units[at - p]:
                step = numbers[at] - numbers[at - p]
                followed += step == numbers[at - p] - numbers[at - 2 * p]
        best = max(best, followed / (units.size - p))
    return best


@kernel
def _slots(offsets: Ints) -> int:
    """The size of a table of grams that is at most half full with those of the longest text."""
    slots = 16
    for i in range(offsets.size - 1):
        while slots < 2 * (offsets[i + 1] - offsets[i]):
            slots *= 2
    return slots


@kernel
def _repetition(text: Bytes, slots: Hashes, mark: np.uint64) -> float:
    """slots: a table of open addressing, in which what has another mark is nothing."""
    count = text.size - GRAM + 1
    if count < 1:
        return 0.0
    mask, distinct = np.uint64(slots.size - 1), 0
    gram = np.uint64(0)
    for i in range(GRAM - 1):
        gram = gram << np.uint64(8) | np.uint64(text[i])
    for i in range(GRAM - 1, text.size):
        gram = (gram << np.uint64(8) | np.uint64(text[i])) & _GRAM_BITS
        entry = mark << np.uint64(8 * GRAM) | gram
        slot = (gram * _MULTIPLIER) >> np.uint64(32) & mask
        while slots[slot] != entry and slots[slot] >> np.uint64(8 * GRAM) == mark:
            slot = (slot + np.uint64(1)) & mask
        distinct += slots[slot] != entry
        slots[slot] = entry
    return 1 - distinct / count
