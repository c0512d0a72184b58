"""Which files an index has. All of them are Arrow IPC files that are never changed.

FINGERPRINTS  the fingerprint of each document, sorted by (high, low): not compressed, so that a
              lookup touches the pages that it needs of a mapped file
BANDS         the LSH buckets of the documents that were kept, sorted by (bucket, at); likewise
ANCHORS       anchors of duplicate windows (dedup.anchors), sorted by (hash, at), each with the
              first document that has it with the same text around; likewise
DOCUMENTS     ids, and the twins of near-duplicates, by document; batches of IDS rows, zstd
TEXTS         the text of each document that was kept and has words (with passages: of each that was
              no copy), by document; batches of about TEXT_BATCH bytes, zstd

`at` is the document's number less the `first` of what the file belongs to (Keys, Part). In
FINGERPRINTS a near-duplicate has ~at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import pyarrow as pa
import xxhash

FINGERPRINTS = pa.schema([("high", pa.int64()), ("low", pa.int64()), ("at", pa.int32())])
BANDS = pa.schema([("bucket", pa.int64()), ("at", pa.int32())])
ANCHORS = pa.schema([("hash", pa.int64()), ("at", pa.int32())])
DOCUMENTS = pa.schema(
    [("at", pa.int32()), ("id", pa.string()), ("twin", pa.int64()), ("similarity", pa.float64())]
)
"""`twin` is the number of a near-duplicate's twin, -1 of a document that was kept."""
TEXTS = pa.schema([("at", pa.int32()), ("text", pa.string())])

IDS = 4096
"""Rows of a batch of DOCUMENTS."""

TEXT_BATCH = 32 << 10
"""Bytes of a batch of TEXTS, about: less compresses worse, more takes longer to look up."""

MOST = 1 << 31
"""Documents that one file can speak of."""


@dataclass(frozen=True)
class File:
    """A file of an index. name: the xxh3_128 of its bytes, in hex."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Keys:
    """The sorted keys of the documents with first <= number < end."""

    first: int
    end: int
    fingerprints: File
    bands: File
    anchors: File

    @property
    def files(self) -> tuple[File, ...]:
        return self.fingerprints, self.bands, self.anchors


@dataclass(frozen=True)
class Part:
    """Ids and texts of the documents with first <= number < end."""

    first: int
    end: int
    documents: File
    texts: File


@dataclass(frozen=True, repr=False)
class Index:
    """An index as a run sees it: a folder or fsspec URL, and the files that count."""

    folder: str
    keys: tuple[Keys, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def files(self) -> tuple[File, ...]:
        """All files."""
        keys = [file for one in self.keys for file in one.files]
        return (*keys, *(file for one in self.parts for file in (one.documents, one.texts)))

    def __repr__(self) -> str:
        """What digests of phases have of it: names of files say what is in them, wherever it lies.
        It is asked for by each stage of each phase, and there may be hundreds of files.
        """
        return self._said

    @cached_property
    def _said(self) -> str:
        named = orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS)
        return f"<index {xxhash.xxh3_128_hexdigest(named)}>"

    def to_json(self) -> dict[str, Any]:
        """`keys` and `parts`, as JSON has them."""
        # dataclasses.asdict takes a tenth of a small night for hundreds of files
        return {
            "keys": [_plain(one, "fingerprints", "bands", "anchors") for one in self.keys],
            "parts": [_plain(one, "documents", "texts") for one in self.parts],
        }

    @classmethod
    def from_json(cls, folder: str, tree: Mapping[str, Any]) -> "Index":
        """The same again. Raises KeyError or TypeError for anything else."""
        kinds = ("fingerprints", "bands", "anchors")
        keys = [
            Keys(one["first"], one["end"], *(File(**one[kind]) for kind in kinds))
            for one in tree["keys"]
        ]
        parts = [
            Part(one["first"], one["end"], File(**one["documents"]), File(**one["texts"]))
            for one in tree["parts"]
        ]
        return cls(folder, tuple(keys), tuple(parts))


def _plain(one: Keys | Part, *names: str) -> dict[str, Any]:
    return {"first": one.first, "end": one.end} | {
        name: dict(getattr(one, name).__dict__) for name in names
    }


def path_of(folder: str, file: File) -> str:
    """Where a file lies."""
    return f"{folder}/files/{file.name}.arrow"
