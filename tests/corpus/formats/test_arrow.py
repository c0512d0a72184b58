"""Arrow files and streams: the values of all that is not edited, and nothing of what is removed."""

import re

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.corpus.helpers import read_all, rewritten
from tests.examples import examples
from unrote.corpus.columns import refuse_columns, text_columns
from unrote.corpus.errors import InputError
from unrote.corpus.formats.arrow import CORRUPT, _codec
from unrote.corpus.pinning import pin
from unrote.corpus.rows import Fields

TYPES = {
    "plain": pa.string(),
    "large": pa.large_string(),
    "view": pa.string_view(),
    "words": pa.dictionary(pa.int8(), pa.string()),
}
texts = st.text(st.sampled_from("abé"), min_size=1, max_size=4)
COMPRESSIONS = [None, "lz4", "zstd"]


def write(path, table: pa.Table, is_file: bool = False, compression=None, rows: int = 1000):
    options = pa.ipc.IpcWriteOptions(compression=compression, unify_dictionaries=is_file)
    make = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with make(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


def load(path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        opened = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        return pa.Table.from_batches(list(opened.read_all().to_batches()), opened.schema)


@examples(150)
@given(
    st.lists(texts, min_size=1, max_size=12),
    st.sampled_from(sorted(TYPES)),
    st.booleans(),
    st.sampled_from(COMPRESSIONS),
    st.integers(1, 5),
    st.data(),
)
def test_edits_and_removals(tmp_path_factory, found, kind, is_file, compression, rows, data):
    folder = tmp_path_factory.mktemp("a")
    other = [f"beside-{number}" for number in range(len(found))]
    table = pa.table(
        {
            "n": pa.array(range(len(found)), pa.int16()),
            "text": pa.array(found, pa.string()).cast(TYPES[kind]),
            "other": pa.array(other).cast(data.draw(st.sampled_from(list(TYPES.values())))),
            "deep": [[{"a": text}, None] for text in other],
        }
    ).replace_schema_metadata({"huggingface": "{}"})
    path = write(folder / "a.arrow", table, is_file, compression, rows)
    everywhere = st.integers(0, len(found) - 1)
    changes = data.draw(st.dictionaries(everywhere, st.none() | texts))
    corpus = pin([path])
    assert [row["text"] for row in read_all(corpus)[0]] == found
    same = load_of(rewritten(path, [], folder / "same"), folder)
    assert same.to_pylist() == table.to_pylist()
    content = rewritten(path, sorted(changes.items()), folder / "out")
    new = load_of(content, folder)
    assert new.schema.equals(table.schema, check_metadata=True)
    kept = [at for at in range(len(found)) if changes.get(at, "") is not None]
    assert new.column("n").to_pylist() == kept
    assert new.column("text").to_pylist() == [changes.get(at, found[at]) for at in kept]
    assert new.drop_columns("text").to_pylist() == (
        table.drop_columns("text").take(pa.array(kept, pa.int64())).to_pylist()
        if not any(pa.types.is_string_view(kind) for kind in table.schema.types)
        else [row for at, row in enumerate(table.drop_columns("text").to_pylist()) if at in kept]
    )
    assert content.startswith(b"ARROW1") == is_file
    if compression is None:
        for at, text in enumerate(other):
            assert (re.search(rf"{text}(?!\d)".encode(), content) is not None) == (at in kept)
    elif kept:
        (folder / "b.arrow").write_bytes(content)
        assert _codec(pin([folder / "b.arrow"]).shards[0]) == compression


def load_of(content: bytes, folder) -> pa.Table:
    (folder / "loaded.arrow").write_bytes(content)
    return load(folder / "loaded.arrow")


def test_rejects_and_named_columns(tmp_path):
    bad = pa.array([b"a", b"\xff", None, b"d"], pa.binary()).view(pa.string())
    table = pa.table({"text": bad, "title": ["w", "x", "y", "z"], "id": [7, 8, 9, 10]})
    path = write(tmp_path / "a.arrow", table, rows=3)
    fields = Fields(columns=("title",))
    assert text_columns(pin([path])) == ["text", "title"]
    found, rejected = read_all(pin([path]), fields)
    assert [(row["id"], row["columns"]) for row in found] == [("7", ["w"]), ("10", ["z"])]
    assert [row["reason"] for row in rejected] == ["invalid UTF-8", "text is null"]
    rewritten(path, [(3, 1, "new")], tmp_path / "out", columns=("title",))
    assert load(tmp_path / "out").to_pylist() == [
        {"text": "a", "title": "w", "id": 7},
        {"text": "d", "title": "new", "id": 10},
    ]
    found, _ = read_all(pin([path]), selected=[3])
    assert [row["row"] for row in found] == [3]


def test_told_by_content(tmp_path):
    table = pa.table({"text": ["a", "b"]})
    write(tmp_path / "a.jsonl", table)
    write(tmp_path / "b.csv.gz", table, is_file=True)
    pq.write_table(table, tmp_path / "c.json")
    pyarrow.feather.write_feather(table, tmp_path / "d.feather")
    corpus = pin([tmp_path])
    assert [shard.format for shard in corpus.shards] == ["arrow", "arrow", "parquet", "arrow"]
    assert _codec(corpus.shards[3]) == "lz4"
    assert [row["text"] for row in read_all(corpus)[0]] == ["a", "b"] * 4


@pytest.mark.parametrize("is_file", [True, False])
def test_cut_off(tmp_path, is_file):
    table = pa.table({"text": [f"{n:099d}" for n in range(40)]})
    whole = write(tmp_path / "a.arrow", table, is_file, rows=10).read_bytes()
    (tmp_path / "a.arrow").write_bytes(whole[: len(whole) * 2 // 3])
    if is_file:
        with pytest.raises(InputError, match=r"is not a whole Arrow file: .* whole one"):
            pin([tmp_path])
        return
    found, rejected = read_all(pin([tmp_path]))
    assert [row["row"] for row in found] == list(range(20))
    assert [(row["row"], row["reason"]) for row in rejected] == [(20, CORRUPT)]
    rewritten(tmp_path / "a.arrow", [], tmp_path / "out")
    assert len(load(tmp_path / "out")) == 20


def test_what_is_no_arrow(tmp_path):
    (tmp_path / "a.arrow").write_bytes(b'{"text": "a"}\n')
    with pytest.raises(InputError, match="is no Arrow file or stream"):
        pin([tmp_path])


@examples(100)
@given(st.integers(0, 2000), st.integers(0, 255), st.booleans())
@example(96, 128, False)
def test_damage_is_told_and_kills_nobody(tmp_path_factory, at, byte, is_file):
    folder = tmp_path_factory.mktemp("d")
    table = pa.table({"text": ["ab", "c"] * 4, "deep": [["x"], None] * 4})
    content = bytearray(write(folder / "a.arrow", table, is_file, rows=3).read_bytes())
    content[at % len(content)] = byte
    (folder / "a.arrow").write_bytes(content)
    try:
        corpus = pin([folder / "a.arrow"])
        refuse_columns(corpus, Fields())
        found, _ = read_all(corpus)
        rewritten(folder / "a.arrow", [], folder / "out")
    except InputError:
        return
    assert len(load(folder / "out")) == len(found)


@pytest.mark.parametrize(
    "kind",
    [pa.list_view(pa.string()), pa.list_(pa.string_view()), pa.struct({"a": TYPES["words"]})],
)
def test_types_that_would_keep_what_is_removed(tmp_path, kind):
    table = pa.table({"text": ["a"], "x": pa.nulls(1, kind)})
    write(tmp_path / "a.arrow", table)
    with pytest.raises(InputError, match="values of removed rows would stay"):
        pin([tmp_path])
