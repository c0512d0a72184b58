"""A corpus of any size with the statistics of text on the web, and what was planted in it.

    python -m benchmarks.synthetic OUT --size 1GB [--seed 0] [--words 400] [--plain]

Writes OUT/corpus/00000.jsonl, … (fields id, source, text) and OUT/truth.parquet. OUT must not
exist, and lie outside the repository. The same seed and settings make the same bytes, and a larger
corpus begins with a smaller one.

- Words: a made-up vocabulary with frequencies by rank (Zipf, exponent 1), the more frequent the
  shorter; a part comes in phrases of two to five words that recur, so that unrelated texts share
  n-grams.
- Documents: log-normal lengths, in sentences and paragraphs; four sources with other mean lengths.
  Those of the source "web" have the header and the footer of their site; sites follow Zipf's law.
- Planted: exact copies, near-copies of a known similarity, passages of other documents, e-mail
  addresses (example.com, RFC 2606) and telephone numbers (555-0100 to 555-0199, which NANPA
  reserves for fiction).

The rows of the truth: kind ("exact", "near", "passage", "values"), doc (row in the corpus, from 0),
of (the document it was copied from), similarity (of the word 5-grams), start (first word of a
passage in the document), count (words of a passage; values). A copy is of an earlier document of
the same block of about 4 MB, or of one that was kept of the blocks before.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

Ints = NDArray[np.int64]

VOCABULARY = 60_000
PHRASES = 200_000
PHRASE_SHARE = 0.15
"""Of what is drawn: words, or phrases of two to five words."""
EDITS = 20_000
"""Words that stand only where a near-copy was edited."""
VALUES = 20_000
"""Addresses, and as many numbers."""
FORMS = (b"%s ", b"%s, ", b"%s. ", b"%s.\\n\\n")
"""How a word is written: within a sentence, before a comma, at the end of one, of a paragraph."""
SITES = 2_000
BLOCK_WORDS = 650_000
KEPT = 4_000
"""Documents that later blocks copy from."""
GRAM = 5

SOURCES = ("web", "forum", "news", "books")
SHARES = (0.6, 0.2, 0.15, 0.05)
LENGTHS = (1.0, 0.4, 1.2, 4.0)
"""Of the mean."""

TRUTH = pa.schema(
    [
        ("kind", pa.string()),
        ("doc", pa.int64()),
        ("of", pa.int64()),
        ("similarity", pa.float64()),
        ("start", pa.int64()),
        ("count", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Spec:
    """What to make.

    size, shard: bytes, at least. words: of a document, on average. plain: no boilerplate, passages
    or values. exact, near, passages, values: shares of the documents that are exact copies,
    near-copies, or hold a passage of another or values.
    """

    size: int
    seed: int = 0
    words: float = 400.0
    plain: bool = False
    exact: float = 0.06
    near: float = 0.06
    passages: float = 0.08
    values: float = 0.1
    shard: int = 256 * 10**6


def zipf_table(ranks: int, bits: int, offset: float = 0.0) -> NDArray[np.int32]:
    """2**bits ranks, from 0, in proportion to 1 / (rank + 1 + offset): an entry is a draw."""
    weights = 1.0 / (np.arange(1, ranks + 1) + offset)
    ends = np.cumsum(weights) / weights.sum()
    at = (np.arange(1 << bits) + 0.5) / (1 << bits)
    return np.searchsorted(ends, at).astype(np.int32).clip(max=ranks - 1)


ONSETS = (*"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fl", "gr", "sh", "st", "th", "tr")
NUCLEI = (*"aeiouaeo", "ai", "ea", "ou", "é", "ü")
CODAS = ("", "", "", *"nrstlm", "nd", "st", "ck")


def _made_up(random: np.random.Generator, count: int) -> list[bytes]:
    """Distinct words, the first of them the shortest."""
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = 1 + (len(found) > 150) + (len(found) > 6_000) + int(random.random() < 0.2)
        *drawn, last = random.integers(0, 1 << 20, 2 * syllables + 1).tolist()
        pairs = zip(drawn[::2], drawn[1::2], strict=True)
        head = "".join(ONSETS[a % len(ONSETS)] + NUCLEI[b % len(NUCLEI)] for a, b in pairs)
        found.setdefault(head + CODAS[last % len(CODAS)])
    return [word.encode() for word in found]


class Lexicon:
    """Words as bytes, in all forms, and what is drawn of them: one for all corpora."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        words = _made_up(random, VOCABULARY + EDITS)
        names = [word.decode() for word in words[:VOCABULARY]]
        drawn = random.integers(200, VOCABULARY, (VALUES, 2)).tolist()
        words += [f"{names[a]}.{names[b]}@example.com".encode() for a, b in drawn]
        words += [b"(%03d) 555-01%02d" % (200 + a % 800, b % 100) for a, b in drawn]
        self.first_edit, self.first_value = VOCABULARY, VOCABULARY + EDITS
        written = [form % word for word in words for form in FORMS]
        self.sizes = np.array([*map(len, written)], dtype=np.int32)
        self.starts = np.concatenate(([0], np.cumsum(self.sizes)[:-1])).astype(np.int32)
        self.bytes = np.frombuffer(b"".join(written), dtype=np.uint8)
        self.word = zipf_table(VOCABULARY, 22)
        self.phrase = zipf_table(PHRASES, 22, offset=100.0)
        lengths = random.integers(2, 6, PHRASES)
        self.phrase_sizes = lengths.astype(np.int32)
        self.phrase_starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int32)
        self.phrase_words = self.draw_words(random, int(lengths.sum()))

    def draw_words(self, random: np.random.Generator, count: int) -> NDArray[np.int32]:
        return self.word[random.integers(0, self.word.size, count, dtype=np.uint32)]

    def stream(self, random: np.random.Generator, count: int) -> NDArray[np.int32]:
        """At least so many words, in all forms: ids of written words."""
        units = self.draw_words(random, int(count / (1 + 2.4 * PHRASE_SHARE)) + 64)
        phrased = np.flatnonzero(random.random(units.size, dtype=np.float32) < PHRASE_SHARE)
        chosen = self.phrase[random.integers(0, self.phrase.size, phrased.size, dtype=np.uint32)]
        sizes = np.ones(units.size, dtype=np.int32)
        sizes[phrased] = self.phrase_sizes[chosen]
        ends = np.cumsum(sizes)
        starts = np.arange(units.size, dtype=np.int32)
        starts[phrased] = self.phrase_starts[chosen] + units.size
        flat = np.concatenate((units, self.phrase_words))
        words = flat[spread(starts, sizes, ends)]
        dice = random.integers(0, 256, words.size, dtype=np.uint8)
        form = (dice < 28).astype(np.int32) + (dice < 14) + (dice < 2)
        return words * np.int32(len(FORMS)) + form

    def write(self, written: NDArray[np.int32]) -> tuple[NDArray[np.uint8], Ints]:
        """The bytes of written words, and where each ends in them."""
        sizes = self.sizes[written]
        ends = np.cumsum(sizes)
        return self.bytes[spread(self.starts[written], sizes, ends)], ends


lexicon = functools.cache(Lexicon)


def spread(starts: NDArray[np.int32], sizes: NDArray[np.int32], ends: Ints) -> NDArray[np.int32]:
    """The indices from each start, as many as its size, one after the other."""
    shift = starts - (ends - sizes).astype(np.int32)
    indices = np.repeat(shift, sizes)
    indices += np.arange(indices.size, dtype=np.int32)
    return indices


class Corpus:
    """Blocks of documents, one after the other."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._random = np.random.default_rng(spec.seed)
        self.lexicon = lexicon()
        self._boilerplate = self.lexicon.stream(self._random, SITES * 160)
        self._site = zipf_table(SITES, 16)
        self._kept: list[tuple[int, NDArray[np.int32]]] = []
        self.documents = 0

    def block(self) -> tuple[list[bytes], pa.RecordBatch]:
        """The next lines, and the truth of them."""
        random, spec = self._random, self.spec
        sources = np.searchsorted(np.cumsum(SHARES), random.random(self._count())).astype(np.int8)
        scale = spec.words / np.dot(SHARES, LENGTHS) * np.array(LENGTHS)[sources]
        sigma = 0.3 if spec.words < 40 else 0.9
        lengths = random.lognormal(-(sigma**2) / 2, sigma, sources.size) * scale
        sizes = np.clip(lengths, min(4, spec.words), 400 * spec.words).astype(np.int64)
        body = self.lexicon.stream(random, int(sizes.sum()))
        ends = np.cumsum(sizes)
        spans = zip((ends - sizes).tolist(), ends.tolist(), strict=True)
        segments = [[body[start:end]] for start, end in spans]
        rows: list[tuple[Any, ...]] = []
        if not spec.plain:
            self._boilerplates(segments, sources)
            rows += self._passages(segments)
            rows += self._values(segments)
        rows += self._copies(segments)
        self._keep(segments)
        truth = pa.RecordBatch.from_pylist(
            [dict(zip(TRUTH.names, row, strict=True)) for row in sorted(rows, key=lambda r: r[1])],
            schema=TRUTH,
        )
        lines = self._lines(segments, sources)
        self.documents += len(lines)
        return lines, truth

    def _count(self) -> int:
        return max(2, int(BLOCK_WORDS / self.spec.words))

    def _boilerplates(self, segments: list[Any], sources: NDArray[np.int8]) -> None:
        """A header of 20 to 50 words and a footer of 30 to 100 on each document of the web."""
        of_web = np.flatnonzero(sources == 0)
        sites = self._site[self._random.integers(0, self._site.size, of_web.size)]
        for doc, site in zip(of_web.tolist(), sites.tolist(), strict=True):
            at, head, foot = 160 * site, 20 + site % 31, 30 + site % 71
            segments[doc].insert(0, self._boilerplate[at : at + head])
            segments[doc].append(self._boilerplate[at + 50 : at + 50 + foot])

    def _chosen(self, count: int, share: float) -> list[int]:
        return np.flatnonzero(self._random.random(count) < share).tolist()

    def _source(self, segments: list[Any], doc: int) -> tuple[int, NDArray[np.int32]]:
        """A document to copy from: of this block and before `doc`, or kept of one before."""
        drawn, recent = int(self._random.integers(1 << 62)), self._random.random() < 0.5
        if self._kept and (not recent or doc == 0):
            return self._kept[drawn % len(self._kept)]
        other = drawn % doc
        return self.documents + other, _joined(segments, other)

    def _passages(self, segments: list[Any]) -> Iterator[tuple[Any, ...]]:
        for doc in self._chosen(len(segments), self.spec.passages):
            if doc == 0 and not self._kept:
                continue
            of, words = self._source(segments, doc)
            size = min(len(words), int(self._random.integers(30, 200)))
            start = int(self._random.integers(0, len(words) - size + 1))
            own = _joined(segments, doc)
            at = int(self._random.integers(0, len(own) + 1))
            segments[doc] = [own[:at], words[start : start + size], own[at:]]
            yield "passage", self.documents + doc, of, None, at, size

    def _values(self, segments: list[Any]) -> Iterator[tuple[Any, ...]]:
        """One to four addresses or numbers in place of words."""
        for doc in self._chosen(len(segments), self.spec.values):
            own = _joined(segments, doc).copy()
            places = np.unique(self._random.integers(0, len(own), int(self._random.integers(1, 5))))
            drawn = self._random.integers(0, 2 * VALUES, places.size)
            own[places] = (self.lexicon.first_value + drawn) * len(FORMS)
            segments[doc] = [own]
            yield "values", self.documents + doc, None, None, None, len(places)

    def _copies(self, segments: list[Any]) -> Iterator[tuple[Any, ...]]:
        """Copies in place of documents, so that a copy of a copy names the copy."""
        spec, dice = self.spec, self._random.random(len(segments))
        for doc in np.flatnonzero(dice < spec.exact + spec.near).tolist():
            if doc == 0 and not self._kept:
                continue
            of, words = self._source(segments, doc)
            if dice[doc] < spec.exact:
                segments[doc] = [words]
                yield "exact", self.documents + doc, of, 1.0, None, None
            elif len(words) >= 4 * GRAM:
                segments[doc], similarity = self._edited(words)
                yield "near", self.documents + doc, of, similarity, None, None

    def _edited(self, words: NDArray[np.int32]) -> tuple[list[Any], float]:
        """The words with some replaced, and how similar that is: each changes 5 n-grams of its own.

        Exact where no n-gram recurs in the text, and edits are of words that stand nowhere else.
        """
        grams = len(words) - GRAM + 1
        apart = (grams - GRAM) // (2 * GRAM)
        edits = int(self._random.integers(1, max(2, apart // 3 + 1)))
        slots = self._random.choice(max(1, apart), min(edits, max(1, apart)), replace=False)
        copy = words.copy()
        new = self.lexicon.first_edit + self._random.integers(0, EDITS, slots.size)
        copy[GRAM - 1 + slots * 2 * GRAM] = new * len(FORMS)
        changed = GRAM * slots.size
        return [copy], (grams - changed) / (grams + changed)

    def _keep(self, segments: list[Any]) -> None:
        """Remember one document in fifty for later blocks."""
        for doc in self._chosen(len(segments), 0.02):
            one = (self.documents + doc, _joined(segments, doc).copy())
            if len(self._kept) < KEPT:
                self._kept.append(one)
            else:
                self._kept[int(self._random.integers(KEPT))] = one

    def _lines(self, segments: list[Any], sources: NDArray[np.int8]) -> list[bytes]:
        sizes = [sum(map(len, parts)) for parts in segments]
        written = np.concatenate([part for parts in segments for part in parts])
        content, word_ends = self.lexicon.write(written)
        ends = word_ends[np.cumsum(sizes) - 1]
        text, lines, start = content.tobytes(), [], 0
        names = [name.encode() for name in SOURCES]
        numbered = enumerate(zip(ends.tolist(), sources.tolist(), strict=True), self.documents)
        for number, (end, source) in numbered:
            lines.append(
                b'{"id":"%d","source":"%s","text":"%s"}\n'
                % (number, names[source], text[start:end].rstrip(b" "))
            )
            start = end
        return lines


def _joined(segments: list[Any], doc: int) -> NDArray[np.int32]:
    parts = segments[doc]
    if len(parts) > 1:
        segments[doc] = parts = [np.concatenate(parts)]
    return parts[0]  # type: ignore[no-any-return]


def write(spec: Spec, out: Path) -> dict[str, float]:
    """Write the corpus; documents, bytes, seconds. Raises SystemExit where OUT cannot be used."""
    out = out.resolve()
    if out.is_relative_to(ROOT) or out.exists():
        raise SystemExit(f"{out} exists or lies in the repository: name a new folder outside it.")
    (out / "corpus").mkdir(parents=True)
    began, total, shards = time.perf_counter(), 0, 0
    corpus = Corpus(spec)
    with pq.ParquetWriter(out / "truth.parquet", TRUTH) as truth:
        while total < spec.size:
            with (out / "corpus" / f"{shards:05d}.jsonl").open("wb") as shard:
                held = 0
                while held < spec.shard and total < spec.size:
                    lines, rows = corpus.block()
                    content = b"".join(lines)
                    shard.write(content)
                    truth.write_batch(rows)
                    held, total = held + len(content), total + len(content)
            shards += 1
    seconds = time.perf_counter() - began
    return {"documents": corpus.documents, "bytes": total, "shards": shards, "seconds": seconds}


def bytes_of(size: str) -> int:
    """A number of bytes: "1GB", "250 MB"."""
    for unit, factor in UNITS.items():
        if size.endswith(unit):
            return int(float(size.removesuffix(unit)) * factor)
    return int(size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=bytes_of, required=True, help="1GB, 250MB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--words", type=float, default=400.0, help="of a document, on average")
    parser.add_argument("--plain", action="store_true", help="no boilerplate, values, passages")
    given = parser.parse_args()
    spec = Spec(given.size, given.seed, given.words, given.plain)
    made = write(spec, given.out)
    print(
        f"{made['documents']:,.0f} documents, {made['bytes'] / 1e6:,.0f} MB, "
        f"{made['shards']:.0f} shards, {made['seconds']:.1f} s"
    )


if __name__ == "__main__":
    main()
