"""Fits the risk for a target to the published table (memorization/published.csv) again, and prints
what docs/memorization.md says of it.

    python -m benchmarks.memorization.refit

No model is trained and nothing is downloaded. The slopes are least squares on log-odds: that of
parameters within the two classes of copies, that of copies through the three classes of the 12B
model, each at its geometric mean. Of 1 to 5 copies that is 1.5, as every row is read 1.5 times;
above 10 it is 43, by a power law through the numbers of rows with more than 5 and more than 10.
More than 5 copies are a mixture of 6 to 10 and more than 10, in the shares of their rows.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrote.memorization import risk
from unrote.memorization.target import Target, written_size

TABLE = Path(risk.__file__).parent / "published.csv"

HUBBLE = (0, 1, 4, 16, 64, 256)
HUBBLE_SAYS = {
    1: "no exact figure; AUC of membership .539 (8B, 500B)",
    4: "nothing to be seen (8B, 100B, App. D.1); AUC .556 (8B, 500B)",
    16: "begins (8B, 100B, App. D.1); AUC .732 (8B, 500B)",
    64: "AUC .996 (8B, 500B)",
    256: "AUC 1.0 (8B, 500B)",
}
"""2510.19811. Membership is not extraction: a model that can tell a text need not recite it."""


COPIES = {False: "1 to 5", True: "more than 5"}


class Figure(NamedTuple):
    """A published rate. copies: the geometric mean of its class; NaN: several classes."""

    use: str
    family: str
    model: str
    parameters: float
    copies: float
    rows: float
    prefix: float
    rate: float

    @property
    def several(self) -> bool:
        """Whether it is of several classes."""
        return bool(np.isnan(self.copies))

    @property
    def log_odds(self) -> float:
        return float(np.log(self.rate / (1 - self.rate)))


class Coefficients(NamedTuple):
    intercept: float
    copies: float
    parameters: float
    context: float
    low: float


def figures() -> list[Figure]:
    """The published table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [
            Figure(
                row["use"],
                row["family"],
                row["model"],
                float(row["parameters"]),
                float(row["copies"] or "nan"),
                float(row["rows"] or "nan"),
                float(row["prefix"]),
                float(row["rate"]),
            )
            for row in csv.DictReader(file)
        ]


def slope_of_parameters(of: list[Figure]) -> float:
    """Log-odds for each tenfold parameters, within each class of copies."""
    x, y = [], []
    for several in (False, True):
        own = [one for one in of if one.several == several]
        sizes = np.log10([one.parameters for one in own])
        odds = np.array([one.log_odds for one in own])
        x.append(sizes - sizes.mean())
        y.append(odds - odds.mean())
    across, up = np.concatenate(x), np.concatenate(y)
    return float(across @ up / (across @ across))


def fit(of: list[Figure]) -> Coefficients:
    """The coefficients of memorization.risk."""
    parameters = slope_of_parameters([one for one in of if one.use == "size"])
    classes = [one for one in of if one.use == "copies"]
    slope, at = np.polyfit(
        np.log10([one.copies for one in classes]), [one.log_odds for one in classes], 1
    )
    intercept = float(at) - parameters * np.log10(classes[0].parameters / 1e9)
    short, long = (one for one in of if one.use == "context")
    context = (long.log_odds - short.log_odds) / np.log10(long.prefix / short.prefix)
    least = next(one for one in of if one.family == "t5")
    middle = (
        intercept
        + slope * np.log10(least.copies)
        + parameters * np.log10(least.parameters / 1e9)
        + context * np.log10(least.prefix / risk.REFERENCE_PREFIX)
    )
    made = (intercept, slope, parameters, context, least.log_odds - middle)
    return Coefficients(*map(float, made))


def held_out(of: list[Figure]) -> list[tuple[str, str, float, float]]:
    """(model, copies, predicted, published) of models above 1.4B, by a fit on the smaller ones."""
    size = [one for one in of if one.use == "size"]
    small = [one for one in size if one.parameters <= 1.4e9]
    slope, rows = slope_of_parameters(small), []
    for one in size:
        if one.parameters > 1.4e9:
            own = [other for other in small if other.several == one.several]
            mean = np.mean([other.log_odds for other in own])
            center = np.mean(np.log10([other.parameters for other in own]))
            odds = mean + slope * (np.log10(one.parameters) - center)
            rows.append((one.model, COPIES[one.several], float(risk.sigmoid(odds)), one.rate))
    return rows


def predicted(copies: NDArray[np.float64], target: Target, prefix: float) -> risk.Band:
    """What memorization.risk says."""
    columns = {"copies": copies, "prefix_tokens": np.full(copies.size, prefix)}
    return risk.Risk(target).memorized(columns)


def of_class(one: Figure, published: list[Figure]) -> list[float]:
    """What memorization.risk says of a class of copies, or of several: the ends of the band."""
    classes = [other for other in published if other.use == "copies" and other.copies > 5]
    parts = classes if one.several else [one]
    weights = np.array([part.rows for part in parts])
    copies = np.array([part.copies for part in parts])
    target = Target(one.parameters, risk.REFERENCE_TOKENS)
    band = predicted(copies, target, risk.REFERENCE_PREFIX)
    return [float(part @ weights / weights.sum()) for part in band]


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"


def _row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |")


def _head(*cells: str) -> None:
    print()
    _row(*cells)
    print("|---" + "|--:" * (len(cells) - 1) + "|")


def _levels(target: Target, prefix: float, copies: tuple[int, ...]) -> None:
    band = predicted(np.array(copies, dtype=np.float64), target, prefix)
    for n, low, middle, high in zip(copies, *band, strict=True):
        says = HUBBLE_SAYS.get(n, "")
        _row(f"{n:,}", _percent(low), _percent(middle), _percent(high), says)


def main() -> None:
    published = figures()
    made = fit(published)
    _head("log-odds", "fitted", "in memorization/risk.py")
    used = Coefficients(risk.INTERCEPT, risk.COPIES, risk.PARAMETERS, risk.CONTEXT, risk.LOW)
    for name, fitted, used_one in zip(Coefficients._fields, made, used, strict=True):
        _row(name, f"{fitted:.3f}", f"{used_one:.3f}")

    print("\nFitted on models up to 1.4B, the larger ones:")
    _head("model", "copies", "predicted", "published", "factor")
    for model, copies, said, rate in held_out(published):
        _row(model, copies, _percent(said), _percent(rate), f"{said / rate:.2f}")

    print("\nThe table, and what the risk says of it (factors between the two):")
    _head("model", "copies", "low", "middle", "high", "published", "factor")
    for one in published:
        if one.use in {"size", "copies"}:
            band = of_class(one, published)
            named = COPIES[True] if one.several else f"about {one.copies:g}"
            factor = f"{band[1] / one.rate:.2f}"
            _row(one.model, named, *map(_percent, band), _percent(one.rate), factor)

    print("\nOther families (not fitted on, but for the band and the context):")
    _head("figure", "low", "middle", "high", "published")
    for one in published:
        if one.use in {"family", "check"}:
            target = Target(one.parameters, risk.REFERENCE_TOKENS)
            copies = np.array([one.copies]) if one.use == "family" else np.geomspace(2, 900, 200)
            band = predicted(copies, target, one.prefix)
            named = "100 copies" if one.use == "family" else "2 to 900 copies, evenly by logarithm"
            means = (_percent(float(part.mean())) for part in band)
            _row(f"{one.family} {one.model}, {named}", *means, _percent(one.rate))

    print(
        "\nWhat the sample lacks of the full counts (the band's high end has 1.5 times the odds):"
    )
    _head("model", "sample", "full count", "share")
    samples = [one for one in published if one.use == "sample"]
    for part, whole in zip(samples, (o for o in published if o.use == "census"), strict=True):
        share = f"{part.rate / whole.rate:.2f}"
        _row(part.model, _percent(part.rate), _percent(whole.rate), share)

    for target in (Target(8e9, 1e11), Target(8e9, 5e11), Target(1e9, 1e11), Target(1e9, 5e11)):
        sizes = f"{written_size(target.parameters)}, {written_size(target.tokens)} tokens"
        print(f"\nHubble's levels: {sizes}, 50 tokens of context")
        _head("copies", "low", "middle", "high", "the paper (8B only)")
        _levels(target, 50.0, HUBBLE[1:])
    print(f"\nThe default: {Target()}, 50 tokens of context")
    _head("copies", "low", "middle", "high", "")
    band = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    for n, *rates in zip(band, *predicted(np.array(band, float), Target(), 50.0), strict=True):
        _row(f"{n:,}", *map(_percent, rates), "")


if __name__ == "__main__":
    main()
