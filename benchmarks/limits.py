"""What one place must hold or do alone, measured: the figures behind "what breaks first" in
docs/scaling.md.

    python benchmarks/limits.py [--smoke]

Prints JSON: the greedy selection (one worker), a group of anchors in which every member has another
context (`CompareWindows` holds its classes), and the driver's plan, which every worker gets.
"""

from __future__ import annotations

import argparse
import pickle
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from unrote.corpus.pinning import CUT_BYTES, SLICE_BYTES
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Corpus, Cut, Shard, Slice, Slices
from unrote.dedup.repeats import AMBIGUOUS_WINDOWS, Anchors, CompareWindows
from unrote.dedup.selection import STEPS, GreedySelection
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.engines.plan import plan_of
from unrote.pipelines.engines.work import units_of

BATCH = 10_000
MIN_BYTES = 100


def peak() -> int:
    """The highest resident set since the last `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status[status.index("VmHWM:") :].split(maxsplit=2)[1]) * 1024


def forget_peak() -> int:
    """Starts anew; the resident set now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def drain(rows: Tagged) -> None:
    for _ in rows:
        pass


def steps(candidates: int) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Steps of the selection, in order: every second candidate is similar to the one before it."""
    for low in range(0, candidates, BATCH):
        rank = np.repeat(np.arange(low, low + BATCH), 1 + np.arange(BATCH) % 2)
        role = np.append(np.diff(rank) == 0, True).astype(np.int64)
        role = np.concatenate(([0], role[:-1]))
        columns: dict[str, Any] = dict.fromkeys(STEPS.schema.names, np.zeros_like(rank))
        columns |= {"rank": rank, "doc": rank, "role": role, "state": 1 - role}
        columns |= {"kept_rank": (rank - 1) * role, "kept": (rank - 1) * role}
        columns["similarity"] = role * 0.9
        arrays = [*map(pa.array, columns.values())]
        yield "steps", pa.RecordBatch.from_arrays(arrays, schema=STEPS.schema)


def selection(candidates: int) -> dict[str, float]:
    """The selection without the sorting: rows a second, bytes held for each removed candidate."""
    drain(GreedySelection()._run(steps(BATCH)))
    before, began = forget_peak(), time.perf_counter()
    drain(GreedySelection()._run(steps(candidates)))
    seconds = time.perf_counter() - began
    return {
        "selection_rows_per_second": 1.5 * candidates / seconds,
        "selection_bytes_per_removed": (peak() - before) / (candidates / 2),
    }


def contexts(classes: int) -> Iterator[tuple[str, pa.RecordBatch]]:
    """One group of anchors: the same 51 bytes, with other text around them in every document."""
    windows = 26  # as many as an anchor owns on average
    size = windows + MIN_BYTES - 1
    random = np.random.default_rng(0)
    lead = (size - 51) // 2
    for low in range(0, classes, BATCH):
        texts = random.integers(97, 123, (BATCH, size), dtype=np.uint8)
        texts[:, lead : lead + 51] = 120
        columns: dict[str, Any] = dict.fromkeys(
            AMBIGUOUS_WINDOWS.names, np.zeros(BATCH, dtype=np.int64)
        )
        number = np.arange(low, low + BATCH)
        columns |= {"hash": columns["role"] + 7, "doc": number, "kind": number}
        columns |= {"lead": columns["role"] + lead, "windows": columns["role"] + windows}
        columns["size"] = columns["role"] + 1
        arrays = [pa.array(columns[name]) for name in AMBIGUOUS_WINDOWS.names[:-1]]
        bounds = pa.py_buffer(np.arange(BATCH + 1) * size)
        arrays.append(
            pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), BATCH, [None, bounds, pa.py_buffer(texts.tobytes())]
            )
        )
        yield "windows", pa.RecordBatch.from_arrays(arrays, schema=AMBIGUOUS_WINDOWS)


def compare_windows(classes: int) -> dict[str, float]:
    """Memory for each distinct context of an anchor, and how many a second are compared."""
    drain(CompareWindows(min_bytes=MIN_BYTES)._run(contexts(BATCH)))
    before, began = forget_peak(), time.perf_counter()
    drain(CompareWindows(min_bytes=MIN_BYTES)._run(contexts(classes)))
    return {
        "comparison_bytes_per_context": (peak() - before) / classes,
        "comparison_contexts_per_second": classes / (time.perf_counter() - began),
    }


def plan(cuts: int) -> dict[str, float]:
    """Bytes of a phase's plan for each cut of the input: pickled, and in memory."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    together = SLICE_BYTES // CUT_BYTES
    shards = tuple(
        Shard(n, f"{n}.jsonl", f"/data/{n}.jsonl", "jsonl", "", SLICE_BYTES, "0" * 32, "data")
        for n in range(cuts // together)
    )
    slices = Slices(
        Slice(
            n,
            tuple(Cut(n, at * CUT_BYTES, (at + 1) * CUT_BYTES, 997 * at) for at in range(together)),
        )
        for n in range(len(shards))
    )
    corpus = Corpus(shards, slices)
    flow = Flow()
    flow.map(Anchors(min_bytes=MIN_BYTES), flow.read("text"))
    units = units_of(plan_of(flow), SimpleNamespace(corpus=corpus))  # type: ignore[arg-type]
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    made = len(shards) * together
    return {
        "plan_pickled_per_cut": len(pickle.dumps((corpus, units), protocol=5)) / made,
        "plan_held_per_cut": held / made,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="small inputs")
    count = 100_000 if parser.parse_args().smoke else 2_000_000
    found = {**selection(count), **compare_windows(count // 4), **plan(count // 20)}
    rounded = {name: float(f"{value:.4g}") for name, value in found.items()}
    print(orjson.dumps(rounded, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
