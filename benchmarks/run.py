"""Ours beside the peers, in one run: whole processes, start-up included.

    python benchmarks/debian.py                # the corpus, once
    python benchmarks/peers/setup.py           # the peers, once
    python benchmarks/run.py [--only near|passages|clean|engines|kernels] [--runs 3]
                             [--skip-slow]
    python benchmarks/run.py --smoke           # each command once on 5 MB; writes nothing
    python benchmarks/run.py --ratios          # 200 MB beside rensa and the suffix array; prints

Every command reads JSONL from a disk whose cache is warm and is measured from outside. The tools
take turns (A B C A B C), so that a machine that slows down slows all of them; medians are reported.
What was measured goes to results.json, and from there into README.md. A section that was not run
keeps what it had, with its date. The tables of docs/scaling.md follow (scaling.py).
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import report
from engines import answer_of, fits, medians
from measure import CommandFailedError, Measured, measure

HERE = Path(__file__).parent
UNROTE = Path(sys.executable).with_name("unrote")
RESULTS = HERE / "results.json"
DEFAULT_WORK = Path.home() / ".cache" / "unrote-bench"
SECTIONS = ("near", "passages", "clean", "engines", "kernels")
KERNELS = ("kernels_minhash.py", "kernels_passages.py", "kernels_occurrences.py")

SIZES = {
    "near": ("50", "200"),
    "passages": ("50", "100", "200"),
    "clean": ("50", "100", "200", "all"),
    "engines": ("50", "100", "200", "400"),
}
SMOKE = "5"
MEMORY = "1GiB"

# Nothing but the tables: that is what the peers write, and some less.
NO_DATA = ("--set", "output.data=false", "--set", "output.excerpts=false")
NEAR_ONLY = ("--set", "dedup.passages.enabled=false", *NO_DATA)
# Cut at characters, since the suffix array knows no words, and only reported: it cuts nothing.
PASSAGES_ONLY = (
    *("--set", "dedup.exact.enabled=false", "--set", "dedup.near.enabled=false"),
    *("--set", "dedup.passages.boundary=character", "--set", "dedup.passages.action=report"),
    *NO_DATA,
)
ONE_WORKER = ("--set", "engine.workers=1")
# Of threads, of Spark's local[2], of the threads of Beam's FnApiRunner.
ENGINE_WORKERS = 2


@dataclass(frozen=True)
class Bench:
    """What all sections need."""

    work: Path
    runs: int
    skip_slow: bool
    timeout: float
    smoke: bool

    def sizes(self, section: str) -> tuple[str, ...]:
        """Megabytes of the corpora that a section runs on."""
        return (SMOKE,) if self.smoke else SIZES[section]

    def corpus(self, size: str) -> Path:
        """The corpus of so many megabytes ("all": the whole)."""
        path = self.work / ("debian.jsonl" if size == "all" else f"debian-{size}.jsonl")
        if not path.exists():
            wanted = "" if size == "all" else f" --megabytes {size}"
            sys.exit(
                f"{path} is missing; make it with\n"
                f"  {sys.executable} {HERE / 'debian.py'} --work {self.work}{wanted}"
            )
        return path

    def facts(self, size: str) -> dict[str, Any]:
        """Documents and bytes of text in a corpus."""
        sheet = orjson.loads((self.work / "corpus.json").read_bytes())
        facts: dict[str, Any] = sheet[self.corpus(size).name]
        return facts


@dataclass(frozen=True)
class Tool:
    """A competitor: `command(input, output)`, and how its output is read."""

    name: str
    command: Callable[[Path, Path], list[str]]
    read: Callable[[Path], Any]
    venv: str = ""  # of a peer; empty: ours
    slow: bool = False


def ours(name: str, job: str, *options: str, read: Callable[[Path], Any] = lambda _: None) -> Tool:
    """A competitor that is unrote with some settings."""
    return Tool(
        name, lambda source, out: [str(UNROTE), job, str(source), "-o", str(out), *options], read
    )


def peer(
    bench: Bench,
    name: str,
    venv: str,
    script: str,
    *rest: str,
    read: Callable[[Path], Any],
    slow: bool = False,
) -> Tool:
    """A competitor that is a script in an environment of its own."""
    python = bench.work / "venvs" / venv / "bin" / "python"
    path = HERE / "peers" / script
    return Tool(
        name,
        lambda source, out: [str(python), str(path), str(source), str(out), *rest],
        read,
        venv,
        slow,
    )


def present(bench: Bench, tools: Iterable[Tool]) -> list[Tool]:
    """The tools that are installed; says how to install the others."""
    found = []
    for tool in tools:
        if tool.venv and not (bench.work / "venvs" / tool.venv / "bin" / "python").exists():
            print(
                f"{tool.name} is not installed and is left out; install it with\n"
                f"  {sys.executable} {HERE / 'peers' / 'setup.py'} --work {bench.work} {tool.venv}"
            )
            continue
        found.append(tool)
    return found


def compete(
    bench: Bench, tools: Sequence[Tool], source: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, list[Any]]]:
    """Every tool `runs` times by turns: figures by tool, and what each answered each time.

    Slow tools, which take minutes, run once.
    """
    measured: dict[str, list[Measured]] = {tool.name: [] for tool in tools}
    failures: dict[str, str] = {}
    answers: dict[str, list[Any]] = {}
    warm(source)
    for turn in range(bench.runs):
        for tool in tools:
            if tool.name in failures or (tool.slow and turn):
                continue
            with tempfile.TemporaryDirectory(dir=bench.work) as folder:
                out = Path(folder) / "out"
                log = Path(folder) / "log"
                try:
                    result = measure(tool.command(source, out), log, timeout=bench.timeout)
                except CommandFailedError as error:
                    failures[tool.name] = str(error)
                    print(f"  {tool.name}: {error}")
                    continue
                measured[tool.name].append(result)
                answers.setdefault(tool.name, []).append(tool.read(out))
            print(
                f"  {source.stem} {tool.name}: {result.wall:.2f} s, processors {result.cpu:.2f} s, "
                f"{result.peak:.0f} MiB",
                flush=True,
            )
    figures = {
        name: {"failed": failures[name]} if name in failures else summary(runs)
        for name, runs in measured.items()
    }
    return figures, answers


def summary(runs: Sequence[Measured]) -> dict[str, Any]:
    """Medians, and the times they are medians of."""
    return {
        "wall": statistics.median(run.wall for run in runs),
        "cpu": statistics.median(run.cpu for run in runs),
        "peak": statistics.median(run.peak for run in runs),
        "walls": [round(run.wall, 3) for run in runs],
    }


def warm(source: Path) -> None:
    """Reads a file once, so that no tool pays for the disk."""
    with source.open("rb") as file:
        while file.read(1 << 24):
            pass


def compile_kernels(bench: Bench) -> None:
    """One run of everything on the smallest corpus, so that no measured run compiles."""
    with tempfile.TemporaryDirectory(dir=bench.work) as folder:
        for job, options in (("dedup", NEAR_ONLY), ("dedup", PASSAGES_ONLY), ("clean", ())):
            command = ours("warm-up", job, *options).command(
                bench.corpus(bench.sizes("near")[0]), Path(folder) / f"{job}{len(options)}"
            )
            try:
                measure(command, Path(folder) / "log", timeout=bench.timeout)
            except CommandFailedError as error:
                print(f"{' '.join(command)}\n  {error}")


def cold(bench: Bench, size: str, job: str, *options: str) -> dict[str, Any]:
    """The first run of an installation: nothing compiled, and nothing found from before."""
    with tempfile.TemporaryDirectory(dir=bench.work) as folder:
        cache = Path(folder) / "numba"
        cache.mkdir()
        command = ours("cold", job, *options).command(bench.corpus(size), Path(folder) / "out")
        environment = {"NUMBA_CACHE_DIR": str(cache)}
        try:
            return summary([measure(command, Path(folder) / "log", environment, bench.timeout)])
        except CommandFailedError as error:
            return {"failed": str(error)}


# Near-duplicates


def removed_by_us(out: Path) -> set[str]:
    """Ids of the documents that a run folder says are removed."""
    ids = pq.read_table(out / "tables" / "documents", columns=["doc", "id"]).to_pydict()
    name_of = dict(zip(ids["doc"], ids["id"], strict=True))
    removed = pq.read_table(out / "tables" / "duplicates", columns=["doc"]).column("doc")
    return {name_of[doc] for doc in removed.to_pylist()}


def lines(out: Path) -> set[str]:
    """The answer of a peer's script: ids, one on a line."""
    return set(out.read_text().splitlines())


def exact_answer(bench: Bench, source: Path) -> set[str]:
    """The ids that must go. In a process of its own: it needs memory and minutes."""
    command = [sys.executable, str(HERE / "reference.py"), str(source), "--work", str(bench.work)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return lines(Path(answer))


def near(bench: Bench) -> dict[str, Any]:
    tools = present(
        bench,
        [
            ours("unrote", "dedup", *NEAR_ONLY, read=removed_by_us),
            ours("unrote, 1 worker", "dedup", *NEAR_ONLY, *ONE_WORKER, read=removed_by_us),
            peer(bench, "rensa", "rensa", "rensa_dedup.py", read=lines),
            peer(bench, "datasketch", "datasketch", "datasketch_dedup.py", read=lines),
            peer(
                bench,
                "datasketch, 2 processes",
                "datasketch",
                "datasketch_dedup.py",
                "2",
                read=lines,
            ),
            peer(
                bench,
                "text-dedup, 2 processes",
                "text-dedup",
                "text_dedup_dedup.py",
                read=lines,
                slow=True,
            ),
            peer(
                bench,
                "datatrove, 2 processes",
                "datatrove",
                "datatrove_dedup.py",
                read=lines,
                slow=True,
            ),
        ],
    )
    section: dict[str, Any] = {"sizes": {}}
    sizes = bench.sizes("near")
    for size in sizes:
        source = bench.corpus(size)
        reference = exact_answer(bench, source)
        largest = len(sizes) > 1 and size == sizes[-1]
        running = [tool for tool in tools if not (tool.slow and largest and bench.skip_slow)]
        figures, answers = compete(bench, running, source)
        figures |= {tool.name: {"failed": "left out"} for tool in tools if tool not in running}
        for name, (*_, answer) in answers.items():
            figures[name] |= {
                "removed": len(answer),
                "missed": len(reference - answer),
                "extra": len(answer - reference),
            }
        section["sizes"][size] = bench.facts(size) | {"exact": len(reference), "tools": figures}
    section["cold"] = {"unrote": cold(bench, sizes[0], "dedup", *NEAR_ONLY)}
    return section


# Passages

Spans = np.ndarray  # rows of document (row number), start, end


def spans_of_us(out: Path) -> Spans:
    """The union of the spans in a run folder, in code points."""
    table = pq.read_table(out / "tables" / "spans", columns=["doc", "start", "end"])
    # One shard, numbered 0, so that a document's key is its row number.
    return union(np.stack([table.column(name).to_numpy() for name in ("doc", "start", "end")], 1))


def spans_of_peer(out: Path) -> Spans:
    """The spans that the suffix array's script wrote, in bytes."""
    with np.load(out) as arrays:
        return np.stack([arrays[name] for name in ("document", "start", "end")], 1)


def union(spans: Spans) -> Spans:
    """Spans that overlap or touch, joined."""
    joined: list[list[int]] = []
    for doc, start, end in sorted(map(tuple, spans.tolist())):
        if joined and joined[-1][0] == doc and start <= joined[-1][2]:
            joined[-1][2] = max(joined[-1][2], end)
        else:
            joined.append([doc, start, end])
    return np.array(joined, dtype=np.int64).reshape(-1, 3)


def in_code_points(spans: Spans, source: Path) -> Spans:
    """Spans in bytes, moved inwards to whole characters, in code points."""
    converted = []
    order = spans[:, 0]
    with source.open("rb") as file:
        for row, line in enumerate(file):
            first, last = np.searchsorted(order, (row, row + 1))
            if first == last:
                continue
            text = np.frombuffer(orjson.loads(line)["text"].encode(), dtype=np.uint8)
            begins = np.append((text & 0xC0) != 0x80, True)  # a character begins here
            before = np.concatenate(([0], np.cumsum(begins)))
            boundaries = np.flatnonzero(begins)
            for _, start, end in spans[first:last].tolist():
                start = boundaries[np.searchsorted(boundaries, start)]
                end = boundaries[np.searchsorted(boundaries, end, side="right") - 1]
                if start < end:
                    converted.append((row, before[start], before[end]))
    return union(np.array(converted, dtype=np.int64).reshape(-1, 3))


def passages(bench: Bench) -> dict[str, Any]:
    suffix_array = "pydivsufsort + Kasai"
    method = "dedup.passages.method=suffix-array"
    tools = present(
        bench,
        [
            ours("unrote, anchors", "dedup", *PASSAGES_ONLY, read=spans_of_us),
            ours(
                "unrote, anchors, 1 worker", "dedup", *PASSAGES_ONLY, *ONE_WORKER, read=spans_of_us
            ),
            ours(
                "unrote, suffix-array", "dedup", *PASSAGES_ONLY, "--set", method, read=spans_of_us
            ),
            peer(bench, suffix_array, "pydivsufsort", "divsufsort_passages.py", read=spans_of_peer),
        ],
    )
    section: dict[str, Any] = {"sizes": {}}
    for size in bench.sizes("passages"):
        source = bench.corpus(size)
        figures, answered = compete(bench, tools, source)
        answers = {name: of[-1] for name, of in answered.items()}
        if suffix_array in answers:
            answers[suffix_array] = in_code_points(answers[suffix_array], source)
        for name, spans in answers.items():
            figures[name] |= {
                "spans": len(spans),
                "characters": int((spans[:, 2] - spans[:, 1]).sum()),
            }
            if suffix_array in answers:
                figures[name]["identical"] = np.array_equal(spans, answers[suffix_array])
        section["sizes"][size] = bench.facts(size) | {"tools": figures}
    return section


# The two speeds that must not be lost

LARGE = "200"
AIMS = {"near": 4.0, "passages": 5.0}


def ratios(bench: Bench) -> str:
    """How many times as long the fastest peer takes, of both jobs on 200 MB."""
    for options in (NEAR_ONLY, PASSAGES_ONLY):  # so that no measured run compiles
        with tempfile.TemporaryDirectory(dir=bench.work) as folder:
            command = ours("", "dedup", *options).command(bench.corpus(LARGE), Path(folder, "out"))
            measure(command, Path(folder) / "log", timeout=bench.timeout)
    pairs = {
        "near": (
            ours("unrote", "dedup", *NEAR_ONLY, read=removed_by_us),
            peer(bench, "rensa", "rensa", "rensa_dedup.py", read=lines),
        ),
        "passages": (
            ours("unrote", "dedup", *PASSAGES_ONLY, read=spans_of_us),
            peer(
                bench,
                "pydivsufsort + Kasai",
                "pydivsufsort",
                "divsufsort_passages.py",
                read=spans_of_peer,
            ),
        ),
    }
    told = [
        "| job | unrote, s | peer | peer, s | peer / ours | aim | user + sys, peer / ours |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for job, tools in pairs.items():
        figures, _ = compete(bench, present(bench, tools), bench.corpus(LARGE))
        us, them = (figures.get(tool.name, {}) for tool in tools)
        if us.get("wall") and them.get("wall"):
            wall, cpu = (them[name] / us[name] for name in ("wall", "cpu"))
            told.append(
                f"| {job} | {us['wall']:.2f} | {tools[1].name} | {them['wall']:.2f} | {wall:.2f} | "
                f"{AIMS[job]} | {cpu:.2f} |"
            )
    return "\n".join(told)


# The whole job


def clean(bench: Bench) -> dict[str, Any]:
    section: dict[str, Any] = {"sizes": {}, "memory": MEMORY}
    options = ("--set", f"engine.memory={MEMORY}")
    for size in bench.sizes("clean"):
        figures, _ = compete(bench, [ours("unrote", "clean", *options)], bench.corpus(size))
        section["sizes"][size] = bench.facts(size) | {"tools": figures}
    section["cold"] = {"unrote": cold(bench, bench.sizes("clean")[0], "clean", *options)}
    points = [
        (one["text_bytes"], one["tools"]["unrote"])
        for one in section["sizes"].values()
        if "wall" in one["tools"]["unrote"]
    ]
    if len(points) > 1:
        for quantity in ("wall", "cpu", "peak"):
            section[f"{quantity}_exponent"] = slope(
                [(size, figures[quantity]) for size, figures in points]
            )
    return section


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The exponent e of y = c * x ** e, by least squares over the logarithms."""
    x = [math.log(point[0]) for point in points]
    y = [math.log(point[1]) for point in points]
    return statistics.linear_regression(x, y).slope


# The engines


def on(engine: str, name: str = "", program: Sequence[str] = (str(UNROTE),)) -> Tool:
    """A competitor that is a whole clean on one engine, everything else as it is by default."""
    options = ("--engine", engine, "--set", f"engine.workers={ENGINE_WORKERS}")
    return Tool(
        name or engine,
        lambda source, out: [*program, "dedup", str(source), "-o", str(out), *options],
        answer_of,
    )


def engines(bench: Bench) -> dict[str, Any]:
    rounds = (sys.executable, str(HERE / "rounds.py"))
    tools = [on("local"), on("spark"), on("beam"), on("spark", "spark, rounds", rounds)]
    section: dict[str, Any] = {"sizes": {}, "workers": ENGINE_WORKERS}
    for size in bench.sizes("engines"):
        figures, answers = compete(bench, tools, bench.corpus(size))
        found = bench.facts(size) | {"tools": figures}
        for name, of in answers.items():
            figures[name]["phases"] = medians(of)
            figures[name]["rows"], figures[name]["read"] = of[-1]["rows"], of[-1]["read"]
        # Without the finish the same documents go, but another one may be named as the twin.
        compared = [of for name, of in answers.items() if name != "spark, rounds"]
        digests = {answer["digest"] for of in compared for answer in of}
        found["identical"] = len(digests) <= 1
        found["digests"] = sorted(digests)
        section["sizes"][size] = found
    section["fits"] = fits(section["sizes"].values())
    section["limits"] = limits(bench)
    return section


def limits(bench: Bench) -> dict[str, float]:
    """What one place must hold or do alone, in a process of its own."""
    command = [sys.executable, str(HERE / "limits.py"), *(("--smoke",) if bench.smoke else ())]
    done = subprocess.run(command, check=True, capture_output=True, timeout=bench.timeout)
    found: dict[str, float] = orjson.loads(done.stdout)
    return found


# Kernels


def kernels(bench: Bench) -> dict[str, Any]:
    """What the kernels' own benchmarks print, on the largest corpus that is used here."""
    source = bench.corpus(bench.sizes("passages")[-1])
    printed = {}
    for name in KERNELS:
        script = HERE / name
        if not script.exists():
            print(f"{script} does not exist: left out")
            continue
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{script.stem}", "--data", str(source)],
            capture_output=True,
            text=True,
            check=False,
            cwd=HERE.parent,
            timeout=bench.timeout,
        )
        if done.returncode:
            print(f"{name}: exit {done.returncode}: {done.stderr[-300:]}")
        else:
            print(done.stdout)
            printed[name] = done.stdout.rstrip()
    return {"printed": printed}


# The run


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text()
    model = next(
        (line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Ours from the code and git, what it runs on, and the peers' from their pins."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "absent"

    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    unrote = subprocess.run([UNROTE, "--version"], capture_output=True, text=True, check=False)
    found = {
        "unrote": " ".join(filter(None, [*unrote.stdout.split()[-1:], commit])),
        "python": platform.python_version(),
        **{
            name: installed(name)
            for name in ("numpy", "numba", "pyarrow", "pyspark", "apache-beam")
        },
    }
    for name in ("rensa", "datasketch", "text-dedup", "datatrove", "pydivsufsort"):
        pins = (HERE / "peers" / "requirements" / f"{name}.txt").read_text().splitlines()
        found[name] = next(pin for pin in pins if pin.startswith(f"{name}==")).partition("==")[2]
    return found


def write_scaling(results: dict[str, Any]) -> None:
    """The tables of docs/scaling.md."""
    import scaling  # asks the project for its constants, and it need not be installed to be told so

    scaling.write(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="work folder")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="run these sections")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command (3)")
    parser.add_argument(
        "--skip-slow", action="store_true", help="leave the slow peers out at the largest size"
    )
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one command")
    parser.add_argument(
        "--smoke", action="store_true", help="each command once, on 5 MB; writes nothing"
    )
    parser.add_argument(
        "--ratios", action="store_true", help="only two jobs on 200 MB; writes nothing"
    )
    parser.add_argument("--render", action="store_true", help="only write the pages anew")
    arguments = parser.parse_args()
    results = orjson.loads(RESULTS.read_bytes()) if RESULTS.exists() else {}
    if arguments.render:
        report.write(results)
        write_scaling(results)
        return
    sections = arguments.only or SECTIONS
    if not UNROTE.exists() and set(sections) != {"kernels"}:
        sys.exit(f"{UNROTE} is missing; install the project: {sys.executable} -m pip install -e .")
    arguments.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        work=arguments.work.resolve(),
        runs=1 if arguments.smoke else arguments.runs,
        skip_slow=arguments.skip_slow,
        timeout=arguments.timeout,
        smoke=arguments.smoke,
    )
    if os.getloadavg()[0] > 0.5:
        print(f"the machine is busy (load {os.getloadavg()[0]:.1f}): figures will be too high")
    free = shutil.disk_usage(bench.work).free
    if free < 4 << 30:
        print(f"only {free >> 20} MiB are free in {bench.work}")
    if arguments.ratios:
        print(ratios(bench))
        return
    context = {"machine": machine(), "versions": versions(), "runs": bench.runs}
    if set(sections) != {"kernels"}:
        compile_kernels(bench)
    measures = {
        "near": near,
        "passages": passages,
        "clean": clean,
        "engines": engines,
        "kernels": kernels,
    }
    for name in sections:
        print(name)
        found = measures[name](bench)
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        results[name] = {"date": date, **context, **found}
        if bench.smoke:
            print(report.render(name, results[name]))
            continue
        # After each section, so that an interrupted run keeps what it has.
        RESULTS.write_bytes(
            orjson.dumps(
                results,
                option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
            )
        )
        print(report.write(results, name))
        if name == "engines":
            write_scaling(results)


if __name__ == "__main__":
    main()
