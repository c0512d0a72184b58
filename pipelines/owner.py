"""The process that writes to OUT, as the lock on a disk and the lease in a store name it."""

import os
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unrote.corpus.errors import OutputInUse


@dataclass(frozen=True)
class Owner:
    """Who holds OUT."""

    run: str
    """One of these for each time that OUT is taken."""
    host: str
    boot: str
    """What process numbers belong to: a start of a machine, in a container; "": unknown."""
    pid: int
    since: float
    """Seconds of the epoch."""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Owner":
        """What a file says. Raises KeyError, TypeError or ValueError where it is damaged."""
        run, host, boot = (str(said[name]) for name in ("run", "host", "boot"))
        return cls(run, host, boot, int(said["pid"]), float(said["since"]))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_alive(self) -> bool | None:
        """Whether its process is there; None where that cannot be seen from this machine."""
        if not self.boot or (self.host, self.boot) != (socket.gethostname(), boot()):
            return None
        return Path(f"/proc/{self.pid}").exists()

    def __str__(self) -> str:
        if self == UNKNOWN:
            return "a process that has not said yet who it is"
        since = datetime.fromtimestamp(self.since, UTC).isoformat(" ", "seconds")
        return f"process {self.pid} on {self.host}, since {since.removesuffix('+00:00')} UTC"


UNKNOWN = Owner("", "", "", 0, 0.0)


def this_process(now: float | None = None) -> Owner:
    """The owner that this process is; now: seconds of the epoch."""
    since = time.time() if now is None else now
    return Owner(uuid.uuid4().hex, socket.gethostname(), boot(), os.getpid(), since)


def boot() -> str:
    """What numbers of processes belong to here; "": unknown."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start} {os.readlink('/proc/self/ns/pid')}"  # containers number their processes
    except OSError:
        return ""


def in_use(out: str, held: Owner | None, hint: str = "") -> OutputInUse:
    """What is said where another process holds OUT; hint: what else can be done."""
    who = f": {held}" if held is not None else ""
    return OutputInUse(
        f"another run is writing to {out}{who}. Wait for it (--set output.lock_timeout=600 waits "
        f"that many seconds), or name another folder.{hint and ' ' + hint}"
    )


def refuse_alive(out: str, held: Owner | None) -> None:
    """Raise OutputInUse where a lock is to be broken whose process is seen to be at work."""
    if held is not None and held.is_alive:
        raise OutputInUse(
            f"the lock of {out} is not broken: {held}, is at work. End it first (kill {held.pid}), "
            "and run the same command again."
        )
