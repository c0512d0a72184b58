"""What an index knows: of fingerprints, of LSH buckets, and of document numbers.

A lookup is a binary search of sorted keys in sorted keys: what it costs grows with what is asked,
and with the logarithm of what the index holds.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from unrote.dedup.groups import Bools, Ints, counted
from unrote.dedup.index.files import columns_of, opened
from unrote.dedup.index.layout import DOCUMENTS, TEXTS, Index, Part


def by_fingerprint(index: Index, high: Ints, low: Ints) -> tuple[Ints, Ints, Bools]:
    """Documents that have one of the fingerprints (high[i], low[i]), ascending by (high, low):
    (i, number, whether it was a near-duplicate). Each fingerprint is that of one document at most.
    """
    found = []
    for keys in index.keys:
        known_high, known_low, at = columns_of(index.folder, keys.fingerprints)
        asked, place = _matches(known_high, high)
        same = known_low[place] == low[asked]
        asked, signed = asked[same], at[place[same]].astype(np.int64)
        number = np.where(signed < 0, ~signed, signed) + keys.first
        found.append((asked, number, signed < 0))
    if not found:
        none = np.empty(0, dtype=np.int64)
        return none, none, none > 0
    asked, number, near = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.argsort(asked, kind="stable")
    return asked[order], number[order], near[order]


def by_bucket(index: Index, bucket: Ints) -> tuple[Ints, Ints]:
    """Kept documents in some of the LSH buckets (ascending, distinct): (i, number), ascending."""
    return _by_key(index, "bands", bucket)


def by_anchor(index: Index, anchor: Ints) -> tuple[Ints, Ints]:
    """Documents that are the first with one of the anchors (ascending, distinct) and some text
    around it: (i, number), ascending.
    """
    return _by_key(index, "anchors", anchor)


def _by_key(index: Index, kind: str, wanted: Ints) -> tuple[Ints, Ints]:
    found = []
    for keys in index.keys:
        known, at = columns_of(index.folder, getattr(keys, kind))
        asked, place = _matches(known, wanted)
        found.append((asked, at[place].astype(np.int64) + keys.first))
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    asked, number = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.lexsort((number, asked))
    return asked[order], number[order]


def _matches(known: Ints, asked: Ints) -> tuple[Ints, Ints]:
    """(i, j) for each asked[i] == known[j]; `known` is sorted."""
    low = np.searchsorted(known, asked, side="left")
    times = np.searchsorted(known, asked, side="right") - low
    which = np.repeat(np.arange(len(asked)), times)
    return which, low[which] + counted(times)


def _by_part(index: Index, number: Ints) -> Iterator[tuple[Part, Ints]]:
    """The numbers (ascending) of each part, as `at`."""
    for part in index.parts:
        low, high = np.searchsorted(number, (part.first, part.end))
        if high > low:
            yield part, number[low:high] - part.first


def documents(index: Index, number: Ints) -> pa.Table:
    """The rows of DOCUMENTS of some documents (ascending), with `number` in the place of `at`."""
    schema = DOCUMENTS.set(0, pa.field("number", pa.int64()))
    rows = []
    for part, at in _by_part(index, number):
        for place, batch in opened(index.folder, part.documents, DOCUMENTS).rows_at(at):
            one = batch.take(pa.array(place))
            numbers = pa.array(one["at"].to_numpy().astype(np.int64) + part.first)
            columns = [numbers, *one.columns[1:]]
            rows.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return pa.Table.from_batches(rows, schema).combine_chunks()


def texts(index: Index, number: Ints) -> Iterator[tuple[Ints, pa.StringArray]]:
    """The texts of some documents (ascending) that have words: (numbers, texts) again and again."""
    for part, at in _by_part(index, number):
        for place, batch in opened(index.folder, part.texts, TEXTS).rows_at(at):
            one = batch.take(pa.array(place))
            yield one["at"].to_numpy().astype(np.int64) + part.first, one["text"]
