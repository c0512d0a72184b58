"""What `verify` found, check by check, and how it is printed."""

from collections.abc import Callable
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
    "chains": "witness",
    "remainders": "witness",
    "rejects": "fail closed",
    "copies": "exact",
    "secrets": "no leaks",
    "values": "no leaks",
    "spellings": "no leaks",
    "files": "no leaks",
}

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
class Verdict:
    """What `verify` found."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every promise holds."""
        return not any(check.failed for check in self.checks)


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
    print("Every promise holds." if verdict.ok else "At least one promise is broken.")


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
