"""Which fields of text a corpus has, as its first rows tell."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
import pyarrow as pa

from unrote.corpus.errors import InputError
from unrote.corpus.formats.parquet import check_columns, is_text, open_parquet
from unrote.corpus.read import stored_lines
from unrote.corpus.rows import Damaged, Fields
from unrote.corpus.shard import Corpus, Cut, Shard
from unrote.corpus.text import BOM

SHARDS = 100
ROWS = 100
"""So many shards, and rows of each, are looked at."""


def text_columns(corpus: Corpus) -> list[str]:
    """The names of the fields that hold a string in the first rows of the first shards, sorted.

    Objects and lists are named, too: what is in them is not looked at. A text file has none.
    Raises StorageError.
    """
    found: set[str] = set()
    firsts = _first_cuts(corpus)
    for shard in corpus.shards[:SHARDS]:
        if shard.format == "parquet":
            with open_parquet(shard) as file:
                found.update(f.name for f in file.schema_arrow if _may_hold_text(f.type))
        elif shard.format == "jsonl" and shard.number in firsts:
            for _, row in _first_rows(shard, firsts[shard.number]):
                found.update(k for k, value in row.items() if isinstance(value, str | dict | list))
    return sorted(found)


def refuse_columns(corpus: Corpus, fields: Fields) -> None:
    """Raise InputError where a shard does not hold `fields` as they can be read and scanned.

    Of a Parquet shard its schema says so, of JSON lines the first rows: in a named column is text,
    or nothing. A later row that holds something else is a reject (corpus.read). Raises
    StorageError.
    """
    firsts = _first_cuts(corpus) if fields.columns else {}
    for shard in corpus.shards:
        if shard.format == "parquet":
            with open_parquet(shard) as file:
                check_columns(shard, file.schema_arrow, fields)
        elif shard.format == "jsonl" and shard.number in firsts and shard.number < SHARDS:
            for number, row in _first_rows(shard, firsts[shard.number]):
                for name in fields.columns:
                    _check_value(shard, number, name, row.get(name))


def _check_value(shard: Shard, row: int, name: str, value: Any) -> None:
    kind = {dict: "an object", list: "an array", int: "a number", float: "a number"}.get(
        type(value)
    )
    if kind is not None:
        raise InputError(
            f"column {name!r} of {shard.url} is {kind} in row {row}; allowed in a column that "
            "pii.columns names are strings and null. Do not name it, or store it as text."
        )


def _first_cuts(corpus: Corpus) -> dict[int, Cut]:
    return {cut.shard: cut for part in reversed(corpus.slices) for cut in reversed(part.cuts)}


def _may_hold_text(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_nested(kind))


def _first_rows(shard: Shard, cut: Cut) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows that are objects, with their numbers."""
    try:
        for number, line in enumerate(islice(_lines(stored_lines(shard, cut)), ROWS)):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # a reject, and reported as such
            if isinstance(row, dict):
                yield number, row
    except Damaged:
        return  # the same


def _lines(content: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of which all is there."""
    held = b""
    for piece in content:
        *whole, held = (held + piece).split(b"\n")
        yield from (line.removeprefix(BOM) for line in whole if line.strip())
    if held.strip():
        yield held.removeprefix(BOM)
