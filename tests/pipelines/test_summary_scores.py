"""The tables of the report on memorization equal what plain Python counts, however rows are cut."""

import random
from bisect import bisect_right
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest

from tests.pipelines.test_summary import execute
from unrote.corpus.schema import DOCUMENTS, ENTITIES, REJECTS, SCORES, TEXT_FEATURES, doc_key
from unrote.memorization.risk import CATEGORIES, Risk
from unrote.memorization.target import Target
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary import scores as summary_scores
from unrote.pipelines.summary.scores import (
    EDGES,
    FEATURES,
    RISK_BINS,
    RISK_ENTITIES,
    RISK_FEATURES,
    RISK_REMOVED,
    RISK_SAMPLE,
    RISK_SIZES,
    RISK_SOURCES,
    RISK_TABLES,
    RISKIEST,
    RISKIEST_ROWS,
    SCORE_SUMMARIES,
    SCORED_BY,
    SIZES,
    SUMS,
    VIEWS,
    FirstRiskiest,
    TallyScores,
    summarise_scores,
)

SOURCES = ("web", "books", "", None)
THRESHOLD = 0.4
TARGET = Target(1e9, 3e11, 2)
RISKS = (0.0, 0.0009, 0.001, 0.01, 0.123456, 0.4, 0.399999, 0.9, 1.0)
"""Edges of bins and the limit among them."""


def score(rng: random.Random, doc: int, start: int, action: str) -> dict:
    row = dict.fromkeys(SCORES.schema.names) | {"doc": doc, "start": start, "end": start + 90}
    row |= {"prefix_tokens": rng.randint(0, 9), "suffix_tokens": rng.randint(1, 9)}
    by = rng.choice(["model", "text", None])
    row |= {"scored_by": by, "sampled": False, "copies_input": rng.randint(0, 9), "copies": 1}
    row |= {"action": "keep"}
    if by is None:
        return row
    for name in ("risk_input", "risk_deduplicated", "risk"):
        ends = [rng.choice([*RISKS, round(rng.random(), 9)]) for _ in range(3)]
        row[f"{name}_low"], row[name], row[f"{name}_high"] = sorted(ends)
    row["tabular"] = rng.choice([None, "head", "rows"])
    row |= {"memorized": row["risk"], "category": rng.choice(CATEGORIES)}
    for name in TEXT_FEATURES:
        row[name] = round(rng.random(), 6)
    if row["risk_high"] >= THRESHOLD:
        row["action"] = action
    if by == "model":
        row |= {"sampled": rng.random() < 0.5, "copies_deduplicated": 1, "copies_near": 0.25}
        if rng.random() < 0.9:
            row |= {"extractable": rng.random() < 0.3, "loss_suffix": rng.uniform(0, 9)}
            row |= {"pz_log": -rng.uniform(0, 9), "predictable": round(rng.random(), 9)}
    return row


def corpus(rng: random.Random, action: str = "keep") -> dict[str, list[dict]]:
    """Documents, some without scores, and the tables of a made-up run."""
    documents, scores, rejects, entities = [], [], [], []
    for doc in [doc_key(shard, row) for shard in range(3) for row in range(rng.randint(0, 30))]:
        source, number = rng.choice(SOURCES), doc & 0xFFFF
        documents.append({"doc": doc, "id": "x", "shard": "a", "row": number, "source": source})
        documents[-1] |= {"bytes": 900, "words": rng.randint(0, 99)}
        own = [score(rng, doc, 100 * n, action) for n in range(rng.choice([0, 1, 2, 7]))]
        scores += own
        refused = any(row["action"] == "remove-document" for row in own)
        if refused or not own:  # Documents that were rejected before have no scores.
            rejects.append({"doc": doc, "shard": "a", "row": number, "reason": "why"})
        for n in range(rng.randint(0, 2)):
            ratio, probable = rng.choice([None, -1.0, 2.0]), rng.choice([-9.0, -1.0])
            entities.append(
                dict.fromkeys(ENTITIES.schema.names)
                | {"doc": doc, "start": n, "end": n + 1, "type": rng.choice("AB")}
                | {"log_ratio": ratio, "log_probability": None if ratio is None else probable}
            )
    return {
        DOCUMENTS.name: documents,
        SCORES.name: scores,
        REJECTS.name: rejects,
        ENTITIES.name: entities,
    }


def summaries(tables: dict[str, list[dict]], seed: int) -> dict[str, list[dict]]:
    flow = Flow()
    summarise_scores(flow, THRESHOLD, rejects=True, entities=True, target=TARGET)
    return execute(flow, tables, random.Random(seed))


def views_of(row: dict, rejected: set[int]) -> dict[str, str]:
    """The column with the risk of a sequence in each view that has it."""
    if row["risk"] is None:
        return {}
    found = dict(VIEWS)
    if row["action"] == "remove-sequence" or row["doc"] in rejected:
        del found["filtered"]
    return found


def expected(tables: dict[str, list[dict]]) -> tuple[Counter, dict, dict, Counter]:
    """Bins, sources, what scored them, and the sample."""
    sources = {row["doc"]: row for row in tables[DOCUMENTS.name]}
    rejected = {row["doc"] for row in tables[REJECTS.name]}
    bins: Counter = Counter()
    by_source: dict = defaultdict(Counter)
    by: dict = defaultdict(Counter)
    sample: Counter = Counter()
    for row in tables[SCORES.name]:
        counts = by_source[sources[row["doc"]]["source"] or ""]
        views = views_of(row, rejected)
        for view, name in views.items():
            bins[view, bisect_right(EDGES, round(row[name] * 1e9)) - 1] += 1
        for part, name in (views | ({row["category"]: "risk"} if views else {})).items():
            counts[f"sequences_{part}"] += 1
            counts[f"expected_low_{part}"] += round(row[f"{name}_low"] * 1e9)
            counts[f"expected_extracted_{part}"] += round(row[name] * 1e9)
            counts[f"expected_high_{part}"] += round(row[f"{name}_high"] * 1e9)
            counts[f"at_risk_{part}"] += row[f"{name}_high"] >= THRESHOLD
        for name in ("memorized", "predictable"):
            counts[name] += round((row[name] or 0) * 1e9)
        risk, read = row["risk"] or 0, row["loss_suffix"] is not None
        by[row["scored_by"]] += Counter(
            sequences=1,
            tokens=row["prefix_tokens"] + row["suffix_tokens"],
            characters=row["end"] - row["start"],
            expected_extracted=round(risk * 1e9),
            at_risk=(row["risk_high"] or 0) >= THRESHOLD,
            extractable=bool(row["extractable"]),
        )
        if row["sampled"]:
            sample += Counter(
                sequences=1,
                read=read,
                extractable=bool(row["extractable"]),
                loss=round(row["loss_suffix"] * 1e9) if read else 0,
                expected_extracted=round(risk * 1e9),
            )
    for doc in {row["doc"] for row in tables[SCORES.name]}:
        by_source[sources[doc]["source"] or ""] += Counter(documents=1, words=sources[doc]["words"])
    return bins, by_source, by, sample


@pytest.mark.parametrize("action", ["keep", "remove-sequence", "remove-document"])
@pytest.mark.parametrize("seed", range(8))
def test_summaries_are_what_python_counts(seed, action):
    tables = corpus(random.Random(seed), action)
    made = summaries(tables, seed)
    bins, by_source, by, sample = expected(tables)

    names = list(VIEWS)
    assert {(names[r["view"]], r["bin"]): r["sequences"] for r in made[RISK_BINS.name]} == bins
    found = {
        row["source"]: Counter({n: row[n] for n in ("documents", "words", *SUMS) if row[n]})
        for row in made[RISK_SOURCES.name]
    }
    assert found == {source: +counts for source, counts in by_source.items()}
    ordered = [row["expected_extracted_released"] for row in made[RISK_SOURCES.name]]
    assert ordered == sorted(ordered, reverse=True)
    sums = ("sequences", "tokens", "characters", "expected_extracted", "at_risk", "extractable")
    shown_rows = {
        r["scored_by"]: Counter({n: r[n] for n in sums if r[n]}) for r in made[SCORED_BY.name]
    }
    assert {name: +counts for name, counts in shown_rows.items() if counts} == dict(by)
    (row,) = made[RISK_SAMPLE.name]
    assert {
        n: row[n] for n in ("sequences", "read", "extractable", "loss", "expected_extracted")
    } == {n: sample[n] for n in ("sequences", "read", "extractable", "loss", "expected_extracted")}


@pytest.mark.parametrize("action", ["keep", "remove-sequence", "remove-document"])
def test_what_went_for_its_risk(action):
    tables = corpus(random.Random(5), action)
    (row,) = summaries(tables, 3)[RISK_REMOVED.name]
    rejected = {row["doc"] for row in tables[REJECTS.name]}
    gone = [
        one
        for one in tables[SCORES.name]
        if one["action"] == "remove-sequence" or one["doc"] in rejected
    ]
    assert row["sequences"] == len(gone)
    assert row["documents"] == len({one["doc"] for one in gone if one["doc"] in rejected})
    assert bool(gone) == (action != "keep")


def test_any_cut_of_rows_gives_the_same_tables():
    tables = corpus(random.Random(7), "remove-document")
    first = summaries(tables, 0)
    assert all(summaries(tables, seed) == first for seed in range(1, 10))


@pytest.mark.parametrize("seed", range(3))
def test_sequences_by_their_features(seed):
    tables = corpus(random.Random(seed))
    made: Counter = Counter()
    for row in summaries(tables, seed)[RISK_FEATURES.name]:
        name = list(FEATURES)[row["feature"]]
        made[name, row["bin"]] += row["sequences"]
        made[name, row["bin"], "risk"] += row["expected_extracted"]
    counted: Counter = Counter()
    for row in tables[SCORES.name]:
        for name, edges in FEATURES.items():
            if row["risk"] is not None and row[name] is not None:
                at = max(bisect_right(edges, row[name]) - 1, 0)
                counted[name, at] += 1
                counted[name, at, "risk"] += round(row["risk"] * 1e9)
    assert +made == +counted


@pytest.mark.parametrize("seed", range(3))
def test_heads_of_tables(seed):
    tables = corpus(random.Random(seed))
    (row,) = summaries(tables, seed)[RISK_TABLES.name]
    first: dict = {}
    for one in tables[SCORES.name]:
        first.setdefault(one["doc"], one)
    heads = [one for one in tables[SCORES.name] if one["tabular"] == "head"]
    assert row["documents"] == sum(one["tabular"] == "head" for one in first.values())
    assert row["sequences"] == len(heads)
    assert row["at_risk"] == sum(one["risk_high"] >= THRESHOLD for one in heads)
    assert row["expected_high"] == sum(round(one["risk_high"] * 1e9) for one in heads)


# The riskiest.


def features_of(row: dict) -> tuple:
    names = (
        "risk", "suffix_tokens", "copies_input", "copies_deduplicated", "copies", "copies_near",
        *TEXT_FEATURES,
    )  # fmt: skip
    return tuple(row[name] for name in names)


def expected_riskiest(rows: list[dict]) -> list[tuple]:
    found = []
    for category in CATEGORIES:
        shown: dict[tuple, dict] = {}
        at_risk = [row for row in rows if row["risk"] and row["category"] == category]
        for row in sorted(at_risk, key=lambda row: (-row["risk"], row["doc"], row["start"])):
            shown.setdefault(features_of(row), row)
        found += list(shown.values())[:RISKIEST]
    return [(r["doc"], r["start"], r["end"], r["risk"]) for r in found]


def with_copies(tables: dict[str, list[dict]], rng: random.Random) -> dict[str, list[dict]]:
    """Half of the sequences have the numbers of a few others, as those of equal texts have."""
    rows = tables[SCORES.name]
    common = rng.sample(rows, 5)
    for row in rows:
        if rng.random() < 0.5:
            place = {name: row[name] for name in ("doc", "start", "end")}
            row |= rng.choice(common) | place
    return tables


@pytest.mark.parametrize("seed", range(8))
def test_the_riskiest_are_told_once(seed):
    rng = random.Random(seed)
    tables = with_copies(corpus(rng), rng)
    made = summaries(tables, seed)[RISKIEST_ROWS.name]
    shown_rows = [(r["document"], r["start"], r["end"], -r["negative_risk"] / 1e9) for r in made]
    assert shown_rows == expected_riskiest(tables[SCORES.name])
    assert all(r["near"] == (250_000_000 if r["scored_by"] == "model" else 0) for r in made)
    assert all((r["copies_deduplicated"] == -1) == (r["scored_by"] == "text") for r in made)


@pytest.mark.parametrize("seed", range(5))
def test_workers_that_saw_parts_agree_on_the_riskiest(seed):
    rng = random.Random(seed)
    tables = with_copies(corpus(rng), rng)
    part = {row["doc"]: rng.randrange(3) for row in tables[DOCUMENTS.name]}
    candidates = []
    for number in range(3):
        own = [row for row in tables[SCORES.name] if part[row["doc"]] == number]
        read = {DOCUMENTS.name: tables[DOCUMENTS.name], REJECTS.name: [], SCORES.name: own}
        stage = TallyScores(threshold=THRESHOLD)
        batches = [
            (name, pa.RecordBatch.from_pylist(read[name], schema=schema))
            for name, schema in stage.inputs.items()
        ]
        with stage.open() as run:
            candidates += [
                row for tag, batch in run(iter(batches)) if tag == "riskiest"
                for row in batch.to_pylist()
            ]  # fmt: skip
    stage = FirstRiskiest()
    candidates.sort(key=lambda row: [row[c] for c in (*stage.key, *stage.order)])
    merged = pa.RecordBatch.from_pylist(candidates, schema=RISKIEST_ROWS.schema)
    with stage.open() as run:
        rows = [row for _, batch in run(iter([("rows", merged)])) for row in batch.to_pylist()]
    shown_rows = [(r["document"], r["start"], r["end"], -r["negative_risk"] / 1e9) for r in rows]
    assert shown_rows == expected_riskiest(tables[SCORES.name])


# Other targets.


def test_other_targets_are_computed_anew():
    tables = corpus(random.Random(4))
    rows = [row for row in tables[SCORES.name] if row["risk"] is not None]
    columns = {
        name: np.array([row[name] for row in rows], dtype=np.float64)
        for name in ("copies", "copies_near", "prefix_tokens", "pz_log")
    }
    made = summaries(tables, 2)[RISK_SIZES.name]
    assert [row["parameters"] for row in made] == list(SIZES)
    for row in made:
        band = Risk(Target(row["parameters"], TARGET.tokens, TARGET.epochs)).band(columns)
        sums = (row["expected_low"], row["expected_extracted"], row["expected_high"])
        assert row["sequences"] == len(rows)
        assert [one / 1e9 for one in sums] == pytest.approx([part.sum() for part in band])


def test_a_proxy_model_has_one_size():
    flow = Flow()
    summarise_scores(flow, THRESHOLD, rejects=True, entities=True)
    assert execute(flow, corpus(random.Random(4)), random.Random(0))[RISK_SIZES.name] == []


# The rest.


def test_more_sources_than_fit_are_one_row(monkeypatch):
    monkeypatch.setattr(summary_scores, "SOURCES", 2)
    tables = corpus(random.Random(3))
    *named, others = summaries(tables, 1)[RISK_SOURCES.name]
    assert len(named) == 2
    assert others["source"] is None
    total = sum(row["risk"] is not None for row in tables[SCORES.name])
    assert sum(row["sequences_input"] for row in (*named, others)) == total


def test_entities_that_a_model_completes():
    tables = corpus(random.Random(2))
    made = {row["type"]: row for row in summaries(tables, 4)[RISK_ENTITIES.name]}
    for type_, row in made.items():
        own = [one for one in tables[ENTITIES.name] if one["type"] == type_]
        assert row["entities"] == len(own)
        assert row["measured"] == sum(one["log_ratio"] is not None for one in own)
        done = [one for one in own if one["log_ratio"] == 2 and one["log_probability"] == -1]
        assert row["completed"] == len(done) > 0


def test_no_scores():
    tables = corpus(random.Random(0)) | {SCORES.name: [], ENTITIES.name: []}
    made = summaries(tables, 0)
    assert set(made) == {table.name for table in SCORE_SUMMARIES}
    assert not any(made.values())


def test_without_the_phases_of_others():
    """No table of entities, and no table of rejects."""
    tables = corpus(random.Random(1), "remove-sequence")
    flow = Flow()
    summarise_scores(flow, THRESHOLD, rejects=False, entities=False)
    assert list(flow.nodes[0].stage.inputs) == [DOCUMENTS.name, SCORES.name]
    made = execute(flow, tables, random.Random(0))
    assert set(made) == {table.name for table in SCORE_SUMMARIES} - {RISK_ENTITIES.name}
    assert made[RISK_BINS.name] == summaries(tables, 0)[RISK_BINS.name]
