"""`unrote.beam`: PTransforms in a user's own pipeline, and calls that run pipelines."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

import unrote
import unrote.beam
from tests.conftest import KEY
from tests.examples import examples
from tests.programs.conftest import TEXTS, snippets


@pytest.fixture(scope="module")
def dicts(rows):
    return [{"id": number, "text": text, "note": note} for number, text, note in rows]


def test_scrub_and_score_are_those_of_the_functions(dicts):
    actions = {"US_SSN": "reject-document"}
    want = unrote.scrub(TEXTS, key=KEY, actions=actions)
    found = [[] for _ in TEXTS]
    for row in want.findings.drop_columns("field").to_pylist():
        found[row.pop("doc")].append(row)
    scrubbed = [
        {"id": n, "text": want.texts[n], "note": f"note {n}", "findings": found[n]}
        | {"rejected": want.rejected.get(n)}
        for n in range(len(TEXTS))
    ]
    nothing = {"id": -1, "text": None}
    empty = nothing | {"findings": None, "rejected": None}
    scores = {(r["doc"], r["start"], r["end"]): r["loss"] for r in unrote.score(TEXTS).to_pylist()}

    def same_scores(rows):
        loss = {(r["id"], r["start"], r["end"]): r["loss"] for r in rows}
        assert loss == pytest.approx(scores, rel=1e-4)

    with beam.Pipeline() as pipeline:
        rows = pipeline | beam.Create([*dicts, nothing])
        assert_that(
            rows | unrote.beam.Scrub(key=KEY, actions=actions),
            equal_to([*scrubbed, empty]),
            label="scrub",
        )
        assert_that(rows | unrote.beam.Score(), same_scores, label="score")


@examples(10)
@given(st.lists(st.sampled_from(["a b", " a  b", "A b", "c", None]), max_size=9), st.randoms())
def test_of_equal_texts_the_smallest_id_stays(texts, random):
    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    first = {}
    for row in rows:
        if row["text"] is not None:
            first.setdefault(" ".join(row["text"].split()), row["id"])
    twins = [first.get(" ".join((row["text"] or "").split()), row["id"]) for row in rows]
    kept = [row for row, twin in zip(rows, twins, strict=True) if row["id"] == twin]
    removed = [
        {"id": row["id"], "twin": twin}
        for row, twin in zip(rows, twins, strict=True)
        if row["id"] != twin
    ]
    random.shuffle(rows)
    with beam.Pipeline() as pipeline:
        once = pipeline | beam.Create(rows) | unrote.beam.ExactDuplicates()
        assert_that(once.kept, equal_to(kept), label="kept")
        assert_that(once.removed, equal_to(removed), label="removed")


def test_a_row_without_the_field_ends_the_pipeline_with_a_reason():
    with pytest.raises(Exception, match="a row has no field 'text'"), beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([{"id": 1}]) | unrote.beam.Scrub(key=KEY)


def test_the_page_runs(corpus, tmp_path, capsys):
    exec(snippets("Beam"), {"corpus": str(corpus), "out": str(tmp_path / "out"), "key": KEY})
    said = capsys.readouterr().out
    assert "2 is a copy of 0" in said
    assert "2 duplicates; tables are in" in said
    assert "1 passages" in said
