"""What a stage is, what a phase is, and what an engine does with them.

A *stage* describes a computation on record batches and knows no engine. A *flow* is the graph of
one phase: it reads slices, maps and groups, and ends in writing tables. It describes and does not
execute; an engine executes it. Nothing but committed tables passes from one phase to the next,
which is why engines can agree.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol

import orjson
import pyarrow as pa
import xxhash

from unrote.corpus.read import Fields
from unrote.corpus.schema import RECORDS, TEXT, Table, Tagged
from unrote.corpus.shard import Corpus, Shard
from unrote.corpus.stages import Workers
from unrote.corpus.version import VERSION
from unrote.pipelines.commits import FORMAT, Commit, TableFile
from unrote.pipelines.storage import LocalPath, Location

Advance = Callable[[float], None]
"""How an engine reports how far a phase has come: the share that is done, in 0 … 1."""

Run = Callable[[Tagged], Tagged]
"""What an opened stage does: tagged batches in, tagged batches out."""


class Stage(Protocol):
    """A computation on batches. A frozen dataclass: its fields are its settings, and picklable.

    `key` is () for a map. A map sees the tables that it reads whole, then one chunk of documents
    after another in `doc` order: for each the batches of the tables it reads, one table after
    another, then the text, if it reads any.

    A group sees the rows of all its inputs merged and sorted by key, then input (in the order of
    `inputs`), then `order`, which is a total order within the key. They come in chunks that may end
    anywhere, also within a key; in each chunk the rows of one input follow those of another, so
    that a chunk with the first input's rows of a thousand keys is followed by the second input's
    rows of the same keys. All rows of one key reach the same run. Key and order columns are int64;
    one that an input lacks counts as zero.

    What a run yields must not depend on how rows are cut into batches.
    """

    @property
    def version(self) -> int:
        """Raised when the same settings come to give another result."""
        ...

    @property
    def inputs(self) -> Mapping[str, pa.Schema]: ...

    @property
    def outputs(self) -> Mapping[str, pa.Schema]: ...

    @property
    def key(self) -> tuple[str, ...]: ...

    @property
    def order(self) -> tuple[str, ...]: ...

    @property
    def singles(self) -> bool:
        """Whether groups of one row count; if not, an engine may leave their rows out."""
        ...

    @property
    def workers(self) -> Workers:
        """What its tasks run in on an engine that has a choice: only maps ask for processes, and
        only groups for a device.
        """
        ...

    def open(self) -> AbstractContextManager[Run]:
        """Prepare a worker: compile, load a model. Called once for each task."""
        ...


View = Literal["records", "text"]
VIEWS: Mapping[View, pa.Schema] = {"records": RECORDS, "text": TEXT}


@dataclass(frozen=True)
class Read:
    """Slices, in `doc` order: a view of the text, or tables, or both side by side.

    only: documents that have a row in one of these tables; () is all of them.
    drop: documents that have a row in one of these tables are left out.
    whole: tables of which every task reads all rows, of all documents, before anything else. They
    have to fit into a worker's memory.
    """

    view: View | None
    tables: tuple[Table, ...] = ()
    only: tuple[Table, ...] = ()
    drop: tuple[Table, ...] = ()
    whole: tuple[Table, ...] = ()

    def describe(self) -> str:
        """What is read, as stable text."""
        tables = (self.tables, self.only, self.drop, self.whole)
        names = [[t.folder for t in group] for group in tables]
        return f"{self.view} {names!r}"


@dataclass(frozen=True)
class Output:
    """One tagged output of a stage in a flow."""

    node: "Node"
    tag: str

    def describe(self) -> str:
        """Where it comes from, as stable text."""
        return f"{self.node.label}:{self.tag}"


Input = Read | Output


@dataclass(frozen=True, eq=False)
class Node:
    """A stage with what it reads. A map reads one `Read`; a group reads one input for each tag."""

    stage: Stage
    inputs: Mapping[str, tuple[Input, ...]]
    label: str

    def describe(self) -> str:
        """The stage with version and settings, and where its inputs come from, as stable text."""
        stage = self.stage
        settings = {f.name: getattr(stage, f.name) for f in fields(stage)}  # type: ignore[arg-type]
        sources = {t: [i.describe() for i in inputs] for t, inputs in sorted(self.inputs.items())}
        return f"{type(stage).__name__} {stage.version} {settings!r} {sources!r}"

    def tables_read(self) -> list[Table]:
        """Every table that the stage reads, in a fixed order."""
        found: list[Table] = []
        for _, inputs in sorted(self.inputs.items()):
            for source in inputs:
                if isinstance(source, Read):
                    found.extend((*source.tables, *source.only, *source.drop, *source.whole))
        return found


class Workspace(Protocol):
    """What an engine needs of a run: the input, and where the run's files lie."""

    @property
    def fingerprint(self) -> str:
        """A digest of the input and of all settings that decide the result."""
        ...

    @property
    def corpus(self) -> Corpus: ...

    @property
    def fields(self) -> Fields:
        """The fields of a row that are read."""
        ...

    @property
    def state(self) -> Location:
        """The folder for what only the run itself needs."""
        ...

    @property
    def data(self) -> Location:
        """The folder for cleaned shards."""
        ...

    def scratch(self) -> LocalPath:
        """The folder for spilled data, on this machine's disk."""
        ...

    def table_path(self, table: Table, slice_number: int) -> Location:
        """Where a table's file for a slice lies."""
        ...

    def files(self, table: Table) -> tuple[TableFile, ...]:
        """The committed files of a table; () where no phase wrote it."""
        ...


@dataclass
class Flow:
    """The lazily built graph of one phase."""

    nodes: list[Node] = field(default_factory=list)
    writes: list[tuple[Table, tuple[Output, ...]]] = field(default_factory=list)
    edits: Output | None = None

    def read(
        self,
        view: View | None,
        *tables: Table,
        only: tuple[Table, ...] = (),
        drop: tuple[Table, ...] = (),
        whole: tuple[Table, ...] = (),
    ) -> Read:
        """Slices of the input, of tables, or of both side by side. `view` None: tables only."""
        return Read(view, tables, only, drop, whole)

    def map(self, stage: Stage, source: Read) -> Mapping[str, Output]:
        """Run `stage` over `source`, chunk by chunk."""
        return self._add(stage, {"source": (source,)})

    def group(self, stage: Stage, **inputs: Input | tuple[Input, ...]) -> Mapping[str, Output]:
        """Bring rows of equal key together. Several inputs under one tag are united."""
        return self._add(stage, {t: i if isinstance(i, tuple) else (i,) for t, i in inputs.items()})

    def write(self, table: Table, *outputs: Output) -> None:
        """End in `table`: each row to the slice of its document, sorted as the table says."""
        self.writes.append((table, outputs))

    def release(self, edits: Output) -> None:
        """End in cleaned shards: the input rewritten by `edits` (corpus.edits.EDITS) of a map."""
        self.edits = edits

    def digest(self, name: str, run: Workspace) -> str:
        """Of all that decides what the phase `name` writes: input, tables read, stages, settings.

        A phase that was committed with the same digest need not be run again.
        """
        digest = xxhash.xxh3_128(f"{FORMAT} {VERSION} {name} {run.fingerprint}".encode())
        for node in self.nodes:
            digest.update(node.describe().encode())
            for table in node.tables_read():
                files = [f.digest for f in run.files(table)]
                digest.update(orjson.dumps([table.folder, files]))
        return str(digest.hexdigest())

    def _add(self, stage: Stage, inputs: Mapping[str, tuple[Input, ...]]) -> Mapping[str, Output]:
        node = Node(stage, inputs, f"{len(self.nodes):02d}-{type(stage).__name__}")
        self.nodes.append(node)
        return {tag: Output(node, tag) for tag in stage.outputs}


class Engine(Protocol):
    """Executes flows. The same flow on the same input writes the same bytes on every engine."""

    def pin(self, shards: Sequence[Shard], advance: Advance) -> Corpus:
        """Read each shard that was found once, and lay down checksums, cuts and slices."""
        ...

    def execute(self, name: str, flow: Flow, run: Workspace, advance: Advance) -> Commit:
        """Run the phase `name` and write its tables; the caller commits what this returns."""
        ...

    def close(self) -> None:
        """Give back what the engine holds: sessions, processes."""
        ...
