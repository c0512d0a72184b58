import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import reference
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from unrote.corpus.schema import FINGERPRINTS, RECORDS, REJECTS
from unrote.dedup.exact import Exact, Fingerprint
from unrote.dedup.fingerprint import fingerprints
from unrote.dedup.minhash import sign_texts

TEXTS = ["", "a b", "A  b", "…", "one two three four five six", "ünï cödé", "a b ", "x " * 700]


def records(texts: list[str], order: list[str | None] | None = None) -> pa.Table:
    rows = [
        (5 * n, "s.jsonl", n, f"id{n}", "web", order[n] if order else None, text, [])
        for n, text in enumerate(texts)
    ]
    return table(RECORDS, rows)


def run(stage: Fingerprint, texts: pa.Table, seed: int = 0) -> dict[str, pa.Table]:
    rejects = table(REJECTS.schema, [])
    return MiniEngine(seed).map(stage, text=texts, rejects=rejects)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stage", [Fingerprint(), Fingerprint("case", unit="character", ngram=3)])
def test_fingerprint(stage, seed):
    found = run(stage, records(TEXTS), seed)
    assert rows_of(found["documents"]) == [
        (5 * n, f"id{n}", "s.jsonl", n, "web", len(t.encode()), len(reference.words(t)))
        for n, t in enumerate(TEXTS)
    ]
    keys = fingerprints(TEXTS, normalise=stage.normalise).tolist()
    assert rows_of(found["fingerprints"]) == [(5 * n, *key, 0) for n, key in enumerate(keys)]
    array = pa.array(TEXTS, pa.string())
    buckets = sign_texts(array, 128, stage.ngram, stage.unit, 18, 7)[1].tolist()
    some = [n for n, t in enumerate(TEXTS) if reference.words(t)]
    assert rows_of(found["bands"]) == sorted(
        (5 * n, bucket, 0) for n in some for bucket in buckets[n]
    )


def test_without_near():
    found = run(Fingerprint(near=False), records(TEXTS))
    assert found["bands"].num_rows == 0
    assert found["documents"].column("words").to_pylist() == [
        len(reference.words(t)) for t in TEXTS
    ]


def test_ranks_are_of_the_policy():
    found = run(Fingerprint(keep="highest:x"), records(["a", "b", "c"], ["1", None, "7"]))
    rank = found["fingerprints"].column("rank").to_pylist()
    assert np.argsort(rank).tolist() == [2, 0, 1]
    assert set(rows_of(found["bands"].select(["doc", "rank"]))) == {
        (5 * n, r) for n, r in enumerate(rank)
    }


def test_rejects_pass():
    stage = Fingerprint()
    rejects = table(REJECTS.schema, [(1, "s", 1, "not JSON")])
    with stage.open() as opened:
        assert list(opened(iter([("rejects", rejects.to_batches()[0])]))) == [
            ("rejects", rejects.to_batches()[0])
        ]


@pytest.mark.parametrize(
    "settings",
    [{"normalise": "x"}, {"unit": "x"}, {"keep": "x"}, {"threshold": 0.001}, {"ngram": 0}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=r".+"):
        Fingerprint(**settings)


ROWS = st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 2), st.integers(0, 2)), max_size=40)


@given(ROWS, st.integers(0, 99))
def test_exact(rows, seed):
    numbered = [(doc, *row) for doc, row in enumerate(rows)]
    found = MiniEngine(seed).group(Exact(), fingerprints=table(FINGERPRINTS.schema, numbered))
    first = {}
    for doc, high, low, _ in sorted(numbered, key=lambda row: (row[3], row[0])):
        first.setdefault((high, low), doc)
    assert rows_of(found["exact"]) == [
        (doc, "exact", first[high, low], 1.0)
        for doc, high, low, _ in numbered
        if first[high, low] != doc
    ]
