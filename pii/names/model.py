"""The tagger: its file, and the names that it finds in a text.

The file is an archive of numpy arrays (`names.npz`), which benchmarks/names/train.py writes:

weights      int8[2**b, LABELS]   a row for each hashed feature
transitions  int32[LABELS, LABELS]  scores of neighbouring labels
margins      int32[KINDS, 100]    the margin from which a name of a kind has a score of 1 %, 2 %, …
keys         uint32[n]            upper halves of the hashes of words in the lexicon, in order
known        uint32[n]            what is known of them (unrote.pii.names.features)

A score is calibrated: of the names found with a score of 0.8 four in five are right, on text of the
kinds that the tagger was trained on. In text of other languages no score is above
ELSEWHERE (pii.names.reading).
"""

import io
import zipfile
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError
from unrote.corpus.packaged import packaged_file
from unrote.pii.names.decoder import IMPOSSIBLE, KINDS, LABELS, may_follow, packed
from unrote.pii.names.features import Lexicon, fill_lexicon
from unrote.pii.names.nameless import nothing_remembered
from unrote.pii.names.reading import names_in
from unrote.pii.names.tokens import case_table, joining

FILE = "names.npz"

PART = 1 << 20
"""Bytes of a text that are read at once: memory is some 40 times that. Longer ones are cut at line
breaks, or where there is none at spaces."""


class Names(NamedTuple):
    """The names found in a text, in order: int64[n] offsets in bytes, int64[n] index in KINDS,
    float64[n] score in [0, 1], whole hundredths.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: NDArray[np.int64]
    scores: NDArray[np.float64]


class Tagger:
    """Finds names in texts of UTF-8. Threads may share one."""

    def __init__(self, arrays: "dict[str, NDArray[Any]]") -> None:
        self.weights, self.transitions = packed(arrays["weights"]), arrays["transitions"]
        self.margins = arrays["margins"]
        self.lexicon = lexicon_of(arrays["keys"], arrays["known"])
        self.bits = self.weights.size.bit_length() - 1
        self._nameless = nothing_remembered()

    def find(self, data: NDArray[np.uint8]) -> Names:
        """The names in one text: uint8[m], valid UTF-8."""
        found = [self._part(data[start:end], start) for start, end in _parts(data)]
        columns = zip(*found, strict=True)
        return found[0] if len(found) == 1 else Names(*map(np.concatenate, columns))

    def _part(self, data: NDArray[np.uint8], start: int) -> Names:
        found = names_in(
            data,
            case_table(),
            joining(),
            self.lexicon,
            self.weights,
            self.transitions,
            self.margins,
            self._nameless,
            self.bits,
        )
        begins, ends, kinds, hundredths = found.T.astype(np.int64)
        return Names(begins + start, ends + start, kinds, hundredths / 100)


def _parts(data: NDArray[np.uint8]) -> list[tuple[int, int]]:
    parts, start = [], 0
    while data.size - start > PART:
        window = data[start : start + PART]
        breaks = np.flatnonzero(window == 0x0A)
        breaks = breaks if breaks.size else np.flatnonzero(window == 0x20)
        end = start + (int(breaks[-1]) + 1 if breaks.size else PART)
        while not breaks.size and data[end] & 0xC0 == 0x80:
            end -= 1
        parts.append((start, end))
        start = end
    return [*parts, (start, data.size)]


def lexicon_of(keys: NDArray[np.uint32], known: NDArray[np.uint32]) -> Lexicon:
    """The table of a lexicon: keys uint32[n], none 0; known uint32[n]."""
    size = 2
    while size < 2 * keys.size:
        size *= 2
    table = Lexicon(np.zeros(size, np.uint32), np.zeros(size, np.uint32))
    fill_lexicon(keys, known, *table)
    return table


def read(content: bytes) -> Tagger:
    """The tagger of a file's content. Raises ConfigError if it is none."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{FILE} cannot be read: {error}. Install unrote again.") from None
    _check(arrays)
    return Tagger(arrays)


def _check(arrays: "dict[str, NDArray[Any]]") -> None:
    wanted: dict[str, tuple[type, tuple[int | None, ...]]] = {
        "weights": (np.int8, (None, LABELS)),
        "transitions": (np.int32, (LABELS, LABELS)),
        "margins": (np.int32, (len(KINDS), 100)),
        "keys": (np.uint32, (None,)),
        "known": (np.uint32, (None,)),
    }
    for name, (dtype, shape) in wanted.items():
        array = arrays.get(name)
        there = (None, ()) if array is None else (array.dtype, array.shape)
        fits = there[0] == dtype and len(there[1]) == len(shape)
        if not fits or any(n not in (None, m) for n, m in zip(shape, there[1], strict=True)):
            raise ConfigError(f"{FILE}: {name} is of another version. Install unrote again.")
    rows = arrays["weights"].shape[0]
    forbidden = [
        arrays["transitions"][after, label] > IMPOSSIBLE
        for after in range(LABELS)
        for label in range(LABELS)
        if not may_follow(label, after)
    ]
    same = arrays["keys"].shape == arrays["known"].shape and (arrays["keys"] != 0).all()
    if rows & (rows - 1) or rows < 2 or any(forbidden) or not same:
        raise ConfigError(f"{FILE}: its arrays do not fit together. Install unrote again.")


@cache
def tagger() -> Tagger:
    """The tagger that comes with the package, loaded once."""
    return read(packaged_file("unrote.pii.names", FILE))
