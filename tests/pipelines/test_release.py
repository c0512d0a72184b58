"""The edit stage, on text that comes in more batches than its tables."""

import pyarrow as pa

from corpus.schema import DUPLICATES, SPANS, TEXT
from pipelines.release import Edit


def test_rows_wait_for_the_text_of_their_document():
    duplicates = [{"doc": 2, "reason": "near", "twin": 0, "similarity": 0.9}]
    spans = [
        {"doc": doc, "start": 2, "end": 4, "witness": 0, "witness_start": 0, "occurrences": 2}
        for doc in (1, 3)
    ]
    texts = [{"doc": doc, "text": "abcdef"} for doc in (1, 2, 3)]
    rows = [
        ("duplicates", pa.RecordBatch.from_pylist(duplicates, DUPLICATES.schema)),
        ("spans", pa.RecordBatch.from_pylist(spans, SPANS.schema)),
        *(("text", pa.RecordBatch.from_pylist([text], TEXT)) for text in texts),
    ]
    with Edit().open() as run:
        edits = [row for tag, b in run(iter(rows)) if tag == "edits" for row in b.to_pylist()]
    assert edits == [
        {"doc": 1, "field": 0, "text": "ab\nef"},
        {"doc": 2, "field": 0, "text": None},
        {"doc": 3, "field": 0, "text": "ab\nef"},
    ]
