"""Values that lie deeper, in JSON lines and in Parquet: found, joined, and each written back."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.helpers import lines, read_all, rewritten, stored
from tests.examples import examples
from unrote.corpus.formats import parquet
from unrote.corpus.formats.parquet_values import find_values
from unrote.corpus.paths import EACH, SEPARATOR, parse_path
from unrote.corpus.pinning import pin
from unrote.corpus.read import Fields

PATHS = ("a", "a.b", "a[]", "a[].b", "a.b[]", "a[][].b", "b", "b.a")
words = st.text('ab\né"\\😀', max_size=6)
scalars = words | st.none()


def trees(depth):
    """JSON of few names, so that paths often lead somewhere."""
    if depth == 0:
        return scalars
    inner = trees(depth - 1)
    return scalars | st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner)


def leaves(value, steps):
    """What a path leads to, and whether nothing on the way is of another kind."""
    if not steps:
        return ([value], True) if isinstance(value, str | None) else ([], False)
    if value is None:
        return [], True
    if steps[0] is EACH and isinstance(value, list):
        found = [leaves(one, steps[1:]) for one in value]
    elif steps[0] is not EACH and isinstance(value, dict):
        found = [leaves(value[steps[0]], steps[1:])] if steps[0] in value else []
    else:
        return [], False
    return [leaf for own, _ in found for leaf in own], all(fine for _, fine in found)


def put(value, steps, new):
    """`value` with its strings at the path replaced by the next of `new`."""
    if not steps:
        return next(new) if isinstance(value, str) else value
    if steps[0] is EACH and isinstance(value, list):
        return [put(one, steps[1:], new) for one in value]
    if steps[0] is not EACH and isinstance(value, dict) and steps[0] in value:
        return value | {steps[0]: put(value[steps[0]], steps[1:], new)}
    return value


@examples(250)
@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), trees(3), min_size=1), min_size=1, max_size=5),
    st.lists(st.sampled_from(PATHS), min_size=1, max_size=2, unique=True),
    st.data(),
)
def test_json_values_are_found_and_written_back(tmp_path_factory, rows, written, data):
    folder = tmp_path_factory.mktemp("values")
    path = stored(folder / "in", lines(*rows))
    paths = [parse_path(one) for one in written]
    known, changes, expected = {}, [], []
    for number, row in enumerate(rows):
        found = [leaves(row, one.steps) for one in paths]
        strings = [leaf for own, _ in found for leaf in own if leaf is not None]
        if not strings or not all(fine for _, fine in found):
            continue  # or one path leads on where another does not: see the next test
        known[number] = SEPARATOR.join(strings)
        new = [data.draw(words) if data.draw(st.booleans()) else old for old in strings]
        changes.append((number, 0, SEPARATOR.join(new)))
        after = iter(new)
        for one in paths:
            row = put(row, one.steps, after)
        expected.append(row)
    fields = Fields(text=tuple(written) if len(written) > 1 else written[0])
    texts, rejects = read_all(pin([folder / "in"]), fields)
    read = {one["row"]: one["text"] for one in texts}
    assert {number: read.get(number) for number in known} == known
    assert {*read} | {one["row"] for one in rejects} == {*range(len(rows))}
    if {*read} == {*known}:
        done = rewritten(path, changes, folder / "out", text=fields.text)
        assert [json.loads(line) for line in done.splitlines()] == expected


def test_only_edited_values_are_written_anew(tmp_path):
    line = b'{"m" : [ {"c":"\\u0061"} ,{"n":1.0,"c" :"\\u00e4 \\/"}],"z":"\\u0061", "m2":[]}\n'
    path = stored(tmp_path / "in", line)
    done = rewritten(path, [(0, 0, f"a{SEPARATOR}ö")], tmp_path / "out", text="m[].c")
    assert done == line.replace(b'"\\u00e4 \\/"', b'"\\u00f6"')


@pytest.mark.parametrize(
    ("text", "row", "reason"),
    [
        ("m[].c", {"m": [{"c": ["x"]}]}, "an array at 'm[].c'"),
        ("m[].c", {"m": [{"c": 3}, {"c": "x"}]}, "a number at 'm[].c'"),
        ("m[].c", {"m": [{"c": True}]}, "a boolean at 'm[].c'"),
        ("m[].c", {"m": "x"}, "a string on the path 'm[].c'"),
        ("m[].c", {"m": ["x", {"c": "y"}]}, "a string on the path 'm[].c'"),
        ("m[].c", {"m": {"c": "y"}}, "an object on the path 'm[].c'"),
        ("m.c", {"m": [{"c": "y"}]}, "an array on the path 'm.c'"),
        ("m[].c", {"m": []}, "no text at 'm[].c'"),
        ("m[].c", {"m": [{"c": None}, None]}, "no text at 'm[].c'"),
        ("m[].c", {"m": [{"c": "a\x1fb"}]}, "a value holds U+001F"),
        (("t", "u"), {"v": "x"}, "no text at 't, u'"),
    ],
)
def test_what_paths_cannot_read_is_rejected(tmp_path, text, row, reason):
    stored(tmp_path, lines(row))
    texts, (reject,) = read_all(pin([tmp_path]), Fields(text=text))
    assert texts == []
    assert reject["reason"].startswith(reason)
    assert "(line 1)" in reject["reason"]


def test_another_path_may_lead_on(tmp_path):
    """Turns of a chat are strings, or lists of parts."""
    rows = [{"m": [{"c": "one"}, {"c": [{"t": "two"}, {"t": "three"}]}]}]
    stored(tmp_path, lines(*rows))
    texts, rejects = read_all(pin([tmp_path]), Fields(text=("m[].c", "m[].c[].t")))
    assert rejects == []
    assert texts[0]["text"].split(SEPARATOR) == ["one", "two", "three"]


@pytest.mark.parametrize(
    "line", [b'{"m":[{"c":"a","c":"b"}]}', b'{"m":[{"c":"a"}],"m":[{"c":"b"}]}']
)
def test_a_name_twice_on_a_path_is_rejected(tmp_path, line):
    """Readers take the last; what stands in the first would be released unread."""
    stored(tmp_path, line)
    texts, (reject,) = read_all(pin([tmp_path]), Fields(text="m[].c"))
    assert texts == []
    assert "occurs twice" in reject["reason"]


def test_paths_of_columns(tmp_path):
    rows = [{"text": "t", "meta": {"mail": "a@b.c"}, "tags": ["x", "y"]}, {"text": "u", "tags": []}]
    path = stored(tmp_path / "in", lines(*rows))
    fields = Fields(columns=("meta.mail", "tags[]"))
    texts, rejects = read_all(pin([tmp_path / "in"]), fields)
    assert rejects == []
    assert [one["columns"] for one in texts] == [["a@b.c", f"x{SEPARATOR}y"], [None, None]]
    changes = [(0, 1, "new"), (0, 2, f"x{SEPARATOR}z")]
    done = rewritten(path, changes, tmp_path / "out", columns=fields.columns)
    assert json.loads(done.splitlines()[0]) == {
        "text": "t", "meta": {"mail": "new"}, "tags": ["x", "z"]
    }  # fmt: skip


TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
KINDS = (
    pa.list_(TURN),
    pa.large_list(TURN),
    pa.list_(pa.struct([("role", pa.dictionary(pa.int8(), pa.string())),
                        ("content", pa.dictionary(pa.int16(), pa.string()))])),
    pa.list_(pa.struct([("role", pa.string()), ("content", pa.large_string())])),
)  # fmt: skip


turns = st.fixed_dictionaries({"role": scalars, "content": scalars})


@examples(80)
@given(
    st.lists(st.none() | st.lists(st.none() | turns, max_size=3), min_size=1, max_size=6),
    st.sampled_from(KINDS),
    st.data(),
)
def test_parquet_values_are_found_and_written_back(tmp_path_factory, chats, kind, data):
    folder = tmp_path_factory.mktemp("values")
    source = folder / "in" / "a.parquet"
    source.parent.mkdir()
    names = [None if chat is None else {"by": "x"} for chat in chats]
    table = pa.table({"m": pa.array(chats, pa.list_(TURN)).cast(kind), "meta": names})
    pq.write_table(table, source, row_group_size=2)
    known, changes, expected = {}, [], []
    for number, chat in enumerate(chats):
        found, _ = leaves(chat, parse_path("m[].content").steps[1:])
        strings = [leaf for leaf in found if leaf is not None]
        if not strings:
            continue
        known[number] = SEPARATOR.join(strings)
        new = [data.draw(words) if data.draw(st.booleans()) else old for old in strings]
        changes.append((number, 0, SEPARATOR.join(new)))
        turns = put(chat, parse_path("m[].content").steps[1:], iter(new))
        expected.append({"m": turns, "meta": {"by": "x"}})
    texts, rejects = read_all(pin([folder / "in"]), Fields(text="m[].content"))
    assert {one["row"]: one["text"] for one in texts} == known
    assert {one["row"] for one in rejects} == {*range(len(chats))} - {*known}
    rewritten(source, changes, folder / "out.parquet", text="m[].content")
    after = pq.read_table(folder / "out.parquet")
    assert after.schema.equals(table.schema)
    assert after.to_pylist() == expected


def test_paths_are_followed_once_for_a_batch(tmp_path, monkeypatch):
    path, asked = tmp_path / "a.parquet", []
    rows = [{"a": {"b": ["one", "two"]}, "c": "mail"}, {"a": {"b": ["x"]}, "c": "three"}]
    pq.write_table(pa.Table.from_pylist(rows), path)
    fields = Fields(text="a.b[]", columns=("c",))
    corpus = pin([path])

    def counted(batch, selected):
        asked.append(selected.name)
        return find_values(batch, selected)

    monkeypatch.setattr(parquet, "find_values", counted)
    assert [row["text"] for row in read_all(corpus, fields)[0]] == ["one\x1ftwo", "x"]
    assert asked == ["a.b[]"]
    asked.clear()
    rewritten(path, [(1, None)], tmp_path / "out.parquet", text="a.b[]", columns=("c",))
    assert asked == ["a.b[]", "c"]
