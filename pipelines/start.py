"""Starting quickly."""

import sys
from collections.abc import Sequence


class _NoPandas:
    """A finder of modules that finds everything but pandas elsewhere."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> None:  # noqa: ARG004
        if name == "pandas":
            raise ModuleNotFoundError(name)


def without_pandas() -> None:
    """Keep Arrow from importing pandas, where it is installed: 0.15 s for a check of every array.

    Arrow imports it once, at the first array that is made, to recognise its series, of which there
    are none here; if that fails it does not try again. For programs only: a library's user may pass
    series to Arrow.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa  # noqa: PLC0415 - not for --help

    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_NoPandas)
