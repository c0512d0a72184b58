"""The script of each letter, as the package `regex` has it, for corpus/scripts.csv.

    python benchmarks/scripts.py > corpus/scripts.csv

Lines: the first and the last code point (hexadecimal) of a range of letters (general category L)
and their script by its code in ISO 15924. Letters that several scripts share (Common, Inherited)
are left out. The file is kept, so that a run does not depend on the version of `regex`.
"""

import sys

import regex
from regex import _regex_core

SHARED = ("ZYYY", "ZINH", "ZZZZ")
MIAO = "PLRD"  # whose name has four letters, too


def codes() -> list[str]:
    """The codes of all scripts that `regex` knows, ascending."""
    names: dict[int, list[str]] = {}
    for name, number in _regex_core.PROPERTIES["SCRIPT"][1].items():
        names.setdefault(number, []).append(name)
    found = [
        MIAO if MIAO in own else next(n for n in own if len(n) == 4 and not n.startswith("QAA"))
        for own in names.values()
    ]
    return sorted(set(found) - set(SHARED))


def main() -> None:
    everything = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    letters = "".join(regex.findall(r"\p{L}", everything))
    scripts = {
        ord(letter): code.title()
        for code in codes()
        for letter in regex.findall(rf"\p{{Script={code}}}", letters)
    }
    print("first,last,script")
    first = last = -2
    script = ""
    for code_point, own in [*sorted(scripts.items()), (-1, "")]:
        if code_point == last + 1 and own == script:
            last = code_point
            continue
        if script:
            print(f"{first:X},{last:X},{script}")
        first, last, script = code_point, code_point, own


if __name__ == "__main__":
    sys.exit(main())
