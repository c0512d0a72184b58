"""The sequences of a corpus: all of them with what their text tells, and those for the model.

`Survey` cuts released texts into sequences and ranks them by risk as far as the text tells;
`choice` spends what the language model may read on the riskiest and on a random sample; `Draw`
takes these out, with their texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.schema import (
    REPEATED_SUBSTRINGS,
    REPLACEMENTS,
    SEQUENCES,
    SPANS,
    TEXT,
    WANTED,
    WORDING,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.substrings import rarest
from unrote.corpus.views import DocumentEdits, View, apply_edits, view
from unrote.memorization.config import Config
from unrote.memorization.risk import Risk
from unrote.memorization.windows import Ints, Sequences, Tokens, sequences, tokenize
from unrote.memorization.wording import wording

RANKS = 4096
_LOWEST, _HIGHEST = -20.0, 12.0
"""Log-odds of the first and the last rank."""

SAMPLE = 0.2
"""The share of what the model reads that is drawn at random."""

LOT = 2048
"""Sequences that are scored together, about: what batches are formed within."""

SIZES = pa.schema([(name, pa.int64()) for name in ("doc", "rank", "sequences", "tokens", "own")])
"""How many sequences have a rank, their tokens, and those of them that no sequence before has;
`doc` is 0."""

_EDITS = {t.name: t.schema for t in (SPANS, REPLACEMENTS, REPEATED_SUBSTRINGS, SEQUENCES)}


@dataclass(frozen=True)
class Survey(PlainStage):
    """Texts, as they are released, to their sequences (SEQUENCES), and to SIZES.

    model: whose tokenizer is used; digest: of its files. edits: names of the tables SPANS and
    REPLACEMENTS that are read; cut: whether SPANS are cut.
    """

    model: str = "default"
    digest: str = ""
    config: Config = field(default_factory=Config)
    risk: Risk = field(default_factory=Risk.load)
    edits: tuple[str, ...] = ()
    cut: bool = False

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sequences": SEQUENCES.schema, "sizes": SIZES}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        beside = (REPEATED_SUBSTRINGS.name, *self.edits)
        return {**{name: _EDITS[name] for name in beside}, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits = DocumentEdits(cut=self.cut)
        recurring = _Recurring()
        for tag, batch in tagged:
            if tag == REPEATED_SUBSTRINGS.name:
                recurring.learn(batch)
            elif not edits.learn(tag, batch):
                yield from self._survey(batch, edits, recurring)

    def _survey(
        self, batch: pa.RecordBatch, edits: DocumentEdits, recurring: "_Recurring"
    ) -> Tagged:
        from unrote.memorization.model import tokenizer_of  # noqa: PLC0415 (loads torch)

        docs: list[int] = batch["doc"].to_pylist()
        views = [
            view(text, *edits.take(doc))
            for doc, text in zip(docs, batch["text"].to_pylist(), strict=True)
        ]
        texts = [one.text for one in views]
        tokens = tokenize(tokenizer_of(self.model), texts)
        found = sequences(tokens, self.config.prefix, self.config.suffix, self.config.stride)
        rows = _rows(docs, views, found)
        own = [texts[doc][a:b] for doc, a, b in zip(found.doc, found.start, found.end, strict=True)]
        words = wording(own)
        before, after = recurring.copies(docs, texts, found)
        rows |= {"copies_input": before, "copies": after} | words
        rows["rank"] = _ranks(self.risk, rows, found)
        rows["draw"] = draws(rows["doc"], rows["number"])
        yield "sequences", _with_empty(_batch(rows, found), docs, texts, found)
        yield "sizes", _sizes(rows["rank"], found.lengths, _own_tokens(tokens, found))


def _rows(docs: list[int], views: Sequence[View], found: Sequences) -> dict[str, NDArray[Any]]:
    """Which document, the how manieth in it, and the places in the input and in the view."""
    start, end = np.empty_like(found.start), np.empty_like(found.end)
    number = np.empty_like(found.doc)
    bounds = np.searchsorted(found.doc, np.arange(len(docs) + 1))
    for one, first, last in zip(views, bounds[:-1], bounds[1:], strict=True):
        here = slice(first, last)
        start[here], end[here] = one.inside(found.start[here], found.end[here])
        number[here] = np.arange(last - first)
    return {
        "doc": np.array(docs, dtype=np.int64)[found.doc],
        "number": number,
        "start": start,
        "end": end,
        "first": found.start,
        "second": found.second,
        "last": found.end,
        "prefix_tokens": found.prefix,
    }


def _ranks(risk: Risk, rows: Mapping[str, NDArray[Any]], found: Sequences) -> Ints:
    """Risk as far as the text tells, as a number in 0 ... RANKS - 1."""
    columns = {name: np.asarray(rows[name], dtype=np.float64) for name in ("copies", *WORDING)}
    columns["copies_near"] = np.zeros(len(found))
    columns["suffix_tokens"] = (found.lengths - found.prefix).astype(np.float64)
    chance = np.clip(risk.predict(columns), 1e-12, 1 - 1e-12)
    odds = np.log(chance) - np.log1p(-chance)
    share = (odds - _LOWEST) / (_HIGHEST - _LOWEST)
    return np.clip(share * RANKS, 0, RANKS - 1).astype(np.int64)


def draws(doc: Ints, number: Ints) -> Ints:
    """A number in 0 ... 2**32 for each sequence that looks random (splitmix64 of its place)."""
    x = doc.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + number.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(32)).astype(np.int64)


def _batch(rows: Mapping[str, NDArray[Any]], found: Sequences) -> pa.RecordBatch:
    ids = pa.ListArray.from_arrays(
        pa.array(found.offsets, pa.int32()), pa.array(found.ids, pa.int32())
    )
    arrays = [
        ids if column.name == "ids" else pa.array(rows[column.name], column.type)
        for column in SEQUENCES.schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SEQUENCES.schema)


def _with_empty(
    batch: pa.RecordBatch, docs: list[int], texts: list[str], found: Sequences
) -> pa.RecordBatch:
    """With a row of rank -1 for each text that has no tokens."""
    empty = np.setdiff1d(np.arange(len(docs)), found.doc)
    if not empty.size:
        return batch
    nothing = dict.fromkeys(SEQUENCES.schema.names, 0) | dict.fromkeys(WORDING) | {"ids": []}
    rows = [nothing | {"doc": docs[i], "last": len(texts[i]), "rank": -1} for i in empty.tolist()]
    both = [batch, pa.RecordBatch.from_pylist(rows, SEQUENCES.schema)]
    merged = pa.Table.from_batches(both).sort_by([("doc", "ascending"), ("number", "ascending")])
    return merged.combine_chunks().to_batches()[0]


def _own_tokens(tokens: Tokens, found: Sequences) -> Ints:
    """The tokens of each sequence, of a text's last one without those that others have too."""
    own = found.lengths
    texts, first = np.unique(found.doc, return_index=True)
    last = np.append(first[1:], found.doc.size) - 1 if first.size else first
    twice = np.add.reduceat(own, first) - np.diff(tokens.offsets)[texts] if first.size else first
    own[last] -= twice
    return own


def _sizes(ranks: Ints, tokens: Ints, own: Ints) -> pa.RecordBatch:
    known, place = np.unique(ranks, return_inverse=True)
    counts = np.bincount(place, minlength=known.size)
    added = (np.bincount(place, weights=w, minlength=known.size) for w in (tokens, own))
    columns = (np.zeros_like(known), known, counts, *(sums.astype(np.int64) for sums in added))
    return pa.RecordBatch.from_arrays([pa.array(c, pa.int64()) for c in columns], schema=SIZES)


class _Recurring:
    """Rows of REPEATED_SUBSTRINGS of documents whose text is yet to come."""

    def __init__(self) -> None:
        self._rows: dict[int, list[tuple[int, int, int]]] = {}

    def learn(self, batch: pa.RecordBatch) -> None:
        names = ("doc", "start_byte", "copies_input", "copies")
        for doc, *row in zip(*(batch[name].to_pylist() for name in names), strict=True):
            self._rows.setdefault(doc, []).append(tuple(row))

    def copies(self, docs: list[int], texts: Sequence[str], found: Sequences) -> tuple[Ints, Ints]:
        """(in the input, in the released view): the copies of each sequence's rarest run."""
        rows = [(i, *row) for i, doc in enumerate(docs) for row in self._rows.pop(doc, ())]
        known = np.array(rows, dtype=np.int64).reshape(-1, 4)
        before, after = rarest(texts, known, found.doc, found.start, found.end)
        return np.maximum(before, 1), after  # what was put into a text was not in the input


@dataclass(frozen=True)
class Choice:
    """Which sequences a language model reads: those of a rank above `rank`, of it the share
    `part`, and a random sample, the share `sample` of all. lots: how many lots they make.
    """

    rank: int = -1
    part: float = 1.0
    sample: float = 1.0
    lots: int = 1

    def of(self, ranks: Ints, draw: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(chosen, of these drawn at random): bool[n] each."""
        there = ranks >= 0
        drawn = there & (draw < self.sample * 2**32)
        part = (ranks == self.rank) & (draw >= (1 - self.part) * 2**32)
        return drawn | (there & (ranks > self.rank)) | (there & part), drawn

    def lot(self, draw: Ints) -> Ints:
        """The lot of each sequence: int64[n]."""
        return draw % self.lots


def choice(sizes: Sequence[Mapping[str, int]], max_tokens: int) -> Choice:
    """How to spend `max_tokens` on sequences of the given SIZES (one row a rank); 0: all of them.

    A share `SAMPLE` of them is drawn at random, the rest goes to the highest ranks.
    """
    by_rank = sorted(
        ((row["rank"], row["sequences"], row["tokens"]) for row in sizes), reverse=True
    )
    total = sum(tokens for _, _, tokens in by_rank)
    every = sum(count for _, count, _ in by_rank)
    if not max_tokens or total <= max_tokens:
        return Choice(lots=-(-max(every, 1) // LOT))
    sample, left = SAMPLE * max_tokens / total, (1 - SAMPLE) * max_tokens
    expected = round(every * max_tokens / total)
    for rank, _, tokens in by_rank:
        if tokens >= left:
            return Choice(rank, left / tokens, sample, -(-max(expected, 1) // LOT))
        left -= tokens
    raise AssertionError("the ranks hold more tokens than are wanted")


@dataclass(frozen=True)
class Draw(PlainStage):
    """The chosen of SEQUENCES, with their texts: rows of WANTED.

    edits, cut: as for Survey.
    """

    choice: Choice = field(default_factory=Choice)
    edits: tuple[str, ...] = ()
    cut: bool = False

    outputs: ClassVar[Mapping[str, pa.Schema]] = {"wanted": WANTED.schema}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        beside = (SEQUENCES.name, *self.edits)
        return {**{name: _EDITS[name] for name in beside}, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits = DocumentEdits(cut=self.cut)
        chosen: dict[int, list[dict[str, Any]]] = {}
        for tag, batch in tagged:
            if tag == SEQUENCES.name:
                self._learn(batch, chosen)
            elif not edits.learn(tag, batch):
                rows = list(self._rows(batch, edits, chosen))
                yield "wanted", pa.RecordBatch.from_pylist(rows, WANTED.schema)

    def _learn(self, batch: pa.RecordBatch, chosen: dict[int, list[dict[str, Any]]]) -> None:
        ranks, draw = (batch[name].to_numpy() for name in ("rank", "draw"))
        wanted, _ = self.choice.of(ranks, draw)
        for row in batch.filter(pa.array(wanted)).to_pylist():
            chosen.setdefault(row["doc"], []).append(row)

    def _rows(
        self, batch: pa.RecordBatch, edits: DocumentEdits, chosen: dict[int, list[dict[str, Any]]]
    ) -> Iterator[dict[str, Any]]:
        for doc, text in zip(batch["doc"].to_pylist(), batch["text"].to_pylist(), strict=True):
            cuts, changes = edits.take(doc)
            rows = chosen.pop(doc, ())
            released = apply_edits(text, cuts, changes) if rows else ""
            for row in rows:
                own = released[row["first"] : row["last"]]
                before = own
                if any(a < row["end"] and b > row["start"] for a, b, _ in changes):
                    before = deduplicated(text, row["start"], row["end"], cuts)
                yield {
                    "doc": doc,
                    "number": row["number"],
                    "lot": int(self.choice.lot(np.array(row["draw"]))),
                    "prefix_tokens": row["prefix_tokens"],
                    "second": row["second"] - row["first"],
                    "ids": row["ids"],
                    "text": own,
                    "source": None if before == own else before,
                }


def deduplicated(text: str, start: int, end: int, cuts: Sequence[tuple[int, int]]) -> str:
    """text[start:end] without what is cut."""
    inside = [(max(a, start), min(b, end)) for a, b in cuts if a < end and b > start]
    return apply_edits(text[start:end], [(a - start, b - start) for a, b in inside], ())
