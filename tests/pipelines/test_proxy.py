"""A proxy run, with seconds to train in: what it leaves, and that its calibration is of use."""

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from tests.command import unrote
from tests.corpora import write_jsonl
from unrote.memorization.proxy_risk import ProxyRisk

SEED_TEXT = "The keeper of the light climbs forty steps and counts them aloud, as every night. "


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    words = np.random.default_rng(0).permutation([f"word{n}" for n in range(400)]).tolist()
    rows = [
        {"id": str(n), "text": SEED_TEXT * 3 + " ".join(words[n * 8 : n * 8 + 60])}
        for n in range(40)
    ]
    write_jsonl(folder / "in" / "a.jsonl", rows)
    done = unrote(
        "proxy", folder / "in", "-o", folder / "out", "--minutes", "0.05",
        "--set", "memorization.max_tokens=2000",
    )  # fmt: skip
    assert done.status == 0, done.err
    return folder, done


def test_it_says_what_it_found_and_what_that_is_worth(made):
    folder, done = made
    found = orjson.loads((folder / "out" / "proxy" / "proxy.json").read_bytes())
    assert f"{found['extracted']:,} of {found['prompted']:,} sequences are extractable" in " ".join(
        done.out.split()
    )
    assert "no clean bill" in " ".join(done.out.split())
    assert found["documents"] == 40
    assert 1 <= found["documents_trained"] <= 40
    assert found["tokens_trained"] > 0


def test_verify_knows_what_a_proxy_run_leaves(made):
    folder, _ = made
    done = unrote("verify", folder / "out")
    assert (done.status, "Every promise holds." in done.out) == (0, True), done.out


def test_prompted_sequences_are_those_of_the_scores(made):
    folder, _ = made
    rows = pq.read_table(folder / "out" / "proxy" / "sequences.parquet").to_pylist()
    scores = pq.read_table(folder / "out" / "tables" / "scores").to_pylist()
    known = {(s["doc"], s["start"], s["end"]): s for s in scores}
    found = orjson.loads((folder / "out" / "proxy" / "proxy.json").read_bytes())
    assert len(rows) == found["prompted"]
    assert sum(row["extractable"] for row in rows) == found["extracted"]
    assert [row["extractable"] for row in rows] == sorted(
        (row["extractable"] for row in rows), reverse=True
    )
    for row in rows:
        mine = known[row["doc"], row["start"], row["end"]]
        assert row["extracted_tokens"] == mine["suffix_tokens"] or not row["extractable"]


def test_its_calibration_is_used(made):
    folder, _ = made
    recalibrated = folder / "out" / "proxy" / "risk.json"
    assert "recalibrated" in ProxyRisk.load(recalibrated).card
    again = unrote(
        "score", folder / "in", "-o", folder / "again",
        "--set", "memorization.max_tokens=2000",
        "--set", f"memorization.calibration={recalibrated}",
    )  # fmt: skip
    assert again.status == 0, again.err
    found = orjson.loads((folder / "out" / "proxy" / "proxy.json").read_bytes())
    risks = pq.read_table(folder / "again" / "tables" / "scores")["risk"].to_numpy()
    # The ranks are others, and so are a few of the sequences that the model has read.
    assert np.nansum(risks) == pytest.approx(
        found["expected_extracted_corpus_recalibrated"], rel=0.05
    )


def test_what_cannot_be_trained_on(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"text": ""}])
    empty = unrote("proxy", tmp_path / "a.jsonl", "-o", tmp_path / "out")
    assert empty.status == 2
    assert "no text to train" in empty.err
    missing = unrote(
        "proxy", tmp_path / "a.jsonl", "-o", tmp_path / "o2",
        "--set", "memorization.calibration=nowhere.json",
    )  # fmt: skip
    assert missing.status == 2
    assert "nowhere.json" in missing.err
