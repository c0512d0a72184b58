"""Passages that documents share with the items of evaluation sets.

What is compared are words (dedup.words): letter case, punctuation and white space make no
difference, nor does what the run's normalization leaves out. A *common passage* is a longest run of
GRAM words or more that a document and an item have in the same order. It is found by the hashes of
all GRAM-grams of the items; runs of consecutive ones are put together. A GRAM-gram that more than
SHARED items of a set have says nothing of any of them (it is of the template in which they are
written) and is left out.

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

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel, multiply_fold
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import (
    CONTAMINATED,
    CONTAMINATION,
    DOCUMENTS,
    EVALUATION_ITEMS,
    ITEM_NGRAMS,
    LISTED_ITEMS,
    REJECTS,
    TEXT,
    Tagged,
)
from unrote.corpus.stages import PlainStage
from unrote.corpus.tables import tuples_of
from unrote.corpus.text import arrow_buffers, chars_at
from unrote.dedup.words import (
    WORD_KEY,
    WORD_SEED,
    Bytes,
    Hashes,
    Int,
    Ints,
    Table,
    hash_word,
    next_word,
    table_for,
)

Rule = Literal["gpt3", "llama2", "olmo"]

GRAM = 8  # a power of two
"""Words of the shortest common passage: the least n of GPT-3's rule, and the n of OLMo's."""

LONGEST = 13
"""The largest n of GPT-3's rule."""

LLAMA = 11
"""Words of the shortest common passage that counts for Llama 2's rule: more than ten."""

DIRTY, MOST = 0.8, 0.5
"""Shares from which (llama2), and above which (olmo), an item is contaminated."""

SHARED = 100
"""Items of a set that may share a GRAM-gram."""

_BASE = np.uint64(0xD6E8FEB86659FD93)
_FILTER_BITS = 16  # bits of the filter for each hash


_POWER = np.uint64(pow(int(_BASE), GRAM, 1 << 64))


@inlined
def _rolled(gram: np.uint64, token: np.uint64, ring: Hashes, words: Int) -> np.uint64:
    """The polynomial of the last GRAM words with one more, which is number `words`, from 0. The
    oldest one leaves it and the ring.
    """
    slot = words & (GRAM - 1)
    rolled = np.uint64(gram * _BASE + token - ring[slot] * _POWER)
    ring[slot] = token
    return rolled


@inlined
def _mixed(gram: np.uint64) -> Int:
    """The hash of a polynomial."""
    return np.int64(multiply_fold(gram ^ WORD_SEED, WORD_KEY))


@kernel
def gram_hashes(data: Bytes, offsets: Ints, table: Table) -> tuple[Ints, Ints, Ints]:
    """The GRAM-grams of texts: (hash, text, position in words), int64[k] each, and in the order of
    the texts.
    """
    ring = np.zeros(GRAM, dtype=np.uint64)
    out = np.empty((3, max(64, data.size // 4)), dtype=np.int64)
    size = 0
    for text in range(offsets.size - 1):
        end, words, gram = offsets[text + 1], 0, np.uint64(0)
        ring[:] = 0
        at = next_word(data, offsets[text], end, table)
        while at < end:
            token, at = hash_word(data, at, end, table)
            at = next_word(data, at, end, table)
            gram = _rolled(gram, token, ring, words)
            words += 1
            if words >= GRAM:
                if size == out.shape[1]:
                    larger = np.empty((3, 2 * size), dtype=np.int64)
                    larger[:, :size] = out
                    out = larger
                out[0, size], out[1, size] = _mixed(gram), text
                out[2, size] = words - GRAM
                size += 1
    return out[0, :size].copy(), out[1, :size].copy(), out[2, :size].copy()


@kernel
def word_counts(data: Bytes, offsets: Ints, table: Table) -> Ints:
    """How many words texts have: int64[n]."""
    out = np.zeros(offsets.size - 1, dtype=np.int64)
    for text in range(out.size):
        end = offsets[text + 1]
        at = next_word(data, offsets[text], end, table)
        while at < end:
            _, at = hash_word(data, at, end, table)
            at = next_word(data, at, end, table)
            out[text] += 1
    return out


@kernel
def filter_of(hashes: Ints, bits: Int) -> Hashes:
    """A bit set of 2**bits bits: that of each hash, by its leading bits, is set."""
    out = np.zeros((np.int64(1) << bits) // 64, dtype=np.uint64)
    for i in range(hashes.size):
        bit = np.uint64(hashes[i]) >> np.uint64(64 - bits)
        out[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
    return out


@inlined
def _find(hashes: Ints, value: Int) -> Int:
    """The index of a value among ascending ones; -1 if it is not there."""
    low, high = np.int64(0), np.int64(hashes.size)
    while low < high:
        middle = (low + high) >> 1
        if hashes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < hashes.size and hashes[low] == value else np.int64(-1)


@inlined
def _room(rows: Ints, size: Int) -> Ints:
    """`rows` with room for `size` and one more, by doubling."""
    if size < rows.shape[0]:
        return rows
    larger = np.empty((2 * size, rows.shape[1]), dtype=np.int64)
    larger[:size] = rows[:size]
    return larger


# Columns of an open run: item, the position in it that continues the run, …
_ITEM, _NEXT, _START, _END, _WORDS, _FIRST = 0, 1, 2, 3, 4, 5
# … bytes of the text, words, and the first position. A finished one has the text in place of _NEXT.


@kernel
def common_passages(  # noqa: C901 - a merge of two sorted lists for each word
    data: Bytes,
    offsets: Ints,
    table: Table,
    marks: Hashes,
    bits: Int,
    hashes: Ints,
    firsts: Ints,
    items: Ints,
    positions: Ints,
) -> Ints:
    """The common passages of texts and items.

    marks: of `filter_of` with `bits`. hashes: int64[n], ascending; firsts: int64[n + 1], where the
    rows of each hash begin in items and positions, sorted by item and position.
    Returns int64[k, 6]: item, text, start byte, end byte (in data), words, and the position in the
    item of its first word.
    """
    ring, began = np.zeros(GRAM, dtype=np.uint64), np.zeros(GRAM, dtype=np.int64)
    open_, other = np.empty((64, 6), dtype=np.int64), np.empty((64, 6), dtype=np.int64)
    out, size, shift = np.empty((64, 6), dtype=np.int64), 0, np.uint64(64 - bits)
    for text in range(offsets.size - 1):
        end, words, running, rolling = offsets[text + 1], 0, 0, np.uint64(0)
        ring[:] = 0
        at = next_word(data, offsets[text], end, table)
        while at < end or running:
            first: Int = np.int64(0)
            last: Int = np.int64(0)
            stop: Int = np.int64(0)
            if at < end:
                began[words & (GRAM - 1)] = at
                token, stop = hash_word(data, at, end, table)
                at = next_word(data, stop, end, table)
                rolling = _rolled(rolling, token, ring, words)
                words += 1
                if words >= GRAM:
                    gram = _mixed(rolling)
                    bit = np.uint64(gram) >> shift
                    if marks[bit >> np.uint64(6)] >> (bit & np.uint64(63)) & np.uint64(1):
                        found = _find(hashes, gram)
                        if found >= 0:
                            first, last = firsts[found], firsts[found + 1]
            if first == last and not running:
                continue
            # Open runs and rows are sorted by item and position: what meets goes on, the rest ends.
            kept, run = 0, 0
            for row in range(first, last):
                item, position = items[row], positions[row]
                while run < running and (
                    open_[run, _ITEM] < item
                    or (open_[run, _ITEM] == item and open_[run, _NEXT] < position)
                ):
                    out = _room(out, size)
                    out[size] = open_[run]
                    out[size, _NEXT] = text
                    size, run = size + 1, run + 1
                other = _room(other, kept)
                if run < running and open_[run, _ITEM] == item and open_[run, _NEXT] == position:
                    other[kept] = open_[run]
                    other[kept, _WORDS] += 1
                    run += 1
                else:
                    other[kept, _ITEM], other[kept, _START] = item, began[words & (GRAM - 1)]
                    other[kept, _WORDS], other[kept, _FIRST] = GRAM, position
                other[kept, _NEXT], other[kept, _END] = position + 1, stop
                kept += 1
            for rest in range(run, running):
                out = _room(out, size)
                out[size] = open_[rest]
                out[size, _NEXT] = text
                size += 1
            open_, other, running = other, open_, kept
    return out[:size].copy()


@dataclass(frozen=True)
class Item:
    """An item of an evaluation set, as tables name it."""

    set: str
    name: str
    words: int
    ngram: int
    """The n of GPT-3's rule for its set."""
    template: int = 0
    """GRAM-grams of it that are left out, because more than SHARED items of the set have them."""


ITEM_COLUMNS = ("set", "item", "words", "ngram", "template")
"""The columns of LISTED_ITEMS that an Item has, in its order."""


@dataclass(frozen=True)
class Indexed:
    """The items of evaluation sets: rows of LISTED_ITEMS and ITEM_NGRAMS."""

    items: pa.Table
    ngrams: pa.Table


def index_items(
    sets: Sequence[tuple[str, Sequence[str], Sequence[str]]], normalization: Normalization = NFC
) -> Indexed:
    """The GRAM-grams of all items. sets: name, the items' names, their texts."""
    rows: list[tuple[int, int, str, str, int, int, int]] = []
    parts: list[tuple[Ints, Ints, Ints]] = []
    for name, names, texts in sets:
        data, offsets = arrow_buffers(normalization.texts(pa.array(texts, pa.large_string())))
        table = table_for(data)
        counts = word_counts(data, offsets, table)
        ngram = ngram_of(counts)
        base = len(rows)
        grams, text, position = gram_hashes(data, offsets, table)
        common = _in_many(grams, text)
        template = np.bincount(text[common], minlength=len(names))
        numbered = enumerate(zip(names, counts.tolist(), template.tolist(), strict=True), base)
        rows += [(0, number, name, item, words, ngram, t) for number, (item, words, t) in numbered]
        parts.append((grams[~common], text[~common] + base, position[~common]))
    columns = [np.concatenate(one) for one in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")  # they come by text and position
    ngrams = [np.zeros(order.size, dtype=np.int64), *(one[order] for one in columns)]
    return Indexed(
        _table(LISTED_ITEMS.schema, zip(*rows, strict=True)),
        _table(ITEM_NGRAMS.schema, ngrams),
    )


def _table(schema: pa.Schema, columns: Any) -> pa.Table:
    arrays = [pa.array(one, kind) for one, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def ngram_of(words: Ints) -> int:
    """The n of GPT-3's rule for a set whose items have so many words (int64[n])."""
    fifth = int(np.percentile(words, 5, method="lower")) if words.size else LONGEST
    return min(max(fifth, GRAM), LONGEST)


def _in_many(grams: Ints, text: Ints) -> NDArray[np.bool_]:
    """Which of these are in more than SHARED texts; they come by text."""
    order = np.argsort(grams, kind="stable")
    sorted_, own = grams[order], text[order]
    fresh = np.ones(order.size, dtype=np.bool_)
    fresh[1:] = (np.diff(sorted_) != 0) | (np.diff(own) != 0)
    values, counts = np.unique(sorted_[fresh], return_counts=True)
    return np.isin(grams, values[counts > SHARED])


class Index:
    """The items that are looked for, as kernels take them."""

    def __init__(self, items: Sequence[pa.RecordBatch], ngrams: Sequence[pa.RecordBatch]) -> None:
        self.items = {
            number: Item(*rest)
            for batch in items
            for number, *rest in tuples_of(batch, "number", *ITEM_COLUMNS)
        }
        rows = pa.Table.from_batches(ngrams, ITEM_NGRAMS.schema)
        grams, self._items, self._positions = (
            rows[name].combine_chunks().to_numpy() if len(rows) else np.empty(0, dtype=np.int64)
            for name in ("hash", "number", "position")
        )
        begins = np.flatnonzero(np.diff(grams, prepend=~grams[:1]))
        self._hashes = grams[begins]
        self._firsts = np.append(begins, grams.size)
        self._bits = max(6, int(_FILTER_BITS * max(1, begins.size) - 1).bit_length())
        self._marks = filter_of(self._hashes, self._bits)

    def common(self, data: Bytes, offsets: Ints) -> Ints:
        """As `common_passages`."""
        return common_passages(
            data, offsets, table_for(data), self._marks, self._bits, self._hashes, self._firsts,
            self._items, self._positions,
        )  # fmt: skip


_known: dict[str, Index] = {}
_lock = threading.Lock()


def _index_of(items: list[pa.RecordBatch], ngrams: list[pa.RecordBatch]) -> Index:
    """The index of these rows. A process that runs several tasks makes it once."""
    digest = xxhash.xxh3_128()
    for batch in (*items, *ngrams):
        for column in batch.columns:
            digest.update(len(column).to_bytes(8, "big"))
            if pa.types.is_int64(column.type):
                digest.update(column.to_numpy())
            else:
                digest.update("\0".join(column.to_pylist()).encode())
    with _lock:
        if digest.hexdigest() not in _known:
            _known.clear()
            _known[digest.hexdigest()] = Index(items, ngrams)
        return _known[digest.hexdigest()]


def covered(passages: Sequence[tuple[int, int]]) -> int:
    """How many words the union of passages (first position, words) has."""
    reached = total = 0
    for first, words in sorted(passages):
        total += max(0, first + words - max(first, reached))
        reached = max(reached, first + words)
    return total


def is_contaminated(rule: Rule, item: Item, passages: Sequence[tuple[int, int]]) -> bool:
    """Whether an item is contaminated by passages (first position, words) that it shares with one
    document; for llama2 with any.
    """
    if rule == "gpt3":
        return max(words for _, words in passages) >= item.ngram
    if rule == "llama2":
        long = [one for one in passages if one[1] >= LLAMA]
        return covered(long) >= DIRTY * item.words
    return covered(passages) > MOST * item.words


@dataclass(frozen=True)
class FindContamination(PlainStage):
    """Texts to CONTAMINATION, to CONTAMINATED, and to the rows that `ItemOverlaps` adds up.

    LISTED_ITEMS and ITEM_NGRAMS are read whole, before any text.
    """

    rule: Rule = "gpt3"
    action: str = "report"
    normalization: Normalization = NFC

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        LISTED_ITEMS.name: LISTED_ITEMS.schema,
        ITEM_NGRAMS.name: ITEM_NGRAMS.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "contamination": CONTAMINATION.schema,
        "contaminated": CONTAMINATED.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        tables: dict[str, list[pa.RecordBatch]] = {LISTED_ITEMS.name: [], ITEM_NGRAMS.name: []}
        index: Index | None = None
        for tag, batch in tagged:
            if tag in tables:
                tables[tag].append(batch)
                continue
            index = index or _index_of(*tables.values())
            rows = list(self._rows(index, batch))
            yield "contamination", _batch(CONTAMINATION.schema, rows)
            yield "contaminated", _flagged((row[0], *row[4:6]) for row in rows if row[8])

    def _rows(self, index: Index, batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
        texts = self.normalization.texts(batch["text"])
        data, offsets = arrow_buffers(texts)
        found = index.common(data, offsets)
        found = found[np.lexsort((found[:, 3], found[:, 2], found[:, 0], found[:, 1]))]
        docs = batch["doc"]
        bounds = np.flatnonzero(np.diff(found[:, 1], prepend=-1, append=-1))
        for begin, stop in pairwise(bounds.tolist()):
            own, text = found[begin:stop], int(found[begin, 1])
            doc, base = docs[text].as_py(), int(offsets[text])
            ends = np.unique(own[:, 2:4]) - base
            chars = dict(zip(ends.tolist(), chars_at(data, base, ends).tolist(), strict=True))
            where = self._back(batch["text"][text].as_py(), texts[text].as_py())
            for number, rows in groupby(own.tolist(), key=lambda row: row[0]):
                runs, item = list(rows), index.items[number]
                passages = [(first, words) for *_, words, first in runs]
                flagged = is_contaminated(self.rule, item, passages)
                share = min(1.0, covered(passages) / item.words)
                for _, _, start, end, words, first in runs:
                    counts = flagged and words >= self._least(item)
                    place = where(chars[start - base], chars[end - base])
                    yield (
                        doc, number, item.set, item.name, *place, words, first, counts, share,
                        self.action if counts else "keep",
                    )  # fmt: skip

    def _least(self, item: Item) -> int:
        """Words of the shortest passage that the rule looks at."""
        return {"gpt3": item.ngram, "llama2": LLAMA, "olmo": GRAM}[self.rule]

    def _back(self, text: str, compared: str) -> Any:
        """Where a range of the text as it was compared is in the text as it is."""
        if text == compared:
            return lambda start, end: (start, end)
        _, starts, ends = self.normalization.aligned(text)
        return lambda start, end: (starts[start], ends[end - 1])


def _batch(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else [[]] * len(schema)
    arrays = [pa.array(one, kind) for one, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _flagged(rows: Iterable[tuple[int, int, int]]) -> pa.RecordBatch:
    """Passages (doc, start, end), each once."""
    return _batch(CONTAMINATED.schema, sorted(set(rows)))


@dataclass(frozen=True)
class Contaminated(PlainStage):
    """Rows of CONTAMINATION to CONTAMINATED: what `FindContamination` wrote beside it."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {CONTAMINATION.name: CONTAMINATION.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"contaminated": CONTAMINATED.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        last: tuple[int, int, int] | None = None
        for _, batch in tagged:  # sorted by document and place
            rows = [
                (doc, start, end)
                for doc, start, end, counts in tuples_of(
                    batch, "doc", "start", "end", "contaminated"
                )
                if counts and (doc, start, end) != last
            ]
            last = rows[-1] if rows else last
            yield "contaminated", _flagged(rows)


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
    """What each item shares with all documents: LISTED_ITEMS and CONTAMINATION to
    EVALUATION_ITEMS.
    """

    rule: Rule = "gpt3"

    key: ClassVar[tuple[str, ...]] = ("number",)
    order: ClassVar[tuple[str, ...]] = ()  # a union has none
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "items": LISTED_ITEMS.schema,
        "found": CONTAMINATION.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"items": EVALUATION_ITEMS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        items: dict[int, Item] = {}
        passages: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for tag, batch in tagged:
            if tag == "items":
                rows_ = tuples_of(batch, "number", *ITEM_COLUMNS)
                items |= {number: Item(*rest) for number, *rest in rows_}
                continue
            for number, doc, first, words in tuples_of(
                batch, "number", "doc", "item_start", "words"
            ):
                passages.setdefault(number, {}).setdefault(doc, []).append((first, words))
        rows = [self._row(number, item, passages.get(number, {})) for number, item in items.items()]
        yield "items", _batch(EVALUATION_ITEMS.schema, rows)

    def _row(
        self, number: int, item: Item, by_doc: Mapping[int, list[tuple[int, int]]]
    ) -> tuple[Any, ...]:
        everywhere = [one for own in by_doc.values() for one in own]
        long = [one for one in everywhere if one[1] >= LLAMA]
        whole = max(1, item.words)
        most = max((covered(own) for own in by_doc.values()), default=0)
        longest = max((words for _, words in everywhere), default=0)
        if self.rule == "llama2":
            contaminated = bool(long) and covered(long) >= DIRTY * item.words
        else:
            contaminated = any(is_contaminated(self.rule, item, own) for own in by_doc.values())
        return (
            0, number, item.set, item.name, item.words, item.ngram, item.template, len(by_doc),
            longest, covered(everywhere) / whole, covered(long) / whole, most / whole,
            contaminated,
        )  # fmt: skip
