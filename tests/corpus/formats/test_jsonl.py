import json
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.corpus.helpers import cause
from tests.examples import examples
from unrote.corpus import json_scanner
from unrote.corpus.formats.jsonl import read_jsonl
from unrote.corpus.json_scanner import GOOD, MAX_DEPTH, NOT_JSON, NOT_OBJECT, STATUS
from unrote.corpus.rows import Fields, SelectedRows
from unrote.corpus.shard import Shard

SHARD = Shard(3, "web/a.jsonl", "/x/web/a.jsonl", "jsonl", "", 0, "", "web")
DEFAULT = Fields()
EVERY = SelectedRows(SHARD, None, 0)
NAMES = np.frombuffer(b"text", dtype=np.uint8).copy()
OFFSETS = np.array([0, 4], dtype=np.int64)


def status(line: bytes) -> int | None:
    data = np.frombuffer(line, dtype=np.uint8).copy()
    none = np.empty(0, dtype=np.int64)
    table, _ = json_scanner.scan(data, 0, NAMES, OFFSETS, 0, True, none, 1 << 62)
    return None if len(table) == 0 else int(table[0, STATUS])


def read(content: bytes, fields: Fields = DEFAULT, view: str = "records", chunks: int = 1 << 30):
    parts = [content[i : i + chunks] for i in range(0, len(content), chunks)]
    rows, rejects = [], []
    for tag, batch in read_jsonl(parts, SHARD, True, 0, fields, view, EVERY):
        batch.validate(full=True)
        (rows if tag == "text" else rejects).extend(batch.to_pylist())
    return rows, [row | {"reason": cause(row["reason"])} for row in rejects]


def reasons(content: bytes) -> list[str]:
    return [row["reason"] for row in read(content)[1]]


def oracle(line: bytes) -> tuple[int, object]:
    """What Python's json says."""
    try:
        # json accepts bytes it decodes as UTF-16 and strips what str.strip strips.
        text = line.decode("utf-8", "surrogateescape")
        value = json.loads(text)
    except (ValueError, RecursionError):
        return NOT_JSON, None
    return (GOOD, value) if isinstance(value, dict) else (NOT_OBJECT, None)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(["text", "id", "x", ""]), anything, max_size=4)


@st.composite
def written(draw, values=anything | objects):
    value = draw(values)
    line = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (" , ", " : "), (",\t", ":\r")])),
    )
    return line.encode("utf-8", "surrogatepass") if _encodable(line) else json.dumps(value).encode()


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@st.composite
def broken(draw):
    line = bytearray(draw(written()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        action = draw(st.sampled_from("idr"))
        byte = draw(
            st.sampled_from(b'"\\{}[],:0123456789.eE+-untfals \t\r\x00\x1f\x7f/')
            | st.integers(0, 255)
        )
        if action == "i":
            line.insert(at, byte)
        elif at < len(line):
            if action == "d":
                del line[at]
            else:
                line[at] = byte
    return bytes(line).replace(b"\n", b" ")


@examples(300)
@given(written() | broken())
@example(b'{"text": 01}')
@example(b'{"text": 1.}')
@example(b'{"text": -}')
@example(b'{"text": 1e}')
@example(b'{"text": 1E+05}')
@example(b'{"text": "\\u00g0"}')
@example(b'{"text": "\\u00')
@example(b'{"text": "\x1f"}')
@example(b'{"text": "a\x7f"}')
@example(b'{"text": tru}')
@example(b'{"text": truee}')
@example(b'{"text": NaN}')
@example(b'{"text": -Infinity}')
@example(b'{"text": Infinity, "a": [NaN,-Infinity]}')
@example(b'{"text": -NaN}')
@example(b'{"text": Infinit}')
@example(b'{"text": NaNa}')
@example(b'{"text": --Infinity}')
@example(b"-Infinity")
@example(b'{"text": "a"} x')
@example(b'{"text": "a",}')
@example(b"[1,]")
@example(b"{,}")
@example(b'"abcdefgh\\')
def test_it_agrees_with_the_standard_library(line):
    ours = status(line)
    if ours is None:
        assert not line.strip(b" \t\r")
        return
    if line.startswith(b"\xef\xbb\xbf"):
        return  # json refuses it by name
    assert ours == oracle(line)[0]


@examples(200)
@given(
    st.lists(written(objects), max_size=8),
    st.integers(1, 40),
    st.sampled_from([b"\n", b"\r\n", b"\n\n \n"]),
)
def test_values_are_those_of_the_standard_library(rows, chunks, line_end):
    content = line_end.join(rows)
    got, rejects = read(content, Fields(source="x"), chunks=chunks)
    by_row = {row["row"]: row for row in got}
    refused = {row["row"]: row["reason"] for row in rejects}
    assert len(by_row) + len(refused) == len(rows)
    for number, line in enumerate(rows):
        value = json.loads(line)
        text = value.get("text")
        if not isinstance(text, str) or not _encodable(text):
            assert number in refused
            continue
        row = by_row[number]
        assert row["text"] == text
        assert row["doc"] == (3 << 36) + number
        assert row["source"] == (
            value["x"] if isinstance(value.get("x"), str) and _encodable(value["x"]) else "web"
        )
        if isinstance(value.get("id"), str) and _encodable(value["id"]):
            assert row["id"] == value["id"]
        elif isinstance(value.get("id"), int | float) and not isinstance(value["id"], bool):
            assert json.loads(row["id"]) == value["id"]
        else:
            assert row["id"] == f"web/a.jsonl#{number}"


def test_every_reason():
    content = (
        b'{"text": "a"}\n'
        b"{text}\n"
        b"[1]\n"
        b'"x"\n'
        b"{}\n"
        b'{"text": null}\n'
        b'{"text": -1.5}\n'
        b'{"text": true}\n'
        b'{"text": false}\n'
        b'{"text": ["a"]}\n'
        b'{"text": {"text": "a"}}\n'
        b'{"text": "\xff"}\n'
        b'{"text": "a", "x": "\xed\xa0\x80"}\n'
        b'{"text": "\\ud800"}\n'
        b'{"text": "\\udc00\\ud800"}\n'
        b'{"text": "a\tb"}\n'
        b'{"a": {"text": "a"}}\n'
        b"\x00{}\n"
        b'{"text": "z"}'
    )
    rows, rejects = read(content)
    assert [row["row"] for row in rows] == [0, 18]
    assert [row["reason"] for row in rejects] == [
        "not JSON",
        "not a JSON object",
        "not a JSON object",
        "no field 'text'",
        "text is null",
        "text is a number",
        "text is a boolean",
        "text is a boolean",
        "text is an array",
        "text is an object",
        "invalid UTF-8",
        "invalid UTF-8",
        "lone surrogate in text",
        "lone surrogate in text",
        "not JSON",
        "no field 'text'",
        "not JSON",
    ]
    assert {row["shard"] for row in rejects} == {"web/a.jsonl"}


@pytest.mark.parametrize("prefix", [b"", b'{"text": "\xff"}\n' * 3])
def test_a_bad_neighbour_changes_nothing(prefix):
    rows, _ = read(prefix + '{"text": "grün", "id": "é"}\n'.encode())
    assert (rows[0]["text"], rows[0]["id"]) == ("grün", "é")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (rb"\u0000", "\0"),
        (rb"\u001f\b\f\n\r\t\"\\\/", '\x1f\b\f\n\r\t"\\/'),
        (rb"\ud83d\ude00", "😀"),
        (rb"\uD83D\uDE00!", "😀!"),
        (rb"\uffff\u0800\u07ff\u0080\u007f", "\uffff\u0800\u07ff\x80\x7f"),
        (rb"12345678\n12345678\n", "12345678\n12345678\n"),
    ],
)
def test_escapes(raw, text):
    assert read(b'{"text": "' + raw + b'"}')[0][0]["text"] == text


@pytest.mark.parametrize("name", [b'"te\\u0078t"', b'"\\u0074\\u0065\\u0078\\u0074"', b'"text"'])
def test_names_may_be_escaped(name):
    assert read(b'{"tex": 1, "textt": 2, ' + name + b': "yes"}')[0][0]["text"] == "yes"
    assert reasons(b'{"te\\\\u0078t": "no", "te\\u0079t": "no"}') == ["no field 'text'"]


def test_of_repeated_names_the_last_counts():
    assert read(b'{"text": 1, "text": "a", "id": "x", "te\\u0078t": "b", "id": 2}')[0][0] == {
        "doc": 3 << 36,
        "shard": "web/a.jsonl",
        "row": 0,
        "id": "2",
        "source": "web",
        "order": None,
        "text": "b",
        "columns": [],
    }


def test_ids_sources_and_orders():
    content = (
        b'{"text":"", "id": 1.50e3, "s": "one", "o": "2020\\u002d01"}\n'
        b'{"text":"", "id": null, "s": null, "o": 12}\n'
        b'{"text":"", "id": true, "s": 3, "o": true}\n'
        b'{"text":"", "id": [1], "s": "\\ud800", "o": [1]}\n'
        b'{"text":"", "id": "\\ud800", "o": "\\ud800"}\n'
        b'{"text":"", "id": "", "o": null}\n'
    )
    rows, _ = read(content, Fields(source="s", order="o"))
    derived = [f"web/a.jsonl#{i}" for i in range(6)]
    assert [row["id"] for row in rows] == ["1.50e3", *derived[1:5], ""]
    assert [row["source"] for row in rows] == ["one"] + ["web"] * 5
    assert [row["order"] for row in rows] == ["2020-01", "12", "true", None, None, None]


def test_one_field_may_serve_twice():
    assert read(b'{"text": "a"}', Fields(id="text", order="text"))[0][0]["id"] == "a"


def test_an_empty_field_name_reads_nothing():
    row = read(b'{"": "x", "text": "a"}', Fields(id=""))[0][0]
    assert (row["id"], row["order"]) == ("web/a.jsonl#0", None)


@pytest.mark.parametrize(
    ("depth", "fine"), [(MAX_DEPTH - 1, True), (MAX_DEPTH, False), (100_000, False)]
)
@pytest.mark.parametrize(
    ("opening", "inner", "closing"), [(b"[", b"", b"]"), (b'{"a":', b"1", b"}")]
)
def test_depth(depth, fine, opening, inner, closing):
    nested = opening * depth + inner + closing * depth
    line = b'{"text": "a", "x": ' + nested + b"}"
    assert status(line) == (GOOD if fine else NOT_JSON)


def test_a_control_byte_at_every_place_of_a_string():
    for at in range(40):
        for byte in b"\x00\x1f\x09":
            body = bytearray(b"x" * 40)
            body[at] = byte
            assert status(b'{"text": "' + body + b'"}') == NOT_JSON
        for byte in b"\x20\x7f\x80\xff\x5b\x5d\x21\x23":
            body[at] = byte
            assert status(b'{"text": "' + body + b'"}') == GOOD


def test_byte_order_mark_only_at_the_start():
    bom = b"\xef\xbb\xbf"
    assert read(bom + b'{"text": "a"}')[0][0]["text"] == "a"
    assert read(bom) == ([], [])
    assert read(bom + b"\n \n") == ([], [])
    assert reasons(b'{"text": "a"}\n' + bom + b'{"text": "a"}') == ["not JSON"]


def test_blank_lines_are_no_rows():
    rows, rejects = read(b'\n \t\r\n{"text": "a"}\n\r\n{"text": "b"}\n\t\r\n \t')
    assert [(row["row"], row["text"]) for row in rows] == [(0, "a"), (1, "b")]
    assert rejects == []


@pytest.mark.parametrize("byte", sorted({*range(0x20)} - {0x09, 0x0A, 0x0D}))
def test_a_line_of_control_bytes_is_a_reject(byte):
    """What a crashed writer leaves is no white space: rows were lost there."""
    zeros = bytes([byte])
    content = zeros * 9 + b'\n{"text": "a"}\n ' + zeros + b'\n{"text": "b"}\n' + zeros * 5000
    rows, rejects = read(content)
    assert [(row["row"], row["text"]) for row in rows] == [(1, "a"), (3, "b")]
    assert [(row["row"], row["reason"]) for row in rejects] == [
        (0, "not JSON"), (2, "not JSON"), (4, "not JSON")
    ]  # fmt: skip
    assert reasons(zeros) == ["not JSON"]


def test_batches_are_bounded(monkeypatch):
    monkeypatch.setattr("unrote.corpus.rows.BATCH_BYTES", 100)
    content = b"".join(
        b'{"text": "%s"}\n' % (b"x" * n) for n in [30, 30, 30, 30, 500, 1, 99, 1, 0, 0]
    )
    sizes = [
        [len(text) for text in batch.column("text").to_pylist()]
        for _, batch in read_jsonl([content], SHARD, True, 0, Fields(), "text", EVERY)
    ]
    assert sizes == [[30, 30, 30], [30], [500], [1, 99], [1, 0, 0]]


def test_reasons_carry_no_text():
    secret = b"alice"
    content = b'{"alice": alice}\n{"text": "alice\xff"}\n{"text": ["alice"]}\nalice\n'
    assert not any(re.search(secret.decode(), reason) for reason in reasons(content))


@examples(200)
@given(st.binary(max_size=60))
def test_any_bytes_can_be_read(content):
    rows, rejects = read(content)
    plain = content.removeprefix(b"\xef\xbb\xbf")
    kept = [line for line in plain.split(b"\n") if line.strip(b" \t\r")]
    assert len(rows) + len(rejects) == len(kept)


@pytest.mark.parametrize(
    "raw",
    [
        rb"\ud800\u0041",
        rb"\ud800\ud800",
        rb"\ud800x",
        rb"\ud800",
        rb"\udc00",
        rb"\ud800\n",
        rb"\ud83dx\ude00",
    ],
)
def test_lone_surrogates(raw):
    content = b'{"text": "ok"}\n{"text": "' + raw + b'"}\n{"text": "fine", "x": "' + raw + b'"}\n'
    rows, rejects = read(content)
    assert [row["row"] for row in rows] == [0, 2]
    assert [(row["row"], row["reason"]) for row in rejects] == [(1, "lone surrogate in text")]


def test_records_keep_their_columns_when_a_block_gives_many_batches(monkeypatch):
    monkeypatch.setattr("unrote.corpus.rows.BATCH_BYTES", 20)
    content = b"".join(
        b'{"text": "text %d", "id": %d, "s": "s%d", "o": "o%d"}\n' % (i, i, i, i) for i in range(50)
    )
    rows, _ = read(content, Fields(source="s", order="o"))
    assert [(r["row"], r["text"], r["id"], r["source"], r["order"]) for r in rows] == [
        (i, f"text {i}", str(i), f"s{i}", f"o{i}") for i in range(50)
    ]


# Named columns

some = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none()
    | st.booleans()
    | st.text(st.characters(), max_size=5)
    | st.lists(st.text(max_size=5))
    | st.dictionaries(st.text("ab", max_size=1), st.text(max_size=5), max_size=2)
)
UNREAD = {list: "an array", dict: "an object", int: "a number", float: "a number"}


@examples(300)
@given(
    st.lists(
        written(st.fixed_dictionaries({"text": some}, optional={"a": some, "b": some, "id": some})),
        max_size=8,
    ),
    st.integers(1, 40),
    st.sampled_from([("a",), ("b", "a"), ("none", "id", "b")]),
)
def test_named_columns_are_those_of_the_standard_library(rows, chunks, columns):
    got, rejects = read(b"\n".join(rows), Fields(columns=columns), chunks=chunks)
    by_row = {row["row"]: row for row in got}
    refused = {row["row"]: row["reason"] for row in rejects}
    assert len(by_row) + len(refused) == len(rows)
    for number, line in enumerate(rows):
        value = json.loads(line)
        named = [value[n] if isinstance(value.get(n), str) else None for n in columns]
        if not isinstance(value.get("text"), str):
            assert number in refused
        elif not _encodable(value["text"]):
            assert refused[number] == "lone surrogate in text"
        elif reasons := [reason for n in columns if (reason := _unread(n, value.get(n)))]:
            assert refused[number] == reasons[0]
        else:
            assert by_row[number]["columns"] == named
    text, _ = read(b"\n".join(rows), Fields(columns=columns), "text", chunks)
    assert [row["doc"] for row in text] == [row["doc"] for row in got]


def _unread(name, value):
    if isinstance(value, str):
        return "" if _encodable(value) else f"lone surrogate in field '{name}'"
    return f"field '{name}' is {UNREAD[type(value)]}" if type(value) in UNREAD else ""


def test_a_named_column_that_cannot_be_read_rejects_its_row():
    content = (
        b'{"text": "a", "t": "\\ud800"}\n'
        b'{"text": "b", "t": true, "x": "\\ud800"}\n'
        b'{"text": "c", "t": "\xff"}\n'
        b'{"text": "\\ud800", "t": "\\ud800", "u": "\\ud800"}\n'
        b'{"text": "e", "t": "x\\udc00", "u": "jane"}\n'
        b'{"text": "f", "u": "\\ud83d\\ude00", "t": "\\u00e9"}\n'
        b'{"text": "g", "t": "\\ud800", "t": null}\n'
        b'{"text": "h", "t": {"mail": "jane"}, "u": ["jane"]}\n'
        b'{"text": "i", "t": [], "u": "jane"}\n'
        b'{"text": "j", "t": "", "u": -4152034478}\n'
        b'{"text": "k", "t": "", "t": {}}\n'
    )
    fields = Fields(columns=("u", "t"))
    rows, rejects = read(content, fields)
    assert [(row["row"], row["columns"]) for row in rows] == [
        (1, [None, None]),
        (5, ["😀", "é"]),
        (6, [None, None]),
    ]
    assert [(row["row"], row["reason"]) for row in rejects] == [
        (0, "lone surrogate in field 't'"),
        (2, "invalid UTF-8"),
        (3, "lone surrogate in text"),
        (4, "lone surrogate in field 't'"),
        (7, "field 'u' is an array"),
        (8, "field 't' is an array"),
        (9, "field 'u' is a number"),
        (10, "field 't' is an object"),
    ]
    assert [row["doc"] - (3 << 36) for row in read(content, fields, "text")[0]] == [1, 5, 6]


def test_named_columns_beside_ids_sources_and_orders():
    content = b'{"o": 3, "t": "title", "s": "one", "text": "a", "id": "x", "u": "second"}\n'
    (row,), _ = read(content, Fields(source="s", order="o", columns=("u", "t", "id")))
    assert (row["id"], row["source"], row["order"]) == ("x", "one", "3")
    assert row["columns"] == ["second", "title", "x"]


def test_of_a_named_column_that_is_repeated_the_last_value_counts():
    content = b'{"t": "a", "text": "x", "\\u0074": "b", "u": "c", "u": null}'
    assert read(content, Fields(columns=("t", "u")))[0][0]["columns"] == ["b", None]
