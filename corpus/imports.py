"""Importing a package without packages and modules that it would import in turn."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType


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


class _Empty(ModuleType):
    """A module of which every name is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def empty_modules(*names: str) -> Iterator[None]:
    """Within this context the modules `names` are empty for whoever imports them: what is imported
    from them is None. Afterwards they can be imported as they are; those that are imported already
    stay.
    """
    made = [name for name in names if name not in sys.modules]
    sys.modules.update({name: _Empty(name) for name in made})
    try:
        yield
    finally:
        for name in made:
            if isinstance(sys.modules.get(name), _Empty):
                del sys.modules[name]
