"""What a file holds, as its first bytes tell, whatever its name says."""

import io
import json
import re

from unrote.corpus.errors import InputError
from unrote.corpus.rows import Damaged
from unrote.corpus.shard import Compression, Shard
from unrote.corpus.streams import decompressed
from unrote.corpus.text import BOM

HEAD = 256 << 10
"""Stored bytes that are looked at."""

_PACKED: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bz2"),
)
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # a zstd frame that holds no data

ARROW_FILE = b"ARROW1"
_ARROW_STREAM = re.compile(rb"\xff\xff\xff\xff...[\x00-\x0f]", re.DOTALL)
_PARQUET = b"PAR1"

_WIDE = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_WIDE_WITHOUT_MARK = (
    (re.compile(rb"[\[{\"]\x00\x00\x00"), "UTF-32LE"),
    (re.compile(rb"\x00\x00\x00[\[{\"]"), "UTF-32BE"),
    (re.compile(rb"[\[{\"]\x00[^\x00]\x00"), "UTF-16LE"),
    (re.compile(rb"\x00[\[{\"]\x00[^\x00]"), "UTF-16BE"),
)


def compression_of(stored: bytes, named: Compression) -> Compression:
    """How the file that starts with `stored` is compressed; `named` is what its name says."""
    if not stored:
        return named
    if _SKIPPABLE.match(stored):
        return "zst"
    for magic, kind in _PACKED:
        torn = kind == named and magic.startswith(stored)
        if torn or stored.startswith(magic):
            return kind
    return ""


def is_arrow(stored: bytes) -> bool:
    """Whether a file that starts with `stored` is an Arrow file or stream."""
    return stored.startswith(ARROW_FILE) or _ARROW_STREAM.match(stored) is not None


def binary_format(stored: bytes) -> str:
    """The format whose magic number `stored` starts with; "" for none."""
    if stored.startswith(_PARQUET):
        return "parquet"
    return "arrow" if is_arrow(stored) else ""


def head_of(stored: bytes, compression: Compression) -> bytes:
    """The first bytes of a file without its compression, as far as `stored` goes."""
    head = b""
    try:
        for chunk in decompressed(io.BytesIO(stored[:HEAD]), compression):
            head += chunk
            if len(head) >= HEAD:
                break
    except Damaged:
        pass  # it is a reject when it is read
    return head


def refuse_pointer(shard: Shard, head: bytes) -> None:
    """Raise InputError where the file only points to one that Git LFS has."""
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        raise InputError(
            f"{shard.url} is a Git LFS pointer, not the file it stands for. Fetch that with "
            "git lfs pull in the folder of the checkout."
        )


def refuse_wide(shard: Shard, head: bytes) -> None:
    """Raise InputError where a file that has to be UTF-8 is UTF-16 or UTF-32."""
    marked = (name for magic, name in _WIDE if head.startswith(magic))
    unmarked = (name for pattern, name in _WIDE_WITHOUT_MARK if pattern.match(head))
    name = next(marked, None) or next(unmarked, None)
    if name is not None:
        raise InputError(
            f"{shard.url} is {name}, from its first byte on (line 1, column 1); allowed is UTF-8. "
            f"Convert it with iconv -f {name} -t UTF-8."
        )


def is_pretty(head: bytes) -> bool:
    """Whether the first object of the file goes over several lines, as in pretty-printed JSON."""
    start = head.removeprefix(BOM)
    first, ended, rest = start.lstrip().partition(b"\n")
    pretty = ended and rest.strip() and _PRETTY.fullmatch(first.strip())
    return bool(pretty) and _is_object(start)


def is_array(head: bytes) -> bool:
    """Whether the file is one JSON array of objects, or an empty one."""
    return _ARRAY.match(head.removeprefix(BOM)) is not None


_ARRAY = re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*(?:\{|\][ \t\r\n]*\Z)")

_PRETTY = re.compile(rb'\{(\s*"[^"\\]*"\s*:.*,)?')


_JSON = json.JSONDecoder(parse_int=str)  # Python makes no number of more than 4,300 digits


def _is_object(head: bytes) -> bool:
    """Whether `head` starts with an object, or what may be the beginning of one."""
    text = head.decode(errors="replace").lstrip()
    try:
        return isinstance(_JSON.raw_decode(text)[0], dict)
    except json.JSONDecodeError as error:
        return error.pos > len(text) // 2
    except RecursionError:
        return False
