"""The last phase that touches text: every edit of a document, applied once.

A document's row comes out unchanged unless a table says otherwise: it is left out if DUPLICATES has
it, and its text loses the union of its SPANS, the two sides of a cut joined by a line break.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from corpus.release import EDITS
from corpus.schema import DUPLICATES, SPANS, TEXT, Table, Tagged
from corpus.stages import PlainStage
from pipelines.engines.base import Flow
from pipelines.job import Phases
from pipelines.report.summary import RELEASED

REMOVED = Table(
    "removed",
    pa.schema(
        {
            "doc": pa.int64(),
            "start": pa.int64(),
            "end": pa.int64(),
            "reason": pa.string(),
            "source": pa.int64(),
            "text": pa.string(),
        }
    ),
    sort=("doc", "start", "end"),
)
"""What was removed: a whole document (start 0) with its twin, or a passage with its witness.

`source` may be null, so it is not sorted by; rows of one passage come in the order of SPANS."""


def release(job: Phases, *, write: bool) -> None:
    """Apply every edit once: the cleaned shards, the sizes of what was cut, what was removed.

    Without `write` only the sizes are found, which needs the documents with passages alone.
    """
    passages = job.settings.dedup.passages
    tables: tuple[Table, ...] = (DUPLICATES,) if write else ()
    if passages.enabled:
        tables += (SPANS,)
    if not tables:
        return
    flow = Flow()
    stage = Edit(cut=passages.action == "cut", keep_removed=bool(job.settings.output.keep_removed))
    edited = flow.map(stage, flow.read("text", *tables, only=tables))
    flow.write(RELEASED, edited["released"])
    if write:
        flow.release(edited["edits"])
        if job.settings.output.keep_removed:
            flow.write(REMOVED, edited["removed"])
    job.phase("release", flow)


@dataclass(frozen=True)
class Edit(PlainStage):
    """Applies the tables to the text.

    cut: whether passages are cut; if not, `released` still says what cutting them would leave.
    keep_removed: whether what goes is put out as `removed`.
    """

    cut: bool = True
    keep_removed: bool = False

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        DUPLICATES.name: DUPLICATES.schema,
        SPANS.name: SPANS.schema,
        "text": TEXT,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "edits": EDITS,
        "released": RELEASED.schema,
        "removed": REMOVED.schema,
    }

    def _run(self, rows: Tagged) -> Tagged:
        duplicates: dict[int, tuple[str, int | None]] = {}
        spans: dict[int, list[tuple[int, int, int]]] = {}
        for tag, batch in rows:
            if tag == DUPLICATES.name:
                duplicates.update(_duplicates_of(batch))
            elif tag == SPANS.name:
                _collect_spans(batch, spans)
            else:
                yield from self._edit(batch, duplicates, spans)

    def _edit(
        self,
        batch: pa.RecordBatch,
        duplicates: dict[int, tuple[str, int | None]],
        spans: dict[int, list[tuple[int, int, int]]],
    ) -> Tagged:
        """What becomes of the documents in `batch`; takes their rows out of the other two.

        Rows of later documents stay: the text of a stretch may come in several batches.
        """
        edits, released, removed = [], [], []
        for doc, text in zip(batch["doc"].to_pylist(), batch["text"].to_pylist(), strict=True):
            own = spans.pop(doc, [])
            if doc in duplicates:
                reason, twin = duplicates.pop(doc)
                edits.append({"doc": doc, "field": 0, "text": None})
                removed.append(_removed(doc, 0, len(text), reason, twin, text))
            elif own:
                kept = cut(text, union(own))
                released.append({"doc": doc, "bytes": len(kept.encode())})
                if not self.cut:
                    continue
                edits.append({"doc": doc, "field": 0, "text": kept})
                removed.extend(
                    _removed(doc, start, end, "passage", witness, text[start:end])
                    for start, end, witness in own
                )
        yield "edits", pa.RecordBatch.from_pylist(edits, EDITS)
        yield "released", pa.RecordBatch.from_pylist(released, RELEASED.schema)
        if self.keep_removed:
            yield "removed", pa.RecordBatch.from_pylist(removed, REMOVED.schema)


def _removed(
    doc: int, start: int, end: int, reason: str, source: int | None, text: str
) -> dict[str, object]:
    return {
        "doc": doc, "start": start, "end": end, "reason": reason, "source": source, "text": text
    }  # fmt: skip


def _duplicates_of(batch: pa.RecordBatch) -> dict[int, tuple[str, int | None]]:
    columns = (batch[name].to_pylist() for name in ("doc", "reason", "twin"))
    return {doc: (reason, twin) for doc, reason, twin in zip(*columns, strict=True)}


def _collect_spans(batch: pa.RecordBatch, spans: dict[int, list[tuple[int, int, int]]]) -> None:
    columns = (batch[name].to_pylist() for name in ("doc", "start", "end", "witness"))
    for doc, start, end, witness in zip(*columns, strict=True):
        spans.setdefault(doc, []).append((start, end, witness))


def union(spans: list[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """The union of spans that are sorted by start, as disjoint intervals."""
    start, end = spans[0][:2]
    for next_start, next_end, _ in spans[1:]:
        if next_start > end:
            yield start, end
            start = next_start
        end = max(end, next_end)
    yield start, end


def cut(text: str, intervals: Iterator[tuple[int, int]]) -> str:
    """`text` without the intervals, what stays on both sides of one joined by a line break."""
    kept, place = [], 0
    for start, end in intervals:
        kept.append(text[place:start])
        place = end
    kept.append(text[place:])
    return "\n".join(piece for i, piece in enumerate(kept) if piece or 0 < i < len(kept) - 1)
