"""The risk for a proxy model: how probable it is that a sequence is extractable from a small model
trained on this corpus alone.

What it means: the calibrated probability that greedy decoding, given the sequence's prefix, gives
its suffix token for token, for a model like those of the ground-truth experiment
(benchmarks/memorization/): a few million parameters, trained from scratch for two epochs, 32 + 32
tokens. The card in the file of coefficients says how they were fitted, and how well they did on a
seed and a model size they had not seen. `unrote proxy` trains such a model, and `recalibrated`
fits the level to what is extractable from it.

What it does not mean: it is no probability for a larger model (memorization.risk has those).

The log-odds are a sum, so that a risk can be explained:

    intercept + copies + predictability + rarity

where `copies` grows with the logarithm of the copies trained on (similarity-weighted near copies
count in part; the slope changes at a knot and with the content), `predictability` is what the
suffix's loss under a reference model says, and the text's own repetition, and `rarity` what the
prefix's does, and rare words. Two fits are kept: one for sequences that a reference model has
scored, and one from copies and text alone for those it has not. A last straight line, fitted on
predictions for documents left out, makes the log-odds a calibrated probability.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError, InputError
from unrote.corpus.packaged import packaged_file
from unrote.memorization.risk import Band, Columns, Floats, column, sigmoid, size_of_columns

SHIPPED = "default/risk.json"
"""The coefficients that come along, a file of this package."""

PARTS = ("copies", "predictability", "rarity")

BOUND = 2.5
"""Terms count in standard deviations, no further than that from the mean of those fitted on."""

LEAST_PZ = -5.0
"""Nats per suffix token below which pz_log / suffix_tokens makes no difference (-inf included)."""

_EPSILON = 1e-9


@dataclass(frozen=True)
class Form:
    """A candidate of model selection: a knot (0: none), the weight of near copies, and the terms
    that also change how much the logarithm of the copies counts.
    """

    knot: float
    near: float
    bending: tuple[str, ...] = ()


_KNOTS = (0.0, 4.0, 8.0, 16.0)
_NEAR_WEIGHTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
_FOLDS = 5

TEXT_TERMS = {
    "template": "predictability",
    "repetition": "predictability",
    "rare_words": "rarity",
}
MODEL_TERMS = {
    "loss_suffix": "predictability",
    "pz_token": "predictability",
    "min_k": "predictability",
    "loss_prefix": "rarity",
} | TEXT_TERMS
"""What is known of a sequence, and the part of the log-odds that it counts in. pz_token is pz_log
per suffix token, not below LEAST_PZ."""

_BENDING = ("loss_suffix", "loss_prefix", "repetition", "rare_words")


@dataclass(frozen=True)
class Term:
    """(value - mean) / spread, within BOUND, times (effect + with_copies * ln copies)."""

    column: str
    part: str
    mean: float
    spread: float
    effect: float
    with_copies: float = 0.0


@dataclass(frozen=True)
class Fit:
    """Log-odds of extraction. n = copies + near_weight * copies_near, c = ln n:

    intercept + log_copies * c + above * max(0, c - ln knot) + length * ln(suffix_tokens / 32)
    + the terms; then the calibration: scale * that + shift.
    A knot of 0 means none.
    """

    intercept: float
    near_weight: float
    log_copies: float
    knot: float
    above: float
    length: float
    terms: tuple[Term, ...]
    scale: float = 1.0
    shift: float = 0.0

    def parts(self, columns: Columns) -> dict[str, Floats]:
        """The additive parts of the log-odds before calibration, float64[n] each."""
        c, above = _log_copies(columns, self.near_weight, self.knot)
        found = {name: np.zeros(c.size) for name in PARTS}
        found["copies"] += self.log_copies * c + self.above * above
        found["predictability"] += self.length * _log_length(columns)
        for term in self.terms:
            z = _standard(values(columns, term.column), term.mean, term.spread)
            found[term.part] += term.effect * z
            found["copies"] += term.with_copies * z * c
        return found

    def log_odds(self, columns: Columns) -> Floats:
        """Before calibration, float64[n]."""
        return self.intercept + sum(self.parts(columns).values(), np.zeros(1))

    def least_slope(self) -> float:
        """The least that the log-odds can grow with ln copies, whatever the content."""
        spread = BOUND * sum(abs(term.with_copies) for term in self.terms)
        return self.log_copies + min(0.0, self.above) - spread


@dataclass(frozen=True)
class ProxyRisk:
    """Two fits, with a reference model's measures and without, and how they came about."""

    scored: Fit
    text: Fit
    card: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None = None) -> "ProxyRisk":
        """The coefficients in a file; the ones shipped by default.

        Raises InputError if it can't be read as such.
        """
        try:
            data = path.read_bytes() if path else packaged_file("unrote.memorization", SHIPPED)
            stored = orjson.loads(data)
            fits = [_fit_of(stored[name]) for name in ("scored", "text")]
            return cls(fits[0], fits[1], stored["card"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"Coefficients of the risk {str(path or SHIPPED)!r} cannot be read ({error!r}): "
                "name a file written by ProxyRisk.save, or none for those shipped."
            ) from error

    def save(self, path: Path) -> None:
        """Writes the coefficients as JSON to be read by people, too."""
        rows = {"card": self.card, "scored": asdict(self.scored), "text": asdict(self.text)}
        path.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")

    def predict(self, columns: Columns) -> Floats:
        """The probability that each sequence is extractable: float64[n] in (0, 1), never NaN.

        columns: arrays of n. `copies`, exact copies in the text trained on (1 or more, as the
        sequence itself is one), must be there. The others may lack: `copies_near`,
        similarity-weighted near copies; `loss_prefix`, `loss_suffix`, `pz_log`, `min_k` of a
        reference model (NaN where it has not scored it: then the fit without them counts);
        `template`, `repetition`, `rare_words` (memorization.text_features); `suffix_tokens`.
        Raises ConfigError if `copies` lacks or arrays differ in length.
        """
        found = np.empty(size_of_columns(columns))
        for fit, rows in self._by_fit(columns):
            odds = fit.scale * fit.log_odds(_rows(columns, rows)) + fit.shift
            found[rows] = np.clip(sigmoid(odds), _EPSILON, 1 - _EPSILON)
        return found

    def band(self, columns: Columns) -> Band:
        """`predict` three times: of one known model, calibrated, there is no band."""
        found = self.predict(columns)
        return Band(found, found, found)

    memorized = band
    """What is predictable is part of these fits."""

    @property
    def epochs(self) -> float:
        """How often the model reads the text."""
        return float(self.card.get("epochs", 2.0))

    def parts(self, columns: Columns) -> dict[str, Floats]:
        """Why: `copies`, `predictability` and `rarity`, float64[n] each, of which the sum and the
        `intercept` (of the fit that counts for a row) are the log-odds before calibration.
        """
        found = {name: np.empty(size_of_columns(columns)) for name in (*PARTS, "intercept")}
        for fit, rows in self._by_fit(columns):
            found["intercept"][rows] = fit.intercept
            for name, part in fit.parts(_rows(columns, rows)).items():
                found[name][rows] = part
        return found

    def _by_fit(self, columns: Columns) -> Iterable[tuple[Fit, NDArray[np.int64]]]:
        """Each fit, and the rows it counts for."""
        scored = is_scored(columns)
        return ((self.scored, np.flatnonzero(scored)), (self.text, np.flatnonzero(~scored)))


def is_scored(columns: Columns) -> NDArray[np.bool_]:
    """Where all of the reference model's measures are known: bool[n]."""
    known = np.ones(size_of_columns(columns), dtype=np.bool_)
    for name in ("loss_prefix", "loss_suffix", "min_k", "pz_log"):
        known &= ~np.isnan(column(columns, name))
    return known


def values(columns: Columns, name: str) -> Floats:
    """A term's values, float64[n]; NaN where unknown."""
    if name != "pz_token":
        return column(columns, name)
    tokens = np.maximum(np.nan_to_num(column(columns, "suffix_tokens"), nan=32.0), 1.0)
    return np.maximum(column(columns, "pz_log") / tokens, LEAST_PZ)


def fit(
    columns: Columns,
    labels: NDArray[Any],
    groups: NDArray[Any] | None = None,
    *,
    extracted_tokens: NDArray[Any] | None = None,
    ridge: float = 1.0,
    card: dict[str, Any] | None = None,
) -> ProxyRisk:
    """The risk fitted to labelled sequences: `labels` is 1 where a model trained on them memorized.

    columns: as for `predict`, all scored by the reference model; groups: the documents, kept whole
    in the five folds by which form and calibration are chosen. ridge: of the squared effects, in
    units of one sequence. extracted_tokens: tokens of each suffix before the first miss, from
    which the effect of the suffix's length is learnt; without it there is none.
    Raises ConfigError where labels are all alike or arrays differ in length.
    """
    y = np.asarray(labels, dtype=np.float64)
    if y.size != size_of_columns(columns) or not 0 < y.sum() < y.size:
        raise ConfigError(
            f"{y.size} labels, {y.sum():.0f} of them positive, for {size_of_columns(columns)} "
            "sequences: a fit needs a label for each, and both kinds."
        )
    folds = _folds(np.arange(y.size) if groups is None else groups)
    made = [_choose(columns, y, folds, terms, ridge) for terms in (MODEL_TERMS, TEXT_TERMS)]
    if extracted_tokens is not None:
        made = [(_with_length(one, columns, extracted_tokens), losses) for one, losses in made]
    forms = {name: losses for name, (_, losses) in zip(("scored", "text"), made, strict=True)}
    return ProxyRisk(made[0][0], made[1][0], (card or {}) | {"forms": forms})


def recalibrated(risk: ProxyRisk, columns: Columns, labels: NDArray[Any]) -> ProxyRisk:
    """The same order of sequences with new probabilities: scale and shift of both fits refitted to
    what a proxy run extracts (labels 0 or 1), held towards the old ones.

    The prior is worth a few sequences: normal, of standard deviation 3 for the shift, and a third
    of itself for the scale, which stays positive. Labels all alike move the shift alone.
    Raises ConfigError if there is no label or not one for each sequence.
    """
    y = np.asarray(labels, dtype=np.float64)
    if y.size == 0 or y.size != size_of_columns(columns):
        raise ConfigError(
            f"{y.size} labels for {size_of_columns(columns)} sequences: give one for each."
        )
    fits = []
    for old in (risk.scored, risk.text):
        rows = np.flatnonzero(is_scored(columns)) if old is risk.scored else np.arange(y.size)
        scale, shift = _line(
            old.log_odds(_rows(columns, rows)), y[rows], (old.scale, old.shift), (old.scale / 3, 3)
        )
        fits.append(replace(old, scale=scale, shift=shift))
    card = risk.card | {"recalibrated": {"sequences": int(y.size), "extractable": int(y.sum())}}
    return ProxyRisk(fits[0], fits[1], card)


def _choose(
    columns: Columns, y: Floats, folds: Floats, terms: Mapping[str, str], ridge: float
) -> tuple[Fit, dict[str, float]]:
    """The form that predicts folds left out best (by log loss), fitted on all and
    calibrated on the predictions for folds left out; and the mean log loss of each form.
    """
    near = column(columns, "copies_near", 0.0)
    weights = _NEAR_WEIGHTS if bool((near > 0).any()) else (0.0,)
    bending = tuple(name for name in terms if name in _BENDING)
    forms = [
        Form(knot, weight, bent) for bent in ((), bending) for knot in _KNOTS for weight in weights
    ]
    odds = [_left_out(columns, y, folds, terms, ridge, form) for form in forms]
    losses = [_log_loss(one, y) for one in odds]
    best = int(np.argmin(losses))
    whole = _fit(columns, y, terms, ridge, forms[best])
    scale, shift = _line(odds[best], y, (1.0, 0.0), (1.0, 3.0))
    mean_losses = {
        f"knot {form.knot:g}, near {form.near:g}{', bent' if form.bending else ''}": round(loss, 4)
        for form, loss in zip(forms, losses, strict=True)
    }
    return replace(whole, scale=scale, shift=shift), mean_losses


def _with_length(made: Fit, columns: Columns, extracted_tokens: NDArray[Any]) -> Fit:
    """The fit with an effect of the suffix's length: shorter suffixes of the same sequences are
    extractable where the first miss comes later. Lengths are 1/2, 3/4 and all of a suffix.
    """
    tokens = np.nan_to_num(column(columns, "suffix_tokens"), nan=32.0)
    odds = made.log_odds(columns)
    length = np.concatenate([np.maximum(1.0, np.floor(share * tokens)) for share in (0.5, 0.75, 1)])
    labels = (np.tile(np.asarray(extracted_tokens, dtype=np.float64), 3) >= length).astype(
        np.float64
    )
    beta = newton(np.log(length / 32)[:, None], labels, np.full(1, 1e-2), np.tile(odds, 3))
    return replace(made, length=min(0.0, float(beta[0])))


def _left_out(
    columns: Columns,
    y: Floats,
    folds: Floats,
    terms: Mapping[str, str],
    ridge: float,
    form: Form,
) -> Floats:
    """Log-odds of each sequence by a fit on the other folds."""
    odds = np.zeros(y.size)
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        made = _fit(_rows(columns, outside), y[outside], terms, ridge, form)
        odds[inside] = made.log_odds(_rows(columns, inside))
    return odds


def _fit(columns: Columns, y: Floats, terms: Mapping[str, str], ridge: float, form: Form) -> Fit:
    """A logistic regression with a small ridge that never falls with copies.

    Where it would, for some content, what bends the slope gets a larger ridge until it doesn't.
    """
    c, above = _log_copies(columns, form.near, form.knot)
    moments = {name: _moments(values(columns, name)) for name in terms}
    z = np.stack([_standard(values(columns, name), *moments[name]) for name in terms], axis=1)
    crossed = [k for k, name in enumerate(terms) if name in form.bending]
    design = np.column_stack([np.ones(c.size), c, above, z, z[:, crossed] * c[:, None]])
    bends = np.zeros(design.shape[1], dtype=np.bool_)
    bends[2], bends[3 + len(terms) :] = True, True
    penalty = np.full(design.shape[1], ridge)
    penalty[:2] = 1e-3, 1e-2
    if not form.knot:
        penalty[2] = 1e9
    for _ in range(12):
        beta = newton(design, y, penalty)
        made = _made(beta, form, terms, moments, crossed)
        if made.least_slope() >= 0:
            return made
        penalty[bends] *= 8
    beta[bends], beta[1] = 0.0, max(beta[1], 0.0)
    return _made(beta, form, terms, moments, crossed)


def _made(
    beta: Floats,
    form: Form,
    terms: Mapping[str, str],
    moments: Mapping[str, tuple[float, float]],
    crossed: list[int],
) -> Fit:
    effects, bent = beta[3 : 3 + len(terms)].tolist(), beta[3 + len(terms) :].tolist()
    with_copies = dict(zip(crossed, bent, strict=True))
    found = tuple(
        Term(name, part, *moments[name], effects[k], with_copies.get(k, 0.0))
        for k, (name, part) in enumerate(terms.items())
    )
    hinge = float(beta[2]) if form.knot else 0.0
    return Fit(float(beta[0]), form.near, float(beta[1]), form.knot, hinge, 0.0, found)


def newton(design: Floats, y: Floats, penalty: Floats, offset: Floats | float = 0.0) -> Floats:
    """The coefficients of least log loss plus penalty * squares / 2, by damped Newton steps.

    offset: log-odds that are added.
    """
    beta = np.zeros(design.shape[1])

    def cost(at: Floats) -> float:
        return float(_log_loss(offset + design @ at, y) * y.size + (penalty * at**2).sum() / 2)

    now = cost(beta)
    for _ in range(100):
        p = sigmoid(offset + design @ beta)
        gradient = design.T @ (p - y) + penalty * beta
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + np.diag(penalty)
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while (after := cost(beta - size * step)) > now and size > 1e-6:
            size /= 2
        beta = beta - size * step
        if now - after < 1e-9 * (1 + abs(now)):
            break
        now = after
    return beta


def _line(
    odds: Floats, y: Floats, prior: tuple[float, float], spread: tuple[float, float]
) -> tuple[float, float]:
    """The scale > 0 and shift of the most probable scale * odds + shift under a normal prior."""
    if np.all(y == y[:1]):
        scale, shift = prior[0], _shift(odds * prior[0], y, prior[1], spread[1])
        return scale, shift
    center, width = np.array(prior), np.array(spread)
    design = np.column_stack([odds, np.ones(odds.size)]) * width
    beta = newton(design, y, np.ones(2), design @ (center / width))
    scale, shift = (beta * width + center).tolist()
    if scale < 0.05 * prior[0]:
        scale = 0.05 * prior[0]
        shift = _shift(odds * scale, y, prior[1], spread[1])
    return scale, shift


def _shift(odds: Floats, y: Floats, prior: float, spread: float) -> float:
    beta = newton(np.full((odds.size, 1), spread), y, np.ones(1), odds + prior)
    return float(beta[0] * spread + prior)


def _folds(groups: NDArray[Any]) -> Floats:
    """A fold for each row; rows of one group have one, and the folds are about equal in size."""
    names, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member)
    fold, held = np.zeros(names.size), np.zeros(_FOLDS)
    for name in np.argsort(-sizes, kind="stable"):
        fold[name] = held.argmin()
        held[held.argmin()] += sizes[name]
    return np.asarray(fold[member])


def _log_copies(columns: Columns, near: float, knot: float) -> tuple[Floats, Floats]:
    """Of n the logarithm, and how far that is above ln knot: float64[n] each."""
    exact = np.nan_to_num(column(columns, "copies"), nan=1.0)
    similar = np.nan_to_num(column(columns, "copies_near", 0.0), nan=0.0)
    c = np.log(np.maximum(exact, 1.0) + near * np.maximum(similar, 0.0))
    return c, np.maximum(c - np.log(knot), 0.0) if knot else np.zeros(c.size)


def _log_length(columns: Columns) -> Floats:
    tokens = np.nan_to_num(column(columns, "suffix_tokens"), nan=32.0)
    return np.log(np.maximum(tokens, 1.0) / 32)


def _moments(of: Floats) -> tuple[float, float]:
    known = of[np.isfinite(of)]
    spread = float(known.std()) if known.size else 0.0
    return (float(known.mean()) if known.size else 0.0), spread if spread > 1e-12 else 1.0


def _standard(of: Floats, mean: float, spread: float) -> Floats:
    """Within BOUND of 0; what is unknown counts as the mean."""
    with np.errstate(over="ignore"):
        z = np.clip((of - mean) / spread, -BOUND, BOUND)
    return np.where(np.isnan(z), 0.0, z)


def _log_loss(odds: Floats, y: Floats) -> float:
    return float(np.mean(np.logaddexp(0.0, odds) - y * odds)) if y.size else 0.0


def _fit_of(stored: dict[str, Any]) -> Fit:
    terms = tuple(Term(**term) for term in stored["terms"])
    return Fit(**(stored | {"terms": terms}))


def _rows(columns: Columns, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(found)[rows] for name, found in columns.items()}
