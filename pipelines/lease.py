"""One process at a time writes to OUT where that is in a store: a lease, renewed as a run goes on.

A lease is a chain of small files, each written only where there is none: the last one says who may
write and until when. Who holds it writes the next one before that time is up, and who comes later
may do so a while after. Nothing is overwritten, so a store needs no more than create-if-absent,
which S3, GCS and Azure have.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from unrote.corpus.errors import OutputError, RunError
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


class Lease:
    """Holds OUT until it is closed, or lost to another process."""

    def __init__(self, folder: Location, out: str, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._out = out
        self._clock = clock
        self._owner = {
            "run": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "boot": _boot(),
            "pid": os.getpid(),
        }
        self._number = 0
        self._until = 0.0
        self._lost = False
        self._closing = threading.Event()
        self._renewing = threading.Lock()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Begin the lease, or take over one that is up. Raises OutputError, OSError."""
        last, held = _last(self._folder)
        if held is not None and not self._is_free(held):
            raise in_use(self._out, held, self._clock())
        from unrote.corpus.stores import NoConditionalPut  # noqa: PLC0415 - imports fsspec

        try:
            if not self._write(last + 1):
                raise in_use(self._out, _last(self._folder)[1], self._clock())
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

    def _is_free(self, held: dict[str, Any]) -> bool:
        """Whether nobody holds a lease: it is up, or its process on this machine is gone."""
        here = held["host"] == self._owner["host"] and held["boot"] == self._owner["boot"]
        if here and self._owner["boot"]:
            return not Path(f"/proc/{held['pid']}").exists()
        return bool(self._clock() > held["until"] + GRACE)

    def _write(self, number: int) -> bool:
        """Write a link of the chain; False where another process did."""
        until = self._clock() + SECONDS
        path = _file(self._folder, number)
        if not path.put_new(orjson.dumps(self._owner | {"until": until})):
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
    """Raise OutputError where another process holds a lease in `folder`. Writes nothing."""
    lease = Lease(folder, out)
    _, held = _last(folder)
    if held is not None and not lease._is_free(held):
        raise in_use(out, held, time.time())


def without_condition(out: str, why: str) -> OutputError:
    """What is said of a store that cannot write a file only where there is none."""
    return OutputError(
        f"{out} lies in a store without conditional writes ({why}), so two runs could write to it "
        f"at once. {_WITHOUT}"
    )


def in_use(out: str, held: dict[str, Any] | None, now: float) -> OutputError:
    """What is said where another run holds the lease."""
    if held is None:
        return OutputError(f"another run is writing to {out}. Wait for it, or name another folder.")
    left = max(0, round(held["until"] + GRACE - now))
    return OutputError(
        f"another run is writing to {out}: process {held['pid']} on {held['host']}. Wait for it, "
        f"or name another folder. If it was killed, the same command takes over in {left} seconds."
    )


def _file(folder: Location, number: int) -> RemotePath:
    path = folder / f"{number:08d}.json"
    assert isinstance(path, RemotePath)
    return path


def _last(folder: Location) -> tuple[int, dict[str, Any] | None]:
    """The number of the last link of a chain, and what it says; 0 and None where there is none."""
    numbers = _numbers(folder)
    if not numbers:
        return 0, None
    try:
        said = orjson.loads(_file(folder, max(numbers)).read_bytes())
        held = {key: said[key] for key in ("host", "boot", "pid")}
        return max(numbers), held | {"until": float(said["until"])}
    except FileNotFoundError:  # given back, or renewed, in between
        return max(numbers), None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return max(numbers), None


def _numbers(folder: Location) -> list[int]:
    return [int(path.name[:8]) for path in folder.iterdir() if path.name[:8].isdigit()]


def _boot() -> str:
    """What process numbers belong to: a start of this machine, in a container; "": unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # containers number their processes
    except OSError:
        return ""
