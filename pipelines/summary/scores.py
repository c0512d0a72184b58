"""Scores, added up: how many sequences would be extractable, before cleaning and after, and which.

Risks are probabilities with six digits. They are added up in integer millionths, and a mean is a
sum and a count, so that no sum depends on the order of its parts.

All views are of the same sequences, those of the released text, with the copies that each view has:
the effect of a step is the difference. The last view is without what was removed for its risk.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unrote.corpus.schema import DOCUMENTS, ENTITIES, REJECTS, SCORES, Tagged
from unrote.corpus.stages import PlainStage
from unrote.memorization.risk import PARTS
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary.sums import (
    Ints,
    SumByKey,
    TopN,
    batch_of,
    flags_of,
    numbers_of,
    summary_table,
    text_key,
)

MILLION = 1_000_000

EDGES = (0, 1000, 10_000, 50_000, *range(100_000, MILLION, 100_000))
"""Where the bins of a histogram begin, in millionths; a risk of 1 is in the last."""

VIEWS = {
    "input": "risk_input",
    "deduplicated": "risk_deduplicated",
    "released": "risk",
    "filtered": "risk",
}
"""Views of the text, and the column of SCORES with the risk for a model trained on it.
"released" is before `memorization.action`, "filtered" after it."""

SOURCES = 1000
"""Sources of scores in a summary; the others are one row."""

RISKIEST = 20
"""Sequences that a summary names."""

LEAST_PROBABLE = float(np.log(0.01))
"""Of an entity that a model completes: 2602.18733 asks for a probability above 0.01 too."""

SUMS = tuple(
    f"{what}_{view}" for view in VIEWS for what in ("sequences", "expected_extracted", "at_risk")
)
"""Of each view the sequences, the sum of their risks in millionths, and how many are at risk."""

RISK_BINS = summary_table("risk_bins", ("key", "view", "bin"), (), ("sequences",))
"""How many sequences of a view (its number in VIEWS) have a risk in a bin of EDGES."""

RISK_SOURCES = summary_table(
    "risk_sources",
    ("negative_expected_extracted_released", "source_key"),
    ("source",),
    ("documents", "words", *SUMS),
)
"""One row per source, by the expected number of sequences extractable as released, highest first;
the others have a null source. Documents and words are of those with sequences, words as they were
in the input."""

SCORED_BY = summary_table(
    "scored_by",
    ("by_key",),
    ("scored_by",),
    ("sequences", "tokens", "expected_extracted", "at_risk", "extractable"),
)
"""The released sequences by what scored them; expected_extracted in millionths."""

RISK_SAMPLE = summary_table(
    "risk_sample", ("key",), (), ("sequences", "read", "extractable", "loss", "expected_extracted")
)
"""The random sample of sequences; of those that the model read, how many it completes itself,
and the sum of their suffix losses in millionths of a nat per token."""

RISK_REMOVED = summary_table("risk_removed", ("key",), (), ("sequences", "documents"))
"""What was removed for its risk: sequences, and documents as a whole."""

RISKIEST_ROWS = summary_table(
    "riskiest",
    ("negative_risk", "document", "start"),
    ("scored_by",),
    (
        "end", "text_hash", "copies_input", "copies_deduplicated", "copies", "near",
        "log_odds_copies", "log_odds_predictability", "log_odds_rarity",
    ),
)  # fmt: skip
"""The sequences with the highest risk as released, each text once: `document` is its key, near
copies and the parts of the log-odds are in millionths, and copies that were not counted are -1.
Equal texts have equal numbers, of which `text_hash` is made."""

RISK_ENTITIES = summary_table(
    "risk_entities", ("type_key",), ("type",), ("entities", "measured", "completed")
)
"""Findings kept in the text by type, and how many of those measured a model completes: with a
probability above 0.01, and a higher one than after unrelated text."""

SCORE_SUMMARIES = (
    RISK_BINS, RISK_SOURCES, SCORED_BY, RISK_SAMPLE, RISK_REMOVED, RISKIEST_ROWS, RISK_ENTITIES,
)  # fmt: skip

BY = ("model", "text", None)
"""Values of SCORES.scored_by; their numbers are SCORED_BY.by_key."""


def summarise_scores(flow: Flow, threshold: float, *, rejects: bool, entities: bool) -> None:
    """Write `SCORE_SUMMARIES` from the tables `documents`, `rejects` and `scores`.

    threshold: the risk from which a sequence is at risk. rejects, entities: whether there are such
    tables.
    """
    tables = (DOCUMENTS, *(REJECTS,) * rejects, SCORES)
    tally = flow.map(
        TallyScores(threshold=threshold, rejects=rejects), flow.read(None, *tables, only=(SCORES,))
    )
    for table, tag, by in (
        (RISK_BINS, "bins", "key"),
        (SCORED_BY, "by", "by_key"),
        (RISK_SAMPLE, "sample", "key"),
        (RISK_REMOVED, "removed", "key"),
    ):
        sums = tuple(name for name in table.schema.names if name not in {"scored_by", *table.sort})
        flow.write(table, flow.group(SumByKey(table, by, sums), parts=tally[tag])["rows"])
    sums = ("documents", "words", *SUMS)
    sources = flow.group(SumByKey(RISK_SOURCES, "source_key", sums), parts=tally["sources"])
    first = TopN(RISK_SOURCES, SOURCES, sums)
    flow.write(RISK_SOURCES, flow.group(first, rows=sources["rows"])["rows"])
    flow.write(RISKIEST_ROWS, flow.group(FirstRiskiest(), rows=tally["riskiest"])["rows"])
    if entities:
        found = flow.map(TallyEntities(), flow.read(None, ENTITIES))
        adding = SumByKey(RISK_ENTITIES, "type_key", ("entities", "measured", "completed"))
        flow.write(RISK_ENTITIES, flow.group(adding, parts=found["parts"])["rows"])


@dataclass(frozen=True)
class TallyScores(PlainStage):
    """Scores with their documents: partial sums, and candidates for the riskiest.

    rejects: whether there is such a table: a document in it that has scores was rejected for them.
    """

    threshold: float = 0.5
    rejects: bool = True

    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "bins": RISK_BINS.schema,
        "sources": RISK_SOURCES.schema,
        "by": SCORED_BY.schema,
        "sample": RISK_SAMPLE.schema,
        "removed": RISK_REMOVED.schema,
        "riskiest": RISKIEST_ROWS.schema,
    }

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        tables = (DOCUMENTS, *(REJECTS,) * self.rejects, SCORES)
        return {table.name: table.schema for table in tables}

    def _run(self, batches: Tagged) -> Tagged:
        documents, complete = _Documents(), False
        riskiest = RISKIEST_ROWS.schema.empty_table()
        for tag, batch in batches:
            if tag != SCORES.name:
                if complete:
                    documents, complete = _Documents(last=documents.last), False
                documents.learn(tag, batch)
                continue
            complete = True
            if batch.num_rows:
                scores = _scores_of(batch, self.threshold)
                yield "bins", _bins(scores, documents.kept(scores))
                yield "sources", _sources(scores, documents)
                yield "by", _by(scores)
                yield "sample", _sample(scores)
                yield "removed", _removed(scores, documents)
                documents.last = int(scores["doc"][-1])
                riskiest = _riskiest(riskiest, batch, scores)
        for rows in riskiest.to_batches():
            yield "riskiest", rows


Scores = Mapping[str, NDArray[Any]]


def _scores_of(batch: pa.RecordBatch, threshold: float) -> Scores:
    """Columns of a batch as arrays, those that are added up as integers.

    A risk that is null counts as 0 where it is added up; `scored` says which are not null.
    """
    columns: dict[str, NDArray[Any]] = {
        name: numbers_of(batch, name) for name in ("doc", "start", "prefix_tokens", "suffix_tokens")
    }
    for view, name in VIEWS.items():
        risk = pc.fill_null(batch[name], 0.0).to_numpy(zero_copy_only=False)
        columns[view] = _millionths(risk)
        columns[f"at_risk_{view}"] = ~flags_of(pc.is_null(batch[name])) & (risk >= threshold)
    columns["scored"] = ~flags_of(pc.is_null(batch["risk"]))
    columns["sampled"] = flags_of(batch["sampled"])
    columns["extractable"] = flags_of(batch["extractable"])
    columns["read"] = ~flags_of(pc.is_null(batch["loss_suffix"]))
    losses = pc.fill_null(batch["loss_suffix"], 0.0).to_numpy(zero_copy_only=False)
    columns["loss"] = _millionths(losses)
    by = pc.index_in(batch["scored_by"], pa.array(BY, pa.string()))
    columns["by"] = by.to_numpy(zero_copy_only=False)
    columns["removed"] = flags_of(pc.equal(batch["action"], "remove-sequence"))
    return columns


def _millionths(values: NDArray[np.float64]) -> Ints:
    """Integers, which add up in any order."""
    return np.rint(values * MILLION).astype(np.int64)


@dataclass
class _Documents:
    """The documents of a chunk, and which of them are rejects; the last that had scores."""

    docs: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    words: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    rejected: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    sources: list[str] = field(default_factory=list)
    last: int = -1

    def learn(self, tag: str, batch: pa.RecordBatch) -> None:
        if tag == REJECTS.name:
            self.rejected = np.concatenate([self.rejected, numbers_of(batch, "doc")])
            return
        self.docs = np.concatenate([self.docs, numbers_of(batch, "doc")])
        self.words = np.concatenate([self.words, numbers_of(batch, "words")])
        self.sources += pc.fill_null(batch["source"], "").to_pylist()

    def fresh(self, scores: Scores) -> NDArray[np.bool_]:
        """Which rows are the first of their document."""
        fresh: NDArray[np.bool_] = np.diff(scores["doc"], prepend=self.last) != 0
        return fresh

    def in_rejects(self, scores: Scores) -> NDArray[np.bool_]:
        """Which rows are of a document that is a reject."""
        return np.isin(scores["doc"], self.rejected)

    def kept(self, scores: Scores) -> NDArray[np.bool_]:
        """Which rows stay in the text."""
        return ~scores["removed"] & ~self.in_rejects(scores)


def _bins(scores: Scores, kept: NDArray[np.bool_]) -> pa.RecordBatch:
    keys, counts = [], []
    for number, view in enumerate(VIEWS):
        here = scores["scored"] & kept if view == "filtered" else scores["scored"]
        bins = np.searchsorted(EDGES, scores[view][here], side="right") - 1
        keys.append(number * len(EDGES) + np.arange(len(EDGES)))
        counts.append(np.bincount(bins, minlength=len(EDGES)))
    key, count = np.concatenate(keys), np.concatenate(counts)
    key, count = key[count > 0], count[count > 0]
    zeros = np.zeros_like(key)
    return batch_of(RISK_BINS.schema, zeros, key, key // len(EDGES), key % len(EDGES), count)


def _sources(scores: Scores, documents: _Documents) -> pa.RecordBatch:
    index = np.searchsorted(documents.docs, scores["doc"])
    codes: dict[str, int] = {}
    distinct, inverse = np.unique(index, return_inverse=True)
    known = [codes.setdefault(documents.sources[one], len(codes)) for one in distinct.tolist()]
    source = np.array(known, np.int64)[inverse]
    fresh = documents.fresh(scores)
    columns = [fresh, documents.words[index] * fresh]
    for view in VIEWS:
        here = scores["scored"] & documents.kept(scores) if view == "filtered" else scores["scored"]
        columns += [here, scores[view] * here, scores[f"at_risk_{view}"] & here]
    sums = [_grouped(source, column, len(codes)) for column in columns]
    names, expected = list(codes), sums[2 + SUMS.index("expected_extracted_released")]
    keys = [text_key(name) for name in names]
    zeros = np.zeros_like(expected)
    return batch_of(RISK_SOURCES.schema, zeros, -expected, keys, names, *sums)


def _grouped(codes: Ints, values: NDArray[Any], size: int) -> Ints:
    """The sums of `values` for each code."""
    sums = np.zeros(size, np.int64)
    np.add.at(sums, codes, values.astype(np.int64))
    return sums


def _by(scores: Scores) -> pa.RecordBatch:
    tokens = scores["prefix_tokens"] + scores["suffix_tokens"]
    columns = [np.ones_like(tokens), tokens, scores["released"], scores["at_risk_released"]]
    columns.append(scores["extractable"])
    sums = [_grouped(scores["by"], column, len(BY)) for column in columns]
    zeros = np.zeros(len(BY), np.int64)
    return batch_of(SCORED_BY.schema, zeros, np.arange(len(BY)), BY, *sums)


def _sample(scores: Scores) -> pa.RecordBatch:
    sampled = scores["sampled"] & scores["scored"]
    read = sampled & scores["read"]
    columns = (sampled, read, read & scores["extractable"], scores["loss"] * read)
    sums = [int(column.sum()) for column in (*columns, scores["released"] * sampled)]
    return batch_of(RISK_SAMPLE.schema, [0], [0], *([number] for number in sums))


def _removed(scores: Scores, documents: _Documents) -> pa.RecordBatch:
    rejected = documents.in_rejects(scores)
    sequences = int((rejected | scores["removed"]).sum())
    rejects = int((rejected & documents.fresh(scores)).sum())
    return batch_of(RISK_REMOVED.schema, [0], [0], [sequences], [rejects])


# ----------------------------------------------------------------------------------------------
# The riskiest sequences.


def _riskiest(held: pa.Table, batch: pa.RecordBatch, scores: Scores) -> pa.Table:
    """The riskiest of `held` and the batch, each text once."""
    floor = -held["negative_risk"][-1].as_py() if held.num_rows == RISKIEST else 1
    at = np.flatnonzero(scores["released"] >= max(floor, 1))
    found = batch.take(pa.array(at))
    numbers = {
        name: numbers_of(found, name) for name in ("doc", "start", "end", "copies_input", "copies")
    }
    deduplicated = pc.fill_null(found["copies_deduplicated"], -1).to_numpy(zero_copy_only=False)
    names = ("copies_near", *(f"log_odds_{name}" for name in PARTS))
    parts = [_millionths(pc.fill_null(found[n], 0.0).to_numpy(zero_copy_only=False)) for n in names]
    risk, copies = (
        scores["released"][at],
        (numbers["copies_input"], deduplicated, numbers["copies"]),
    )
    text_hash = _hash_of(risk, scores["suffix_tokens"][at], *copies, *parts)
    rows = batch_of(
        RISKIEST_ROWS.schema, np.zeros_like(at), -risk, numbers["doc"], numbers["start"],
        found["scored_by"].to_pylist(), numbers["end"], text_hash, *copies, *parts,
    )  # fmt: skip
    both = pa.concat_tables([held, pa.table(rows)]).combine_chunks()
    order = [(name, "ascending") for name in RISKIEST_ROWS.sort]
    both = both.take(pc.sort_indices(both, order))
    first = np.sort(np.unique(both["text_hash"].to_numpy(), return_index=True)[1])
    return both.take(pa.array(first[:RISKIEST]))


def _hash_of(*columns: Ints) -> Ints:
    """One number of several, equal where they all are."""
    with np.errstate(over="ignore"):
        found = np.zeros(columns[0].size, np.uint64)
        for column in columns:  # Constants: Knuth's for linear congruences, modulo 2**64.
            found = (found ^ column.astype(np.uint64)) * np.uint64(6364136223846793005)
            found = (found ^ (found >> np.uint64(29))) + np.uint64(1442695040888963407)
    return found.astype(np.int64)


@dataclass(frozen=True)
class FirstRiskiest(PlainStage):
    """Of the riskiest of each worker the riskiest of all, each text once."""

    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = ("negative_risk", "document", "start")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": RISKIEST_ROWS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": RISKIEST_ROWS.schema}

    def _run(self, batches: Tagged) -> Tagged:
        seen: set[int] = set()
        for _, batch in batches:
            unseen = list(_unseen(numbers_of(batch, "text_hash").tolist(), seen))
            yield "rows", batch.take(pa.array(unseen, pa.int64()))


def _unseen(hashes: list[int], seen: set[int]) -> Iterator[int]:
    for index, text_hash in enumerate(hashes):
        if len(seen) < RISKIEST and text_hash not in seen:
            seen.add(text_hash)
            yield index


# ----------------------------------------------------------------------------------------------
# Entities.


@dataclass(frozen=True)
class TallyEntities(PlainStage):
    """Entities by type: how many, how many were measured, and how many a model completes."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {ENTITIES.name: ENTITIES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"parts": RISK_ENTITIES.schema}

    def _run(self, batches: Tagged) -> Tagged:
        for _, batch in batches:
            types = pc.fill_null(batch["type"], "").dictionary_encode()
            names = types.dictionary.to_pylist()
            codes = types.indices.to_numpy().astype(np.int64)
            measured = ~flags_of(pc.is_null(batch["log_ratio"]))
            completed = flags_of(pc.greater(batch["log_ratio"], 0.0))
            completed &= flags_of(pc.greater(batch["log_probability"], LEAST_PROBABLE))
            sums = [
                _grouped(codes, column, len(names))
                for column in (np.ones_like(codes), measured, completed)
            ]
            keys = [text_key(name) for name in names]
            zeros = np.zeros(len(names), np.int64)
            yield "parts", batch_of(RISK_ENTITIES.schema, zeros, keys, names, *sums)
