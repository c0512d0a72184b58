"""What the driver of a distributed engine does before and after its workers: the same for all."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from unrote.corpus.errors import RunError
from unrote.corpus.storage import options_in_use
from unrote.pipelines.commits import Commit, DataFile, TableFile
from unrote.pipelines.engines.base import Flow, Read, Workspace
from unrote.pipelines.engines.plan import plan_of
from unrote.pipelines.engines.work import Worker, units_of
from unrote.pipelines.storage import (
    discard_folder,
    make_folder,
    remove_empty,
    remove_leftovers,
)

TASK_BYTES = 64 << 20
"""About how much text, or rows of tables, one task of a phase works on."""


class LostBlocks(RunError):
    """What was sent to a step of a phase is not what came."""


def worker_for(flow: Flow, run: Workspace, memory: int, batch_bytes: int, scratch: str) -> Worker:
    """What a phase's workers need to know; makes the folders that they write to."""
    plan = plan_of(flow)
    units = units_of(plan, run)
    for table, _ in flow.writes:
        folder = run.table_path(table, 0).parent
        make_folder(folder)
        remove_leftovers(folder)
    if flow.edits is not None:
        make_folder(run.state / "parts")
        if run.data.is_dir():
            remove_leftovers(run.data)
    return Worker(plan, run, units, memory, batch_bytes, scratch, options_in_use())


def loads(sizes: Sequence[int], count: int) -> list[range]:
    """Units of these sizes, by number and in order, in at most `count` ranges of about the same
    size.
    """
    total = sum(sizes)
    begins: list[int] = []
    held, goal = 0, 0.0
    for number, size in enumerate(sizes):
        if not begins or (held >= goal and len(begins) < count):
            begins.append(number)
            goal = total * len(begins) / count
        held += size
    return [range(*ends) for ends in pairwise([*begins, len(sizes)])]


def task_count(worker: Worker, workers: int) -> int:
    """How many tasks share a phase: for every worker the same number, of about TASK_BYTES each."""
    rounds = -(-(_input_bytes(worker) + _table_bytes(worker)) // (TASK_BYTES * workers))
    return workers * max(1, rounds)


def _table_bytes(worker: Worker) -> int:
    """Of the tables that a phase reads; in memory they are several times larger."""
    tables = {table for node in worker.plan.flow.nodes for table in node.tables_read()}
    return 4 * sum(file.bytes for table in tables for file in worker.run.files(table))


def committed(
    name: str, flow: Flow, worker: Worker, started: float, task_results: Sequence[Mapping[str, Any]]
) -> Commit:
    """What a phase left behind, from its workers' task results."""
    run = worker.run
    tables: dict[str, dict[int, TableFile]] = {table.folder: {} for table, _ in flow.writes}
    data: dict[int, DataFile] = {}
    workers: set[str] = set()
    shuffled = spilled = begun = 0
    sent: Counter[int] = Counter()  # blocks, by the step that they go to
    # Behind the last step comes the driver.
    received = Counter({worker.plan.steps + 1: len(task_results)})
    for result in task_results:
        if "table" in result:
            file = TableFile(**result["file"])
            tables[result["table"]][file.slice] = file
        elif "data" in result:
            if result["data"] is not None:
                released = DataFile(**result["data"])
                data[released.shard] = released
        else:
            workers.add(result["worker"])
            begun += 0 if result["step"] else result["units"]
            sent[result["step"] + 1] += result["sent"]
            received[result["step"]] += result["received"]
            shuffled += result["shuffled"]
            spilled += result["spilled"]
    if begun != len(worker.units):
        raise _lost(f"of {len(worker.units):,} units that {name} reads, {begun:,} were read")
    _require_all(name, sent, received)
    for table, _ in flow.writes:
        folder = run.table_path(table, 0).parent
        remove_leftovers(folder)
        remove_empty(folder)
    discard_folder(run.state / "parts")
    return Commit(
        name,
        flow.digest(name, run),
        time.perf_counter() - started,
        _input_bytes(worker),
        spilled,
        {folder: tuple(files[n] for n in sorted(files)) for folder, files in tables.items()},
        tuple(data[number] for number in sorted(data)),
        shuffled,
        len(workers),
    )


def _require_all(name: str, sent: Mapping[int, int], received: Mapping[int, int]) -> None:
    """Raise LostBlocks where blocks were lost, or came twice, between two steps."""
    for step in sorted({*sent, *received} - {0}):
        if sent[step] != received[step]:
            raise _lost(
                f"of {sent[step]:,} blocks that were sent to step {step} of {name}, "
                f"{received[step]:,} came"
            )


def _lost(what: str) -> LostBlocks:
    return LostBlocks(
        f"the engine lost data: {what}. The phase was not committed; run the same command again, "
        "with another runner or fewer workers if it happens again."
    )


def _input_bytes(worker: Worker) -> int:
    """Of the text that maps read."""
    views = {n: worker.plan.flow.nodes[n].inputs["source"][0] for n in worker.plan.maps()}
    reads = {n for n, source in views.items() if isinstance(source, Read) and source.view}
    return worker.units.bytes_of(reads)
