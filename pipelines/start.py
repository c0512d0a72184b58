"""Starting quickly."""

import sys

from unrote.corpus.imports import block_imports

_is_quick = False
"""Whether this process was told to start quickly."""


def start_quickly() -> None:
    """Keep Arrow from importing pandas and numba from importing scipy, where these are installed:
    0.15 and 0.35 s for what is not used here. For programs only: a library's user may pass series
    to Arrow, or call kernels of their own.
    """
    global _is_quick  # noqa: PLW0603 - a fact of the process
    _is_quick = True
    _without_pandas()
    _without_scipy()


def starts_quickly() -> bool:
    """Whether processes of this one may `start_quickly` too."""
    return _is_quick


def _without_pandas() -> None:
    """Arrow imports pandas once, at the first array that is made, to recognise its series, of which
    there are none here; if that fails it does not try again.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa  # noqa: PLC0415 - not for --help

    with block_imports("pandas"):
        pa.array([0])


def _without_scipy() -> None:
    """With its own functions on arrays numba imports scipy, to see if there is a BLAS; a kernel
    that needs one asks again. None here does.
    """
    if "scipy.linalg" in sys.modules:
        return
    with block_imports("scipy"):
        import numba.np.arraymath  # noqa: PLC0415, F401 - not for --help
