"""How kernels are compiled, and the machine instructions that numba does not offer.

A kernel is a plain function on arrays: a byte buffer and offsets in, arrays out. It does no I/O,
holds no Python object, and releases the interpreter lock, so that threads run kernels in parallel.
What was compiled before (corpus.compiled) is loaded; what was not is compiled, and kept on disk.
"""

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps
from numba.extending import intrinsic

from unrote.corpus import compiled

F = TypeVar("F", bound=Callable[..., Any])

_DISPATCHERS: list[Any] = []

misses: list[str] = []
"""What was compiled in this process, because it was nowhere: names of functions, in order."""


def kernel(function: F) -> F:
    """Compile `function` with numba: cached, without the interpreter lock, wrapping integers."""
    return _compiled(function)


def inlined(function: F) -> F:
    """Compile a small function that kernels call: as `kernel`, and inlined by LLVM."""
    return _compiled(function, forceinline=True)


def _compiled(function: F, **options: bool) -> F:
    options |= {"nogil": True, "error_model": "numpy"}  # type: ignore[dict-item]
    made = numba.njit(**options)(function)
    if not numba.config.DISABLE_JIT:
        made._cache = _Cache(function)
        _DISPATCHERS.append(made)
    return made  # type: ignore[no-any-return]


def compile_anew() -> None:
    """From here on this process loads no compiled kernel and keeps none: only what was compiled
    here can be written down (corpus.compiling).
    """
    for dispatcher in _DISPATCHERS:
        dispatcher._cache = NullCache()


class _Cache:
    """Where numba looks for a compiled kernel, and leaves one (corpus.compiled)."""

    cache_path = None

    def __init__(self, function: Any) -> None:
        self._function = function

    def load_overload(self, signature: Any, context: Any) -> Any:
        content = compiled.load(compiled.name_of(self._function, signature))
        if content is None:
            misses.append(self._function.__qualname__)
            return None
        # All of numba's implementations (`context.refresh`) are imported only to compile.
        rtsys.initialize(context)
        return CompileResult._rebuild(context, *pickle.loads(content))  # noqa: S301 (only we write)

    def save_overload(self, signature: Any, result: Any) -> None:
        if not result.library.has_dynamic_globals:
            name = compiled.name_of(self._function, signature)
            compiled.keep(name, dumps(result._reduce()))

    def enable(self) -> None:
        """As numba's caches have it."""

    def disable(self) -> None:
        """As numba's caches have it."""

    def flush(self) -> None:
        """As numba's caches have it."""


@intrinsic
def load64(typingctx: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
    """Eight bytes of the uint8 array `data` from `at` as one little-endian uint64, unaligned.

    The caller guarantees 0 <= at and at + 8 <= len(data).
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        pointer = builder.gep(array.data, [args[1]])
        word = builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()))
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


def bits_of(*ranges: tuple[int, int]) -> Any:
    """A function of a uint8 array and an index: which of the 64 bytes from there on lie in one of
    these ranges (both ends included), the first byte in the lowest bit of a uint64.

    The caller guarantees 0 <= at and at + 64 <= len(data). The processor looks at 32 bytes or so
    at a time.
    """

    @intrinsic
    def bits_at(typingctx: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
            wide = ir.VectorType(ir.IntType(8), 64)
            pointer = builder.bitcast(builder.gep(array.data, [args[1]]), wide.as_pointer())
            block = builder.load(pointer)
            block.align = 1
            found = ir.Constant(ir.VectorType(ir.IntType(1), 64), [0] * 64)
            for first, last in ranges:
                above = builder.sub(block, ir.Constant(wide, [first] * 64))
                size = ir.Constant(wide, [last - first] * 64)
                found = builder.or_(found, builder.icmp_unsigned("<=", above, size))
            return builder.bitcast(found, ir.IntType(64))

        return types.uint64(data, types.int64), codegen

    return bits_at


def byte_buffer(size: int) -> np.ndarray:
    """An uninitialised uint8 array of `size` bytes."""
    return np.empty(size, dtype=np.uint8)
