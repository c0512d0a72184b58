"""What a larger reference model costs: tokens a second by its size, on random weights.

    python -m benchmarks.memorization.reference_cost [--sequences 64] [--threads N]

Decoders of the Llama kind with a vocabulary of 49,152 tokens (the default model: 4,096) read
sequences of 100 tokens through the pass that memorization.score takes. Speed does not depend on
what the weights are. Processor time is printed beside the clock's: what else the machine does
hardly lengthens it.
"""

import argparse
import time

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from unrote.memorization.forward import statistics
from unrote.memorization.model import LanguageModel, load
from unrote.memorization.windows import Sequences, offsets_of

LENGTH = 100
SHAPES = {"30M": (6, 384), "135M": (30, 576), "360M": (32, 960), "1.1B": (22, 2048)}
"""Layers and width; what is near to known models of that size."""


def random_model(layers: int, width: int) -> LanguageModel:
    """A decoder of random weights, with the tokenizer of the default model."""
    torch.manual_seed(0)
    heads = max(1, width // 64)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    network = LlamaForCausalLM(config).eval()
    words = load("default", device="cpu").tokenizer
    device, dtype = torch.device("cpu"), torch.float32
    return LanguageModel(
        "random", network, words, device, dtype, 49_152, 2048, None, adds_bos=False, separable=True
    )


def sequences(count: int, vocabulary: int) -> Sequences:
    """So many sequences of random tokens."""
    ids = np.random.default_rng(0).integers(0, vocabulary, count * LENGTH)
    zeros = np.zeros(count, dtype=np.int64)
    sizes = np.full(count, LENGTH, dtype=np.int64)
    return Sequences(ids, offsets_of(sizes), sizes // 2, zeros, zeros, zeros, zeros)


def cost(model: LanguageModel, count: int) -> tuple[float, float]:
    """Seconds of the clock and of the processor for so many sequences."""
    given = sequences(count, model.vocabulary)
    statistics(model, sequences(2, model.vocabulary))
    began, used = time.monotonic(), time.process_time()
    statistics(model, given)
    return time.monotonic() - began, time.process_time() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--sizes", nargs="*", default=list(SHAPES), choices=list(SHAPES))
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    first = None
    print("| model | million parameters | tokens/s | processor time of the default |")
    print("|---|--:|--:|--:|")
    for name in ("default", *given.sizes):
        model = load("default", device="cpu") if name == "default" else random_model(*SHAPES[name])
        size = sum(one.numel() for one in model.network.parameters()) / 1e6
        clock, used = cost(model, given.sequences)
        first = first or used
        rate = given.sequences * LENGTH / clock
        print(f"| {name} | {size:,.1f} | {rate:,.0f} | {used / first:,.0f} x |", flush=True)


if __name__ == "__main__":
    main()
