"""Personal data as a stage: texts to findings and replacements.

Surrogates are drawn here, where text and key are available, so that no later phase needs a key:
the text with its replacements applied is the released text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from unrote.corpus.beside import RowsBeside, beside, picking
from unrote.corpus.intervals import union
from unrote.corpus.pulse import pulse
from unrote.corpus.schema import (
    NAMED_ENTITIES,
    RECORDS,
    REJECTS,
    REPLACED_VALUES,
    SPANS,
    Tagged,
)
from unrote.corpus.stages import PlainStage, Workers
from unrote.corpus.views import clipped, value_ranges
from unrote.pii.config import Action, Config
from unrote.pii.findings import Finding
from unrote.pii.keys import Key
from unrote.pii.ner import merged, origin_of
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing import ScrubRows, scrub_text
from unrote.pii.scrubbing.corpus_values import value_rows
from unrote.pii.scrubbing.rows import SCHEMAS
from unrote.pii.scrubbing.spellings import Replaced, replaced_values, with_spellings

if TYPE_CHECKING:
    from unrote.pii.scanner import Scanner


@dataclass(frozen=True)
class Scan(PlainStage):
    """Documents to FINDINGS, REPLACEMENTS and REJECTS. Rows that could not be read are left out.

    config: what is looked for. actions: what is done, by type (pii.config.actions_for). secret: the
    key of fingerprints and surrogates. columns: names of the other columns that are scanned, for
    the reasons of rejects. cut: whether SPANS are read, which are going to be cut. several: in
    which fields a string may have several values (corpus.paths), each of which is scanned alone.

    A document that a recogniser could not finish, or with a finding whose action is
    reject-document, is a reject and has no findings.
    """

    config: Config
    secret: Key
    actions: tuple[tuple[str, Action], ...] = ()
    columns: tuple[str, ...] = ()
    cut: bool = False
    several: tuple[bool, ...] = ()
    everywhere: bool = False

    version: ClassVar[int] = 17
    workers: ClassVar[Workers] = "process"  # Presidio is Python

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        values = {"values": REPLACED_VALUES.schema} if self.everywhere else {}
        return {**SCHEMAS, **values}

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        tables = ((SPANS, self.cut), (NAMED_ENTITIES, bool(self.config.ner)))
        beside = {table.name: table.schema for table, is_read in tables if is_read}
        return {**beside, "text": RECORDS, "rejects": REJECTS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        cuts = RowsBeside(SPANS.name, picking("start", "end"))
        columns = ("field", "start", "end", "type", "score")
        entities = RowsBeside(NAMED_ENTITIES.name, picking(*columns))
        # The rejects are rows that could not be read: an earlier phase says so.
        for batch in beside(tagged, cuts, entities, ignored=("rejects",)):
            yield from self._scan(batch, cuts, entities)

    def _scan(
        self,
        batch: pa.RecordBatch,
        cuts: RowsBeside[tuple[int, int]],
        entities: RowsBeside[tuple[Any, ...]],
    ) -> Tagged:
        scanner = scanner_of(self.config)
        rows = ScrubRows(self.config.normalization)
        values: list[tuple[Any, ...]] = []
        for number, record in enumerate(batch.to_pylist()):
            pulse(number / batch.num_rows)
            doc = record["doc"]
            known = self._document(scanner, record, cuts.take(doc), entities.take(doc), rows)
            if self.everywhere:
                values += value_rows(doc, known, self.secret)
        yield from rows.batches()
        if values:
            columns = zip(zip(*values, strict=True), REPLACED_VALUES.schema, strict=True)
            arrays = [pa.array(column, field.type) for column, field in columns]
            yield "values", pa.RecordBatch.from_arrays(arrays, schema=REPLACED_VALUES.schema)

    def _document(
        self,
        scanner: "Scanner",
        record: Mapping[str, Any],
        cuts: list[tuple[int, int]],
        entities: list[tuple[Any, ...]],
        rows: "ScrubRows",
    ) -> Mapping[str, Replaced]:
        """Add the rows of a document. Returns what was replaced in it, by core."""
        doc, actions, found = record["doc"], dict(self.actions), []
        for field, text in enumerate((record["text"], *record["columns"])):
            if text is None:
                continue
            own = tuple(union(cuts)) if field == 0 else ()
            for start, end in self._values(field, text):
                value, within = text[start:end], clipped(own, start, end)
                named = self._entities(entities, field, start, end)
                scrubbed = scrub_text(
                    value, scanner, actions, self.secret, record["id"], within, named
                )
                if scrubbed.rejected:
                    name = f" (column {self.columns[field - 1]})" if field else ""
                    reject = (doc, record["shard"], record["row"], scrubbed.rejected + name)
                    rows.rejects.append(reject)
                    return {}
                found.append((field, start, value, within, scrubbed))
        known: dict[str, Replaced] = {}
        for _, _, value, _, scrubbed in found:
            known = replaced_values(value, scrubbed) | known
        for field, start, value, within, scrubbed in found:
            whole = with_spellings(value, scrubbed, known, within)
            rows.add(doc, field, value, whole, self.secret, start)
        return known

    def _entities(
        self, rows: list[tuple[Any, ...]], field: int, start: int, end: int
    ) -> list[Finding]:
        """The entities of NAMED_ENTITIES in one value of a field, by its own offsets."""
        origin = origin_of(self.config.ner)
        return merged(
            [
                Finding(first - start, last - start, type_, score, origin)
                for of, first, last, type_, score in rows
                if of == field and start <= first and last <= end
            ]
        )

    def _values(self, field: int, text: str) -> Iterable[tuple[int, int]]:
        """The ranges of a field's string that are scanned one by one."""
        return value_ranges(text) if any(self.several[field : field + 1]) else ((0, len(text)),)
