"""The sequences of a corpus: prefix + suffix windows over the released text, each with the features
that the text alone gives, ranked by their copies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.beside import DocumentEdits, NumbersBeside, ReleasedView, beside
from unrote.corpus.hashing import random_numbers
from unrote.corpus.paths import with_line_breaks
from unrote.corpus.schema import REPEATED_SUBSTRINGS, SEQUENCES, TEXT, TEXT_FEATURES, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.substrings import rarest
from unrote.corpus.tabular import head_of_table
from unrote.corpus.views import View, view
from unrote.memorization.config import Config
from unrote.memorization.selection import RANKS_OF_DOUBLING
from unrote.memorization.text_features import text_features
from unrote.memorization.tokenizer import tokenizer_of
from unrote.memorization.windows import Ints, Sequences, Tokens, sequences, tokenize

RANKS = 4096
SIZES = pa.schema(
    [(name, pa.int64()) for name in ("doc", "rank", "sequences", "tokens", "new_tokens")]
)
"""How many sequences have a rank, their tokens, and of these the ones that no earlier sequence of
the document has; `doc` is 0."""


@dataclass(frozen=True)
class CutSequences(PlainStage):
    """Texts, as they are released, to their sequences (SEQUENCES), and to SIZES.

    model: whose tokenizer is used; digest: of its files.
    """

    model: str = "default"
    digest: str = ""
    config: Config = field(default_factory=Config)
    view: ReleasedView = field(default_factory=ReleasedView)

    version: ClassVar[int] = 4
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"sequences": SEQUENCES.schema, "sizes": SIZES}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        repeated = {REPEATED_SUBSTRINGS.name: REPEATED_SUBSTRINGS.schema}
        return {**repeated, **self.view.inputs, "text": TEXT}

    def _run(self, tagged: Tagged) -> Tagged:
        edits = self.view.edits()
        columns = ("start_byte", "copies_input", "copies")
        repeated = NumbersBeside(REPEATED_SUBSTRINGS.name, *columns)
        for batch in beside(tagged, repeated, edits):
            yield from self._sequences(batch, edits, repeated)

    def _sequences(
        self, batch: pa.RecordBatch, edits: DocumentEdits, repeated: NumbersBeside
    ) -> Tagged:
        several = self.view.several
        docs: list[int] = batch["doc"].to_pylist()
        views = [
            view(text, *edits.take(doc), several=several)
            for doc, text in zip(docs, batch["text"].to_pylist(), strict=True)
        ]
        texts = [one.text for one in views]
        shown = [with_line_breaks(text, several=several) for text in texts]
        tokens = tokenize(tokenizer_of(self.model), shown)
        found = sequences(tokens, self.config.prefix, self.config.suffix, self.config.stride)
        rows = _rows(docs, views, found)
        sequence_texts = [
            texts[doc][a:b] for doc, a, b in zip(found.doc, found.start, found.end, strict=True)
        ]
        in_input, released = _copies(repeated, docs, texts, found)
        rows |= {"copies_input": in_input, "copies": released} | text_features(sequence_texts)
        rows["tabular"] = _tabular(shown, found)
        rows["rank"] = _ranks(rows["copies"])
        rows["random"] = random_numbers(rows["doc"], rows["number"])
        yield "sequences", _with_empty(_batch(rows, found), docs, texts, found)
        yield "sizes", _sizes(rows["rank"], found.lengths, _new_tokens(tokens, found))


def _rows(docs: list[int], views: Sequence[View], found: Sequences) -> dict[str, NDArray[Any]]:
    """The document, the number within it, and the offsets in the input and in the released text."""
    start, end = np.empty_like(found.start), np.empty_like(found.end)
    number = np.empty_like(found.doc)
    bounds = np.searchsorted(found.doc, np.arange(len(docs) + 1))
    for one, first, last in zip(views, bounds[:-1], bounds[1:], strict=True):
        rows = slice(first, last)
        start[rows], end[rows] = one.inside(found.start[rows], found.end[rows])
        number[rows] = np.arange(last - first)
    return {
        "doc": np.array(docs, dtype=np.int64)[found.doc],
        "number": number,
        "start": start,
        "end": end,
        "released_start": found.start,
        "second_token": found.second,
        "released_end": found.end,
        "prefix_tokens": found.prefix,
    }


def _tabular(texts: Sequence[str], found: Sequences) -> Ints:
    """Where each sequence is in a tabular document, as its number in TABULAR."""
    heads = np.array([head_of_table(text) for text in texts], dtype=np.int64)[found.doc]
    return np.where(heads == 0, 0, np.where(found.start < heads, 1, 2))


def _ranks(copies: Ints) -> Ints:
    """The copies, by their logarithm, as a number in 0 ... RANKS - 1."""
    doublings = np.log2(np.maximum(copies, 1))
    return np.asarray(np.minimum(doublings * RANKS_OF_DOUBLING, RANKS - 1)).astype(np.int64)


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
    nothing = dict.fromkeys(SEQUENCES.schema.names, 0) | dict.fromkeys(TEXT_FEATURES) | {"ids": []}
    rows = [
        nothing | {"doc": docs[i], "released_end": len(texts[i]), "rank": -1}
        for i in empty.tolist()
    ]
    both = [batch, pa.RecordBatch.from_pylist(rows, SEQUENCES.schema)]
    merged = pa.Table.from_batches(both).sort_by([("doc", "ascending"), ("number", "ascending")])
    return merged.combine_chunks().to_batches()[0]


def _new_tokens(tokens: Tokens, found: Sequences) -> Ints:
    """The tokens of each sequence; of a text's last one those that no earlier sequence has."""
    new = found.lengths
    texts, first = np.unique(found.doc, return_index=True)
    last = np.append(first[1:], found.doc.size) - 1 if first.size else first
    overlap = np.add.reduceat(new, first) - np.diff(tokens.offsets)[texts] if first.size else first
    new[last] -= overlap
    return new


def _sizes(ranks: Ints, tokens: Ints, new_tokens: Ints) -> pa.RecordBatch:
    distinct, index = np.unique(ranks, return_inverse=True)
    counts = np.bincount(index, minlength=distinct.size)
    sums = (np.bincount(index, weights=w, minlength=distinct.size) for w in (tokens, new_tokens))
    columns = (np.zeros_like(distinct), distinct, counts, *(s.astype(np.int64) for s in sums))
    return pa.RecordBatch.from_arrays([pa.array(c, pa.int64()) for c in columns], schema=SIZES)


def _copies(
    repeated: NumbersBeside, docs: list[int], texts: Sequence[str], found: Sequences
) -> tuple[Ints, Ints]:
    """(in the input, in the released view): the copies of each sequence's rarest substring."""
    known = repeated.take(docs)
    in_input, released = rarest(texts, known, found.doc, found.start, found.end)
    return np.maximum(in_input, 1), released  # a surrogate was not in the input
