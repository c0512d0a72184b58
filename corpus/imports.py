"""Importing a package without those that it takes along where they are installed."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class _Absent:
    """A finder of modules that finds everything elsewhere but the named packages."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(name, name=name)


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """While this holds the packages `names` seem not to be installed, unless they are imported."""
    finder = _Absent(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
