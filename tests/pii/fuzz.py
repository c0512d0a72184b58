"""Texts that recognisers match, nearly match, or match only in part.

Seeds come from the expressions themselves (their parse tree, read as a generator) and from
phonenumbers' example numbers; hypothesis mutates and joins them.
"""

import re._constants as sre
import re._parser as parser
from functools import cache

from hypothesis import strategies as st

from unrote.pii.catalogue import build

PHONES = [
    *("+1 415 555 2671", "(212) 555-5555", "030 1234567", "+44 20 7946 0958 ext 12"),
    *("1 int 3456789", "020 7946 0958 x123", "+49-30-1234567/8", "01 23 45 67 89"),
    *("0172 1234567 2012-01-02 08:00", "+972-3-1234567", "+91 98765 43210", "20240115"),
    *("+55 11 91234-5678", "+27 82 123 4567", "021 123 4567", "12 ext 345678", "1xxx2345678"),
    *("(650) 223 3345 (754) 223 3321", "651-234-2345/332-445-1234", "3324451234 8002341234"),
    *("0049 30 123456", "011 44 20 7946 0958", "1 415 555 2671", "2024-01-15 10:30", "0x0800"),
    *("+ 44 20 7946 0958", "(  212) 555-5555", "+( 44) 20 7946 0958", "4900948022576220"),
]
PROSE = ["lorem ipsum " * 40, "e.g.", "it's", "www.", "a.b.c", "http://", "https://x", "::", "@"]
ASCII = "0189 aZxX-_./:@+()#,\"'\n\t\r\x1c\x00"
BEYOND = "éſKİı٣½²\u0301\u200d\u200c\u00a0\u2028\x85ñÄß漢ｘ–＋（）ー😀\u00ad€доб"


@cache
def trees(entries):
    found = []
    for entry in entries:
        for pattern in getattr(build(entry), "patterns", []):
            try:
                found.append(parser.parse(pattern.regex))
            except re_error:
                continue
    return tuple(found)


re_error = parser.error


def written(draw, tree):
    """A text for the expression; not one that it surely matches."""
    return "".join(_written(draw, operator, value) for operator, value in tree)


def _written(draw, operator, value):
    pick = lambda options: draw(st.sampled_from(list(options)))  # noqa: E731
    match operator:
        case sre.LITERAL:
            return chr(value)
        case sre.NOT_LITERAL | sre.ANY:
            return pick("a0 ")
        case sre.IN:
            return _one_of(draw, pick, value)
        case sre.SUBPATTERN:
            return written(draw, value[3])
        case sre.MAX_REPEAT | sre.MIN_REPEAT:
            low, high, part = value
            times = draw(st.integers(low, min(high, low + 2)))
            return "".join(written(draw, part) for _ in range(times))
        case sre.BRANCH:
            return written(draw, pick(value[1]))
    return ""


def _one_of(draw, pick, items):
    kept = [item for item in items if item[0] is not sre.NEGATE]
    if len(kept) < len(items):
        return pick("abc-")
    operator, value = pick(kept)
    if operator is sre.LITERAL:
        return chr(value)
    if operator is sre.RANGE:
        return chr(draw(st.integers(*value)))
    named = {sre.CATEGORY_DIGIT: "0189", sre.CATEGORY_SPACE: " \t\n", sre.CATEGORY_WORD: "aZ_9é"}
    return pick(named.get(value, "-"))


@st.composite
def texts(draw, entries, ascii_only=False):
    """Pieces that `entries` are about, mutated, with context words and prose between."""
    sprouts = trees(entries)
    context = sorted({word for entry in entries for word in build(entry).context})
    odd = ASCII if ascii_only else ASCII + BEYOND
    text = ""
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.integers(0, 5))
        if kind <= 2 and sprouts:
            piece = written(draw, draw(st.sampled_from(sprouts)))
        else:
            source = (PHONES, context or PROSE, PROSE, PHONES)[kind % 4]
            piece = draw(st.sampled_from(source))
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, len(piece)))
            piece = piece[:at] + draw(st.sampled_from(odd)) + piece[at + draw(st.integers(0, 1)) :]
        text += piece + draw(
            st.sampled_from(["", " ", "\n", ", ", ":", '"', "'", ".", "/", "\r\n"])
        )
    return text.encode("ascii", "ignore").decode() if ascii_only else text
