"""The run folder: opened, continued where an earlier run stopped, finished, and opened again.

A phase is committed by a marker that lists the digests of the tables it wrote and the fingerprint
of all that went into them. The same command again skips every phase whose marker still holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import xxhash

from unrote.corpus.errors import OutputError, StorageError
from unrote.corpus.read import Fields
from unrote.corpus.saved import released_form, saved_beside
from unrote.corpus.schema import Table
from unrote.corpus.shard import Corpus
from unrote.corpus.version import VERSION
from unrote.pipelines.commits import (
    FORMAT,
    Commit,
    TableFile,
    holds,
    read_marker,
    read_sealed,
    write_marker,
    write_sealed,
)
from unrote.pipelines.config import Settings
from unrote.pipelines.fingerprint import checksums, difference, input_digest, run_fingerprint
from unrote.pipelines.index.head import Head
from unrote.pipelines.index.opening import OpenIndex
from unrote.pipelines.locations import (
    MANIFEST,
    REMOVED,
    STATE,
    folder_named,
    prepare_removed,
    reaching,
    refuse_overlap,
    refuse_shards_in,
)
from unrote.pipelines.lock import Held, lock, refuse_in_use, waited
from unrote.pipelines.manifest import REPORTS, read_manifest, write_manifest
from unrote.pipelines.remote import RemotePath
from unrote.pipelines.storage import (
    LocalPath,
    Location,
    absolute,
    discard_folder,
    discard_state,
    move,
    remove,
    remove_folder,
    scratch_folder,
    stamps,
    write_atomically,
)


@dataclass
class RunFolder:
    """OUT of one run. Open with `open_run`."""

    out: Location
    job: str
    settings: Settings
    corpus: Corpus
    started: str
    fingerprint: str
    key: str = ""
    """The fingerprint of the key that was given; "" where none was."""
    finished: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    base: Head | None = None
    """The head of the index that this run looks at (dedup.index)."""
    indexed: int | None = None
    """The number of the head by which it was added to the index."""
    ended: str = ""
    """When all was known that a report says: the report and the manifest give the same time."""
    _lock: Held | None = None

    @property
    def fields(self) -> Fields:
        """The fields of a row that this run reads."""
        return self.settings.fields

    @property
    def state(self) -> Location:
        return self.out / STATE

    @property
    def data(self) -> Location:
        return self.out / "data"

    def scratch(self) -> LocalPath:
        """The folder for spilled data, on this machine's disk."""
        return scratch_folder(self.settings.engine.scratch, self.state, self.fingerprint)

    def table_path(self, table: Table, slice_number: int) -> Location:
        """Where a table's file for a slice lies. What was removed lies outside OUT."""
        if table.name == REMOVED:
            return self._removed() / f"{slice_number:05d}.parquet"
        root = self.state if table.internal else self.out
        return root / "tables" / table.folder / f"{slice_number:05d}.parquet"

    def _removed(self) -> Location:
        return folder_named(self.settings.output.keep_removed, "the folder for what is removed")

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
        commit = read_marker(self._marker(name))
        if commit is None or commit.fingerprint != fingerprint or not self._has_files(commit):
            return False
        self.commits[name] = commit
        return True

    def _has_files(self, commit: Commit) -> bool:
        """Whether all files of a commit are there: on a disk by their content, in a store by what
        that says of them.
        """
        if commit.stamps or isinstance(self.out, RemotePath):
            return bool(commit.stamps == self._stamps(commit))
        for name, files in commit.tables.items():
            for file in files:
                paths = [folder / f"{file.slice:05d}.parquet" for folder in self._folders(name)]
                if not any(holds(path, file) for path in paths):
                    return False
        return all(holds(self.out / file.path, file) for file in commit.data)

    def _folders(self, name: str) -> list[Location]:
        """Where the files of a table may lie."""
        if name == REMOVED:
            return [self._removed()]
        return [self.state / "tables" / name, self.out / "tables" / name]

    def _stamps(self, commit: Commit) -> dict[str, str]:
        """What a store says of the files of a commit; those that are missing are left out."""
        found: dict[str, str] = {}
        for name, files in commit.tables.items():
            there = {k: v for folder in self._folders(name) for k, v in stamps(folder).items()}
            names = [f"{file.slice:05d}.parquet" for file in files]
            found |= {f"{name}/{each}": there[each] for each in names if each in there}
        if commit.data:
            there = stamps(self.data)
            paths = [file.path.removeprefix("data/") for file in commit.data]
            found |= {f"data/{path}": there[path] for path in paths if path in there}
        return found

    def commit(self, commit: Commit) -> None:
        """Record a phase as done. Raises RunError where OUT may be another run's by now."""
        if isinstance(self.out, RemotePath):
            commit = replace(commit, stamps=self._stamps(commit))
            if len(commit.stamps) < commit.file_count:
                raise StorageError(
                    f"{self.out} lacks files that {commit.name} wrote to it. Look whether anything "
                    "else deletes there, and run the same command again."
                )
        self.require()
        write_marker(self._marker(commit.name), commit)
        self.commits[commit.name] = commit

    def require(self) -> None:
        """Raise RunError where OUT may be another run's by now."""
        if self._lock is not None:
            self._lock.require()

    def _marker(self, name: str) -> Location:
        return self.state / "phases" / f"{name}.json"

    def finish(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Write the manifest, last of all, and drop what only the run itself needed."""
        manifest = self.manifest() | dict(extra)
        if manifest["data"]:
            manifest["beside"] = self._write_beside(manifest["data"])
        self.require()
        write_manifest(self.out, manifest)
        self.drop_state()
        return manifest

    def _write_beside(self, data: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Write what loads released Arrow shards as a data set; what the manifest says of it."""
        digests = {entry["path"]: entry["digest"] for entry in data}
        written = []
        for saved in saved_beside(self.corpus.shards, self.corpus.passed_over):
            content = released_form(saved, digests)
            write_atomically(self.data / saved.name, content)
            digest = xxhash.xxh3_128_hexdigest(content)
            written.append({"path": f"data/{saved.name}", "bytes": len(content), "digest": digest})
        return written

    def drop_state(self) -> None:
        """Drop what only a running job needs, internal tables too unless they are to be kept."""
        if self.settings.output.internal_tables and (self.state / "tables").is_dir():
            discard_folder(self.out / "internal")
            move(self.state / "tables", self.out / "internal")
        discard_folder(self.scratch())
        discard_state(self.state)
        self.close()  # last, so that nobody else's files are dropped

    def manifest(self) -> dict[str, Any]:
        """What is known so far, in the layout of docs/architecture.md."""
        if self.finished:
            return read_manifest(str(self.out))
        self.ended = self.ended or now()
        folder = self.out / "tables"
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        published = {
            name: [dict(vars(file)) for file in files]
            for commit in self.commits.values()
            for name, files in commit.tables.items()
            if name in there
        }
        return {
            "format": FORMAT,
            "unrote": VERSION,
            "job": self.job,
            "fingerprint": self.fingerprint,
            "started": self.started,
            "finished": self.ended,
            "settings": self.settings.model_dump(),
            "key": self.key,
            "input": self.corpus.to_json(),
            **self._index(),
            "passed_over": list(self.corpus.passed_over),
            "phases": [
                {
                    "name": c.name,
                    "seconds": round(c.seconds, 3),
                    "input_bytes": c.input_bytes,
                    "shuffled_bytes": c.shuffled_bytes,
                    "spilled_bytes": c.spilled_bytes,
                    "workers": c.workers,
                    "rows": {name: sum(f.rows for f in files) for name, files in c.tables.items()},
                }
                for c in self.commits.values()
            ],
            "tables": published,
            "data": [dict(vars(d)) for c in self.commits.values() for d in c.data],
        }

    def _index(self) -> dict[str, Any]:
        """What a manifest says of the index."""
        if self.base is None:
            return {}
        known = {"folder": self.base.index.folder, "base": self.base.id, "before": self.base.next}
        return {"index": known | {"head": self.indexed}}

    def __getstate__(self) -> dict[str, Any]:
        """For workers: all but the lock, which is this process's."""
        return self.__dict__ | {"_lock": None}

    def difference(self, then: Mapping[str, Any]) -> str:
        """In parentheses, in what this run differs from the one of a manifest or state file."""
        return difference(then, self.job, self.settings, self.corpus, self.key)

    def take(self, out: str) -> None:
        """Keep other processes out of OUT. Raises OutputInUse where one is in it."""
        self._lock = lock(self.out, out, self.settings.output.lock)

    def close(self) -> None:
        """Let another process have OUT."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def open_run(
    out: str,
    job: str,
    inputs: Sequence[str],
    settings: Settings,
    pin: Callable[[], Corpus],
    *,
    key: str = "",
    fresh: bool = False,
    index: OpenIndex | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> RunFolder:
    """The run folder at `out`: new, or continued if it was left by the same command.

    key: the fingerprint of the key that was given, "" where none was; index: the one that the run
    adds to; note: what is called with something that the user should know now.

    Raises OutputError if `out` holds anything else, overlaps with the input, or is in use.
    """
    folder, kept = _output_folders(out, settings, inputs)
    kind, timeout = settings.output.lock, settings.output.lock_timeout
    waited(lambda: refuse_in_use(folder, out, kind), timeout, note)
    corpus = pin()
    for target, what in ((folder, "OUT"), (kept, "the folder for what is removed")):
        if target is not None:
            refuse_shards_in(target, what, corpus)
    run = RunFolder(folder, job, settings, corpus, now(), "", key)
    run.base = None if index is None else index.base(folder, fresh=fresh)
    base = "" if run.base is None else _finished_base(folder, fresh) or run.base.id
    run.fingerprint = run_fingerprint(job, settings, corpus, key, base)
    if not fresh and _is_finished(run, out):
        return run
    if index is not None:
        assert run.base is not None
        index.refuse_added(run.base, run.fingerprint, input_digest(corpus), out)
    waited(lambda: run.take(out), timeout, note)
    try:
        if fresh:
            clear(folder)
        elif _is_finished(run, out):  # by another process, in the meantime
            run.drop_state()
            return run
        run.started = _continue(run, out)
        if kept is not None:
            prepare_removed(str(kept), folder, run.fingerprint, fresh=fresh)
    except BaseException:
        run.close()
        raise
    return run


def _finished_base(folder: Location, fresh: bool) -> str:
    """The id of the head that the finished run in OUT looked at; "" where there is none."""
    if fresh or not (folder / MANIFEST).exists():
        return ""
    return str(read_manifest(str(folder)).get("index", {}).get("base", ""))


def _output_folders(
    out: str, settings: Settings, inputs: Sequence[str]
) -> tuple[Location, Location | None]:
    """OUT and the folder for what is removed. Raises OutputError where one cannot be used."""
    folder = folder_named(out, "OUT")
    refuse_overlap(folder, "OUT", inputs)
    with reaching(out):
        _refuse_foreign(folder, out)
    if not settings.output.keep_removed:
        return folder, None
    what = "the folder for what is removed"
    kept = folder_named(settings.output.keep_removed, what)
    if folder == kept or folder in kept.parents or kept in folder.parents:
        raise OutputError(
            f"{what} {kept} must lie outside OUT {folder}, and OUT outside it: OUT holds nothing "
            "that may not be released. Name another folder with --keep-removed."
        )
    refuse_overlap(kept, what, inputs)
    return folder, kept


def _is_finished(run: RunFolder, out: str) -> bool:
    """Whether OUT holds this very run, finished. Raises OutputError if it holds another."""
    if not (run.out / MANIFEST).exists():
        return False
    finished = read_manifest(out)
    if finished["fingerprint"] != run.fingerprint:
        raise OutputError(
            f"{out} holds a finished run of other input or settings{run.difference(finished)}. "
            "Name another folder, or start over with --fresh."
        )
    run.started, run.finished = finished["started"], True
    return True


def _refuse_foreign(folder: Location, out: str) -> None:
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
        absolute(out),
        manifest["job"],
        _reopened(manifest["settings"]),
        Corpus.from_json(manifest["input"]),
        manifest["started"],
        manifest["fingerprint"],
        manifest["key"],
        finished=True,
        commits={commit.name: commit},
    )


def _reopened(tree: Mapping[str, Any]) -> Settings:
    """The settings of a finished run. What it kept besides its result stays as it is."""
    settings = Settings.model_validate(tree)
    return settings.model_copy(
        update={
            "output": settings.output.model_copy(
                update={"keep_removed": "", "internal_tables": False}
            )
        }
    )


def _continue(run: RunFolder, out: str) -> str:
    """When the run was started: now, or as the state file of the same run says.

    A run that has committed nothing is forgotten: there is nothing to lose.
    """
    path = run.state / "run.json"
    phases = run.state / "phases"
    if path.exists() and phases.is_dir() and any(phases.iterdir()):
        try:
            state = read_sealed(path)
        except ValueError:
            raise OutputError(
                f"{path} is damaged. Start over with --fresh, or name another folder."
            ) from None
        if state["fingerprint"] == run.fingerprint:
            return str(state["started"])
        raise OutputError(
            f"{out} holds an unfinished run of other input or settings{run.difference(state)}. "
            "Repeat that command to continue it, start over with --fresh, or name another folder."
        )
    state = {
        "fingerprint": run.fingerprint,
        "unrote": VERSION,
        "job": run.job,
        "started": run.started,
        "settings": run.settings.model_dump(),
        "key": run.key,
        "input_digest": input_digest(run.corpus),
        "checksums": checksums(run.corpus),
        "index": None if run.base is None else run.base.to_json(),
    }
    write_sealed(path, state)
    return run.started


def clear(folder: Location) -> None:
    """Remove a run's files from `folder`, and nothing that a run does not write."""
    for name in (MANIFEST, *REPORTS):
        remove(folder / name)
    state = folder / STATE
    for path in state.iterdir() if state.is_dir() else ():
        if path.name in ("lock", "lease"):  # which say that OUT is ours
            continue
        if path.is_dir():
            _remove_tree(path)
        else:
            remove(path)
    for name in ("data", "tables", "internal"):
        _remove_tree(folder / name)


def _remove_tree(folder: Location) -> None:
    with reaching(str(folder)):
        remove_folder(folder)


def now() -> str:
    """The time, as ISO 8601 in UTC to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
