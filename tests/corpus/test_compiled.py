"""Kernels compiled beforehand: their names, where they are kept, and that the list is whole."""

import json
import subprocess
import sys
from types import FunctionType

import numba
import numpy as np
import pytest
from numba import types

from tests import kernels
from unrote.corpus import compiled, compiling, json_scanner, kernel
from unrote.corpus.kernel import inlined

INTS = (types.int64,)

LIMIT = 3
TABLE = np.array([1, 2, 3])


@inlined
def called(x: int) -> int:
    return x + 1


def function(x: int) -> int:
    return called(x) + LIMIT + TABLE[0]


def names() -> list[str]:
    return [
        compiled.name_of(compiling._kernel(name).py_func, compiling._types(name, one))
        for name, own in compiling.signatures().items()
        for one in own
    ]


def test_the_list_is_what_runs_use():
    # In a new process: here other tests have loaded kernels, which are not asked for again.
    code = "import json; from tests import kernels; print(json.dumps(kernels.used()))"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=kernels.ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(printed.splitlines()[-1]) == compiling.signatures(), "run `make signatures`"


def test_every_kernel_on_the_list_is_compiled():
    """Where `make` set this up; and none of it was compiled by a test."""
    assert compiled.are_there()
    assert [name for name in names() if compiled.load(name) is None] == []


def test_names_are_the_same_in_every_process():
    code = "from tests.corpus.test_compiled import names; print(names())"
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, cwd=kernels.ROOT,
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert printed[0] == printed[1] == f"{names()}\n"


def test_a_name_tells_all_that_goes_in(monkeypatch):
    before = compiled.name_of(function, INTS)
    assert before == compiled.name_of(function, INTS)
    seen = {before, compiled.name_of(function, (types.float64,))}
    for name, value in (
        ("LIMIT", 4),
        ("TABLE", np.array([1, 2, 4])),
        ("TABLE", np.array([1, 2, 3], dtype=np.int32)),
        ("called", inlined(lambda x: x + 2)),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(function.__globals__, name, value)
            seen.add(compiled.name_of(function, INTS))
    assert len(seen) == 6
    assert compiled.name_of(function, INTS) == before


def test_what_is_not_on_the_list_is_compiled_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "kept_for_host", lambda: tmp_path)
    monkeypatch.setattr(kernel, "misses", [])
    assert kernel.kernel(function)(1) == 6
    assert compiled.name_of(function, INTS) in {path.name for path in tmp_path.iterdir()}
    assert "function" in kernel.misses
    kernel.misses.clear()
    assert kernel.kernel(function)(1) == 6
    assert kernel.misses == []


def test_nowhere_to_keep_them_is_no_failure(monkeypatch):
    monkeypatch.setattr(compiled, "kept_for_host", lambda: None)
    assert kernel.kernel(function)(2) == 7


@pytest.mark.parametrize("written", ["array(uint8, 1d, C), bool", "readonly array(int64, 2d, C)"])
def test_types_are_read_as_numba_writes_them(written):
    found = compiling._types("unrote.dedup.occurrences:_enter", written)
    assert ", ".join(map(str, found)) == written


def test_types_of_all_kernels_are_read_as_numba_writes_them():
    """Among them named tuples, some of which have fields of one type ("T x 8")."""
    written = [(name, one) for name, own in compiling.signatures().items() for one in own]
    assert any(" x " in one for _, one in written)
    for name, one in written:
        assert ", ".join(map(str, compiling._types(name, one))) == one


def test_host_leaves_it_to_numba(monkeypatch):
    compiled.target.cache_clear()
    monkeypatch.setenv(compiled.VARIABLE, "host")
    try:
        assert compiled.target() is None
        assert compiled.are_there()
        assert compiled.host() in compiled.tag()
    finally:
        compiled.target.cache_clear()


def test_the_package_is_for_this_numba():
    assert f"numba{numba.__version__}" in compiled.tag()


def moved(function: FunctionType, module: str) -> FunctionType:
    """The same function as it would be in another module."""
    copy = FunctionType(function.__code__, function.__globals__, function.__name__)
    copy.__module__, copy.__qualname__ = module, function.__qualname__
    return copy


def test_a_kernel_that_was_moved_is_another_file():
    # numba writes the module's name into what it compiles: a file that an earlier version left in
    # the user's folder cannot be loaded when that module is gone.
    kernel = json_scanner.count_rows.py_func
    here = compiled.name_of(kernel, ())
    assert compiled.name_of(moved(kernel, kernel.__module__), ()) == here
    assert compiled.name_of(moved(kernel, "unrote.corpus.elsewhere"), ()) != here
