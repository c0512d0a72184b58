"""Paths of settings: how they are written, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from unrote.corpus.errors import ConfigError
from unrote.corpus.paths import EACH, FieldPath, parse_path, selection

names = st.text(min_size=1, max_size=5) | st.sampled_from(
    ["a.b", "x[]", "x[3]", "\\", "a]", "[", "\x1b[1m", "é"]
)


@examples(200)
@given(names, st.lists(names | st.just(EACH), max_size=4))
def test_a_path_is_read_as_it_is_written(first, others):
    path = FieldPath((first, *others))
    assert parse_path(str(path)) == path


def test_what_paths_mean():
    assert parse_path("text").steps == ("text",)
    assert parse_path("messages[].content").steps == ("messages", EACH, "content")
    assert parse_path("a[][].b.c").steps == ("a", EACH, EACH, "b", "c")
    assert parse_path(r"a\.b.c").steps == ("a.b", "c")
    assert selection("a").is_flat
    assert not selection("a").is_several
    assert not selection("a.b").is_several
    assert selection("a[]").is_several
    assert selection(("a", "b")).is_several
    assert selection(("a", "b.c")).name == "a, b.c"


@pytest.mark.parametrize(
    "written", ["", ".a", "a.", "a..b", "[]", "[].a", "a[0]", "a[*].b", "a[]b", "a\\"]
)
def test_a_malformed_path_is_refused(written):
    with pytest.raises(ConfigError, match="malformed at character"):
        parse_path(written)


@pytest.mark.parametrize("written", [(), ("a", "a"), ("a.b", "a.b")])
def test_lists_that_select_nothing_or_twice_are_refused(written):
    with pytest.raises(ConfigError):
        selection(written)
