"""Scores, added up: how many sequences would be extractable, before cleaning and after, and which.

Risks are probabilities with nine digits. They are added up in integer billionths, and a mean is a
sum and a count, so that no sum depends on the order of its parts.

All views are of the same sequences, those of the released text, with the copies that each view has:
the effect of a step is the difference. The last view is without what was removed for its risk.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unrote.corpus.schema import DOCUMENTS, ENTITIES, REJECTS, SCORES, TEXT_FEATURES, Tagged
from unrote.corpus.stages import PlainStage
from unrote.corpus.tabular import TABULAR
from unrote.memorization.risk import CATEGORIES, ENDS, Risk
from unrote.memorization.target import Target
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

BILLION = 1_000_000_000

EDGES = tuple(
    edge * BILLION // 1_000_000
    for edge in (0, 100, 1000, 10_000, 50_000, *range(100_000, 1_000_000, 100_000))
)
"""Where the bins of a histogram begin, in billionths; a risk of 1 is in the last."""

VIEWS = {
    "input": "risk_input",
    "deduplicated": "risk_deduplicated",
    "released": "risk",
    "filtered": "risk",
}
"""Views of the text, and the column of SCORES with the risk for a model trained on it; the ends of
its band are in columns of the same name with COLUMNS behind.
"released" is before `memorization.action`, "filtered" after it."""

SOURCES = 1000
"""Sources of scores in a summary; the others are one row."""

RISKIEST = 8
"""Sequences that a summary names of each category."""

COLUMNS = dict(zip(ENDS, ("_low", "", "_high"), strict=True))

SIZES = (1.25e8, 3.5e8, 1e9, 2.8e9, 7e9, 1.3e10, 3.4e10, 7e10)
"""Parameters of other targets that a summary has the expected numbers for."""

LEAST_PROBABLE = float(np.log(0.01))
"""Of an entity that a model completes: 2602.18733 asks for a probability above 0.01 too."""

EXPECTED = dict(zip(ENDS, ("expected_low", "expected_extracted", "expected_high"), strict=True))
"""What the sum of risks is called, by the end of the band."""

PARTS = ("memorized", "predictable")

SUMS = (
    *(
        f"{what}_{view}"
        for view in (*VIEWS, *CATEGORIES)
        for what in ("sequences", *EXPECTED.values(), "at_risk")
    ),
    *PARTS,
)
"""Of each view, and of each category in the released text: the sequences, the sums of their risks
in billionths, and how many are at risk; of the released text the sums of what the risk is of."""

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

SHARD_RISKS = replace(RISK_SOURCES, name="shard_risks")
"""The same for each shard."""

SCORED_BY = summary_table(
    "scored_by",
    ("by_key",),
    ("scored_by",),
    ("sequences", "tokens", "characters", "expected_extracted", "at_risk", "extractable"),
)
"""The released sequences by what scored them; characters in the input, expected_extracted in
billionths."""

RISK_SAMPLE = summary_table(
    "risk_sample", ("key",), (), ("sequences", "read", "extractable", "loss", "expected_extracted")
)
"""The random sample of sequences; of those that the model read, how many it completes itself,
and the sum of their suffix losses in billionths of a nat per token."""

RISK_REMOVED = summary_table("risk_removed", ("key",), (), ("sequences", "documents"))
"""What was removed for its risk: sequences, and documents as a whole."""

RISKIEST_ROWS = summary_table(
    "riskiest",
    ("category_key", "negative_risk", "document", "start"),
    ("scored_by",),
    (
        "end", "text_hash", "copies_input", "copies_deduplicated", "copies", "near", "low", "high",
        *PARTS,
    ),
)  # fmt: skip
"""Of each category (its number in CATEGORIES) the sequences with the highest risk as released, each
text once: `document` is its key; near copies, risks and their parts are in billionths, and copies
that were not counted, and parts that are not known, are -1. Equal texts have equal numbers, of
which `text_hash` is made."""

RISK_SIZES = summary_table(
    "risk_sizes", ("size",), (), ("parameters", *EXPECTED.values(), "sequences")
)
"""The sums of the risks of the released text for targets of other SIZES, in billionths."""

_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75)

_COPIES = (1.0, 2.0, 3.0, 6.0, 11.0, 51.0)

FEATURES: Mapping[str, tuple[float, ...]] = {
    "copies_input": _COPIES,
    "copies": _COPIES,
    "copies_near": (0.0, 0.001, 1.0, 5.0),
    "template": _SHARES,
    "repetition": _SHARES,
    "rare_words": _SHARES,
    "word_duplication": (0.0, *map(math.log1p, (10.0, 100.0, 1000.0))),
}
"""Columns of SCORES that a summary counts the sequences by, and where the bins of each begin."""

RISK_FEATURES = summary_table(
    "risk_features", ("key", "feature", "bin"), (), ("sequences", "expected_extracted")
)
"""How many sequences of the released text have a feature (its number in FEATURES) in a bin, and the
sums of their risks in billionths. Sequences of which it is not known are in none."""

RISK_TABLES = summary_table(
    "risk_tables",
    ("key",),
    (),
    ("documents", "sequences", *EXPECTED.values(), "at_risk"),
)
"""Tabular documents, and the sequences that begin in their headers and first rows; the sums of
their risks in billionths."""

RISK_ENTITIES = summary_table(
    "risk_entities", ("type_key",), ("type",), ("entities", "measured", "completed")
)
"""Findings kept in the text by type, and how many of those measured a model completes: with a
probability above 0.01, and a higher one than after unrelated text."""

SCORE_SUMMARIES = (
    RISK_BINS, RISK_SOURCES, SCORED_BY, RISK_SAMPLE, RISK_REMOVED, RISK_SIZES, RISK_FEATURES,
    RISK_TABLES, RISKIEST_ROWS, RISK_ENTITIES,
)  # fmt: skip

BY = ("model", "text", None)
"""Values of SCORES.scored_by; their numbers are SCORED_BY.by_key."""


def summarise_scores(
    flow: Flow, threshold: float, *, rejects: bool, entities: bool, target: Target | None = None
) -> None:
    """Write `SCORE_SUMMARIES` from the tables `documents`, `rejects` and `scores`.

    threshold: the high end of the risk from which a sequence is at risk. rejects, entities: whether
    there are such tables. target: what the risks are for; None: a proxy model, of which there is
    one size.
    """
    tables = (DOCUMENTS, *(REJECTS,) * rejects, SCORES)
    stage = TallyScores(threshold=threshold, rejects=rejects, target=target)
    tally = flow.map(stage, flow.read(None, *tables, only=(SCORES,)))
    for table, tag, by in (
        (RISK_BINS, "bins", "key"),
        (SCORED_BY, "by", "by_key"),
        (RISK_SAMPLE, "sample", "key"),
        (RISK_REMOVED, "removed", "key"),
        (RISK_SIZES, "sizes", "size"),
        (RISK_FEATURES, "features", "key"),
        (RISK_TABLES, "tables", "key"),
    ):
        kept = {"scored_by", "parameters", *table.sort}
        sums = tuple(name for name in table.schema.names if name not in kept)
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


def summarise_shard_risks(flow: Flow, threshold: float, *, rejects: bool) -> None:
    """Write SHARD_RISKS; arguments as `summarise_scores`."""
    tables = (DOCUMENTS, *(REJECTS,) * rejects, SCORES)
    stage = ShardScores(threshold=threshold, rejects=rejects)
    tally = flow.map(stage, flow.read(None, *tables, only=(SCORES,)))
    sums = ("documents", "words", *SUMS)
    added = flow.group(SumByKey(SHARD_RISKS, "source_key", sums), parts=tally["sources"])
    first = TopN(SHARD_RISKS, SOURCES, sums)
    flow.write(SHARD_RISKS, flow.group(first, rows=added["rows"])["rows"])


@dataclass(frozen=True)
class TallyScores(PlainStage):
    """Scores with their documents: partial sums, and candidates for the riskiest.

    rejects: whether there is such a table: a document in it that has scores was rejected for them.
    """

    threshold: float = 0.5
    rejects: bool = True
    target: Target | None = None

    version: ClassVar[int] = 3
    by: ClassVar[str] = "source"
    """The column of DOCUMENTS that is taken for the source."""
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "bins": RISK_BINS.schema,
        "sources": RISK_SOURCES.schema,
        "by": SCORED_BY.schema,
        "sample": RISK_SAMPLE.schema,
        "removed": RISK_REMOVED.schema,
        "sizes": RISK_SIZES.schema,
        "features": RISK_FEATURES.schema,
        "tables": RISK_TABLES.schema,
        "riskiest": RISKIEST_ROWS.schema,
    }

    @property
    def inputs(self) -> Mapping[str, pa.Schema]:
        tables = (DOCUMENTS, *(REJECTS,) * self.rejects, SCORES)
        return {table.name: table.schema for table in tables}

    def _run(self, batches: Tagged) -> Tagged:
        documents, complete = _Documents(self.by), False
        riskiest = RISKIEST_ROWS.schema.empty_table()
        for tag, batch in batches:
            if tag != SCORES.name:
                if complete:
                    documents, complete = _Documents(self.by, last=documents.last), False
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
                yield "features", _features(scores, batch)
                yield "tables", _tables(scores, documents)
                if self.target is not None:
                    yield "sizes", _sizes(scores, batch, self.target)
                documents.last = int(scores["doc"][-1])
                riskiest = _riskiest(riskiest, batch, scores)
        for rows in riskiest.to_batches():
            yield "riskiest", rows


@dataclass(frozen=True)
class ShardScores(TallyScores):
    """The same for each shard."""

    by: ClassVar[str] = "shard"


Scores = Mapping[str, NDArray[Any]]


def _scores_of(batch: pa.RecordBatch, threshold: float) -> Scores:
    """Columns of a batch as arrays, those that are added up as integers.

    A risk that is null counts as 0 where it is added up; `scored` says which are not null.
    """
    columns: dict[str, NDArray[Any]] = {
        name: numbers_of(batch, name)
        for name in ("doc", "start", "end", "prefix_tokens", "suffix_tokens")
    }
    for view, name in VIEWS.items():
        for end, behind in COLUMNS.items():
            columns[f"{end}_{view}"] = _billionths(_filled(batch, name + behind))
        at_risk = _filled(batch, name + COLUMNS["high"]) >= threshold
        columns[f"at_risk_{view}"] = ~flags_of(pc.is_null(batch[name])) & at_risk
    for name in PARTS:
        columns[name] = _billionths(_filled(batch, name))
    category = pc.index_in(batch["category"], pa.array(CATEGORIES, pa.string()))
    columns["category"] = pc.fill_null(category, -1).to_numpy(zero_copy_only=False)
    columns["scored"] = ~flags_of(pc.is_null(batch["risk"]))
    columns["sampled"] = flags_of(batch["sampled"])
    columns["extractable"] = flags_of(batch["extractable"])
    columns["read"] = ~flags_of(pc.is_null(batch["loss_suffix"]))
    columns["loss"] = _billionths(_filled(batch, "loss_suffix"))
    by = pc.index_in(batch["scored_by"], pa.array(BY, pa.string()))
    columns["by"] = by.to_numpy(zero_copy_only=False)
    table = pc.index_in(batch["tabular"], pa.array(TABULAR[1:], pa.string()))
    columns["table_head"] = pc.fill_null(table, -1).to_numpy(zero_copy_only=False) == 0
    columns["removed"] = flags_of(pc.equal(batch["action"], "remove-sequence"))
    return columns


def _filled(batch: pa.RecordBatch, name: str) -> NDArray[np.float64]:
    """A column of numbers, 0 where it is null."""
    return np.asarray(pc.fill_null(batch[name], 0.0).to_numpy(zero_copy_only=False))


def _billionths(values: NDArray[np.float64]) -> Ints:
    """Integers, which add up in any order."""
    return np.rint(values * BILLION).astype(np.int64)


@dataclass
class _Documents:
    """The documents of a chunk, and which of them are rejects; the last that had scores."""

    by: str = "source"
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
        self.sources += pc.fill_null(batch[self.by], "").to_pylist()

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
        bins = np.searchsorted(EDGES, scores[f"middle_{view}"][here], side="right") - 1
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
        columns += _step(scores, view, here)
    for number in range(len(CATEGORIES)):
        columns += _step(scores, "released", scores["scored"] & (scores["category"] == number))
    columns += [scores[name] for name in PARTS]
    sums = [_grouped(source, column, len(codes)) for column in columns]
    names, expected = list(codes), sums[2 + SUMS.index("expected_extracted_released")]
    keys = [text_key(name) for name in names]
    zeros = np.zeros_like(expected)
    return batch_of(RISK_SOURCES.schema, zeros, -expected, keys, names, *sums)


def _step(scores: Scores, view: str, here: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """What SUMS has of a view, or a part of it."""
    expected = [scores[f"{end}_{view}"] * here for end in EXPECTED]
    return [here, *expected, scores[f"at_risk_{view}"] & here]


def _sizes(scores: Scores, batch: pa.RecordBatch, target: Target) -> pa.RecordBatch:
    """The risks of the released text for targets of other sizes, added up."""
    columns = {
        name: np.asarray(batch[name].to_numpy(zero_copy_only=False), dtype=np.float64)
        for name in ("copies", "copies_near", "prefix_tokens", "pz_log")
    }
    rows = []
    for parameters in SIZES:
        band = Risk(replace(target, parameters=parameters)).band(columns)
        rows.append([int((_billionths(part) * scores["scored"]).sum()) for part in band])
    zeros, count = np.zeros(len(SIZES), np.int64), int(scores["scored"].sum())
    sizes = np.array(SIZES).astype(np.int64)
    numbers = np.array(rows).T
    return batch_of(
        RISK_SIZES.schema, zeros, np.arange(len(SIZES)), sizes, *numbers, [count] * len(SIZES)
    )


def _features(scores: Scores, batch: pa.RecordBatch) -> pa.RecordBatch:
    keys, counts, sums = [], [], []
    room = max(map(len, FEATURES.values()))
    for number, (name, edges) in enumerate(FEATURES.items()):
        here = scores["scored"] & ~flags_of(pc.is_null(batch[name]))
        bins = np.searchsorted(edges, _filled(batch, name)[here], side="right") - 1
        bins = np.maximum(bins, 0)  # a surrogate was not in the input
        keys.append(number * room + np.arange(room))
        counts.append(np.bincount(bins, minlength=room))
        sums.append(_grouped(bins, scores["middle_released"][here], room))
    key, count, expected = map(np.concatenate, (keys, counts, sums))
    key, count, expected = key[count > 0], count[count > 0], expected[count > 0]
    zeros = np.zeros_like(key)
    return batch_of(RISK_FEATURES.schema, zeros, key, key // room, key % room, count, expected)


def _tables(scores: Scores, documents: _Documents) -> pa.RecordBatch:
    head = scores["scored"] & scores["table_head"]
    columns = [head & documents.fresh(scores), *_step(scores, "released", head)]
    return batch_of(RISK_TABLES.schema, [0], [0], *([int(column.sum())] for column in columns))


def _grouped(codes: Ints, values: NDArray[Any], size: int) -> Ints:
    """The sums of `values` for each code."""
    sums = np.zeros(size, np.int64)
    np.add.at(sums, codes, values.astype(np.int64))
    return sums


def _by(scores: Scores) -> pa.RecordBatch:
    tokens = scores["prefix_tokens"] + scores["suffix_tokens"]
    characters = scores["end"] - scores["start"]
    columns = [np.ones_like(tokens), tokens, characters, scores["middle_released"]]
    columns.append(scores["at_risk_released"])
    columns.append(scores["extractable"])
    sums = [_grouped(scores["by"], column, len(BY)) for column in columns]
    zeros = np.zeros(len(BY), np.int64)
    return batch_of(SCORED_BY.schema, zeros, np.arange(len(BY)), BY, *sums)


def _sample(scores: Scores) -> pa.RecordBatch:
    sampled = scores["sampled"] & scores["scored"]
    read = sampled & scores["read"]
    columns = (sampled, read, read & scores["extractable"], scores["loss"] * read)
    sums = [int(column.sum()) for column in (*columns, scores["middle_released"] * sampled)]
    return batch_of(RISK_SAMPLE.schema, [0], [0], *([number] for number in sums))


def _removed(scores: Scores, documents: _Documents) -> pa.RecordBatch:
    rejected = documents.in_rejects(scores)
    sequences = int((rejected | scores["removed"]).sum())
    rejects = int((rejected & documents.fresh(scores)).sum())
    return batch_of(RISK_REMOVED.schema, [0], [0], [sequences], [rejects])


# ----------------------------------------------------------------------------------------------
# The riskiest sequences.


def _riskiest(held: pa.Table, batch: pa.RecordBatch, scores: Scores) -> pa.Table:
    """The riskiest of each category of `held` and the batch, each text once."""
    parts = []
    for number in range(len(CATEGORIES)):
        own = held.filter(pc.equal(held["category_key"], number))
        at = np.flatnonzero((scores["category"] == number) & scores["scored"])
        parts.append(_riskiest_of(own, batch, scores, at, number))
    return pa.concat_tables(parts).combine_chunks()


def _riskiest_of(
    held: pa.Table, batch: pa.RecordBatch, scores: Scores, at: Ints, category: int
) -> pa.Table:
    """The riskiest of `held` and the rows `at` of the batch, all of one category."""
    floor = -held["negative_risk"][-1].as_py() if held.num_rows == RISKIEST else 1
    at = at[scores["middle_released"][at] >= max(floor, 1)]
    found = batch.take(pa.array(at))
    numbers = {
        name: numbers_of(found, name) for name in ("doc", "start", "end", "copies_input", "copies")
    }
    deduplicated = pc.fill_null(found["copies_deduplicated"], -1).to_numpy(zero_copy_only=False)
    copies = (numbers["copies_input"], deduplicated, numbers["copies"])
    near = _billionths(_filled(found, "copies_near"))
    predictable = np.where(
        flags_of(pc.is_null(found["predictable"])), -1, scores["predictable"][at]
    )
    risk = scores["middle_released"][at]
    ends = (scores["low_released"][at], scores["high_released"][at])
    features = (_billionths(_filled(found, name)) for name in (*TEXT_FEATURES, "loss"))
    text_hash = _hash_of(risk, scores["suffix_tokens"][at], *copies, near, *features)
    zeros = np.zeros_like(at)
    rows = batch_of(
        RISKIEST_ROWS.schema, zeros, zeros + category, -risk, numbers["doc"], numbers["start"],
        found["scored_by"].to_pylist(), numbers["end"], text_hash, *copies, near, *ends,
        scores["memorized"][at], predictable,
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
    """Of the riskiest of each worker the riskiest of all, by category, each text once."""

    version: ClassVar[int] = 2
    key: ClassVar[tuple[str, ...]] = ("doc",)
    order: ClassVar[tuple[str, ...]] = RISKIEST_ROWS.sort[1:]
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": RISKIEST_ROWS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"rows": RISKIEST_ROWS.schema}

    def _run(self, batches: Tagged) -> Tagged:
        seen: dict[int, set[int]] = {}
        for _, batch in batches:
            keys = numbers_of(batch, "category_key").tolist()
            hashes = numbers_of(batch, "text_hash").tolist()
            unseen = list(_unseen(zip(keys, hashes, strict=True), seen))
            yield "rows", batch.take(pa.array(unseen, pa.int64()))


def _unseen(rows: Iterable[tuple[int, int]], seen: dict[int, set[int]]) -> Iterator[int]:
    for index, (key, text_hash) in enumerate(rows):
        known = seen.setdefault(key, set())
        if len(known) < RISKIEST and text_hash not in known:
            known.add(text_hash)
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
