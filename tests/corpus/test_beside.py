"""Rows of tables wait for their document's text, and none is dropped in silence."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.beside import (
    DocumentSet,
    NumbersBeside,
    RowsBeside,
    beside,
    picking,
    with_range,
)
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


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=20),
    st.lists(st.sets(st.integers(0, 9), min_size=1), max_size=3),
    st.integers(1, 5),
)
def test_numbers_are_held_until_their_documents_are_taken(rows, texts, size):
    """As rows are, whatever the batches that the table and the texts come in."""
    rows.sort()
    numbers = NumbersBeside("copies", "start")
    by_document = RowsBeside("copies", picking("start"))
    for at in range(0, len(rows), size):
        columns = zip(*rows[at : at + size], strict=True)
        batch = pa.record_batch([pa.array(c, pa.int64()) for c in columns], ["doc", "start"])
        assert numbers.learn("copies", batch)
        assert by_document.learn("copies", batch)
    assert not numbers.learn("other", SPAN)
    read = -1
    for docs in texts:
        batch = sorted(doc for doc in docs if doc > read)
        if batch:
            read = batch[-1]
            expected = [[i, *row] for i, doc in enumerate(batch) for row in by_document.take(doc)]
            assert numbers.take(batch).tolist() == expected


def test_texts_come_with_all_rows_of_their_range():
    """However both are cut into batches; a range's rows are gone when the next one's come."""
    more, other = SPAN.slice(0, 1), SPAN.slice(2, 1)
    tagged = [("spans", SPAN), ("spans", more), ("text", TEXT), ("text", TEXT.slice(0, 0)),
              ("text", TEXT), ("spans", other), ("text", TEXT)]  # fmt: skip
    found = [(rows.to_pylist(), texts) for rows, texts in with_range(iter(tagged))]
    whole = SPAN.to_pylist() + more.to_pylist()
    assert found == [(whole, TEXT), (whole, TEXT), (other.to_pylist(), TEXT)]
