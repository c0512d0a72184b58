"""Writes the tables of docs/scaling.md that follow from results.json: what 1 TB and 10 TB would
cost on a stated cluster if everything grew in proportion to what was measured.

    python benchmarks/scaling.py      # run.py does it after its section "engines"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import report
from engines import OUTSIDE, family

from unrote.corpus.pinning import CUT_BYTES, SLICE_BYTES
from unrote.corpus.schema import (
    BANDS,
    COPIES,
    DOCUMENTS,
    DUPLICATES,
    EXACT,
    FINGERPRINTS,
    KEPT,
    NEAR,
    PAIRS,
    SPANS,
    UNDECIDED,
    Table,
)
from unrote.dedup.blocks import BLOCK_STEPS
from unrote.dedup.candidates import CANDIDATES
from unrote.dedup.groups import HOT_KEY_ROWS
from unrote.dedup.repeats import AMBIGUOUS, AMBIGUOUS_COPIES
from unrote.dedup.selection import FINAL_DOCUMENTS, STEPS
from unrote.pipelines.engines.driver import TASK_BYTES
from unrote.pipelines.engines.plan import partition_bits
from unrote.pipelines.summary.totals import RELEASED

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "scaling.md"
RESULTS = HERE / "results.json"
MARKERS = "<!-- {}: written by benchmarks/scaling.py -->", "<!-- /{} -->"

NEAR_PHASES = ("fingerprint", "exact", "near", "release")
"""The phases of a run that looks for duplicate documents only."""

PASSES = 3
"""Over the blocks of a selection: more than copies of a document take, and as many as the pairs of
benchmarks/selection.py (a chain that crosses every block would take as many as there are)."""

READ: Mapping[str, tuple[Table, ...]] = {
    "exact": (FINGERPRINTS,),
    "near": (BANDS, UNDECIDED, CANDIDATES, PAIRS, NEAR, KEPT, EXACT),
    "anchors": (EXACT, NEAR),
    "windows": (AMBIGUOUS,),
    "conclude": (EXACT, NEAR, COPIES, AMBIGUOUS_COPIES),
    "release": (DUPLICATES, SPANS),
    "summary": (DOCUMENTS, DUPLICATES, SPANS, RELEASED),
}
"""The tables that phases read."""


@dataclass(frozen=True)
class Cluster:
    """A stated cluster and what it is to work through.

    network, disk: bytes a second of one machine that are of use: of 10 Gbit/s, of an NVMe disk
    that reads and writes at once. memory: bytes of one machine.
    """

    text: float
    machines: int
    cores: int = 16
    memory: float = 64e9
    network: float = 1.0e9
    disk: float = 1.0e9

    @property
    def all_cores(self) -> int:
        return self.machines * self.cores

    @property
    def name(self) -> str:
        return f"{self.text / 1e12:.0f} TB"


CLUSTERS = (Cluster(1e12, 32), Cluster(1e13, 128))


@dataclass(frozen=True)
class Phase:
    """What a phase costs for each byte of text. rows: shuffled, as they are in memory."""

    name: str
    seconds: float
    text: float
    tables: float
    shuffled: float
    rows: float

    def minutes(self, cluster: Cluster) -> tuple[float, float, float]:
        """What processors, network and disks need, each by itself."""
        crossing = self.shuffled * (1 - 1 / cluster.machines) + self.text + self.tables
        # Written and read once by the shuffle, and once more, uncompressed, by the sorter.
        moved = 2 * self.shuffled + 2 * self.rows
        return (
            cluster.text * self.seconds / cluster.all_cores / 60,
            cluster.text * crossing / (cluster.machines * cluster.network) / 60,
            cluster.text * moved / (cluster.machines * cluster.disk) / 60,
        )


class Measured:
    """What was measured at the largest size, and the slopes over all sizes."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        size = next(
            size
            for size in reversed(list(section["sizes"].values()))
            if all("wall" in size["tools"].get(name, {}) for name in ("local", "spark"))
        )
        self.section = section
        self.text_bytes: int = size["text_bytes"]
        self.documents: int = size["documents"]
        self.engine = "spark, rounds" if "spark, rounds" in section["fits"] else "spark"
        tools = size["tools"]
        self.spark = tools[self.engine if "wall" in tools.get(self.engine, {}) else "spark"]
        self.local = tools["local"]
        self.finished = tools["spark"]
        self.limits: Mapping[str, float] = section["limits"]

    def rows(self, *names: str) -> float:
        """Rows of tables, all rounds, for each byte of text."""
        found = [n for table, n in self.spark["rows"].items() if base(table) in names]
        return sum(found) / self.text_bytes

    def first(self, name: str) -> float:
        """Rows of a table of the first round for each byte of text."""
        return float(self.spark["rows"].get(f"{name}-1", 0)) / self.text_bytes

    def phases(self) -> list[Phase]:
        lines = self.section["fits"][self.engine]["phases"]
        return [self._phase(name, line["per_100_mb"]) for name, line in lines.items()]

    def _phase(self, name: str, slope: float) -> Phase:
        tables = sum(self.rows(table.name) * width(table.schema) for table in READ.get(name, ()))
        text = self._sum(name, self.spark["read"]) / self.text_bytes
        shuffled = self._shuffled(name, self.spark)
        rows = self._shuffled(name, self.local)
        if name == "near":  # the local engine did not go through all rounds
            sealed = self._shuffled(name, self.finished)
            rows *= shuffled / sealed if sealed else 1.0
        if name == OUTSIDE:
            text = 1.0  # the input is pinned
        seconds = max(0.0, slope) * self.section["workers"] / 1e8
        return Phase(name, seconds, text, tables, shuffled, rows)

    def blocks(self, cluster: Cluster) -> float:
        """Of the selection in round 1, each of which one worker walks."""
        rows = cluster.text * (self.first("candidates") + self.first("pairs"))
        return max(1.0, rows / BLOCK_STEPS)

    def selection_minutes(self, cluster: Cluster) -> float:
        """What the selections of all rounds take, each as many passes as PASSES; a pass brings the
        steps to what is known of documents, and to their blocks.
        """
        rows = cluster.text * self.rows("candidates", "pairs")
        walked = rows / self.limits["selection_rows_per_second"]
        moved = 8 * rows * width(STEPS.schema)  # twice through the shuffle and through the sorter
        together = min(cluster.all_cores, self.blocks(cluster))
        return PASSES * (walked / together + moved / (cluster.disk * cluster.machines)) / 60

    def minutes(self, cluster: Cluster, names: Sequence[str] = ()) -> float:
        """The least time of phases (all, if none are named): each its longest part."""
        phases = [p for p in self.phases() if not names or p.name in names]
        return sum(max(p.minutes(cluster)) for p in phases) + self.selection_minutes(cluster)

    @staticmethod
    def _sum(name: str, of: Mapping[str, float]) -> float:
        return sum(value for phase, value in of.items() if family(phase) == name)

    def _shuffled(self, name: str, figures: Mapping[str, Any]) -> float:
        by_phase = {phase: of["shuffled_bytes"] for phase, of in figures["phases"].items()}
        return self._sum(name, by_phase) / self.text_bytes


def base(table: str) -> str:
    """The name of a table without its rounds."""
    return re.sub(r"(-\d+)+$", "", table)


def width(schema: pa.Schema) -> int:
    """About how many bytes a row takes in memory; on disk it is less."""
    return sum(8 if pa.types.is_primitive(kind) else 24 for kind in schema.types)


def amount(size: float) -> str:
    """Bytes, short."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= 0.9995 * unit:
            return (
                f"{size / unit:.3g} {name}" if size < 999.5 * unit else f"{size / unit:,.0f} {name}"
            )
    return f"{size / 1e3:.3g} kB" if size >= 1e3 else f"{size:.0f} B"


def count(number: float) -> str:
    """A number of things, short."""
    for unit, name in ((1e9, " billion"), (1e6, " million")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:,.0f}"


def time(minutes: float) -> str:
    if minutes >= 90:
        return f"{minutes / 60:.1f} h"
    return f"{minutes:.0f} min" if minutes >= 9.5 else f"{minutes:.1f} min"


# The tables


def basis(measured: Measured) -> str:
    """Where the figures come from, and what about the corpus they take for granted."""
    section = measured.section
    machine = section["machine"]
    kilobyte = 1e3
    per_document = measured.documents / measured.text_bytes
    facts = [
        ("text in a document, on average", amount(1 / per_document)),
        ("documents removed as exact copies", share(measured.rows("exact") / per_document)),
        ("documents removed as near-duplicates", share(measured.rows("near") / per_document)),
        (
            "documents that share a bucket with another (candidates of round 1)",
            share(measured.first("candidates") / per_document),
        ),
        (
            "pairs to verify in round 1, for each document",
            f"{measured.first('pairs') / per_document:.2f}",
        ),
        ("rounds", f"{len([p for p in measured.spark['phases'] if p.endswith('-pairs')])}"),
        ("ambiguous anchors in 1 kB", f"{measured.rows('ambiguous') * kilobyte:.2f}"),
        (
            "rows of copied windows in 1 kB",
            f"{measured.rows('copies', 'ambiguous_copies') * kilobyte:.2f}",
        ),
        ("passages in 1 kB", f"{measured.rows('spans') * kilobyte:.2f}"),
    ]
    sizes = list(section["sizes"].values())
    text = (
        f"Measured {section['date']} on {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, with {section['workers']} workers, at "
        f"{', '.join(report.megabytes(size) for size in sizes)} MB (medians of {section['runs']}; "
        f"load before {machine['load_before']}). Engine: {measured.engine} "
        "([benchmarks](../benchmarks/README.md)). Of the corpus at "
        f"{measured.text_bytes / 1e6:.0f} MB:"
    )
    return f"{text}\n\n{report.table(['taken for granted', ''], facts)}"


def share(of: float) -> str:
    return f"{of:.1%}"


def cost(measured: Measured, cluster: Cluster) -> str:
    """One row for each phase, and their sum."""
    rows, totals = [], [0.0] * 4
    for phase in measured.phases():
        text, tables = cluster.text * phase.text, cluster.text * phase.tables
        shuffled, hours = cluster.text * phase.shuffled, cluster.text * phase.seconds / 3600
        minutes = phase.minutes(cluster)
        totals = [t + v for t, v in zip(totals, (text, tables, shuffled, hours), strict=True)]
        name = f"`{phase.name}`" if phase.name != OUTSIDE else "outside"
        cells = [amount(v) if v else "–" for v in (text, tables, shuffled)]
        slowest = max(minutes)
        times = [f"**{time(m)}**" if m == slowest and m else time(m) for m in minutes]
        rows.append([name, *cells, f"{hours:.1f}", *times])
    selection = time(measured.selection_minutes(cluster))
    rows.append(["`GreedySelection`, in `near`", "–", "–", "–", "", f"**{selection}**", "", ""])
    sums = [*map(amount, totals[:3]), f"{totals[3]:.0f}"]
    rows.append(["all", *sums, "", "", f"at least {time(measured.minutes(cluster))}"])
    head = ["", "text read", "tables read", "shuffled", "core-hours"]
    head += ["processors", "network", "disks"]
    text = (
        f"**{cluster.name} on {cluster.machines} machines, {cluster.all_cores:,} cores**; what "
        "bounds a phase is in bold."
    )
    return f"{text}\n\n{report.table(head, rows)}"


def alone(measured: Measured) -> str:
    """What one worker or the driver does or holds, at both sizes."""
    limits = measured.limits
    anchors = next(p for p in measured.phases() if p.name == "anchors")
    candidates, pairs = measured.first("candidates"), measured.first("pairs")

    def steps(cluster: Cluster) -> float:
        return cluster.text * (candidates + pairs)

    def tasks(cluster: Cluster) -> float:
        workers = cluster.all_cores
        return workers * -(-cluster.text // (TASK_BYTES * workers))

    def partitions(cluster: Cluster) -> int:
        return int(2 ** partition_bits(int(cluster.text)))

    def cuts(cluster: Cluster) -> float:
        return cluster.text / CUT_BYTES

    lines: list[tuple[str, Callable[[Cluster], str]]] = [
        ("documents", lambda c: count(c.text * measured.documents / measured.text_bytes)),
        ("hash partitions of a group", lambda c: f"{partitions(c):,}"),
        (
            "anchors in one partition, in memory form",
            lambda c: amount(c.text * anchors.rows / partitions(c)),
        ),
        ("tasks of a step that reads text", lambda c: count(tasks(c))),
        (
            "blocks of Spark's shuffle of anchors",
            lambda c: count(tasks(c) * min(partitions(c), tasks(c))),
        ),
        (
            "bytes in one of them",
            lambda c: amount(c.text * anchors.shuffled / tasks(c) / partitions(c)),
        ),
        ("`GreedySelection`, round 1: rows", lambda c: count(steps(c))),
        ("`GreedySelection`, round 1: blocks", lambda c: f"{measured.blocks(c):,.0f}"),
        (
            "`GreedySelection`: sorted for one block",
            lambda _: amount(BLOCK_STEPS * width(STEPS.schema)),
        ),
        (
            "`GreedySelection`: memory of a block, if few of its documents stay",
            lambda _: amount(BLOCK_STEPS * limits["selection_bytes_per_removed"]),
        ),
        (
            f"`FinalSelection`: shingles of {FINAL_DOCUMENTS:,} average documents",
            lambda _: amount(FINAL_DOCUMENTS * measured.text_bytes / measured.documents * 8 / 6),
        ),
        (
            "`CompareWindows`: memory if 1 % of the documents have one line in own contexts",
            lambda c: amount(
                c.text
                * measured.documents
                / measured.text_bytes
                * 0.01
                * limits["comparison_bytes_per_context"]
            ),
        ),
        ("cuts", lambda c: count(cuts(c))),
        ("slices", lambda c: count(c.text / SLICE_BYTES)),
        (
            "a phase's plan, sent to each worker",
            lambda c: amount(cuts(c) * limits["plan_pickled_per_cut"]),
        ),
        (
            "the same in memory, in the driver and each worker process",
            lambda c: amount(cuts(c) * limits["plan_held_per_cut"]),
        ),
        (
            "the same on one machine",
            lambda c: amount(cuts(c) * limits["plan_held_per_cut"] * c.cores),
        ),
    ]
    head = ["", *(cluster.name for cluster in CLUSTERS)]
    text = (
        f"Measured in one process (`benchmarks/limits.py`): `CompareWindows` holds "
        f"{limits['comparison_bytes_per_context']:,.0f} bytes for each distinct context and "
        f"compares {limits['comparison_contexts_per_second']:,.0f} of them a second; "
        f"`GreedySelection` goes over {count(limits['selection_rows_per_second'])} rows a second "
        f"and holds {limits['selection_bytes_per_removed']:.0f} bytes for each document that is "
        f"not kept. The hash of more than {HOT_KEY_ROWS:,} anchors is a hot key."
    )
    rows = [[name, *(value(cluster) for cluster in CLUSTERS)] for name, value in lines]
    return f"{report.table(head, rows)}\n\n{text}"


PUBLISHED: Sequence[Sequence[str]] = (
    (
        "datatrove (issue 298), MinHash",
        "4 TB; 8 TB",
        "1,200 tasks; buckets: 300",
        "signatures 71 min; 123 min; buckets 25 min; 18 min; clusters and filter: no figure",
        "386; 319 without them",
    ),
    (
        "datatrove (issue 106), MinHash",
        "1 TB",
        "1,000 cores",
        "hashing 2 h, clustering 7 h",
        "9000",
    ),
    (
        "NeMo Curator, fuzzy, RedPajama v2",
        "8 TB",
        "8, 16, 32 H100 GPUs",
        "2.05 h, 1.01 h, 0.50 h",
        "2 GPU-hours",
    ),
    (
        "SlimPajama, MinHash",
        "1.21 T tokens",
        "64 cores, 1.4 TB of memory",
        "about 2.5 days",
        "3840 in all",
    ),
    (
        "data-juicer on Ray, MinHash",
        "200 GB; 1 TB; 5 TB",
        "1,280 cores",
        "7.5 min; 30 min; 168 min",
        "800; 640; 717",
    ),
    (
        "google, suffix array, C4",
        "350 GB",
        "96 cores, over 600 GB of memory",
        "under 13 h; about 1,000 core-hours for the array",
        "about 2900",
    ),
)
"""What others say of themselves: system, data, hardware, time, core-hours for 1 TB."""


def beside(measured: Measured) -> str:
    """Published figures, and ours, which are not of the same kind."""
    rows = [list(row) for row in PUBLISHED]
    rows = [[*row[:4], row[4] or "–"] for row in rows]
    for cluster in CLUSTERS:
        for what, names in (("documents only", NEAR_PHASES), ("whole clean", ())):
            phases = [p for p in measured.phases() if not names or p.name in names]
            rows.append(
                [
                    f"**unrote, {what}: extrapolated, not run**",
                    cluster.name,
                    f"{cluster.all_cores:,} cores",
                    f"at least {time(measured.minutes(cluster, names))}",
                    f"{1e12 * sum(p.seconds for p in phases) / 3600:.0f}",
                ]
            )
    head = ["", "data", "hardware", "time", "core-hours for 1 TB"]
    return report.table(head, rows).replace("--:", "---")


def blocks(results: Mapping[str, Any]) -> dict[str, str]:
    """What stands between each pair of markers."""
    section = results.get("engines")
    if not section or not {"local", "spark"} <= set(section["fits"]):
        nothing = "Nothing has been measured yet."
        return dict.fromkeys(("measured", "cost", "alone", "beside"), nothing)
    measured = Measured(section)
    return {
        "measured": basis(measured),
        "cost": "\n\n".join(cost(measured, cluster) for cluster in CLUSTERS),
        "alone": alone(measured),
        "beside": beside(measured),
    }


def filled(text: str, generated: Iterable[tuple[str, str]]) -> str:
    """A page with what is generated between its markers."""
    for name, content in generated:
        text = report.between(text, *(marker.format(name) for marker in MARKERS), content)
    return text


def write(results: Mapping[str, Any], page: Path = PAGE) -> None:
    """Write the tables into the page."""
    try:
        page.write_text(filled(page.read_text(), blocks(results).items()))
    except ValueError as error:
        raise SystemExit(f"{page}: {error}; put it back where the tables belong") from None


if __name__ == "__main__":
    write(orjson.loads(RESULTS.read_bytes()))
