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

    def keys(self, first: int, end: int, fingerprints: pa.Table, bands: pa.Table) -> Keys:
        """Keys, of sorted rows."""
        return Keys(first, end, self.write(write_keys, fingerprints), self.write(write_keys, bands))

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
    keys = _keys(fingerprints, near_at, _rows(run, BANDS, without=_union(gone, near)), doc)
    known = files.keys(first, end, *keys)
    merged = _merged(replace(index, keys=(*index.keys, known)), files)
    added = _parts(run, files, first, doc, near, near_at, gone)
    return replace(merged, parts=(*index.parts, *added)), end


def _union(gone: Ints, near: pa.Table) -> Ints:
    return np.union1d(gone, near["doc"].to_numpy())


def _keys(
    fingerprints: pa.Table, near_at: Ints, bands: pa.Table, doc: Ints
) -> tuple[pa.Table, pa.Table]:
    """FINGERPRINTS and BANDS of a run's documents `doc`, sorted."""
    at = np.arange(len(doc), dtype=np.int32)
    at[near_at] = ~at[near_at]
    high, low = (fingerprints[name].to_numpy() for name in ("high", "low"))
    order = np.lexsort((low, high))
    rows = (high[order], low[order], at[order])
    band_at = np.searchsorted(doc, bands["doc"].to_numpy()).astype(np.int32)
    bucket = bands["bucket"].to_numpy()
    by = np.lexsort((band_at, bucket))
    return (
        _table(layout.FINGERPRINTS, *rows),
        _table(layout.BANDS, bucket[by], band_at[by]),
    )


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
    fingerprints, bands = [], []
    for one in keys:
        shift = one.first - first
        high, low, signed = columns_of(index.folder, one.fingerprints)
        moved = np.where(signed < 0, signed - shift, signed + shift)
        fingerprints.append((high, low, moved.astype(np.int32)))
        bucket, at = columns_of(index.folder, one.bands)
        bands.append((bucket, (at + shift).astype(np.int32)))
    high, low, signed = (np.concatenate(column) for column in zip(*fingerprints, strict=True))
    bucket, at = (np.concatenate(column) for column in zip(*bands, strict=True))
    if gone is not None:
        kept = ~np.isin(np.where(signed < 0, ~signed, signed) + first, gone)
        high, low, signed = high[kept], low[kept], signed[kept]
        kept = ~np.isin(at.astype(np.int64) + first, gone)
        bucket, at = bucket[kept], at[kept]
    # What is sorted in parts is sorted by merging, and documents of one bucket stay in order.
    order = np.argsort(high, kind="stable")
    by = np.argsort(bucket, kind="stable")
    return files.keys(
        first,
        end,
        _table(layout.FINGERPRINTS, high[order], low[order], signed[order]),
        _table(layout.BANDS, bucket[by], at[by]),
    )


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
