"""The exact answer to near-duplicates, to hold ours and everybody else's against.

    python benchmarks/reference.py INPUT.jsonl --work ~/.cache/unrote-bench

Two documents are similar if the Jaccard similarity of their sets of word 5-grams is 0.8 or more.
Documents that must go are those similar to an earlier one that stays: all that is not in the
lexicographically first maximal independent set of the graph of similar pairs.

Nothing is estimated and nothing is borrowed from the product. N-grams are numbered by how many
documents have them, rarest first. Two sets with Jaccard similarity of at least t share one of the
first n - ceil(t n) + 1 of each (Chaudhuri et al. 2006), so an inverted index over these finds every
pair; the pairs that it proposes are then counted out. (Distinct n-grams are told apart by 64-bit
hashes: a mix-up among the 20 million here has a chance of about 1 in 100,000.)
"""

from __future__ import annotations

import argparse
import hashlib
import math
import re
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt
import orjson

THRESHOLD = 0.8
NGRAM = 5
VERSION = 1  # of this file's answer: part of the cached answer's name

WORD = re.compile(r"\w+")
Ints = npt.NDArray[np.int64]


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64's finisher, so that sums of mixed word numbers do not collide by arithmetic."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _ngram_hashes(words: list[int]) -> npt.NDArray[np.uint64]:
    """Hashes of a document's distinct n-grams; a document with fewer words is one n-gram."""
    numbers = np.array(words, dtype=np.uint64)
    length = min(NGRAM, len(numbers))
    state = np.zeros(len(numbers) - length + 1 if length else 0, dtype=np.uint64)
    for index in range(length):
        state = _mix(state + numbers[index : index + len(state)] + np.uint64(0x9E3779B97F4A7C15))
    return np.unique(state)


def read_ngrams(source: Path) -> tuple[list[str], Ints, Ints]:
    """Ids, the n-grams of all documents as ranks (rarest first, ascending), and their offsets."""
    vocabulary: dict[str, int] = {}
    ids, sets = [], []
    with source.open("rb") as file:
        for line in file:
            row = orjson.loads(line)
            ids.append(row["id"])
            words = WORD.findall(row["text"].lower())
            sets.append(_ngram_hashes([vocabulary.setdefault(w, len(vocabulary)) for w in words]))
    offsets = np.zeros(len(sets) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in sets], out=offsets[1:])
    hashes = np.concatenate(sets)
    del sets, vocabulary
    _, number, documents = np.unique(hashes, return_inverse=True, return_counts=True)
    del hashes
    rank_of = np.empty(len(documents), dtype=np.int64)
    rank_of[np.argsort(documents, kind="stable")] = np.arange(len(documents))
    ranks = rank_of[number]
    for start, end in pairwise(offsets):
        ranks[start:end].sort()
    return ids, ranks, offsets


@numba.njit(cache=True)
def _shared(ranks: Ints, a: int, a_end: int, b: int, b_end: int, needed: int) -> int:
    """How many ranks two ascending runs share; -1 as soon as `needed` is out of reach."""
    count = 0
    while a < a_end and b < b_end:
        if count + min(a_end - a, b_end - b) < needed:
            return -1
        if ranks[a] == ranks[b]:
            count += 1
            a += 1
            b += 1
        elif ranks[a] < ranks[b]:
            a += 1
        else:
            b += 1
    return count


@numba.njit(cache=True)
def _twins(ranks: Ints, offsets: Ints, prefixes: Ints, grams: int, threshold: float) -> Ints:
    """For every document the kept document it is similar to, or -1 if it stays.

    Walks documents in order; the index holds the prefixes of those that stay, as linked lists.
    """
    count = len(offsets) - 1
    twins = np.full(count, -1, dtype=np.int64)
    head = np.full(grams, -1, dtype=np.int64)
    following = np.empty(prefixes.sum(), dtype=np.int64)
    owner = np.empty(prefixes.sum(), dtype=np.int64)
    used = 0
    seen = np.full(count, -1, dtype=np.int64)
    for doc in range(count):
        start, end = offsets[doc], offsets[doc + 1]
        size = end - start
        for index in range(start, start + prefixes[doc]):
            entry = head[ranks[index]]
            while entry >= 0 and twins[doc] < 0:
                other = owner[entry]
                entry = following[entry]
                other_start, other_end = offsets[other], offsets[other + 1]
                other_size = other_end - other_start
                if seen[other] == doc or min(size, other_size) < threshold * max(size, other_size):
                    continue
                seen[other] = doc
                # The epsilon keeps 0.8 * 5 from asking for more than 4.
                needed = math.ceil(threshold / (1 + threshold) * (size + other_size) - 1e-9)
                shared = _shared(ranks, start, end, other_start, other_end, needed)
                if shared >= needed:
                    twins[doc] = other
            if twins[doc] >= 0:
                break
        if twins[doc] < 0:
            for index in range(start, start + prefixes[doc]):
                owner[used] = doc
                following[used] = head[ranks[index]]
                head[ranks[index]] = used
                used += 1
    return twins


def exact_removed(source: Path) -> list[str]:
    """Ids of the documents that must go, in order."""
    ids, ranks, offsets = read_ngrams(source)
    sizes = np.diff(offsets)
    prefixes = np.where(sizes, sizes - np.ceil(THRESHOLD * sizes - 1e-9).astype(np.int64) + 1, 0)
    twins = _twins(ranks, offsets, prefixes, int(ranks.max(initial=-1)) + 1, THRESHOLD)
    return [ids[doc] for doc in np.flatnonzero(twins >= 0)]


def cached(source: Path, work: Path) -> Path:
    """The file that holds the answer, one id on a line; computed if it does not exist."""
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    answer = work / "reference" / f"{source.stem}-{digest}-v{VERSION}.txt"
    if not answer.exists():
        answer.parent.mkdir(exist_ok=True)
        partial = answer.with_suffix(".partial")
        partial.write_text("".join(f"{name}\n" for name in exact_removed(source)))
        partial.rename(answer)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "unrote-bench")
    arguments = parser.parse_args()
    print(cached(arguments.input, arguments.work))


if __name__ == "__main__":
    main()
