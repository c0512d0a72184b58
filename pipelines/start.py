"""Starting quickly."""

import sys

from unrote.corpus.imports import block_imports


def without_pandas() -> None:
    """Keep Arrow from importing pandas, where it is installed: 0.15 s for a check of every array.

    Arrow imports it once, at the first array that is made, to recognise its series, of which there
    are none here; if that fails it does not try again. For programs only: a library's user may pass
    series to Arrow.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa  # noqa: PLC0415 - not for --help

    with block_imports("pandas"):
        pa.array([0])
