"""Tabular documents: a text that is CSV, or as regular, is told by its first rows.

Of tables that a model has met it recites the header and the first rows first (tabmemcheck asks for
just these), so that they are named.
"""

import csv
import io
from itertools import accumulate

PUNCTUATION = ",;"
DELIMITERS = "\t|" + PUNCTUATION

SEEN = 4096
"""Characters of a document by which it is told."""

LEAST_ROWS = 4
"""Rows with as many fields that a table has at least, its header among them."""

FIRST_ROWS = 10
"""Rows after the header that belong to the head of a table."""

TABULAR = (None, "head", "rows")
"""Where a sequence is in a tabular document: it begins in the header and the first rows, or behind.
None: the document is no table."""


def head_of_table(text: str) -> int:
    """The code points of a tabular text's header and its first ten rows; 0: it is none.

    Tabular: all rows within the first SEEN characters, four at least, have the same number of
    fields. Three columns or more are not blank; two will do where no space follows a comma or
    semicolon, as it does in prose. Lines of JSON are none.
    """
    return _table(text)[1]


def delimiter_of(text: str) -> str:
    """What stands between the fields of a tabular text; "": it is none."""
    return _table(text)[0]


def _table(text: str) -> tuple[str, int]:
    lines = list(io.StringIO(text[:SEEN], newline=""))
    if len(text) > SEEN:
        lines.pop()  # cut
    if len(lines) < LEAST_ROWS or lines[0].lstrip()[:1] in ("{", "["):
        return "", 0
    heads = ((d, _head(lines, d)) for d in DELIMITERS if d in lines[0])
    return next((one for one in heads if one[1]), ("", 0))


def _head(lines: list[str], delimiter: str) -> int:
    """The code points of the head of a table with this delimiter; 0: it is none."""
    ends = list(accumulate(map(len, lines)))
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        rows = [(row, ends[reader.line_num - 1]) for row in reader if row]
    except csv.Error:  # a text that is no CSV is no table
        return 0
    if len(rows) < LEAST_ROWS or len({len(row) for row, _ in rows}) > 1:
        return 0
    # A frame of bars, or the signs before comments, make columns in which nothing is.
    columns = [
        column
        for column in zip(*(row for row, _ in rows), strict=True)
        if any(map(str.strip, column))
    ]
    spaced = delimiter in PUNCTUATION and any(
        field.startswith(" ") for column in columns[1:] for field in column
    )
    if len(columns) < (3 if spaced else 2):
        return 0
    return rows[: FIRST_ROWS + 1][-1][1]
