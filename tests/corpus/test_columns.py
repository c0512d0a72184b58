"""Columns that are named and cannot be read are refused before anything starts."""

import pytest

from tests.corpora import write_jsonl
from unrote.corpus.columns import refuse_columns
from unrote.corpus.errors import InputError
from unrote.corpus.pinning import pin
from unrote.corpus.rows import Fields

ROWS = [
    {"text": "a", "meta": {"email": "jane.roe@acme.com"}, "msgs": ["x"], "flat.name": "y"},
    {"text": "b", "meta": {}, "msgs": []},
]


@pytest.mark.parametrize("name", ["meta.email", "msgs[]", "chat[].content", "flat.other"])
def test_a_path_into_a_field_is_refused(tmp_path, name):
    """Nothing would be scanned, and the report would say that nothing was found."""
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(InputError) as raised:
        refuse_columns(pin([tmp_path]), Fields(columns=(name,)))
    assert repr(name) in str(raised.value)
    assert "flat.name, meta, msgs, text" in str(raised.value)


def test_a_field_may_have_a_name_that_looks_like_a_path(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    refuse_columns(pin([tmp_path]), Fields(columns=("flat.name",)))
