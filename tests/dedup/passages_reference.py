"""What `dedup.passages` defines, word for word and slowly. Shares nothing with it."""

import unicodedata
from collections import Counter
from itertools import pairwise

ALONE = (
    (0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x19E0, 0x1A00), (0x2E80, 0x2FE0),
    (0x3000, 0x3100), (0x31F0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xA9E0, 0xAA00),
    (0xAA60, 0xAA80), (0xF900, 0xFB00), (0xFF66, 0xFFA0), (0x1AFF0, 0x1B170), (0x20000, 0x32400),
)  # fmt: skip


def copies(texts: list[str], size: int) -> list[tuple[int, ...]]:
    docs = [text.encode() for text in texts]
    first, count = {}, Counter()
    for d, doc in enumerate(docs):
        for p in range(len(doc) - size + 1):
            first.setdefault(doc[p : p + size], (d, p))
            count[doc[p : p + size]] += 1
    rows = []
    for d, doc in enumerate(docs):
        for p in range(len(doc) - size + 1):
            window = doc[p : p + size]
            e, q = first[window]
            if e == d and q + size > p:
                continue
            offset = repeated(doc, p, size)
            if offset is not None:
                e, q = d, offset
            last = rows[-1] if rows else None
            if last and last[:2] == [d, p - last[2]] and last[3:5] == [e, q - last[2]]:
                last[2] += 1
                last[6] = min(last[6], count[window])
            else:
                rows.append([d, p, 1, e, q, starts(docs[e][:q]), count[window]])
    return [tuple(row) for row in rows]


def repeated(doc: bytes, p: int, size: int) -> int | None:
    for g in range(1, min(size // 2, p) + 1):
        if doc[p - g : p - g + size] == doc[p : p + size]:
            q = p - -(-size // g) * g
            if q >= 0 and doc[q : p + size - g] == doc[q + g : p + size]:
                return q
            return None
    return None


def starts(data: bytes) -> int:
    return sum(byte & 0xC0 != 0x80 for byte in data)


def spans(
    texts: list[str], size: int, boundary: str = "word", min_words: int = 0, form: str = "NFC"
) -> list[tuple[int, ...]]:
    found = {}
    both = [aligned(text, form) for text in texts]
    compared, places = [text for text, _ in both], [own for _, own in both]
    rows = copies(compared, size)
    for d, text in enumerate(compared):
        own = [
            (narrow(text, places[d], r[1], r[1] + r[2] - 1 + size), r) for r in rows if r[0] == d
        ]
        covered = [False] * len(text)
        for (a, b), _ in own:
            covered[a:b] = [True] * max(0, b - a)
        # Touching rows are one component; so are touching ranges of covered characters.
        for start, end in ranges(covered):
            while start < end and not may_cut(text, places[d], start, boundary):
                start += 1
            while start < end and not may_cut(text, places[d], end, boundary):
                end -= 1
            if start == end or words(text[start:end]) < min_words:
                continue
            for (a, b), row in own:
                x, y = max(a, start), min(b, end)
                if x < y:
                    before = text.encode()[row[1] : len(text[:x].encode())]
                    first = row[5] + starts(before)
                    key = (d, x, y, row[3], first, first + y - x)
                    found[key] = min(found.get(key, 1 << 60), row[6])
    return sorted(
        (d, places[d][x], places[d][y], w, down(places[w], first), up(places[w], last), count)
        for (d, x, y, w, first, last), count in found.items()
    )


def down(places: list[int | None], at: int) -> int:
    return next(p for p in reversed(places[: at + 1]) if p is not None)


def up(places: list[int | None], at: int) -> int:
    return next(p for p in places[at:] if p is not None)


def aligned(text: str, form: str) -> tuple[str, list[int | None]]:
    """The normalized text, and the place in the input of each of its boundaries."""
    if form == "none":
        return text, list(range(len(text) + 1))
    bounds = [0, *(i for i, c in enumerate(text) if i and begins(c)), len(text)]
    new, places = "", []
    for a, b in pairwise(bounds):
        part = unicodedata.normalize(form, text[a:b])
        same = part == text[a:b]
        places += [a + i if same or i == 0 else None for i in range(len(part))]
        new += part
    assert new == unicodedata.normalize(form, text)
    return new, [*places, len(text)]


def begins(c: str) -> bool:
    first = unicodedata.normalize("NFD", c)[0]
    return unicodedata.combining(first) == 0 and first not in SECONDS


def seconds() -> set[str]:
    found = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for code in range(0x30000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            pair = "".join(chr(int(part, 16)) for part in parts)
            if unicodedata.normalize("NFC", pair) == chr(code):
                found.add(pair[1])
    return found


SECONDS = seconds()


def narrow(text: str, places: list[int | None], start: int, end: int) -> tuple[int, int]:
    offsets = [0]
    for c in text:
        offsets.append(offsets[-1] + len(c.encode()))
    here = [i for i, place in enumerate(places) if place is not None]
    return (
        next(i for i in here if offsets[i] >= start),
        max(i for i in here if offsets[i] <= end),
    )


def ranges(covered: list[bool]) -> list[tuple[int, int]]:
    out, start = [], None
    for i, c in enumerate([*covered, False]):
        if c and start is None:
            start = i
        if not c and start is not None:
            out.append((start, i))
            start = None
    return out


def kind(c: str) -> str:
    category = unicodedata.category(c)[0]
    if category not in "LNM" and c != "_":
        return "other"
    if category == "M":
        return "mark"
    return "alone" if any(a <= ord(c) < b for a, b in ALONE) else "letter"


def may_cut(text: str, places: list[int | None], at: int, boundary: str) -> bool:
    if places[at] is None:
        return False
    if at in (0, len(text)) or boundary == "character":
        return True
    left, right = text[at - 1], text[at]
    if boundary == "line":
        return left == "\n" or (left == "\r" and right != "\n")
    kinds = kind(left), kind(right)
    if "other" in kinds:
        return True
    return kinds[1] != "mark" and "alone" in kinds


def words(text: str) -> int:
    count, before = 0, "other"
    for c in text:
        this = kind(c)
        if this == "mark" and before != "other":
            continue
        if this == "alone" or (this != "other" and before not in ("letter", "mark")):
            count += 1
        before = this
    return count
