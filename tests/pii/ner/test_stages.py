"""The stages: windows of documents, batch groups, and entities; and a whole run of them."""

import pyarrow as pa
import pytest

from tests.command import unrote
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.pii.ner import tiny
from unrote.corpus.errors import RunError
from unrote.corpus.schema import NAMED_ENTITIES, NER_WINDOWS, RECORDS, REJECTS
from unrote.pii.config import Config
from unrote.pii.findings import Finding
from unrote.pii.ner import Model, entities_of, load_model, merged, stages
from unrote.pii.ner.stages import BatchGroups, CutNerWindows, FindEntities, groups_for
from unrote.pii.ner.token_classifier import TokenClassifier

TEXTS = [tiny.TEXT * 3, "", "Zoe\u0301 met Jane", "Maria\x1fHoffmann", tiny.TEXT]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny.save(tmp_path_factory.mktemp("model") / "tiny", "modernbert")
    return Model(f"transformers:{folder}", "cpu")


def records(columns: list[list[str | None]]) -> pa.Table:
    return table(
        RECORDS,
        [
            (doc, "a.jsonl", doc, f"id-{doc}", "a", None, text, columns[doc])
            for doc, text in enumerate(TEXTS)
        ],
    )


def found_by(model: Model, seed: int, groups: int, **settings) -> list[tuple]:
    engine, loaded = MiniEngine(seed, most=2), load_model(model)
    stage = CutNerWindows(model, loaded.width, loaded.digest, max_chars=10**6, **settings)
    rejects = table(REJECTS.schema, [])
    columns = [[None, "Jane Roe"] for _ in TEXTS]
    windows = engine.map(stage, text=records(columns), rejects=rejects)[NER_WINDOWS.name]
    grouped = MiniEngineOfTables(seed).map(BatchGroups(groups), windows)
    found = engine.group(FindEntities(model, loaded.digest), grouped=grouped)
    return rows_of(found[NAMED_ENTITIES.name])


class MiniEngineOfTables(MiniEngine):
    """For a map over one table, without text."""

    def map(self, stage, rows):
        ((tag, _),) = stage.inputs.items()
        tagged = self._cut((tag, batch) for batch in rows.combine_chunks().to_batches())
        return self._run(stage, tagged)["grouped"]


def test_the_stages_find_what_the_model_finds(model):
    found = found_by(model, 1, 1)
    config = Config(ner=model.name, ner_device="cpu")
    for doc, text in enumerate(TEXTS):
        for field, value in ((0, text), (2, "Jane Roe")):
            (expected,) = entities_of([value], config)
            own = [row[4:] for row in found if (row[0], row[3]) == (doc, field)]
            names = merged([Finding(*row, "transformers:tiny") for row in own])
            assert [one._replace(score=0) for one in names] == [
                one._replace(score=0) for one in expected
            ]
    assert {row[3] for row in found} == {0, 2}


def test_batches_do_not_matter(model):
    expected = found_by(model, 0, 1)
    assert all(found_by(model, seed, 1) == expected for seed in (1, 2))
    assert found_by(model, 1, 3) == found_by(model, 2, 3)


def test_longer_texts_have_no_windows(model):
    assert not [row for row in found_by(model, 0, 1) if row[0] == 0 and len(TEXTS[0]) <= 20]
    short = CutNerWindows(model, 40, max_chars=20)
    windows = MiniEngine().map(
        short, text=records([[] for _ in TEXTS]), rejects=table(REJECTS.schema, [])
    )[NER_WINDOWS.name]
    assert set(windows["doc"].to_pylist()) == {2, 3}


def test_values_are_read_one_by_one(model):
    stage = CutNerWindows(model, 40, max_chars=10**6, several=(True,))
    windows = (
        MiniEngine()
        .map(stage, text=records([[] for _ in TEXTS]), rejects=table(REJECTS.schema, []))[
            NER_WINDOWS.name
        ]
        .to_pylist()
    )
    own = [(row["number"], row["start"]) for row in windows if row["doc"] == 3]
    assert own == [(0, 0), (1, 6)]


def test_groups_are_about_as_large():
    assert [groups_for(n) for n in (0, 1, stages.GROUP_SIZE, stages.GROUP_SIZE + 1)] == [1, 1, 1, 2]


def test_a_run_with_a_model(model, tmp_path):
    """Names are replaced, and what it leaves out is said."""
    folder = tiny.save(tmp_path / "model", "bert")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(tiny.TEXT * 4)
    (tmp_path / "in" / "b.txt").write_text("Nothing")
    done = unrote(
        "scrub", tmp_path / "in", "-o", tmp_path / "out",
        "--set", f'pii.ner="transformers:{folder}"', "--set", "pii.threshold=0.1",
        "--set", "engine.workers=2",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "PERSON" in done.out
    assert "nothing says what they stand for (pii.ner_labels): MISC" in done.out.replace("\n", " ")
    assert unrote("verify", tmp_path / "out").status == 0
    again = unrote("report", tmp_path / "out")
    assert again.status == 0, again.err


def test_a_model_that_cannot_be_used_stops_a_run_before_it_starts(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("Jane Roe")
    done = unrote(
        "scrub", tmp_path / "in", "-o", tmp_path / "out", "--set", "pii.ner=transformers:no/such"
    )
    assert done.status == 2
    assert "not in the Hugging Face cache; nothing is downloaded by itself" in done.err
    assert '"phase":"fingerprint"' not in done.err


def test_one_window_that_the_model_cannot_read_ends_the_run(model, monkeypatch):
    def fails(self, ids):
        raise RunError("no finite numbers")

    load_model(model)
    monkeypatch.setattr(TokenClassifier, "_log_probs", fails)
    with pytest.raises(RunError, match="no finite numbers"):
        found_by(model, 0, 1)
