"""Passages that documents share with the items of evaluation sets.

What is compared are words (dedup.words): letter case, punctuation and white space make no
difference, nor does what the run's normalization leaves out. A *common passage* is a longest run of
GRAM words or more that a document and an item have in the same order. It is found by the hashes of
all GRAM-grams of the items (dedup.item_grams); runs of consecutive ones are put together. A
GRAM-gram that more than SHARED items of a set have says nothing of any of them (it is of the
template in which they are written) and is left out.

From the common passages follow the readings of three published rules, in words where the authors
count tokens of their models:

gpt3    An item is contaminated if it shares one n-gram with the corpus. n is the fifth percentile
        of the set's item lengths in words, at least 8 and at most 13; case, punctuation and white
        space are ignored (Brown et al. 2020, arXiv:2005.14165, appendix C).
llama2  The share of the item's tokens that are in a token n-gram longer than 10 tokens that the
        corpus has, too: below 20 % it is clean, at 80 % or more dirty (Touvron et al. 2023,
        arXiv:2307.09288, appendix A.6). Contaminated here: dirty. Their skipgram budget of four
        tokens is not part of it.
olmo    An item is contaminated if more than half of its tokens are in 8-grams of one and the same
        training document (Lambert et al. 2024, arXiv:2411.15124, section 3.2, which OLMo 2 follows,
        arXiv:2501.00656).

Items of fewer than GRAM words are not looked for: GPT-3's authors found that such matches are
spurious.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import (
    CONTAMINATED,
    CONTAMINATION,
    DOCUMENTS,
    EVALUATION_ITEMS,
    ITEM_TEXTS,
    LISTED_ITEMS,
    REJECTS,
    TEXT,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers, chars_at
from unrote.dedup.item_grams import GRAM, Index, index_of
from unrote.dedup.words import (
    Bytes,
    Ints,
)

Rule = Literal["gpt3", "llama2", "olmo"]

LONGEST = 13
"""The largest n of GPT-3's rule."""

LLAMA = 11
"""Words of the shortest common passage that counts for Llama 2's rule: more than ten."""

DIRTY, MOST = 0.8, 0.5
"""Shares from which (llama2), and above which (olmo), an item is contaminated."""


@dataclass(frozen=True)
class Listed:
    """The items of evaluation sets: rows of LISTED_ITEMS and ITEM_TEXTS."""

    items: pa.Table
    texts: pa.Table
    looked_for: int
    """GRAM-grams that are looked for."""


def list_items(
    sets: Sequence[tuple[str, pa.ChunkedArray, pa.ChunkedArray]], normalization: Normalization = NFC
) -> Listed:
    """The items of sets: name, the items' names, their texts."""
    batches, parts, base = [], [], 0
    for number, (_, _, texts) in enumerate(sets):
        for chunk in texts.chunks:
            columns = [
                np.zeros(len(chunk), dtype=np.int64),
                np.arange(base, base + len(chunk)),
                np.full(len(chunk), number),
                normalization.texts(chunk).cast(pa.string()),
            ]
            batches.append(pa.record_batch(list(map(pa.array, columns)), schema=ITEM_TEXTS.schema))
            base += len(chunk)
    index = index_of(batches)
    base = 0
    for name, names, _ in sets:
        own = slice(base, base + len(names))
        base += len(names)
        count, words = len(names), index.words[own]
        columns = [
            np.zeros(count, dtype=np.int64),
            np.arange(own.start, own.stop),
            pa.array([name]).take(pa.array(np.zeros(count, dtype=np.int64))),
            names,
            words,
            np.full(count, ngram_of(words)),
            index.templates[own],
        ]
        parts.append(pa.Table.from_arrays(columns, schema=LISTED_ITEMS.schema))
    items = pa.concat_tables(parts) if parts else LISTED_ITEMS.schema.empty_table()
    return Listed(items, pa.Table.from_batches(batches, ITEM_TEXTS.schema), index.rows.shape[0])


def ngram_of(words: Ints) -> int:
    """The n of GPT-3's rule for a set whose items have so many words (int64[n])."""
    fifth = int(np.percentile(words, 5, method="lower")) if words.size else LONGEST
    return min(max(fifth, GRAM), LONGEST)


class Items:
    """The columns of LISTED_ITEMS, by the number of an item. rows: all of them, in order."""

    def __init__(self, rows: Sequence[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(rows, LISTED_ITEMS.schema).combine_chunks()
        self.set, self.name = table["set"], table["item"]
        self.words, self.ngram = table["words"].to_numpy(), table["ngram"].to_numpy()


def covered(group: Ints, first: Ints, words: Ints, groups: int) -> Ints:
    """How many words of an item the passages of each group cover together: int64[groups].

    group, first, words: of each passage its group, its first position in the item, and its words,
    int64[k].
    """
    begin = (group << 32) + first  # so that no group reaches into the next one
    order = np.argsort(begin)
    begin = begin[order]
    end = begin + words[order]
    reached = np.maximum.accumulate(end)
    fresh = end - np.maximum(begin, np.concatenate(([0], reached[:-1])))
    counts = np.bincount(group[order], np.maximum(0, fresh), groups)
    return counts.astype(np.int64)


def longest(group: Ints, words: Ints, groups: int) -> Ints:
    """The words of the longest passage of each group, 0 where there is none: int64[groups]."""
    out = np.zeros(groups, dtype=np.int64)
    np.maximum.at(out, group, words)
    return out


def contaminates(
    rule: Rule, group: Ints, first: Ints, words: Ints, whole: Ints, ngram: Ints
) -> NDArray[np.bool_]:
    """Whether each group's passages, which an item shares with one document, for llama2 with any,
    contaminate it: bool[groups].

    group, first, words: as `covered` has them; whole, ngram: of each group's item, int64[groups].
    """
    if rule == "gpt3":
        return longest(group, words, whole.size) >= ngram
    if rule == "llama2":
        long = words >= LLAMA
        share = covered(group[long], first[long], words[long], whole.size)
        return (share >= DIRTY * whole) & (share > 0)
    return covered(group, first, words, whole.size) > MOST * whole


OVERLAPS = pa.schema([(name, pa.int64()) for name in ("doc", "number", "item_start", "words")])
"""What `ItemOverlaps` needs of the rows of CONTAMINATION."""


@dataclass(frozen=True)
class FindContamination(PlainStage):
    """Texts to CONTAMINATION, to CONTAMINATED, and to the rows that `ItemOverlaps` adds up.

    LISTED_ITEMS and ITEM_TEXTS are read whole, before any text.
    """

    rule: Rule = "gpt3"
    action: str = "report"
    normalization: Normalization = NFC

    version: ClassVar[int] = 2
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        LISTED_ITEMS.name: LISTED_ITEMS.schema,
        ITEM_TEXTS.name: ITEM_TEXTS.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "contamination": CONTAMINATION.schema,
        "contaminated": CONTAMINATED.schema,
        "overlaps": OVERLAPS,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        tables: dict[str, list[pa.RecordBatch]] = {LISTED_ITEMS.name: [], ITEM_TEXTS.name: []}
        index: Index | None = None
        items: Items | None = None
        for tag, batch in tagged:
            if tag in tables:
                tables[tag].append(batch)
                continue
            index = index or index_of(tables[ITEM_TEXTS.name])
            items = items or Items(tables[LISTED_ITEMS.name])
            rows = self._rows(index, items, batch)
            yield "contamination", rows
            yield "contaminated", _flagged(rows.filter(rows["contaminated"]))
            yield "overlaps", rows.select(OVERLAPS.names)

    def _rows(self, index: Index, items: Items, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows of CONTAMINATION, by document, item and place."""
        texts = self.normalization.texts(batch["text"])
        data, offsets = arrow_buffers(texts)
        found = index.common(data, offsets)
        found = found[np.lexsort((found[:, 3], found[:, 2], found[:, 0], found[:, 1]))]
        number, text, _, _, words, first = found.T
        group = _numbered(text, number)
        heads = np.flatnonzero(np.diff(group, prepend=-1))
        whole, ngram = items.words[number[heads]], items.ngram[number[heads]]
        flagged = contaminates(self.rule, group, first, words, whole, ngram)
        share = np.minimum(1.0, covered(group, first, words, heads.size) / whole)
        counts = flagged[group] & (words >= self._least(ngram)[group])
        places = _places(data, offsets, text, found[:, 2:4])
        if texts is not batch["text"]:
            self._move_back(places, text, batch["text"], texts)
        taken = pa.array(number)
        columns = {
            "doc": batch["doc"].take(pa.array(text)), "number": taken,
            "set": items.set.take(taken), "item": items.name.take(taken),
            "start": places[:, 0], "end": places[:, 1], "words": words, "item_start": first,
            "contaminated": counts, "overlap": share[group],
            "action": pa.array(["keep", self.action]).take(pa.array(counts.astype(np.int64))),
        }  # fmt: skip
        return _batch(CONTAMINATION.schema, columns)

    def _least(self, ngram: Ints) -> Ints:
        """Words of the shortest passage that the rule looks at, by the n of items."""
        if self.rule == "gpt3":
            return ngram
        return np.full_like(ngram, LLAMA if self.rule == "llama2" else GRAM)

    def _move_back(self, places: Ints, text: Ints, given: pa.Array, compared: pa.Array) -> None:
        """Turn ranges of texts as they were compared into those of the texts as they are."""
        changed = np.flatnonzero(pc.not_equal(given, compared).to_numpy(zero_copy_only=False))
        for number in changed[np.isin(changed, text)].tolist():
            own = text == number
            _, starts, ends = self.normalization.aligned(given[number].as_py())
            places[own, 0] = np.array(starts)[places[own, 0]]
            places[own, 1] = np.array(ends)[places[own, 1] - 1]


def _numbered(*columns: Ints) -> Ints:
    """For rows that are sorted by these columns the number of each of their values, from 0."""
    fresh = np.zeros(columns[0].size, dtype=np.bool_)
    for column in columns:
        fresh[1:] |= np.diff(column) != 0
    return np.cumsum(fresh)


def _places(data: Bytes, offsets: Ints, text: Ints, ranges: Ints) -> Ints:
    """Ranges of bytes in data, int64[k, 2], as code points of the texts (int64[k]) they are in."""
    if not text.size:
        return ranges
    known = np.unique(np.concatenate((ranges.ravel(), offsets[text])))
    chars = chars_at(data, known[0], known - known[0])
    begin = chars[np.searchsorted(known, offsets[text])]
    return np.asarray(chars[np.searchsorted(known, ranges)] - begin[:, None])


def _batch(schema: pa.Schema, columns: Mapping[str, Any]) -> pa.RecordBatch:
    """These columns, arrays of Arrow or numpy, as rows."""
    arrays = [_one_array(columns[field.name]).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _one_array(column: Any) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks()
    return column if isinstance(column, pa.Array) else pa.array(column)


def _flagged(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Passages (doc, start, end) of rows of CONTAMINATION, each once."""
    doc, start, end = (rows[name].to_numpy() for name in CONTAMINATED.schema.names)
    order = np.lexsort((end, start, doc))
    doc, start, end = doc[order], start[order], end[order]
    first = np.diff(_numbered(doc, start, end), prepend=-1) != 0
    return _batch(
        CONTAMINATED.schema, {"doc": doc[first], "start": start[first], "end": end[first]}
    )


@dataclass(frozen=True)
class Contaminated(PlainStage):
    """Rows of CONTAMINATION to CONTAMINATED: what `FindContamination` wrote beside it."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {CONTAMINATION.name: CONTAMINATION.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"contaminated": CONTAMINATED.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        last = (-1, -1, -1)
        for _, batch in tagged:  # sorted by document and place
            rows = _flagged(batch.filter(batch["contaminated"]))
            if not rows.num_rows:
                continue
            same = tuple(column[0].as_py() for column in rows.columns) == last
            last = tuple(column[-1].as_py() for column in rows.columns)
            yield "contaminated", rows.slice(int(same))


CONTAMINATION_REASON = "contaminates an evaluation set"
"""What the reason of such a reject begins with."""


@dataclass(frozen=True)
class RejectContaminated(PlainStage):
    """Documents with a row in CONTAMINATED to rows of REJECTS. rule: for the reason."""

    rule: Rule = "gpt3"

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        DOCUMENTS.name: DOCUMENTS.schema,
        CONTAMINATED.name: CONTAMINATED.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rejects": REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for tag, batch in tagged:
            if tag == DOCUMENTS.name:
                why = f"{CONTAMINATION_REASON} by the rule {self.rule} (table contamination)"
                reasons = pa.array([why] * batch.num_rows, pa.string())
                columns = [*(batch[name] for name in ("doc", "shard", "row")), reasons]
                yield "rejects", pa.RecordBatch.from_arrays(columns, schema=REJECTS.schema)


@dataclass(frozen=True)
class ItemOverlaps(PlainStage):
    """What each item shares with all documents: LISTED_ITEMS and what `FindContamination` found to
    EVALUATION_ITEMS.
    """

    rule: Rule = "gpt3"

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("number",)
    order: ClassVar[tuple[str, ...]] = ()  # a union has none
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "items": LISTED_ITEMS.schema,
        "overlaps": OVERLAPS,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"items": EVALUATION_ITEMS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        listed: list[pa.RecordBatch] = []
        found = [np.empty((0, 4), dtype=np.int64)]
        for tag, batch in tagged:
            if tag == "items":
                listed.append(batch)
            else:
                found.append(np.column_stack([batch[name].to_numpy() for name in OVERLAPS.names]))
        items = pa.Table.from_batches(listed, LISTED_ITEMS.schema)
        measured = self._measured(items, np.concatenate(found))
        yield (
            "items",
            _batch(EVALUATION_ITEMS.schema, {n: items[n] for n in items.column_names} | measured),
        )

    def _measured(self, items: pa.Table, found: Ints) -> dict[str, Any]:
        """The other columns of EVALUATION_ITEMS. found: the rows of OVERLAPS, int64[k, 4]."""
        numbers, count = items["number"].to_numpy(), items.num_rows
        doc, number, first, words = found[np.lexsort((found[:, 0], found[:, 1]))].T
        item = np.searchsorted(numbers, number)  # items come by their numbers
        pair = _numbered(number, doc)
        of_pair = item[np.flatnonzero(np.diff(pair, prepend=-1))]
        whole, ngram = np.maximum(1, items["words"].to_numpy()), items["ngram"].to_numpy()
        long, most = words >= LLAMA, np.zeros(count, dtype=np.int64)
        np.maximum.at(most, of_pair, covered(pair, first, words, of_pair.size))
        if self.rule == "llama2":
            contaminated = contaminates(self.rule, item, first, words, whole, ngram)
        else:
            by_pair = contaminates(self.rule, pair, first, words, whole[of_pair], ngram[of_pair])
            contaminated = np.bincount(of_pair[by_pair], minlength=count) > 0
        return {
            "documents": np.bincount(of_pair, minlength=count),
            "longest": longest(item, words, count),
            "overlap": covered(item, first, words, count) / whole,
            "overlap_long": covered(item[long], first[long], words[long], count) / whole,
            "most": most / whole,
            "contaminated": contaminated,
        }
