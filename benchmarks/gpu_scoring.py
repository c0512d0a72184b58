"""Scoring on a CUDA device with a model of Pythia-1.4B's shape and random weights: no download.

    python benchmarks/gpu_scoring.py [--texts 20000] [--token-budget 65536]
    python benchmarks/gpu_scoring.py --tiny      the same code on a CPU, with a tiny shape

Prints tokens per second of the pass alone and of memorization.score with tokenising, beside one
text at a time and padded batches of 32; the share of the bfloat16 matrix product rate measured on
the same device; peak memory; and the largest difference of a log-probability to the same weights in
float32 on the CPU. Texts are random tokens; the tokenizer has a word for each.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

from benchmarks.scoring import LENGTH, compare
from unrote.memorization.forward import statistics
from unrote.memorization.model import LanguageModel, prepare
from unrote.memorization.tokenizer import PROBES
from unrote.memorization.windows import Sequences, sequences, tokenize

PYTHIA = {
    "vocab_size": 50304,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
TINY = {
    "vocab_size": 512,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
REFERENCE = 8  # sequences that the CPU scores too


def numbered_words(vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer whose token i is the word "i"; the last ones are words that prepare() tries."""
    known = dict.fromkeys(PROBES[0].split())
    words = [*map(str, range(vocabulary - len(known))), *known]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def random_texts(vocabulary: int, count: int) -> list[str]:
    """Texts of 10 to LENGTH random words, of which most have LENGTH, as windows of documents do."""
    random = np.random.default_rng(0)
    lengths = np.where(random.random(count) < 0.8, LENGTH, random.integers(10, LENGTH, count))
    return [" ".join(map(str, random.integers(0, vocabulary, n))) for n in lengths]


def model_of(shape: dict[str, int], device: str, tokenizer: object) -> LanguageModel:
    """Random weights, in bfloat16 on a GPU."""
    torch.manual_seed(0)
    network = GPTNeoXForCausalLM(
        GPTNeoXConfig(**shape, rotary_pct=0.25, bos_token_id=None, eos_token_id=None)
    )
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return prepare("pythia-shaped", network.to(dtype).to(device), tokenizer)


def multiplications(shape: dict[str, int], found: Sequences) -> float:
    """Floating point operations of the model's matrix products over the sequences, no padding."""
    wide, inner = shape["hidden_size"], shape["intermediate_size"]
    weights = shape["num_hidden_layers"] * (4 * wide**2 + 2 * wide * inner)
    weights += wide * shape["vocab_size"]
    lengths = found.lengths - 1
    attention = 4 * shape["num_hidden_layers"] * wide * (lengths**2).sum() / 2  # causal: half
    return float(2 * weights * lengths.sum() + attention)


def matmul_rate(device: str, size: int) -> float:
    """Operations per second of the device's bfloat16 matrix product, the fastest of ten."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    fastest = float("inf")
    for _ in range(10):
        fastest = min(fastest, timed(lambda: left @ right, device))
    return 2 * size**3 / fastest


def timed(run: object, device: str) -> float:
    """Seconds, the device's work included."""
    wait(device)
    began = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - began


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def difference(model: LanguageModel, texts: list[str]) -> float:
    """Largest difference of a log-probability to the same weights in float32 on the CPU."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model.tokenizer)
    whole = prepare("reference", copy.deepcopy(model.network).float().cpu(), tokenizer)
    found = sequences(tokenize(model.tokenizer, texts), LENGTH // 2, LENGTH // 2)
    ours, theirs = (statistics(either, found).logprob for either in (model, whole))
    return float(abs(ours - theirs).max())


def measure(shape: dict[str, int], device: str, texts: list[str], token_budget: int) -> None:
    tokenizer = numbered_words(shape["vocab_size"])
    model = model_of(shape, device, tokenizer)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    size = sum(weight.numel() for weight in model.network.parameters())
    print(f"{name}: {size / 1e6:.1f} million random weights in {model.dtype}")
    found = sequences(tokenize(model.tokenizer, texts), LENGTH // 2, LENGTH // 2)
    statistics(model, found, token_budget=token_budget)  # warms up
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = timed(lambda: statistics(model, found, token_budget=token_budget), device)
    tokens = int(found.lengths.sum())
    rate = matmul_rate(device, 8192 if device == "cuda" else 512)
    used = multiplications(shape, found) / seconds
    print(f"the pass alone: {tokens / seconds:.0f} tokens/s, {len(found)} sequences")
    print(
        f"share of the bfloat16 matrix product rate: {used / rate:.1%} "
        f"({used / 1e12:.3g} of {rate / 1e12:.3g} TFLOP/s)"
    )
    if device == "cuda":
        print(f"peak memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    else:
        print("peak memory: measured on CUDA devices only")
    away = difference(model, texts[:REFERENCE])
    print(f"largest difference of a log-probability to float32 on the CPU: {away:.2g}")
    compare(model, tokenizer, texts[: max(len(texts) // 20, 1)], 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=20000)
    parser.add_argument("--token-budget", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="on the CPU, with a tiny shape")
    options = parser.parse_args()
    if options.tiny:
        texts = random_texts(TINY["vocab_size"], min(options.texts, 200))
        measure(TINY, "cpu", texts, options.token_budget)
        return 0
    if not torch.cuda.is_available():
        print(
            "There is no CUDA device here: nothing was measured. Run this where there is one, or "
            "with --tiny, which runs the same code on the CPU.",
            file=sys.stderr,
        )
        return 1
    texts = random_texts(PYTHIA["vocab_size"], options.texts)
    measure(PYTHIA, "cuda", texts, options.token_budget)
    return 0


if __name__ == "__main__":
    sys.exit(main())
