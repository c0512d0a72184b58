"""What a user reads of a file that is not as it should be: where, why, and what to do."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.helpers import lines, read_all, stored
from tests.examples import examples
from unrote.corpus import pinning
from unrote.corpus.columns import refuse_columns
from unrote.corpus.errors import InputError
from unrote.corpus.formats.json_errors import not_json
from unrote.corpus.pinning import pin
from unrote.corpus.rows import Fields

BAD = {
    b'{"text": "a",}': (14, "a comma before '}'; leave it out"),
    b'{"x": [1, 2, ], "text": "a"}': (14, "a comma before ']'; leave it out"),
    b'{"text": "a"} {"text": "b"}': (15, "another value follows on the line; put each"),
    b'{"text": "\xc3\xa4\x01"}': (
        12,
        "the raw control character U+0001; JSON writes it as \\u0001",
    ),
    b"\x00\x00\x00": (1, "the raw control character U+0000"),
    b"{'text': 'a'}": (2, "single quotes, as Python shows a dict; write the file with json.dumps"),
    b'{"text": "a", "x": None}': (20, "None, as Python shows it"),
    b'{"text": "cut of': (10, "a string that does not end on its line"),
    b'{"text": "a", "x": [1': (22, "the line ends within a value"),
    b'{"text": "a "quote""}': (14, "a comma is missing, or a quote in a string"),
    b'{"text": "C:\\x"}': (13, "a backslash before what it cannot escape"),
    b"\xef\xbb\xbf{}": (1, "a byte order mark within the file"),
    b'{"text": ' + b"[" * 600 + b"]" * 600 + b"}": (1, "nested deeper than 512"),
}


def reasons(path) -> list[str]:
    return [row["reason"] for row in read_all(pin([path]))[1]]


@pytest.mark.parametrize("line", BAD)
def test_line_column_and_cause(tmp_path, line):
    column, cause = BAD[line]
    (reason,) = reasons(stored(tmp_path, b'\n \t\n{"text": "ok"}\r\n' + line + b"\n"))
    assert reason.startswith(f"not JSON (line 4, column {column}): ")
    assert cause in reason


def test_what_is_json_and_will_not_do(tmp_path):
    content = (
        b'\n{"body": "a", "n": NaN}\n{}\n\n{"text": NaN}\n{"text": "\xc3\xa4\xff"}\n{"text": 1}'
    )
    assert reasons(stored(tmp_path, content)) == [
        "no field 'text' (line 2); fields there: 'body', 'n'. Set input.text to the one with the "
        "text",
        "no field 'text' (line 3); no fields there. Set input.text to the one with the text",
        "text is NaN (line 5)",
        "invalid UTF-8 (line 6, column 12): store the file as UTF-8",
        "text is a number (line 7)",
    ]


@examples(60)
@given(
    st.lists(st.sampled_from([b"", b" ", b'{"text": "a"}', b"x"]), min_size=1, max_size=20),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from(["", "gz", "xz"]),
    st.integers(1, 40),
)
def test_lines_are_those_of_an_editor(tmp_path_factory, made, line_end, kind, size):
    path = stored(tmp_path_factory.mktemp("e"), line_end.join(made), kind)
    before, pinning.CUT_BYTES = pinning.CUT_BYTES, size
    try:
        found = reasons(path)
    finally:
        pinning.CUT_BYTES = before
    bad = [number for number, line in enumerate(made, 1) if line == b"x"]
    assert [reason.partition(", column")[0] for reason in found] == [
        f"not JSON (line {number}" for number in bad
    ]


@examples(200)
@given(st.binary(max_size=30))
def test_there_is_always_a_cause(content):
    text = content.decode(errors="replace")
    try:
        json.loads(text)
    except ValueError:
        assert ": " in not_json(text.encode(), 1)


TEXT = json.dumps({"text": "eine Geschichte"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode("utf-16"), r"is UTF-16, .*line 1, column 1.*iconv -f UTF-16 -t UTF-8"),
        (TEXT.encode("utf-16-le"), "is UTF-16LE"),
        (TEXT.encode("utf-16-be"), "is UTF-16BE"),
        (TEXT.encode("utf-32"), "is UTF-32"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "is a Git LFS pointer.*git lfs pull",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["", "bz2"])
def test_files_that_are_something_else(tmp_path, content, said, kind):
    path = stored(tmp_path, content, "" if b"git-lfs" in content else kind)
    with pytest.raises(InputError, match=said):
        pin([path])


def test_a_column_of_nulls(tmp_path):
    pq.write_table(pa.table({"text": [None, None], "body": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"is null in every row.*text, body\.$"):
        refuse_columns(pin([tmp_path]), Fields())


def test_nan_passes_through(tmp_path):
    rows = [{"text": "a", "x": [float("nan"), -float("inf")], "id": float("inf"), "n": {"m": 1}}]
    found, rejected = read_all(pin([stored(tmp_path, lines(*rows * 2))]))
    assert [(row["text"], row["id"]) for row in found] == [("a", "a.jsonl#0"), ("a", "a.jsonl#1")]
    assert rejected == []
