"""What a run adds to an index: files of its documents, and a head that speaks of them."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.schema import (
    BANDS,
    DOCUMENTS,
    EXACT,
    FINGERPRINTS,
    FORGOTTEN,
    INDEX_ANCHORS,
    INDEX_TEXTS,
    INDEXED,
    NEAR,
    Table,
)
from unrote.corpus.tables import read_table
from unrote.dedup.index import layout
from unrote.dedup.index.files import columns_of, write_documents, write_keys, write_texts
from unrote.dedup.index.layout import File, Index, Keys, Part
from unrote.pipelines.engines.base import Workspace
from unrote.pipelines.fingerprint import input_digest
from unrote.pipelines.index.head import Added, Head, write_head
from unrote.pipelines.index.opening import OpenIndex
from unrote.pipelines.storage import Location, make_folder, move

Ints = NDArray[np.int64]

FEW = 8
"""So many of the newest Keys, none much larger than what a run adds, are merged into one."""

LARGER = 8

PART_BYTES = 256 << 20
"""Bytes of the texts of a Part, at most, but for one longer text."""


class Files:
    """Writes files of an index, under the digest of their content."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder / "files"

    def write(self, writer: Callable[[str, pa.Table], File], rows: pa.Table) -> File:
        """Write one; where the same is there already it is replaced by itself."""
        local = self._folder if isinstance(self._folder, Path) else Path(tempfile.gettempdir())
        make_folder(local)
        temporary = local / f".{uuid.uuid4().hex}.part"
        try:
            file = writer(str(temporary), rows)
            target = self._folder / f"{file.name}.arrow"
            if isinstance(target, Path):
                os.replace(temporary, target)
            else:
                move(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return file

    def keys(self, first: int, end: int, *tables: pa.Table) -> Keys:
        """Keys, of sorted rows: FINGERPRINTS, BANDS, ANCHORS."""
        return Keys(first, end, *(self.write(write_keys, rows) for rows in tables))

    def part(self, first: int, end: int, documents: pa.Table, texts: pa.Table) -> Part:
        """A Part."""
        ids = self.write(write_documents, documents)
        return Part(first, end, ids, self.write(write_texts, texts))


class IndexedRun(Workspace, Protocol):
    """What of a run goes into the head of an index."""

    started: str
    out: Location
    base: Head | None


def add_to_index(opened: OpenIndex, run: IndexedRun) -> int:
    """Add what a run keeps to the index, unless it was added before; the number of its head.

    Raises RunError where another process may have the index by now.
    """
    assert run.base is not None
    if opened.head.of(run.fingerprint) is not None:
        return opened.head.number
    base = run.base
    index, end = add_run(run, base.index, base.next, Files(opened.folder))
    added = Added(
        run.fingerprint, input_digest(run.corpus), str(run.out), run.started, base.next, end
    )
    head = base.followed_by(index=index, next=end, runs=(*base.runs, added))
    opened.held.require()
    write_head(opened.folder, head)
    return head.number


def add_run(run: Workspace, index: Index, first: int, files: Files) -> tuple[Index, int]:
    """Write what a run adds; the index with it, and the number after its last document.

    first: the number of the first one.
    """
    gone = np.union1d(_column(run, EXACT, "doc"), _column(run, FORGOTTEN, "doc"))
    fingerprints = _rows(run, FINGERPRINTS, without=gone)
    doc = fingerprints["doc"].to_numpy()
    end = first + len(doc)
    if not len(doc):
        return index, first
    if len(doc) >= layout.MOST:
        raise ValueError(f"{len(doc):,} documents in one run; an index takes 2 ** 31 at a time")
    near = _rows(run, NEAR)
    near_at = np.searchsorted(doc, near["doc"].to_numpy())
    bands = _rows(run, BANDS, without=np.union1d(gone, near["doc"].to_numpy()))
    keys = (
        _fingerprints(fingerprints, near_at),
        _by_key(layout.BANDS, bands["bucket"].to_numpy(), bands["doc"].to_numpy(), doc),
        _anchors(run, doc),
    )
    known = files.keys(first, end, *keys)
    merged = _merged(replace(index, keys=(*index.keys, known)), files)
    added = _parts(run, files, first, doc, near, near_at, gone)
    return replace(merged, parts=(*index.parts, *added)), end


def _fingerprints(fingerprints: pa.Table, near_at: Ints) -> pa.Table:
    """FINGERPRINTS of a run's documents, sorted."""
    at = np.arange(fingerprints.num_rows, dtype=np.int32)
    at[near_at] = ~at[near_at]
    high, low = (fingerprints[name].to_numpy() for name in ("high", "low"))
    order = np.lexsort((low, high))
    return _table(layout.FINGERPRINTS, high[order], low[order], at[order])


def _by_key(schema: pa.Schema, key: Ints, of: Ints, doc: Ints) -> pa.Table:
    """BANDS or ANCHORS, sorted: keys with the documents that they are of; `doc`: the run's."""
    at = np.searchsorted(doc, of).astype(np.int32)
    by = np.lexsort((at, key))
    return _table(schema, key[by], at[by])


def _anchors(run: Workspace, doc: Ints) -> pa.Table:
    """ANCHORS, each of a document once."""
    rows = _rows(run, INDEX_ANCHORS)
    of, hashes = rows["doc"].to_numpy(), rows["hash"].to_numpy()  # sorted by these
    new = np.ones(len(of), dtype=np.bool_)
    new[1:] = (of[1:] != of[:-1]) | (hashes[1:] != hashes[:-1])
    return _by_key(layout.ANCHORS, hashes[new], of[new], doc)


def _parts(
    run: Workspace, files: Files, first: int, doc: Ints, near: pa.Table, near_at: Ints, gone: Ints
) -> list[Part]:
    """Ids and texts, in parts of PART_BYTES."""
    twin = np.full(len(doc), -1, dtype=np.int64)
    similarity = np.zeros(len(doc))
    of = near["twin"].to_numpy()
    twin[near_at] = np.where(of < 0, of - INDEXED, first + np.searchsorted(doc, of))
    similarity[near_at] = near["similarity"].to_numpy()
    ids = _rows(run, DOCUMENTS, without=gone)["id"].combine_chunks()
    found = []
    start = 0
    for last, texts in _texts(run, doc):
        stop = len(doc) if last < 0 else last
        at = np.arange(stop - start, dtype=np.int32)
        here = slice(start, stop)
        rows = [pa.array(at), ids[here], pa.array(twin[here]), pa.array(similarity[here])]
        documents = pa.Table.from_arrays(rows, schema=layout.DOCUMENTS)
        text_at = texts["at"].to_numpy() - start
        texts = texts.set_column(0, layout.TEXTS.field("at"), pa.array(text_at.astype(np.int32)))
        found.append(files.part(first + start, first + stop, documents, texts))
        start = stop
    return found


def _texts(run: Workspace, doc: Ints) -> Iterator[tuple[int, pa.Table]]:
    """The texts, `at` a document's index in `doc`, PART_BYTES at a time; and the index of the
    document after them, -1 for the last ones.
    """
    held: list[pa.Table] = []
    size = 0
    for batch in _batches(run, INDEX_TEXTS):
        at = pa.array(np.searchsorted(doc, batch["doc"].to_numpy()).astype(np.int32))
        rows = pa.Table.from_arrays([at, batch["text"]], schema=layout.TEXTS)
        if held and size + rows.nbytes > PART_BYTES:
            yield int(at[0].as_py()), pa.concat_tables(held)
            held, size = [], 0
        held.append(rows)
        size += rows.nbytes
    yield -1, pa.concat_tables(held) if held else layout.TEXTS.empty_table()


def _merged(index: Index, files: Files) -> Index:
    """The index with its newest Keys merged, if there are many that are not large."""
    most = LARGER * max(1, index.keys[-1].fingerprints.rows)
    small = 0
    for keys in reversed(index.keys):
        if keys.fingerprints.rows > most:
            break
        small += 1
    if small < FEW:
        return index
    return replace(
        index, keys=(*index.keys[:-small], merged_keys(index, index.keys[-small:], files))
    )


def merged_keys(index: Index, keys: Sequence[Keys], files: Files, gone: Ints | None = None) -> Keys:
    """Several Keys as one, without the documents `gone` (ascending)."""
    first, end = keys[0].first, keys[-1].end
    if end - first >= layout.MOST:
        raise ValueError(f"documents {first:,} to {end:,} in one file; it takes 2 ** 31")
    fingerprints = []
    for one in keys:
        shift = one.first - first
        high, low, signed = columns_of(index.folder, one.fingerprints)
        moved = np.where(signed < 0, signed - shift, signed + shift)
        fingerprints.append((high, low, moved.astype(np.int32)))
    high, low, signed = (np.concatenate(column) for column in zip(*fingerprints, strict=True))
    if gone is not None:
        kept = ~np.isin(np.where(signed < 0, ~signed, signed) + first, gone)
        high, low, signed = high[kept], low[kept], signed[kept]
    order = np.argsort(high, kind="stable")  # which merges what is sorted in parts
    return files.keys(
        first,
        end,
        _table(layout.FINGERPRINTS, high[order], low[order], signed[order]),
        _merged_by_key(index, keys, "bands", gone),
        _merged_by_key(index, keys, "anchors", gone),
    )


def _merged_by_key(index: Index, keys: Sequence[Keys], kind: str, gone: Ints | None) -> pa.Table:
    """BANDS or ANCHORS of several Keys as one; documents with one key stay in order."""
    first, found = keys[0].first, []
    for one in keys:
        key, at = columns_of(index.folder, getattr(one, kind))
        found.append((key, (at + (one.first - first)).astype(np.int32)))
    key, at = (np.concatenate(column) for column in zip(*found, strict=True))
    if gone is not None:
        kept = ~np.isin(at.astype(np.int64) + first, gone)
        key, at = key[kept], at[kept]
    by = np.argsort(key, kind="stable")
    return _table(layout.BANDS if kind == "bands" else layout.ANCHORS, key[by], at[by])


def _table(schema: pa.Schema, *columns: np.ndarray) -> pa.Table:
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _batches(run: Workspace, table: Table) -> Iterator[pa.RecordBatch]:
    for file in run.files(table):
        yield from read_table(str(run.table_path(table, file.slice)))


def _rows(run: Workspace, table: Table, without: Ints | None = None) -> pa.Table:
    """The rows of a table, those of documents of the index and `without` left out."""
    rows = pa.Table.from_batches(_batches(run, table), table.schema)
    doc = rows["doc"].to_numpy()
    some = doc >= 0
    if without is not None:
        some &= ~np.isin(doc, without)
    return rows if some.all() else rows.filter(pa.array(some))


def _column(run: Workspace, table: Table, name: str) -> Ints:
    columns = [batch[name].to_numpy() for batch in _batches(run, table)]
    return np.concatenate([*columns, np.empty(0, dtype=np.int64)])
