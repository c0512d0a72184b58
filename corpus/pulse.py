"""Heartbeats of long work: that it goes on and how far, to a listener that it does not know.

Work that takes long for one batch calls `pulse` between its parts. Who runs it listens in that
thread with `heard_by`; where nobody listens, nothing happens. A listener that wants the work to end
raises `Stopped`, which no `except Exception` on the way takes for a fault.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[float | None], None]
"""Told the share of the present batch that is done, None where that is not known."""

_here = threading.local()


class Stopped(BaseException):
    """The work is not wanted any more."""


def pulse(share: float | None = None) -> None:
    """Tell that work goes on; raises Stopped where it shall not."""
    listener: Listener | None = getattr(_here, "listener", None)
    if listener is not None:
        listener(share)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """While this holds `listener` is told of each `pulse` of this thread."""
    before = getattr(_here, "listener", None)
    _here.listener = listener
    try:
        yield
    finally:
        _here.listener = before
