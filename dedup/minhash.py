"""MinHash signatures and their LSH bands (Broder 1997; Leskovec, Rajaraman, Ullman, ch. 3).

A signature holds, for each of `permutations` hash functions, its least value over the shingles of a
text. Two texts agree at a position with a probability that is their Jaccard similarity. The
functions are x -> a*x + b modulo 2**32 (a odd) on half of a shingle's hash: a permutation of the
32-bit numbers, and one multiplication that the compiler does for 16 functions at a time.

A text is in as many buckets as there are bands; two texts are a candidate pair if they share one.
"""

from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel, multiply_fold
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.text import arrow_buffers
from unrote.corpus.texts import Texts, text_array
from unrote.dedup.shingles import (
    BUFFERED,
    STATE,
    WORDS,
    Unit,
    begin,
    fill,
    gram_power,
    is_characters,
)
from unrote.dedup.words import Bytes, Hashes, Int, Ints, Table, table_for

Signatures = NDArray[np.uint32]

EMPTY = np.uint32(0xFFFFFFFF)
"""What every position of the signature of a text without words holds."""

_BAND_SEED = np.uint64(0x589965CC75374CC3)
_BAND_KEY = np.uint64(0x1D8E4E27C47D124F)


def bands_for(permutations: int, threshold: float, max_miss: float) -> tuple[int, int]:
    """How to cut a signature into (bands, rows).

    A pair of similarity s shares no bucket with probability (1 - s**rows)**bands. The longest rows
    for which that is at most `max_miss` at the threshold make the fewest candidates.
    Raises ValueError if not even rows of one do; it says how many permutations would.
    """
    for rows in range(permutations, 0, -1):
        bands = permutations // rows
        if (1.0 - threshold**rows) ** bands <= max_miss:
            return bands, rows
    needed = int(np.ceil(np.log(max_miss) / np.log1p(-threshold)))
    raise ValueError(
        f"{permutations} permutations miss a pair at the threshold {threshold} with a chance of "
        f"{(1.0 - threshold) ** permutations:.3g}, more than max_miss = {max_miss}: use at least "
        f"{needed} permutations, a higher threshold or a higher max_miss"
    )


@cache
def permutation_constants(permutations: int) -> tuple[Signatures, Signatures]:
    """The fixed a (odd) and b of each hash function: two uint32[permutations], to be read only."""
    drawn = np.random.Generator(np.random.PCG64(0x756E726F7465)).integers(
        1 << 32, size=(permutations, 2), dtype=np.uint32
    )
    return np.ascontiguousarray(drawn[:, 0] | np.uint32(1)), np.ascontiguousarray(drawn[:, 1])


@kernel
def lower_minima(
    hashes: Hashes, count: Int, a: Signatures, b: Signatures, minima: Signatures
) -> None:
    """Take hashes[:count] into the signature `minima`.

    Four at a time, because that spares three of four loads and stores of `minima`; a short rest
    takes the last one again, which changes no minimum.
    """
    for i in range(0, count, 4):
        x0 = np.uint32(hashes[i] >> np.uint64(32))
        x1 = np.uint32(hashes[min(i + 1, count - 1)] >> np.uint64(32))
        x2 = np.uint32(hashes[min(i + 2, count - 1)] >> np.uint64(32))
        x3 = np.uint32(hashes[min(i + 3, count - 1)] >> np.uint64(32))
        for p in range(minima.size):
            y0 = np.uint32(a[p] * x0 + b[p])
            y1 = np.uint32(a[p] * x1 + b[p])
            y2 = np.uint32(a[p] * x2 + b[p])
            y3 = np.uint32(a[p] * x3 + b[p])
            minima[p] = min(minima[p], y0, y1, y2, y3)


@kernel
def sign(
    data: Bytes,
    start: Int,
    end: Int,
    table: Table,
    characters: bool,
    ring: Hashes,
    state: Ints,
    buffer: Hashes,
    a: Signatures,
    b: Signatures,
    minima: Signatures,
) -> Int:
    """The signature of the text data[start:end] into `minima`, read once; returns its words."""
    power = gram_power(ring.size)
    minima[:] = EMPTY
    begin(data, start, end, table, False, ring, state)
    while True:
        filled = fill(data, end, table, characters, ring, state, power, buffer)
        if filled == 0:
            return state[WORDS]
        if minima.size:
            lower_minima(buffer, filled, a, b, minima)


@inlined
def bucket_keys(minima: Signatures, rows: Int, buckets: Ints) -> None:
    """The bucket of each band of a signature: a hash of the band's number and its rows."""
    for band in range(buckets.size):
        h = _BAND_SEED + np.uint64(band)
        for p in range(band * rows, (band + 1) * rows):
            h = multiply_fold(h ^ np.uint64(minima[p]), _BAND_KEY)
        buckets[band] = np.int64(h)


@kernel
def _signatures(
    data: Bytes,
    offsets: Ints,
    table: Table,
    characters: bool,
    ngram: int,
    a: Signatures,
    b: Signatures,
    bands: int,
    rows: Int,
) -> tuple[Signatures, Ints, Ints]:
    """(signatures uint32[n, permutations], buckets int64[n, bands], words int64[n])."""
    n = offsets.size - 1
    ring, state = np.zeros(ngram, dtype=np.uint64), np.zeros(STATE, dtype=np.int64)
    buffer = np.empty(BUFFERED, dtype=np.uint64)
    minima = np.empty((n, a.size), dtype=np.uint32)
    buckets = np.empty((n, bands), dtype=np.int64)
    words = np.empty(n, dtype=np.int64)
    for d in range(n):
        words[d] = sign(
            data,
            offsets[d],
            offsets[d + 1],
            table,
            characters,
            ring,
            state,
            buffer,
            a,
            b,
            minima[d],
        )
        bucket_keys(minima[d], rows, buckets[d])
    return minima, buckets, words


def signatures(
    texts: Texts,
    *,
    permutations: int = 128,
    ngram: int = 5,
    unit: Unit = "word",
    normalization: Normalization = NFC,
) -> Signatures:
    """The MinHash signatures of texts: uint32[n, permutations].

    normalization: the form in which texts are compared (corpus.normalization).

    A text without words has `EMPTY` in every position. Raises ValueError if `unit` or `ngram` is
    not allowed, TypeError for texts that are no strings.
    """
    normal = normalization.texts(text_array(texts))
    return sign_texts(normal, permutations, ngram, unit, 0, 0)[0]


def sign_texts(
    texts: pa.StringArray, permutations: int, ngram: int, unit: str, bands: int, rows: int
) -> tuple[Signatures, Ints, Ints]:
    """(signatures uint32[n, permutations], buckets int64[n, bands], words int64[n]) of an Arrow
    array. Raises ValueError if `unit` or `ngram` is not allowed.
    """
    data, offsets = arrow_buffers(texts)
    characters = is_characters(unit, ngram)
    a, b = permutation_constants(permutations)
    return _signatures(data, offsets, table_for(data), characters, ngram, a, b, bands, rows)


def estimate(left: Signatures, right: Signatures) -> NDArray[np.float64]:
    """The estimated Jaccard similarity: the share of positions at which signatures agree.

    left, right: uint32[..., permutations]. Returns float64[...]; its standard error is
    sqrt(s * (1 - s) / permutations).
    """
    return np.asarray((left == right).mean(axis=-1))
