"""The summary tables equal what plain Python adds up, however the rows are cut and partitioned."""

import pickle
import random
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from unrote.corpus.errors import StorageError
from unrote.corpus.schema import DOCUMENTS, DUPLICATES, FINDINGS, REJECTS, SPANS, UNCUT, doc_key
from unrote.memorization.at_risk import AT_RISK_REASON
from unrote.pipelines.engines.base import Flow, Output, Read
from unrote.pipelines.summary import passages
from unrote.pipelines.summary.clusters import CLUSTERS, TOP
from unrote.pipelines.summary.contamination import CONTAMINATED_SETS
from unrote.pipelines.summary.languages import LANGUAGE_TOTALS
from unrote.pipelines.summary.passages import PASSAGES
from unrote.pipelines.summary.phase import SUMMARIES, summarise
from unrote.pipelines.summary.rejects import FIRST_REJECTS, REJECT_REASONS
from unrote.pipelines.summary.scores import SCORE_SUMMARIES
from unrote.pipelines.summary.sums import text_key
from unrote.pipelines.summary.totals import MEASURES, RELEASED, SOURCES, TOTALS, Tally

SHARDS = ("web/a.jsonl", "web/b.jsonl", "books/c.jsonl")


def batches(tag: str, rows: list[dict], schema: pa.Schema, rng: random.Random) -> Iterator[tuple]:
    """`rows` under `tag`, cut anywhere, empty batches included."""
    while rows:
        size = rng.choice([0, 1, 2, 7, len(rows)])
        yield tag, pa.RecordBatch.from_pylist(rows[:size], schema=schema)
        rows = rows[size:]


def execute(flow: Flow, tables: dict[str, list[dict]], rng: random.Random) -> dict[str, list[dict]]:  # noqa: C901
    """Run a flow in memory: maps over random stretches, groups over random hash partitions."""
    made: dict[Output, list[dict]] = defaultdict(list)

    def run(node, rows: Iterator[tuple]) -> None:
        with pickle.loads(pickle.dumps(node.stage)).open() as stage:
            for tag, batch in stage(rows):
                assert batch.schema == node.stage.outputs[tag]
                made[Output(node, tag)] += batch.to_pylist()

    def stretches(read: Read) -> Iterator[tuple]:
        names = {t.name: t.schema for t in read.tables}
        if set(names) == {REJECTS.name}:
            yield from batches(REJECTS.name, tables[REJECTS.name], REJECTS.schema, rng)
            return
        docs = sorted({row["doc"] for row in tables[DOCUMENTS.name]})
        while docs:
            taken, docs = set(docs[: (size := rng.randint(1, 30))]), docs[size:]
            for name, schema in names.items():
                yield from batches(
                    name, [r for r in tables[name] if r["doc"] in taken], schema, rng
                )

    for node in flow.nodes:
        if not node.stage.key:
            run(node, stretches(node.inputs["source"][0]))
            continue
        parts: dict[int, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
        salt = rng.randint(0, 99)
        for tag, inputs in node.inputs.items():
            for i in inputs:
                rows = made[i] if isinstance(i, Output) else tables[i.tables[0].name]
                for row in rng.sample(rows, len(rows)):
                    part = hash((salt, *(row[c] for c in node.stage.key))) % 3
                    parts[part][tag].append(row)
        for part in parts.values():
            run(node, _grouped(node.stage, part, rng))
    return {
        table.name: sorted(
            (row for output in outputs for row in made[output]),
            key=lambda row: tuple(row[c] for c in table.sort),
        )
        for table, outputs in flow.writes
    }


def _grouped(stage, rows: dict[str, list[dict]], rng: random.Random) -> Iterator[tuple]:
    """Rows of a group's inputs, sorted, cut between keys as well as anywhere within an input."""
    key = lambda row: tuple(row[c] for c in stage.key)  # noqa: E731
    keys = sorted({key(row) for found in rows.values() for row in found})
    while keys:
        taken, keys = set(keys[: (size := rng.randint(1, 9))]), keys[size:]
        for tag, schema in stage.inputs.items():
            own = [row for row in rows.get(tag, []) if key(row) in taken]
            own.sort(key=lambda row: (*key(row), *(row[c] for c in stage.order)))
            yield from batches(tag, own, schema, rng)


def sizes(rng: random.Random, doc: int, size: int) -> dict:
    """A row of RELEASED: passages, sequences at risk, or both."""
    passages, sequences = rng.choice([(1, 0), (3, 2), (0, 1)])
    left = rng.randint(0, size) if passages else size
    risk = rng.randint(0, left) if sequences else 0
    return {
        "doc": doc, "bytes": left, "passages": passages, "sequences": sequences,
        "bytes_at_risk": risk, "contaminated": risk % 3, "bytes_contaminated": 5 * (risk % 3),
    }  # fmt: skip


def corpus(rng: random.Random) -> dict[str, list[dict]]:
    """Tables of a made-up run."""
    documents, duplicates, spans, uncut, released = [], [], [], [], []
    docs = [doc_key(shard, row) for shard in range(3) for row in range(rng.randint(0, 60))]
    for doc in docs:
        shard = SHARDS[doc >> 36]
        source = rng.choice([shard.split("/")[0], "", None])
        derived = rng.random() < 0.2
        documents.append(
            {
                "doc": doc,
                "id": f"{shard}#{doc & 0xFFFF}" if derived else "x",
                "shard": shard,
                "row": doc & 0xFFFF,
            }
            | {"source": source, "bytes": rng.randint(1, 5000), "words": rng.randint(0, 700)}
        )
        reason = rng.choice(["exact", "near", "remainder", None, None, None])
        if reason in ("exact", "near"):
            duplicates.append(
                {"doc": doc, "reason": reason, "twin": rng.choice(docs[:30]), "similarity": 1.0}
            )
            continue
        if reason:
            duplicates.append({"doc": doc, "reason": reason, "twin": None, "similarity": None})
        if rng.random() < 0.5:
            starts = sorted(rng.randint(0, 900) for _ in range(rng.randint(1, 5)))
            spans += [
                {
                    "doc": doc,
                    "start": s,
                    "end": s + rng.randint(1, 90),
                    "witness": rng.choice(docs[:6]),
                }
                | {"witness_start": rng.randint(0, 200), "occurrences": rng.randint(2, 9)}
                for s in starts
            ]
            spans[-len(starts) :] = [
                row | {"witness_end": row["witness_start"] + rng.randint(1, 90)}
                for row in spans[-len(starts) :]
            ]
            uncut += [
                row | {"bytes": rng.randint(0, 99)} for row in spans[-2:] if row["doc"] == doc
            ]
            released.append(sizes(rng, doc, documents[-1]["bytes"]))
    gone = {row["doc"] for row in duplicates}
    rejects = [
        {
            "doc": doc_key(n // 20, n % 20),
            "shard": SHARDS[n // 20],
            "row": n % 20,
            "reason": rng.choice([f"reason {rng.randint(0, 29)}", f"{AT_RISK_REASON}: why"]),
        }
        for n in range(60)
        if doc_key(n // 20, n % 20) not in gone
    ]
    return {
        DOCUMENTS.name: documents,
        DUPLICATES.name: duplicates,
        SPANS.name: sorted(spans, key=lambda r: [r[c] for c in SPANS.sort]),
        UNCUT.name: sorted(uncut, key=lambda r: [r[c] for c in UNCUT.sort]),
        RELEASED.name: released,
        REJECTS.name: rejects,
        FINDINGS.name: [],
    }


def summaries(tables: dict[str, list[dict]], rng: random.Random) -> dict[str, list[dict]]:
    flow = Flow()
    summarise(flow, SHARDS)
    return execute(flow, tables, rng)


def _docs(tables: dict[str, list[dict]]) -> set[int]:
    return {row["doc"] for row in tables["documents"]}


def expected_totals(tables: dict[str, list[dict]]) -> dict[str, Counter]:
    totals: dict[str, Counter] = defaultdict(Counter)
    documents = {row["doc"]: row for row in tables["documents"]}
    source = {doc: row["source"] or "" for doc, row in documents.items()}
    rejected = {row["doc"] for row in tables["rejects"]} & set(documents)
    removed = {row["doc"] for row in tables["duplicates"]} | rejected
    at_risk = {row["doc"] for row in tables["rejects"] if row["reason"].startswith(AT_RISK_REASON)}
    for doc in rejected:
        size = documents[doc]["bytes"]
        totals[source[doc]] += Counter(rejected=1, bytes_rejected=size)
        if doc in at_risk:
            totals[source[doc]] += Counter(rejected_at_risk=1, bytes_rejected_at_risk=size)
    for doc, row in documents.items():
        derived = row["id"] != "x"
        totals[source[doc]] += Counter(
            documents=1,
            bytes=row["bytes"],
            words=row["words"],
            ids_derived=derived,
            words_kept=row["words"] * (doc not in removed),
        )
    for row in tables["duplicates"]:
        size = documents[row["doc"]]["bytes"]
        totals[source[row["doc"]]] += Counter(
            {f"removed_{row['reason']}": 1, f"bytes_{row['reason']}": size}
        )
    covered = defaultdict(set)
    for row in tables["spans"]:
        covered[row["doc"]].update(range(row["start"], row["end"]))
        totals[source[row["doc"]]]["passages"] += 1
    for doc, chars in covered.items():
        totals[source[doc]]["passage_chars"] += len(chars)
    for row in tables["uncut"]:
        totals[source[row["doc"]]] += Counter(uncut=1, bytes_uncut=row["bytes"])
    for row in tables["released"]:
        if row["doc"] not in removed:
            cut = documents[row["doc"]]["bytes"] - row["bytes"]
            totals[source[row["doc"]]] += Counter(
                documents_cut=row["passages"] > 0,
                bytes_passages=cut,
                documents_at_risk=row["sequences"] > 0,
                bytes_at_risk=row["bytes_at_risk"],
                documents_contaminated=row["contaminated"] > 0,
                bytes_contaminated=row["bytes_contaminated"],
            )
    return totals


def expected_passages(tables: dict[str, list[dict]]) -> list[tuple]:
    spans = [
        (
            (r["witness_end"] - r["witness_start"]) * r["occurrences"],
            r["witness"],
            r["witness_start"],
            r["witness_end"] - r["witness_start"],
            r["occurrences"],
        )
        for r in tables["spans"]
    ]
    chosen: list[tuple] = []
    for size, witness, start, length, count in sorted(
        spans, key=lambda s: (-s[0], s[1], s[2], -s[3])
    ):
        overlaps = any(
            w == witness and s < start + length and start < s + n for _, w, s, n, _ in chosen
        )
        if not overlaps:
            chosen.append((size, witness, start, length, count))
    return chosen[:TOP]


@pytest.mark.parametrize("seed", range(25))
def test_summaries_are_what_python_adds_up(seed):
    tables = corpus(random.Random(seed))
    found = summaries(tables, random.Random(seed))

    rejected = {row["doc"] for row in tables["rejects"]}
    lost = sum(row["twin"] in rejected & _docs(tables) for row in tables["duplicates"])
    assert sum(row["copies"] for row in found["copies_of_rejected"]) == lost
    totals = {
        row["source"]: Counter({m: row[m] for m in MEASURES if row[m]}) for row in found["totals"]
    }
    wanted = {source: +counts for source, counts in expected_totals(tables).items()}
    assert totals == wanted
    sizes = [row["bytes"] for row in found["totals"]]
    assert sizes == sorted(sizes, reverse=True)

    copies: dict[int, Counter] = defaultdict(Counter)
    size = {row["doc"]: row["bytes"] for row in tables["documents"]}
    for row in tables["duplicates"]:
        if row["twin"] is not None:
            counted = Counter({"copies": 1, "bytes": size[row["doc"]], row["reason"]: 1})
            copies[row["twin"]] += counted
    largest = sorted(copies, key=lambda twin: (-copies[twin]["copies"], twin))[:TOP]
    columns = ("copies", "bytes", "exact", "near")
    assert [(r["twin"], *(r[c] for c in columns)) for r in found["clusters"]] == [
        (twin, *(copies[twin][c] for c in columns)) for twin in largest
    ]

    passages = [
        (-r["negative_size"], r["witness"], r["start"], r["length"], r["occurrences"])
        for r in found["passages"]
    ]
    assert passages == expected_passages(tables)

    reasons = Counter(row["reason"] for row in tables["rejects"])
    shown = {row["reason"]: row["rows"] for row in found["reject_reasons"]}
    rest = shown.pop(None, 0)
    assert all(reasons[reason] == rows for reason, rows in shown.items())
    assert sum(shown.values()) + rest == len(tables["rejects"])
    first = [(row["shard"], row["row"], row["reason"]) for row in found["first_rejects"]]
    assert first == [tuple(row.values())[1:] for row in tables["rejects"][:10]]


def test_any_cut_of_rows_gives_the_same_tables():
    tables = corpus(random.Random(7))
    first = summaries(tables, random.Random(0))
    assert all(summaries(tables, random.Random(seed)) == first for seed in range(1, 10))


def test_more_sources_than_fit_are_one_row():
    rng = random.Random(3)
    tables = {
        t.name: [] for t in (DOCUMENTS, DUPLICATES, SPANS, UNCUT, RELEASED, REJECTS, FINDINGS)
    }
    tables["documents"] = [
        {
            "doc": n,
            "id": "x",
            "shard": SHARDS[0],
            "row": n,
            "source": f"s{n}",
            "bytes": 10 + n,
            "words": 1,
        }
        for n in range(SOURCES + 5)
    ]
    totals = summaries(tables, rng)["totals"]
    assert len(totals) == SOURCES + 1
    assert totals[-1]["source"] is None
    assert (totals[-1]["sources"], totals[-1]["bytes"]) == (5, 10 + 11 + 12 + 13 + 14)


def test_an_empty_run_has_empty_summaries():
    tables = {
        t.name: [] for t in (DOCUMENTS, DUPLICATES, SPANS, UNCUT, RELEASED, REJECTS, FINDINGS)
    }
    found = summaries(tables, random.Random(0))
    others = {t.name for t in (*SCORE_SUMMARIES, CONTAMINATED_SETS, LANGUAGE_TOTALS)}
    assert set(found) == {t.name for t in SUMMARIES} - others
    assert not any(found.values())


def test_tables_that_were_not_written_are_not_read():
    flow = Flow()
    not_written = ("spans", "uncut", "released", "rejects", "findings")
    summarise(flow, SHARDS, **dict.fromkeys(not_written, False))
    assert {table for table, _ in flow.writes} == {TOTALS, CLUSTERS}
    assert list(flow.nodes[0].stage.inputs) == ["documents", "duplicates"]
    assert {*SCORE_SUMMARIES, PASSAGES, REJECT_REASONS, FIRST_REJECTS}.isdisjoint(
        t for t, _ in flow.writes
    )


def test_a_row_of_no_document_is_damage():
    rows = pa.RecordBatch.from_pylist(
        [{"doc": 3, "reason": "exact", "twin": 1, "similarity": 1.0}], schema=DUPLICATES.schema
    )
    with Tally().open() as run, pytest.raises(StorageError, match=r"document 3.*damaged"):
        list(run(iter([("duplicates", rows)])))


def test_text_keys_are_int64():
    keys = [text_key(str(n)) for n in range(100)]
    assert len(set(keys)) == 100
    assert min(keys) < 0 < max(keys)
    assert np.array(keys).dtype == np.int64


def test_the_largest_passages_are_chosen_without_a_copy_of_all_for_each():
    """None overlaps another, so that each of the rounds goes over all that are left."""
    count = 20_000
    found = np.ones((5, count), np.int64)
    found[passages.SIZE] = found[passages.LENGTH] = 5
    found[passages.START] = 10 * np.arange(count)
    tracemalloc.start()
    chosen = passages._largest_apart(found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert chosen[passages.START].tolist() == [10 * n for n in range(TOP)]
    assert peak < 6 * found.nbytes
