"""Surrogates: how long one takes, how widely they are drawn, how often a real value passes for one.

    python -m benchmarks.pii_surrogates [COUNT]

Prints a line for each type: microseconds to draw and to recognise; of COUNT different originals the
distinct surrogates and the count of the commonest one (the originals' is 1); and the originals that
pass for surrogates. Originals are random, so that some lie in reserved ranges, as real ones do not.
"""

import random
import string
import sys
from collections import Counter
from time import perf_counter

from unrote.pii.keys import Key
from unrote.pii.surrogates import SAMPLE_VALUES, is_surrogate, surrogate

KEY = Key(b"the key of the benchmark of surrogates")


def originals(shape: str, count: int) -> list[str]:
    """Values of one shape, their letters and digits drawn at random."""
    rng = random.Random(shape)
    classes = (string.digits, string.ascii_uppercase, string.ascii_lowercase)
    alphabet = {sign: signs for signs in classes for sign in signs}
    keep = 2 if shape.startswith(("+", "(", "http", "DE")) else 0
    found: set[str] = set()
    for _ in range(20 * count):
        found.add(shape[:keep] + "".join(rng.choice(alphabet.get(s, s)) for s in shape[keep:]))
        if len(found) == count:
            break
    return sorted(found)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    heads = "{:18}{:>9}{:>9}{:>11}{:>10}{:>6}{:>6}"
    print(heads.format("type", "draw us", "tell us", "originals", "distinct", "most", "pass"))
    for type_, shape in SAMPLE_VALUES.items():
        values = originals(shape, count)
        start = perf_counter()
        drawn = [surrogate(value, type_, KEY) for value in values]
        middle = perf_counter()
        recognised = sum(is_surrogate(value, type_, KEY) for value in drawn)
        end = perf_counter()
        taken = sum(is_surrogate(value, type_, KEY) for value in values)
        spread = Counter(drawn)
        assert recognised == len(drawn) or type_ == "DATE_TIME"
        print(
            f"{type_:18}{(middle - start) / len(values) * 1e6:9.0f}"
            f"{(end - middle) / len(values) * 1e6:9.0f}{len(values):11}{len(spread):10}"
            f"{max(spread.values()):6}{taken:6}"
        )


if __name__ == "__main__":
    main()
