"""CSV beside Python's csv: the same rows, and the bytes of all that is not edited."""

import csv
import gzip
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.corpus.helpers import read_all, rewritten
from tests.examples import examples
from unrote.corpus import storage
from unrote.corpus.columns import refuse_columns
from unrote.corpus.errors import InputError
from unrote.corpus.pinning import pin
from unrote.corpus.rows import Fields

tokens = st.sampled_from(["a", "é", '"', '""', ",", "\n", "\r\n", "\r", " ", "\t", "text"])


@examples(300)
@given(st.lists(tokens, max_size=25), st.integers(1, 30), st.booleans())
@example(["a", ",", '"', "\n", '"', "\n"], 1, False)
@example(['"', '"', "\n"], 5, True)
def test_rows_are_those_of_the_standard_library(tmp_path_factory, made, chunk, mark):
    content = "id,text\n" + "".join(made)
    path = tmp_path_factory.mktemp("c") / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" * mark + content.encode())
    want = [row for row in csv.reader(io.StringIO(content, newline="")) if row][1:]
    before, storage.CHUNK = storage.CHUNK, chunk
    try:
        found, rejected = read_all(pin([path]))
        same = rewritten(path, [], path.parent / "out")
    finally:
        storage.CHUNK = before
    assert sorted(row["row"] for row in found + rejected) == list(range(len(want)))
    for row in found:
        assert row["text"] == want[row["row"]][1]
    kept = [want[row["row"]] for row in found]
    again = csv.reader(io.StringIO(same.decode("utf-8-sig"), newline=""))
    assert [row for row in again if row][1:] == kept


def test_only_what_is_edited_is_new(tmp_path):
    content = b'id,"text",n\r\n1,"a ""b""", x\r\n2,plain,1.50\r\n3,gone,\r\n4,stays,"0"'
    (tmp_path / "a.csv").write_bytes(content)
    changes = [(0, 'c "d"'), (1, "e, f"), (2, None)]
    assert rewritten(tmp_path / "a.csv", changes, tmp_path / "out") == (
        b'id,"text",n\r\n1,"c ""d""", x\r\n2,"e, f",1.50\r\n4,stays,"0"'
    )


def test_what_is_wrong(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,a\n\n2\n3,"x\ny"\n4,\xff\n5,"open\n')
    assert [row["reason"] for row in read_all(pin([tmp_path]))[1]] == [
        "not as many fields as the header has (line 4): 1 of 2",
        "invalid UTF-8 (line 7): store the file as UTF-8",
        "a quoted field does not end (line 8): close the quote, or double one in a field",
    ]
    with pytest.raises(InputError, match=r"has no column 'body'\. .*: 'id', 'text'\. Set input"):
        refuse_columns(pin([tmp_path]), Fields(text="body"))


def test_a_first_record_that_is_no_header_is_not_shown(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("4539 5794 5807 3025,Write to jane.roe@acme.com\n1,more\n")
    with pytest.raises(InputError, match="2 values that do not look like names") as refused:
        refuse_columns(pin([tmp_path]), Fields())
    assert "jane" not in str(refused.value)
    assert "4539" not in str(refused.value)


@pytest.mark.parametrize("kept", [10, 60])
def test_what_is_before_damage_is_read_and_written(tmp_path, kept):
    """Of a file that is cut off, in the header and behind it."""
    rows = "".join(f"{n},{n * 7919}\n" for n in range(4000))
    content = gzip.compress(b"id,text\n" + rows.encode(), mtime=0)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content[: len(content) * kept // 100 if kept > 10 else kept])
    corpus = pin([path])
    refuse_columns(corpus, Fields())
    found, rejected = read_all(corpus)
    assert (len(found) > 1000) == (kept > 10)
    assert [row["row"] for row in found] == list(range(len(found)))
    assert [(row["row"], row["reason"]) for row in rejected] == [
        (len(found), "compressed data ends early")
    ]
    out = gzip.decompress(rewritten(path, [], tmp_path / "out"))
    assert out == (b"id,text\n" + rows.encode() if found else b"")[: len(out)]
    assert out.count(b"\n") == len(found) + (len(found) > 0)
