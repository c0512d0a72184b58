import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.helpers import lines, pack, read_all, stored
from tests.examples import examples
from unrote.corpus import pinning, storage, streams
from unrote.corpus import rows as corpus_rows
from unrote.corpus.errors import InputError, StorageError
from unrote.corpus.pinning import pin
from unrote.corpus.read import Fields, read_cut
from unrote.corpus.schema import doc_key

ROWS = [{"text": f"row {i} " + "é" * (i % 90), "id": f"n{i}"} for i in range(400)]
KINDS = ["", "gz", "zst", "parquet"]


def corpus_of(folder, kind, rows=ROWS):
    if kind == "parquet":
        folder.mkdir(exist_ok=True, parents=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet", row_group_size=37)
        return pin([folder])
    stored(folder, lines(*rows), kind)
    return pin([folder])


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_rows(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(pinning, "CUT_BYTES", 5000)
    monkeypatch.setattr(storage, "CHUNK", 300)
    monkeypatch.setattr(streams, "CHUNK", 300)
    corpus = corpus_of(tmp_path / "in", kind)
    rows, rejects = read_all(corpus)
    assert rejects == []
    assert [(r["row"], r["text"], r["id"]) for r in rows] == [
        (i, row["text"], row["id"]) for i, row in enumerate(ROWS)
    ]
    assert [(r["doc"], r["text"]) for r in read_all(corpus, view="text")[0]] == [
        (i, row["text"]) for i, row in enumerate(ROWS)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_wanted_rows_only(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(pinning, "CUT_BYTES", 5000)
    monkeypatch.setattr(storage, "CHUNK", 300)
    corpus = corpus_of(tmp_path / "in", kind)
    for selected in ([], [0], [399], [5, 6, 7, 200], list(range(0, 400, 3)), list(range(400))):
        others = [doc_key(1, 4), doc_key(9, 0)]  # of other shards
        rows, _ = read_all(corpus, selected=[*selected, *others])
        assert [row["row"] for row in rows] == selected
        assert [row["text"] for row in rows] == [ROWS[i]["text"] for i in selected]


def test_unwanted_rows_are_not_looked_into(tmp_path):
    path = stored(tmp_path, b'broken\n{"text": "a"}\n\xff\n\n{"text": "b"}\nbroken')
    rows, rejects = read_all(pin([path]), selected=[1, 3])
    assert [row["text"] for row in rows] == ["a", "b"]
    assert rejects == []
    assert [row["row"] for row in read_all(pin([path]), selected=[2])[1]] == [2]


@pytest.mark.parametrize("kind", ["gz", "zst", "xz", "bz2"])
def test_truncated_everywhere(tmp_path, kind):
    content = lines(*ROWS[:30])
    whole = pack(content, kind)
    path = tmp_path / f"a.jsonl.{kind}"
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        rows, rejects = read_all(pin([path]))
        assert [row["text"] for row in rows] == [row["text"] for row in ROWS[: len(rows)]]
        assert [(r["row"], r["reason"]) for r in rejects] == [
            (len(rows), "compressed data ends early")
        ]
    path.write_bytes(whole)
    assert len(read_all(pin([path]))[0]) == 30


@pytest.mark.parametrize("kind", ["gz", "zst", "xz", "bz2"])
def test_an_empty_file_has_no_rows(tmp_path, kind):
    (tmp_path / f"a.jsonl.{kind}").write_bytes(b"")
    assert read_all(pin([tmp_path])) == ([], [])


@pytest.mark.parametrize("kind", ["gz", "zst", "xz", "bz2"])
def test_corrupt_bytes_are_noticed(tmp_path, kind):
    content = lines(*ROWS)
    path = tmp_path / f"a.jsonl.{kind}"
    for at in range(12, len(pack(content, kind)), 97):
        bad = bytearray(pack(content, kind))
        bad[at] ^= 0x55
        path.write_bytes(bad)
        rows, rejects = read_all(pin([path]))
        assert rejects, at
        assert rejects[-1]["reason"].startswith("compressed data")
        assert rejects[-1]["row"] == len(rows) + len(rejects) - 1
    path.write_bytes(pack(content, kind) + b"garbage that is no member")
    rows, rejects = read_all(pin([path]))
    assert (len(rows), rejects[0]["reason"]) == (400, "compressed data is corrupt")


def test_members_frames_and_padding(tmp_path):
    one, two = lines(*ROWS[:7]), lines(*ROWS[7:9])[:-1]
    half = len(one) // 2
    gz = (
        pack(one[:half], "gz")
        + pack(b"", "gz")
        + b"\0" * 100
        + pack(one[half:] + two, "gz")
        + b"\0"
    )
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    unsized = zstandard.ZstdCompressor().compressobj()
    zst = skippable + pack(one[:half], "zst") + skippable + pack(b"", "zst")
    zst += unsized.compress(one[half:] + two) + unsized.flush()
    for name, content in [("a.jsonl.gz", gz), ("b.jsonl.zst", zst)]:
        (tmp_path / name).write_bytes(content)
        rows, rejects = read_all(pin([tmp_path / name]))
        assert [row["text"] for row in rows] == [row["text"] for row in ROWS[:9]]
        assert rejects == []


@pytest.mark.parametrize("kind", ["", "gz", "zst"])
def test_a_document_of_many_megabytes(tmp_path, kind):
    big = "0123456789 \n" * 1_700_000
    path = stored(tmp_path, lines({"text": "a"}, {"text": big}, {"text": "b"}), kind)
    corpus = pin([path])
    assert [row["text"] for row in read_all(corpus, view="text")[0]] == ["a", big, "b"]
    if not kind:
        assert [cut.row for cut in corpus.slices[0].cuts] == [0, 2]


def test_much_from_little(tmp_path):
    content = lines({"text": ""}) * 2_000_000
    for kind in ("gz", "zst"):
        path = stored(tmp_path, content, kind)
        with path.open("rb") as file:
            assert sum(map(len, streams.decompressed(file, kind))) == len(content)
    held_back = zlib.compressobj(9, zlib.DEFLATED, 31)
    (tmp_path / "x.jsonl.gz").write_bytes(held_back.compress(b" " * 30_000_000) + held_back.flush())
    with (tmp_path / "x.jsonl.gz").open("rb") as file:
        assert sum(map(len, streams.decompressed(file, "gz"))) == 30_000_000


def test_a_shard_that_went_away(tmp_path):
    for kind in KINDS:
        corpus = corpus_of(tmp_path / f"x{kind}", kind)
        for shard in corpus.shards:
            Path(shard.url).unlink()
        with pytest.raises(StorageError, match=r"cannot read .*No such file"):
            read_all(corpus)


@examples(60)
@given(st.data(), st.sampled_from(["", "gz", "zst", "parquet"]), st.integers(1, 200))
def test_named_columns(tmp_path_factory, data, kind, size):
    text = st.text(max_size=9).map(lambda value: value.encode("utf-8", "ignore").decode())
    other = st.none() | text if kind == "parquet" else st.none() | text | st.booleans()
    rows = data.draw(
        st.lists(
            st.fixed_dictionaries({"text": text}, optional={"title": other, "author": other}),
            min_size=1,
            max_size=20,
        )
    )
    folder = tmp_path_factory.mktemp("columns")
    if kind == "parquet":
        schema = pa.schema([(n, pa.string()) for n in {n: 0 for row in rows for n in row}])
        table = pa.Table.from_pylist(rows, schema)
        pq.write_table(table, folder / "a.parquet", row_group_size=3)
    else:
        stored(folder, lines(*rows), kind)
    names = data.draw(st.lists(st.sampled_from(["title", "author", "none", "a.b"]), unique=True))
    before = pinning.CUT_BYTES, corpus_rows.BATCH_BYTES
    pinning.CUT_BYTES = corpus_rows.BATCH_BYTES = size
    try:
        fields = Fields(columns=tuple(names))
        corpus = pin([folder])
        found, rejects = read_all(corpus, fields)
        some = [row for row in range(len(rows)) if row % 3 == 1]
        selected, _ = read_all(corpus, fields, selected=some)
    finally:
        pinning.CUT_BYTES, corpus_rows.BATCH_BYTES = before
    assert rejects == []
    assert [row["columns"] for row in found] == [
        [row[n] if isinstance(row.get(n), str) else None for n in names] for row in rows
    ]
    assert [row["text"] for row in found] == [row["text"] for row in rows]
    assert selected == [found[row] for row in some]


def test_batches_are_bounded_by_what_named_columns_hold_too(tmp_path, monkeypatch):
    monkeypatch.setattr("unrote.corpus.rows.BATCH_BYTES", 100)
    rows = [{"text": "x" * a, "title": "y" * b} for a, b in [(10, 40), (20, 30), (1, 0), (1, 999)]]
    for kind in ("", "parquet"):
        corpus = corpus_of(tmp_path / f"in{kind}", kind, rows)
        fields, (cut,) = Fields(columns=("title",)), corpus.slices[0].cuts
        sizes = {
            view: [batch.num_rows for _, batch in read_cut(corpus, cut, fields, view)]
            for view in ("records", "text")
        }
        assert sizes == {"records": [2, 1, 1], "text": [4]}


# Text files


def test_text_files(tmp_path):
    for name, content in [("a", b"one\r\n\0"), ("b", b""), ("c", b"\xff"), ("d", b"\xef\xbb\xbfx")]:
        (tmp_path / f"{name}.txt").write_bytes(content)
    corpus = pin([tmp_path])
    rows, rejects = read_all(corpus)
    assert [(r["id"], r["row"], r["text"], r["source"], r["order"]) for r in rows] == [
        (f"{name}.txt", 0, text, tmp_path.name, None)
        for name, text in [("a", "one\r\n\0"), ("b", ""), ("d", "x")]
    ]
    assert rejects == [
        {"doc": doc_key(2, 0), "shard": "c.txt", "row": 0, "reason": "invalid UTF-8"}
    ]
    assert [r["text"] for r in read_all(corpus, selected=[doc_key(3, 0)])[0]] == ["x"]
    assert {len(row["columns"]) for row in rows} == {0}
    rows, _ = read_all(corpus, Fields(columns=("title", "author")))
    assert [row["columns"] for row in rows] == [[None, None]] * 3


# Parquet

TEXTS = ["a", None, "é" * 50, "", "x"]
TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
]


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("group", [1, 2, 10])
def test_parquet_text_types(tmp_path, kind, group):
    plain = pa.array(TEXTS)
    text = (
        plain.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else plain.cast(kind)
    )
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet", row_group_size=group)
    rows, rejects = read_all(pin([tmp_path]))
    assert [(r["row"], r["text"]) for r in rows] == [(0, "a"), (2, "é" * 50), (3, ""), (4, "x")]
    assert [r["id"] for r in rows] == [f"a.parquet#{i}" for i in (0, 2, 3, 4)]
    assert [(r["row"], r["reason"]) for r in rejects] == [(1, "text is null")]


def test_parquet_ids_sources_and_orders(tmp_path):
    table = pa.table(
        {
            "text": ["a", "b", "c"],
            "int": pa.array([1, None, 3]),
            "bool": [True, False, None],
            "time": pa.array([0, 1, None], pa.timestamp("s")),
            "list": [[1], [2], [3]],
            "bytes": [b"x", b"y", b"z"],
            "words": pa.array(["u", "v", None]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    corpus = pin([tmp_path])

    def column(name, **fields):
        return [row[name] for row in read_all(corpus, Fields(**fields))[0]]

    derived = [f"a.parquet#{i}" for i in range(3)]
    assert column("id", id="int") == ["1", derived[1], "3"]
    assert column("id", id="list") == column("id", id="bytes") == column("id", id="none") == derived
    assert column("id", id="text") == ["a", "b", "c"]
    assert column("source", source="words") == ["u", "v", tmp_path.name]
    assert column("order", order="bool") == ["true", "false", None]
    assert column("order", order="time") == [
        "1970-01-01 00:00:00.000",
        "1970-01-01 00:00:01.000",
        None,
    ]
    assert column("order", order="list") == [None] * 3


def test_parquet_columns_that_will_not_do(tmp_path):
    pq.write_table(pa.table({"body": ["a"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no column 'text'. Columns there: body, n"):
        read_all(pin([tmp_path]))
    with pytest.raises(InputError, match=r"column 'n' of .* is int64; allowed are string"):
        read_all(pin([tmp_path]), Fields(text="n"))


def test_parquet_named_columns_that_will_not_do(tmp_path):
    table = pa.table({"text": ["a"], "n": [1], "s": [{"x": "y"}], "b": [b"y"]})
    pq.write_table(table.append_column("t", pa.array(["1"])), tmp_path / "a.parquet")
    corpus = pin([tmp_path])
    for name, kind in (("n", "int64"), ("s", r"struct<x: string>"), ("b", "binary")):
        for view in ("records", "text"):
            with pytest.raises(
                InputError, match=f"column '{name}' of .* is {kind}; allowed are st"
            ):
                read_all(corpus, Fields(columns=("t", name)), view)
    assert read_all(corpus, Fields(columns=("t", "s.x")))[0][0]["columns"] == ["1", "y"]
    table = pa.Table.from_arrays([pa.array(["a"])] * 3, ["text", "t", "t"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has 2 columns 't'"):
        read_all(corpus, Fields(columns=("t",)))


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_parquet_named_column_types(tmp_path, kind):
    plain = pa.array(TEXTS)
    title = (
        plain.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else plain.cast(kind)
    )
    table = pa.table({"text": ["a"] * 5, "title": title, "a.b": TEXTS, "a": [{"b": "no"}] * 5})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    rows, rejects = read_all(pin([tmp_path]), Fields(columns=("a\\.b", "title")))
    assert rejects == []
    assert [row["columns"] for row in rows] == [[text, text] for text in TEXTS]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_parquet_named_column_that_is_not_utf8(tmp_path, kind):
    bad = (
        pa.array([b"ok", b"\xff", None, b"\xed\xa0\x80", "é".encode()]).view(pa.string()).cast(kind)
    )
    pq.write_table(pa.table({"text": list("abcde"), "title": bad}), tmp_path / "a.parquet")
    corpus = pin([tmp_path])
    assert len(read_all(corpus)[0]) == 5
    rows, rejects = read_all(corpus, Fields(columns=("title",)))
    assert [(row["row"], row["columns"]) for row in rows] == [(0, ["ok"]), (2, [None]), (4, ["é"])]
    assert [(row["row"], row["reason"]) for row in rejects] == [
        (1, "invalid UTF-8"),
        (3, "invalid UTF-8"),
    ]
    rows, _ = read_all(corpus, Fields(columns=("title",)), view="text")
    assert [row["doc"] for row in rows] == [0, 2, 4]


def test_parquet_that_is_damaged_in_a_named_column(tmp_path):
    path = tmp_path / "a.parquet"
    long = [f"{i} " + "abcdefgh" * 20 for i in range(300)]
    table = pa.table({"text": long, "title": long})
    pq.write_table(table, path, row_group_size=100, compression="zstd", use_dictionary=False)
    with pq.ParquetFile(path) as file:
        at = file.metadata.row_group(1).column(1).data_page_offset
    content = bytearray(path.read_bytes())
    for offset in range(at, at + 40):
        content[offset] ^= 0xA5
    path.write_bytes(content)
    corpus = pin([path])
    assert len(read_all(corpus)[0]) == 300
    for view in ("records", "text"):
        rows, _ = read_all(corpus, Fields(columns=("title",)), view)
        assert [row["doc"] for row in rows] == [*range(100), *range(200, 300)]


def test_parquet_text_that_is_not_utf8(tmp_path):
    bad = pa.array([b"ok", b"\xff", b"\xed\xa0\x80", "é".encode()]).view(pa.string())
    pq.write_table(pa.table({"text": bad, "id": bad}), tmp_path / "a.parquet")
    rows, rejects = read_all(pin([tmp_path]), Fields(text="text", id="id", order="id"))
    assert [(r["row"], r["id"]) for r in rows] == [(0, "ok"), (3, "é")]
    assert [(r["row"], r["reason"]) for r in rejects] == [
        (1, "invalid UTF-8"),
        (2, "invalid UTF-8"),
    ]


def test_parquet_that_is_damaged(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"{i} " + "abcdefgh" * 20 for i in range(300)]})
    pq.write_table(table, path, row_group_size=100, compression="zstd", use_dictionary=False)
    second = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    for at in range(second.data_page_offset, second.data_page_offset + 40):
        content[at] ^= 0xA5
    path.write_bytes(content)
    for view in ("records", "text"):
        rows, rejects = read_all(pin([path]), view=view)
        assert [row["doc"] for row in rows] == [*range(100), *range(200, 300)]
    _, rejects = read_all(pin([path]))
    assert [r["row"] for r in rejects] == list(range(100, 200))
    assert {r["reason"] for r in rejects} == {"Parquet data is corrupt"}


def test_empty_parquet(tmp_path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert read_all(pin([tmp_path])) == ([], [])


@examples(60)
@given(
    st.lists(st.text(max_size=30), max_size=30),
    st.integers(1, 200),
    st.sampled_from(["", "gz", "zst"]),
)
def test_any_texts_come_back(tmp_path_factory, texts, cut, kind):
    folder = tmp_path_factory.mktemp("any")
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    stored(folder, lines(*({"text": text} for text in texts)), kind)
    before = pinning.CUT_BYTES
    pinning.CUT_BYTES = cut
    try:
        assert [row["text"] for row in read_all(pin([folder]), view="text")[0]] == texts
    finally:
        pinning.CUT_BYTES = before
