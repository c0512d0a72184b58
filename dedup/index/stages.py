"""Stages that ask an index: what it holds comes to the exchange only where a key is shared."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import (
    BANDS,
    DOCUMENTS,
    DUPLICATES,
    FINGERPRINTS,
    FORGOTTEN,
    INDEX_TEXTS,
    INDEX_TWINS,
    INDEXED,
    INDEXED_NEAR,
    TEXT,
    UNDECIDED,
    Tagged,
)
from unrote.corpus.stages import PlainStage, whole_keys
from unrote.dedup.groups import batch_of, column, duplicate_rows, starts
from unrote.dedup.index.layout import Index
from unrote.dedup.index.lookup import by_bucket, by_fingerprint, documents, texts
from unrote.dedup.selection import UNDECIDED_SETS, UndecidedSets

FIRST = np.iinfo(np.int64).min
"""The rank of documents of an index: what was released comes first in every keep order."""


@dataclass(frozen=True)
class IndexedFingerprints(PlainStage):
    """The documents of the index that have a fingerprint of these rows: rows of FINGERPRINTS, and
    of INDEXED_NEAR for those that were near-duplicates. Holds the last key.
    """

    index: Index

    key: ClassVar[tuple[str, ...]] = ("high", "low")
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"fingerprints": FINGERPRINTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "indexed": FINGERPRINTS.schema,
        "near": INDEXED_NEAR.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int, int] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            high, low = column(batch, "high"), column(batch, "low")
            new = starts((high, low), before)
            before = (int(high[-1]), int(low[-1]))
            high, low = high[new], low[new]
            asked, number, near = by_fingerprint(self.index, high, low)
            if not len(asked):
                continue
            rank = np.full(len(asked), FIRST)
            rows = (number + INDEXED, high[asked], low[asked], rank)
            yield "indexed", batch_of(FINGERPRINTS.schema, rows)
            if near.any():
                known = documents(self.index, np.sort(number[near]))
                twin = known["twin"].to_numpy() + INDEXED
                similarity = known["similarity"].to_numpy()
                doc = known["number"].to_numpy() + INDEXED
                yield "near", duplicate_rows(doc, "near", twin, similarity)


@dataclass(frozen=True)
class IndexedBands(PlainStage):
    """The kept documents of the index that share a bucket with these rows, as rows of BANDS. Holds
    the last bucket.
    """

    index: Index

    key: ClassVar[tuple[str, ...]] = ("bucket",)
    order: ClassVar[tuple[str, ...]] = ("rank", "doc")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"bands": BANDS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"indexed": BANDS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            bucket = column(batch, "bucket")
            new = starts((bucket,), before)
            before = (int(bucket[-1]),)
            bucket = bucket[new]
            asked, number = by_bucket(self.index, bucket)
            if len(asked):
                rows = (number + INDEXED, bucket[asked], np.full(len(asked), FIRST))
                yield "indexed", batch_of(BANDS.schema, rows)


@dataclass(frozen=True)
class IndexedSets(PlainStage):
    """The buckets and shingles of the index's documents among the undecided ones: one row for each.

    Holds the rows of a document, and the texts of those whose rows came together.
    """

    index: Index
    unit: str = "word"
    ngram: int = 5
    normalization: Normalization = NFC

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("bucket",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"undecided": UNDECIDED.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": UNDECIDED_SETS}

    def _run(self, tagged: Tagged) -> Tagged:
        sets = UndecidedSets(self.unit, self.ngram, self.normalization)
        for batch in whole_keys((batch for _, batch in tagged), "doc"):
            doc = column(batch, "doc")
            indexed = batch.slice(0, int(np.searchsorted(doc, 0)))
            number = np.unique(column(indexed, "doc")) - INDEXED
            for numbers, found in texts(self.index, number):
                rows = pa.RecordBatch.from_arrays([pa.array(numbers + INDEXED), found], schema=TEXT)
                yield from sets.gathered(indexed, rows)


@dataclass(frozen=True)
class IndexTwins(PlainStage):
    """The documents of the index that are twins: rows of INDEX_TWINS. Holds the open group's size.

    runs: the number of the first document of each run that added to the index.
    """

    index: Index
    runs: tuple[int, ...] = ()

    key: ClassVar[tuple[str, ...]] = ("twin",)
    order: ClassVar[tuple[str, ...]] = ("doc",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"duplicates": DUPLICATES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"twins": INDEX_TWINS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch in whole_keys((batch for _, batch in tagged), "twin"):
            twin, copies = np.unique(column(batch, "twin"), return_counts=True)
            number = twin[twin < 0] - INDEXED
            if not len(number):
                continue
            ids = documents(self.index, number)["id"].combine_chunks()
            run = np.searchsorted(np.array(self.runs, dtype=np.int64), number, side="right")
            columns = [number + INDEXED, ids, run, copies[: len(number)]]
            columns = [pa.array(one) for one in columns]
            yield "twins", pa.RecordBatch.from_arrays(columns, schema=INDEX_TWINS.schema)


@dataclass(frozen=True)
class IndexTexts(PlainStage):
    """The texts of kept documents that an index is to have: those with words."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        DOCUMENTS.name: DOCUMENTS.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"texts": INDEX_TEXTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        wordless: list[np.ndarray] = []
        read = False
        for tag, batch in tagged:
            if tag == DOCUMENTS.name:
                if read:
                    wordless, read = [], False
                wordless.append(column(batch, "doc")[column(batch, "words") == 0])
                continue
            read = True
            without = np.concatenate([*wordless, np.empty(0, np.int64)])
            some = ~np.isin(column(batch, "doc"), without)
            yield "texts", batch if some.all() else batch.filter(pa.array(some))


@dataclass(frozen=True)
class Forgotten(PlainStage):
    """Documents whose keyed fingerprint is on the index's list: rows of FORGOTTEN."""

    key_hex: str
    listed: tuple[str, ...]

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        FINGERPRINTS.name: FINGERPRINTS.schema,
        DOCUMENTS.name: DOCUMENTS.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"forgotten": FORGOTTEN.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        key, listed = bytes.fromhex(self.key_hex), frozenset(self.listed)
        found: list[int] = []
        for tag, batch in tagged:
            if tag == FINGERPRINTS.name:
                columns = (column(batch, name).tolist() for name in ("doc", "high", "low"))
                for doc, high, low in zip(*columns, strict=True):
                    if keyed(key, high, low) in listed:
                        found.append(doc)
            elif (here := np.isin(column(batch, "doc"), found)).any():
                rows = batch.filter(pa.array(here))
                reason = pa.array([BLOCKED] * rows.num_rows, pa.string())
                arrays = [rows["doc"], rows["shard"], rows["row"], reason]
                yield "forgotten", pa.RecordBatch.from_arrays(arrays, schema=FORGOTTEN.schema)


BLOCKED = "the index was told to forget this text and not to take it again"
"""Why a document is rejected whose fingerprint is on the list."""


def keyed(key: bytes, high: int, low: int) -> str:
    """HMAC-SHA256 of a fingerprint, 128 bits in hex."""
    content = high.to_bytes(8, "little", signed=True) + low.to_bytes(8, "little", signed=True)
    return hmac.new(key, content, hashlib.sha256).hexdigest()[:32]
