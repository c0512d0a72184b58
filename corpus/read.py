"""Reading a cut of the corpus, whatever it is stored as."""

from collections.abc import Sequence

import numpy as np

from unrote.corpus.formats import format_of
from unrote.corpus.formats.small_lines import groups_of, read_small
from unrote.corpus.rows import BATCH_BYTES, Fields, SelectedRows, View
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Corpus, Cut

__all__ = ["BATCH_BYTES", "Fields", "read_cut", "read_cuts"]


def read_cuts(
    corpus: Corpus,
    cuts: Sequence[Cut],
    fields: Fields,
    view: View,
    docs: np.ndarray | None = None,
) -> Tagged:
    """The rows of several cuts as `read_cut` gives them, those of small files many in a batch."""
    for group in groups_of(corpus, cuts):
        found = read_small(corpus, group, fields, view, docs) if len(group) > 1 else None
        if found is not None:
            yield from found
            continue
        for cut in group:
            yield from read_cut(corpus, cut, fields, view, docs)


def read_cut(
    corpus: Corpus, cut: Cut, fields: Fields, view: View, docs: np.ndarray | None = None
) -> Tagged:
    """The rows of a cut, in `doc` order, as ("text", batch), and ("rejects", batch).

    Batches have the schema TEXT for view "text" and RECORDS for view "records"; one holds at most
    BATCH_BYTES of text and named columns, or one longer document. Rejects (schema REJECTS) come for
    "records" only.
    `docs` are ascending int64 keys; if given, only these rows are read, the others are skipped
    without being looked into, and reading ends behind the last.
    Where compressed data ends early or is corrupt, the rows before come, then one reject.
    A named column (`fields.columns`) whose string cannot be read makes the row a reject, in both
    views: what cannot be read cannot be scanned. So does one that is an object, an array or a
    number. One that is missing, null or a boolean is null and stays as it is.
    Raises StorageError (a failed read), InputError (a Parquet shard without the text column, or
    with a named column of another type).
    """
    shard = corpus.shards[cut.shard]
    rows = SelectedRows(shard, docs, cut.row)
    if rows.none_from(cut.row):
        return
    yield from format_of(shard).read(shard, cut, fields, view, rows)
