"""One process at a time writes to OUT where that is in a store: a lease, renewed as a run goes on.

A lease is a chain of small files, each written only where there is none: the last one says who may
write and until when. Who holds it writes the next one before that time is up, and who comes later
may do so a while after. Nothing is overwritten, so a store needs no more than create-if-absent,
which S3, GCS and Azure have.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import orjson

from unrote.corpus.errors import OutputError, RunError
from unrote.pipelines.owner import Owner, in_use, refuse_alive, this_process
from unrote.pipelines.remote import RemotePath
from unrote.pipelines.storage import Location, remove

SECONDS = 120.0
"""For how long a lease is, after it was renewed."""

RENEWED_AFTER = 20.0
"""Seconds after which it is renewed."""

GRACE = 30.0
"""Seconds for which a lease that is up is left alone: clocks of machines differ."""

_WITHOUT = (
    "Use a bucket of a store that has it (S3, GCS and Azure do), or, if you see to it that one run "
    "at a time writes to OUT, --set output.lock=none."
)


@dataclass(frozen=True)
class Link:
    """What the last file of a chain says."""

    owner: Owner
    until: float
    """Seconds of the epoch."""

    def is_free(self, now: float) -> bool:
        """Whether nobody holds the lease: it is up, or its process on this machine is gone."""
        alive = self.owner.is_alive
        return now > self.until + GRACE if alive is None else not alive

    def refused(self, out: str, now: float) -> OutputError:
        """What is said to others."""
        left = max(0, round(self.until + GRACE - now))
        return in_use(
            out,
            self.owner,
            f"If it was killed, the same command takes over in {left} seconds, or at once with "
            "--break-lock.",
        )


def steady_clock() -> Callable[[], float]:
    """Seconds of the epoch, as this machine has them now, that go on whatever its clock is set to
    later: else a lease would be written that is up for all others, or never.
    """
    kind = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # counts while it is suspended
    began = time.time() - time.clock_gettime(kind)
    return lambda: began + time.clock_gettime(kind)


class Lease:
    """Holds OUT until it is closed, or lost to another process."""

    def __init__(
        self, folder: Location, out: str, clock: Callable[[], float] | None = None
    ) -> None:
        clock = clock or steady_clock()
        self._folder = folder
        self._out = out
        self._clock = clock
        self._owner = this_process(clock())
        self._number = 0
        self._until = 0.0
        self._lost = False
        self._closing = threading.Event()
        self._renewing = threading.Lock()
        self._thread: threading.Thread | None = None

    def take(self, *, breaking: bool = False) -> None:
        """Begin the lease, or take over one that is up; breaking: or one of another machine.

        Raises OutputError, OSError.
        """
        last, held = _last(self._folder)
        if breaking:
            refuse_alive(self._out, held.owner if held else None)
        elif held is not None and not held.is_free(self._clock()):
            raise held.refused(self._out, self._clock())
        from unrote.corpus.stores import NoConditionalPut  # noqa: PLC0415 - imports fsspec

        try:
            if not self._write(last + 1):
                later = _last(self._folder)[1]
                raise later.refused(self._out, self._clock()) if later else in_use(self._out, None)
        except NoConditionalPut as error:
            raise without_condition(self._out, error.strerror or "it has none") from None
        self._refuse_unconditional()
        for number in _numbers(self._folder):
            if number <= last:
                remove(_file(self._folder, number))
        self._thread = threading.Thread(target=self._renew, name="unrote-lease", daemon=True)
        self._thread.start()

    def require(self) -> None:
        """Raise RunError where another process may have OUT by now."""
        if self._lost or self._clock() > self._until:
            raise RunError(
                f"{self._out} could not be kept for this run: the lease in .run/lease was up "
                "before it was renewed, or another run took it over. Run the same command again: "
                "it continues after the last finished phase."
            )

    def close(self) -> None:
        """Let others have OUT."""
        self._closing.set()
        with self._renewing:  # not while another one is written
            number, self._number = self._number, 0
        if self._thread is not None:
            self._thread.join(1.0)
        if number and not self._lost:
            with suppress(OSError):
                for each in _numbers(self._folder):
                    if each <= number:
                        remove(_file(self._folder, each))

    def _write(self, number: int) -> bool:
        """Write a link of the chain; False where another process did."""
        until = self._clock() + SECONDS
        path = _file(self._folder, number)
        if not path.put_new(orjson.dumps(self._owner.to_json() | {"until": until})):
            return False
        if _last(self._folder)[0] > number:  # that was begun long ago, and others went on since
            remove(path)
            return False
        self._number, self._until = number, until
        return True

    def _refuse_unconditional(self) -> None:
        """Raise OutputError where the store overwrites what it shall not."""
        if _file(self._folder, self._number).put_new(b"{}"):
            remove(_file(self._folder, self._number))
            raise without_condition(self._out, "it overwrites files all the same")

    def _renew(self) -> None:
        while not self._closing.wait(RENEWED_AFTER):
            with suppress(OSError), self._renewing:  # tried again until the time is up
                if not self._number:
                    return
                before = self._number
                if not self._write(before + 1):
                    self._lost = True
                    return
                remove(_file(self._folder, before))


def refuse_held(folder: Location, out: str) -> None:
    """Raise OutputInUse where another process holds a lease in `folder`. Writes nothing."""
    held = holder(folder)
    if held is not None and not held.is_free(time.time()):
        raise held.refused(out, time.time())


def holder(folder: Location) -> Link | None:
    """Who holds the lease in `folder`, or held it last; None where there is none."""
    return _last(folder)[1]


def without_condition(out: str, why: str) -> OutputError:
    """What is said of a store that cannot write a file only where there is none."""
    return OutputError(
        f"{out} lies in a store without conditional writes ({why}), so two runs could write to it "
        f"at once. {_WITHOUT}"
    )


def _file(folder: Location, number: int) -> RemotePath:
    path = folder / f"{number:08d}.json"
    assert isinstance(path, RemotePath)
    return path


def _last(folder: Location) -> tuple[int, Link | None]:
    """The number of the last link of a chain, and what it says; 0 and None where there is none."""
    numbers = _numbers(folder)
    if not numbers:
        return 0, None
    try:
        said = orjson.loads(_file(folder, max(numbers)).read_bytes())
        return max(numbers), Link(Owner.of(said), float(said["until"]))
    except FileNotFoundError:  # given back, or renewed, in between
        return max(numbers), None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return max(numbers), None


def _numbers(folder: Location) -> list[int]:
    return [int(path.name[:8]) for path in folder.iterdir() if path.name[:8].isdigit()]
