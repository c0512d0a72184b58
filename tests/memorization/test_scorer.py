import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.memorization import reference, tiny
from unrote import memorization
from unrote.corpus.errors import ConfigError
from unrote.memorization.config import Config
from unrote.memorization.measures import bleu
from unrote.memorization.model import prepare
from unrote.memorization.scorer import GENERATED, SCORES, Scorer
from unrote.memorization.windows import sequences, tokenize

TEXTS = [tiny.SENTENCES[1], "", "a", tiny.SENTENCES[4], "ab", tiny.SENTENCES[2]]
CONFIG = Config(prefix=9, suffix=4, top_k=150, temperature=1.5, queries=7, probability=0.3)


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("trained", [False, True])
def test_every_measure_as_in_the_slow_reference(trained, bos):
    model = tiny.memorizing_model(bos) if trained else tiny.model(bos)
    table = memorization.score(TEXTS, model, config=CONFIG)
    assert table.schema == SCORES
    cut = tokenize(model.tokenizer, TEXTS)
    found = sequences(cut, CONFIG.prefix, CONFIG.suffix)
    rows = [row for row in table.to_pylist() if row["reason"] != "no tokens"]
    assert len(rows) == len(found)
    finite = 0
    for i, row in enumerate(rows):
        ids = found.ids[found.offsets[i] : found.offsets[i + 1]].tolist()
        prefix = int(found.prefix[i])
        doc, start, end = (int(getattr(found, name)[i]) for name in ("doc", "start", "end"))
        assert (row["doc"], row["start"], row["end"]) == (doc, start, end)
        assert (row["prefix_tokens"], row["suffix_tokens"]) == (prefix, len(ids) - prefix)
        if prefix <= (not bos):  # what is null then has a test of its own
            continue
        begin = start if bos else int(found.second[i])
        expected = reference.measures(
            model,
            ids,
            prefix,
            TEXTS[doc][begin:end],
            bos,
            CONFIG.top_k,
            CONFIG.temperature,
            CONFIG.min_k,
            CONFIG.queries,
            CONFIG.probability,
        )
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-4, abs=1e-4), name
        assert row["reason"] is None
        finite += math.isfinite(row["pz_log"])
    assert finite >= 3 or not trained
    assert (True in table["extractable"].to_pylist()) == trained


def test_relative_loss_is_over_the_same_tokens():
    one, two = tiny.model(), tiny.model(seed=1)
    config = Config(prefix=9, suffix=4)
    both = memorization.score(TEXTS, one, comparison=two, config=config)["loss_relative"]
    own, other = (memorization.score(TEXTS, m, config=config)["loss"] for m in (one, two))
    for relative, a, b in zip(*(c.to_pylist() for c in (both, own, other)), strict=True):
        assert relative == (None if a is None else pytest.approx(a - b))


@pytest.mark.parametrize("bos", [False, True])
def test_free_generation_by_option(bos):
    model = tiny.memorizing_model(bos)
    config = Config(prefix=9, suffix=4, generate=True)
    table = memorization.score(TEXTS, model, config=config)
    plain = memorization.score(TEXTS, model, config=Config(prefix=9, suffix=4))
    assert all(plain[name].null_count == plain.num_rows for name in GENERATED)
    assert table.drop_columns(list(GENERATED)).equals(plain.drop_columns(list(GENERATED)))
    found = sequences(tokenize(model.tokenizer, TEXTS), 9, 4)
    rows = [row for row in table.to_pylist() if row["reason"] != "no tokens"]
    for i, row in enumerate(rows):
        ids = found.ids[found.offsets[i] : found.offsets[i + 1]].tolist()
        prefix = int(found.prefix[i])
        if prefix == 0 and not bos:
            assert row["biderman"] is None
            continue
        true = ids[prefix:]
        made = reference.greedy(model, ids[:prefix], len(true), bos)
        right = [a == b for a, b in zip(made, true, strict=True)]
        assert row["biderman"] == pytest.approx(sum(right) / len(right))
        distance = reference.edit_distance(made, true) / len(true)
        assert row["edit_distance"] == pytest.approx(distance)
        assert row["bleu"] == pytest.approx(bleu(made, true))
        assert (row["biderman"] == 1) == row["extractable"]
    assert any(row["extractable"] for row in rows)


def test_nothing_to_measure_is_null_with_a_reason():
    plain = memorization.score(["", "a", "abcdef"], tiny.model(), config=CONFIG).to_pylist()
    assert [row["reason"] for row in plain] == ["no tokens", "one token", None]
    assert [row["end"] for row in plain] == [0, 1, 6]
    assert all(
        value is None
        for name, value in plain[1].items()
        if SCORES.field(name).nullable and name != "reason"
    )
    begun = memorization.score(["", "a"], tiny.model(bos=True), config=CONFIG).to_pylist()
    assert [row["reason"] for row in begun] == ["no tokens", None]
    assert begun[1]["loss"] > 0
    assert begun[1]["loss_prefix"] is None
    assert begun[1]["extractable"] is not None


def test_a_suffix_that_cannot_be_asked_for():
    rows = memorization.score(
        ["abcdef"], tiny.model(), config=Config(prefix=0, suffix=3)
    ).to_pylist()
    for row in rows:
        assert row["reason"] == "no prefix"
        assert row["extractable"] is row["pz_log"] is row["queries_log"] is None
        assert row["loss"] > 0


def test_a_model_that_overflows_makes_nulls():
    model = tiny.model()
    with torch.no_grad():
        rare = model.tokenizer.encode("é").ids[0]
        model.network.model.embed_tokens.weight[rare] = torch.inf
    table = memorization.score(["plain text", "an é here and more"], model, config=CONFIG)
    assert table["reason"].to_pylist()[0] is None
    assert "not finite" in table["reason"].to_pylist()
    for row in table.to_pylist():
        if row["reason"] == "not finite":
            assert row["extractable"] is row["extraction_strength"] is row["min_k"] is None
    check_no_nan(table)


def check_no_nan(table: pa.Table) -> None:
    for name in table.column_names:
        if pa.types.is_floating(table[name].type):
            values = table[name].drop_null().to_numpy()
            assert not np.isnan(values).any(), name


def test_never_nan():
    texts = [*TEXTS, " ", "\n\n", "\x00", "🙂" * 30, "é", "x" * 200, "\ufffd"]
    for bos in (False, True):
        model, other = tiny.model(bos), tiny.model(bos, seed=1)
        for config in (CONFIG, Config(1, 1, top_k=1, generate=True), Config(0, 3, generate=True)):
            check_no_nan(memorization.score(texts, model, comparison=other, config=config))


def test_no_texts():
    for generate in (False, True):
        table = memorization.score([], tiny.model(), config=Config(generate=generate))
        assert table.schema == SCORES
        assert table.num_rows == 0


def test_the_order_of_texts_does_not_matter_beyond_the_tolerance():
    model = tiny.model()
    one = memorization.score(TEXTS, model, config=CONFIG)
    two = memorization.score(TEXTS[::-1], model, config=CONFIG).to_pylist()
    turned = sorted(two, key=lambda row: (-row["doc"], row["start"]))
    for a, b in zip(one.to_pylist(), turned, strict=True):
        assert a["doc"] == len(TEXTS) - 1 - b["doc"]
        for name in SCORES.names[1:]:
            same = (
                b[name] if a[name] is None or name == "reason" else pytest.approx(b[name], rel=1e-5)
            )
            assert a[name] == same


def test_the_same_again_is_the_same_to_the_bit():
    model = tiny.model()
    assert memorization.score(TEXTS, model).equals(memorization.score(TEXTS, model))


def test_sequences_longer_than_the_context():
    model = tiny.model(context=20)
    assert memorization.score(TEXTS, model, config=Config(prefix=10, suffix=11)).num_rows
    with pytest.raises(ConfigError, match=r"takes 21 tokens.*reads 20"):
        Scorer(model, Config(prefix=10, suffix=12))
    begun = tiny.model(bos=True, context=20)
    with pytest.raises(ConfigError, match=r"takes 21 tokens.*reads 20"):
        Scorer(begun, Config(prefix=10, suffix=11))


def test_progress_tells_how_many_of_how_many(capsys):
    model = tiny.model()
    progress = []
    Scorer(model, CONFIG, tiny.model(seed=1)).table(TEXTS, lambda *counts: progress.append(counts))
    assert {total for _, total in progress} == {
        len(sequences(tokenize(model.tokenizer, TEXTS), 9, 4))
    }
    assert memorization.score(TEXTS, model, config=CONFIG, progress=True).num_rows
    output = capsys.readouterr()
    assert output.out == ""
    assert "score" in output.err


def test_bos_by_option():
    words = tiny.tokenizer(bos=True)
    model = prepare("tiny", tiny.llama(len(words)), words)
    without = memorization.score(["ab"], model, config=Config(bos=False)).to_pylist()[0]
    assert without["loss_prefix"] is None
    whole = memorization.score(["ab"], model).to_pylist()[0]
    assert whole["loss_prefix"] > 0
    assert memorization.score(["a"], tiny.model(), config=Config(bos=True))["reason"][0].as_py()
