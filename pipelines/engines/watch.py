"""How far the tasks of a phase are, and their end where it is not wanted any more.

Threads cannot be ended from outside. So each task asks, for every batch it reads and whenever its
stage sends a `pulse`, whether it shall go on, and leaves word how far it is.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from unrote.corpus.pulse import Stopped, heard_by, pulse
from unrote.corpus.schema import Tagged


class Meter:
    """How far one task is: what it has read, and of the batch that it works on what its stage says.

    report: called with the share of the whole whenever there is one; raises Stopped to end the
    task.
    """

    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report
        self._read, self._batch = 0.0, 1.0  # before and in the present batch, as shares

    def listen(self, share: float | None) -> None:
        """Take a pulse."""
        self._report(min(1.0, self._read + self._batch * (share or 0.0)))

    def reading(self, rows: Tagged, total: int) -> Tagged:
        """Rows of about `total` bytes on their way into a stage, a pulse for each batch."""
        read, total = 0, max(total, 1)
        for tag, batch in rows:
            size = batch.nbytes
            self._read, self._batch = min(read / total, 1.0), min(size / total, 1.0)
            pulse()
            yield tag, batch
            read += size


class Watch:
    """The tasks of one phase that run, by number."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._shares: dict[int, float] = {}

    def stop(self) -> None:
        """Have every task end at its next pulse."""
        self._stop.set()

    def share(self, task: int) -> float:
        """How far a task is, in 0 … 1; 0 where it has not said."""
        return self._shares.get(task, 0.0)

    @contextmanager
    def over(self, task: int) -> Iterator[Meter]:
        """Listen to a task that this thread works on."""

        def report(share: float) -> None:
            if self._stop.is_set():
                raise Stopped
            self._shares[task] = max(self.share(task), share)  # never back

        meter = Meter(report)
        with heard_by(meter.listen):
            pulse()
            yield meter
