"""Which documents are tables, and where their heads end."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.tabular import DELIMITERS, FIRST_ROWS, SEEN, head_of_table

CELLS = st.text(
    st.sampled_from(['"', "\n", "a", "B", "é", "7", ".", *DELIMITERS]), min_size=1, max_size=6
)


def written(rows, delimiter=",", end="\r\n"):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    return out.getvalue()


@given(
    st.integers(2, 5).flatmap(
        lambda width: st.lists(
            st.lists(CELLS, min_size=width, max_size=width), min_size=4, max_size=14
        )
    ),
    st.sampled_from(DELIMITERS),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_wrote_is_a_table(rows, delimiter, end):
    rows = [["column"] * len(rows[0]), *rows]
    text = written(rows, delimiter, end)
    assert len(text) < SEEN
    head = io.StringIO(text[: head_of_table(text)], newline="")
    assert list(csv.reader(head, delimiter=delimiter)) == rows[: FIRST_ROWS + 1]


@given(st.text(max_size=200) | st.text(st.sampled_from('",;\t|\n ab'), max_size=80))
def test_a_head_is_within_its_text_and_ends_at_a_line(text):
    end = head_of_table(text)
    assert 0 <= end <= len(text)
    assert end in (0, len(text)) or text[end - 1] in "\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "name\tage\nAnn\t9\nBob\t8\nEve\t7\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n",
        "x;y\n1,5;2\n2,5;3\n3,5;4",
        '"last, first",born\n"Roe, Jane",1970\n\n"Poe, Al",1980\n"Doe, Jo",1990\n',
    ],
)
def test_tables(text):
    assert head_of_table(text) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n3,4\n",  # three rows
        "One, two.\nThree, four.\nFive, six.\nSeven, eight.\n",  # verse
        "First, second,\nand third.\nA fourth, a fifth,\nand a sixth, too.\n",
        '{"a":1,"b":2}\n{"a":3,"b":4}\n{"a":5,"b":6}\n{"a":7,"b":8}\n',
        ";; of a\n;; program's\n;; first\n;; comment\n",
        "| framed |\n| text   |\n| that   |\n| is one |\n",
        "a,b\n1,2\n3,4,5\n6,7\n8,9\n",  # ragged
    ],
)
def test_no_tables(text):
    assert head_of_table(text) == 0


def test_of_a_long_table_the_first_rows_are_the_head():
    rows = [["id", "name", "city"], *([str(n), "Ann Roe", "Ulm"] for n in range(5000))]
    text = written(rows)
    assert text[: head_of_table(text)] == written(rows[:11])


def test_a_table_is_told_by_its_beginning():
    text = written([["a", "b", "c"]] * 2000) + "and then, prose"
    assert head_of_table(text) > 0
