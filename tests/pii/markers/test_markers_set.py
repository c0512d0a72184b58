"""The labelled set is in order: offsets, ids, splits, enough documents of every shape."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.pii.markers.mined import mine

HERE = Path(__file__).parent
ROWS = range(1, 46)
HELD_OUT = {8, 9, 10, 12, 14, 15, 16, 25, 26, 28, 31, 33, 37, 39, 43}
STANDS_FOR = {
    "PERSON",
    "DATE_TIME",
    "LOCATION",
    "PHONE_NUMBER",
    "EMAIL_ADDRESS",
    "ID",
    "AGE",
    "ORGANIZATION",
    "ANY",
}
KINDS = {"marker", "shifted-date", "surrogate-age", "reserved-value"}
FIELDS = {"id", "style", "shape", "split", "text", "spans"}


def load(name):
    with (HERE / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


POSITIVES, LOOKALIKES = load("positives"), load("lookalikes")
BOTH = pytest.mark.parametrize("documents", [POSITIVES, LOOKALIKES], ids=["positive", "lookalike"])


def rows(document):
    return {int(row) for row in document["shape"].split(",")}


def test_ids_and_texts_are_unique():
    for field in ("id", "text"):
        counts = Counter(document[field] for document in POSITIVES + LOOKALIKES)
        assert [value for value, count in counts.items() if count > 1] == []


@BOTH
def test_fields(documents):
    for document in documents:
        assert document.keys() - {"gaps"} == FIELDS
        assert document["id"].startswith(document["style"] + "-")
        assert document["split"] in {"open", "held-out"}
        assert rows(document) <= set(ROWS)
        assert document["text"].strip()


@BOTH
def test_spans_cover_text_in_order(documents):
    for document in documents:
        end = 0
        for span in document["spans"]:
            assert end <= span["start"] < span["end"] <= len(document["text"]), document["id"]
            end = span["end"]
            marker = document["text"][span["start"] : end]
            assert marker == marker.strip(), document["id"]
            assert span["stands_for"] in STANDS_FOR
            assert span["kind"] in KINDS
            assert span["row"] in rows(document)
            assert span["origin"]


def test_only_deletions_have_gaps():
    for document in POSITIVES:
        gaps = document.get("gaps", [])
        assert bool(gaps) == (document["shape"] == "27") == (not document["spans"])
        assert gaps == sorted(gaps)
        assert all(0 <= gap <= len(document["text"]) for gap in gaps)


def test_every_shape_has_its_documents():
    counts = Counter(row for document in POSITIVES for row in rows(document))
    assert [row for row in ROWS if counts[row] < 10] == []
    for document in POSITIVES:
        marked = {span["row"] for span in document["spans"]} or {27}
        assert marked == rows(document), document["id"]


def test_a_shape_is_on_one_side():
    for document in POSITIVES:
        sides = {row in HELD_OUT for row in rows(document)}
        assert sides == {document["split"] == "held-out"}, document["id"]


def test_lookalikes_are_enough_and_a_family_is_on_one_side():
    assert len(LOOKALIKES) >= 300
    sides = defaultdict(set)
    for document in LOOKALIKES:
        sides[document["style"]].add(document["split"])
    assert all(len(splits) == 1 for splits in sides.values())
    held_out = sum(splits == {"held-out"} for splits in sides.values())
    assert len(sides) / 4 < held_out < len(sides) / 2


def test_lookalikes_hold_reserved_values_at_most():
    for document in LOOKALIKES:
        for span in document["spans"]:
            assert span["kind"] == "reserved-value"
            assert span["trace"] is False


def test_the_readme_states_the_counts():
    lines = (HERE / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines[lines.index("## Counts") + 2 :][: len(table())] == table()


def table():
    documents = Counter(row for document in POSITIVES for row in rows(document))
    spans = Counter(span["row"] for document in POSITIVES for span in document["spans"])
    lines = ["| row | split | documents | spans |", "|---|---|---|---|"]
    for row in ROWS:
        split = "held-out" if row in HELD_OUT else "open"
        lines.append(f"| {row} | {split} | {documents[row]} | {spans[row]} |")
    return lines


def test_mining_is_deterministic_and_capped(tmp_path):
    (tmp_path / "presidio_analyzer").mkdir()
    (tmp_path / "presidio_analyzer" / "a.py").write_text("never mined")
    for name, text in {"a.py": "print()", "b.md": "# B" * 9, "c.txt": "no", "d.rst": " "}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "e.html").write_bytes(b"\xff\xfe")
    mined = list(mine(roots=[tmp_path], characters=8))
    assert sorted((m.name, m.text) for m in mined) == [("a.py", "print()"), ("b.md", "# B# B# ")]
    assert list(mine(roots=[tmp_path], characters=8)) == mined
    assert list(mine(documents=1, roots=[tmp_path], characters=8)) == mined[:1]


def test_there_is_something_to_mine():
    assert len(list(mine(documents=20))) == 20
