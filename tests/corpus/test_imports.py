import importlib
import sys

import pytest

from unrote.corpus.imports import empty_modules


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)


@pytest.mark.usefixtures("fresh")
def test_a_module_is_empty_for_a_while():
    with empty_modules("colorsys"):
        assert importlib.import_module("colorsys").rgb_to_hls is None
    assert importlib.import_module("colorsys").rgb_to_hls(0, 0, 0) == (0, 0, 0)


@pytest.mark.usefixtures("fresh")
def test_what_is_imported_already_stays():
    known = importlib.import_module("colorsys")
    with empty_modules("colorsys"):
        assert importlib.import_module("colorsys") is known
    assert sys.modules["colorsys"] is known
