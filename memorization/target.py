"""The target: the model that will be trained on the text, for which the risk is."""

import re
from dataclasses import dataclass

from unrote.corpus.errors import ConfigError

SMALLEST_FITTED, LARGEST_FITTED = 7e7, 1.2e10
"""The parameters of the models that the risk was fitted to."""

_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}

SMALLEST, LARGEST = 1e6, 1e14
"""Between these a size may be: of parameters, and of tokens."""


def size_of(written: str) -> float:
    """The number that is written as 8B, 1.4B, 300 B, 1T or in digits.

    Raises ConfigError for what is none, or not between SMALLEST and LARGEST.
    """
    found = re.fullmatch(r"([\d_.,]*\d(?:e\+?\d+)?) ?([KMBT]?)", written.strip(), re.IGNORECASE)
    try:
        number = float(found[1].replace("_", "").replace(",", "")) if found else 0.0
    except ValueError:
        number = 0.0
    size = number * _UNITS[found[2].upper()] if found else 0.0
    if not SMALLEST <= size <= LARGEST:
        raise ConfigError(
            f"{written!r} is no size between {written_size(SMALLEST)} and {written_size(LARGEST)}. "
            "Write it as 125M, 7B or 1T."
        )
    return size


def written_size(size: float) -> str:
    """A number as people write it: 125M, 7B, 1.5T."""
    for unit, of in reversed(_UNITS.items()):
        if size >= 0.9995 * of:
            return f"{size / of:.3g}{unit}"
    return f"{size:.3g}"


@dataclass(frozen=True)
class Target:
    """A model of so many parameters that is trained on so many tokens in all, this text among
    them; of this text it reads everything `epochs` times.

    Raises ConfigError for numbers that cannot be.
    """

    parameters: float = 7e9
    tokens: float = 1e12
    epochs: float = 1.0

    def __post_init__(self) -> None:
        for name in ("parameters", "tokens"):
            if not SMALLEST <= getattr(self, name) <= LARGEST:
                raise ConfigError(
                    f"memorization.target.{name} = {getattr(self, name):g}: give a number from "
                    f"{written_size(SMALLEST)} to {written_size(LARGEST)}."
                )
        if not 0 < self.epochs <= 1e4:
            raise ConfigError(
                f"memorization.target.epochs = {self.epochs:g}: give a number above 0, at most "
                "10,000."
            )

    def __str__(self) -> str:
        times = {1.0: "once", 2.0: "twice"}.get(self.epochs, f"{self.epochs:,g} times")
        return (
            f"a {written_size(self.parameters)} model that reads this {times} in "
            f"{written_size(self.tokens)} tokens"
        )
