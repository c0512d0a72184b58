"""`unrote.spark` in a user's own session: the answers of the command, and nothing else changed."""

import io
import json
import re
import signal
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

import unrote
import unrote.spark
from tests.command import ROOT, settings
from tests.conftest import KEY
from tests.programs.conftest import TEXTS, snippets
from unrote.corpus.errors import InputError, OutputError, UsageError
from unrote.pii.config import Config
from unrote.pipelines.engines.spark_partitions import hashed_addresses, murmur3

PLAIN = {"memorization.enabled": False}
FEW = PLAIN | {"pii.enabled": False, "dedup.near.enabled": False}


def state(session) -> dict[str, object]:
    """All that a session is set to."""
    listed = session.sql("SET -v").collect() + session.sql("SET").collect()
    return {
        "conf": dict(session.sparkContext.getConf().getAll()),
        "sql": {row.key: row.value for row in listed},
        "active": SparkSession.getActiveSession() is session,
        "group": session.sparkContext.getLocalProperty("spark.jobGroup.id"),
        "handlers": signal.getsignal(signal.SIGINT),
    }


@pytest.fixture(scope="module")
def before(spark, frame):
    frame.count()
    return state(spark)


@pytest.fixture(scope="module")
def page(before, spark, corpus, tmp_path_factory):
    """What the page's snippets leave: names, and what they print."""
    folder = tmp_path_factory.mktemp("page")
    names = {"spark": spark, "corpus": str(corpus), "scratch": str(folder / "scratch")}
    names |= {"key": KEY, "target": str(folder / "target")}
    with redirect_stdout(io.StringIO()) as printed:
        exec(snippets("Spark"), names)
    return names | {"printed": printed.getvalue()}


@pytest.fixture(scope="module")
def cleaned(page):
    return page["cleaned"]


@pytest.fixture(scope="module")
def command(corpus, tmp_path_factory):
    """The run of the command on the same documents."""
    return unrote.clean(corpus, tmp_path_factory.mktemp("command") / "out", settings=PLAIN)


def by_ids(run, name: str) -> list[dict[str, object]]:
    """A table of a run, with ids in the place of documents."""
    documents = run.table("documents").to_pylist()
    ids = {row["doc"]: int(row["id"]) for row in documents}
    found = []
    for row in run.table(name).to_pylist():
        named = {n: ids[row[n]] for n in ("twin", "witness") if row.get(n) is not None}
        found.append({"id": ids[row["doc"]]} | row | named)
        del found[-1]["doc"]
    return found


def listed(frame) -> list[dict[str, object]]:
    return [row.asDict() for row in frame.collect()]


def in_order(rows):
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def test_it_answers_as_the_command(cleaned, command, corpus):
    kept = pq.read_table(command.out / "data").to_pylist()
    assert in_order(listed(cleaned.kept)) == in_order(kept)
    assert 0 < len(kept) < len(TEXTS)
    for name in ("spans", "findings"):
        want = by_ids(command, name)
        assert in_order(listed(getattr(cleaned, name))) == in_order(want)
        assert want
    assert in_order(listed(cleaned.removed)) == in_order(by_ids(command, "duplicates"))
    assert {row["reason"] for row in listed(cleaned.removed)} == {"exact", "near"}
    assert cleaned.report.total == command.report.total
    assert unrote.verify(cleaned.run.out).ok


def test_the_session_is_left_as_it_was(cleaned, before, spark):
    assert state(spark) == before
    assert spark.sparkContext.parallelize([1, 2, 3]).sum() == 6
    assert before["sql"]["spark.sql.adaptive.enabled"] == "true"
    assert before["sql"]["spark.sql.shuffle.partitions"] == "3"


def test_the_same_call_goes_on_and_others_are_refused(cleaned, page, before, spark):
    frame, scratch = page["df"], page["scratch"]
    path = Path(scratch, "out", "manifest.json")
    manifest = path.read_bytes()
    again = unrote.spark.clean(frame.orderBy("note"), scratch=scratch, settings=PLAIN)
    assert path.read_bytes() == manifest
    assert again.kept.count() == cleaned.kept.count()
    with pytest.raises(OutputError, match="over other rows"):
        unrote.spark.clean(frame.limit(3), scratch=scratch, settings=PLAIN)
    assert state(spark) == before


def test_near_duplicates_are_those_of_the_function(page):
    assert page["pairs"].columns == ["id", "twin", "similarity"]
    pairs = sorted(map(tuple, page["pairs"].collect()))
    assert pairs == unrote.near_duplicates(TEXTS, threshold=0.7)
    assert [pair[:2] for pair in pairs] == [(1, 0), (2, 0)]


def test_scrub_is_that_of_the_function(frame, spark):
    actions = {"US_SSN": "reject-document"}
    found = unrote.spark.scrub(frame, key=KEY, actions=actions).orderBy("id").collect()
    want = unrote.scrub(TEXTS, key=KEY, actions=actions)
    assert [row.text for row in found] == want.texts
    assert {row.id: row.rejected for row in found if row.rejected} == want.rejected
    assert [row.note for row in found] == [f"note {n}" for n in range(len(TEXTS))]
    told = [{"doc": row.id} | one.asDict() for row in found for one in row.findings]
    assert told == want.findings.drop_columns("field").to_pylist()
    nothing = spark.createDataFrame([(1, None)], "id long, text string")
    (row,) = unrote.spark.scrub(nothing, key=KEY).collect()
    assert (row.text, row.findings, row.rejected) == (None, None, None)


def test_no_key_is_in_what_spark_writes(frame, spark):
    """Spark broadcasts a function of more than a megabyte, which is to write it to a file."""
    allowed = tuple(f"nobody-{number}@example.com" for number in range(1 << 16))
    scrubbed = unrote.spark.scrub(frame, key=KEY, config=Config(allow=allowed))
    assert scrubbed.filter(F.size("findings") > 0).count() > 1
    written = [path for path in Path(spark.sparkContext._temp_dir).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in written) > 1 << 20
    for path in written:
        content = path.read_bytes()
        assert not [word for word in (KEY, allowed[0]) if word.encode() in content], path


def test_score_is_that_of_the_function(page):
    found = page["scores"].orderBy("id", "start").collect()
    want = unrote.score(TEXTS).to_pylist()
    where = [(row["doc"], row["start"], row["end"]) for row in want]
    assert [(row.id, row.start, row.end) for row in found] == where
    for name in ("loss", "extractable", "pz_log"):
        values = [row[name] for row in want]
        assert [getattr(row, name) for row in found] == pytest.approx(values, rel=1e-4)


def test_columns_of_any_type_and_name_are_kept(spark, tmp_path):
    kinds = (
        "`an id` string, `a.text` string, m map<string,int>, s struct<x: array<double>, y: date>, "
        "t timestamp, n timestamp_ntz, d decimal(12,3), b binary, f boolean"
    )
    given = spark.sql(
        "select 'a' `an id`, 'One text.' `a.text`, map('k', 1) m, "
        "struct(array(1.5d, null) x, date'2020-02-29' y) s, timestamp'2020-01-01 10:00:00' t, "
        "timestamp_ntz'2020-01-01 10:00:00' n, 1.250BD d, x'00ff' b, true f"
    ).to(T._parse_datatype_string(kinds))
    found = unrote.spark.clean(given, "a.text", "an id", scratch=tmp_path / "x", settings=FEW)
    assert found.kept.collect() == given.collect()
    assert found.kept.schema == given.schema
    assert found.removed.count() == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select 1L id, 'a' text union all select 1L, 'b'", "several rows have the same id"),
        ("select cast(null as string) id, 'a' text", "1 rows have no id"),
        ("select 1L number, 'a' text", "has no column 'id'. It has number, text"),
        ("select 1.5d id, 'a' text", "the column 'id' is double"),
        ("select 1L id, 'a' text where false", "has no row"),
    ],
)
def test_what_cannot_be_cleaned_is_said_in_a_line(spark, tmp_path, query, said):
    with pytest.raises(UsageError, match=said) as raised:
        unrote.spark.clean(spark.sql(query), scratch=tmp_path / "scratch", settings=PLAIN)
    assert len(raised.value.args) == 1


def test_what_is_not_ours_in_scratch_is_left_alone(frame, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds mine.txt, which is no file of ours"):
        unrote.spark.clean(frame, scratch=tmp_path, settings=PLAIN, fresh=True)
    given = settings("engine.spark.master=local[1]")
    with pytest.raises(UsageError, match="are those of the session"):
        unrote.spark.clean(frame, scratch=tmp_path / "x", settings=given)
    with pytest.raises(UsageError, match="a column 'rejected' already"):
        unrote.spark.scrub(frame.withColumnRenamed("note", "rejected"))


def test_a_table_that_is_not_there_is_said(cleaned):
    with pytest.raises(InputError, match="has no table 'scores'"):
        cleaned.table("scores")


def test_the_page_runs(page):
    assert "8 rows, 6 kept" in page["printed"]
    kept = pq.read_table(page["target"])
    assert kept.num_rows == 6
    assert kept.column_names == ["id", "text", "note"]


@pytest.mark.long
def test_the_notebook_runs(spark, capsys):
    notebook = json.loads((ROOT / "examples" / "in_spark.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    exec("\n".join(cells), {})
    assert "EMAIL_ADDRESS" in capsys.readouterr().out
    assert all(not c.get("outputs") for c in notebook["cells"])


def test_the_notebook_has_the_calls_of_the_page():
    notebook = json.loads((ROOT / "examples" / "in_spark.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    called = set(re.findall(r"unrote\.spark\.(\w+)\(", compile_all(cells)))
    assert called == set(re.findall(r"unrote\.spark\.(\w+)\(", snippets("Spark"))) - {"clean"}


def compile_all(cells: list[str]) -> str:
    whole = "\n".join(cells)
    compile(whole, "in_spark.ipynb", "exec")
    return whole


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_spark_sends_each_address_to_its_partition(spark, count):
    numbers = hashed_addresses(count)
    assert len(set(numbers)) == count
    rows = list(zip(numbers, range(count), strict=True))
    frame = spark.createDataFrame(rows, "task int, wanted int").repartition(count, "task")
    found = frame.select("wanted", F.spark_partition_id().alias("partition")).collect()
    assert len(found) == count
    assert all(row.partition == row.wanted for row in found)


def test_the_hash_is_that_of_spark(spark):
    limits = [-(1 << 31), -1, (1 << 31) - 1]
    numbers = [*hashed_addresses(1000), *limits]
    frame = spark.createDataFrame([(number,) for number in numbers], "task int")
    found = frame.select("task", F.hash("task").alias("hash")).collect()
    ours = murmur3(np.array([row.task for row in found], dtype=np.int32))
    assert ours.tolist() == [row.hash for row in found]
    assert len(set(np.array(ours[:-3], dtype=np.int64) % 1000)) == 1000


def test_older_versions_bring_rows_together_by_their_hash(frame, tmp_path, monkeypatch):
    """As where DataFrames have no repartitionById: Spark before 4.1."""
    monkeypatch.setattr("unrote.pipelines.engines.spark_partitions.has_ids", lambda _: False)
    pairs = unrote.spark.near_duplicates(frame, scratch=tmp_path / "near")
    assert sorted(map(tuple, pairs.collect())) == unrote.near_duplicates(TEXTS)
