from types import FunctionType

from unrote.corpus import compiled, json_scanner


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
