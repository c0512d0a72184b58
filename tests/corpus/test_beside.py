"""Rows of tables wait for their document's text, and none is dropped in silence."""

import pyarrow as pa
import pytest

from unrote.corpus.beside import DocumentSet, RowsBeside, beside, picking
from unrote.corpus.schema import DUPLICATES, SPANS

TEXT = pa.record_batch({"doc": [1], "text": ["a"]})
SPAN = pa.record_batch({"doc": [1, 1, 2], "start": [0, 5, 7], "end": [3, 6, 9]})
DUPLICATE = pa.record_batch({"doc": [2]})
TAGGED = [(SPANS.name, SPAN), (DUPLICATES.name, DUPLICATE), ("text", TEXT)]


def test_rows_are_held_by_document_until_they_are_taken():
    spans, removed = RowsBeside(SPANS.name, picking("start", "end")), DocumentSet(DUPLICATES.name)
    assert list(beside(iter(TAGGED), spans, removed)) == [TEXT]
    assert [spans.take(doc) for doc in (1, 1, 2, 3)] == [[(0, 3), (5, 6)], [], [(7, 9)], []]
    assert [removed.take(doc) for doc in (1, 2, 2)] == [False, True, False]


def test_a_table_that_nobody_takes_is_an_error():
    spans = RowsBeside(SPANS.name, picking("start", "end"))
    with pytest.raises(AssertionError, match=f"nobody takes rows of {DUPLICATES.name}"):
        list(beside(iter(TAGGED), spans))
    assert list(beside(iter(TAGGED), spans, ignored=(DUPLICATES.name,))) == [TEXT]
