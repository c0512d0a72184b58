"""Importing a package without the optional packages that it would import in turn."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class _BlockingFinder:
    """An import finder for which the named packages are not installed; it leaves all others to the
    finders behind it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(name, name=name)


@contextmanager
def block_imports(*names: str) -> Iterator[None]:
    """Within this context importing one of the packages `names` raises ModuleNotFoundError, as if
    it were not installed; those that are imported already stay.
    """
    finder = _BlockingFinder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
