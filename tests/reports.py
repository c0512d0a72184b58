"""A report of known numbers, without a run."""

import pyarrow as pa

from unrote.pipelines.config import Settings
from unrote.pipelines.report.model import Report, build
from unrote.pipelines.summary.totals import MEASURES as COLUMNS
from unrote.pipelines.summary.totals import TOTALS


def report(others: bool = False, documents: int = 100, **settings: object) -> Report:
    """A corpus with 100 documents of 10 bytes in `web`, and 50 without copies in `books`."""
    web = {
        "documents": documents, "bytes": documents * 10, "removed_exact": 10, "bytes_exact": 100,
        "removed_near": 20, "bytes_near": 200, "removed_remainder": 5, "bytes_remainder": 50,
        "documents_cut": 7, "bytes_passages": 30,
    }  # fmt: skip
    if not documents:
        web = {}
    rows = [("web", web), ("books", {"documents": 50, "bytes": 500})]
    rows += [(None, {"documents": 1, "bytes": 10})] * others
    filled = [
        dict.fromkeys(TOTALS.schema.names, 0) | {"source": source, "sources": 1} | counts
        for source, counts in rows
    ]
    assert set(web) <= set(COLUMNS)
    manifest = {
        "unrote": "0", "job": "gate", "fingerprint": "", "key": "", "phases": [], "data": [],
        "settings": Settings.model_validate(settings).model_dump(), "input": {"shards": []},
    }  # fmt: skip
    tables = {TOTALS.name: pa.Table.from_pylist(filled, schema=TOTALS.schema)}
    return build(manifest, tables, lambda *_: ("", ""), lambda *_: "")
