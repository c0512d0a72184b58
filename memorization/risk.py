"""The memorization risk: how probable it is that a sequence is extractable from the target, the
model that will be trained on the text.

*Extractable*: greedy decoding, given the sequence's prefix, gives its suffix token for token
(Carlini 2202.07646, Def. 3.1). Two things make it so, and either suffices:

    risk = 1 - (1 - memorized) * (1 - predictable)

*Predictable* is what needs no training on this text: a reference model that has not seen it
completes the suffix with that probability (p_z). *Memorized* is what copies add:

    log-odds of memorized = INTERCEPT + COPIES * log10 n
                            + PARAMETERS * log10(parameters / 1e9) + CONTEXT * log10(prefix / 32)

n: the copies that the target meets, counted as if its training had REFERENCE_TOKENS tokens:
epochs * (copies + NEAR * near copies) * REFERENCE_TOKENS / max(tokens, LEAST_TOKENS). Content has
no other weight: at equal copies it ranked what real models memorized at chance
(docs/memorization.md).

Every number comes from a published table of real models, published.csv, by a fit that
benchmarks/memorization/refit.py makes again and a test compares. The table is of one family, and
families differ by more than an order of magnitude at equal copies, so that a risk is a band:

    middle   the Pythia family, on deduplicated text
    high     half as much again in odds, as the table's sample has that much less than the full
             count; and a copy in a longer training counts in full
    low      a family that memorizes as little as T5; and a copy in a shorter training counts no
             more

What has no source is extrapolated: less than 70M and more than 12B parameters, less than one copy
in REFERENCE_TOKENS and many more than 43, prefixes outside 50 to 450 tokens, suffixes of other
lengths than 32.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError
from unrote.memorization.target import Target

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]

INTERCEPT = -7.733
COPIES = 3.552
PARAMETERS = 0.819
"""For each tenfold: of copies, of parameters. Pythia-deduped, 70M to 12B."""

CONTEXT = 1.391
"""For each tenfold of the prefix: GPT-J, 33 % at 50 tokens and 65 % at 450."""

REFERENCE_TOKENS, REFERENCE_PREFIX = 3e11, 32.0
"""Of the training and of the prompts in the table."""

LEAST_TOKENS = 1e11
"""The shortest training for which dilution has been shown (Hubble 2510.19811: 100 B and 500 B). One
copy is read once, however short the training: in fewer tokens it counts no more."""

NEAR = 1.0
"""The weight of a near copy for the share of word 5-grams it has. With 10 % of the tokens replaced
that share is .9 ** 5 = .59, with 20 % .33; as exact copies they counted .50 to .60 and .30 to .35
(Mosaic Memory 2405.15523). With 50 % it is .03, and they counted .15 to .19."""

MOST_COPIES = 1e15
"""More are as many: the risk stays finite whatever is given."""

HIGH = float(np.log(1.5))
LOW = -4.011
"""What the ends of the band have more than the middle, in log-odds. HIGH: the sample of the table
has .67 (70M) to .85 (12B) of all that was memorized. LOW: T5-3B, of which 3.5 % of what has 100
copies are extractable with 150 tokens of context, where the middle says two thirds."""

RECITED = 5.0
"""Copies above which a sequence is recited (Prashanth 2406.17746)."""

PATTERN = 0.5
"""The share of a sequence that follows from its beginning, or has been there before, from which it
is a template, a numbering or a repetition."""

COMPLETED = 0.5
"""The probability of a suffix from which a model is said to complete it."""

CATEGORIES = ("recite", "reconstruct", "recollect")
"""Why a sequence can be memorized: it has many copies; it is a pattern, or a model that has never
seen it completes it; neither (Prashanth 2406.17746)."""


class Band(NamedTuple):
    """Probabilities for a family of models that memorizes little, as in the table, and much:
    float64[n] each, low <= middle <= high.
    """

    low: Floats
    middle: Floats
    high: Floats

    def map(self, function: Callable[[Floats], Floats]) -> "Band":
        """The function of each."""
        return Band(*map(function, self))


ENDS = ("low", "middle", "high")


class Forecast(Protocol):
    """What scores are made with: the risk for a target, or the one of a proxy model."""

    @property
    def epochs(self) -> float:
        """How often the model reads the text."""

    def memorized(self, columns: Columns) -> Band:
        """The probability that a sequence is memorized."""

    def band(self, columns: Columns) -> Band:
        """The probability that it is extractable."""


@dataclass(frozen=True)
class Risk:
    """The risk for a target."""

    target: Target = field(default_factory=Target)

    @property
    def epochs(self) -> float:
        return self.target.epochs

    def memorized(self, columns: Columns) -> Band:
        """What copies do, whatever the content: float64[n] in (0, 1), never NaN.

        columns: arrays of n. `copies`, exact copies in the text trained on (1 or more, as the
        sequence itself is one), must be there; `copies_near`, near copies by their share, and
        `prefix_tokens` may lack or be NaN (none, and 32).
        Raises ConfigError if `copies` lacks or arrays differ in length.
        """
        size_of_columns(columns)
        prefix = np.maximum(filled(columns, "prefix_tokens", REFERENCE_PREFIX), 1.0)
        odds = (
            INTERCEPT
            + PARAMETERS * np.log10(self.target.parameters / 1e9)
            + CONTEXT * np.log10(prefix / REFERENCE_PREFIX)
        )
        odds = odds + COPIES * np.log10(self.target.epochs * effective_copies(columns))
        tokens = max(self.target.tokens, LEAST_TOKENS)
        found = (
            sigmoid(odds + COPIES * np.log10(REFERENCE_TOKENS / diluted) + shift)
            for diluted, shift in (
                (max(tokens, REFERENCE_TOKENS), LOW),
                (tokens, 0.0),
                (min(tokens, REFERENCE_TOKENS), HIGH),
            )
        )
        return Band(*found)

    def band(self, columns: Columns) -> Band:
        """The probability that each sequence is extractable: float64[n] in (0, 1).

        columns: as for `memorized`, and `pz_log` of the reference model (NaN, or none: what is
        predictable is not known, and does not count).
        """
        copied, known = self.memorized(columns), np.nan_to_num(predictable(columns))
        return copied.map(lambda part: 1 - (1 - part) * (1 - known))


def effective_copies(columns: Columns) -> Floats:
    """Copies, with near ones by their share: float64[n], 1 or more, finite."""
    near = np.clip(filled(columns, "copies_near", 0.0), 0.0, MOST_COPIES)
    return np.clip(filled(columns, "copies", 1.0), 1.0, MOST_COPIES) + NEAR * near


def predictable(columns: Columns) -> Floats:
    """The probability that a model which has not seen the text gives the suffix, exp(`pz_log`):
    float64[n] in [0, 1], NaN where none has read it.
    """
    return np.exp(np.minimum(column(columns, "pz_log"), 0.0))


def categories(columns: Columns, epochs: float) -> NDArray[np.int64]:
    """The category of each sequence, as its number in CATEGORIES: int64[n].

    epochs: how often the text is read. columns: as for `Risk.band`, with `template`, `repetition`
    (memorization.text_features) and `extractable` of the reference model, each of which may lack
    or be NaN.
    """
    recited = epochs * effective_copies(columns) > RECITED
    pattern = np.zeros(recited.size, dtype=np.bool_)
    for name in ("template", "repetition"):
        pattern |= filled(columns, name, 0.0) >= PATTERN
    completed = (np.nan_to_num(predictable(columns)) >= COMPLETED) | (
        filled(columns, "extractable", 0.0) > 0
    )
    return np.where(recited, 0, np.where(pattern | completed, 1, 2)).astype(np.int64)


def sigmoid(odds: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -odds)))


def size_of_columns(columns: Columns) -> int:
    """Rows. Raises ConfigError if there are no copies, or arrays differ in length."""
    if "copies" not in columns:
        raise ConfigError(f"The risk needs a column copies; there are {', '.join(columns)}.")
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise ConfigError(f"The risk needs columns of one length; theirs are {sizes}.")
    return sizes["copies"]


def column(columns: Columns, name: str, lacking: float = np.nan) -> Floats:
    """A column as float64[n]; one that is not there is `lacking` throughout."""
    if name not in columns:
        return np.full(len(columns["copies"]), lacking)
    return np.asarray(columns[name], dtype=np.float64)


def filled(columns: Columns, name: str, unknown: float) -> Floats:
    """A column without NaN: float64[n]."""
    values = column(columns, name, unknown)
    return np.where(np.isnan(values), unknown, values)
