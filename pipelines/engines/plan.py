"""A flow, worked out: where each row goes, and in which order things can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unrote.corpus.edits import EDITS
from unrote.corpus.order import gather_order, partition_order, stack
from unrote.corpus.schema import Table
from unrote.corpus.shard import Corpus
from unrote.pipelines.engines.base import Flow, Input, Node, Output, Read

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Target:
    """Rows that are brought together: by key for a group, by slice for a table, by task for edits.

    step: when all of its rows are there: 1 behind maps, one more behind each group.
    node: the group's position in the flow; -1 for the others.
    tags, schemas: the inputs of the group; a table and edits have one.
    """

    kind: Literal["group", "table", "edits"]
    step: int
    node: int
    tags: tuple[str, ...]
    schemas: tuple[pa.Schema, ...]
    table: Table | None = None


@dataclass(frozen=True)
class Route:
    """One way that an output's rows take: to which target, as which of its inputs.

    key: partitioned by the hash of these columns; or else
    doc: by the slice of the document in this column; or else ("") by the slice or task they are of.
    """

    target: int
    tag: int
    key: tuple[str, ...] = ()
    doc: str = ""


@dataclass(frozen=True)
class Scan:
    """A table that a group reads as it is."""

    source: Read
    route: Route


@dataclass(frozen=True)
class Plan:
    """routes: by node (its position in the flow) and tag."""

    flow: Flow
    targets: tuple[Target, ...]
    routes: Mapping[tuple[int, str], tuple[Route, ...]]
    scans: tuple[Scan, ...]
    steps: int

    def maps(self) -> tuple[int, ...]:
        """The positions of the maps in the flow."""
        return tuple(n for n, node in enumerate(self.flow.nodes) if not node.stage.key)


def plan_of(flow: Flow) -> Plan:
    """Work out a flow."""
    return _Planner(flow).plan()


class _Planner:
    """Follows a flow from its reads to its writes."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.number = {id(node): n for n, node in enumerate(flow.nodes)}
        self.steps: list[int] = []  # for each node: the step behind which its outputs are there
        self.targets: list[Target] = []
        self.routes: dict[tuple[int, str], tuple[Route, ...]] = {}
        self.scans: list[Scan] = []

    def plan(self) -> Plan:
        for n, node in enumerate(self.flow.nodes):
            self.steps.append(0)
            if node.stage.key:
                self._group(n, node)
        for table, outputs in self.flow.writes:
            self._table(table, outputs)
        if self.flow.edits is not None:
            self._connect(self.flow.edits, Route(len(self.targets), 0))
            self.targets.append(Target("edits", 1, -1, ("edits",), (EDITS,)))
        last = max((target.step for target in self.targets), default=0)
        return Plan(self.flow, tuple(self.targets), self.routes, tuple(self.scans), last)

    def _group(self, n: int, node: Node) -> None:
        self.steps[n] = self._behind([i for inputs in node.inputs.values() for i in inputs])
        tags, schemas = tuple(node.stage.inputs), tuple(node.stage.inputs.values())
        for tag, name in enumerate(tags):
            route = Route(len(self.targets), tag, key=node.stage.key)
            for source in node.inputs.get(name, ()):
                if isinstance(source, Output):
                    self._connect(source, route)
                else:
                    self.scans.append(Scan(source, route))
        self.targets.append(Target("group", self.steps[n], n, tags, schemas))

    def _table(self, table: Table, outputs: Sequence[Output]) -> None:
        for output in outputs:
            doc = table.sort[0] if output.node.stage.key else ""
            self._connect(output, Route(len(self.targets), 0, doc=doc))
        step = self._behind(outputs)
        self.targets.append(Target("table", step, -1, (table.name,), (table.schema,), table))

    def _connect(self, output: Output, route: Route) -> None:
        at = (self.number[id(output.node)], output.tag)
        self.routes[at] = (*self.routes.get(at, ()), route)

    def _behind(self, inputs: Sequence[Input]) -> int:
        """The step at which all rows of `inputs` are there."""
        made = [i for i in inputs if isinstance(i, Output)]
        return 1 + max((self.steps[self.number[id(i.node)]] for i in made), default=0)


def partition_bits(input_bytes: int) -> int:
    """How many bits of the key's hash choose the partition: a partition for each 4 MiB or so."""
    return max(4, min(12, (input_bytes >> 22).bit_length()))


def partitioned(
    route: Route, batch: pa.RecordBatch, corpus: Corpus, bits: int, here: int, parts: int
) -> tuple[pa.RecordBatch, Ints]:
    """The rows of a batch, those of a partition side by side, and where each partition begins.

    bits: of the key's hash. here: the partition for rows that have neither key nor document.
    parts: how many there are where rows are not partitioned by key.
    """
    if route.key:
        columns = stack([batch.column(name).to_numpy() for name in route.key])
        order, offsets = partition_order(columns, bits)
    else:
        if route.doc and parts > 1:
            numbers = corpus.slice_of(batch.column(route.doc).to_numpy())
        else:
            numbers = np.full(batch.num_rows, 0 if route.doc else here, dtype=np.int64)
        order, offsets = gather_order(numbers, parts)
    if np.count_nonzero(np.diff(offsets)) > 1:
        batch = batch.take(pa.array(order))
    return batch, offsets
