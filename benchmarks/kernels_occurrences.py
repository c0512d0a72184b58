"""Speed of counting passages on one core: exactly, and exactly and nearly, beside its limits.

python -m benchmarks.kernels_occurrences --data prose.jsonl.zst [--megabytes 100]

The passages are drawn from the texts, each with the same chance to begin at any character. The
limits are what must be done for any passages at all: the rolling hash of every byte, and the
shingles of every text. MB/s are of processor time, so that what else runs matters less.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.kernels_minhash import load
from unrote.corpus.kernel import kernel
from unrote.corpus.text import arrow_buffers
from unrote.dedup.minhash import sign_texts
from unrote.dedup.occurrences import Passages

REPEATS = 3
COUNTS = (1, 2_000, 20_000, 200_000)


@kernel
def rolled(data: np.ndarray, gear: np.ndarray) -> np.uint64:
    """The rolling hash of 32 bytes at every place, exclusive-or of all."""
    h, together = np.uint64(0), np.uint64(0)
    for i in range(data.size):
        h = h * np.uint64(4) + gear[data[i]]
        together ^= h
    return together


def speed(size: int, function: Callable[[], object]) -> float:
    """MB/s of the fastest of some calls (the first one compiles)."""
    best = float("inf")
    for _ in range(REPEATS + 1):
        began = time.process_time()
        function()
        best = min(best, time.process_time() - began)
    return size / best / 1e6


def drawn(texts: list[str], count: int, characters: int) -> list[str]:
    """Passages of the texts."""
    chance = random.Random(0)
    passages = []
    for text in chance.choices(texts, weights=map(len, texts), k=count):
        start = chance.randrange(max(1, len(text) - characters))
        passages.append(text[start : start + characters])
    return passages


def bench_occurrences(texts: pa.StringArray, characters: int) -> None:
    """Print MB/s of each, the index's seconds, and the ratios to the limits."""
    data, offsets = arrow_buffers(texts)
    size = int(offsets[-1] - offsets[0])
    gear = np.random.default_rng(0).integers(1 << 64, size=256, dtype=np.uint64)
    rolling = speed(size, lambda: rolled(data, gear))
    tokenising = speed(size, lambda: sign_texts(texts, 0, 5, "word", 0, 0))
    print(f"{'rolling hash':32} {rolling:7.0f} MB/s")
    print(f"{'tokenise and hash':32} {tokenising:7.0f} MB/s")
    limit = 1 / (1 / rolling + 1 / tokenising)
    strings = texts.to_pylist()
    for count in COUNTS:
        passages = drawn(strings, count, characters)
        began = time.process_time()
        index = Passages(passages)
        seconds = time.process_time() - began
        exact = speed(size, lambda index=index: index.count_exact(data, offsets))
        both = speed(size, lambda index=index: index.count(data, offsets))
        share = sum(len(p.encode()) for p in passages) / size
        print(f"{count} passages, {100 * share:.1f} % of the text; indexed in {seconds:.2f} s")
        print(f"{'  exact':32} {exact:7.0f} MB/s {exact / rolling:5.2f} of the limit")
        print(f"{'  exact and near':32} {both:7.0f} MB/s {both / limit:5.2f} of the limit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help=".jsonl or .jsonl.zst with `text`")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--characters", type=int, default=400, help="of a passage")
    arguments = parser.parse_args()
    bench_occurrences(load(arguments.data, arguments.megabytes), arguments.characters)


if __name__ == "__main__":
    main()
