"""The edit stage, on text that comes in more batches than its tables."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.test_views import works
from tests.examples import examples
from unrote.corpus.beside import DocumentEdits
from unrote.corpus.schema import AT_RISK, DUPLICATES, REPLACEMENTS, SPANS, TEXT
from unrote.corpus.views import apply_edits
from unrote.pipelines.release import ApplyEdits, CutSizes


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
    with ApplyEdits().open() as run:
        edits = [row for tag, b in run(iter(rows)) if tag == "edits" for row in b.to_pylist()]
    assert edits == [
        {"doc": 1, "field": 0, "text": "ab\nef"},
        {"doc": 2, "field": 0, "text": None},
        {"doc": 3, "field": 0, "text": "ab\nef"},
    ]


def test_what_is_at_risk_goes_whole_and_others_see_the_same_text():
    """Changes in it go with it; who looks at the released text makes it by `DocumentEdits`."""
    spans = [{"doc": 1, "start": 1, "end": 3, "witness": 0, "witness_start": 0, "occurrences": 2}]
    changes = [(0, 2, 4, "X"), (0, 8, 10, "Y"), (0, 14, 15, "Z"), (1, 0, 1, "W")]
    names = ("field", "start", "end", "text")
    replacements = [{"doc": 1, **dict(zip(names, one, strict=True))} for one in changes]
    at_risk = [{"doc": 1, "start": start, "end": end} for start, end in ((7, 9), (8, 12))]
    beside = [
        (table.name, pa.RecordBatch.from_pylist(rows, table.schema))
        for table, rows in ((SPANS, spans), (REPLACEMENTS, replacements), (AT_RISK, at_risk))
    ]
    text = "abcdefghijklmnop"
    batch = pa.RecordBatch.from_pylist([{"doc": 1, "text": text}], TEXT)
    names = (SPANS.name, REPLACEMENTS.name, AT_RISK.name)
    with ApplyEdits(tables=names).open() as run:
        out = list(run(iter([*beside, ("text", batch)])))
    (edit,) = [row for tag, b in out if tag == "edits" for row in b.to_pylist()]
    assert edit == {"doc": 1, "field": 0, "text": "a\nXefg\nmnZp"}
    edits = DocumentEdits(cut=True)
    assert all(edits.learn(*one) for one in beside)
    assert apply_edits(text, *edits.take(1)) == edit["text"]


@pytest.mark.parametrize("cut", [True, False])
def test_what_goes_for_its_risk_is_counted_apart(cut):
    """Bytes that go with a passage go once; what is only reported stays, so risk takes it."""
    spans = [
        {"doc": doc, "start": 2, "end": 6, "witness": 0, "witness_start": 0, "occurrences": 2}
        for doc in (1, 3)
    ]
    at_risk = [{"doc": doc, "start": start, "end": start + 4} for doc in (2, 3) for start in (3, 5)]
    texts = [{"doc": doc, "text": "abcdefghäklm"} for doc in (1, 2, 3)]
    rows = [
        ("spans", pa.RecordBatch.from_pylist(spans, SPANS.schema)),
        ("at_risk", pa.RecordBatch.from_pylist(at_risk, AT_RISK.schema)),
        ("text", pa.RecordBatch.from_pylist(texts, TEXT)),
    ]
    stage = ApplyEdits(tables=(SPANS.name, AT_RISK.name), cut=cut)
    made = {"released": [], "edits": []}
    with stage.open() as run:
        for tag, batch in run(iter(rows)):
            made[tag] += batch.to_pylist()
    names = ("doc", "bytes", "passages", "sequences")
    assert [tuple(row[name] for name in names) for row in made["released"]] == [
        (1, 10, 1, 0), (2, 13, 0, 2), (3, 10, 1, 2),
    ]  # fmt: skip
    edited = {row["doc"]: row["text"] for row in made["edits"]}
    assert edited[2] == "abc\nklm"
    for row in made["released"]:
        before = row["bytes"] if cut else 13
        now = edited.get(row["doc"], "abcdefghäklm")
        assert before - row["bytes_at_risk"] == len(now.encode())


@examples(100)
@given(st.lists(works(), min_size=1, max_size=6), st.booleans())
def test_sizes_are_those_of_texts_that_are_made(made, cut):
    spans = [
        {"doc": doc, "start": start, "end": end, "witness": 0, "witness_start": 0, "occurrences": 2}
        for doc, (_, cuts, _) in enumerate(made)
        for start, end in cuts
    ]
    texts = [{"doc": doc, "text": 9 * text} for doc, (text, _, _) in enumerate(made)]
    rows = [
        ("spans", pa.RecordBatch.from_pylist(spans, SPANS.schema)),
        *(("text", pa.RecordBatch.from_pylist(texts[i : i + 2], TEXT)) for i in (0, 2, 4)),
    ]
    found = []
    for stage in (ApplyEdits(tables=(SPANS.name,), cut=cut), CutSizes()):
        with stage.open() as run:
            out = [row for tag, b in run(iter(rows)) if tag == "released" for row in b.to_pylist()]
        found.append(out)
    assert found[1] == found[0]
