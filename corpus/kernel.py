"""How kernels are compiled, and the two machine instructions that numba does not offer.

A kernel is a plain function on arrays: a byte buffer and offsets in, arrays out. It does no I/O,
holds no Python object, and releases the interpreter lock, so that threads run kernels in parallel.
Compiled code is cached on disk; the first run of an installation compiles.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.extending import intrinsic

from unrote.corpus.packaged import archive, kept_for_archive

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile `function` with numba: cached, without the interpreter lock, wrapping integers."""
    return _compiled(function)


def inlined(function: F) -> F:
    """Compile a small function that kernels call: as `kernel`, and inlined by LLVM."""
    return _compiled(function, forceinline=True)


def _compiled(function: F, **options: bool) -> F:
    options |= {"nogil": True, "error_model": "numpy"}  # type: ignore[dict-item]
    if archive() is None:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    made = numba.njit(**options)(function)
    with suppress(RuntimeError):  # there is no folder for it: then each process compiles
        made._cache = _ArchiveCache(function)  # what cache=True does, with numba's own
    return made  # type: ignore[no-any-return]


class _ArchiveLocator(_CacheLocator):  # type: ignore[misc]
    """Where code compiled out of an archive is kept: by the archive's content.

    numba's own locators go by its path, which Spark makes anew for each application, know no
    wheels, and do not look whether they may write.
    """

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._line = function.__code__.co_firstlineno
        self._folder = folder / function.__module__

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return self._folder.parent.name

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], _file: str) -> "_ArchiveLocator | None":
        folder = kept_for_archive("kernels")
        return cls(py_func, folder) if folder else None


class _ArchiveImpl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_ArchiveLocator,)


class _ArchiveCache(FunctionCache):  # type: ignore[misc]
    _impl_class = _ArchiveImpl


@intrinsic
def load64(typingctx: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
    """Eight bytes of the uint8 array `data` from `at` as one little-endian uint64, unaligned.

    The caller guarantees 0 <= at and at + 8 <= len(data).
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        place = builder.gep(array.data, [args[1]])
        word = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(data, types.int64), codegen


@intrinsic
def multiply_fold(typingctx: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
    """The 128-bit product of two uint64, its halves xor-ed: the mixing step of wyhash ("mum")."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return builder.xor(high, builder.trunc(product, word))

    return types.uint64(types.uint64, types.uint64), codegen


def byte_buffer(size: int) -> np.ndarray:
    """An uninitialised uint8 array of `size` bytes."""
    return np.empty(size, dtype=np.uint8)
