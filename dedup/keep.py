"""Keep order: which of several copies is kept.

A policy gives each document a rank; the lowest rank is kept, the lowest `doc` among equal ranks. A
document that lacks the field, or whose value cannot be read, ranks behind all that have it.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LAST = np.iinfo(np.int64).max
"""The rank of a document whose value is missing or unreadable."""

ALLOWED = "first, longest, newest:FIELD, highest:FIELD, priority:FIELD=a,b,c"

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_YEAR = re.compile(r"\d{4}(-\d{2})?")
_BASIC_DATE = re.compile(r"\d{8}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class KeepPolicy:
    """A keep order: `KeepPolicy.parse` makes it of what a user writes."""

    kind: Literal["first", "longest", "newest", "highest", "priority"]
    field: str = ""
    """The field whose value decides; empty for first and longest."""
    values: tuple[str, ...] = ()
    """priority: the values, best first."""

    @classmethod
    def parse(cls, text: str) -> "KeepPolicy":
        """first, longest, newest:FIELD, highest:FIELD or priority:FIELD=a,b,c.

        Raises ValueError, which says what is allowed.
        """
        kind, colon, rest = text.partition(":")
        if kind in ("first", "longest") and not colon:
            return cls(kind)  # type: ignore[arg-type]
        if kind in ("newest", "highest") and rest.strip():
            return cls(kind, rest.strip())  # type: ignore[arg-type]
        if kind == "priority":
            field, _, listed = rest.partition("=")
            values = tuple(value.strip() for value in listed.split(","))
            if field.strip() and all(values) and len(set(values)) == len(values):
                return cls("priority", field.strip(), values)
            raise ValueError(
                "priority needs a field and its values, best first, none of them empty or twice: "
                "priority:FIELD=a,b,c"
            )
        raise ValueError(f"it must be one of {ALLOWED}")

    def ranks(self, order: pa.StringArray, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rank of each document in keep order; lower is kept.

        order: the raw values of `field`, each the text of a JSON scalar (a string with or without
        its quotes) or null; sizes: int64[n], bytes of each text. Returns int64[n].
        """
        if self.kind == "first":
            return np.zeros(len(sizes), dtype=np.int64)
        if self.kind == "longest":
            return -np.asarray(sizes, dtype=np.int64)
        read = self._reader()
        ranks = (LAST if value is None else read(_plain(value)) for value in order.to_pylist())
        return np.fromiter(ranks, np.int64, len(order))

    def _reader(self) -> Callable[[str], int]:
        if self.kind == "newest":
            return _newest
        if self.kind == "highest":
            return _highest
        rank = {value: number for number, value in enumerate(self.values)}
        return lambda value: rank.get(value, LAST)


def _plain(value: str) -> str:
    """The value of a JSON scalar's text: a string without its quotes and escapes."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _newest(value: str) -> int:
    """The negative of the time in microseconds since 1970 (UTC where no offset is given).

    Four digits are a year and eight a date, if they can be; any other number is seconds.
    """
    value = value.strip()
    if _NUMBER.fullmatch(value) and not _YEAR.fullmatch(value):
        time = _time(value) if _BASIC_DATE.fullmatch(value) else None
        micros = float(value) * 1e6 if time is None else time
        return -round(micros) if abs(micros) < LAST else LAST
    time = _time(value)
    return LAST if time is None else -time


def _time(value: str) -> int | None:
    """Microseconds from 1970 to an ISO 8601 date or time; None if it is not one."""
    if _YEAR.fullmatch(value):
        value = f"{value}-01" if "-" in value else f"{value}-01-01"
    try:
        time = datetime.fromisoformat(value.upper())
    except ValueError:
        return None
    offset = time.utcoffset() or timedelta(0)
    return (time.replace(tzinfo=None) - _EPOCH - offset) // _MICROSECOND


def _highest(value: str) -> int:
    """A rank that falls as the float64 rises: its bits are ordered as its values are, save that
    those of negative numbers are ordered the other way round.
    """
    value = value.strip()
    if not _NUMBER.fullmatch(value):
        return LAST
    bits = int(np.float64(float(value) + 0.0).view(np.int64))  # -0.0 becomes 0.0
    return ~(bits ^ LAST if bits < 0 else bits)
