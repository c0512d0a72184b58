"""Small whole files of every format that is read, to be damaged."""

import bz2
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from benchmarks.hostile.changes import changed, drawn

TEXTS = (
    "The first text, of some words, speaks of nothing much and ends here.",
    "Another one: mail ada.lovelace@example.com, or call +1 415 555 2671 \u2014 caf\u00e9 \u4e2d.",
    'A third has "quotes", commas, a \\ and\ntwo lines, 7 * 7.',
    "The first text, of some words, speaks of nothing much and ends here.",
    "The first text, of some words, speaks of nothing much and it ends here, now.",
    "",
)
"""With a copy, something like one, and something personal."""

ROWS = [
    {"id": f"d{n}", "source": "s", "text": text, "meta": {"n": n, "tags": ["a", None]}}
    for n, text in enumerate(TEXTS)
]

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}
"""By the end of a file's name."""


def lines() -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def records(delimiter: str) -> bytes:
    """CSV, with a header."""
    quoted = ('"' + row["text"].replace('"', '""') + '"' for row in ROWS)
    rows = [f"{row['id']}{delimiter}{text}" for row, text in zip(ROWS, quoted, strict=True)]
    return "\r\n".join([f"id{delimiter}text", *rows, ""]).encode()


def table() -> pa.Table:
    """A table with a dictionary, a list and bytes beside the text."""
    rows = pa.Table.from_pylist(ROWS)
    kinds = pa.array(["x", "y", "x", None, "y", "x"]).dictionary_encode()
    return rows.append_column("kind", kinds).append_column("raw", pa.array([b"\x00"] * len(ROWS)))


def parquet(**options: object) -> bytes:
    """A Parquet file of several row groups."""
    sink = io.BytesIO()
    pq.write_table(table(), sink, row_group_size=4, **options)
    return sink.getvalue()


def arrow(open_writer: Callable[..., Any], codec: str | None) -> bytes:
    """Arrow IPC in two batches."""
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with open_writer(sink, table().schema, options=options) as writer:
        writer.write_table(table(), max_chunksize=4)
    return sink.getvalue()


def warc(pack: Callable[[bytes], bytes] = bytes) -> bytes:
    """WET: a warcinfo, then a record a text; `pack` is for each record."""

    def record(kind: str, name: str, block: bytes) -> bytes:
        head = (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{name}>\r\n"
            f"Content-Type: text/plain\r\nContent-Length: {len(block)}\r\n\r\n"
        )
        return pack(head.encode() + block + b"\r\n\r\n")

    blocks = (record("conversion", row["id"], row["text"].encode()) for row in ROWS)
    return record("warcinfo", "0", b"software: x\r\n") + b"".join(blocks)


@cache
def _all() -> tuple[tuple[str, bytes, Callable[[bytes], bytes]], ...]:
    return tuple(seeds())


def damaged(chance: random.Random) -> tuple[str, bytes]:
    """The name and the content of one of the files, damaged before or after it was packed."""
    name, content, pack = chance.choice(_all())
    if chance.random() < 0.5:
        return name, changed(pack(content), drawn(chance))
    return name, pack(changed(content, drawn(chance)))


def seeds() -> Iterator[tuple[str, bytes, Callable[[bytes], bytes]]]:
    """(file name, content, how it is packed): the content is damaged before or after packing."""
    texts = {
        "a.jsonl": lines(),
        "array.json": json.dumps(ROWS).encode(),
        "pretty.json": json.dumps(ROWS, indent=1).encode(),
        "values.json": "\n".join(json.dumps(row, indent=1) for row in ROWS).encode(),
        "a.csv": records(","),
        "a.tsv": records("\t"),
    }
    for name, content in texts.items():
        for end, pack in PACK.items():
            yield name + end, content, pack
    yield "a.txt", TEXTS[1].encode(), bytes
    yield "a.md", TEXTS[2].encode(), bytes
    yield "a.wet", warc(), bytes
    yield "a.wet.gz", warc(PACK[".gz"]), bytes
    for codec in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
        yield f"{codec}.parquet", parquet(compression=codec), bytes
    yield "delta.parquet", parquet(use_dictionary=False, data_page_version="2.0"), bytes
    for codec in (None, "zstd", "lz4"):
        yield f"file-{codec}.arrow", arrow(pa.ipc.new_file, codec), bytes
        yield f"stream-{codec}.arrow", arrow(pa.ipc.new_stream, codec), bytes
