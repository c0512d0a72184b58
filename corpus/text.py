"""Text as kernels see it: one UTF-8 byte buffer and int64 offsets, out of Arrow and back into it.

numba compiles a read-only array as another type than a writable one. So that every kernel is
compiled once, all buffers that come from elsewhere pass through `bytes_view`, which says that they
are writable. They are not: no kernel writes to an array that it did not make or was not given as
output.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from unrote.corpus.kernel import inlined, kernel, load64

BOM = b"\xef\xbb\xbf"
"""The byte order mark that some writers put before UTF-8."""

ONES = np.uint64(0x0101010101010101)
HIGHS = np.uint64(0x8080808080808080)
_SIX = np.uint64(6)
_SEVEN = np.uint64(7)
_TOP = np.uint64(56)

MAX_STRING_BYTES = (1 << 31) - 1
"""What a pa.StringArray can address."""


class _Borrowed:
    """Memory of `owner`, which stays alive for as long as an array looks at it."""

    def __init__(self, owner: object, address: int, size: int) -> None:
        self.owner = owner
        self.__array_interface__ = {
            "version": 3,
            "shape": (size,),
            "typestr": "|u1",
            "data": (address, False),
        }


def bytes_view(source: Any) -> np.ndarray:
    """The bytes of a pa.Buffer or of anything with the buffer protocol: uint8, not copied.

    None gives an empty array. The array is only to be read.
    """
    buffer = source if isinstance(source, pa.Buffer) else pa.py_buffer(source or b"")
    if buffer.size == 0:
        return np.empty(0, dtype=np.uint8)
    return np.asarray(_Borrowed(buffer, buffer.address, buffer.size))


def symbols_of(text: str, table: np.ndarray) -> np.ndarray:
    """A byte for each code point of a text, out of table (uint8[0x110000]), in which ASCII stands
    for itself. Raises UnicodeEncodeError for a lone surrogate.
    """
    if text.isascii():
        return np.frombuffer(bytearray(text, "ascii"), dtype=np.uint8)
    codes = np.frombuffer(bytearray(text.encode("utf-32-le")), dtype=np.uint32)
    out = np.empty(len(codes), dtype=np.uint8)
    _look_up(codes, table, out)
    return out


@kernel
def _look_up(codes: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    for at in range(codes.size):
        out[at] = table[codes[at]]


def arrow_buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The buffers of a pa.StringArray or pa.LargeStringArray (slices too).

    Returns `data` (uint8, not copied) and `offsets` (int64, one more than there are strings):
    string i is data[offsets[i]:offsets[i + 1]]. offsets[0] need not be 0. What a null holds is
    nobody's business; usually nothing.
    """
    _, offsets, data = array.buffers()
    if len(array) == 0 or offsets is None:
        return bytes_view(data), np.zeros(len(array) + 1, dtype=np.int64)
    kind = np.int64 if pa.types.is_large_string(array.type) else np.int32
    bounds = np.frombuffer(offsets, dtype=kind)[array.offset : array.offset + len(array) + 1]
    return bytes_view(data), bounds.astype(np.int64)


def strings_from(
    data: np.ndarray, offsets: np.ndarray, valid: np.ndarray | None = None
) -> pa.StringArray:
    """The pa.StringArray of strings data[offsets[i]:offsets[i + 1]]; the bytes are not copied.

    `valid` (bool) says which are not null. The caller vouches for UTF-8.
    Raises ValueError where the strings have more than 2 GiB together.
    """
    first = int(offsets[0])
    size = int(offsets[-1]) - first
    if size > MAX_STRING_BYTES:
        raise ValueError(f"{size} bytes of text in one array: at most {MAX_STRING_BYTES}.")
    bounds = (offsets - first).astype(np.int32)
    mask = None
    if valid is not None and not valid.all():
        mask = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(bounds), pa.py_buffer(data[first : first + size]), mask
    )


def is_utf8(data: np.ndarray, start: int = 0, end: int | None = None) -> bool:
    """Whether data[start:end] is UTF-8 (no surrogates, no overlong forms)."""
    part = data[start:end]
    whole = np.array([0, len(part)], dtype=np.int64)
    array = pa.LargeStringArray.from_buffers(1, pa.py_buffer(whole), pa.py_buffer(part))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


@intrinsic
def store64(typingctx: Any, data: Any, at: Any, word: Any) -> Any:  # noqa: ARG001
    """Write the uint64 `word` to data[at : at + 8], little-endian. The caller guarantees bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        pointer = builder.gep(array.data, [args[1]])
        stored = builder.store(args[2], builder.bitcast(pointer, ir.IntType(64).as_pointer()))
        stored.align = 1
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), codegen


@intrinsic
def first_byte(typingctx: Any, mask: Any) -> Any:  # noqa: ARG001
    """Index (int64) of the lowest byte of the uint64 `mask` that has a bit set; 8 if none has."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        zeros = builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))
        return builder.lshr(zeros, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), codegen


@inlined
def zero_bytes(word: np.uint64) -> np.uint64:
    """The lowest set bit is that of the lowest zero byte; above it there may be false ones."""
    return (word - ONES) & ~word & HIGHS


@inlined
def starters(word: np.uint64) -> int:
    """How many of the eight bytes start a code point (are not 10xxxxxx)."""
    follow = (word >> _SEVEN) & ~(word >> _SIX) & ONES
    return np.int64(8) - np.int64((follow * ONES) >> _TOP)  # type: ignore[return-value]


@kernel
def utf8_ranges(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """For each range data[starts[i]:ends[i]] whether it is UTF-8 (bool)."""
    good = np.empty(len(starts), dtype=np.bool_)
    for i in range(len(starts)):
        at, end = starts[i], ends[i]
        while at >= 0 and at < end:
            at = _after_code_point(data, at, end)
        good[i] = at == end
    return good


@kernel
def _after_code_point(data: np.ndarray, at: int, end: int) -> int:
    """The offset after the code point at `at`, -1 if there is none (Unicode, table 3-7)."""
    lead = data[at]
    if lead < 0x80:
        return at + 1
    low, high, size = 0x80, 0xBF, 2
    if lead < 0xC2 or lead > 0xF4:
        return -1
    if lead >= 0xF0:
        size = 4
        low = 0x90 if lead == 0xF0 else low
        high = 0x8F if lead == 0xF4 else high
    elif lead >= 0xE0:
        size = 3
        low = 0xA0 if lead == 0xE0 else low
        high = 0x9F if lead == 0xED else high
    if at + size > end or data[at + 1] < low or data[at + 1] > high:
        return -1
    for i in range(at + 2, at + size):
        if data[i] & 0xC0 != 0x80:
            return -1
    return at + size


@kernel
def chars_at(data: np.ndarray, start: int, byte_offsets: np.ndarray) -> np.ndarray:
    """Code point offsets (int64) of byte offsets in the text that starts at data[start].

    `byte_offsets` (int64) are relative to `start`, ascending, within the text. The offset of a byte
    is the number of code points that start before it. One pass over the text.
    """
    out = np.empty(len(byte_offsets), dtype=np.int64)
    at, chars = start, 0
    for i in range(len(byte_offsets)):
        end = start + byte_offsets[i]
        while at + 8 <= end:
            chars += starters(load64(data, at))
            at += 8
        while at < end:
            if data[at] & 0xC0 != 0x80:
                chars += 1
            at += 1
        out[i] = chars
    return out
