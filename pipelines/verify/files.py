"""OUT holds what its manifest lists, and the input is what it was."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, BinaryIO

import pyarrow.parquet as pq
import xxhash

from unrote.pipelines.verify.layout import DAMAGE, TABLES, table_path
from unrote.pipelines.verify.readers import CHUNK, arrow_reader, opened
from unrote.pipelines.verify.records import Shard
from unrote.pipelines.verify.state import Run

REPORTS = ("metrics.prom", "report.html", "report.json")

PROXY = {"proxy/proxy.json", "proxy/sequences.parquet", "proxy/risk.json"}
"""What a proxy run adds: what is extractable, by document and offset, and the recalibrated risk."""

_INTERNAL = re.compile(r"internal/[a-z0-9_-]+/\d{5}\.parquet")


def check_files(run: Run) -> None:
    """OUT holds what the manifest lists, and nothing else."""
    listed = {"manifest.json", *REPORTS}
    listed |= {
        table_path(name, entry["slice"])
        for name, entries in run.manifest["tables"].items()
        if name in TABLES or run.rules.internal
        for entry in entries
    }
    if run.rules.data:
        listed |= {f"data/{shard.name}" for shard in run.shards.values()} & {
            entry["path"] for entry in run.manifest["data"]
        }
        listed |= {entry["path"] for entry in run.manifest.get("beside", ())}
    if run.manifest["job"] == "proxy":
        listed |= PROXY
    for path in run.files.find(run.root):
        name = path[len(run.root) :].lstrip("/")
        known = name in listed or (run.rules.internal and _INTERNAL.fullmatch(name) is not None)
        run.tally["files"].expect(known, "%s does not belong into OUT", name)


def is_sealed(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest has the digest of all else in it."""
    said = {name: value for name, value in manifest.items() if name != "digest"}
    plain = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return bool(manifest.get("digest") == xxhash.xxh3_128_hexdigest(plain))


def check_manifest(run: Run) -> None:
    """The manifest is what the run wrote, and the reports are what it lists."""
    run.tally["manifest"].expect(
        is_sealed(run.manifest),
        "manifest.json is not what the run wrote: its digest of itself does not fit",
    )
    listed = run.manifest.get("reports")
    files = listed.get("files") if isinstance(listed, dict) else None
    for name in REPORTS:
        entry = files.get(name) if isinstance(files, dict) else None
        try:
            with run.open(name) as stream:
                size, digest = digest_of(stream)
        except DAMAGE as error:
            run.tally["reports"].expect(False, "%s cannot be read (%s)", name, type(error).__name__)
            continue
        same = entry == {"bytes": size, "digest": digest}
        run.tally["reports"].expect(same, "%s is not what the manifest lists", name)


def check_input(run: Run) -> None:
    """The input is what it was when the run was pinned."""
    tally, total, done = run.tally["input"], sum(s.size for s in run.shards.values()), 0
    for shard in run.shards.values():
        try:
            with opened(shard.url) as stream:
                size, checksum = digest_of(stream)
        except DAMAGE as error:
            tally.expect(False, "%s cannot be read (%s)", shard.name, type(error).__name__)
            continue
        tally.expect(
            (size, checksum) == (shard.size, shard.checksum),
            "%s is not what it was when the run was pinned: %d bytes, then %d",
            shard.name,
            size,
            shard.size,
        )
        done += size
        run.progress("input", done, total)


def digest_of(stream: BinaryIO) -> tuple[int, str]:
    digest, size = xxhash.xxh3_128(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def check_data_files(run: Run) -> set[int]:
    """The cleaned shards' files are what the manifest lists. Returns the shards that have one."""
    tally, entries, found = run.tally["data files"], run.manifest["data"], set()
    for number, times in Counter(entry["shard"] for entry in entries).items():
        tally.expect(times == 1, "shard %d is listed %d times", number, times)
    for entry in entries:
        shard, path = run.shards.get(entry["shard"]), entry["path"]
        if not run.rules.data or shard is None or path != f"data/{shard.name}":
            tally.expect(False, "%s must not have been written", path)
            continue
        try:
            with run.open(path) as stream:
                same = digest_of(stream) == (entry["bytes"], entry["digest"])
            tally.expect(same, "%s is not what the manifest lists", path)
            if shard.format in ("arrow", "parquet"):
                tally.expect(_same_schema(run, shard, path), "%s has other columns", path)
        except DAMAGE as error:
            tally.expect(False, "%s cannot be read (%s)", path, type(error).__name__)
            continue
        found.add(shard.number)
    return found


def check_beside(run: Run) -> None:
    """What lies beside cleaned Arrow shards is the input's, but for fingerprint and counts."""
    for entry in run.manifest.get("beside", ()):
        path = entry["path"]
        name = path.rpartition("/")[2]
        given = [
            url
            for url in run.manifest.get("passed_over", ())
            if url.endswith(path.removeprefix("data"))
        ]
        try:
            with run.open(path) as stream:
                content = stream.read()
            same = (len(content), xxhash.xxh3_128_hexdigest(content)) == (
                entry["bytes"],
                entry["digest"],
            )
            run.tally["data files"].expect(same, "%s is not what the manifest lists", path)
            run.tally["data files"].expect(
                name in _BESIDE and any(_same_but(url, content, _BESIDE[name]) for url in given),
                "%s is not what lay beside the input",
                path,
            )
        except DAMAGE as error:
            run.tally["data files"].expect(
                False, "%s cannot be read (%s)", path, type(error).__name__
            )


_BESIDE = {
    "state.json": {"_fingerprint"},
    "dataset_dict.json": set(),
    "dataset_info.json": {"splits", "dataset_size", "size_in_bytes"}
    | {"download_size", "download_checksums", "post_processing_size"},
}
"""What `datasets` saves beside Arrow files, and which keys in it may differ."""


def _same_but(url: str, content: bytes, keys: set[str]) -> bool:
    """Whether a file and `content` are the same, or hold the same but for some keys."""
    with opened(url) as stream:
        before = stream.read()
    if before == content:
        return True
    try:
        ours, theirs = json.loads(before), json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return False
    return all(ours.get(key) == theirs.get(key) for key in (ours.keys() | theirs.keys()) - keys)


def _same_schema(run: Run, shard: Shard, path: str) -> bool:
    with opened(shard.url) as before, run.open(path) as after:
        if shard.format == "arrow":
            return bool(arrow_reader(before).schema.equals(arrow_reader(after).schema, True))
        return bool(pq.read_schema(before).equals(pq.read_schema(after)))
