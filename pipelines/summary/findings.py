"""Sums of findings: by type, by source, how often the most repeated value occurs, and examples.

No value is read here: equal values are recognised by their keyed fingerprints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.schema import DOCUMENTS, FINDINGS, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.tables import tuples_of
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary.sums import (
    Ints,
    SumByKey,
    TopN,
    batch_of,
    numbers_of,
    summary_table,
    sums_by_key,
    text_key,
)

KINDS = 1000
"""Kinds of findings (type, origin, action) in a summary, and the same with source for origin."""

EXAMPLES = 3
"""Findings of each type that a summary names."""

FINDINGS_BY_KIND = summary_table(
    "findings_by_kind", ("negative_findings", "key"), ("type", "origin", "action"), ("findings",)
)
"""One row per type, origin and action, the most frequent first; the others have null names."""

FINDINGS_BY_SOURCE = summary_table(
    "findings_by_source",
    ("negative_findings", "key"),
    ("type", "source", "action"),
    ("findings", "documents"),
)
"""One row per type, source and action, the most frequent first; the others have null names. A
document counts once for each type, at the action of its first finding."""

SHARD_FINDINGS = replace(FINDINGS_BY_SOURCE, name="shard_findings")
"""The same for each shard."""

SHARD_KINDS = 20_000
"""Its rows; the others are one row."""

FINDING_VALUES = summary_table(
    "finding_values", ("type_key", "surrogate"), ("type",), ("values", "most_repeated", "findings")
)
"""For each type (and for surrogates, where `surrogate` is 1) how many different values there are,
how often the most repeated of them occurs, and how many findings have one."""

FINDING_EXAMPLES = summary_table(
    "finding_examples", ("type_key", "document", "field", "start"), ("type",), ("end",)
)
"""The first findings of each type that have different values: `document` is its key."""

FINDING_SUMMARIES = (FINDINGS_BY_KIND, FINDINGS_BY_SOURCE, FINDING_VALUES, FINDING_EXAMPLES)

_VALUES = pa.schema(
    [(name, pa.int64()) for name in ("value_key", "type_key", "surrogate", "count")]
    + [("type", pa.string())]
)
_EXAMPLES = pa.schema(
    [(n, pa.int64()) for n in ("type_key", "document", "field", "start", "end", "value_key")]
    + [("type", pa.string())]
)


def summarise_findings(flow: Flow) -> None:
    """Write `FINDING_SUMMARIES` from the tables `documents` and `findings`."""
    tally = flow.map(TallyFindings(), flow.read(None, DOCUMENTS, FINDINGS, only=(FINDINGS,)))
    for table, parts, sums in (
        (FINDINGS_BY_KIND, tally["kinds"], ("findings",)),
        (FINDINGS_BY_SOURCE, tally["sources"], ("findings", "documents")),
    ):
        added = flow.group(SumByKey(table, "key", sums), parts=parts)
        flow.write(table, flow.group(TopN(table, KINDS, sums), rows=added["rows"])["rows"])
    values = flow.group(CountValues(), values=tally["values"])
    flow.write(FINDING_VALUES, flow.group(CombineValues(), rows=values["rows"])["rows"])
    flow.write(FINDING_EXAMPLES, flow.group(FirstExamples(), examples=tally["examples"])["rows"])


def summarise_shard_findings(flow: Flow) -> None:
    """Write SHARD_FINDINGS from the tables `documents` and `findings`."""
    tally = flow.map(ShardFindings(), flow.read(None, DOCUMENTS, FINDINGS, only=(FINDINGS,)))
    sums = ("findings", "documents")
    added = flow.group(SumByKey(SHARD_FINDINGS, "key", sums), parts=tally["sources"])
    first = TopN(SHARD_FINDINGS, SHARD_KINDS, sums)
    flow.write(SHARD_FINDINGS, flow.group(first, rows=added["rows"])["rows"])


@dataclass(frozen=True)
class TallyFindings(PlainStage):
    """Findings beside their documents: partial sums, values to count, candidates for examples."""

    by: ClassVar[str] = "source"
    """The column of DOCUMENTS that is taken for the source."""
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        DOCUMENTS.name: DOCUMENTS.schema,
        FINDINGS.name: FINDINGS.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "kinds": FINDINGS_BY_KIND.schema,
        "sources": FINDINGS_BY_SOURCE.schema,
        "values": _VALUES,
        "examples": _EXAMPLES,
    }

    def _run(self, batches: Tagged) -> Tagged:
        docs: Ints = np.empty(0, np.int64)
        sources = pa.array([], pa.string())
        seen: set[tuple[int, int]] = set()  # (document, type): what was counted as a document
        examples: dict[int, set[int]] = {}  # for each type, the values that are examples
        fresh = False
        for tag, batch in batches:
            if tag == DOCUMENTS.name:
                if not fresh:
                    docs, sources, fresh = docs[:0], sources[:0], True
                    seen = set()
                docs = np.concatenate([docs, numbers_of(batch, "doc")])
                sources = pa.concat_arrays([sources, pc.fill_null(batch[self.by], "")])
                continue
            fresh = False
            at = np.searchsorted(docs, numbers_of(batch, "doc"))
            types = batch["type"].to_pylist()
            yield "kinds", _kinds(batch)
            yield "sources", _sources(batch, types, sources.take(pa.array(at)).to_pylist(), seen)
            yield "values", _values(batch, types)
            yield "examples", _examples(batch, types, examples)


@dataclass(frozen=True)
class ShardFindings(TallyFindings):
    """The same for each shard."""

    by: ClassVar[str] = "shard"


def _kinds(batch: pa.RecordBatch) -> pa.RecordBatch:
    names = tuples_of(batch, "type", "origin", "action")
    counts: dict[tuple[str, ...], int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return _counted(FINDINGS_BY_KIND.schema, counts, list(counts.values()))


def _sources(
    batch: pa.RecordBatch, types: list[str], sources: list[str], seen: set[tuple[int, int]]
) -> pa.RecordBatch:
    findings: dict[tuple[str, ...], int] = {}
    documents: dict[tuple[str, ...], int] = {}
    columns = (batch["doc"].to_pylist(), types, sources, batch["action"].to_pylist())
    for doc, type_, source, action in zip(*columns, strict=True):
        name, pair = (type_, source, action), (doc, text_key(type_))
        findings[name] = findings.get(name, 0) + 1
        documents[name] = documents.get(name, 0) + (pair not in seen)
        seen.add(pair)
    return _counted(
        FINDINGS_BY_SOURCE.schema, findings, list(findings.values()), list(documents.values())
    )


def _counted(
    schema: pa.Schema, names: Mapping[tuple[str, ...], int], *sums: list[int]
) -> pa.RecordBatch:
    zeros = np.zeros(len(names), np.int64)
    keys = [text_key("\0".join(name)) for name in names]
    columns = (
        zip(*names, strict=True) if names else ([] for _ in range(len(schema) - 3 - len(sums)))
    )
    return batch_of(schema, zeros, zeros, keys, *columns, *sums)


def _values(batch: pa.RecordBatch, types: list[str]) -> pa.RecordBatch:
    """A row for each value of the batch, and one for each surrogate."""
    counts: dict[tuple[str, int, str], int] = {}
    fingerprints, surrogates = (
        batch["fingerprint"].to_pylist(),
        batch["surrogate_fingerprint"].to_pylist(),
    )
    for type_, own, drawn in zip(types, fingerprints, surrogates, strict=True):
        for kind, value in enumerate((own, drawn)):
            if value is not None:
                key = (type_, kind, value)
                counts[key] = counts.get(key, 0) + 1
    keys = [text_key(f"{type_} {kind} {value}") for type_, kind, value in counts]
    type_keys = [text_key(type_) for type_, _, _ in counts]
    kinds, names = [kind for _, kind, _ in counts], [type_ for type_, _, _ in counts]
    return batch_of(_VALUES, keys, type_keys, kinds, list(counts.values()), names)


def _examples(
    batch: pa.RecordBatch, types: list[str], examples: dict[int, set[int]]
) -> pa.RecordBatch:
    """The first findings of each type with a value that is no example yet, a few."""
    rows = []
    positions = tuples_of(batch, "doc", "field", "start", "end")
    fingerprints = batch["fingerprint"].to_pylist()
    for type_, position, fingerprint in zip(types, positions, fingerprints, strict=True):
        type_key, value = text_key(type_), text_key(fingerprint)
        known = examples.setdefault(type_key, set())
        if len(known) < EXAMPLES and value not in known:
            known.add(value)
            rows.append((type_key, *position, value, type_))
    return batch_of(_EXAMPLES, *(zip(*rows, strict=True) if rows else [[]] * len(_EXAMPLES)))


@dataclass(frozen=True)
class CountValues(PlainStage):
    """Values, each with all its findings, to a row per type: how many there are, and the most."""

    key: ClassVar[tuple[str, ...]] = ("value_key",)
    order: ClassVar[tuple[str, ...]] = ()  # A sum has none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"values": _VALUES}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": FINDING_VALUES.schema}

    def _run(self, batches: Tagged) -> Tagged:
        found: dict[tuple[int, int], list[int]] = {}
        names: dict[int, str] = {}
        for batch in sums_by_key(batches, "value_key", ("count",)):
            columns = (numbers_of(batch, n).tolist() for n in ("type_key", "surrogate", "count"))
            for type_key, kind, count, name in zip(
                *columns, batch["type"].to_pylist(), strict=True
            ):
                names[type_key] = name
                held = found.setdefault((type_key, kind), [0, 0, 0])
                held[0] += 1
                held[1] = max(held[1], count)
                held[2] += count
        yield "rows", _repeated(found, names)


def _repeated(
    found: Mapping[tuple[int, int], list[int]], names: Mapping[int, str]
) -> pa.RecordBatch:
    rows = [(0, key, kind, names[key], *held) for (key, kind), held in sorted(found.items())]
    columns = zip(*rows, strict=True) if rows else [[]] * len(FINDING_VALUES.schema)
    return batch_of(FINDING_VALUES.schema, *columns)


@dataclass(frozen=True)
class CombineValues(PlainStage):
    """Rows of FINDING_VALUES from several workers to one for each type."""

    key: ClassVar[tuple[str, ...]] = ("type_key", "surrogate")
    order: ClassVar[tuple[str, ...]] = ()  # Sums and a maximum have none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": FINDING_VALUES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": FINDING_VALUES.schema}

    def _run(self, batches: Tagged) -> Tagged:
        found: dict[tuple[int, int], list[int]] = {}
        names: dict[int, str] = {}
        for _, batch in batches:
            for row in batch.to_pylist():
                names[row["type_key"]] = row["type"]
                held = found.setdefault((row["type_key"], row["surrogate"]), [0, 0, 0])
                held[0] += row["values"]
                held[1] = max(held[1], row["most_repeated"])
                held[2] += row["findings"]
        yield "rows", _repeated(found, names)


@dataclass(frozen=True)
class FirstExamples(PlainStage):
    """Of each type the first findings that have different values."""

    key: ClassVar[tuple[str, ...]] = ("type_key",)
    order: ClassVar[tuple[str, ...]] = ("document", "field", "start")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"examples": _EXAMPLES}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": FINDING_EXAMPLES.schema}

    def _run(self, batches: Tagged) -> Tagged:
        examples: dict[int, set[int]] = {}
        rows = []
        for _, batch in batches:
            for row in batch.to_pylist():
                known = examples.setdefault(row["type_key"], set())
                if len(known) < EXAMPLES and row["value_key"] not in known:
                    known.add(row["value_key"])
                    position = (row["type_key"], row["document"], row["field"], row["start"])
                    rows.append((0, *position, row["type"], row["end"]))
        yield (
            "rows",
            batch_of(
                FINDING_EXAMPLES.schema,
                *(zip(*rows, strict=True) if rows else [[]] * len(FINDING_EXAMPLES.schema)),
            ),
        )
