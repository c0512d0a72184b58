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

    For a program of its own: it sets numba's environment variables.
    Raises OSError where the folder cannot be written.
    """
    chosen = compiled.target()
    folder.mkdir(parents=True, exist_ok=True)
    total, finished = len(signatures()), 0
    if chosen is not None:  # numba reads both at import: the processes that compile have them
        os.environ |= {"NUMBA_CPU_NAME": chosen.name, "NUMBA_CPU_FEATURES": ""}
    with _pool() as pool:
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
    """The dispatcher of "module:function"; its module needs nothing that an extra brings."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


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
        function = _kernel(name).py_func
        current |= {compiled.name_of(function, _types(name, one)) for one in own}
    for path in folder.iterdir():
        if path.name not in current:
            path.unlink()
    for other in folder.parent.glob("*-numba*"):
        if other != folder:
            shutil.rmtree(other)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
