"""The run folder: what a run has committed, so that it can be continued, checked and read.

A phase is committed by a marker that lists the digests of the tables it wrote and the fingerprint of
all that went into them. The same command again skips every phase whose marker still holds.
"""

import dataclasses
import fcntl
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson
import xxhash

from corpus.errors import InputError, OutputError, StorageError
from corpus.read import Fields
from corpus.schema import Table
from corpus.shards import Corpus
from corpus.version import VERSION
from dedup.keep import KeepPolicy
from pipelines.config import Settings
from pipelines.engines.base import Flow, Node, Output, Read

FORMAT = 1
MANIFEST = "manifest.json"
STATE = ".run"


@dataclass(frozen=True)
class TableFile:
    """A committed table file of one slice, or one cleaned shard."""

    slice: int
    rows: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class DataFile:
    """A committed cleaned shard."""

    shard: int
    path: str
    bytes: int
    digest: str


@dataclass(frozen=True)
class Commit:
    """What a phase left behind."""

    name: str
    fingerprint: str
    seconds: float
    input_bytes: int
    spilled_bytes: int
    tables: Mapping[str, tuple[TableFile, ...]]
    data: tuple[DataFile, ...] = ()

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "Commit":
        tables = {k: tuple(TableFile(**f) for f in v) for k, v in tree["tables"].items()}
        return cls(**{**tree, "tables": tables, "data": tuple(DataFile(**d) for d in tree["data"])})


@dataclass
class RunFolder:
    """OUT of one run. Open with `open_run`."""

    out: Path
    job: str
    settings: Settings
    corpus: Corpus
    started: str
    fingerprint: str
    finished: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    _lock: IO[str] | None = None

    @property
    def fields(self) -> Fields:
        """The fields of a row that this run reads."""
        settings = self.settings
        return Fields(
            text=settings.input.text,
            id=settings.input.id,
            source=settings.input.source,
            order=KeepPolicy.parse(settings.dedup.near.keep).field,
        )

    @property
    def state(self) -> Path:
        return self.out / STATE

    @property
    def data(self) -> Path:
        return self.out / "data"

    def scratch(self) -> Path:
        """The folder for spilled data."""
        named = self.settings.engine.scratch
        return Path(named) / f"unrote-{self.fingerprint[:16]}" if named else self.state / "scratch"

    def table_path(self, table: Table, slice_number: int) -> Path:
        """Where a table's file for a slice lies. What was removed lies outside OUT."""
        if table.name == "removed":
            return Path(self.settings.output.keep_removed) / f"{slice_number:05d}.parquet"
        root = self.state if table.internal else self.out
        return root / "tables" / table.folder / f"{slice_number:05d}.parquet"

    def rows(self, table: Table) -> int:
        """Committed rows of a table; 0 where no phase wrote it."""
        return sum(file.rows for file in self.files(table))

    def files(self, table: Table) -> tuple[TableFile, ...]:
        for commit in self.commits.values():
            if table.folder in commit.tables:
                return commit.tables[table.folder]
        return ()

    def committed(self, name: str, fingerprint: str) -> bool:
        """Whether phase `name` was committed for the same input, settings and stages."""
        path = self._marker(name)
        if not path.exists():
            return False
        try:
            commit = Commit.from_json(orjson.loads(path.read_bytes()))
        except (orjson.JSONDecodeError, TypeError, KeyError):
            return False
        if commit.fingerprint != fingerprint or not self._has_files(commit):
            return False
        self.commits[name] = commit
        return True

    def _has_files(self, commit: Commit) -> bool:
        named = {table: files for table, files in commit.tables.items() if files}
        roots = (self.state / "tables", self.out / "tables")
        for name, files in named.items():
            for file in files:
                paths = [root / name / f"{file.slice:05d}.parquet" for root in roots]
                if not any(p.exists() and p.stat().st_size == file.bytes for p in paths):
                    return False
        return all((self.out / d.path).exists() for d in commit.data)

    def commit(self, commit: Commit) -> None:
        """Record a phase as done."""
        write_atomically(self._marker(commit.name), orjson.dumps(asdict(commit)))
        self.commits[commit.name] = commit

    def _marker(self, name: str) -> Path:
        return self.state / "phases" / f"{name}.json"

    def phase_fingerprint(self, name: str, flow: Flow) -> str:
        """A digest of all that decides what `flow` writes: input, tables read, stages, settings."""
        digest = xxhash.xxh3_128(f"{FORMAT} {VERSION} {name} {self.fingerprint}".encode())
        for node in flow.nodes:
            digest.update(describe_node(node).encode())
            for table in tables_read(node):
                files = [f.digest for f in self.files(table)]
                digest.update(orjson.dumps([table.folder, files]))
        return str(digest.hexdigest())

    def finish(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Write the manifest, last of all, and drop what only the run itself needed."""
        manifest = self.manifest() | dict(extra)
        write_atomically(self.out / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
        self.drop_state()
        return manifest

    def drop_state(self) -> None:
        """Drop what only a running job needs, internal tables too unless they are to be kept."""
        self.close()
        if self.settings.output.internal_tables and (self.state / "tables").is_dir():
            shutil.rmtree(self.out / "internal", ignore_errors=True)
            shutil.move(self.state / "tables", self.out / "internal")
        shutil.rmtree(self.state, ignore_errors=True)

    def manifest(self) -> dict[str, Any]:
        """What is known so far, in the layout of docs/architecture.md."""
        if self.finished:
            return read_manifest(str(self.out))
        published = {
            name: [asdict(file) for file in files]
            for commit in self.commits.values()
            for name, files in commit.tables.items()
            if (self.out / "tables" / name).is_dir()
        }
        return {
            "format": FORMAT,
            "unrote": VERSION,
            "job": self.job,
            "fingerprint": self.fingerprint,
            "started": self.started,
            "finished": now(),
            "settings": self.settings.model_dump(),
            "input": self.corpus.to_json(),
            "phases": [
                {
                    "name": c.name,
                    "seconds": round(c.seconds, 3),
                    "input_bytes": c.input_bytes,
                    "spilled_bytes": c.spilled_bytes,
                    "rows": {name: sum(f.rows for f in files) for name, files in c.tables.items()},
                }
                for c in self.commits.values()
            ],
            "tables": published,
            "data": [asdict(d) for c in self.commits.values() for d in c.data],
        }

    def close(self) -> None:
        """Let another process have OUT."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def describe_node(node: Node) -> str:
    """A node's stage with version and settings, and where its inputs come from, as stable text."""
    stage = node.stage
    settings = {f.name: getattr(stage, f.name) for f in dataclasses.fields(stage)}  # type: ignore[arg-type]
    sources = {
        tag: [describe_input(i) for i in inputs] for tag, inputs in sorted(node.inputs.items())
    }
    return f"{type(stage).__name__} {stage.version} {settings!r} {sources!r}"


def describe_input(source: Read | Output) -> str:
    if isinstance(source, Output):
        return f"{source.node.label}:{source.tag}"
    names = [[t.folder for t in group] for group in (source.tables, source.only, source.drop)]
    return f"{source.view} {names!r}"


def tables_read(node: Node) -> list[Table]:
    """Every table that a node reads, in a fixed order."""
    found = []
    for _, inputs in sorted(node.inputs.items()):
        for source in inputs:
            if isinstance(source, Read):
                found.extend((*source.tables, *source.only, *source.drop))
    return found


def open_run(
    out: str,
    job: str,
    inputs: Sequence[str],
    settings: Settings,
    pin: Callable[[], Corpus],
    *,
    fresh: bool = False,
) -> RunFolder:
    """The run folder at `out`: new, or continued if it was left by the same command.

    Raises OutputError if `out` holds anything else, lies inside the input, or is in use.
    """
    folder = Path(out).resolve()
    _refuse_overlap(folder, inputs)
    if fresh:
        clear(folder)
    _refuse_foreign(folder, out)
    corpus = pin()
    fingerprint = run_fingerprint(job, settings, corpus)
    if (folder / MANIFEST).exists():
        finished = read_manifest(out)
        if finished["fingerprint"] != fingerprint:
            raise OutputError(
                f"{out} holds a finished run of other input or settings. Name another folder, or "
                "start over with --fresh."
            )
        return RunFolder(
            folder, job, settings, corpus, finished["started"], fingerprint, finished=True
        )
    state = folder / STATE
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot create {out}: {error.strerror}. Name a writable folder."
        ) from None
    lock = _lock(state / "lock", out)
    started = _continue(state / "run.json", out, fingerprint, job)
    return RunFolder(folder, job, settings, corpus, started, fingerprint, _lock=lock)


def _refuse_foreign(folder: Path, out: str) -> None:
    """Raise OutputError unless `folder` is new, empty or a run's."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{out} is a file; OUT must be a folder.")
    ours = (folder / MANIFEST).exists() or (folder / STATE).is_dir()
    if folder.exists() and not ours and any(folder.iterdir()):
        raise OutputError(
            f"{out} is not empty and holds no run of unrote. Name an empty or new folder."
        )


def reopen_run(out: str) -> RunFolder:
    """The folder of a finished run, with what it published as committed."""
    manifest = read_manifest(out)
    tables = {
        name: tuple(TableFile(**file) for file in files)
        for name, files in manifest["tables"].items()
    }
    commit = Commit("published", "", 0.0, 0, 0, tables)
    return RunFolder(
        Path(out).resolve(),
        manifest["job"],
        Settings.model_validate(manifest["settings"]),
        Corpus.from_json(manifest["input"]),
        manifest["started"],
        manifest["fingerprint"],
        finished=True,
        commits={commit.name: commit},
    )


def run_fingerprint(job: str, settings: Settings, corpus: Corpus) -> str:
    """A digest of the input and of all settings that decide the result (not how fast it comes)."""
    tree = settings.model_dump(exclude={"engine": True})
    return str(
        xxhash.xxh3_128_hexdigest(
            orjson.dumps(
                [FORMAT, VERSION, job, tree, corpus.to_json()], option=orjson.OPT_SORT_KEYS
            )
        )
    )


def _continue(path: Path, out: str, fingerprint: str, job: str) -> str:
    """When the run of this fingerprint was started: now, or as the state file says."""
    if path.exists():
        state = orjson.loads(path.read_bytes())
        if state["fingerprint"] != fingerprint:
            raise OutputError(
                f"{out} holds an unfinished run of other input or settings (a {state['job']} started "
                f"{state['started']}). Repeat that command to continue it, start over with --fresh, "
                "or name another folder."
            )
        return str(state["started"])
    started = now()
    state = {"fingerprint": fingerprint, "job": job, "started": started}
    write_atomically(path, orjson.dumps(state))
    return started


def _refuse_overlap(folder: Path, inputs: Sequence[str]) -> None:
    for name in inputs:
        if "://" in name:
            continue
        source = Path(name).resolve()
        if folder == source or source in folder.parents:
            raise OutputError(
                f"OUT {folder} lies inside the input {name}; the next run would read its own "
                "output. Name a folder outside it."
            )
        if folder in source.parents:
            raise OutputError(
                f"the input {name} lies inside OUT {folder}; it might be overwritten. Name another "
                "folder as OUT."
            )


def _lock(path: Path, out: str) -> IO[str]:
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise OutputError(
            f"another run is writing to {out}. Wait for it, or name another folder."
        ) from None
    return handle


def clear(folder: Path) -> None:
    """Remove a run's files from `folder`, and nothing that a run does not write."""
    _refuse_foreign(folder, str(folder))
    for name in (MANIFEST, "report.json", "report.html"):
        (folder / name).unlink(missing_ok=True)
    for name in ("data", "tables", "internal", STATE):
        shutil.rmtree(folder / name, ignore_errors=True)


def read_manifest(out: str) -> dict[str, Any]:
    """The manifest of a finished run. Raises InputError where there is none."""
    path = Path(out) / MANIFEST
    try:
        manifest: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        hint = "its run is not finished" if (Path(out) / STATE).exists() else "no run wrote it"
        raise InputError(f"{out} has no {MANIFEST}: {hint}. Name OUT of a finished run.") from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}.") from None
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {manifest.get('format')!r}; this version reads format {FORMAT}."
        )
    return manifest


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}. Free space and run again."
        ) from None


def now() -> str:
    """The time, as ISO 8601 in UTC to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
