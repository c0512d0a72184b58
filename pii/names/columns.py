"""Names in tables: a cell has no sentence around it, but the cells of a column are of one kind.

A column whose header says that it has names of people (`first_name`, `Surname`) has them in all
cells that look like one. In another column of short cells what the tagger takes for people counts
where it does so in three cells of ten: `Hazel` among colours is none. Columns of text are left to
the tagger.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import regex

from unrote.corpus.tabular import delimiter_of
from unrote.pii.recognizers import Span

SHARE = 0.3
"""Of the different cells of a column in which the tagger must see people, if no header says so."""

REPEATED = 3
"""How often each value of a column stands in it, on average, if it is a category."""

LIKE_NAMES = 0.8
"""Of the cells of a column that look like names, if its header says that it has them."""

WORDS = 5
"""Cells of more words on average are text."""

SCORE = 0.85
"""Of a cell below a header that says so."""

SEEN_ROWS = 200
"""By which a column is judged."""

_NAMES = "(?:first|last|given|family|middle|full|maiden|second|birth|legal|preferred)[ _-]?names?"
_OF_SOMEBODY = (
    "(?:customer|client|patient|employee|contact|student|teacher|pupil|passenger|guest|member|person|"
    "doctor|physician|nurse|applicant|tenant|beneficiary|sender|recipient|card[ _-]?holder|spouse|"
    "account[ _-]?holder|billing|shipping|emergency[ _-]?contact|mother|father|child|parent)"
    "(?:['’]s)?[ _-]?(?:full[ _-]?|first[ _-]?|last[ _-]?)?name"
)
_OTHER_LANGUAGES = (
    "vornamen?|nachnamen?|familiennamen?|pr[ée]nom|nom de famille|apellidos?|primer nombre|cognome|"
    "sobrenome|voornaam|achternaam|imi[ęe]|nazwisko|f[öo]rnamn|efternamn"
)
_says = regex.compile(
    rf"(?i)(?:{_NAMES}|[flm]_?name|(?:sur|fore)_?names?|{_OF_SOMEBODY}|{_OTHER_LANGUAGES})"
)
_cell_like_name = regex.compile(
    r"(?!(?i:n/?a|none|null|nan|unknown|anonymous|other|test|deleted|withheld)$)"
    r"\p{L}[\p{L}\p{M}'’.\-]{0,30}(?:,? \p{L}[\p{L}\p{M}'’.\-]{0,30}){0,4}"
)
_has_letter = regex.compile(r"\p{L}")


class Cell(NamedTuple):
    start: int
    end: int


class _Column(NamedTuple):
    cells: list[Cell]
    says: bool


def in_columns(text: str, people: Sequence[Span], certain: float) -> list[Span]:
    """The people of a text, judged by columns where it is a table; below `certain` possible.

    people: what the tagger found, in order.
    """
    delimiter = delimiter_of(text)
    if not delimiter:
        return list(people)
    columns = [(column, _held(column.cells, people)) for column in _columns(text, delimiter)]
    within = {one.start for _, held in columns for _, one in held}
    found = [one for one in people if one.start not in within]  # beside the table
    for column, held in columns:
        found += _judged(text, column, held, certain)
    return sorted(found)


def _judged(
    text: str, column: _Column, held: Sequence[tuple[Cell, Span]], certain: float
) -> list[Span]:
    """The people in one column. held: of its cells, with whom the tagger found in them."""
    filled = [cell for cell in column.cells if _has_letter.search(text, cell.start, cell.end)]
    if not filled:
        return []
    seen = filled[:SEEN_ROWS]
    if column.says:
        like = [c for c in filled if _cell_like_name.fullmatch(text, c.start, c.end)]
        if sum(c.end <= seen[-1].end for c in like) >= LIKE_NAMES * len(seen):
            return [Span(cell.start, cell.end, SCORE) for cell in like]
    if sum(text.count(" ", c.start, c.end) + 1 for c in seen) > WORDS * len(seen):
        return [one for _, one in held]
    values = {text[c.start : c.end] for c in seen}
    named = {text[c.start : c.end] for c, _ in held if c.end <= seen[-1].end}
    is_category = len(values) * REPEATED <= len(seen)
    if not is_category and len(named & values) >= SHARE * len(values):
        return [one for _, one in held]
    return [Span(s.start, s.end, min(s.score, certain - 0.01)) for _, s in held]


def _held(cells: Sequence[Cell], people: Sequence[Span]) -> list[tuple[Cell, Span]]:
    """Cells and the people that begin in them."""
    pairs, at = [], 0
    for one in people:
        while at < len(cells) and cells[at].end <= one.start:
            at += 1
        if at < len(cells) and cells[at].start <= one.start:
            end = min(one.end, cells[at].end)
            pairs.append((cells[at], Span(one.start, end, one.score)))
    return pairs


def _columns(text: str, delimiter: str) -> list[_Column]:
    """The columns of a table, without its header."""
    mark = regex.escape(delimiter)
    field = regex.compile(rf'(?:^|(?<={mark}))(?:"((?:[^"\n]|"")*)"|([^{mark}\n]*))', regex.M)
    columns: list[_Column] = []
    for start, end in _lines(text):
        fields = [_stripped(text, m) for m in field.finditer(text, start, end)]
        if not columns:
            columns = [_Column([], bool(_says.fullmatch(text, *one))) for one in fields]
        elif len(fields) == len(columns):
            for column, cell in zip(columns, fields, strict=True):
                column.cells.append(cell)
    return columns


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if end > start:
            yield start, end
        start = end + 1


def _stripped(text: str, match: Any) -> Cell:
    start, end = match.span(1) if match[1] is not None else match.span(2)
    value = text[start:end]
    start += len(value) - len(value.lstrip())
    return Cell(start, max(start, end - (len(value) - len(value.rstrip()))))
