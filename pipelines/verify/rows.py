"""The input, the documents table and the cleaned shards, walked side by side."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from unrote.pipelines.verify.elsewhere import Elsewhere
from unrote.pipelines.verify.files import check_beside, check_data_files
from unrote.pipelines.verify.findings import changes, check_findings
from unrote.pipelines.verify.layout import ROW_BITS
from unrote.pipelines.verify.leaks import check_leaks
from unrote.pipelines.verify.paths import SEPARATOR, Selected
from unrote.pipelines.verify.readers import (
    Fields,
    guarded,
    opened,
    raw_rows,
    read_fields,
    until_torn,
)
from unrote.pipelines.verify.recall import COMPARED, RELEASED, Sample
from unrote.pipelines.verify.records import Document, ScoredSequence, Shard
from unrote.pipelines.verify.released import Left, Released
from unrote.pipelines.verify.scores import check_scores
from unrote.pipelines.verify.state import Run
from unrote.pipelines.verify.tables import tables_of
from unrote.pipelines.verify.witnesses import check_left


class _Documents:
    """The documents table, walked beside the input."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rows = self._all()
        self._head = next(self._rows, None)

    def _all(self) -> Iterator[Document]:
        for table in tables_of(self._run, "documents"):
            columns = (table[name].to_pylist() for name in Document._fields)
            yield from map(Document._make, zip(*columns, strict=True))

    def take(self, doc: int) -> Document | None:
        """The row of `doc`, if there is one. Rows before it have no document."""
        while self._head is not None and self._head.doc < doc:
            self._run.tally["rows"].fail(
                "%s is not in the input", self._run.name_of(self._head.doc)
            )
            self._head = next(self._rows, None)
        if self._head is None or self._head.doc > doc:
            return None
        found, self._head = self._head, next(self._rows, None)
        return found


class _Scores:
    """The scores table, walked beside the input."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rows = self._all()
        self._head = next(self._rows, None)

    def _all(self) -> Iterator[ScoredSequence]:
        for table in tables_of(self._run, "scores"):
            for batch in table.select(ScoredSequence._fields).to_batches(max_chunksize=4096):
                columns = (column.to_pylist() for column in batch.columns)
                yield from map(ScoredSequence._make, zip(*columns, strict=True))

    def take(self, doc: int) -> list[ScoredSequence]:
        """The rows of `doc`. Rows before them have no document."""
        found = []
        while self._head is not None and self._head.doc <= doc:
            if self._head.doc == doc:
                found.append(self._head)
            else:
                name = self._run.name_of(self._head.doc)
                self._run.tally["scores"].fail("%s has scores and is no document", name)
            self._head = next(self._rows, None)
        return found


class _Values:
    """The values table, walked beside the input."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._asked = any(one.several for one in (run.rules.text, *run.rules.columns))
        self._rows = self._all()
        self._head = next(self._rows, None)

    def _all(self) -> Iterator[tuple[int, ...]]:
        for table in tables_of(self._run, "values"):
            for batch in table.to_batches(max_chunksize=4096):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def check(self, doc: int, fields: Fields) -> None:
        """Expect the rows of the next document."""
        if not self._asked:
            return
        found = []
        while self._head is not None and self._head[0] <= doc:
            found.append(self._head)
            self._head = next(self._rows, None)
        rules = self._run.rules
        texts = (fields.text, *fields.columns)
        both = zip((rules.text, *rules.columns), texts, strict=False)  # a text file has no columns
        expected: list[tuple[int, ...]] = []
        for field, (one, text) in enumerate(both):
            start = 0
            values = text.split(SEPARATOR) if text is not None and one.several else ()
            for number, value in enumerate(values):
                expected.append((doc, field, number, start, start + len(value)))
                start += len(value) + 1
        if found != expected:
            name = self._run.name_of(doc)
            self._run.tally["documents"].fail("%s has other values in the input", name)

    def finish(self) -> None:
        if self._head is not None:
            self._run.tally["documents"].fail("there are values of what is no document")


class _Beside(NamedTuple):
    """The tables that are walked beside the input."""

    documents: _Documents
    scores: _Scores
    values: _Values
    sample: Sample | None
    """Is given the released documents that it wants."""
    elsewhere: Elsewhere | None
    """Is given all released documents."""


def check_rows(run: Run, sample: Sample | None = None, elsewhere: Elsewhere | None = None) -> None:
    """Walk through the input, the documents table and the cleaned shards side by side.

    sample: is given the released documents that it wants. elsewhere: is given all of them.
    """
    released = check_data_files(run)
    check_beside(run)
    beside = _Beside(_Documents(run), _Scores(run), _Values(run), sample, elsewhere)
    total, done = sum(shard.size for shard in run.shards.values()), 0
    for shard in sorted(run.shards.values(), key=lambda shard: shard.number):
        _check_shard(run, shard, beside, shard.number in released)
        done += shard.size
        run.progress("rows", done, total)
    beside.documents.take(1 << 63)
    beside.scores.take(1 << 63)
    beside.values.finish()


def _check_shard(run: Run, shard: Shard, beside: _Beside, released: bool) -> None:
    """Every row of a shard is a document or a reject, and the cleaned shard holds what was kept."""
    readable = until_torn(raw_rows(shard, opened(shard.url)))
    rows = guarded(readable, run.tally["input"], shard.name)
    rejects = set(run.rejects.get(shard.number, ()))
    with contextlib.ExitStack() as stack:
        output: Iterator[Any] = iter(())
        if released:
            path = f"data/{shard.name}"
            lines = raw_rows(shard, run.open(path))
            output = stack.enter_context(
                contextlib.closing(guarded(lines, run.tally["data files"], path))
            )
        left = Released(shard, output, run.tally)
        for number, raw in enumerate(rows):
            document = beside.documents.take(shard.number << ROW_BITS | number)
            rejected = number in rejects
            rejects.discard(number)
            # A document that a detector rejects is both, one at risk of memorization, one that an
            # index was told to forget, and one that contaminates an evaluation set.
            rejects_later = run.rules.pii or run.rules.action == "remove-document"
            both = rejected and (rejects_later or run.rules.index or run.rules.decontaminates)
            run.tally["rows"].expect(
                rejected == (document is None) or both,
                "%s#%d is %s",
                shard.name,
                number,
                "both a document and a reject" if rejected else "neither a document nor a reject",
            )
            if document is not None:
                _check_document(run, shard, document, raw, beside, left)
        left.finish()
    for number in sorted(rejects):
        run.tally["rows"].fail("%s#%d was rejected but is not in the input", shard.name, number)


def _check_document(
    run: Run,
    shard: Shard,
    document: Document,
    raw: Any,
    beside: _Beside,
    released: Released,
) -> None:
    """released: what is in the cleaned shard."""
    number = document.doc & ((1 << ROW_BITS) - 1)
    doc, fields = document.doc, read_fields(raw, shard, run.rules)
    text, scores = fields.text, beside.scores.take(doc)
    beside.values.check(doc, fields)
    if text is None:
        run.tally["documents"].expect(False, "%s has no readable text", run.name_of(doc))
        return
    _check_row(run, shard, document, fields, text)
    if doc in run.referenced:
        run.known.add(doc)
        run.texts.add(doc, text)
    check_left(run, doc, text)
    is_reject = run.rejected(doc)
    if is_reject and (
        any(one.action == "remove-document" for one in scores) or doc in run.contaminating
    ):
        run.refused.add(doc)
    rejected = is_reject and doc not in run.refused
    changed = [f for f in run.findings.get(doc, ()) if f.field == 0 and changes(f)]
    if changed:
        run.altered.add(doc)
    check_scores(run, doc, text, scores, rejected, changed)
    at_risk = [(one.start, one.end) for one in scores if one.action == "remove-sequence"]
    at_risk += run.contaminated.pop(doc, ())
    left = check_findings(run, document, fields, rejected, at_risk)
    if run.reason(doc) is not None:
        return
    sample = beside.sample
    wanted = sample if sample is not None and not is_reject and sample.holds(doc) else None
    if not run.rules.data:
        if wanted:
            wanted.add(doc, text, COMPARED)
    elif is_reject:
        released.skip(number, raw, left)
    else:
        there = released.take(number, raw, left)
        _look_for_leaks(run, doc, left, beside.elsewhere)
        if wanted:
            _sample(wanted, doc, text, read_fields(there, shard, run.rules).text)


def _check_row(run: Run, shard: Shard, document: Document, fields: Fields, text: str) -> None:
    """The row of the documents table, against what the input has."""
    doc, number = document.doc, document.doc & ((1 << ROW_BITS) - 1)
    expected = Document(
        doc,
        f"{shard.name}#{number}" if fields.id is None else fields.id,
        shard.name,
        number,
        shard.source if fields.source is None else fields.source,
        len(text.encode()),
    )
    differing = [n for n in Document._fields if getattr(expected, n) != getattr(document, n)]
    run.tally["documents"].expect(
        not differing, "%s has another %s in the input", run.name_of(doc), ", ".join(differing)
    )


def _look_for_leaks(
    run: Run, doc: int, left: Mapping[Selected, Left], elsewhere: Elsewhere | None
) -> None:
    check_leaks(run, doc, left)
    if elsewhere is not None:
        elsewhere.add(doc, left.values())


def _sample(sample: Sample, doc: int, text: str, released: str | None) -> None:
    """Add a document whose text was released so; None: what was released is not what it must be."""
    if released == text:
        sample.add(doc, text, COMPARED | RELEASED)
        return
    sample.add(doc, text, COMPARED)
    if released is not None:
        sample.add(doc, released, RELEASED)
