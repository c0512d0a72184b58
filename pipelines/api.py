"""The jobs for programs and notebooks: what the commands of the same names do, with a run back."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

from unrote.corpus.errors import UsageError
from unrote.corpus.storage import Options as StorageOptions
from unrote.corpus.storage import options_used
from unrote.pipelines.config import ContaminationSettings, Settings, StorageSettings, load
from unrote.pipelines.finished import FinishedRun, open_run
from unrote.pipelines.progress import Progress, Silent
from unrote.pipelines.report.model import Report
from unrote.pipelines.verify import DOCUMENTS, Verdict
from unrote.pipelines.verify import verify as _verify

__all__ = ["clean", "gate", "open_run", "verify"]

Path = str | os.PathLike[str]
Options = Settings | Mapping[str, Any] | None
"""Settings, or those that differ from the defaults: {"dedup.near.threshold": 0.7}."""


class Dataset(Protocol):
    """A Dataset or IterableDataset of the package `datasets`, as far as it is used here."""

    @property
    def features(self) -> Any: ...

    def with_format(self, type: str) -> Any: ...  # noqa: A002 (theirs)


D = TypeVar("D", bound=Dataset)


@overload
def clean(
    inputs: Path | Sequence[Path],
    out: Path,
    *,
    settings: Options = None,
    config: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    storage_options: StorageOptions | None = None,
) -> FinishedRun: ...
@overload
def clean(
    inputs: D,
    out: Path | None = None,
    *,
    settings: Options = None,
    config: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    storage_options: StorageOptions | None = None,
) -> D: ...
def clean(
    inputs: Any,
    out: Path | None = None,
    *,
    settings: Options = None,
    config: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    storage_options: StorageOptions | None = None,
) -> Any:
    """Clean the corpus `inputs` into the folder `out`; returns the finished run.

    inputs: files, folders, globs or fsspec URLs, one or several; or a Dataset of the package
    `datasets`, and a Dataset is returned, in memory. `out` may then be left out. An IterableDataset
    streams through OUT-input and `out`, and one that streams is returned. config: a TOML file of
    settings; settings: those that differ from it, by dotted name. fresh: drop what `out` holds of a
    run.
    progress: shows how far it is; nothing without. storage_options: how stores are reached, in the
    place of storage.options: {"s3": {"endpoint_url": "http://minio:9000"}}.
    Raises ConfigError, InputError and OutputError (nothing was started), RunError where the run
    ended early; the same call continues it.
    """
    from unrote.pipelines.clean import clean as run  # noqa: PLC0415 (imports the engines)
    from unrote.pipelines.hugging_face import cleaned, is_dataset, refuse_splits  # noqa: PLC0415

    loaded = settings_from(settings, config, storage_options)

    def cleaned_run(given: Any, out: Path) -> FinishedRun:
        run(_listed(given), os.fspath(out), loaded, progress or Silent(), fresh=fresh)
        return open_run(out)

    refuse_splits(inputs)
    if is_dataset(inputs):
        return cleaned(inputs, os.fspath(out) if out is not None else None, cleaned_run)
    if out is None:
        raise UsageError("name the folder for the result: unrote.clean(inputs, out).")
    return cleaned_run(inputs, out)


def gate(
    inputs: Path | Sequence[Path],
    policy: Path,
    *,
    out: Path | None = None,
    settings: Options = None,
    config: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    baseline: Path | None = None,
    write_baseline: Path | None = None,
    waivers: Path | None = None,
    storage_options: StorageOptions | None = None,
) -> Report:
    """Hold the corpus `inputs` against the policy in a TOML file; returns the report, in which
    `passed` is the verdict.

    out: the folder for tables and report, None: they are not kept. baseline: a file of what was
    there, which rules do not count; write_baseline: where to write one of all that is there now.
    waivers: a TOML file of what may stay. These need a key. The rest, and what is raised, as for
    `clean`.
    """
    from unrote.pipelines.gate import gate as run  # noqa: PLC0415

    return run(
        _listed(inputs),
        policy,
        os.fspath(out) if out is not None else "",
        settings_from(settings, config, storage_options),
        progress or Silent(),
        fresh=fresh,
        baseline=baseline,
        write_baseline=write_baseline,
        waivers=waivers,
    )


def verify(
    out: Path,
    *,
    recall: bool = False,
    sample: int = DOCUMENTS,
    storage_options: StorageOptions | None = None,
) -> Verdict:
    """Check every promise of the finished run in `out` from its input and result alone.

    recall: measure how many near-duplicates are left, too, with datasketch's MinHashLSH over the
    released documents; `recall` of the verdict is then what came out.
    sample: how many of these it looks at, about, drawn by hash; 2 or more.
    storage_options: how stores are reached, as storage.options; None: as before.

    `ok` of the verdict says whether all hold. Raises OutputError where `out` is no run folder,
    RunError where its run is unfinished, ConfigError where `recall` lacks the extra datasketch,
    UsageError for a sample of fewer than 2.
    """
    with options_used(storage_options):
        return _verify(os.fspath(out), recall=recall, sample=sample)


def deduplication_alone(settings: Settings, **enabled: bool) -> Settings:
    """`settings` for a run that finds duplicates and rewrites nothing.

    enabled: which methods find them, by their section in `dedup`, where that is not for the
    settings to say.
    """
    methods = {
        name: getattr(settings.dedup, name).model_copy(update={"enabled": on})
        for name, on in enabled.items()
    }
    off = {
        name: getattr(settings, name).model_copy(update={"enabled": False})
        for name in ("pii", "memorization", "languages")
    }
    return settings.model_copy(
        update=off
        | {
            "dedup": settings.dedup.model_copy(update=methods),
            "contamination": ContaminationSettings(),
            "output": settings.output.model_copy(update={"data": False, "keep_removed": ""}),
        }
    )


def settings_from(
    settings: Options, config: Path | None, storage_options: StorageOptions | None = None
) -> Settings:
    """The settings of a call: of a file, with those by name on top.

    Raises ConfigError; TypeError for Settings beside a file.
    """
    if isinstance(settings, Settings):
        if config is not None:
            raise TypeError("Give settings or a config file, or settings by name on top of a file.")
        chosen = settings
    else:
        chosen = load(config, named=dict(settings or {}))
    if storage_options is None:
        return chosen
    options = {protocol: dict(given) for protocol, given in storage_options.items()}
    return chosen.model_copy(update={"storage": StorageSettings(options=options)})


def _listed(inputs: Path | Sequence[Path]) -> list[str]:
    if isinstance(inputs, str | os.PathLike):
        return [os.fspath(inputs)]
    return [os.fspath(path) for path in inputs]
