"""How a run shows that it is alive: a bar on a terminal, JSON lines on stderr otherwise."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

import orjson

from unrote.corpus import display
from unrote.pipelines.engines.base import Advance


class Progress(Protocol):
    def begin(self, run: str) -> None:
        """What follows is of this run."""
        ...

    def phase(self, name: str) -> AbstractContextManager[Advance]:
        """Announce a phase; call what it gives with the share that is done."""
        ...

    def aside(self, name: str) -> AbstractContextManager[None]:
        """What is done between phases, as a rule too quick to be announced."""
        ...

    def note(self, text: str) -> None:
        """Say something that the user should know now."""
        ...


class Silent:
    """Shows nothing."""

    def begin(self, run: str) -> None:
        """Nor whose progress it is."""

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:  # noqa: ARG002
        yield lambda _: None

    @contextmanager
    def aside(self, name: str) -> Iterator[None]:  # noqa: ARG002
        yield

    def note(self, text: str) -> None:
        """Not even this: the report has it too."""


class Together:
    """Several at once: the first one shows, others write down or send."""

    def __init__(self, *all_: "Progress") -> None:
        self._all = all_

    def begin(self, run: str) -> None:
        for one in self._all:
            one.begin(run)

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        with ExitStack() as opened:
            advances = [opened.enter_context(one.phase(name)) for one in self._all]

            def advance(done: float) -> None:
                for each in advances:
                    each(done)

            yield advance

    @contextmanager
    def aside(self, name: str) -> Iterator[None]:
        with ExitStack() as opened:
            for one in self._all:
                opened.enter_context(one.aside(name))
            yield

    def note(self, text: str) -> None:
        for one in self._all:
            one.note(text)


class Lines:
    """One JSON line on stderr at a phase's end, and every 5 seconds within it, whatever it does.

    A thread of its own speaks, so that a phase of which one task takes long is not silent. Each
    line has `time` (ISO 8601, UTC), `level` (info, or warning for a note) and, once the input is
    known, `run`.
    """

    EVERY = 5.0

    def __init__(self) -> None:
        self._run: dict[str, str] = {}

    def begin(self, run: str) -> None:
        self._run = {"run": run}

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        started, done = time.monotonic(), 0.0

        def advance(share: float) -> None:
            nonlocal done
            done = share

        def still() -> None:
            seconds = round(time.monotonic() - started, 1)
            self._say(phase=name, done=round(done, 3), seconds=seconds)

        with self._repeated(still):
            yield advance
        self._say(phase=name, done=1.0, seconds=round(time.monotonic() - started, 3))

    @contextmanager
    def aside(self, name: str) -> Iterator[None]:
        started = time.monotonic()

        def still() -> None:
            self._say(doing=name, seconds=round(time.monotonic() - started, 1))

        with self._repeated(still):
            yield

    @contextmanager
    def _repeated(self, say: Callable[[], None]) -> Iterator[None]:
        """Call `say` every so often while this holds, and not after it."""
        ended = threading.Event()

        def repeat() -> None:
            while not ended.wait(self.EVERY):
                say()

        thread = threading.Thread(target=repeat, name="unrote-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def note(self, text: str) -> None:
        self._say("warning", note=text)

    def _say(self, level: str = "info", **fields: object) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        fields = {"time": now, "level": level, **self._run, **fields}
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

    def begin(self, run: str) -> None:
        """Nobody needs it who sits before it."""

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        with self._bar:
            task = self._bar.add_task(name, total=1.0)
            yield lambda share: self._bar.update(task, completed=share)
            self._bar.remove_task(task)

    @contextmanager
    def aside(self, name: str) -> Iterator[None]:
        with self._bar:
            task = self._bar.add_task(name, total=None)
            yield
            self._bar.remove_task(task)

    def note(self, text: str) -> None:
        shown = f"Note: {display.line(text)}"
        self._bar.console.print(shown, markup=False, emoji=False, highlight=False, soft_wrap=True)


def progress_for(quiet: bool) -> Progress:
    """What fits the place where the program runs."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr is not None and sys.stderr.isatty() else Lines()
