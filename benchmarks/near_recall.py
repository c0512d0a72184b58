"""Recall of near-duplicates against brute force: every pair of documents, exact Jaccard similarity.

    python -m benchmarks.near_recall --data license-texts.jsonl.zst [--threshold 0.8] [--json OUT]

Prints how many of the pairs at or above the threshold are among the candidates, that none of the
pairs found is below it, and how few pairs the rounds verify. Exit status 1 if recall is below
--require.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np
import orjson
import pyarrow as pa
import zstandard
from numpy.typing import NDArray

from unrote.corpus.normalization import Normalization
from unrote.corpus.text import arrow_buffers
from unrote.dedup import near
from unrote.dedup.groups import Bools
from unrote.dedup.minhash import bands_for, sign_texts
from unrote.dedup.shingles import Unit, is_characters, shingle_hashes
from unrote.dedup.similarity import similarities
from unrote.dedup.words import table_for

Ints = NDArray[np.int64]


def load(path: Path) -> list[str]:
    """The texts of a .jsonl or .jsonl.zst file."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    return [orjson.loads(line)["text"] for line in data.splitlines() if line.strip()]


@numba.njit(cache=True)
def pairs_at_or_above(
    owners: Ints, groups: Ints, shingles: Ints, bounds: Ints, threshold: float
) -> list[tuple[int, int, float]]:
    """All pairs of sets by counting: for each set, how often each earlier one shares a shingle.

    Shingle s (numbered from 0) is in the sets owners[groups[s]:groups[s + 1]], ascending; set d is
    shingles[bounds[d]:bounds[d + 1]].
    """
    found = [(0, 0, 0.0)][:0]
    shared = np.zeros(bounds.size - 1, dtype=np.int64)
    for d in range(bounds.size - 1):
        shared[:d] = 0
        size = bounds[d + 1] - bounds[d]
        for i in range(bounds[d], bounds[d + 1]):
            for index in range(groups[shingles[i]], groups[shingles[i] + 1]):
                if owners[index] >= d:
                    break
                shared[owners[index]] += 1
        for e in range(d):
            if shared[e]:
                similarity = shared[e] / (size + bounds[e + 1] - bounds[e] - shared[e])
                if similarity >= threshold:
                    found.append((e, d, similarity))
    return found


def brute_force(texts: list[str], threshold: float, unit: str, ngram: int) -> dict:
    """{(left, right): similarity} of all pairs at or above the threshold."""
    data, offsets = arrow_buffers(pa.array(texts, pa.string()))
    characters = is_characters(unit, ngram)
    hashes, bounds, _ = shingle_hashes(
        data, offsets, table_for(data), characters, ngram, True, True
    )
    distinct, numbers = np.unique(hashes, return_inverse=True)
    owners = np.repeat(np.arange(len(texts)), np.diff(bounds))
    order = np.argsort(numbers, kind="stable")
    groups = np.searchsorted(numbers[order], np.arange(len(distinct) + 1))
    found = pairs_at_or_above(owners[order], groups, numbers, bounds, threshold)
    return {(left, right): similarity for left, right, similarity in found}


def similar_pairs(
    texts: list[str],
    *,
    threshold: float = 0.8,
    unit: Unit = "word",
    ngram: int = 5,
    permutations: int = 128,
    max_miss: float = 0.05,
) -> tuple[list[tuple[int, int, float]], int]:
    """All candidate pairs of texts, verified: for measuring recall, not for large corpora.

    Returns the pairs (left, right, similarity) at or above the threshold, left < right, ascending;
    and how many candidates were verified. Raises ValueError as `near_duplicates` does.
    """
    array = pa.array(texts, pa.string())
    bands, rows = bands_for(permutations, threshold, max_miss)
    _, buckets, words = sign_texts(array, permutations, ngram, unit, bands, rows)
    doc = np.repeat(np.flatnonzero(words), bands)
    left, right = _candidates(buckets[words > 0].ravel(), doc)
    data, offsets = arrow_buffers(array)
    characters = is_characters(unit, ngram)
    hashes, bounds, _ = shingle_hashes(
        data, offsets, table_for(data), characters, ngram, True, True
    )
    found = similarities(hashes, bounds, left, right)
    enough = found >= threshold
    pairs = zip(left[enough].tolist(), right[enough].tolist(), found[enough].tolist(), strict=True)
    return list(pairs), len(left)


def _candidates(bucket: Ints, doc: Ints) -> tuple[Ints, Ints]:
    """The distinct pairs of documents that share a bucket, ascending: (left, right)."""
    order = np.lexsort((doc, bucket))
    bucket, doc = bucket[order], doc[order]
    none = np.empty(0, dtype=np.int64)
    found: list[Ints] = [none]
    alive: Bools = np.ones(len(doc), dtype=np.bool_)
    base: int = int(doc.max(initial=0)) + 1
    for step in range(1, len(doc)):
        alive = alive[:-1] & (bucket[step:] == bucket[:-step])
        if not alive.any():
            break
        index: NDArray[np.int64] = np.flatnonzero(alive)
        found.append(doc[index] * base + doc[index + step])
    code = np.unique(np.concatenate(found))
    return code // base, code % base


def rounds(texts: list[str], **settings: Any) -> tuple[list[tuple[int, int, float]], list[int]]:
    """The near-duplicates, and how many pairs each round verified."""
    removed, verified = [], []
    settings |= {"permutations": 128, "max_miss": 0.05, "normalization": Normalization("none")}
    for one in near.verified_rounds(texts, **settings):
        verified.append(one.pairs.num_rows)
        columns = (one.near[name].to_pylist() for name in ("doc", "twin", "similarity"))
        removed += zip(*columns, strict=True)
    return sorted(removed), verified


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help=".jsonl or .jsonl.zst with `text`")
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--unit", choices=("word", "character"), default="word")
    parser.add_argument("--ngram", type=int, default=5)
    parser.add_argument("--require", type=float, default=0.97, help="lowest recall that passes")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    texts = load(arguments.data)
    shape = {"unit": arguments.unit, "ngram": arguments.ngram}
    settings = {"threshold": arguments.threshold, **shape}

    began = time.perf_counter()
    truth = brute_force(texts, arguments.threshold, **shape)
    forced = time.perf_counter() - began
    pairs, candidates = similar_pairs(texts, **settings)
    began = time.perf_counter()
    removed, verified = rounds(texts, **settings)
    seconds = time.perf_counter() - began

    right = sum(truth.get((a, b)) == similarity for a, b, similarity in pairs)
    gone = {doc for doc, _, _ in removed}
    figures = {
        "documents": len(texts),
        "threshold": arguments.threshold,
        "pairs at or above the threshold": len(truth),
        "recall": right / max(len(truth), 1),
        "precision": right / max(len(pairs), 1),
        "candidate pairs": candidates,
        "rounds": len(verified),
        "pairs verified by the rounds": sum(verified),
        "documents removed": len(removed),
        "removed beside a twin that stays": sum(
            twin not in gone and truth.get((min(doc, twin), max(doc, twin))) == similarity
            for doc, twin, similarity in removed
        ),
        "pairs left among what stays": sum(not {a, b} & gone for a, b in truth),
        "seconds, brute force": round(forced, 2),
        "seconds, rounds": round(seconds, 2),
    }
    for name, value in figures.items():
        print(f"{name:36} {value:,.4f}" if isinstance(value, float) else f"{name:36} {value:,}")
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    if figures["recall"] < arguments.require:
        sys.exit(f"recall is below {arguments.require}")


if __name__ == "__main__":
    main()
