"""Entities by a model as stages: texts to windows, and windows to entities, a batch group at a
time.

Which windows are read together is laid down beforehand, by hashes, so that it is the same on every
engine: what a model says of one depends in the last bits on the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.beside import beside
from unrote.corpus.hashing import random_numbers
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.pulse import pulse
from unrote.corpus.schema import NAMED_ENTITIES, NER_WINDOWS, RECORDS, REJECTS, Tagged
from unrote.corpus.stages import PlainStage, Workers, each_key
from unrote.corpus.views import value_ranges
from unrote.pii.ner import Model, cutter_of, only_model

GROUP_SIZE = 512
"""Windows in a batch group, about: the model's batches are formed within one."""

WINDOW_COLUMNS = ("own_start", "own_end", "size", "start", "ids", "starts", "ends", "text")

GROUPED = NER_WINDOWS.schema.append(pa.field("batch_group", pa.int64()))


@dataclass(frozen=True)
class CutNerWindows(PlainStage):
    """Documents to rows of NER_WINDOWS. Rows that could not be read are left out.

    model: whose windows they are; width: of these; digest: of its files. normalization: the form in
    which texts are read. max_chars: longest text; a document with a longer one is rejected by Scan.
    several: in which fields a string may have several values, each of which is read alone.
    """

    model: Model = field(default_factory=lambda: Model(""))
    width: int = 0
    digest: str = ""
    normalization: Normalization = NFC
    max_chars: int = 0
    several: tuple[bool, ...] = ()

    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": RECORDS, "rejects": REJECTS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {NER_WINDOWS.name: NER_WINDOWS.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        # The rejects are rows that could not be read: an earlier phase says so.
        for batch in beside(tagged, ignored=("rejects",)):
            yield NER_WINDOWS.name, self._windows(batch)

    def _windows(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts: list[str] = []
        of: list[tuple[int, int, int]] = []
        for doc, text, columns in zip(
            *(batch[name].to_pylist() for name in ("doc", "text", "columns")), strict=True
        ):
            for number, value in enumerate((text, *columns)):
                for start, end in self._values(number, value):
                    if end - start <= self.max_chars:
                        texts.append(value[start:end])
                        of.append((doc, number, start))
        windows = cutter_of(self.model.name, self.width).cut(texts, self.normalization)
        index = windows["text_index"].to_numpy()
        doc, number, offset = np.array(of, dtype=np.int64).reshape(-1, 3)[index].T
        count = np.arange(index.size)
        columns = {
            "doc": doc,
            "number": count - np.searchsorted(doc, doc),
            "field": number,
            "start": windows["start"].to_numpy() + offset,
        }
        known = {name: windows[name] for name in WINDOW_COLUMNS}
        known |= {name: pa.array(np.ascontiguousarray(values)) for name, values in columns.items()}
        return pa.RecordBatch.from_arrays(
            [known[name] for name in NER_WINDOWS.schema.names], schema=NER_WINDOWS.schema
        )

    def _values(self, number: int, text: str | None) -> list[tuple[int, int]]:
        """The ranges of a field's string that are read one by one."""
        if text is None:
            return []
        return list(value_ranges(text)) if any(self.several[number:][:1]) else [(0, len(text))]


@dataclass(frozen=True)
class BatchGroups(PlainStage):
    """Rows of NER_WINDOWS, each with its batch group, of which there are `groups`."""

    groups: int = 1

    inputs: ClassVar[Mapping[str, pa.Schema]] = {NER_WINDOWS.name: NER_WINDOWS.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"grouped": GROUPED}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            random = random_numbers(batch["doc"].to_numpy(), batch["number"].to_numpy())
            groups = pa.array(random % self.groups, pa.int64())
            yield "grouped", pa.RecordBatch.from_arrays([*batch.columns, groups], schema=GROUPED)


def groups_for(windows: int) -> int:
    """How many batch groups so many windows make."""
    return -(-max(windows, 1) // GROUP_SIZE)


@dataclass(frozen=True)
class FindEntities(PlainStage):
    """Batch groups of windows to rows of NAMED_ENTITIES: the model reads them.

    digest: of its files.
    """

    model: Model = field(default_factory=lambda: Model(""))
    digest: str = ""

    workers: ClassVar[Workers] = "device"
    key: ClassVar[tuple[str, ...]] = ("batch_group",)
    order: ClassVar[tuple[str, ...]] = ("doc", "number")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"grouped": GROUPED}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {NAMED_ENTITIES.name: NAMED_ENTITIES.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for group in each_key((batch for _, batch in tagged), "batch_group"):
            yield NAMED_ENTITIES.name, self._entities(group)

    def _entities(self, group: pa.RecordBatch) -> pa.RecordBatch:
        windows = pa.RecordBatch.from_arrays(
            [pa.array(np.arange(group.num_rows)), *(group[name] for name in WINDOW_COLUMNS)],
            names=["text_index", *WINDOW_COLUMNS],
        )
        with only_model(self.model) as model:
            pulse()
            found = model.find(windows)
        window = found["window"].to_numpy()
        taken = {name: pc.take(group[name], found["window"]) for name in ("doc", "number", "field")}
        counts = [number for _, rows in groupby(window.tolist()) for number, _ in enumerate(rows)]
        own = {name: found[name] for name in ("start", "end", "type", "score")}
        known = taken | own | {"entity": pa.array(counts, pa.int64())}
        return pa.RecordBatch.from_arrays(
            [known[name] for name in NAMED_ENTITIES.schema.names], schema=NAMED_ENTITIES.schema
        )
