"""WARC as crawls keep plain text (WET of Common Crawl), through warcio; written back by records.

A document is the block of a `conversion` or `resource` record of text/plain. Its id is that of the
record, unless `fields.id` is a header; source and order are headers, too. Records of other types go
through as they are stored. HTTP responses are rejects: no text is taken from HTML here, and what is
not read is not released.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unrote.corpus.edits import ShardEdits
from unrote.corpus.errors import InputError
from unrote.corpus.extras import require
from unrote.corpus.formats.base import Format
from unrote.corpus.formats.sniffing import compression_of, head_of
from unrote.corpus.rows import (
    NOT_UTF8,
    Damaged,
    Fields,
    SelectedRows,
    View,
    refuse_expanded,
    rejects,
    row_batches,
    together,
    too_long,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Compression, Cut, Shard
from unrote.corpus.storage import CHUNK, open_stored, storage
from unrote.corpus.text import bytes_view, is_utf8

CORRUPT = "WARC data is corrupt or ends early"

RECORD_ID = "WARC-Record-ID"

TOGETHER = 100
"""Records that are read at a time."""


@dataclass(frozen=True)
class _Record:
    """A record: version line and headers; its block if it is a row that can be read, else why not;
    where it is stored, and in how many bytes.
    """

    version: str
    headers: list[tuple[str, str]]
    is_row: bool
    block: bytes
    reason: str
    start: int
    size: int
    is_torn: bool
    """Whether its compressed bytes lack their end, though all of the block came."""

    def get(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


class Warc(Format):
    """WARC and WET files, plain or with each record compressed by gzip."""

    name = "warc"
    suffixes: Mapping[str, Compression] = {
        ".warc": "",
        ".warc.gz": "gz",
        ".wet": "",
        ".wet.gz": "gz",
    }

    def recognised(self, shard: Shard, stored: bytes) -> Shard:
        require("warc", f"Reading {shard.url}")
        found = replace(shard, compression=compression_of(stored, shard.compression))
        if found.compression not in ("", "gz") or not head_of(stored, found.compression).startswith(
            b"WARC/"
        ):
            raise InputError(
                f"{shard.url} does not start as a WARC file, plain or gzip. Remove it from the "
                "input, or convert it with warcio recompress."
            )
        return found

    def read(
        self,
        shard: Shard,
        cut: Cut,  # noqa: ARG002 - one cut
        fields: Fields,
        view: View,
        selected: SelectedRows,
    ) -> Tagged:
        rows = (one for one in _records(shard, fields) if one.is_row)
        row = 0
        try:
            for some in together(rows, TOGETHER):
                wanted = selected.of(row, row + len(some)).tolist()
                yield from _batch(shard, [(n, some[n - row]) for n in wanted], fields, view)
                row += len(some)
                if selected.none_from(row):
                    return
        except Damaged as damage:
            if view == "records" and selected.has(row):
                yield from rejects(shard, [row], [str(damage)])

    def rewrite(
        self,
        shard: Shard,
        cuts: Sequence[Cut],  # noqa: ARG002 - all of the shard's
        fields: Fields,
        edits: ShardEdits,
        path: Path,
    ) -> int:
        rows = row = 0
        with (
            storage(shard.url, "read"),
            open_stored(shard.url, shard.etag) as stored,
            path.open("wb") as file,
        ):
            try:
                for record in _records(shard, fields):
                    text = None
                    if record.is_row:
                        readable = np.array([not record.reason])
                        kept, new = edits.of_rows(row, readable, lambda _at, _field: False)
                        row += 1
                        if not kept[0]:
                            continue
                        rows += 1
                        text = new.get(0, {}).get(0)
                    if text is None and record.is_torn:
                        text = record.block.decode() if record.is_row else ""
                    if text is None:
                        stored.seek(record.start)
                        _copy(stored, record.size, file)
                    else:
                        file.write(_packed(_written(record, text.encode()), shard.compression))
            except Damaged:
                pass  # the row at the damage was rejected when it was read
        return rows


def _copy(stored: Any, size: int, file: Any) -> None:
    while size:
        chunk = stored.read(min(size, CHUNK))
        file.write(chunk)
        size -= len(chunk)


def _records(shard: Shard, fields: Fields) -> Iterator[_Record]:
    """The records; of blocks of more than `max_document` bytes nothing is held. Raises Damaged,
    InputError.
    """
    from warcio.archiveiterator import ArchiveIterator  # noqa: PLC0415  an extra
    from warcio.exceptions import ArchiveLoadFailed  # noqa: PLC0415

    with storage(shard.url, "read"), open_stored(shard.url, shard.etag) as file:
        found = ArchiveIterator(file, no_record_parse=True)
        everything = 0  # bytes without compression, as records say before they are read
        found.INC_RECORD = ""  # what it says of wrong lengths, with text of documents
        try:
            for one in found:
                headers = one.rec_headers
                is_row, reason = _role(one.rec_type, headers.get_header("Content-Type") or "")
                size = int(headers.get_header("Content-Length"))
                everything += size
                if shard.compression:
                    refuse_expanded(shard, everything, fields.max_expansion)
                block = b""
                if is_row and not reason:
                    if size > fields.max_document:
                        reason = too_long(fields.max_document)
                    else:
                        block = one.raw_stream.read(size)
                        reason = "" if is_utf8(bytes_view(block)) else NOT_UTF8
                        if len(block) < size:
                            raise Damaged(CORRUPT)
                start = found.get_record_offset()
                if found.err_count:
                    raise Damaged(CORRUPT)
                stored = found.offset - start  # with the line breaks behind it
                is_torn = bool(shard.compression) and start + stored >= shard.size
                is_torn = is_torn and not getattr(found.reader.decompressor, "eof", True)
                yield _Record(
                    headers.protocol, headers.headers, is_row, block, reason, start, stored, is_torn
                )
                if is_torn:
                    raise Damaged(CORRUPT)
        except (ArchiveLoadFailed, EOFError, zlib.error, ValueError, TypeError):
            raise Damaged(CORRUPT) from None


def _role(kind: str, content_type: str) -> tuple[bool, str]:
    """Whether a record of a type is a row, and why it is rejected, "" for not."""
    if kind in ("conversion", "resource"):
        plain = content_type.strip().lower().startswith("text/plain")
        return True, "" if plain else f"{kind} record that is not text/plain"
    if kind in ("response", "continuation"):
        return True, (
            f"{kind} record: no text is taken from HTTP and HTML; give the crawl's WET file, or "
            "make text of it (datatrove: WarcReader, Trafilatura, JsonlWriter)"
        )
    return False, ""


def _batch(
    shard: Shard, chosen: Sequence[tuple[int, _Record]], fields: Fields, view: View
) -> Tagged:
    good = [(row, record) for row, record in chosen if not record.reason]
    texts = [record.block for _, record in good]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    rows = np.array([row for row, _ in good], dtype=np.int64)
    extra: list[pa.StringArray | None] = []
    if view == "records":

        def headers(name: str) -> pa.StringArray:
            return pa.array([record.get(name) if name else None for _, record in good], pa.string())

        ids = headers(fields.id)
        ids = headers(RECORD_ID) if ids.null_count == len(ids) else ids
        extra = [ids, headers(fields.source), headers(fields.order)]
    columns = [None] * len(fields.columns) if view == "records" else []
    yield from row_batches(shard, rows, bytes_view(b"".join(texts)), offsets, extra, columns)
    if view == "records":
        bad = [(row, record.reason) for row, record in chosen if record.reason]
        yield from rejects(shard, [row for row, _ in bad], [reason for _, reason in bad])


# Writing


def _written(record: _Record, block: bytes) -> bytes:
    """The record with another block, and with the length and digests of that."""
    lines = [record.version]
    for name, value in record.headers:
        if name.lower() == "content-length":
            value = str(len(block))
        elif name.lower() in ("warc-block-digest", "warc-payload-digest"):
            digest = _digest(value, block)
            if digest is None:
                continue  # of an algorithm that is not known: none is better than a wrong one
            value = digest
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode() + block + b"\r\n\r\n"


def _digest(old: str, block: bytes) -> str | None:
    """The digest of `block` by the algorithm and in the digits of an old one."""
    algorithm, _, value = old.partition(":")
    if algorithm.lower() not in ("md5", "sha1", "sha256", "sha512"):
        return None
    digest = hashlib.new(algorithm.lower(), block, usedforsecurity=False)
    if len(value) == 2 * digest.digest_size:
        return f"{algorithm}:{digest.hexdigest()}"
    return f"{algorithm}:{base64.b32encode(digest.digest()).decode()}"


def _packed(content: bytes, compression: Compression) -> bytes:
    """A record as it is stored: a member of its own, where the file is compressed."""
    if not compression:
        return content
    member = zlib.compressobj(6, zlib.DEFLATED, 31)
    return member.compress(content) + member.flush()
