"""Keeping programs that an engine starts from writing to the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_children() -> Iterator[None]:
    """Processes started meanwhile have no stderr; this process's `sys.stderr` stays.

    What they would say comes back as errors by other ways. UNROTE_DEBUG lets them speak.
    """
    if os.environ.get("UNROTE_DEBUG") or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    before, stderr = os.dup(2), sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        if _is_two(stderr):
            sys.stderr = os.fdopen(os.dup(before), "w", buffering=1, encoding=stderr.encoding)
        os.dup2(nowhere, 2)
        yield
    finally:
        if sys.stderr is not stderr:
            sys.stderr.close()
            sys.stderr = stderr
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def _is_two(stream: object) -> bool:
    try:
        return stream.fileno() == 2  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError, ValueError):
        return False
