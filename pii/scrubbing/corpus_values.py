"""Values that were replaced in one document, looked for in all others.

A value is written down as keyed fingerprints of what its spellings have in common
(`folding.Folded`): of the whole, and of its first characters, by which it is looked up. Beside
these stand its surrogate and the signs between its letters and digits; neither says what it was.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.schema import REPLACED_VALUES
from unrote.pii.findings import Finding
from unrote.pii.keys import Key
from unrote.pii.scrubbing.actions import AppliedAction
from unrote.pii.scrubbing.folding import SHORTEST, Folded
from unrote.pii.scrubbing.spellings import Replaced

SHORTEST_ELSEWHERE = 9
"""Letters and digits of the shortest value, but e-mail addresses, that is looked for in other
documents: a shorter number there is likely another."""

_run = re.compile(r"[^\W_]+")


def is_telling(core: str) -> bool:
    """Whether the same letters and digits in another document are the same value: those of an
    e-mail address, or many with a digit among them.
    """
    if "@" in core:
        return True
    return sum(map(str.isalnum, core)) >= SHORTEST_ELSEWHERE and any(map(str.isdigit, core))


def value_rows(doc: int, known: Mapping[str, Replaced], key: Key) -> Iterator[tuple[Any, ...]]:
    """The rows of REPLACED_VALUES for what was replaced in a document, by core."""
    for number, (core, one) in enumerate(known.items()):
        if not is_telling(core):
            continue
        bare, found = core.removeprefix("+"), one.applied.finding
        yield (
            *(doc, number, *_fingerprint(key, core), _head(key, bare[:SHORTEST])),
            *(len(bare), core.startswith("+"), found.type, found.score, found.origin),
            *(one.applied.action, found.stands_for, one.applied.replacement),
            _run.sub("x", one.value),
        )


class CorpusValues:
    """The rows of REPLACED_VALUES, held to be looked up (a Holder of corpus.beside).

    A value takes about 200 bytes.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._batches: list[pa.RecordBatch] = []
        self._rows: pa.Table | None = None
        self._heads: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def learn(self, tag: str, batch: pa.RecordBatch) -> bool:
        if tag != REPLACED_VALUES.name:
            return False
        self._batches.append(batch)
        self._rows = None
        return True

    def held_by(self, readings: Sequence[str]) -> dict[str, Replaced]:
        """The values that stand in one of the `readings` of a text, in any spelling, by core."""
        found: dict[str, Replaced] = {}
        for text in readings if self._sorted().num_rows else ():
            found |= self._held_by(text)
        return found

    def _held_by(self, text: str) -> dict[str, Replaced]:
        rows, folded, found = self._sorted(), Folded(text), {}
        heads = np.array([_head(self._key, one) for one in folded.heads()], dtype=np.int64)
        first = np.searchsorted(self._heads, heads)
        last = np.searchsorted(self._heads, heads, side="right")
        for number in np.flatnonzero(first < last).tolist():
            for row in rows.slice(first[number], last[number] - first[number]).to_pylist():
                core = self._core_at(folded, number, row)
                if core is not None:
                    found[core] = _replaced(row)
        return found

    def _core_at(self, folded: Folded, number: int, row: Mapping[str, Any]) -> str | None:
        """The core from a run on, if it is the value of the row."""
        found = folded.alone_at(number, row["length"], row["signed"])
        is_it = found and _fingerprint(self._key, found[0]) == (row["high"], row["low"])
        return found[0] if found and is_it else None

    def _sorted(self) -> pa.Table:
        """All rows, by the fingerprints of their heads."""
        if self._rows is None:
            rows = pa.Table.from_batches(self._batches, REPLACED_VALUES.schema)
            heads = rows["head"].to_numpy()
            order = np.argsort(heads, kind="stable")
            self._rows, self._heads = rows.take(order), heads[order]
            self._batches = self._rows.to_batches()
        return self._rows


def _replaced(row: Mapping[str, Any]) -> Replaced:
    finding = Finding(0, 0, row["type"], row["score"], row["origin"], row["stands_for"])
    return Replaced(row["template"], AppliedAction(finding, row["action"], row["replacement"]))


def _fingerprint(key: Key, core: str) -> tuple[int, int]:
    """128 bits, as two int64."""
    digest = key.mac("value everywhere", core)
    high, low = (int.from_bytes(digest[at : at + 8], "big", signed=True) for at in (0, 8))
    return high, low


@lru_cache(maxsize=1 << 18)
def _head(key: Key, head: str) -> int:
    return int.from_bytes(key.mac("head of a value", head)[:8], "big", signed=True)
