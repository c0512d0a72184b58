"""What `verify` found, check by check, and how it is printed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SHOWN = 20

CHECKS = {
    "input": "accounted for",
    "tables": "accounted for",
    "rows": "accounted for",
    "documents": "accounted for",
    "duplicates": "accounted for",
    "findings": "accounted for",
    "scores": "accounted for",
    "data files": "accounted for",
    "manifest": "accounted for",
    "reports": "accounted for",
    "released rows": "accounted for",
    "exact copies": "twin",
    "near-duplicates": "twin",
    "kept twins": "twin",
    "spans": "witness",
    "uncut": "witness",
    "chains": "witness",
    "remainders": "witness",
    "rejects": "fail closed",
    "copies": "exact",
    "secrets": "no leaks",
    "values": "no leaks",
    "spellings": "no leaks",
    "files": "no leaks",
}

CHECKS_INDEX = {"index twins": "accounted for"}
"""And of a run with an index, of which the texts are not here."""

CHECKS_EVERYWHERE = {"elsewhere": "no leaks"}
"""And where `pii.everywhere` is set."""

Progress = Callable[[str, int, int], None]
"""Told the name of a check, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Check:
    """One check of one promise.

    checked: how many things were looked at. failures: the first 20, by shard, row and offsets.
    failed: how many there are.
    """

    promise: str
    name: str
    checked: int
    failures: tuple[str, ...]
    failed: int


@dataclass(frozen=True)
class Remaining:
    """Pairs of released documents whose texts, in one form, are near-duplicates.

    found: those in the sample. estimate: of all released documents; low, high: its 95 % interval.
    """

    found: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Recall:
    """How many near-duplicates are left, measured on a sample of the released documents.

    documents: how many are in the sample. share: with which chance each of them is.
    threshold: the Jaccard similarity of a near-duplicate. compared: pairs by the texts that the run
    compared, the input's; released: by those that it released, None where it wrote none.
    removed: near-duplicates of the sample that the run removed. missed_within: the 95 % interval of
    the share that `compared.found` has in both. allowed: the highest share that the run promises,
    None where it did not look for near-duplicates. pairs: the first 20, by shard and row.
    """

    documents: int
    share: float
    threshold: float
    compared: Remaining
    released: Remaining | None
    removed: int
    missed_within: tuple[float, float]
    allowed: float | None
    pairs: tuple[str, ...]

    @property
    def unmeasured(self) -> str:
        """Why the promise could not be held against the sample; "" where it could."""
        if self.allowed is None:
            return "the run did not look for near-duplicates, and promises nothing of them"
        if self.documents < 2:
            plural = "" if self.documents == 1 else "s"
            return f"{self.documents} released document{plural} in the sample, and no pair"
        return ""

    @property
    def holds(self) -> bool | None:
        """Whether the sample is in agreement with the promise; None: it was not measured."""
        if self.unmeasured or self.allowed is None:
            return None
        return self.missed_within[0] <= self.allowed


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    recall: how many near-duplicates are left, where that was asked for.
    """

    checks: tuple[Check, ...]
    recall: Recall | None = None

    @property
    def ok(self) -> bool:
        """Whether every promise holds, as far as it was measured."""
        missed = self.recall is not None and self.recall.holds is False
        return not missed and not any(check.failed for check in self.checks)


def print_verdict(verdict: Verdict) -> None:
    """One line on stdout for each check, and under it what failed."""
    for check in verdict.checks:
        mark = "FAILED" if check.failed else "ok"
        count = f"{check.failed:,} of {check.checked:,}" if check.failed else f"{check.checked:,}"
        print(f"{mark:<7} {check.promise:<14} {check.name:<16} {count:>20}")
        for failure in check.failures:
            print("        " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in failure))
        if check.failed > len(check.failures):
            print(f"        … and {check.failed - len(check.failures):,} more")
    if verdict.recall is not None:
        _print_recall(verdict.recall)
    if not verdict.ok:
        print("At least one promise is broken.")
    elif verdict.recall is not None and verdict.recall.holds is None:
        print("Every promise that was measured holds.")
    else:
        print("Every promise holds.")


def _print_recall(recall: Recall) -> None:
    mark = {True: "ok", False: "FAILED", None: "unknown"}[recall.holds]
    count = f"{recall.compared.found:,} of {recall.documents:,}"
    print(f"{mark:<7} {'recall':<14} {'pairs left':<16} {count:>20}")
    for line in (*_said(recall), *recall.pairs):
        print("        " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))
    found = max(one.found for one in (recall.compared, recall.released) if one)
    if found > len(recall.pairs):
        print(f"        … and {found - len(recall.pairs):,} more")


def _said(recall: Recall) -> Iterator[str]:
    """The lines under the row, without the pairs."""
    if recall.share < 1:
        yield f"{recall.documents:,} documents are looked at, {100 * recall.share:.3g} % by hash"
    yield "as compared: " + _left(recall.compared)
    if recall.released is not None:
        yield "as released: " + _left(recall.released)
    if recall.unmeasured:
        yield "not measured: " + recall.unmeasured
    elif recall.allowed is not None:
        low, high = (f"{100 * bound:.3g}" for bound in recall.missed_within)
        yield (
            f"missed: {recall.compared.found:,} of {recall.compared.found + recall.removed:,} "
            f"pairs, 95 % interval {low} to {high} %; {100 * recall.allowed:.3g} % are allowed"
        )


def _left(one: Remaining) -> str:
    if not one.found:
        return f"no pair found, which is no proof: at most {one.high:,.1f} are left (95 % interval)"
    return (
        f"{one.found:,} pairs found; in all about {one.estimate:,.0f} "
        f"(95 % interval {one.low:,.0f} to {one.high:,.0f})"
    )


@dataclass
class Tally:
    """A check under way."""

    promise: str
    name: str
    checked: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    def fail(self, message: str, *values: object) -> None:
        self.failed += 1
        if len(self.failures) < SHOWN:
            self.failures.append(message % values)

    def expect(self, holds: bool, message: str, *values: object) -> bool:
        """Count one thing looked at. The message is only put together if it does not hold."""
        self.checked += 1
        if not holds:
            self.fail(message, *values)
        return holds

    def check(self) -> Check:
        return Check(self.promise, self.name, self.checked, tuple(self.failures), self.failed)
