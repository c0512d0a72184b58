"""Where the numbers of a section are from: queries that give them, for DuckDB in the folder OUT.

A test runs each one and holds what it gives against the report.
"""

from collections.abc import Mapping

from unrote.corpus.rows import POSITION
from unrote.pipelines.report.model import Report

_QUERIES: Mapping[str, str] = {
    "flow": """\
SELECT reason, count(*) AS documents, sum(bytes)::BIGINT AS bytes
FROM 'tables/duplicates/*.parquet' JOIN 'tables/documents/*.parquet' USING (doc)
GROUP BY reason ORDER BY reason""",
    "found": """\
SELECT type, count(*) AS findings, count(DISTINCT doc) AS documents,
  count(*) FILTER (action NOT IN ('keep', 'cut')) AS changed
FROM 'tables/findings/*.parquet'
GROUP BY type ORDER BY findings DESC, type""",
    "memorization": """\
SELECT category, count(*) AS sequences, sum(risk_low) AS low, sum(risk_high) AS high
FROM 'tables/scores/*.parquet'
GROUP BY category ORDER BY category""",
    "sources": """\
SELECT source, count(*) AS documents, sum(bytes)::BIGINT AS bytes
FROM 'tables/documents/*.parquet'
GROUP BY source ORDER BY bytes DESC""",
    "languages": """\
SELECT language, count(*) AS documents, sum(letters)::BIGINT AS letters
FROM 'tables/languages/*.parquet'
GROUP BY language ORDER BY letters DESC, language""",
    "clusters": """\
SELECT twin AS doc, count(*) AS copies
FROM 'tables/duplicates/*.parquet'
WHERE twin IS NOT NULL
GROUP BY twin ORDER BY copies DESC, doc""",
    "passages": """\
SELECT count(*) AS passages, sum(greatest(0, "end" - greatest(start, before)))::BIGINT AS characters
FROM (
  SELECT start, "end", coalesce(max("end") OVER (
    PARTITION BY doc ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ), 0) AS before
  FROM 'tables/spans/*.parquet'
)""",
    "rejects": """\
SELECT regexp_replace(reason, 'POSITION', '') AS why, count(*) AS rows
FROM 'tables/rejects/*.parquet'
GROUP BY why ORDER BY rows DESC, why""".replace("POSITION", POSITION),
}


def queries(report: Report) -> dict[str, str]:
    """By section of the report, the query; those are left out whose table has no row."""
    total = report.total
    has_rows = {
        "flow": any(part.documents for part in total.parts.values()),
        "found": report.findings is not None and report.findings.total > 0,
        "memorization": report.memorization is not None and report.memorization.sequences > 0,
        "sources": total.documents > 0,
        "languages": report.languages is not None and bool(report.languages.languages),
        "clusters": bool(report.clusters),
        "passages": report.cut and total.passage_rows > 0,
        "rejects": report.rejects.rows > 0,
    }
    return {name: query for name, query in _QUERIES.items() if has_rows[name]}
