"""The tables of the report on findings equal what plain Python counts, however rows are cut."""

import random
from collections import Counter, defaultdict

import pyarrow as pa
import pytest

from tests.pipelines.test_summary import execute
from unrote.corpus.schema import DOCUMENTS, FINDINGS, doc_key
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary import findings as summary_findings
from unrote.pipelines.summary.findings import (
    EXAMPLES,
    FINDING_EXAMPLES,
    FINDING_SUMMARIES,
    FINDING_VALUES,
    FINDINGS_BY_KIND,
    FINDINGS_BY_SOURCE,
    KINDS,
    FirstExamples,
    TallyFindings,
    summarise_findings,
)
from unrote.pipelines.summary.sums import text_key

TYPES = ("EMAIL_ADDRESS", "US_SSN", "DEID_MARKER", "IP_ADDRESS")
ORIGINS = ("EmailRecognizer", "PhoneRecognizer", "MIMIC-III")
ACTIONS = ("surrogate", "keep", "cut", "remove")
SOURCES = ("web", "books", "", None)


def corpus(rng: random.Random) -> dict[str, list[dict]]:
    """Documents and findings of a made-up run, some documents without findings."""
    documents, findings = [], []
    for doc in [doc_key(shard, row) for shard in range(3) for row in range(rng.randint(0, 30))]:
        documents.append({"doc": doc, "id": "x", "shard": "a", "row": doc & 0xFFFF})
        documents[-1] |= {"source": rng.choice(SOURCES), "bytes": 9, "words": 2}
        for field in range(rng.choice([0, 1, 2])):
            places = sorted(rng.sample(range(50), 2 * rng.randint(0, 6)))
            for start, end in zip(places[::2], places[1::2], strict=True):
                findings.append(finding(rng, doc, field, start, end))
    return {DOCUMENTS.name: documents, FINDINGS.name: findings}


def finding(rng: random.Random, doc: int, field: int, start: int, end: int) -> dict:
    action = rng.choice(ACTIONS)
    print_ = f"{rng.randint(0, 12):032x}"  # the same for several types: it does not make them equal
    row = {"doc": doc, "field": field, "start": start, "end": end, "type": rng.choice(TYPES)}
    row |= {"score": 0.5, "action": action, "origin": rng.choice(ORIGINS), "stands_for": ""}
    drawn = f"{rng.randint(0, 12):032x}" if action == "surrogate" else None
    return row | {"fingerprint": print_, "surrogate_fingerprint": drawn}


def summaries(tables: dict[str, list[dict]], seed: int) -> dict[str, list[dict]]:
    flow = Flow()
    summarise_findings(flow)
    return execute(flow, tables, random.Random(seed))


def expected_kinds(tables):
    return Counter((r["type"], r["origin"], r["action"]) for r in tables["findings"])


def expected_sources(tables):
    """Findings, and documents: each once for a type, at the action of its first finding."""
    source = {row["doc"]: row["source"] or "" for row in tables["documents"]}
    counts = defaultdict(lambda: [0, 0])
    seen = set()
    for row in tables["findings"]:
        kind = (row["type"], source[row["doc"]], row["action"])
        counts[kind][0] += 1
        counts[kind][1] += (row["doc"], row["type"]) not in seen
        seen.add((row["doc"], row["type"]))
    return {kind: tuple(both) for kind, both in counts.items()}


def expected_repeated(tables):
    values = Counter()
    for row in tables["findings"]:
        values[row["type"], 0, row["fingerprint"]] += 1
        if row["surrogate_fingerprint"] is not None:
            values[row["type"], 1, row["surrogate_fingerprint"]] += 1
    by_type = defaultdict(list)
    for (type_, kind, _), count in values.items():
        by_type[type_, kind].append(count)
    return {pair: (len(each), max(each), sum(each)) for pair, each in by_type.items()}


def expected_places(tables):
    first = defaultdict(dict)
    for row in tables["findings"]:
        place = tuple(row[name] for name in ("doc", "field", "start", "end"))
        if len(first[row["type"]]) < EXAMPLES:
            first[row["type"]].setdefault(row["fingerprint"], place)
    return {type_: list(places.values()) for type_, places in first.items()}


@pytest.mark.parametrize("seed", range(30))
def test_summaries_are_what_python_counts(seed):
    tables = corpus(random.Random(seed))
    made = summaries(tables, seed)

    kinds = {
        (r["type"], r["origin"], r["action"]): r["findings"] for r in made[FINDINGS_BY_KIND.name]
    }
    assert kinds == expected_kinds(tables)
    assert len(kinds) == len(made[FINDINGS_BY_KIND.name])

    sources = {
        (r["type"], r["source"], r["action"]): (r["findings"], r["documents"])
        for r in made[FINDINGS_BY_SOURCE.name]
    }
    assert sources == expected_sources(tables)
    assert len(sources) == len(made[FINDINGS_BY_SOURCE.name])

    for name in (FINDINGS_BY_KIND.name, FINDINGS_BY_SOURCE.name):
        counts = [row["findings"] for row in made[name]]
        assert counts == sorted(counts, reverse=True)
        assert [-row["negative_findings"] for row in made[name]] == counts

    repeated = {
        (r["type"], r["surrogate"]): (r["values"], r["most_repeated"], r["findings"])
        for r in made[FINDING_VALUES.name]
    }
    assert repeated == expected_repeated(tables)
    assert len(repeated) == len(made[FINDING_VALUES.name])

    places = defaultdict(list)
    for row in made[FINDING_EXAMPLES.name]:
        assert row["type_key"] == text_key(row["type"])
        places[row["type"]].append(tuple(row[n] for n in ("document", "field", "start", "end")))
    assert places == expected_places(tables)


def test_any_cut_of_rows_gives_the_same_tables():
    tables = corpus(random.Random(7))
    first = summaries(tables, 0)
    assert all(summaries(tables, seed) == first for seed in range(1, 12))


@pytest.mark.parametrize("seed", range(5))
def test_workers_that_saw_parts_agree_on_the_first_places(seed):
    """Each tells the first of its own documents, the values of others among them."""
    rng = random.Random(seed)
    tables = corpus(rng)
    part = {row["doc"]: rng.randrange(3) for row in tables["documents"]}
    candidates = []
    for number in range(3):
        rows = [row for row in tables["findings"] if part[row["doc"]] == number]
        own = {DOCUMENTS.name: tables["documents"], FINDINGS.name: rows}
        batches = [
            (name, pa.RecordBatch.from_pylist(own[name], schema=schema))
            for name, schema in TallyFindings.inputs.items()
        ]
        with TallyFindings().open() as run:
            candidates += [
                row for tag, batch in run(iter(batches)) if tag == "examples"
                for row in batch.to_pylist()
            ]  # fmt: skip
    stage = FirstExamples()
    candidates.sort(key=lambda row: [row[c] for c in (*stage.key, *stage.order)])
    merged = pa.RecordBatch.from_pylist(candidates, schema=stage.inputs["examples"])
    places = defaultdict(list)
    with stage.open() as run:
        for _, batch in run(iter([("examples", merged)])):
            for row in batch.to_pylist():
                places[row["type"]].append(
                    tuple(row[n] for n in ("document", "field", "start", "end"))
                )
    assert places == expected_places(tables)


def test_more_kinds_than_fit_are_one_row(monkeypatch):
    monkeypatch.setattr(summary_findings, "KINDS", 5)
    tables = corpus(random.Random(3))
    made = summaries(tables, 1)
    for name, key, expected in (
        (FINDINGS_BY_KIND.name, "origin", expected_kinds(tables)),
        (FINDINGS_BY_SOURCE.name, "source", {k: v[0] for k, v in expected_sources(tables).items()}),
    ):
        *first, rest = made[name]
        assert len(first) == 5
        assert (rest["type"], rest[key], rest["action"]) == (None, None, None)
        most = sorted(expected.values(), reverse=True)
        assert [row["findings"] for row in first] == most[:5]
        assert rest["findings"] == sum(most[5:])
    documents = sum(row["documents"] for row in made[FINDINGS_BY_SOURCE.name])
    assert documents == len({(r["doc"], r["type"]) for r in tables["findings"]})


def test_all_kinds_fit_by_default():
    assert len(TYPES) * len(ORIGINS) * len(ACTIONS) < KINDS


def test_no_findings():
    tables = corpus(random.Random(0)) | {FINDINGS.name: []}
    made = summaries(tables, 0)
    assert set(made) == {table.name for table in FINDING_SUMMARIES}
    assert not any(made.values())


def test_no_value_is_in_a_table():
    """Only counts and places: not even a fingerprint, which is equal in two runs of a key."""
    tables = corpus(random.Random(1))
    shown = repr(summaries(tables, 0))
    assert not [row for row in tables["findings"] if row["fingerprint"] in shown]
