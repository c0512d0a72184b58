"""Compiling all kernels at once, in parallel: python -m unrote.corpus.compiling

`signatures.json` says for which types of arguments each kernel is compiled; `make signatures`
writes it (tests/kernels.py). What the folder holds already is not compiled again.
"""

import importlib
import json
import multiprocessing
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.resources import files
from pathlib import Path
from typing import Any

from numba import types
from numba.core.serialize import dumps

from unrote.corpus import compiled
from unrote.corpus.kernel import compile_anew
from unrote.corpus.packaged import store

Progress = Callable[[int, int], None]
"""Told how many of how many kernels are done."""

_TOKEN = re.compile(
    r"\s*(readonly )?(array)\((\w+), (\d)d, (\w)\)|\s*x (\d+)|\s*(\w+)(\()?|\s*(\))|,"
)


def signatures() -> Mapping[str, list[str]]:
    """The argument types that each kernel ("module:function") is compiled for."""
    text = files("unrote.corpus").joinpath("signatures.json").read_text(encoding="utf-8")
    found: dict[str, list[str]] = json.loads(text)
    return found


def compile_all(folder: Path, progress: Progress | None = None) -> None:
    """Compile every kernel for this machine's target into `folder`, what is there already excepted.

    Raises OSError where the folder cannot be written.
    """
    chosen = compiled.target()
    folder.mkdir(parents=True, exist_ok=True)
    environment = {} if chosen is None else {"NUMBA_CPU_NAME": chosen.name}
    environment |= {} if chosen is None else {"NUMBA_CPU_FEATURES": ""}
    total, finished = len(signatures()), 0
    with _environment(environment), _pool() as pool:
        tasks = [pool.submit(_compile, part, str(folder)) for part in _by_module(signatures())]
        for task in as_completed(tasks):
            finished += task.result()
            if progress is not None:
                progress(finished, total)
    (folder / compiled.complete()).touch()


def _pool() -> ProcessPoolExecutor:
    spawned = multiprocessing.get_context("spawn")  # numba reads its environment at import
    return ProcessPoolExecutor(_cores(), mp_context=spawned)


def _cores() -> int:
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


class _environment:  # noqa: N801 (a context manager)
    """Environment variables for the processes that are started within."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._values}
        os.environ.update(self._values)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _by_module(names: Iterable[str]) -> list[list[str]]:
    """Kernels of one module together, the modules that take longest first."""
    modules: dict[str, list[str]] = {}
    for name in names:
        modules.setdefault(name.partition(":")[0], []).append(name)
    return sorted(modules.values(), key=len, reverse=True)


def _compile(names: Sequence[str], folder: str) -> int:
    """In a process of its own: compile some kernels. Returns how many."""
    for name in names:
        kernel = _kernel(name)
        if kernel is None:
            continue
        for one in signatures()[name]:
            arguments = _types(name, one)
            path = Path(folder) / compiled.name_of(kernel.py_func, arguments)
            if path.exists():
                continue
            compile_anew()
            kernel.compile(arguments)
            content = dumps(kernel.overloads[arguments]._reduce())
            store(path, content)
    return len(names)


def _kernel(name: str) -> Any:
    """The dispatcher of "module:function", None where its module needs what is not installed."""
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("unrote"):
            raise
        return None


def _types(name: str, written: str) -> tuple[Any, ...]:
    """The numba types of arguments, as `signatures.json` has them."""
    module = importlib.import_module(name.partition(":")[0])
    return tuple(_parsed(_TOKEN.finditer(written), module))


def _parsed(tokens: Iterator[re.Match[str]], module: Any) -> list[Any]:
    """Types up to the closing bracket; named tuples by the name of their class in the module."""
    found: list[Any] = []
    for token in tokens:
        readonly, array, dtype, dimensions, layout, times, name, opened, closed = token.groups()
        if array:
            one = types.Array(getattr(types, dtype), int(dimensions), layout, bool(readonly))
            found.append(one)
        elif times:  # "T x 3", in a named tuple whose fields have one type
            found *= int(times)
        elif name and opened:
            fields, kind = _parsed(tokens, module), getattr(module, name)
            if len(set(fields)) == 1:
                found.append(types.NamedUniTuple(fields[0], len(fields), kind))
            else:
                found.append(types.NamedTuple(tuple(fields), kind))
        elif name:
            found.append(types.boolean if name == "bool" else getattr(types, name))
        elif closed:
            break
    return found


def main(arguments: Sequence[str]) -> int:
    """Compile into the folder that is named, printing how many of how many kernels are done.

    Without one: into the package, for a checkout and for a wheel.
    """
    if len(arguments) > 1:
        sys.stderr.write("usage: python -m unrote.corpus.compiling [FOLDER]\n")
        return 2
    packaged = Path(str(files("unrote").joinpath(compiled.FOLDER, compiled.tag())))

    def tell(done: int, total: int) -> None:
        sys.stdout.write(f"{done} of {total}\n")
        sys.stdout.flush()

    folder = Path(arguments[0]) if arguments else packaged
    compile_all(folder, tell)
    if not arguments:
        _tidy(folder)
    return 0


def _tidy(folder: Path) -> None:
    """Drop from the package what is of other code or another Python."""
    current = {compiled.complete()}
    for name, own in signatures().items():
        if (kernel := _kernel(name)) is not None:
            current |= {compiled.name_of(kernel.py_func, _types(name, one)) for one in own}
    for path in folder.iterdir():
        if path.name not in current:
            path.unlink()
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
