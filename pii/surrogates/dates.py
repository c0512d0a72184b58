"""Surrogates of dates: all dates of a document move by the same number of days.

A date has no room for a check: a year in twenty holds 7,300 dates. The dates of a document together
have. Of the shifts that a document may get, in an order that depends on it, the first is taken with
which a keyed sum over its shifted dates passes the check (its first bits are 0); and dates of a
document whose sum passes it are surrogates. The sum reads the day and the month without their
order, and two digits of the year, so that 3/4/21 needs no interpretation. What it costs: a document
whose real dates happen to pass keeps them, once in 2**CHECK_BITS documents.

A shift is between one and ten years, forward or back, and not close to a whole number of years.
Years alone and months alone have too few values for that; where nothing finer stands beside them
they stay (45 CFR 164.514 (b)(2)(i)(C) lets years stay).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from hashlib import shake_256
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unrote.pii.keys import Key
from unrote.pii.surrogates.family import word_list

Granularity = Literal["day", "month-day", "month", "year", "month-name"]

CHECK_BITS: dict[Granularity, int] = {"day": 9, "month-day": 5, "month": 4}
"""Bits of the check, by the finest date of the document. There are some ten shifts for each value
of them, so that in 1 document of 20,000 no shift passes and the first is taken."""

MAX_DATES = 32
"""The first dates of a document take part in the sum, at most so many."""

_MONTHS = (
    "january february march april may june july august september october november december",
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
)
_MONTH_ROWS = tuple(tuple(row.split()) for row in _MONTHS)
_DAYS = word_list("monday tuesday wednesday thursday friday saturday sunday")

_Y = r"(?P<y>(?:1[0-9]|2[0-9])\d\d)"
_ANY_Y = r"(?P<y>(?:1[0-9]|2[0-9])\d\d|['’]?\d\d(?!\d))"
_B = r"(?P<b>{})\.?".format(
    "|".join(
        sorted({month for row in _MONTH_ROWS for month in row} | {"sept"}, key=len, reverse=True)
    )
)
_W = rf"(?:(?P<w>{'|'.join(f'{day}|{day[:3]}' for day in _DAYS)})\b\.?,?\s+)?"
_D = r"(?P<d>0?[1-9]|[12]\d|3[01])(?P<o>st|nd|rd|th|\.|º)?"
_M = r"(?P<m>0?[1-9]|1[0-2])"

_FORMS: tuple[tuple[Granularity, str], ...] = (
    ("day", rf"{_W}{_Y}(?P<s>[-/.]){_M}(?P=s)(?P<d>0?[1-9]|[12]\d|3[01])(?!\d)"),
    ("day", rf"{_Y}(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?!\d)"),
    ("day", rf"{_W}(?P<p>\d\d?)(?P<s>[-/.])(?P<q>\d\d?)(?P=s){_ANY_Y}(?!\d)"),
    ("day", rf"{_W}{_D}(?:\s+of)?(?:\s+de)?[\s/-]*{_B}(?:\s+de)?,?[\s/-]*{_ANY_Y}\b"),
    ("day", rf"{_W}{_B}[\s/-]*{_D},?[\s/-]+{_ANY_Y}\b"),
    ("day", rf"{_W}{_Y}[\s/-]*{_B}[\s/-]*(?P<d>0?[1-9]|[12]\d|3[01])\b"),
    ("month-day", rf"{_W}{_D}(?:\s+of)?(?:\s+de)?[\s/-]*{_B}(?!\w)"),
    ("month-day", rf"{_W}{_B}[\s/-]*{_D}(?!\w)"),
    ("month", rf"{_B}(?:\s+de)?,?[\s/-]*{_ANY_Y}\b"),
    ("month", rf"{_Y}(?P<s>[-/.]){_M}(?!\d)"),
    ("month", rf"{_M}(?P<s>[-/.]){_Y}(?!\d)"),
    ("month", rf"{_M}/(?P<y>\d\d)(?!\d)"),
    ("month-name", rf"{_B}(?!\w)"),
    ("year", rf"{_Y}(?!\d)"),
)
_COMPILED = tuple((g, re.compile(rf"(?<!\w){form}", re.IGNORECASE)) for g, form in _FORMS)

_TIME = re.compile(r"\d{1,2}:\d\d(:\d\d)?")
_DIGIT = re.compile(r"\d")
_LEAP = 2000  # the year of a date that has none
_MIN_SHIFT, _MAX_SHIFT = 366, 3652  # days
_MIN_OFF_YEAR = 31  # days between a shift and a whole number of years, at least


@dataclass(frozen=True, slots=True)
class ParsedDate:
    """A date as it is written."""

    granularity: Granularity
    day: date
    """Of a coarse date, one in its middle."""
    match: re.Match[str]
    day_group: str
    """Which of p and q is the day; empty where neither is."""


@lru_cache(maxsize=4096)
def parse(value: str) -> ParsedDate | None:
    """The date in a value; None if none of the forms is in it."""
    for granularity, form in _COMPILED:
        match = form.search(value)
        if match is None or (dated := _parsed(granularity, match)) is None:
            continue
        if granularity in {"day", "month-day"} or not _DIGIT.search(_TIME.sub("", _around(match))):
            return dated
    return None


def _around(match: re.Match[str]) -> str:
    return f"{match.string[: match.start()]} {match.string[match.end() :]}"


def _parsed(granularity: Granularity, match: re.Match[str]) -> ParsedDate | None:
    groups = match.groupdict()
    day_group = ""
    if groups.get("p"):
        first, second = int(groups["p"]), int(groups["q"])
        day_group = "p" if first > 12 or (match["s"] == "." and second <= 12) else "q"
        day, month = (first, second) if day_group == "p" else (second, first)
    else:
        month = int(groups["m"]) if groups.get("m") else _month(groups.get("b"))[0]
        day = int(groups.get("d") or 15)
    year = _year(groups["y"]) if groups.get("y") else _LEAP
    try:
        return ParsedDate(granularity, date(year, month, day), match, day_group)
    except ValueError:
        return None


def _year(text: str) -> int:
    digits = text.lstrip("'’")
    return int(digits) if len(digits) == 4 else int(digits) + (2000 if int(digits) < 50 else 1900)


def _month(name: str | None) -> tuple[int, int]:
    """(month, row of names) of a month's name; June if there is none."""
    if not name:
        return 6, 0
    low = "sep" if name.lower() == "sept" else name.lower()
    for row, months in enumerate(_MONTH_ROWS):
        if low in months:
            return months.index(low) + 1, row
    return 6, 0


def shifted(dated: ParsedDate, days: int) -> str:
    """The value with its date so many days later, written as it was."""
    day = dated.day + timedelta(days)
    match = dated.match
    new: dict[str, str] = {}
    for name, text in match.groupdict().items():
        if text is None or name == "s":
            continue
        if name in {"d", "m", "p", "q"}:
            number = day.day if name in {"d", dated.day_group} else day.month
            padded = text.startswith("0") or (len(text) == 2 and not match.groupdict().get("b"))
            new[name] = f"{number:02d}" if padded else str(number)
        else:
            new[name] = _part(name, text, day)
    out = match.string
    for name in sorted(new, key=lambda name: -match.start(name)):
        out = out[: match.start(name)] + new[name] + out[match.end(name) :]
    return out


def _part(name: str, text: str, day: date) -> str:
    if name == "y":
        digits = text.lstrip("'’")
        return text[: -len(digits)] + f"{day.year:04d}"[-len(digits) :]
    if name == "o":
        return text if text in ".º" else _ordinal(day.day, text)
    if name == "w":
        return _like(_DAYS[day.weekday()][: None if len(text) > 3 else 3], text)
    _, row = _month(text)
    return _like(_MONTH_ROWS[row][day.month - 1], text)


def _ordinal(day: int, like: str) -> str:
    ending = "th" if day in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return _like(ending, like)


def _like(word: str, text: str) -> str:
    if text.isupper():
        return word.upper()
    return word.capitalize() if text[0].isupper() else word


# The keyed sum.

_TABLE = 1 << 16
_MONTH_BASE, _MONTH_DAY_BASE, _YEAR_BASE = 41_600, 42_900, 43_400
_Ints = NDArray[np.int64]


@cache
def _candidates() -> _Ints:
    """The shifts, in days."""
    days = np.arange(_MIN_SHIFT, _MAX_SHIFT + 1)
    from_year = np.abs(days - np.round(days / 365.2425) * 365.2425)
    days = days[from_year >= _MIN_OFF_YEAR]
    return np.concatenate([-days[::-1], days]).astype(np.int64)


@lru_cache(maxsize=4)
def _table(key: Key) -> NDArray[np.uint64]:
    drawn = shake_256(key.mac("dates")).digest(8 * _TABLE)
    return np.frombuffer(drawn, dtype="<u8")


def _table_indices(dated: ParsedDate, shifts: _Ints) -> _Ints:
    """The index of a date in the table after each shift: int64[n]."""
    moved: NDArray[np.datetime64] = np.datetime64(dated.day, "D") + shifts
    months = moved.astype("datetime64[M]")
    month: _Ints = months.astype(np.int64) % 12 + 1
    year: _Ints = (months.astype("datetime64[Y]").astype(np.int64) + 1970) % 100
    if dated.granularity == "year":
        year += _YEAR_BASE
        return year
    if dated.granularity == "month":
        month += _MONTH_BASE + year * 13
        return month
    day = (moved - months.astype("datetime64[D]")).astype(np.int64) + 1
    unordered: _Ints = np.minimum(day, month) * 32 + np.maximum(day, month)
    if dated.granularity == "month-day":
        unordered += _MONTH_DAY_BASE
    else:
        unordered += year * 416
    return unordered


def _passes_check(values: Sequence[str], key: Key, shifts: _Ints) -> NDArray[np.bool_] | None:
    """Whether the keyed sum passes its check after each shift: bool[n]. None if all dates are too
    coarse to have one.
    """
    dates = [dated for value in values if (dated := parse(value)) is not None]
    dates = [dated for dated in dates if dated.granularity != "month-name"][:MAX_DATES]
    bits = max((CHECK_BITS.get(dated.granularity, 0) for dated in dates), default=0)
    if not bits:
        return None
    total = np.zeros(len(shifts), np.uint64)
    for dated in dates:
        total += _table(key)[_table_indices(dated, shifts)]
    passed: NDArray[np.bool_] = total >> np.uint64(64 - bits) == 0
    return passed


def shift(values: Sequence[str], key: Key, document: str | int) -> int:
    """The days by which the dates of a document move; 0 if they are too coarse to move.

    values: its dates, in order.
    """
    candidates = _candidates()
    passed = _passes_check(values, key, candidates)
    if passed is None:
        return 0
    first = key.number(len(candidates), "shift", document)
    hits = np.flatnonzero(np.roll(passed, -first))
    return int(candidates[(first + (int(hits[0]) if len(hits) else 0)) % len(candidates)])


def are_shifted(values: Sequence[str], key: Key) -> bool:
    """Whether the dates of a document are surrogates, or such as stay."""
    passed = _passes_check(values, key, np.zeros(1, np.int64))
    return passed is None or bool(passed[0])


def usual_shift(key: Key, document: str | int) -> int:
    """A shift for a single date, without the others of its document; it carries no check."""
    candidates = _candidates()
    return int(candidates[key.number(len(candidates), "shift", document)])
