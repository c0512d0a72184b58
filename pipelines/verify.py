"""Every promise of a run, checked from the input and OUT alone.

This module shares no kernel with the product, on purpose: it has its own readers, its own tokeniser
and its own document key, all in plain Python, so that a mistake there is not repeated here. It
reads the input once from end to end, beside the tables and the cleaned shards; of the documents
that a duplicate or a passage speaks of it keeps the text in an unlinked scratch file.

What is wrong with a run is a failed check, never an exception, and no failure quotes a text.
"""

import contextlib
import functools
import heapq
import io
import itertools
import json
import random
import re
import sys
import tempfile
import unicodedata
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
import zstandard

from corpus.errors import OutputError, RunError, StorageError

ROW_BITS = 36
"""A document's key is `shard << 36 | row`. Written down again, not imported: it is a promise."""

SHOWN = 20
SAMPLE = 1000
CACHED = 256 << 20
CHUNK = 1 << 20
PACKED = 32 << 10
BLANK = b" \t\r"
BOM = b"\xef\xbb\xbf"

TABLES: dict[str, dict[str, str]] = {
    "documents": {
        "doc": "int64",
        "id": "string",
        "shard": "string",
        "row": "int64",
        "source": "string",
        "bytes": "int64",
        "words": "int64",
    },
    "duplicates": {"doc": "int64", "reason": "string", "twin": "int64", "similarity": "double"},
    "spans": {
        "doc": "int64",
        "start": "int64",
        "end": "int64",
        "witness": "int64",
        "witness_start": "int64",
        "occurrences": "int64",
    },
    "findings": {
        "doc": "int64",
        "field": "int64",
        "start": "int64",
        "end": "int64",
        "type": "string",
        "score": "double",
        "action": "string",
        "origin": "string",
        "stands_for": "string",
        "fingerprint": "string",
        "surrogate": "string",
    },
    "scores": {
        "doc": "int64",
        "start": "int64",
        "end": "int64",
        "prefix_tokens": "int64",
        "suffix_tokens": "int64",
        "scored_by": "string",
        "sampled": "bool",
        "copies_input": "int64",
        "copies_deduplicated": "int64",
        "copies": "int64",
        "copies_near": "double",
        "copies_per_million": "double",
        "template": "double",
        "repetition": "double",
        "rare_words": "double",
        "word_duplication": "double",
        "loss": "double",
        "loss_prefix": "double",
        "loss_suffix": "double",
        "perplexity": "double",
        "bits": "double",
        "zlib_ratio": "double",
        "min_k": "double",
        "min_k_plus_plus": "double",
        "loss_relative": "double",
        "extractable": "bool",
        "extraction_strength": "double",
        "pz_log": "double",
        "recited_within": "double",
        "queries_log": "double",
        "biderman": "double",
        "edit_distance": "double",
        "bleu": "double",
        "risk_input": "double",
        "risk_deduplicated": "double",
        "risk": "double",
        "part_copies": "double",
        "part_predictability": "double",
        "part_rarity": "double",
        "action": "string",
        "reason": "string",
    },
    "entities": {
        "doc": "int64",
        "start": "int64",
        "end": "int64",
        "type": "string",
        "tokens": "int64",
        "contexts": "int64",
        "log_probability": "double",
        "log_prior": "double",
        "log_ratio": "double",
        "reason": "string",
    },
    "masks": {"doc": "int64", "tokens": "int64", "positions": "list<element: int32>"},
    "rejects": {"doc": "int64", "shard": "string", "row": "int64", "reason": "string"},
}

NULLABLE = {
    "duplicates": {"twin", "similarity"},
    "findings": {"surrogate"},
    "scores": set(TABLES["scores"]).difference(
        ("doc", "start", "end", "prefix_tokens", "suffix_tokens", "sampled"),
        ("copies_input", "copies", "action"),
    ),
    "entities": {"log_probability", "log_prior", "log_ratio", "reason"},
}
"""Columns of tables that may hold nulls."""

ACTIONS = ("keep", "cut", "remove", "mask", "placeholder", "hash", "surrogate")

MAY_RECUR = {"PERSON", "LOCATION", "ORGANIZATION", "NRP", "ADDRESS", "DATE_TIME", "AGE"} | {
    "SHIFTED_DATE", "SURROGATE_AGE"
}  # fmt: skip
"""Types whose surrogates are drawn from values that others have too, or that may stay."""

RECOUNTED = 20
"""Sequences of which the copies are counted again, by looking through the whole input."""

RECOUNT_BYTES = 64 << 20
"""Size of the largest input that is looked through for that."""

LEAK = 6
"""Letters and digits of the shortest value that is looked for in what was released."""

REPAIRED = " \t\n()[]{}<>\"'“”‘’«»"
"""What may go with a removed finding: white space, and brackets that would be empty."""

CHECKS = {
    "input": "accounted for",
    "tables": "accounted for",
    "rows": "accounted for",
    "documents": "accounted for",
    "duplicates": "accounted for",
    "findings": "accounted for",
    "scores": "accounted for",
    "data files": "accounted for",
    "released rows": "accounted for",
    "exact copies": "twin",
    "near-duplicates": "twin",
    "spans": "witness",
    "chains": "witness",
    "remainders": "witness",
    "copies": "exact",
    "values": "no leaks",
    "files": "no leaks",
}

TORN = (EOFError, zlib.error, zstandard.ZstdError)
"""What unpacking raises where compressed data is damaged: the run rejects the row at that place."""

DAMAGE = (*TORN, OSError, ValueError, pa.ArrowException)
"""What reading a damaged or missing file can raise."""

Progress = Callable[[str, int, int], None]
"""Told the name of a check, how much of it is done, and of how much."""

Key = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """One check of one promise.

    checked: how many things were looked at. failures: the first 20, by shard, row and offsets.
    failed: how many there are.
    """

    promise: str
    name: str
    checked: int
    failures: tuple[str, ...]
    failed: int


@dataclass(frozen=True)
class Verdict:
    """What `verify` found."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every promise holds."""
        return not any(check.failed for check in self.checks)


def verify(out: str, *, progress: Progress | None = None) -> Verdict:
    """Check every promise of the finished run in the folder (or fsspec URL) `out`.

    Damage, a changed input and broken promises are failed checks. Raises OutputError where `out` is
    not a run folder, RunError where its run is unfinished, StorageError where there is no room for
    the scratch file.
    """
    with tempfile.TemporaryFile() as scratch:
        run = _open(out, _Texts(scratch), progress or (lambda *_: None))
        _check_files(run)
        _check_input(run)
        _load_tables(run)
        _check_rows(run)
        _check_copies(run)
        for doc in sorted(run.findings):
            run.tally["findings"].expect(False, "%s has findings and no row", run.place(doc))
        _check_duplicates(run)
        _check_twins(run)
        _check_spans(run)
        _check_chains(run)
    return Verdict(tuple(tally.check() for tally in run.tally.values()))


def print_verdict(verdict: Verdict) -> None:
    """One line on stdout for each check, and under it what failed."""
    for check in verdict.checks:
        mark = "FAILED" if check.failed else "ok"
        count = f"{check.failed:,} of {check.checked:,}" if check.failed else f"{check.checked:,}"
        print(f"{mark:<7} {check.promise:<14} {check.name:<16} {count:>20}")
        for failure in check.failures:
            print("        " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in failure))
        if check.failed > len(check.failures):
            print(f"        … and {check.failed - len(check.failures):,} more")
    print("Every promise holds." if verdict.ok else "At least one promise is broken.")


# What a run is.


@dataclass
class _Tally:
    """A check under way."""

    promise: str
    name: str
    checked: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    def fail(self, message: str, *values: object) -> None:
        self.failed += 1
        if len(self.failures) < SHOWN:
            self.failures.append(message % values)

    def expect(self, holds: bool, message: str, *values: object) -> bool:
        """Count one thing looked at. The message is only put together if it does not hold."""
        self.checked += 1
        if not holds:
            self.fail(message, *values)
        return holds

    def check(self) -> Check:
        return Check(self.promise, self.name, self.checked, tuple(self.failures), self.failed)


@dataclass(frozen=True)
class _Shard:
    number: int
    name: str
    url: str
    format: str
    compression: str
    size: int
    checksum: str
    source: str


@dataclass(frozen=True)
class _Rules:
    """The settings that say what may be removed."""

    text: str
    id: str
    source: str
    normalise: str
    threshold: float
    unit: str
    ngram: int
    cut: bool
    min_bytes: int
    min_remaining: int
    pii: bool
    scores: bool
    above: float
    action: str
    columns: tuple[str, ...]
    data: bool
    internal: bool

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "_Rules":
        settings = manifest["settings"]
        fields, dedup, output = settings["input"], settings["dedup"], settings["output"]
        near, passages, pii = dedup["near"], dedup["passages"], settings["pii"]
        memorization = settings["memorization"]
        return cls(
            text=fields["text"],
            id=fields["id"],
            source=fields["source"],
            normalise=dedup["exact"]["normalise"],
            threshold=near["threshold"],
            unit=near["unit"],
            ngram=near["ngram"],
            cut=passages["action"] == "cut",
            min_bytes=passages["min_bytes"],
            min_remaining=passages["min_remaining"],
            pii=pii["enabled"],
            scores=memorization["enabled"],
            above=memorization["above"],
            action=memorization["action"],
            columns=tuple(pii["columns"]) if pii["enabled"] else (),
            data=output["data"] and manifest["job"] != "gate",
            internal=output["internal_tables"],
        )


class _Duplicate(NamedTuple):
    reason: str
    twin: int | None
    similarity: float | None


class _Finding(NamedTuple):
    doc: int
    field: int
    start: int
    end: int
    type: str
    action: str
    fingerprint: str
    surrogate: str | None


class _Sequence(NamedTuple):
    doc: int
    start: int
    end: int
    scored_by: str | None
    copies_input: int
    copies_deduplicated: int | None
    copies: int
    risk: float | None
    action: str
    reason: str | None


class _Recounted(NamedTuple):
    """A sequence of which the copies are counted again. The least `draw` are taken."""

    draw: int
    row: _Sequence
    text: str


class _Document(NamedTuple):
    doc: int
    id: str
    shard: str
    row: int
    source: str
    bytes: int


class _Texts:
    """The texts of the documents that a table speaks of, by document, in a scratch file."""

    def __init__(self, scratch: BinaryIO) -> None:
        self._scratch = scratch
        self._place: dict[int, tuple[int, int]] = {}
        self._cache: OrderedDict[int, str] = OrderedDict()
        self._cached = 0
        self._end = 0

    def add(self, doc: int, text: str) -> None:
        content = text.encode()
        try:
            self._scratch.write(content)
        except OSError as error:
            raise StorageError(
                f"cannot write the scratch file of verify in {tempfile.gettempdir()}: "
                f"{error.strerror}. TMPDIR names another folder."
            ) from None
        self._place[doc] = (self._end, len(content))
        self._end += len(content)

    def get(self, doc: int) -> str | None:
        """The text of a document, None if the input has no such document."""
        if doc in self._cache:
            self._cache.move_to_end(doc)
            return self._cache[doc]
        if doc not in self._place:
            return None
        start, size = self._place[doc]
        self._scratch.seek(start)
        text = self._scratch.read(size).decode()
        self._cache[doc] = text
        self._cached += sys.getsizeof(text)
        while self._cached > CACHED and len(self._cache) > 1:
            self._cached -= sys.getsizeof(self._cache.popitem(last=False)[1])
        return text


class _Spans:
    """The spans table, in columns of int64, sorted by document and start."""

    def __init__(self) -> None:
        self.doc, self.start, self.end = array("q"), array("q"), array("q")
        self.witness, self.witness_start = array("q"), array("q")
        self.occurrences = array("q")
        self.cuts = functools.lru_cache(maxsize=4096)(self._union)

    def __len__(self) -> int:
        return len(self.doc)

    def extend(self, table: Any) -> None:
        for name in TABLES["spans"]:
            getattr(self, name).extend(table[name].to_pylist())

    def rows(self, doc: int) -> range:
        return range(bisect_left(self.doc, doc), bisect_right(self.doc, doc))

    def _union(self, doc: int) -> tuple[tuple[int, int], ...]:
        """What the rows of a document cover, as disjoint ranges in order."""
        union: list[tuple[int, int]] = []
        for i in self.rows(doc):
            start, end = self.start[i], self.end[i]
            if union and start <= union[-1][1]:
                union[-1] = (union[-1][0], max(end, union[-1][1]))
            else:
                union.append((start, end))
        return tuple(union)

    def covers(self, doc: int, start: int, end: int) -> bool:
        """Whether the rows of a document cover all of a range of it."""
        cuts = self.cuts(doc)
        at = bisect_right(cuts, start, key=lambda cut: cut[0]) - 1
        return at >= 0 and end <= cuts[at][1]

    def row_at(self, doc: int, place: int) -> int | None:
        """A row that covers one character of a document."""
        if not self.covers(doc, place, place + 1):
            return None
        rows = self.rows(doc)
        last = bisect_right(self.start, place, rows.start, rows.stop)
        return next((i for i in range(last - 1, rows.start - 1, -1) if self.end[i] > place), None)


@dataclass
class _Run:
    """A run folder and what has been read of it so far."""

    files: Any
    root: str
    manifest: Mapping[str, Any]
    rules: _Rules
    shards: dict[int, _Shard]
    texts: _Texts
    progress: Progress
    tally: dict[str, _Tally]
    duplicates: dict[int, _Duplicate] = field(default_factory=dict)
    spans: _Spans = field(default_factory=_Spans)
    rejects: dict[int, set[int]] = field(default_factory=dict)
    findings: dict[int, list[_Finding]] = field(default_factory=dict)
    prints: dict[str, int] = field(default_factory=dict)
    """The hash of the value behind each fingerprint."""
    referenced: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)
    altered: set[int] = field(default_factory=set)
    """Documents with values that were replaced in the text."""
    refused: set[int] = field(default_factory=set)
    """Documents that are rejects for what a model would recite of them."""
    recounted: list[_Recounted] = field(default_factory=list)
    """A heap, by the negated draw."""
    bare: set[int] = field(default_factory=set)
    """Kept documents of which too little is left: right only if what is left is a witness."""

    def open(self, path: str) -> BinaryIO:
        return self.files.open(f"{self.root}/{path}", "rb")  # type: ignore[no-any-return]

    def reason(self, doc: int) -> str | None:
        """Why a document was removed, None if it was kept."""
        return self.duplicates[doc].reason if doc in self.duplicates else None

    @property
    def recounts(self) -> bool:
        """Whether the input is small enough to be looked through for copies."""
        return sum(shard.size for shard in self.shards.values()) <= RECOUNT_BYTES

    def copied(self, doc: int) -> bool:
        return self.reason(doc) in ("exact", "near")

    def cuts(self, doc: int) -> tuple[tuple[int, int], ...]:
        """What was cut out of a document."""
        return self.spans.cuts(doc) if self.rules.cut else ()

    def place(self, doc: int) -> str:
        number, row = doc >> ROW_BITS, doc & ((1 << ROW_BITS) - 1)
        name = self.shards[number].name if number in self.shards else f"shard {number}"
        return f"{name}#{row}"


def _open(out: str, texts: _Texts, progress: Progress) -> _Run:
    files, root = fsspec.core.url_to_fs(out)
    root = root.rstrip("/")
    if not files.isdir(root):
        raise OutputError(f"{out} is not a folder. Name the OUT of a finished run.")
    try:
        with files.open(f"{root}/manifest.json", "rb") as stream:
            manifest = json.load(stream)
    except FileNotFoundError:
        raise RunError(
            f"{out} has no manifest.json: its run is unfinished, or it is no run folder. "
            "The command that started the run continues it."
        ) from None
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{out}/manifest.json cannot be read ({type(error).__name__}). Run the job again."
        ) from None
    try:
        rules = _Rules.of(manifest)
        names = _Shard.__dataclass_fields__
        entries = [_Shard(**{n: e[n] for n in names}) for e in manifest["input"]["shards"]]
        _touch(manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{out}/manifest.json is not a manifest of format 1 ({type(error).__name__}: {error}). "
            "It was written by another version, or changed since. Run the job again."
        ) from None
    shards = {shard.number: shard for shard in entries}
    tally = {name: _Tally(promise, name) for name, promise in CHECKS.items()}
    return _Run(files, root, manifest, rules, shards, texts, progress, tally)


def _touch(manifest: Mapping[str, Any]) -> None:
    """Raises KeyError, TypeError or AttributeError where a manifest lacks what is read later."""
    files = [entry for entries in manifest["tables"].values() for entry in entries]
    for entry in files:
        _ = int(entry["slice"]), int(entry["rows"])
    for entry in manifest["data"]:
        _ = int(entry["shard"]), entry["path"]
    for entry in (*files, *manifest["data"]):
        _ = int(entry["bytes"]), entry["digest"]
    for part in manifest["input"]["slices"]:
        _ = int(part["number"]), [int(cut["shard"]) + int(cut["row"]) for cut in part["cuts"]]


# Files.


_INTERNAL = re.compile(r"internal/[a-z0-9_-]+/\d{5}\.parquet")


def _table_path(name: str, number: int) -> str:
    return f"tables/{name}/{number:05d}.parquet"


def _check_files(run: _Run) -> None:
    """OUT holds what the manifest lists, and nothing else."""
    listed = {"manifest.json", "report.json", "report.html"}
    listed |= {
        _table_path(name, entry["slice"])
        for name, entries in run.manifest["tables"].items()
        if name in TABLES or run.rules.internal
        for entry in entries
    }
    if run.rules.data:
        listed |= {f"data/{shard.name}" for shard in run.shards.values()} & {
            entry["path"] for entry in run.manifest["data"]
        }
    for path in run.files.find(run.root):
        name = path[len(run.root) :].lstrip("/")
        known = name in listed or (run.rules.internal and _INTERNAL.fullmatch(name) is not None)
        run.tally["files"].expect(known, "%s does not belong into OUT", name)


def _check_input(run: _Run) -> None:
    """The input is what it was when the run was pinned."""
    tally, total, done = run.tally["input"], sum(s.size for s in run.shards.values()), 0
    for shard in run.shards.values():
        try:
            with fsspec.open(shard.url, "rb") as stream:
                size, checksum = _digest(stream)
        except DAMAGE as error:
            tally.expect(False, "%s cannot be read (%s)", shard.name, type(error).__name__)
            continue
        tally.expect(
            (size, checksum) == (shard.size, shard.checksum),
            "%s is not what it was when the run was pinned: %d bytes, then %d",
            shard.name,
            size,
            shard.size,
        )
        done += size
        run.progress("input", done, total)


def _digest(stream: BinaryIO) -> tuple[int, str]:
    digest, size = xxhash.xxh3_128(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def _until_torn(rows: Iterator[Any]) -> Iterator[Any]:
    """`rows`; where compressed data is damaged, None for the row that cannot be read, the last."""
    try:
        yield from rows
    except TORN:
        yield None


def _guarded(rows: Iterator[T], tally: _Tally, name: str) -> Generator[T, None, None]:
    """`rows`; where they cannot be read to the end, that is a failure of `tally`."""
    try:
        yield from rows
    except DAMAGE as error:
        tally.fail("%s cannot be read to its end (%s)", name, type(error).__name__)


# Tables.


def _load_tables(run: _Run) -> None:
    """Check the tables' files and load all but `documents`, which is read beside the input."""
    tally = run.tally["tables"]
    for name in sorted(run.manifest["tables"]):
        if name not in TABLES:
            tally.expect(run.rules.internal, "%s is not a published table", name)
            for entry in run.manifest["tables"][name]:
                _table_content(run, name, entry)
    for table in _tables(run, "duplicates"):
        _load_duplicates(run, table)
    for table in _tables(run, "spans"):
        run.spans.extend(table)
    for table in _tables(run, "findings"):
        columns = (table[name].to_pylist() for name in _Finding._fields)
        for finding in map(_Finding._make, zip(*columns, strict=True)):
            run.findings.setdefault(finding.doc, []).append(finding)
    _load_rejects(run)
    for name in ("entities", "masks"):
        for table in _tables(run, name):
            _check_released(run, name, table)
    run.referenced.update(run.spans.doc, run.spans.witness)


def _check_released(run: _Run, name: str, table: Any) -> None:
    """The table speaks of documents that are released alone."""
    for doc in dict.fromkeys(table["doc"].to_pylist()):
        rejected = doc & ((1 << ROW_BITS) - 1) in run.rejects.get(doc >> ROW_BITS, ())
        released = run.reason(doc) is None and not rejected
        run.tally["tables"].expect(
            released, "%s is in %s and is not released", run.place(doc), name
        )


def _load_rejects(run: _Run) -> None:
    numbers = {shard.name: shard.number for shard in run.shards.values()}
    for table in _tables(run, "rejects"):
        columns = (table[name].to_pylist() for name in ("doc", "shard", "row"))
        for doc, shard, row in zip(*columns, strict=True):
            known = shard in numbers and doc == numbers[shard] << ROW_BITS | row
            run.tally["tables"].expect(
                known, "rejects has a row of %s#%d under %d", shard, row, doc
            )
            if known:
                run.rejects.setdefault(numbers[shard], set()).add(row)


def _load_duplicates(run: _Run, table: Any) -> None:
    columns = (table[name].to_pylist() for name in TABLES["duplicates"])
    for doc, reason, twin, similarity in zip(*columns, strict=True):
        fresh = doc not in run.duplicates
        run.tally["duplicates"].expect(fresh, "%s was removed twice", run.place(doc))
        run.duplicates[doc] = _Duplicate(reason, twin, similarity)
        run.referenced.add(doc)
        if twin is not None:
            run.referenced.add(twin)


def _tables(run: _Run, name: str) -> Iterator[Any]:
    """The usable files of a published table, in order, checked on the way."""
    tally = run.tally["tables"]
    entries = run.manifest["tables"].get(name, [])
    numbers = [entry["slice"] for entry in entries]
    ordered = all(a < b for a, b in itertools.pairwise(numbers))
    tally.expect(ordered, "the manifest does not list the slices of %s in order", name)
    for entry in entries:
        path, content = _table_path(name, entry["slice"]), _table_content(run, name, entry)
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


def _table_content(run: _Run, name: str, entry: Mapping[str, Any]) -> bytes | None:
    path, tally = _table_path(name, entry["slice"]), run.tally["tables"]
    try:
        with run.open(path) as stream:
            content = stream.read()
    except DAMAGE as error:
        tally.expect(False, "%s cannot be read (%s)", path, type(error).__name__)
        return None
    same = (len(content), xxhash.xxh3_128_hexdigest(content)) == (entry["bytes"], entry["digest"])
    tally.expect(same, "%s is not what the manifest lists", path)
    return content


def _table_problem(run: _Run, name: str, entry: Mapping[str, Any], table: Any) -> str | None:
    """What is wrong with the rows of a table's file."""
    optional = NULLABLE.get(name, ())
    if any(table[column].null_count for column in TABLES[name] if column not in optional):
        return "has nulls where none may be"
    if any(kind == "double" and _holds_nan(table[c]) for c, kind in TABLES[name].items()):
        return "holds what is not a number"
    if table.num_rows != entry["rows"]:
        return f"has {table.num_rows} rows, the manifest lists {entry['rows']}"
    keys = _sort_keys(name, table)
    again = name == "scores"  # sequences within one replaced value have its place
    if not all(a < b or (again and a == b) for a, b in itertools.pairwise(keys)):
        return "is not sorted, or says a thing twice"
    bounds = _slice_bounds(run, entry["slice"])
    if keys and (bounds is None or not bounds[0] <= keys[0][0] <= keys[-1][0] < bounds[1]):
        return "has rows of another slice"
    return None


def _holds_nan(column: Any) -> bool:
    return bool(pc.any(pc.is_nan(column)).as_py())


def _sort_keys(name: str, table: Any) -> list[Key]:
    """By what the rows of a table are sorted; the document's key comes first."""
    columns = {
        "spans": ("doc", "start", "end", "witness", "witness_start"),
        "findings": ("doc", "field", "start", "end"),
        "scores": ("doc", "start", "end"),
        "entities": ("doc", "start", "end"),
    }.get(name, ("doc",))
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


def _slice_bounds(run: _Run, number: int) -> tuple[int, int] | None:
    """The keys of a slice's documents: from its first cut to the first cut of the next slice."""
    starts = {
        part["number"]: part["cuts"][0]["shard"] << ROW_BITS | part["cuts"][0]["row"]
        for part in run.manifest["input"]["slices"]
        if part["cuts"]
    }
    if number not in starts:
        return None
    return starts[number], min((s for s in starts.values() if s > starts[number]), default=1 << 63)


# Reading the input and the cleaned shards.


class _Number(NamedTuple):
    """A JSON number, as it was written."""

    literal: str


class _Fields(NamedTuple):
    text: str | None
    id: str | None
    source: str | None
    columns: tuple[str | None, ...] = ()
    """Of the other columns that are scanned the strings; None for what is none."""


def _raw_rows(shard: _Shard, opened: Any) -> Iterator[Any]:
    """The rows of a shard: lines, record batches of one row, or the whole of a text file."""
    with opened as stream:
        if shard.format == "parquet":
            file = pq.ParquetFile(stream)
            for group in range(file.num_row_groups):
                yield from _group_rows(file, group)
        elif shard.format == "txt":
            yield stream.read().removeprefix(BOM)
        else:
            yield from _lines(_pieces_of(stream, shard.compression))


def _group_rows(file: Any, group: int) -> Iterator[Any]:
    """The rows of a row group; where it is damaged, None for each row from there on."""
    left = file.metadata.row_group(group).num_rows
    try:
        for batch in file.iter_batches(batch_size=1024, row_groups=[group]):
            yield from (batch.slice(row, 1) for row in range(batch.num_rows))
            left -= batch.num_rows
    except (OSError, pa.ArrowException) as error:
        # Arrow says OSError for both bad pages and failed reads; only the latter have a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield from itertools.repeat(None, left)


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The rows of JSONL: lines that hold more than white space, without the line break."""
    prefix = BOM
    waiting: list[bytes] = []
    for piece in itertools.chain(pieces, (b"\n",)):
        *lines, rest = piece.split(b"\n")
        for line in lines:
            line = b"".join([*waiting, line]).removeprefix(prefix)
            waiting = []
            if line.strip(BLANK):
                yield line
            prefix = b""
        waiting.append(rest)


def _pieces_of(stream: BinaryIO, compression: str) -> Iterator[bytes]:
    """The content of a file without its compression. Raises EOFError where that ends early."""
    if not compression:
        yield from iter(functools.partial(stream.read, CHUNK), b"")
        return
    unpack: Any = None
    while packed := stream.read(PACKED):
        while packed := packed if unpack else packed.lstrip(b"\0"):
            unpack = unpack or _unpacker(compression)
            yield unpack.decompress(packed)
            if not unpack.eof:
                break
            packed, unpack = unpack.unused_data, None
    if unpack:
        raise EOFError


def _unpacker(compression: str) -> Any:
    """For one gzip member or one Zstandard frame, of which a file may have several."""
    if compression == "gz":
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()


def _read(raw: Any, shard: _Shard, rules: _Rules) -> _Fields:
    """Text, id and source of a row; None for what it does not have."""
    if raw is None:
        return _Fields(None, None, None)
    if shard.format == "txt":
        return _Fields(_decoded(raw), shard.name, None)
    names = (rules.text, rules.id, rules.source)
    if shard.format == "parquet":
        columns = tuple(_cell(raw, name) for name in rules.columns)
        text, identity, source = (_cell(raw, name) for name in names)
        return _Fields(text, identity, source, columns)
    values = _members(raw)
    found = [values.get(name) for name in names]
    columns = tuple(_string(values.get(name)) for name in rules.columns)
    return _Fields(_string(found[0]), _string(_literal(found[1])), _string(found[2]), columns)


def _cell(raw: Any, name: str) -> str | None:
    """A column of a row as a string; None for what is null, nested or not text."""
    place = raw.schema.get_field_index(name)
    if place < 0:
        return None
    column = raw.column(place)
    try:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type) or "binary" in str(column.type):
            return None
        value: str | None = column.cast(pa.string())[0].as_py()
    except (ValueError, pa.ArrowException):
        return None
    return value


def _literal(value: object) -> object:
    """A number as it is written, anything else as it is."""
    return value.literal if isinstance(value, _Number) else value


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _string(value: object) -> str | None:
    """`value` if it is a string, and one that UTF-8 can write: without half a surrogate pair."""
    try:
        return value if isinstance(value, str) and value.encode() is not None else None
    except UnicodeEncodeError:
        return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _members(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(
            line.decode(), parse_int=_Number, parse_float=_Number, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


# Rows.


class _Documents:
    """The documents table, walked beside the input."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._rows = self._all()
        self._head = next(self._rows, None)

    def _all(self) -> Iterator[_Document]:
        for table in _tables(self._run, "documents"):
            columns = (table[name].to_pylist() for name in _Document._fields)
            yield from map(_Document._make, zip(*columns, strict=True))

    def take(self, doc: int) -> _Document | None:
        """The row of `doc`, if there is one. Rows before it have no document."""
        while self._head is not None and self._head.doc < doc:
            self._run.tally["rows"].fail("%s is not in the input", self._run.place(self._head.doc))
            self._head = next(self._rows, None)
        if self._head is None or self._head.doc > doc:
            return None
        found, self._head = self._head, next(self._rows, None)
        return found


class _Scores:
    """The scores table, walked beside the input."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._rows = self._all()
        self._head = next(self._rows, None)

    def _all(self) -> Iterator[_Sequence]:
        for table in _tables(self._run, "scores"):
            for batch in table.select(_Sequence._fields).to_batches(max_chunksize=4096):
                columns = (column.to_pylist() for column in batch.columns)
                yield from map(_Sequence._make, zip(*columns, strict=True))

    def take(self, doc: int) -> list[_Sequence]:
        """The rows of `doc`. Rows before them have no document."""
        found = []
        while self._head is not None and self._head.doc <= doc:
            if self._head.doc == doc:
                found.append(self._head)
            else:
                place = self._run.place(self._head.doc)
                self._run.tally["scores"].fail("%s has scores and is no document", place)
            self._head = next(self._rows, None)
        return found


class _Released:
    """A cleaned shard, walked beside the rows that must be in it."""

    def __init__(self, shard: _Shard, rows: Iterator[Any], tally: _Tally, leaks: _Tally) -> None:
        self._shard, self._rows, self._tally, self._leaks = shard, rows, tally, leaks
        self._in_step = True

    def take(self, number: int, raw: Any, expected: Mapping[str, "_Left"]) -> None:
        """Expect next the row `raw`, the named fields in it as told and all else the same."""
        if not self._in_step:
            return
        found = next(self._rows, None)
        same = found is not None and _same_row(self._shard, raw, found, expected)
        # After the first difference rows are no longer side by side: more failures say nothing.
        self._in_step = self._tally.expect(
            same, "data/%s does not hold row %d as it must be", self._shard.name, number
        )
        if found is not None and any(left.changed for left in expected.values()):
            now = _released_values(self._shard, found, expected)
            leaks = any(left.leaks(now.get(name) or "") for name, left in expected.items())
            self._leaks.expect(
                not leaks,
                "data/%s, row %d holds a value that was replaced",
                self._shard.name,
                number,
            )

    def finish(self) -> None:
        if self._in_step and next(self._rows, None) is not None:
            self._tally.fail("data/%s holds more than the kept rows", self._shard.name)


class _Left:
    """What must be left of a text: stretches of it in order, and what nobody can foretell between.

    cuts: cut out, the sides joined by a line break. changed: the findings that were replaced; where
    one reaches into a cut the rest of that is cut.
    """

    def __init__(
        self, text: str, cuts: Sequence[tuple[int, int]], changed: Sequence[_Finding]
    ) -> None:
        self.text = text
        self.is_same = not cuts and not changed
        self.changed = changed
        self.stretches = [""]
        place, strip, removed = 0, False, False
        for start, end, finding in _marks(cuts, changed):
            kept = text[place:start]
            self.stretches[-1] += kept.lstrip(REPAIRED) if strip else kept
            strip, place = False, end
            if finding is not None:
                strip = removed = finding.action == "remove"
                if strip:
                    self.stretches[-1] = self.stretches[-1].rstrip(REPAIRED)
                self.stretches.append("")
            elif start > 0 and end < len(text) and not (removed and not self.stretches[-1]):
                self.stretches[-1] += "\n"  # not at the text's ends, and a removal may be one
        kept = text[place:]
        self.stretches[-1] += kept.lstrip(REPAIRED) if strip else kept

    def fits(self, found: str) -> bool:
        """Whether `found` is what is left."""
        if len(self.stretches) == 1:
            return found == self.stretches[0]
        first, *middle, last = self.stretches
        if not found.startswith(first):
            return False
        at = len(first)
        for stretch in middle:
            at = found.find(stretch, at)
            if at < 0:
                return False
            at += len(stretch)
        return at + len(last) <= len(found) and found.endswith(last)

    def leaks(self, found: str) -> bool:
        """Whether a value that was replaced is in `found` more often than in what stays."""
        for finding in self.changed:
            value = self.text[finding.start : finding.end]
            if finding.type not in MAY_RECUR and sum(map(str.isalnum, value)) >= LEAK:
                kept = sum(stretch.count(value) for stretch in self.stretches)
                if found.count(value) > kept:
                    return True
        return False


def _marks(
    cuts: Sequence[tuple[int, int]], changed: Sequence[_Finding]
) -> list[tuple[int, int, _Finding | None]]:
    """Where something happens to a text, in order and apart: changes, and cuts without these.

    cuts, changed: by place, each apart.
    """
    marks: list[tuple[int, int, _Finding | None]] = [(f.start, f.end, f) for f in changed]
    first = 0  # of the changes that a later cut may touch
    for start, end in cuts:
        while first < len(changed) and changed[first].end <= start:
            first += 1
        at, number = start, first
        while number < len(changed) and changed[number].start < end:
            if at < changed[number].start:
                marks.append((at, changed[number].start, None))
            at = max(at, changed[number].end)
            number += 1
        if at < end:
            marks.append((at, end, None))
    return sorted(marks, key=lambda mark: mark[:2])


def _same_row(shard: _Shard, raw: Any, found: Any, expected: Mapping[str, _Left]) -> bool:
    """Whether `found` is the row `raw` with the expected fields and all else the same."""
    if found is None:
        return False
    if shard.format == "txt":
        (left,) = expected.values()
        text = _decoded(found)
        return bool(found == raw) if left.is_same else text is not None and left.fits(text)
    if shard.format == "jsonl":
        return _same_line(raw, found, expected)
    return raw.schema.names == found.schema.names and all(
        _fits(_cell(found, name), expected[name]) if name in expected else _same_cell(ours, theirs)
        for name, ours, theirs in zip(raw.schema.names, raw.columns, found.columns, strict=True)
    )


def _released_values(
    shard: _Shard, found: Any, expected: Mapping[str, _Left]
) -> dict[str, str | None]:
    """The expected fields of a released row."""
    if shard.format == "txt":
        return dict.fromkeys(expected, _decoded(found))
    if shard.format == "parquet":
        return {name: _cell(found, name) for name in expected}
    values = _members(found)
    return {name: _string(values.get(name)) for name in expected}


def _fits(found: str | None, left: _Left) -> bool:
    return found is not None and left.fits(found)


def _same_line(line: bytes, found: bytes, expected: Mapping[str, _Left]) -> bool:
    """The same of a JSON line: byte by byte but for the values that are expected to change."""
    changed = {name: left for name, left in expected.items() if not left.is_same}
    places = sorted(
        (start, end, name, number == len(own) - 1)
        for name in expected
        for own in [_value_places(line, name)]
        for number, (start, end) in enumerate(own)
        if name in changed or number < len(own) - 1
    )
    if {name for _, _, name, last in places if last} != set(changed):
        return False
    at = place = 0
    for start, end, name, last in places:
        head = line[place:start]
        if found[at : at + len(head)] != head:
            return False
        at += len(head)
        place = end
        value = _TOKEN.match(found, at)
        if value is None or value[0][:1] != b'"':
            return False
        at = value.end()
        try:
            text = json.loads(value[0].decode())
        except ValueError:
            return False
        # Earlier values of a repeated name may hold what went, or was not read, and are emptied.
        if not (changed[name].fits(text) if last else text == ""):
            return False
    return found[at:] == line[place:]


def _same_cell(cell: Any, found: Any) -> bool:
    if cell.equals(found):
        return True
    try:  # NaN is not equal to itself, and dictionaries may be numbered otherwise
        return cell.type == found.type and repr(cell.to_pylist()) == repr(found.to_pylist())
    except DAMAGE:
        return False


_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)


def _value_places(line: bytes, key: str) -> list[tuple[int, int]]:
    """Where the values of `key` begin and end in a JSON object; of several the last one counts."""
    depth, start = 0, 0
    name: str | None = None
    places = []
    for token in _TOKEN.finditer(line):
        kind = token[0][:1]
        if depth == 1 and kind == b'"' and name is None:
            name = json.loads(token[0].decode())
        elif depth == 1 and kind == b":":
            start = token.end()
        elif depth == 1 and kind in b",}":
            if name == key:
                value = line[start : token.start()]
                inset = len(value) - len(value.lstrip())
                places.append((start + inset, start + len(value.rstrip())))
            name = None
        depth += (kind in b"{[") - (kind in b"}]")
    return places


def _check_rows(run: _Run) -> None:
    """Walk through the input, the documents table and the cleaned shards side by side."""
    released = _check_data_files(run)
    documents, scores = _Documents(run), _Scores(run)
    total, done = sum(shard.size for shard in run.shards.values()), 0
    for shard in sorted(run.shards.values(), key=lambda shard: shard.number):
        _check_shard(run, shard, documents, scores, shard.number in released)
        done += shard.size
        run.progress("rows", done, total)
    documents.take(1 << 63)
    scores.take(1 << 63)


def _check_shard(
    run: _Run, shard: _Shard, documents: _Documents, scores: _Scores, released: bool
) -> None:
    """Every row of a shard is a document or a reject, and the cleaned shard holds what was kept."""
    readable = _until_torn(_raw_rows(shard, fsspec.open(shard.url, "rb")))
    rows = _guarded(readable, run.tally["input"], shard.name)
    rejects = set(run.rejects.get(shard.number, ()))
    with contextlib.ExitStack() as stack:
        output: Iterator[Any] = iter(())
        if released:
            path = f"data/{shard.name}"
            lines = _raw_rows(shard, run.open(path))
            output = stack.enter_context(
                contextlib.closing(_guarded(lines, run.tally["data files"], path))
            )
        beside = _Released(shard, output, run.tally["released rows"], run.tally["values"])
        for number, raw in enumerate(rows):
            document = documents.take(shard.number << ROW_BITS | number)
            rejected = number in rejects
            rejects.discard(number)
            # A document that a detector rejects is both, and one that a model would recite.
            both = rejected and (run.rules.pii or run.rules.action == "remove-document")
            run.tally["rows"].expect(
                rejected == (document is None) or both,
                "%s#%d is %s",
                shard.name,
                number,
                "both a document and a reject" if rejected else "neither a document nor a reject",
            )
            if document is not None:
                found = scores.take(document.doc)
                _check_document(run, shard, document, raw, found, None if rejected else beside)
        beside.finish()
    for number in sorted(rejects):
        run.tally["rows"].fail("%s#%d was rejected but is not in the input", shard.name, number)


def _check_document(
    run: _Run,
    shard: _Shard,
    document: _Document,
    raw: Any,
    scores: Sequence[_Sequence],
    beside: _Released | None,
) -> None:
    """beside: what was released of the shard; None where the document was rejected."""
    number = document.doc & ((1 << ROW_BITS) - 1)
    doc, fields = document.doc, _read(raw, shard, run.rules)
    text = fields.text
    if text is None:
        run.tally["documents"].expect(False, "%s has no readable text", run.place(doc))
        return
    expected = _Document(
        doc,
        f"{shard.name}#{number}" if fields.id is None else fields.id,
        shard.name,
        number,
        shard.source if fields.source is None else fields.source,
        len(text.encode()),
    )
    differing = [n for n in _Document._fields if getattr(expected, n) != getattr(document, n)]
    run.tally["documents"].expect(
        not differing, "%s has another %s in the input", run.place(doc), ", ".join(differing)
    )
    if doc in run.referenced:
        run.known.add(doc)
        run.texts.add(doc, text)
    _check_left(run, doc, text)
    if beside is None and any(one.action == "remove-document" for one in scores):
        run.refused.add(doc)
    rejected = beside is None and doc not in run.refused
    changed = [f for f in run.findings.get(doc, ()) if f.field == 0 and _changes(f)]
    if changed:
        run.altered.add(doc)
    _check_scores(run, doc, text, scores, rejected, changed)
    risky = [(one.start, one.end) for one in scores if one.action == "remove-sequence"]
    left = _check_findings(run, document, fields, rejected, risky)
    if run.rules.data and run.reason(doc) is None and beside is not None:
        beside.take(number, raw, left)


def _check_findings(
    run: _Run,
    document: _Document,
    fields: _Fields,
    rejected: bool,
    risky: Sequence[tuple[int, int]],
) -> dict[str, _Left]:
    """What must be left of each field of a document, after its findings were looked at.

    risky: what of the text goes because a model would recite it, with the values in it.
    """
    doc, tally = document.doc, run.tally["findings"]
    found = run.findings.pop(doc, [])
    gone = rejected or run.reason(doc) in ("exact", "near")
    tally.expect(not (found and gone), "%s has findings and is not released", run.place(doc))
    expected = {}
    names = (run.rules.text, *run.rules.columns)
    for number, (name, text) in enumerate(zip(names, (fields.text, *fields.columns), strict=False)):
        own = [finding for finding in found if finding.field == number]
        if text is not None:
            cuts = run.cuts(doc) if number == 0 else ()
            for i, finding in enumerate(own):
                before = own[i - 1].end if i else 0
                problem = _finding_problem(run, finding, text, before, cuts)
                tally.expect(problem is None, "%s, %d: %s", run.place(doc), finding.start, problem)
            changed = [f for f in own if _changes(f) and f.end <= len(text)]
            if risky and number == 0:
                changed = [f for f in changed if not _touches(risky, f.start, f.end)]
                cuts = _joined([*cuts, *risky])
            expected[name] = _Left(text, cuts, changed)
        else:
            tally.expect(not own, "%s has findings in a field that it lacks", run.place(doc))
    stray = any(finding.field >= len(names) for finding in found)
    tally.expect(not stray, "%s has findings in a field that was not scanned", run.place(doc))
    return expected


def _changes(finding: _Finding) -> bool:
    return finding.action not in ("keep", "cut")


def _touches(ranges: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of the ranges has something in common with another range."""
    return any(a < end and b > start for a, b in ranges)


def _joined(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same places in disjoint ranges, in order."""
    union: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        elif start < end:
            union.append((start, end))
    return tuple(union)


def _finding_problem(
    run: _Run, finding: _Finding, text: str, before: int, cuts: Sequence[tuple[int, int]]
) -> str | None:
    within = any(start <= finding.start and finding.end <= end for start, end in cuts)
    value = hash((finding.type, text[finding.start : finding.end]))
    print_ = run.prints.setdefault(finding.fingerprint, value)
    problems = {
        "it is not in the text, or overlaps another": not (
            before <= finding.start < finding.end <= len(text)
        ),
        "its action is none": finding.action not in ACTIONS,
        "it has a surrogate and another action, or the other way round": (
            (finding.action == "surrogate") != (finding.surrogate is not None)
        ),
        "it went with a passage and another action is named, or the other way round": (
            within != (finding.action == "cut")
        ),
        "another value has its fingerprint": print_ != value,
    }
    return next((problem for problem, is_so in problems.items() if is_so), None)


def _pieces(text: str, cuts: Sequence[tuple[int, int]]) -> Iterator[str]:
    at = 0
    for start, end in cuts:
        yield text[at:start]
        at = end
    yield text[at:]


def _check_left(run: _Run, doc: int, text: str) -> None:
    """A document goes as a remainder if too little of it is left, and only then."""
    reason, cuts = run.reason(doc), run.cuts(doc)
    if reason != "remainder" and (reason is not None or not cuts):
        return
    solid = sum(len(word) for piece in _pieces(text, cuts) for word in piece.split())
    little = solid < max(1, run.rules.min_remaining)
    if reason == "remainder":
        run.tally["remainders"].expect(
            little, "%s was removed though enough of it is left", run.place(doc)
        )
    elif little:
        run.bare.add(doc)


def _check_data_files(run: _Run) -> set[int]:
    """The cleaned shards' files are what the manifest lists. Returns the shards that have one."""
    tally, entries, found = run.tally["data files"], run.manifest["data"], set()
    for number, times in Counter(entry["shard"] for entry in entries).items():
        tally.expect(times == 1, "shard %d is listed %d times", number, times)
    for entry in entries:
        shard, path = run.shards.get(entry["shard"]), entry["path"]
        if not run.rules.data or shard is None or path != f"data/{shard.name}":
            tally.expect(False, "%s must not have been written", path)
            continue
        try:
            with run.open(path) as stream:
                same = _digest(stream) == (entry["bytes"], entry["digest"])
            tally.expect(same, "%s is not what the manifest lists", path)
            if shard.format == "parquet":
                tally.expect(_same_schema(run, shard, path), "%s has other columns", path)
        except DAMAGE as error:
            tally.expect(False, "%s cannot be read (%s)", path, type(error).__name__)
            continue
        found.add(shard.number)
    return found


def _same_schema(run: _Run, shard: _Shard, path: str) -> bool:
    with fsspec.open(shard.url, "rb") as before, run.open(path) as after:
        return bool(pq.read_schema(before).equals(pq.read_schema(after)))


# Scores.


def _check_scores(
    run: _Run,
    doc: int,
    text: str,
    found: Sequence[_Sequence],
    rejected: bool,
    changed: Sequence[_Finding],
) -> None:
    """The sequences of a document lie in it, cover what is left of it, and are done with as told.

    rejected: by a detector. changed: what was replaced in the text.
    """
    tally, place = run.tally["scores"], run.place(doc)
    if rejected or run.reason(doc) is not None or not run.rules.scores:
        tally.expect(not found, "%s has scores and is not released", place)
        return
    tally.expect(bool(found), "%s has no scores", place)
    lost = any(one.action == "remove-document" for one in found) and doc not in run.refused
    tally.expect(not lost, "%s is to be removed and is no reject", place)
    for before, one in zip([None, *found], found, strict=False):
        problem = _sequence_problem(run, one, text, before)
        tally.expect(problem is None, "%s [%d, %d): %s", place, one.start, one.end, problem)
    ranges = [(one.start, one.end) for one in found]
    if not changed and all(one.scored_by for one in found):
        covered = _joined([*ranges, *run.cuts(doc)])
        tally.expect(covered == ((0, len(text)),), "%s is not covered by its sequences", place)
    if run.recounts:
        apart = [*run.cuts(doc), *((finding.start, finding.end) for finding in changed)]
        for one in found:
            whole = one.start < one.end and not _touches(apart, one.start, one.end)
            if one.scored_by == "model" and whole:
                _recount_later(run, one, text)


def _sequence_problem(run: _Run, one: _Sequence, text: str, before: _Sequence | None) -> str | None:
    at_risk = one.risk is not None and one.risk >= run.rules.above and one.end > one.start
    removed = at_risk and run.rules.action != "report"
    problems = {
        "it is not in the text": not 0 <= one.start <= one.end <= len(text),
        "it ends before the one before it": before is not None and one.end < before.end,
        "it was scored by nothing known": one.scored_by not in (None, "model", "text"),
        "it lacks measures, and a reason": one.scored_by != "model" and one.reason is None,
        "it has no risk though it was scored, or the other way round": (
            (one.risk is None) != (one.scored_by is None)
        ),
        "its risk is no probability": one.risk is not None and not 0 <= one.risk <= 1,
        "its copies were counted though no model read it, or the other way round": (
            (one.copies_deduplicated is None) != (one.scored_by != "model")
        ),
        "its risk asks for another action": one.action != (run.rules.action if removed else "keep"),
    }
    return next((problem for problem, is_so in problems.items() if is_so), None)


def _recount_later(run: _Run, one: _Sequence, text: str) -> None:
    """Keep the sequence for `_check_copies`, if it is among those that a hash chooses."""
    draw = xxhash.xxh3_64_intdigest(f"{one.doc} {one.start} {one.end}".encode())
    if len(run.recounted) < RECOUNTED or -draw > run.recounted[0].draw:
        heapq.heappush(run.recounted, _Recounted(-draw, one, text[one.start : one.end]))
        if len(run.recounted) > RECOUNTED:
            heapq.heappop(run.recounted)


def _check_copies(run: _Run) -> None:
    """Count copies of a few sequences again, in every view, by looking through the input.

    They are sequences without a cut or a replaced value in them. What stands in the place of
    replaced values is in no table, so that in documents with some they can't be counted exactly.
    """
    chosen = sorted(run.recounted)
    counts = [[0, 0, 0] for _ in chosen]
    for shard in run.shards.values() if chosen else ():
        rows = _raw_rows(shard, fsspec.open(shard.url, "rb"))
        readable = _guarded(_until_torn(rows), run.tally["input"], shard.name)
        for number, raw in enumerate(readable):
            text, doc = _read(raw, shard, run.rules).text, shard.number << ROW_BITS | number
            if text is not None:
                rejected = number in run.rejects.get(shard.number, ())
                for place, view in enumerate(_views(run, doc, text, rejected)):
                    for count, one in zip(counts, chosen, strict=True):
                        count[place] += view.count(one.text)
    for (before, deduplicated, least), (_, row, _) in zip(counts, chosen, strict=True):
        said = (row.copies_input, row.copies_deduplicated)
        exact = row.copies >= least if run.altered else row.copies == least
        run.tally["copies"].expect(
            said == (before, deduplicated) and exact and row.copies > 0,
            "%s [%d, %d) has %d, %d and %d copies, the table says %d, %s and %d",
            *(run.place(row.doc), row.start, row.end, before, deduplicated, least, *said),
            row.copies,
        )


def _views(run: _Run, doc: int, text: str, rejected: bool) -> Iterator[str]:
    """What is in the input, in what deduplication left, and in what was scored, as far as known."""
    yield text
    if run.reason(doc) is not None:
        return
    left = "".join(_Left(text, run.cuts(doc), ()).stretches)
    yield left
    if doc not in run.altered and (not rejected or doc in run.refused):
        yield left


# Twins.


def _check_duplicates(run: _Run) -> None:
    tally = run.tally["duplicates"]
    for doc, duplicate in run.duplicates.items():
        place = run.place(doc)
        tally.expect(doc in run.known, "%s was removed but is not a document", place)
        tally.expect(
            duplicate.reason in ("exact", "near", "remainder"),
            "%s was removed for an unknown reason",
            place,
        )


def _check_twins(run: _Run) -> None:
    """Every twin is kept, and as similar as the table says.

    Documents are taken by twin, so that a twin's n-grams are made once.
    """
    removed = sorted(run.duplicates.items(), key=lambda item: (item[1].twin or 0, item[0]))
    twin_grams = functools.lru_cache(maxsize=1)(lambda twin: _shingles(run, twin))
    for at, (doc, duplicate) in enumerate(removed):
        if duplicate.reason == "remainder":
            bare = duplicate.twin is None and duplicate.similarity is None
            run.tally["remainders"].expect(bare, "%s has a twin", run.place(doc))
            continue
        near = duplicate.reason == "near"
        problem = _twin_problem(run, doc, duplicate)
        if problem is None:
            problem = (
                _near_problem(run, doc, duplicate, twin_grams)
                if near
                else _exact_problem(run, doc, duplicate)
            )
        tally = run.tally["near-duplicates" if near else "exact copies"]
        twin = "nothing" if duplicate.twin is None else run.place(duplicate.twin)
        tally.expect(problem is None, "%s and its twin %s: %s", run.place(doc), twin, problem)
        run.progress("twins", at + 1, len(removed))


def _twin_problem(run: _Run, doc: int, duplicate: _Duplicate) -> str | None:
    twin = duplicate.twin
    if twin is None or duplicate.similarity is None:
        return "no twin or no similarity is named"
    if twin == doc:
        return "a document is no twin of itself"
    if run.copied(twin):
        return "the twin was removed as a copy itself"
    if run.texts.get(doc) is None or run.texts.get(twin) is None:
        return "one of them is not a document of the input"
    return None


def _exact_problem(run: _Run, doc: int, duplicate: _Duplicate) -> str | None:
    twin = duplicate.twin if duplicate.twin is not None else doc
    same = _normalised(run, doc) == _normalised(run, twin)
    return (
        None if same and duplicate.similarity == 1.0 else "the texts differ, or similarity is not 1"
    )


def _normalised(run: _Run, doc: int) -> str:
    text = run.texts.get(doc) or ""
    if run.rules.normalise == "none":
        return text
    text = " ".join(text.split())
    return _lower(text) if run.rules.normalise == "case" else text


def _near_problem(
    run: _Run, doc: int, duplicate: _Duplicate, twin_grams: Callable[..., set[Hashable]]
) -> str | None:
    ours, theirs = _shingles(run, doc), twin_grams(duplicate.twin)
    both = len(ours & theirs)
    similarity = both / (len(ours) + len(theirs) - both) if both else 0.0
    if abs(similarity - (duplicate.similarity or 0.0)) > 1e-9:
        return f"the similarity is {similarity:.9f}, the table says {duplicate.similarity:.9f}"
    if similarity < run.rules.threshold - 1e-12:
        return f"the similarity {similarity:.9f} is below {run.rules.threshold}"
    return None


def _shingles(run: _Run, doc: int) -> set[Hashable]:
    """The set of n-grams of a document; all of it is one if it is shorter than that."""
    words, n = _words(run.texts.get(doc) or ""), run.rules.ngram
    if not words:
        return set()
    if run.rules.unit == "character":
        line = " ".join(words)
        return {line[at : at + n] for at in range(max(1, len(line) - n + 1))}
    if len(words) < n:
        return {tuple(words)}
    return set(zip(*(words[at:] for at in range(n)), strict=False))


def _words(text: str) -> list[str]:
    return _word_pattern().findall(_lower(text))


def _lower(text: str) -> str:
    """Each code point's lower case where that is one code point.

    str.lower looks at the neighbours of a capital sigma, and makes two of the dotted capital I.
    """
    return "İ".join(part.lower() for part in text.replace("Σ", "σ").split("İ"))


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    """Runs of letters, numbers, marks and underscores, by Unicode category."""
    runs: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] in "LNM" or code == ord("_"):
            if runs and runs[-1][1] == code - 1:
                runs[-1][1] = code
            else:
                runs.append([code, code])
    return re.compile("[" + "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in runs) + "]+")


# Witnesses.


def _check_spans(run: _Run) -> None:
    """Every passage stands, earlier, where its row says.

    Rows are taken by witness, so that a text is read few times.
    """
    spans, tally = run.spans, run.tally["spans"]
    for done, i in enumerate(sorted(range(len(spans)), key=spans.witness.__getitem__)):
        problem = _span_problem(run, i)
        if problem is not None:
            tally.fail(
                "%s [%d, %d) with witness %s from %d: %s",
                run.place(spans.doc[i]),
                spans.start[i],
                spans.end[i],
                run.place(spans.witness[i]),
                spans.witness_start[i],
                problem,
            )
        if done % 10_000 == 0:
            run.progress("spans", done, len(spans))
    tally.checked += len(spans)
    run.progress("spans", len(spans), len(spans))
    for doc in sorted(run.bare):
        run.tally["remainders"].fail(
            "%s was kept though too little of it is left, and that is nobody's witness",
            run.place(doc),
        )


def _span_problem(run: _Run, i: int) -> str | None:
    """What is wrong with row `i` of the spans table."""
    spans = run.spans
    doc, witness = spans.doc[i], spans.witness[i]
    if run.copied(doc) or run.copied(witness):
        return "one of them was removed as a copy"
    if (witness, spans.witness_start[i]) >= (doc, spans.start[i]):
        return "the witness is not earlier"
    text, other = run.texts.get(doc), run.texts.get(witness)
    if text is None or other is None:
        return "one of them is not a document of the input"
    return _copy_problem(run, i, text, other)


def _copy_problem(run: _Run, i: int, text: str, other: str) -> str | None:
    """What is wrong with row `i`, given the texts of its document and its witness."""
    spans = run.spans
    witness, start, end = spans.witness[i], spans.start[i], spans.end[i]
    first = spans.witness_start[i]
    last = first + end - start
    if first < 0 or not 0 <= start < end <= len(text):
        return "the range is not in the text"
    if text[start:end] != other[first:last]:
        return "the texts differ"
    if witness == spans.doc[i] and not _apart(text, first, start, run.rules.min_bytes):
        return f"windows of {run.rules.min_bytes} bytes overlap their witness"
    if spans.occurrences[i] < 2:
        return "a passage that occurs once was removed"
    if not spans.covers(witness, first, last):
        run.bare.discard(witness)
        if run.reason(witness) == "remainder":
            return "the witness went as a remainder with text that was nowhere else"
    return None


def _apart(text: str, first: int, second: int, least: int) -> bool:
    """Whether two places in a text are at least that many bytes apart."""
    return second - first >= least or len(text[first:second].encode()) >= least


def _check_chains(run: _Run) -> None:
    """Follow the witnesses of a sample of removed characters down to kept ones.

    `_check_spans` implies this for all of them, by induction; this looks.
    """
    spans = run.spans
    sizes = (max(0, end - start) for start, end in zip(spans.start, spans.end, strict=True))
    ends = list(itertools.accumulate(sizes))
    sample = random.Random(0)  # noqa: S311
    for _ in range(SAMPLE if ends and ends[-1] else 0):
        drawn = sample.randrange(ends[-1])
        i = bisect_right(ends, drawn)
        doc, place = spans.doc[i], spans.end[i] - (ends[i] - drawn)
        problem = _chain_problem(run, doc, place)
        run.tally["chains"].expect(
            problem is None, "%s, character %d: %s", run.place(doc), place, problem
        )


def _chain_problem(run: _Run, doc: int, place: int) -> str | None:
    character = (run.texts.get(doc) or "")[place : place + 1]
    while (i := run.spans.row_at(doc, place)) is not None:
        witness = run.spans.witness[i]
        first = run.spans.witness_start[i] + place - run.spans.start[i]
        if (witness, first) >= (doc, place):
            return f"the witness {run.place(witness)} from {first} is not earlier"
        doc, place = witness, first
    if run.reason(doc) is not None:
        return f"its witnesses end in {run.place(doc)}, which was removed"
    if not character or (run.texts.get(doc) or "")[place : place + 1] != character:
        return f"its witnesses end in another character, {run.place(doc)} at {place}"
    return None
