"""Signatures of ours as datasketch's sketches and back, and sketches of others as candidates.

The permutations of `dedup.minhash` have the form of datasketch's scheme "affine32": a * x + b
modulo 2**32 with an odd a, and a signature is their minima as uint32. So a signature is a
`LeanMinHash` as it stands: `jaccard()`, `MinHashLSH` and storages such as Redis take it, and
the estimates are those of `dedup.minhash.estimate`, to the bit.

Two sketches can be compared only if permutations *and* hash function are the same. datasketch draws
other constants, permutes MurmurHash3's finalizer of SHA-1 of what it is given, and its shingles are
whatever its caller made; so ours and theirs never compare. datasketch tells sketches apart by seed
and scheme, and refuses to compare what differs in one. The seed of ours (`seed_of`) names the
permutations, the shingles, and the version of both; it is above 2**32, so that datasketch refuses,
too, to make a `MinHash` of it, which would be updated by other permutations.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.extras import require
from unrote.corpus.normalization import NFC, Form, Normalization
from unrote.dedup.exact import Fingerprint
from unrote.dedup.minhash import Signatures
from unrote.dedup.shingles import Unit, is_characters

if TYPE_CHECKING:
    from datasketch import LeanMinHash

SCHEME = "affine32"

_NAME = 0x756E726F  # "unro"
_MIX = np.uint64(0x9FB21C651E98DF25)


def seed_of(ngram: int = 5, unit: Unit = "word", normalization: Normalization = NFC) -> int:
    """The seed of sketches of our signatures: those of other shingles, or of a version that makes
    others, have another. From 2**52 to 2**53.

    Raises ValueError if `unit` or `ngram` is not allowed.
    """
    is_characters(unit, ngram)
    form = get_args(Form).index(normalization.form) << 2
    form |= normalization.drop_ignorable << 1 | normalization.unescape_html
    shingles = form << 10 | get_args(Unit).index(unit) << 7 | ngram
    return _NAME << 22 | (Fingerprint.version & 0xFF) << 14 | shingles


def to_datasketch(
    signatures: Signatures,
    *,
    ngram: int = 5,
    unit: Unit = "word",
    normalization: Normalization = NFC,
) -> "list[LeanMinHash]":
    """Each signature as a `datasketch.LeanMinHash`, for its `jaccard`, a `MinHashLSH`, or Redis.

    signatures: uint32[n, permutations], of `unrote.signatures`; ngram, unit, normalization: what
    they were made with. Sketches of different shingles refuse to be compared.
    Raises ConfigError where datasketch is not installed, ValueError for what is no such array.
    """
    require("datasketch", "Signatures for datasketch")
    from datasketch import LeanMinHash  # noqa: PLC0415 - slow to import, optional

    seed, rows = seed_of(ngram, unit, normalization), _checked(signatures)
    return [LeanMinHash(seed=seed, hashvalues=row, scheme=SCHEME) for row in rows]


def from_datasketch(
    sketches: "Sequence[LeanMinHash]",
    *,
    ngram: int = 5,
    unit: Unit = "word",
    normalization: Normalization = NFC,
) -> Signatures:
    """The signatures behind sketches that `to_datasketch` made, wherever they were kept since.

    Returns uint32[n, permutations]. Raises ValueError for others: they are no signatures of these
    texts by our permutations, so that comparing them with some would say nothing; with
    `unrote.near_duplicates(texts, signatures=sketches)` they can name candidates.
    """
    seed = seed_of(ngram, unit, normalization)
    for number, sketch in enumerate(sketches):
        if (sketch.seed, sketch.scheme) != (seed, SCHEME):
            raise ValueError(
                f"sketch {number} has the seed {sketch.seed} and the scheme {sketch.scheme!r}; "
                f"those of unrote's signatures of {unit} {ngram}-grams are {seed} and {SCHEME!r}. "
                "Name the ngram, unit and normalization that it was made with, or give "
                "foreign sketches to unrote.near_duplicates(texts, signatures=sketches)"
            )
    return _stacked(sketches).astype(np.uint32)


def buckets_of(
    signatures: "Signatures | Sequence[Any]", bands: int, rows: int
) -> NDArray[np.int64]:
    """The bucket of each band of signatures, ours or any of datasketch's: int64[n, bands].

    Two have the same if their band's values are the same, and else with a probability of 2**-63.
    Raises ValueError where the sketches differ in seed, scheme or length.
    """
    if isinstance(signatures, np.ndarray):
        values = _checked(signatures).astype(np.uint64)
    else:
        values = _stacked(signatures)
    values = values[:, : bands * rows].reshape(len(values), bands, rows)
    mixed = np.broadcast_to(np.arange(bands, dtype=np.uint64) * _MIX, values.shape[:2])
    for row in range(rows):
        mixed = (mixed ^ values[:, :, row]) * _MIX
        mixed = mixed ^ (mixed >> np.uint64(29))
    return np.ascontiguousarray(mixed).view(np.int64)


def length_of(signatures: "Signatures | Sequence[Any]", texts: int) -> int:
    """Permutations of signatures, of which there must be as many as texts.

    Raises ValueError where there are not, or where they are none.
    """
    if len(signatures) != texts:
        raise ValueError(f"{len(signatures)} signatures for {texts} texts: give one for each")
    if isinstance(signatures, np.ndarray):
        return int(_checked(signatures).shape[1])
    return len(signatures[0]) if texts else 0


def _checked(signatures: Signatures) -> Signatures:
    array = np.asarray(signatures)
    if array.ndim != 2 or array.dtype != np.uint32 or not array.shape[1]:
        raise ValueError(
            f"signatures are {array.dtype}{list(array.shape)}; they must be uint32[n, "
            "permutations], as unrote.signatures gives them"
        )
    return array


def _stacked(sketches: Sequence[Any]) -> NDArray[np.uint64]:
    """The values of sketches of one kind: uint64[n, permutations]."""
    kinds = {(one.seed, one.scheme, len(one)) for one in sketches}
    if len(kinds) > 1:
        raise ValueError(
            "the sketches differ in seed, scheme or length: "
            f"{', '.join(map(str, sorted(kinds)))}. Only sketches of one kind can be compared"
        )
    if not kinds:
        return np.empty((0, 0), dtype=np.uint64)
    return np.stack([one.hashvalues for one in sketches]).astype(np.uint64)
