"""Which fields of text a corpus has, as its first rows tell."""

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from corpus.parquet import is_text, open_parquet
from corpus.read import stored_lines
from corpus.rows import Damaged
from corpus.shards import BOM, Corpus, Cut, Shard

SHARDS = 100
ROWS = 100
"""So many shards, and rows of each, are looked at."""


def text_columns(corpus: Corpus) -> list[str]:
    """The names of the fields that hold a string in the first rows of the first shards, sorted.

    Objects and lists are named, too: what is in them is not looked at. A text file has none.
    Raises StorageError.
    """
    found: set[str] = set()
    firsts = {cut.shard: cut for part in reversed(corpus.slices) for cut in reversed(part.cuts)}
    for shard in corpus.shards[:SHARDS]:
        if shard.format == "parquet":
            with open_parquet(shard) as file:
                found.update(f.name for f in file.schema_arrow if _may_hold_text(f.type))
        elif shard.format == "jsonl" and shard.number in firsts:
            for row in _first_rows(shard, firsts[shard.number]):
                found.update(k for k, value in row.items() if isinstance(value, str | dict | list))
    return sorted(found)


def _may_hold_text(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_nested(kind))


def _first_rows(shard: Shard, cut: Cut) -> Iterator[dict[str, Any]]:
    lines = 0
    try:
        for line in _lines(stored_lines(shard, cut)):
            if lines == ROWS:
                return
            lines += 1
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # a reject, and reported as such
            if isinstance(row, dict):
                yield row
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
