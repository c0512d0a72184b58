"""Whole runs over what is damaged: they hold what `unrote verify` checks, or end in a line of ours.

Each target takes a random generator and an empty folder, damages something, and runs commands in
this process. It returns what came of it in a word, or raises AssertionError.
"""

import contextlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from unittest import mock

from benchmarks.hostile.changes import changed, drawn
from benchmarks.hostile.seeds import damaged, lines
from tests.command import Done, unrote

PLAIN = ("--set", "engine.workers=1", "--set", "memorization.enabled=false", "-q")
CACHE = Path(tempfile.gettempdir()) / f"hostile-cache-{os.getuid()}"
KEY = "the key of a run over hostile input, 0123456789"


def command(*args: object) -> Done:
    """Run `unrote` here, and hold its end against what is promised of every end."""
    ended = unrote(*args, whole=True)
    status = ended.status
    said = [line for line in ended.err.splitlines() if line.startswith("unrote: ")]
    assert "this is a bug" not in ended.err, ended.err.splitlines()[-3:]
    assert status in (0, 1, 2, 3, 4), f"status {status}"
    assert status in (0, 1) or args[0] == "status" or len(said) == 1, f"{status}: {ended.err}"
    return ended


@contextlib.contextmanager
def watched(folder: Path, *, writes: tuple[str, ...]) -> Iterator[None]:
    """HOME, TMPDIR and the working folder are below `folder`, where nothing may change but what
    begins with one of `writes`.
    """
    for name in ("home", "tmp", "cwd"):
        (folder / name).mkdir(exist_ok=True)
    variables = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "UNROTE_KEY": KEY}
    variables["UNROTE_CACHE"] = str(CACHE)  # which is the user's, whatever the input
    before, here, temporary = _listed(folder, writes), Path.cwd(), tempfile.tempdir
    os.chdir(folder / "cwd")
    tempfile.tempdir = str(folder / "tmp")
    try:
        with mock.patch.dict(os.environ, variables):
            yield
    finally:
        os.chdir(here)
        tempfile.tempdir = temporary
    after = _listed(folder, writes)
    assert before == after, f"written besides: {sorted(set(after.items()) ^ set(before.items()))}"


def _listed(folder: Path, writes: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Size and time of all files and folders that may not change."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if name.split("/", maxsplit=1)[0] not in writes:
            status = path.lstat()
            found[name] = (0, 0) if path.is_dir() else (status.st_size, status.st_mtime_ns)
    return found


def files_of(folder: Path) -> list[Path]:
    """All files below, in an order that does not depend on the disk."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def released(out: Path) -> dict[str, bytes]:
    """What a run gives."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for part in ("data", "tables")
        for path in files_of(out / part)
    }


# Corpora


def corpus(chance: random.Random, folder: Path) -> str:
    """A run over a damaged file beside a whole one."""
    name, content = damaged(chance)
    (folder / "in").mkdir()
    (folder / "in" / name).write_bytes(content)
    (folder / "in" / "whole.jsonl").write_bytes(lines())
    kind = chance.choice(("dedup", "dedup", "clean"))
    given = [*PLAIN, "--set", "input.max_rejects=1", "--set", "dedup.passages.min_bytes=50"]
    if chance.random() < 0.3:
        given += ["--index", folder / "index"]
    with watched(folder, writes=("out", "index")):
        ended = command(kind, folder / "in", "-o", folder / "out", *given)
        if ended.status:
            assert ended.status in (2, 3), ended.status
            assert not (folder / "out" / "manifest.json").exists(), "refused, and finished"
            return "refused"
        checked = command("verify", folder / "out")
        assert checked.status == 0, [line for line in checked.out.splitlines() if "broken" in line]
    report = json.loads((folder / "out" / "report.json").read_bytes())
    return "rejects, verified" if report["total"]["rejected"]["documents"] else "verified"


# What a run leaves


@cache
def finished() -> tuple[Path, dict[str, bytes]]:
    """A folder with in/, a finished out/ and an index/, and what the run gave."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    (folder / "in").mkdir()
    (folder / "in" / "a.jsonl").write_bytes(lines())
    with watched(folder, writes=("out", "index")):
        assert command(*dedup(folder)).status == 0
    return folder, released(folder / "out")


def dedup(folder: Path) -> tuple[object, ...]:
    """The command that made `finished`, or stopped."""
    return ("dedup", folder / "in", "-o", folder / "out", "--index", folder / "index", *PLAIN)


@cache
def stopped() -> tuple[Path, Path, dict[str, bytes]]:
    """A folder, one with what an ended run left in it before its last steps, and what it gives."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    (folder / "in").mkdir()
    (folder / "in" / "a.jsonl").write_bytes(lines())
    left = Path(tempfile.mkdtemp(prefix="hostile-"))
    ended = mock.patch("unrote.pipelines.clean.write_report", side_effect=KeyboardInterrupt)
    with watched(folder, writes=("out", "index")):
        with ended:
            assert command(*dedup(folder)).status == 3
        _copied(folder, left)
        assert command(*dedup(folder)).status == 0
    return folder, left, released(folder / "out")


def _copied(origin: Path, folder: Path) -> None:
    for name in ("in", "out", "index"):
        shutil.copytree(origin / name, folder / name, symlinks=True)


def _damage(chance: random.Random, paths: list[Path]) -> tuple[Path, bool]:
    """Change one of the files; which, and whether it is another one now."""
    path = chance.choice(paths)
    before = path.read_bytes()
    content = _json_changed(chance, before) if chance.random() < 0.5 else None
    content = changed(before, drawn(chance)) if content is None else content
    path.write_bytes(content)
    return path, content != before


def _json_changed(chance: random.Random, content: bytes) -> bytes | None:
    """JSON with one value of another kind; None where it is no JSON."""
    try:
        tree = json.loads(content)
    except ValueError:
        return None
    at = tree
    while isinstance(at, dict | list) and at:
        key = chance.choice(list(at) if isinstance(at, dict) else list(range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or chance.random() < 0.3:
            if chance.random() < 0.2:
                del at[key]
            else:
                at[key] = chance.choice(_VALUES)
            break
        at = at[key]
    return json.dumps(tree).encode()


_VALUES = (None, True, -1, 1e308, 2**70, "", "x", "../../x", "/etc/passwd", [], {}, [[]], {"a": 1})


def result(chance: random.Random, folder: Path) -> str:
    """A damaged OUT, read by the commands that read one."""
    origin, _ = finished()
    _copied(origin, folder)
    path, differs = _damage(chance, files_of(folder / "out"))
    out = folder / "out"
    with watched(folder, writes=()):
        checked = command("verify", out)
        command("status", out)
        command("show", out, "d0")
    name = path.relative_to(out).parts[0]
    assert checked.status or not differs or name not in ("data", "tables"), f"verified: {path}"
    with watched(folder, writes=("out", "out-card")):
        command("report", out)
        command("card", out)
    return "noticed" if checked.status else "verified"


def markers(chance: random.Random, _: Path) -> str:
    """A damaged folder of a stopped run, that the same command is to continue."""
    folder, left, expected = stopped()  # a run is known by where its input is
    for name in ("in", "out", "index"):
        shutil.rmtree(folder / name)
    _copied(left, folder)
    _damage(chance, files_of(folder / "out"))
    with watched(folder, writes=("out", "index")):
        command("status", folder / "out")
        ended = command(*dedup(folder))
        if ended.status:
            return "refused"
        assert released(folder / "out") == expected, "other bytes"
        assert command("verify", folder / "out").status == 0
    return "continued"


def index(chance: random.Random, folder: Path) -> str:
    """A damaged index, looked at and added to."""
    origin, _ = finished()
    _copied(origin, folder)
    path, differs = _damage(chance, files_of(folder / "index"))
    (folder / "in" / "a.jsonl").write_bytes(lines() + b'{"text": "and one more text, of today"}\n')
    with watched(folder, writes=("index",)):
        command("index", "info", folder / "index")
        checked = command("index", "verify", folder / "index")
        held = path.name in ("lock",)
        assert checked.status or not differs or held, f"whole: {path}"
    shutil.rmtree(folder / "out")
    with watched(folder, writes=("out", "index")):
        night = command(*dedup(folder))
        command("index", "forget", folder / "index", "--id", "d1")
        command("index", "compact", folder / "index")
    if night.status:
        return "refused"
    return "added" if checked.status == 0 else "added, though damaged"


# Files that a user writes


SETTINGS = b"""[input]
text = "text"
max_rejects = 0.5
[dedup.near]
threshold = 0.8
[pii]
columns = ["source"]
[pii.actions]
EMAIL_ADDRESS = "mask"
[[pii.patterns]]
name = "TICKET"
regex = "T-[0-9]{4}"
"""

POLICY = b"""minimum_documents = 1
[[rule]]
measure = "exact_share"
limit = 0.5
[[rule]]
measure = "near_share"
limit = 0.5
each_source = true
"""

WAIVERS = b"""[[waiver]]
reason = "said so"
owner = "me"
expires = 2099-01-01
fingerprints = ["0123456789abcdef0123456789abcdef"]
"""


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def toml(chance: random.Random, folder: Path) -> str:
    """Damaged settings, policy, waivers or a baseline, of a gate."""
    (folder / "in").mkdir()
    _written(folder / "in", "a.jsonl", lines())
    names = {"settings": SETTINGS, "policy": POLICY, "waivers": WAIVERS, "baseline": _baseline()}
    bad = chance.choice(list(names))
    content = names[bad]
    new = _json_changed(chance, content) if bad == "baseline" and chance.random() < 0.5 else None
    names[bad] = changed(content, drawn(chance)) if new is None else new
    files = {name: _written(folder, name, content) for name, content in names.items()}
    given = ["-c", files["settings"], "--policy", files["policy"], "--waivers", files["waivers"]]
    with watched(folder, writes=("out",)):
        if bad == "settings":
            command("explain", "-c", files["settings"])
        ended = command(
            "gate", folder / "in", *given, "--baseline", files["baseline"], "-o", folder / "out",
            *PLAIN,
        )  # fmt: skip
    return ("passed", "broken rules", "refused", "refused", "refused")[ended.status]


@cache
def _baseline() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "in").mkdir()
        _written(where / "in", "a.jsonl", lines())
        policy = _written(where, "policy", POLICY)
        given = ("--policy", policy, "--write-baseline", where / "cwd" / "b", *PLAIN)
        with watched(where, writes=("cwd",)):
            assert command("gate", where / "in", *given).status in (0, 1)
        return (where / "cwd" / "b").read_bytes()


TARGETS: dict[str, Callable[[random.Random, Path], str]] = {
    "corpus": corpus,
    "result": result,
    "markers": markers,
    "index": index,
    "settings": toml,
}
"""By name: what is damaged."""
