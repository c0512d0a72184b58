"""Documents that share a line and are not similar: time with and without the line, and recall.

    python -m benchmarks.shared_line [--documents 100000] [--sample 4000]

Prints the seconds of `unrote clean`, duplicate documents only, on N short documents (8 random words
and a line of 21), the same without the line, and their ratio; then, by brute force on samples of
such corpora, of which share of the pairs at or above the threshold a document is removed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from benchmarks.near_recall import brute_force
from unrote.dedup.near import near_duplicates

LINE = (
    "This website uses cookies so that we can give you the best possible experience. "
    "Read more about it in our privacy notice."
)
KINDS = {
    "line and 8 words, no copies": (8, 0.0, 21),
    "line is half of each document": (21, 0.2, 21),
    "near-copies among the noise": (12, 0.3, 21),
    "no line, near-copies": (21, 0.2, 0),
}
"""Own words, share of documents that are a near-copy, words of the line."""


def corpus(count: int, own: int, similar: float, line: int) -> list[str]:
    """Documents of `own` random words and the line's first `line` words."""
    chance = random.Random(3)
    shared = " ".join(LINE.split()[:line])
    rows: list[list[str]] = []
    for _ in range(count):
        if rows and chance.random() < similar:
            words = list(chance.choice(rows))
            for _ in range(chance.randint(0, 2)):
                words[chance.choice((0, -1))] = f"w{chance.randrange(1200)}"
        else:
            words = [f"w{chance.randrange(1200)}" for _ in range(own)]
        rows.append(words)
    return [f"{' '.join(words)}\n{shared}" for words in rows]


def seconds(texts: list[str], folder: Path) -> float:
    """The whole command, start-up included."""
    source = folder / "in"
    source.mkdir(parents=True)
    (source / "a.jsonl").write_bytes(b"".join(orjson.dumps({"text": t}) + b"\n" for t in texts))
    switched_off = ("pii", "dedup.passages", "memorization")
    program = "from unrote.pipelines.cli import command; command()"
    command = [sys.executable, "-c", program, "clean", str(source), "-o", str(folder / "out")]
    for name in switched_off:
        command += ["--set", f"{name}.enabled=false"]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def recall(texts: list[str]) -> tuple[int, float]:
    """Pairs at or above .8, and the share of them of which one document is removed."""
    pairs = brute_force(texts, 0.8, "word", 5)
    removed = {doc for doc, _, _ in near_duplicates(texts)}
    gone = sum(not removed.isdisjoint(pair) for pair in pairs)
    return len(pairs), gone / len(pairs) if pairs else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=4000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain, shared = (
            seconds(corpus(arguments.documents, 8, 0.0, line), Path(folder) / str(line))
            for line in (0, 21)
        )
    print(f"{arguments.documents:,} documents: {plain:.1f} s without the line, {shared:.1f} s with")
    print(f"it, {shared / plain:.2f} times as long")
    for name, (own, similar, line) in KINDS.items():
        pairs, share = recall(corpus(arguments.sample, own, similar, line))
        print(f"{name}: {pairs:,} pairs in {arguments.sample:,} documents, recall {share:.4f}")


if __name__ == "__main__":
    main()
