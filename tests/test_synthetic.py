"""The corpus of the benchmarks: what its text is like, and whether the truth of it is true."""

import json
import re
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import synthetic


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic") / "out"
    synthetic.write(synthetic.Spec(9_000_000, seed=3, shard=6_000_000), out)
    shards = sorted((out / "corpus").iterdir())
    assert len(shards) == 2
    lines = [line for path in shards for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines], pq.read_table(out / "truth.parquet").to_pylist()


def grams(text):
    words = re.findall(r"\w+", text.lower())
    return set(zip(*(words[at:] for at in range(5)), strict=False))


def test_frequencies_by_rank_are_zipfs(made):
    counts = Counter(word for row in made[0] for word in re.findall(r"\w+", row["text"]))
    frequencies = np.log([count for _, count in counts.most_common(1000)][9:])
    slope, _ = np.polyfit(np.log(np.arange(10, 1001)), frequencies, 1)
    assert -1.1 < slope < -0.9
    shares = Counter(row["source"] for row in made[0])
    assert {name: shares[name] / len(made[0]) for name in shares} == pytest.approx(
        dict(zip(synthetic.SOURCES, synthetic.SHARES, strict=True)), abs=0.03
    )


def test_copies_are_copies_and_as_many_as_were_asked_for(made):
    rows, truth = made
    kinds = Counter(row["kind"] for row in truth)
    assert kinds["exact"] / len(rows) == pytest.approx(0.06, abs=0.015)
    assert kinds["near"] / len(rows) == pytest.approx(0.06, abs=0.015)
    for row in truth:
        if row["kind"] == "exact":
            assert rows[row["doc"]]["text"] == rows[row["of"]]["text"]
            assert row["of"] < row["doc"]


def test_near_copies_are_as_similar_as_said(made):
    rows, truth = made
    said, found = [], []
    for row in truth:
        if row["kind"] == "near":
            ours, theirs = grams(rows[row["doc"]]["text"]), grams(rows[row["of"]]["text"])
            said.append(row["similarity"])
            found.append(len(ours & theirs) / len(ours | theirs))
    assert len(said) > 50
    assert np.max(np.abs(np.subtract(said, found))) < 0.05
    assert np.mean(np.abs(np.subtract(said, found))) < 0.005
    assert min(said) < 0.8 < max(said)


def test_passages_and_values_are_there(made):
    rows, truth = made
    replaced = {row["doc"] for row in truth if row["kind"] in ("exact", "near")}
    shared = values = 0
    for row in truth:
        if row["kind"] == "passage" and row["doc"] not in replaced:
            shared += bool(grams(rows[row["doc"]]["text"]) & grams(rows[row["of"]]["text"]))
        elif row["kind"] == "values" and row["doc"] not in replaced:
            shapes = re.findall(r"\S+@example\.com|\(\d{3}\) 555-01\d\d", rows[row["doc"]]["text"])
            values += len(shapes) == row["count"]
    passages = sum(row["kind"] == "passage" and row["doc"] not in replaced for row in truth)
    assert shared > 0.85 * passages > 50  # the other document may have become a copy since
    assert values > 60


def test_the_same_seed_the_same_bytes_and_a_larger_one_begins_alike(tmp_path):
    for name, seed, size in (("a", 1, 1), ("b", 1, 6_000_000), ("c", 2, 1)):
        synthetic.write(synthetic.Spec(size, seed=seed), tmp_path / name)
    content = [(tmp_path / name / "corpus/00000.jsonl").read_bytes() for name in "abc"]
    assert content[1].startswith(content[0])
    assert content[0] != content[2]


def test_short_documents(tmp_path):
    corpus = synthetic.Corpus(synthetic.Spec(1, words=7, plain=True))
    lines, _ = corpus.block()
    texts = [json.loads(line)["text"] for line in lines]
    assert len(texts) > 80_000
    assert 40 < np.mean([*map(len, texts)]) < 60


def test_it_is_written_outside_the_repository():
    with pytest.raises(SystemExit, match="outside"):
        synthetic.write(synthetic.Spec(1), synthetic.ROOT / "corpus-of-mine")
