"""How far a run is, from what lies in OUT: for people and monitors, while it runs and after."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from pydantic import Field

from unrote.corpus.errors import InputError
from unrote.pipelines.commits import read_marker, read_sealed
from unrote.pipelines.finished import open_run
from unrote.pipelines.heartbeat import NAME
from unrote.pipelines.locations import MANIFEST, STATE, reaching
from unrote.pipelines.lock import holder_of
from unrote.pipelines.owner import Owner
from unrote.pipelines.report.formatting import counted, duration
from unrote.pipelines.report.part import Part
from unrote.pipelines.storage import Location, absolute

State = Literal["finished", "refused", "running", "interrupted"]

EXIT_STATUS: dict[State, int] = {"finished": 0, "refused": 1, "interrupted": 3, "running": 4}
"""As the command that ran it ended, or would end now."""


class CurrentPhase(Part):
    """What a run does, or did when it was interrupted."""

    name: str
    done: float = Field(description="Share of it, 0 to 1.")
    seconds: float = Field(description="Since it began.")
    seen: float = Field(description="Seconds since the last sign of life.")


class DonePhase(Part):
    """A phase that is committed."""

    name: str
    seconds: float


class RunStatus(Part):
    """What `unrote status --json` prints."""

    format: Literal[1] = 1
    state: State
    job: str = Field(description="clean, dedup, scrub, score, gate or proxy.")
    run: str = Field(description="Digest of input, settings and key.")
    started: str = Field(description="ISO 8601, UTC.")
    finished: str | None = Field(description="ISO 8601, UTC; null: it is not.")
    owner: str | None = Field(description="Process and host that write to OUT; null: none does.")
    phase: CurrentPhase | None = Field(description="null: it is between phases, or has ended.")
    phases: tuple[DonePhase, ...] = Field(description="Those that are committed.")
    summary: str | None = Field(description="The report's headline; null: there is none yet.")

    @property
    def exit_status(self) -> int:
        """Of the command `unrote status`."""
        return EXIT_STATUS[self.state]


def status(out: str | os.PathLike[str]) -> RunStatus:
    """How far the run in the folder or URL `out` is.

    Raises InputError where there is none, or what there is cannot be read.
    """
    with reaching(os.fspath(out)):
        folder = absolute(out)
        owner = holder_of(folder)
        if owner is None and (folder / MANIFEST).exists():
            return _finished(folder)
        return _unfinished(folder, owner)


def _finished(folder: Location) -> RunStatus:
    run = open_run(str(folder))
    report = run.report
    return RunStatus(
        state="finished" if report.passed is not False else "refused",
        job=run.manifest["job"],
        run=run.manifest["fingerprint"],
        started=run.manifest["started"],
        finished=run.manifest["finished"],
        owner=None,
        phase=None,
        phases=tuple(
            DonePhase(name=phase["name"], seconds=phase["seconds"])
            for phase in run.manifest["phases"]
        ),
        summary=report.headline,
    )


def _unfinished(folder: Location, owner: Owner | None) -> RunStatus:
    state = _json(folder / STATE / "run.json")
    if state is None:
        held = f"{owner} has it, and has not begun" if owner else "nothing is there"
        raise InputError(f"{folder} holds no run: {held}. Name OUT of a run.")
    phases = tuple(_committed(folder / STATE / "phases"))
    current = _current(folder / STATE / NAME)
    if current is not None and any(phase.name == current.name for phase in phases):
        current = None
    return RunStatus(
        state="running" if owner else "interrupted",
        job=state["job"],
        run=state["fingerprint"],
        started=state["started"],
        finished=None,
        owner=str(owner) if owner else None,
        phase=current,
        phases=phases,
        summary=None,
    )


def _committed(folder: Location) -> Iterator[DonePhase]:
    try:
        markers: list[Location] = list(folder.iterdir())
    except FileNotFoundError:  # none yet, or the run is ending just now
        return
    for path in sorted(markers, key=lambda path: path.name):
        if (commit := read_marker(path)) is not None:
            yield DonePhase(name=commit.name, seconds=round(commit.seconds, 3))


def _current(path: Location) -> CurrentPhase | None:
    """The phase that a run was in; None where it did not say, or a power cut took what it said."""
    try:
        said = orjson.loads(path.read_bytes())
        return CurrentPhase(
            name=said["phase"],
            done=said["done"],
            seconds=round(max(0.0, said["time"] - said["began"]), 1),
            seen=round(max(0.0, time.time() - said["time"]), 1),
        )
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def _json(path: Location) -> dict[str, Any] | None:
    """What a small file says; None where it is not there. Raises InputError where it is damaged."""
    try:
        return read_sealed(path)
    except FileNotFoundError:
        return None
    except ValueError:
        raise InputError(
            f"{path} is damaged. Start the run over with --fresh, or name another folder."
        ) from None


def lines(found: RunStatus) -> Iterator[str]:
    """The same for people."""
    yield f"{found.state}: {found.job}, started {_plain(found.started)}"
    if found.owner:
        yield f"written by {found.owner}"
    if found.phase:
        did = "is" if found.state == "running" else "was"
        seen = duration(round(found.phase.seen))
        yield f"phase {found.phase.name} {did} {found.phase.done:.0%} done, said {seen} ago"
    if found.phases:
        seconds = sum(phase.seconds for phase in found.phases)
        yield f"{counted(len(found.phases), 'phase')} done in {duration(seconds)}"
    if found.finished:
        yield f"finished {_plain(found.finished)}"
    if found.summary:
        yield found.summary
    if found.state == "interrupted":
        yield "The same command continues it."


def _plain(time_: str) -> str:
    return datetime.fromisoformat(time_).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
