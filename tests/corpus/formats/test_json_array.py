"""One JSON array: its rows, and every byte of what is neither edited nor removed."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.helpers import pack, read_all, rewritten, unpack
from tests.examples import examples
from unrote.corpus import pinning, storage
from unrote.corpus.columns import text_columns
from unrote.corpus.pinning import pin
from unrote.corpus.rows import Fields
from unrote.pipelines.verify.readers import _values

strings = st.text(st.sampled_from('ab"\\\n[]{},: é\u2028😀'), max_size=6)
objects = st.fixed_dictionaries(
    {"text": strings},
    optional={"n": st.lists(st.lists(strings, max_size=2), max_size=2), "": strings},
)
LAYOUTS = ("lines", "pretty", "close", "wide")


def written(rows: list, layout: str, ascii_only: bool) -> bytes:
    def text(**how) -> str:
        return json.dumps(rows, ensure_ascii=ascii_only, **how)

    if layout == "lines":
        made = ",\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
        return f"[\n{made}\n]\n".encode()
    if layout == "pretty":
        return text(indent=2).encode()
    if layout == "wide":
        return b"\xef\xbb\xbf \r\n" + text(separators=(" ,\r\n\t", " :\t")).encode() + b" \n"
    return text(separators=(",", ":")).encode()


def edited(folder, content: bytes, rows: list, kind: str, size: int, data) -> tuple:
    """A file of `rows` is read and written back, in chunks of `size` bytes and small cuts.

    Its format, the rows that edits and removals leave (which `data` draws), whether a text was
    edited, and what was written, unpacked.
    """
    path = folder / f"a.json{kind and '.'}{kind}"
    path.write_bytes(pack(content, kind))
    indices = st.integers(0, len(rows) - 1)
    changes = data.draw(st.dictionaries(indices, st.none() | strings)) if rows else {}
    before = storage.CHUNK, pinning.CUT_BYTES
    storage.CHUNK, pinning.CUT_BYTES = size, data.draw(st.integers(1, 60))
    try:
        corpus = pin([path])
        found, rejected = read_all(corpus)
        same = rewritten(path, [], folder / "same")
        out = rewritten(path, sorted(changes.items()), folder / "out")
    finally:
        storage.CHUNK, pinning.CUT_BYTES = before
    assert rejected == []
    assert [(row["row"], row["text"]) for row in found] == [
        (number, row["text"]) for number, row in enumerate(rows)
    ]
    assert unpack(same, kind) == content
    kept = [
        row | ({"text": changes[number]} if number in changes else {})
        for number, row in enumerate(rows)
        if changes.get(number, "") is not None
    ]
    is_edited = any(text is not None for text in changes.values())
    return corpus.shards[0].format, kept, is_edited, unpack(out, kind)


@examples(300)
@given(
    st.lists(objects, max_size=6),
    st.sampled_from(LAYOUTS),
    st.booleans(),
    st.sampled_from(["", "zst"]),
    st.integers(1, 30),
    st.data(),
)
def test_edits_and_removals(tmp_path_factory, rows, layout, ascii_only, kind, size, data):
    content = written(rows, layout, ascii_only)
    folder = tmp_path_factory.mktemp("a")
    name, kept, is_edited, released = edited(folder, content, rows, kind, size, data)
    if rows:
        assert name == "json"
    assert json.loads(released.decode("utf-8-sig")) == kept
    if not is_edited and layout != "wide":
        assert released == written(kept, layout, ascii_only) or not kept


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ([0], b'[\n {"text": "b"} ,\n {"text": "c"}\n]\n'),
        ([1], b'[\n {"text": "a"} ,\n {"text": "c"}\n]\n'),
        ([2], b'[\n {"text": "a"},\n {"text": "b"}\n]\n'),
        ([0, 1], b'[\n {"text": "c"}\n]\n'),
        ([0, 1, 2], b"[\n \n]\n"),
    ],
)
def test_removed_rows_take_a_comma_along(tmp_path, gone, left):
    path = tmp_path / "a.json"
    path.write_bytes(b'[\n {"text": "a"},\n {"text": "b"} ,\n {"text": "c"}\n]\n')
    assert rewritten(path, [(row, None) for row in gone], tmp_path / "out") == left


def test_only_the_string_is_new(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(
        b'[{\n  "n": 1.50,\n  "text": "\\u00e4",\n  "m": [ {"text": "x"}\n ]},\n'
        b'{"text": "first",\n"text": "last"}]'
    )
    assert rewritten(path, [(0, "é"), (1, "b")], tmp_path / "out") == (
        b'[{\n  "n": 1.50,\n  "text": "\\u00e9",\n  "m": [ {"text": "x"}\n ]},\n'
        b'{"text": "",\n"text": "b"}]'
    )


BAD = {
    b'[{"text": "a"}, {"text": "b"},\n]': [
        (2, 2, 1, r"not JSON \(line 2, column 1\): a comma and then ']', with no value between")
    ],
    b'[{"text": "a"},\n, {"text": "b"}]': [(1, 2, 1, "a comma and then ',', with no value")],
    b'[{"text": "a"},\n{"text": "b"': [
        (1, 1, 16, r"the array does not end \(line 1, column 16\): the file is cut off behind")
    ],
    b'[{"text": "a"}\n] \n[{"text": "b"}]': [
        (1, 3, 1, r"another value behind the array \(line 3, column 1\).*jq -s add FILE")
    ],
    b'[{"text": "a"},\n{"text": "b",}, {"text": "c"}]': [
        (1, 2, 14, "a comma before '}'; leave it out")
    ],
    b'[{"text": "a"},\n {"text": "b"} {"text": "c"}]': [
        (1, 2, 16, "a comma is missing between two values")
    ],
    b'[{"text": "a"},\n{"text": "b\nc"}, {"text": "d"}]': [
        (1, 2, 12, "the raw control character U.000A")
    ],
    b'[{"text": "a"}, {"text": "\xff"}, {"body":\n 1}, 7, {\n"text": 8}]': [
        (1, 1, 27, "invalid UTF-8"),
        (2, 1, None, "no field 'text' .*there: 'body'"),
        (3, 2, None, "not a JSON object"),
        (4, 2, None, "text is a number"),
    ],
}


@pytest.mark.parametrize("content", BAD)
def test_what_is_wrong(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    found, rejected = read_all(pin([path]))
    assert found[0]["text"] == "a"
    for reject, (row, line, column, said) in zip(rejected, BAD[content], strict=True):
        assert reject["row"] == row
        where = rf"line {line}, column {column}\)" if column else rf"line {line}\)"
        assert re.search(where, reject["reason"])
        assert re.search(said, reject["reason"])
    released = rewritten(path, [], tmp_path / "out")
    assert json.loads(released) == [{"text": row["text"]} for row in found]


def test_rows_that_are_asked_for_and_named_columns(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"text": "a", "title": "x"},\n{"text": "b",\n"title": "y"}, {"text": "c"}]')
    fields = Fields(columns=("title",))
    assert text_columns(pin([path])) == ["text", "title"]
    found, _ = read_all(pin([path]), fields, selected=[1, 2])
    assert [(row["text"], row["columns"]) for row in found] == [("b", ["y"]), ("c", [None])]
    out = rewritten(path, [(1, 1, "z")], tmp_path / "out", columns=("title",))
    assert out == path.read_bytes().replace(b'"y"', b'"z"')


def test_an_array_of_nothing_and_arrays_as_lines(tmp_path):
    (tmp_path / "a.json").write_bytes(b" [ ]\n")
    (tmp_path / "b.json").write_bytes(b'["a"]\n["b"]\n')
    corpus = pin([tmp_path])
    assert [shard.format for shard in corpus.shards] == ["json", "jsonl"]
    found, rejected = read_all(corpus)
    assert found == []
    assert len(rejected) == 2
    assert rewritten(tmp_path / "a.json", [], tmp_path / "out") == b" [ ]\n"


def values_written(rows: list, layout: str) -> bytes:
    made = [json.dumps(row, ensure_ascii=False, indent=2) for row in rows]
    if layout == "jq":
        return "".join(f"{one}\n" for one in made).encode()
    between = {"blank lines": "\r\n\r\n", "spaces": " \t "}[layout]
    return b"\xef\xbb\xbf\n" * (layout == "spaces") + between.join(made).encode()


def values_read(content: bytes) -> list:
    text, found, at = content.decode("utf-8-sig"), [], 0
    while rest := text[at:].lstrip():
        value, size = json.JSONDecoder().raw_decode(rest)
        found.append(value)
        at = len(text) - len(rest) + size
    return found


@examples(300)
@given(
    st.lists(objects, min_size=1, max_size=6),
    st.sampled_from(["jq", "blank lines", "spaces"]),
    st.sampled_from(["", "zst"]),
    st.integers(1, 30),
    st.data(),
)
def test_objects_one_after_another(tmp_path_factory, rows, layout, kind, size, data):
    content = values_written(rows, layout)
    folder = tmp_path_factory.mktemp("a")
    name, kept, is_edited, released = edited(folder, content, rows, kind, size, data)
    assert name == "json-values"
    assert values_read(released) == kept
    if kept and not is_edited:
        assert released == values_written(kept, layout)
    # The verifier's own reader takes the same bytes for a row.
    cut = [content[at : at + size] for at in range(0, len(content), size)]
    assert [json.loads(value) for value in _values(iter(cut))] == rows


def test_what_is_wrong_in_objects_one_after_another(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(
        b'{\n  "text": "a"\n}\n{\n  "text": "b",\n}\n{\n  "text": "c"\n}{\n  "text": "d"\n}\n'
        b'7\n{\n  "text": "e"\n}\n{\n  "text": "f"\n'
    )
    found, rejected = read_all(pin([path]))
    assert [row["text"] for row in found] == ["a", "e"]
    assert [(row["row"], row["reason"].split(":")[0]) for row in rejected] == [
        (1, "not JSON (line 6, column 1)"),
        (2, "not JSON (line 9, column 2)"),
        (3, "not a JSON object (line 12)"),
        (5, "not JSON (line 18, column 1)"),
    ]
    assert "white space, where they are in no array" in rejected[1]["reason"]
    released = rewritten(path, [], tmp_path / "out")
    assert released == b'{\n  "text": "a"\n}\n{\n  "text": "e"\n}\n'
