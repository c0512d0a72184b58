"""How a run shows that it is alive: a bar on a terminal, JSON lines on stderr otherwise."""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

import orjson

from corpus import display
from pipelines.engines.base import Advance


class Progress(Protocol):
    def phase(self, name: str) -> AbstractContextManager[Advance]:
        """Announce a phase; call what it gives with the share that is done."""
        ...

    def note(self, text: str) -> None:
        """Say something that the user should know now."""
        ...


class Silent:
    """Shows nothing."""

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:  # noqa: ARG002
        yield lambda _: None

    def note(self, text: str) -> None:
        """Not even this: the report has it too."""


class Lines:
    """One JSON line on stderr at a phase's end, and every 30 seconds within it."""

    EVERY = 30.0

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        started = spoken = time.monotonic()

        def advance(share: float) -> None:
            nonlocal spoken
            if time.monotonic() - spoken >= self.EVERY:
                spoken = time.monotonic()
                self._say(phase=name, done=round(share, 3), seconds=round(spoken - started, 1))

        yield advance
        self._say(phase=name, done=1.0, seconds=round(time.monotonic() - started, 3))

    def note(self, text: str) -> None:
        self._say(note=text)

    @staticmethod
    def _say(**fields: object) -> None:
        # Nobody listens any more: no reason to give up the work.
        with suppress(OSError, AttributeError):
            sys.stderr.write(display.json_text(orjson.dumps(fields).decode()) + "\n")
            sys.stderr.flush()


class Bar:
    """A rich progress bar on stderr, one line that follows the phases."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only where there is a terminal
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._bar = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        with self._bar:
            task = self._bar.add_task(name, total=1.0)
            yield lambda share: self._bar.update(task, completed=share)
            self._bar.remove_task(task)

    def note(self, text: str) -> None:
        shown = f"Note: {display.line(text)}"
        self._bar.console.print(shown, markup=False, emoji=False, highlight=False, soft_wrap=True)


def progress_for(quiet: bool) -> Progress:
    """What fits the place where the program runs."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr is not None and sys.stderr.isatty() else Lines()
