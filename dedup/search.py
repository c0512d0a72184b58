"""Copied windows of texts in memory: both methods, over threads."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import numpy as np

from unrote.corpus.schema import COPIES
from unrote.dedup import linking
from unrote.dedup.passages import COLUMNS, DOC, START, block_chars, locate, merge_windows

Method = Literal["anchors", "suffix-array"]

MIN_BYTES = (16, 16384)

_CHUNK = 4 << 20


def duplicate_windows(
    data: np.ndarray,
    offsets: np.ndarray,
    min_bytes: int,
    method: Method = "anchors",
    workers: int | None = None,
    memory: int | None = None,
) -> dict[str, np.ndarray]:
    """Windows of documents that occur earlier: the columns of `corpus.schema.COPIES`, int64.

    data: uint8, UTF-8; document i is data[offsets[i]:offsets[i + 1]], offsets int64.
    Other arguments, and errors, as for `duplicate_spans`.
    """
    found = find(data, offsets, min_bytes, method, workers, memory, lambda rows: rows)
    rows = np.concatenate([np.empty((0, COLUMNS), dtype=np.int64), *found])
    rows[:, START] -= offsets[rows[:, DOC]]
    return {name: rows[:, i] for i, name in enumerate(COPIES.schema.names)}


def find(
    data: np.ndarray,
    offsets: np.ndarray,
    min_bytes: int,
    method: str,
    workers: int | None,
    memory: int | None,
    finish: Callable[[np.ndarray], np.ndarray],
) -> list[np.ndarray]:
    """What `finish` makes of the located COPIES rows of each chunk of documents."""
    least, most = MIN_BYTES
    if not least <= min_bytes <= most:
        raise ValueError(f"min_bytes is {min_bytes}; it must be from {least} to {most}")
    if method not in ("anchors", "suffix-array"):
        raise ValueError(f"method is {method!r}; it must be 'anchors' or 'suffix-array'")
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    if len(offsets) < 2 or offsets[-1] - offsets[0] < min_bytes:
        return []
    chunks = document_chunks(offsets)
    with _threads(workers) as each:
        index = char_index(data, each)
        nothing = np.zeros(len(offsets) - 1, dtype=np.int64)

        def chunk(rows: np.ndarray) -> np.ndarray:
            rows = merge_windows(data, offsets, rows, nothing, nothing, min_bytes)
            return finish(locate(data, offsets, rows, index, min_bytes))

        if method == "anchors":
            return _by_anchors(data, offsets, min_bytes, memory, chunks, each, chunk)
        from unrote.dedup.suffix_array import copied_windows  # noqa: PLC0415 - slow to import, rarely used

        rows = copied_windows(data, offsets, min_bytes)
        bounds = np.searchsorted(rows[:, DOC], chunks)
        return list(each(lambda i: chunk(rows[bounds[i] : bounds[i + 1]]), range(len(chunks) - 1)))


Each = Callable[[Callable[[int], np.ndarray], Iterable[int]], Iterator[np.ndarray]]


@contextmanager
def _threads(workers: int | None) -> Iterator[Each]:
    """Map over a pool of threads; kernels release the interpreter lock."""
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        workers = workers or os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    if workers == 1:
        yield map
        return
    with ThreadPoolExecutor(workers) as pool:
        yield pool.map


def document_chunks(offsets: np.ndarray) -> np.ndarray:
    """Bounds of ranges of documents of about 4 MiB each: int64, first 0, last len(offsets) - 1."""
    steps = np.arange(offsets[0], offsets[-1], _CHUNK)[1:]
    inner = np.searchsorted(offsets, steps)
    return np.unique(np.concatenate(([0], inner, [len(offsets) - 1])))


def char_index(data: np.ndarray, each: Each) -> np.ndarray:
    """Code points before each 1024 bytes of the buffer."""
    counts = each(
        lambda at: block_chars(data, at, min(len(data), at + _CHUNK)), range(0, len(data), _CHUNK)
    )
    blocks = [c if at + _CHUNK >= len(data) else c[:-1] for at, c in _numbered(counts)]
    return np.cumsum(np.concatenate([[0], *blocks]))


def _numbered(counts: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    for i, part in enumerate(counts):
        yield i * _CHUNK, part


def _by_anchors(
    data: np.ndarray,
    offsets: np.ndarray,
    min_bytes: int,
    memory: int | None,
    chunks: np.ndarray,
    each: Each,
    chunk: Callable[[np.ndarray], np.ndarray],
) -> list[np.ndarray]:
    """`chunk` of the copies that anchors find, for each range of documents in `chunks`."""
    ranges = linking.hash_ranges(int(offsets[-1] - offsets[0]), min_bytes, memory)
    if len(ranges) == 1:
        links = linking.link(data, offsets, min_bytes, *ranges[0], each)
        return list(
            each(lambda i: chunk(links.copies(chunks[i], chunks[i + 1])), range(len(chunks) - 1))
        )
    parts: list[list[np.ndarray]] = [[] for _ in chunks[1:]]
    for low, high in ranges:
        links = linking.link(data, offsets, min_bytes, low, high, each)
        for i, rows in enumerate(parts):
            rows.append(links.copies(chunks[i], chunks[i + 1]))

    def merged(i: int) -> np.ndarray:
        rows = np.concatenate(parts[i])
        return chunk(rows[np.argsort(rows[:, START], kind="stable")])

    return list(each(merged, range(len(chunks) - 1)))
