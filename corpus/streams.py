"""Compressed files as a stream of chunks, in bounded memory, and what is wrong with them; and back.

Stored bytes are fed in small portions, so that a highly compressible file cannot make one portion
into gigabytes; members and frames may follow one another.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import zstandard

from unrote.corpus.rows import CORRUPT, ENDS_EARLY, Damaged, refuse_expanded
from unrote.corpus.shard import Compression, Shard
from unrote.corpus.storage import CHUNK, chunks

_FEED = 32 << 10
_FEED_ZSTD = 2 << 10  # gives all that it holds at once: a block of 128 KiB for 4 bytes, at most
_MAX_WINDOW = 1 << 31  # what `zstd --ultra --long=31` writes


def decompressed(file: Any, compression: Compression) -> Iterator[bytes]:
    """The decompressed bytes of an open file, about CHUNK bytes at a time.

    Raises Damaged behind the last bytes that could be decompressed. An empty file has no bytes.
    """
    if compression == "":
        yield from chunks(file, 1 << 62)
        return
    waiting: list[bytes] = []
    size = 0
    try:
        for chunk in _READERS[compression](file):
            waiting.append(chunk)
            size += len(chunk)
            if size >= CHUNK:
                yield b"".join(waiting)
                waiting, size = [], 0
    except Damaged:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)


def not_expanded(chunks: Iterable[bytes], shard: Shard, ratio: int) -> Iterator[bytes]:
    """The decompressed chunks of a shard. Raises InputError where they become too many."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        refuse_expanded(shard, size, ratio)
        yield chunk


def beginning(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The chunks, until `size` bytes are there."""
    for chunk in chunks:
        yield chunk
        size -= len(chunk)
        if size <= 0:
            return


def _portions(file: Any, size: int = _FEED) -> Iterator[bytes]:
    for chunk in chunks(file, 1 << 62):
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


def _gzip(file: Any) -> Iterator[bytes]:
    member, first = None, True
    for stored in _portions(file):
        while stored:
            if member is None:
                # Zero bytes may pad a member (gzip(1) does the same).
                stored = stored if first else stored.lstrip(b"\0")
                if not stored:
                    break
                member, first = zlib.decompressobj(31), False
            yield _inflated(member, stored)
            if member.eof:
                stored, member = member.unused_data, None
            else:
                stored = member.unconsumed_tail
    # What was held back because a chunk was full.
    while member is not None and not member.eof:
        chunk = _inflated(member, b"")
        if not chunk and not member.eof:
            raise Damaged(ENDS_EARLY)
        yield chunk


def _inflated(member: Any, stored: bytes) -> bytes:
    try:
        return member.decompress(stored, CHUNK)  # type: ignore[no-any-return]
    except zlib.error:
        raise Damaged(CORRUPT) from None


def _zstd(file: Any) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    frame = None
    for stored in _portions(file, _FEED_ZSTD):
        while stored:
            if frame is None:
                frame = decompressor.decompressobj()
            try:
                chunk = frame.decompress(stored)
            except zstandard.ZstdError:
                raise Damaged(CORRUPT) from None
            if chunk:
                yield chunk
            if not frame.eof:
                break
            stored, frame = frame.unused_data, None
    if frame is not None:
        raise Damaged(ENDS_EARLY)


def _xz(file: Any) -> Iterator[bytes]:
    return _members(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ))


def _bz2(file: Any) -> Iterator[bytes]:
    return _members(file, bz2.BZ2Decompressor)


def _members(file: Any, decompressor: Callable[[], Any]) -> Iterator[bytes]:
    """What the decompressors of the standard library give, a new one for each member."""
    member, first = None, True
    for stored in _portions(file):
        while stored or (member is not None and not member.needs_input):
            if member is None:
                stored = stored if first else stored.lstrip(b"\0")  # .xz streams may be padded
                if not stored:
                    break
                member, first = decompressor(), False
            try:
                yield member.decompress(stored, CHUNK)
            except (lzma.LZMAError, OSError):
                raise Damaged(CORRUPT) from None
            stored = b""
            if member.eof:
                stored, member = member.unused_data, None
    if member is not None:
        raise Damaged(ENDS_EARLY)


_READERS: dict[Compression, Callable[[Any], Iterator[bytes]]] = {
    "gz": _gzip,
    "zst": _zstd,
    "xz": _xz,
    "bz2": _bz2,
}


# Writing


class Sink(Protocol):
    """What bytes are written through; what it gives goes to the file."""

    def compress(self, chunk: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, chunk: bytes, /) -> bytes:
        return chunk

    def flush(self) -> bytes:
        return b""


def compressor(compression: Compression) -> Sink:
    """What compresses: one member or frame, because many readers stop behind the first."""
    if compression == "gz":
        return zlib.compressobj(6, zlib.DEFLATED, 31)
    if compression == "zst":
        sink: Sink = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
        return sink
    if compression == "xz":
        return lzma.LZMACompressor(lzma.FORMAT_XZ)
    if compression == "bz2":
        return bz2.BZ2Compressor()
    return _Plain()
