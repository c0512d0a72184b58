"""What has been read of a run so far: texts, passages, findings, and the checks under way."""

import functools
import sys
import tempfile
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from unrote.corpus.errors import StorageError
from unrote.pipelines.verify.layout import ROW_BITS, TABLES
from unrote.pipelines.verify.records import Duplicate, Finding, Recounted, Rules, Shard
from unrote.pipelines.verify.verdict import Progress, Tally

CACHED = 256 << 20

RECOUNT_BYTES = 64 << 20
"""Size of the largest input that is looked through for that."""


def write_scratch(scratch: BinaryIO, content: bytes) -> None:
    """Raises StorageError where there is no room."""
    try:
        scratch.write(content)
    except OSError as error:
        raise StorageError(
            f"cannot write the scratch file of verify in {tempfile.gettempdir()}: "
            f"{error.strerror}. TMPDIR names another folder."
        ) from None


class Texts:
    """The texts of the documents that a table speaks of, by document, in a scratch file."""

    def __init__(self, scratch: BinaryIO) -> None:
        self._scratch = scratch
        self._location: dict[int, tuple[int, int]] = {}
        self._cache: OrderedDict[int, str] = OrderedDict()
        self._cached = 0
        self._end = 0

    def add(self, doc: int, text: str) -> None:
        content = text.encode()
        write_scratch(self._scratch, content)
        self._location[doc] = (self._end, len(content))
        self._end += len(content)

    def get(self, doc: int) -> str | None:
        """The text of a document, None if the input has no such document."""
        if doc in self._cache:
            self._cache.move_to_end(doc)
            return self._cache[doc]
        if doc not in self._location:
            return None
        start, size = self._location[doc]
        self._scratch.seek(start)
        text = self._scratch.read(size).decode()
        self._cache[doc] = text
        self._cached += sys.getsizeof(text)
        while self._cached > CACHED and len(self._cache) > 1:
            self._cached -= sys.getsizeof(self._cache.popitem(last=False)[1])
        return text


class Spans:
    """The spans table, in columns of int64, sorted by document and start."""

    def __init__(self) -> None:
        self.doc, self.start, self.end = array("q"), array("q"), array("q")
        self.witness = array("q")
        self.witness_start, self.witness_end = array("q"), array("q")
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

    def row_at(self, doc: int, position: int) -> int | None:
        """A row that covers one character of a document."""
        if not self.covers(doc, position, position + 1):
            return None
        rows = self.rows(doc)
        last = bisect_right(self.start, position, rows.start, rows.stop)
        return next(
            (i for i in range(last - 1, rows.start - 1, -1) if self.end[i] > position), None
        )


@dataclass
class Run:
    """A run folder and what has been read of it so far."""

    files: Any
    root: str
    manifest: Mapping[str, Any]
    rules: Rules
    shards: dict[int, Shard]
    texts: Texts
    progress: Progress
    tally: dict[str, Tally]
    duplicates: dict[int, Duplicate] = field(default_factory=dict)
    indexed: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Documents of the index that are twins or witnesses, with how many copies and passages they
    are said to have."""
    spans: Spans = field(default_factory=Spans)
    uncut: Spans = field(default_factory=Spans)
    """Passages that were found and stay."""
    uncut_bytes: list[int] = field(default_factory=list)
    rejects: dict[int, set[int]] = field(default_factory=dict)
    findings: dict[int, list[Finding]] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    """The hash of the value behind each fingerprint."""
    referenced: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)
    altered: set[int] = field(default_factory=set)
    """Documents with values that were replaced in the text."""
    refused: set[int] = field(default_factory=set)
    """Documents that are rejects because they are at risk of memorization."""
    contaminated: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """What is cut from a document because an evaluation set has it."""
    contaminating: set[int] = field(default_factory=set)
    """Documents that are to be removed because they contaminate an evaluation set."""
    recounted: list[Recounted] = field(default_factory=list)
    """A heap, by the negated draw."""
    bare: set[int] = field(default_factory=set)
    """Kept documents of which too little is left: right only if what is left is a witness."""

    def open(self, path: str) -> BinaryIO:
        return self.files.open(f"{self.root}/{path}")  # type: ignore[no-any-return]

    def reason(self, doc: int) -> str | None:
        """Why a document was removed, None if it was kept."""
        return self.duplicates[doc].reason if doc in self.duplicates else None

    @property
    def recounts(self) -> bool:
        """Whether the input is small enough to be looked through for copies."""
        return sum(shard.size for shard in self.shards.values()) <= RECOUNT_BYTES

    def rejected(self, doc: int) -> bool:
        return doc & ((1 << ROW_BITS) - 1) in self.rejects.get(doc >> ROW_BITS, ())

    def copied(self, doc: int) -> bool:
        return self.reason(doc) in ("exact", "near")

    def cuts(self, doc: int) -> tuple[tuple[int, int], ...]:
        """What was cut out of a document."""
        return self.spans.cuts(doc) if self.rules.cut else ()

    def name_of(self, doc: int) -> str:
        if doc < 0:
            return f"document {doc + (1 << 62)} of the index"
        number, row = doc >> ROW_BITS, doc & ((1 << ROW_BITS) - 1)
        name = self.shards[number].name if number in self.shards else f"shard {number}"
        return f"{name}#{row}"
