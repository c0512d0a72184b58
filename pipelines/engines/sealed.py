"""What the workers of a phase share, so that no file which an engine makes of it can be read.

Spark writes what it broadcasts to its temporary files, and it broadcasts functions of more than a
megabyte by itself: the key of surrogates and the options of stores would be there. So it gets a
pickle that is combined with the output of SHAKE-256 (FIPS 202) over a key for this value alone,
which travels with the tasks, in memory.
"""

import hashlib
import pickle
import secrets
from typing import Any, Generic, TypeVar

import numpy as np

KEY_BYTES = 32

T = TypeVar("T")


def sealed(value: object) -> tuple[bytes, bytes]:
    """A new key, and the value as what only that key opens."""
    key = secrets.token_bytes(KEY_BYTES)
    return key, _combined(key, pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


class Opener:
    """Opens what was sealed, once for all tasks of a phase that a process runs."""

    def __init__(self) -> None:
        self._last: tuple[bytes, Any] = (b"", None)

    def opened(self, key: bytes, content: bytes) -> Any:
        """The value that was sealed with this key."""
        if self._last[0] != key:
            self._last = (key, pickle.loads(_combined(key, content)))  # noqa: S301 - ours
        return self._last[1]


def _combined(key: bytes, content: bytes) -> bytes:
    stream = np.frombuffer(hashlib.shake_256(key).digest(len(content)), dtype=np.uint8)
    return (np.frombuffer(content, dtype=np.uint8) ^ stream).tobytes()


OPENER = Opener()
"""This process's."""


class Sealed(Generic[T]):
    """A value for the tasks of Spark: a broadcast of its, and in the task the key that opens it."""

    def __init__(self, context: Any, value: T) -> None:
        self._key, content = sealed(value)
        self._content = context.broadcast(content)

    def opened(self) -> T:
        """The value, in a task."""
        value: T = OPENER.opened(self._key, self._content.value)
        return value

    def destroy(self) -> None:
        """Give back what the broadcast takes. No task may open it any more."""
        self._content.destroy()
