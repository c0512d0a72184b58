"""The risk for a target: it follows the published table, and what may only raise it does."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.memorization import refit
from tests.examples import examples
from unrote.corpus.errors import ConfigError
from unrote.memorization import risk
from unrote.memorization.risk import CATEGORIES, Band, Risk, categories, predictable
from unrote.memorization.target import Target, size_of, written_size

FIGURES = refit.figures()
DEFAULT = Target()


def rates(target: Target = DEFAULT, copies: float = 1.0, **columns: float) -> list[float]:
    """The ends of the band of one sequence."""
    one = {name: np.array([value]) for name, value in (columns | {"copies": copies}).items()}
    return [float(part[0]) for part in Risk(target).band(one)]


# The table.


def test_the_coefficients_are_those_of_the_published_table():
    used = (risk.INTERCEPT, risk.COPIES, risk.PARAMETERS, risk.CONTEXT, risk.LOW)
    assert used == pytest.approx(refit.fit(FIGURES), abs=6e-4)


def test_fitted_on_small_models_it_predicts_the_large_ones():
    found = refit.held_out(FIGURES)
    assert {model for model, *_ in found} == {"2.8B", "6.9B", "12B"}
    for _, _, predicted, published in found:
        assert 1 / 1.4 < predicted / published < 1.4


@pytest.mark.parametrize("use", ["size", "copies"])
def test_every_count_that_was_fitted_lies_within_the_band(use):
    for one in FIGURES:
        if one.use == use:
            low, middle, high = refit.of_class(one, FIGURES)
            assert low < one.rate < high
            assert 1 / 1.5 < middle / one.rate < 1.5


def test_families_that_were_not_fitted_lie_within_the_band():
    for one in FIGURES:
        if one.use in {"family", "check"}:
            target = Target(one.parameters, risk.REFERENCE_TOKENS)
            spread = np.array([one.copies]) if one.use == "family" else np.geomspace(2, 900, 200)
            band = refit.predicted(spread, target, one.prefix)
            assert 0.999 * float(band.low.mean()) < one.rate < float(band.high.mean())


def test_the_program_prints_the_table(capsys):
    refit.main()
    said = capsys.readouterr().out
    assert "| 12B | about 43 |" in said
    assert "Hubble's levels: 8B, 100B tokens" in said
    assert "nan" not in said


def test_the_docs_have_what_it_prints(capsys):
    refit.main()
    said = capsys.readouterr().out
    page = Path(__file__).parents[2] / "docs" / "memorization.md"
    rows = re.findall(
        r"(?m)^\| (?:70M|1\.4B|2\.8B|6\.9B|12B|[\d,]+) \| .*%.* \|$", page.read_text("utf-8")
    )
    rows = [row for row in rows if row.count("|") < 8 and "AUROC" not in row]
    assert len(rows) > 20
    assert [row for row in rows if row[:-2] not in said] == []


# What may only raise it.

sizes = st.floats(1e6, 1e13)
targets = st.builds(Target, sizes, sizes, st.floats(0.01, 1000))
anything = st.floats(allow_nan=True, allow_infinity=True)


def rises(low: Band, high: Band) -> bool:
    return all((b >= a - 1e-12).all() for a, b in zip(low, high, strict=True))


@examples(150)
@given(targets, st.floats(1, 1e7), st.floats(1, 100), st.floats(1, 5000), anything, anything)
def test_copies_parameters_epochs_and_context_never_lower_it(
    target, copies, factor, prefix, near, log_pz
):
    def band(of=target, **changes):
        given_ = {"copies": copies, "copies_near": near, "prefix_tokens": prefix, "pz_log": log_pz}
        return Risk(of).band({n: np.array([v]) for n, v in (given_ | changes).items()})

    found = band()
    low, middle, high = (float(part[0]) for part in found)
    assert 0 <= low <= middle <= high <= 1
    assert rises(found, band(copies=copies * factor))
    assert rises(found, band(prefix_tokens=prefix * factor))
    larger = Target(min(target.parameters * factor, 1e14), target.tokens, target.epochs)
    assert rises(found, band(larger))
    again = Target(target.parameters, target.tokens, min(target.epochs * factor, 1e4))
    assert rises(found, band(again))
    longer = Target(target.parameters, min(target.tokens * factor, 1e14), target.epochs)
    assert rises(band(longer), found)  # dilution


def test_near_copies_count_by_their_share():
    assert rates(copies=3, copies_near=4.0) == rates(copies=7)
    assert rates(copies=3, copies_near=float("nan")) == rates(copies=3)


def test_a_tenfold_of_parameters_is_point_eight_in_log_odds():
    _, small, _ = rates(Target(1e9))
    _, large, _ = rates(Target(1e10))
    odds = [np.log(p / (1 - p)) for p in (small, large)]
    assert odds[1] - odds[0] == pytest.approx(0.8, abs=0.05)


def test_either_part_suffices():
    alone = rates(copies=100)
    known = rates(copies=100, pz_log=np.log(0.25))
    assert known == pytest.approx([1 - (1 - part) * 0.75 for part in alone])
    assert rates(pz_log=0.0) == [1, 1, 1]
    assert rates(pz_log=float("-inf")) == rates()
    assert np.isnan(predictable({"copies": np.ones(1), "pz_log": np.array([np.nan])}))


def test_no_training_is_so_short_that_a_copy_is_read_twice():
    assert rates(Target(1e9, 1e10)) == rates(Target(1e9, 1e11))


# Categories.


@pytest.mark.parametrize(
    ("columns", "epochs", "category"),
    [
        ({"copies": 6.0}, 1, "recite"),
        ({"copies": 5.0}, 1, "recollect"),
        ({"copies": 3.0}, 2, "recite"),
        ({"copies": 3.0, "copies_near": 2.5}, 1, "recite"),
        ({"copies": 6.0, "template": 1.0}, 1, "recite"),
        ({"copies": 1.0, "template": 0.9}, 1, "reconstruct"),
        ({"copies": 1.0, "repetition": 0.8}, 1, "reconstruct"),
        ({"copies": 1.0, "pz_log": -0.1}, 1, "reconstruct"),
        ({"copies": 1.0, "extractable": 1.0, "pz_log": -2.0}, 1, "reconstruct"),
        ({"copies": 1.0, "extractable": 0.0, "pz_log": -80.0}, 1, "recollect"),
        ({"copies": 1.0, "extractable": float("nan"), "pz_log": float("nan")}, 1, "recollect"),
    ],
)
def test_categories(columns, epochs, category):
    found = categories({name: np.array([value]) for name, value in columns.items()}, epochs)
    assert CATEGORIES[found[0]] == category


# Targets.


@pytest.mark.parametrize(
    ("written", "size"),
    [("7B", 7e9), ("1.4b", 1.4e9), ("300 B", 3e11), ("1T", 1e12), ("125M", 1.25e8),
     ("7_000_000_000", 7e9), ("7000000000", 7e9), ("1,400M", 1.4e9), ("7e9", 7e9)],
)  # fmt: skip
def test_sizes(written, size):
    assert size_of(written) == size


@pytest.mark.parametrize("written", ["", "B", "7", "-7B", "7X", "many", "1e30", "7B7", "1.2.3B"])
def test_what_is_no_size(written):
    with pytest.raises(ConfigError, match="Write it as 125M, 7B or 1T"):
        size_of(written)


@given(st.floats(1e6, 1e14))
def test_a_written_size_is_read_again(size):
    assert size_of(written_size(size)) == pytest.approx(size, rel=6e-3)


def test_a_target_says_what_it_is():
    assert str(Target()) == "a 7B model that reads this once in 1T tokens"
    assert str(Target(1.25e8, 3e11, 3)) == "a 125M model that reads this 3 times in 300B tokens"
    with pytest.raises(ConfigError, match=r"target\.epochs = 0"):
        Target(epochs=0)
    with pytest.raises(ConfigError, match=r"target\.parameters = 5"):
        Target(parameters=5)


def test_bad_columns_say_what_is_wrong():
    with pytest.raises(ConfigError, match="needs a column copies"):
        Risk().band({"loss": np.ones(2)})
    with pytest.raises(ConfigError, match="one length"):
        Risk().band({"copies": np.ones(2), "loss": np.ones(3)})
    assert Risk().band({"copies": np.empty(0)}).middle.shape == (0,)
