"""Writing released shards: the input's bytes, with the edits and without the removed rows.

Documents that no edit (corpus.edits) names are copied. Rejected rows are not released. How a row is
written back is in its format's module (corpus.formats).
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from unrote.corpus.edits import ShardEdits
from unrote.corpus.formats import format_of
from unrote.corpus.formats.small_lines import read_together
from unrote.corpus.rows import Fields
from unrote.corpus.shard import Corpus, Cut


def rewrite_unedited(corpus: Corpus, cuts: Sequence[Cut], fields: Fields) -> Sequence[bytes | None]:
    """What small files are released as that no edit names; None of one for which that is to be
    asked of `rewrite`. `cuts` are one of `small_lines.groups_of`.
    """
    together = read_together(corpus, cuts, fields)
    return [None] * len(cuts) if together is None else list(together.released())


def rewrite(
    corpus: Corpus,
    cuts: Sequence[Cut],
    fields: Fields,
    edits: Iterable[pa.RecordBatch],
    path: str | os.PathLike[str],
) -> int:
    """Write the released form of `cuts` to the local file `path`; returns the rows written.

    `cuts` are consecutive cuts of one shard; `edits` are batches of schema EDITS, by `doc` and
    `field`, about rows of these cuts. Of a plain JSONL shard any run of cuts can be written, and
    the files put one behind another are the released shard. Of any other shard all cuts have to be
    given (a slice has them all): the file is the released shard. gz is one member without a time,
    level 6; zst one frame with a checksum, level 3; Parquet keeps schema, metadata, row order and
    compression. No file is written for a text file whose document was removed or rejected. Lines
    keep every byte but those of edited strings, line ends included; blank lines and a byte order
    mark go. Of a name that a line has several times the last value counts, and those before it are
    emptied where the field is one that is read. The bytes depend on the input and the edits alone.
    Raises InputChanged where an edit names a row, or a string in it, that is not there,
    StorageError.
    """
    shard = corpus.shards[cuts[0].shard]
    changes = ShardEdits(shard, fields, edits)
    rows = format_of(shard).rewrite(shard, cuts, fields, changes, Path(path))
    changes.finish()
    return rows
