"""How unrote stands hostile input: what was tried, and what came of it, as a table.

    python -m benchmarks.hostile [--minutes 1] [--first 0] [TARGET ...]
    python -m benchmarks.hostile --try NUMBER TARGET

A target's tries are numbered; the same number is the same try. Status 1: a try went wrong; its
number is printed, and --try runs it again.
"""

import argparse
import sys
import time
from collections import Counter

from benchmarks.hostile.readers import reader
from benchmarks.hostile.runs import TARGETS as RUNS
from benchmarks.hostile.tries import Target, Try, once, tries

TARGETS: dict[str, Target] = {"reader": reader, **RUNS}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("targets", nargs="*", metavar="TARGET", default=list(TARGETS))
    asked.add_argument("--minutes", type=float, default=1.0, help="for all targets together")
    asked.add_argument("--first", type=int, default=0, help="the number of the first try")
    asked.add_argument("--try", type=int, dest="number", help="this one alone, here")
    given = asked.parse_args()
    if given.number is not None:
        for name in given.targets:
            print(f"{name} {given.number}: {once(TARGETS[name], given.number)[0]}")
        return 0
    faults: list[tuple[str, Try]] = []
    print("| damaged | tried | came of it | longest, s | faults |")
    print("|---|--:|---|--:|--:|")
    for name in given.targets:
        until = time.monotonic() + 60 * given.minutes / len(given.targets)
        found = list(tries(TARGETS[name], given.first, until))
        wrong = [one for one in found if one.is_fault]
        faults += [(name, one) for one in wrong]
        came = Counter(one.came for one in found if not one.is_fault).most_common()
        said = ", ".join(f"{word} {count:,}" for word, count in came)
        longest = max((one.seconds for one in found), default=0.0)
        print(f"| {name} | {len(found):,} | {said} | {longest:.1f} | {len(wrong)} |", flush=True)
    for name, one in faults:
        print(f"{name} {one.number}: {one.came}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
