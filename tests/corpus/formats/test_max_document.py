"""Documents longer than input.max_document are rejects, whatever the format, and are not held."""

import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.helpers import cause, pack, read_all, rewritten, unpack
from tests.examples import examples
from unrote.corpus import storage
from unrote.corpus.errors import InputError
from unrote.corpus.pinning import pin
from unrote.corpus.rows import Fields

LIMIT = 40
SHORT = Fields(max_document=LIMIT)
SAID = f"document longer than {LIMIT} bytes"

texts = st.lists(
    st.text(st.sampled_from('ab"\\\n\r,é '), min_size=1, max_size=60), min_size=1, max_size=6
)


def in_lines(found: list[str]) -> tuple[bytes, list[bool]]:
    rows = [json.dumps({"text": text}).encode() for text in found]
    return b" \n".join(rows) + b"\n" * (len(found) % 2), [
        len(row) + (at < len(rows) - 1) > LIMIT for at, row in enumerate(rows)
    ]


def in_array(found: list[str]) -> tuple[bytes, list[bool]]:
    rows = [json.dumps({"text": text}, indent=1).encode() for text in found]
    sizes = [len(row) + 2 for row in rows]
    return b"[\n" + b",\n ".join(rows) + b"\n]\n", [
        size + (at == len(rows) - 1) > LIMIT for at, size in enumerate(sizes)
    ]


def in_csv(found: list[str]) -> tuple[bytes, list[bool]]:
    rows = ['"' + text.replace('"', '""') + '"\r\n' for text in found]
    return b"text\r\n" + "".join(rows).encode(), [len(row.encode()) > LIMIT for row in rows]


@examples(300)
@given(
    texts,
    st.sampled_from([(in_lines, ".jsonl"), (in_array, ".json"), (in_csv, ".csv")]),
    st.sampled_from(["", "gz"]),
    st.integers(1, 50),
)
def test_long_ones_are_rejects_whatever_the_chunks(tmp_path_factory, found, made, kind, size):
    write, suffix = made
    content, long = write(found)
    path = tmp_path_factory.mktemp("m") / f"a{suffix}{kind and '.'}{kind}"
    path.write_bytes(pack(content, kind))
    corpus = pin([path])
    whole = read_all(corpus, SHORT)
    out = rewritten(path, [], path.parent / "whole", max_document=LIMIT)
    before, storage.CHUNK = storage.CHUNK, size
    try:
        in_chunks = read_all(corpus, SHORT)
        out_of_chunks = unpack(rewritten(path, [], path.parent / "out", max_document=LIMIT), kind)
    finally:
        storage.CHUNK = before
    assert in_chunks == whole
    rows, rejected = whole
    assert [row["row"] for row in rejected] == [at for at, one in enumerate(long) if one]
    assert {cause(row["reason"]) for row in rejected} <= {SAID}
    kept = [text for text, one in zip(found, long, strict=True) if not one]
    assert [row["text"] for row in rows] == kept
    if suffix != ".json":  # the white space behind one that is not held goes
        assert out_of_chunks == unpack(out, kind)
    if suffix == ".json":
        assert [row["text"] for row in json.loads(out_of_chunks)] == kept
    elif suffix == ".jsonl":
        assert [json.loads(line)["text"] for line in out_of_chunks.splitlines()] == kept
    else:
        assert out_of_chunks == write(kept)[0]


def test_the_line_and_what_to_do(tmp_path):
    long = "a" * 100
    (tmp_path / "a.jsonl").write_text('\n{"text": "a"}\n\n{"text": "' + long + '"}\n')
    (tmp_path / "b.json").write_text('[{"text":\n"a"},\n{"text":\n"' + long + '"},\n7]')
    (tmp_path / "c.csv").write_text('text\n"a\nb"\n"' + long + '\n\n"\n')
    (tmp_path / "d.txt").write_text(long)
    pq.write_table(pa.table({"text": ["a", long], "t": ["b", "c"]}), tmp_path / "e.parquet")
    remedy = ": split it, or raise input.max_document"
    before, storage.CHUNK = storage.CHUNK, 30
    corpus = pin([tmp_path])
    try:
        found = {(row["shard"], row["row"]): row["reason"] for row in read_all(corpus, SHORT)[1]}
    finally:
        storage.CHUNK = before
    assert found == {
        ("a.jsonl", 1): f"{SAID} (line 4){remedy}",
        ("b.json", 1): f"{SAID} (line 3){remedy}",
        ("b.json", 2): "not a JSON object (line 5)",
        ("c.csv", 1): f"{SAID} (line 4){remedy}",
        ("d.txt", 0): f"{SAID}{remedy}",
        ("e.parquet", 1): f"{SAID}{remedy}",
    }


def test_named_columns_count_together(tmp_path):
    table = {"text": ["a"] * 2, "t": ["b" * 21] * 2, "u": ["c" * 20, "c" * 10]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    found, rejected = read_all(pin([tmp_path]), Fields(columns=("t", "u"), max_document=LIMIT))
    assert [row["row"] for row in found] == [1]
    assert rejected[0]["reason"].startswith(f"named columns longer than {LIMIT} bytes: ")


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
def test_no_more_is_held_than_the_limit(tmp_path, suffix):
    """16 MB that are one document, at a limit of 256 kB, in chunks of as much: read and written."""
    start = {"jsonl": b'{"text": "', "json": b'[{"text": "', "csv": b'text\n"'}[suffix]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(start + b"a b " * (4 << 20))
    corpus = pin([path])
    tracemalloc.start()
    try:
        before, storage.CHUNK = storage.CHUNK, 1 << 18
        try:
            found, rejected = read_all(corpus, Fields(max_document=1 << 18))
            rewritten(path, [], tmp_path / "out", max_document=1 << 18)
        finally:
            storage.CHUNK = before
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == []
    assert len(rejected) == 1
    assert peak < 6 << 20


def test_white_space_in_an_array(tmp_path):
    (tmp_path / "a.json").write_text('[{"text": "a"},' + " " * 100 + '{"text": "b"}]')
    before, storage.CHUNK = storage.CHUNK, 30
    try:
        corpus = pin([tmp_path])
        found, rejected = read_all(corpus, SHORT)
    finally:
        storage.CHUNK = before
    assert [row["text"] for row in found] == ["a"]
    assert "white space longer than 40 bytes" in rejected[0]["reason"]


def test_a_header_without_an_end(tmp_path):
    (tmp_path / "a.csv").write_text('"text\n' + "a\n" * 100)
    corpus = pin([tmp_path])
    with pytest.raises(InputError, match=r"no end of its first record within input\.max_document"):
        read_all(corpus, SHORT)
