"""Finished runs and data sets in notebooks."""

import json

import datasets
import duckdb
import pandas
import polars
import pytest

import unrote
from unrote.pipelines import finished

PLAIN = {"pii.enabled": False, "memorization.enabled": False}
TEXTS = ["the same text in two rows", "the same text in two rows", "another one, <b>with marks</b>"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "in").mkdir()
    rows = [json.dumps({"text": text}) for text in TEXTS]
    (folder / "in" / "<i>.jsonl").write_text("\n".join(rows))
    return unrote.clean(folder / "in", folder / "out", settings=PLAIN)


def test_tables_as_each_library_has_them(run):
    rows = run.table("duplicates").to_pylist()
    assert run.pandas("duplicates").equals(pandas.DataFrame(rows))
    assert run.polars("duplicates").equals(polars.DataFrame(rows))
    assert run.duckdb("documents").aggregate("count(*) as n, sum(words)").fetchall() == [(3, 18)]
    assert isinstance(run.duckdb("documents"), duckdb.DuckDBPyRelation)
    for of in (run.pandas, run.polars, run.duckdb):
        with pytest.raises(unrote.InputError, match="no table 'findings'"):
            of("findings")


def test_what_is_not_installed_is_named(run, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(unrote.ConfigError, match="pip install polars"):
        run.polars("duplicates")


def test_a_notebook_shows_what_happened(run, monkeypatch):
    shown = run._repr_html_()
    assert "3 documents in, 2 out" in shown
    assert "duplicates" in shown
    monkeypatch.setattr(finished.display, "name", lambda _: "<script>")
    assert "<script>" not in run._repr_html_()


FEATURES = datasets.Features(
    {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])}
)


def made(**more):
    rows = {"text": TEXTS, "label": [0, 1, 1]}
    return datasets.Dataset.from_dict(rows, features=FEATURES, **more)


def test_a_dataset_in_and_out(tmp_path):
    cleaned = unrote.clean(made(), settings=PLAIN)
    assert isinstance(cleaned, datasets.Dataset)
    assert cleaned.features == FEATURES
    assert cleaned.to_dict() == {"text": [TEXTS[0], TEXTS[2]], "label": [0, 1]}
    kept = unrote.clean(made(), tmp_path / "out", settings=PLAIN)
    assert kept.to_dict() == cleaned.to_dict()
    assert unrote.open_run(tmp_path / "out").report.total.exact.documents == 1
    assert unrote.verify(tmp_path / "out").ok
    chosen = made().select([2, 0, 1])  # through its indices
    assert unrote.clean(chosen, settings=PLAIN)["text"] == [TEXTS[2], TEXTS[0]]


def test_one_that_streams(tmp_path):
    stream = made().to_iterable_dataset(num_shards=2)
    with pytest.raises(unrote.UsageError, match="streams"):
        unrote.clean(stream, settings=PLAIN)
    cleaned = unrote.clean(stream, tmp_path / "out", settings=PLAIN)
    assert isinstance(cleaned, datasets.IterableDataset)
    assert [row["text"] for row in cleaned] == [TEXTS[0], TEXTS[2]]
    again = unrote.clean(stream, tmp_path / "out", settings=PLAIN)  # the run that is there
    assert [row["label"] for row in again] == [0, 1]


def test_what_is_no_data_set(tmp_path):
    with pytest.raises(unrote.UsageError, match="one split"):
        unrote.clean(datasets.DatasetDict(train=made()), settings=PLAIN)
    with pytest.raises(unrote.InputError, match="no row"):
        unrote.clean(made().select([]), settings=PLAIN)
    with pytest.raises(unrote.UsageError, match="lies in a store"):
        unrote.clean(made(), "s3://bucket/out", settings=PLAIN)
    with pytest.raises(unrote.UsageError, match="name the folder"):
        unrote.clean(str(tmp_path))
