"""Duplicate passages: substrings of at least `min_bytes` bytes that occur more than once.

`dedup.passages` says exactly what is found. Two methods find it: `dedup.anchors` (the default) and
`dedup.suffix_array`; their answers are the same. On lists of strings:

>>> duplicate_spans([licence, licence + notes], min_bytes=100).to_pylist()
[{'doc': 1, 'start': 0, 'end': 1068, 'witness': 0, 'witness_start': 0, 'witness_end': 1068,
  'occurrences': 2}]

For the engines the same is a chain of stages:

    text → the stages of dedup.repeats → copies, ambiguous copies; witnesses
    text beside both copies → Spans → spans, uncut; claims → Remainder → remainder

With method "suffix-array" the first line is: text → Everything → SuffixArray → copies. Where a
document has other offsets than its compared text, Spans → WitnessRanges → spans, uncut, claims.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from unrote.corpus.kernel import kernel
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import COPIES, DUPLICATES, SPANS, TEXT, UNCUT, WITNESSES, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers
from unrote.corpus.texts import Texts, text_array
from unrote.dedup.alignment import Alignment, Compared
from unrote.dedup.boundaries import BOUNDARIES
from unrote.dedup.groups import batch_of, column, grown, starts
from unrote.dedup.passages import (
    CUT_COLUMNS,
    CUT_END,
    CUT_FROM,
    CUT_START,
    CUT_UNTIL,
    CUT_WITNESS,
    DOC,
    FIRST_BYTE,
    IS_CUT,
    LAST_BYTE,
    START,
    WITNESS,
    cut,
    locate,
    merge_windows,
    word_classes,
)
from unrote.dedup.repeats import (
    AMBIGUOUS_COPIES,
    alignments,
    copies_batch,
    with_rows,
    witness_rows,
)
from unrote.dedup.search import Method, char_index, duplicate_windows, find
from unrote.dedup.words import SPACE, decode, table_for

__all__ = ["duplicate_spans", "duplicate_windows"]

Boundary = Literal["structure", "line", "word", "character"]


def duplicate_spans(
    texts: Texts,
    *,
    min_bytes: int = 100,
    method: Method = "anchors",
    boundary: Boundary = "structure",
    min_words: int = 0,
    workers: int | None = None,
    memory: int | None = None,
    normalization: Normalization = NFC,
) -> pa.Table:
    """Passages of `texts` that occur earlier in them.

    texts: strings, or Arrow strings (not copied).
    min_bytes: least length, in UTF-8 bytes of the texts as they are compared (16 to 16384).
    method, boundary, min_words: see `dedup.passages` and, for boundary "structure",
    `dedup.boundaries`; the methods' answers are the same.
    workers: threads, None is one for each core.
    memory: bytes that the anchors may take beside the text; where that is not enough they are
    found and compared range of hashes by range of hashes. None: as many as they need, about 2.5
    bytes for each byte of text with min_bytes=100.
    normalization: the form in which texts are compared (corpus.normalization).

    Returns `corpus.schema.SPANS`: `doc` and `witness` are indices of `texts`, offsets code points.
    Raises ValueError for a setting that is not allowed, TypeError for texts that are no strings.
    """
    if boundary not in BOUNDARIES:
        raise ValueError(f"boundary is {boundary!r}; it must be one of {', '.join(BOUNDARIES)}")
    compared = Compared(normalization, text_array(texts))
    data, offsets = arrow_buffers(compared.texts)
    classes = word_classes(not len(data) or int(data.max()) < 128)
    inner = compared.inner(compared.changed)

    def finish(rows: np.ndarray) -> np.ndarray:
        rule = BOUNDARIES[boundary]
        return cut(data, offsets, rows, min_bytes, rule, min_words, classes, inner)

    found = find(data, offsets, min_bytes, method, workers, memory, finish)
    cuts = np.concatenate([np.empty((0, CUT_COLUMNS), dtype=np.int64), *found])
    cuts = cuts[cuts[:, IS_CUT] != 0]
    for index in np.intersect1d(cuts[:, CUT_WITNESS], compared.changed).tolist():
        own, alignment = cuts[:, CUT_WITNESS] == index, compared.alignment(index)
        cuts[own, CUT_FROM] = alignment.places_of(cuts[own, CUT_FROM])
        cuts[own, CUT_UNTIL] = alignment.ends_of(cuts[own, CUT_UNTIL])
    _in_input(compared, cuts)
    return pa.table([np.ascontiguousarray(cuts[:, i]) for i in range(7)], schema=SPANS.schema)


def _in_input(compared: Compared, cuts: np.ndarray) -> None:
    """Make the offsets of passages, not of witnesses, those of the input's texts."""
    doc = cuts[:, DOC]
    cuts[:, [FIRST_BYTE, LAST_BYTE]] += compared.shifts[doc][:, np.newaxis]
    for index in np.intersect1d(doc, compared.changed).tolist():
        own = slice(*np.searchsorted(doc, (index, index + 1)))
        for char, byte in ((CUT_START, FIRST_BYTE), (CUT_END, LAST_BYTE)):
            cuts[own, char], cuts[own, byte] = compared.in_input(index, cuts[own, char])


EVERYTHING = pa.schema([("all", pa.int64()), ("doc", pa.int64()), ("text", pa.string())])

CLAIMS = pa.schema([(name, pa.int64()) for name in ("doc", "kind", "start", "end")])
"""Claims decide whether a document is removed because too little of it remains. `kind` 0: it is a
candidate with `start` remaining characters; 1: a cut of a candidate; 2: a witness range in it. Code
points."""

_CANDIDATE, _CUT, _WITNESS = range(3)
_BATCH_ROWS = 1 << 17  # in a batch of copies: 7 MiB


@dataclass(frozen=True)
class Everything(PlainStage):
    """Gives all documents, as they are compared, one key, so that `SuffixArray` sees them together;
    and the alignments of those that have some.
    """

    normalization: Normalization = NFC

    version: ClassVar[int] = 2
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "everything": EVERYTHING,
        "witnesses": WITNESSES.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            compared = Compared(self.normalization, batch.column("text"))
            yield from alignments(column(batch, "doc"), compared)
            key = pa.array(np.zeros(batch.num_rows, dtype=np.int64))
            columns = [key, batch.column("doc"), compared.texts]
            yield "everything", pa.RecordBatch.from_arrays(columns, schema=EVERYTHING)


@dataclass(frozen=True)
class SuffixArray(PlainStage):
    """Copies by one suffix array over all text, in memory: about 28 bytes for each byte of it."""

    min_bytes: int = 100

    key: ClassVar[tuple[str, ...]] = ("all",)
    order: ClassVar[tuple[str, ...]] = ("doc",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"everything": EVERYTHING}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"copies": COPIES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        from unrote.dedup.suffix_array import copied_windows  # noqa: PLC0415 - rarely used

        batches = [batch for _, batch in tagged if batch.num_rows]
        if not batches:
            return
        docs = np.concatenate([column(batch, "doc") for batch in batches])
        text = pa.chunked_array([batch.column("text") for batch in batches])
        del batches
        data, offsets = arrow_buffers(text_array(text))
        del text
        rows = copied_windows(data, offsets, self.min_bytes)
        index = char_index(data, map)
        for at in range(0, len(rows), _BATCH_ROWS):
            part = locate(data, offsets, rows[at : at + _BATCH_ROWS], index, self.min_bytes)
            part[:, START] -= offsets[part[:, DOC]]
            part[:, DOC], part[:, WITNESS] = docs[part[:, DOC]], docs[part[:, WITNESS]]
            yield "copies", copies_batch(part)


@dataclass(frozen=True)
class Spans(PlainStage):
    """Passages that are cut and that are not, and the claims that decide if a document is kept."""

    min_bytes: int = 100
    boundary: Boundary = "structure"
    min_words: int = 0
    min_remaining: int = 0
    action: Literal["cut", "report"] = "cut"
    causal: bool = False
    """Whether later documents have no say in what becomes of one: a document goes as a remainder
    though they are copies of white space that is left of it."""
    normalization: Normalization = NFC
    aligned: bool = False
    """Whether some document has other offsets than its compared text: passages are rows of
    WITNESSES then, for `WitnessRanges`."""

    version: ClassVar[int] = 3
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        COPIES.name: COPIES.schema,
        AMBIGUOUS_COPIES.name: COPIES.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "spans": SPANS.schema,
        "uncut": UNCUT.schema,
        "claims": CLAIMS,
        "witnesses": WITNESSES.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        for batch, beside in with_rows(tagged):
            docs = column(batch, "doc")
            compared = Compared(self.normalization, batch.column("text"))
            found = self._found(compared, docs, beside)
            if not len(found):
                continue
            _in_input(compared, found)
            if self.action == "cut":
                data, offsets = arrow_buffers(batch.column("text"))
                claims = self._claims(data, offsets, docs, found[found[:, IS_CUT] != 0])
                yield "claims", batch_of(CLAIMS, np.ascontiguousarray(claims.T))
            rows = _passages(found, docs)
            if self.aligned:
                yield "witnesses", witness_rows(rows, [None] * len(rows))
            else:
                yield from _of_passages(rows, self.claims_witnesses)

    @property
    def claims_witnesses(self) -> bool:
        """Whether the range of a witness has a say in what becomes of the document."""
        return self.action == "cut" and not self.causal

    def _found(self, compared: Compared, docs: np.ndarray, beside: pa.RecordBatch) -> np.ndarray:
        """The passages that are cut and those that are not, as `cut` gives them."""
        data, offsets = arrow_buffers(compared.texts)
        rows = np.stack([column(beside, name) for name in COPIES.schema.names], axis=1)
        rows[:, DOC] = np.searchsorted(docs, rows[:, DOC])
        rows[:, START] += offsets[rows[:, DOC]]
        rows = rows[np.argsort(rows[:, START], kind="stable")]
        inner = compared.inner(rows[:, DOC])
        rows = merge_windows(data, offsets, rows, docs, offsets, self.min_bytes)
        classes = word_classes(not len(data) or int(data.max()) < 128)
        boundary = BOUNDARIES[self.boundary]
        return cut(data, offsets, rows, self.min_bytes, boundary, self.min_words, classes, inner)

    def _claims(
        self, data: np.ndarray, offsets: np.ndarray, docs: np.ndarray, cuts: np.ndarray
    ) -> np.ndarray:
        """Claims of the documents of which too little remains, and of their cuts."""
        remaining = _remaining(data, offsets, cuts, table_for(data))
        few = (remaining >= 0) & (remaining < max(1, self.min_remaining))
        index = np.flatnonzero(few)
        candidates = np.zeros((len(index), 4), dtype=np.int64)
        candidates[:, 0], candidates[:, 2] = docs[index], remaining[index]
        of_these = few[cuts[:, DOC]]
        own = cuts[of_these]
        kind = np.full((len(own), 1), _CUT)
        cut_rows = np.hstack((docs[own[:, :1]], kind, own[:, 1:3]))
        return np.concatenate((candidates, cut_rows))


_ROLES = _SPAN, _UNCUT = 1, 2
_ROLE, _FROM, _UNTIL = (
    WITNESSES.schema.names.index(name) for name in ("role", "witness_start", "witness_end")
)


def _passages(found: np.ndarray, docs: np.ndarray) -> np.ndarray:
    """Rows of WITNESSES but their last column: int64[n, k].

    found: as `cut` gives them, with offsets of the input.
    """
    uncut = found[:, IS_CUT] == 0
    first, last = found[uncut, FIRST_BYTE], found[uncut, LAST_BYTE]
    ends = np.maximum.accumulate(np.append(0, last))
    fresh = np.zeros(len(found), dtype=np.int64)
    fresh[uncut] = np.maximum(0, last - np.maximum(first, ends[:-1]))
    role = np.where(uncut, _UNCUT, _SPAN)
    start, end, witness, from_, until, occurrences = found[:, 1:7].T
    columns = (docs[found[:, DOC]], witness, role, start, end, from_, until, occurrences, fresh)
    return np.stack(columns, axis=1)


def _of_passages(rows: np.ndarray, claim: bool) -> Tagged:
    """Rows of SPANS and UNCUT of passages as `_passages` gives them, witnesses in the input's text.

    claim: whether the witnesses of those that are cut are claims.
    """
    for role, tag, schema in zip(_ROLES, ("spans", "uncut"), (SPANS, UNCUT), strict=True):
        own = rows[rows[:, _ROLE] == role]
        if len(own):
            at = [WITNESSES.schema.names.index(name) for name in schema.schema.names]
            yield tag, batch_of(schema.schema, np.ascontiguousarray(own[:, at].T))
        if role == _SPAN and claim and len(own):
            kind = np.full(len(own), _WITNESS)
            claims = np.stack((own[:, 1], kind, own[:, _FROM], own[:, _UNTIL]), axis=1)
            yield "claims", batch_of(CLAIMS, np.ascontiguousarray(_distinct(claims).T))


@dataclass(frozen=True)
class WitnessRanges(PlainStage):
    """Where witnesses are in the input's text: rows of WITNESSES to SPANS, UNCUT and claims.

    claim: whether the witnesses of passages that are cut are claims. Holds the alignment of the
    open witness.
    """

    claim: bool = True

    key: ClassVar[tuple[str, ...]] = ("witness",)
    order: ClassVar[tuple[str, ...]] = ("role",)
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"witnesses": WITNESSES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "spans": SPANS.schema,
        "uncut": UNCUT.schema,
        "claims": CLAIMS,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        open_: tuple[int, Alignment] | None = None
        for _, batch in tagged:
            names = WITNESSES.schema.names[:-1]
            rows = np.stack([column(batch, name) for name in names], axis=1)
            known = [open_] if open_ is not None else []
            for i in np.flatnonzero(rows[:, _ROLE] == 0).tolist():
                numbers = batch.column("alignment")[i].values.to_numpy()
                known.append((int(rows[i, 1]), Alignment.read(numbers)))
            for witness, alignment in known:
                own = slice(*np.searchsorted(rows[:, 1], (witness, witness + 1)))
                rows[own, _FROM] = alignment.places_of(rows[own, _FROM])
                rows[own, _UNTIL] = alignment.ends_of(rows[own, _UNTIL])
            open_ = known[-1] if known else None
            yield from _of_passages(rows, self.claim)


def _distinct(claims: np.ndarray) -> np.ndarray:
    """Each claim once: many cuts have the same witness where a text was copied often."""
    claims = claims[np.lexsort((claims[:, 3], claims[:, 2], claims[:, 0]))]
    return claims[starts([claims[:, i] for i in (0, 2, 3)], None)]


@kernel
def _remaining(
    data: np.ndarray, offsets: np.ndarray, cuts: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """Remaining characters of each document, white space not counted: int64; -1 without cuts."""
    out = np.full(len(offsets) - 1, -1, dtype=np.int64)
    a = 0
    while a < len(cuts):
        doc = cuts[a, DOC]
        at, end, left = offsets[doc], offsets[doc + 1], 0
        while a <= len(cuts):
            own = a < len(cuts) and cuts[a, DOC] == doc
            stop = cuts[a, FIRST_BYTE] if own else end
            while at < stop:
                code, size = decode(data, at, end)
                left += (table[code] & SPACE) == 0
                at += size
            if not own:
                break
            at = max(at, cuts[a, LAST_BYTE])
            a += 1
        out[doc] = left
    return out


@dataclass(frozen=True)
class Remainder(PlainStage):
    """Documents emptied by cuts: too little remains of them, and it is no document's witness.

    Holds the cuts of the open document, those that touch as one, if it is a candidate.
    """

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("kind", "start", "end")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"claims": CLAIMS}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"remainder": DUPLICATES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        state = np.array([-1, 0, 0, 0])
        cuts = np.empty((64, 2), dtype=np.int64)
        for _, batch in tagged:
            rows = np.stack([column(batch, name) for name in CLAIMS.names], axis=1)
            cuts = grown(cuts, int(state[_HELD]) + len(rows))
            yield from self._removed(_unclaimed(rows, state, cuts))
        if state[_STANDS]:
            yield from self._removed(state[:1])

    @staticmethod
    def _removed(docs: np.ndarray) -> Tagged:
        if len(docs):
            nothing = pa.nulls(len(docs))
            reasons = pa.repeat(pa.scalar("remainder"), len(docs))
            columns = [pa.array(docs), reasons, nothing.cast(pa.int64())]
            columns.append(nothing.cast(pa.float64()))
            yield "remainder", pa.RecordBatch.from_arrays(columns, schema=DUPLICATES.schema)


# What is known of the open document: its key, whether it is a candidate that nothing has claimed so
# far, how many ranges are cut from it, and which of these the witness ranges have reached.
_OPEN, _STANDS, _HELD, _REACHED = range(4)


@kernel
def _unclaimed(rows: np.ndarray, state: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The candidates whose witness ranges, if any, lie within their cuts.

    rows: CLAIMS, sorted; cuts: room for those of the open document. The last document stays open.
    """
    out = np.empty(len(rows), dtype=np.int64)
    used = 0
    for i in range(len(rows)):
        kind, start, end = rows[i, 1], rows[i, 2], rows[i, 3]
        if rows[i, 0] != state[_OPEN]:
            if state[_STANDS]:
                out[used] = state[_OPEN]
                used += 1
            state[_OPEN], state[_STANDS] = rows[i, 0], kind == _CANDIDATE
            state[_HELD] = state[_REACHED] = 0
        elif state[_STANDS] and kind == _CUT:
            last = state[_HELD] - 1
            if last >= 0 and start <= cuts[last, 1]:
                cuts[last, 1] = max(cuts[last, 1], end)
            else:
                cuts[last + 1, 0], cuts[last + 1, 1] = start, end
                state[_HELD] += 1
        elif state[_STANDS]:
            at = state[_REACHED]
            while at + 1 < state[_HELD] and cuts[at + 1, 0] <= start:
                at += 1
            state[_REACHED] = at
            state[_STANDS] = at < state[_HELD] and cuts[at, 0] <= start and end <= cuts[at, 1]
    return out[:used]
