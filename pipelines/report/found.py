"""Findings, added up: by type, by source, how often the commonest value occurs, and a few places.

No value is read here: equal values are told by their keyed fingerprints.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.schema import DOCUMENTS, FINDINGS, Tagged
from unrote.corpus.stages import PlainStage
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.report.adding import (
    AddUp,
    First,
    Ints,
    added_up,
    batch_of,
    numbers_of,
    summary_table,
    text_key,
)

KINDS = 1000
"""Kinds of findings (type, origin, action) in a summary, and the same with source for origin."""

EXAMPLES = 3
"""Places of each type that a summary names."""

BY_KIND = summary_table(
    "found_by_kind", ("negative_findings", "key"), ("type", "origin", "action"), ("findings",)
)
"""One row per type, origin and action, the most frequent first; the others have null names."""

BY_SOURCE = summary_table(
    "found_by_source",
    ("negative_findings", "key"),
    ("type", "source", "action"),
    ("findings", "documents"),
)
"""One row per type, source and action, the most frequent first; the others have null names. A
document counts once for each type, at the action of its first finding."""

REPEATED = summary_table(
    "found_repeated", ("type_key", "surrogate"), ("type",), ("values", "most", "findings")
)
"""For each type (and for surrogates, where `surrogate` is 1) how many different values there are,
how often the commonest of them occurs, and how many findings have one."""

PLACES = summary_table("found_places", ("type_key", "place", "field", "start"), ("type",), ("end",))
"""The first findings of each type that have different values: `place` is the document."""

FOUND = (BY_KIND, BY_SOURCE, REPEATED, PLACES)

_VALUES = pa.schema(
    [(name, pa.int64()) for name in ("value_key", "type_key", "surrogate", "count")]
    + [("type", pa.string())]
)
_EXAMPLES = pa.schema(
    [(n, pa.int64()) for n in ("type_key", "place", "field", "start", "end", "value_key")]
    + [("type", pa.string())]
)


def summarise_findings(flow: Flow) -> None:
    """Add to `flow` what writes `FOUND` from the tables `documents` and `findings`."""
    tally = flow.map(TallyFindings(), flow.read(None, DOCUMENTS, FINDINGS, only=(FINDINGS,)))
    for table, parts, sums in (
        (BY_KIND, tally["kinds"], ("findings",)),
        (BY_SOURCE, tally["sources"], ("findings", "documents")),
    ):
        added = flow.group(AddUp(table, "key", sums), parts=parts)
        flow.write(table, flow.group(First(table, KINDS, sums), rows=added["rows"])["rows"])
    values = flow.group(CountValues(), values=tally["values"])
    flow.write(REPEATED, flow.group(Commonest(), rows=values["rows"])["rows"])
    flow.write(PLACES, flow.group(FirstPlaces(), examples=tally["examples"])["rows"])


@dataclass(frozen=True)
class TallyFindings(PlainStage):
    """Findings beside their documents: partial sums, values to count, candidates for examples."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        DOCUMENTS.name: DOCUMENTS.schema,
        FINDINGS.name: FINDINGS.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "kinds": BY_KIND.schema,
        "sources": BY_SOURCE.schema,
        "values": _VALUES,
        "examples": _EXAMPLES,
    }

    def _run(self, batches: Tagged) -> Tagged:
        docs: Ints = np.empty(0, np.int64)
        sources = pa.array([], pa.string())
        seen: set[tuple[int, int]] = set()  # (document, type): what was counted as a document
        told: dict[int, set[int]] = {}  # for each type, the values that are examples
        fresh = False
        for tag, batch in batches:
            if tag == DOCUMENTS.name:
                if not fresh:
                    docs, sources, fresh = docs[:0], sources[:0], True
                    seen = set()
                docs = np.concatenate([docs, numbers_of(batch, "doc")])
                sources = pa.concat_arrays([sources, pc.fill_null(batch["source"], "")])
                continue
            fresh = False
            at = np.searchsorted(docs, numbers_of(batch, "doc"))
            types = batch["type"].to_pylist()
            yield "kinds", _kinds(batch)
            yield "sources", _sources(batch, types, sources.take(pa.array(at)).to_pylist(), seen)
            yield "values", _values(batch, types)
            yield "examples", _examples(batch, types, told)


def _kinds(batch: pa.RecordBatch) -> pa.RecordBatch:
    names = zip(*(batch[n].to_pylist() for n in ("type", "origin", "action")), strict=True)
    counts: dict[tuple[str, ...], int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return _counted(BY_KIND.schema, counts, list(counts.values()))


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
    return _counted(BY_SOURCE.schema, findings, list(findings.values()), list(documents.values()))


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
    prints, drawn = batch["fingerprint"].to_pylist(), batch["surrogate_fingerprint"].to_pylist()
    for type_, own, other in zip(types, prints, drawn, strict=True):
        for kind, print_ in enumerate((own, other)):
            if print_ is not None:
                value = (type_, kind, print_)
                counts[value] = counts.get(value, 0) + 1
    keys = [text_key(f"{type_} {kind} {print_}") for type_, kind, print_ in counts]
    type_keys = [text_key(type_) for type_, _, _ in counts]
    kinds, names = [kind for _, kind, _ in counts], [type_ for type_, _, _ in counts]
    return batch_of(_VALUES, keys, type_keys, kinds, list(counts.values()), names)


def _examples(batch: pa.RecordBatch, types: list[str], told: dict[int, set[int]]) -> pa.RecordBatch:
    """The first findings of each type with a value not told yet, a few."""
    rows = []
    places = zip(*(batch[n].to_pylist() for n in ("doc", "field", "start", "end")), strict=True)
    prints = batch["fingerprint"].to_pylist()
    for type_, place, print_ in zip(types, places, prints, strict=True):
        type_key, value = text_key(type_), text_key(print_)
        known = told.setdefault(type_key, set())
        if len(known) < EXAMPLES and value not in known:
            known.add(value)
            rows.append((type_key, *place, value, type_))
    return batch_of(_EXAMPLES, *(zip(*rows, strict=True) if rows else [[]] * len(_EXAMPLES)))


@dataclass(frozen=True)
class CountValues(PlainStage):
    """Values, each with all its findings, to a row per type: how many there are, and the most."""

    key: ClassVar[tuple[str, ...]] = ("value_key",)
    order: ClassVar[tuple[str, ...]] = ()  # A sum has none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"values": _VALUES}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": REPEATED.schema}

    def _run(self, batches: Tagged) -> Tagged:
        found: dict[tuple[int, int], list[int]] = {}
        names: dict[int, str] = {}
        for batch in added_up(batches, "value_key", ("count",)):
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
    columns = zip(*rows, strict=True) if rows else [[]] * len(REPEATED.schema)
    return batch_of(REPEATED.schema, *columns)


@dataclass(frozen=True)
class Commonest(PlainStage):
    """Rows of REPEATED from several workers to one for each type."""

    key: ClassVar[tuple[str, ...]] = ("type_key", "surrogate")
    order: ClassVar[tuple[str, ...]] = ()  # Sums and a maximum have none.
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": REPEATED.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": REPEATED.schema}

    def _run(self, batches: Tagged) -> Tagged:
        found: dict[tuple[int, int], list[int]] = {}
        names: dict[int, str] = {}
        for _, batch in batches:
            for row in batch.to_pylist():
                names[row["type_key"]] = row["type"]
                held = found.setdefault((row["type_key"], row["surrogate"]), [0, 0, 0])
                held[0] += row["values"]
                held[1] = max(held[1], row["most"])
                held[2] += row["findings"]
        yield "rows", _repeated(found, names)


@dataclass(frozen=True)
class FirstPlaces(PlainStage):
    """Of each type the first findings that have different values."""

    key: ClassVar[tuple[str, ...]] = ("type_key",)
    order: ClassVar[tuple[str, ...]] = ("place", "field", "start")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"examples": _EXAMPLES}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": PLACES.schema}

    def _run(self, batches: Tagged) -> Tagged:
        told: dict[int, set[int]] = {}
        rows = []
        for _, batch in batches:
            for row in batch.to_pylist():
                known = told.setdefault(row["type_key"], set())
                if len(known) < EXAMPLES and row["value_key"] not in known:
                    known.add(row["value_key"])
                    place = (row["type_key"], row["place"], row["field"], row["start"])
                    rows.append((0, *place, row["type"], row["end"]))
        yield (
            "rows",
            batch_of(
                PLACES.schema, *(zip(*rows, strict=True) if rows else [[]] * len(PLACES.schema))
            ),
        )
