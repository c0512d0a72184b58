"""A key with millions of rows streams through a worker that could not hold them."""

import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from tests.conformance.stages import Held, Limited, Limits
from tests.conformance.test_spark import QUICK_JAVA, spark_settings
from tests.corpora import documents, rows, write_jsonl
from unrote.corpus.errors import RunError
from unrote.corpus.schema import EXACT, FINGERPRINTS
from unrote.corpus.tables import write_table
from unrote.dedup.exact import Exact
from unrote.pipelines.commits import Commit, TableFile
from unrote.pipelines.config import load
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.job import Job, open_job
from unrote.pipelines.progress import Silent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits address space, reads /proc")

ROWS = 6_000_000
"""Documents with the same fingerprint: 192 MB of rows, and 240 MB of columns to sort them by."""

MEMORY = "64MiB"
"""Of `engine.memory`; less than a setting may say, so that fewer rows are too many."""

ROOM = 300 << 20
"""What the worker may use, beyond what it needs for a few rows."""


@pytest.fixture
def job(tmp_path):
    """On one worker of Spark's, which lives as long as the session."""
    write_jsonl(tmp_path / "in" / "a.jsonl", rows(documents(1, 3), "a"))
    settings = load(None, (*spark_settings("local[1]", QUICK_JAVA), 'engine.batch="1MiB"'))
    out = tmp_path / "out"
    with open_job("clean", [str(tmp_path / "in")], str(out), settings, Silent()) as job:
        job.engine.settings = settings.engine.model_copy(update={"memory": MEMORY})
        yield job


def skewed(count: int) -> Iterator[pa.RecordBatch]:
    """Fingerprints that are all the same, of documents that come last in keep order first."""
    for start in range(0, count, 1 << 20):
        doc = np.arange(start, min(start + (1 << 20), count))
        same = np.zeros(len(doc), dtype=np.int64)
        columns = [pa.array(values) for values in (doc, same, same, count - doc)]
        yield pa.RecordBatch.from_arrays(columns, schema=FINGERPRINTS.schema)


def exact(job: Job, stage: Exact, count: int) -> None:
    """Run `stage` on `count` documents with the same fingerprint."""
    path = job.run.table_path(FINGERPRINTS, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = TableFile(0, *write_table(str(path), FINGERPRINTS.schema, skewed(count)))
    job.run.commit(Commit("fingerprint", "", 0, 0, 0, {FINGERPRINTS.folder: (file,)}))
    flow = Flow()
    found = flow.group(stage, fingerprints=flow.read(None, FINGERPRINTS))
    flow.write(EXACT, found["exact"])
    job.phase("exact", flow)
    assert job.rows(EXACT) == count - 1


def test_a_group_streams(job):
    exact(job, Limits(room=ROOM), 1000)
    exact(job, Limited(), ROWS)
    # What shows that the limit is one.
    with pytest.raises(RunError, match="out of memory"):
        exact(job, Held(), ROWS)
