"""Every table there is, and the document key.

A document is known by an int64 `doc`: the shard's number and the row's number within it, so that
sorting by `doc` is sorting by place in the input. Row numbers count the shard's non-blank lines
(JSONL), rows (Parquet) or are 0 (text files). Offsets in published tables are Unicode code points
of the input text; internal tables may use UTF-8 bytes and then say so in the column's name.

Keys and sort columns are int64 everywhere, because every engine sorts those alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

ROW_BITS = 36
MAX_ROWS = 1 << ROW_BITS
MAX_SHARDS = 1 << (63 - ROW_BITS)

Tagged = Iterator[tuple[str, pa.RecordBatch]]
"""What flows between stages: record batches, each under the name of the input or output it is."""


def doc_key(shard: int, row: int) -> int:
    """The key of the document in row `row` of shard `shard`."""
    return shard << ROW_BITS | row


def shard_of(doc: int) -> int:
    return doc >> ROW_BITS


def row_of(doc: int) -> int:
    return doc & (MAX_ROWS - 1)


@dataclass(frozen=True)
class Table:
    """A named table: one Parquet file per slice, rows sorted by `sort`.

    `sort` starts with the column that says to which slice a row belongs. An empty `sort` keeps the
    order in which a slice's rows were read. Internal tables go when the run is finished. A stage
    knows a table by its name, whichever round it is of.
    """

    name: str
    schema: pa.Schema
    sort: tuple[str, ...] = ("doc",)
    internal: bool = True
    round: int = 0

    def at(self, number: int) -> "Table":
        """The table of this kind that round `number` (from 1) of a repeated phase writes."""
        return replace(self, round=number)

    @property
    def folder(self) -> str:
        """The name that tells it from the tables of other rounds."""
        return f"{self.name}-{self.round}" if self.round else self.name


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


_int = pa.int64()
_str = pa.string()

# What a corpus is read as. Not stored.

TEXT = _schema(doc=_int, text=_str)

RECORDS = _schema(
    doc=_int,
    shard=_str,
    row=_int,
    id=_str,
    source=_str,
    order=_str,
    text=_str,
    columns=pa.list_(_str),
)
"""A row with what is known about it. `id` is derived if missing; `order` is the raw value (a JSON
scalar's text) of the field that the keep policy names, null if there is none. `columns` are the
values of `Fields.columns`, as many and in that order; null where there is none or no string."""

# Published tables.

DOCUMENTS = Table(
    "documents",
    _schema(doc=_int, id=_str, shard=_str, row=_int, source=_str, bytes=_int, words=_int),
    internal=False,
)
DUPLICATES = Table(
    "duplicates",
    _schema(doc=_int, reason=_str, twin=_int, similarity=pa.float64()),
    internal=False,
)
SPANS = Table(
    "spans",
    _schema(doc=_int, start=_int, end=_int, witness=_int, witness_start=_int, occurrences=_int),
    sort=("doc", "start", "end", "witness", "witness_start"),
    internal=False,
)
FINDINGS = Table(
    "findings",
    _schema(
        doc=_int,
        field=_int,
        start=_int,
        end=_int,
        type=_str,
        score=pa.float64(),
        action=_str,
        origin=_str,
        stands_for=_str,
        fingerprint=_str,
        surrogate=_str,
    ),
    sort=("doc", "field", "start", "end"),
    internal=False,
)
"""Personal data and de-identification markers in the documents that deduplication left; no values.

`field` is 0 for the text, n for the n-th of the named other columns. Findings of a field do not
overlap. `action` is what was done, or "cut" where the text around the finding went as a copied
passage. `stands_for` is what a marker stands for, "" where unknown. `fingerprint` is of the value,
`surrogate` of what stands in its place (null where that is none); both are keyed: equal values of a
type have equal ones, and without the key they say nothing."""

REJECTS = Table("rejects", _schema(doc=_int, shard=_str, row=_int, reason=_str), internal=False)
"""Rows that could not be read, and documents that a detector could not finish or that hold what is
not to be released. `doc` is what the row's key is, or would be."""

PUBLISHED = (DOCUMENTS, DUPLICATES, SPANS, FINDINGS, REJECTS)

# Internal tables: rows without an answer, and what is put in the place of findings.

UNREADABLE = Table("unreadable", REJECTS.schema)
"""The rejects of a run that will have more: the last phase to find some publishes them all."""

REPLACEMENTS = Table(
    "replacements",
    _schema(doc=_int, field=_int, start=_int, end=_int, text=_str),
    sort=("doc", "field", "start", "end"),
)
"""Put `text` in the place of start:end of a field. None overlaps another; `text` may be empty."""

# Internal tables: duplicate documents.

FINGERPRINTS = Table("fingerprints", _schema(doc=_int, high=_int, low=_int, rank=_int))
"""128-bit fingerprint of the normalised text, and the place in keep order (lower is kept)."""

BANDS = Table("bands", _schema(doc=_int, bucket=_int, rank=_int), sort=("doc", "bucket"))
"""The LSH buckets a document is in; `bucket` hashes the band's number and its signature rows."""

EXACT = Table("exact", DUPLICATES.schema)
UNDECIDED = Table("undecided", BANDS.schema, sort=("doc", "bucket"))
PAIRS = Table("pairs", _schema(doc=_int, kept=_int, kept_rank=_int), sort=("doc", "kept"))
KEPT = Table("kept", _schema(doc=_int, rank=_int))
NEAR = Table("near", DUPLICATES.schema)

# Internal tables: duplicate passages.

COPIES = Table(
    "copies",
    _schema(
        doc=_int,
        start_byte=_int,
        windows=_int,
        witness=_int,
        witness_byte=_int,
        witness_char=_int,
        occurrences=_int,
    ),
    sort=("doc", "start_byte", "witness", "witness_byte"),
)
"""`windows` consecutive windows of `min_bytes` bytes, from `start_byte`, each of which occurs first
at the same distance from `witness_byte` in `witness`. `witness_char` is `witness_byte` in code
points (the number of code points that start before it)."""
