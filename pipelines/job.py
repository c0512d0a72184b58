"""What the jobs share: a run folder, an engine, and phases that are run once and then skipped."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa
import xxhash

from unrote.corpus import compiled
from unrote.corpus.errors import ConfigError, StorageError
from unrote.corpus.extras import require
from unrote.corpus.finding import look
from unrote.corpus.pinning import check_sizes, check_unmodified, stat_snapshot
from unrote.corpus.saved import refuse_names_elsewhere, saved_beside
from unrote.corpus.schema import PUBLISHED, Table
from unrote.corpus.shard import Corpus
from unrote.corpus.storage import use_options
from unrote.corpus.tables import read_table, write_table
from unrote.corpus.version import VERSION
from unrote.memorization.reference_model import ReferenceModel, load_reference_model
from unrote.pii.keys import FRESH_KEY_NOTICE, Key, fresh_key, load_key
from unrote.pii.ner import LoadedModel, Model, load_model
from unrote.pipelines.commits import Commit, TableFile, refuse_changed
from unrote.pipelines.config import Settings
from unrote.pipelines.engines import open_engine
from unrote.pipelines.engines.base import Engine, Flow
from unrote.pipelines.evaluation_sets import with_digests
from unrote.pipelines.heartbeat import Heartbeat
from unrote.pipelines.index.added import add_to_index
from unrote.pipelines.index.head import Head
from unrote.pipelines.index.opening import OpenIndex, open_index
from unrote.pipelines.lineage import told
from unrote.pipelines.progress import Progress, Silent, Together
from unrote.pipelines.run import RunFolder, open_run, reopen_run
from unrote.pipelines.tracing import traced


class Phases(Protocol):
    """What a list of phases is written for: a job that runs them, or one that explains them."""

    @property
    def settings(self) -> Settings: ...

    @property
    def key(self) -> Key:
        """What surrogates and fingerprints are made with."""
        ...

    @property
    def index(self) -> Head | None:
        """The index of earlier runs as this run looks at it; None without."""
        ...

    @property
    def reference_model(self) -> ReferenceModel:
        """The model that measures sequences. Raises ConfigError if it cannot be used."""
        ...

    @property
    def ner_model(self) -> LoadedModel:
        """The model for entities. Raises ConfigError if it cannot be used."""
        ...

    def phase(self, name: str, flow: Flow) -> None:
        """Run a phase, or note it."""
        ...

    def made(self, name: str, of: str, make: Callable[[], Mapping[Table, pa.Table]]) -> None:
        """Commit tables that are made here, of what is no part of the input; `of` says of what."""
        ...

    def rows(self, table: Table) -> int:
        """Committed rows of a table."""
        ...

    def first_rows(self, table: Table, count: int) -> list[dict[str, Any]]:
        """The first rows of a committed table."""
        ...


@dataclass
class Job:
    """One run of a job on one engine."""

    run: RunFolder
    engine: Engine
    progress: Progress
    key: Key
    snapshot: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The stat snapshot of the input's files when they were pinned (corpus.pinning)."""
    opened: OpenIndex | None = None
    """The index that the run adds to."""

    @property
    def settings(self) -> Settings:
        return self.run.settings

    @property
    def index(self) -> Head | None:
        return self.run.base

    def add_to_index(self) -> None:
        """Let the index have what this run keeps: the last step but for the manifest.

        It is done once, whatever becomes of the manifest. Raises RunError where another process may
        have the index by now.
        """
        if self.opened is not None:
            with self.progress.aside("adding to the index"):
                self.run.require()
                self.run.indexed = add_to_index(self.opened, self.run)

    @cached_property
    def reference_model(self) -> ReferenceModel:
        settings = self.settings.memorization
        masks = "" if settings.masks == "none" else settings.mask_tokenizer or settings.model
        with self.progress.aside("loading the model"):
            return load_reference_model(settings.models, masks)

    @cached_property
    def ner_model(self) -> LoadedModel:
        with self.progress.aside("loading the model for names"):
            return load_model(Model.of(self.settings.pii.config))

    def phase(self, name: str, flow: Flow) -> None:
        """Run a phase and commit it, unless it was committed already for the same input."""
        with self.progress.aside(f"looking at {name}"):
            committed = self.run.committed(name, flow.digest(name, self.run))
        if committed:
            return
        with self.progress.phase(name) as advance:
            try:
                commit = self.engine.execute(name, flow, self.run, advance)
            except Exception as error:
                # A file that was changed explains whatever went wrong.
                check_unmodified(self.snapshot)
                if not isinstance(error, OSError):
                    raise
                raise StorageError(
                    f"cannot read or write {error.filename or self.run.out}: "
                    f"{error.strerror or error}. Free space there and run the same command again."
                ) from error
            check_unmodified(self.snapshot)
            self.run.commit(commit)

    def made(self, name: str, of: str, make: Callable[[], Mapping[Table, pa.Table]]) -> None:
        """Write tables, all of their rows in slice 0, and commit them as a phase."""
        digest = xxhash.xxh3_128_hexdigest(f"{VERSION} {name} {self.run.fingerprint} {of}".encode())
        if self.run.committed(name, digest):
            return
        with self.progress.phase(name):
            begun = time.monotonic()
            files = {
                table.folder: tuple(self._file(table, rows) for _ in range(bool(len(rows))))
                for table, rows in make().items()
            }
            self.run.commit(Commit(name, digest, time.monotonic() - begun, 0, 0, files))

    def _file(self, table: Table, rows: pa.Table) -> TableFile:
        path = str(self.run.table_path(table, 0))
        return TableFile(0, *write_table(path, table.schema, rows, internal=table.internal))

    def rows(self, table: Table) -> int:
        """Committed rows of a table."""
        return self.run.rows(table)

    def first_rows(self, table: Table, count: int) -> list[dict[str, Any]]:
        """The first rows of a committed table, across its slices."""
        rows: list[dict[str, Any]] = []
        for file in self.run.files(table):
            for batch in read_table(str(self.run.table_path(table, file.slice))):
                rows.extend(batch.slice(0, count - len(rows)).to_pylist())
                if len(rows) >= count:
                    return rows
        return rows


RUN_ID = 16
"""Hexadecimal digits of a run's fingerprint that its log lines have."""


@contextmanager
def open_job(
    kind: str,
    inputs: Sequence[str],
    out: str,
    settings: Settings,
    progress: Progress,
    *,
    fresh: bool = False,
    engine: Engine | None = None,
) -> Iterator[Job]:
    """Open OUT, pin the input and start the engine; OUT is free for others afterwards.

    engine: one that is there already; None: what the settings name.
    """
    with traced(kind) as spans, told(settings.lineage, kind, inputs, out, progress):
        shown = Together(progress, spans) if spans is not None else progress
        with _opened(kind, inputs, out, settings, shown, fresh=fresh, engine=engine) as job:
            yield job


@contextmanager
def _opened(
    kind: str,
    inputs: Sequence[str],
    out: str,
    settings: Settings,
    progress: Progress,
    *,
    fresh: bool,
    engine: Engine | None,
) -> Iterator[Job]:
    require_extras(settings)
    use_options(settings.storage.options)
    settings = with_digests(settings)
    compile_kernels(progress)
    snapshot: dict[str, tuple[int, int]] = {}
    given = load_key(settings.pii.key_file) if settings.pii.enabled else None
    named = "" if given is None else given.fingerprint()
    engine = engine or open_engine(settings.engine)

    def pinned() -> Corpus:
        with progress.aside("finding the input"):
            found = look(inputs)
            snapshot.update(stat_snapshot(found.shards))
        if found.passed_over:
            progress.note(_passed_over(found.passed_over))
        with progress.phase("pin") as advance:
            corpus = engine.pin(found.shards, advance)
        corpus = replace(corpus, passed_over=tuple(found.passed_over))
        refuse_names_elsewhere(saved_beside(corpus.shards, corpus.passed_over))
        with progress.aside("looking at columns"):
            _refuse_columns(corpus, settings)
        return corpus

    with ExitStack() as stack:
        stack.callback(engine.close)
        index = None
        if settings.dedup.index:
            opening = _opened_index(kind, inputs, out, settings, named, progress.note)
            index = stack.enter_context(opening)
        run = open_run(
            out,
            kind,
            inputs,
            settings,
            pinned,
            key=named,
            fresh=fresh,
            index=index,
            note=progress.note,
        )
        stack.callback(run.close)
        progress.begin(run.fingerprint[:RUN_ID])
        if settings.pii.enabled and given is None and not run.finished:
            progress.note(FRESH_KEY_NOTICE)
        shown = progress if run.finished else Together(progress, Heartbeat(run.state))
        yield Job(run, engine, shown, given or fresh_key(), snapshot, index)


def _opened_index(
    kind: str,
    inputs: Sequence[str],
    out: str,
    settings: Settings,
    key: str,
    note: Callable[[str], None],
) -> AbstractContextManager[OpenIndex]:
    """The index that a run adds to. Raises ConfigError for a job that adds nothing, OutputError
    where it cannot be used.
    """
    if kind not in ("clean", "dedup"):
        raise ConfigError(
            f"dedup.index: {kind} adds nothing to an index. Leave it out with --set dedup.index=''."
        )
    return open_index(settings.dedup.index, settings, key, inputs, out, note)


def _passed_over(urls: Sequence[str]) -> str:
    shown = ", ".join(urls[:5]) + (f" and {len(urls) - 5} more" if len(urls) > 5 else "")
    return f"passed over, not read: {shown}. The manifest lists all as passed_over."


def compile_kernels(progress: Progress) -> None:
    """Compile kernels beforehand where the installation has none that this machine can run."""
    if compiled.are_there():
        return
    with progress.phase("compile") as advance:
        problem = compiled.compile_now(advance)
    if problem:
        progress.note(
            f"kernels could not be compiled beforehand ({problem}): each is compiled when it is "
            "first used, and kept. UNROTE_CACHE names another folder to keep them in."
        )


def require_extras(settings: Settings) -> None:
    """Raise ConfigError where a part of the job needs what is not installed, before it starts."""
    if settings.pii.enabled:
        off = "leave personal data in with --set pii.enabled=false"
        require("pii", "Finding personal data (pii.enabled)", off)
    if settings.memorization.enabled:
        off = "leave it out with --set memorization.enabled=false"
        require("score", "Scoring what a model would memorize (memorization.enabled)", off)
    if settings.languages.enabled:
        off = "leave it out with --set languages.enabled=false"
        require("languages", "Telling languages (languages.enabled)", off)
    near = settings.dedup.near
    if near.enabled and near.method == "datasketch":
        off = "use the way that needs nothing more with --set dedup.near.method=rounds"
        require("datasketch", "The second way to near-duplicates (dedup.near.method)", off)


def _refuse_columns(corpus: Corpus, settings: Settings) -> None:
    """Raise InputError for columns that can't be read or scanned, before anything is started."""
    from unrote.corpus.columns import refuse_columns  # noqa: PLC0415 - which loads pyarrow.parquet

    refuse_columns(corpus, settings.fields)


@contextmanager
def reopen_job(out: str) -> Iterator[Job]:
    """The job of a finished run, for phases that read its published tables; they leave nothing.

    Raises InputError where OUT holds no finished run, InputChanged where the input is another,
    StorageError where a table is.
    """
    run = reopen_run(out)
    check_sizes(run.corpus)
    for table in PUBLISHED:
        for file in run.files(table):
            refuse_changed(run.table_path(table, file.slice), file)
    settings = run.settings
    engine = open_engine(settings.engine.model_copy(update={"name": "local"}))
    try:
        yield Job(run, engine, Silent(), fresh_key())
    finally:
        run.drop_state()
