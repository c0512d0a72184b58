"""From a folder to a run: the manifest is read, and refused where it is none."""

import json
from collections.abc import Mapping
from typing import Any

from unrote.corpus.errors import OutputError, RunError
from unrote.corpus.stores import store_of
from unrote.pipelines.verify.records import Rules, Shard
from unrote.pipelines.verify.state import Run, Texts
from unrote.pipelines.verify.verdict import (
    CHECKS,
    CHECKS_EVERYWHERE,
    CHECKS_INDEX,
    Progress,
    Tally,
)


def open_run(out: str, texts: Texts, progress: Progress) -> Run:
    try:
        files, root = store_of(out)
        root = root.rstrip("/")
        if not files.is_folder(root):
            raise OutputError(f"{out} is not a folder. Name the OUT of a finished run.")
    except OSError as error:
        raise OutputError(
            f"cannot look at {out}: {error.strerror or error}. Check address and permissions."
        ) from None
    try:
        with files.open(f"{root}/manifest.json") as stream:
            manifest = json.load(stream)
    except FileNotFoundError:
        raise RunError(
            f"{out} has no manifest.json: its run is unfinished, or it is no run folder. "
            "The command that started the run continues it."
        ) from None
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{out}/manifest.json cannot be read ({type(error).__name__}). Run the job again."
        ) from None
    try:
        rules = Rules.of(manifest)
        names = Shard.__dataclass_fields__
        entries = [Shard(**{n: e[n] for n in names}) for e in manifest["input"]["shards"]]
        _touch(manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{out}/manifest.json is not a manifest of format 1 ({type(error).__name__}: {error}). "
            "It was written by another version, or changed since. Run the job again."
        ) from None
    shards = {shard.number: shard for shard in entries}
    checks = CHECKS | (CHECKS_INDEX if rules.index else {})
    checks |= CHECKS_EVERYWHERE if rules.everywhere else {}
    tally = {name: Tally(promise, name) for name, promise in checks.items()}
    return Run(files, root, manifest, rules, shards, texts, progress, tally)


def _touch(manifest: Mapping[str, Any]) -> None:
    """Raises KeyError, TypeError or AttributeError where a manifest lacks what is read later."""
    files = [entry for entries in manifest["tables"].values() for entry in entries]
    for entry in files:
        _ = int(entry["slice"]), int(entry["rows"])
    for entry in manifest["data"]:
        _ = int(entry["shard"]), entry["path"]
    for entry in (*files, *manifest["data"]):
        _ = int(entry["bytes"]), entry["digest"]
    for part in manifest["input"]["slices"]:
        _ = int(part["number"]), [int(cut["shard"]) + int(cut["row"]) for cut in part["cuts"]]
