"""Rows of three tables side by side, cut anywhere; what becomes of them."""

import math
from itertools import pairwise
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.memorization import tiny
from unrote.corpus.schema import (
    DOCUMENTS,
    MEASURED,
    MEASURES,
    READ,
    SCORES,
    SEQUENCE_COPIES,
    SEQUENCES,
    TEXT_FEATURES,
)
from unrote.memorization.at_risk import RejectAtRisk
from unrote.memorization.config import Config, Models
from unrote.memorization.scorer import scorer_of
from unrote.memorization.scores import Measure, Score, document_ranges, rows_of
from unrote.memorization.selection import Selection

CONFIG = Config(prefix=4, suffix=4)


@st.composite
def tables(draw):
    """(sequences by document, and which of them are selected)."""
    docs = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=8)))
    rows = [(doc, n) for doc in docs for n in range(draw(st.integers(1, 6)))]
    return rows, [row for row in rows if draw(st.booleans())]


def batch(rows, **columns):
    names = {"doc": [doc for doc, _ in rows], "number": [n for _, n in rows]} | columns
    return pa.RecordBatch.from_pydict({k: pa.array(v, pa.int64()) for k, v in names.items()})


def cut(rows, random):
    """In chunks, of which some are empty."""
    bounds = sorted([0, len(rows), *(random.randint(0, len(rows)) for _ in range(4))])
    return [rows[a:b] for a, b in pairwise(bounds)]


def side_by_side(rows, selected, seed):
    """As slices are read: lead rows in chunks, then the others' up to the last document."""
    random = Random(seed)
    beside = {name: list(selected) for name in ("sequence_copies", "measured")}
    for group in cut(rows, random):
        if not group:
            continue
        for chunk in cut(group, random):
            yield "sequences", batch(chunk)
        for name, left in beside.items():
            now = [row for row in left if row[0] <= group[-1][0]]
            beside[name] = left[len(now) :]
            for chunk in cut(now, random):
                if chunk:
                    yield name, batch(chunk)


@examples(300)
@given(tables(), st.integers(0, 10**6))
def test_document_ranges(given_, seed):
    """All rows come once and in order, each beside its rows of the other tables."""
    rows, selected = given_
    seen, met = [], []
    for own, beside in document_ranges(side_by_side(rows, selected, seed), "sequences"):
        here = pairs(own)
        columns = {name: own[name].to_numpy() for name in ("doc", "number")}
        seen += here
        for found in beside.values():
            index, matched = rows_of(columns, found)
            met += [here[i] for i in index]
            assert [row for row, one in zip(pairs(found), matched, strict=True) if one] == [
                here[i] for i in index
            ]
    assert seen == rows
    assert sorted(met) == sorted(selected * 2)


def pairs(rows):
    return list(zip(rows["doc"].to_pylist(), rows["number"].to_pylist(), strict=True))


def test_rows_of():
    rows = {
        "doc": np.array([3, 3, 4, 7, 7, 7]),
        "number": np.array([5, 6, 0, 0, 1, 2]),  # of document 3 the first ones came before
    }
    found = batch([(2, 0), (3, 0), (3, 4), (3, 5), (3, 7), (4, 0), (5, 0), (7, 2), (7, 3), (9, 0)])
    index, matched = rows_of(rows, found)
    assert index.tolist() == [0, 2, 5]
    assert np.flatnonzero(matched).tolist() == [3, 5, 7]


def sequence(doc, number, **changes):
    row = {
        "doc": doc, "number": number, "start": 10 * number, "end": 10 * number + 10,
        "released_start": 0, "second_token": 1, "released_end": 10, "prefix_tokens": 2,
        "ids": [1, 2, 3, 4], "copies_input": 4,
        "copies": 2, "tabular": 0, "rank": 9, "random": 0,
    }  # fmt: skip
    return row | dict.fromkeys(TEXT_FEATURES, 0.25) | changes


def scored(rows, copies=(), measured=(), **options):
    tagged = [
        (SEQUENCES.name, pa.RecordBatch.from_pylist(rows, SEQUENCES.schema)),
        (SEQUENCE_COPIES.name, pa.RecordBatch.from_pylist(list(copies), SEQUENCE_COPIES.schema)),
        (MEASURED.name, pa.RecordBatch.from_pylist(list(measured), MEASURED.schema)),
    ]
    found = {"scores": [], "at_risk": []}
    with Score(**options).open() as run:
        for tag, one in run(iter(tagged)):
            found[tag] += one.to_pylist()
    return found["scores"], found["at_risk"]


MEASUREMENT = dict.fromkeys(MEASURES, 0.5) | {
    "extractable": True, "pz_log": -1.5, "reason": None,
}  # fmt: skip


def test_what_the_model_has_read():
    counts = {"copies_input": 40, "copies_deduplicated": 12, "copies": 10, "near": 6, "shingles": 8}
    key = {"doc": 1, "number": 0}
    (row,), _ = scored([sequence(1, 0)], [key | counts], [key | MEASUREMENT], tokens=4_000_000)
    assert row["scored_by"] == "model"
    assert (row["copies_input"], row["copies_deduplicated"], row["copies"]) == (40, 12, 10)
    assert row["copies_near"] == 0.75
    assert row["copies_per_million"] == 2.5
    assert row["loss"] == 0.5
    assert row["reason"] is None
    assert 0 < row["risk"] < row["risk_deduplicated"] < row["risk_input"] < 1
    assert row["risk_low"] < row["risk"] < row["risk_high"]
    assert row["predictable"] == pytest.approx(math.exp(-1.5))
    either = 1 - (1 - row["memorized"]) * (1 - row["predictable"])
    assert row["risk"] == pytest.approx(either, abs=1e-8)
    assert row["category"] == "recite"
    assert row["suffix_tokens"] == 2


def test_what_it_has_not():
    (row,), _ = scored([sequence(1, 0)], selection=Selection(rank=9, part=0.0, sample=0.0))
    assert (row["scored_by"], row["reason"], row["loss"]) == ("text", "not selected", None)
    assert (row["copies_input"], row["copies_deduplicated"], row["copies"]) == (4, None, 2)
    assert 0 < row["risk"] == row["memorized"] < row["risk_input"] < 1
    assert (row["predictable"], row["category"]) == (None, "recollect")


def test_what_is_in_a_table():
    rows = [sequence(1, number, tabular=number) for number in range(3)]
    assert [row["tabular"] for row in scored(rows)[0]] == [None, "head", "rows"]


def test_what_has_no_tokens():
    nothing = sequence(1, 0, rank=-1, ids=[], prefix_tokens=0, **dict.fromkeys(TEXT_FEATURES))
    (row,), at_risk = scored([nothing], threshold=1e-9, action="remove-sequence")
    assert (row["scored_by"], row["reason"], row["risk"]) == (None, "no tokens", None)
    assert (row["memorized"], row["category"]) == (None, None)
    assert (row["action"], at_risk) == ("keep", [])


@pytest.mark.parametrize("action", ["remove-sequence", "remove-document"])
def test_what_is_at_risk(action):
    rows = [sequence(1, 0, copies=1), sequence(1, 1, copies=10**6)]
    scores, at_risk = scored(rows, threshold=0.5, action=action)
    assert [row["action"] for row in scores] == ["keep", action]
    assert at_risk == [{"doc": 1, "start": 10, "end": 20}]


def test_of_an_empty_range_nothing_is_removed():
    _, at_risk = scored(
        [sequence(1, 0, end=0, copies=10**6)], threshold=1e-9, action="remove-sequence"
    )
    assert at_risk == []


@pytest.mark.parametrize(
    ("band", "why"),
    [
        (True, "a sequence may have a risk of 0.25 or more (risk_high, the high end of its band)"),
        (False, "a sequence has a risk of 0.25 or more"),
    ],
)
def test_the_reason_of_a_reject_says_which_end_decides(band, why):
    stage = RejectAtRisk(threshold=0.25, band=band)
    row = dict.fromkeys(DOCUMENTS.schema.names) | {"doc": 7, "shard": "a", "row": 7}
    found = pa.RecordBatch.from_pylist([row], DOCUMENTS.schema)
    with stage.open() as run:
        ((tag, rejects),) = run(iter([(DOCUMENTS.name, found)]))
    assert tag == "rejects"
    assert rejects["reason"].to_pylist() == [f"at risk of memorization: {why}"]


def test_no_nan_is_written():
    key = {"doc": 1, "number": 0, "reason": "one token"}
    (row,), _ = scored([sequence(1, 0)], measured=[key | dict.fromkeys(MEASURES)])
    assert not any(value != value for value in row.values())
    assert row["reason"] == "one token"
    assert 0 < row["risk"] < 1
    assert row.keys() == set(SCORES.schema.names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny.save(tmp_path_factory.mktemp("tiny")))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_batch_groups_are_measured_whole(folder, seed):
    """However their rows come; and as the scorer says of the same texts."""
    texts = [text[: 8 + 5 * n] for n, text in enumerate(tiny.SENTENCES * 2)]
    scorer = scorer_of(Models(folder, device="cpu", precision="float32", config=CONFIG))
    ids = [scorer.model.tokenizer.encode(text).ids[:8] for text in texts]
    rows = [
        {
            "doc": n, "number": 0, "batch_group": n % 2, "prefix_tokens": len(ids[n]) // 2,
            "second_token": 1, "ids": ids[n], "text": text,
        }
        for n, text in enumerate(texts)
    ]  # fmt: skip
    rows.sort(key=lambda row: row["batch_group"])
    whole = pa.RecordBatch.from_pylist(rows, READ.schema)
    bounds = sorted([0, len(rows), *(Random(seed + n).randint(0, len(rows)) for n in range(3))])
    chunks = [("read", whole.slice(a, b - a)) for a, b in pairwise(bounds)]
    stage = Measure(Models(folder, device="cpu", precision="float32", config=CONFIG))
    with stage.open() as run:
        found = [row for _, one in run(iter(chunks)) for row in one.to_pylist()]
    with stage.open() as run:
        assert found == [r for _, one in run(iter([("read", whole)])) for r in one.to_pylist()]
    assert [row["doc"] for row in found] == [row["doc"] for row in rows]
    assert all(row["loss"] > 0 and row["reason"] is None for row in found)
