"""The input and the cleaned shards, row by row, with readers of their own."""

import base64
import bz2
import codecs
import contextlib
import csv
import functools
import hashlib
import io
import itertools
import json
import lzma
import re
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from unrote.corpus.storage import open_stored
from unrote.pipelines.verify.layout import DAMAGE, TORN
from unrote.pipelines.verify.paths import SEPARATOR, Selected, Steps, leaves
from unrote.pipelines.verify.records import Rules, Shard
from unrote.pipelines.verify.verdict import Tally

CHUNK = 1 << 20
PACKED = 32 << 10
BLANK = b" \t\r"
BOM = b"\xef\xbb\xbf"
T = TypeVar("T")


@contextlib.contextmanager
def opened(url: str) -> Iterator[Any]:
    """The bytes of a file, which is opened when it is entered and not before."""
    with open_stored(url) as stream:
        yield stream


def until_torn(rows: Iterator[Any]) -> Iterator[Any]:
    """`rows`; where compressed data is damaged, None for the row that cannot be read, the last."""
    try:
        yield from rows
    except TORN:
        yield None


def guarded(rows: Iterator[T], tally: Tally, name: str) -> Generator[T, None, None]:
    """`rows`; where they cannot be read to the end, that is a failure of `tally`."""
    try:
        yield from rows
    except DAMAGE as error:
        tally.fail("%s cannot be read to its end (%s)", name, type(error).__name__)


class _Number(NamedTuple):
    """A JSON number, as it was written."""

    literal: str


class Fields(NamedTuple):
    text: str | None
    id: str | None
    source: str | None
    columns: tuple[str | None, ...] = ()
    """Of the other columns that are scanned the strings; None for what is none."""


def raw_rows(shard: Shard, opened: Any) -> Iterator[Any]:
    """The rows of a shard: lines, record batches of one row, or the whole of a text file."""
    with opened as stream:
        if shard.format == "parquet":
            file = pq.ParquetFile(stream)
            for group in range(file.num_row_groups):
                yield from _group_rows(file, group)
        elif shard.format == "arrow":
            yield from _arrow_rows(stream)
        elif shard.format == "txt":
            yield stream.read().removeprefix(BOM)
        elif shard.format in SEPARATORS:
            yield from _records(_pieces_of(stream, shard.compression), SEPARATORS[shard.format])
        elif shard.format == "warc":
            yield from _crawled(_pieces_of(stream, shard.compression))
        elif shard.format == "json":
            yield from _elements(_pieces_of(stream, shard.compression))
        elif shard.format == "json-values":
            yield from _values(_pieces_of(stream, shard.compression))
        else:
            yield from _lines(_pieces_of(stream, shard.compression))


class Crawled(NamedTuple):
    """A record of WARC that is a row: its headers by lower-case name, and its block."""

    headers: dict[str, str]
    block: bytes

    def get(self, name: str) -> str | None:
        return self.headers.get(name.lower())

    @property
    def text(self) -> str | None:
        plain = (self.get("Content-Type") or "").strip().lower().startswith("text/plain")
        said = self.headers.get("warc-type") in ("conversion", "resource") and plain
        return decoded(self.block) if said else None

    def has_right_digests(self) -> bool:
        for name in ("warc-block-digest", "warc-payload-digest"):
            algorithm, _, value = self.headers.get(name, "").partition(":")
            if algorithm.lower() in ("md5", "sha1", "sha256", "sha512"):
                made = hashlib.new(algorithm.lower(), self.block)
                if value.lower() not in (
                    made.hexdigest(),
                    base64.b32encode(made.digest()).decode().lower(),
                ):
                    return False
        return True


def _crawled(pieces: Iterator[bytes]) -> Iterator[Crawled]:
    """The rows of a WARC file. Raises EOFError where it is torn."""
    held = b""

    def more() -> bool:
        nonlocal held
        piece = next(pieces, b"")
        held += piece
        return bool(piece)

    while True:
        while len(held := held.lstrip(b"\r\n")) < 1:
            if not more():
                return
        while (end := held.find(b"\r\n\r\n")) < 0:
            if not more():
                raise EOFError
        _, *lines = held[:end].decode(errors="replace").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        held, size = held[end + 4 :], int(headers.get("content-length", "0"))
        while len(held) < size:
            if not more():
                raise EOFError
        if headers.get("warc-type") in ("conversion", "resource", "response", "continuation"):
            yield Crawled(headers, held[:size])
        held = held[size:]


SEPARATORS = {"csv": ",", "tsv": "\t"}


class Record(NamedTuple):
    """A record of CSV: the names of its columns, and its fields."""

    names: list[str]
    fields: list[str]

    def get(self, name: str | None) -> str | None:
        """A field; None where there is none, or the record is not as long as the header."""
        if name not in self.names or len(self.names) != len(self.fields):
            return None
        return string_of(self.fields[self.names.index(name)])


def _records(pieces: Iterator[bytes], separator: str) -> Iterator[Record]:
    """The records behind the header, without blank lines."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")

    def lines() -> Iterator[str]:
        held = ""
        for piece in pieces:
            held += decoder.decode(piece)
            *whole, held = _LINE.split(held)
            yield from map("".join, zip(whole[::2], whole[1::2], strict=True))
        yield from io.StringIO(held, newline="")

    csv.field_size_limit(1 << 31)
    rows = (row for row in csv.reader(lines(), delimiter=separator) if row)
    names = next(rows, None)
    if names is not None:
        yield from (Record(names, row) for row in rows)


_LINE = re.compile(r"(\r\n|\n|\r(?=[^\n]))")


def _group_rows(file: Any, group: int) -> Iterator[Any]:
    """The rows of a row group; where it is damaged, None for each row from there on."""
    left = file.metadata.row_group(group).num_rows
    try:
        for batch in file.iter_batches(batch_size=1024, row_groups=[group]):
            yield from (batch.slice(row, 1) for row in range(batch.num_rows))
            left -= batch.num_rows
    except (OSError, pa.ArrowException) as error:
        # Arrow says OSError for both bad pages and failed reads; only the latter have a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield from itertools.repeat(None, left)


def arrow_reader(stream: BinaryIO) -> Any:
    """The batches of an Arrow file or stream, and its schema."""
    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    return pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)


def _arrow_rows(stream: BinaryIO) -> Iterator[Any]:
    """The rows of an Arrow file or stream; where it is damaged, None for that row, and the end."""
    reader = arrow_reader(stream)
    batches = (
        (reader.get_batch(number) for number in range(reader.num_record_batches))
        if hasattr(reader, "num_record_batches")
        else iter(reader)
    )
    try:
        for batch in batches:
            _refuse_damaged(batch)
            yield from (batch.slice(row, 1) for row in range(batch.num_rows))
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield None


def _refuse_damaged(batch: Any) -> None:
    """Raise ArrowInvalid where a column is damaged, whichever it is: a batch is read whole. Strings
    that are no UTF-8 are matters of their rows.
    """
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The rows of JSONL: lines that hold more than white space, without the line break."""
    prefix = BOM
    waiting: list[bytes] = []
    for piece in itertools.chain(pieces, (b"\n",)):
        *lines, rest = piece.split(b"\n")
        for line in lines:
            line = b"".join([*waiting, line]).removeprefix(prefix)
            waiting = []
            if line.strip(BLANK):
                yield line
            prefix = b""
        waiting.append(rest)


def _elements(pieces: Iterator[bytes]) -> Iterator[bytes | None]:
    """The elements of one JSON array, as they are written, without the white space around them.

    What stands between two commas, or a comma and the last bracket, without being a value is part
    of an element that is no JSON. None where the array is cut off, or something is behind it.
    """
    held, at, start, depth, elements, in_string = bytearray(), 0, 0, 0, 0, False
    for piece in pieces:
        held += piece
        while found := (_IN_STRING if in_string else _MARK).search(held, at):
            mark, at = found[0], found.end()
            if mark == b"\\":
                at += 1
            elif mark == b'"':
                in_string = not in_string
            elif depth > 1 or mark in b"[{":
                depth += 1 if mark in b"[{" else -(mark in b"]}")
                start = at if depth == 1 and mark == b"[" else start
            elif mark in b",]" and depth == 1:
                element = bytes(held[start : at - 1]).strip(_SPACE)
                if element or (mark == b"]" and elements):
                    yield element or b"]"
                    elements, start = elements + 1, at
                depth -= mark == b"]"
                if depth == 0:
                    if held[at:].strip(_SPACE) or any(rest.strip(_SPACE) for rest in pieces):
                        yield None
                    return
        at = max(at, len(held)) - start
        del held[:start]
        start = 0
    yield None


def _values(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The values of a file, between white space that is in none of them."""
    held, at, depth, in_string = bytearray(), 0, 0, False
    prefix = BOM
    for piece in pieces:
        held += piece
        while found := (_IN_STRING if in_string else _MARK_OR_SPACE).search(held, at):
            mark, at = found[0], found.end()
            if mark == b"\\":
                at += 1
            elif mark == b'"':
                in_string = not in_string
            elif mark in b"[{":
                depth += 1
            elif mark in b"]}":
                depth = max(0, depth - 1)
            elif depth == 0:
                if value := bytes(held[: at - 1]).removeprefix(prefix):
                    yield value
                prefix = b""
                del held[:at]
                at = 0
        at = max(at, len(held))
    if value := bytes(held).removeprefix(prefix):
        yield value


JSON = ("json", "json-values", "jsonl")
_SPACE = b" \t\r\n"
_MARK_OR_SPACE = re.compile(rb'["\[\]{} \t\r\n]')
_MARK = re.compile(rb'["\[\]{},]')
_IN_STRING = re.compile(rb'["\\]')


def _pieces_of(stream: BinaryIO, compression: str) -> Iterator[bytes]:
    """The content of a file without its compression. Raises EOFError where that ends early."""
    if not compression:
        yield from iter(functools.partial(stream.read, CHUNK), b"")
        return
    unpack: Any = None
    while packed := stream.read(PACKED):
        while packed := packed if unpack else packed.lstrip(b"\0"):
            unpack = unpack or _unpacker(compression)
            yield _unpacked(unpack, packed)
            if not unpack.eof:
                break
            packed, unpack = unpack.unused_data, None
    if unpack:
        raise EOFError


def _unpacked(unpack: Any, packed: bytes) -> bytes:
    try:
        content: bytes = unpack.decompress(packed)
    except OSError as error:  # what bz2 says of damage
        raise EOFError from error
    return content


def _unpacker(compression: str) -> Any:
    """For one gzip member or one Zstandard frame, of which a file may have several."""
    if compression == "gz":
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    if compression == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ)
    if compression == "bz2":
        return bz2.BZ2Decompressor()
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()


def read_fields(raw: Any, shard: Shard, rules: Rules) -> Fields:
    """Text, id and source of a row; None for what it does not have."""
    if raw is None:
        return Fields(None, None, None)
    if shard.format == "txt":
        return Fields(decoded(raw), shard.name, None)
    text, *columns = texts_of(raw, shard, (rules.text, *rules.columns))
    names = (rules.id, rules.source)
    if shard.format == "warc":
        return Fields(text, raw.get(rules.id) or raw.get("WARC-Record-ID"), raw.get(rules.source))
    if shard.format in ("arrow", "parquet"):
        identity, source = (cell_of(raw, name) for name in names)
    elif shard.format in SEPARATORS:
        identity, source = (raw.get(name) or None for name in names)
    else:
        values = members(raw)
        identity = string_of(_literal(values.get(rules.id)))
        source = string_of(values.get(rules.source))
    return Fields(text, identity, source, tuple(columns))


def texts_of(raw: Any, shard: Shard, fields: Sequence[Selected]) -> list[str | None]:
    """The text of each of `fields` in a row, its values joined; None where there is none."""
    if shard.format == "txt":
        return [decoded(raw)] * len(fields)
    if shard.format == "warc":
        return [raw.text] * len(fields)
    if shard.format in SEPARATORS:
        return [_joined([raw.get(name) for name in one.written]) for one in fields]
    values = members(raw) if shard.format in JSON else None
    found: list[str | None] = []
    for one in fields:
        if one.flat is not None:
            value = cell_of(raw, one.flat) if values is None else string_of(values.get(one.flat))
            found.append(value)
            continue
        strings: list[str | None] = []
        for steps in one.paths:
            top = values if values is not None else nested_cell(raw, steps)
            strings += [leaf for leaf in leaves(top, steps) if isinstance(leaf, str)]
        found.append(_joined([string_of(one) for one in strings]) if strings else None)
    return found


def _joined(strings: Sequence[str | None]) -> str | None:
    whole = [one for one in strings if one is not None]
    return SEPARATOR.join(whole) if len(whole) == len(strings) else None


def nested_cell(raw: Any, steps: Steps) -> dict[str, Any]:
    """The column of a row in which a path begins, under its name; nothing where it is missing."""
    index = raw.schema.get_field_index(steps[0])
    return {} if index < 0 else {raw.schema.names[index]: raw.column(index)[0].as_py()}


def cell_of(raw: Any, name: str) -> str | None:
    """A column of a row as a string; None for what is null, nested or not text."""
    index = raw.schema.get_field_index(name)
    if index < 0:
        return None
    column = raw.column(index)
    try:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type) or "binary" in str(column.type):
            return None
        value: str | None = column.cast(pa.string())[0].as_py()
    except (ValueError, pa.ArrowException):
        return None
    return value


def _literal(value: object) -> object:
    """A number as it is written, anything else as it is."""
    return value.literal if isinstance(value, _Number) else value


def decoded(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def string_of(value: object) -> str | None:
    """`value` if it is a string, and one that UTF-8 can write: without half a surrogate pair."""
    try:
        return value if isinstance(value, str) and value.encode() is not None else None
    except UnicodeEncodeError:
        return None


def members(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line.decode(), parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
