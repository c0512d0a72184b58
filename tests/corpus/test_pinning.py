import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.helpers import lines, read_all, stored
from tests.examples import examples
from unrote.corpus import pinning
from unrote.corpus.errors import InputChanged, InputError
from unrote.corpus.formats.jsonl import LineCuts
from unrote.corpus.pinning import check_sizes, pin
from unrote.corpus.schema import doc_key
from unrote.corpus.shard import Corpus, Shard

ONE = lines({"text": "a"})


def test_the_manifest_holds_it_all(tmp_path):
    stored(tmp_path, ONE * 3), stored(tmp_path / "x", ONE, "gz")
    corpus = pin([tmp_path], workers=3)
    tree = corpus.to_json()
    assert Corpus.from_json(json.loads(json.dumps(tree))) == corpus
    assert corpus.input_bytes == sum(shard.size for shard in corpus.shards) > 0
    for shard in corpus.shards:
        content = Path(shard.url).read_bytes()
        assert (shard.size, shard.checksum) == (len(content), xxhash.xxh3_128_hexdigest(content))
    assert set(tree["shards"][0]) == {
        "number",
        "name",
        "url",
        "format",
        "compression",
        "size",
        "checksum",
        "source",
    }
    for bad in ({}, {"shards": [{"number": 1}], "slices": []}, {"shards": 3}):
        with pytest.raises(InputError, match="malformed"):
            Corpus.from_json(bad)


def test_a_changed_shard(tmp_path):
    path = stored(tmp_path, ONE)
    corpus = pin([path])
    check_sizes(corpus)
    path.write_bytes(ONE * 2)
    with pytest.raises(InputChanged, match=r"has 28 bytes; it had 14 bytes"):
        check_sizes(corpus)
    path.unlink()
    with pytest.raises(InputChanged, match="is missing"):
        check_sizes(corpus)


def test_what_is_not_parquet(tmp_path):
    for content in (b"", b"PAR1", b"PAR1" + b"x" * 100 + b"PAR1"):
        (tmp_path / "bad.parquet").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.parquet is not a Parquet file"):
            pin([tmp_path])


def test_progress_adds_up(tmp_path):
    for i in range(5):
        stored(tmp_path, ONE * i, name=str(i))
    seen = []
    corpus = pin([tmp_path], 2, seen.append)
    assert sum(seen) == corpus.input_bytes


content_lines = st.sampled_from(
    [b"", b" ", b"\t\r", b"\t\x00", b"\x0b", b"{}", b'{"a": 1}', b"x" * 40, b"y" * 9]
)


@examples(300)
@given(
    st.lists(content_lines, max_size=30),
    st.booleans(),
    st.booleans(),
    st.integers(1, 60),
    st.integers(1, 50),
)
def test_cuts_are_as_defined_whatever_the_pieces(parts, ended, mark, size, chunk):
    content = b"\n".join(parts) + (b"\n" if ended and parts else b"")
    content = (b"\xef\xbb\xbf" if mark and chunk >= 3 else b"") + content
    cutter = LineCuts(Shard(0, "a.jsonl", "/a.jsonl", "jsonl", "", 0, "", "a"), size)
    for at in range(0, len(content), chunk):
        cutter.add(content[at : at + chunk], at)
    found = cutter.cuts(len(content))
    assert found[0].start == 0
    assert found[-1].end == len(content)
    plain = content.removeprefix(b"\xef\xbb\xbf")
    for cut, after in itertools.pairwise(found):
        assert cut.end == after.start
        assert content[: cut.end].endswith(b"\n")
        assert cut.end - cut.start >= size
        assert b"\n" not in content[max(cut.start + size - 1, cut.start) : cut.end - 1]
    for cut in found:
        head = plain[: max(0, cut.start - (len(content) - len(plain)))]
        assert cut.row == sum(bool(line.strip(b" \t\r")) for line in head.split(b"\n"))


@pytest.mark.parametrize("size", [1, 64, 100, 1000, 1 << 24])
def test_reading_does_not_depend_on_cuts(tmp_path, monkeypatch, size):
    content = b"\n\n".join(
        json.dumps({"text": f"t{i}" * (i % 7), "id": i}).encode() for i in range(50)
    )
    content = b"\xef\xbb\xbf" + content.replace(b"\n\n", b"\n  \r\n", 9)
    stored(tmp_path, content)
    monkeypatch.setattr(pinning, "CUT_BYTES", size)
    monkeypatch.setattr(pinning, "SLICE_BYTES", 3 * size)
    corpus = pin([tmp_path])
    rows, rejects = read_all(corpus)
    plain = content.removeprefix(b"\xef\xbb\xbf")
    truth = [json.loads(line) for line in plain.splitlines() if line.strip()]
    assert [row["text"] for row in rows] == [row["text"] for row in truth]
    assert [row["row"] for row in rows] == list(range(50))
    assert rejects == []
    # Every row's slice is the one whose cuts it was read from.
    for part in corpus.slices:
        alone, _ = read_all(Corpus(corpus.shards, (part,)))
        docs = np.array([row["doc"] for row in alone], dtype=np.int64)
        assert (corpus.slice_of(docs) == part.number).all()


def test_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(pinning, "CUT_BYTES", 28)
    monkeypatch.setattr(pinning, "SLICE_BYTES", 70)
    stored(tmp_path, ONE * 7, name="a")  # four cuts: 28, 28, 28, 14
    stored(tmp_path, ONE, name="b")
    (tmp_path / "c.txt").write_bytes(b"x" * 500)
    (tmp_path / "d.txt").write_bytes(b"")
    stored(tmp_path, b"", name="e")
    pq.write_table(pa.table({"text": ["a"] * 6}), tmp_path / "f.parquet", row_group_size=1)
    corpus = pin([tmp_path])
    layout = [[(cut.shard, cut.row) for cut in part.cuts] for part in corpus.slices]
    assert layout[:3] == [[(0, 0), (0, 2)], [(0, 4), (0, 6), (1, 0)], [(2, 0)]]
    assert layout[3] == [(3, 0), (4, 0)]
    assert {shard for shard, _ in layout[4]} == {5}
    assert [row for _, row in layout[4]] == list(range(6))  # one row group is above CUT_BYTES
    docs = np.array([doc_key(0, 3), doc_key(0, 4), doc_key(1, 0), doc_key(3, 0), doc_key(5, 5)])
    assert corpus.slice_of(docs).tolist() == [0, 1, 1, 3, 4]
