"""Corpora on disk for the tests of this package, and the readers they are compared with."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard

from unrote.corpus.edits import EDITS
from unrote.corpus.pinning import pin
from unrote.corpus.read import Fields, read_cut
from unrote.corpus.release import rewrite
from unrote.corpus.schema import RECORDS, REJECTS, TEXT
from unrote.corpus.shard import Corpus

DEFAULT = Fields()
END = {"": ".jsonl"} | {kind: f".jsonl.{kind}" for kind in ("gz", "zst", "xz", "bz2")}


def pack(content: bytes, compression: str) -> bytes:
    if compression == "gz":
        return gzip.compress(content, mtime=0)
    if compression == "zst":
        return zstandard.ZstdCompressor(write_checksum=True).compress(content)
    if compression == "xz":
        return lzma.compress(content)
    return bz2.compress(content) if compression == "bz2" else content


def unpack(content: bytes, compression: str) -> bytes:
    if compression == "gz":
        return gzip.decompress(content)
    if compression == "zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(content)
    if compression == "xz":
        return lzma.decompress(content)
    return bz2.decompress(content) if compression == "bz2" else content


def cause(reason: str) -> str:
    """The reason of a reject without its place, and without what follows that."""
    return reason.partition(" (line ")[0]


def stored(folder: Path, content: bytes, compression: str = "", name: str = "a") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name + END[compression])
    path.write_bytes(pack(content, compression))
    return path


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def read_all(
    corpus: Corpus, fields: Fields = DEFAULT, view: str = "records", selected=None
) -> tuple[list[dict], list[dict]]:
    """All rows and all rejects of a corpus."""
    out: dict[str, list[dict]] = {"text": [], "rejects": []}
    if selected is not None:
        selected = np.array(selected, dtype=np.int64)
    schemas = {"text": RECORDS if view == "records" else TEXT, "rejects": REJECTS.schema}
    for part in corpus.slices:
        for cut in part.cuts:
            for tag, batch in read_cut(corpus, cut, fields, view, selected):
                assert batch.schema.equals(schemas[tag])
                batch.validate(full=True)
                out[tag] += batch.to_pylist()
    return out["text"], out["rejects"]


def texts_of(path: Path, **settings) -> list[str]:
    return [row["text"] for row in read_all(pin([path]), **settings)[0]]


def edits(*rows: tuple[int, str | None] | tuple[int, int, str | None]) -> list[pa.RecordBatch]:
    """Edits (doc, text) or (doc, field, text), one to a batch: the hardest way to batch them."""
    return [
        pa.RecordBatch.from_pylist(
            [{"doc": doc, "field": field[0] if field else 0, "text": text}], schema=EDITS
        )
        for doc, *field, text in rows
    ]


def rewritten(path: Path, changes: list[tuple], out: Path, **fields) -> bytes:
    """A file with `changes` (row, text) or (row, field, text) applied."""
    corpus = pin([path])
    cuts = [cut for part in corpus.slices for cut in part.cuts]
    rewrite(corpus, cuts, Fields(**fields), edits(*changes), out)
    return out.read_bytes()
