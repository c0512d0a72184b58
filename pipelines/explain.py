"""The phases of a run before it runs: the real flows, described instead of executed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from unrote.corpus.schema import Table
from unrote.dedup.index.layout import Index
from unrote.memorization.reference_model import ReferenceModel
from unrote.pii.config import Config
from unrote.pii.keys import Key, fresh_key
from unrote.pii.ner import LoadedModel
from unrote.pii.stages import Scan
from unrote.pipelines.analysis import analyse
from unrote.pipelines.config import Settings
from unrote.pipelines.engines.base import Flow, Input, Output, Read
from unrote.pipelines.index.head import Head
from unrote.pipelines.release import release


@dataclass
class Explanation:
    """A job that writes down its phases. It has no rows, so a repeated phase comes once."""

    settings: Settings
    key: Key = field(default_factory=fresh_key)
    reference_model: ReferenceModel = field(default_factory=lambda: ReferenceModel("cpu", ""))
    ner_model: LoadedModel = field(default_factory=LoadedModel)
    lines: list[str] = field(default_factory=list)

    @property
    def index(self) -> Head | None:
        folder = self.settings.dedup.index
        return Head(Index(folder), {}, "", "") if folder else None

    def phase(self, name: str, flow: Flow) -> None:
        self.lines.append(f"\n{name}")
        for node in flow.nodes:
            if isinstance(node.stage, Scan):
                self.lines += _looked_for(node.stage.config)
            sources = [_source(i) for inputs in node.inputs.values() for i in inputs]
            by = f" by {', '.join(node.stage.key)}" if node.stage.key else ""
            verb = "group" if node.stage.key else "map"
            self.lines.append(f"  {verb:<6}{type(node.stage).__name__}{by}: {'; '.join(sources)}")
        for table, _ in flow.writes:
            kind = "internal" if table.internal else "tables/"
            self.lines.append(f"  write {table.folder} ({kind})")
        if flow.edits is not None:
            self.lines.append("  write data/")

    def made(
        self,
        name: str,
        of: str,  # noqa: ARG002
        make: Callable[[], Mapping[Table, pa.Table]],  # noqa: ARG002
    ) -> None:
        self.lines.append(f"\n{name}")
        self.lines.append("  read the evaluation sets, where the command runs")

    def rows(self, table: Table) -> int:  # noqa: ARG002
        return 0

    def first_rows(self, table: Table, count: int) -> list[dict[str, object]]:  # noqa: ARG002
        return []


def explain(settings: Settings) -> str:
    """The phases of `unrote clean` with these settings, one after another."""
    job = Explanation(settings)
    analyse(job, allow_empty=True)
    release(job, write=settings.output.data)
    head = "Phases in order; each is committed before the next starts."
    if settings.dedup.near.enabled:
        head += " near-1 stands for as many rounds as it takes."
    return "\n".join([head, *job.lines])


def _looked_for(config: Config) -> list[str]:
    """What a scan looks for, by what finds it."""
    by = {
        "entities": [entry.entity for entry in config.entries],
        "patterns": [
            f"{one.name} (surrogates {one.surrogate})" if one.surrogate else one.name
            for one in config.patterns
        ],
        "imported": list(config.imported),
        "rules of yours": [rule.name for rule in config.secret_rules],
        "model": [config.ner] if config.ner else [],
    }
    others = [
        *(["secrets, by rules whose name is their origin"] if config.secrets else []),
        *(["street addresses"] if config.finds_addresses else []),
        *(["markers of earlier de-identification"] if config.markers else []),
    ]
    named = [f"{what} {', '.join(names)}" for what, names in by.items() if names]
    return [f"  look for {one}" for one in (*named, *others)]


def _source(source: Input) -> str:
    if isinstance(source, Output):
        return f"{type(source.node.stage).__name__}.{source.tag}"
    return _read(source)


def _read(source: Read) -> str:
    view = ["input"] if source.view else []
    what = " beside ".join([*view, *(t.folder for t in source.tables)])
    only = f" only with {', '.join(t.folder for t in source.only)}" if source.only else ""
    drop = f" without {', '.join(t.folder for t in source.drop)}" if source.drop else ""
    whole = f" knowing {', '.join(t.folder for t in source.whole)}" if source.whole else ""
    return f"{what}{only}{drop}{whole}"
