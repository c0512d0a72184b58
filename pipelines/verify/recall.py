"""How many near-duplicates are left among the released documents, by datasketch's MinHashLSH.

A sample of the released documents is drawn by the hash of their keys. Each goes through an index of
those before it; what the index names is compared by the Jaccard similarity of the verifier's own
shingles. A pair is seen where both of its documents are in the sample, so each that is seen stands
for 1 / share² of them.

Two texts of a document count: the one that the run compared, the input's, of which it makes its
promise; and the one that it released. Pairs of the latter may be new, where what told two documents
apart was cut or replaced.

Memory: the index has some 7 kB for each text of the sample. Shingles are in a scratch file, 8
bytes each. Where very many pairs have to be compared the sample is made smaller, by halves.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import xxhash
from numpy.typing import NDArray

from unrote.pipelines.verify.intervals import share_interval, total_interval
from unrote.pipelines.verify.records import Rules
from unrote.pipelines.verify.state import Run, write_scratch
from unrote.pipelines.verify.twins import shingles_of
from unrote.pipelines.verify.verdict import SHOWN, Recall, Remaining

DOCUMENTS = 100_000
"""Released documents in the sample, about."""

COMPARISONS = 500_000
"""After so many the sample is halved."""

MISSED = 0.01
"""Highest chance that the index does not name a pair that is just at the threshold."""

COMPARED, RELEASED = 1, 2
"""The forms of a text, as bits: most texts are released as they were compared."""

PERMUTATIONS = 128
_AT_ONCE = 1 << 14  # shingles that datasketch permutes at a time: 8 MiB
_CACHED = 1024  # documents whose shingles stay in memory
_ALL = 1 << 64

Shingles = NDArray[np.uint64]


def bands(threshold: float) -> tuple[int, int]:
    """Bands of an index, and rows in each.

    Those with the most rows that miss a pair at the threshold with a chance of at most `MISSED`: it
    shares no band with (1 - threshold**rows)**bands (Leskovec, Rajaraman, Ullman, ch. 3.4).
    """
    permutations = PERMUTATIONS
    while (1 - threshold) ** permutations > MISSED:
        permutations *= 2
    fits = (r for r in range(permutations, 0, -1) if _chance(threshold, permutations // r, r))
    rows = next(fits)
    return permutations // rows, rows


def _chance(threshold: float, number: int, rows: int) -> bool:
    return bool((1 - threshold**rows) ** number <= MISSED)


@dataclass(frozen=True)
class _Text:
    """A text in the index. start, size: where its shingles are in the scratch file, in bytes."""

    doc: int
    form: int
    start: int
    size: int


class Sample:
    """A random sample of the released documents, and the similar pairs in it."""

    def __init__(self, rules: Rules, released: int, size: int, scratch: BinaryIO) -> None:
        """released: how many documents there are, about; size: how many of them are wanted."""
        import datasketch  # noqa: PLC0415 - slow to import, optional

        number, rows = bands(rules.threshold)
        self.share = min(1.0, size / max(1, released))
        self.docs: set[int] = set()
        self._rules, self._scratch, self._end = rules, scratch, 0
        self._index = datasketch.MinHashLSH(
            num_perm=number * rows, params=(number, rows), hashfunc=xxhash.xxh3_64_intdigest
        )
        self._empty = datasketch.MinHash(num_perm=number * rows, hashfunc=int, scheme="affine32")
        self._texts: dict[int, _Text] = {}
        self._pairs: dict[tuple[int, int], float] = {}
        self._compared = self._added = 0
        self._shingles = functools.lru_cache(maxsize=_CACHED)(self._read)

    def holds(self, doc: int) -> bool:
        """Whether a document is in the sample, if it is released."""
        return _draw(doc) < self.share * _ALL

    def add(self, doc: int, text: str, form: int) -> None:
        """Look a text up, and put it into the index. One without words is like no other."""
        self.docs.add(doc)
        shingles = _hashes(shingles_of(text, self._rules))
        if not len(shingles):
            return
        sketch, number = self._sketch(shingles), self._added
        for other in sorted(self._index.query(sketch)):
            if self._texts[other].form & form:
                self._compared += 1
                similarity = _similarity(shingles, self._shingles(other))
                if similarity >= self._rules.threshold:
                    self._pairs[other, number] = similarity
        self._index.insert(number, sketch, check_duplication=False)
        content = shingles.tobytes()
        write_scratch(self._scratch, content)
        self._texts[number] = _Text(doc, form, self._end, len(content))
        self._end += len(content)
        self._added += 1
        if self._compared >= COMPARISONS:
            self._halve()

    def _read(self, number: int) -> Shingles:
        text = self._texts[number]
        self._scratch.seek(text.start)
        shingles = np.frombuffer(self._scratch.read(text.size), dtype=np.uint64)
        self._scratch.seek(self._end)
        return shingles

    def _sketch(self, shingles: Shingles) -> Any:
        sketch = self._empty.copy()
        halves = (shingles >> np.uint64(32)).astype(np.uint32)
        for at in range(0, len(halves), _AT_ONCE):
            sketch.update_batch(halves[at : at + _AT_ONCE].tolist())
        return sketch

    def _halve(self) -> None:
        """Keep the half of the sample that was drawn first."""
        self.share, self._compared = self.share / 2, 0
        self.docs = set(filter(self.holds, self.docs))
        for number in [n for n, text in self._texts.items() if text.doc not in self.docs]:
            self._index.remove(number)
            del self._texts[number]
        kept = self._texts
        self._pairs = {p: s for p, s in self._pairs.items() if p[0] in kept and p[1] in kept}

    def pairs(self, form: int) -> Iterator[tuple[int, int, float]]:
        """The similar pairs of texts in a form: two documents, and how similar they are."""
        for (one, other), similarity in self._pairs.items():
            if self._texts[one].form & self._texts[other].form & form:
                yield self._texts[one].doc, self._texts[other].doc, similarity


def open_sample(run: Run, size: int, scratch: BinaryIO) -> Sample:
    """A sample of as many released documents, of a run whose tables are loaded."""
    rows = sum(entry["rows"] for entry in run.manifest["tables"].get("documents", ()))
    return Sample(run.rules, rows - len(run.duplicates), size, scratch)


def measured(run: Run, sample: Sample) -> Recall:
    """What the sample says, after all released documents were added."""
    clusters = _clusters(sample.pairs(COMPARED))
    removed = sum(
        one.reason == "near" and one.twin in sample.docs and sample.holds(doc)
        for doc, one in run.duplicates.items()
    )
    named = sorted({pair[:2]: pair[2] for pair in _either(sample)}.items())
    return Recall(
        documents=len(sample.docs),
        share=sample.share,
        threshold=run.rules.threshold,
        compared=_remaining(clusters, sample.share),
        released=_remaining(_clusters(sample.pairs(RELEASED)), sample.share)
        if run.rules.data
        else None,
        removed=removed,
        missed_within=share_interval(clusters, removed),
        allowed=run.rules.max_miss if run.rules.near else None,
        pairs=tuple(
            f"{run.name_of(one)} and {run.name_of(other)}: {similarity:.4f}"
            for (one, other), similarity in named[:SHOWN]
        ),
    )


def _either(sample: Sample) -> Iterator[tuple[int, int, float]]:
    yield from sample.pairs(RELEASED)
    yield from sample.pairs(COMPARED)


def _remaining(clusters: list[int], share: float) -> Remaining:
    weight, found = 1 / share**2, sum(clusters)
    low, high = total_interval(clusters, weight, weight / (1 - MISSED))
    return Remaining(found, found * weight, max(low, found), high)


def _clusters(pairs: Iterable[tuple[int, int, float]]) -> list[int]:
    """How many pairs there are in each set of documents that pairs connect."""
    parent: dict[int, int] = {}

    def root(doc: int) -> int:
        while (above := parent.setdefault(doc, doc)) != doc:
            parent[doc] = doc = parent.setdefault(above, above)
        return doc

    firsts = []
    for one, other, _ in pairs:
        parent[root(other)] = root(one)
        firsts.append(one)
    return list(Counter(map(root, firsts)).values())


def _draw(doc: int) -> int:
    """A hash of a document's key, evenly distributed in [0, 2**64)."""
    return int(xxhash.xxh3_64_intdigest(doc.to_bytes(8, "little")))


def _hashes(shingles: set[Any]) -> Shingles:
    """Shingles as ascending numbers: two of n have the same with a chance of n² / 2**65."""
    lines = (one if isinstance(one, str) else " ".join(one) for one in shingles)
    hashes = map(xxhash.xxh3_64_intdigest, map(str.encode, lines))
    return np.unique(np.fromiter(hashes, dtype=np.uint64, count=len(shingles)))


def _similarity(ours: Shingles, theirs: Shingles) -> float:
    shared = len(np.intersect1d(ours, theirs, assume_unique=True))
    return shared / (len(ours) + len(theirs) - shared)
