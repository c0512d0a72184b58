"""Findings that are left in the text, and masks of it, from one end to the other."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.command import unrote
from tests.corpora import Writer, personal, write_jsonl
from tests.memorization import tiny
from tests.memorization.test_entities import log_after
from unrote.corpus.hashing import random_numbers
from unrote.memorization import completion
from unrote.memorization.goldfish import LabelMasker, masks
from unrote.memorization.windows import tokenize, tokens_of

GROUP_SIZE = 8


def written() -> list[dict]:
    """Mails behind what is replaced, cut or neither; the last row is the first one again."""
    writer = Writer(5)
    passage = writer.text(3)
    rows = personal(1, 24)
    for n in range(4):
        text = f"{writer.sentence()}\n{passage}\nCall (212) 664-90{n}1, mail kim.poe{n}@unrote.org."
        rows.append({"id": f"s{n}", "text": text})
    return [*rows, {"id": "plain", "text": writer.text(9)}, rows[0] | {"id": "again"}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Cleans a small corpus with a tiny model; lots are small too."""
    folder = tmp_path_factory.mktemp("entities")
    rows = written()
    write_jsonl(folder / "in" / "a.jsonl", rows[:15])
    write_jsonl(folder / "in" / "b.jsonl", rows[15:])
    tiny.save(folder / "model")
    tiny.tokenizer(290).save_pretrained(folder / "words")

    def clean(name: str, **settings: object) -> Path:
        known = {
            "memorization.model": str(folder / "model"),
            "pii.actions": {"EMAIL_ADDRESS": "keep"},
            "dedup.near.enabled": False,
        }
        options = []
        for key, value in (known | {k.replace("__", "."): v for k, v in settings.items()}).items():
            shown = "{EMAIL_ADDRESS = 'keep'}" if isinstance(value, dict) else json.dumps(value)
            options += ["--set", f"{key}={shown}"]
        done = unrote("clean", folder / "in", "-o", folder / name, *options)
        assert done.status == 0, done.err
        return folder / name

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNROTE_KEY", "0123456789abcdef" * 2)
        patch.setattr(completion, "GROUP_SIZE", GROUP_SIZE)
        clean.folder = folder
        yield clean


@pytest.fixture(scope="module")
def whole(run) -> Path:
    return run("whole", memorization__masks="all", memorization__mask_h=5)


def table(out: Path, name: str) -> list[dict]:
    return pq.read_table(out / "tables" / name).to_pylist()


def texts(out: Path) -> dict[int, tuple[str, str]]:
    """By document: as it was, and as it is released."""
    before = {row["id"]: row["text"] for row in written()}
    after = {}
    for file in sorted((out / "data").rglob("*.jsonl")):
        rows = map(json.loads, file.read_text().splitlines())
        after |= {row["id"]: row["text"] for row in rows}
    docs = {row["id"]: row["doc"] for row in table(out, "documents")}
    return {docs[name]: (before[name], text) for name, text in after.items()}


def located(known: dict[int, tuple[str, str]], row: dict) -> tuple[list[int], list[int], str, str]:
    """An entity in the released text: its tokens, those before it, its characters, theirs."""
    before, after = known[row["doc"]]
    value = before[row["start"] : row["end"]]
    assert after.count(value) == 1
    start = after.index(value)
    tokens = tokenize(tiny.tokenizer().backend_tokenizer, [after])
    first, last = tokens_of(tokens, 0, start, start + len(value))
    begin = max(0, first - 50)
    chars = after[tokens.ends[begin - 1] if begin else 0 : tokens.ends[first - 1]]
    return tokens.ids[first:last].tolist(), tokens.ids[begin:first].tolist(), value, chars


def test_entities_are_the_secrets_that_are_left(whole):
    kept = {
        (row["doc"], row["start"], row["end"], row["type"])
        for row in table(whole, "findings")
        if row["action"] == "keep"
    }
    assert {"DATE_TIME", "URL", "EMAIL_ADDRESS"} <= {type_ for *_, type_ in kept}
    found = table(whole, "entities")
    places = [(row["doc"], row["start"], row["end"], row["type"]) for row in found]
    assert places == sorted(folder for folder in kept if folder[3] == "EMAIL_ADDRESS")
    assert len(found) > 2 * GROUP_SIZE


def test_what_a_model_says_of_them(whole):
    model = tiny.model()
    rows = table(whole, "entities")
    groups = -(-len(rows) // GROUP_SIZE)
    places = (np.array([row[name] for row in rows]) for name in ("doc", "start"))
    group = random_numbers(*places) % groups
    released = texts(whole)
    known = [located(released, row) for row in rows]
    edited = [i for i, row in enumerate(rows) if len(set(released[row["doc"]])) > 1]
    for i in (edited[0], edited[-1], 3):
        ids, context, value, _ = known[i]
        others = [
            log_after(model, other, ids)
            for j, (_, other, _, chars) in enumerate(known)
            if group[j] == group[i] and rows[j]["doc"] != rows[i]["doc"] and value not in chars
        ]
        assert rows[i]["tokens"] == len(ids)
        assert rows[i]["contexts"] == len(others) > 2
        assert rows[i]["log_probability"] == pytest.approx(log_after(model, context, ids), abs=1e-3)
        prior = math.log(np.mean(np.exp(others)))
        assert rows[i]["log_prior"] == pytest.approx(prior, abs=1e-3)
        assert rows[i]["log_ratio"] == pytest.approx(
            rows[i]["log_probability"] - rows[i]["log_prior"]
        )
        assert rows[i]["reason"] is None


def collated(rows: list[dict]) -> dict:
    return {"input_ids": rows[0]["ids"][None], "labels": rows[0]["ids"][None]}


def check_masks(out: Path, h: int) -> None:
    """A row for each released document, which gives the labels that hashing its text gives."""
    known = texts(out)
    rows = table(out, "masks")
    assert [row["doc"] for row in rows] == sorted(known)
    listed = LabelMasker(collated, column="positions")
    hashed = LabelMasker(collated, h=h)
    for row in rows:
        ids = tokenize(tiny.tokenizer().backend_tokenizer, [known[row["doc"]][1]]).ids
        assert row["tokens"] == ids.size
        feature = {"ids": torch.from_numpy(ids)}
        labels = listed([feature | {"positions": row["positions"]}])["labels"]
        assert torch.equal(labels, hashed([feature])["labels"])
    assert sum(len(row["positions"]) for row in rows) > 100


def test_masks_are_of_the_released_text(whole):
    before, after = zip(*texts(whole).values(), strict=True)
    assert sum(a != b for a, b in zip(before, after, strict=True)) > 5
    assert len(after) == len(written()) - 1
    check_masks(whole, 5)


def test_batches_and_workers_make_no_difference(run, whole):
    out = run(
        "batches",
        memorization__masks="all",
        memorization__mask_h=5,
        engine__batch="300",
        engine__workers=1,
    )
    for name in ("entities", "masks"):
        files = sorted((whole / "tables" / name).iterdir())
        assert files
        for file in files:
            assert (out / "tables" / name / file.name).read_bytes() == file.read_bytes()


def risk_quantile(out: Path, at: float) -> float:
    """Between the risks of the sequences: nearly all are there once, and have the same."""
    return float(np.quantile([row["risk_high"] for row in table(out, "scores")], at))


def test_a_sample_and_masks_of_what_is_at_risk(run, whole):
    threshold = risk_quantile(whole, 0.5)
    out = run(
        "at-risk",
        memorization__masks="at-risk",
        memorization__mask_tokenizer=str(run.folder / "words"),
        memorization__mask_k=2,
        memorization__mask_h=3,
        memorization__mask_key=7,
        memorization__threshold=threshold,
        memorization__max_entities=8,
    )
    places = [(row["doc"], row["start"]) for row in table(out, "entities")]
    assert 0 < len(places) < 16
    assert set(places) < {(row["doc"], row["start"]) for row in table(whole, "entities")}
    known = texts(out)
    at_risk = [row for row in table(out, "scores") if row["risk_high"] >= threshold]
    words = tiny.tokenizer(290).backend_tokenizer
    hits = 0
    for row in table(out, "masks"):
        before, after = known[row["doc"]]
        own = [(0, r["start"], r["end"]) for r in at_risk if r["doc"] == row["doc"]]
        within = pa.table(dict(zip(("doc", "start", "end"), zip(*own, strict=True), strict=False)))
        if not own:
            assert row["positions"] == []
        elif before == after:
            (expected,) = masks([after], words, k=2, h=3, key=7, within=within).to_pylist()
            assert row["positions"] == expected["positions"]
            hits += 1
        else:
            (every,) = masks([after], words, k=2, h=3, key=7).to_pylist()
            assert set(row["positions"]) <= set(every["positions"])
    assert hits


def test_what_is_removed_is_not_asked_for_and_has_no_mask(run, whole):
    out = run(
        "removed",
        memorization__masks="all",
        memorization__mask_h=5,
        memorization__action="remove-sequence",
        memorization__threshold=risk_quantile(whole, 0.5) + 1e-6,
    )
    assert any(row["action"] == "remove-sequence" for row in table(out, "scores"))
    check_masks(out, 5)
    known = texts(out)
    left = table(out, "entities")
    assert 0 < len(left) < len(table(whole, "entities"))
    for row in left:
        before, after = known[row["doc"]]
        assert before[row["start"] : row["end"]] in after
