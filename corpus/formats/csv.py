"""CSV and TSV with a header, written back byte for byte but for the fields that are edited."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from unrote.corpus.edits import ShardEdits
from unrote.corpus.errors import InputError
from unrote.corpus.formats.base import Format, with_compressions
from unrote.corpus.formats.sniffing import compression_of, head_of, refuse_wide
from unrote.corpus.paths import SEPARATED, SEPARATOR
from unrote.corpus.rows import (
    NOT_UTF8,
    Damaged,
    Fields,
    SelectedRows,
    View,
    rejects,
    row_batches,
    together,
    too_long,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Compression, Cut, Shard
from unrote.corpus.storage import open_stored, storage
from unrote.corpus.streams import compressor, decompressed, not_expanded
from unrote.corpus.text import BOM, bytes_view

TOGETHER = 1000
"""Records that are read or written at a time."""


@dataclass(frozen=True)
class _Record:
    """A record as it is stored, its line end too; where its fields are; its line, from 1.

    One that is longer than the limit has neither bytes nor fields.
    """

    stored: bytes
    spans: list[tuple[int, int]]
    line: int
    is_overlong: bool = False

    def value(self, field: int) -> str:
        """A field's value. Raises UnicodeDecodeError."""
        start, end = self.spans[field]
        raw = self.stored[start:end]
        if (quoted := _QUOTED.match(raw)) is not None:
            inner = raw[1 : quoted.end() - 1].replace(b'""', b'"')
            raw = inner + raw[quoted.end() :]
        return raw.decode()


_NOT_HELD = _Record(b"", [], 0, is_overlong=True)


class _Skipped:
    """The end of a record that is not held is looked for while its bytes go by."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._unquoted = re.compile(b"[" + delimiter + rb"\r\n]")
        self._at_field, self._quoted = True, False
        self.breaks = 0
        self.ended = False

    def skip(self, data: bytes, last: bool) -> bytes:
        """What of `data` is behind the record, or has to be seen again with what comes then.

        `last`: nothing comes.
        """
        at = self._find(data, len(data) - (not last))
        split_line_end = data[at - 1 : at + 1] == b"\r\n" if at else False
        self.breaks += _breaks(data[:at]) - split_line_end
        self.ended = self.ended or last
        return data[at:]

    def _find(self, data: bytes, end: int) -> int:
        """The offset behind the record, or behind what of data[:end] was looked at.

        A byte is there behind that: a quote may be doubled, and a line end be of two.
        """
        at = 0
        while at < end and not self.ended:
            if self._at_field:
                self._at_field = False
                self._quoted = data[at : at + 1] == b'"'
                at += self._quoted
            elif self._quoted:
                quote = data.find(b'"', at, end)
                self._quoted = quote < 0 or data[quote + 1 : quote + 2] == b'"'
                at = end if quote < 0 else quote + 1 + self._quoted
            elif (found := self._unquoted.search(data, at, end)) is None:
                at = end
            else:
                start, at = found.span()
                self._at_field = found[0] == self._delimiter
                self.ended = not self._at_field
                at += data[start : at + 1] == b"\r\n"
        return at


class _Records:
    """Cuts CSV that comes in chunks behind its records."""

    def __init__(self, delimiter: bytes, limit: int) -> None:
        self._delimiter = delimiter
        self._limit = limit
        self._pattern = _record_pattern(delimiter)
        self._field = _field_pattern(delimiter)
        self._held = b""
        self._line = 1
        self._skipped: _Skipped | None = None

    def add(self, chunk: bytes, over: bool = False, damaged: bool = False) -> Iterator[_Record]:
        """The records that end with `chunk`; `over` and `damaged` say that none comes then."""
        self._held += chunk
        last = over or damaged
        yield from self._end_of_skipped(last, damaged)
        at = 0
        while at < len(self._held) and self._skipped is None:
            found = self._pattern.match(self._held, at)
            end = len(self._held) if found is None else found.end()
            if not last and end >= len(self._held) - 1:  # it may go on, or \r be half of \r\n
                break
            ended = found is not None and self._held[at:end].endswith((b"\r", b"\n"))
            if damaged and not ended:  # the rest of it is lost
                break
            record = self._record(self._held[at:end])
            if record is not None:
                yield record if end - at <= self._limit else replace(_NOT_HELD, line=record.line)
            self._line += _breaks(self._held[at:end])
            at = end
        self._held = self._held[at:]
        if not last and self._skipped is None and len(self._held) > self._limit + 1:
            self._skipped = _Skipped(self._delimiter)  # however it ends, it is longer
            self._held = self._skipped.skip(self._held, last=False)

    def _end_of_skipped(self, last: bool, damaged: bool) -> Iterator[_Record]:
        """The record that is not held, where it has ended."""
        if self._skipped is None:
            return
        if not self._skipped.ended:
            self._held = self._skipped.skip(self._held, last)
        if self._skipped.ended and not damaged:
            yield replace(_NOT_HELD, line=self._line)
            self._line += self._skipped.breaks
            self._skipped = None

    def _record(self, stored: bytes) -> _Record | None:
        """The record in `stored`; None where it is blank. No fields where a quote is not closed."""
        start = len(BOM) if self._line == 1 and stored.startswith(BOM) else 0
        body = len(stored.rstrip(b"\r\n")) if not stored.endswith(b'"') else len(stored)
        if body <= start:
            return None
        spans, at = [], start
        while (found := self._field.match(stored, at)) is not None:
            spans.append(found.span())
            at = found.end()
            if stored[at : at + 1] != self._delimiter:
                break
            at += 1
        closed = at >= len(stored) or stored[at : at + 1] in (b"\r", b"\n")
        return _Record(stored, spans if closed else [], self._line)


_QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')


class Csv(Format):
    """Comma-separated values as RFC 4180 and Python's csv have them; the first record is names."""

    name = "csv"
    suffixes: Mapping[str, Compression] = with_compressions(".csv")
    delimiter = b","

    def recognised(self, shard: Shard, stored: bytes) -> Shard:
        found = replace(shard, compression=compression_of(stored, shard.compression))
        refuse_wide(shard, head_of(stored, found.compression))
        return found

    def read(
        self,
        shard: Shard,
        cut: Cut,  # noqa: ARG002 - one cut
        fields: Fields,
        view: View,
        selected: SelectedRows,
    ) -> Tagged:
        records, row = self._records(shard, fields), 0
        try:
            header = next(records, None)
            names = [] if header is None else self._names(shard, header)
            for some in together(records, TOGETHER):
                wanted = selected.of(row, row + len(some)).tolist()
                chosen = [(number, some[number - row]) for number in wanted]
                yield from _batch(shard, names, chosen, fields, view)
                row += len(some)
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
        rows = 0
        with storage(path, "write"), path.open("wb") as file:
            sink = compressor(shard.compression)
            with suppress(Damaged):  # the row at the damage was rejected when it was read
                for count, chunk in self._released(shard, fields, edits):
                    rows += count
                    file.write(sink.compress(chunk))
            file.write(sink.flush())
        return rows

    def _released(
        self, shard: Shard, fields: Fields, edits: ShardEdits
    ) -> Iterator[tuple[int, bytes]]:
        """Pairs of rows and the bytes they come out as, the header's first. Raises Damaged."""
        records, first = self._records(shard, fields), 0
        header = next(records, None)
        if header is None:
            return
        names = self._names(shard, header)
        yield 0, header.stored
        for some in together(records, TOGETHER):
            readable = np.array([_refused(r, names, fields) == "" for r in some])
            kept, new = edits.of_rows(first, readable, lambda _at, _field: True)
            for at in np.flatnonzero(kept).tolist():
                changes = _changes(some[at], names, fields, new.get(at, {}))
                yield 1, self._written(some[at], names, changes)
            first += len(some)

    def text_columns(self, shard: Shard, first: Cut) -> set[str]:  # noqa: ARG002
        header = self._header(shard)
        return set() if header is None else set(self._names(shard, header))

    def check(self, shard: Shard, fields: Fields, first: Cut | None) -> None:  # noqa: ARG002
        header = self._header(shard)
        names = [] if header is None else self._names(shard, header)
        missing = [one for one in _texts(fields) if one not in names]
        if header is not None and missing:
            raise InputError(f"{shard.url} has no column {missing[0]!r}. {_instead(names)}")

    def _header(self, shard: Shard) -> _Record | None:
        """The first record; None where there is none, or it is damaged, which reading tells."""
        with suppress(Damaged):
            return next(self._records(shard, Fields()), None)
        return None

    def _names(self, shard: Shard, header: _Record) -> list[str]:
        if header.is_overlong:
            raise InputError(
                f"{shard.url} has no end of its first record within input.max_document, which "
                "should name its columns. Close the quote that is open, or raise that."
            )
        try:
            names = [header.value(k) for k in range(len(header.spans))]
        except UnicodeDecodeError:
            raise InputError(
                f"{shard.url} is not UTF-8 in line {header.line}, which names its columns. Convert "
                "it with iconv."
            ) from None
        if len(set(names)) < len(names):
            raise InputError(
                f"{shard.url} names a column twice in line {header.line}. Rename one of them."
            )
        return names

    def _records(self, shard: Shard, fields: Fields) -> Iterator[_Record]:
        """The records that are not blank, the header first. Raises Damaged, StorageError,
        InputError.

        Of one of more than `max_document` bytes no more are held.
        """
        records = _Records(self.delimiter, fields.max_document)
        with storage(shard.url, "read"), open_stored(shard.url, shard.etag) as file:
            stored = decompressed(file, shard.compression)
            if shard.compression:
                stored = not_expanded(stored, shard, fields.max_expansion)
            try:
                for chunk in stored:
                    yield from records.add(chunk)
            except Damaged:
                yield from records.add(b"", damaged=True)
                raise
            yield from records.add(b"", over=True)

    def _written(self, record: _Record, names: Sequence[str], changes: Mapping[str, str]) -> bytes:
        """The record with new values."""
        stored = record.stored
        spans = sorted((record.spans[names.index(k)], v) for k, v in changes.items())
        for (start, end), text in reversed(spans):
            value = text.encode()
            special = (self.delimiter, b'"', b"\r", b"\n")
            if stored[start : start + 1] == b'"' or any(one in value for one in special):
                value = b'"' + value.replace(b'"', b'""') + b'"'
            stored = stored[:start] + value + stored[end:]
        return stored


class Tsv(Csv):
    """The same with tabs."""

    name = "tsv"
    suffixes: Mapping[str, Compression] = with_compressions(".tsv")
    delimiter = b"\t"


def _field(delimiter: bytes) -> bytes:
    rest = b"[^" + delimiter + rb"\r\n]*+"
    return rb'(?:"(?:[^"]++|"")*+"' + rest + rb'|(?!")' + rest + b")"


def _field_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(_field(delimiter))


def _record_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    field = _field(delimiter)
    start = b"(?:" + BOM + b")?"
    return re.compile(start + field + b"(?:" + delimiter + field + rb")*+(?:\r\n|\r|\n|\Z)")


def _breaks(stored: bytes) -> int:
    return stored.count(b"\n") + stored.count(b"\r") - stored.count(b"\r\n")


def _refused(record: _Record, names: Sequence[str], fields: Fields) -> str:
    """Why a record is rejected, "" where it is not."""
    where = f"(line {record.line})"
    if record.is_overlong:
        cause, colon, remedy = too_long(fields.max_document).partition(": ")
        return f"{cause} {where}{colon}{remedy}"
    if not record.spans:
        return f"a quoted field does not end {where}: close the quote, or double one in a field"
    if len(record.spans) != len(names):
        return f"not as many fields as the header has {where}: {len(record.spans)} of {len(names)}"
    try:
        record.stored.decode()
    except UnicodeDecodeError:
        return f"{NOT_UTF8} {where}: store the file as UTF-8"
    return _refused_text(record, names, _texts(fields), where)


def _refused_text(record: _Record, names: Sequence[str], texts: Sequence[str], where: str) -> str:
    """Why a record that is well formed has no text that can be read."""
    missing = [one for one in texts if one not in names]
    if missing:
        return f"no field '{missing[0]}' {where}. Set input.text to the one with the text"
    values = [record.value(names.index(one)) for one in texts] if len(texts) > 1 else []
    return f"{SEPARATED} {where}" if any(SEPARATOR in value for value in values) else ""


def _texts(fields: Fields) -> tuple[str, ...]:
    """The columns that make the text: there are no paths in a flat table, so names as they are."""
    return (fields.text,) if isinstance(fields.text, str) else fields.text


def _instead(names: Sequence[str]) -> str:
    """What a first record without the wanted name has: which is text, where names were left out."""
    if all(map(_name.fullmatch, names)):
        listed = ", ".join(map(ascii, names))
        return f"Columns in its first record: {listed}. Set input.text to the one with the text."
    return (
        f"Its first record has {len(names)} values that do not look like names of columns, and may "
        "be text: they are not shown. Put a record with names before it."
    )


_name = re.compile(r"[^\W\d][\w .:/()%#-]{0,39}")


def _changes(
    record: _Record, names: Sequence[str], fields: Fields, new: Mapping[int, str]
) -> dict[str, str]:
    """The new values by column, of which `new` has the text and the named columns."""
    changes = {fields.columns[k - 1]: text for k, text in new.items() if k}
    if 0 in new:
        texts = _texts(fields)
        values = new[0].split(SEPARATOR) if len(texts) > 1 else [new[0]]
        changes |= {
            name: text
            for name, text in zip(texts, values, strict=True)
            if text != record.value(names.index(name))
        }
    return changes


def _batch(
    shard: Shard,
    names: Sequence[str],
    chosen: Sequence[tuple[int, _Record]],
    fields: Fields,
    view: View,
) -> Tagged:
    reasons = [(row, _refused(record, names, fields)) for row, record in chosen]
    good = [pair for pair, (_, reason) in zip(chosen, reasons, strict=True) if not reason]

    def column(name: str) -> list[str | None]:
        if not name or name not in names:
            return [None] * len(good)
        at = names.index(name)
        return [record.value(at) or None for _, record in good]

    each = zip(*(column(name) for name in _texts(fields)), strict=True)
    texts = [SEPARATOR.join(text or "" for text in values).encode() for values in each]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    rows = np.array([row for row, _ in good], dtype=np.int64)
    extra: list[pa.StringArray | None] = []
    columns: list[pa.Array | None] = []
    if view == "records":
        others = (fields.id, fields.source, fields.order)
        extra = [pa.array(column(name), pa.string()) for name in others]
        columns = [pa.array(column(name), pa.string()) for name in fields.columns]
    yield from row_batches(shard, rows, bytes_view(b"".join(texts)), offsets, extra, columns)
    if view == "records":
        bad = [(row, reason) for row, reason in reasons if reason]
        yield from rejects(shard, [row for row, _ in bad], [reason for _, reason in bad])
