"""The benchmarks of scoring run, at a size at which their figures mean nothing."""

import pytest
import torch

from benchmarks import gpu_scoring, scoring
from tests.memorization import tiny


def test_every_system_gives_the_same_losses(capsys):
    model, tokenizer = tiny.model(), tiny.tokenizer()
    texts = list(scoring.cut(tokenizer, [*tiny.SENTENCES, "a", tiny.SENTENCES[3] * 9]))
    assert len(texts) == 6
    rates = scoring.compare(model, tokenizer, texts, 1)
    assert set(rates) == {"per text", "padded 32", "unrote", "bfloat16"}
    assert min(rates.values()) > 0
    expected = scoring.unrote(model, texts)
    for name in ("per text", "padded 32"):
        made = scoring.systems(model, tokenizer)[name](texts)
        assert made == pytest.approx(expected, rel=1e-4)
    assert "unrote is 1.00 x" in capsys.readouterr().out


def test_the_gpu_benchmark_s_code_runs_on_a_cpu(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu_scoring.py", "--tiny", "--texts", "40"])
    assert gpu_scoring.main() == 0
    said = capsys.readouterr().out
    for part in ("tokens/s", "share of the bfloat16", "peak memory", "largest difference"):
        assert part in said


def test_the_gpu_benchmark_says_that_there_is_no_gpu(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu_scoring.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_scoring.main() == 1
    assert "no CUDA device here: nothing was measured" in capsys.readouterr().err


def test_operations_are_those_of_the_matrices():
    shape = gpu_scoring.TINY
    words = gpu_scoring.numbered_words(shape["vocab_size"])
    model = gpu_scoring.model_of(shape, "cpu", words)
    found = gpu_scoring.sequences(gpu_scoring.tokenize(model.tokenizer, ["1 2 3"]), 50, 50)
    matrices = sum(
        module.weight.numel()
        for module in model.network.modules()
        if isinstance(module, torch.nn.Linear)
    )
    attention = 4 * shape["num_hidden_layers"] * shape["hidden_size"] * 4 / 2
    assert gpu_scoring.multiplications(shape, found) == 2 * matrices * 2 + attention
