"""Phases of a job on the small engine, with tables in memory."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tests.dedup.mini_engine import MiniEngine
from unrote.corpus.schema import Table
from unrote.pipelines.engines.base import Flow, Input, Read


@dataclass
class InFlow:
    """What a function of phases asks of a job, where it reads tables and no text.

    tables: what was written so far.
    """

    engine: MiniEngine
    tables: dict[Table, pa.Table] = field(default_factory=dict)

    def phase(self, _: str, flow: Flow) -> None:
        made: dict[tuple[str, str], pa.Table] = {}

        def rows(source: Input) -> pa.Table:
            if isinstance(source, Read):
                (one,) = source.tables
                return self.tables[one]
            return made[source.node.label, source.tag]

        for node in flow.nodes:
            if node.stage.key:
                tables = {t: pa.concat_tables(map(rows, i)) for t, i in node.inputs.items()}
                found = self.engine.group(node.stage, **tables)
            else:
                (source,) = node.inputs["source"]
                assert isinstance(source, Read)
                found = self.engine.beside(
                    node.stage, **{one.name: self.tables[one] for one in source.tables}
                )
            made |= {(node.label, tag): result for tag, result in found.items()}
        for table, outputs in flow.writes:
            written = pa.concat_tables([rows(output) for output in outputs])
            self.tables[table] = written.sort_by([(name, "ascending") for name in table.sort])

    def rows(self, table: Table) -> int:
        return self.tables[table].num_rows

    def first_rows(self, table: Table, count: int) -> list[dict[str, Any]]:
        return self.tables[table].slice(0, count).to_pylist()
