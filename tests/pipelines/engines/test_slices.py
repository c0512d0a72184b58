"""What a reader gives, table by table and range by range; all engines read through it."""

import numpy as np
import pyarrow as pa
import pytest

from tests.command import settings
from tests.corpora import documents, rows, write_jsonl
from unrote.corpus.schema import DUPLICATES, FINGERPRINTS, KEPT, doc_key
from unrote.corpus.tables import write_table
from unrote.pipelines.commits import Commit, TableFile
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.engines.slices import Reader, tasks_of
from unrote.pipelines.job import open_job
from unrote.pipelines.progress import Silent

SHARDS = 4
ROWS = 30


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A run of several slices, each of a shard, of which each is several tasks."""
    monkeypatch.setattr("unrote.corpus.pinning.SLICE_BYTES", 1)
    monkeypatch.setattr("unrote.corpus.pinning.CUT_BYTES", 6000)
    monkeypatch.setattr("unrote.pipelines.engines.slices.CUT_BYTES", 6000)
    for number in range(SHARDS):
        found = rows(documents(number, ROWS), "a")
        write_jsonl(tmp_path / "in" / f"{number}.jsonl", found)
    with open_job(
        "clean", [str(tmp_path / "in")], str(tmp_path / "out"), settings(), Silent()
    ) as job:
        yield job


def commit(job, table, docs):
    """A table with a row for each of some documents, as a phase would leave it."""
    files = []
    slices = job.run.corpus.slice_of(np.array(docs, dtype=np.int64))
    for number in sorted(set(slices.tolist())):
        own = [doc for doc, one in zip(docs, slices, strict=True) if one == number]
        columns = [
            pa.array(own if name == "doc" else [7] * len(own), kind)
            for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=table.schema)
        path = job.run.table_path(table, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.append(TableFile(number, *write_table(str(path), table.schema, iter([batch]))))
    job.run.commit(Commit(table.name, "", 0, 0, 0, {table.folder: tuple(files)}))


def read(job, source, batch_bytes):
    """For each task what it gives: (tag, document) by row."""
    reader = Reader(job.run, source, batch_bytes)
    given = []
    for task in tasks_of(job.run.corpus, source):
        found = []
        for tag, batch in reader.read(task):
            assert batch.num_rows
            found += [(tag, doc) for doc in batch["doc"].to_pylist()]
        given.append((task, found))
    return given


DOCS = [doc_key(shard, row) for shard in range(SHARDS) for row in range(ROWS)]
SOME = DOCS[3::7]


@pytest.mark.parametrize("batch_bytes", [64, 1 << 20])
def test_every_task_reads_a_whole_table_first(job, batch_bytes):
    commit(job, KEPT, SOME)
    commit(job, FINGERPRINTS, DOCS[::2])
    given = read(job, Flow().read("text", FINGERPRINTS, whole=(KEPT,)), batch_bytes)
    assert len(given) > SHARDS
    whole = [(KEPT.name, doc) for doc in SOME]
    texts = []
    for task, found in given:
        assert found[: len(whole)] == whole
        rest = found[len(whole) :]
        assert not any(tag == KEPT.name for tag, _ in rest)
        beside = [doc for tag, doc in rest if tag == FINGERPRINTS.name]
        texts += [doc for tag, doc in rest if tag == "text"]
        assert beside == [doc for doc in DOCS[::2] if task.first <= doc < task.end]
    assert texts == DOCS


def test_a_whole_table_is_whole_whatever_else_is_left_out(job):
    commit(job, KEPT, SOME)
    commit(job, FINGERPRINTS, DOCS[:5])
    source = Flow().read("text", whole=(KEPT,), only=(FINGERPRINTS,), drop=(KEPT,))
    for _, found in read(job, source, 1 << 20):
        assert [doc for tag, doc in found if tag == KEPT.name] == SOME
        assert {doc for tag, doc in found if tag == "text"} <= set(DOCS[:5]) - set(SOME)


def test_a_whole_table_beside_tables(job):
    commit(job, KEPT, SOME)
    commit(job, FINGERPRINTS, DOCS)
    for task, found in read(job, Flow().read(None, FINGERPRINTS, whole=(KEPT,)), 200):
        expected = [doc for doc in DOCS if task.first <= doc < task.end]
        assert found == [(KEPT.name, d) for d in SOME] + [(FINGERPRINTS.name, d) for d in expected]


def test_a_whole_table_that_nobody_wrote(job):
    commit(job, KEPT, SOME)
    given = read(job, Flow().read("text", whole=(DUPLICATES,)), 1 << 20)
    assert [doc for _, found in given for _, doc in found] == DOCS
