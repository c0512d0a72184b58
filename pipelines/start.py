"""Starting quickly."""

import sys

from unrote.corpus.imports import block_imports

_is_quick = False
"""Whether this process was told to start quickly."""


def start_quickly() -> None:
    """Keep Arrow from importing pandas, where it is installed: 0.15 s for what is not used here.
    For programs only: a library's user may pass series to Arrow.

    Arrow imports pandas once, at the first array that is made, to recognise its series, of which
    there are none here; if that fails it does not try again.
    """
    global _is_quick  # noqa: PLW0603 - a fact of the process
    _is_quick = True
    if "pandas" in sys.modules:
        return
    import pyarrow as pa  # noqa: PLC0415 - not for --help

    with block_imports("pandas"):
        pa.array([0])


def starts_quickly() -> bool:
    """Whether processes of this one may `start_quickly` too."""
    return _is_quick
