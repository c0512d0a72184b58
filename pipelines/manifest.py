"""The manifest of a finished run: read, written, and sealed.

It holds digests of the reports, and one of all that it says itself: an edited verdict, report
or setting is noticed by whoever reads it next. It is no signature: who wants to forge a run can
compute digests too.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import xxhash

from unrote.corpus.errors import InputError
from unrote.pipelines.commits import FORMAT, digest_of, is_sealed, sealed
from unrote.pipelines.locations import MANIFEST, STATE
from unrote.pipelines.storage import Location, location, write_atomically

REPORTS = ("metrics.prom", "report.html", "report.json")


def read_manifest(out: str) -> dict[str, Any]:
    """The manifest of a finished run. Raises InputError where there is none, or it is not what the
    run wrote.
    """
    path = location(out) / MANIFEST
    try:
        manifest: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        hint = "its run is not finished" if (location(out) / STATE).exists() else "no run wrote it"
        raise InputError(f"{out} has no {MANIFEST}: {hint}. Name OUT of a finished run.") from None
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}. Check address and permissions."
        ) from None
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"cannot read {path}: {error}. Run the job again in an empty folder, or with --fresh."
        ) from None
    if not isinstance(manifest, dict):
        raise InputError(f"{path} is not a manifest. Run the job again in an empty folder.")
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {manifest.get('format')!r}; this version reads format {FORMAT}."
        )
    if not is_sealed(manifest):
        raise InputError(
            f"{path} was changed after the run had written it, so nothing that it says can be "
            "passed on. Run the job again with --fresh."
        )
    return manifest


def write_manifest(out: Location, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a finished run, with the digest of all that it says."""
    said = sealed(orjson.loads(orjson.dumps(manifest)))
    write_atomically(out / MANIFEST, orjson.dumps(said, option=orjson.OPT_INDENT_2))


def reports_of(folder: Location, verdict: object) -> dict[str, Any]:
    """What a manifest says of the report files. The verdict has a digest of its own, so that
    it can be kept when they are written anew.
    """
    files = {}
    for name in REPORTS:
        content = (folder / name).read_bytes()
        files[name] = {"bytes": len(content), "digest": xxhash.xxh3_128_hexdigest(content)}
    return {"files": files, "verdict": digest_of(verdict)}


def holds_reports(manifest: Mapping[str, Any], out: Location) -> bool:
    """Whether the reports are those that the manifest lists."""
    listed = manifest.get("reports", {}).get("files")
    try:
        return bool(reports_of(out, None)["files"] == listed)
    except FileNotFoundError:
        return False
