import itertools
import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from unrote.corpus.hashing import hash128
from unrote.corpus.text import (
    arrow_buffers,
    bytes_view,
    chars_at,
    is_utf8,
    strings_from,
    utf8_ranges,
)

text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)


@given(
    st.lists(st.none() | text, max_size=20), st.integers(0, 20), st.integers(0, 20), st.booleans()
)
def test_arrow_and_back(values, start, size, large):
    array = pa.array(values, pa.large_string() if large else pa.string()).slice(start, size)
    data, offsets = arrow_buffers(array)
    assert (data.dtype, offsets.dtype, len(offsets)) == (np.uint8, np.int64, len(array) + 1)
    expected = [value or "" for value in values[start : start + size]]
    assert [data[a:b].tobytes().decode() for a, b in itertools.pairwise(offsets)] == expected
    back = strings_from(data, offsets)
    back.validate(full=True)
    assert back.to_pylist() == expected
    valid = np.array([value is not None for value in values[start : start + size]], dtype=bool)
    assert strings_from(data, offsets, valid).to_pylist() == values[start : start + size]


def test_buffers_are_neither_copied_nor_read_only_nor_lost():
    array = pa.array(["abc", "def"])
    data, _ = arrow_buffers(array)
    assert data.ctypes.data == array.buffers()[2].address
    assert data.flags.writeable
    assert data.flags.c_contiguous
    view = bytes_view(b"x" * 100_000)
    del array
    assert data.tobytes() == b"abcdef"
    assert view.tobytes() == b"x" * 100_000
    assert len(bytes_view(None)) == len(bytes_view(b"")) == 0
    assert pickle.loads(pickle.dumps(data)).tobytes() == b"abcdef"


def test_too_much_for_one_array():
    with pytest.raises(ValueError, match="at most 2147483647"):
        strings_from(np.empty(0, dtype=np.uint8), np.array([0, 1 << 31]))


@given(text, text, st.data())
def test_offsets(before, string, data):
    raw = bytes_view((before + string + "é!").encode())
    start = len(before.encode())
    chars = sorted(data.draw(st.lists(st.integers(0, len(string)), max_size=8)))
    offsets = [len(string[:char].encode()) for char in chars]
    assert chars_at(raw, start, np.array(offsets, dtype=np.int64)).tolist() == chars


def test_a_byte_within_a_code_point():
    raw = bytes_view("aé😀b".encode())
    assert chars_at(raw, 0, np.arange(9)).tolist() == [0, 1, 2, 2, 3, 3, 3, 3, 4]


utf8_like = st.lists(
    st.sampled_from(
        [
            b"a",
            b"\x80",
            b"\xbf",
            b"\xc0\x80",
            b"\xc2",
            b"\xdf\xbf",
            b"\xe0\x9f\xbf",
            b"\xe0\xa0\x80",
            b"\xed\x9f\xbf",
            b"\xed\xa0\x80",
            b"\xef\xbf\xbf",
            b"\xf0\x8f\xbf\xbf",
            b"\xf0\x90\x80\x80",
            b"\xf4\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xf5",
            b"\xe2\x82",
        ]
    )
    | st.binary(max_size=4),
    max_size=6,
).map(b"".join)


@examples(200)
@given(utf8_like)
def test_utf8(raw):
    try:
        raw.decode()
        good = True
    except UnicodeDecodeError:
        good = False
    data = bytes_view(b"\xff" + raw + b"\xff")
    start, end = np.array([1]), np.array([1 + len(raw)])
    assert utf8_ranges(data, start, end).tolist() == [good]
    assert is_utf8(data, 1, 1 + len(raw)) == good


FIXED = [
    "3fbd53c40438ea6fef49f54e36de11bd",
    "3a935a5f554294084958a7f0824850e1",
    "db9296e78d902aadf79a673d7bd2689e",
]


def hashed(raw: bytes, seed: int = 0) -> int:
    high, low = hash128(bytes_view(raw), 0, len(raw), np.uint64(seed))
    return int(high) << 64 | int(low)


def test_a_hash_depends_on_content_alone():
    raw = bytes(range(200))
    for size in range(201):
        once = hashed(raw[:size])
        around = bytes_view(b"@" * 7 + raw[:size] + b"#" * 9)
        high, low = hash128(around, 7, 7 + size, np.uint64(0))
        assert int(high) << 64 | int(low) == once


def test_the_values_are_fixed():
    assert [f"{hashed(raw, 1):032x}" for raw in (b"", b"unrote", b"unrote" * 9)] == FIXED


def test_no_collisions_nearby():
    seen = set()
    count = 0
    raw = np.random.default_rng(1).integers(0, 256, 200, dtype=np.uint8).tobytes()
    for size in range(201):
        for base in (raw[:size], b"\0" * size, b"a" * size):
            variants = {base}
            for at in range(size):
                for bit in range(0, 8, 3):
                    changed = bytearray(base)
                    changed[at] ^= 1 << bit
                    variants.add(bytes(changed))
                variants.add(base[:at] + base[at + 1 :] + base[at : at + 1])
            if size >= 16:
                variants.add(base[8:16] + base[:8] + base[16:])
            count += len(variants)
            seen |= {hashed(variant) for variant in variants}
    distinct_halves = [{value & (1 << 64) - 1 for value in seen}, {value >> 64 for value in seen}]
    # Shorter variants of one base are bases of another size: count distinct inputs by their hash.
    assert len(distinct_halves[0]) == len(distinct_halves[1]) == len(seen)
    assert len(seen) > count * 0.99


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100])
def test_avalanche(size):
    random = np.random.default_rng(size)
    flips = np.zeros((size * 8, 128))
    trials = 48
    for _ in range(trials):
        raw = random.integers(0, 256, size, dtype=np.uint8)
        once = hashed(raw.tobytes())
        for bit in range(size * 8):
            raw[bit // 8] ^= 1 << bit % 8
            change = once ^ hashed(raw.tobytes())
            raw[bit // 8] ^= 1 << bit % 8
            flips[bit] += np.unpackbits(
                np.frombuffer(change.to_bytes(16, "little"), dtype=np.uint8)
            )
    share = flips / trials
    assert abs(share.mean() - 0.5) < 0.01
    # 48 fair coins leave [0.05, 0.95] once in 10^11.
    assert share.min() > 0.05
    assert share.max() < 0.95


def test_a_hash_depends_on_the_seed():
    values = [b"", b"a", b"b", b"x" * 1000]
    assert not {hashed(value, 5) for value in values} & {hashed(value, 6) for value in values}
