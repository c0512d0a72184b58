"""What workers share cannot be read without its key, and is opened once."""

from hypothesis import given
from hypothesis import strategies as st

from unrote.pipelines.engines.sealed import Opener, sealed


@given(st.lists(st.binary(min_size=8, max_size=40), min_size=1))
def test_it_is_opened_by_its_key_alone(values):
    key, content = sealed(values)
    assert Opener().opened(key, content) == values
    assert all(value not in content for value in values)
    other, again = sealed(values)
    assert other != key
    assert again != content


def test_once_for_all_tasks():
    opener = Opener()
    key, content = sealed([1, 2, 3])
    first = opener.opened(key, content)
    assert opener.opened(key, b"") is first
    key, content = sealed([4])
    assert opener.opened(key, content) == [4]
