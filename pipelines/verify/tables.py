"""The published tables: read, and held against the manifest."""

import io
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from unrote.pipelines.verify.layout import DAMAGE, NULLABLE, ROW_BITS, TABLES, table_path
from unrote.pipelines.verify.records import Duplicate, Finding, Key
from unrote.pipelines.verify.state import Run


def load_tables(run: Run) -> None:
    """Check the tables' files and load all but `documents`, which is read beside the input."""
    tally = run.tally["tables"]
    for name in sorted(run.manifest["tables"]):
        if name not in TABLES:
            tally.expect(run.rules.internal, "%s is not a published table", name)
            for entry in run.manifest["tables"][name]:
                _table_content(run, name, entry)
    for table in tables_of(run, "duplicates"):
        _load_duplicates(run, table)
    for table in tables_of(run, "index_twins"):
        columns = (table[name].to_pylist() for name in ("doc", "copies", "passages"))
        run.indexed.update((doc, (copies, n)) for doc, copies, n in zip(*columns, strict=True))
    _load_passages(run)
    for table in tables_of(run, "findings"):
        columns = (table[name].to_pylist() for name in Finding._fields)
        for finding in map(Finding._make, zip(*columns, strict=True)):
            run.findings.setdefault(finding.doc, []).append(finding)
    _load_rejects(run)
    _load_contamination(run)
    _load_languages(run)
    for name in ("entities", "masks"):
        for table in tables_of(run, name):
            _check_released(run, name, table)


def _check_released(run: Run, name: str, table: Any) -> None:
    """The table speaks of documents that are released alone."""
    for doc in dict.fromkeys(table["doc"].to_pylist()):
        released = run.reason(doc) is None and not run.rejected(doc)
        run.tally["tables"].expect(
            released, "%s is in %s and is not released", run.name_of(doc), name
        )


def _load_passages(run: Run) -> None:
    for table in tables_of(run, "spans"):
        run.spans.extend(table)
    for table in tables_of(run, "uncut"):
        run.uncut.extend(table)
        run.uncut_bytes.extend(table["bytes"].to_pylist())
    for rows in (run.spans, run.uncut):
        run.referenced.update(rows.doc, rows.witness)


def _load_contamination(run: Run) -> None:
    """What is cut as shared with evaluation sets, where that was asked for."""
    ours = run.manifest["settings"].get("contamination", {})
    for table in tables_of(run, "contamination"):
        names = ("doc", "start", "end", "contaminated", "action")
        rows = zip(*(table[name].to_pylist() for name in names), strict=True)
        for doc, start, end, counts, action in rows:
            asked = ours.get("action") if counts else "keep"
            run.tally["tables"].expect(
                action == asked and 0 <= start < end,
                "contamination of %s, %d: %s was asked for, and it has %s",
                *(run.name_of(doc), start, asked, action),
            )
            if action == "remove":
                run.contaminating.add(doc)
                run.tally["tables"].expect(
                    run.rejected(doc) or run.reason(doc) is not None,
                    "%s contaminates an evaluation set and is no reject",
                    run.name_of(doc),
                )
            if action == "cut":
                run.contaminated.setdefault(doc, []).append((start, end))


def _load_languages(run: Run) -> None:
    """A document's letters are those of its scripts, and no duplicate has any."""
    letters: dict[int, int] = {}
    for table in tables_of(run, "languages"):
        letters |= dict(zip(*(table[name].to_pylist() for name in ("doc", "letters")), strict=True))
    rest = dict(letters)
    for table in tables_of(run, "scripts"):
        for doc, own in zip(*(table[name].to_pylist() for name in ("doc", "letters")), strict=True):
            rest[doc] = rest.get(doc, 0) - own
    for doc, missing in rest.items():
        run.tally["tables"].expect(
            missing == 0 and doc in letters and run.reason(doc) is None,
            "languages and scripts of %s do not agree, or it was removed as a copy",
            run.name_of(doc),
        )


def _load_rejects(run: Run) -> None:
    numbers = {shard.name: shard.number for shard in run.shards.values()}
    for table in tables_of(run, "rejects"):
        columns = (table[name].to_pylist() for name in ("doc", "shard", "row"))
        for doc, shard, row in zip(*columns, strict=True):
            known = shard in numbers and doc == numbers[shard] << ROW_BITS | row
            run.tally["tables"].expect(
                known, "rejects has a row of %s#%d under %d", shard, row, doc
            )
            if known:
                run.rejects.setdefault(numbers[shard], set()).add(row)


def _load_duplicates(run: Run, table: Any) -> None:
    columns = (table[name].to_pylist() for name in TABLES["duplicates"])
    for doc, reason, twin, similarity in zip(*columns, strict=True):
        fresh = doc not in run.duplicates
        run.tally["duplicates"].expect(fresh, "%s was removed twice", run.name_of(doc))
        run.duplicates[doc] = Duplicate(reason, twin, similarity)
        run.referenced.add(doc)
        if twin is not None and twin >= 0:
            run.referenced.add(twin)


def tables_of(run: Run, name: str) -> Iterator[Any]:
    """The usable files of a published table, in order, checked on the way."""
    tally = run.tally["tables"]
    entries = run.manifest["tables"].get(name, [])
    numbers = [entry["slice"] for entry in entries]
    ordered = all(a < b for a, b in itertools.pairwise(numbers))
    tally.expect(ordered, "the manifest does not list the slices of %s in order", name)
    for entry in entries:
        path, content = table_path(name, entry["slice"]), _table_content(run, name, entry)
        if content is None:
            continue
        try:
            table = pq.read_table(io.BytesIO(content))
        except DAMAGE as error:
            tally.fail("%s is not a Parquet file (%s)", path, type(error).__name__)
            continue
        columns = {column.name: str(column.type) for column in table.schema}
        if list(columns.items()) != list(TABLES[name].items()):
            tally.fail("%s has the columns %s", path, columns)
        elif problem := _table_problem(run, name, entry, table):
            tally.fail("%s %s", path, problem)
            if "nulls" not in problem:
                yield table
        else:
            yield table


def _table_content(run: Run, name: str, entry: Mapping[str, Any]) -> bytes | None:
    path, tally = table_path(name, entry["slice"]), run.tally["tables"]
    try:
        with run.open(path) as stream:
            content = stream.read()
    except DAMAGE as error:
        tally.expect(False, "%s cannot be read (%s)", path, type(error).__name__)
        return None
    same = (len(content), xxhash.xxh3_128_hexdigest(content)) == (entry["bytes"], entry["digest"])
    tally.expect(same, "%s is not what the manifest lists", path)
    return content


def _table_problem(run: Run, name: str, entry: Mapping[str, Any], table: Any) -> str | None:
    """What is wrong with the rows of a table's file."""
    optional = NULLABLE.get(name, ())
    if any(table[column].null_count for column in TABLES[name] if column not in optional):
        return "has nulls where none may be"
    if any(kind == "double" and _holds_nan(table[c]) for c, kind in TABLES[name].items()):
        return "holds what is not a number"
    if table.num_rows != entry["rows"]:
        return f"has {table.num_rows} rows, the manifest lists {entry['rows']}"
    return _order_problem(run, name, entry["slice"], _sort_keys(name, table))


def _order_problem(run: Run, name: str, number: int, keys: list[Key]) -> str | None:
    """What is wrong with the order of a table's rows, or with where they are."""
    again = name == "scores"  # sequences within one replaced value have its position
    if not all(a < b or (again and a == b) for a, b in itertools.pairwise(keys)):
        return "is not sorted, or says a thing twice"
    if name == "index_twins":
        return None if all(key[0] < 0 for key in keys) else "has documents of the input"
    bounds = _slice_bounds(run, number)
    if keys and (bounds is None or not bounds[0] <= keys[0][0] <= keys[-1][0] < bounds[1]):
        return "has rows of another slice"
    return None


def _holds_nan(column: Any) -> bool:
    return bool(pc.any(pc.is_nan(column)).as_py())


def _sort_keys(name: str, table: Any) -> list[Key]:
    """By what the rows of a table are sorted; the document's key comes first."""
    columns = {
        "values": ("doc", "field", "value"),
        "spans": ("doc", "start", "end", "witness", "witness_start"),
        "uncut": ("doc", "start", "end", "witness", "witness_start"),
        "findings": ("doc", "field", "start", "end"),
        "scores": ("doc", "start", "end"),
        "entities": ("doc", "start", "end"),
        "scripts": ("doc", "number"),
    }.get(name, ("doc",))
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


def _slice_bounds(run: Run, number: int) -> tuple[int, int] | None:
    """The keys of a slice's documents: from its first cut to the first cut of the next slice."""
    starts = {
        part["number"]: part["cuts"][0]["shard"] << ROW_BITS | part["cuts"][0]["row"]
        for part in run.manifest["input"]["slices"]
        if part["cuts"]
    }
    if number not in starts:
        return None
    return starts[number], min((s for s in starts.values() if s > starts[number]), default=1 << 63)
