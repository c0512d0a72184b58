"""Hashes of byte ranges: fast, strong against chance, not against an adversary.

Two lanes of wyhash's step (multiply two words to 128 bits, xor the halves), each of which reads
every word of the input, so that the whole 128 bits depend on every byte. The length is folded in at
the end. The values are part of the format: tables are sorted by them.
"""

import numpy as np

from unrote.corpus.kernel import inlined, kernel, load64, multiply_fold

# Odd, half of the bits set, no byte twice: wyhash's and splitmix64's constants.
_A = np.uint64(0xA0761D6478BD642F)
_B = np.uint64(0xE7037ED1A0B428DB)
_C = np.uint64(0x8EBC6AF09C88C6E3)
_D = np.uint64(0x589965CC75374CC3)
_E = np.uint64(0x1D8E4E27C47D124F)
_F = np.uint64(0xEB44ACCAB455D165)
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


@inlined
def mix64(x: np.uint64) -> np.uint64:
    """splitmix64's finaliser (Steele, Lea, Flood 2014): a bijection of uint64 that mixes well."""
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    return x ^ (x >> _S31)


def random_numbers(doc: np.ndarray, number: np.ndarray) -> np.ndarray:
    """A pseudo-random number in 0 ... 2**32 for each row: splitmix64 of its document and number
    within it, int64[n] each.
    """
    x = doc.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + number.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(32)).astype(np.int64)


@inlined
def _few_bytes(data: np.ndarray, start: int, end: int) -> np.uint64:
    """Up to eight bytes as a little-endian word, without reading past `end`."""
    word = np.uint64(0)
    for i in range(start, end):
        word |= np.uint64(data[i]) << np.uint64((i - start) * 8)
    return word


@kernel
def hash128(data: np.ndarray, start: int, end: int, seed: np.uint64) -> tuple[np.uint64, np.uint64]:
    """128-bit hash (two uint64) of data[start:end] under `seed` (uint64)."""
    length = np.uint64(end - start)
    a = mix64(seed + _GAMMA)
    b = mix64(a + _GAMMA)
    at = start
    while at + 16 < end:
        first, second = load64(data, at), load64(data, at + 8)
        a = multiply_fold(first ^ _A, second ^ a)
        b = multiply_fold(first ^ b, second ^ _B)
        at += 16
    # Up to sixteen bytes are left. The last words may overlap the ones before: the length tells.
    if end - start >= 16:
        first, second = load64(data, end - 16), load64(data, end - 8)
    elif end - at >= 8:
        first, second = load64(data, at), load64(data, end - 8)
    else:
        first, second = _few_bytes(data, at, end), np.uint64(0)
    a = multiply_fold(first ^ _A, second ^ a)
    b = multiply_fold(first ^ b, second ^ _B)
    high = multiply_fold(a ^ _C ^ length, b ^ _D)
    low = multiply_fold(a ^ _E, b ^ _F ^ length)
    return mix64(high ^ b), mix64(low ^ a)
