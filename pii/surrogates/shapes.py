r"""Surrogates of a shape that a user gives for a type, in the notation of Faker's bothify:
"#" is a digit, "%" a digit but 0, "?" a letter A to Z, "\" writes the sign behind it, and anything
else is itself: EMP-######.

Upper and lower case are one here, as in the patterns.
"""

import re
from functools import cache
from random import Random

import regex

from unrote.pii.keys import Key
from unrote.pii.surrogates.codes import DIGITS, UPPER, Code, code_at, compact, domain_size
from unrote.pii.surrogates.family import Family

FEWEST_FORMS = 10**6
"""Of a shape. With fewer, more than one real value in 256 of that shape would be taken for a
surrogate, and stay."""

TRIES = 50
"""So many surrogates of a shape are held against the pattern."""

_SIGNS = {"#": DIGITS, "%": DIGITS[1:], "?": UPPER}
_part = re.compile(r"\\(.)|(.)", re.DOTALL)


@cache
def parts(shape: str) -> tuple[str, ...]:
    """For each character of a surrogate those that may stand there."""
    return tuple(m[1] or _SIGNS.get(m[2], m[2]) for m in _part.finditer(shape))


def forms(shape: str) -> int:
    """How many values have the shape."""
    return domain_size(parts(shape))


def problem(shape: str, pattern: str) -> str:
    """Why surrogates of a pattern cannot have this shape; "" if they can.

    pattern: of the package regex. It may find the whole of a surrogate, which is then recognised,
    or nothing of it; a part of one would be replaced again.
    """
    if any(char.isalnum() and not char.isascii() for char in shape):
        return "its letters and digits have to be ASCII."
    if shape != shape.strip():
        return "it begins or ends in white space."
    if (count := forms(shape)) < FEWEST_FORMS:
        return (
            f"only {count:,} values have it, and {FEWEST_FORMS:,} are needed to tell surrogates "
            "from other values. Use more of # (a digit) and ? (a letter)."
        )
    random = Random(shape)  # noqa: S311 (not for secrecy: the same values each time)
    for _ in range(TRIES):
        value = "".join(map(random.choice, parts(shape)))
        for found in regex.finditer(pattern, value, regex.I | regex.M | regex.S):
            if found[0] != value:
                return (
                    f"of the surrogate {value!r} the pattern finds {found[0]!r}, which would be "
                    "replaced again. Have it match all of a surrogate or nothing."
                )
    return ""


@cache
def shape_family(shape: str) -> Family:
    """The surrogates of this shape."""
    solid = [part.upper() for part in parts(shape) if part.isalnum()]
    code = Code(
        f"shape {shape}", lambda found: solid if len(found) == len(solid) else None, upper=True
    )

    def draw(key: Key, value: str, seed: str, attempt: int) -> str:
        del value
        body = iter(code_at(code.subset(key, solid).drawn(seed, attempt), solid))
        drawn = ((part, next(body) if part.isalnum() else "") for part in parts(shape))
        return "".join(char if len(part) > 1 else part for part, char in drawn)

    def canonical(value: str) -> str:
        return compact(value).casefold()

    return Family(code.name, draw, code.recognizes, bool, canonical)
