"""Columns that are named and cannot be read are refused before anything starts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import write_jsonl
from unrote.corpus.columns import refuse_columns, text_columns
from unrote.corpus.errors import InputError
from unrote.corpus.pinning import pin
from unrote.corpus.rows import Fields

ROWS = [
    {"text": "a", "meta": {"email": "jane.roe@acme.com"}, "msgs": ["x"], "flat.name": "y"},
    {"text": "b", "meta": {}, "msgs": []},
]


def test_paths_to_strings_are_named(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [*ROWS, {"by id": {str(n): "x" for n in range(99)}}])
    assert text_columns(pin([tmp_path])) == [
        "by id", "flat\\.name", "meta.email", "msgs[]", "text"
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "b.parquet")
    (tmp_path / "a.jsonl").unlink()
    assert text_columns(pin([tmp_path])) == ["flat\\.name", "meta.email", "msgs[]", "text"]


@pytest.mark.parametrize("fields", [Fields(columns=("flat.name",)), Fields(text="flat.name")])
def test_a_field_whose_name_looks_like_a_path_is_pointed_out(tmp_path, fields):
    """Nothing would be scanned, and the report would say that nothing was found."""
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(InputError, match=r"write 'flat\\\.name'"):
        refuse_columns(pin([tmp_path]), fields)


@pytest.mark.parametrize("name", ["flat\\.name", "meta.email", "msgs[]", "msgs[].later"])
def test_a_path_is_read(tmp_path, name):
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    refuse_columns(pin([tmp_path]), Fields(columns=(name,)))
