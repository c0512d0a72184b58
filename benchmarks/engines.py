"""What run folders of several engines say: seconds and bytes of phases, and lines through them."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

QUANTITIES = ("seconds", "shuffled_bytes", "spilled_bytes")

OUTSIDE = "outside"
"""What a command takes beside its phases: start-up, pinning the input, the report."""


def answer_of(out: Path) -> dict[str, Any]:
    """Phases and rows of a run folder, and a digest of everything that engines must agree on."""
    phases = orjson.loads((out / "report.json").read_bytes())["phases"]
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    return {
        "phases": {phase["name"]: {name: phase[name] for name in QUANTITIES} for phase in phases},
        "rows": {table: n for p in manifest["phases"] for table, n in p["rows"].items()},
        "read": {phase["name"]: phase["input_bytes"] for phase in manifest["phases"]},
        "digest": digest_of(out),
    }


def digest_of(out: Path) -> str:
    """SHA-256 over names and contents of the published tables and the cleaned shards."""
    digest = hashlib.sha256()
    for path in sorted(path for part in ("tables", "data") for path in (out / part).rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(out).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def medians(answers: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Of each phase the medians over runs."""
    return {
        name: {
            quantity: statistics.median(answer["phases"][name][quantity] for answer in answers)
            for quantity in QUANTITIES
        }
        for name in answers[0]["phases"]
    }


def family(phase: str) -> str:
    """The rounds of near-duplicates are one: how many there are depends on the corpus."""
    return "near" if phase.startswith("near-") else phase


def seconds_of(figures: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of one tool at one size by families of phases, and what is outside of them."""
    found: dict[str, float] = {}
    for name, phase in figures["phases"].items():
        found[family(name)] = found.get(family(name), 0.0) + phase["seconds"]
    found[OUTSIDE] = figures["wall"] - sum(found.values())
    return found


def fits(sizes: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each tool that ran at two sizes or more: lines through its seconds over the sizes."""
    points: dict[str, list[tuple[float, Mapping[str, Any]]]] = {}
    for size in sizes:
        for name, figures in size["tools"].items():
            if "wall" in figures:
                points.setdefault(name, []).append((size["text_bytes"] / 1e8, figures))
    return {name: _fit(of) for name, of in points.items() if len(of) > 1}


def _fit(points: Sequence[tuple[float, Mapping[str, Any]]]) -> dict[str, Any]:
    x = [size for size, _ in points]
    seconds = [seconds_of(figures) for _, figures in points]
    names = dict.fromkeys(name for of in seconds for name in of)
    return {
        "wall": _line(x, [figures["wall"] for _, figures in points]),
        "cpu": _line(x, [figures["cpu"] for _, figures in points]),
        "phases": {name: _line(x, [of.get(name, 0.0) for of in seconds]) for name in names},
    }


def _line(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """Least squares: y at no text at all, and what 100 MB more add."""
    slope, intercept = statistics.linear_regression(x, y)
    return {"constant": round(intercept, 4), "per_100_mb": round(slope, 4)}
