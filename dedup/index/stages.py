"""Stages that ask an index: what it holds comes to the exchange only where a key is shared."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import (
    BANDS,
    DOCUMENTS,
    DUPLICATES,
    FINGERPRINTS,
    FORGOTTEN,
    INDEX_ANCHORS,
    INDEX_TEXTS,
    INDEX_TWINS,
    INDEXED,
    INDEXED_NEAR,
    SPANS,
    TEXT,
    UNCUT,
    UNDECIDED,
    WITNESSES,
    Tagged,
)
from unrote.corpus.stages import PlainStage, whole_keys
from unrote.dedup.candidates import CANDIDATES
from unrote.dedup.groups import batch_of, column, duplicate_rows, starts
from unrote.dedup.index.layout import Index
from unrote.dedup.index.lookup import (
    by_anchor,
    by_bucket,
    by_fingerprint,
    documents,
    texts,
)
from unrote.dedup.repeats import AMBIGUOUS, AMBIGUOUS_WINDOWS, ANCHORS, Anchors, Windows
from unrote.dedup.selection import UNDECIDED_SETS, UndecidedSets
from unrote.dedup.similarity import SETS, Shingles

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
            for rows, text in _texts(self.index, batch):
                yield from sets.gathered(rows, text)


@dataclass(frozen=True)
class IndexedShingles(PlainStage):
    """The shingle sets of the index's documents that later ones are paired with (dedup.similarity).

    Those of the index are kept, so that they are not compared with each other. Holds the texts of
    documents whose rows came together.
    """

    index: Index
    unit: str = "word"
    ngram: int = 5
    normalization: Normalization = NFC

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("rank",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"candidates": CANDIDATES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sets": SETS}

    def _run(self, tagged: Tagged) -> Tagged:
        shingles = Shingles(self.unit, self.ngram, self.normalization)
        for _, batch in tagged:
            paired = batch.filter(pc.equal(batch["paired"], 1))
            for rows, text in _texts(self.index, paired):
                doc, rank = column(rows, "doc"), column(rows, "rank")
                yield from shingles.sets([doc, np.zeros_like(doc), doc, rank, rank], text)


_HITS = pa.schema([("doc", pa.int64()), ("hash", pa.int64())])


@dataclass(frozen=True)
class IndexedAnchorHits(PlainStage):
    """The documents of the index that were first with one of these anchors. Holds the last hash."""

    index: Index

    key: ClassVar[tuple[str, ...]] = ("hash",)
    order: ClassVar[tuple[str, ...]] = ("doc", "at")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"anchors": ANCHORS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"hits": _HITS}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            hashes = column(batch, "hash")
            new = starts((hashes,), before)
            before = (int(hashes[-1]),)
            hashes = hashes[new]
            asked, number = by_anchor(self.index, hashes)
            if len(asked):
                yield "hits", batch_of(_HITS, (number + INDEXED, hashes[asked]))


@dataclass(frozen=True)
class IndexedAnchors(PlainStage):
    """The anchors of documents of the index that have hits: those with these hashes, made anew of
    the text, and the documents' alignments. Holds the texts of documents whose rows came together.
    """

    index: Index
    min_bytes: int = 100
    normalization: Normalization = NFC

    version: ClassVar[int] = 2

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("hash",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"hits": _HITS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "anchors": ANCHORS.schema,
        "witnesses": WITNESSES.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        stage = Anchors(self.min_bytes, self.normalization)
        for batch in whole_keys((batch for _, batch in tagged), "doc"):
            pairs = _pairs(column(batch, "doc"), column(batch, "hash"))
            for _, text in _texts(self.index, batch):
                for tag, found in stage._run(iter([("text", text)])):
                    if tag != "anchors":
                        yield tag, found
                        continue
                    own = _pairs(column(found, "doc"), column(found, "hash"))
                    yield "anchors", found.filter(pa.array(np.isin(own, pairs)))


@dataclass(frozen=True)
class IndexedWindows(PlainStage):
    """What dedup.repeats.Windows says of ambiguous anchors, for documents of the index."""

    index: Index
    min_bytes: int = 100
    normalization: Normalization = NFC

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("at", "hash")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"ambiguous": AMBIGUOUS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"windows": AMBIGUOUS_WINDOWS}

    def _run(self, tagged: Tagged) -> Tagged:
        stage = Windows(self.min_bytes, self.normalization)
        for batch in whole_keys((batch for _, batch in tagged), "doc"):
            for rows, text in _texts(self.index, batch):
                yield from stage._run(iter([("ambiguous", rows), ("text", text)]))


def _pairs(doc: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Two columns as one that can be compared."""
    rows = np.ascontiguousarray(np.stack([doc, hashes], axis=1))
    return rows.view([("doc", "i8"), ("hash", "i8")]).ravel()


def _texts(index: Index, rows: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The rows of documents of the index, some documents at a time, and their texts (TEXT)."""
    doc = column(rows, "doc")
    indexed = rows.slice(0, int(np.searchsorted(doc, 0)))
    own = column(indexed, "doc")
    for number, found in texts(index, np.unique(own) - INDEXED):
        docs = number + INDEXED
        text = pa.RecordBatch.from_arrays([pa.array(docs), found], schema=TEXT)
        yield indexed.filter(pa.array(np.isin(own, docs))), text


@dataclass(frozen=True)
class NewAnchors(PlainStage):
    """Anchors of this run that are the first with their text: rows of INDEX_ANCHORS. Holds the last
    key.
    """

    key: ClassVar[tuple[str, ...]] = ("hash", "fingerprint")
    order: ClassVar[tuple[str, ...]] = ("doc", "at")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"anchors": ANCHORS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"new": INDEX_ANCHORS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        before: tuple[int, int] | None = None
        for _, batch in tagged:
            if not batch.num_rows:
                continue
            doc, hashes, text = (column(batch, name) for name in ("doc", "hash", "fingerprint"))
            new = starts((hashes, text), before) & (doc >= 0)
            before = (int(hashes[-1]), int(text[-1]))
            if new.any():
                yield "new", batch_of(INDEX_ANCHORS.schema, (doc[new], hashes[new]))


_NAMED = pa.schema([(name, pa.int64()) for name in ("named", "copies", "passages")])


@dataclass(frozen=True)
class IndexReferences(PlainStage):
    """Rows of DUPLICATES, SPANS and UNCUT that name a document of the index, by that."""

    tables: tuple[str, ...] = (DUPLICATES.name, SPANS.name, UNCUT.name)

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"named": _NAMED}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        known = {table.name: table.schema for table in (DUPLICATES, SPANS, UNCUT)}
        return {name: known[name] for name in self.tables}

    def _run(self, tagged: Tagged) -> Tagged:
        for tag, batch in tagged:
            is_copy = tag == DUPLICATES.name
            named = pc.fill_null(batch["twin" if is_copy else "witness"], 0).to_numpy()
            named = named[named < 0]
            if len(named):
                copies = np.full(len(named), int(is_copy))
                yield "named", batch_of(_NAMED, (named, copies, 1 - copies))


@dataclass(frozen=True)
class IndexTwins(PlainStage):
    """The documents of the index that are twins or witnesses: rows of INDEX_TWINS. Holds the rows
    of the open group.

    runs: the number of the first document of each run that added to the index.
    """

    index: Index
    runs: tuple[int, ...] = ()

    key: ClassVar[tuple[str, ...]] = ("named",)
    order: ClassVar[tuple[str, ...]] = ()  # A sum has none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"named": _NAMED}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"twins": INDEX_TWINS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for batch in whole_keys((batch for _, batch in tagged), "named"):
            named = column(batch, "named")
            first = np.flatnonzero(starts((named,), None))
            number = named[first] - INDEXED
            sums = [np.add.reduceat(column(batch, name), first) for name in ("copies", "passages")]
            ids = documents(self.index, number)["id"].combine_chunks()
            run = np.searchsorted(np.array(self.runs, dtype=np.int64), number, side="right")
            columns = [number + INDEXED, ids, run, *sums]
            columns = [pa.array(one) for one in columns]
            yield "twins", pa.RecordBatch.from_arrays(columns, schema=INDEX_TWINS.schema)


@dataclass(frozen=True)
class IndexTexts(PlainStage):
    """The texts of kept documents that an index is to have: those with words, or all."""

    every: bool = False

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
                without = (column(batch, "words") == 0) & (not self.every)
                wordless.append(column(batch, "doc")[without])
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
