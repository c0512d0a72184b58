"""Kernels that were compiled beforehand: when the package was built, or by its first job.

numba keeps what it compiled beside the source, for one processor and one file time. That is no use
to a wheel, an image or an archive. Here a compiled kernel is a file of its own, named by a digest
of all that it was made of: names and code of the function and of the kernels that it calls, the
constants that they see, the types of the arguments, the versions of Python, numba and LLVM, and the
*target*, an instruction set that many processors share. So files are never out of date, only
unused, and a file may come from anywhere that is trusted as code is: the package (a folder, a
wheel, a zip) or the user's cache.
"""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

from unrote.corpus.packaged import own_folder, store
from unrote.corpus.version import VERSION

FOLDER = "compiled"
"""In the package."""

VARIABLE = "UNROTE_KERNELS"
"""The environment variable that may be "host": kernels are compiled for this processor alone."""


class Target(NamedTuple):
    """What kernels are compiled for: LLVM's name of a processor, and what a host must have."""

    name: str
    features: tuple[str, ...]


_X86 = Target("x86-64-v3", ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt"))
_ARM = Target("generic", ("neon",))

TARGETS: Mapping[str, Target] = {
    "x86_64": _X86,
    "amd64": _X86,
    "aarch64": _ARM,
    "arm64": Target("apple-m1", ()) if sys.platform == "darwin" else _ARM,
}
"""By machine. Haswell (2013) and Zen (2017) have x86-64-v3."""


@cache
def target() -> Target | None:
    """The target that this machine can run, None if it has to compile for itself."""
    found = TARGETS.get(platform.machine().lower())
    if found is None or os.environ.get(VARIABLE) == "host":
        return None
    features = llvm.get_host_cpu_features()
    return found if all(features.get(name) for name in found.features) else None


def tag(name: str | None = None) -> str:
    """The folder of what this Python can load: for the target, or another one's name."""
    found = target()
    versions = f"numba{numba.__version__}-llvmlite{llvmlite.__version__}-numpy{_numpy()}"
    name = name or (host() if found is None else found.name)
    return f"{sys.implementation.cache_tag}-{versions}-{sys.platform}-{name}"


@cache
def host() -> str:
    """A name for this processor and all that it can do."""
    features = sorted(name for name, there in llvm.get_host_cpu_features().items() if there)
    digest = hashlib.sha256(" ".join(features).encode()).hexdigest()[:8]
    return f"{llvm.get_host_cpu_name()}-{digest}"


def _numpy() -> str:
    return ".".join(np.__version__.split(".")[:2])


@cache
def kept() -> Path | None:
    """The user's folder of kernels for the target; None: there is nowhere to keep any."""
    return own_folder(f"{FOLDER}-{tag()}")


@cache
def kept_for_host() -> Path | None:
    """The same of kernels that were compiled as they were used, for this processor."""
    return own_folder(f"{FOLDER}-{tag(host())}")


def complete() -> str:
    """The file that says that a folder has every kernel of this version."""
    return f"complete-{VERSION}"


def are_there() -> bool:
    """Whether kernels need not be compiled before they are used, or cannot be kept."""
    if target() is None or kept() is None:
        return True
    return any(f.joinpath(complete()).is_file() for f in (_packaged(), kept()) if f is not None)


def compile_now(advance: Callable[[float], None]) -> str:
    """Compile every kernel into the user's folder, by a program of its own; `advance` is told the
    share that is done.

    Returns what went wrong, "" if nothing did: without it kernels are compiled as they are used.
    """
    command = [sys.executable, "-m", "unrote.corpus.compiling", str(kept())]
    paths = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | paths
    ) as program:
        assert program.stdout is not None
        for line in program.stdout:
            done, _, total = line.partition(" of ")
            advance(int(done) / int(total))
        said = program.stderr.read() if program.stderr is not None else ""
    if program.returncode == 0:
        return ""
    return (said.strip().splitlines() or [f"status {program.returncode}"])[-1]


@cache
def _packaged() -> Traversable:
    return files("unrote").joinpath(FOLDER).joinpath(tag())


def load(name: str) -> bytes | None:
    """The compiled kernel of that name, None if there is none."""
    folders = (_packaged(), kept()) if target() is not None else ()
    for folder in (*folders, kept_for_host()):
        if folder is not None:
            with suppress(OSError):
                content: bytes = folder.joinpath(name).read_bytes()
                return content
    return None


def keep(name: str, content: bytes) -> None:
    """Keep a kernel that was compiled for this processor, if there is a place for it."""
    folder = kept_for_host()
    if folder is not None:
        with suppress(OSError):  # a full disk, say: it is compiled again next time
            store(folder / name, content)


def name_of(function: FunctionType, signature: tuple[Any, ...]) -> str:
    """The file name of `function` compiled for arguments of the numba types `signature`."""
    digest = hashlib.sha256(repr(tuple(map(str, signature))).encode())
    _add_function(digest, function, set())
    return f"{function.__name__.strip('_')}-{digest.hexdigest()[:24]}"


def _add_function(digest: Any, function: FunctionType, seen: set[int]) -> None:
    """Add to the digest the function, and all that numba compiles into it."""
    if id(function) in seen:
        return
    seen.add(id(function))
    # What is compiled knows its module by name, and cannot be loaded where there is none.
    digest.update(f"{function.__module__}:{function.__qualname__}".encode())
    names = _add_code(digest, function.__code__)
    for cell in function.__closure__ or ():
        _add_value(digest, cell.cell_contents, names, seen)
    for name in names:
        if name in function.__globals__:
            digest.update(name.encode())
            _add_value(digest, function.__globals__[name], names, seen)


def _add_code(digest: Any, code: CodeType) -> list[str]:
    """Add code to the digest. Returns the names that it uses, of functions within it too."""
    names = list(code.co_names)
    digest.update(code.co_code + repr((code.co_names, code.co_varnames)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += _add_code(digest, constant)
        else:
            digest.update(_stable(constant))
    return sorted(set(names))


def _add_value(digest: Any, value: Any, names: list[str], seen: set[int]) -> None:
    """Add what a kernel sees under a name: numba takes all but functions as constants."""
    if isinstance(value, Dispatcher):
        _add_function(digest, value.py_func, seen)
    elif hasattr(value, "_defn"):  # an intrinsic: what it generates is in its code
        _add_function(digest, value._defn, seen)
    elif isinstance(value, FunctionType):
        _add_function(digest, value, seen)
    elif isinstance(value, ModuleType):
        digest.update(value.__name__.encode())
        if value.__name__.startswith("unrote."):
            for name in names:
                _add_value(digest, getattr(value, name, None), names, seen)
    else:
        digest.update(_stable(value))


def _stable(value: Any) -> bytes:
    """The same bytes for the same constant in every process; nothing that holds an address."""
    if isinstance(value, np.ndarray):
        return repr((value.dtype.str, value.shape)).encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, tuple):
        return b"(" + b",".join(_stable(part) for part in value) + b")"
    if isinstance(value, frozenset):
        return b"{" + b",".join(sorted(_stable(part) for part in value)) + b"}"
    if value is None or isinstance(value, int | float | str | bytes | complex | np.generic):
        return repr(value).encode()
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}".encode()
