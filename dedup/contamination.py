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
    ITEM_TEXTS,
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
def gram_hashes(data: Bytes, offsets: Ints, table: Table) -> tuple[Ints, Ints]:
    """The hashes of the GRAM-grams of texts, int64[k], in their order, and how many words each text
    has, int64[n]: a text of w words has w - GRAM + 1 of them, if that is more than 0.
    """
    ring = np.zeros(GRAM, dtype=np.uint64)
    counts = np.zeros(offsets.size - 1, dtype=np.int64)
    out = np.empty(data.size // 2 + 1, dtype=np.int64)  # a word takes a byte, and one beside it
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
                out[size] = _mixed(gram)
                size += 1
        counts[text] = words
    return out[:size], counts


@kernel
def crowded(hashes: Ints, bits: Int, limit: Int) -> NDArray[np.bool_]:
    """Which of these share a slot of 2**bits (by their leading bits) with more than `limit`, below
    255, that are here: all that are here more often than that are among them.
    """
    shift, slots = np.uint64(64 - bits), np.zeros(np.int64(1) << bits, dtype=np.uint8)
    for i in range(hashes.size):
        slot = np.uint64(hashes[i]) >> shift
        if slots[slot] < 255:
            slots[slot] += 1
    out = np.zeros(hashes.size, dtype=np.bool_)
    for i in range(hashes.size):
        out[i] = slots[np.uint64(hashes[i]) >> shift] > limit
    return out


@kernel
def buckets_of(
    hashes: Ints, left_out: NDArray[np.bool_], words: Ints, bits: Int
) -> tuple[Ints, Ints]:
    """GRAM-grams in buckets by the leading `bits` of their hashes, in each in the order of items.

    hashes, words: of `gram_hashes`. left_out: bool[k]. Returns rows, int64[k', 2]: hash, and item
    << 32 | position; and where the rows of each bucket begin: int64[2**bits + 1].
    """
    shift = np.uint64(64 - bits)
    firsts = np.zeros((np.int64(1) << bits) + 1, dtype=np.int64)
    for i in range(hashes.size):
        if not left_out[i]:
            firsts[np.int64(np.uint64(hashes[i]) >> shift) + 1] += 1
    for bucket in range(1, firsts.size):
        firsts[bucket] += firsts[bucket - 1]
    rows = np.empty((firsts[-1], 2), dtype=np.int64)
    gram: Int = 0
    for item in range(words.size):
        for position in range(words[item] - GRAM + 1):
            if not left_out[gram]:
                own = np.int64(np.uint64(hashes[gram]) >> shift)
                at = firsts[own]
                rows[at, 0], rows[at, 1] = hashes[gram], item << 32 | position
                firsts[own] = at + 1
            gram += 1
    for bucket in range(firsts.size - 1, 0, -1):  # each has moved to where the next one begins
        firsts[bucket] = firsts[bucket - 1]
    firsts[0] = 0
    return rows, firsts


@kernel
def filter_of(rows: Ints, bits: Int) -> Hashes:
    """A Bloom filter of 2**bits words, of which each hash (rows[:, 0]) has one, and in it two bits.

    rows: of `buckets_of`. Returns uint64[2**bits].
    """
    out = np.zeros(np.int64(1) << bits, dtype=np.uint64)
    for i in range(rows.shape[0]):
        value = np.uint64(rows[i, 0])
        out[value >> np.uint64(64 - bits)] |= _two_bits(value)
    return out


@inlined
def _two_bits(value: np.uint64) -> np.uint64:
    first, second = value & np.uint64(63), value >> np.uint64(6) & np.uint64(63)
    return np.uint64(1) << first | np.uint64(1) << second


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
    rows: Ints,
    firsts: Ints,
    bucket_bits: Int,
) -> Ints:
    """The common passages of texts and items.

    marks: of `filter_of` with `bits`; rows, firsts: of `buckets_of` with `bucket_bits`.
    Returns int64[k, 6]: item, text, start byte, end byte (in data), words, and the position in the
    item of its first word.
    """
    ring, began = np.zeros(GRAM, dtype=np.uint64), np.zeros(GRAM, dtype=np.int64)
    open_, other = np.empty((64, 6), dtype=np.int64), np.empty((64, 6), dtype=np.int64)
    out, size, shift = np.empty((64, 6), dtype=np.int64), 0, np.uint64(64 - bits)
    bucket_shift, gram = np.uint64(64 - bucket_bits), np.int64(0)
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
                    marked = _two_bits(np.uint64(gram))
                    if marks[np.uint64(gram) >> shift] & marked == marked:
                        bucket = np.int64(np.uint64(gram) >> bucket_shift)
                        first, last = firsts[bucket], firsts[bucket + 1]
            if first == last and not running:
                continue
            # Open runs and rows are sorted by item and position: what meets goes on, the rest ends.
            kept, run = 0, 0
            for row in range(first, last):
                if rows[row, 0] != gram:
                    continue
                item, position = rows[row, 1] >> 32, rows[row, 1] & 0xFFFFFFFF
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
    index = _index_of(batches)
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


def _in_many(grams: Ints, text: Ints) -> NDArray[np.bool_]:
    """Which of these are in more than SHARED texts; they come by text."""
    order = np.argsort(grams, kind="stable")
    sorted_, own = grams[order], text[order]
    fresh = np.ones(order.size, dtype=np.bool_)
    fresh[1:] = (np.diff(sorted_) != 0) | (np.diff(own) != 0)
    values, counts = np.unique(sorted_[fresh], return_counts=True)
    return np.isin(grams, values[counts > SHARED])


class Index:
    """The GRAM-grams of items, as kernels take them.

    texts: batches of ITEM_TEXTS, in the order of numbers. words: int64[n], of each item; templates:
    int64[n], its GRAM-grams that more than SHARED items of the set have; rows: of `buckets_of`.
    """

    def __init__(self, texts: Sequence[pa.RecordBatch]) -> None:
        found = [_grams(batch) for batch in texts]
        sets = np.concatenate([np.empty(0, dtype=np.int64), *(b["set"].to_numpy() for b in texts)])
        hashes = np.concatenate([np.empty(0, dtype=np.int64), *(grams for grams, _ in found)])
        self.words = np.concatenate([np.empty(0, dtype=np.int64), *(words for _, words in found)])
        bits = max(6, hashes.size.bit_length())
        left_out, self.templates = _templates(hashes, self.words, sets, bits)
        self._bucket_bits = max(1, bits - 2)
        self.rows, self._firsts = buckets_of(hashes, left_out, self.words, self._bucket_bits)
        self._bits = max(1, bits - 2)  # of 64 bits for each four hashes, or fewer
        self._marks = filter_of(self.rows, self._bits)

    def common(self, data: Bytes, offsets: Ints) -> Ints:
        """As `common_passages`."""
        return common_passages(
            data, offsets, table_for(data), self._marks, self._bits, self.rows, self._firsts,
            self._bucket_bits,
        )  # fmt: skip


def _grams(batch: pa.RecordBatch) -> tuple[Ints, Ints]:
    data, offsets = arrow_buffers(batch["text"])
    return gram_hashes(data, offsets, table_for(data))


def _templates(hashes: Ints, words: Ints, sets: Ints, bits: int) -> tuple[NDArray[np.bool_], Ints]:
    """Which GRAM-grams more than SHARED items of a set have, and how many of them each item has."""
    ends = np.cumsum(np.maximum(0, words - GRAM + 1))
    left_out = crowded(hashes, bits, SHARED)
    at = np.flatnonzero(left_out)
    text = np.searchsorted(ends, at, side="right")
    for number in np.unique(sets[text]):
        own = sets[text] == number
        left_out[at[own]] = _in_many(hashes[at[own]], text[own])
    return left_out, np.bincount(text[left_out[at]], minlength=words.size)


_known: dict[str, Index] = {}
_lock = threading.Lock()


def _index_of(texts: Sequence[pa.RecordBatch]) -> Index:
    """The index of these rows of ITEM_TEXTS. A process that runs several tasks makes it once."""
    sizes, content, sets = (xxhash.xxh3_128() for _ in range(3))  # however they are cut
    for batch in texts:
        data, offsets = arrow_buffers(batch["text"])
        sizes.update(np.diff(offsets).data)
        content.update(data[offsets[0] : offsets[-1]].data)
        sets.update(batch["set"].to_numpy())
    digest = f"{sizes.hexdigest()} {content.hexdigest()} {sets.hexdigest()}"
    with _lock:
        if digest not in _known:
            _known.clear()
            _known[digest] = Index(texts)
        return _known[digest]


class Items:
    """The rows of LISTED_ITEMS by number."""

    def __init__(self, rows: Sequence[pa.RecordBatch]) -> None:
        self._rows = pa.Table.from_batches(rows, LISTED_ITEMS.schema).combine_chunks()

    def __getitem__(self, number: int) -> Item:
        return Item(*(self._rows[name][number].as_py() for name in ITEM_COLUMNS))


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

    LISTED_ITEMS and ITEM_TEXTS are read whole, before any text.
    """

    rule: Rule = "gpt3"
    action: str = "report"
    normalization: Normalization = NFC

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        LISTED_ITEMS.name: LISTED_ITEMS.schema,
        ITEM_TEXTS.name: ITEM_TEXTS.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "contamination": CONTAMINATION.schema,
        "contaminated": CONTAMINATED.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        tables: dict[str, list[pa.RecordBatch]] = {LISTED_ITEMS.name: [], ITEM_TEXTS.name: []}
        index: Index | None = None
        items: Items | None = None
        for tag, batch in tagged:
            if tag in tables:
                tables[tag].append(batch)
                continue
            index = index or _index_of(tables[ITEM_TEXTS.name])
            items = items or Items(tables[LISTED_ITEMS.name])
            rows = list(self._rows(index, items, batch))
            yield "contamination", _batch(CONTAMINATION.schema, rows)
            yield "contaminated", _flagged((row[0], *row[4:6]) for row in rows if row[8])

    def _rows(self, index: Index, items: Items, batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
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
                runs, item = list(rows), items[number]
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

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("number",)
    order: ClassVar[tuple[str, ...]] = ()  # a union has none
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        "items": LISTED_ITEMS.schema,
        "found": CONTAMINATION.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"items": EVALUATION_ITEMS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        listed: list[pa.RecordBatch] = []
        passages: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for tag, batch in tagged:
            if tag == "items":
                listed.append(batch)
                continue
            for number, doc, first, words in tuples_of(
                batch, "number", "doc", "item_start", "words"
            ):
                passages.setdefault(number, {}).setdefault(doc, []).append((first, words))
        for batch in listed:
            shared = np.isin(batch["number"].to_numpy(), np.array([*passages], dtype=np.int64))
            yield "items", _nothing_shared(batch.filter(pa.array(~shared)))
            rows = [
                self._row(number, Item(*rest), passages[number])
                for number, *rest in tuples_of(
                    batch.filter(pa.array(shared)), "number", *ITEM_COLUMNS
                )
            ]
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


def _nothing_shared(items: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of EVALUATION_ITEMS for items (LISTED_ITEMS) that share nothing."""
    count, names = items.num_rows, items.schema.names
    columns = [
        items[field.name]
        if field.name in names
        else pa.array(np.zeros(count), pa.float64()).cast(field.type)
        for field in EVALUATION_ITEMS.schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=EVALUATION_ITEMS.schema)
