"""The selection among near-duplicates: one walk, and passes over blocks of the keep order.

    python -m benchmarks.selection [--rows 3000000,30000000] [--memory 1GiB] [--workers 2] [--chain]

Fabricates verified pairs: two thirds of the rows are candidates, one in fifty of them incomplete,
and a third are pairs with a document earlier in keep order, at any distance alike on a logarithmic
scale. The keep order is that of documents in a thousand pieces, in random order. With --chain each
candidate but one in a thousand is similar to the one before it, and to no other. The local engine
selects, in a process for each way; both must give the same answer. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.driver import fabricated
from benchmarks.limits import peak
from unrote.corpus.hashing import random_numbers
from unrote.corpus.pinning import corpus_of
from unrote.corpus.schema import Table
from unrote.corpus.shard import Corpus
from unrote.corpus.tables import read_table, write_table
from unrote.dedup import blocks
from unrote.dedup.groups import Ints, batch_of
from unrote.dedup.selection import STEPS
from unrote.pipelines import verified_pairs
from unrote.pipelines.commits import Commit, TableFile
from unrote.pipelines.config import load
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.engines.local import LocalEngine
from unrote.pipelines.run import RunFolder

ROWS_OF_A_CUT = 5_000
"""Two thirds of them documents: fewer than the 4,000 of a fabricated cut."""

PIECES = 1_000
SEED = 16


@dataclass
class Alone:
    """As much of a job as these phases ask for: a run folder and an engine."""

    run: RunFolder
    engine: LocalEngine

    def phase(self, name: str, flow: Flow) -> None:
        """Run a phase."""
        self.run.commit(self.engine.execute(name, flow, self.run, lambda _: None))

    def rows(self, table: Table) -> int:
        """Rows of a table."""
        return self.run.rows(table)

    def first_rows(self, table: Table, count: int) -> list[dict[str, int]]:
        """The first rows of a table."""
        rows = self.read(table)
        return [row for batch in rows for row in batch.to_pylist()][:count]

    def read(self, table: Table) -> Iterator[pa.RecordBatch]:
        """All rows of a table."""
        for file in self.run.files(table):
            yield from read_table(str(self.run.table_path(table, file.slice)))


class Order:
    """A keep order of n documents: pieces of the corpus, in random order."""

    def __init__(self, docs: Ints) -> None:
        self.docs = docs
        self.size = -(-len(docs) // PIECES)
        ranks = np.random.default_rng(SEED).permutation(-(-len(docs) // self.size))
        self.rank = np.repeat(ranks, self.size)[: len(docs)]
        self.by_position = np.lexsort((docs, self.rank))
        self.position = np.empty_like(self.by_position)
        self.position[self.by_position] = np.arange(len(docs))


def steps_of(order: Order, some: slice, *, chain: bool) -> pa.RecordBatch:
    """The steps of some documents, sorted as the table is."""
    doc, rank, position = order.docs[some], order.rank[some], order.position[some]
    zero = np.zeros_like(doc)
    drawn = [random_numbers(doc, zero + n) / (1 << 32) for n in range(3)]
    if chain:
        paired = (position > 0) & (drawn[0] > 0.001)
        before = np.maximum(position - 1, 0)
    else:
        paired = (position > 0) & (drawn[0] < 0.5)
        distance = np.exp(drawn[1] * np.log(np.maximum(position, 1))).astype(np.int64)
        before = np.maximum(position - np.maximum(distance, 1), 0)
    complete = (drawn[2] > 0.02).astype(np.int64)
    other = order.by_position[before][paired]
    one, nothing = np.ones_like(other), np.zeros_like(other)
    similar = 0.8 + 0.2 * drawn[1][paired]
    candidates = (doc, zero, rank, zero, zero, complete, zero.astype(float), zero)
    ranks = (rank[paired], order.rank[other])
    pairs = (doc[paired], one, *ranks, order.docs[other], nothing, similar, nothing)
    columns = [np.concatenate(both) for both in zip(candidates, pairs, strict=True)]
    rows = np.lexsort((columns[1], columns[0]))
    return batch_of(STEPS.schema, (values[rows] for values in columns))


def fabricate(corpus: Corpus, rows: int, run: RunFolder, *, chain: bool) -> int:
    """Write STEPS.at(1); the rows that there are."""
    cuts = [cut for part in corpus.slices for cut in part.cuts]
    per_cut = -(-(rows if not chain else 3 * rows // 4) * 2 // 3 // len(cuts))
    docs = np.concatenate([(cut.shard << 36 | cut.row) + np.arange(per_cut) for cut in cuts])
    order = Order(docs)
    files, begin, table = [], 0, STEPS.at(1)
    Path(str(run.table_path(table, 0))).parent.mkdir(parents=True)
    for part in corpus.slices:
        end = begin + per_cut * len(part.cuts)
        batch = steps_of(order, slice(begin, end), chain=chain)
        path = str(run.table_path(table, part.number))
        files.append(TableFile(part.number, *write_table(path, STEPS.schema, batch)))
        begin = end
    run.commit(Commit("fabricated", "", 0.0, 0, 0, {table.folder: tuple(files)}))
    return sum(file.rows for file in files)


def select(folder: str, corpus: Corpus, given: argparse.Namespace) -> dict[str, object]:
    """One way's figures, in this process."""
    settings = load(None, (f"engine.memory={given.memory}", f"engine.workers={given.workers}"))
    run = RunFolder(Path(folder), "clean", settings, corpus, "now", "of these rows", "")
    files = json.loads(Path(folder, "files.json").read_text())
    table = STEPS.at(1)
    held = {table.folder: tuple(TableFile(**file) for file in files)}
    run.commits["fabricated"] = Commit("fabricated", "", 0.0, 0, 0, held)
    if given.way == "walk":
        blocks.BLOCK_STEPS = 1 << 62
    job = Alone(run, LocalEngine(settings.engine))
    base, began, spent = peak(), time.perf_counter(), processor()
    near, kept = verified_pairs.select_in_blocks(job, 1)  # type: ignore[arg-type]
    figures = {
        "seconds": time.perf_counter() - began,
        "processor": processor() - spent,
        "mib": (peak() - base) >> 20,
        "all_mib": peak() >> 20,
        "passes": len(near),
        "left": [job.rows(STEPS.at(1, n + 1)) for n in range(len(near))],
    }
    return figures | {"answer": [digest(job, near), digest(job, kept)]}


def processor() -> float:
    """Seconds that this process computed, in all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def digest(job: Alone, tables: tuple[Table, ...]) -> list[int]:
    """Rows, and a number that depends on each of them and not on their order."""
    rows = total = 0
    for table in tables:
        for batch in job.read(table):
            doc = batch["doc"].to_numpy()
            other = batch["twin" if "twin" in batch.schema.names else "rank"].to_numpy()
            rows += batch.num_rows
            total += int(random_numbers(doc, other).sum())
            if "similarity" in batch.schema.names:
                total += int((batch["similarity"].to_numpy() * 2**32).astype(np.int64).sum())
    return [rows, total]


def measured(rows: int, given: argparse.Namespace) -> dict[str, object]:
    """Both ways over the same rows."""
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        cuts = -(-rows // ROWS_OF_A_CUT // 8) * 8
        made = subprocess.run(again(given, folder, cuts, rows, "make"), check=True, text=True,
                              stdout=subprocess.PIPE)  # fmt: skip
        found: dict[str, object] = {"rows": int(made.stdout)}
        for way in ("walk", "blocks"):
            done = subprocess.run(again(given, folder, cuts, rows, way), check=True, text=True,
                                  stdout=subprocess.PIPE)  # fmt: skip
            found[way] = json.loads(done.stdout)
    if found["walk"]["answer"] != found["blocks"]["answer"]:  # type: ignore[index]
        raise SystemExit(f"the answers differ: {found}")
    return found


def again(given: argparse.Namespace, folder: str, cuts: int, rows: int, way: str) -> list[str]:
    """The command of a process for one way."""
    options = ["--memory", given.memory, "--workers", str(given.workers)]
    options += ["--chain"] * given.chain
    where = ["--folder", folder, "--cuts", str(cuts), "--rows", str(rows), "--way", way]
    return [sys.executable, "-m", "benchmarks.selection", *where, *options]


def one(given: argparse.Namespace) -> str:
    """What a process of `measured` prints."""
    corpus = corpus_of(list(fabricated(given.cuts)))
    if given.way != "make":
        return json.dumps(select(given.folder, corpus, given))
    run = RunFolder(Path(given.folder), "clean", load(), corpus, "now", "of these rows", "")
    rows = fabricate(corpus, int(given.rows), run, chain=given.chain)
    files = [vars(file) for file in run.files(STEPS.at(1))]
    Path(given.folder, "files.json").write_text(json.dumps(files))
    return str(rows)


def table_of(found: list[dict[str, object]]) -> str:
    """The results in Markdown."""
    lines = [
        "| rows | way | passes | steps left after each | seconds | of processors | MiB | in all |",
        "|--:|---|--:|---|--:|--:|--:|--:|",
    ]
    for of in found:
        for way in ("walk", "blocks"):
            got: dict = of[way]  # type: ignore[type-arg,assignment]
            left = ", ".join(f"{n:,}" for n in got["left"][:6])
            left += ", …" if len(got["left"]) > 6 else ""
            cells = [f"{of['rows']:,}", way, got["passes"], left, f"{got['seconds']:.1f}"]
            cells += [f"{got['processor']:.1f}", f"{got['mib']:,}", f"{got['all_mib']:,}"]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", default="3000000,30000000")
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--chain", action="store_true")
    parser.add_argument("--folder", help="where rows and what is spilled lie")
    parser.add_argument("--cuts", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(one(given))
    else:
        print(table_of([measured(int(rows), given) for rows in given.rows.split(",")]))


if __name__ == "__main__":
    main()
