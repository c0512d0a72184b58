"""A few documents, read from the input again: what a report, `show` or a proxy run needs of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unrote.corpus.errors import InputChanged
from unrote.corpus.read import Fields, read_cut
from unrote.corpus.schema import doc_key, row_of, shard_of
from unrote.corpus.shard import Corpus


def records_of(corpus: Corpus, fields: Fields, docs: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The rows (corpus.schema.RECORDS) of a few documents, ascending; each cut is read once.

    Raises InputChanged for a document that is not there.
    """
    keys = np.array(docs, dtype=np.int64)
    cuts = [cut for part in corpus.slices for cut in part.cuts]
    firsts = [doc_key(cut.shard, cut.row) for cut in cuts] + [np.iinfo(np.int64).max]
    for cut, first, end in zip(cuts, firsts, firsts[1:], strict=False):
        missing = set(keys[(keys >= first) & (keys < end)].tolist())
        if not missing:
            continue
        for tag, batch in read_cut(corpus, cut, fields, "records", np.array(sorted(missing))):
            if tag == "text":
                missing.difference_update(batch["doc"].to_pylist())
                yield from batch.to_pylist()
        if missing:
            doc = min(missing)
            raise InputChanged(
                f"{corpus.shards[shard_of(doc)].name}, row {row_of(doc)}, is not in the input any "
                "more. Bring back the file that was read, or run the job again."
            )
