import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.dedup.keep import LAST, KeepPolicy


def kept_order(policy: str, values: list[str | None]) -> list[int]:
    """Places of the values in keep order."""
    sizes = np.zeros(len(values), dtype=np.int64)
    ranks = KeepPolicy.parse(policy).ranks(pa.array(values, pa.string()), sizes)
    assert ranks.dtype == np.int64
    return np.argsort(ranks, kind="stable").tolist()


def rank(policy: str, value: str | None) -> int:
    one = KeepPolicy.parse(policy).ranks(pa.array([value], pa.string()), np.zeros(1, np.int64))
    return int(one[0])


def test_first_and_longest():
    sizes = np.array([3, 9, 9, 0])
    none = pa.nulls(4, pa.string())
    assert KeepPolicy.parse("first").ranks(none, sizes).tolist() == [0, 0, 0, 0]
    assert np.argsort(KeepPolicy.parse("longest").ranks(none, sizes), kind="stable").tolist() == [
        1, 2, 0, 3,
    ]  # fmt: skip


def test_fields():
    assert KeepPolicy.parse("first").field == ""
    assert KeepPolicy.parse("newest:date").field == "date"
    assert KeepPolicy.parse("highest:meta.score").field == "meta.score"
    policy = KeepPolicy.parse("priority:source=wiki, books ,web")
    assert (policy.field, policy.values) == ("source", ("wiki", "books", "web"))


def test_newest():
    ascending = [
        "0001-01-01T00:00:00+14:00",
        "1969-12-31",
        "0",
        '"1971"',
        "2021",
        "2021-01-01T00:00:01",
        "2021-05",
        "20210502",
        '"2021-05-03T01:00:00+02:00"',
        "2021-05-02T23:30:00Z",
        "1620000000.5",
        "2021-05-03 00:00:01",
        "9999-12-31T23:59:59-12:00",
    ]
    assert kept_order("newest:date", ascending) == list(range(len(ascending)))[::-1]
    same = ["2021-05-02T23:00:00Z", "2021-05-03T01:00:00+02:00", "2021-05-02t23:00:00"]
    assert len({rank("newest:d", value) for value in same}) == 1


@pytest.mark.parametrize("value", [None, "", "yesterday", "2021-13-01", "true", "1e300", '"', "{}"])
def test_newest_last(value):
    assert rank("newest:d", value) == LAST


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2))
def test_highest_is_the_order_of_floats(values):
    ranks = [rank("highest:x", repr(v)) for v in values]
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            assert (ranks[i] < ranks[j]) == (a > b)


@pytest.mark.parametrize("value", [None, "", "nan", "NaN", "inf", "true", "1_0", "12 kg", '"x"'])
def test_highest_last(value):
    assert rank("highest:x", value) == LAST
    assert rank("highest:x", "-1e308") < LAST


def test_highest_takes_strings():
    assert kept_order("highest:x", ['"1.5"', "2", "-3", None, "1e3"]) == [4, 1, 0, 2, 3]


def test_priority():
    values = ['"web"', "wiki", None, '"bo\\u006fks"', "else", "web"]
    assert kept_order("priority:source=wiki,books,web", values) == [1, 3, 0, 5, 2, 4]


@pytest.mark.parametrize(
    "text",
    ["", "last", "first:x", "newest", "newest:", "newest: ", "highest:", "longest:", "First"],
)
def test_unknown_policies(text):
    with pytest.raises(ValueError, match=r"first, longest, newest:FIELD.*priority:FIELD=a,b,c"):
        KeepPolicy.parse(text)


@pytest.mark.parametrize("text", ["priority:x", "priority:=a", "priority:x=a,,b", "priority:x=a,a"])
def test_incomplete_priorities(text):
    with pytest.raises(ValueError, match=r"priority:FIELD=a,b,c"):
        KeepPolicy.parse(text)
