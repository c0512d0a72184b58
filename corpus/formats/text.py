"""A text file is one document, whose id is the shard's name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from unrote.corpus.edits import ShardEdits
from unrote.corpus.formats.base import Format
from unrote.corpus.rows import (
    NOT_UTF8,
    Fields,
    SelectedRows,
    View,
    rejects,
    row_batches,
    too_long,
)
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Compression, Cut, Shard
from unrote.corpus.storage import open_stored, storage
from unrote.corpus.text import BOM, bytes_view, is_utf8


class Text(Format):
    """Plain text and Markdown. No file is written for a document that was removed or rejected."""

    name = "txt"
    suffixes: Mapping[str, Compression] = {".txt": "", ".md": "", ".markdown": ""}

    def read(
        self,
        shard: Shard,
        cut: Cut,  # noqa: ARG002 - one cut
        fields: Fields,
        view: View,
        selected: SelectedRows,
    ) -> Tagged:
        return read_text(shard, fields, view, selected)

    def rewrite(
        self,
        shard: Shard,
        cuts: Sequence[Cut],  # noqa: ARG002 - the same
        fields: Fields,
        edits: ShardEdits,
        path: Path,
    ) -> int:
        return rewrite_text(shard, fields, edits, path)


def read_text(shard: Shard, fields: Fields, view: View, selected: SelectedRows) -> Tagged:
    """The file's one row, or (for view "records") its reject. A byte order mark is left out."""
    if not selected.has(0) and not selected.all:
        return
    limit = fields.max_document
    with storage(shard.url, "read"), open_stored(shard.url, shard.etag) as file:
        content = file.read(limit + len(BOM) + 1)
    data = bytes_view(content.removeprefix(BOM))
    reason = too_long(limit) if len(data) > limit else None if is_utf8(data) else NOT_UTF8
    if reason is None:
        extra = [pa.array([shard.name]), None, None] if view == "records" else []
        columns = [None] * len(fields.columns) if view == "records" else []
        offsets = np.array([0, len(data)], dtype=np.int64)
        yield from row_batches(shard, np.zeros(1, dtype=np.int64), data, offsets, extra, columns)
    elif view == "records":
        yield from rejects(shard, [0], [reason])


def rewrite_text(shard: Shard, fields: Fields, edits: ShardEdits, path: Path) -> int:
    found = list(read_text(shard, fields, "text", SelectedRows(shard, None, 0)))
    readable = np.array([bool(found)])
    kept, changes = edits.of_rows(0, readable, lambda _at, _field: False)
    if not kept[0]:
        return 0
    content = changes[0][0].encode() if changes else found[0][1].column("text")[0].as_buffer()
    with storage(path, "write"):
        path.write_bytes(content)
    return 1
