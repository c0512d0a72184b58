"""Many files are looked at at the same time, and the first that is wrong is named."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.storage import ASKED, for_each, half_url


@given(st.sets(st.integers(0, 7000), max_size=5), st.integers(0, 7001))
def test_the_first_that_fails_is_raised(wrong, count):
    seen = []

    def look(number):
        seen.append(number)
        if number in wrong:
            raise ValueError(number)

    failing = sorted(number for number in wrong if number < count)
    if failing:
        with pytest.raises(ValueError, match=f"^{failing[0]}$"):
            for_each(look, range(count))
    else:
        for_each(look, range(count))
        assert sorted(seen) == list(range(count))


def test_many_are_looked_at_at_once():
    together = threading.Barrier(ASKED, timeout=20)
    for_each(lambda _: together.wait(), range(2 * ASKED))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s3:/lake/in", "s3://lake/in"),
        ("dbfs:/mnt/in", "/dbfs/mnt/in"),
        ("file:/data/in", "file:///data/in"),
        ("s3://lake/in", ""),
        ("/data/in", ""),
        ("in", ""),
        ("C:/data", ""),
        ("a:b/c", ""),
    ],
)
def test_a_url_of_one_slash_is_none(name, said):
    assert said in half_url(name)
    assert bool(said) == bool(half_url(name))


def test_a_folder_may_have_such_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    assert half_url("s3:/lake/in") == ""
