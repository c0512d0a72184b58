"""Nights that add to one index: what the last one costs beside the second, and the index's size.

    python -m benchmarks.nightly [--nights 50] [--documents 1000] [--passages]

Each night is a shard of made-up documents of about 2 KB, a quarter of them copies or near-copies
of earlier ones, cleaned by `unrote dedup --index` in this process with one worker. Prints a
Markdown table. CPU seconds are those that other programs do not lengthen.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

import orjson

from unrote.corpus.version import VERSION
from unrote.pipelines.clean import clean
from unrote.pipelines.config import load
from unrote.pipelines.index.maintenance import info
from unrote.pipelines.progress import Silent

SHOWN = (1, 2, 10, 20, 30, 40, 50)


def vocabulary(chance: random.Random) -> list[str]:
    """Words that are as long as those of English are, and as different."""
    return ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(30_000)]


def night(chance: random.Random, words: list[str], weights: list[float], before: list[str], n: int):
    """The texts of a night; `before` has some of earlier nights and is added to."""
    texts = []
    for _ in range(n):
        draw = chance.random()
        if before and draw < 0.1:
            text = chance.choice(before)
        elif before and draw < 0.25:
            changed = chance.choice(before).split(" ")
            changed[chance.randrange(len(changed))] = "changed"
            text = " ".join(changed)
        else:
            text = " ".join(chance.choices(words, cum_weights=weights, k=340))
            before.append(text)
        texts.append(text)
    return texts


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--nights", type=int, default=50)
    asked.add_argument("--documents", type=int, default=1000)
    asked.add_argument("--passages", action="store_true")
    given = asked.parse_args()
    chance = random.Random(0)
    words, before = vocabulary(chance), []
    weights, total = [], 0.0
    for rank in range(len(words)):
        total += 1 / (rank + 10)
        weights.append(total)
    rows, size = [], 0
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        settings = load(
            None,
            (
                "pii.enabled=false",
                "memorization.enabled=false",
                f"dedup.passages.enabled={str(given.passages).lower()}",
                f'dedup.index="{index}"',
                "engine.workers=1",
            ),
        )
        for number in range(given.nights + 1):  # one before all, for what is loaded and compiled
            texts = night(chance, words, weights, before, given.documents)
            shard = Path(folder) / f"in-{number}" / "a.jsonl"
            shard.parent.mkdir()
            shard.write_bytes(b"".join(orjson.dumps({"text": t}) + b"\n" for t in texts))
            size += sum(map(len, texts))
            wall, began = time.perf_counter(), time.process_time()
            out = str(Path(folder) / f"out-{number}")
            report = clean([str(shard)], out, settings, Silent(), kind="dedup")
            took, wall = time.process_time() - began, time.perf_counter() - wall
            head = info(str(index))
            stored = sum(file.bytes for file in set(head.index.files))
            kept = report.total.kept.documents
            rows.append((number, len(texts), kept, took, wall, stored, stored / size))
    print(f"{given.documents} documents of 2 KB a night, one worker, unrote {VERSION}\n")
    print("| night | documents | kept | CPU s | s | index, MB | bytes of index a byte of text |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for number, count, kept, took, wall, stored, share in rows:
        if number in SHOWN or number == given.nights:
            print(
                f"| {number} | {count:,} | {kept:,} | {took:.2f} | {wall:.2f} "
                f"| {stored / 1e6:.1f} | {share:.2f} |"
            )
    print(f"\nlast by second: {rows[-1][3] / rows[2][3]:.2f}")


if __name__ == "__main__":
    main()
