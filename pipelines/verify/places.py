"""Where the witness of a passage has what the passage has at some place: the same place, or another
where the two are spelled differently and are compared in one form.

A text is cut into pieces that are brought into that form by themselves: character references, and
characters with the marks and vowels behind them. What is followed is a character of the form: a
place is a character of the text, and how many of the form before it come from the same piece.
"""

import re
import unicodedata
from bisect import bisect_right
from itertools import accumulate, pairwise

from unrote.pipelines.verify.canonical import REFERENCE, canonical
from unrote.pipelines.verify.records import Rules

_PIECE = re.compile(rf"{REFERENCE.pattern}|[\x00-\x7f]|[^\x00-\x7f]", re.DOTALL)

Place = tuple[int, int]


def same_text(one: str, other: str, rules: Rules) -> bool:
    """Whether a passage and its witness are the same as they are compared. The witness may have the
    rest of the pieces, compatibility characters, in which the passage begins and ends.
    """
    return one == other or Pieces(other, rules).begin_of(canonical(one, rules)) is not None


class Pieces:
    """A text in pieces. offsets: where each begins in the text; own: in the form."""

    def __init__(self, text: str, rules: Rules) -> None:
        parts: list[str] = []
        for match in _PIECE.finditer(text):
            if parts and _continues(match[0], rules):
                parts[-1] += match[0]
            else:
                parts.append(match[0])
        forms = [canonical(part, rules) for part in parts]
        self.form = "".join(forms)
        self._plain = [part == form for part, form in zip(parts, forms, strict=True)]
        self._offsets = [0, *accumulate(map(len, parts))]
        self._own = [0, *accumulate(map(len, forms))]

    def begin_of(self, form: str) -> int | None:
        """Where a text in the form begins in this one, of which each piece has some of it; None
        where it does not.
        """
        sizes = [b - a for a, b in pairwise(self._own) if b > a]
        for begin in range(sizes[0] if sizes else 0):
            behind = len(self.form) - begin - len(form)
            if 0 <= behind < sizes[-1] and self.form.startswith(form, begin):
                return begin
        return None

    def own_at(self, place: Place) -> int:
        """How many characters of the form stand before a place."""
        at, within = place
        i = min(bisect_right(self._offsets, at), len(self._plain)) - 1
        if i < 0:
            return within
        return self._own[i] + within + (at - self._offsets[i] if self._plain[i] else 0)

    def place_of(self, own: int) -> Place:
        """The place of a character of the form."""
        i = bisect_right(self._own, own) - 1
        if i >= len(self._plain):
            return self._offsets[-1], 0
        within = own - self._own[i]
        return (self._offsets[i] + within, 0) if self._plain[i] else (self._offsets[i], within)

    def end_of(self, own: int) -> int:
        """Behind the pieces of the first characters of the form."""
        at, within = self.place_of(own)
        return self._offsets[bisect_right(self._offsets, at)] if within else at


def _continues(part: str, rules: Rules) -> bool:
    """Whether a character or reference belongs to the piece before it."""
    characters = canonical(part, rules)
    if not characters:
        return True  # it is dropped
    first = unicodedata.normalize("NFKD", characters[0])[0]
    return unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff"


class Pair:
    """A passage and its witness in pieces, for the places of the one in the other."""

    def __init__(self, passage: str, witness: str, rules: Rules) -> None:
        self.same = passage == witness
        if not self.same:
            self._passage, self._witness = Pieces(passage, rules), Pieces(witness, rules)
            self._before = self._witness.begin_of(self._passage.form) or 0

    def there(self, place: Place) -> Place:
        """The place in the witness of a place in the passage."""
        if self.same:
            return place
        return self._witness.place_of(self._before + self._passage.own_at(place))

    def end_there(self, end: int) -> int:
        """Behind what the witness has of the passage up to `end`."""
        if self.same:
            return end
        return self._witness.end_of(self._before + self._passage.own_at((end, 0)))
