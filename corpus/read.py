"""Reading a cut of the corpus, whatever it is stored as."""

import numpy as np

from unrote.corpus.formats import format_of
from unrote.corpus.rows import BATCH_BYTES, Fields, SelectedRows, View
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Corpus, Cut

__all__ = ["BATCH_BYTES", "Fields", "read_cut"]


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
