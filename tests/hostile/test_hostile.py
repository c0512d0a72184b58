"""Damaged input of every kind, for some seconds; `make fuzz` goes on for as long as it is told."""

import bz2
import contextlib
import io
import json
import lzma
import tempfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fsspec.implementations.memory import MemoryFile
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.hostile import runs
from benchmarks.hostile.changes import KINDS, TOKENS, Change, changed
from benchmarks.hostile.readers import FIELDS, check, rows_of
from benchmarks.hostile.seeds import PACK, seeds
from benchmarks.hostile.tries import once
from tests.examples import examples
from unrote.corpus.columns import refuse_columns
from unrote.corpus.errors import InputError, UnroteError
from unrote.corpus.finding import find
from unrote.corpus.pinning import pin
from unrote.corpus.read import Fields

SEEDS = list(seeds())
CHANGES = st.builds(
    Change,
    kind=st.sampled_from(KINDS),
    where=st.floats(0, 1),
    size=st.sampled_from((1, 2, 4, 8, 100)),
    put=st.sampled_from(TOKENS) | st.binary(max_size=12),
)


def read(name: str, content: bytes, fields=FIELDS[0]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "in" / name, Path(folder) / "out" / name
        path.parent.mkdir()
        out.parent.mkdir()
        path.write_bytes(content)
        try:
            return check(path, out, fields)
        except UnroteError as error:
            return str(error)


@examples(300)
@given(
    st.sampled_from(SEEDS), st.lists(CHANGES, max_size=4), st.booleans(), st.sampled_from(FIELDS)
)
def test_what_is_read_comes_back(seed, changes, packed, fields):
    name, content, pack = seed
    content = changed(pack(content), changes) if packed else pack(changed(content, changes))
    assert "\n" not in read(name, content, fields)


@pytest.mark.parametrize(("name", "pack"), [(name, pack) for name, _, pack in SEEDS])
@examples(10)
@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_under_any_name(name, pack, content):
    read(name, content)
    read(name, pack(content))


@pytest.mark.parametrize(
    ("name", "content", "came"),
    [
        ("first.json", b'[{"id": 1}, {"text": "a"}]', "rejects"),
        ("mark.json", b'\xef\xbb\xbf[\n{"id": 1}, {"text": "a"}]', "rejects"),
        ("behind.json", b'[{"text": "a"}, {"text": "b"}\x00\x04]', "rejects"),
        ("digits.json", b'{\n"id": ' + b"9" * 5000 + b"}\n{}", "rejects"),
        ("digits.jsonl", b'{"id": ' + b"9" * 5000 + b"}\n", "rejects"),
        ("deep.json", b"[" + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"]", "rejects"),
    ],
)
def test_what_was_found(name, content, came):
    assert read(name, content) == came


def test_a_record_that_ends_before_the_damage_is_a_row(tmp_path):
    name, content, pack = next(seed for seed in SEEDS if seed[0] == "a.csv.xz")
    torn = pack(content)[:-12]
    assert read(name, torn) == "rejects"
    whole, _ = _rows(tmp_path, name, pack(content))
    rows, reasons = _rows(tmp_path, name, torn)
    assert (rows, list(reasons.values())) == (whole, ["compressed data ends early"])


def _rows(folder, name, content):
    (folder / name).write_bytes(content)
    return rows_of(pin([folder / name]), Fields(), "records")


@pytest.mark.parametrize("target", runs.TARGETS)
def test_runs(target):
    """The same numbers every time: `make fuzz` tries others."""
    for number in range(777_100, 777_106):
        came, is_fault = once(runs.TARGETS[target], number)
        assert not is_fault, f"python -m benchmarks.hostile --try {number} {target}: {came}"


@pytest.mark.parametrize("rows", [12, 14])
def test_parquet_that_lies_about_its_rows(tmp_path, rows):
    """Each number of 13 in the footer is made another one: all rows are read, or none."""
    texts = [f"text {n}" for n in range(13)]
    sink = io.BytesIO()
    table = pa.table({"id": texts, "text": texts})
    pq.write_table(table, sink, compression="none", store_schema=False)
    content = sink.getvalue()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    lies = [at for at in range(footer, len(content) - 8) if content[at] == 13 << 1]
    assert len(lies) > 4
    for at in lies:
        lie = content[:at] + bytes([rows << 1]) + content[at + 1 :]
        try:
            found, reasons = _rows(tmp_path, "a.parquet", lie)
        except UnroteError:
            continue
        assert list(found.values()) == texts[: len(found)]
        assert len(found) + len(reasons) == 13


MIB = 1 << 14
"""What stands for a MiB here, so that a bomb is made in milliseconds."""


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr("unrote.corpus.rows.EXPANDED", 64 * MIB)
    monkeypatch.setattr("unrote.corpus.formats.parquet.DECODED", 256 * MIB)


def bombs():
    """Files of some kilobytes that become gigabytes."""
    zeros = b'{"text": "' + b"0" * (66 * MIB)
    yield "a.jsonl.gz", PACK[".gz"](zeros)
    yield "a.jsonl.zst", zstandard.ZstdCompressor(level=1).compress(zeros)
    yield "a.csv.xz", lzma.compress(b"text\n" + zeros, preset=0)
    yield "a.json.bz2", bz2.compress(b"[{" + zeros, 1)
    lines = b'{"text": "a b"}\n' * (5 * MIB)
    yield "lines.jsonl.gz", PACK[".gz"](lines)
    head = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\n"
    head += b"Content-Length: %d\r\n\r\n"
    yield "a.wet.gz", PACK[".gz"](head % len(zeros) + zeros + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("name", "content"), bombs(), ids=lambda one: one if isinstance(one, str) else ""
)
def test_bombs(tmp_path, small, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"more than 200 times as large.*input\.max_expansion"):
        _rows(tmp_path, name, content)


@pytest.mark.usefixtures("small")
class TestTables:
    def test_a_dictionary_in_parquet(self, tmp_path):
        text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(MIB, np.int32)), ["x" * 2 * MIB])
        sink = io.BytesIO()
        pq.write_table(
            pa.table({"text": text}),
            sink,
            row_group_size=MIB,
            store_schema=False,
            dictionary_pagesize_limit=64 * MIB,
        )
        with pytest.raises(InputError, match=r"input\.max_expansion"):
            _rows(tmp_path, "a.parquet", sink.getvalue())

    def test_a_page_in_parquet(self, tmp_path):
        sink = io.BytesIO()
        pq.write_table(
            pa.table({"text": ["x" * 66 * MIB]}), sink, compression="zstd", use_dictionary=False
        )
        with pytest.raises(InputError, match=r"input\.max_expansion"):
            refused(tmp_path, "a.parquet", sink.getvalue())

    @pytest.mark.parametrize("codec", ["zstd", "lz4"])
    @pytest.mark.parametrize("open_writer", [pa.ipc.new_file, pa.ipc.new_stream])
    def test_a_buffer_in_arrow(self, tmp_path, codec, open_writer):
        sink = io.BytesIO()
        table = pa.table({"text": ["x" * 66 * MIB]})
        with open_writer(
            sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)
        ) as writer:
            writer.write_table(table)
        with pytest.raises(InputError, match=r"input\.max_expansion"):
            refused(tmp_path, "a.arrow", sink.getvalue())

    def test_a_dictionary_in_arrow(self, tmp_path):
        text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(MIB, np.int8)), ["x" * MIB])
        sink, table = io.BytesIO(), pa.table({"text": text})
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        with pytest.raises(InputError, match=r"input\.max_expansion"):
            _rows(tmp_path, "a.arrow", sink.getvalue())


def refused(folder, name, content):
    (folder / name).write_bytes(content)
    refuse_columns(pin([folder / name]), Fields())


def test_what_is_meant_to_expand(tmp_path, small):
    content = PACK[".gz"](b'{"text": "a b"}\n' * (5 * MIB))
    (tmp_path / "a.jsonl.gz").write_bytes(content)
    texts, _ = rows_of(pin([tmp_path / "a.jsonl.gz"]), Fields(max_expansion=600), "text")
    assert len(texts) == 5 * MIB


@pytest.mark.parametrize("name", ["../../elsewhere.arrow", "/etc/data.arrow", 1, None])
def test_a_saved_data_set_that_names_files_elsewhere(tmp_path, name):
    table = pa.table({"text": ["some words"]})
    (tmp_path / "in").mkdir()
    with pa.ipc.new_stream(tmp_path / "in" / "data-00000.arrow", table.schema) as writer:
        writer.write_table(table)
    state = {"_data_files": [{"filename": name}], "_fingerprint": "0"}
    (tmp_path / "in" / "state.json").write_text(json.dumps(state))
    with runs.watched(tmp_path, writes=("out",)):
        done = runs.command("dedup", tmp_path / "in", "-o", tmp_path / "out", *runs.PLAIN)
    assert done.status == 2
    assert "save_to_disk" in done.err


def test_a_name_that_leads_out_of_the_result():
    """Stores have such keys; folders of a disk do not."""
    store = fsspec.filesystem("memory")
    for key in ("/a/x/../../../up.jsonl", "/a/b//c.jsonl", "/a/ok.jsonl"):
        store.store[key] = MemoryFile(store, key, b'{"text": "some words"}\n')
    try:
        with contextlib.suppress(InputError):
            assert not [shard for shard in find(["memory://a"]) if ".." in shard.name.split("/")]
    finally:
        store.store.clear()
