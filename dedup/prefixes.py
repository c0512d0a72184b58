"""Hot buckets: many documents that share a line, and that are not similar for it.

The rows of a signature that a common line decides are the same in all documents that hold it, so
that N of them share buckets, and N * (N - 1) / 2 pairs say nothing. Such a bucket is taken apart by
prefix filtering (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007): put the shingles of
each document in one order that all documents have in common, the rarest first. Two documents with
Jaccard similarity t or more share one of the first a - ceil(t * a) + 1 of them, where a is how many
a document has: the others are too few. So a document is in one new bucket for each of these, and no
similar pair of a hot bucket is lost; the line's shingles are frequent, and come last.

    undecided → HotBuckets → the rows of other buckets, HOT_BUCKETS, HOT_DOCUMENTS
    text of HOT_DOCUMENTS → DocumentShingles → FrequentShingles → PrefixBuckets → PREFIXES
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.beside import with_range
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import BANDS, TEXT, Table, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.dedup.groups import Bools, Ints, batch_of, column, parts, positions, starts
from unrote.dedup.shingles import is_characters, shingle_hashes
from unrote.dedup.words import table_for

HOT_DOCUMENTS_OF_BUCKET = 256
"""A bucket with more undecided documents than this, after the first round, is *hot*; a shingle that
more documents of hot buckets hold is frequent."""


def _integers(*names: str) -> pa.Schema:
    return pa.schema([(name, pa.int64()) for name in names])


OVERFULL = Table("overfull", _integers("doc", "bucket"), sort=("doc", "bucket"))
"""Buckets that hold more documents than HOT_DOCUMENTS_OF_BUCKET in the first round, each with its
first document beyond them."""

HOT_BUCKETS = Table("hot_buckets", _integers("doc", "bucket", "documents"), sort=("doc", "bucket"))
"""Each hot bucket with its first document in keep order, and how many documents it holds."""

HOT_DOCUMENTS = Table("hot_documents", _integers("doc", "rank"))
"""The documents of hot buckets."""

OTHER_BANDS = Table("other_bands", BANDS.schema, sort=("doc", "bucket"))
"""Undecided documents in the buckets that are not hot."""

PREFIXES = Table("prefixes", BANDS.schema, sort=("doc", "bucket"))
"""The buckets that take the place of hot ones."""

_HOT_ROWS = _integers("doc", "bucket", "rank")
_SHINGLES = _integers("shingle", "doc", "rank", "size")
_SHARED = _integers("doc", "common", "shingle", "rank", "size")
"""Shingles that several documents hold. `common`: minus how many, at most one more than frequent
ones have; `size`: how many shingles the document has."""

_BATCH_ROWS = 1 << 18
_PREFIX_SEED = np.int64(0x2E9B4D2F6C8A1357)


def _by_size(
    tagged: Tagged, names: list[str], key: str, limit: int
) -> Iterator[tuple[list[Ints], Ints, Bools]]:
    """The rows of groups: (columns, size of the row's group, at most limit + 1, whether a row is
    its group's first). Holds limit + 1 rows of the open group.
    """
    at = names.index(key)
    held = [np.empty(0, dtype=np.int64) for _ in names]
    large: tuple[int] | None = None  # the key of the open group, if it has more than `limit`
    for _, batch in tagged:
        if not batch.num_rows:
            continue
        new = (column(batch, name) for name in names)
        rows = [np.append(h, v) for h, v in zip(held, new, strict=True)]
        begins = starts((rows[at],), large)
        size = _sizes(begins, limit)
        known = len(size)
        if size[-1] <= limit:
            known = int(np.flatnonzero(begins)[-1])
            large = None
        else:
            large = (int(rows[at][-1]),)
        if known:
            yield [values[:known] for values in rows], size[:known], begins[:known]
        held = [values[known:] for values in rows]
    if len(held[at]):
        begins = starts((held[at],), large)
        yield held, _sizes(begins, limit), begins


def _sizes(begins: Bools, limit: int) -> Ints:
    """The size of each row's group, at most limit + 1; rows before the first group are of one that
    is larger than `limit`.
    """
    bounds = np.append(np.flatnonzero(begins), len(begins))
    sizes = np.repeat(np.minimum(np.diff(bounds), limit + 1), np.diff(bounds))
    return np.append(np.full(bounds[0], limit + 1, dtype=np.int64), sizes)


@dataclass(frozen=True)
class HotBuckets(PlainStage):
    """Parts the rows of buckets with more than `limit` documents from the others.

    Holds limit + 1 rows of the open bucket.
    """

    limit: int = HOT_DOCUMENTS_OF_BUCKET

    key: ClassVar[tuple[str, ...]] = ("bucket",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"bands": BANDS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "others": OTHER_BANDS.schema,
        "members": _HOT_ROWS,
        "buckets": HOT_BUCKETS.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        open_bucket = [np.empty(0, dtype=np.int64) for _ in HOT_BUCKETS.schema]
        for rows, size, begins in _by_size(tagged, BANDS.schema.names, "bucket", self.limit):
            hot = size > self.limit
            if not hot.all():
                yield "others", batch_of(BANDS.schema, (values[~hot] for values in rows))
            if not hot.any():
                continue
            doc, bucket, _ = members = [values[hot] for values in rows]
            yield "members", batch_of(_HOT_ROWS, members)
            first = np.flatnonzero(begins[hot])
            ends = np.append(first, len(doc))
            open_bucket[2] = open_bucket[2] + ends[0]
            counts = [doc[first], bucket[first], np.diff(ends)]
            known = [np.append(o, c) for o, c in zip(open_bucket, counts, strict=True)]
            open_bucket = [values[-1:] for values in known]
            if len(known[0]) > 1:
                yield "buckets", batch_of(HOT_BUCKETS.schema, (values[:-1] for values in known))
        if len(open_bucket[0]):
            yield "buckets", batch_of(HOT_BUCKETS.schema, open_bucket)


@dataclass(frozen=True)
class HotDocuments(PlainStage):
    """The documents of hot buckets, each once. Holds the last document's number."""

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("bucket",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"members": _HOT_ROWS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"documents": HOT_DOCUMENTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            doc, rank = column(batch, "doc"), column(batch, "rank")
            new = starts((doc,), before)
            before = (int(doc[-1]),)
            if new.any():
                yield "documents", batch_of(HOT_DOCUMENTS.schema, (doc[new], rank[new]))


@dataclass(frozen=True)
class DocumentShingles(PlainStage):
    """The shingles of documents, a row for each, with how many there are."""

    unit: str = "word"
    ngram: int = 5
    normalization: Normalization = NFC

    version: ClassVar[int] = 4
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "hot_documents": HOT_DOCUMENTS.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"shingles": _SHINGLES}

    def _run(self, tagged: Tagged) -> Tagged:
        for rows, texts in with_range(tagged):
            yield from self._rows(rows, texts)

    def _rows(self, hot: pa.RecordBatch, texts: pa.RecordBatch) -> Tagged:
        docs = column(texts, "doc")
        rank = column(hot, "rank")[np.searchsorted(column(hot, "doc"), docs)]
        data, offsets = arrow_buffers(self.normalization.texts(texts.column("text")))
        characters = is_characters(self.unit, self.ngram)
        hashes, bounds, _ = shingle_hashes(
            data, offsets, table_for(data), characters, self.ngram, True, True
        )
        size = np.diff(bounds)
        for part in parts(size, _BATCH_ROWS):
            shingles = hashes[bounds[part.start] : bounds[part.stop]]
            times = size[part]
            columns = (np.repeat(values[part], times) for values in (docs, rank, size))
            yield "shingles", batch_of(_SHINGLES, (shingles, *columns))


@dataclass(frozen=True)
class FrequentShingles(PlainStage):
    """How many documents hold each shingle, up to `limit` and one more; those of one document only
    are left out. Holds limit + 1 rows of the open shingle.
    """

    limit: int = HOT_DOCUMENTS_OF_BUCKET

    key: ClassVar[tuple[str, ...]] = ("shingle",)
    order: ClassVar[tuple[str, ...]] = ("doc",)
    singles: ClassVar[bool] = False
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"shingles": _SHINGLES}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"shared": _SHARED}

    def _run(self, tagged: Tagged) -> Tagged:
        for rows, count, _ in _by_size(tagged, _SHINGLES.names, "shingle", self.limit):
            shared = count > 1
            if shared.any():
                shingle, doc, rank, size = (values[shared] for values in rows)
                yield "shared", batch_of(_SHARED, (doc, -count[shared], shingle, rank, size))


@dataclass(frozen=True)
class PrefixBuckets(PlainStage):
    """A bucket for each shingle of a document's prefix that another one holds.

    The rows of a document come with the most frequent shingle first; its last ceil(t * a) - 1 in
    the common order are the first ones here. Holds the open document's number.
    """

    threshold: float = 0.8

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("common", "shingle")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"shared": _SHARED}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"prefixes": PREFIXES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int] | None = None
        position = 0  # of the next row, if it is of the open document
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            doc, _, shingle, rank, size = (column(batch, name) for name in _SHARED.names)
            place = positions(starts((doc,), before), position)
            before, position = (int(doc[-1]),), int(place[-1]) + 1
            # Rounding must not lengthen what is left out.
            left_out = np.ceil(self.threshold * size - 1e-6).astype(np.int64) - 1
            some = place >= left_out
            if some.any():
                columns = (doc[some], shingle[some] ^ _PREFIX_SEED, rank[some])
                yield "prefixes", batch_of(PREFIXES.schema, columns)
