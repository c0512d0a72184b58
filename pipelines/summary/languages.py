"""How many documents and letters there are of each language and script, by source."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.schema import DOCUMENTS, LANGUAGES, SCRIPTS, Tagged
from unrote.corpus.stages import PlainStage
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.summary.sums import (
    Ints,
    SumByKey,
    TopN,
    batch_of,
    numbers_of,
    summary_table,
    text_key,
)

ROWS = 20_000
"""Languages and scripts of sources that a summary holds; the others are one row."""

SUMS = ("documents", "letters")

LANGUAGE_TOTALS = summary_table(
    "language_totals", ("negative_letters", "key"), ("kind", "name", "source"), SUMS
)
"""One row for each language and each script (`kind`, which is a table's name) of a source, that
with the most letters first; the others have null names."""

SHARD_LANGUAGES = replace(LANGUAGE_TOTALS, name="shard_languages")
"""The same for each shard."""

_COLUMN = {LANGUAGES.name: "language", SCRIPTS.name: "script"}


def summarise_languages(flow: Flow, *, by_shard: bool = False) -> None:
    """Write LANGUAGE_TOTALS, or SHARD_LANGUAGES, from `documents`, `languages` and `scripts`."""
    stage, table = TallyLanguages(), LANGUAGE_TOTALS
    if by_shard:
        stage, table = ShardLanguages(), SHARD_LANGUAGES
    source = flow.read(None, DOCUMENTS, LANGUAGES, SCRIPTS, only=(LANGUAGES,))
    added = flow.group(SumByKey(table, "key", SUMS), parts=flow.map(stage, source)["parts"])
    flow.write(table, flow.group(TopN(table, ROWS, SUMS), rows=added["rows"])["rows"])


@dataclass(frozen=True)
class TallyLanguages(PlainStage):
    """Documents, and their languages and scripts beside them, to parts of the sums."""

    by: ClassVar[str] = "source"
    """The column of DOCUMENTS that is taken for the source."""
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        table.name: table.schema for table in (DOCUMENTS, LANGUAGES, SCRIPTS)
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"parts": LANGUAGE_TOTALS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        docs: Ints = np.empty(0, np.int64)
        sources, fresh = pa.array([], pa.string()), False
        for tag, batch in tagged:
            if tag == DOCUMENTS.name:
                if not fresh:
                    docs, sources, fresh = docs[:0], sources[:0], True
                docs = np.concatenate([docs, numbers_of(batch, "doc")])
                sources = pa.concat_arrays([sources, pc.fill_null(batch[self.by], "")])
                continue
            fresh = False
            at = np.searchsorted(docs, numbers_of(batch, "doc"))
            own = {"name": batch[_COLUMN[tag]], "source": sources.take(pa.array(at))}
            rows = pa.table(own | {"letters": batch["letters"]}).group_by(["name", "source"])
            yield "parts", _parts(tag, rows.aggregate([("letters", "count"), ("letters", "sum")]))


@dataclass(frozen=True)
class ShardLanguages(TallyLanguages):
    """The same for each shard."""

    by: ClassVar[str] = "shard"


def _parts(kind: str, rows: pa.Table) -> pa.RecordBatch:
    names, sources = rows["name"].to_pylist(), rows["source"].to_pylist()
    keys = [text_key(f"{kind}\0{n}\0{s}") for n, s in zip(names, sources, strict=True)]
    zeros = [0] * len(names)
    sums = (rows[name].to_pylist() for name in ("letters_count", "letters_sum"))
    return batch_of(
        LANGUAGE_TOTALS.schema, zeros, zeros, keys, [kind] * len(names), names, sources, *sums
    )
