"""Giving memory back. A budget means little if the allocator keeps what a phase has freed."""

import ctypes
import gc
import sys

import pyarrow as pa

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_frozen = 0
"""How many modules there were when their objects were last left out of garbage collections."""


def be_frugal() -> None:
    """Make large freed arrays go back to the system at once; call before threads start.

    Arrays of 8 MiB and more get pages of their own, and threads share two heaps: the whole job on
    210 MB of text then peaks a fifth lower, and is no slower. (From a quarter of a MiB on it would
    peak lower still, and spend its time on page faults.) Without glibc only Arrow is told.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, 1 << 23)
        mallopt(_M_TRIM_THRESHOLD, 1 << 26)


def give_back() -> None:
    """Return the free pages of the C library's heaps to the system; call between phases.

    Small objects that are left pin the pages of large ones that are gone: of a clean of 210 MB of
    text 200 to 300 MiB after each of the larger phases. Takes milliseconds, but pages that are
    wanted again cost as much as new ones: after each task it is a fifth of all processor time.
    Without glibc nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def freeze_modules() -> None:
    """Leave what imported modules consist of out of later garbage collections.

    A worker of Spark's makes a full collection after each task. Over the million objects of Arrow,
    numba and their like it takes a third of a second, which was nine tenths of what workers did on
    small data. Does something only where modules were imported since the last call.
    """
    global _frozen  # noqa: PLW0603 - a fact of the process
    if len(sys.modules) > _frozen:
        _frozen = len(sys.modules)
        gc.collect()
        gc.freeze()
