"""How kernels are compiled, and the two machine instructions that numba does not offer.

A kernel is a plain function on arrays: a byte buffer and offsets in, arrays out. It does no I/O,
holds no Python object, and releases the interpreter lock, so that threads run kernels in parallel.
Compiled code is cached on disk; the first run of an installation compiles.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile `function` with numba: cached, without the interpreter lock, wrapping integers."""
    return _compiled(function)


def inlined(function: F) -> F:
    """Compile a small function that kernels call: as `kernel`, and inlined by LLVM."""
    return _compiled(function, forceinline=True)


def _compiled(function: F, **options: bool) -> F:
    options |= {"nogil": True, "error_model": "numpy"}  # type: ignore[dict-item]
    in_archive = not os.path.exists(function.__code__.co_filename)
    if in_archive and not os.access(os.path.expanduser("~"), os.W_OK):
        return numba.njit(**options)(function)  # type: ignore[no-any-return]
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba knows no place for it: there is none, or the archive is a wheel
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


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
