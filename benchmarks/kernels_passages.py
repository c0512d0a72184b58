"""Duplicate passages in memory: our anchors beside pydivsufsort and Kasai, on the same text.

    python -m benchmarks.kernels_passages --data debian.jsonl --megabytes 200

Each way runs in a process of its own, on text that lies in memory as one buffer, kernels compiled.
Seconds are wall and processor time of the search alone; the memory is the process's peak, the
interpreter, its libraries and the text included. The suffix array is timed without looking for
copies in it; the last line says whether these are the same.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WAYS = ("pick", "anchors", "anchors-spans", "divsufsort", "suffix-array")


def prepare(data: Path, megabytes: float, folder: Path) -> None:
    """The first texts of a JSONL file, as a buffer and offsets on disk."""
    sizes, total = [0], 0
    with data.open("rb") as rows, (folder / "text").open("wb") as out:
        for row in rows:
            text = json.loads(row)["text"].encode()
            if total and total + len(text) > megabytes * 1e6:
                break
            out.write(text)
            total += len(text)
            sizes.append(total)
    np.save(folder / "offsets.npy", np.array(sizes, dtype=np.int64))


def run(way: str, folder: Path, min_bytes: int, workers: int) -> dict[str, object]:
    """Run one way in this process."""
    data = np.fromfile(folder / "text", dtype=np.uint8)
    offsets = np.load(folder / "offsets.npy")
    search = globals()["_" + way.replace("-", "_")]
    few = int(np.searchsorted(offsets, min(len(data) // 4, 1 << 20)))
    search(data[: offsets[few]], offsets[: few + 1], min_bytes, workers)  # compile
    wall, cpu = time.perf_counter(), time.process_time()
    found = search(data, offsets, min_bytes, workers)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "way": way,
        "workers": workers,
        "seconds": round(wall, 3),
        "cpu": round(cpu, 3),
        "peak_mib": round(peak),
        "megabytes": round(len(data) / 1e6, 1),
        "digest": _digest(found) if isinstance(found, dict) else None,
    }


def _digest(columns: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for column in columns.values():
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def _pick(data: np.ndarray, offsets: np.ndarray, min_bytes: int, _workers: int) -> None:
    from unrote.dedup.anchors import pick_each

    for _ in pick_each(data, offsets, min_bytes):
        pass


def _anchors(data: np.ndarray, offsets: np.ndarray, min_bytes: int, workers: int) -> object:
    from unrote.dedup.spans import duplicate_windows

    return duplicate_windows(data, offsets, min_bytes, "anchors", workers)


def _anchors_spans(data: np.ndarray, offsets: np.ndarray, min_bytes: int, workers: int) -> None:
    from unrote.corpus.text import strings_from
    from unrote.dedup.spans import duplicate_spans

    duplicate_spans(strings_from(data, offsets), min_bytes=min_bytes, workers=workers)


def _divsufsort(data: np.ndarray, _offsets: np.ndarray, _min_bytes: int, _workers: int) -> None:
    import pydivsufsort

    pydivsufsort.kasai(data, pydivsufsort.divsufsort(data))


def _suffix_array(data: np.ndarray, offsets: np.ndarray, min_bytes: int, workers: int) -> object:
    from unrote.dedup.spans import duplicate_windows

    return duplicate_windows(data, offsets, min_bytes, "suffix-array", workers)


def measure(way: str, folder: Path, min_bytes: int, workers: int) -> dict[str, object]:
    """Run one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.kernels_passages", "--way", way]
    command += ["--folder", str(folder), "--min-bytes", str(min_bytes), "--workers", str(workers)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def compare(args: argparse.Namespace) -> int:
    """Print a line for each way, and the ratios. Returns 1 where the methods differ."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(args.data, args.megabytes, folder)
        plan = [("pick", 1), ("anchors", 1), ("anchors", 2), ("anchors-spans", 2)]
        plan.append(("divsufsort", 1))
        if args.check:
            plan.append(("suffix-array", 1))
        results = {}
        print(f"{'':24}{'wall s':>9}{'cpu s':>9}{'MB/s':>9}{'peak MiB':>10}")
        for way, workers in plan:
            tries = [measure(way, folder, args.min_bytes, workers) for _ in range(args.repeat)]
            best = min(tries, key=lambda one: one["seconds"])
            results[way, workers] = best
            rate = best["megabytes"] / best["seconds"]
            print(
                f"{way:14}{workers:>2} thread{'s' if workers > 1 else ' '}{best['seconds']:>9.2f}"
                f"{best['cpu']:>9.2f}{rate:>9.0f}{best['peak_mib']:>10}",
                flush=True,
            )
    ours, theirs = results["anchors", 2], results["divsufsort", 1]
    print(
        f"{theirs['seconds'] / ours['seconds']:.1f} times as fast (processor time: "
        f"{theirs['cpu'] / ours['cpu']:.1f}), {100 * ours['peak_mib'] / theirs['peak_mib']:.0f} % "
        "of the memory"
    )
    if not args.check:
        return 0
    digests = {one["digest"] for one in results.values() if one["digest"]}
    print("the same copies" if len(digests) == 1 else "DIFFERENT COPIES")
    return int(len(digests) != 1)


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="JSONL with a field text")
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--min-bytes", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the best counts")
    parser.add_argument("--no-check", dest="check", action="store_false")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(run(args.way, args.folder, args.min_bytes, args.workers)))
        return 0
    if args.data is None:
        parser.error("--data is missing")
    return compare(args)


if __name__ == "__main__":
    sys.exit(main())
