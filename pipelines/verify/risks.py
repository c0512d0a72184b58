"""The risk of a sequence, computed again: verify's own formula, one sequence at a time.

It shares no code with memorization.risk, which says where the numbers are from.
"""

from collections.abc import Mapping
from math import exp, log10
from typing import Any

from unrote.pipelines.verify.records import ScoredSequence

UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
CLOSE = 1e-6
"""How far two numbers may be apart that were rounded to nine digits and computed in two ways."""


def risk_problem(one: ScoredSequence, target: Mapping[str, Any] | None) -> str:
    """What is wrong with the risk of a sequence that has one; "" if nothing. target: as settings
    name it; None: the risk is for a proxy model.
    """
    low, risk, high = one.risk_low, one.risk, one.risk_high
    if low is None or risk is None or high is None or one.memorized is None:
        return "its risk has no band"
    completed = 0.0 if one.pz_log is None else exp(min(one.pz_log, 0.0))
    problems = {
        "its risk is no probability within its band": not 0 <= low <= risk <= high <= 1,
        "it is predictable though no model read it, or the other way round": (
            (one.predictable is None) != (one.pz_log is None)
        ),
        "it is predictable with another probability than the reference model's": (
            abs((one.predictable or 0.0) - completed) > CLOSE
        ),
    }
    if target is not None:
        either = 1 - (1 - one.memorized) * (1 - completed)
        problems |= {
            "its copies ask for another risk": abs(memorized(one, target) - one.memorized) > CLOSE,
            "its risk is not what is memorized or predictable": abs(either - risk) > CLOSE,
        }
    return next((problem for problem, is_so in problems.items() if is_so), "")


def memorized(one: ScoredSequence, target: Mapping[str, Any]) -> float:
    """The probability that its copies alone make it extractable."""
    copies = max(one.copies, 1) + (one.copies_near or 0.0)
    met = target["epochs"] * copies * 3e11 / max(_size(target["tokens"]), 1e11)
    odds = -7.733 + 3.552 * log10(met) + 0.819 * log10(_size(target["parameters"]) / 1e9)
    odds += 1.391 * log10(max(one.prefix_tokens, 1) / 32)
    return 1 / (1 + exp(-odds))


def _size(written: str) -> float:
    text = written.upper().replace(" ", "").replace(",", "").replace("_", "")
    return float(text.rstrip("KMBT")) * UNITS.get(text[-1], 1.0)
