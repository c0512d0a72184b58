"""What a run that goes on leaves in OUT for who asks how far it is: `unrote status`.

Nothing depends on it: it is written without waiting for the disk, and where it cannot be written
the run goes on.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import orjson

from unrote.pipelines.engines.base import Advance
from unrote.pipelines.progress import Progress
from unrote.pipelines.storage import Location, write_hint

NAME = "progress.json"
"""In the folder of what only a run itself needs."""

EVERY = 5.0
"""Seconds between two signs of life within a phase."""


class Heartbeat:
    """Progress that is written down as well: the phase, its share that is done, and when."""

    def __init__(self, shown: Progress, state: Location) -> None:
        self._shown = shown
        self._path = state / NAME
        self._written = 0.0

    def begin(self, run: str) -> None:
        self._shown.begin(run)

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        began = time.time()

        def write(done: float) -> None:
            self._written = time.monotonic()
            said = {"phase": name, "done": round(done, 3), "began": began, "time": time.time()}
            write_hint(self._path, orjson.dumps(said))

        with self._shown.phase(name) as show:

            def advance(done: float) -> None:
                show(done)
                if time.monotonic() >= self._written + EVERY:
                    write(done)

            write(0.0)
            yield advance

    def aside(self, name: str) -> AbstractContextManager[None]:
        return self._shown.aside(name)

    def note(self, text: str) -> None:
        self._shown.note(text)
