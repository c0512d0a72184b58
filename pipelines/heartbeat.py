"""What a run that goes on leaves in OUT for who asks how far it is: `unrote status`.

Nothing depends on it: it is written without waiting for the disk, and where it cannot be written
the run goes on.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from unrote.pipelines.engines.base import Advance
from unrote.pipelines.storage import Location, write_hint

NAME = "progress.json"
"""In the folder of what only a run itself needs."""

EVERY = 5.0
"""Seconds between two signs of life within a phase."""


class Heartbeat:
    """Progress that is written down: the phase, its share that is done, and when."""

    def __init__(self, state: Location) -> None:
        self._path = state / NAME

    def begin(self, run: str) -> None:
        """`run.json` says whose progress it is."""

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        began, written = time.time(), 0.0

        def advance(done: float) -> None:
            nonlocal written
            if time.monotonic() >= written + EVERY:
                written = time.monotonic()
                said = {"phase": name, "done": round(done, 3), "began": began, "time": time.time()}
                write_hint(self._path, orjson.dumps(said))

        advance(0.0)
        yield advance

    @contextmanager
    def aside(self, name: str) -> Iterator[None]:  # noqa: ARG002
        yield

    def note(self, text: str) -> None:
        """The report has it too."""
