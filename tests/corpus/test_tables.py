import itertools
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from unrote.corpus import tables
from unrote.corpus.errors import StorageError
from unrote.corpus.schema import DOCUMENTS, DUPLICATES, REJECTS
from unrote.corpus.tables import read_table, write_table


def rows(count):
    return pa.table(
        {
            "doc": np.arange(count),
            "reason": pa.array(["near", "exact", None, "é"] * (count // 4 + 1))[:count],
            "twin": pa.array([None if i % 5 == 0 else i * 7919 for i in range(count)], pa.int64()),
            "similarity": np.arange(count) / 7,
        },
        schema=DUPLICATES.schema,
    )


@examples(60)
@given(
    st.integers(0, 300),
    st.lists(st.integers(1, 299), max_size=6),
    st.sampled_from([7, 64, 1 << 20]),
    st.booleans(),
)
def test_bytes_do_not_depend_on_batches(tmp_path_factory, count, breaks, group, internal):
    folder = tmp_path_factory.mktemp("t")
    table = rows(count)
    with (
        patch.object(tables, "ROW_GROUP", group),
        patch.object(tables, "INTERNAL_ROW_GROUP", group),
    ):
        whole = write_table(folder / "whole", DUPLICATES.schema, table, internal=internal)
        bounds = sorted({0, count, *(b for b in breaks if b < count)})
        parts = [table.slice(a, b - a) for a, b in itertools.pairwise(bounds)]
        batches = [batch for part in parts for batch in part.combine_chunks().to_batches()]
        # Columns in another order.
        batches = [b.select(b.schema.names[::-1]) for b in batches]
        schema = DUPLICATES.schema
        streamed = write_table(folder / "parts", schema, iter(batches), internal=internal)
    content = (folder / "whole").read_bytes()
    assert content == (folder / "parts").read_bytes()
    assert whole == streamed == (count, len(content), xxhash.xxh3_128_hexdigest(content))
    assert pa.Table.from_batches(read_table(folder / "whole"), DUPLICATES.schema).equals(table)
    assert pq.read_metadata(folder / "whole").num_row_groups == -(-count // group)


def test_what_is_cast(tmp_path):
    batch = pa.record_batch(
        {
            "reason": pa.array(["a"]).dictionary_encode(),
            "shard": pa.array(["s"], pa.large_string()),
            "more": [1],
            "row": pa.array([3], pa.int32()),
            "doc": [7],
        }
    )
    write_table(tmp_path / "t", REJECTS.schema, batch)
    (read,) = read_table(tmp_path / "t")
    assert read.schema.equals(REJECTS.schema, check_metadata=True)
    assert read.to_pylist() == [{"doc": 7, "shard": "s", "row": 3, "reason": "a"}]


def test_folders_are_made_and_urls_written(tmp_path):
    for path in (tmp_path / "a" / "b" / "t.parquet", "memory://tables/x/t.parquet"):
        count, size, digest = write_table(path, DUPLICATES.schema, rows(9))
        assert (count, size > 0, len(digest)) == (9, True, 32)
        assert sum(len(batch) for batch in read_table(path)) == 9


def test_what_cannot_be_written_or_read(tmp_path):
    (tmp_path / "file").write_bytes(b"not Parquet")
    with pytest.raises(StorageError, match="cannot write"):
        write_table(tmp_path / "file" / "t", DUPLICATES.schema, rows(1))
    with pytest.raises(StorageError, match="cannot read"):
        list(read_table(tmp_path / "none"))
    with pytest.raises(StorageError, match="not a readable Parquet file"):
        list(read_table(tmp_path / "file"))


def test_an_error_of_the_rows_is_not_hidden(tmp_path):
    def failing():
        yield rows(3).to_batches()[0]
        raise RuntimeError("the stage failed")

    with pytest.raises(RuntimeError, match="the stage failed"):
        write_table(tmp_path / "t", DUPLICATES.schema, failing())


def test_others_read_documents(tmp_path):
    table = pa.table(
        {
            "doc": [0],
            "id": ["a"],
            "shard": ["s"],
            "row": [0],
            "source": ["x"],
            "bytes": [1],
            "words": [1],
        }
    )
    write_table(tmp_path / "t.parquet", DOCUMENTS.schema, table)
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == table.to_pylist()
