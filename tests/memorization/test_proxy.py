"""Training from scratch: what is read often is extractable, what is not isn't."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.memorization import tiny
from unrote.corpus.errors import ConfigError
from unrote.memorization import proxy, proxy_run
from unrote.memorization.windows import sequences, tokenize

SHAPE = proxy.Shape(layers=1, width=32, inner=64, heads=2, context=16, batch=64, part=32)


@pytest.fixture(scope="module")
def words():
    made = tiny.tokenizer(bos=True)
    made.eos_token = "<s>"
    return made


def prompts(words, texts):
    return sequences(tokenize(words.backend_tokenizer, texts), 6, 6)


def test_what_it_reads_again_and_again_is_extractable(words):
    often, never = tiny.SENTENCES[1], tiny.SENTENCES[3]
    ids = np.array(words(often, add_special_tokens=False).input_ids)
    progress = []
    torch.set_num_threads(1)
    made = proxy.train(
        [ids] * 40, words, SHAPE, epochs=12, seed=1, progress=lambda *state: progress.append(state)
    )
    known, other = (proxy.extraction(made.model, prompts(words, [text])) for text in (often, never))
    assert known.extractable.mean() > 0.9
    assert (known.extracted_tokens == 6).mean() == known.extractable.mean()
    assert known.accuracy.mean() > 0.9 > 0.5 > other.accuracy.mean()
    assert known.log_pz.mean() > -3 > other.log_pz.mean()
    assert other.extractable.mean() == 0
    assert made.loss < 0.5
    assert len(progress) == made.steps
    assert progress[-1][0] == 1
    assert made.tokens == made.steps * 64


def test_a_seed_gives_the_same_model_again(words):
    ids = np.arange(300) % 300
    losses = [
        proxy.train([ids, ids[::-1].copy()], words, SHAPE, epochs=1, seed=seed).loss
        for seed in (3, 3, 4)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_time_ends_it(words):
    made = proxy.train([np.arange(300)] * 50, words, SHAPE, epochs=1e6, seconds=0.5)
    assert 0 < made.steps < 1e5


@pytest.mark.parametrize("seconds", [1e-6, float("inf")])
def test_the_speed_is_known_within_the_time_there_is(seconds, monkeypatch):
    steps = []
    train = proxy_run.train

    def counted(*args, **named):
        steps.append(train(*args, **named).steps)

    monkeypatch.setattr(proxy_run, "train", counted)
    assert 0 < proxy_run.speed("default", seconds=seconds, shape=SHAPE) < 1e9
    assert steps == [1 if seconds < 1 else 4]


def test_half_precision_only_where_the_processor_has_it(words, monkeypatch):
    flags = Path("/proc/cpuinfo").read_text()
    assert proxy.multiplies_bfloat16("cpu") == ("bf16" in flags)
    assert proxy.multiplies_bfloat16("cuda")
    asked = []
    loss = proxy.window_loss

    def observed(network, windows, bfloat16):
        asked.append(bfloat16)
        return loss(network, windows, bfloat16)

    monkeypatch.setattr(proxy, "window_loss", observed)
    for able in (False, True):
        monkeypatch.setattr(proxy, "multiplies_bfloat16", lambda _, able=able: able)
        proxy.train([np.arange(300)], words, SHAPE, epochs=0.1)
    assert set(asked[: len(asked) // 2]) == {False}
    assert set(asked[len(asked) // 2 :]) == {True}


def test_an_epoch_has_every_token_once():
    documents = [np.arange(10), np.arange(10, 45), np.arange(45, 50)]
    windows = proxy.pack(documents, 8, 99, seed=0)
    predicted = windows[:, 1:].ravel().tolist()
    assert windows.shape == (6, 9)
    assert (windows[1:, 0] == windows[:-1, -1]).all()
    assert len(set(predicted) - {99}) == len([token for token in predicted if token != 99])
    assert predicted.count(99) in {2, 3}
    assert (windows != proxy.pack(documents, 8, 99, seed=1)).any()


def test_little_text_makes_one_window_and_none_is_an_error():
    assert proxy.pack([np.arange(3)], 8, None, seed=0).tolist() == [[0, 1, 2, 0, 1, 2, 0, 1, 2]]
    with pytest.raises(ConfigError, match="too few"):
        proxy.pack([], 8, 0, seed=0)


def test_the_learning_rate_rises_stays_and_falls():
    assert proxy.learning_rate_share(0.0, 0) == pytest.approx(1 / proxy.WARM_UP_STEPS)
    assert proxy.learning_rate_share(0.3, 1000) == 1
    assert proxy.learning_rate_share(1 - proxy.FALL / 2, 1000) == pytest.approx(0.5)
    assert proxy.learning_rate_share(1.0, 1000) == 0


def test_shapes_that_cannot_be():
    with pytest.raises(ConfigError, match="layers = 0"):
        proxy.Shape(layers=0)
    with pytest.raises(ConfigError, match="multiple of twice the heads"):
        proxy.Shape(width=100, heads=3)
