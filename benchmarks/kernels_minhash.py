"""Speed of the document kernels on one core: tokenise and hash only, signatures, all a run needs.

python -m benchmarks.kernels_minhash --data prose.jsonl.zst [--megabytes 100]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import RECORDS
from unrote.dedup.exact import Fingerprint
from unrote.dedup.minhash import sign_texts

REPEATS = 5


def load(path: Path, megabytes: float) -> pa.StringArray:
    """The texts of a .jsonl or .jsonl.zst file, repeated up to a size."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    texts = [orjson.loads(line)["text"] for line in data.splitlines() if line.strip()]
    size = sum(len(text.encode()) for text in texts)
    return pa.array(texts * max(1, round(megabytes * 1e6 / size)), pa.string())


def speed(size: int, function: Callable[[], object]) -> float:
    """MB/s of the fastest of some calls (the first one compiles)."""
    best = float("inf")
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - began)
    return size / best / 1e6


def all_facts(texts: pa.StringArray, **settings: object) -> None:
    """The fingerprint stage over the texts as one batch."""
    count = len(texts)
    nulls = pa.nulls(count, pa.string())
    numbers = pa.array(range(count))
    named = pa.array([[]] * count, pa.list_(pa.string()))
    columns = [numbers, nulls, numbers, nulls, nulls, nulls, texts, named]
    batch = pa.RecordBatch.from_arrays(columns, schema=RECORDS)

    def rows() -> Iterator[tuple[str, pa.RecordBatch]]:
        yield "text", batch

    with Fingerprint(**settings).open() as run:  # type: ignore[arg-type]
        for _ in run(rows()):
            pass


def bench_signatures(texts: pa.StringArray) -> dict[str, float]:
    """MB/s of each kernel, printed and returned."""
    size = int(pc.sum(pc.binary_length(texts)).as_py() or 0)
    figures = {
        "words: tokenise and hash": speed(size, lambda: sign_texts(texts, 0, 5, "word", 0, 0)),
        "words: signatures": speed(size, lambda: sign_texts(texts, 128, 5, "word", 18, 7)),
        "characters: tokenise and hash": speed(
            size, lambda: sign_texts(texts, 0, 24, "character", 0, 0)
        ),
        "characters: signatures": speed(
            size, lambda: sign_texts(texts, 128, 24, "character", 18, 7)
        ),
        "fingerprint stage": speed(size, lambda: all_facts(texts)),
        "fingerprint stage, form none": speed(
            size, lambda: all_facts(texts, normalization=Normalization("none"))
        ),
        "look for the form nfc": speed(size, lambda: NFC.may_change(texts)),
        "fingerprint stage, case": speed(size, lambda: all_facts(texts, normalise="case")),
    }
    for name, value in figures.items():
        print(f"{name:32} {value:7.0f} MB/s")
    ratio = figures["words: signatures"] / figures["words: tokenise and hash"]
    print(f"{'signatures / tokenise':32} {ratio:7.2f}")
    share = figures["fingerprint stage"] / figures["look for the form nfc"]
    print(f"{'share of the look':32} {share:7.2%}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help=".jsonl or .jsonl.zst with `text`")
    parser.add_argument("--megabytes", type=float, default=100)
    arguments = parser.parse_args()
    bench_signatures(load(arguments.data, arguments.megabytes))


if __name__ == "__main__":
    main()
